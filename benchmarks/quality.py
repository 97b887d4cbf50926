"""Quality with default settings beside the baselines that peers reach, both in one run on the same rows.

    python benchmarks/quality.py --data ../shared/data [--only adult,banking77] [--seeds 5]

Each product file says only source, target and task. Prints one line a data set: the bar, both figures, seconds.
The baselines are written here from raw data, apart from those that a report computes for itself.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC

ADULT = [
    "age",
    "workclass",
    "fnlwgt",
    "education",
    "education_num",
    "marital_status",
    "occupation",
    "relationship",
    "race",
    "sex",
    "capital_gain",
    "capital_loss",
    "hours_per_week",
    "native_country",
    "income",
]


@dataclass(frozen=True)
class Trial:
    """One split of one data set: where its product lives, and each baseline's figure on the same test rows."""

    folder: Path
    product: dict[str, Any]
    baselines: dict[str, float]


@dataclass(frozen=True)
class Bench:
    name: str
    figure: str
    trials: Callable[[Path, Path, int], Iterator[Trial]]
    bar: Callable[[dict[str, float]], float]
    meaning: str
    seeds: int = 1


def write_product(folder: Path, name: str, data: dict[str, Any], **further: Any) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    product = {
        "product": name,
        "task": "classification",
        "data": data,
        "evaluate": {"baselines": False, "bootstrap": 100},
    }
    product.update(further)
    (folder / "tradewind.yaml").write_text(json.dumps(product, indent=1), encoding="utf-8")  # JSON is YAML
    return product


def tabular_baselines(train: pd.DataFrame, test: pd.DataFrame, target: str, positive: object) -> dict[str, float]:
    x, y = train.drop(columns=target), train[target] == positive
    x_test, y_test = test.drop(columns=target), test[target] == positive
    words = x.select_dtypes(exclude="number").columns
    for name in words:
        kind = pd.CategoricalDtype(sorted(x[name].dropna().unique()))
        x[name], x_test[name] = x[name].astype(kind), x_test[name].astype(kind)
    boosted = lightgbm.LGBMClassifier(verbose=-1, n_jobs=2).fit(x, y)
    linear = make_pipeline(
        make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_include="category")),
            remainder=StandardScaler(),
        ),
        LogisticRegression(max_iter=2000),
    ).fit(x, y)
    return {
        "lightgbm": roc_auc_score(y_test, boosted.predict_proba(x_test)[:, 1]),
        "logistic": roc_auc_score(y_test, linear.predict_proba(x_test)[:, 1]),
    }


def adult(data: Path, work: Path, seeds: int) -> Iterator[Trial]:
    frames = [
        pd.read_csv(data / "adult" / name, names=ADULT, skipinitialspace=True, na_values="?")
        for name in ("train.csv", "test.csv")
    ]
    for frame in frames:
        frame["income"] = frame["income"].str.rstrip(".")
    source = {"path": str((data / "adult" / "train.csv").resolve()), "header": ADULT}
    test = {"path": str((data / "adult" / "test.csv").resolve()), "header": ADULT}
    product = write_product(work / "adult", "adult", {"source": source, "target": "income", "split": {"test": test}})
    yield Trial(work / "adult", product, tabular_baselines(*frames, "income", ">50K"))


