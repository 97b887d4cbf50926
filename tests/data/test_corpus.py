from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tradewind.artifacts import Workspace
from tradewind.data.corpus import Conversations, Corpus, Preferences, load_corpus, prepare_corpus
from tradewind.data.packed import open_packed
from tradewind.data.packing import ShardWriter
from tradewind.errors import ArtifactError, DataError
from tradewind.features.language import LanguageTokenizer
from tradewind.product import Product

NAMES = ("train", "validation", "test")
WORDS = [
    "ship",
    "harbour",
    "dawn",
    "wind",
    "crew",
    "gull",
    "mast",
    "rope",
    "tide",
    "anchor",
    "chart",
    "storm",
    "lantern",
    "deck",
    "sail",
    "oar",
    "port",
    "shore",
]


def story(seed: int, words: int = 60) -> str:
    drawn = random.Random(seed)
    return f"Story {seed}: " + " ".join(drawn.choice(WORDS) + str(drawn.randint(0, 99)) for _ in range(words))


def talk(number: int) -> dict[str, Any]:
    return {"question": f"How much is {number} and {number + 1}?", "answer": f"It is {2 * number + 1}, of course."}


def corpus_of(folder: Path, rows: list[Any] | str, **changes: Any) -> Corpus:
    """Rows into a JSONL file, or a text into a text file, and that into a corpus. `data`, `tokenizer` … as in a product."""
    name = "corpus.txt" if isinstance(rows, str) else "corpus.jsonl"
    lines = (
        rows if isinstance(rows, str) else "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)
    )
    (folder / name).write_text(lines, encoding="utf-8")
    data = {"source": name, **changes.pop("data", {})}
    product = Product.model_validate({"product": "some-model", "task": "generation", "data": data, **changes})
    return prepare_corpus(product, base=folder, workspace=Workspace(folder / "home"))


def all_documents(corpus: Corpus) -> dict[str, list[dict[str, Any]]]:
    return {name: list(corpus.documents(name)) for name in NAMES}


def rejected(corpus: Corpus) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (corpus.folder / "rejected.jsonl").read_text().splitlines()]


def code_of(folder: Path, rows: list[Any] | str, **changes: Any) -> str:
    with pytest.raises(DataError) as caught:
        corpus_of(folder, rows, **changes)
    assert str(caught.value)
    return caught.value.code


# ---------------------------------------------------------------- text


def test_every_document_is_in_one_split_and_comes_back_from_its_tokens(tmp_path) -> None:
    stories = [story(number) for number in range(40)]
    corpus = corpus_of(tmp_path, [{"text": text} for text in stories])
    found = {name: [row["text"] for row in rows] for name, rows in all_documents(corpus).items()}
    assert sorted(text for some in found.values() for text in some) == sorted(stories)
    assert {name: len(rows) for name, rows in found.items()} == {"train": 29, "validation": 3, "test": 8}
    for name in NAMES:
        packed, tokenizer = corpus.split(name), corpus.tokenizer
        read = [
            packed.tokens[begin:end].tolist() for begin, end in zip(packed.starts[:-1], packed.starts[1:], strict=True)
        ]
        assert all(tokens[-1] == tokenizer.specials.eos for tokens in read)
        assert [tokenizer.decode(tokens) for tokens in read] == found[name]
        assert packed.bytes == sum(len(text.encode()) for text in found[name])


@given(parts=st.lists(st.text(alphabet="ab c\n船é🙂", min_size=1, max_size=400), min_size=2, max_size=6))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_book_is_cut_at_its_end_and_nothing_of_it_is_lost(tmp_path, parts) -> None:
    text = "x" * 200 + "\n".join(parts) + "y" * 50
    corpus = corpus_of(tmp_path, text)
    found = {name: "".join(row["text"] for row in rows) for name, rows in all_documents(corpus).items()}
    assert found["train"] + found["validation"] + found["test"] == text
    assert corpus.profile["split_by"] == "place"


