from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewind.data.packed import Packed, Pairs
from tradewind.data.sequences import NO_TARGET, Conversations, Preferences, TokenBatch, Windows
from tradewind.errors import DataError


def running(tokens: int, *, mask: bool = False) -> Packed:
    """Tokens 1, 2, 3 … of two documents, so that a token tells its place."""
    learnt = (np.arange(tokens) % 3 == 0).astype(np.uint8) if mask else None
    starts = np.array([0, tokens // 2, tokens], dtype=np.int64)
    return Packed("train", np.arange(1, tokens + 1, dtype=np.uint16), starts, learnt, tokens)


def talks(*shapes: list[tuple[int, int]]) -> Packed:
    """Conversations of (tokens of a prompt, tokens of an answer)."""
    masks = [np.concatenate([[0] * asked + [1] * answered for asked, answered in shape]) for shape in shapes]
    starts = np.cumsum([0, *map(len, masks)])
    return Packed(
        "train", np.arange(1, starts[-1] + 1, dtype=np.uint16), starts, np.concatenate(masks).astype(np.uint8), 9
    )


def same(one: TokenBatch, other: TokenBatch) -> bool:
    return all(
        np.array_equal(a, b)
        for a, b in ((one.tokens, other.tokens), (one.targets, other.targets), (one.lengths, other.lengths))
    )


def targets(batches) -> list[int]:
    return [int(one) for batch in batches for one in batch.targets.ravel() if one != NO_TARGET]


# ---------------------------------------------------------------- windows


@given(tokens=st.integers(2, 60), length=st.integers(1, 70), size=st.integers(1, 7))
@settings(max_examples=200)
def test_in_order_every_token_is_a_target_exactly_once(tokens, length, size) -> None:
    windows = Windows(running(tokens), length=length, size=size, shuffle=False)
    batches = list(windows.epoch(0))
    assert targets(batches) == list(range(1, tokens + 1))
    assert len(batches) == len(windows)


@given(tokens=st.integers(2, 60), length=st.integers(1, 20), size=st.integers(1, 5), shuffle=st.booleans())
@settings(max_examples=200)
def test_a_target_is_the_token_behind_its_input(tokens, length, size, shuffle) -> None:
    for batch in Windows(running(tokens), length=length, size=size, steps=3, shuffle=shuffle).epoch(1):
        for row, count in enumerate(batch.lengths.tolist()):
            before, after = batch.tokens[row, :count], batch.targets[row, :count]
            assert ((after - before == 1) | ((after == 1) & (before == tokens))).all()
            assert (batch.targets[row, count:] == NO_TARGET).all()


def test_the_first_token_is_told_from_the_end_of_a_text() -> None:
    first = next(Windows(running(10), length=4, size=1, shuffle=False).epoch(0))
    assert first.tokens.tolist() == [[10, 1, 2, 3]]
    assert first.targets.tolist() == [[1, 2, 3, 4]]


def test_random_windows_reach_every_token() -> None:
    windows = Windows(running(30), length=7, size=8, steps=40, seed=3, shuffle=True)
    assert set(targets(windows.epoch(0))) == set(range(1, 31))


def test_an_epoch_has_as_many_batches_as_steps() -> None:
    windows = Windows(running(30), length=7, size=8, steps=5, shuffle=True)
    assert [batch.tokens.shape for batch in windows.epoch(0)] == [(8, 7)] * 5


@given(seed=st.integers(0, 9), epoch=st.integers(0, 9), start=st.integers(0, 6))
@settings(max_examples=60)
def test_windows_that_resume_are_those_without_a_break(seed, epoch, start) -> None:
    whole = list(Windows(running(50), length=6, size=3, steps=6, seed=seed, shuffle=True).epoch(epoch))
    rest = list(Windows(running(50), length=6, size=3, steps=6, seed=seed, shuffle=True).epoch(epoch, start))
    assert len(rest) == 6 - start
    assert all(map(same, whole[start:], rest))


def test_another_epoch_or_seed_gives_other_windows() -> None:
    def first(seed: int, epoch: int) -> list[list[int]]:
        windows = Windows(running(5000), length=6, size=3, steps=1, seed=seed, shuffle=True)
        return next(windows.epoch(epoch)).tokens.tolist()

    assert first(0, 0) != first(0, 1)
    assert first(0, 0) != first(1, 0)


def test_masked_tokens_are_no_targets() -> None:
    windows = Windows(running(30, mask=True), length=7, size=2, shuffle=False)
    assert targets(windows.epoch(0)) == list(range(1, 31, 3))


def test_a_split_without_tokens_is_one_error() -> None:
    empty = Packed("test", np.empty(0, np.uint16), np.array([0]), None, 0)
    with pytest.raises(DataError) as caught:
        Windows(empty, length=4, size=1, shuffle=False)
    assert caught.value.code == "data.split_empty"


# ---------------------------------------------------------------- conversations


shapes = st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), min_size=1, max_size=3)


