"""Whom rows are about: kept as keyed hashes with consent and purpose; who did not agree, or was erased, stays out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.conftest import Prepare, csv_of, product_of
from tests.data.test_corpus import corpus_of, story
from tradewind.artifacts import Workspace, bury
from tradewind.data.dataset import Dataset, prepare
from tradewind.data.people import Datasets, owners, subjects_of
from tradewind.data.people_source import look_in_source
from tradewind.data.subjects import FOLDER, agreed
from tradewind.errors import DataError
from tradewind.privacy.subjects import Subject, SubjectKey
from tradewind.privacy.suppression import suppress
from tradewind.product import Product

WHO = ("ann.lee@example.org", "王小明")


def table(rows: int = 120) -> dict[str, list[object]]:
    draw = np.random.default_rng(0)
    return {
        "who": [WHO[row] if row < 2 else f"person-{row}" for row in range(rows)],
        "agreed": ["no" if row % 10 == 9 else "yes" for row in range(rows)],
        "income": [f"{draw.normal(50, 10):.2f}" for _ in range(rows)],
        "note": [f"called {WHO[0]} back" if row == 5 else f"asked for plan {row % 7} again" for row in range(rows)],
        "y": ["good" if draw.random() < 0.6 else "bad" for _ in range(rows)],
    }


SAID = {"subject": "who", "consent": "agreed", "purpose": "credit scoring"}


def facts(dataset: Dataset) -> list[dict[str, object]]:
    return [
        row for name in ("train", "validation", "test")
        for row in pq.read_table(dataset.artifact.folder / FOLDER / f"{name}.parquet").to_pylist()
    ]  # fmt: skip


def subject(base: Path, name: str) -> Subject:
    return Subject.of(name, SubjectKey.open(base / "home"))


def test_each_row_keeps_its_subject_as_a_hash_with_consent_and_purpose(make: Prepare, tmp_path: Path) -> None:
    dataset = make(table(), **SAID)
    rows = facts(dataset)
    assert len(rows) == 108 == sum(dataset.split(name).rows for name in ("train", "validation", "test"))
    assert {(row["consent"], row["purpose"]) for row in rows} == {(True, "credit scoring")}
    ann = [row for row in rows if row["subject"] == subject(tmp_path, " ANN.Lee@Example.ORG").digest]
    assert [(row["file"], row["line"]) for row in ann] == [("rows.csv", 2)]


def test_rows_stand_beside_their_own_subject(make: Prepare) -> None:
    dataset = make(table(), **SAID)
    source = dict(zip(range(2, 200), table()["income"], strict=False))
    for name in ("train", "validation", "test"):
        lines = pq.read_table(dataset.artifact.folder / FOLDER / f"{name}.parquet")["line"].to_pylist()
        assert [f"{value:.2f}" for value in dataset.raw(name)["income"]] == [source[line] for line in lines]


def test_rows_without_a_yes_are_put_aside_with_a_reason_and_without_their_content(make: Prepare) -> None:
    dataset = make(table(), **SAID)
    lines = (dataset.artifact.folder / "rejected.jsonl").read_text().splitlines()
    rejected = [json.loads(line) for line in lines]
    assert {(row["code"], row["text"]) for row in rejected} == {("consent_missing", "")}
    assert len(rejected) == 12
    assert dataset.profile["cleaning"]["rejected"] == {"consent_missing": 12}


def test_no_name_of_the_subject_column_stands_in_a_dataset(make: Prepare) -> None:
    folder = make({**table(), "note": ["calm"] * 60 + ["loud"] * 60}, **SAID).artifact.folder
    for path in (path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        assert not any(name.encode() in content for name in (*WHO, "person-7")), path
    for name in ("train", "validation", "test"):
        assert "who" not in pq.read_schema(folder / "raw" / f"{name}.parquet").names


def test_one_who_was_erased_stays_out_and_the_dataset_is_another(make: Prepare, tmp_path: Path) -> None:
    before = make(table(), **SAID)
    ann = subject(tmp_path, WHO[0])
    suppress(tmp_path / "home", ann, receipt="rcp_1", at="2026-01-01", in_data=True, redact=False)
    after = make(table(), **SAID)
    assert before.artifact.digest != after.artifact.digest
    assert ann.digest not in {row["subject"] for row in facts(after)}
    assert len(facts(after)) == len(facts(before)) - 1
    assert after.profile["cleaning"]["rejected"]["erased"] == 1


def test_one_who_never_was_in_the_data_changes_no_dataset(make: Prepare, tmp_path: Path) -> None:
    before = make(table(), **SAID)
    nobody = subject(tmp_path, "nobody@example.org")
    suppress(tmp_path / "home", nobody, receipt="rcp_1", at="2026-01-01", in_data=False, redact=False)
    assert make(table(), **SAID).artifact.digest == before.artifact.digest


def test_a_name_is_struck_from_texts_about_others_where_that_was_asked(make: Prepare, tmp_path: Path) -> None:
    make(table(), **SAID)
    suppress(tmp_path / "home", subject(tmp_path, WHO[0]), receipt="r", at="now", in_data=True, redact=True)
    dataset = make(table(), **SAID)
    notes = [note for name in ("train", "validation", "test") for note in dataset.raw(name)["note"]]
    assert "called [ERASED] back" in notes
    assert not any(WHO[0] in note for note in notes)


def test_a_name_is_struck_from_the_documents_of_a_corpus(tmp_path: Path) -> None:
    rows = [{"text": f"{story(number)} 王小明 wrote it."} for number in range(40)]
    before = corpus_of(tmp_path, rows)
    home = before.folder.parent.parent
    him = Subject.of("王小明", SubjectKey.open(home))
    (item,) = Datasets(Workspace(home), him).find(him)
    assert item.content == {"documents": 40}
    suppress(home, him, receipt="r", at="now", in_data=True, redact=True)
    after = corpus_of(tmp_path, rows)
    said = [document["text"] for name in ("train", "validation", "test") for document in after.documents(name)]
    assert len(said) == 40
    assert all("[ERASED] wrote it." in text and "王小明" not in text for text in said)


def test_a_dataset_that_holds_the_subject_goes_and_can_be_made_again_without(make: Prepare, tmp_path: Path) -> None:
    dataset = make(table(), **SAID)
    workspace, ann = Workspace(tmp_path / "home"), subject(tmp_path, WHO[0])
    done = Datasets(workspace, ann, receipt="rcp_1", at="now").erase(ann, redact=False)
    assert [one.count for one in done.removed] == [1]
    assert [path.name for path in dataset.artifact.folder.iterdir()] == ["erased.json"]
    assert Datasets(workspace, ann).find(ann) == []
    assert done.kept[0].count == 1  # the note about somebody else, in the source


def test_what_is_found_is_the_row_with_where_it_came_from(make: Prepare, tmp_path: Path) -> None:
    make(table(), **SAID)
    ann = subject(tmp_path, WHO[0])
    row, mention = Datasets(Workspace(tmp_path / "home"), ann).find(ann)
    assert row.content["income"] == float(table()["income"][0])
    assert (row.content["$line"], row.content["$purpose"]) == (2, "credit scoring")
    assert mention.content == {"note": 1}


def test_lines_of_the_source_that_speak_of_somebody_are_named(make: Prepare, tmp_path: Path) -> None:
    make(table(), **SAID)
    found = look_in_source(product_of(**SAID), subject(tmp_path, WHO[0]), base=tmp_path)
    assert [(place.line, place.about) for place in found.places] == [(2, True), (7, False)]
    assert (found.count, found.about, found.rows[0]["who"]) == (2, 1, WHO[0])


def test_whose_rows_a_dataset_holds_and_whose_an_example_is(make: Prepare, tmp_path: Path) -> None:
    dataset = make(table(), **SAID)
    ann, row = subject(tmp_path, WHO[0]), 0
    whole = table()
    example = {"income": [float(whole["income"][row])], "note": [whole["note"][row]]}  # type: ignore[arg-type]
    assert len(subjects_of(dataset.artifact)) == 108
    assert list(owners(dataset.artifact, example).values()) == [[ann.digest]]
    assert owners(dataset.artifact, {"income": [0.0], "note": [""]}) == {}


def test_the_documents_of_a_source_that_name_somebody_are_told(tmp_path: Path) -> None:
    corpus_of(
        tmp_path,
        [{"text": story(1)}, {"text": f"{story(2)} 王小明 wrote it."}, *({"text": story(n)} for n in range(3, 30))],
    )
    product = Product.model_validate({"product": "test", "task": "generation", "data": {"source": "corpus.jsonl"}})
    found = look_in_source(product, subject(tmp_path, "王小明"), base=tmp_path)
    assert [(place.line, place.about) for place in found.places] == [(2, False)]


def test_an_artifact_that_was_buried_is_made_again_in_its_place(make: Prepare) -> None:
    dataset = make(table(), **SAID)
    bury(dataset.artifact, why="erasure", at="now", receipt="rcp_1")
    assert make(table(), **SAID).artifact.files == dataset.artifact.files


def test_subject_and_consent_are_never_model_inputs(make: Prepare) -> None:
    assert {column.name for column in make(table(), **SAID).features.columns} <= {"income", "note"}


@pytest.mark.parametrize("role", ["subject", "consent"])
def test_a_column_that_is_not_there_is_named(make: Prepare, role: str) -> None:
    with pytest.raises(DataError, match=f"data.{role}.*whom"):
        make(table(), **{role: "whom"})


def test_where_nobody_agreed_nothing_is_prepared(make: Prepare) -> None:
    with pytest.raises(DataError, match="no yes in agreed"):
        make({**table(), "agreed": ["no"] * 120}, **SAID)


@pytest.mark.parametrize("word", ["yes", " Yes ", "TRUE", "1", "是", "同意"])
def test_a_clear_yes_is_a_yes(word: str) -> None:
    assert agreed(pl.Series([word])).tolist() == [True]


@given(st.lists(st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"]), max_size=3))))
def test_silence_and_every_other_word_is_a_no(words: list[str | None]) -> None:
    heard = agreed(pl.Series(words, dtype=pl.String))
    short = {"yes", "y", "t", "1", "ok", "是", "同意", "是的", "有", "授权", "已同意", "已授权"}
    assert all(not said or (word or "").strip().lower() in short for said, word in zip(heard, words, strict=True))


@pytest.mark.parametrize("kind", [pl.Boolean, pl.Int64, pl.Float64])
def test_a_typed_column_says_yes_too(kind: type[pl.DataType]) -> None:
    assert agreed(pl.Series([1, 0, None]).cast(kind)).tolist() == [True, False, False]


def test_a_number_and_its_text_are_one_subject(tmp_path: Path) -> None:
    rows = {**table(), "who": list(range(120))}
    (tmp_path / "rows.csv").write_text(csv_of(rows), encoding="utf-8")
    text = prepare(product_of(**SAID), base=tmp_path, workspace=Workspace(tmp_path / "home"))
    typed_rows = {name: pl.Series(values) for name, values in rows.items()}
    typed_rows["who"] = typed_rows["who"].cast(pl.Float64)
    pl.DataFrame(typed_rows).write_parquet(tmp_path / "rows.parquet")
    product = product_of(**SAID, source="rows.parquet")
    typed = prepare(product, base=tmp_path, workspace=Workspace(tmp_path / "home"))
    assert [row["subject"] for row in facts(text)] == [row["subject"] for row in facts(typed)]
