"""Fair training beside fairlearn's ExponentiatedGradient, both in one run on the same rows.

    python benchmarks/fairness.py --data ../shared/data [--only adult-sex,credit] [--by penalty] [--strength 0.5] [--quick] [--work FOLDER]

Each product file says only source, target, sensitive columns and what is to be alike. For each data set one line a method: ROC-AUC
on test, what it lost against the plain product, accuracy, and the equalized-odds difference of each sensitive column as fairlearn
defines it. `--quick` leaves out the ensemble (model.kind: mlp). A folder of products (--work) is used again: what was trained there is not trained anew.

ExponentiatedGradient (Agarwal et al., A reductions approach to fair classification, 2018) gets all sensitive columns together and
the same bound. It answers by drawing one of its classifiers; its AUC is that of the probability with which it says yes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
from fairlearn.metrics import equalized_odds_difference
from fairlearn.reductions import EqualizedOdds, ExponentiatedGradient
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from quality import ADULT, split_table
from tradewind.data.dataset import load
from tradewind.evaluate.calibration import apply_temperature
from tradewind.evaluate.predictions import FILE, MODEL, read_predictions
from tradewind.evaluate.thresholds import decide
from tradewind.features.shifts import moved
from tradewind.files import read_json

GAP = 0.05
LOSS = 0.01
FEW = 30  # rows behind a rate: the last column leaves smaller groups out


@dataclass(frozen=True)
class Table:
    """One data set: what a product file needs, and the same rows for the peers."""

    name: str
    folder: Path
    data: dict[str, Any]
    train: pd.DataFrame
    test: pd.DataFrame
    target: str
    positive: object
    sensitive: tuple[str, ...]


def adult(data: Path, work: Path, sensitive: tuple[str, ...]) -> Table:
    frames = [
        pd.read_csv(data / "adult" / f"{name}.csv", names=ADULT, skipinitialspace=True, na_values="?")
        for name in ("train", "test")
    ]
    for frame in frames:
        frame["income"] = frame["income"].str.rstrip(".")
    sources = [{"path": str((data / "adult" / f"{name}.csv").resolve()), "header": ADULT} for name in ("train", "test")]
    given = {"source": sources[0], "target": "income", "split": {"test": sources[1]}, "sensitive": list(sensitive)}
    name = "adult-" + "-".join(sensitive)
    return Table(name, work / name, given, *frames, "income", ">50K", sensitive)


def credit(data: Path, work: Path) -> Table:
    frame = pd.read_csv(data / "credit-default" / "UCI_Credit_Card.csv")
    train, test = split_table(frame, "Default", work / "credit", 0)
    given = {"source": "train.csv", "target": "Default", "split": {"test": {"path": "test.csv"}}, "sensitive": ["SEX"]}
    parts = [part.drop(columns="ID") for part in (train, test)]
    return Table("credit", work / "credit", given, *parts, "Default", 1, ("SEX",))


# ---------------------------------------------------------------- both sides


def line(table: Table, name: str, score: np.ndarray, decided: np.ndarray, plain: float | None, seconds: float) -> float:
    """Prints one method and gives its AUC."""
    truth = (table.test[table.target] == table.positive).to_numpy()
    auc = float(roc_auc_score(truth, score))
    gaps, large = [], []
    for column in table.sensitive:
        group = table.test[column].astype(str).to_numpy()
        gaps.append(equalized_odds_difference(truth, decided, sensitive_features=group))
        enough = [g for g in np.unique(group) if min(truth[group == g].sum(), (~truth[group == g]).sum()) >= FEW]
        some = np.isin(group, enough)
        large.append(equalized_odds_difference(truth[some], decided[some], sensitive_features=group[some]))
    lost = "" if plain is None else f"{plain - auc:+.4f}"
    each = "  ".join(f"{column} {gap:.4f}" for column, gap in zip(table.sensitive, gaps, strict=True))
    met = "" if plain is None else ("reached" if max(gaps) <= GAP and plain - auc <= LOSS else "missed")
    print(
        f"{table.name:15} {name:34} auc {auc:.4f} {lost:8} accuracy {(decided == truth).mean():.4f}  gap {max(gaps):.4f}"
        f" ({each}; groups of {FEW} or more {max(large):.4f})  {met:8} {seconds:5.0f} s",
        flush=True,
    )
    return auc


def product(
    table: Table, by: str | None, quick: bool, strength: float | None
) -> tuple[np.ndarray, np.ndarray, float, dict[str, Any]]:
    """Score and decision of the test rows, seconds, and what training found."""
    train: dict[str, Any] = {} if by is None else {"fairness": "equalized_odds", "fairness_by": by, "fairness_gap": GAP}
    if by is not None and strength is not None:
        train["fairness_strength"] = strength
    content: dict[str, Any] = {
        "product": table.name, "task": "classification", "data": table.data, "train": train,
        "evaluate": {"baselines": False, "bootstrap": 0, "examine": [], "positive": str(table.positive)},
    }  # fmt: skip
    if quick:
        content["model"] = {"kind": "mlp"}
    table.folder.mkdir(parents=True, exist_ok=True)
    (table.folder / "tradewind.yaml").write_text(json.dumps(content), encoding="utf-8")  # JSON is YAML
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "tradewind.cli", "evaluate", "--json", "-C", str(table.folder)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr)
    seconds = time.perf_counter() - started
    outcome = json.loads(done.stdout)["artifacts"]
    report = Path(outcome["report"])
    test, found = read_predictions(report / FILE)["test"], read_json(report / "calibration.json")
    assert len(test.rows_n) == len(table.test) == load(Path(outcome["dataset"])).split("test").rows
    score = apply_temperature(test.scores[MODEL], found["temperature"])
    positive = found["classes"].index(found["positive"])
    shift = np.zeros(len(score)) if test.shift_n is None else test.shift_n / found["temperature"]
    cut = moved(found["threshold"], shift)
    decided = decide(score, positive, cut) == positive
    return score[:, positive], decided, seconds, read_json(Path(outcome["run"]) / "summary.json").get("fairness", {})


def peers(table: Table) -> None:
    """fairlearn on logistic regression and on LightGBM, over the same inputs: all columns but the sensitive ones."""
    dropped = [table.target, *table.sensitive]
    x, x_test = (frame.drop(columns=dropped) for frame in (table.train, table.test))
    truth = (table.train[table.target] == table.positive).astype(int)
    words = make_column_selector(dtype_exclude="number")
    linear = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", min_frequency=5), words), remainder=StandardScaler()
    )
    encoded = [np.asarray(part.todense() if hasattr(part, "todense") else part) for part in (linear.fit_transform(x), linear.transform(x_test))]  # fmt: skip
    models = {
        "logistic regression": LogisticRegression(max_iter=300),
        "LightGBM": lightgbm.LGBMClassifier(verbose=-1, n_jobs=1),
    }
    group = table.train[list(table.sensitive)].astype(str)
    for name, model in models.items():
        started = time.perf_counter()
        model.fit(encoded[0], truth)
        plain = model.predict_proba(encoded[1])[:, 1]
        own = line(table, f"{name}, plain", plain, plain >= 0.5, None, time.perf_counter() - started)
        started = time.perf_counter()
        fair = ExponentiatedGradient(model, EqualizedOdds(difference_bound=GAP), eps=GAP, max_iter=30)
        fair.fit(encoded[0], truth, sensitive_features=group)
        score = fair._pmf_predict(encoded[1])[:, 1]
        decided = fair.predict(encoded[1], random_state=0) == 1
        line(table, f"{name}, ExponentiatedGradient", score, decided, own, time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", default="adult-sex,adult-sex-race,credit")
    parser.add_argument("--by", default="penalty", help="ways to fairness, with commas")
    parser.add_argument("--strength", type=float, help="one strength in place of the ladder")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--without-peers", action="store_true")
    parser.add_argument("--work", type=Path, help="folder for products; a temporary one by default")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = given.work or Path(temporary)
        tables = {
            "adult-sex": lambda: adult(given.data, work, ("sex",)),
            "adult-sex-race": lambda: adult(given.data, work, ("sex", "race")),
            "credit": lambda: credit(given.data, work),
        }
        for name in given.only.split(","):
            table = tables[name]()
            score, decided, seconds, _ = product(table, None, given.quick, None)
            plain = line(table, "Tradewind, plain", score, decided, None, seconds)
            for by in given.by.split(","):
                score, decided, seconds, found = product(table, by, given.quick, given.strength)
                line(table, f"Tradewind, {by}", score, decided, plain, seconds)
                for point in found["frontier"]:
                    chosen = " <- chosen" if point is found["frontier"][found["chosen"]] else ""
                    print(
                        f"{'':15} strength {point['strength']:6g}: {point['quality_name']} {point['quality']:.4f} on"
                        f" validation, gap {point['gap']:.4f}{chosen}",
                        flush=True,
                    )
            if not given.without_peers:
                peers(table)


if __name__ == "__main__":
    main()
