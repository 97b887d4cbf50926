"""Augmented recordings: identities, invariants, and chance that a seed repeats."""

import numpy as np
import pytest

from tradewind.data.augment_audio import augment_audio
from tradewind.product import AudioAugment

EVERYTHING = AudioAugment(shift=0.2, speed=0.2, level=6, noise=1, noise_db=0, mask_time=0.2, mask_mels=0.3)


def levels(rows=6, frames=60, bands=24):
    found = np.zeros((rows, frames, bands), dtype=np.uint8)
    found[:, 20:40] = np.random.default_rng(0).integers(100, 256, (rows, 20, bands))
    return found


def augmented(settings, seed=0, x=None):
    return augment_audio(levels() if x is None else x, settings, np.random.default_rng(seed))


def test_no_settings_leave_the_levels():
    np.testing.assert_array_equal(augmented(AudioAugment()), levels())


def test_equal_seeds_give_equal_levels_and_others_do_not():
    np.testing.assert_array_equal(augmented(EVERYTHING, 3), augmented(EVERYTHING, 3))
    assert not np.array_equal(augmented(EVERYTHING, 3), augmented(EVERYTHING, 4))


def test_the_input_is_left_alone():
    plain = levels()
    plain.setflags(write=False)
    augmented(EVERYTHING, x=plain)
    np.testing.assert_array_equal(plain, levels())


def test_one_setting_does_not_move_the_chance_of_another():
    shifted = augmented(AudioAugment(shift=0.2))
    both = augmented(AudioAugment(shift=0.2, mask_mels=0.3))
    same = (both == shifted).mean(axis=1)
    assert (same == 1).mean() > 0.5  # the bands that no mask covers


def test_a_shift_moves_whole_frames_and_silence_comes_in():
    for one, plain in zip(augmented(AudioAugment(shift=0.2)), levels(), strict=True):
        first = int(np.flatnonzero(one.any(axis=1))[0])
        np.testing.assert_array_equal(one[first : first + 20], plain[20:40])
        assert abs(first - 20) <= 12


def test_faster_is_shorter_by_its_share():
    lengths = augmented(AudioAugment(speed=0.5), x=levels(200)).any(axis=2).sum(axis=1)
    assert lengths.min() >= 20 / 1.5 - 1
    assert lengths.max() <= 20 * 1.5 + 2
    assert np.ptp(lengths) > 10


def test_louder_moves_what_is_heard_by_decibels():
    plain = np.full((50, 10, 4), 128, dtype=np.uint8)
    moved = augmented(AudioAugment(level=8), x=plain).astype(float) - 128
    assert np.abs(moved).max() <= 8 * 255 / 80 + 0.5
    assert moved.std() > 5


@pytest.mark.parametrize("noise_db", [0.0, 10.0])
def test_noise_lies_as_far_below_the_recording_as_it_was_asked(noise_db):
    plain = np.zeros((400, 40, 24), dtype=np.uint8)
    plain[:, :20] = 255
    added = augmented(AudioAugment(noise=1, noise_db=noise_db), x=plain)[:, 20:].astype(float)
    below_db = -10 * np.log10((10 ** ((added - 255) * 80 / 255 / 10)).mean(axis=(1, 2)) / 0.5)
    assert below_db.min() == pytest.approx(noise_db, abs=1.5)
    assert below_db.max() == pytest.approx(noise_db + 20, abs=1.5)
    some = augmented(AudioAugment(noise=0.5, noise_db=noise_db), x=plain)[:, 20:].any(axis=(1, 2))
    assert 0.4 < some.mean() < 0.6


def test_masks_cover_no_more_than_their_share():
    settings = AudioAugment(mask_time=0.2, mask_mels=0.25)
    plain = np.random.default_rng(0).integers(1, 256, (100, 60, 24), dtype=np.uint8)
    changed = augmented(settings, x=plain) != plain
    frames, bands = changed.all(axis=2).sum(axis=1), changed.all(axis=1).sum(axis=1)
    assert frames.max() <= 2 * 12
    assert bands.max() <= 2 * 6
    assert changed.any(axis=(1, 2)).mean() > 0.9
