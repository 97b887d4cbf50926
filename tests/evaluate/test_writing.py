"""Figures of writing: measures of two texts against references by hand, and each job beside what anybody could do."""

import math

import numpy as np
import pytest

from tradewind.evaluate.witness import SplitLosses, Witness, Written, read_witness, write_witness
from tradewind.evaluate.writing import chrf, distance, first_sentence, rouge_l, writing_figures
from tradewind.product import Evaluate

SETTINGS = Evaluate(bootstrap=50)


@pytest.mark.parametrize(
    ("said", "reference", "expected"),
    [
        ("the cat sat", "the cat sat", 1.0),
        ("the cat sat on the mat", "the mat", 2 * 2 / 8),
        ("Cat, the!", "the cat", 2 * 1 / 4),
        ("宁波的台灯", "宁波台灯", 2 * 4 / 9),
        ("", "the cat", 0.0),
    ],
)
def test_rouge_l_counts_words_in_order_and_chinese_by_character(said, reference, expected):
    assert rouge_l(said, reference) == pytest.approx(expected)


def test_chrf_is_the_f2_of_runs_of_characters():
    assert chrf("a lamp", "a lamp") == 1.0
    assert chrf("xyz", "abc") == 0.0
    # Orders 1 and 2 alone: precision (2/2 + 1/1) / 2, recall (2/3 + 1/2) / 2 and no order 3 in both.
    precision, recall = 1.0, (2 / 3 + 1 / 2) / 2
    assert chrf("ab", "abc") == pytest.approx(5 * precision * recall / (4 * precision + recall))


@pytest.mark.parametrize(
    ("said", "reference", "changes"), [("kitten", "sitting", 3), ("", "abc", 3), ("abc", "abc", 0), ("灯", "台灯", 1)]
)
def test_distance_is_levenshteins_per_character_of_the_reference(said, reference, changes):
    assert distance(said, reference) == pytest.approx(changes / len(reference))


def test_each_job_stands_beside_what_anybody_could_do():
    written = [
        Written("title", "A lamp of brass. It is old.", "The brass lamp", "The brass lamp"),
        Written("title", "A lamp of oak. It is old.", "The oak lamp", "A lamp of oak."),
        Written("rewrite", "the lamp is old", "The lamp is old.", "The lamp is old."),
        Written("continue", "The lamp", "is old.", nats=7 * math.log(2), baseline_nats=14 * math.log(2)),
    ]
    found = writing_figures(written, SETTINGS)
    alone = rouge_l(first_sentence(written[1].prompt), "The oak lamp")
    assert found["title_rouge_l"].value == pytest.approx((1 + alone) / 2)
    assert found["title_rouge_l_lead"].value == pytest.approx((1 - rouge_l("A lamp of brass.", "The brass lamp")) / 2)
    assert found["rewrite_distance"].value == 0
    assert found["rewrite_gain"].value == pytest.approx(2 / 16)
    assert found["continue_bits_per_byte"].value == pytest.approx(1.0)
    assert found["continue_lead"].value == pytest.approx(1.0)
    assert set(writing_figures(written[:2], SETTINGS)) == {"title_rouge_l", "title_rouge_l_lead", "title_chrf"}


def test_the_witness_comes_back_as_it_was(tmp_path):

    losses = {"test": SplitLosses(np.array([0, 0]), np.array([4.0]), {"model": np.array([1.0, 2.0], np.float32)})}
    witness = Witness(losses, written=(Written("title", "a", "b", "c", 1.5, 2.5),))
    write_witness(witness, tmp_path)
    assert read_witness(tmp_path).written == witness.written
    assert read_witness(tmp_path).digest() == witness.digest()
