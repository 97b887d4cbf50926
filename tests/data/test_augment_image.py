"""Augmented images: identities, invariants, and chance that a seed repeats."""

import numpy as np
import pytest

from tradewind.data.augment_image import augment_images, draw, transform
from tradewind.product import ImageAugment

EVERYTHING = ImageAugment(flip="both", rotate=20, crop=0.1, scale=0.2, brightness=0.2, contrast=0.3, erase=0.3)


def images(rows=6, channels=1, height=24, width=32, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (rows, channels, height, width), dtype=np.uint8)


def augmented(pixels, settings, seed=0):
    return augment_images(pixels, settings, np.random.default_rng(seed))


def draws(rows=6, **changes):
    """Draws that do nothing, but for the named ones."""
    still = draw(rows, ImageAugment(), np.random.default_rng(0))
    named = {name: np.full_like(getattr(still, name), value) for name, value in changes.items()}
    return type(still)(**{**vars(still), **named})


def test_no_settings_leave_the_pixels():
    assert np.array_equal(augmented(images(), ImageAugment()), images())


@pytest.mark.parametrize("channels", [1, 3])
def test_shape_and_type_stay(channels):
    found = augmented(images(channels=channels), EVERYTHING)
    assert found.shape == (6, channels, 24, 32)
    assert found.dtype == np.uint8


def test_the_input_is_left_alone():
    pixels = images()
    augmented(pixels, EVERYTHING)
    assert np.array_equal(pixels, images())


def test_a_read_only_input_will_do():
    pixels = images()
    pixels.setflags(write=False)
    augmented(pixels, EVERYTHING)


def test_equal_seeds_give_equal_pixels():
    assert np.array_equal(augmented(images(), EVERYTHING, seed=3), augmented(images(), EVERYTHING, seed=3))


def test_other_seeds_give_other_pixels():
    assert not np.array_equal(augmented(images(), EVERYTHING, seed=3), augmented(images(), EVERYTHING, seed=4))


def test_a_batch_is_its_single_images():
    pixels, drawn = images(channels=3), draw(6, EVERYTHING, np.random.default_rng(1))
    alone = [transform(pixels[row : row + 1], drawn[row : row + 1]) for row in range(6)]
    assert np.array_equal(transform(pixels, drawn), np.concatenate(alone))


def test_an_empty_batch_stays_empty():
    assert augmented(images(rows=0), EVERYTHING).shape == (0, 1, 24, 32)


@pytest.mark.parametrize("side", ["mirrored", "upended"])
def test_flipping_twice_is_nothing(side):
    flip = draws(**{side: True})
    once = transform(images(), flip)
    assert not np.array_equal(once, images())
    assert np.array_equal(transform(once, flip), images())


def test_a_horizontal_flip_mirrors_about_half_of_the_rows():
    pixels = images(rows=200)
    found = augmented(pixels, ImageAugment(flip="horizontal"))
    mirrored = (found == pixels[..., ::-1]).all((1, 2, 3))
    assert (mirrored | (found == pixels).all((1, 2, 3))).all()
    assert 70 < mirrored.sum() < 130


def test_a_vertical_flip_turns_upside_down():
    pixels = images(rows=50)
    found = augmented(pixels, ImageAugment(flip="vertical"))
    assert ((found == pixels).all((1, 2, 3)) | (found == pixels[:, :, ::-1]).all((1, 2, 3))).all()


def test_turning_by_nothing_is_nothing():
    # Nearly no zoom: the pixels pass through the whole arithmetic.
    assert np.array_equal(transform(images(), draws(angle=0.0, zoom=1 + 1e-7)), images())


def test_a_quarter_turn_is_numpys():
    square = images(height=24, width=24)
    found = transform(square, draws(angle=np.pi / 2))
    assert np.array_equal(found, np.rot90(square, axes=(2, 3)))


def test_turning_there_and_back_is_nearly_nothing():
    y, x = np.mgrid[0:48, 0:48]
    smooth = (127 + 60 * np.sin(x / 7) + 60 * np.cos(y / 9)).astype(np.uint8)[None, None]
    back = transform(transform(smooth, draws(rows=1, angle=0.3)), draws(rows=1, angle=-0.3))
    assert np.abs(back.astype(int) - smooth)[..., 12:36, 12:36].max() <= 4


def test_a_shift_by_whole_pixels_is_exact():
    found = transform(images(), draws(right=4 / 32, down=-3 / 24))
    assert np.array_equal(found[:, :, :-3, 4:], images()[:, :, 3:, :-4])


def test_what_comes_in_from_outside_is_the_edge():
    found = transform(images(), draws(right=4 / 32))
    assert (found[..., :4] == images()[..., :1]).all()


def test_zoom_enlarges_about_the_centre():
    square = np.zeros((1, 1, 25, 25), np.uint8)
    square[..., 10:15, 10:15] = 200
    found = transform(square, draws(rows=1, zoom=2.0))
    assert abs(int((found > 100).sum()) - 100) <= 25
    assert np.array_equal(found, found[..., ::-1, ::-1])


def test_brightness_adds_and_stays_in_range():
    found = transform(images(), draws(brightness=0.2))
    assert np.array_equal(found, np.minimum(images().astype(int) + 51, 255))


def test_contrast_keeps_the_mean():
    mild = (images() // 4 + 96).astype(np.uint8)
    found = transform(mild, draws(contrast=1.3))
    assert np.abs(found.mean((1, 2, 3)) - mild.mean((1, 2, 3))).max() < 0.5
    assert found.std() == pytest.approx(1.3 * mild.std(), rel=0.02)


def test_light_leaves_plain_images_of_no_contrast():
    plain = np.full((2, 1, 8, 8), 77, np.uint8)
    assert np.array_equal(augmented(plain, ImageAugment(contrast=0.9, rotate=40)), plain)


def test_erasing_blanks_one_rectangle_no_larger_than_asked():
    pixels = images(rows=100, height=40, width=40)
    changed = (augmented(pixels, ImageAugment(erase=0.25)) != pixels).mean((1, 2, 3))
    assert 25 < (changed > 0).sum() < 75
    assert changed.max() <= 0.30  # whole pixels round up


def test_an_erased_rectangle_has_the_images_mean():
    pixels = images(channels=3)
    found = transform(pixels, draws(hole_height=0.5, hole_width=0.5, hole_top=0.0, hole_left=0.0))
    assert np.array_equal(found[:, :, 0, 0], np.rint(pixels.mean((2, 3))).astype(np.uint8))
    assert np.array_equal(found[:, :, 12:], pixels[:, :, 12:])


def test_draws_stay_within_the_settings():
    drawn = draw(1000, EVERYTHING, np.random.default_rng(0))
    assert np.abs(drawn.angle).max() <= np.deg2rad(20)
    assert np.abs(drawn.right).max() <= 0.1
    assert drawn.zoom.min() >= 1 / 1.21
    assert drawn.zoom.max() <= 1.21
    assert (drawn.hole_height * drawn.hole_width).max() <= 0.3001


def test_one_setting_does_not_shift_the_chance_of_another():
    plain = draw(9, ImageAugment(rotate=20), np.random.default_rng(5))
    more = draw(9, EVERYTHING, np.random.default_rng(5))
    assert np.array_equal(plain.angle, more.angle)
