"""Histories packed into rows: each event is a target once, nothing is torn apart, and hardly a place stays empty."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tradewind.data.sessions import EMPTY, NO_TARGET, Packs, pack, pieces_of


def of(
    lengths: list[int], *, context: int = 8, length: int = 16, size: int = 3, seed: int = 0
) -> tuple[np.ndarray, Packs]:
    starts = np.concatenate([[0], np.cumsum(lengths)])
    item = np.arange(starts[-1], dtype=np.int32)
    pieces = pieces_of(starts, np.array(lengths), context=context)
    return item, Packs(
        item, np.ones(len(item), np.float32), pieces, start=len(item), length=length, size=size, seed=seed
    )


@given(st.lists(st.integers(1, 16), min_size=1, max_size=60), st.integers(0, 5))
def test_pieces_lie_whole_and_apart(counts, seed):
    counts = np.array(counts)
    row, place, rows = pack(counts, np.random.default_rng(seed).permutation(len(counts)), length=16)
    taken = np.zeros((rows, 16), int)
    for at, count in enumerate(counts):
        assert place[at] + count <= 16
        taken[row[at], place[at] : place[at] + count] += 1
    assert taken.max() == 1


@given(st.lists(st.integers(1, 30), min_size=1, max_size=40), st.integers(0, 3))
def test_each_event_is_a_target_once_in_every_epoch(lengths, epoch):
    item, packs = of(lengths)
    batches = list(packs.epoch(epoch))
    assert len(batches) == len(packs)
    targets = np.concatenate([batch.target for batch in batches])
    assert sorted(targets.tolist()) == item.tolist()


def test_what_is_read_is_the_event_before_or_a_start():
    item, packs = of([5, 9, 3, 12])
    first = {0, 5, 6, 14, 17, 21}  # where histories begin, and the latest parts of those longer than is seen
    for batch in packs.epoch(0):
        there = batch.targets != NO_TARGET
        target, read = batch.targets[there], batch.items[there]
        began = read == len(item)
        assert (read[~began] == target[~began] - 1).all()
        assert set(target[began].tolist()) <= first
        assert (batch.segments[~there] == EMPTY).all()


def test_the_latest_part_of_a_long_history_is_whole():
    pieces = pieces_of(np.array([0, 19]), np.array([19]), context=8)
    assert sorted(zip(pieces.start.tolist(), pieces.count.tolist(), strict=True)) == [(0, 3), (3, 8), (11, 8)]


def test_rows_are_nearly_full():
    random = np.random.default_rng(0)
    _, packs = of(random.geometric(0.12, 3000).clip(1, 50).tolist(), context=50, length=64, size=16)
    batches = list(packs.epoch(0))
    assert np.mean([(batch.segments != EMPTY).mean() for batch in batches]) > 0.97


def test_epochs_differ_and_come_again():
    _, packs = of([5, 9, 3, 12, 7, 7, 2, 8])
    same = [[batch.items.tolist() for batch in packs.epoch(1)] for _ in range(2)]
    assert same[0] == same[1]
    assert [batch.items.tolist() for batch in packs.epoch(0)] != same[0]
    assert [batch.items.tolist() for batch in packs.epoch(1, 1)] == same[0][1:]
