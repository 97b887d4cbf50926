"""The fake engine: deterministic, row by row, in the shape of a real one."""

import numpy as np
import pytest

from tradewind.engines.engine import Decision
from tradewind.engines.fake import FakePredictor

BINARY = Decision("classification", ("no", "yes"), positive="yes", threshold=0.3)


def test_a_row_gets_the_same_answer_whatever_stands_beside_it():
    engine = FakePredictor(BINARY, ("a", "b"))
    rows = [{"a": i, "b": str(i)} for i in range(5)]
    together = engine.predict_rows(rows).probabilities
    alone = np.concatenate([engine.predict_rows([row]).probabilities for row in rows])
    assert (together == alone).all()


def test_the_threshold_decides_between_two_classes():
    p = np.array([[0.71, 0.29], [0.7, 0.3], [0.2, 0.8]], dtype=np.float32)
    assert BINARY.labels(p).tolist() == ["no", "yes", "yes"]


def test_the_largest_probability_decides_among_many():
    decision = Decision("classification", ("a", "b", "c"))
    assert decision.labels(np.array([[0.2, 0.5, 0.3]], dtype=np.float32)).tolist() == ["b"]


def test_answers_read_as_json_objects():
    engine = FakePredictor(BINARY, ("a",))
    row = engine.predict_rows([{"a": 1}]).to_rows()[0]
    assert set(row["probabilities"]) == {"no", "yes"}
    assert sum(row["probabilities"].values()) == pytest.approx(1)
    assert FakePredictor(Decision("regression"), ("a",)).predict_rows([{"a": 1}]).to_rows()[0].keys() == {"value"}
