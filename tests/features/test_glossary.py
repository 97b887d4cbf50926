"""Words, glossaries and the tables of words that stand for each other."""

import pytest

from tradewind.errors import DataError
from tradewind.features.glossary import Glossary, read_glossary
from tradewind.features.word_table import WordTable
from tradewind.features.words import joined, words


def test_chinese_characters_are_words_of_their_own_and_signs_stand_alone():
    assert words("GPT模型 isn't 3.5 apples!") == ["GPT", "模", "型", "isn't", "3.5", "apples", "!"]


def test_words_come_back_as_a_text_of_their_language():
    assert joined(["Ja", ",", "(", "gut", ")", "."], language="de") == "Ja, (gut)."
    assert joined(["好", "。"], language="zh_CN") == "好。"


def found(glossary, text):
    return [(text[one.start : one.end], one.translation) for one in glossary.find(text)]


def test_terms_are_found_whole_the_longest_first_and_small_ones_in_any_case():
    glossary = Glossary({"cat": "Katze", "wild cat": "Wildkatze", "Berlin": "Berlin"})
    assert found(glossary, "A Wild cat, a Cat, a category in Berlin; not berlin.") == [
        ("Wild cat", "Wildkatze"), ("Cat", "Katze"), ("Berlin", "Berlin"),
    ]  # fmt: skip


def test_chinese_terms_need_no_space_around_them():
    assert found(Glossary({"风筝": "kite"}), "她昨天买了风筝吗？") == [("风筝", "kite")]


def test_a_glossary_is_read_from_two_columns(tmp_path):
    (tmp_path / "terms.tsv").write_text("kite\t纸鸢\n\nPro plan\t专业版\n", encoding="utf-8")
    assert dict(read_glossary(tmp_path / "terms.tsv").terms) == {"kite": "纸鸢", "Pro plan": "专业版"}


@pytest.mark.parametrize(
    ("line", "code"), [("kite", "glossary_line"), ("kite,a,b", "glossary_line"), ("  ,a", "glossary_line")]
)
def test_a_line_that_is_no_term_is_named(tmp_path, line, code):
    (tmp_path / "terms.csv").write_text(f"lamp,灯\n{line}\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"terms\.csv:2") as caught:
        read_glossary(tmp_path / "terms.csv")
    assert caught.value.code.endswith(code)


def test_a_table_learns_which_word_stands_for_which():
    """The example of Knight's tutorial on Brown et al. 1993: nothing but the whole corpus tells `the house` apart."""
    corpus = [("the house", "das haus"), ("the book", "das buch"), ("a book", "ein buch")]
    table = WordTable.fit([(words(source), words(target)) for source, target in corpus])
    assert [table.best(word) for word in ("the", "house", "book", "a")] == ["das", "haus", "buch", "ein"]
    assert table.translate("the unknown book", language="de") == "das unknown buch"


def test_the_first_round_of_a_table_is_that_of_the_formula():
    table = WordTable.fit([(["a", "b"], ["x", "y"]), (["a"], ["x"])], rounds=1)
    likely = dict(table.likely["a"])
    assert likely["x"] == pytest.approx(0.75)  # counts 1/2 + 1 of x, 1/2 of y
    assert likely["y"] == pytest.approx(0.25)
