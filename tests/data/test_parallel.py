"""Pairs of texts: every way that they come in, what is no translation, splits without leaks, terms, batches."""

import gzip
import json

import numpy as np
import pytest

from tests.pairs import product, write_pairs
from tradewind.artifacts import Workspace
from tradewind.data.ledger import read_rejected
from tradewind.data.pair_batches import PairBatches
from tradewind.data.parallel import load_parallel, prepare_parallel
from tradewind.data.term_pairs import term_pairs
from tradewind.errors import ArtifactError, DataError
from tradewind.features.word_table import WordTable

GOOD = [
    (f"The {a} sees {n} dogs today.", f"Der {b} sieht heute {n} Hunde.")
    for n in range(3, 40)
    for a, b in (("man", "Mann"), ("boy", "Junge"))
]
ENGLISH_GERMAN = {"translation": {"from": "en", "to": "de", "terms": 0}, "tokenizer": {"vocabulary": 300}}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    folder = write_pairs(tmp_path_factory.mktemp("pairs"))
    return prepare_parallel(product(), base=folder, workspace=Workspace(folder / "work"))


def prepared(tmp_path, **sections):
    return prepare_parallel(
        product(**(ENGLISH_GERMAN | sections)), base=tmp_path, workspace=Workspace(tmp_path / "work")
    )


def write_lines(folder, name, rows):
    for side, code in enumerate(("en", "de")):
        (folder / f"{name}.{code}").write_text("".join(f"{row[side]}\n" for row in rows), encoding="utf-8")


def rejected(parallel):
    return {(row["line"], row["code"]) for row in read_rejected(parallel.folder / "rejected.jsonl")}


# ---------------------------------------------------------------- ways in


def test_lines_a_table_and_records_give_the_same_pairs(tmp_path):
    write_lines(tmp_path, "lines", GOOD)
    (tmp_path / "table.tsv").write_text("en\tde\n" + "".join(f"{a}\t{b}\n" for a, b in GOOD), encoding="utf-8")
    records = [json.dumps({"translation": {"en": a, "de": b}}) for a, b in GOOD]
    (tmp_path / "records.jsonl").write_text("\n".join(records), encoding="utf-8")
    for code in ("en", "de"):
        (tmp_path / f"packed.{code}.gz").write_bytes(gzip.compress((tmp_path / f"lines.{code}").read_bytes()))
    named = {"path": "lines.en", "target_path": "lines.de"}
    found = [
        list(prepared(tmp_path, data={"source": source}).texts("test"))
        for source in ("lines", named, "table.tsv", "records.jsonl", "packed")
    ]
    assert all(one == found[0] for one in found)
    assert set(found[0]) <= set(GOOD)
    assert len(found[0]) == round(0.2 * len(GOOD))


def test_columns_of_other_names_are_said_in_the_product_file(tmp_path):
    (tmp_path / "t.csv").write_text("id,English,Deutsch\n" + "".join(f"1,{a},{b}\n" for a, b in GOOD), encoding="utf-8")
    with pytest.raises(DataError, match="There is no column en"):
        prepared(tmp_path, data={"source": "t.csv"})
    columns = {"from": "en", "to": "de", "terms": 0, "source_column": "English", "target_column": "Deutsch"}
    assert prepared(tmp_path, data={"source": "t.csv"}, translation=columns).profile["splits"]["train"]["pairs"] > 40


