"""Taking somebody out of a release changes what quotes him and nothing else."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tradewind.engines.loading import check_translator_golden
from tradewind.engines.translation import TranslationEngine
from tradewind.features.column import ColumnSpec
from tradewind.features.feature_set import FeatureSet
from tradewind.features.language import LanguageTokenizer
from tradewind.features.target import ClassTarget
from tradewind.files import write_json
from tradewind.release.amend import (
    GOLDEN,
    golden_without,
    pairs_without,
    prompts_without,
    spellings,
    strike_texts,
    words_without,
)
from tradewind.release.golden import Golden, object_array, read_golden, write_golden
from tradewind.release.language import LanguageGolden, read_language_golden, write_language_golden
from tradewind.release.translation import read_translation_golden

OTHERS = ["pays on time and moved twice", "asked again for a letter", "late with a letter on time"]
NOTES = [*OTHERS, "Rareword pays rareword twice", "a rareword and a letter"]


@pytest.fixture
def features() -> FeatureSet:
    jobs = ["clerk", "nurse", "clerk", "Zookeeper", "nurse"]
    specs = [ColumnSpec("job", "category", {}), ColumnSpec("note", "text", {})]
    values = {"job": np.array(jobs, dtype=object), "note": np.array(NOTES, dtype=object)}
    return FeatureSet.fit(specs, values, ClassTarget(("no", "yes")), seed=0)


def amended(folder: Path, features: FeatureSet, words: set[str]) -> tuple[int, FeatureSet, str]:
    write_json(folder / "columns.json", features.state())
    count = words_without(folder, words)
    text = (folder / "columns.json").read_text(encoding="utf-8")
    return count, FeatureSet.from_state(json.loads(text)), text


def test_learnt_words_go_and_others_are_encoded_as_before(tmp_path: Path, features: FeatureSet) -> None:
    count, after, text = amended(tmp_path, features, {"zookeeper", "rareword"})
    assert count >= 3
    assert "zookeeper" not in text.lower()
    assert "rareword" not in text.lower()
    rows = [{"job": job, "note": note} for job, note in zip(["clerk", "nurse", "clerk"], OTHERS, strict=True)]
    before = features.encode_rows(rows)
    for name, array in after.encode_rows(rows).items():
        np.testing.assert_array_equal(array, before[name])
    assert after.layout == features.layout


def test_the_person_is_encoded_as_one_never_seen(tmp_path: Path, features: FeatureSet) -> None:
    _, after, _ = amended(tmp_path, features, {"zookeeper"})
    assert after.encode_rows([{"job": "Zookeeper"}])["categories"].tolist() == [[0]]


def test_without_words_nothing_is_written(tmp_path: Path, features: FeatureSet) -> None:
    count, after, _ = amended(tmp_path, features, {"unheard"})
    assert (count, after.fingerprint) == (0, features.fingerprint)


def test_golden_examples_go_but_never_the_last(tmp_path: Path) -> None:
    golden = Golden({"job": object_array(["a", "b", "b"])}, np.array([[0.1], [0.2], [0.3]]), 1e-4)
    write_golden(tmp_path / GOLDEN, golden)
    assert golden_without(tmp_path, lambda row: row["job"] == "b") == (2, 1)
    assert read_golden(tmp_path / GOLDEN).outputs.tolist() == [[0.1]]
    assert golden_without(tmp_path, lambda row: True) == (1, 0)
    assert read_golden(tmp_path / GOLDEN).columns["job"].tolist() == ["a"]


def test_golden_prompts_of_a_language_model_go_by_their_text(tmp_path: Path) -> None:
    tokenizer = LanguageTokenizer.train_char(["the ship Ann Lee sails the tide"])
    tokenizer.save(tmp_path / "tokenizer")
    prompts = tuple(tuple(tokenizer.encode(text)) for text in ("the ship", "Ann Lee sails", "the tide"))
    write_language_golden(tmp_path / GOLDEN, LanguageGolden(prompts, np.arange(9, dtype=np.float32).reshape(3, 3), 1.0))
    assert prompts_without(tmp_path, lambda text: "Ann Lee" in text) == (1, 2)
    left = read_language_golden(tmp_path / GOLDEN)
    assert left.prompts == (prompts[0], prompts[2])
    assert left.logits.tolist() == [[0, 1, 2], [6, 7, 8]]


def test_quotations_are_struck_and_names_of_fields_and_styles_are_not(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"transform": ["transform", 5], "Transform x": 1}', encoding="utf-8")
    page = '<style>p{transform:none}</style><p class="transform" title="a transform">transform</p>'
    (tmp_path / "b.html").write_text(page, encoding="utf-8")
    changed = strike_texts(tmp_path, lambda text: text.replace("ransform", "-"))
    assert changed == ["a.json", "b.html"]
    assert json.loads((tmp_path / "a.json").read_text()) == {"transform": ["t-", 5], "T- x": 1}
    assert (tmp_path / "b.html").read_text() == page.replace("a transform", "a t-").replace(">transform<", ">t-<")


@pytest.mark.parametrize("text", ['says "yes" & <no>', "王小明", "O'Neil"])
def test_a_text_is_known_in_json_and_in_html(text: str) -> None:
    known = spellings(text)
    assert json.dumps(text)[1:-1] in known
    assert text in known
    assert all(len(one) >= len(other) for one, other in itertools.pairwise(known))


def test_golden_pairs_that_name_somebody_go_and_the_others_hold(made_translator, tmp_path):
    place = shutil.copytree(made_translator.translator.folder, tmp_path / "translator")
    golden = read_translation_golden(place / "golden.npz")
    engine = TranslationEngine.open(place, precision="fp32")
    first = engine.tokenizer.decode(golden.sources[0].tolist())
    assert pairs_without(tmp_path, lambda text: text == first) == (1, len(golden.sources) - 1)
    assert len(read_translation_golden(place / "golden.npz").greedy) == len(golden.sources) - 1
    assert check_translator_golden(engine, place) < 1e-4
    assert pairs_without(tmp_path / "elsewhere", lambda text: True) == (0, 0)