def test_a_book_is_cut_at_line_ends_and_its_last_part_is_the_test(tmp_path) -> None:
    lines = [f"line {number} of the book\n" for number in range(1000)]
    corpus = corpus_of(tmp_path, "".join(lines), data={"split": {"test": 0.1, "validation": 0.1}})
    found = {name: "".join(row["text"] for row in rows) for name, rows in all_documents(corpus).items()}
    assert found["test"].splitlines()[-1] == "line 999 of the book"
    assert found["validation"].startswith("line ")
    assert abs(len(found["test"]) / len("".join(lines)) - 0.1) < 0.01


def test_a_large_book_keeps_its_text_across_parts(tmp_path) -> None:
    text = "".join(f"line {number} of a long book, 第{number}行\n" for number in range(120_000))
    corpus = corpus_of(tmp_path, text, tokenizer={"kind": "char"})
    found = {name: "".join(row["text"] for row in rows) for name, rows in all_documents(corpus).items()}
    assert found["train"] + found["validation"] + found["test"] == text
    assert all(corpus.split(name).documents == 1 for name in NAMES)


@pytest.mark.parametrize(("vocabulary", "dtype"), [(1 << 16, np.uint16), ((1 << 16) + 1, np.uint32)])
def test_a_token_takes_two_bytes_and_of_a_large_vocabulary_four(tmp_path, vocabulary, dtype) -> None:
    shard = ShardWriter(tmp_path / "train", vocabulary=vocabulary, end=0, masked=False)
    shard.add(np.array([vocabulary - 1, 0]), None, size=3, ends=True)
    shard.close()
    packed = open_packed(tmp_path / "train", name="train")
    assert packed.tokens.dtype == dtype
    assert packed.tokens.tolist() == [vocabulary - 1, 0]


def test_splits_may_have_sources_of_their_own(tmp_path) -> None:
    for name in ("v", "t"):
        (tmp_path / f"{name}.jsonl").write_text(
            "\n".join(json.dumps({"text": f"{name} {story(n)}"}) for n in range(900, 903))
        )
    split = {"validation": {"path": "v.jsonl"}, "test": {"path": "t.jsonl"}}
    found = all_documents(corpus_of(tmp_path, [{"text": story(n)} for n in range(10)], data={"split": split}))
    assert [row["text"][0] for row in found["validation"]] == ["v"] * 3
    assert [row["text"][0] for row in found["test"]] == ["t"] * 3
    assert len(found["train"]) == 10


# ---------------------------------------------------------------- the artifact


def test_the_same_inputs_give_the_finished_corpus_at_once(tmp_path) -> None:
    rows = [{"text": story(number)} for number in range(10)]
    first = corpus_of(tmp_path, rows)
    before = (first.folder / "artifact.json").stat().st_mtime_ns
    assert corpus_of(tmp_path, rows).folder == first.folder
    assert (first.folder / "artifact.json").stat().st_mtime_ns == before


def test_two_preparations_give_the_same_bytes(tmp_path) -> None:
    rows = [{"text": story(number)} for number in range(30)]
    files = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        files.append(dict(corpus_of(tmp_path / name, rows).artifact.files))
    assert files[0] == files[1]


def test_another_corpus_has_another_digest(tmp_path) -> None:
    first = corpus_of(tmp_path, [{"text": story(number)} for number in range(10)])
    assert (
        corpus_of(tmp_path, [{"text": story(number)} for number in range(11)]).artifact.digest != first.artifact.digest
    )


def test_a_finished_corpus_is_opened_again(tmp_path) -> None:
    corpus = corpus_of(tmp_path, [talk(number) for number in range(20)])
    again = load_corpus(corpus.folder)
    assert again.kind == "chat"
    assert again.tokenizer.fingerprint == corpus.profile["tokenizer"]["fingerprint"]
    assert np.array_equal(again.split("test").tokens, corpus.split("test").tokens)


def test_no_work_of_the_making_is_left(tmp_path) -> None:
    corpus = corpus_of(tmp_path, [{"text": story(number)} for number in range(10)])
    top = {path.name for path in corpus.folder.iterdir()}
    assert top == {"artifact.json", "profile.json", "raw", "rejected.jsonl", "splits", "tokenizer"}


