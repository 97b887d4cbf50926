import asyncio
import json
import time

import pytest

from tests.tiny_decoder import TEXTS
from tradewind.engines.fake import FakeGenerator
from tradewind.engines.generation import Piece, Sampling
from tradewind.errors import InputError
from tradewind.features.language import LanguageTokenizer


@pytest.fixture(scope="module")
def tokenizer() -> LanguageTokenizer:
    return LanguageTokenizer.train_bpe(TEXTS, vocabulary=300)


def _ask(engine: FakeGenerator, prompt: str = "red green blue", **settings) -> list[Piece]:
    async def ask() -> list[Piece]:
        generation = engine.start(engine.tokenizer.encode(prompt), Sampling(**{"max_tokens": 40, **settings}))
        pieces = [piece async for piece in generation]
        assert generation.completion_tokens == sum(piece.tokens for piece in pieces)
        return pieces

    return asyncio.run(ask())


def _text(pieces: list[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


def test_it_says_the_prompts_words(tokenizer):
    pieces = _ask(FakeGenerator(tokenizer), temperature=0)
    assert _text(pieces) == "red green blue"
    assert [piece.finish for piece in pieces if piece.finish] == ["stop"]


def test_a_seed_turns_them(tokenizer):
    assert _text(_ask(FakeGenerator(tokenizer), seed=1)) == "green blue red"


def test_it_keeps_to_max_tokens_and_stop_texts(tokenizer):
    engine = FakeGenerator(tokenizer)
    assert sum(piece.tokens for piece in _ask(engine, max_tokens=3)) == 3
    assert _ask(engine, max_tokens=3)[-1].finish == "length"
    assert _text(_ask(engine, stop=("green",))) == "red "


def test_a_schema_gets_its_smallest_value_and_an_answer_can_be_given(tokenizer):
    schema = {"properties": {"a": {"type": "integer"}, "b": {"enum": ["x"]}}, "required": ["a", "b"]}
    assert json.loads(_text(_ask(FakeGenerator(tokenizer), schema=schema, max_tokens=99))) == {"a": 0, "b": "x"}
    assert _text(_ask(FakeGenerator(tokenizer, answer="so it is"))) == "so it is"


def test_an_answer_that_was_cancelled_ends_so_and_no_longer_runs(tokenizer):
    engine = FakeGenerator(tokenizer, pace_s=30)

    async def leave() -> str | None:
        generation = engine.start([5], Sampling(max_tokens=9))
        assert engine.running == 1
        asyncio.get_running_loop().call_later(0.01, generation.cancel)
        return [piece async for piece in generation][-1].finish

    started = time.monotonic()
    assert asyncio.run(leave()) == "cancelled"
    assert engine.running == 0
    assert time.monotonic() - started < 10


def test_it_breaks_off_where_it_was_told_to(tokenizer):
    engine = FakeGenerator(tokenizer, fail_after=2)
    with pytest.raises(RuntimeError, match="told to fail"):
        _ask(engine)
    assert engine.running == 0


def test_it_refuses_what_every_engine_refuses(tokenizer):
    engine = FakeGenerator(tokenizer, context=4)
    with pytest.raises(InputError) as caught:
        _ask(engine)
    assert caught.value.code == "input.prompt_too_long"


def test_it_tells_figures_for_each_token(tokenizer):
    pieces = _ask(FakeGenerator(tokenizer), logprobs=2, temperature=0)
    figures = [figure for piece in pieces for figure in piece.logprobs]
    assert "".join(figure.token for figure in figures) == "red green blue"
    assert all(len(figure.top) == 2 for figure in figures)
