"""Golden examples survive the way to disk and back; temperature does to them what it does in the graph."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewind.errors import ArtifactError
from tradewind.release.golden import Golden, calibrated, magnified, object_array, read_golden, recombined, write_golden


def test_every_kind_of_raw_value_survives(tmp_path):
    columns = {
        "number": np.array([1.5, np.nan]),
        "text": object_array(["你好", None]),
        "image": object_array([b"\x89PNG", b""]),
    }
    write_golden(tmp_path / "golden.json", Golden(columns, np.array([[0.25, 0.75], [1.0, 0.0]]), 1e-4))
    found = read_golden(tmp_path / "golden.json")
    assert found.columns["number"].tolist() == [1.5, None]
    assert found.columns["text"].tolist() == ["你好", None]
    assert found.columns["image"].tolist() == [b"\x89PNG", b""]
    assert found.outputs.tolist() == [[0.25, 0.75], [1.0, 0.0]]


def test_a_broken_file_is_said_to_be_broken(tmp_path):
    (tmp_path / "golden.json").write_text("{}")
    with pytest.raises(ArtifactError, match="golden"):
        read_golden(tmp_path / "golden.json")


@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=6), st.floats(0.2, 5))
def test_calibration_keeps_the_order_and_sums_to_one(weights, temperature):
    p = np.array([weights]) / sum(weights)
    q = calibrated(p, temperature)
    assert q.sum() == pytest.approx(1)
    assert (np.diff(q[0, np.argsort(p[0], kind="stable")]) >= -1e-12).all()
    np.testing.assert_allclose(calibrated(p, 1.0), p, atol=1e-12)


@given(st.floats(0.05, 20), st.floats(0.05, 0.95))
def test_a_rounding_error_grows_by_no_more_than_is_allowed_for(temperature, p):
    error = 1e-6
    before, after = (calibrated(np.array([[x, 1 - x]]), temperature) for x in (p, p * np.exp(error)))
    assert np.abs(after - before).max() <= error * magnified(temperature) / (1 - p)


def test_recombined_texts_keep_their_lengths_and_nobodys_neighbours():
    texts = [[1, 2, 3, 4], [11, 12], [21, 22, 23], [31, 32, 33, 34, 35]]
    found = recombined(texts)
    assert list(map(len, found)) == [4, 2, 3, 5]
    pairs = {pair for text in texts for pair in pairwise(text)}
    assert not pairs & {pair for text in found for pair in pairwise(text)}
    assert recombined([[1, 2, 3]]) == [[3, 2, 1]]
