"""Files of every kind become documents; what cannot be read is kept with its reason, and the rest goes on."""

import pytest
from pydantic import ValidationError

from tradewind.data.knowledge import fingerprint, gather
from tradewind.data.knowledge_index import Words
from tradewind.errors import DataError
from tradewind.features.terms import terms
from tradewind.product import KnowledgeBase


def base(tmp_path, files):
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return KnowledgeBase(source="kb")


def test_a_folder_is_read_as_a_whole(tmp_path):
    settings = base(
        tmp_path,
        {
            "kb/returns/policy.md": "# Returns\n\nWithin 30 days.",
            "kb/ship.html": "<html><head><title>Shipping</title></head><body><p>Two days.</p></body></html>",
            "kb/notes.txt": "收到后三天内联系客服。".encode("gb18030"),
            "kb/faq.csv": "question,answer,tags\nHow?,So.,a;b\n怎么退货？,联系客服,退货\n",
            "kb/more.jsonl": '{"question": "When?", "answer": "Soon.", "source": "https://example.com/when"}\n',
            "kb/.hidden/no.md": "never", "kb/picture.png": b"\x89PNG",
        },
    )  # fmt: skip
    found = gather(settings, base=tmp_path)
    assert [(one.name, one.language, one.tags) for one in found.documents] == [
        ("kb/faq.csv#2", "en", ("a", "b")), ("kb/faq.csv#3", "zh", ("退货",)), ("kb/more.jsonl#1", "en", ()),
        ("kb/notes.txt", "zh", ()), ("kb/returns/policy.md", "en", ("returns",)), ("kb/ship.html", "en", ()),
    ]  # fmt: skip
    assert [one.title for one in found.documents if one.title] == ["Returns", "Shipping"]
    assert found.documents[2].source == "https://example.com/when"
    assert found.documents[0].passages[0].question == "How?"
    assert found.rejected == ()


def test_what_cannot_be_read_is_told_and_the_rest_goes_on(tmp_path):
    settings = base(
        tmp_path,
        {"kb/a.md": "Fine.", "kb/binary.txt": bytes(range(256)) * 9, "kb/empty.md": "# Only a heading\n",
         "kb/faq.csv": "question,answer\nHow?,\nWhy?,Because.\n", "kb/other.csv": "x,y\n1,2\n"},
    )  # fmt: skip
    found = gather(settings, base=tmp_path)
    assert [one.name for one in found.documents] == ["kb/a.md", "kb/faq.csv#3"]
    assert {(one.file, one.line, one.code) for one in found.rejected} == {
        ("kb/binary.txt", 1, "data.encoding_unknown"), ("kb/empty.md", 1, "data.document_empty"),
        ("kb/faq.csv", 2, "data.document_empty"), ("kb/other.csv", 1, "data.knowledge_columns"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("files", "source", "code"),
    [({}, "kb", "missing"), ({"kb/a.md": "# Nothing"}, "kb", "knowledge_empty"), ({"kb/x.pdf": b"%PDF"}, "kb", "knowledge_empty"),
     ({"kb.pdf": b"%PDF"}, "kb.pdf", "knowledge_format")],
)  # fmt: skip
def test_without_a_passage_there_is_no_knowledge_base(tmp_path, files, source, code):
    base(tmp_path, files)
    with pytest.raises(DataError) as caught:
        gather(KnowledgeBase(source=source), base=tmp_path)
    assert caught.value.code == f"data.{code}"


def test_another_file_is_another_fingerprint(tmp_path):
    settings = base(tmp_path, {"kb/a.md": "one"})
    before = fingerprint(settings, base=tmp_path)
    assert fingerprint(settings, base=tmp_path) == before
    base(tmp_path, {"kb/a.md": "two"})
    assert fingerprint(settings, base=tmp_path) != before


def test_two_documents_of_one_name_are_kept_apart(tmp_path):
    settings = base(tmp_path, {"kb/faq.csv": "id,question,answer\nx,How?,So.\nx,Why?,Because.\n"})
    assert [one.name for one in gather(settings, base=tmp_path).documents] == ["x", "x (2)"]


def test_more_overlap_than_passage_is_refused():
    with pytest.raises(ValidationError, match="overlap"):
        KnowledgeBase(source="kb", size=20, overlap=20)


def test_postings_name_each_passage_of_a_term_once():
    texts = ["a cat and a dog", "a dog", "birds"]
    words = Words.of(texts)
    assert list(words.terms) == sorted(words.terms)
    for number, term in enumerate(words.terms):
        here = slice(words.offsets[number], words.offsets[number + 1])
        told = dict(zip(words.rows[here].tolist(), words.counts[here].tolist(), strict=True))
        assert told == {row: terms(text).count(term) for row, text in enumerate(texts) if term in terms(text)}
    assert words.lengths.tolist() == [len(terms(text)) for text in texts]


def test_latent_semantics_bring_words_of_one_company_together():
    texts = ["car engine", "engine motor", "car motor", "cake sugar", "sugar flour", "cake flour"] * 3
    words = Words.of(texts)
    chosen, vectors = words.lsa(width=2)
    by_term = {words.terms[one]: vectors[row] for row, one in enumerate(chosen)}

    def near(one, other):
        a, b = by_term[terms(one)[0]], by_term[terms(other)[0]]
        return float(a @ b / ((a @ a) ** 0.5 * (b @ b) ** 0.5))

    assert near("car", "motor") > 0.9
    assert near("car", "cake") < 0.1
