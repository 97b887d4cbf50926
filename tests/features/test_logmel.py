"""Log-mel spectra against torch's transform and the filters of transformers, and by what must hold of any spectrum."""

import numpy as np
import pytest
import torch
from transformers.audio_utils import mel_filter_bank

from tests.features.sounds import noise, tone
from tradewind.features.logmel import LogMel, hertz, mel

SETTINGS = [(8_000, 40, 200, 80), (16_000, 64, 400, 160), (44_100, 80, 1102, 441)]


@pytest.mark.parametrize(("rate", "mels", "window", "hop"), SETTINGS)
def test_power_is_that_of_torch_and_of_the_filters_of_transformers(rate, mels, window, hop):
    spectrum = LogMel(rate, mels, window, hop)
    samples = noise(0.7, rate=rate)
    filters = mel_filter_bank(
        1 + spectrum.size // 2, mels, 20.0, rate / 2, rate, norm="slaney", mel_scale="slaney"
    )  # fmt: skip
    left = (spectrum.size - window) // 2  # torch puts a short window into the middle of a transform
    padded = torch.from_numpy(np.pad(samples, (left, spectrum.size - window - left)))
    taper = torch.hann_window(window, dtype=torch.float64)
    found = torch.stft(padded, spectrum.size, hop, window, taper, center=False, return_complex=True)
    expected = (found.abs() ** 2).numpy().T @ filters
    np.testing.assert_allclose(spectrum.filters_FM, filters, atol=1e-9)
    assert spectrum.power(samples).shape == (spectrum.frames(len(samples)), mels)
    np.testing.assert_allclose(spectrum.power(samples), expected[: spectrum.frames(len(samples))], rtol=1e-6)


def test_the_mel_scale_goes_there_and_back_and_bends_at_1000_hertz():
    frequencies = np.array([0.0, 20.0, 700.0, 1000.0, 3000.0, 8000.0])
    np.testing.assert_allclose(hertz(mel(frequencies)), frequencies, atol=1e-9)
    assert mel(1000.0) == pytest.approx(15.0)
    assert mel(6400.0) == pytest.approx(42.0)


def test_white_noise_is_level_and_a_tone_stands_in_its_band():
    spectrum = LogMel(8_000, 24, 200, 80)
    levels = spectrum.power(noise(20.0)).mean(axis=0)
    assert levels.max() / levels.min() < 1.3
    edges = hertz(np.linspace(mel(20.0), mel(4_000.0), 26))
    band = int(np.argmax(spectrum.decibels(tone(1_500.0)).mean(axis=0)))
    assert edges[band] < 1_500 < edges[band + 2]


def test_ten_times_the_amplitude_is_twenty_decibels():
    spectrum = LogMel(8_000, 24, 200, 80)
    samples = noise(0.3)
    np.testing.assert_allclose(spectrum.decibels(10 * samples) - spectrum.decibels(samples), 20.0, atol=1e-9)


def test_less_than_a_window_has_no_frame():
    assert LogMel(8_000, 24, 200, 80).power(np.zeros(199)).shape == (0, 24)
