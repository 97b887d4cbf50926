"""Audio: from the bytes of a recording to a log-mel picture of one length, as unsigned bytes below its own loudest place.

Not here: decoding (`recording.py`), spectra (`logmel.py`), augmentation (`data/augment_audio.py`), the network
(`model/audio.py`).

Legend: B rows, T frames, M mel bands, N samples, K blocks of one hop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tradewind.errors import DataError
from tradewind.features.attachments import each
from tradewind.features.column import Block, ColumnSpec, Layout, TensorFeature, Values
from tradewind.features.logmel import LogMel
from tradewind.features.recording import LONGEST_S, Recording, bytes_of, decode, wav_bytes

RANGE_DB = 80.0  # from the loudest place of a recording down to 0
RATES = (8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
_FULL = 255.0
_WINDOW_S, _HOP_S, _LONG_HOP_S = 0.025, 0.010, 0.020
_LONG_S = 2.0  # beyond it frames are 20 ms apart
_MELS, _FEWEST_MELS, _MOST_MELS = 40, 16, 128
_SHORTEST_WINDOW_S, _LONGEST_WINDOW_S, _AUTO_WINDOW_S = 0.2, 60.0, 10.0
_WINDOW_SHARE = 0.95  # of the training recordings fit whole
_STEP_S = 0.1
_SPEECH_RATE = 16_000
_FIT_RECORDINGS = 2_000
_NEARLY = 0.99  # of the most energy: such windows are as good, and the middle one is taken
_TONES = 6  # of a made example
_BACKGROUND = 0.2  # quantile of the energy of blocks that counts as background


@dataclass(frozen=True)
class AudioColumn:
    """A fitted column of recordings: one tensor `audio:NAME`, uint8 [B, T, M]; zeros where nothing can be read.

    Each byte is a level in the 80 dB below the recording's own loudest place, so that gain changes nothing (Whisper
    floors its spectra likewise; Radford et al. 2023). `seconds` is the stretch that the network hears; `shortest` and
    `longest` are bounds of a whole recording. `mean` and `std` [M] are in units of 0 … 255, over training.
    """

    kind: ClassVar[str] = "audio"

    name: str
    rate: int
    seconds: float
    mels: int
    hop: int
    shortest: float
    longest: float
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def fit(cls, spec: ColumnSpec, values: Values, *, seed: int) -> Self:
        """Fits on training recordings, bytes or paths, shape [B]; at most 2,000 of them, evenly spread, are heard.

        Options: `seconds`, `rate`, `mels`, `minimum` and `maximum` (seconds of a whole recording). By default the stretch
        holds 95 of 100 recordings whole, up to 10 s, and the rate is 16,000, or 8,000 where the recordings have no more.
        `seed` is not needed. Raises DataError when no recording can be read or an option is out of range.
        """
        where = f"data.columns.{spec.name}"
        shortest, longest = _bounds(spec, where)
        places = np.unique(np.linspace(0, len(values) - 1, min(len(values), _FIT_RECORDINGS)).astype(np.int64))
        looked = each([values[at] for at in places], lambda value: _look(value, shortest, longest))
        seen = [look for look in looked if look is not None]
        if not seen:
            raise DataError(
                f"None of {len(values)} recordings can be read.", code="audio_unreadable", where=where,
                hint="The values must be WAV, FLAC, MP3 or Ogg files, or paths to them.",
            )  # fmt: skip
        rate = _rate(spec, where, [rate for rate, _ in seen])
        seconds = _stretch(spec, where, [seconds for _, seconds in seen])
        mels = int(_within(spec, "mels", _MELS, _FEWEST_MELS, _MOST_MELS, "bands", where))
        hop = round(rate * (_HOP_S if seconds <= _LONG_S else _LONG_HOP_S))
        plain = cls(spec.name, rate, seconds, mels, hop, shortest, longest, (0.0,) * mels, (1.0,) * mels)
        mean, std = plain._moments([values[at] for at in places])
        return cls(spec.name, rate, seconds, mels, hop, shortest, longest, mean, std)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        return cls(**{**state, "mean": tuple(state["mean"]), "std": tuple(state["std"])})

    def state(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "rate": self.rate,
            "seconds": self.seconds,
            "mels": self.mels,
            "hop": self.hop,
            "shortest": self.shortest,
            "longest": self.longest,
            "mean": list(self.mean),
            "std": list(self.std),
        }

    @property
    def layout(self) -> Layout:
        meta = {"mean": list(self.mean), "std": list(self.std), "hop_s": self.hop / self.rate, "range_db": RANGE_DB}
        shape = (self.frames, self.mels)
        return Layout(tensors=(TensorFeature(f"audio:{self.name}", self.name, "audio", "uint8", shape, meta),))

    @property
    def frames(self) -> int:
        return self._logmel.frames(self._samples)

    def apply(self, values: Values) -> Block:
        """`audio:NAME` uint8 [B, T, M] from bytes, paths or base64 text; zeros for what cannot be read or is silent."""
        heard = np.zeros((len(values), self.frames, self.mels), dtype=np.uint8)
        for row, found in enumerate(each(list(values), self.levels)):
            if found is not None:
                heard[row] = found
        return Block(tensors={f"audio:{self.name}": heard})

    def apply_one(self, value: object, numbers: list[float], categories: list[int]) -> Mapping[str, NDArray[Any]]:
        found = self.levels(value)
        if found is None:
            found = np.zeros((self.frames, self.mels), dtype=np.uint8)
        return {f"audio:{self.name}": found[None]}

    def levels(self, value: object) -> NDArray[np.uint8] | None:
        """One recording, [T, M], or None where it cannot be read."""
        try:
            recording = self.opened(value).at(self.rate)
        except DataError:
            return None
        levels_TM = self._logmel.decibels(self._cut(recording, self._begin(recording)))
        steps = (levels_TM - levels_TM.max() + RANGE_DB) * (_FULL / RANGE_DB)
        found: NDArray[np.uint8] = np.rint(np.clip(steps, 0.0, _FULL)).astype(np.uint8)
        return found

    def opened(self, value: object) -> Recording:
        """The whole recording. Raises DataError as `recording.decode` does, by this column's bounds."""
        return decode(value, shortest_s=self.shortest, longest_s=self.longest)

    def received(self, value: object) -> bytes:
        """The bytes of what a caller sent, bytes or base64 text, once they were found to hold a recording.

        Raises DataError (audio_unreadable, audio_silent, audio_too_short, audio_too_long).
        """
        content = bytes_of(value) if isinstance(value, str) else value
        self.opened(content)
        assert isinstance(content, bytes)
        return content

    def examples(self, values: Values, rows: int, random: Generator) -> Values:
        """WAV files that are nobody's: a few tones that glide, swell and fade, in noise; a golden example is one of them."""
        found = np.empty(rows, dtype=object)
        time_N = np.arange(max(1, round(0.8 * self._samples))) / self.rate
        share_N = time_N / (time_N[-1] or 1.0)
        for row in range(rows):
            sound_N = 0.01 * random.standard_normal(len(time_N))
            for start, turn, begin in random.uniform((0.02, -0.5, 0.0), (0.3, 0.5, 0.7), size=(_TONES, 3)):
                phase_N = 2 * np.pi * np.cumsum(start * 2.0 ** (turn * share_N)) * 0.5
                sound_N += 0.1 * np.sin(phase_N) * np.exp(-(((share_N - begin) / 0.2) ** 2))
            found[row] = wav_bytes(Recording(sound_N, self.rate))
        return found

    def stretch(self, value: object) -> tuple[float, float] | None:
        """Where in a recording the first frame begins, in seconds (below 0 where silence was put before it), and how
        long the recording is; None where it cannot be read."""
        try:
            recording = self.opened(value).at(self.rate)
        except DataError:
            return None
        return self._begin(recording) / self.rate, recording.seconds

    # ------------------------------------------------------------ which part is heard

    def _begin(self, recording: Recording) -> int:
        """The first sample of the stretch with the most energy above the background; before 0 where it is padded.

        Of stretches that hold nearly as much the middle one is taken, which puts what is short into the middle. So a
        recording that begins later is heard the same.
        """
        blocks = -(-len(recording.samples) // self.hop)
        squares = np.zeros(blocks * self.hop)
        squares[: len(recording.samples)] = recording.samples**2
        energy_K = squares.reshape(blocks, self.hop).sum(axis=1)
        above_K = np.maximum(energy_K - np.quantile(energy_K, _BACKGROUND), 0.0)
        sums = np.r_[0.0, np.cumsum(above_K if above_K.any() else energy_K)]
        width = self._samples // self.hop
        starts = np.arange(1 - width, blocks)
        held = sums[np.minimum(starts + width, blocks)] - sums[np.maximum(starts, 0)]
        good = starts[held >= _NEARLY * held.max()]
        return int(good[len(good) // 2]) * self.hop

    def _cut(self, recording: Recording, begin: int) -> NDArray[np.float64]:
        """The stretch, [N], with silence where there is no recording."""
        found = np.zeros(self._samples)
        first, last = max(begin, 0), min(begin + self._samples, len(recording.samples))
        found[first - begin : last - begin] = recording.samples[first:last]
        return found

    @property
    def _samples(self) -> int:
        return round(self.seconds * self.rate)

    @cached_property
    def _logmel(self) -> LogMel:
        return LogMel(self.rate, self.mels, round(self.rate * _WINDOW_S), self.hop)

    def _moments(self, values: Sequence[object]) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and deviation of each band. Sums of whole numbers: exact, so the order of the rows does not matter."""
        sums, squares, count = np.zeros(self.mels, np.int64), np.zeros(self.mels, np.int64), 0
        for at in range(0, len(values), 256):
            for found in each(list(values[at : at + 256]), self.levels):
                if found is not None:
                    levels = found.astype(np.int64)
                    sums += levels.sum(axis=0)
                    squares += (levels * levels).sum(axis=0)
                    count += len(levels)
        mean = sums / max(count, 1)
        std = np.sqrt(np.maximum(squares / max(count, 1) - mean * mean, 0.0))
        return tuple(mean.tolist()), tuple(np.where(std < 1.0, 1.0, std).tolist())


# ---------------------------------------------------------------- fitting


def _look(value: object, shortest: float, longest: float) -> tuple[int, float] | None:
    """Rate and seconds of a recording that can be read."""
    try:
        recording = decode(value, shortest_s=shortest, longest_s=longest)
    except DataError:
        return None
    return recording.rate, recording.seconds


def _bounds(spec: ColumnSpec, where: str) -> tuple[float, float]:
    shortest = float(spec.options.get("minimum") or 0.0)
    longest = float(spec.options.get("maximum") or LONGEST_S)
    if not 0 <= shortest < longest:
        raise DataError(
            f"A recording cannot last at least {shortest:g} s and at most {longest:g} s.", code="option_range", where=where,
            hint="minimum and maximum of an audio column are seconds of a whole recording.",
        )  # fmt: skip
    return shortest, longest


def _rate(spec: ColumnSpec, where: str, rates: Sequence[int]) -> int:
    """The asked rate, else that of speech, unless most recordings have only a telephone's."""
    asked = spec.options.get("rate")
    if asked is None:
        return _SPEECH_RATE if sorted(rates)[len(rates) // 2] > RATES[0] * 1.25 else RATES[0]
    if asked not in RATES:
        raise DataError(
            f"rate is {asked!r}, but is one of {', '.join(map(str, RATES))} samples a second.", code="option_range",
            where=where,
        )  # fmt: skip
    return int(asked)


def _stretch(spec: ColumnSpec, where: str, lengths: Sequence[float]) -> float:
    usual = float(np.quantile(lengths, _WINDOW_SHARE, method="higher"))
    usual = min(_AUTO_WINDOW_S, max(_SHORTEST_WINDOW_S, np.ceil(round(usual / _STEP_S, 6)) * _STEP_S))
    return float(round(_within(spec, "seconds", usual, _SHORTEST_WINDOW_S, _LONGEST_WINDOW_S, "seconds", where), 3))


def _within(spec: ColumnSpec, name: str, default: float, least: float, most: float, unit: str, where: str) -> float:
    asked = spec.options.get(name)
    if asked is None:
        return default
    if not isinstance(asked, int | float) or not least <= asked <= most:
        raise DataError(
            f"{name} is {asked!r}, but lies between {least:g} and {most:g} {unit}.", code="option_range", where=where
        )
    return float(asked)
