"""Typing errors, and Chinese characters of the same sound or look, against pypinyin and by invariants."""

import numpy as np
import pypinyin
import pytest

from tradewind.evaluate import misspelling
from tradewind.evaluate.misspelling import by_look, by_sound, mistyped, touched

ENGLISH = "The quick brown fox jumps over the lazy dog, " * 20
CHINESE = "服务态度很好，送餐速度也快，下次还会再来。" * 20


@pytest.fixture
def random():
    return np.random.default_rng(0)


@pytest.mark.parametrize("change", [mistyped, by_sound, by_look])
@pytest.mark.parametrize("text", [ENGLISH, CHINESE, "", "12 %"])
def test_a_share_of_nothing_changes_nothing(change, text, random):
    assert change(text, 0.0, random) == text


def test_a_quarter_of_the_hits_is_a_neighbouring_key_and_lengths_keep_their_balance(random):
    wrong = mistyped("g" * 40_000, 0.1, random)
    assert sum(letter != "g" for letter in wrong) == pytest.approx(1000, rel=0.15)
    assert len(wrong) == pytest.approx(40_000, rel=0.01)


def test_neighbours_on_the_keyboard_are_those_a_finger_may_hit():
    near = misspelling._neighbours()
    assert set(near["g"]) == set("ftyhbv")
    assert all(key in near[other] for key, others in near.items() for other in others)


def test_keys_keep_their_case(random):
    wrong = mistyped("G" * 400, 1.0, random)
    assert wrong == wrong.upper()


def test_ideographs_are_not_mistyped_and_letters_have_no_sound(random):
    assert mistyped(CHINESE, 1.0, random) == CHINESE
    assert by_sound(ENGLISH, 1.0, random) == ENGLISH


def test_characters_of_the_same_sound_share_a_syllable_by_pypinyin():
    wrong = 0
    pairs = [(one, other) for one, others in misspelling._sounds().items() for other in others[:3]]
    for one, other in pairs:
        said, heard = (set(pypinyin.pinyin(c, style=pypinyin.Style.NORMAL, heteronym=True)[0]) for c in (one, other))
        wrong += not said & heard
    assert len(pairs) > 10_000
    assert wrong < 0.01 * len(pairs)


def test_a_character_never_stands_for_itself(random):
    for change in (by_sound, by_look):
        wrong = change(CHINESE, 1.0, random)
        assert len(wrong) == len(CHINESE)
        table = misspelling._sounds() if change is by_sound else misspelling._looks()
        assert all((a != b) == (a in table) for a, b in zip(CHINESE, wrong, strict=True))


def test_look_alikes_go_both_ways():
    looks = misspelling._looks()
    assert all(one in looks[other] for one, others in looks.items() for other in others)
    assert "未" in looks["末"]


def test_what_can_be_changed_is_counted():
    assert touched("abc 1 很好", "typing") == 3
    assert touched("abc 1 很好", "homophones") == 2
    assert touched("abc", "lookalikes") == 0