def split_table(frame: pd.DataFrame, target: str, folder: Path, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    train, test = train_test_split(frame, test_size=0.2, stratify=frame[target], random_state=seed)
    folder.mkdir(parents=True, exist_ok=True)
    train.to_csv(folder / "train.csv", index=False)
    test.to_csv(folder / "test.csv", index=False)
    return train.copy(), test.copy()


def credit(data: Path, work: Path, seeds: int) -> Iterator[Trial]:
    frame = pd.read_csv(data / "credit-default" / "UCI_Credit_Card.csv")
    for seed in range(seeds):
        folder = work / f"credit-{seed}"
        train, test = split_table(frame, "Default", folder, seed)
        product = write_product(
            folder,
            "credit-default",
            {"source": "train.csv", "target": "Default", "split": {"test": {"path": "test.csv"}}},
        )
        yield Trial(folder, product, tabular_baselines(train.drop(columns="ID"), test.drop(columns="ID"), "Default", 1))


def german(data: Path, work: Path, seeds: int) -> Iterator[Trial]:
    frame = pd.read_csv(data / "german-credit" / "german.csv", header=None)
    frame.columns = [f"a{index}" for index in range(1, len(frame.columns))] + ["risk"]
    for seed in range(seeds):
        folder = work / f"german-{seed}"
        train, test = split_table(frame, "risk", folder, seed)
        product = write_product(
            folder, "german-credit", {"source": "train.csv", "target": "risk", "split": {"test": {"path": "test.csv"}}}
        )
        yield Trial(folder, product, tabular_baselines(train, test, "risk", 2))


def text_baselines(train: pd.DataFrame, test: pd.DataFrame, text: str, target: str) -> dict[str, float]:
    union = make_union(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True, min_df=2),
    )
    x, x_test = union.fit_transform(train[text].astype(str)), union.transform(test[text].astype(str))
    svc = LinearSVC(C=0.5).fit(x, train[target])
    logistic = LogisticRegression(C=10, max_iter=300).fit(x, train[target])
    return {
        "linear_svc": accuracy_score(test[target], svc.predict(x_test)),
        "logistic": accuracy_score(test[target], logistic.predict(x_test)),
    }


def banking(data: Path, work: Path, seeds: int) -> Iterator[Trial]:
    train, test = (pd.read_csv(data / "banking77" / name) for name in ("train.csv", "test.csv"))
    paths = [str((data / "banking77" / name).resolve()) for name in ("train.csv", "test.csv")]
    product = write_product(
        work / "banking77",
        "banking77",
        {"source": paths[0], "target": "category", "split": {"test": {"path": paths[1]}}},
    )
    yield Trial(work / "banking77", product, text_baselines(train, test, "text", "category"))


def banking_pretrained(data: Path, work: Path, seeds: int) -> Iterator[Trial]:
    encoder = os.environ.get("TRADEWIND_ENCODER")
    if not encoder:
        print(
            "banking77-pretrained: skipped; set TRADEWIND_ENCODER to the folder of a MiniLM-class encoder", flush=True
        )
        return
    paths = [str((data / "banking77" / name).resolve()) for name in ("train.csv", "test.csv")]
    split = {"test": {"path": paths[1]}}
    product = write_product(
        work / "banking77-pretrained",
        "banking77-pretrained",
        {"source": paths[0], "target": "category", "split": split},
        model={"text": "pretrained", "pretrained": str(Path(encoder).resolve())},
    )
    yield Trial(work / "banking77-pretrained", product, {})


def waimai(data: Path, work: Path, seeds: int) -> Iterator[Trial]:
    frame = pd.read_csv(data / "waimai" / "waimai_10k.csv")
    for seed in range(seeds):
        folder = work / f"waimai-{seed}"
        train, test = split_table(frame, "label", folder, seed)
        product = write_product(
            folder, "waimai", {"source": "train.csv", "target": "label", "split": {"test": {"path": "test.csv"}}}
        )
        yield Trial(folder, product, text_baselines(train, test, "review", "label"))


def xray(data: Path, work: Path, seeds: int) -> Iterator[Trial]:
    files = sorted((data / "chest-xray").glob("*/*"))
    labels = [path.parent.name for path in files]
    for seed in range(seeds):
        folder = work / f"xray-{seed}"
        train, test = train_test_split(files, test_size=0.2, stratify=labels, random_state=seed)
        for part, chosen in (("train", train), ("test", test)):
            for path in chosen:
                (folder / part / path.parent.name).mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, folder / part / path.parent.name / path.name)
        product = write_product(
            folder, "chest-xray", {"source": "train", "target": "label", "split": {"test": {"path": "test"}}}
        )
        yield Trial(folder, product, {})


