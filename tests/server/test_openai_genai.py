"""The real engine behind the API: a decoder of 100,000 weights, on a real socket, with the official client."""

import asyncio
import json
import time

import httpx
import openai
import pytest

from tests.server.language import HELLO, KEY, served, serving
from tests.tiny_decoder import tiny_genai, tiny_hf  # noqa: F401
from tradewind.engines.genai import GenaiEngine
from tradewind.features.language import LanguageTokenizer


@pytest.fixture(scope="module")
def engine(tiny_genai, tiny_hf):  # noqa: F811
    engine = GenaiEngine(tiny_genai / "fp32", LanguageTokenizer.open(tiny_hf), slots=8, threads=1)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def house(engine):
    with serving(served(engine)) as found:
        yield found


def ask(client, **said):
    return client.chat.completions.create(
        **{"model": "writer", "messages": HELLO, "temperature": 0, "max_tokens": 24, **said}
    )


def test_a_stream_is_the_whole_answer_and_both_are_billed_as_counted(house):
    address, gate = house
    before = sum(gate.by_meter.values())
    with openai.OpenAI(api_key="secret", base_url=f"{address}/v1", max_retries=0) as client:
        whole = ask(client)
        chunks = list(ask(client, stream=True, stream_options={"include_usage": True}))
    assert "".join(c.choices[0].delta.content or "" for c in chunks[:-1]) == whole.choices[0].message.content
    assert chunks[-1].usage == whole.usage
    assert 0 < whole.usage.completion_tokens <= 24
    assert sum(gate.by_meter.values()) - before == 2 * whole.usage.total_tokens


def test_temperature_0_gives_the_same_answer_alone_and_under_load_or_the_reply_says_so(house, engine):
    async def story():
        async with openai.AsyncOpenAI(api_key="secret", base_url=f"{house[0]}/v1", max_retries=0) as client:
            alone = await ask(client)
            beside = await asyncio.gather(
                *(ask(client, messages=[{"role": "user", "content": "x" * n}]) for n in range(1, 8)), ask(client)
            )
            return alone, beside[-1]

    alone, beside = asyncio.run(story())
    same = alone.choices[0].message.content == beside.choices[0].message.content
    assert same or not engine.deterministic.under_load
    assert alone.system_fingerprint.endswith("under-load") == engine.deterministic.under_load


def test_an_answer_bound_by_a_schema_is_json(house):
    schema = {
        "type": "object",
        "properties": {"age": {"type": "integer", "minimum": 0, "maximum": 9}},
        "required": ["age"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "one", "schema": schema}}
    with openai.OpenAI(api_key="secret", base_url=f"{house[0]}/v1", max_retries=0) as client:
        answer = ask(client, response_format=form, max_tokens=60)
    if answer.choices[0].finish_reason == "stop":
        assert 0 <= json.loads(answer.choices[0].message.content)["age"] <= 9


def test_a_client_that_leaves_frees_its_slot_and_pays_for_what_was_computed(house):
    address, gate = house
    before = dict(gate.by_meter)
    body = {"model": "writer", "messages": HELLO, "temperature": 1, "seed": 3, "max_tokens": 200, "stream": True}
    with (
        httpx.Client(base_url=address, headers=KEY) as client,
        client.stream("POST", "/v1/chat/completions", json=body) as reply,
    ):
        next(reply.iter_lines())
    end = time.monotonic() + 10
    while gate.reserved:
        assert time.monotonic() < end
        time.sleep(0.01)
    billed = gate.by_meter["completion_tokens"] - before.get("completion_tokens", 0)
    assert 0 < billed <= 200
    with openai.OpenAI(api_key="secret", base_url=f"{address}/v1", max_retries=0) as client:
        assert ask(client).choices[0].finish_reason in ("stop", "length")
