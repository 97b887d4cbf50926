"""What happens to recordings before they reach a model: noise, gain, a shift in time, another pace; each as a new WAV file.

They are changed raw, as a caller's microphone would. Not here: the list of all trials (`perturbations.py`), how a model fares.

Legend: N samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from tradewind.errors import DataError
from tradewind.features.column import Values
from tradewind.features.recording import Recording, decode, wav_bytes

Samples = NDArray[np.float64]

_ACTIVE = 0.1  # of the loudest: samples above it are the recording proper, whose level noise is measured against
_LOUDEST = 0.99  # of full scale, where a file of 16 bits must not clip
_RATE, _SECONDS = 8_000, 1.0


def changed_recordings(name: str, severity: float, values: Values, random: np.random.Generator) -> Values:
    """The recordings [B] after one trial, as bytes of WAV files; what cannot be read stays as it is."""
    found = values.astype(object)
    for row, value in enumerate(values):
        try:
            recording = decode(value)
        except DataError:
            continue
        samples = _CHANGES[name](severity, recording, random)
        found[row] = wav_bytes(Recording(samples, recording.rate))
    return found


def hums(count: int, random: np.random.Generator) -> Values:
    """Recordings of nothing: a few tones that stand still."""
    found = np.empty(count, dtype=object)
    time_N = np.arange(int(_RATE * _SECONDS)) / _RATE
    for row in range(count):
        tones = random.uniform(60, 3_500, 3)
        samples = sum(0.2 * np.sin(2 * np.pi * tone * time_N) for tone in tones)
        found[row] = wav_bytes(Recording(np.asarray(samples), _RATE))
    return found


def _audio_noise(severity: float, recording: Recording, random: np.random.Generator) -> Samples:
    """White noise of `severity` times the root mean square of the recording where it is not quiet."""
    x_N = recording.samples
    active_N = x_N[np.abs(x_N) > _ACTIVE * np.abs(x_N).max()]
    noisy = x_N + random.normal(0, severity * float(np.sqrt(np.mean(active_N**2))), len(x_N))
    return _fitting(noisy)


def _gain(severity: float, recording: Recording, random: np.random.Generator) -> Samples:
    """Louder or softer by so many decibels; what is too loud clips, as it would."""
    way = random.choice((-1.0, 1.0))
    louder: Samples = recording.samples * 10 ** (way * severity / 20)
    return louder


def _time_shift(severity: float, recording: Recording, random: np.random.Generator) -> Samples:
    """Begun so much earlier or later, in seconds: that much is lost at one end, and silence comes in at the other."""
    shift = min(round(severity * recording.rate), len(recording.samples) - 1)
    shifted = np.zeros_like(recording.samples)
    if random.random() < 0.5:
        shifted[shift:] = recording.samples[: len(shifted) - shift]
    else:
        shifted[: len(shifted) - shift] = recording.samples[shift:]
    return shifted


def _pace(severity: float, recording: Recording, random: np.random.Generator) -> Samples:
    """Played faster or slower by such a share, pitch and all (Ko et al. 2015)."""
    length = len(recording.samples)
    speed = (1 + severity) ** random.choice((-1.0, 1.0))
    places = np.arange(int(length / speed)) * speed
    played: Samples = np.interp(places, np.arange(length), recording.samples)
    return played


def _fitting(samples: Samples) -> Samples:
    largest = float(np.abs(samples).max())
    return samples * (_LOUDEST / largest) if largest > _LOUDEST else samples


_CHANGES: Mapping[str, Callable[[float, Recording, np.random.Generator], Samples]] = {
    "audio_noise": _audio_noise,
    "gain": _gain,
    "time_shift": _time_shift,
    "pace": _pace,
}
