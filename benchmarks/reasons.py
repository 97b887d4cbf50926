"""Reason codes of one row of a credit-default release, on one core, beside shap's explainers on the same graph with as many questions.

    python benchmarks/reasons.py --data ../shared/data [--rows 200]

The release is trained here for a few epochs: its network, and so its time, is that of the default settings. Prints p50 and p99
of wall and processor time of each, and the ratio. Bar: 10 ms.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tradewind.engines.loading import load
from tradewind.engines.reasons import Reasons
from tradewind.engines.shapley import Attribution
from tradewind.features.coalitions import QUESTIONS, log_odds
from tradewind.product import Explain

BAR_MS = 10.0
COMPARED = 8  # background rows of shap: what QUESTIONS allow beside 24 columns


def release(data: Path, folder: Path) -> Path:
    product = {
        "product": "credit", "task": "classification",
        "data": {
            "source": str((data / "credit-default" / "UCI_Credit_Card.csv").resolve()), "target": "Default",
            "only": header(data), "clean": {"identifiers": "keep"},
        },
        "train": {"epochs": 2, "threads": 1}, "evaluate": {"baselines": False, "bootstrap": 50, "examine": []},
        "explain": {"favourable": "0"},
    }  # fmt: skip
    (folder / "tradewind.yaml").write_text(json.dumps(product), encoding="utf-8")  # JSON is YAML
    done = subprocess.run(
        [sys.executable, "-m", "tradewind.cli", "run", "-C", folder, "--json"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return Path(json.loads(done.stdout)["artifacts"]["release"])


def header(data: Path) -> list[str]:
    with (data / "credit-default" / "UCI_Credit_Card.csv").open(encoding="utf-8") as file:
        return next(csv.reader(file))


def rows_of(data: Path, count: int) -> list[dict[str, object]]:
    with (data / "credit-default" / "UCI_Credit_Card.csv").open(encoding="utf-8") as file:
        every = [
            {name: float(value) for name, value in row.items() if name != "Default"} for row in csv.DictReader(file)
        ]
    return list(every[:: len(every) // count][:count])


def timed(call: Callable[[Any], object], rows: list[Any]) -> dict[str, float]:
    call(rows[0])
    wall, processor = [], []
    for row in rows:
        started, used = time.perf_counter(), time.thread_time()
        call(row)
        wall.append(time.perf_counter() - started)
        processor.append(time.thread_time() - used)
    return {
        f"{kind} p{percent}": 1e3 * float(np.percentile(times, percent))
        for kind, times in (("wall", wall), ("processor", processor))
        for percent in (50, 99)
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--rows", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        loaded = load(release(options.data, Path(folder)), threads=1)
    predictor = loaded.predictor
    columns = len(predictor.columns)
    attribution = Attribution(predictor, loaded.background)
    reasons = Reasons(attribution, Explain(favourable="0"))
    rows = [{name: row[name] for name in predictor.columns} for row in rows_of(options.data, options.rows)]
    found = {"tradewind": timed(lambda row: reasons.of([row]), rows)}

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shap = importlib.import_module("shap")
    names = list(predictor.columns)
    background = np.array([[float(loaded.background[name][at]) for name in names] for at in range(COMPARED)])

    def ask(matrix: np.ndarray) -> np.ndarray:
        values = {name: np.asarray(matrix)[:, at] for at, name in enumerate(names)}
        return log_odds(attribution.ask(predictor.features.encode(values))[:, 0])

    matrix = [
        np.array([[row[name] for name in names]], dtype=np.float64) for row in rows[: max(10, options.rows // 10)]
    ]
    kernel = shap.KernelExplainer(ask, background)
    found["shap Kernel"] = timed(
        lambda row: kernel.shap_values(row, nsamples=QUESTIONS // COMPARED, silent=True, l1_reg=False), matrix
    )
    walks = shap.explainers.Permutation(ask, shap.maskers.Independent(background, max_samples=COMPARED))
    found["shap Permutation"] = timed(lambda row: walks(row, max_evals=2 * columns + 1, silent=True), matrix)
    print(f"{columns} columns, {len(rows)} rows, at most {QUESTIONS} questions a row; milliseconds")
    ours = found["tradewind"]["wall p50"]
    for name, times in found.items():
        told = "  ".join(f"{kind} {value:8.2f}" for kind, value in times.items())
        print(f"{name:18} {told}  {times['wall p50'] / ours:6.1f}x")
    print(f"bar {BAR_MS:g} ms: {'kept' if found['tradewind']['wall p99'] < BAR_MS else 'not kept'} at p99, "
          f"{'kept' if ours < BAR_MS else 'not kept'} at p50")  # fmt: skip


if __name__ == "__main__":
    main()
