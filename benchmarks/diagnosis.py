"""Sensitivity at a specificity of 0.9: chest X-rays beside the baselines, and pictures with clinical columns beside either alone.

    python benchmarks/diagnosis.py --data ../shared/data [--only xray,sample] [--set train.epochs=8] [--work FOLDER]

For each predictor the bound is chosen on validation rows and judged on the same test rows. `xray`: every class but `normal` is a
finding. `sample`: the scenario's drawings, once with all columns, once with the picture alone, once with the clinic's columns alone.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from tradewind.cli.scenario import begin
from tradewind.evaluate.intervals import area_above, exact_share
from tradewind.evaluate.predictions import read_predictions
from tradewind.evaluate.thresholds import at_share

SPECIFICITY = 0.9
CLINIC = ["age", "temperature", "cough"]


def evaluated(folder: Path, changes: list[str]) -> dict[str, Any]:
    """What `tradewind evaluate` printed; a gate that says no is no failure here."""
    words = [word for change in changes for word in ("--set", change)]
    command = [sys.executable, "-m", "tradewind.cli", "evaluate", "-C", str(folder), *words, "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode not in (0, 1):
        sys.exit(f"{folder}: status {done.returncode}")
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def lines(what: str, told: dict[str, Any], sound: str, predictors: tuple[str, ...] | None = None) -> None:
    """One line a predictor: sensitivity with its exact interval, the specificity that the test rows had, and the area."""
    folder = Path(told["artifacts"]["report"])
    classes = json.loads((folder / "report.json").read_text())["classes"]
    parts, at = read_predictions(folder / "predictions.parquet"), classes.index(sound)
    for name in parts["test"].scores:
        if name == "majority" or (predictors is not None and name not in predictors):
            continue
        score = {split: 1.0 - np.asarray(part.scores[name])[:, at] for split, part in parts.items()}
        ill = {split: part.target_n != at for split, part in parts.items()}
        bound = at_share(score["validation"], ill["validation"], SPECIFICITY, of="specificity")
        alarm, truth = score["test"] >= bound, ill["test"]
        low, high = exact_share(int(alarm[truth].sum()), int(truth.sum()))
        area, *_ = area_above(score["test"][truth], score["test"][~truth])
        print(
            f"{what:22} {name:10} sensitivity {alarm[truth].mean():.3f} ({low:.3f} to {high:.3f}), specificity reached "
            f"{(~alarm[~truth]).mean():.3f}, ROC-AUC {area:.3f}, {len(truth)} test rows",
            flush=True,
        )


def xray(data: Path, work: Path, changes: list[str]) -> None:
    folder = work / "xray"
    folder.mkdir(exist_ok=True)
    product = {"product": "xray", "task": "classification", "data": {"source": str(data / "chest-xray"), "target": "label"},
               "evaluate": {"negative": "normal", "specificity": SPECIFICITY, "examine": ["screening"]}}  # fmt: skip
    (folder / "tradewind.yaml").write_text(json.dumps(product))
    told = evaluated(folder, changes)
    lines("chest-xray", told, "normal")
    figures = {name: round(value, 4) for name, value in told["metrics"]["test"].items() if "specificity" in name}
    print(f"{'':22} the report: {figures}", flush=True)


def sample(work: Path, changes: list[str]) -> None:
    folder = work / "sample"
    if not folder.exists():
        begin(folder, "diagnosis")
    asked = ["evaluate.examine=[screening]", "evaluate.baselines=false", *changes]
    columns = {"picture and clinic": ["scan", *CLINIC], "picture alone": ["scan"], "clinic alone": CLINIC}
    for what, only in columns.items():
        told = evaluated(folder, [f"data.only={json.dumps(only)}", "evaluate.gates={}", *asked])
        lines(what, told, "normal", ("model",))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--only", default="xray,sample")
    parser.add_argument("--set", action="append", default=[], help="PATH=VALUE over both product files")
    parser.add_argument("--work", type=Path)
    given = parser.parse_args()
    work = given.work or Path(tempfile.mkdtemp(prefix="tradewind-diagnosis-"))
    work.mkdir(parents=True, exist_ok=True)
    if "xray" in given.only:
        xray(given.data.resolve(), work, given.set)
    if "sample" in given.only:
        sample(work, given.set)


if __name__ == "__main__":
    main()
