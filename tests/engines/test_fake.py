"""The fake engine: deterministic, row by row, in the shape of a real one. And reasons, asked of it."""

import numpy as np
import pytest

from tradewind.engines.engine import Decision, Predictions
from tradewind.engines.explain import Reason, explain
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


class Linear:
    """value = 3 a - b: reasons are known by hand."""

    decision = Decision("regression")
    columns = ("a", "b")

    def predict(self, values):
        a, b = (np.array([float(x or 0) for x in values[name]]) for name in self.columns)
        return Predictions(len(a), values=3 * a - b)

    def predict_rows(self, rows):
        raise AssertionError


def test_reasons_of_a_linear_model_are_its_terms():
    values = {"a": np.array([2.0, 0.0]), "b": np.array([1.0, 5.0])}
    background = {"a": np.array([0.0, 1.0]), "b": np.array([0.0, 2.0])}
    first, second = explain(Linear(), values, background, most=2)
    assert [(reason.column, reason.effect) for reason in first] == [("a", pytest.approx(4.5))]
    assert [(reason.column, reason.effect) for reason in second] == [
        ("b", pytest.approx(-4)),
        ("a", pytest.approx(-1.5)),
    ]


def test_a_column_that_is_not_given_counts_as_missing():
    reasons = explain(Linear(), {"a": np.array([1.0])}, {"a": np.array([0.0])})
    assert reasons == [[Reason("a", 1.0, 3.0)]]


class Sure:
    """Log-odds of yes are 4 a: near certainty an effect on the probability would vanish, one on the log-odds does not."""

    decision = BINARY
    columns = ("a",)

    def predict(self, values):
        odds = np.exp(4 * np.array([float(x) for x in values["a"]]))
        yes = (odds / (1 + odds)).astype(np.float32)
        p = np.stack([1 - yes, yes], axis=1)
        return Predictions(len(yes), BINARY.classes, p, BINARY.labels(p))

    def predict_rows(self, rows):
        raise AssertionError


def test_reasons_of_a_sure_answer_are_told_in_log_odds():
    ((reason,),) = explain(Sure(), {"a": np.array([3.0])}, {"a": np.array([0.0])})
    assert reason.effect == pytest.approx(12, abs=0.05)
