"""Live scores against those of the release: silence while they are alike or few, one alarm when they move, and its end."""

import numpy as np

from tradewind.features.drift import Reference
from tradewind.server.drift_watch import Bounds, DriftWatch

WINDOW, LEAST = Bounds().window, Bounds().least


def scores(rows, *, shift=0.0, seed=0):
    return 1 / (1 + np.exp(-np.random.default_rng(seed).normal(shift, 1, rows)))


def watch():
    return DriftWatch(Reference.of(scores(5000)))


def note(watched, values):
    for value in values:
        watched.note(float(value))
    return watched.look()


def test_scores_like_those_that_were_measured_say_nothing():
    assert not note(watch(), scores(WINDOW, seed=1))


def test_few_scores_say_nothing_however_far_they_are():
    assert not note(watch(), scores(LEAST - 1, shift=3, seed=1))


def test_moved_scores_raise_one_alarm_which_ends_when_they_are_back():
    watched = watch()
    assert note(watched, scores(WINDOW, shift=1.5, seed=1))
    told = watched.told("cards", "v3")
    assert (told["event"], told["rows"], told["psi"] > told["bound"]) == ("score_drift", WINDOW, True)
    assert not note(watched, scores(10, shift=1.5, seed=2))
    assert watched.alarmed
    assert not note(watched, scores(WINDOW, seed=3))
    assert not watched.alarmed


def test_a_release_without_a_reference_is_not_watched():
    assert not note(DriftWatch(None), scores(WINDOW, shift=3))


def test_how_far_and_over_how_many_is_what_the_product_says():
    near = DriftWatch(Reference.of(scores(5000)), Bounds(psi=0.01, window=400, least=300))
    far = DriftWatch(Reference.of(scores(5000)), Bounds(psi=5.0, window=400, least=300))
    assert note(near, scores(300, shift=1, seed=1))
    assert near.told("cards", "v1")["bound"] == 0.01
    assert not note(far, scores(300, shift=1, seed=1))
    note(near, scores(4000, seed=3))
    assert near.latest.rows == 400
