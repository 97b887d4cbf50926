"""Packed histories: every event is learnt once an epoch, rows are full, batches are as many as promised and none is empty."""

import numpy as np
import pytest

from tradewind.data.sessions import EMPTY, NO_TARGET, Packs, pack, pieces_of

START = 500


def packs(*, users: int = 3000, size: int = 1, seed: int = 0, longest: int = 12) -> tuple[Packs, np.ndarray]:
    random = np.random.default_rng(seed)
    lengths = random.integers(1, longest, users)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    item = random.integers(0, START, starts[-1]).astype(np.int32)
    pieces = pieces_of(starts, lengths, context=11)
    return Packs(item, np.ones(len(item), np.float32), pieces, start=START, length=32, size=size, seed=seed), item


@pytest.mark.parametrize("size", [1, 7])
def test_an_epoch_learns_every_event_once_in_as_many_batches_as_promised(size):
    made, item = packs(size=size)
    for epoch in range(8):
        batches = list(made.epoch(epoch))
        assert len(batches) == len(made)
        assert min(len(batch.target) for batch in batches) > 0
        assert sorted(np.concatenate([batch.target for batch in batches])) == sorted(item)


def test_what_is_read_is_what_came_before():
    made, _ = packs(size=4)
    batch = next(made.epoch(0))
    inside = (batch.places > 0) & (batch.segments != EMPTY)
    row, place = np.nonzero(inside)
    assert (batch.items[row, place] == batch.targets[row, place - 1]).all()
    assert (batch.segments[row, place] == batch.segments[row, place - 1]).all()
    assert (batch.items[(batch.places == 0)] == START).all()
    assert (batch.targets[batch.segments == EMPTY] == NO_TARGET).all()


def test_an_epoch_goes_on_in_its_middle():
    made, _ = packs(size=8)
    whole, rest = list(made.epoch(3)), list(made.epoch(3, start=5))
    assert [one.items.tolist() for one in whole[5:]] == [one.items.tolist() for one in rest]


def test_rows_are_nearly_full():
    count = np.random.default_rng(0).integers(1, 20, 2000)
    row, place, rows = pack(count, np.arange(2000), length=32)
    assert count.sum() > 0.97 * rows * 32
    assert (place + count).max() <= 32
    taken = np.concatenate([row[at] * 32 + place[at] + np.arange(count[at]) for at in range(2000)])
    assert len(np.unique(taken)) == count.sum()


def test_a_long_history_is_cut_from_its_end():
    pieces = pieces_of(np.array([0, 7]), np.array([7]), context=3)
    assert sorted(zip(pieces.start.tolist(), pieces.count.tolist(), strict=True)) == [(0, 1), (1, 3), (4, 3)]
