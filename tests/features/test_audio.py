"""The audio column: one length, no gain, speech in the middle; training and serving hear the same."""

import base64

import numpy as np
import pytest

from tests.features.sounds import RATE, column_of, file_of, noise, tone
from tradewind.errors import DataError
from tradewind.features.audio import AudioColumn
from tradewind.features.column import ColumnSpec
from tradewind.features.feature_set import FeatureSet
from tradewind.features.target import fit_target


def clip(seconds=0.4, *, before=0.0, after=0.0, loud=0.3, hertz=600.0):
    word = tone(hertz, seconds, loud=loud) * np.hanning(round(seconds * RATE))
    return np.concatenate([np.zeros(round(before * RATE)), word, np.zeros(round(after * RATE))])


FILES = column_of(*(file_of(clip(hertz=200.0 + 50 * n, before=0.2, after=0.1)) for n in range(20)))


def fit(**options):
    return AudioColumn.fit(ColumnSpec("call", "audio", options), FILES, seed=0)


def test_defaults_follow_from_the_recordings():
    column = fit()
    assert (column.rate, column.seconds, column.mels, column.hop) == (8_000, 0.7, 40, 80)
    (tensor,) = column.layout.tensors
    assert (tensor.name, tensor.role, tensor.dtype, tensor.shape) == ("audio:call", "audio", "uint8", (68, 40))
    long = AudioColumn.fit(ColumnSpec("call", "audio"), column_of(file_of(noise(30.0))), seed=0)
    assert (long.seconds, long.hop) == (10.0, 160)


def test_one_recording_and_many_are_heard_alike_and_state_survives():
    column = fit()
    values = column_of(*FILES[:9], None, b"junk", file_of(np.zeros(100)))
    heard = column.apply(values).tensors["audio:call"]
    again = AudioColumn.from_state(column.state())
    assert again == column
    for row, value in enumerate(values):
        (one,) = again.apply_one(value, [], []).values()
        np.testing.assert_array_equal(one[0], heard[row])
    assert not heard[-3:].any()


def test_levels_are_decibels_below_the_loudest_place():
    levels = fit().levels(file_of(clip()))
    assert levels.dtype == np.uint8
    assert levels.max() == 255
    both = np.concatenate([clip(0.3), clip(0.3, loud=0.003, before=0.1)])
    after = fit(seconds=1.2).levels(file_of(both, subtype="FLOAT"))[80:]
    assert after.max() == pytest.approx(255 * (1 - 40 / 80), abs=1)


@pytest.mark.parametrize("gain", [0.05, 0.3, 2.0])
def test_gain_changes_nothing(gain):
    column, plain = fit(), clip() + noise(0.4, loud=0.01)
    one, other = (column.levels(file_of(x, subtype="FLOAT")).astype(int) for x in (plain, gain * plain))
    assert np.abs(one - other).max() <= 1


@pytest.mark.parametrize(("before", "after"), [(0.0, 0.0), (0.3, 0.0), (0.05, 0.4), (1.5, 1.0)])
def test_what_is_short_comes_into_the_middle_wherever_it_begins(before, after):
    levels = fit(seconds=0.7).levels(file_of(clip(before=before, after=after)))
    loud = np.flatnonzero(levels.max(axis=1) > 200)
    assert (loud[0] + loud[-1]) / 2 == pytest.approx(33.5, abs=3)


def test_the_loud_part_of_a_long_recording_is_what_is_heard():
    column = fit(seconds=0.5)
    content = file_of(np.concatenate([noise(3.0, loud=0.01), clip(), noise(2.0, loud=0.01)]))
    begin, length = column.stretch(content)
    assert length == pytest.approx(5.4)
    assert 2.8 < begin < 3.1


def test_options_are_checked():
    for options in (
        {"seconds": 0.01},
        {"seconds": 100},
        {"mels": 3},
        {"rate": 12_345},
        {"minimum": 5.0, "maximum": 2.0},
    ):
        with pytest.raises(DataError) as caught:
            fit(**options)
        assert caught.value.code == "data.option_range"
    with pytest.raises(DataError, match="None of 2 recordings"):
        AudioColumn.fit(ColumnSpec("call", "audio"), column_of(b"x", None), seed=0)


def test_moments_are_those_of_what_is_fed():
    column = fit()
    heard = column.apply(FILES).tensors["audio:call"]
    np.testing.assert_allclose(column.mean, heard.mean(axis=(0, 1)), rtol=1e-9)
    np.testing.assert_allclose(column.std, np.maximum(heard.std(axis=(0, 1)), 1.0), rtol=1e-9)


def test_a_row_is_checked_and_its_schema_says_how_long():
    answers = column_of(*["a", "b"] * 10)
    features = FeatureSet.fit([ColumnSpec("call", "audio", {"maximum": 5.0})], {"call": FILES}, fit_target("classification", answers), seed=0)  # fmt: skip
    features.check_row({"call": base64.b64encode(FILES[0]).decode()})
    for wrong in ("/etc/passwd", "//var/log/wtmp", 7, "UklGRg=="):
        with pytest.raises(DataError) as caught:
            features.check_row({"call": wrong})
        assert (caught.value.code, caught.value.where) == ("data.value_type", "call")
    assert features.row_schema()["properties"]["call"]["description"] == "A WAV, FLAC, MP3 or Ogg file of at most 5 s"
    (column,) = features.columns
    with pytest.raises(DataError, match="more than 5 s"):
        column.received(file_of(noise(6.0)))
    assert column.received(base64.b64encode(FILES[0]).decode()) == FILES[0]


def test_made_examples_are_recordings_that_differ_and_are_no_row_of_the_data():
    column = fit()
    made, again = (column.examples(FILES, 4, np.random.default_rng(0)) for _ in range(2))
    assert made.tolist() == again.tolist()
    heard = column.apply(made).tensors["audio:call"]
    assert len({one.tobytes() for one in heard}) == 4
    assert not {one.tobytes() for one in heard} & {one.tobytes() for one in column.apply(FILES).tensors["audio:call"]}
    assert heard.any(axis=(1, 2)).all()
