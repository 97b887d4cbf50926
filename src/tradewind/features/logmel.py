"""Log-mel spectra in NumPy: windows, power spectra, triangular filters on the mel scale, decibels.

Not here: reading a recording (`recording.py`), how loud it may be and which part of it counts (`audio.py`).

Legend: N samples, T frames, F frequencies, M mel bands.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Slaney's mel scale (Auditory Toolbox, 1998): linear up to 1000 Hz, 15 bands; above it 27 bands for each factor of 6.4.
_LINEAR_HZ, _BREAK_HZ, _BREAK_MEL = 200.0 / 3, 1000.0, 15.0
_LOG_STEP = np.log(6.4) / 27.0
_LOWEST_HZ = 20.0
_FLOOR = 1e-16  # of power: -160 dB, below every recording
_FRAMES_AT_ONCE = 128  # what a processor's cache holds: two thirds faster than 4096 (LAB.md)


@dataclass(frozen=True)
class LogMel:
    """Hann windows of `window` samples every `hop`, no frame beyond the end; `mels` bands from 20 Hz to half the rate.

    In double precision, so that what another processor rounds otherwise becomes no other byte.
    """

    rate: int
    mels: int
    window: int
    hop: int

    @property
    def size(self) -> int:
        """Points of the Fourier transform: the next power of two."""
        return 1 << (self.window - 1).bit_length()

    def frames(self, samples: int) -> int:
        return max(0, 1 + (samples - self.window) // self.hop)

    @cached_property
    def filters_FM(self) -> Floats:
        """Triangles of equal area (2 / width in Hz), so that white noise is level."""
        frequencies_F = np.fft.rfftfreq(self.size, 1 / self.rate)
        edges = hertz(np.linspace(mel(_LOWEST_HZ), mel(self.rate / 2), self.mels + 2))
        low, middle, high = edges[:-2], edges[1:-1], edges[2:]
        rising = (frequencies_F[:, None] - low) / (middle - low)
        falling = (high - frequencies_F[:, None]) / (high - middle)
        triangles: Floats = np.maximum(0.0, np.minimum(rising, falling)) * (2 / (high - low))
        return triangles

    def power(self, samples_N: Floats) -> Floats:
        """Power in each band, [T, M]."""
        count = self.frames(len(samples_N))
        found = np.empty((count, self.mels))
        if not count:
            return found
        cut_TW = sliding_window_view(samples_N, self.window)[:: self.hop]
        for at in range(0, count, _FRAMES_AT_ONCE):
            spectrum = np.fft.rfft(cut_TW[at : at + _FRAMES_AT_ONCE] * self._taper, self.size)
            power_TF = spectrum.real**2 + spectrum.imag**2
            found[at : at + _FRAMES_AT_ONCE] = power_TF @ self.filters_FM
        return found

    def decibels(self, samples_N: Floats) -> Floats:
        """[T, M], 0 dB for a power of 1; no less than -160."""
        levels: Floats = 10 * np.log10(np.maximum(self.power(samples_N), _FLOOR))
        return levels

    @cached_property
    def _taper(self) -> Floats:
        return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(self.window) / self.window)


def mel(hertz_: float | Floats) -> Floats:
    """Hertz on Slaney's mel scale."""
    f = np.asarray(hertz_, dtype=np.float64)
    above = _BREAK_MEL + np.log(np.maximum(f, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    found: Floats = np.where(f < _BREAK_HZ, f / _LINEAR_HZ, above)
    return found


def hertz(mels: float | Floats) -> Floats:
    """Back from mels."""
    m = np.asarray(mels, dtype=np.float64)
    above = _BREAK_HZ * np.exp(_LOG_STEP * np.maximum(m - _BREAK_MEL, 0.0))
    found: Floats = np.where(m < _BREAK_MEL, m * _LINEAR_HZ, above)
    return found
