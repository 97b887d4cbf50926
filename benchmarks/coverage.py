"""Coverage of conformal sets and intervals on real data beside what was promised, and beside what chance allows.

    python benchmarks/coverage.py --data ../shared/data [--only adult,german-credit] [--seeds 3] [--epochs 4] [--without-refit]
                                  [--work FOLDER]

Each line is one data set over several splits (seeds): coverage on test as the release has it, its mean over the splits
with the standard error (of a single split the exact interval), and the distance that a single split of that size shows by chance. `resplit` takes what the model
said of validation and test rows together and parts them anew 500 times, which leaves the luck of the split out: only
where the model was not trained again on validation are these rows alike. `--epochs` trains shorter than by default: what is promised
holds for any model, so more splits fit into the same time. A folder of products (--work) is used again.

`--linear N` sets the same rule on a logistic regression over 60 principal components of chest-xray's pictures, over N splits of the
product's sizes, with the quantiles of its validation rows and, of the same splits, after training again on these rows: what the data
and the rule give without the minutes that a network takes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from quality import ADULT
from tradewind.evaluate.conformal import by_chance, fit_intervals, fit_sets

PROMISE = 0.9
RESPLITS = 500
SIDE = 32


@dataclass(frozen=True)
class Bench:
    """A data set: its part of the product file, with paths below the data folder, and how many seeds of the split."""

    name: str
    data: dict[str, Any]
    task: str = "classification"
    seeds: int = 1


GERMAN = [*(f"a{index}" for index in range(1, 21)), "risk"]
BENCHES = [
    Bench(
        "german-credit",
        {"source": {"path": "german-credit/german.csv", "header": GERMAN}, "target": "risk"},
        seeds=10,
    ),
    Bench(
        "german-credit-amount",
        {"source": {"path": "german-credit/german.csv", "header": GERMAN}, "target": "a5"},
        task="regression",
        seeds=10,
    ),
    Bench(
        "adult",
        {
            "source": {"path": "adult/train.csv", "header": ADULT},
            "target": "income",
            "split": {"test": {"path": "adult/test.csv", "header": ADULT}},
        },
    ),
    Bench("credit-default", {"source": "credit-default/UCI_Credit_Card.csv", "target": "Default", "drop": ["ID"]}),
    Bench(
        "banking77",
        {
            "source": "banking77/train.csv",
            "target": "category",
            "split": {"test": {"path": "banking77/test.csv"}},
        },
    ),
    Bench("waimai", {"source": "waimai/waimai_10k.csv", "target": "label"}),
    Bench("chest-xray", {"source": "chest-xray", "target": "label"}),
]


def placed(value: Any, data: Path) -> Any:
    """Paths made absolute."""
    if isinstance(value, dict):
        return {
            key: str((data / one).resolve())
            if key in ("path", "source") and isinstance(one, str)
            else placed(one, data)
            for key, one in value.items()
        }
    return value


def run(bench: Bench, data: Path, work: Path, seed: int, train: dict[str, Any]) -> Path:
    """The folder of the report of one split."""
    folder = work / bench.name
    folder.mkdir(parents=True, exist_ok=True)
    given = placed(bench.data, data)
    given["split"] = {**given.get("split", {}), "seed": seed}
    product = {
        "product": bench.name,
        "task": bench.task,
        "data": given,
        "train": train,
        "evaluate": {"baselines": False, "bootstrap": 0, "examine": ["uncertainty"], "coverage": PROMISE},
    }
    (folder / "tradewind.yaml").write_text(json.dumps(product), encoding="utf-8")  # JSON is YAML
    command = [sys.executable, "-m", "tradewind.cli", "evaluate", "-C", str(folder), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{bench.name}: tradewind evaluate ended with {done.returncode}: {done.stdout}")
    return Path(json.loads(done.stdout)["artifacts"]["report"])


def covered(fitted: tuple[Any, Any], asked: tuple[Any, Any]) -> float:
    """Coverage on the rows `asked`, (target, outputs), by quantiles of the rows `fitted`."""
    if fitted[1].ndim == 2:
        held = fit_sets(*fitted, promise=PROMISE).held(asked[1])
        return float(held[np.arange(len(held)), asked[0]].mean())
    low, high = fit_intervals(*fitted, promise=PROMISE).ends(asked[1])
    return float(((low <= asked[0]) & (asked[0] <= high)).mean())


def resplit(report: Path) -> float:
    """Mean coverage over new partings of validation and test rows."""
    with np.load(report / "trust" / "uncertainty.npz", allow_pickle=False) as witness:
        fitted = len(witness["validation_target"])
        target = np.concatenate([witness["validation_target"], witness["test_target"]])
        outputs = np.concatenate([witness["validation_outputs"], witness["test_outputs"]])
    random, found = np.random.default_rng(0), []
    for _ in range(RESPLITS):
        order = random.permutation(len(target))
        first, rest = order[:fitted], order[fitted:]
        found.append(covered((target[first], outputs[first]), (target[rest], outputs[rest])))
    return float(np.mean(found))


def linear(data: Path, splits: int) -> None:
    """Coverage of a linear model on chest-xray, before and after training again on validation rows."""
    names, pictures = [], []
    for file in sorted((data / "chest-xray").glob("*/*")):
        with Image.open(file) as picture:
            pictures.append(np.asarray(picture.convert("L").resize((SIDE, SIDE)), np.float64).ravel())
        names.append(file.parent.name)
    pictures_RP, first = np.unique(
        np.stack(pictures), axis=0, return_index=True
    )  # copies are one row, as in the product
    target = np.unique(np.array(names)[first], return_inverse=True)[1]
    seen = PCA(60, whiten=True, random_state=0).fit_transform(pictures_RP)
    found = []
    for seed in range(splits):
        rest, test = train_test_split(np.arange(len(target)), test_size=225, stratify=target, random_state=seed)
        train, held = train_test_split(rest, test_size=90, stratify=target[rest], random_state=seed)
        first_model, again = (
            LogisticRegression(C=0.1, max_iter=500).fit(seen[rows], target[rows]) for rows in (train, rest)
        )
        fitted = target[held], first_model.predict_proba(seen[held])
        found.append(
            [covered(fitted, (target[test], model.predict_proba(seen[test]))) for model in (first_model, again)]
        )
    both = np.array(found)
    for name, values in zip(("before", "after"), both.T, strict=True):
        print(
            f"chest-xray, logistic regression, {splits} splits of 90 and 225 rows, {name} training again: {values.mean():.4f}"
            f" (± {values.std(ddof=1) / splits**0.5:.4f}), one split ± {1.96 * values.std(ddof=1):.3f},"
            f" from {values.min():.4f} to {values.max():.4f}; by chance ± {by_chance(fitted=90, tested=225, promise=PROMISE):.3f}"
        )


def measure(bench: Bench, data: Path, work: Path, seeds: int | None, train: dict[str, Any]) -> str:
    sections, mixed = [], []
    for seed in range(seeds or bench.seeds):
        report = run(bench, data, work, seed, train)
        section = json.loads((report / "report.json").read_text(encoding="utf-8"))["trust"]["uncertainty"]
        sections.append(section)
        mixed.append(resplit(report))
        one = section["coverage"]
        print(
            f"  {bench.name} {seed}: {one['value']:.4f} ({one['low']:.4f} to {one['high']:.4f}), {section['verdict']}, "
            f"size {one['size']:.4g}",
            flush=True,
        )
    values = np.array([one["coverage"]["value"] for one in sections])
    last = sections[-1]
    spread = f"{last['coverage']['low']:.4f} to {last['coverage']['high']:.4f}"
    if len(values) > 1:
        spread = f"± {values.std(ddof=1) / len(values) ** 0.5:.4f}"
    room = by_chance(fitted=last["fitted"], tested=last["rows"], promise=PROMISE)
    size = np.mean([one["coverage"]["size"] for one in sections])
    within = abs(values.mean() - PROMISE) <= 0.01
    return (
        f"| {bench.name} | {len(values)} | {last['fitted']:,} / {last['rows']:,} | {'yes' if last['refitted'] else 'no'} "
        f"| {values.mean():.4f} ({spread}) | {room:.4f} | {np.mean(mixed):.4f} | {size:.4g} | {'yes' if within else 'no'} |"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("TRADEWIND_DATA", "../shared/data")))
    parser.add_argument("--only", default="")
    parser.add_argument("--seeds", type=int, default=None)
    parser.add_argument("--epochs", type=int, default=None)
    parser.add_argument(
        "--without-refit", action="store_true", help="the model that gave the quantiles is the one tested"
    )
    parser.add_argument(
        "--linear", type=int, default=0, metavar="N", help="a linear model on chest-xray, over N splits"
    )
    parser.add_argument("--work", type=Path, default=None, help="folder for products; a temporary one by default")
    options = parser.parse_args()
    if not options.data.is_dir():
        print(f"{options.data}: no such folder; set TRADEWIND_DATA", file=sys.stderr)
        return 2
    if options.linear:
        linear(options.data, options.linear)
        return 0
    train = ({} if options.epochs is None else {"epochs": options.epochs}) | (
        {"refit": False} if options.without_refit else {}
    )
    chosen = [bench for bench in BENCHES if not options.only or bench.name in options.only.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        lines = [measure(bench, options.data, options.work or Path(folder), options.seeds, train) for bench in chosen]
    print(
        f"\npromise {PROMISE:g}\n\n| data set | splits | validation / test rows | refitted | coverage on test | one split by chance "
        "| resplit | mean size | mean within a point |\n|---|---|---|---|---|---|---|---|---|"
    )
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