def test_sides_of_different_length_are_refused_with_both_counts(tmp_path):
    write_lines(tmp_path, "lines", GOOD)
    (tmp_path / "lines.de").write_text("Eins.\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"lines\.en has 74 lines, lines\.de 1"):
        prepared(tmp_path, data={"source": "lines"})


def test_one_missing_side_is_named(tmp_path):
    (tmp_path / "lines.en").write_text("One.\n")
    with pytest.raises(DataError, match=r"no lines\.de"):
        prepared(tmp_path, data={"source": "lines"})


# ---------------------------------------------------------------- what is left out


def test_what_is_no_translation_is_put_aside_with_its_reason(tmp_path):
    bad = [
        ("", "Nur eine Seite."),
        ("The woman walks home through the rain.", "The woman walks home through the rain!"),
        ("A dog.", "Ein Hund, der " + "sehr, " * 30 + "müde ist."),
        GOOD[0],
        ("The man sees fifty birds in the garden.", "The man is seeing a lot of birds, the man sees the garden."),
    ]
    write_lines(tmp_path, "lines", [*GOOD, *bad])
    found = rejected(prepared(tmp_path, data={"source": "lines"}))
    first = len(GOOD) + 1
    assert found == {
        (first, "empty"),
        (first + 1, "copy"),
        (first + 2, "length_ratio"),
        (first + 3, "duplicate"),
        (first + 4, "wrong_language"),
    }


def test_a_training_pair_whose_source_judges_is_left_out(tmp_path):
    write_lines(tmp_path, "train", GOOD)
    write_lines(tmp_path, "test", [(GOOD[5][0].upper(), "Anders gesagt."), GOOD[9]])
    sections = {"data": {"source": "train", "split": {"test": "test", "validation": 0.1}}}
    parallel = prepared(tmp_path, **sections)
    assert {(6, "leak"), (10, "leak")} <= rejected(parallel)
    assert len(list(parallel.texts("test"))) == 2


def test_a_source_never_stands_in_two_splits(tmp_path):
    write_lines(tmp_path, "lines", [*GOOD, *((a, b.replace("sieht", "erblickt")) for a, b in GOOD)])
    parallel = prepared(tmp_path, data={"source": "lines"})
    sources = [{source for source, _ in parallel.texts(name)} for name in ("train", "validation", "test")]
    assert sum(map(len, sources)) == len(set.union(*sources))


# ---------------------------------------------------------------- what it holds


def test_tokens_come_back_as_the_texts(pairs):
    read = [source for source, _ in pairs.texts("train")]
    source, target = pairs.split("train")
    assert pairs.profile["splits"]["train"]["pairs"] == source.documents == target.documents
    assert read[0].endswith((".", "?"))
    assert len(read) == 2400


def test_a_finished_one_is_found_again_and_another_task_is_refused(pairs, tmp_path):
    assert load_parallel(pairs.folder).profile == pairs.profile
    other = Workspace(tmp_path)
    with other.making("dataset", {"task": "generation"}):
        pass
    with pytest.raises(ArtifactError, match="generation"):
        load_parallel(next((tmp_path / "datasets").iterdir()))


def test_some_pairs_come_again_with_terms_on_both_sides(pairs):
    terms = set(pairs.tokenizer.frame.terms)
    source, target = pairs.split("train")
    counts = pairs.profile["splits"]["train"]
    assert 0.05 * counts["pairs"] < counts["term_pairs"] < 0.12 * counts["pairs"]
    for row in range(counts["pairs"] - counts["term_pairs"], counts["pairs"]):
        sides = [
            sorted(terms & set(side.tokens[side.starts[row] : side.starts[row + 1]].tolist()))
            for side in (source, target)
        ]
        assert sides[0] == sides[1] != []


def test_terms_are_words_that_stand_for_each_other():
    pairs = [
        (f"the {a} {v}", f"der {b} {w}")
        for a, b in (("kite", "Drachen"), ("lamp", "Lampe"))
        for v, w in (("falls", "fällt"), ("shines", "scheint"))
    ]
    split = [(source.split(), target.split()) for source, target in pairs]
    there, back = WordTable.fit(split), WordTable.fit([(b, a) for a, b in split])
    meant = {"kite": "Drachen", "lamp": "Lampe", "falls": "fällt", "shines": "scheint", "the": "der"}
    found = list(term_pairs(pairs * 5, there, back, share=1.0, seed=0))
    assert found
    for one in found:
        terms = [one.source[begin:end] for begin, end in one.in_source]
        written = {
            number: one.target[begin:end] for number, (begin, end) in zip(one.numbers, one.in_target, strict=True)
        }
        assert [meant[term] for term in terms] == [written[number] for number in range(len(terms))]


# ---------------------------------------------------------------- batches


def test_an_epoch_holds_every_pair_once_within_the_budget(pairs):
    batches = PairBatches(*pairs.split("train"), tokens=800, seed=1, shuffle=True)
    seen = list(batches.epoch(0))
    assert len(seen) == len(batches)
    assert sorted(np.concatenate([batch.rows for batch in seen]).tolist()) == list(
        range(pairs.split("train")[0].documents)
    )
    assert max(max(batch.source.size, batch.target.size) for batch in seen) <= 800
    filled = sum(batch.tokens for batch in seen) / sum(batch.source.size + batch.target.size for batch in seen)
    assert filled > 0.9


def test_an_epoch_goes_on_where_it_stopped_and_the_next_is_another(pairs):
    batches = PairBatches(*pairs.split("train"), tokens=800, seed=1, shuffle=True)
    whole = [batch.rows.tolist() for batch in batches.epoch(3)]
    assert [batch.rows.tolist() for batch in batches.epoch(3, 5)] == whole[5:]
    assert [batch.rows.tolist() for batch in batches.epoch(4)] != whole


def test_batches_have_few_shapes_and_little_padding(pairs):
    seen = list(PairBatches(*pairs.split("train"), tokens=800, seed=1, shuffle=True).epoch(0))
    assert {side.shape[1] % 4 for batch in seen for side in (batch.source, batch.target, batch.next)} == {0}
    assert len({(batch.source.shape, batch.target.shape) for batch in seen}) < len(seen) / 3


def test_what_is_learnt_is_the_token_one_place_on(pairs):
    batch = next(PairBatches(*pairs.split("train"), tokens=400, shuffle=False).epoch(0))
    frame = pairs.tokenizer.frame
    assert set(batch.target[:, 0]) == set(frame.start)
    for given, following in zip(batch.target, batch.next, strict=True):
        learnt = following[following != -100]
        assert learnt[-1] == frame.eos
        assert learnt[:-1].tolist() == given[1 : len(learnt)].tolist()
