"""Targets: there and back again, in natural order, with a clear word where nothing can be learnt."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewind.errors import DataError
from tradewind.features.category import category_key
from tradewind.features.target import ClassTarget, NumberTarget, fit_target, target_from_state

LABELS = st.one_of(st.text(max_size=4), st.integers(-12, 12), st.booleans(), st.sampled_from(["10", "2.0", "是", None]))
NUMBERS = st.floats(min_value=-1e30, max_value=1e30)


def objects(values) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    for at, value in enumerate(values):
        array[at] = value
    return array


def test_classes_stand_in_natural_order():
    assert ClassTarget.fit(objects(["10", "2", "-1", "b10", "b2", "a"])).classes == ("-1", "2", "10", "a", "b2", "b10")


def test_unknown_and_missing_classes_are_minus_one():
    target = ClassTarget.fit(objects(["no", "yes", None]))
    assert target.encode(objects(["yes", None, "perhaps", " no"])).tolist() == [1, -1, -1, 0]
    assert target.decode(np.array([1, -1])).tolist() == ["yes", None]


def test_a_class_is_the_same_as_text_and_as_a_number():
    target = ClassTarget.fit(np.array([0, 1, 1]))
    assert target.classes == ("0", "1")
    assert target.encode(objects(["1", 1.0, "0.0", True])).tolist() == [1, 1, 0, -1]


@settings(max_examples=60)
@given(st.lists(LABELS, min_size=2, max_size=40), st.randoms(use_true_random=False))
def test_decoding_undoes_encoding_whatever_the_order_and_after_json(labels, random):
    if len({category_key(label) for label in labels} - {None}) < 2:
        return
    target = ClassTarget.fit(objects(labels))
    again = target_from_state(json.loads(json.dumps(target.state())))
    shuffled = list(labels)
    random.shuffle(shuffled)
    assert again == target == ClassTarget.fit(objects(shuffled))
    assert again.decode(again.encode(objects(labels))).tolist() == [category_key(label) for label in labels]


@settings(max_examples=60)
@given(st.lists(NUMBERS, min_size=2, max_size=40), st.randoms(use_true_random=False))
def test_numbers_come_back_to_within_float32(numbers, random):
    if len(set(numbers)) < 2:
        return
    target = NumberTarget.fit(np.array(numbers))
    again = target_from_state(json.loads(json.dumps(target.state())))
    shuffled = list(numbers)
    random.shuffle(shuffled)
    assert again == target == NumberTarget.fit(np.array(shuffled))
    back = again.decode(again.encode(np.array(numbers)))
    allowed = 1e-6 * (target.scale + abs(target.mean) + np.abs(numbers).max())
    assert np.abs(back - numbers).max() <= allowed


def test_what_is_no_number_is_nan():
    target = NumberTarget.fit(objects(["1,200", "800", None]))
    assert (target.mean, target.scale) == (1000, 200)
    assert target.encode(objects(["1,200", None, "x", math.inf])).tolist()[0] == 1
    assert np.isnan(target.encode(objects([None, "x", math.inf]))).all()


@pytest.mark.parametrize(
    ("task", "values", "code"),
    [
        ("classification", [None, ""], "data.target_missing"),
        ("classification", ["a", "a"], "data.target_constant"),
        ("regression", ["x", None], "data.target_missing"),
        ("regression", [3, 3.0], "data.target_constant"),
        ("generation", ["a", "b"], "data.target_task"),
    ],
)
def test_a_target_that_teaches_nothing_is_refused(task, values, code):
    with pytest.raises(DataError) as caught:
        fit_target(task, objects(values))
    assert caught.value.code == code
    assert caught.value.hint
