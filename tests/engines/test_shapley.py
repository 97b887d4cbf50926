"""Shapley values of an exported model beside those of `shap` and `captum` on the same model."""

import importlib
import warnings

import numpy as np
import pytest
import torch

from tests.engines.small import as_columns, predictor
from tradewind.engines.shapley import Attribution
from tradewind.features.coalitions import log_odds

with warnings.catch_warnings():  # their imports warn of what will change in matplotlib
    warnings.simplefilter("ignore")
    shap = importlib.import_module("shap")
    captum = importlib.import_module("captum.attr")


def yes(outputs):
    return log_odds(outputs[:, 1])


@pytest.fixture(scope="module", params=[4, 7])
def made(request):
    model, _, raw = predictor(request.param)
    return Attribution(model, as_columns(raw[:12])), raw


def test_they_are_those_of_the_shap_library(made):
    attribution, raw = made
    background = attribution.background["numbers"]

    def ask(numbers):
        return yes(attribution.ask({"numbers": np.asarray(numbers, dtype=np.float32)}))

    explainer = shap.KernelExplainer(ask, background.astype(np.float64))  # of few columns it asks all coalitions
    for row in attribution.encode(raw[20:24]):
        found = attribution.shares(row, yes)
        theirs = explainer.shap_values(row["numbers"].astype(np.float64), l1_reg=False, silent=True)[0]
        np.testing.assert_allclose(found.values_P, theirs, atol=1e-5)


def test_they_are_those_of_captum_on_the_torch_model():
    model, layers, raw = predictor(4)  # captum walks all orders of the columns
    attribution = Attribution(model, as_columns(raw[:12]))

    def ask(numbers):
        p = torch.softmax(layers(numbers), dim=1)[:, 1].double()
        return torch.log(p) - torch.log1p(-p)

    background = torch.tensor(attribution.background["numbers"])
    theirs = captum.ShapleyValues(ask)
    (row,) = attribution.encode([raw[30]])
    numbers = torch.tensor(row["numbers"])
    each = [theirs.attribute(numbers, baselines=other[None]) for other in background]
    np.testing.assert_allclose(attribution.shares(row, yes).values_P, torch.cat(each).mean(dim=0), atol=1e-5)


def test_many_columns_add_up_over_the_rows_that_were_compared():
    model, _, raw = predictor(24)
    attribution = Attribution(model, as_columns(raw[:32]))
    (row,) = attribution.encode([raw[40]])
    found = attribution.shares(row, yes)
    assert not found.exact
    assert found.values_P.sum() == pytest.approx(found.score - found.base, abs=1e-6)
    assert found.score == pytest.approx(float(yes(model.predict_rows([raw[40]]).probabilities)[0]), abs=1e-6)


def test_only_the_places_compared_are_compared():
    model, _, raw = predictor(3)
    some = Attribution(model, as_columns([raw[2], raw[5]]))
    every = Attribution(model, as_columns(raw[:8]))
    (row,) = every.encode([raw[20]])
    one = every.shares(row, yes, compared=np.array([2, 5])).values_P
    np.testing.assert_allclose(one, some.shares(row, yes).values_P, atol=1e-7)
