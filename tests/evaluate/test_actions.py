"""The room of actions: figures are those of scikit-learn, the rule is chosen on validation, savings are what they say."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from tests.evaluate.rooms import context, examined, part
from tradewind.errors import DataError
from tradewind.evaluate import actions, drift
from tradewind.evaluate.trust import Outputs, Part
from tradewind.features.actions import Actions

COSTS = {"false_positive": 5, "false_negative": "amount", "review": 2}


def _rare(rows, seed, *, shift=0.0):
    random = np.random.default_rng(seed)
    p = random.beta(0.2, 12, rows)
    target = (random.random(rows) < p).astype(np.int64)
    odds = p / (1 - p) * np.exp(shift)
    seen = odds / (1 + odds)
    raw = {"amount": random.gamma(2, 40, rows)}
    return Part(raw, target, None, Outputs(np.stack([1 - seen, seen], axis=1), (seen > 0.5).astype(np.int64)))


def _examined(rows=4000, shift=0.0, **settings):
    given = examined(2, settings={"bootstrap": 200, **settings})
    return replace(
        given, validation=_rare(rows, 1, shift=shift), test=_rare(rows, 2, shift=shift), kinds={"amount": "number"}
    )


def _said(given):
    return actions.summarise(actions.measure(given), given.context)


def test_recall_at_few_false_alarms_is_that_of_the_curve():
    given = _examined()
    found = _said(given).figures
    false_alarms, hits, _ = roc_curve(
        given.test.target, given.test.outputs.probabilities[:, 1], drop_intermediate=False
    )
    for name, allowed in (("recall_fpr_0.1", 0.001), ("recall_fpr_1", 0.01)):
        assert found[name].value == pytest.approx(hits[false_alarms <= allowed].max())
        assert found[name].low < found[name].value < found[name].high


def test_precision_of_the_days_alerts_is_that_of_the_highest_scores():
    given = _examined(alerts={"a_day": 50, "of": 4000})
    score, target = given.test.outputs.probabilities[:, 1], given.test.target
    top = np.argsort(-score)[:50]
    assert _said(given).figures["precision_alerts"].value == pytest.approx(target[top].mean())


def test_the_saving_is_what_actions_save_of_the_best_single_action():
    given = _examined(costs=COSTS)
    part = _said(given)
    rule = Actions.from_state(part.state)
    score, truth, loss = given.test.outputs.probabilities[:, 1], given.test.target == 1, given.test.raw["amount"]
    ours = rule.paid(rule.choose(score, loss), truth, loss).mean()
    alone = min((truth * loss).mean(), 2.0, (~truth * 5.0).mean())
    assert part.figures["cost_per_row"].value == pytest.approx(ours)
    assert part.figures["saving"].value == pytest.approx(1 - ours / alone)
    assert part.figures["saving"].low > 0
    assert sum(one["rows"] for one in part.section["taken"]) == 4000


def test_calibrated_odds_are_left_alone_and_wrong_ones_are_moved_back():
    assert _said(_examined(costs=COSTS)).state["odds"] == 1.0
    moved = _said(_examined(costs=COSTS, shift=2.5)).state["odds"]
    assert np.exp(-3.5) < moved < np.exp(-1.5)


def test_it_says_nothing_where_both_classes_are_frequent_and_nothing_costs():
    assert actions.measure(examined(2)) is None
    assert actions.measure(examined(3)) is None
    assert actions.measure(examined(0)) is None


def test_a_cost_column_that_is_not_there_is_told():
    with pytest.raises(DataError, match="no column of the dataset"):
        actions.measure(_examined(costs={**COSTS, "false_negative": "amuont"}))


def test_the_room_of_drift_finds_the_column_that_moved():
    given = _examined()
    train = _rare(4000, 3)
    train = replace(train, raw={"amount": train.raw["amount"] * 2})
    part = drift.summarise(drift.measure(replace(given, train=train)), given.context)
    assert part.figures["column_drift"].value > 0.2
    assert part.section["columns"][0]["moved"]
    still = drift.summarise(drift.measure(replace(given, train=_rare(4000, 4))), context(2))
    assert still.figures["column_drift"].value < 0.02
    assert not still.section["moved"]
    assert sum(still.state["score"]["counts"]) == 4000


def test_drift_of_words_and_of_what_is_missing_is_seen():
    def words(seed, *names):
        made = part(1000, 2, seed)
        return replace(
            made, raw={"plan": np.array(names, dtype=object)[np.random.default_rng(seed).integers(0, len(names), 1000)]}
        )

    given = replace(examined(2), kinds={"plan": "category"}, train=words(1, "a", "b"), test=words(2, "a", "c", None))
    assert drift.summarise(drift.measure(given), given.context).section["columns"][0]["psi"] > 1
