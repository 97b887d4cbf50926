"""Audio encoders: a convolutional net over time and a small transformer; from log-mel levels to one vector.

Not here: decoding and levels (`features/audio.py`), augmentation (`data/augment_audio.py`), the head (`heads.py`).

Legend: B rows, M members, T frames, F mel bands (channels here), C channels, D width of the vector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tradewind.features.column import Layout
from tradewind.model.encoder import Encoder
from tradewind.model.image import TransformerLayer
from tradewind.product import Model

AudioKind: TypeAlias = Literal["cnn", "transformer"]

_WIDTH: Mapping[AudioKind, int] = {"cnn": 48, "transformer": 64}
_DEPTH: Mapping[AudioKind, int] = {"cnn": 3, "transformer": 3}
_DROPOUT = 0.2
_HEADS = 4
_KERNEL = 9  # frames that a convolution sees
_GROWTH = 0.5  # of the first width, added with each stage
_MOST_PLACES = 256  # frames that are left for the transformer


def build(layout: Layout, settings: Model, *, outputs: int) -> Encoder:
    """The encoder of one audio column, by `settings.audio`.

    `layout` holds one tensor of role audio, uint8 [T, F], with `mean` and `std` per band in its meta. `width` is the
    channels of the first stage (transformer: of every layer), `depth` the stages (transformer: the layers).
    """
    assert len(layout.tensors) == 1
    tensor = layout.tensors[0]
    frames, bands = (size or 0 for size in tensor.shape)
    assert min(frames, bands) > 0
    kind: AudioKind = "cnn" if settings.audio == "auto" else settings.audio
    width = settings.width if isinstance(settings.width, int) else _WIDTH[kind]
    depth = settings.depth if isinstance(settings.depth, int) else _DEPTH[kind]
    dropout = settings.dropout if isinstance(settings.dropout, float) else _DROPOUT
    nets: list[nn.Module] = []
    for _ in range(settings.members if isinstance(settings.members, int) else 1):
        if kind == "transformer":
            heads = settings.heads if isinstance(settings.heads, int) else _HEADS
            wide = max(heads, width // heads * heads)
            nets.append(TimeTransformer((frames, bands), width=wide, depth=depth, heads=heads, dropout=dropout))
        else:
            nets.append(TimeNet((frames, bands), width=width, stages=depth))
    return AudioEncoder(tensor.name, list(tensor.meta["mean"]), list(tensor.meta["std"]), nets, dropout=dropout)


class AudioEncoder(Encoder):
    """Normalisation band by band, nets that give a vector each, and dropout: uint8 [B, T, F] to float [B, M, D].

    Normalisation lies in the graph, so that who serves a model cannot scale another way. Several nets are members of
    one model, trained side by side from different starts (Lakshminarayanan, Pritzel and Blundell 2017).
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self, name: str, mean: list[float], std: list[float], nets: Sequence[nn.Module], *, dropout: float
    ) -> None:
        width = nets[0].out_width
        assert isinstance(width, int)
        super().__init__(out_width=width, members=len(nets))
        self.name = name
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32)[None, :, None])
        self.register_buffer("scale", 1 / torch.tensor(std, dtype=torch.float32)[None, :, None])
        self.nets = nn.ModuleList(nets)
        self.dropout = nn.Dropout(dropout)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        levels_BFT = inputs[self.name].to(self.mean.dtype).transpose(1, 2)
        x_BFT = (levels_BFT - self.mean) * self.scale
        dropped: Tensor = self.dropout(torch.stack([net(x_BFT) for net in self.nets], dim=1))
        return dropped


class TimeNet(nn.Module):
    """Residual convolutions over time alone, the bands being channels (TC-ResNet; Choi et al. 2019): [B, F, T] to [B, D].

    A command is told by how its sounds follow each other. One convolution sees all bands at once, so that few layers see
    enough (LAB.md). Each stage halves the frames; the
    vector is the mean and the maximum over those that are left.
    """

    def __init__(self, size: tuple[int, int], *, width: int, stages: int) -> None:
        super().__init__()
        frames, bands = size
        self.stem = nn.Sequential(
            nn.Conv1d(bands, width, 3, padding=1, bias=False), nn.BatchNorm1d(width), nn.ReLU(inplace=True)
        )
        layers: list[nn.Module] = []
        now = width
        for stage in range(stages):
            wanted = int(width * (1 + _GROWTH * stage))
            halve = frames >= 4  # two frames are the least that batch norm can do with one row
            layers.append(TimeBlock(now, wanted, stride=2 if halve else 1))
            frames = -(-frames // 2) if halve else frames
            now = wanted
        self.stages = nn.Sequential(*layers)
        self.out_width = 2 * now

    def forward(self, x_BFT: Tensor) -> Tensor:
        x_BCT = self.stages(self.stem(x_BFT))
        return torch.cat([x_BCT.mean(2), x_BCT.amax(2)], 1)


class TimeBlock(nn.Module):
    """Two convolutions and the way around them: [B, C, T] to [B, C', T / stride]."""

    def __init__(self, channels: int, wanted: int, *, stride: int) -> None:
        super().__init__()
        padding = _KERNEL // 2
        self.first = nn.Conv1d(channels, wanted, _KERNEL, stride, padding, bias=False)
        self.first_norm = nn.BatchNorm1d(wanted)
        self.second = nn.Conv1d(wanted, wanted, _KERNEL, 1, padding, bias=False)
        self.second_norm = nn.BatchNorm1d(wanted)
        self.around = nn.Sequential(nn.Conv1d(channels, wanted, 1, stride, bias=False), nn.BatchNorm1d(wanted))

    def forward(self, x_BCT: Tensor) -> Tensor:
        h_BCT = F.relu(self.first_norm(self.first(x_BCT)))
        return F.relu(self.around(x_BCT) + self.second_norm(self.second(h_BCT)))


class TimeTransformer(nn.Module):
    """Attention among stretches of time (after the keyword transformer; Berg, O'Connor and Cruz 2021), whose vectors come
    from convolutions (Xiao et al. 2021): [B, F, T] to [B, D]."""

    def __init__(self, size: tuple[int, int], *, width: int, depth: int, heads: int, dropout: float) -> None:
        super().__init__()
        frames, bands = size
        layers: list[nn.Module] = []
        now = bands
        while len(layers) < 6 or frames > _MOST_PLACES:
            stride = 2 if frames >= 4 else 1
            layers += [
                nn.Conv1d(now, width, _KERNEL, stride, _KERNEL // 2, bias=False),
                nn.BatchNorm1d(width),
                nn.ReLU(),
            ]
            frames, now = -(-frames // stride), width
        self.places_of = nn.Sequential(*layers)
        self.places = nn.Parameter(torch.randn(1, frames, width) * 0.02)
        self.layers = nn.Sequential(*(TransformerLayer(width, heads=heads, dropout=dropout / 2) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.out_width = width

    def forward(self, x_BFT: Tensor) -> Tensor:
        x_BTD = self.places_of(x_BFT).transpose(1, 2) + self.places
        vector_BD: Tensor = self.norm(self.layers(x_BTD)).mean(1)
        return vector_BD
