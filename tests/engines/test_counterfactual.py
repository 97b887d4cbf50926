"""Counterfactuals turn the answer, change only what may change, in the direction that may be, to values that were seen."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engines.small import as_columns, predictor
from tradewind.engines.counterfactual import Counterfactuals, seen_values
from tradewind.engines.shapley import Attribution
from tradewind.errors import InputError
from tradewind.features.category import CategoryColumn
from tradewind.features.column import ColumnSpec
from tradewind.features.number import NumberColumn
from tradewind.product import Explain
from tradewind.release.golden import object_array


@pytest.fixture(scope="module")
def made():
    """Half of the rows are refused."""
    model, _, raw = predictor(6)
    model, _, raw = predictor(6, threshold=float(np.median(model.predict_rows(raw).probabilities[:, 1])))
    refused = [row for row, label in zip(raw, model.predict_rows(raw).labels, strict=True) if label == "no"]
    return model, Attribution(model, as_columns(raw[:32])), refused


def apply(row, counterfactual):
    return {**row, **{change.column: change.after for change in counterfactual.changes}}


def test_each_turns_the_answer_and_says_what_it_becomes(made):
    model, attribution, refused = made
    engine = Counterfactuals(attribution, Explain(favourable="yes"))
    turned = 0
    for row in refused:
        for one in engine.of(row, most=3):
            turned += 1
            assert all(change.before == row[change.column] for change in one.changes)
            (answer,) = model.predict_rows([apply(row, one)]).to_rows()
            assert answer["label"] == "yes"
            assert one.to_json() == {"changes": [change.to_json() for change in one.changes], **answer}
    assert turned > len(refused)


@settings(max_examples=30)
@given(which=st.sets(st.integers(0, 5), min_size=1, max_size=4), up=st.booleans(), at=st.integers(0, 30))
def test_only_what_may_change_changes_and_only_that_way(made, which, up, at):
    model, attribution, refused = made
    row = refused[at % len(refused)]
    names = [f"x{place}" for place in sorted(which)]
    explain = Explain(favourable="yes", may_change=names, only={names[0]: "up" if up else "down"})
    for one in Counterfactuals(attribution, explain).of(row, most=3):
        assert {change.column for change in one.changes} <= set(names)
        assert len({change.column for change in one.changes}) == len(one.changes) <= 4
        for change in one.changes:
            if change.column == names[0]:
                assert (change.after > change.before) is up
        assert model.predict_rows([apply(row, one)]).labels[0] == "yes"


def test_values_lie_within_what_was_seen(made):
    model, attribution, refused = made
    engine = Counterfactuals(attribution, Explain(favourable="yes"))
    seen = {column.name: seen_values(column, attribution.raw[column.name]) for column in model.features.columns}
    changes = [change for row in refused[:10] for one in engine.of(row, most=3) for change in one.changes]
    assert changes
    assert all(change.after in seen[change.column] for change in changes)


def test_no_change_could_be_left_out_and_none_could_be_smaller(made):
    model, attribution, refused = made
    for row in refused[:10]:
        for one in Counterfactuals(attribution, Explain(favourable="yes")).of(row, most=3):
            for change in one.changes:
                less = {**apply(row, one), change.column: row[change.column]}
                if len(one.changes) > 1:
                    assert model.predict_rows([less]).labels[0] == "no"


def test_one_change_comes_before_two(made):
    _, attribution, refused = made
    for row in refused:
        sizes = [len(one.changes) for one in Counterfactuals(attribution, Explain(favourable="yes")).of(row, most=4)]
        assert sizes == sorted(sizes)


def test_a_good_answer_needs_no_change(made):
    model, attribution, _ = made
    golden = [{name: column[at] for name, column in attribution.raw.items()} for at in range(32)]
    granted = [row for row, label in zip(golden, model.predict_rows(golden).labels, strict=True) if label == "yes"]
    assert Counterfactuals(attribution, Explain(favourable="yes")).of(granted[0], most=3) == []


def test_where_nothing_may_change_there_is_none(made):
    _, attribution, refused = made
    assert Counterfactuals(attribution, Explain(favourable="yes", may_change=[])).of(refused[0], most=3) == []


def test_without_a_favourable_class_any_other_answer_will_do():
    model, _, raw = predictor(5, classes=("a", "b", "c"))
    engine = Counterfactuals(Attribution(model, as_columns(raw[:32])), Explain())
    found = [(row, one) for row in raw[:10] for one in engine.of(row, most=2)]
    assert found
    for row, one in found:
        assert one.answer["label"] != model.predict_rows([row]).labels[0]


def test_a_number_is_brought_to_where_it_is_good():
    model, _, raw = predictor(5, classes=())
    bound = float(np.median(model.predict_rows(raw).values))
    engine = Counterfactuals(Attribution(model, as_columns(raw[:32])), Explain(favourable=bound))
    low = [row for row in raw if model.predict_rows([row]).values[0] < bound]
    assert all(one.answer["value"] >= bound for row in low[:8] for one in engine.of(row, most=2))
    with pytest.raises(InputError) as caught:
        Counterfactuals(Attribution(model, as_columns(raw[:32])), Explain()).of(raw[0], most=1)
    assert caught.value.code == "input.counterfactuals_undefined"


@pytest.mark.parametrize("normalise", ["standard", "quantile", "minmax", "none"])
def test_seen_values_of_a_number_are_values_that_it_had(normalise):
    values = np.array([18, 25, 31, 44, 60, 71] * 3, dtype=np.float64)
    column = NumberColumn.fit(ColumnSpec("age", "number", {"normalise": normalise}), values, seed=0)
    assert seen_values(column, None) == [18, 25, 31, 44, 60, 71]


def test_seen_values_of_a_category_are_its_words():
    values = object_array(["a", "b", "b", "c", "c", "c"])
    column = CategoryColumn.fit(ColumnSpec("plan", "category"), values, seed=0)
    assert seen_values(column, None) == ["c", "b", "a"]
