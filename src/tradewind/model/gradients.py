"""The edges of a picture: logits from histograms of oriented gradients, learned beside a net that sees pixels.

Not here: the nets (`image.py`), the loss of the parts (`train/tasks.py`).

Legend: B rows, C channels, H height, W width, O orientations, Y and X cells, F features, K outputs.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_ORIENTATIONS = 9
_CELLS = 8  # to a side; a cell has at least 4 pixels
_FEWEST_PIXELS = 4
_CLIPPED = 0.2  # no edge may speak for a whole block (Lowe 2004)
_SHARPNESS = 4  # power of the cosine between a gradient and an orientation: neighbours overlap by half
_DROPOUT = 0.5
_HIDDEN = 128
_MOMENTUM = 0.1


class OrientedGradients(nn.Module):
    """How strong edges of each direction are in each part of a picture: uint8 [B, C, H, W] to float [B, F].

    Histograms of oriented gradients (Dalal and Triggs 2005): 9 directions in 8 x 8 cells, blocks of 2 x 2 cells brought
    to length 1. A gradient shares itself among directions by the fourth power of the cosine, which needs no angle.
    """

    directions: Tensor

    def __init__(self, size: tuple[int, int, int]) -> None:
        super().__init__()
        _, height, width = size
        self.cell = (_cell(height), _cell(width))
        # Directions, not ways: an edge from dark to light is that from light to dark, so angles are doubled.
        double_O = torch.arange(_ORIENTATIONS) * (2 * math.pi / _ORIENTATIONS)
        self.register_buffer("directions", torch.stack([double_O.cos(), double_O.sin()])[:, None, :, None, None])
        blocks = (height // self.cell[0] - 1) * (width // self.cell[1] - 1)
        self.features = blocks * 4 * _ORIENTATIONS

    def forward(self, pixels_BCHW: Tensor) -> Tensor:
        grey_B1HW = pixels_BCHW.float().mean(1, keepdim=True)
        across_B1HW = F.pad(grey_B1HW[..., 2:] - grey_B1HW[..., :-2], (1, 1, 0, 0))
        down_B1HW = F.pad(grey_B1HW[..., 2:, :] - grey_B1HW[..., :-2, :], (0, 0, 1, 1))
        square_B1HW = across_B1HW.square() + down_B1HW.square() + 1e-6
        cos_B1HW = (across_B1HW.square() - down_B1HW.square()) / square_B1HW
        sin_B1HW = 2 * across_B1HW * down_B1HW / square_B1HW
        along_BOHW = cos_B1HW * self.directions[0] + sin_B1HW * self.directions[1]
        edges_BOHW = F.relu(along_BOHW) ** _SHARPNESS * square_B1HW.sqrt()
        cells_BOYX = F.avg_pool2d(edges_BOHW, self.cell)
        corners = [cells_BOYX[..., top, left] for top in (_UPPER, _LOWER) for left in (_UPPER, _LOWER)]
        blocks_BFYX = torch.cat(corners, 1)
        blocks_BFYX = (blocks_BFYX / _length(blocks_BFYX, 1.0)).clamp(max=_CLIPPED)
        return (blocks_BFYX / _length(blocks_BFYX, 1e-3)).flatten(1)


_UPPER, _LOWER = slice(None, -1), slice(1, None)


def _cell(side: int) -> int:
    return max(_FEWEST_PIXELS, side // _CELLS)


def _length(blocks_BFYX: Tensor, least: float) -> Tensor:
    return (blocks_BFYX.square().sum(1, keepdim=True) + least).sqrt()


def large_enough(size: tuple[int, int, int]) -> bool:
    """Whether there are two cells to a side: below that there is no block."""
    return min(size[1:]) >= 2 * _FEWEST_PIXELS


class GradientLogits(nn.Module):
    """A perceptron over oriented gradients; starts at zero. uint8 [B, C, H, W] to [B, K].

    Each feature is brought to mean 0 and deviation 1 as in batch normalisation (Ioffe and Szegedy 2015), without it
    this part learns little in the steps that the net needs (LAB.md).
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, size: tuple[int, int, int], outputs: int) -> None:
        super().__init__()
        self.gradients = OrientedGradients(size)
        features = self.gradients.features
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("variance", torch.ones(features))
        out = nn.Linear(_HIDDEN, outputs)
        nn.init.zeros_(out.weight)
        nn.init.zeros_(out.bias)
        self.perceptron = nn.Sequential(
            nn.Dropout(_DROPOUT / 2), nn.Linear(features, _HIDDEN), nn.ReLU(), nn.Dropout(_DROPOUT), out
        )

    def forward(self, pixels_BCHW: Tensor) -> Tensor:
        found_BF = self.gradients(pixels_BCHW)
        several = self.training and len(pixels_BCHW) > 1  # one row has no deviation
        found_BF = F.batch_norm(found_BF, self.mean, self.variance, training=several, momentum=_MOMENTUM)
        logits_BK: Tensor = self.perceptron(found_BF)
        return logits_BK
