"""Sets and intervals beside an answer follow from the state of a release alone."""

import numpy as np
import pytest

from tradewind.engines.conformal import AnswerSet, answer_set
from tradewind.engines.engine import Predictions
from tradewind.errors import ArtifactError

CLASSES = ("no", "perhaps", "yes")


def asked(*rows):
    return Predictions(len(rows), CLASSES, np.array(rows, dtype=np.float32), np.array(["no"] * len(rows), dtype=object))


def test_a_set_holds_the_classes_that_reach_their_threshold_likeliest_first():
    state = {"promise": 0.9, "thresholds": [0.3, 0.1, 0.5]}
    found = answer_set(state, asked([0.3, 0.1, 0.6], [0.29, 0.31, 0.4]))
    assert [one.labels for one in found] == [("yes", "no", "perhaps"), ("perhaps",)]
    assert found[1].to_json() == {"promise": 0.9, "labels": ["perhaps"]}


def test_a_class_without_a_threshold_is_never_left_out_and_a_set_may_be_empty():
    sure = answer_set({"promise": 0.9, "thresholds": [0.5, None, 0.5]}, asked([1.0, 0.0, 0.0]))
    assert sure[0].labels == ("no", "perhaps")
    assert answer_set({"promise": 0.9, "thresholds": [0.9, 0.9, 0.9]}, asked([0.5, 0.5, 0.0]))[0].labels == ()


def test_an_interval_takes_the_ends_of_its_bin_and_may_be_open():
    state = {"promise": 0.8, "edges": [10.0], "low": [-1.0, None], "high": [2.0, 5.0]}
    found = answer_set(state, Predictions(2, values=np.array([9.0, 10.0])))
    assert found == [AnswerSet(0.8, low=8.0, high=11.0), AnswerSet(0.8, low=None, high=15.0)]
    assert found[1].to_json() == {"promise": 0.8, "low": None, "high": 15.0}


def test_a_release_without_quantiles_says_so():
    with pytest.raises(ArtifactError, match="uncertainty was not measured") as caught:
        answer_set({}, asked([1.0, 0.0, 0.0]))
    assert caught.value.code == "artifact.sets_missing"
