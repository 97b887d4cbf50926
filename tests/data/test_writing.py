"""Pairs for a writing model: what they hold, that they follow from the document alone, and that no split leaks."""

import json

import numpy as np
import pytest

from tradewind.artifacts import Workspace
from tradewind.data.corpus import prepare_corpus
from tradewind.data.document_records import Document
from tradewind.data.writing import pairs, parted, roughened
from tradewind.errors import DataError, TradewindError
from tradewind.product import Product, Writing

STORY = "# The lamp\n\nAn old lamp stood in Oslo. It smelled, of oil! Nobody wanted it. Then a baker came. She took it home.\n"
CHINESE = "灯\n\n一盏旧灯在宁波。它有油味！没有人要它。后来来了一位面包师。"


def made(text, **settings):
    return [one.content["messages"] for one in pairs(Document("text", {"text": text}, "a.md", 1), Writing(**settings))]


@pytest.mark.parametrize(
    ("text", "title", "begins"),
    [
        (STORY, "The lamp", "An old lamp"),
        (CHINESE, "灯", "一盏旧灯"),
        ("A sentence, not a title.\nAnd more.", "", "A sentence"),
        ("Only a line", "", "Only a line"),
        ("x" * 101 + "\nbody", "", "x"),
    ],
)
def test_the_first_line_is_the_title_where_it_is_one(text, title, begins):
    found, body = parted(text)
    assert found == title
    assert body.startswith(begins)


def test_each_job_gives_pairs_of_the_document_itself():
    (title,) = made(STORY, jobs=["title"])
    assert [turn["content"] for turn in title][::2] == ["title", "The lamp"]
    for system, begins, follows in made(STORY, jobs=["continue"]):
        assert system["content"] in ("continue short", "continue medium", "continue long")
        assert f"{begins['content']} {follows['content']}" in STORY
    for _, rough, original in made(STORY, jobs=["rewrite"]):
        assert original["content"] in STORY
        assert rough["content"] == rough["content"].lower()
        assert not set(rough["content"]) & set(".,!?")
    assert made("No title, one sentence.", jobs=["title", "continue"]) == []


def test_pairs_follow_from_the_document_and_the_seed_alone():
    assert made(STORY) == made(STORY)
    assert made(STORY, seed=1) != made(STORY)
    assert {turns[0]["content"].split()[0] for turns in made(CHINESE)} == {"title", "continue", "rewrite"}


def test_a_rough_version_says_the_same_with_less():
    rough = roughened("The lamp, of brass, is very old. It shines!", np.random.default_rng(1))
    assert set(rough.split()) <= {"the", "lamp", "of", "brass", "is", "very", "old", "it", "shines"}
    assert {"lamp", "brass", "old", "shines"} <= set(rough.split())


def corpus(folder, text, **data):
    (folder / "stories.jsonl").write_text(text, encoding="utf-8")
    product = {"product": "stories", "task": "generation", "tokenizer": {"kind": "char"},
               "data": {"source": "stories.jsonl", "writing": {}, "clean": {"contamination": "off"}, **data}}  # fmt: skip
    return prepare_corpus(Product.model_validate(product), base=folder, workspace=Workspace(folder / ".tradewind"))


def test_pairs_stay_in_the_split_of_their_document(tmp_path):
    words = ["amber", "birch", "cedar", "dusk", "ember", "fern", "grove", "heath", "iris", "jade", "kelp", "lark"]
    stories = [
        f"Of {word}\n\nThe {word} was old. The {word} was sold. Who bought the {word}? A nurse." for word in words
    ]
    made_corpus = corpus(tmp_path, "".join(json.dumps({"text": one}) + "\n" for one in stories))
    assert made_corpus.kind == "chat"
    assert made_corpus.profile["writing"] == {"jobs": ["continue", "title", "rewrite"]}
    seen = {}
    for name in ("train", "validation", "test"):
        for document in made_corpus.documents(name):
            said = " ".join(turn["content"] for turn in document["messages"])
            for word in words:
                if word in said:
                    assert seen.setdefault(word, name) == name
    assert set(seen.values()) == {"train", "validation", "test"}


def test_running_text_and_conversations_are_refused(tmp_path):
    (tmp_path / "book.txt").write_text("One long book. " * 100)
    with pytest.raises(DataError, match="one running text") as caught:
        corpus(tmp_path, "", source="book.txt")
    assert caught.value.code == "data.writing_unsuited"
    with pytest.raises((TradewindError, ValueError), match="documents of text"):
        corpus(tmp_path, "", format="chat")
