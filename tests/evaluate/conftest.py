"""Small evaluation inputs of every sort, made from a seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from tradewind.evaluate.inputs import (
    ColumnProfile,
    DataFacts,
    EvaluationInputs,
    EvaluationSplit,
    ModelFacts,
    RejectedRow,
    Scores,
    TrainingPoint,
)
from tradewind.product import Evaluate

ROWS = {"train": 300, "validation": 120, "test": 160}


def _split(name, rows, kinds, random):
    numbers = random.normal(size=(rows, 3)).astype(np.float32)
    categories = random.integers(0, 4, size=(rows, 2))
    signal = numbers[:, 0] + 0.5 * categories[:, 0] + random.normal(scale=0.7, size=rows)
    if kinds:
        edges = np.quantile(signal, np.arange(1, kinds) / kinds)
        target = np.searchsorted(edges, signal).astype(np.int64)
    else:
        target = 1000 + 50 * signal
    words = sparse.random(rows, 30, density=0.2, random_state=int(random.integers(1 << 30)), format="csr")
    raw = {
        "city": np.array(["Paris", "Lyon", "Nice", None], dtype=object)[categories[:, 0]],
        "age": numbers[:, 0].astype(np.float64) * 10 + 40,
        "note": np.array([f"words of row {at} and more" for at in range(rows)], dtype=object),
    }
    return EvaluationSplit(
        name, rows, target, raw, numbers, categories, (4, 4), bags={"note": words.astype(np.float64)}
    )


def _scores(split, kinds, random):
    noise = random.normal(scale=0.8, size=(split.rows, max(kinds, 1)))
    if not kinds:
        return Scores(values=split.target + 20 * noise[:, 0], seconds=0.01)
    logits = 3 * (np.eye(kinds)[np.maximum(split.target, 0)] + noise)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return Scores(probabilities=shares / shares.sum(axis=1, keepdims=True), seconds=0.01)


@pytest.fixture(scope="session")
def make_inputs() -> Callable[..., EvaluationInputs]:
    """`make_inputs(kinds=2, seed=0, settings={...}, **fields)`; kinds 0 is a regression."""

    def make(kinds: int = 2, *, seed: int = 0, settings: dict | None = None, **fields: object) -> EvaluationInputs:
        random = np.random.default_rng(seed)
        splits = {name: _split(name, rows, kinds, random) for name, rows in ROWS.items()}
        inputs = EvaluationInputs(
            product="sample",
            task="classification" if kinds else "regression",
            target="churn",
            classes=("no", "yes") if kinds == 2 else tuple(f"class {at}" for at in range(kinds)),
            scores={name: _scores(splits[name], kinds, random) for name in ("validation", "test")},
            settings=Evaluate(**{"bootstrap": 40, **(settings or {})}),
            sensitive=("city",),
            data=DataFacts(
                rows=580,
                columns=(
                    ColumnProfile("age", "number", 0.1, (3, 5, 2), (10.0, 20.0, 30.0, 40.0)),
                    ColumnProfile("city", "category", 0.0, (6, 4), (), ("Paris", "<script>"), role="sensitive"),
                ),
                cleaning={"duplicates": 4},
                rejected=1,
                rejected_reasons={"data.columns": 1},
                rejected_rows=(RejectedRow("a.csv", 7, "2 fields where 3 were expected", "<b>x</b>,1"),),
            ),
            model=ModelFacts(
                "tabm",
                1200,
                3.5,
                3,
                2,
                (TrainingPoint(1, 0.7, 0.71), TrainingPoint(2, 0.5, 0.6), TrainingPoint(3, 0.4, 0.62)),
            ),
            parents={"dataset": "sha256:" + "0" * 64, "run": "sha256:" + "1" * 64},
            **splits,
        )
        return replace(inputs, **fields)

    return make
