"""Recordings after trials: more noise with each severity, exact decibels, what was lost; and rooms that ask about them."""

from dataclasses import replace

import numpy as np
import pytest

from tests.evaluate.test_explanations import context
from tests.features.sounds import RATE, column_of, file_of, noise, tone
from tradewind.evaluate import robustness
from tradewind.evaluate.baselines import fit_baselines, joined, take
from tradewind.evaluate.inputs import EvaluationSplit
from tradewind.evaluate.perturbations import BY_NAME, Facts, applies, changed, foreign
from tradewind.evaluate.trust import Examined, Outputs, Part
from tradewind.features.column import ColumnSpec
from tradewind.features.domain import Domain
from tradewind.features.feature_set import FeatureSet
from tradewind.features.recording import decode
from tradewind.features.target import fit_target

FILE = file_of(tone(500.0, 0.5, loud=0.05))
CALLS = column_of(FILE, FILE, None, b"no recording")
FACTS = Facts.of({"call": "audio"}, {"call": CALLS}, {})


def after(name, severity, seed=0):
    return changed(BY_NAME[name], severity, {"call": CALLS}, FACTS, np.random.default_rng(seed))["call"]


@pytest.mark.parametrize("name", ["audio_noise", "gain", "time_shift", "pace"])
def test_recordings_stay_recordings_and_the_rest_is_left(name):
    trial = BY_NAME[name]
    assert applies(trial, {"call": CALLS}, FACTS)
    found = after(name, trial.severities[-1])
    assert (found[2], found[3]) == (None, b"no recording")
    assert decode(found[0]).rate == RATE
    assert found[0] != FILE


@pytest.mark.parametrize(("severity", "ratio_db"), [(1.0, 0.0), (0.32, 9.9), (0.1, 20.0)])
def test_noise_is_as_loud_as_it_says(severity, ratio_db):
    clean = decode(FILE).samples
    added = decode(after("audio_noise", severity)[0]).samples - clean
    ratio = 10 * np.log10(np.mean(clean**2) / np.mean(added**2))
    assert ratio == pytest.approx(ratio_db, abs=0.6)  # the quiet tenth of a tone is not counted


def test_gain_is_in_decibels_either_way_and_clips():
    clean = decode(FILE).samples
    seen = {
        round(float(20 * np.log10(np.abs(decode(after("gain", 12.0, seed)[0]).samples).max() / np.abs(clean).max())))
        for seed in range(8)
    }
    assert seen == {-12, 12}
    loud = changed(
        BY_NAME["gain"], 20.0, {"call": column_of(file_of(tone(loud=0.9)))}, FACTS, np.random.default_rng(3)
    )["call"]
    assert np.abs(decode(loud[0]).samples).max() <= 1.0


def test_a_shift_keeps_the_length_and_loses_an_end():
    found = decode(after("time_shift", 0.1)[0]).samples
    assert len(found) == len(decode(FILE).samples)
    assert (np.abs(found[:700]).max() < 0.01) != (np.abs(found[-700:]).max() < 0.01)


def test_another_pace_is_longer_or_shorter():
    lengths = {len(decode(after("pace", 0.25, seed)[0]).samples) for seed in range(8)}
    assert lengths == {3200, 5000}


def test_hums_and_noise_are_foreign_to_a_domain_of_words():
    random = np.random.default_rng(0)

    def word():
        seconds = random.uniform(0.3, 0.6)
        parts = [tone(h * random.uniform(0.9, 1.1), seconds, loud=random.uniform(0.1, 0.3)) for h in (300, 900, 2200)]
        return file_of(sum(parts) * np.hanning(len(parts[0])) + noise(seconds, loud=0.004)[: len(parts[0])])

    train, held, home = ({"call": column_of(*(word() for _ in range(60)))} for _ in range(3))
    domain = Domain.fit({"call": "audio"}, train, held)
    assert np.median(domain.score(home)) > 0.2
    others = foreign({"call": CALLS[:2]}, FACTS, random)["call"]
    assert domain.score({"call": column_of(*others, file_of(noise(4.0)), b"junk")}).max() < 0.05
    assert Domain.from_state(domain.state()).state() == domain.state()


def test_the_simple_models_hear_how_much_of_each_band_there_is():
    random = np.random.default_rng(0)

    def split(name, rows):
        target = np.arange(rows) % 2
        levels = random.integers(0, 120, (rows, 30, 16))
        levels[target == 1, :, 4:6] += 60
        return EvaluationSplit(name, rows, target, sounds={"call": levels.astype(np.uint8)})

    train, validation, test = split("train", 100), split("validation", 20), split("test", 60)
    found = {
        one.name: one
        for one in fit_baselines("classification", ("0", "1"), train=train, validation=validation, test=test, seed=0)
    }
    for name in ("linear", "lightgbm"):
        assert (found[name].scores["test"].argmax(axis=1) == test.target).mean() > 0.95
        assert "mean and deviation of each band" in found[name].how
    assert len(joined(train, test).sounds["call"]) == 160
    assert take(replace(test), np.array([3, 5])).sounds["call"].shape == (2, 30, 16)


def test_the_room_asks_about_recordings_and_tells_foreign_ones():
    """A predictor that hears whether a tone is high: gain leaves it alone, noise does not."""
    random = np.random.default_rng(0)
    target = np.arange(40) % 2
    files = column_of(
        *(file_of(tone(500 + 1500 * high + random.uniform(0, 100), 0.4) + noise(0.4, loud=0.003)) for high in target)
    )
    features = FeatureSet.fit(
        [ColumnSpec("call", "audio", {"seconds": 0.4})],
        {"call": files},
        fit_target("classification", target.astype(str).astype(object)),
        seed=0,
    )

    def ask_encoded(arrays):
        levels = arrays["audio:call"].astype(float).mean(axis=1)
        p = 1 / (1 + np.exp(-(levels[:, 20:].max(axis=1) - levels[:, :20].max(axis=1)) / 20))
        return Outputs(np.stack([1 - p, p], axis=1), (p > 0.5).astype(int))

    outputs = ask_encoded(features.encode({"call": files}))
    assert (outputs.decided == target).all()
    part = Part({"call": files}, target, None, outputs)
    examined = Examined(
        context=context(2), kinds={"call": "audio"}, train=part, validation=part, test=part, encode=features.encode,
        ask=lambda values: ask_encoded(features.encode(values)), ask_encoded=ask_encoded, layout=features.layout,
    )  # fmt: skip
    found = robustness.summarise(robustness.measure(examined), examined.context)
    assert [trial["name"] for trial in found.section["trials"]] == ["audio_noise", "gain", "time_shift", "pace"]
    assert found.figures["robust_gain"].value == found.section["clean"]["value"]
    assert found.figures["domain_auroc"].value > 0.95
