"""The real engine behind the API: a decoder of 100,000 weights, on a real socket, with the official client."""

import asyncio
import json
import re
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


@pytest.mark.parametrize(
    ("bound", "wanted"),
    [
        ({"regex": "[a-c]{3}-[0-9]"}, r"[a-c]{3}-[0-9]"),
        ({"choice": ["退款 (full)", "refuse.", "a|b"]}, r"退款 \(full\)|refuse\.|a\|b"),
        ({"json": {"type": "integer", "minimum": 0, "maximum": 9}}, r"[0-9]"),
    ],
)
def test_an_answer_is_bound_by_structured_outputs_on_every_route(house, bound, wanted):
    said = {"temperature": 1, "seed": 5, "extra_body": {"structured_outputs": bound}}
    with openai.OpenAI(api_key="secret", base_url=f"{house[0]}/v1", max_retries=0) as client:
        chat = ask(client, max_tokens=60, **said).choices[0].message.content
        written = client.completions.create(model="writer", prompt="hello", max_tokens=60, **said).choices[0].text
        said["extra_body"]["seed"] = said.pop("seed")
        answer = client.responses.create(model="writer", input="hello", max_output_tokens=60, **said).output_text
    for text in (chat, written, answer):
        assert re.fullmatch(wanted, text), text


@pytest.mark.parametrize(
    ("bound", "place"),
    [
        ({"regex": "[a-"}, "structured_outputs.regex"),
        ({"regex": "a", "choice": ["a"]}, "structured_outputs"),
        ({}, "structured_outputs"),
        ({"choice": []}, "structured_outputs.choice"),
        ({"json": {"type": "nothing"}}, "structured_outputs.json.type"),
        ({"grammar": "x"}, "structured_outputs.grammar"),
    ],
)
def test_structured_outputs_that_cannot_be_followed_are_refused_with_their_place(house, bound, place):
    address, gate = house
    before = sum(gate.by_meter.values())
    with (
        openai.OpenAI(api_key="secret", base_url=f"{address}/v1", max_retries=0) as client,
        pytest.raises(openai.BadRequestError) as refused,
    ):
        ask(client, extra_body={"structured_outputs": bound})
    assert refused.value.param == place
    assert sum(gate.by_meter.values()) == before


def test_more_requests_than_may_wait_are_told_to_come_back_and_pay_nothing(tiny_genai, tiny_hf):  # noqa: F811
    engine = GenaiEngine(tiny_genai / "fp32", LanguageTokenizer.open(tiny_hf), slots=1, threads=1, waiting=2)

    async def story(address):
        async with openai.AsyncOpenAI(api_key="secret", base_url=f"{address}/v1", max_retries=0) as client:
            asked = [ask(client, max_tokens=100, temperature=1, seed=number) for number in range(30)]
            return await asyncio.gather(*asked, return_exceptions=True)

    with serving(served(engine)) as (address, gate):
        found = asyncio.run(story(address))
        refused = [one for one in found if isinstance(one, openai.APIStatusError)]
        answered = [one for one in found if not isinstance(one, Exception)]
        assert len(refused) + len(answered) == 30
        assert len(answered) >= 3
        assert refused
        assert {(one.status_code, one.code) for one in refused} == {(503, "environment.engine_busy")}
        assert all(int(one.response.headers["retry-after"]) >= 1 for one in refused)
        assert sum(gate.by_meter.values()) == sum(one.usage.total_tokens for one in answered)
        assert not gate.reserved
    engine.close()
