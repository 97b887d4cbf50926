"""What is asked of vLLM and what is made of its answers, with a runtime in its place: vLLM itself runs on a GPU machine."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.tiny_decoder import TEXTS
from tradewind.engines.generation import Piece, Sampling
from tradewind.engines.vllm import Runtime, VllmEngine
from tradewind.errors import EnvironmentFailure, InputError
from tradewind.features.language import LanguageTokenizer


class FakeLlm:
    """Says the tokens it was given, two at a time."""

    def __init__(self, says: list[int], finish: str | None) -> None:
        self.says, self.finish = says, finish
        self.requests: list[SimpleNamespace] = []
        self.aborted: list[str] = []
        self.closed = False

    async def generate(self, prompt: Any, parameters: Any, number: str, *, lora_request: Any = None):
        self.requests.append(SimpleNamespace(prompt=prompt, parameters=parameters, number=number, lora=lora_request))
        for start in range(0, len(self.says), 2):
            await asyncio.sleep(0)
            part = self.says[start : start + 2]
            last = start + 2 >= len(self.says)
            figures = None
            if parameters.logprobs is not None:
                figures = [{one: SimpleNamespace(logprob=-0.5), 9: SimpleNamespace(logprob=-1.5)} for one in part]
            finish = "abort" if number in self.aborted else self.finish if last else None
            yield SimpleNamespace(outputs=[SimpleNamespace(token_ids=part, logprobs=figures, finish_reason=finish)])
            if finish == "abort":
                return

    async def abort(self, number: str) -> None:
        self.aborted.append(number)

    def shutdown(self) -> None:
        self.closed = True


def _engine(
    says: str, *, finish: str | None = "stop", ends: bool = True, **settings: Any
) -> tuple[VllmEngine, FakeLlm, Any]:
    tokenizer = LanguageTokenizer.train_bpe(TEXTS, vocabulary=300)
    llm = FakeLlm(tokenizer.encode(says) + ([tokenizer.specials.eos] if ends else []), finish)
    seen = SimpleNamespace(arguments=None)

    def arguments(**given: Any) -> SimpleNamespace:
        seen.arguments = SimpleNamespace(**given)
        return seen.arguments

    runtime = Runtime(
        engine_args=arguments,
        async_llm=SimpleNamespace(from_engine_args=lambda _: llm),
        sampling_params=SimpleNamespace,
        structured_outputs=SimpleNamespace,
        output_kind=SimpleNamespace(DELTA="delta"),
        lora_request=lambda name, number, path: (name, number, path),
    )
    return VllmEngine(Path("hf"), tokenizer, context=64, runtime=runtime, **settings), llm, seen


def _ask(engine: VllmEngine, **settings: Any) -> list[Piece]:
    async def ask() -> list[Piece]:
        return [piece async for piece in engine.start([5, 6], Sampling(**{"max_tokens": 20, **settings}))]

    return asyncio.run(ask())


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vllm is installed here")
def test_without_vllm_it_says_what_to_install():
    tokenizer = LanguageTokenizer.train_bpe(TEXTS, vocabulary=300)
    with pytest.raises(EnvironmentFailure) as caught:
        VllmEngine(Path("hf"), tokenizer, context=64)
    assert caught.value.code == "environment.package_missing"
    assert "pip install vllm" in str(caught.value)


def test_a_request_is_handed_on_whole():
    engine, llm, seen = _engine("ok", adapters={"tone": Path("a/tone")}, gpu_memory_utilization=0.5)
    _ask(
        engine,
        temperature=0.3,
        top_p=0.8,
        top_k=7,
        seed=4,
        logprobs=2,
        schema={"type": "object"},
        adapter="tone",
        max_tokens=99,
    )
    (request,) = llm.requests
    assert request.prompt == {"prompt_token_ids": [5, 6]}
    asked = request.parameters
    assert (asked.temperature, asked.top_p, asked.top_k, asked.seed, asked.logprobs) == (0.3, 0.8, 7, 4, 2)
    assert asked.max_tokens == 62  # what the context leaves
    assert asked.structured_outputs.json == {"type": "object"}
    assert asked.stop_token_ids == list(engine.tokenizer.specials.stops)
    assert (asked.detokenize, asked.output_kind) == (False, "delta")
    assert request.lora == ("tone", 1, "a/tone")
    assert (seen.arguments.model, seen.arguments.enable_lora, seen.arguments.gpu_memory_utilization) == (
        "hf",
        True,
        0.5,
    )


def test_its_tokens_become_pieces_and_the_end_token_counts():
    engine, llm, _ = _engine("你好 quick")
    pieces = _ask(engine, logprobs=1)
    assert "".join(piece.text for piece in pieces) == "你好 quick"
    assert sum(piece.tokens for piece in pieces) == len(llm.says)
    assert pieces[-1].finish == "stop"
    assert all(figure.logprob == -0.5 and len(figure.top) == 1 for piece in pieces for figure in piece.logprobs)


def test_a_stop_text_aborts_the_request():
    engine, llm, _ = _engine("the lazy dog and more and more")
    pieces = _ask(engine, stop=("dog",))
    assert "".join(piece.text for piece in pieces) == "the lazy "
    assert llm.aborted == ["tradewind-0"]


def test_what_is_too_long_ends_with_length():
    engine, _, _ = _engine("the quick", finish="length", ends=False)
    assert _ask(engine)[-1].finish == "length"


def test_cancelling_aborts_it_there():
    engine, llm, _ = _engine("the quick brown fox jumps over the lazy dog")

    async def leave() -> str | None:
        generation = engine.start([5], Sampling(max_tokens=40))
        finish = None
        async for piece in generation:
            generation.cancel()
            finish = piece.finish
        return finish

    assert asyncio.run(leave()) == "cancelled"
    assert llm.aborted == ["tradewind-0"]


def test_a_wrong_request_never_reaches_it():
    engine, llm, _ = _engine("ok")
    with pytest.raises(InputError):
        _ask(engine, adapter="none")
    assert llm.requests == []
    engine.close()
    assert llm.closed
