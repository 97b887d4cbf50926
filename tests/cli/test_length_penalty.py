"""The length penalty of a translator is the best on validation, and the usual one where that is not sure."""

from types import SimpleNamespace

import pytest

from tradewind.cli.length_penalty import PENALTIES, choose_penalty
from tradewind.engines.ctranslate import Hypothesis

WORDS = ["one", "two", "three", "four", "five", "six", "seven"]


class Search:
    """Finds two translations of each text, a short and a long one; by penalties above 1.3 or so the long one is taken."""

    facts = SimpleNamespace(target="en")
    tokenizer = SimpleNamespace(decode=lambda ids: " ".join(WORDS[one] for one in ids))

    def __init__(self, right):
        self.right = right
        self.asked = 0

    def is_one_piece(self, text):
        return not text.startswith("long")

    def hypotheses(self, texts, *, beams):
        self.asked += len(texts)
        short, long = (0, 1, 2, 3, 4), (0, 1, 2, 3, 4, 5, 6)
        return [[Hypothesis(short, -3.0, 6), Hypothesis(long, -4.4, 8)] for _ in texts]

    def pairs(self, count):
        """References that are right in the long translation as often as `right` says."""
        whole, half = " ".join(WORDS[:7]), " ".join(WORDS[:5])
        return [(f"text {row}", whole if 37 * row % 100 < 100 * self.right else half) for row in range(count)]


def chosen(search, count=200, beams=4):
    return choose_penalty(search, search.pairs(count), beams=beams, seed=1)


def test_longer_translations_are_taken_where_they_are_right():
    found = chosen(Search(0.9))
    assert found.value > 1.2
    assert found.bleu[found.value] == max(found.bleu.values()) > found.bleu[1.0]
    assert set(found.bleu) == set(PENALTIES)


@pytest.mark.parametrize("right", [0.0, 0.1])
def test_the_usual_penalty_stays_where_nothing_is_won(right):
    assert chosen(Search(right)).value == 1.0


def test_a_lead_within_the_noise_is_none():
    found = chosen(Search(0.5), count=40)
    assert found.bleu[2.0] > found.bleu[1.0]
    assert found.value == 1.0


@pytest.mark.parametrize(("count", "beams"), [(29, 4), (200, 1)])
def test_few_pairs_and_one_beam_leave_no_choice(count, beams):
    search = Search(0.9)
    assert (chosen(search, count, beams).value, search.asked) == (1.0, 0)


def test_texts_that_would_be_cut_are_not_asked():
    search = Search(0.9)
    choose_penalty(search, [*search.pairs(50), *[("long text", "one")] * 50], beams=4, seed=1)
    assert search.asked == 50
