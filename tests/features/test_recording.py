"""Recordings: every format gives the same samples, and what is none is told with a code."""

import base64

import numpy as np
import pytest
import soundfile

from tests.features.sounds import RATE, file_of, noise, tone
from tradewind.errors import DataError
from tradewind.features.attachments import audio_inside, is_audio
from tradewind.features.recording import Recording, bytes_of, decode, wav_bytes

SOUND = file_of(tone())


@pytest.mark.parametrize(("kind", "subtype"), [("WAV", "PCM_16"), ("WAV", "FLOAT"), ("WAV", "ULAW"), ("FLAC", "PCM_16"), ("MP3", ""), ("OGG", "VORBIS")])  # fmt: skip
def test_every_format_is_read_and_known_by_its_first_bytes(kind, subtype):
    content = file_of(tone(seconds=1.0), kind=kind, subtype=subtype)
    assert is_audio(content)
    recording = decode(content)
    assert recording.rate == RATE
    assert recording.seconds == pytest.approx(1.0, abs=0.06)
    assert np.sqrt(np.mean(recording.samples**2)) == pytest.approx(0.3 / np.sqrt(2), rel=0.06)


def test_channels_become_their_mean_without_an_offset():
    left, right = tone(300.0), tone(700.0)
    found = decode(file_of(np.stack([left, right], axis=1) + 0.1, subtype="FLOAT")).samples
    np.testing.assert_allclose(found, (left + right) / 2, atol=1e-3)


def test_a_path_base64_and_a_data_url_are_the_same_recording(tmp_path):
    (tmp_path / "a.wav").write_bytes(SOUND)
    text = base64.b64encode(SOUND).decode()
    for value in (str(tmp_path / "a.wav"), text, f"data:audio/wav;base64,{text}", bytearray(SOUND)):
        np.testing.assert_array_equal(decode(value).samples, decode(SOUND).samples)


def test_another_rate_keeps_a_tone_and_drops_what_it_cannot_hold():
    high = Recording(tone(440.0, 1.0, rate=48_000) + tone(6_000.0, 1.0, rate=48_000), 48_000)
    low = high.at(8_000)
    assert (low.rate, len(low.samples)) == (8_000, 8_000)
    middle = slice(800, -800)
    np.testing.assert_allclose(low.samples[middle], tone(440.0, 1.0)[middle], atol=2e-3)


def test_wav_bytes_come_back_but_for_the_steps_of_16_bits():
    recording = Recording(noise(0.2, loud=0.1) - noise(0.2, loud=0.1).mean(), RATE)
    np.testing.assert_allclose(decode(wav_bytes(recording)).samples, recording.samples, atol=1 / 32_000)


def torn_mp3():
    content = file_of(noise(1.0), kind="MP3")
    return content[: len(content) // 2]


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (None, "unreadable"), (b"", "unreadable"), (7, "unreadable"), ("/nowhere/a.wav", "unreadable"), (b"RIFF....WAVEjunk", "unreadable"),
        (b"\x89PNG\r\n\x1a\n" + bytes(64), "unreadable"), (SOUND[: len(SOUND) // 2], "unreadable"),
        (file_of(noise(), kind="FLAC")[:900], "unreadable"), (file_of(np.full(800, np.nan), subtype="FLOAT"), "unreadable"),
        (file_of(np.zeros(4000)), "silent"), (file_of(np.full(4000, 0.5)), "silent"), (file_of(tone(loud=2e-4)), "silent"),
    ],
)  # fmt: skip
def test_what_is_no_recording_has_a_code_and_names_no_file(value, code):
    with pytest.raises(DataError) as caught:
        decode(value)
    assert caught.value.code == f"data.audio_{code}"
    assert "nowhere" not in str(caught.value)


def test_bounds_of_length_are_kept_without_decoding_more(monkeypatch):
    with pytest.raises(DataError, match="lasts 0.50 s, less than 1 s") as short:
        decode(SOUND, shortest_s=1)
    assert short.value.code == "data.audio_too_short"
    with pytest.raises(DataError, match="more than 0.1 s") as long:
        decode(SOUND, longest_s=0.1)
    assert long.value.code == "data.audio_too_long"


def test_a_file_that_would_fill_the_memory_is_refused_before_it_is_decoded():
    with pytest.raises(DataError, match="17 channels"):
        decode(file_of(np.zeros((100, 17)) + 0.1))
    small = file_of(np.zeros((4_100_000, 8), dtype=np.int16), rate=192_000, kind="FLAC")
    assert len(small) < 400_000
    with pytest.raises(DataError, match="more than 32 million samples"):
        decode(small)


def test_text_is_a_recording_only_where_it_begins_as_one():
    assert audio_inside(base64.b64encode(SOUND).decode()) == SOUND
    for text in ("/etc/passwd", "//var/log/wtmp", "clip.wav", base64.b64encode(b"hello there").decode(), ""):
        assert audio_inside(text) is None
    with pytest.raises(DataError, match="not base64"):
        bytes_of("/etc/pass wd!")


def test_no_decoder_but_the_named_ones_is_asked():
    """libsndfile knows thirty formats; a stranger's bytes reach five of them."""
    assert {"AU", "CAF", "SD2", "VOC", "XI"} <= set(soundfile.available_formats())
    with pytest.raises(DataError, match="no WAV, FLAC, MP3 or Ogg"):
        decode(file_of(tone(), kind="AU"))
