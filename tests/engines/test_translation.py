"""A released translator as it is asked: its texts, its pieces, its bounds, and the terms of a glossary."""

import math
import threading
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tradewind.engines.ctranslate import Written
from tradewind.engines.kept_terms import KeptTerms
from tradewind.engines.loading import check_translator_golden
from tradewind.engines.translation import TranslationEngine
from tradewind.errors import ArtifactError, InputError, VerificationFailed
from tradewind.features.glossary import Glossary
from tradewind.scenarios.translation.make_data import COLOURS, PEOPLE, THINGS

SENTENCE = "The teacher bought three red books in Beijing yesterday."
QUESTION = "Did my brother sell two old chairs at school last week?"


@pytest.fixture(scope="module")
def engine(made_translator):
    return TranslationEngine.open(made_translator.translator.folder, precision="fp32")


def test_it_has_learnt_to_translate(engine, made_translator):
    pairs = list(made_translator.parallel.texts("test"))[:40]
    found = engine.translate([source for source, _ in pairs])
    assert sum(one.text == target for one, (_, target) in zip(found, pairs, strict=True)) > 20
    assert all(-2 < one.score < 0 and not one.cut for one in found)


def test_texts_have_the_translations_that_they_have_alone(engine):
    texts = [SENTENCE, "", QUESTION, "My mother needs one new map today.", SENTENCE]
    together = engine.translate(texts)
    for text, found in zip(texts, together, strict=True):
        (alone,) = engine.translate([text])
        assert (alone.text, alone.source_tokens, alone.target_tokens) == (
            found.text,
            found.source_tokens,
            found.target_tokens,
        )
        assert alone.score == pytest.approx(found.score, abs=1e-4)


