"""Image encoders: a small convolutional net, a residual net, a vision transformer; from unsigned bytes to one vector.

Not here: decoding and size (`features/image.py`), augmentation (`data/augment_image.py`), what reads edges beside a net
(`gradients.py`), the head (`heads.py`).

Legend: B rows, M members, C channels, H height, W width, T patches, D width of the vector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tradewind.features.column import Layout
from tradewind.model.encoder import Encoder
from tradewind.model.gradients import GradientLogits, large_enough
from tradewind.product import Model

ImageKind: TypeAlias = Literal["cnn", "resnet", "vit"]

_WIDTH: Mapping[ImageKind, int] = {"cnn": 32, "resnet": 32, "vit": 128}
_DEPTH: Mapping[ImageKind, int] = {"cnn": 4, "resnet": 4, "vit": 6}
_BLOCKS: Mapping[ImageKind, int] = {"cnn": 1, "resnet": 2}
_DROPOUT = 0.2
_HEADS = 4
_WIDEST = 8  # a stage has at most so many times the channels of the first
_WIDE_RATE = 0.25  # of the net's learning rate (LAB.md)
_GATE_SHARE = 8
_FEWEST_GATES = 8
# Sides from which the picture is halved once, and twice, before the first stage: small ones are not thrown away.
_HALVED_FROM, _QUARTERED_FROM = 40, 64
_PATCHES = 12  # at most so many to a side for the transformer

_Value = TypeVar("_Value")


def build(layout: Layout, settings: Model, *, outputs: int) -> Encoder:
    """The encoder of one image column, by `settings.image`, with a part over gradients unless that is switched off.

    `layout` holds one tensor of role image, uint8 [C, H, W], with `mean` and `std` per channel in its meta. `width` is
    the channels of the first stage (vit: of every layer), `depth` the stages (vit: the layers).
    """
    assert len(layout.tensors) == 1
    tensor = layout.tensors[0]
    channels, height, breadth = (size or 0 for size in tensor.shape)
    assert min(channels, height, breadth) > 0
    kind: ImageKind = "cnn" if settings.image == "auto" else settings.image
    size = (channels, height, breadth)
    halved = bool(tensor.meta.get("halved", False))
    seen = (channels, height // 2, breadth // 2) if halved else size
    width, depth = _given(settings.width, _WIDTH[kind]), _given(settings.depth, _DEPTH[kind])
    dropout = _given(settings.dropout, _DROPOUT)
    members = _given(settings.members, 1)
    normalise = Normalise(list(tensor.meta["mean"]), list(tensor.meta["std"]))
    nets: list[nn.Module] = []
    for _ in range(members):
        nets.append(_net(kind, seen, wide=width, deep=depth, settings=settings, dropout=dropout))
    wide = GradientLogits(size, outputs) if settings.gradients is not False and large_enough(size) else None
    return ImageEncoder(tensor.name, normalise, nets, wide, halved=halved, dropout=dropout)


def _net(
    kind: ImageKind, size: tuple[int, int, int], *, wide: int, deep: int, settings: Model, dropout: float
) -> nn.Module:
    if kind == "vit":
        heads = _given(settings.heads, _HEADS)
        width = max(heads, wide // heads * heads)
        return VisionTransformer(size, width=width, depth=deep, heads=heads, dropout=dropout)
    return ResidualNet(size, width=wide, stages=deep, blocks=_BLOCKS[kind])


def _given(value: _Value | Literal["auto"], default: _Value) -> _Value:
    return default if isinstance(value, str) else value


class Normalise(nn.Module):
    """Unsigned bytes [B, C, H, W] to floats of mean 0 and deviation 1 over the training split, channel by channel.

    It lies in the graph, so that who serves a model cannot scale its pixels another way. A picture is not normalised by
    itself: how bright it is can tell (on X-rays that cost 6 points of accuracy).
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32)[None, :, None, None])
        self.register_buffer("scale", 1 / torch.tensor(std, dtype=torch.float32)[None, :, None, None])

    def forward(self, pixels_BCHW: Tensor) -> Tensor:
        return (pixels_BCHW.to(self.mean.dtype) - self.mean) * self.scale


