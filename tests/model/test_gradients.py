"""Oriented gradients against a plain loop, what they do not see, and the part over them."""

import numpy as np
import pytest
import torch

from tradewind.features.column import Layout, TensorFeature
from tradewind.model.gradients import GradientLogits, OrientedGradients
from tradewind.model.image import build
from tradewind.product import Model


def pictures(rows=4, side=32, channels=1, seed=0):
    random = np.random.default_rng(seed)
    return torch.from_numpy(random.integers(40, 200, (rows, channels, side, side), dtype=np.uint8))


def reference(picture_HW, cells=8):
    """Dalal and Triggs, pixel by pixel, with angles in place of the doubled cosine."""
    height, width = picture_HW.shape
    cell = height // cells
    histogram = np.zeros((cells, cells, 9))
    for y in range(cells * cell):
        for x in range(cells * cell):
            across = picture_HW[y, x + 1] - picture_HW[y, x - 1] if 0 < x < width - 1 else 0.0
            down = picture_HW[y + 1, x] - picture_HW[y - 1, x] if 0 < y < height - 1 else 0.0
            strength, angle = np.hypot(across, down), np.arctan2(down, across)
            for o in range(9):
                histogram[y // cell, x // cell, o] += strength * max(0.0, np.cos(2 * angle - o * 2 * np.pi / 9)) ** 4
    histogram /= cell * cell
    blocks = []
    for y in range(cells - 1):
        for x in range(cells - 1):
            block = np.concatenate([histogram[y + a, x + b] for a in (0, 1) for b in (0, 1)])
            block = np.minimum(block / np.sqrt((block**2).sum() + 1), 0.2)
            blocks.append(block / np.sqrt((block**2).sum() + 1e-3))
    return np.stack(blocks, 1).reshape(-1)


def test_it_is_what_a_plain_loop_gives():
    picture = pictures(1)
    found = OrientedGradients((1, 32, 32))(picture)[0].numpy()
    np.testing.assert_allclose(found, reference(picture[0, 0].numpy().astype(float)), atol=2e-5)


def test_brightness_is_not_seen():
    gradients, picture = OrientedGradients((1, 32, 32)), pictures()
    torch.testing.assert_close(gradients(picture), gradients(picture + 30))


def test_dark_on_light_is_light_on_dark():
    gradients, picture = OrientedGradients((1, 32, 32)), pictures()
    torch.testing.assert_close(gradients(picture), gradients(255 - picture))


@pytest.mark.parametrize(
    ("size", "features"), [((1, 96, 96), 1764), ((3, 33, 50), 1764), ((1, 8, 8), 36), ((1, 20, 12), 288)]
)
def test_any_size_from_two_cells_up(size, features):
    gradients = OrientedGradients(size)
    assert gradients(torch.zeros((2, *size), dtype=torch.uint8)).shape == (2, gradients.features) == (2, features)


def test_it_begins_at_zero_and_learns_directions():
    torch.manual_seed(0)
    stripes = np.zeros((40, 1, 32, 32), np.uint8)
    stripes[:20, :, ::4] = 200
    stripes[20:, :, :, ::4] = 200
    images, target = torch.from_numpy(stripes), torch.arange(40) // 20
    part = GradientLogits((1, 32, 32), 2)
    assert not part(images).any()
    optimizer = torch.optim.AdamW(part.parameters(), lr=1e-3)
    for _ in range(30):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(part(images), target).backward()
        optimizer.step()
    assert (part.eval()(images).argmax(1) == target).all()


def test_one_row_can_be_trained_on_and_leaves_the_statistics_alone():
    part = GradientLogits((1, 32, 32), 2).train()
    part(pictures(1)).sum().backward()
    assert torch.equal(part.mean, torch.zeros_like(part.mean))
    part(pictures(2))
    assert part.mean.any()


def test_a_picture_of_one_cell_has_no_such_part():
    def encoder(side, **settings):
        meta = {"mean": [100.0], "std": [50.0]}
        tensor = TensorFeature("image:scan", "scan", "image", "uint8", (1, side, side), meta)
        return build(Layout(tensors=(tensor,)), Model(image="cnn", width=8, depth=2, **settings), outputs=3)

    assert encoder(7).wide is None
    assert encoder(8).wide is not None
    assert encoder(8, gradients=False).wide is None
