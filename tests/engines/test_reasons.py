"""Reason codes: the strongest columns, and of an unfavourable answer those alone that counted against the person."""

import numpy as np
import pytest

from tests.engines.small import as_columns, predictor
from tradewind.engines.reasons import Reasons, shown
from tradewind.engines.shapley import Attribution
from tradewind.product import Explain

TEXTS = {"x0": "The first number is too small.", "x1": "The second number is too large."}


def reasons(model, raw, **explain):
    return Reasons(Attribution(model, as_columns(raw[:32])), Explain(**explain))


@pytest.fixture(scope="module")
def made():
    """Half of the rows are refused."""
    model, _, raw = predictor(6)
    return predictor(6, threshold=float(np.median(model.predict_rows(raw).probabilities[:, 1])))


def test_without_a_favourable_answer_the_strongest_columns_either_way(made):
    model, _, raw = made
    found = reasons(model, raw).of(raw[40:44])
    for row in found:
        assert len(row) == 4
        sizes = [abs(reason.effect) for reason in row]
        assert sizes == sorted(sizes, reverse=True)
        assert all(reason.text is None for reason in row)


def test_an_unfavourable_answer_has_only_reasons_against_with_their_sentences(made):
    model, _, raw = made
    labels = model.predict_rows(raw).labels
    refused = [row for row, label in zip(raw, labels, strict=True) if label == "no"]
    found = reasons(model, raw, favourable="yes", reasons=TEXTS, most=3).of(refused)
    assert all(0 < len(row) <= 3 for row in found)
    assert all(reason.effect > 0 for row in found for reason in row)
    assert all(reason.text == TEXTS.get(reason.column) for row in found for reason in row)
    assert {reason.column for row in found for reason in row} > {"x0"}


def test_a_favourable_answer_has_no_sentences(made):
    model, _, raw = made
    granted = [row for row, label in zip(raw, model.predict_rows(raw).labels, strict=True) if label == "yes"]
    found = reasons(model, raw, favourable="yes", reasons=TEXTS).of(granted[:5])
    assert all(reason.text is None for row in found for reason in row)


def test_the_refused_are_compared_with_those_who_just_passed(made):
    """Their reasons, all of them, add up to the distance to golden rows just beyond the threshold."""
    model, _, raw = made
    golden = model.predict_rows(raw[:32])
    p = np.sort(golden.probabilities[golden.labels == "yes", 1])[:8].astype(np.float64)
    passed = np.log(p / (1 - p)).mean()
    row = next(row for row in raw[32:] if model.predict_rows([row]).labels[0] == "no")
    own = float(model.predict_rows([row]).probabilities[0, 1])
    attribution = Attribution(model, as_columns(raw[:32]))
    engine = Reasons(attribution, Explain(favourable="yes"))
    (encoded,) = attribution.encode([row])
    shares = attribution.shares(encoded, engine._aim.score, compared=engine._just_passed)
    assert shares.values_P.sum() == pytest.approx(np.log(own / (1 - own)) - passed, abs=1e-5)


def test_a_number_counts_against_where_it_draws_the_value_down():
    model, _, raw = predictor(5, classes=())
    values = model.predict_rows(raw).values
    low = [row for row, value in zip(raw, values, strict=True) if value < np.median(values)]
    found = reasons(model, raw, favourable=float(np.median(values)), reasons=TEXTS).of(low[:6])
    assert all(reason.effect < 0 for row in found for reason in row)
    assert any(reason.text for row in found for reason in row)


def test_among_many_classes_the_favourable_one_is_argued_against():
    model, _, raw = predictor(5, classes=("a", "b", "c"))
    labels = model.predict_rows(raw).labels
    others = [row for row, label in zip(raw, labels, strict=True) if label != "b"]
    assert all(reason.effect > 0 for row in reasons(model, raw, favourable="b").of(others[:6]) for reason in row)


def test_a_favourable_class_may_be_written_as_a_number():
    model, _, raw = predictor(3, classes=("0", "1"))
    assert reasons(model, raw, favourable=0).of(raw[:1])
    assert Reasons(Attribution(model, as_columns(raw)), Explain(favourable=1))._aim.favourable == 1


def test_a_column_that_changes_nothing_is_no_reason():
    model, _, raw = predictor(3, seed=4)
    constant = [{**row, "x1": 0.5} for row in raw]
    found = reasons(model, constant).of(constant[40:42])
    assert all(reason.column != "x1" for row in found for reason in row)


def test_values_are_shown_as_json():
    assert shown(b"1234") == "4 bytes"
    assert shown(np.float64(2.5)) == 2.5
    assert shown(float("nan")) is None
    assert len(shown("x" * 500)) == 78