class ImageEncoder(Encoder):
    """Normalisation, nets that give a vector each, and dropout: `image:NAME` uint8 [B, C, H, W] to float [B, M, D].

    Several nets are members of one model, trained side by side from different starts; their probabilities are averaged
    (deep ensembles, Lakshminarayanan, Pritzel and Blundell 2017). `halved`: they see half the side, `wide` all of it.
    """

    def __init__(
        self,
        name: str,
        normalise: Normalise,
        nets: Sequence[nn.Module],
        wide: GradientLogits | None,
        *,
        halved: bool,
        dropout: float,
    ) -> None:
        width = nets[0].out_width
        assert isinstance(width, int)
        super().__init__(out_width=width, members=len(nets))
        self.name = name
        self.normalise = normalise
        self.nets = nn.ModuleList(nets)
        self.wide = wide
        self.halved = halved
        self.dropout = nn.Dropout(dropout)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        # Channels last takes a fifth less time on processors.
        x_BCHW = self.normalise(inputs[self.name])
        if self.halved:
            x_BCHW = F.avg_pool2d(x_BCHW, 2)
        x_BCHW = x_BCHW.contiguous(memory_format=torch.channels_last)
        x_BMD = torch.stack([net(x_BCHW) for net in self.nets], dim=1)
        dropped: Tensor = self.dropout(x_BMD)
        return dropped

    def wide_logits(self, inputs: Mapping[str, Tensor]) -> Tensor | None:
        """[B, K], or None without the part over gradients."""
        if self.wide is None:
            return None
        logits_BK: Tensor = self.wide(inputs[self.name])
        return logits_BK

    def parameter_groups(self) -> Mapping[str, dict[str, float]]:
        return {} if self.wide is None else {"wide.": {"lr_scale": _WIDE_RATE}}


# ---------------------------------------------------------------- convolutions


class ResidualNet(nn.Module):
    """Residual stages (He et al. 2016), each at half the side and twice the channels of the one before.

    Sides are halved by averages, not by strides, which alias (Zhang 2019; He et al. 2019, ResNet-D). The vector is the
    mean and the maximum over the last map: how much of something there is, and whether it is anywhere.
    """

    def __init__(self, size: tuple[int, int, int], *, width: int, stages: int, blocks: int) -> None:
        super().__init__()
        channels, height, breadth = size
        self.stem, side = _stem(channels, width, min(height, breadth))
        layers: list[nn.Module] = []
        now = width
        for stage in range(stages):
            wanted = width * min(2**stage, _WIDEST)
            halve = stage > 0 and side >= 4  # 2 x 2 is the least that batch norm can do with one row
            side = side // 2 if halve else side
            for block in range(blocks):
                layers.append(ResidualBlock(now, wanted, halve=halve and block == 0))
                now = wanted
        self.stages = nn.Sequential(*layers)
        self.out_width = 2 * now

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x_BCHW = self.stages(self.stem(x_BCHW))
        return torch.cat([x_BCHW.mean((2, 3)), x_BCHW.amax((2, 3))], 1)