BENCHES = [
    Bench("adult", "roc_auc", adult, lambda b: b["lightgbm"] - 0.002, "LightGBM - 0.002"),
    Bench("credit-default", "roc_auc", credit, lambda b: b["lightgbm"] - 0.002, "LightGBM - 0.002", seeds=3),
    Bench(
        "german-credit",
        "roc_auc",
        german,
        lambda b: max(b["lightgbm"], b["logistic"]) - 0.005,
        "best of both - 0.005",
        seeds=5,
    ),
    Bench("banking77", "accuracy", banking, lambda b: 0.914, "best linear 0.914"),
    Bench("banking77-pretrained", "accuracy", banking_pretrained, lambda b: 0.93, "MiniLM 0.93"),
    Bench("waimai", "accuracy", waimai, lambda b: 0.909, "best linear 0.909", seeds=3),
    Bench("chest-xray", "accuracy", xray, lambda b: 0.865, "0.865", seeds=3),
]


def measure(bench: Bench, data: Path, work: Path, seeds: int | None) -> dict[str, Any] | None:
    ours: list[float] = []
    theirs: list[dict[str, float]] = []
    seconds: list[float] = []
    for trial in bench.trials(data, work, seeds or bench.seeds):
        started = time.perf_counter()
        command = [sys.executable, "-m", "tradewind.cli", "run", "-C", str(trial.folder), "--json"]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode not in (0, 1):
            raise SystemExit(f"{bench.name}: tradewind run ended with {done.returncode}: {done.stdout}")
        seconds.append(time.perf_counter() - started)
        ours.append(json.loads(done.stdout)["metrics"]["test"][bench.figure])
        theirs.append(trial.baselines)
        print(
            f"  {bench.name}: {bench.figure} {ours[-1]:.4f} in {seconds[-1]:.0f} s, baselines {trial.baselines}",
            flush=True,
        )
    if not ours:
        return None
    means = {name: float(np.mean([one[name] for one in theirs])) for name in theirs[0]}
    bar = bench.bar(means)
    return {
        "name": bench.name,
        "figure": bench.figure,
        "splits": len(ours),
        "tradewind": float(np.mean(ours)),
        "bar": bar,
        "meaning": bench.meaning,
        "baselines": means,
        "seconds": float(np.mean(seconds)),
        "holds": bool(np.mean(ours) >= bar),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("TRADEWIND_DATA", "../shared/data")))
    parser.add_argument("--only", default="")
    parser.add_argument("--seeds", type=int, default=None)
    parser.add_argument("--work", type=Path, default=None, help="folder for products; a temporary one by default")
    options = parser.parse_args()
    if not options.data.is_dir():
        print(f"{options.data}: no such folder; set TRADEWIND_DATA", file=sys.stderr)
        return 2
    chosen = [bench for bench in BENCHES if not options.only or bench.name in options.only.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        rows = [measure(bench, options.data, options.work or Path(folder), options.seeds) for bench in chosen]
    print(
        f"\n| data set | figure | splits | Tradewind | bar ({'meaning'}) | baselines | seconds a run | holds |\n|---|---|---|---|---|---|---|---|"
    )
    for row in filter(None, rows):
        others = ", ".join(f"{name} {value:.4f}" for name, value in row["baselines"].items()) or "–"
        print(
            f"| {row['name']} | {row['figure']} | {row['splits']} | {row['tradewind']:.4f} | {row['bar']:.4f} ({row['meaning']}) "
            f"| {others} | {row['seconds']:.0f} | {'yes' if row['holds'] else 'no'} |"
        )
    return 0 if all(row["holds"] for row in rows if row) else 1


if __name__ == "__main__":
    sys.exit(main())
