"""A person is known again by a keyed hash, in every spelling, and his name is found in texts as a word of its own."""

import os
import stat
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewind.errors import EnvironmentFailure, InputError
from tradewind.privacy.subjects import FOLDER, KEY, Subject, SubjectKey

FIXED = SubjectKey(bytes(range(32)))
NAMES = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20)


def ann(name="Ann Lee"):
    return Subject.of(name, FIXED)


def test_the_key_is_made_once_and_is_for_its_owner_alone(tmp_path):
    first, second = SubjectKey.open(tmp_path), SubjectKey.open(tmp_path)
    assert first.digest("ann") == second.digest("ann")
    assert stat.S_IMODE((tmp_path / FOLDER / KEY).stat().st_mode) == 0o600


def test_two_workspaces_have_no_hash_in_common(tmp_path):
    assert SubjectKey.open(tmp_path / "a").digest("ann") != SubjectKey.open(tmp_path / "b").digest("ann")


def test_a_key_that_others_may_read_or_that_is_none_is_refused(tmp_path):
    SubjectKey.open(tmp_path)
    path = tmp_path / FOLDER / KEY
    os.chmod(path, 0o644)
    with pytest.raises(EnvironmentFailure, match="chmod 600"):
        SubjectKey.open(tmp_path)
    path.write_text("short")
    os.chmod(path, 0o600)
    with pytest.raises(EnvironmentFailure, match="no key"):
        SubjectKey.open(tmp_path)


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "x" * 501])
def test_what_names_nobody_is_refused(name):
    with pytest.raises(InputError) as caught:
        Subject.of(name, FIXED)
    assert caught.value.code == "input.subject"


@given(NAMES)
def test_case_spaces_and_forms_of_unicode_make_no_difference(name):
    for other in (f" {name} ", unicodedata.normalize("NFC", name), unicodedata.normalize("NFKC", name)):
        assert FIXED.digest(other) == FIXED.digest(name)
    assert ann(name).named_by(name)


@given(NAMES, NAMES)
def test_two_names_have_two_hashes(one, other):
    same = (
        unicodedata.normalize("NFKC", one).strip().casefold() == unicodedata.normalize("NFKC", other).strip().casefold()
    )
    assert (FIXED.digest(one) == FIXED.digest(other)) is same


@given(NAMES, st.text(max_size=10), st.text(max_size=10))
def test_what_was_struck_is_found_no_more(name, before, behind):
    subject = ann(name)
    text = f"{before} {name} {behind}"
    struck = subject.struck_from(text, "[ERASED]")
    assert subject.appears_in("[ERASED]") or not subject.appears_in(struck)


@pytest.mark.parametrize(
    ("name", "text", "there"),
    [
        ("Ann", "call ANN today", True),
        ("Ann", "Annette", False),
        ("王小明", "请王小明回电", True),
        ("13800138000", "tel 13800138000.", True),
        ("13800138000", "138001380001", False),
        ("ann@x.org", "mail:ann@x.org,", True),
        ("Ann", "Ａｎｎ", True),
    ],
)
def test_a_name_is_a_word_of_its_own(name, text, there):
    assert ann(name).appears_in(text) is there


def test_a_number_is_named_by_its_figures():
    assert ann("7").named_by(7.0)
    assert not ann("7").named_by(7.5)
