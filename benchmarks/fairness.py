"""Fair training beside fairlearn's ExponentiatedGradient, both in one run on the same rows.

    python benchmarks/fairness.py --data ../shared/data [--only adult-sex,credit] [--splits 5] [--by penalty] [--strength 0.5,2] [--gap 0.05]
                                  [--quick] [--work FOLDER]

Each product file says only source, target, sensitive columns and what is to be alike. For each data set one line a method: ROC-AUC
on test, what it lost against the plain product, accuracy, and the equalized-odds difference of each sensitive column as fairlearn
defines it. `--splits N` does it over N random splits (adult-sex and adult-sex-race keep their published one; adult-pooled parts all its rows
anew, half of them for test) and prints means with their standard errors, also of the difference of each pair of methods on the same split; splits share
rows, so these errors are a little too small. `--quick` leaves out the ensemble (model.kind: mlp). A folder of products (--work) is used again: what was trained there is not trained anew.

`by chance` is the share of draws in which groups of these sizes whose true rates are equal show a gap at least as large: where it is
not small, the gap says more of chance than of the model.

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
from collections.abc import Callable
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
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from quality import ADULT, split_table
from tradewind.data.dataset import load
from tradewind.evaluate.calibration import apply_temperature
from tradewind.evaluate.predictions import FILE, MODEL, read_predictions
from tradewind.evaluate.thresholds import decide
from tradewind.features.shifts import moved
from tradewind.files import read_json

LOSS = 0.01
FEW = 30  # rows behind a rate: the last column leaves smaller groups out
DRAWS = 4_000


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


def pooled(data: Path, work: Path, seed: int) -> Table:
    """All rows of adult, half of them for test: the rates of small groups rest on more rows."""
    published = adult(data, work, ("sex", "race"))
    rows = pd.concat([published.train, published.test], ignore_index=True)
    kinds = rows["race"] + rows["income"]
    train, test = train_test_split(rows, test_size=0.5, stratify=kinds, random_state=seed)
    folder = work / f"adult-pooled-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    for name, part in (("train", train), ("test", test)):
        part.to_csv(folder / f"{name}.csv", index=False)
    given = {
        "source": "train.csv",
        "target": "income",
        "split": {"test": {"path": "test.csv"}},
        "sensitive": ["sex", "race"],
    }
    return Table("adult-pooled", folder, given, train.copy(), test.copy(), "income", ">50K", ("sex", "race"))


def credit(data: Path, work: Path, seed: int) -> Table:
    frame = pd.read_csv(data / "credit-default" / "UCI_Credit_Card.csv")
    folder = work / f"credit-{seed}"
    train, test = split_table(frame, "Default", folder, seed)
    given = {"source": "train.csv", "target": "Default", "split": {"test": {"path": "test.csv"}}, "sensitive": ["SEX"]}
    parts = [part.drop(columns="ID") for part in (train, test)]
    return Table("credit", folder, given, *parts, "Default", 1, ("SEX",))


# ---------------------------------------------------------------- both sides


@dataclass(frozen=True)
class Measured:
    """What one method gave on one split. `gaps` by sensitive column; `large` leaves groups of fewer than FEW rows out."""

    auc: float
    accuracy: float
    gaps: tuple[float, ...]
    large: float

    @property
    def gap(self) -> float:
        return max(self.gaps)


def by_chance(truth: np.ndarray, decided: np.ndarray, columns: list[np.ndarray], gap: float) -> float:
    """The share of draws in which groups of these sizes show a gap of `gap` or more while their true rates are equal."""
    random, worst = np.random.default_rng(0), np.zeros(DRAWS)
    for group in columns:
        for rows in (truth, ~truth):
            _, sizes = np.unique(group[rows], return_counts=True)
            found = random.binomial(sizes, decided[rows].mean(), size=(DRAWS, len(sizes))) / sizes
            worst = np.maximum(worst, np.ptp(found, axis=1))
    return float((worst >= gap).mean())


def measured(
    table: Table, name: str, score: np.ndarray, decided: np.ndarray, plain: float | None, aim: float, seconds: float
) -> Measured:
    """Prints one method and gives what was found."""
    truth = (table.test[table.target] == table.positive).to_numpy()
    columns = [table.test[column].astype(str).to_numpy() for column in table.sensitive]
    gaps, large = [], []
    for group in columns:
        gaps.append(float(equalized_odds_difference(truth, decided, sensitive_features=group)))
        enough = [g for g in np.unique(group) if min(truth[group == g].sum(), (~truth[group == g]).sum()) >= FEW]
        some = np.isin(group, enough)
        large.append(float(equalized_odds_difference(truth[some], decided[some], sensitive_features=group[some])))
    found = Measured(float(roc_auc_score(truth, score)), float((decided == truth).mean()), tuple(gaps), max(large))
    lost = "" if plain is None else f"{plain - found.auc:+.4f}"
    each = "  ".join(f"{column} {gap:.4f}" for column, gap in zip(table.sensitive, gaps, strict=True))
    met = "" if plain is None else ("reached" if found.gap <= aim and plain - found.auc <= LOSS else "missed")
    print(
        f"{table.name:15} {name:34} auc {found.auc:.4f} {lost:8} accuracy {found.accuracy:.4f}  gap {found.gap:.4f}"
        f" ({each}; by chance {by_chance(truth, decided, columns, found.gap):4.0%}; groups of {FEW} or more {found.large:.4f})"
        f"  {met:8} {seconds:5.0f} s",
        flush=True,
    )
    return found


def product(
    table: Table, by: str | None, quick: bool, strength: float | None, aim: float
) -> tuple[np.ndarray, np.ndarray, float, dict[str, Any]]:
    """Score and decision of the test rows, seconds, and what training found."""
    train: dict[str, Any] = {} if by is None else {"fairness": "equalized_odds", "fairness_by": by, "fairness_gap": aim}
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


def peers(table: Table, aim: float) -> dict[str, Measured]:
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
    found: dict[str, Measured] = {}
    for name, model in models.items():
        started = time.perf_counter()
        model.fit(encoded[0], truth)
        plain = model.predict_proba(encoded[1])[:, 1]
        title = f"{name}, plain"
        found[title] = measured(table, title, plain, plain >= 0.5, None, aim, time.perf_counter() - started)
        started = time.perf_counter()
        fair = ExponentiatedGradient(model, EqualizedOdds(difference_bound=aim), eps=aim, max_iter=30)
        fair.fit(encoded[0], truth, sensitive_features=group)
        score = fair._pmf_predict(encoded[1])[:, 1]
        decided = fair.predict(encoded[1], random_state=0) == 1
        title = f"{name}, ExponentiatedGradient"
        own = found[f"{name}, plain"].auc
        found[title] = measured(table, title, score, decided, own, aim, time.perf_counter() - started)
    return found


# ---------------------------------------------------------------- over splits


def on_one(table: Table, given: argparse.Namespace) -> dict[str, Measured]:
    """Every method on one split."""
    score, decided, seconds, _ = product(table, None, given.quick, None, given.gap)
    plain = measured(table, "Tradewind, plain", score, decided, None, given.gap, seconds)
    found = {"Tradewind, plain": plain}
    for by in given.by.split(","):
        for strength in map(float, given.strength.split(",")) if given.strength else [None]:
            score, decided, seconds, tried = product(table, by, given.quick, strength, given.gap)
            title = f"Tradewind, {by}" + ("" if strength is None else f" {strength:g}")
            found[title] = measured(table, title, score, decided, plain.auc, given.gap, seconds)
            for point in tried["frontier"]:
                chosen = " <- chosen" if point is tried["frontier"][tried["chosen"]] else ""
                print(
                    f"{'':15} strength {point['strength']:6g}: {point['quality_name']} {point['quality']:.4f} on"
                    f" validation, gap {point['gap']:.4f}{chosen}",
                    flush=True,
                )
    return found if given.without_peers else {**found, **peers(table, given.gap)}


def mean(values: list[float], sign: str = "") -> str:
    error = np.std(values, ddof=1) / len(values) ** 0.5
    return f"{np.mean(values):{sign}.4f} (± {error:.4f})"


def difference(pairs: list[tuple[Measured, Measured]], of: str) -> str:
    return mean([getattr(one, of) - getattr(other, of) for one, other in pairs], "+")


def summed_up(name: str, sensitive: tuple[str, ...], splits: list[dict[str, Measured]]) -> None:
    """Means over splits, and of each product less each peer on the same split."""
    print(f"\n{name}, {len(splits)} splits: mean (± its standard error)")
    for title in splits[0]:
        every = [split[title] for split in splits]
        columns = "  ".join(f"{column} {mean([one.gaps[at] for one in every])}" for at, column in enumerate(sensitive))
        print(
            f"  {title:42} auc {mean([one.auc for one in every])}  accuracy {mean([one.accuracy for one in every])}  gap"
            f" {mean([one.gap for one in every])}  {columns}  groups of {FEW} or more {mean([one.large for one in every])}"
        )
    for ours in (title for title in splits[0] if title.startswith("Tradewind")):
        for theirs in (title for title in splits[0] if title.endswith("ExponentiatedGradient")):
            pairs = [(split[ours], split[theirs]) for split in splits]
            parts = "  ".join(f"{of} {difference(pairs, of)}" for of in ("gap", "auc", "accuracy"))
            print(f"  {ours} less {theirs}: {parts}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", default="adult-sex,adult-sex-race,credit", help="also: adult-pooled")
    parser.add_argument("--splits", type=int, default=1)
    parser.add_argument("--by", default="penalty", help="ways to fairness, with commas")
    parser.add_argument("--strength", help="strengths in place of the ladder, with commas, each a product of its own")
    parser.add_argument("--gap", type=float, default=0.05, help="what both sides aim at")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--without-peers", action="store_true")
    parser.add_argument("--work", type=Path, help="folder for products; a temporary one by default")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = given.work or Path(temporary)
        tables: dict[str, Callable[[int], Table]] = {
            "adult-sex": lambda seed: adult(given.data, work, ("sex",)),
            "adult-sex-race": lambda seed: adult(given.data, work, ("sex", "race")),
            "adult-pooled": lambda seed: pooled(given.data, work, seed),
            "credit": lambda seed: credit(given.data, work, seed),
        }
        for name in given.only.split(","):
            published = name in ("adult-sex", "adult-sex-race")
            made = [tables[name](seed) for seed in range(1 if published else given.splits)]
            splits = [on_one(table, given) for table in made]
            if len(splits) > 1:
                summed_up(name, made[0].sensitive, splits)


if __name__ == "__main__":
    main()
