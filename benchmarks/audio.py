"""Recordings: log-mel spectra a second beside torch.stft and transformers, and accuracy beside the simple models a team would try.

    python benchmarks/audio.py [--seeds 3] [--seconds 60]

1. Throughput of one core, in seconds of audio a second: ours in NumPy and double precision; torch.stft with the same filters,
   in double and in single precision; `transformers.audio_utils.spectrogram`, the NumPy way of Whisper's feature extractor.
   The floor: at least as fast as transformers.
2. Accuracy on the commands of the scenario speech, trained from scratch with its product file, judged on voices that
   training never heard, clean and in white noise, beside logistic regression on MFCCs and on mean and deviation of each
   band, fitted to the same recordings. Prints means over seeds of data and training alike.

Not here: recordings of people; none may be fetched by a benchmark.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.fft import dct
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from transformers.audio_utils import spectrogram

from tradewind.cli.app import main as tradewind
from tradewind.data.dataset import load as load_dataset
from tradewind.engines.loading import load
from tradewind.evaluate.sound_trials import changed_recordings
from tradewind.features.column import Values
from tradewind.features.logmel import LogMel

RATE, MELS = 16_000, 64
NOISE = {"clean": None, "noise 10 dB below": 0.32, "noise as loud": 1.0}
COEFFICIENTS = 13


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seeds", type=int, default=3)
    arguments.add_argument("--seconds", type=float, default=60.0, help="of audio for the throughput")
    given = arguments.parse_args()
    torch.set_num_threads(1)
    throughput(given.seconds)
    accuracy(given.seeds)


# ---------------------------------------------------------------- throughput


def throughput(seconds: float) -> None:
    ours = LogMel(RATE, MELS, 400, 160)
    samples = np.random.default_rng(0).normal(0, 0.1, round(seconds * RATE))
    ways: dict[str, Callable[[], Any]] = {
        "Tradewind, NumPy, float64": lambda: ours.decibels(samples),
        "torch.stft, float64": in_torch(ours, samples, torch.float64),
        "torch.stft, float32": in_torch(ours, samples, torch.float32),
        "transformers, NumPy, float64": lambda: spectrogram(
            samples, np.hanning(401)[:-1], 400, 160, fft_length=512, power=2.0, center=False,
            mel_filters=ours.filters_FM, log_mel="dB", mel_floor=1e-16,
        ),
    }  # fmt: skip
    found = {name: seconds / best(way) for name, way in ways.items()}
    print(
        f"log-mel of {seconds:g} s at {RATE} Hz, {MELS} bands, one core, best of 15 in processor time (seconds of audio a second)"
    )
    for name, speed in found.items():
        print(f"  {name:30} {speed:10,.0f}   x {speed / found['Tradewind, NumPy, float64']:.2f}")
    floor = found["Tradewind, NumPy, float64"] >= found["transformers, NumPy, float64"]
    print(f"  at least as fast as transformers: {'yes' if floor else 'NO'}")


def in_torch(ours: LogMel, samples: np.ndarray, dtype: torch.dtype) -> Callable[[], torch.Tensor]:
    x, filters = torch.from_numpy(samples).to(dtype), torch.from_numpy(ours.filters_FM).to(dtype)
    taper = torch.hann_window(ours.window, dtype=dtype)

    def way() -> torch.Tensor:
        found = torch.stft(x, ours.size, ours.hop, ours.window, taper, center=False, return_complex=True)
        return 10 * torch.log10((found.abs() ** 2).T @ filters + 1e-16)

    return way


def best(way: Callable[[], Any]) -> float:
    times = []
    for _ in range(15):
        start = time.process_time()
        way()
        times.append(time.process_time() - start)
    return min(times)


# ---------------------------------------------------------------- accuracy


def accuracy(seeds: int) -> None:
    found: dict[str, dict[str, list[float]]] = {}
    learnt = []
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as folder:
            made = trained(Path(folder) / "speech", seed)
            learnt.append(made["seconds"]["train"])
            for name, by_noise in compared(made, seed).items():
                for noise, share in by_noise.items():
                    found.setdefault(name, {}).setdefault(noise, []).append(share)
    print(f"\naccuracy on commands by unheard voices, mean of {seeds} seeds; {np.mean(learnt):.0f} s of training each")
    print(f"  {'':34}" + "".join(f"{noise:>20}" for noise in NOISE))
    for name, by_noise in found.items():
        print(f"  {name:34}" + "".join(f"{np.mean(by_noise[noise]):>20.3f}" for noise in NOISE))


def trained(folder: Path, seed: int) -> dict[str, Any]:
    quiet = io.StringIO()
    with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(io.StringIO()):
        assert tradewind(["init", str(folder), "--scenario", "speech", "--seed", str(seed)]) == 0
        quiet.truncate(0)
        quiet.seek(0)
        status = tradewind([
            "run", "-C", str(folder), "--set", "evaluate.examine=[]", "--set", "evaluate.gates={}", "--set", f"train.seed={seed}",
            "--set", "train.threads=1", "--json",
        ])  # fmt: skip
        assert status == 0
    made: dict[str, Any] = json.loads(quiet.getvalue())
    return made


def compared(made: dict[str, Any], seed: int) -> dict[str, dict[str, float]]:
    """Accuracy by model and noise. The simple models see the levels that the network sees."""
    dataset = load_dataset(Path(made["artifacts"]["dataset"]))
    predictor = load(Path(made["artifacts"]["release"])).predictor
    train, test = dataset.split("train"), dataset.raw("test")["audio"]
    truth = np.asarray(dataset.split("test").target)
    simple = {
        "logistic regression, MFCC": (mfcc, LogisticRegression(max_iter=500)),
        "logistic regression, band mean, std": (spectra, LogisticRegression(max_iter=500)),
    }
    levels = np.asarray(train.arrays["audio:audio"])
    fitted = {}
    for name, (view, model) in simple.items():
        scaler = StandardScaler().fit(view(levels))
        fitted[name] = (view, scaler, model.fit(scaler.transform(view(levels)), np.asarray(train.target)))
    found: dict[str, dict[str, float]] = {}
    for noise, severity in NOISE.items():
        heard = (
            test if severity is None else changed_recordings("audio_noise", severity, test, np.random.default_rng(seed))
        )
        answers = predictor.predict({"audio": heard}).probabilities
        assert answers is not None
        found.setdefault("Tradewind, cnn", {})[noise] = float((answers.argmax(axis=1) == truth).mean())
        encoded = encoded_of(dataset, heard)
        for name, (view, scaler, model) in fitted.items():
            found.setdefault(name, {})[noise] = float((model.predict(scaler.transform(view(encoded))) == truth).mean())
    return found


def encoded_of(dataset: Any, heard: Values) -> np.ndarray:
    found: np.ndarray = dataset.features.encode({"audio": heard})["audio:audio"]
    return found


def spectra(levels_nTM: np.ndarray) -> np.ndarray:
    return np.concatenate([levels_nTM.mean(axis=1), levels_nTM.std(axis=1)], axis=1)


def mfcc(levels_nTM: np.ndarray) -> np.ndarray:
    """Mean and deviation over time of 13 cepstral coefficients and of their differences (Davis and Mermelstein 1980)."""
    cepstrum = dct(levels_nTM.astype(np.float64), norm="ortho", axis=2)[:, :, :COEFFICIENTS]
    both = np.concatenate([cepstrum, np.gradient(cepstrum, axis=1)], axis=2)
    return np.concatenate([both.mean(axis=1), both.std(axis=1)], axis=1)


if __name__ == "__main__":
    main()
