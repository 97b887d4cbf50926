"""Sensitivity at a fixed specificity: chosen on validation, judged on test, with exact intervals, for groups too."""

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

from tests.evaluate.rooms import examined
from tradewind.evaluate import screening
from tradewind.evaluate.thresholds import at_share
from tradewind.product import Evaluate


def said(given):
    return screening.summarise(screening.measure(given), given.context)


@pytest.mark.parametrize("of", ["specificity", "sensitivity"])
@pytest.mark.parametrize("share", [0.5, 0.9, 0.95, 1.0])
def test_the_bound_keeps_its_share_and_no_better_one_does(of, share):
    random = np.random.default_rng(3)
    scores = np.round(random.random(200), 2)
    ill = random.random(200) < scores
    right = (
        (lambda bound: (scores[ill] >= bound).mean())
        if of == "sensitivity"
        else (lambda bound: (scores[~ill] < bound).mean())
    )
    bound = at_share(scores, ill, share, of=of)
    assert right(bound) >= share
    tried = [at for at in np.unique(scores) + 0.005 if right(at) >= share]
    best = max(tried, default=0.0) if of == "sensitivity" else min(tried)
    assert right(best) == pytest.approx(right(bound))


def test_the_bound_comes_from_validation_and_the_figures_from_test():
    given = examined(2, rows=600, settings={"specificity": 0.9, "sensitivity": 0.8})
    part = said(given)
    scores, ill = given.validation.outputs.probabilities[:, 1], given.validation.target == 1
    bound = at_share(scores, ill, 0.9, of="specificity")
    test, truth = given.test.outputs.probabilities[:, 1], given.test.target == 1
    figure = part.figures["sensitivity_at_specificity_90"]
    assert figure.value == pytest.approx((test[truth] >= bound).mean())
    expected = binomtest(int((test[truth] >= bound).sum()), int(truth.sum())).proportion_ci(0.95, "exact")
    assert (figure.low, figure.high) == pytest.approx((expected.low, expected.high))
    assert part.figures["specificity_reached_90"].value == pytest.approx((test[~truth] < bound).mean())
    assert {"specificity_at_sensitivity_80", "sensitivity_reached_80"} <= set(part.figures)
    assert part.section["area"]["value"] == pytest.approx(roc_auc_score(truth, test))


def test_every_group_is_judged_at_the_same_bound_and_tells_how_unsure_it_is():
    part = said(examined(2, rows=600, settings={"specificity": 0.9}))
    sexes = [one for one in part.section["groups"] if one["column"] == "sex"]
    assert [one["group"] for one in sexes] == ["(missing)", "f", "m"]
    assert sum(one["rows"] for one in sexes) == part.section["rows"]
    whole = part.section["points"][0]["sensitivity"]
    assert all(one["sensitivity"]["high"] - one["sensitivity"]["low"] > whole["high"] - whole["low"] for one in sexes)
    assert len([one for one in part.section["groups"] if one["column"] == "age"]) == 4


def test_of_several_classes_all_but_the_sound_one_are_findings():
    given = examined(3, settings={"specificity": 0.9, "negative": "class 0"})
    part = said(given)
    assert part.section["ill"] == int((given.test.target != 0).sum())
    assert screening.measure(examined(3, settings={"specificity": 0.9})) is None
    assert screening.measure(examined(2)) is None
    assert screening.measure(examined(0, settings={"specificity": 0.9})) is None


def test_net_benefit_is_found_less_false_alarms_at_the_odds():
    given = examined(2, settings={"specificity": 0.9})
    benefit = said(given).section["benefit"]
    at = benefit["at"].index(0.2)
    alarm, ill = given.test.outputs.probabilities[:, 1] >= 0.2, given.test.target == 1
    assert benefit["model"][at] == pytest.approx(((alarm & ill).sum() - 0.25 * (alarm & ~ill).sum()) / len(ill))
    assert benefit["everybody"][at] == pytest.approx((ill.sum() - 0.25 * (~ill).sum()) / len(ill))


def test_a_threshold_by_specificity_says_which():
    assert Evaluate(threshold="specificity", specificity=0.95).threshold == "specificity"
    with pytest.raises(ValidationError, match="evaluate.specificity says none"):
        Evaluate(threshold="specificity")