def test_a_dataset_of_another_task_is_refused(tmp_path) -> None:
    made = {"format": 1, "task": "classification"}
    workspace = Workspace(tmp_path)
    with workspace.making("dataset", made) as folder:
        (folder / "x").write_text("x")
    with pytest.raises(ArtifactError) as caught:
        load_corpus(next((tmp_path / "datasets").iterdir()))
    assert caught.value.code == "artifact.wrong_task"


# ---------------------------------------------------------------- what is left out


def test_copies_go_and_what_goes_says_where_the_first_stands(tmp_path) -> None:
    rows = [{"text": story(number)} for number in range(20)] + [{"text": story(3)}]
    corpus = corpus_of(tmp_path, rows)
    assert sum(split["documents"] for split in corpus.profile["splits"].values()) == 20
    (row,) = rejected(corpus)
    assert (row["code"], row["line"], row["reason"]) == ("duplicate", 21, "a copy of corpus.jsonl:4")


def test_near_copies_go_where_it_is_asked_for(tmp_path) -> None:
    rows = [{"text": story(number, 200)} for number in range(20)] + [{"text": story(3, 200) + " and so on"}]
    kept = {}
    for name in ("exact", "near"):
        (tmp_path / name).mkdir()
        data = {"clean": {"duplicates": name, "contamination": "off"}}
        kept[name] = sum(
            split["documents"] for split in corpus_of(tmp_path / name, rows, data=data).profile["splits"].values()
        )
    assert kept == {"exact": 21, "near": 20}


