"""The engine against a reference of its own network, alone and under load, and with requests that are wrong."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import torch

from tests.tiny_decoder import write_hf
from tradewind.engines.genai import GenaiEngine, GenaiGeneration
from tradewind.engines.generation import Piece, Sampling
from tradewind.errors import ArtifactError, EnvironmentFailure, InputError
from tradewind.features.language import LanguageTokenizer
from tradewind.model.genai import build_genai
from tradewind.model.hf_folder import open_folder

T = TypeVar("T")
PROMPTS = ["The quick brown", "你好，世界", "A record is {", "dog. " * 30, "x"]
SCHEMA = {
    "type": "object",
    "properties": {"age": {"type": "integer", "minimum": 0, "maximum": 99}, "town": {"enum": ["Oslo", "Rome"]}},
    "required": ["age", "town"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def engine(tiny_genai: Path) -> Iterator[GenaiEngine]:
    made = GenaiEngine(tiny_genai / "fp32", LanguageTokenizer.open(tiny_genai / "fp32"), slots=4, threads=1)
    yield made
    made.close()


def _run(work: Callable[[], Awaitable[T]]) -> T:
    async def main() -> T:
        return await asyncio.wait_for(work(), 60)

    return asyncio.run(main())


async def _pieces(generation: GenaiGeneration) -> list[Piece]:
    return [piece async for piece in generation]


async def _text(engine: GenaiEngine, prompt: str, **settings: Any) -> str:
    sampling = Sampling(**{"max_tokens": 24, "temperature": 0.0, **settings})
    return "".join(piece.text for piece in await _pieces(engine.start(engine.tokenizer.encode(prompt), sampling)))


def _ask(engine: GenaiEngine, prompt: str, **settings: Any) -> str:
    return _run(lambda: _text(engine, prompt, **settings))


@pytest.mark.parametrize("prompt", PROMPTS)
def test_greedy_answers_are_those_of_the_network_itself(engine: GenaiEngine, tiny_hf: Path, prompt: str):
    model, _ = open_folder(tiny_hf)
    ids = engine.tokenizer.encode(prompt)
    said = model.generate(ids, max_tokens=24, temperature=0.0, seed=0, stops=engine.tokenizer.specials.stops)
    assert _ask(engine, prompt) == engine.tokenizer.decode(said)


def test_greedy_answers_are_the_same_alone_and_under_load(engine: GenaiEngine):
    assert engine.deterministic.under_load
    alone = [_ask(engine, prompt) for prompt in PROMPTS]

    async def together() -> list[str]:
        return await asyncio.gather(*(_text(engine, prompt) for prompt in PROMPTS * 4))

    assert _run(together) == alone * 4


def test_a_seed_gives_the_same_answer_alone_and_under_load(engine: GenaiEngine):
    drawn = {"temperature": 1.0, "top_p": 0.95, "seed": 11}
    alone = _ask(engine, PROMPTS[0], **drawn)

    async def together() -> list[str]:
        others = (_text(engine, prompt, temperature=1.3) for prompt in PROMPTS * 2)
        return (await asyncio.gather(_text(engine, PROMPTS[0], **drawn), *others))[:1]

    assert _run(together) == [alone]
    assert _ask(engine, PROMPTS[0], **{**drawn, "seed": 12}) != alone


def test_a_short_answer_does_not_wait_for_a_long_one_that_was_there_before(engine: GenaiEngine):
    async def race() -> list[str]:
        order: list[str] = []
        prompt = engine.tokenizer.encode("The quick")

        def begin(tokens: int) -> GenaiGeneration:
            return engine.start(prompt, Sampling(max_tokens=tokens, temperature=0.0, regex="[a-z ]{400}"))

        async def finish(name: str, answer: GenaiGeneration) -> None:
            await _pieces(answer)
            order.append(name)

        long = begin(200)
        await anext(aiter(long))  # it runs when the short one comes
        await asyncio.gather(finish("long", long), finish("short", begin(2)))
        return order

    assert _run(race) == ["short", "long"]


def test_a_stop_text_ends_the_answer_and_is_not_shown(engine: GenaiEngine):
    whole = _ask(engine, PROMPTS[0])
    stop = whole[6:9]
    assert _ask(engine, PROMPTS[0], stop=(stop,)) == whole[: whole.index(stop)]


def test_max_tokens_and_what_was_computed_agree(engine: GenaiEngine):
    async def ask() -> tuple[list[Piece], int, int]:
        generation = engine.start([5, 6, 7], Sampling(max_tokens=9, temperature=0.0, regex="[a-z]{40}"))
        return await _pieces(generation), generation.completion_tokens, generation.prompt_tokens

    pieces, computed, prompt = _run(ask)
    assert sum(piece.tokens for piece in pieces) == computed == 9
    assert prompt == 3
    assert [piece.finish for piece in pieces if piece.finish] == ["length"]


def test_an_answer_stops_where_the_context_is_full(engine: GenaiEngine):
    async def ask() -> list[Piece]:
        return await _pieces(engine.start([5] * 250, Sampling(max_tokens=100, temperature=0.0, regex="[a-z]{90}")))

    pieces = _run(ask)
    assert sum(piece.tokens for piece in pieces) == engine.context - 250
    assert pieces[-1].finish == "length"


def test_cancelling_frees_the_slot_and_the_others_go_on(engine: GenaiEngine):
    expected = _ask(engine, PROMPTS[1])

    async def leave() -> tuple[str | None, str, int]:
        leaver = engine.start([5, 6], Sampling(max_tokens=200, temperature=0.0, regex="[a-z]{400}"))
        other = asyncio.create_task(_text(engine, PROMPTS[1]))
        finish = None
        async for piece in leaver:
            leaver.cancel()
            leaver.cancel()
            finish = piece.finish
        return finish, await other, leaver.completion_tokens

    finish, said, computed = _run(leave)
    assert finish == "cancelled"
    assert said == expected
    assert computed < 100
    assert engine.running == 0


def test_one_that_waits_for_a_slot_can_be_cancelled_too(engine: GenaiEngine):
    async def leave() -> list[str | None]:
        sampling = Sampling(max_tokens=150, temperature=0.0, regex="[a-z]{400}")
        running = [engine.start([5, number], sampling) for number in range(6, 12)]  # two more than there are slots
        for one in running:
            one.cancel()
        return [(await _pieces(one))[-1].finish for one in running]

    assert _run(leave) == ["cancelled"] * 6
    assert engine.running == 0


def test_an_answer_bound_to_a_schema_is_json_of_that_schema(engine: GenaiEngine):
    for seed in range(4):
        found = json.loads(_ask(engine, PROMPTS[2], schema=SCHEMA, max_tokens=60, temperature=1.0, seed=seed))
        assert set(found) == {"age", "town"}
        assert 0 <= found["age"] <= 99
        assert found["town"] in ("Oslo", "Rome")


def test_an_answer_bound_to_an_expression_matches_it(engine: GenaiEngine):
    expression = "(北京|上海)-[0-9]{4}"
    assert re.fullmatch(expression, _ask(engine, PROMPTS[1], regex=expression, temperature=1.0, max_tokens=40))


def test_log_probabilities_are_the_networks_own(engine: GenaiEngine, tiny_hf: Path):
    model, _ = open_folder(tiny_hf)
    ids = engine.tokenizer.encode(PROMPTS[0])

    async def ask() -> list[Piece]:
        return await _pieces(engine.start(ids, Sampling(max_tokens=5, temperature=0.0, logprobs=3)))

    figures = [figure for piece in _run(ask) for figure in piece.logprobs]
    with torch.no_grad():
        said = [figure.id for figure in figures]
        logprobs = model(torch.tensor([ids + said]))[0].log_softmax(-1)
    for place, figure in enumerate(figures):
        row = logprobs[len(ids) - 1 + place]
        assert figure.logprob == pytest.approx(float(row[figure.id]), abs=1e-4)
        assert [one for _, one, _ in figure.top] == row.topk(3).indices.tolist()


@pytest.mark.parametrize(
    ("prompt", "settings", "code"),
    [
        ([], {}, "input.prompt_empty"),
        ([5] * 256, {}, "input.prompt_too_long"),
        ([100_000], {}, "input.prompt_token"),
        ([-1], {}, "input.prompt_token"),
        ([5], {"schema": {"type": "nonsense"}}, "input.schema_invalid"),
        ([5], {"regex": "(["}, "input.regex_invalid"),
        ([5], {"regex": "a", "schema": {}}, "input.sampling"),
        ([5], {"adapter": "gone"}, "input.adapter_unknown"),
        ([5], {"temperature": -1.0}, "input.sampling"),
        ([5], {"top_p": 0.0}, "input.sampling"),
        ([5], {"max_tokens": 0}, "input.sampling"),
        ([5], {"logprobs": 50}, "input.sampling"),
        ([5], {"stop": ("",)}, "input.sampling"),
    ],
)
def test_a_wrong_request_is_refused_with_a_code_while_others_are_answered(
    engine: GenaiEngine, prompt: list[int], settings: dict[str, Any], code: str
):
    expected = _ask(engine, PROMPTS[0])

    async def ask() -> tuple[str, str]:
        other = asyncio.create_task(_text(engine, PROMPTS[0]))
        await asyncio.sleep(0)
        with pytest.raises(InputError) as caught:
            engine.start(prompt, Sampling(**{"max_tokens": 5, **settings}))
        return caught.value.code, await other

    assert _run(ask) == (code, expected)


def test_an_engine_that_is_closed_ends_its_answers_and_takes_no_more(tiny_genai: Path):
    engine = GenaiEngine(tiny_genai / "int4", LanguageTokenizer.open(tiny_genai / "int4"), slots=1, threads=1)

    async def ask() -> str | None:
        generation = engine.start([5], Sampling(max_tokens=240, temperature=0.0, regex="[a-z]{400}"))
        await asyncio.to_thread(engine.close)
        return (await _pieces(generation))[-1].finish

    assert _run(ask) == "cancelled"
    engine.close()

    async def again() -> None:
        engine.start([5], Sampling(max_tokens=1))

    with pytest.raises(EnvironmentFailure) as caught:
        _run(again)
    assert caught.value.code == "environment.engine_closed"


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_smaller_precisions_are_the_same_alone_and_under_load_too(tiny_genai: Path, precision: str):
    folder = tiny_genai / precision
    engine = GenaiEngine(folder, LanguageTokenizer.open(folder), slots=8, threads=2)
    assert engine.deterministic.under_load
    alone = [_ask(engine, prompt) for prompt in PROMPTS]

    async def together() -> list[str]:
        return await asyncio.gather(*(_text(engine, prompt) for prompt in PROMPTS * 3))

    assert _run(together) == alone * 3
    engine.close()


def test_a_prompt_of_many_chunks_gives_what_the_network_gives(engine: GenaiEngine, tiny_hf: Path):
    model, _ = open_folder(tiny_hf)
    ids = np.random.default_rng(0).integers(4, 300, 200).tolist()
    with torch.no_grad():
        expected = model(torch.tensor([ids]))[0, -1].numpy()
    np.testing.assert_allclose(engine.last_logits([ids])[0], expected, atol=1e-4)


def test_a_characters_tokeniser_can_be_bound_too(tmp_path: Path):
    build_genai(write_hf(tmp_path / "hf", char=True), tmp_path / "genai", precisions=("fp32",))
    engine = GenaiEngine(tmp_path / "genai" / "fp32", LanguageTokenizer.open(tmp_path / "hf"), slots=2, threads=1)
    schema = {"type": "object", "properties": {"name": {"enum": ["Ada"]}}, "required": ["name"]}
    schema["additionalProperties"] = False
    assert json.loads(_ask(engine, "The", schema=schema, max_tokens=60, temperature=1.0, seed=1)) == {"name": "Ada"}
    with pytest.raises(InputError) as caught:  # no document had this character, so no token has it
        _ask(engine, "The", regex="Ω", max_tokens=4)
    assert caught.value.code == "input.schema_invalid"
    assert _ask(engine, "The", max_tokens=3)
    engine.close()


def test_a_tokeniser_with_more_tokens_than_the_model_is_refused(tiny_genai: Path):
    texts = [f"word{number} other{number * 7} thing{number * 13}" for number in range(300)] * 3
    larger = LanguageTokenizer.train_bpe(texts, vocabulary=900)
    with pytest.raises(ArtifactError) as caught:
        GenaiEngine(tiny_genai / "fp32", larger, slots=1)
    assert caught.value.code == "artifact.tokeniser_misfit"


def test_a_broken_graph_is_refused(tiny_genai: Path, tmp_path: Path):
    for name, spoil in (("genai_config.json", "graph_broken"), ("model.onnx", "graph_broken")):
        folder = tmp_path / name
        folder.mkdir()
        for path in (tiny_genai / "fp32").iterdir():
            (folder / path.name).write_bytes(b"{" if path.name == name else path.read_bytes())
        with pytest.raises(ArtifactError) as caught:
            GenaiEngine(folder, LanguageTokenizer.open(tiny_genai / "fp32"), slots=1)
        assert caught.value.code == f"artifact.{spoil}"


def test_the_engine_needs_neither_torch_nor_onnxruntime_genai(tiny_genai: Path):
    script = f"""
import asyncio, sys
from pathlib import Path
from tradewind.engines.genai import GenaiEngine
from tradewind.engines.generation import Sampling
from tradewind.features.language import LanguageTokenizer
engine = GenaiEngine(Path({str(tiny_genai / "int4")!r}), LanguageTokenizer.open(Path({str(tiny_genai / "int4")!r})), slots=1)
async def main():
    async for piece in engine.start([5], Sampling(max_tokens=4, schema={{"type": "boolean"}})): pass
    return piece.finish
assert asyncio.run(main()) in ("stop", "length")
print(sorted(set(sys.modules) & {{"torch", "transformers", "onnxruntime_genai", "onnx", "polars"}}))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
