"""What of a sample stands in the training text."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewind.evaluate import repetition as room
from tradewind.evaluate.repetition import Passage, Repetition, repetition


def passage(tokens, characters=1):
    return Passage(np.array(tokens, dtype=np.int64), np.full(len(tokens), characters, dtype=np.int64))


def brute(tokens, train, characters):
    """Tokens inside runs of 50 characters, and the length of the longest run, by looking everywhere."""
    text = [int(token) for token in train]
    inside, longest = set(), 0
    for at in range(len(tokens)):
        for place in range(len(text)):
            run = 0
            while at + run < len(tokens) and place + run < len(text) and tokens[at + run] == text[place + run]:
                run += 1
            longest = max(longest, run)
            if run * characters >= 50:
                inside |= set(range(at, at + run))
    return len(inside), longest


@settings(max_examples=40)
@given(
    sample=st.lists(st.integers(0, 3), max_size=40),
    train=st.lists(st.integers(0, 3), min_size=1, max_size=80),
    characters=st.sampled_from([1, 7, 10, 50]),
)
def test_equals_looking_everywhere(sample, train, characters):
    found = repetition([passage(sample, characters)], np.array(train, dtype=np.uint16))[0]
    assert (found.verbatim, found.longest) == brute(sample, train, characters)


def test_finds_what_was_copied_and_says_where():
    draw = np.random.default_rng(0)
    train = draw.integers(0, 500, 20_000).astype(np.uint16)
    sample = draw.integers(500, 900, 100)
    sample[20:50] = train[7000:7030]
    assert repetition([passage(sample, 2)], train) == [Repetition(100, 30, 20, 30, 60)]


def test_a_run_of_49_characters_is_no_copy():
    train = np.arange(1000)
    assert repetition([passage(range(100, 149))], train)[0].verbatim == 0
    assert repetition([passage(range(100, 150))], train)[0].verbatim == 50


def test_one_token_may_have_many_characters():
    widths = np.array([1, 60, 1], dtype=np.int64)
    found = repetition([Passage(np.array([7, 5, 6]), widths)], np.array([1, 5, 2]))[0]
    assert (found.verbatim, found.longest, found.characters) == (1, 1, 60)


def test_pieces_of_the_training_text_overlap(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(room, "_CHUNK", 64)
    train = np.random.default_rng(1).integers(0, 9, 1000)
    found = repetition([passage(train[30:130]), passage([9, 9, *train[62:68], 9])], train)
    assert [one.longest for one in found] == [100, 6]


def test_nothing_written_is_nothing_copied():
    assert repetition([passage([])], np.arange(10)) == [Repetition(0, 0, 0, 0, 0)]
    assert repetition([], np.arange(10)) == []
