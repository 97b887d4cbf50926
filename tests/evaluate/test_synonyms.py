"""Words of like meaning: ours and a file of the user's."""

import numpy as np
import pytest

from tradewind.errors import InputError
from tradewind.evaluate.synonyms import built_in, known, read_lexicon, rephrased


@pytest.fixture
def random():
    return np.random.default_rng(0)


def test_every_known_word_is_replaced_where_all_are_asked_for(random):
    lexicon = {"cheap": ["inexpensive"], "味道": ["口味"]}
    assert rephrased("Cheap cheaper, cheap! 味道好", 1.0, random, lexicon) == (
        "Inexpensive cheaper, inexpensive! 口味好"
    )


def test_the_longest_word_of_chinese_goes_first(random):
    assert rephrased("不好吃", 1.0, random, {"好吃": ["美味"], "不好吃": ["难吃"]}) == "难吃"


def test_nothing_is_replaced_where_nothing_is_asked_for(random):
    text = "A big problem: the card is broken. 服务员态度很好"
    assert rephrased(text, 0.0, random, built_in()) == text
    assert known(text, built_in()) >= 4


def test_ours_never_gives_a_word_for_itself():
    assert all(word not in others for word, others in built_in().items())
    assert {"big", "好吃"} <= built_in().keys()


def test_a_file_is_read(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("# ours\ncheap, inexpensive\n好吃 美味\nalone\n", encoding="utf-8")
    found = read_lexicon(path)
    assert found["cheap"] == ["inexpensive"]
    assert found["美味"] == ["好吃"]
    assert "alone" not in found


@pytest.mark.parametrize("content", [b"", b"alone\n", b"# cheap dear\n", b"\xff\xfe\xff"])
def test_a_file_without_two_words_in_a_line_is_refused(tmp_path, content):
    path = tmp_path / "words.txt"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_lexicon(path)
    assert caught.value.code.endswith("synonyms_file")


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_lexicon(tmp_path / "none.txt")
