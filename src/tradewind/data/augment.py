"""Augmentation of training batches: token drop and swap, character noise, noise on numbers, mixup pairs, oversampling.

Not here: images (`augment_image.py`), recordings (`augment_audio.py`), blending the pairs of mixup (`train/`), and anything but the training split.
Legend: B rows, N numbers, T tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tradewind.data.augment_audio import augment_audio
from tradewind.data.augment_image import augment_images
from tradewind.features.column import Column, Values
from tradewind.features.feature_set import FeatureSet
from tradewind.product import AudioAugment, Augment, ImageAugment, NumberAugment, TextAugment

Arrays = dict[str, NDArray[np.generic]]


@dataclass(frozen=True)
class Mixup:
    """Blend each row with row `partner` [B] of the same batch: share · row + (1 - share) · partner (Zhang et al. 2018).

    `share` is at least a half, so that a row stays mostly itself.
    """

    share: float
    partner: NDArray[np.int64]


@dataclass(frozen=True)
class Augmenter:
    """What is done to a training batch. Made by `build_augment`; all chance comes from the generator it is given."""

    image: ImageAugment | None = None
    audio: AudioAugment | None = None
    text: TextAugment | None = None
    number: NumberAugment | None = None
    mixup_beta: float = 0.0
    oversample: bool = False
    noisy_numbers: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))
    texts: Mapping[str, tuple[Column, Values]] = field(default_factory=dict)

    def apply(self, inputs: Arrays, rows: NDArray[np.int64], random: Generator) -> Arrays:
        """Augmented inputs of one batch whose places in the training split are `rows` [B]."""
        inputs = dict(inputs)
        if self.text is not None:
            if self.text.noise:
                for column, values in self.texts.values():
                    noisy = np.empty(len(rows), dtype=np.object_)
                    noisy[:] = [
                        None if text is None else noisy_text(text, self.text.noise, random) for text in values[rows]
                    ]
                    inputs |= column.apply(noisy).tensors
            self._tokens(inputs, random)
        if self.number is not None and self.number.noise and "numbers" in inputs:
            noise = random.standard_normal(inputs["numbers"].shape, dtype=np.float32) * np.float32(self.number.noise)
            numbers = np.asarray(inputs["numbers"], dtype=np.float32)
            inputs["numbers"] = (numbers + noise * self.noisy_numbers).astype(np.float32)
        for name in inputs:
            if self.image is not None and name.startswith("image:"):
                inputs[name] = augment_images(inputs[name], self.image, random)
            if self.audio is not None and name.startswith("audio:"):
                inputs[name] = augment_audio(inputs[name], self.audio, random)
        return inputs

    def _tokens(self, inputs: Arrays, random: Generator) -> None:
        assert self.text is not None
        for name in sorted(inputs):
            role = name.partition(":")[0]
            if role == "tokens":
                inputs[name] = drop_and_swap(inputs[name], drop=self.text.drop, swap=self.text.swap, random=random)
            elif role == "ngram_weights" and self.text.drop:
                kept = random.random(inputs[name].shape) >= self.text.drop
                inputs[name] = np.where(kept, inputs[name], np.float32(0)).astype(np.float32)

    def mixup(self, rows: int, random: Generator) -> Mixup | None:
        if not self.mixup_beta or rows < 2:
            return None
        share = float(random.beta(self.mixup_beta, self.mixup_beta))
        return Mixup(max(share, 1 - share), random.permutation(rows))

    def odds(self, target: NDArray[np.generic]) -> NDArray[np.float64] | None:
        """The chance of each row [rows] to be drawn: with oversampling each class comes equally often, else None."""
        if not self.oversample or target.dtype.kind != "i":
            return None
        codes = np.asarray(target, dtype=np.int64)
        counts = np.bincount(codes)
        odds = 1.0 / counts[codes]
        return np.asarray(odds / odds.sum(), dtype=np.float64)


def build_augment(
    augment: Augment, features: FeatureSet, seed: int = 0, *, raw: Callable[[str], Values] | None = None
) -> Augmenter | None:
    """The augmenter of a resolved section, or None when nothing is to be done; `auto` counts as none.

    `raw` gives the raw training values [rows] of a column (`Split.raw_column`), which character noise needs. `seed` is
    not needed: chance comes from `Batches`.
    """
    image = augment.image if isinstance(augment.image, ImageAugment) and augment.image != ImageAugment() else None
    audio = augment.audio if isinstance(augment.audio, AudioAugment) and augment.audio != AudioAugment() else None
    text = augment.text if isinstance(augment.text, TextAugment) and augment.text != TextAugment() else None
    number = augment.number if isinstance(augment.number, NumberAugment) and augment.number.noise else None
    beta = augment.mixup if isinstance(augment.mixup, float | int) else 0.0
    if not any(part is not None for part in (image, audio, text, number)) and not beta and not augment.oversample:
        return None
    texts: dict[str, tuple[Column, Values]] = {}
    if text is not None and text.noise and raw is not None:
        texts = {column.name: (column, raw(column.name)) for column in features.columns if column.kind == "text"}
    # A flag for missing is no quantity: noise goes to the normalised values alone.
    noisy = np.array([":missing" not in number.name for number in features.layout.numbers], dtype=np.bool_)
    return Augmenter(image, audio, text, number, float(beta), augment.oversample, noisy, texts)


def drop_and_swap(
    tokens_BT: NDArray[np.generic], *, drop: float, swap: float, random: Generator
) -> NDArray[np.int64]:  # fmt: skip
    """Tokens [B, T] with a share dropped and a share of neighbours exchanged (Wei and Zou 2019); a row keeps at least one.

    What is dropped is closed up; the end is filled with 0, and T stays.
    """
    tokens = np.array(tokens_BT, dtype=np.int64)
    rows, length = tokens.shape
    if swap and length > 1:
        chosen = (random.random((rows, length - 1)) < swap) & (tokens[:, 1:] != 0)
        chosen[:, 1:] &= ~chosen[:, :-1]  # a token moves once
        left, right = np.nonzero(chosen)[0], np.nonzero(chosen)[1]
        tokens[left, right], tokens[left, right + 1] = tokens[left, right + 1].copy(), tokens[left, right].copy()
    if drop:
        kept = (random.random((rows, length)) >= drop) & (tokens != 0)
        none_left = ~kept.any(axis=1)
        kept[none_left, 0] = True
        order = np.argsort(~kept, axis=1, kind="stable")
        tokens = np.where(np.take_along_axis(kept, order, axis=1), np.take_along_axis(tokens, order, axis=1), 0)
    return tokens


def noisy_text(text: str, share: float, random: Generator) -> str:
    """The text with about `share` of its characters dropped, doubled or exchanged with the next one.

    Works on characters alone, so it suits Chinese as it does English; no letter is invented. At least one stays.
    """
    characters = list(text)
    hit = random.random(len(characters)) < share
    if not hit.any():
        return text
    kinds = random.integers(0, 3, len(characters))
    result: list[str] = []
    at = 0
    while at < len(characters):
        one = characters[at]
        if not hit[at]:
            result.append(one)
        elif kinds[at] == 1:
            result += [one, one]
        elif kinds[at] == 2 and at + 1 < len(characters):
            result += [characters[at + 1], one]
            at += 1
        at += 1
    return "".join(result) or text[:1]
