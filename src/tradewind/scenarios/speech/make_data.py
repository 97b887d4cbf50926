"""Sample data for the scenario: spoken-like commands by two dozen made-up voices, as WAV files and a table that names them.

Formant synthesis: a voice is a pitch, a length of the vocal tract and a pace; a word is a row of sounds, each with the
resonances of its vowel (after Peterson and Barney 1952) or a band of noise. Nobody's voice is in it. No logic of the product.
"""

from __future__ import annotations

import csv
import sys
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RATE = 8_000
VOICES = 24
# Some words are the same syllables in another order: how much of a sound there is does not tell them apart.
WORDS = {
    "lights_on": "l ai t o n",
    "lights_off": "n o t ai l",
    "weather": "w e d er",
    "timer": "t ai m er",
    "music": "m u s i k",
    "stop": "k i s u m",
}
# Resonances in hertz, of a tract of usual length, and seconds.
_VOWELS = {
    "a": ((730, 1090, 2440), 0.13), "e": ((530, 1840, 2480), 0.13), "i": ((270, 2290, 3010), 0.12),
    "o": ((570, 840, 2410), 0.14), "u": ((300, 870, 2240), 0.13), "er": ((490, 1350, 1690), 0.14),
    "l": ((360, 1300, 2900), 0.07), "m": ((250, 1000, 2200), 0.08), "n": ((250, 1700, 2600), 0.08),
    "w": ((290, 610, 2150), 0.07), "d": ((300, 1700, 2600), 0.05),
}  # fmt: skip
_HISSES = {"s": (2500, 4000, 0.10), "f": (1200, 4000, 0.09), "t": (2200, 4000, 0.03), "k": (1200, 2400, 0.03)}
_GLIDES = {"ai": ("a", "i")}
_BANDWIDTHS = (80.0, 100.0, 140.0)


@dataclass(frozen=True)
class Voice:
    """Pitch in hertz, formants times `tract`, lengths divided by `pace`."""

    pitch: float
    tract: float
    pace: float


def make(folder: Path, *, seed: int = 0) -> None:
    """Writes `data/commands.csv` (audio, voice, intent) and `data/commands/*.wav` below `folder`."""
    random = np.random.default_rng(seed)
    place = folder / "data" / "commands"
    place.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(VOICES):
        voice = Voice(random.uniform(95, 240), random.uniform(0.88, 1.18), random.uniform(0.8, 1.3))
        for intent, word in WORDS.items():
            for take in range(2):
                name = f"commands/voice{number:02}-{intent}-{take}.wav"
                _write(folder / "data" / name, recorded(word.split(), voice, random))
                rows.append({"audio": name, "voice": f"voice{number:02}", "intent": intent})
    with (folder / "data" / "commands.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["audio", "voice", "intent"])
        writer.writeheader()
        writer.writerows(rows)


def recorded(sounds: list[str], voice: Voice, random: np.random.Generator) -> NDArray[np.int16]:
    """One word with silence around it, in noise 8 to 30 dB below it, at some gain: samples of 16 bits."""
    word = np.concatenate([_sound(sound, voice, random) for sound in sounds])
    word = word / max(float(np.abs(word).max()), 1e-9)
    before, after = (random.uniform(0.05, 0.3, 2) * RATE).astype(int)
    whole = np.concatenate([np.zeros(before), word, np.zeros(after)])
    level = float(np.sqrt(np.mean(word**2))) * 10 ** (-random.uniform(8, 30) / 20)
    whole = whole + _noise(len(whole), random) * level
    gain = 10 ** (-random.uniform(3, 25) / 20)
    steps: NDArray[np.int16] = np.clip(whole * gain * 32_767, -32_768, 32_767).astype("<i2")
    return steps


def _sound(sound: str, voice: Voice, random: np.random.Generator) -> Floats:
    if sound in _HISSES:
        low, high, seconds = _HISSES[sound]
        length = round(seconds / voice.pace * random.uniform(0.8, 1.2) * RATE)
        closed = np.zeros(round(0.03 * RATE) if sound in "tk" else 0)  # a stop begins with silence
        return np.concatenate([closed, 0.35 * _band(length, low, high, random) * np.hanning(length)])
    first, last = _GLIDES.get(sound, (sound, sound))
    (start, seconds), (end, _) = _VOWELS[first], _VOWELS[last]
    seconds *= 1.5 if first != last else 1.0
    length = round(seconds / voice.pace * random.uniform(0.85, 1.15) * RATE)
    share = np.linspace(0, 1, length)
    spread = voice.tract * random.uniform(0.96, 1.04, 3)
    formants = [(a + (b - a) * share) * k for a, b, k in zip(start, end, spread, strict=True)]
    pitch = voice.pitch * random.uniform(0.93, 1.07) * (1 - 0.1 * share)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    voiced = np.zeros(length)
    for harmonic in range(1, int(0.5 * RATE / pitch.max())):
        height = sum(1 / (1 + ((harmonic * pitch - f) / w) ** 2) for f, w in zip(formants, _BANDWIDTHS, strict=True))
        voiced += height / harmonic**0.5 * np.sin(harmonic * phase)
    edge = np.minimum(1, np.minimum(share, share[::-1]) * 8)
    sounded: Floats = voiced * edge * (0.5 if first in "lmnwd" else 1.0)
    return sounded


def _noise(length: int, random: np.random.Generator) -> Floats:
    """Between white and pink, of deviation 1."""
    spectrum = np.fft.rfft(random.normal(size=length))
    spectrum[1:] /= np.arange(1, len(spectrum)) ** random.uniform(0, 0.5)
    found: Floats = np.fft.irfft(spectrum, length)
    return found / max(float(found.std()), 1e-9)


def _band(length: int, low: float, high: float, random: np.random.Generator) -> Floats:
    spectrum = np.fft.rfft(random.normal(size=length))
    frequencies = np.fft.rfftfreq(length, 1 / RATE)
    spectrum[(frequencies < low) | (frequencies > high)] = 0
    found: Floats = np.fft.irfft(spectrum, length)
    return found / max(float(np.abs(found).max()), 1e-9)


def _write(path: Path, samples: NDArray[np.int16]) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())


if __name__ == "__main__":
    make(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
