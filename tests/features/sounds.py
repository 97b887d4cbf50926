"""Recordings for tests, made in a moment: tones, noise, as files of each format."""

import io

import numpy as np
import soundfile

RATE = 8_000


def tone(hertz=440.0, seconds=0.5, *, rate=RATE, loud=0.3):
    return loud * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def noise(seconds=0.5, *, rate=RATE, loud=0.1, seed=0):
    return loud * np.random.default_rng(seed).normal(size=round(seconds * rate))


def file_of(samples, *, rate=RATE, kind="WAV", subtype="PCM_16"):
    out = io.BytesIO()
    soundfile.write(out, samples, rate, format=kind, subtype="MPEG_LAYER_III" if kind == "MP3" else subtype)
    return out.getvalue()


def column_of(*files):
    values = np.empty(len(files), dtype=object)
    values[:] = files
    return values
