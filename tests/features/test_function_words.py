"""Terms that say what a text is about, and none that only say how it is put."""

import pytest

from tradewind.features.function_words import telling
from tradewind.features.terms import terms


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("Do you ship to Switzerland?", ["ship", "switzerland"]),
        ("can I send tea back if I do not like it?", ["send", "tea", "back"]),
        ("How are you?", []),
        ("可以寄到瑞士吗？", ["寄", "瑞", "士", "以寄", "寄到", "到瑞", "瑞士", "士吗"]),
        ("请问你们可以吗", []),
        ("IT department", ["department"]),
        ("", []),
    ],
)
def test_words_that_put_a_question_are_left_out(text, about):
    assert telling(terms(text)) == about
