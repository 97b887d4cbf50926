from __future__ import annotations

import numpy as np

from tests.data.conftest import Prepare
from tests.data.test_clean import rejected, rules
from tradewind.data.duplicates import first_copies, near_copies, signatures

WORDS = [
    "the",
    "driver",
    "brought",
    "our",
    "food",
    "late",
    "and",
    "it",
    "was",
    "cold",
    "so",
    "nobody",
    "at",
    "the",
    "table",
    "wanted",
    "to",
    "eat",
    "any",
    "of",
    "it",
]
CHINESE = "第一次在这家店点外卖味道很好送餐员态度也不错包装完整份量十足下次还会再来推荐给大家尝一尝"


def test_the_first_copy_is_the_earliest_equal_row() -> None:
    hashes = np.array([7, 3, 7, 9, 3, 7], dtype=np.uint64)
    assert first_copies(hashes).tolist() == [0, 1, 0, 3, 1, 0]


def test_signatures_estimate_the_jaccard_similarity() -> None:
    one, other = "abcdefghijklmnopqrstuvwxyz" * 3, "abcdefghijklmnopqrstuvwxyz0123456789"
    sets = [{text[i : i + 4] for i in range(len(text) - 3)} for text in (one, other)]
    exact = len(sets[0] & sets[1]) / len(sets[0] | sets[1])
    first, second = signatures([one, other])
    assert abs(float((first == second).mean()) - exact) < 0.15


def test_near_texts_are_copies_and_different_ones_are_not() -> None:
    texts = [
        " ".join(WORDS),
        " ".join([*WORDS, "!"]).upper(),
        CHINESE,
        CHINESE + "哦",
        "something else entirely",
        None,
        None,
    ]
    others = np.zeros(len(texts), dtype=np.uint64)
    assert near_copies(signatures(texts), others, threshold=0.8).tolist() == [0, 0, 2, 2, 4, 5, 5]


def test_near_texts_with_other_inputs_are_no_copies() -> None:
    found = near_copies(signatures([CHINESE, CHINESE]), np.array([1, 2], dtype=np.uint64), threshold=0.8)
    assert found.tolist() == [0, 1]


def test_later_copies_are_dropped_with_the_line_of_the_first(make: Prepare) -> None:
    x = [*range(50), 0, 1]
    dataset = make({"x": [f"{value}.5" for value in x], "y": ["a", "b"] * 26})
    assert rules(dataset)["duplicate", ""] == 2
    assert [(row["line"], row["reason"].rpartition(":")[2]) for row in rejected(dataset)] == [(52, "2."), (53, "3.")]


def test_copies_that_are_kept_stay_on_one_side(make: Prepare) -> None:
    x = [f"{value % 40}.5" for value in range(400)]
    y = ["a" if value % 40 % 2 else "b" for value in range(400)]
    dataset = make({"x": x, "y": y}, clean={"duplicates": "keep"})
    seen = [set(dataset.raw(name)["x"].tolist()) for name in ("train", "validation", "test")]
    assert sum(map(len, seen)) == len(set.union(*seen)) == 40


def test_near_copies_are_dropped_when_asked(make: Prepare) -> None:
    random = np.random.default_rng(0)
    notes = [" ".join("".join(random.choice(list("abcdefgh"), 5)) for _ in range(12)) for _ in range(60)]
    dataset = make(
        {"note": [*notes, notes[0] + "!", notes[1].upper()], "y": ["a", "b"] * 31}, clean={"duplicates": "near"}
    )
    assert rules(dataset)["near_duplicate", ""] == 2


def test_a_row_of_the_test_file_is_dropped_from_train(make: Prepare) -> None:
    rows = {"x": [f"{value}.5" for value in range(60)], "y": ["a", "b"] * 30}
    dataset = make(rows, files={"test.csv": "x,y\n0.5,a\n0.5,a\n99.5,b\n"}, split={"test": "test.csv"})
    assert rules(dataset)["copy_across_splits", ""] == 1
    assert dataset.raw("test")["x"].tolist() == [0.5, 0.5, 99.5]
    assert 0.5 not in {*dataset.raw("train")["x"], *dataset.raw("validation")["x"]}


def test_conflicting_labels_are_counted_and_dropped_when_asked(make: Prepare) -> None:
    rows = {"x": [f"{value}.5" for value in range(60)] + ["0.5"], "y": ["a", "b"] * 30 + ["b"]}
    assert rules(make(rows))["label_conflict", ""] == 2
    dropped = make(rows, clean={"conflicts": "drop"})
    assert [row["line"] for row in rejected(dropped)] == [2, 62]