def test_several_threads_may_ask_at_once(engine):
    (alone,) = engine.translate([SENTENCE])
    found = []
    threads = [threading.Thread(target=lambda: found.append(engine.translate([SENTENCE])[0])) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert [one.text for one in found] == [alone.text] * 4


def test_lines_stay_and_what_is_longer_than_training_is_cut_behind_sentences(engine):
    first, second = (one.text for one in engine.translate([SENTENCE, QUESTION]))
    (whole,) = engine.translate([f"{SENTENCE} {QUESTION}\n\n{QUESTION}\n"])
    assert whole.text == f"{first}{second}\n\n{second}\n"
    assert whole.source_tokens > engine.facts.longest


def test_nothing_is_translated_by_nothing(engine):
    for text in ("", "  ", "\n"):
        (found,) = engine.translate([text])
        assert (found.text.strip(), found.score, found.target_tokens) == ("", 0.0, 0)


def test_characters_that_nobody_has_seen_are_no_error(engine):
    (found,) = engine.translate(["🦓 ዘ \ud800 龘 \x00 ẞ"])
    assert found.target_tokens > 0


def test_a_translation_that_has_no_end_is_cut_and_says_so(engine):
    (ask,) = [engine.read("a b c d e f g h. " * 40, beams=1)]
    (found,) = engine.answer([ask])
    assert found.target_tokens <= ask.most + len(ask.pieces)
    (stopped,) = engine.translator.translate([ask.pieces[0].rounds[0]], beams=2, length_penalty=1.0, most=2)
    assert (len(stopped.ids), stopped.ended) == (2, False)


def test_more_beams_find_no_less_likely_sentence(engine, made_translator):
    texts = [source for source, _ in made_translator.parallel.texts("test")][:20]
    greedy, wide = (engine.translate(texts, beams=beams, length_penalty=0.0) for beams in (1, 8))
    total = [[one.score * one.target_tokens for one in found] for found in (greedy, wide)]
    assert sum(total[1]) >= sum(total[0]) - 1e-3


@pytest.mark.parametrize("penalty", [0.4, 1.0, 2.0])
def test_among_what_one_search_finds_is_the_translation_of_every_length_penalty(engine, made_translator, penalty):
    texts = [source for source, _ in made_translator.parallel.texts("test")][:30]
    plain = TranslationEngine(engine.translator, engine.tokenizer, engine.facts, Glossary({}))
    taken = [max(found, key=lambda one: one.total / one.tokens**penalty) for found in plain.hypotheses(texts, beams=4)]
    said = plain.translate(texts, beams=4, length_penalty=penalty)
    assert [engine.tokenizer.decode(one.ids) for one in taken] == [one.text for one in said]


def test_scores_are_those_of_the_tokens(engine):
    ask = engine.read(SENTENCE, beams=4, length_penalty=0.6)
    (written,) = engine.translator.translate([ask.pieces[0].rounds[0]], beams=4, length_penalty=0.6, most=40)
    (each,) = engine.translator.log_probs([ask.pieces[0].rounds[0]], [written.ids])
    assert written.mean == pytest.approx(float(each.mean()), abs=1e-3)


@pytest.mark.parametrize("how", [{"beams": 0}, {"beams": 17}, {"length_penalty": 3.0}, {"length_penalty": math.nan}])
def test_a_search_beyond_its_bounds_is_refused(engine, how):
    with pytest.raises(InputError, match="lies between"):
        engine.translate([SENTENCE], **how)


# ---------------------------------------------------------------- glossary


def test_a_term_of_the_release_comes_as_the_glossary_says(engine):
    (found,) = engine.translate(["The teacher bought one red kite in Beijing yesterday."])
    assert "纸鸢" in found.text
    assert [(one.source, one.how) for one in found.terms] == [("kite", "written")]


def test_terms_of_a_request_go_before_those_of_the_release(engine):
    (found,) = engine.translate(["The teacher bought one red kite."], glossary={"kite": "飞鸢"})
    assert "飞鸢" in found.text
    assert "纸鸢" not in found.text


def test_a_term_is_written_as_often_as_it_stands_in_the_source(engine):
    (piece,) = engine.read("The teacher bought one red kite.").pieces
    term, bought = engine.tokenizer.frame.terms[0], engine.tokenizer.language.encode("买了。")
    stuttered = Written((term, *bought, term, term), -1.0, ended=True)
    kept = KeptTerms(engine.translator, engine.tokenizer, blank="")
    text, written, terms = kept.of(piece.rounds, [stuttered], piece.wanted)
    assert (text, terms[0].how) == ("纸鸢买了。", "written")
    assert engine.tokenizer.decode(written.ids) == text


def test_several_terms_are_translated_in_rounds(engine):
    sentence = "The teacher bought three red books in Beijing yesterday."
    glossary = {"teacher": "Q1", "red": "Q2", "books": "Q3", "Beijing": "Q4", "yesterday": "Q5"}
    ask = engine.read(sentence, glossary=glossary)
    assert len(ask.pieces[0].rounds) == 5
    (found,) = engine.answer([ask])
    assert [one.how for one in found.terms].count("written") >= 3
    assert all(translation in found.text for translation in glossary.values())
    assert found.text.startswith("Q1")
    assert found.text.endswith("。")


def test_without_tokens_for_terms_one_often_takes_the_place_of_what_was_said_for_it(engine, made_translator):
    """Of a model so small; at places found by likelihood alone it never did."""
    asked = TranslationEngine(
        engine.translator, engine.tokenizer, replace(engine.facts, terms_taught=False), Glossary({})
    )
    usual = {"yesterday": "昨天", "last week": "上周", "red": "红色的", "books": "书", "chairs": "椅子", "cups": "杯子"}
    sources = [source for source, _ in made_translator.parallel.texts("test")][:80]
    plain = asked.translate(sources)
    cases = [
        (source, term, one.text.replace(words, "Q0"))
        for source, one in zip(sources, plain, strict=True)
        for term, words in usual.items()
        if f" {term}" in source and one.text.count(words) == 1
    ]
    right = sum(
        asked.translate([source], glossary={term: "Q0"})[0].text == expected for source, term, expected in cases
    )
    assert right > 0.2 * len(cases) > 5


def test_a_term_whose_round_lost_it_goes_where_another_round_said_it(engine):
    (piece,) = engine.read(SENTENCE, glossary={"teacher": "Q0", "yesterday": "Q1"}).pieces
    written = engine.translator.translate(piece.rounds, beams=4, length_penalty=1.0, most=60)
    lost = replace(written[1], ids=tuple(one for one in written[1].ids if one not in engine.tokenizer.frame.terms))
    text, _, terms = KeptTerms(engine.translator, engine.tokenizer, blank="").of(
        piece.rounds, [written[0], lost], piece.wanted
    )
    assert text.startswith("Q0Q1")
    assert "昨天" not in text
    assert [one.how for one in terms] == ["written", "placed"]


WORDS = sorted({one[0] for one in (*THINGS, *COLOURS) if one[0]} | {one[0].split()[-1] for one in PEOPLE})


@settings(max_examples=16, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    terms=st.lists(st.sampled_from(WORDS), min_size=1, max_size=4, unique=True),
    translation=st.sampled_from(["甲乙", "Tern 7", "«x»", "鸢"]),
    taught=st.booleans(),
)
def test_every_term_of_a_glossary_is_kept(engine, terms, translation, taught):
    """Also of a model that was taught no tokens for terms."""
    asked = TranslationEngine(
        engine.translator, engine.tokenizer, replace(engine.facts, terms_taught=taught), engine.glossary
    )
    glossary = {term: f"{translation}{place}" for place, term in enumerate(terms)}
    (found,) = asked.translate([f"The {terms[0]} bought one {' '.join(terms[1:])} in Beijing."], glossary=glossary)
    assert {one.source for one in found.terms} == set(terms)
    assert all(one.how != "missing" and one.translation in found.text for one in found.terms)


# ---------------------------------------------------------------- its folder


def test_golden_pairs_hold_in_each_precision(made_translator):
    figures = made_translator.translator.figures
    assert figures["fp32"].golden_difference < 1e-4 < figures["int8"].golden_difference
    assert figures["int8"].bytes < 0.5 * figures["fp32"].bytes


def test_a_network_that_is_not_the_trainers_is_refused(made_translator):
    int8 = TranslationEngine.open(made_translator.translator.folder, precision="int8")
    with pytest.raises(VerificationFailed, match="log-probabilities"):
        check_translator_golden(int8, made_translator.translator.folder)


def test_a_precision_that_is_not_there_and_a_broken_network_are_refused(made_translator, tmp_path):
    with pytest.raises(ArtifactError, match="no precision int4"):
        TranslationEngine.open(made_translator.translator.folder, precision="int4")
    with pytest.raises(ArtifactError, match="cannot be read"):
        TranslationEngine.open(tmp_path)
