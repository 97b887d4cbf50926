"""A dictionary between a language with blanks and one without, learnt from pairs: whole words, not single characters."""

import pytest

from tests.pairs import write_pairs
from tradewind.features.run_table import RunTable
from tradewind.features.word_table import WordTable
from tradewind.features.words import words
from tradewind.scenarios.translation.make_data import THINGS


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    folder = write_pairs(tmp_path_factory.mktemp("pairs"))
    return list(zip(*((folder / f"data/train.{code}").read_text().splitlines() for code in ("en", "zh")), strict=True))


def test_nouns_are_written_whole(pairs):
    table = RunTable.fit(pairs, source="en", target="zh")
    right = [table.translate(plural) == chinese for _, plural, chinese, _ in THINGS]
    assert sum(right) >= 12
    by_characters = WordTable.fit([(words(english), words(chinese)) for english, chinese in pairs])
    alone = [by_characters.translate(plural, language="zh") == chinese for _, plural, chinese, _ in THINGS]
    assert sum(alone) < sum(right) / 2


def test_several_words_stand_one_behind_the_other_and_what_is_unknown_stays(pairs):
    table = RunTable.fit(pairs, source="en", target="zh")
    assert [table.translate(word) for word in ("mother", "friend", "my mother")] == ["妈妈", "朋友", "我妈妈"]
    assert table.translate("Zanzibar") == "Zanzibar"


def test_runs_are_found_the_longest_first_where_the_source_has_no_blanks(pairs):
    table = RunTable.fit([(chinese, english) for english, chinese in pairs], source="zh", target="en")
    right = [table.translate(chinese) in (english, plural) for english, plural, chinese, _ in THINGS]
    assert sum(right) >= 12
    assert table.translate("老师") == "teacher"


def test_no_pairs_make_an_empty_dictionary():
    assert RunTable.fit([], source="en", target="zh").translate("a b") == "ab"
