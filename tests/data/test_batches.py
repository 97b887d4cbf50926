from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tradewind.data.arrays import Ragged
from tradewind.data.augment import Augmenter
from tradewind.data.batches import Batch, Batches
from tradewind.data.dataset import Split

ROWS = 103


def split_of(rows: int = ROWS, *, text: bool = False) -> Split:
    """Row b has the number b; its tokens are b + 1, repeated b % 7 times."""
    numbers = np.arange(rows, dtype=np.float32)[:, None]
    lengths = np.arange(rows) % 7
    ragged = {
        "tokens:t": Ragged(np.repeat(np.arange(1, rows + 1, dtype=np.int32), lengths), np.r_[0, np.cumsum(lengths)])
    }
    arrays: dict[str, Any] = {"numbers": numbers, "categories": numbers.astype(np.int32)}
    target = (np.arange(rows) % 10 == 0).astype(np.int64)
    return Split("train", rows, arrays, ragged if text else {}, target, np.ones(rows, np.float32), (Path(),))


def seen(batches: list[Batch]) -> list[int]:
    return [int(row) for batch in batches for row in batch.inputs["numbers"][:, 0]]


def test_an_epoch_holds_each_row_once() -> None:
    batches = list(Batches(split_of(), size=16, seed=0, shuffle=True).epoch(0))
    assert sorted(seen(batches)) == list(range(ROWS))


def test_order_depends_on_seed_and_epoch_only() -> None:
    batches = Batches(split_of(text=True), size=16, seed=3, shuffle=True)
    again = Batches(split_of(text=True), size=16, seed=3, shuffle=True)
    other = Batches(split_of(text=True), size=16, seed=4, shuffle=True)
    assert seen(list(batches.epoch(1))) == seen(list(again.epoch(1)))
    assert seen(list(batches.epoch(1))) != seen(list(batches.epoch(2)))
    assert seen(list(batches.epoch(1))) != seen(list(other.epoch(1)))


def test_a_resumed_epoch_goes_on_where_it_stopped() -> None:
    augment = Augmenter(mixup_beta=0.4)
    batches = Batches(split_of(text=True), size=16, seed=0, shuffle=True, augment=augment)
    for whole, resumed in zip(list(batches.epoch(5))[3:], batches.epoch(5, start=3), strict=True):
        np.testing.assert_array_equal(whole.rows, resumed.rows)
        assert whole.mixup is not None
        assert resumed.mixup is not None
        assert whole.mixup.share == resumed.mixup.share
        np.testing.assert_array_equal(whole.mixup.partner, resumed.mixup.partner)


def test_without_shuffle_rows_keep_their_order() -> None:
    batches = list(Batches(split_of(text=True), size=16, seed=0, shuffle=False).epoch(0))
    assert seen(batches) == list(range(ROWS))


@pytest.mark.parametrize("text", [False, True])
def test_ranks_share_an_epoch_in_equally_many_batches(text: bool) -> None:
    ranks = [Batches(split_of(text=text), size=16, seed=0, shuffle=True, rank=rank, world=3) for rank in range(3)]
    shares = [list(batches.epoch(0)) for batches in ranks]
    assert {len(share) for share in shares} == {len(batches) for batches in ranks} == {3}
    assert set().union(*(seen(share) for share in shares)) == set(range(ROWS))


def test_ranks_that_measure_see_each_row_once() -> None:
    ranks = [Batches(split_of(), size=16, seed=0, shuffle=False, rank=rank, world=3) for rank in range(3)]
    assert sorted(row for batches in ranks for row in seen(list(batches.epoch(0)))) == list(range(ROWS))
    assert [len(list(batches.epoch(0))) for batches in ranks] == [len(batches) for batches in ranks]


def test_texts_are_padded_to_the_longest_of_the_batch_and_buckets_save_padding() -> None:
    split = split_of(5000, text=True)
    bucketed = list(Batches(split, size=32, seed=0, shuffle=True).epoch(0))
    plain = list(Batches(split, size=32, seed=0, shuffle=True, buckets=False).epoch(0))
    for batch in bucketed[:5]:
        tokens, row = batch.inputs["tokens:t"], batch.rows[0]
        assert tokens.shape[1] == max(1, int((batch.rows % 7).max()))
        assert tokens[0].tolist() == [row + 1] * (row % 7) + [0] * (tokens.shape[1] - row % 7)
    assert sum(b.inputs["tokens:t"].size for b in bucketed) < 0.7 * sum(b.inputs["tokens:t"].size for b in plain)


def test_a_batch_has_the_types_that_a_model_takes_and_may_be_written_to() -> None:
    batch = next(Batches(split_of(text=True), size=16, seed=0, shuffle=True).epoch(0))
    types = {name: array.dtype.name for name, array in batch.inputs.items()}
    assert types == {"numbers": "float32", "categories": "int64", "tokens:t": "int64"}
    batch.inputs["numbers"][0] = 1


def test_oversampling_draws_rare_classes_as_often() -> None:
    batches = Batches(split_of(2000), size=100, seed=0, shuffle=True, augment=Augmenter(oversample=True))
    target = np.concatenate([batch.target for batch in batches.epoch(0)])
    assert len(target) == 2000
    assert 0.4 < target.mean() < 0.6


def test_undersampling_draws_equally_many_rows_of_a_class_and_others_each_time() -> None:
    split = split_of(2000)
    common = int((split.target == 0).sum())
    batches = Batches(split, size=100, seed=0, shuffle=True, kept=(0.25, 1.0))
    epochs = [np.concatenate([batch.rows for batch in batches.epoch(n)]) for n in range(12)]
    for rows in epochs:
        assert np.bincount(split.target[rows]).tolist() == [round(common / 4), 2000 - common]
        assert len(set(rows.tolist())) == len(rows)
    assert len(list(batches.epoch(0))) == len(batches)
    assert len(set(np.concatenate(epochs).tolist())) > 0.95 * 2000
    again = Batches(split, size=100, seed=0, shuffle=True, kept=(0.25, 1.0)).epoch(3, 2)
    assert [batch.rows.tolist() for batch in again] == [
        epochs[3][at : at + 100].tolist() for at in range(200, len(epochs[3]), 100)
    ]


def test_two_splits_joined_hold_the_rows_of_both_in_order() -> None:
    first, second = split_of(5, text=True), split_of(9, text=True)
    both = first.joined(second)
    assert both.rows == len(both.target) == len(both.weight if both.weight is not None else ()) == 14
    assert both.arrays["numbers"][:, 0].tolist() == [*range(5), *range(9)]
    rows = np.arange(14)
    expected = [first.ragged["tokens:t"].pad(rows[b : b + 1]) for b in range(5)]
    expected += [second.ragged["tokens:t"].pad(rows[b : b + 1]) for b in range(9)]
    for row, one in zip(rows, expected, strict=True):
        assert both.ragged["tokens:t"].pad(rows[row : row + 1]).tolist() == one.tolist()
