import pytest

from tests.tiny_decoder import TEXTS
from tradewind.engines.generation import TokenLogprob
from tradewind.engines.pieces import Composer, StopFilter
from tradewind.features.language import LanguageTokenizer


@pytest.fixture(scope="module")
def tokenizer() -> LanguageTokenizer:
    return LanguageTokenizer.train_bpe(TEXTS, vocabulary=300)


def _fed(text: str, stops: tuple[str, ...], size: int) -> tuple[str, bool]:
    """What a filter shows of a text that comes in parts of `size` characters."""
    found, shown = StopFilter(stops), ""
    for start in range(0, len(text), size):
        part, stopped = found.push(text[start : start + size])
        shown += part
        if stopped:
            return shown, True
    return shown + found.flush(), False


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
@pytest.mark.parametrize(
    ("text", "stops", "shown"),
    [
        ("one END two", ("END",), "one "),
        ("ababac", ("abac",), "ab"),
        ("aaab", ("aab",), "a"),
        ("no stop here", ("stopp",), "no stop here"),
        ("x\n\nUser: hi", ("\nUser:", "\n\n\n"), "x\n"),
        ("早二晚", ("二晚", "二"), "早"),
        ("ends open EN", ("END",), "ends open EN"),
    ],
)
def test_a_stop_text_is_found_across_borders_and_never_shown(text: str, stops: tuple[str, ...], shown: str, size: int):
    assert _fed(text, stops, size)[0] == shown


def test_without_stops_nothing_is_held_back():
    assert StopFilter(()).push("abc") == ("abc", False)


def test_text_is_held_back_only_while_it_may_become_a_stop_text():
    found = StopFilter(("END",))
    assert found.push("an E") == ("an ", False)
    assert found.push("x") == ("Ex", False)


def test_pieces_hold_whole_characters_and_every_token_is_counted(tokenizer: LanguageTokenizer):
    composer = Composer(tokenizer, ())
    ids = tokenizer.encode("好🙂 ok")
    pieces = [piece for one in ids if (piece := composer.push(one))]
    last = composer.end("stop", tokens=1)
    assert "".join(piece.text for piece in [*pieces, last]) == "好🙂 ok"
    assert all("�" not in piece.text for piece in pieces)
    assert sum(piece.tokens for piece in [*pieces, last]) == len(ids) + 1 == composer.total
    assert [piece.finish for piece in [*pieces, last]] == [None] * len(pieces) + ["stop"]


def test_bytes_that_stay_open_come_with_the_last_piece(tokenizer: LanguageTokenizer):
    composer = Composer(tokenizer, ())
    first = tokenizer.encode("🙂")[0]
    assert composer.push(first) is None
    assert composer.end("length").text == "�"


def test_the_token_that_completes_a_stop_text_ends_the_answer(tokenizer: LanguageTokenizer):
    composer = Composer(tokenizer, ("lazy",))
    finishes = [piece.finish for one in tokenizer.encode("the lazy dog") if (piece := composer.push(one))]
    assert "stop" in finishes


def test_figures_of_a_stop_text_are_not_told(tokenizer: LanguageTokenizer):
    composer, told, text = Composer(tokenizer, ("!!",)), [], ""
    for one in tokenizer.encode("a b!!c"):
        piece = composer.push(one, TokenLogprob(tokenizer.decode([one]), one, -1.0))
        if piece is not None:
            told += [figure.token for figure in piece.logprobs]
            text += piece.text
            if piece.finish:
                break
    assert text == "a b"
    assert "".join(told) == "a b"