def _stem(channels: int, width: int, side: int) -> tuple[nn.Module, int]:
    """The first convolution, and the side that is left after it."""
    stride = 2 if side >= _HALVED_FROM else 1
    layers = [nn.Conv2d(channels, width, 5, stride, 2, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
    side = -(-side // stride)
    if side * stride >= _QUARTERED_FROM:
        layers.append(nn.MaxPool2d(3, 2, 1))
        side = -(-side // 2)
    return nn.Sequential(*layers), side


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions, a channel gate, and the way around them: [B, C, H, W] to [B, C', H', W'].

    Its last scale starts at 0, so that at first only the way around counts (Goyal et al. 2017).
    """

    def __init__(self, channels: int, wanted: int, *, halve: bool) -> None:
        super().__init__()
        self.halve = nn.AvgPool2d(2) if halve else nn.Identity()
        self.first = nn.Conv2d(channels, wanted, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(wanted)
        self.second = nn.Conv2d(wanted, wanted, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(wanted)
        nn.init.zeros_(self.second_norm.weight)
        self.gate = ChannelGate(wanted)
        self.around: nn.Module = nn.Identity()
        if channels != wanted:
            self.around = nn.Sequential(nn.Conv2d(channels, wanted, 1, bias=False), nn.BatchNorm2d(wanted))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x_BCHW = self.halve(x_BCHW)
        h_BCHW = F.relu(self.first_norm(self.first(x_BCHW)))
        h_BCHW = self.gate(self.second_norm(self.second(h_BCHW)))
        return F.relu(self.around(x_BCHW) + h_BCHW)


class ChannelGate(nn.Module):
    """Squeeze and excitation (Hu et al. 2018): each channel is scaled by what the whole map shows."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(_FEWEST_GATES, channels // _GATE_SHARE)
        self.squeeze = nn.Linear(channels, inner)
        self.excite = nn.Linear(inner, channels)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        share_BC = torch.sigmoid(self.excite(F.relu(self.squeeze(x_BCHW.mean((2, 3))))))
        return x_BCHW * share_BC[:, :, None, None]


# ---------------------------------------------------------------- transformer


class VisionTransformer(nn.Module):
    """A small vision transformer (Dosovitskiy et al. 2021) over patches from convolutions (Xiao et al. 2021).

    The convolutions are what lets it learn from few pictures; the vector is the mean over patches.
    """

    def __init__(self, size: tuple[int, int, int], *, width: int, depth: int, heads: int, dropout: float) -> None:
        super().__init__()
        channels, height, breadth = size
        layers: list[nn.Module] = []
        now, wanted = channels, max(16, width // 4)
        while min(height, breadth) > _PATCHES or not layers:
            stride = 2 if min(height, breadth) > _PATCHES else 1
            layers += [nn.Conv2d(now, wanted, 3, stride, 1, bias=False), nn.BatchNorm2d(wanted), nn.ReLU(inplace=True)]
            height, breadth = -(-height // stride), -(-breadth // stride)
            now, wanted = wanted, min(width, 2 * wanted)
        layers.append(nn.Conv2d(now, width, 1))
        self.patches = nn.Sequential(*layers)
        self.places = nn.Parameter(torch.randn(1, height * breadth, width) * 0.02)
        self.layers = nn.Sequential(*(TransformerLayer(width, heads=heads, dropout=dropout / 2) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.out_width = width

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x_BTD = self.patches(x_BCHW).flatten(2).transpose(1, 2) + self.places
        vector_BD: Tensor = self.norm(self.layers(x_BTD)).mean(1)
        return vector_BD


class TransformerLayer(nn.Module):
    """Attention among patches, then a perceptron for each, both normalised before: [B, T, D] to [B, T, D]."""

    def __init__(self, width: int, *, heads: int, dropout: float) -> None:
        super().__init__()
        assert width % heads == 0
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.mix = nn.Linear(width, width)
        self.perceptron_norm = nn.LayerNorm(width)
        self.perceptron = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BTD: Tensor) -> Tensor:
        patches, width = x_BTD.shape[1:]
        split = self.queries_keys_values(self.attention_norm(x_BTD)).unflatten(-1, (3, self.heads, width // self.heads))
        q, k, v = split.permute(2, 0, 3, 1, 4).unbind(0)  # each [B, heads, T, D / heads]
        mixed_BTD = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(-1, patches, width)
        x_BTD = x_BTD + self.dropout(self.mix(mixed_BTD))
        change_BTD: Tensor = self.dropout(self.perceptron(self.perceptron_norm(x_BTD)))
        return x_BTD + change_BTD
