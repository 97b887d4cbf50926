"""The report of a translator: scores are sacrebleu's own, faults are found, gates hold, and verify computes every figure again."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from sacrebleu.metrics import BLEU, CHRF

from tradewind.errors import ArtifactError
from tradewind.evaluate import translation_scores as scores
from tradewind.evaluate.recompute import recompute
from tradewind.evaluate.report import JSON_FILE, PAGE_FILE
from tradewind.evaluate.translation import TranslationInputs, again, analyse, evaluate_translation, write
from tradewind.evaluate.translation_page import render
from tradewind.evaluate.translation_witness import FILE, TranslationWitness, read_translations, write_translations
from tradewind.product import Evaluate

WORDS = re.findall(r"\w+", "a dog runs over the green hill while two small children play with some old red ball")
COUNT = 60


def sentences(seed=0):
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, size=random.integers(4, 24))) + "." for _ in range(COUNT)]


def spoiled(texts, share, seed=1):
    random = np.random.default_rng(seed)
    return tuple(" ".join("cat" if random.random() < share else one for one in text.split()) for text in texts)


def witness(said=None, **other):
    references = tuple(sentences())
    sources = tuple(text.upper() for text in references)
    numbers = np.arange(COUNT)
    told = {
        "model": spoiled(references, 0.2) if said is None else said,
        "copy": sources,
        "word_table": spoiled(references, 0.6),
    }
    return TranslationWitness(**{
        "row_N": numbers, "sources": sources, "references": references, "said": told, "cut_N": numbers < 3,
        "score_N": -numbers / 100, "source_tokens_N": numbers + 5, "target_tokens_N": numbers + 6,
        "terms": tuple(("dog",) if "dog" in one else () for one in references), **other,
    })  # fmt: skip


def settings(**other):
    return Evaluate(bootstrap=40, **other)


def report(**other):
    return evaluate_translation(TranslationInputs(
        product="translator", languages=("en", "de"), witness=witness(), settings=settings(**other),
        notes={"copy": {"how": "the source as it is", "skipped": ""},
               "word_table": {"how": "each word's likeliest word, learnt from 2,400 pairs (IBM model 1), in the order of the source", "skipped": ""}},
        data={"splits": [{"name": "test", "pairs": 60, "term_pairs": 0, "source_tokens": 900, "target_tokens": 900}],
              "vocabulary": 600, "rejected": {"duplicate": 3, "row.fields": 1}},
        model={"name": "Transformer 1 + 1 × 64", "parameters": 1000, "seconds": 12.3, "epochs": 2, "best_epoch": 2,
               "curve": [{"step": 1, "loss": 3.0, "validation_loss": 3.1}, {"step": 2, "loss": 2.0, "validation_loss": 2.2}]},
        timings={"sentences_per_s": 100.0}, parents={"run": "sha256:abc"},
    ))  # fmt: skip


# ---------------------------------------------------------------- scores


def test_scores_are_those_of_sacrebleu():
    held = witness()
    found = analyse(held, settings(), written="de").figures["test"]
    said, references = list(held.said["model"]), [list(held.references)]
    assert found["bleu"].value == pytest.approx(BLEU().corpus_score(said, references).score)
    assert found["chrf"].value == pytest.approx(CHRF().corpus_score(said, references).score)
    whole = BLEU().corpus_score(said, references)
    assert found["length_ratio"].value == pytest.approx(whole.sys_len / whole.ref_len)
    assert found["bleu"].low < found["bleu"].value < found["bleu"].high
    assert "tok:13a" in found["bleu"].how
    assert "version" not in found["bleu"].how


def test_chinese_is_judged_by_characters_and_other_texts_without_blanks_too():
    said, right = ["我哥哥昨天买了书。"], ["我哥哥今天买了书。"]
    for language in ("zh", "zho_Hans", "zh-CN"):
        metric = scores.measures(language)["bleu"]
        assert scores.score(metric, scores.counts(metric, said, right).sum(0)) == pytest.approx(
            BLEU(tokenize="zh").corpus_score(said, [right]).score
        )
    assert "tok:char" in scores.signatures(scores.measures("ja"))["bleu"]
    assert "tok:13a" in scores.signatures(scores.measures("de_DE"))["bleu"]


def test_the_lead_is_over_the_best_baseline_on_the_same_resamples():
    found = analyse(witness(), settings(), written="de")
    assert found.lead_over == "word_table"
    by_name = {one.name: one for one in found.baselines}
    assert found.lead.value == pytest.approx(
        found.figures["test"]["bleu"].value - by_name["word_table"].figures["bleu"].value
    )
    assert {one.verdict for one in found.baselines} == {"better"}
    width = found.lead.high - found.lead.low
    apart = [one["bleu"].high - one["bleu"].low for one in (found.figures["test"], by_name["word_table"].figures)]
    assert width < sum(apart)  # paired


def test_a_model_that_says_what_a_baseline_says_has_no_clear_lead():
    same = witness(said=spoiled(sentences(), 0.6))
    found = analyse(same, settings(gates={"beats_baseline": True}), written="de")
    assert (found.lead.value, found.baselines[1].verdict) == (0, "unclear")
    assert [gate.passed for gate in found.gates] == [False]


def test_gates_name_scores_and_shares():
    found = analyse(witness(), settings(gates={"bleu": ">= 99", "cut": "<= 0.05", "blue": ">= 3"}), written="de")
    by_name = {gate.name: gate for gate in found.gates}
    assert [by_name[name].passed for name in ("bleu", "cut", "blue")] == [False, True, False]
    assert "bleu" in by_name["blue"].says


def test_an_empty_translation_is_counted_and_scores_nothing():
    found = analyse(witness(said=("",) * COUNT), settings(), written="de").figures["test"]
    assert (found["bleu"].value, found["empty"].value, found["length_ratio"].value) == (0, 1, 0)


# ---------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize(
    ("said", "reference", "wrong"),
    [
        ("the the the the dog", "the dog", True),
        ("a red ball a red ball a red ball", "a red ball", True),
        ("very very good", "very good", False),
        ("ha ha ha ha ha", "ha ha ha ha ha", False),  # so it was said
        ("好好好好好", "好", True),
        ("two dogs play", "two dogs play", False),
    ],
)
def test_runs_that_come_again_and_again(said, reference, wrong):
    assert scores.repeats(said, reference) is wrong


def test_the_source_that_comes_back_is_a_copy_unless_it_is_the_translation():
    assert scores.copied("A dog", "a dog", "ein Hund")
    assert not scores.copied("London", "London", "London")
    assert not scores.copied("A dog", "ein Hund", "ein Hund")


def test_one_answer_for_sources_that_mean_different_things_is_shared():
    found = scores.shared(["x", "x", "y", "y", "", ""], ["a", "b", "c", "c", "d", "e"])
    assert found.tolist() == [True, True, False, False, False, False]


def test_terms_are_kept_where_their_words_stand():
    held = witness()
    wanted = sum(map(len, held.terms))
    kept = sum("dog" in one for one, terms in zip(held.said["model"], held.terms, strict=True) if terms)
    found = analyse(held, settings(), written="de").figures["test"]["terms_kept"]
    assert (found.value, found.rows) == (pytest.approx(kept / wanted), wanted)
    none = witness(terms=((),) * COUNT)
    assert "terms_kept" not in analyse(none, settings(), written="de").figures["test"]


def test_slices_are_by_words_of_the_source_and_examples_worst_first():
    found = analyse(witness(), settings(), written="de")
    assert [one.name for one in found.slices] == ["10–19"]  # the others have too few
    chrf = [one.chrf for one in found.worst]
    assert chrf == sorted(chrf)
    assert found.samples[0].row == 0
    assert found.samples[-1].row == COUNT - 1


# ---------------------------------------------------------------- on paper


@pytest.fixture
def written(tmp_path):
    write(report(gates={"bleu": ">= 10", "terms_kept": ">= 0.5", "beats_baseline": True}), tmp_path, language="en")
    return tmp_path


def test_the_witness_is_read_back_as_it_was(written):
    ours, read = witness(), read_translations(written)
    assert read.digest() == ours.digest()
    assert read.terms == ours.terms


def test_verify_computes_every_figure_again(written):
    result = recompute(written)
    assert result.holds, [str(one) for one in result.differences]
    assert result.checked > 100


@pytest.mark.parametrize("place", [("figures", "test", "bleu", "value"), ("baselines", 0, "figures", "chrf", "low"), ("lead", "value")])  # fmt: skip
def test_an_edited_figure_is_found(written, place):
    content = json.loads((written / JSON_FILE).read_text())
    *way, last = place
    at = content
    for one in way:
        at = at[one]
    at[last] += 1
    (written / JSON_FILE).write_text(json.dumps(content))
    assert ".".join(map(str, place)) in {one.where for one in recompute(written).differences}


def test_an_edited_translation_is_found_by_its_digest(written):
    content = json.loads((written / JSON_FILE).read_text())
    other = witness(said=spoiled(sentences(), 0.19))
    write_translations(other, written)
    assert again(content, written)["witness"]["digest"] != content["witness"]["digest"]
    assert not recompute(written).holds


def test_a_broken_witness_is_said_to_be_broken(written):
    (written / FILE).write_bytes(b"no parquet")
    with pytest.raises(ArtifactError, match="translations cannot be read"):
        recompute(written)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_report_without_baselines_and_resamples_holds_too(tmp_path, language):
    alone = witness()
    alone = replace(alone, said={"model": alone.said["model"]})
    inputs = replace(report().inputs, witness=alone, settings=Evaluate(bootstrap=0, baselines=False), notes={})
    write(evaluate_translation(inputs), tmp_path, language=language)
    content = json.loads((tmp_path / JSON_FILE).read_text())
    assert (content["lead"], content["figures"]["test"]["bleu"]["low"]) == (None, None)
    assert recompute(tmp_path).holds


def test_the_page_escapes_texts_and_has_no_address_outside(tmp_path):
    held = report()
    write(held, tmp_path, language="en")
    page = (tmp_path / PAGE_FILE).read_text()
    assert not re.search(r"(src|href)=.http", page)
    content = json.loads((tmp_path / JSON_FILE).read_text())
    content["samples"][0]["said"] = "<script>alert(1)</script>"
    assert "<script>" not in render(content, language="en")


def test_the_chinese_page_is_chinese_to_the_last_word():
    content = json.loads(json.dumps(report(gates={"bleu": ">= 10", "beats_baseline": True}).to_json()))
    texts = {one[key] for name in ("samples", "worst") for one in content[name] for key in ("source", "reference", "said", "beside")}  # fmt: skip
    page = render(content, language="zh", with_pictures=False)
    body = re.sub(r"<code>.*?</code>", " ", page[page.index("<main>") :])
    for text in sorted(texts, key=len, reverse=True):
        body = body.replace(text, " ").replace(text.replace("'", "&#39;"), " ")
    body = body.replace(content["witness"]["digest"][:23], " ").replace("&gt;", " ")
    words = set(re.findall(r"[A-Za-z]{2,}", re.sub(r"<[^>]*>", " ", body)))
    names = {"BLEU", "chrF", "sacrebleu", "translator", "Transformer", "IBM", "en", "de", "translations", "parquet"}
    settings = set(re.findall(r"[A-Za-z]+", "nrefs case mixed lc eff no yes tok 13a smooth exp nc nw space"))
    assert words - names - settings == set()
