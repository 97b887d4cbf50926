"""Chinese pages say in Chinese why a figure is absent."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import tradewind.evaluate
from tradewind.evaluate.generation_words import LanguageStrings

# Sentences that the code gives as `absent`, as far as they stand there as they are; {of} is a name.
_WRITTEN = re.compile(r'absent ?=[^"\n]*f?"([a-z][^"]{12,})"')


def _sentences() -> list[str]:
    folder = Path(tradewind.evaluate.__file__).parent
    found = {one for file in folder.glob("*.py") for one in _WRITTEN.findall(file.read_text("utf-8"))}
    return sorted(sentence.replace("{of}", "specificity") for sentence in found)


def test_there_are_sentences_to_look_at():
    assert len(_sentences()) >= 6


@pytest.mark.parametrize("sentence", _sentences())
def test_why_a_figure_is_absent_is_said_in_both_languages(sentence: str):
    assert LanguageStrings("en").reason(sentence) == sentence
    said = LanguageStrings("zh").reason(sentence)
    assert said != sentence
    assert re.search("[\u4e00-\u9fff]", said)
