"""The chosen threshold is the best there is."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from tradewind.errors import DataError
from tradewind.evaluate.thresholds import choose, decide, positive_class

REFERENCE = {"accuracy": accuracy_score, "f1": f1_score, "balanced_accuracy": balanced_accuracy_score}


def scored(seed, share=0.3, rows=150):
    random = np.random.default_rng(seed)
    truth = random.uniform(size=rows) < share
    truth[:2] = True, False
    return np.round(np.clip(random.normal(0.35 + 0.2 * truth, 0.2), 0, 1), 2), truth


@pytest.mark.parametrize("rule", REFERENCE)
@pytest.mark.parametrize("seed", range(5))
def test_no_other_threshold_is_better(rule, seed):
    scores, truth = scored(seed)
    found = choose(rule, scores, truth, np.ones(len(scores)))
    every = [REFERENCE[rule](truth, scores >= cut) for cut in [*np.unique(scores), 1.1]]
    assert found.objective == pytest.approx(max(every))
    assert REFERENCE[rule](truth, scores >= found.value) == pytest.approx(max(every))


def test_auto_seeks_a_rare_class_and_otherwise_accuracy():
    assert choose("auto", *scored(0, share=0.1), np.ones(150)).rule == "f1"
    assert choose("auto", *scored(0, share=0.5), np.ones(150)).rule == "accuracy"


@pytest.mark.parametrize("seed", range(5))
def test_auto_leaves_one_half_only_for_more_than_chance_explains(seed):
    random = np.random.default_rng(seed)
    calibrated = random.random(600)
    truth = random.random(600) < calibrated
    assert choose("auto", calibrated, truth, np.ones(600)).value == pytest.approx(0.5, abs=0.05)
    shifted = calibrated**4  # its best cut is 0.5 ** 4
    assert choose("auto", shifted, truth, np.ones(600)).value < 0.25


def test_a_number_and_half_are_taken_as_they_are():
    scores, truth = scored(0)
    assert choose(0.3, scores, truth, np.ones(150)).value == 0.3
    assert choose("half", scores, truth, np.ones(150)).value == 0.5


def test_one_class_in_validation_leaves_one_half_and_says_so():
    found = choose("f1", np.array([0.2, 0.4]), np.array([False, False]), np.ones(2))
    assert (found.value, found.note) == (0.5, "validation holds only one class")


def test_of_equally_good_thresholds_the_one_nearest_one_half_is_taken():
    found = choose("accuracy", np.array([0.1, 0.2, 0.8, 0.9]), np.array([False, False, True, True]), np.ones(4))
    assert found.value == pytest.approx(0.5)


def test_the_positive_class_is_the_named_one_or_the_rarer():
    target = np.array([0, 0, 1, -1])
    assert positive_class(target, ("good", "bad"), None) == 1
    assert positive_class(target, ("good", "bad"), "good") == 0
    assert positive_class(1 - target[:3], ("good", "bad"), None) == 0
    assert positive_class(target, ("a", "b", "c"), None) is None


def test_an_unknown_positive_class_is_refused_with_the_nearest_name():
    with pytest.raises(DataError, match="goood") as error:
        positive_class(np.array([0, 1]), ("good", "bad"), "goood")
    assert error.value.hint == "Did you mean good?"


def test_decisions_follow_the_threshold_or_the_likeliest_class():
    assert decide(np.array([[0.8, 0.2], [0.6, 0.4]]), 1, 0.3).tolist() == [0, 1]
    assert decide(np.array([[0.8, 0.2], [0.6, 0.4]]), 0, 0.7).tolist() == [0, 1]
    assert decide(np.array([[0.1, 0.5, 0.4]]), None, 0.5).tolist() == [1]
