"""A knowledge base and a customer's documents searched as one."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engines.knowledge import documents_of, knowledge_of, write
from tradewind.engines.retrieval import Blend, Filters, Knowledge
from tradewind.engines.retrieval_order import Part, candidates
from tradewind.engines.vectors import LiveVectors, best
from tradewind.errors import ArtifactError
from tradewind.features.passages import Document, Passage, pair

TEXTS = (
    "Refunds go to your card within five days.",
    "Express delivery costs nine euros and takes one day.",
    "Your address is changed under profile, then addresses.",
    "退款会在五天内退回到您的银行卡。",
    "修改收货地址请进入个人中心。",
)


@pytest.fixture(scope="module")
def knowledge(tmp_path_factory):
    return knowledge_of(tmp_path_factory.mktemp("knowledge"), *TEXTS)


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("How long does a refund take?", "d0"),
        ("express price delivered", "d1"),
        ("退款多久到账", "d3"),
        ("怎么改地址", "d4"),
    ],
)
def test_a_question_finds_its_passage(knowledge, query, name):
    assert knowledge.search(query)[0].document == name


def test_a_hit_says_where_it_stands(tmp_path):
    passage = Passage("Ask the desk.", "Returns › Refunds", line=12, last=14)
    document = Document("policy", "kb/policy.md", (passage,), "en", ("returns",), "Policy")
    (hit,) = Knowledge(write(tmp_path, [document])).search("desk")
    assert (hit.source, hit.heading, hit.line, hit.last, hit.tags) == (
        "kb/policy.md", "Returns › Refunds", 12, 14, ("returns",)
    )  # fmt: skip
    assert json.loads(json.dumps(hit.to_json()))["title"] == "Policy"


def test_a_foreign_question_finds_nothing(knowledge):
    assert knowledge.search("zyx wvu") == []


def test_scores_fall_and_lie_between_0_and_1(knowledge):
    scores = [hit.score for hit in knowledge.search("refund to the card by express", k=5)]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < one <= 1 for one in scores)


def test_who_is_first_in_both_orders_has_the_score_1(knowledge):
    assert knowledge.search(TEXTS[1])[0].score == pytest.approx(1)


def test_the_same_words_give_more_confidence_than_some_of_them(knowledge):
    full, some = knowledge.search(TEXTS[0])[0], knowledge.search("card of my grandmother's neighbour")[0]
    assert full.coverage == pytest.approx(1)
    assert full.confidence > some.confidence


def test_filters_leave_out(tmp_path):
    documents = [
        Document("a", "a", (Passage("refund one"),), "en", ("x", "y")),
        Document("b", "b", (Passage("refund two"),), "de", ("x",)),
        Document("c", "c", (Passage("refund three"),), "en"),
    ]
    knowledge = Knowledge(write(tmp_path, documents))

    def found(**filters):
        return {hit.document for hit in knowledge.search("refund", filters=Filters(**filters))}

    assert found() == {"a", "b", "c"}
    assert found(tags=("x",)) == {"a", "b"}
    assert found(tags=("x", "y")) == {"a"}
    assert found(languages=("en",)) == {"a", "c"}
    assert found(documents=("b", "c"), languages=("de",)) == {"b"}
    assert found(tags=("none",)) == set()


def test_own_documents_are_found_beside_the_release_and_by_nobody_else(knowledge):
    mine, others = knowledge.own(), knowledge.own()
    mine.put(Document("mine", "mine", (pair("When are you open?", "From nine to five."),)))
    (hit, *_) = knowledge.search("opening hours: when open?", own=mine)
    assert (hit.document, hit.own, hit.question) == ("mine", True, "When are you open?")
    assert all(hit.document != "mine" for hit in knowledge.search("when open?", own=others))
    assert all(hit.document != "mine" for hit in knowledge.search("when open?"))


def test_a_document_is_replaced_and_removed(knowledge):
    own = knowledge.own()
    own.put(Document("a", "a", (Passage("lamps"), Passage("bulbs"))))
    own.put(Document("a", "a", (Passage("chairs"),)))
    assert (own.names, own.passages) == (("a",), 1)
    assert knowledge.search("lamps", own=own) == []
    assert own.remove("a")
    assert not own.remove("a")
    assert knowledge.search("chairs", own=own) == []


@given(
    st.lists(st.tuples(st.sampled_from("pqrs"), st.sampled_from(TEXTS), st.booleans()), max_size=10),
    st.sampled_from(TEXTS),
)
def test_adding_and_removing_is_building_anew(knowledge, steps, query):
    own, left = knowledge.own(), {}
    for name, text, keep in steps:
        own.put(Document(name, name, (Passage(text),)))
        left[name] = text
        if not keep:
            own.remove(name)
            del left[name]
    anew = knowledge.own()
    for name, text in left.items():
        anew.put(Document(name, name, (Passage(text),)))

    def told(part):
        hits = knowledge.search(query, k=20, own=part)
        return sorted((hit.document, hit.similarity, hit.coverage) for hit in hits)

    assert told(own) == told(anew)


def test_joined_as_one_base_they_score_alike(tmp_path, knowledge):
    own = knowledge_of(tmp_path / "some", *TEXTS[:3], vectors=False)
    whole = knowledge_of(tmp_path / "all", *TEXTS, vectors=False)
    mine = own.own()
    for document in documents_of(*TEXTS)[3:]:
        mine.put(document)
    told = [(hit.document, hit.score, hit.coverage) for hit in own.search("refund 退款 card", own=mine)]
    assert told == [(hit.document, hit.score, hit.coverage) for hit in whole.search("refund 退款 card")]


class _Vectors:
    """Cosines as they were said."""

    def __init__(self, cosines):
        self._cosines = np.array(cosines, np.float32)

    def nearest(self, query_D, most, *, kept_N=None):
        rows = best(self._cosines, most)
        return rows, self._cosines[rows]


@given(st.permutations(range(6)), st.permutations(range(6)))
def test_fusion_is_the_sum_of_reciprocal_ranks(by_words, by_vectors):
    class Postings:
        passages, tokens, lengths_N, in_order = 6, 6, np.ones(6, np.int32), True

        def most(self, term):
            return 6

        def holders(self, term):
            return 6

        def of(self, term):
            return np.arange(6), np.array([6 - by_words.index(row) for row in range(6)])

    part = Part(Postings(), _Vectors([-by_vectors.index(row) for row in range(6)]))
    found = {one.row: one.fused for one in candidates([part], ["t"], np.ones(1, np.float32), words=1, vectors=2)}
    for row in range(6):
        expected = (1 / (61 + by_words.index(row)) + 2 / (61 + by_vectors.index(row))) / (3 / 61)
        assert found[row] == pytest.approx(expected)


def test_diversity_brings_another_passage_before_a_copy(tmp_path):
    copies = ["Refunds take five days by card.", "Refunds take five days by card.", "Refunds of gifts are vouchers."]
    knowledge = knowledge_of(tmp_path, *copies)
    assert [hit.document for hit in knowledge.search("refunds five days", k=2)] == ["d0", "d1"]
    assert [hit.document for hit in knowledge.search("refunds five days", k=2, diversity=0.7)] == ["d0", "d2"]


def test_confidence_grows_with_both(knowledge):
    blend = Blend()
    assert (
        blend.confidence(0.9, 0.9)
        > blend.confidence(0.5, 0.9)
        > blend.confidence(0.5, 0.2)
        > blend.confidence(None, 0.2)
    )


def test_live_vectors_forget_what_is_removed():
    vectors = LiveVectors(2)
    for row, vector in enumerate([[1, 0], [0, 1], [0.6, 0.8]]):
        vectors.put(row, np.array(vector, np.float32))
    vectors.remove(1)
    rows, cosines = vectors.nearest(np.array([0, 1], np.float32), 5)
    assert (rows.tolist(), cosines.tolist()) == ([2, 0], pytest.approx([0.8, 0]))


def test_of_equal_scores_the_first_place_leads():
    assert best(np.array([1, 3, 3, 2, 3], np.float32), 3).tolist() == [1, 2, 4]


@pytest.mark.parametrize(
    "name", ["manifest.json", "passages.jsonl", "vectors.npy", "terms.rows.npy", "documents.jsonl"]
)
def test_a_missing_part_is_told(tmp_path, name):
    folder = write(tmp_path, documents_of(*TEXTS))
    (folder / name).unlink()
    with pytest.raises(ArtifactError) as caught:
        Knowledge(folder)
    assert caught.value.code == "artifact.knowledge_broken"


def test_a_later_format_is_refused(tmp_path):
    folder = write(tmp_path, documents_of(*TEXTS))
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"format": 99}))
    with pytest.raises(ArtifactError, match="format 99"):
        Knowledge(folder)