@given(many=st.lists(shapes, min_size=1, max_size=8), size=st.integers(1, 4), shuffle=st.booleans())
@settings(max_examples=150)
def test_where_all_fit_each_learnt_token_is_a_target_once(many, size, shuffle) -> None:
    packed = talks(*many)
    learnt = packed.tokens[packed.mask == 1].tolist()
    assert sorted(targets(Conversations(packed, length=64, size=size, shuffle=shuffle).epoch(0))) == learnt


@given(many=st.lists(shapes, min_size=1, max_size=8), length=st.integers(1, 12))
@settings(max_examples=150)
def test_a_long_conversation_loses_its_beginning_and_never_a_part_of_its_last_answer(many, length) -> None:
    packed = talks(*many)
    try:
        conversations = Conversations(packed, length=length, size=1, shuffle=False)
    except DataError:
        assert all(shape[-1][1] > length for shape in many)
        return
    batches = list(conversations.epoch(0))
    assert len(batches) == len(many) - conversations.left_out
    for batch in batches:
        row = int(batch.rows[0])
        last = packed.tokens[packed.starts[row + 1] - many[row][-1][1] : packed.starts[row + 1]].tolist()
        assert targets([batch])[-len(last) :] == last
        assert batch.tokens.shape[1] <= length
    whole = np.diff(packed.starts)[[int(batch.rows[0]) for batch in batches]]
    assert conversations.shortened == int((whole > length + 1).sum())


def test_conversations_that_resume_are_those_without_a_break() -> None:
    packed = talks(*[[(1 + place % 5, 1 + place % 3)] for place in range(40)])
    source = Conversations(packed, length=16, size=4, seed=2, shuffle=True)
    whole = list(source.epoch(3))
    assert all(map(same, whole[4:], source.epoch(3, 4)))
    assert len(whole) == len(source)


def test_batches_of_a_shuffled_epoch_hold_like_lengths() -> None:
    packed = talks(*[[(1 + 10 * (place % 2), 2)] for place in range(40)])
    for batch in Conversations(packed, length=64, size=4, shuffle=True).epoch(0):
        assert len(set(batch.lengths.tolist())) == 1


def test_a_conversation_without_an_answer_is_left_out() -> None:
    conversations = Conversations(talks([(3, 0)], [(3, 2)]), length=16, size=2, shuffle=False)
    assert conversations.left_out == 1
    assert [batch.rows.tolist() for batch in conversations.epoch(0)] == [[1]]


def test_a_split_of_which_nothing_is_learnt_is_refused() -> None:
    with pytest.raises(DataError) as caught:
        Conversations(talks([(3, 0)], [(4, 0)]), length=16, size=2, shuffle=False)
    assert caught.value.code == "data.nothing_supervised"


def test_a_batch_is_what_the_loop_asks_for() -> None:
    batch = next(Conversations(talks([(3, 2)], [(2, 2)]), length=16, size=2, shuffle=False).epoch(0))
    assert (len(batch), len(batch.target), batch.weight, batch.mixup) == (2, 2, None, None)
    assert set(batch.inputs) == {"tokens", "lengths"}
    assert batch.learnt == 4


# ---------------------------------------------------------------- preferences


def test_rows_of_a_pair_belong_together() -> None:
    chosen, rejected = talks([(3, 2)], [(2, 4)], [(5, 1)]), talks([(3, 4)], [(2, 1)], [(5, 2)])
    for batch in Preferences(Pairs(chosen, rejected), length=16, size=2, seed=1, shuffle=True).epoch(0):
        better, worse = batch
        assert better.rows.tolist() == worse.rows.tolist()
        assert len(batch) == len(batch.target) == len(better)


def test_a_pair_of_which_one_answer_is_too_long_is_left_out_whole() -> None:
    chosen, rejected = talks([(3, 2)], [(3, 2)]), talks([(3, 2)], [(3, 30)])
    preferences = Preferences(Pairs(chosen, rejected), length=8, size=2, shuffle=False)
    assert (preferences.left_out, preferences.shortened) == (1, 0)
    assert Preferences(Pairs(talks([(9, 2)]), talks([(3, 2)])), length=8, size=2, shuffle=False).shortened == 1
    assert [batch.chosen.rows.tolist() for batch in preferences.epoch(0)] == [[0]]


def test_preferences_that_resume_are_those_without_a_break() -> None:
    one = talks(*[[(1 + place % 4, 2)] for place in range(20)])
    source = Preferences(Pairs(one, one), length=16, size=3, seed=5, shuffle=True)
    assert all(same(a.rejected, b.rejected) for a, b in zip(list(source.epoch(1))[3:], source.epoch(1, 3), strict=True))
