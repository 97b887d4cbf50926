"""Weighted group and class are independent; weights are AIF360's."""

import numpy as np
import pandas as pd
import pytest
from aif360.algorithms.preprocessing import Reweighing
from aif360.datasets import BinaryLabelDataset

from tradewind.train.groups import Groups
from tradewind.train.reweighing import fair_weights


def made(rows=600, seed=0):
    rng = np.random.default_rng(seed)
    codes = np.stack([rng.integers(0, 2, rows), rng.integers(0, 3, rows)], 1)
    target = (rng.random(rows) < 0.2 + 0.3 * codes[:, 0]).astype(np.int64)
    return Groups(("sex", "race"), (("f", "m"), ("a", "b", "c")), codes), target


def test_weighted_group_and_class_are_independent():
    groups, target = made()
    given = np.random.default_rng(3).random(len(target)) + 0.1
    weight = fair_weights(groups, target, weight_R=given, strength=1.0)
    rates = [np.average(target[groups.together_R == one], weights=weight[groups.together_R == one]) for one in range(6)]
    np.testing.assert_allclose(rates, np.average(target, weights=given), atol=1e-6)
    assert weight.sum() == pytest.approx(given.sum(), rel=1e-6)


def test_one_column_gives_the_weights_of_aif360():
    groups, target = made()
    only = Groups(("sex",), groups.names[:1], groups.codes_RC[:, [0]])
    table = pd.DataFrame({"sex": groups.codes_RC[:, 0].astype(float), "y": target.astype(float)})
    dataset = BinaryLabelDataset(df=table, label_names=["y"], protected_attribute_names=["sex"])
    reference = Reweighing([{"sex": 0.0}], [{"sex": 1.0}]).fit_transform(dataset).instance_weights
    np.testing.assert_allclose(fair_weights(only, target, weight_R=None, strength=1.0), reference, rtol=1e-6)


def test_strength_nought_leaves_the_weights_alone_and_rows_without_a_class_always():
    groups, target = made()
    target[:5] = -1
    given = np.linspace(0.5, 2, len(target)).astype(np.float32)
    np.testing.assert_allclose(fair_weights(groups, target, weight_R=given, strength=0.0), given, rtol=1e-6)
    np.testing.assert_array_equal(fair_weights(groups, target, weight_R=given, strength=1.0)[:5], given[:5])
