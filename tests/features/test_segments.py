"""Stretches of a recording: they cover what is heard, and silenced ones sound like its background."""

from itertools import pairwise

import numpy as np

from tradewind.features.segments import MOST, silenced, stretches


def levels(frames=100, bands=8, first=20, behind=90):
    found = np.zeros((frames, bands), dtype=np.uint8)
    found[first:behind] = np.random.default_rng(0).integers(40, 60, (behind - first, bands))
    found[40:60] = 200
    return found


def test_they_cover_the_heard_frames_once_each():
    found = stretches(levels())
    assert (found[0][0], found[-1][1]) == (20, 90)
    assert all(one[1] == other[0] for one, other in pairwise(found))
    assert 1 < len(found) <= MOST
    assert stretches(np.zeros((50, 8), dtype=np.uint8)) == []


def test_a_silenced_stretch_is_at_the_background_and_the_rest_as_it_was():
    plain = levels()
    (none, one) = silenced(plain, [[], [(45, 55)]])
    np.testing.assert_array_equal(none, plain)
    assert one[45:55].max() <= 60
    np.testing.assert_array_equal(np.delete(one, slice(45, 55), axis=0), np.delete(plain, slice(45, 55), axis=0))
