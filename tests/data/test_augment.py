from __future__ import annotations

import numpy as np
import pytest

from tests.data.conftest import Prepare
from tradewind.data.augment import Augmenter, build_augment, drop_and_swap, noisy_text
from tradewind.data.batches import Batches
from tradewind.product import Augment, NumberAugment, TextAugment

TOKENS = np.array([[1, 2, 3, 4, 5, 6], [7, 8, 9, 0, 0, 0], [0, 0, 0, 0, 0, 0]])


def test_swapping_keeps_the_tokens_and_the_padding() -> None:
    swapped = drop_and_swap(TOKENS, drop=0, swap=0.9, random=np.random.default_rng(0))
    assert not np.array_equal(swapped, TOKENS)
    np.testing.assert_array_equal(np.sort(swapped[1, :3]), [7, 8, 9])
    np.testing.assert_array_equal(swapped == 0, TOKENS == 0)


def test_dropping_closes_up_and_leaves_at_least_one() -> None:
    dropped = drop_and_swap(TOKENS, drop=0.99, swap=0, random=np.random.default_rng(0))
    assert (dropped[:2, 0] != 0).all()
    filled = dropped != 0
    assert (filled[:, :-1] >= filled[:, 1:]).all()


def test_about_the_asked_share_is_dropped() -> None:
    tokens = np.ones((200, 100), dtype=np.int64)
    dropped = drop_and_swap(tokens, drop=0.3, swap=0, random=np.random.default_rng(0))
    assert 0.28 < (dropped == 0).mean() < 0.32


@pytest.mark.parametrize("text", ["很快，好吃，味道足，量大", "the food was good", "好"])
def test_character_noise_invents_no_letter_and_leaves_something(text: str) -> None:
    random = np.random.default_rng(0)
    noisy = [noisy_text(text, 0.3, random) for _ in range(50)]
    assert all(one and set(one) <= set(text) for one in noisy)
    assert len(text) == 1 or len(set(noisy)) > 5


def test_nothing_to_do_is_no_augmenter(make: Prepare) -> None:
    dataset = make({"x": [f"{value}.5" for value in range(60)], "y": ["a", "b"] * 30})
    assert build_augment(Augment(), dataset.features) is None


def test_noise_goes_to_numbers_but_not_to_their_flags(make: Prepare) -> None:
    x = ["" if value % 6 == 0 else f"{value}.5" for value in range(120)]
    dataset = make({"x": x, "y": ["a", "b"] * 60}, clean={"duplicates": "keep"})
    split = dataset.split("train")
    augment = build_augment(Augment(number=NumberAugment(noise=0.1)), dataset.features)
    [batch] = Batches(split, size=1000, seed=0, shuffle=False, augment=augment).epoch(0)
    change = batch.inputs["numbers"] - split.arrays["numbers"]
    assert 0.05 < change[:, 0].std() < 0.15
    assert (change[:, 1] == 0).all()


def test_character_noise_reads_the_raw_text_anew(make: Prepare) -> None:
    notes = [f"第{value}单味道很好下次还会再来点餐" for value in range(60)]
    dataset = make({"note": notes, "y": ["a", "b"] * 30})
    split = dataset.split("train")
    augment = build_augment(Augment(text=TextAugment(noise=0.3)), dataset.features, raw=split.raw_column)
    one, other = (next(Batches(split, size=8, seed=0, shuffle=False, augment=augment).epoch(n)) for n in (0, 1))
    assert not np.array_equal(one.inputs["tokens:note"], other.inputs["tokens:note"])


def test_mixup_pairs_rows_and_keeps_each_mostly_itself() -> None:
    mixup = Augmenter(mixup_beta=0.4).mixup(16, np.random.default_rng(0))
    assert mixup is not None
    assert 0.5 <= mixup.share <= 1
    assert sorted(mixup.partner.tolist()) == list(range(16))
