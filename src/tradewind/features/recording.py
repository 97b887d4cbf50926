"""Recordings: from the bytes of a WAV, FLAC, MP3 or Ogg file to samples of one channel, or the reason why not.

Not here: what a network is fed (`audio.py`), spectra (`logmel.py`), which text holds a recording (`attachments.py`).

Legend: N samples.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from math import gcd

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from tradewind.errors import DataError
from tradewind.features.attachments import audio_inside, content_of, is_audio, unwrapped

LONGEST_S = 600.0
SILENCE = 3e-4  # of full scale, -70 dB: ten steps of 16 bits
_FORMATS = frozenset({"WAV", "WAVEX", "RF64", "FLAC", "MP3", "OGG"})
_LOWEST_RATE, _HIGHEST_RATE = 4_000, 192_000
_MOST_CHANNELS = 16
_MOST_SAMPLES = 32_000_000  # over all channels: 128 MB once decoded, eleven minutes of one channel at 48,000 a second
_STREAMED = (0, 0xFFFFFFFF)  # sizes that a writer leaves who did not know the end


@dataclass(frozen=True)
class Recording:
    """Samples [N] of one channel, -1 … 1 and without an offset, at `rate` samples a second."""

    samples: NDArray[np.float64]
    rate: int

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate

    def at(self, rate: int) -> Recording:
        """The same at another rate, band-limited by the SoX resampler."""
        if rate == self.rate:
            return self
        step = gcd(rate, self.rate)
        resampled = soxr.resample(self.samples, self.rate // step, rate // step, quality="HQ")
        return Recording(np.asarray(resampled, dtype=np.float64), rate)


def decode(value: object, *, shortest_s: float = 0.0, longest_s: float = LONGEST_S) -> Recording:
    """A whole recording; several channels become their mean.

    `value` is bytes, a path, a data: URL or base64 text. Raises DataError `audio_unreadable`, `audio_silent` (no sample
    above -70 dB of full scale), `audio_too_short` or `audio_too_long`; the reason names no file.
    """
    try:
        content = content_of(value, audio_inside)
    except ValueError as error:
        raise _unreadable(str(error)) from error
    samples_NC, rate = _read(content, longest_s)
    seconds = len(samples_NC) / rate
    if seconds < shortest_s:
        raise DataError(
            f"The recording lasts {seconds:.2f} s, less than {shortest_s:g} s.", code="audio_too_short",
            hint="Record it again, or lower the column's minimum.",
        )  # fmt: skip
    samples = samples_NC.mean(axis=1, dtype=np.float64)
    if not np.isfinite(samples).all():
        raise _unreadable("it holds samples that are no numbers")
    samples -= samples.mean()
    if float(np.abs(samples).max()) < SILENCE:
        raise DataError(
            "The recording is silent.", code="audio_silent", hint="Check the microphone, or leave the row out."
        )
    return Recording(samples, rate)


def bytes_of(text: str) -> bytes:
    """The bytes in a data: URL or in base64 text: what a service takes for a recording, and never a path.

    Raises DataError for text that is neither.
    """
    try:
        return unwrapped(text)
    except ValueError as error:
        raise DataError(
            "The recording is text, but not base64.", code="audio_unreadable", hint="Send the file's bytes in base64."
        ) from error


def wav_bytes(recording: Recording) -> bytes:
    """A WAV file of 16 bits; what lies beyond full scale is clipped, as a sound card does."""
    out = io.BytesIO()
    soundfile.write(out, np.clip(recording.samples, -1.0, 1.0), recording.rate, format="WAV", subtype="PCM_16")
    return out.getvalue()


def _read(content: bytes, longest_s: float) -> tuple[NDArray[np.float32], int]:
    """Samples [N, channels] and their rate. Of a file that says less than it holds no more than `longest_s` is decoded."""
    if not content:
        raise _unreadable("the file is empty")
    # Looked at first, so that no other decoder of libsndfile ever sees what a stranger sent.
    if not is_audio(content):
        raise _unreadable("it is no WAV, FLAC, MP3 or Ogg")
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            _check(file, longest_s)
            most = min(int(longest_s * file.samplerate) + 1, _MOST_SAMPLES // file.channels)
            samples_NC = file.read(min(most, file.frames) if file.frames > 0 else most, dtype="float32", always_2d=True)
            rate, said = int(file.samplerate), int(file.frames)
    except (soundfile.SoundFileError, RuntimeError, OSError, ValueError, OverflowError, MemoryError) as error:
        raise _unreadable("the file is damaged or cut short") from error
    if len(samples_NC) > longest_s * rate:
        raise _too_long(len(samples_NC) / rate, longest_s)
    if len(samples_NC) == 0 or len(samples_NC) < said or _torn(content):
        raise _unreadable("the file is damaged or cut short")
    return samples_NC, rate


def _check(file: soundfile.SoundFile, longest_s: float) -> None:
    if file.format not in _FORMATS:
        raise _unreadable("it is no WAV, FLAC, MP3 or Ogg")
    if not _LOWEST_RATE <= file.samplerate <= _HIGHEST_RATE:
        raise _unreadable(f"{file.samplerate} samples a second are not between {_LOWEST_RATE} and {_HIGHEST_RATE}")
    if file.channels > _MOST_CHANNELS:
        raise _unreadable(f"it has {file.channels} channels, more than {_MOST_CHANNELS}")
    if file.frames * file.channels > _MOST_SAMPLES:
        raise _unreadable(f"it holds more than {_MOST_SAMPLES // 1_000_000} million samples")
    if file.frames > longest_s * file.samplerate:
        raise _too_long(file.frames / file.samplerate, longest_s)


def _torn(content: bytes) -> bool:
    """Whether a WAV file says that more bytes follow than do; libsndfile would read what is there."""
    size = int.from_bytes(content[4:8], "little")
    return content[:4] == b"RIFF" and size not in _STREAMED and size > len(content) - 8 + 1


def _too_long(seconds: float, longest_s: float) -> DataError:
    return DataError(
        f"The recording lasts {seconds:.1f} s, more than {longest_s:g} s.", code="audio_too_long",
        hint="Cut it, or raise the column's maximum.",
    )  # fmt: skip


def _unreadable(reason: str) -> DataError:
    return DataError(
        f"The recording cannot be read: {reason}.",
        code="audio_unreadable",
        hint="Replace the file, or leave the row out.",
    )
