"""Search by words: against the formula written out, and what changes against what is built anew."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engines.knowledge import documents_of, write
from tradewind.engines.bm25 import FixedPostings, LivePostings, first, score, weights
from tradewind.errors import ArtifactError
from tradewind.features.terms import terms

words = st.lists(st.sampled_from(["ab", "bc", "cd", "de", "ef", "fg", "gh"]), min_size=1, max_size=12)


def by_hand(query, documents, *, k1=1.2, b=0.75):
    """BM25 as the paper has it, term by term, document by document."""
    average = sum(map(len, documents)) / len(documents)
    found = []
    for document in documents:
        held, total = Counter(document), 0.0
        for term in query:
            n = sum(term in other for other in documents)
            idf = math.log(1 + (len(documents) - n + 0.5) / (n + 0.5))
            c = held[term]
            total += idf * c * (k1 + 1) / (c + k1 * (1 - b + b * len(document) / average))
        found.append(total)
    return found


def live(documents):
    part = LivePostings()
    for document in documents:
        part.add(document)
    return part


@given(words, st.lists(words, min_size=1, max_size=8))
def test_scores_are_those_of_the_formula(query, documents):
    (found,) = score([live(documents)], query)
    assert found == pytest.approx(by_hand(query, documents), rel=1e-5, abs=1e-6)


@given(words, st.lists(words, min_size=1, max_size=5), st.lists(words, min_size=1, max_size=5))
def test_two_parts_are_weighed_as_one(query, first, second):
    parts = score([live(first), live(second)], query)
    assert np.concatenate(parts) == pytest.approx(by_hand(query, first + second), rel=1e-5, abs=1e-6)


@given(words, st.lists(words, min_size=2, max_size=8), st.data())
def test_what_was_removed_leaves_no_trace(query, documents, data):
    part, rows = LivePostings(), []
    for document in documents:
        rows.append(part.add(document))
    gone = data.draw(st.sets(st.integers(0, len(documents) - 1), max_size=len(documents) - 1))
    for place in gone:
        part.remove(rows[place])
    left = [place for place in range(len(documents)) if place not in gone]
    (found,) = score([part], query)
    assert found[[rows[place] for place in left]] == pytest.approx(
        by_hand(query, [documents[place] for place in left]), rel=1e-5, abs=1e-6
    )
    assert (part.passages, part.tokens) == (len(left), sum(len(documents[place]) for place in left))


def test_a_removed_row_is_used_again_and_says_only_what_is_new():
    part = LivePostings()
    row = part.add(["old"])
    part.remove(row)
    assert part.add(["new"]) == row
    assert (part.holders("old"), part.holders("new")) == (0, 1)


def test_the_written_index_scores_as_the_living_one(tmp_path):
    texts = ["Refunds take five days", "A refund goes to your card", "Cards are sent by post", "退款需要五天"]
    fixed = FixedPostings(write(tmp_path, documents_of(*texts)))
    query = terms("refund to my card 退款")
    assert score([fixed], query)[0] == pytest.approx(score([live([terms(text) for text in texts])], query)[0], rel=1e-6)


def test_a_rare_word_weighs_more_than_a_common_one():
    part = live([["common"], ["common", "rare"], ["common"]])
    found = weights([part], ["common", "rare", "never"])
    assert found["never"] > found["rare"] > found["common"] > 0


@given(
    seed=st.integers(0, 9999), passages=st.integers(1, 300), most=st.integers(1, 20), asked=st.integers(1, 8), filtered=st.booleans()
)  # fmt: skip
def test_the_first_are_those_of_all_scores_to_the_last_bit(seed, passages, most, asked, filtered):
    """Terms as unlike in number as in a language: most passages hold the first, few the last."""
    random = np.random.default_rng(seed)
    documents = [[f"t{one}" for one in random.geometric(0.25, random.integers(1, 30))] for _ in range(passages)]
    query = [f"t{one}" for one in random.integers(1, 14, asked)]
    part = live(documents)
    kept = random.random(passages) < 0.5 if filtered else None
    (scores,) = score([part], query)
    right = np.where(kept, scores, 0) if filtered else scores
    ((rows, found),) = first([part], query, most, kept=[kept])
    assert found.tolist() == right[rows].tolist()
    expected = [row for row in np.lexsort((np.arange(passages), -right))[:most] if right[row] > 0]
    assert rows[np.lexsort((rows, -found))[:most]].tolist() == expected


def test_common_terms_are_counted_for_few_rows(tmp_path):
    lost = np.random.default_rng(0).random(2000) < 0.02
    texts = [
        "the lost passport of the card" if one else f"the card of number{row % 40} the" for row, one in enumerate(lost)
    ]
    fixed = FixedPostings(write(tmp_path, documents_of(*texts)))
    query = terms("the lost passport of the card")
    ((rows, found),) = first([fixed], query, 20, kept=[None])
    (scores,) = score([fixed], query)
    assert len(rows) < 100
    assert found.tolist() == scores[rows].tolist()
    assert set(np.argsort(-scores, kind="stable")[:20].tolist()) <= set(rows.tolist())


def test_nothing_to_search_gives_nothing():
    assert [len(scores) for scores in score([LivePostings()], ["a"])] == [0]


def test_a_broken_index_is_no_index(tmp_path):
    folder = write(tmp_path, documents_of("one two", "two three"))
    (folder / "terms.txt").write_text("one\n")
    with pytest.raises(ArtifactError, match="does not fit its terms"):
        FixedPostings(folder)
