"""The room of robustness: a predictor that is known through and through, asked with rows that are not as they should be."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.evaluate.rooms import context
from tradewind.evaluate import robustness
from tradewind.evaluate.examination import Examination, again, write_witnesses
from tradewind.evaluate.trust import Examined, Outputs, Part
from tradewind.features.domain import Domain

KINDS = {"x": "number", "z": "number", "city": "category"}


def rows(count, seed):
    random = np.random.default_rng(seed)
    x = random.normal(size=count)
    city = np.where(x > 0, "Bonn", "Pune").astype(object)
    return {"x": x, "z": random.normal(size=count), "city": city}


def ask(values):
    """Decides by the sign of x, and says so all the more the larger x is; a missing x is a coin's toss."""
    x = np.nan_to_num(np.asarray(values["x"], dtype=float))
    share = 1 / (1 + np.exp(-np.clip(3 * x, -30, 30)))
    return Outputs(np.stack([1 - share, share], axis=1), (x > 0).astype(np.int64))


def ask_value(values):
    return Outputs(values=np.nan_to_num(np.asarray(values["x"], dtype=float)))


def part(count, seed, asked):
    raw = rows(count, seed)
    target = (raw["x"] > 0).astype(np.int64) if asked is ask else raw["x"] + 0.1
    return Part(raw, target, None, asked(raw))


def examined(kinds=2, *, count=400, asked=ask, **settings):
    def never(_):
        raise AssertionError("no picture is here")

    found = context(kinds, **settings)
    return Examined(
        context=replace(found, sensitive=()), kinds=KINDS, train=part(1000, 1, asked),
        validation=part(300, 2, asked), test=part(count, 3, asked), ask=asked, encode=never, ask_encoded=never,
    )  # fmt: skip


@pytest.fixture(scope="module")
def given():
    return examined(bootstrap=100)


@pytest.fixture(scope="module")
def witness(given):
    return robustness.measure(given)


@pytest.fixture(scope="module")
def said(given, witness):
    return robustness.summarise(witness, given.context)


def test_quality_falls_with_severity_where_the_model_reads_what_is_changed(said):
    trials = {one["name"]: one for one in said.section["trials"]}
    assert set(trials) == {"number_noise", "out_of_range", "missing"}
    values = [point["value"] for point in trials["number_noise"]["points"]]
    assert said.section["clean"]["value"] == 1.0
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.95
    for point in trials["number_noise"]["points"]:
        assert point["lost"]["value"] == pytest.approx(1.0 - point["value"])
        assert point["low"] <= point["value"] <= point["high"]
        assert point["changed"] == pytest.approx(1.0 - point["value"])


def test_missing_fields_cost_what_a_coin_costs(said):
    """Of the rows that lose x, half are right by chance: 0.1 of fields lost costs about 0.05."""
    assert said.figures["robust_missing"].value == pytest.approx(0.95, abs=0.03)


def test_a_gate_reads_the_standard_severity(said):
    trial = next(one for one in said.section["trials"] if one["name"] == "number_noise")
    assert said.figures["robust_number_noise"].value == trial["points"][trial["standard"]]["value"]


def test_errors_of_regression_grow():
    given = examined(0, asked=ask_value, bootstrap=50)
    found = robustness.summarise(robustness.measure(given), given.context)
    assert found.section["clean"]["value"] == pytest.approx(0.1)
    points = found.section["trials"][0]["points"]
    assert [point["value"] for point in points] == sorted(point["value"] for point in points)
    assert all(point["lost"]["value"] > 0 for point in points)
    assert "changed" not in points[0]


def test_a_model_that_reads_nothing_loses_nothing():
    def blind(values):
        return Outputs(values=np.zeros(len(values["x"])))

    given = examined(0, asked=blind, bootstrap=20)
    found = robustness.summarise(robustness.measure(given), given.context)
    assert {point["lost"]["value"] for one in found.section["trials"] for point in one["points"]} == {0.0}


def test_shuffled_and_foreign_rows_are_told_from_real_ones(said):
    domain = said.section["domain"]
    assert domain["shuffled"]["value"] > 0.65  # half of the cities come to the wrong sign of x
    assert domain["foreign"]["value"] > 0.95
    assert domain["alarms"]["value"] == pytest.approx(0.05, abs=0.04)
    assert said.figures["domain_auroc"].value == domain["shuffled"]["value"]


def test_the_domain_goes_into_the_release(said, given):
    domain = Domain.from_state(said.state["domain"])
    assert (domain.score(given.test.raw) < 0.05).mean() == pytest.approx(
        said.section["domain"]["alarms"]["value"], abs=0.01
    )


def test_at_most_a_thousand_rows_are_changed():
    assert len(robustness.measure(examined(count=1500, bootstrap=0))["rows"]) == 1000


def test_nothing_is_said_without_test_rows(given):
    assert robustness.measure(replace(given, test=part(0, 3, ask))) is None


def test_without_resamples_there_are_no_intervals():
    given = examined(bootstrap=0)
    found = robustness.summarise(robustness.measure(given), given.context)
    assert found.figures["robust_missing"].low is None
    assert found.section["domain"]["shuffled"]["low"] is None


def test_the_same_seed_sees_the_same(given, witness):
    other = robustness.measure(given)
    assert all(np.array_equal(other[key], array) for key, array in witness.items())
    third = robustness.measure(replace(given, seed=1))
    assert not np.array_equal(third["number_noise:3"], witness["number_noise:3"])


def test_what_was_seen_says_the_same_again(tmp_path, given, witness, said):
    write_witnesses(Examination({"robustness": said}, {"robustness": witness}), tmp_path)
    found = again(tmp_path, ("robustness",), given.context).parts["robustness"]
    assert json.dumps(found.section) == json.dumps(said.section)
    assert found.figures == said.figures
    assert json.dumps(found.state) == json.dumps(said.state)


def test_pictures_are_changed_as_the_engine_reads_them():
    """Encoded once for each trial, asked encoded: the model here reads their mean brightness."""
    asked_for = []

    def encode(values):
        return {"image:scan": np.stack([np.full((1, 16, 16), one, np.uint8) for one in values["scan"]])}

    def ask_encoded(arrays):
        asked_for.append(arrays["image:scan"].mean())
        bright = arrays["image:scan"].mean(axis=(1, 2, 3)) > 100
        return Outputs(np.eye(2)[bright.astype(int)], bright.astype(np.int64))

    def shown(count):
        raw = {"scan": np.array([50, 150] * (count // 2), dtype=object)}
        return Part(raw, np.arange(count) % 2, None, ask_encoded(encode(raw)))

    given = examined(bootstrap=20)
    given = replace(
        given, kinds={"scan": "image"}, train=shown(20), validation=shown(20), test=shown(100), encode=encode,
        ask_encoded=ask_encoded,
    )  # fmt: skip
    found = robustness.summarise(robustness.measure(given), given.context)
    assert [one["name"] for one in found.section["trials"]] == ["image_noise", "blur", "contrast", "rotation"]
    assert found.section["rows"] == 64
    assert found.figures["robust_blur"].value == 1.0
