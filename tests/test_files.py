"""Atomic files, canonical JSON and digests."""

import hashlib
import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewind.files import canonical_json, digest_bytes, digest_file, digest_folder, read_json, write_bytes, write_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_canonical_json_reads_back_as_the_same_value(value):
    assert json.loads(canonical_json(value)) == value


@given(st.dictionaries(st.text(), st.integers(), min_size=2))
def test_the_order_of_keys_does_not_change_the_bytes(value):
    backwards = dict(reversed(list(value.items())))
    assert canonical_json(value) == canonical_json(backwards)


def test_nan_is_refused():
    with pytest.raises(ValueError):
        canonical_json(float("nan"))


def test_a_digest_names_its_algorithm(tmp_path):
    (tmp_path / "a").write_bytes(b"tradewind")
    expected = "sha256:" + hashlib.sha256(b"tradewind").hexdigest()
    assert digest_bytes(b"tradewind") == digest_file(tmp_path / "a") == expected


def test_a_folder_digest_names_each_file_by_its_path(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c.txt").write_text("1")
    (tmp_path / "a.txt").write_text("2")
    assert list(digest_folder(tmp_path)) == ["a.txt", "b/c.txt"]
    assert list(digest_folder(tmp_path, leave_out=["a.txt"])) == ["b/c.txt"]


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(Exception, match="No space"):
        write_json(path, {"a": 2})
    assert read_json(path) == {"a": 1}
    assert [item.name for item in tmp_path.iterdir()] == ["a.json"]


def test_the_mode_of_a_secret_file_is_kept(tmp_path):
    write_bytes(tmp_path / "key", b"x", mode=0o600)
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
