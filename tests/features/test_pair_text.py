"""Texts in pieces that fit, of which nothing is lost."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tradewind.features.pair_text import pieces, repaired


def test_lines_stay_lines_and_blanks_are_single():
    found = pieces("One  two.\r\n\n Three\t four", size=len, most=100)
    assert [(one.text, one.behind) for one in found] == [("One two.", "\r\n\n"), ("Three four", "")]


def test_a_long_line_is_cut_behind_sentences_then_clauses_then_words():
    found = pieces("One two. Three, four five six seven. Eight.", size=len, most=16)
    assert [one.text for one in found] == ["One two.", "Three,", "four five six", "seven.", "Eight."]
    assert [one.text for one in pieces("他说：“好。”我们走吧。", size=len, most=7)] == ["他说：“好。”", "我们走吧。"]


def test_a_word_that_is_too_long_is_cut_anywhere():
    assert [one.text for one in pieces("abcdefgh", size=len, most=3)] == ["ab", "cd", "ef", "gh"]


@settings(max_examples=60)
@given(st.text(max_size=80), st.integers(1, 20))
def test_every_piece_fits_and_no_character_is_lost(text, most):
    found = pieces(text, size=len, most=most)
    assert all(len(one.text) <= most for one in found)
    together = "".join(one.text + one.behind for one in found)
    assert repaired(together).replace(" ", "") == repaired(text).replace(" ", "")