def test_copies_that_are_kept_stand_on_one_side(tmp_path) -> None:
    rows = [{"text": story(number // 2)} for number in range(60)]
    data = {"clean": {"duplicates": "keep", "contamination": "off"}}
    found = {
        name: {row["text"] for row in rows}
        for name, rows in all_documents(corpus_of(tmp_path, rows, data=data)).items()
    }
    assert not found["train"] & found["test"]
    assert not found["train"] & found["validation"]
    assert not found["validation"] & found["test"]


def test_training_documents_that_hold_a_judged_one_go(tmp_path) -> None:
    asked = story(900)
    (tmp_path / "t.jsonl").write_text(json.dumps({"text": asked}))
    rows = [{"text": story(number)} for number in range(20)] + [{"text": f"Quoted at length. {asked} That was it."}]
    corpus = corpus_of(tmp_path, rows, data={"split": {"test": {"path": "t.jsonl"}, "validation": 0.1}})
    assert not any(asked in row["text"] for row in corpus.documents("train"))
    assert [row["code"] for row in rejected(corpus)] == ["contamination"]
    assert corpus.profile["cleaning"]["rejected"] == {"contamination": 1}


def test_a_form_that_all_share_is_no_contamination(tmp_path) -> None:
    form = story(900, 80)
    corpus = corpus_of(tmp_path, [{"text": f"{form} number{n} {n * 7} {n * 13}"} for n in range(30)])
    assert corpus.split("train").documents == 22
    assert "none is dropped" in corpus.profile["cleaning"]["findings"][0]["message"]


def test_bad_documents_are_counted_by_their_rule(tmp_path) -> None:
    noise = "spam spam spam spam spam " * 40
    rows = [{"text": story(number)} for number in range(20)] + [{"text": noise}, {"text": 5}]
    corpus = corpus_of(tmp_path, rows)
    assert corpus.profile["cleaning"]["rejected"] == {"document": 1, "repeated_runs": 1}
    assert {row["code"]: row["line"] for row in rejected(corpus)} == {"document": 22, "repeated_runs": 21}


@pytest.mark.parametrize(("action", "documents"), [("drop", 20), ("report", 21), ("off", 21)])
def test_a_rule_may_only_report(tmp_path, action, documents) -> None:
    rows = [{"text": story(number)} for number in range(20)] + [{"text": "spam spam spam spam spam " * 40}]
    corpus = corpus_of(tmp_path, rows, data={"clean": {"quality": {"action": action}}})
    assert sum(split["documents"] for split in corpus.profile["splits"].values()) == documents


@pytest.mark.parametrize(
    ("action", "is_there", "found"),
    [("keep", True, {}), ("report", True, {"email": 1}), ("redact", False, {"email": 1})],
)
def test_personal_data_is_treated_as_the_product_file_says(tmp_path, action, is_there, found) -> None:
    rows = [talk(number) for number in range(10)]
    rows.append({"question": "Who are you?", "answer": "Write to jane.doe@example.com today."})
    corpus = corpus_of(tmp_path, rows, data={"clean": {"pii": action}})
    said = json.dumps(all_documents(corpus))
    assert ("jane.doe@example.com" in said) == is_there
    assert ("[EMAIL]" in said) == (not is_there)
    assert corpus.profile["personal_data"]["findings"] == found


def call(city: str) -> dict[str, Any]:
    calls = [{"type": "function", "function": {"name": "weather", "arguments": json.dumps({"city": city})}}]
    return {"messages": [{"role": "user", "content": "Weather?"}, {"role": "assistant", "tool_calls": calls}]}


def test_conversations_that_call_otherwise_are_no_copies(tmp_path) -> None:
    corpus = corpus_of(tmp_path, [call(f"Town {number}") for number in range(12)] + [call("Town 3")])
    assert sum(split["documents"] for split in corpus.profile["splits"].values()) == 12


def test_personal_data_in_calls_are_redacted_too(tmp_path) -> None:
    data = {"clean": {"pii": "redact"}}
    corpus = corpus_of(
        tmp_path, [call(f"Town {number}, jane{number}.doe@example.com") for number in range(9)], data=data
    )
    said = json.dumps(all_documents(corpus))
    assert "example.com" not in said
    assert said.count("[EMAIL]") == 9


# ---------------------------------------------------------------- conversations and preferences


def test_only_answers_are_learnt(tmp_path) -> None:
    corpus = corpus_of(tmp_path, [talk(number) for number in range(20)])
    packed, tokenizer = corpus.split("train"), corpus.tokenizer
    documents = list(corpus.documents("train"))
    for begin, end, document in zip(packed.starts[:-1], packed.starts[1:], documents, strict=True):
        tokens = packed.tokens[begin:end][packed.mask[begin:end] == 1].tolist()
        assert tokenizer.decode(tokens) == document["messages"][-1]["content"]
        assert tokens[-1] in tokenizer.specials.stops
        assert packed.tokens[end - 1] == tokens[-1]
    assert packed.bytes == sum(len(document["messages"][-1]["content"].encode()) for document in documents)


def test_every_answer_of_a_corpus_comes_to_a_batch(tmp_path) -> None:
    corpus = corpus_of(tmp_path, [talk(number) for number in range(20)])
    packed = corpus.split("train")
    batches = Conversations(packed, length=256, size=4, shuffle=True).epoch(0)
    assert sum(batch.learnt for batch in batches) == packed.learnt


def test_of_preferences_only_the_compared_answer_is_learnt(tmp_path) -> None:
    prompt = [
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "Before."},
        {"role": "user", "content": "Two?"},
    ]
    rows = [{"prompt": prompt, "chosen": f"good {n}", "rejected": f"bad {n}"} for n in range(10)]
    corpus = corpus_of(tmp_path, rows)
    pairs, tokenizer = corpus.pairs("train"), corpus.tokenizer
    for side, word in ((pairs.chosen, "good"), (pairs.rejected, "bad")):
        assert word in tokenizer.decode(side.tokens[side.mask == 1].tolist())
        assert "Before" not in tokenizer.decode(side.tokens[side.mask == 1].tolist())
    assert len(pairs) == len(list(corpus.documents("train")))
    batch = next(Preferences(pairs, length=128, size=3, shuffle=False).epoch(0))
    assert len(batch.chosen) == len(batch.rejected) == 3


def test_a_corpus_of_text_has_no_pairs(tmp_path) -> None:
    corpus = corpus_of(tmp_path, [{"text": story(number)} for number in range(9)])
    with pytest.raises(DataError) as caught:
        corpus.pairs("train")
    assert caught.value.code == "data.preferences_missing"


# ---------------------------------------------------------------- tokenisers


def test_a_tokeniser_folder_is_taken_as_it_is(tmp_path) -> None:
    given_one = LanguageTokenizer.train_bpe([story(1)], vocabulary=300)
    given_one.save(tmp_path / "given")
    corpus = corpus_of(tmp_path, [talk(n) for n in range(9)], tokenizer={"kind": "pretrained", "path": "given"})
    assert corpus.tokenizer.fingerprint == given_one.fingerprint
    assert not corpus.profile["tokenizer"]["learnt"]


def test_a_tokeniser_is_learnt_from_training_text_alone(tmp_path) -> None:
    (tmp_path / "t.jsonl").write_text(json.dumps({"text": "Ω only here"}))
    rows = [{"text": story(number)} for number in range(9)]
    data = {"split": {"test": {"path": "t.jsonl"}}}
    corpus = corpus_of(tmp_path, rows, data=data, tokenizer={"kind": "char"})
    assert corpus.tokenizer.special("Ω") is None
    assert corpus.tokenizer.decode(corpus.tokenizer.encode("Ω s")) == " s"


def test_a_vocabulary_larger_than_the_data_allows_is_one_error(tmp_path) -> None:
    rows = [{"text": story(number, 5)} for number in range(9)]
    assert code_of(tmp_path, rows, tokenizer={"vocabulary": 5000}) == "data.vocabulary_too_large"


def test_a_vocabulary_smaller_than_the_characters_is_one_error(tmp_path) -> None:
    rows = [{"text": story(number, 5)} for number in range(9)]
    assert code_of(tmp_path, rows, tokenizer={"kind": "char", "vocabulary": 10}) == "data.vocabulary_too_small"


def test_a_broken_tokeniser_folder_is_one_error(tmp_path) -> None:
    (tmp_path / "given").mkdir()
    assert code_of(tmp_path, [talk(1)] * 3, tokenizer={"path": "given"}) == "data.tokeniser_missing"
    (tmp_path / "given" / "tokenizer.json").write_text("{]")
    assert code_of(tmp_path, [talk(1)] * 3, tokenizer={"path": "given"}) == "data.tokeniser_broken"


def test_a_pretrained_tokeniser_without_a_folder_is_one_error(tmp_path) -> None:
    assert code_of(tmp_path, [talk(1)] * 3, tokenizer={"kind": "pretrained"}) == "data.tokeniser_missing"


def test_a_template_that_takes_no_conversation_says_why(tmp_path) -> None:
    base = LanguageTokenizer.train_bpe([story(1)], vocabulary=300)
    base.with_template("{{ raise_exception('Only haiku.') }}").save(tmp_path / "given")
    with pytest.raises(DataError, match="Only haiku") as caught:
        corpus_of(tmp_path, [talk(n) for n in range(9)], tokenizer={"path": "given"})
    assert caught.value.code == "data.nothing_supervised"


# ---------------------------------------------------------------- entry checks


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ("", "data.corpus_empty"),
        ([{"text": "x"}], "data.corpus_too_small"),
        ([talk(1), talk(2)], "data.corpus_too_small"),
        (["nonsense"] * 3, "data.all_rejected"),
    ],
)
def test_a_corpus_that_cannot_be_used_is_one_error(tmp_path, rows, code) -> None:
    assert code_of(tmp_path, rows) == code


def test_rules_that_let_nothing_through_leave_an_empty_corpus(tmp_path) -> None:
    data = {"clean": {"quality": {"least_characters": 10_000}}}
    with pytest.raises(DataError, match="too_short 9") as caught:
        corpus_of(tmp_path, [{"text": story(number)} for number in range(9)], data=data)
    assert caught.value.code == "data.corpus_empty"


def test_a_split_by_time_is_refused_for_documents(tmp_path) -> None:
    assert code_of(tmp_path, [talk(n) for n in range(9)], data={"split": {"by": "time"}}) == "data.split_unsupported"


def test_sources_of_different_kinds_are_one_error(tmp_path) -> None:
    (tmp_path / "t.jsonl").write_text("\n".join(json.dumps({"text": story(n)}) for n in range(3)))
    data = {"split": {"test": {"path": "t.jsonl"}}}
    assert code_of(tmp_path, [talk(n) for n in range(9)], data=data) == "data.kinds_differ"
