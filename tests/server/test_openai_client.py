"""The official `openai` client, unchanged, before a real server: sync, async, streaming."""

import asyncio
import io

import httpx
import openai
import pytest
from pydantic import BaseModel

from tests.server.language import HELLO, KEY, CountingGenerator, served, serving, tokenizer
from tests.server.running import running
from tradewind.server.app import create_app
from tradewind.server.gate import OpenGate
from tradewind.server.marks import Marking
from tradewind.server.serving import Shelf


@pytest.fixture
def engine():
    return CountingGenerator(tokenizer())


@pytest.fixture
def house(engine):
    with serving(served(engine)) as (address, gate):
        yield address, gate


@pytest.fixture
def gate(house):
    return house[1]


@pytest.fixture
def client(house):
    with openai.OpenAI(api_key="secret", base_url=f"{house[0]}/v1", max_retries=0) as client:
        yield client


def chat(client, **further):
    return client.chat.completions.create(**{"model": "writer", "messages": HELLO, "temperature": 0, **further})


def test_a_chat_answers_with_text_reason_and_usage(client, engine):
    answer = chat(client)
    (choice,) = answer.choices
    assert (answer.object, answer.model, choice.message.role) == ("chat.completion", "writer", "assistant")
    assert choice.message.content == "user hello world assistant"
    assert choice.finish_reason == "stop"
    prompt, completion = engine.computed
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (prompt, completion)
    assert answer.usage.total_tokens == prompt + completion


def test_what_is_billed_is_what_the_usage_says(client, gate):
    usage = chat(client).usage
    assert gate.by_meter == {"prompt_tokens": usage.prompt_tokens, "completion_tokens": usage.completion_tokens}
    assert gate.reserved == {}


def test_a_streams_chunks_are_the_role_the_text_the_reason_and_the_usage(client, gate):
    chunks = list(chat(client, stream=True, stream_options={"include_usage": True}))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(c.choices[0].delta.content or "" for c in chunks[:-1]) == "user hello world assistant"
    assert [c.choices[0].finish_reason for c in chunks[:-1] if c.choices[0].finish_reason] == ["stop"]
    assert {c.id for c in chunks} == {chunks[0].id}
    assert [c.usage for c in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens == sum(gate.by_meter.values())


def test_a_stream_tells_no_usage_unless_asked(client):
    assert all(chunk.usage is None and chunk.choices for chunk in chat(client, stream=True))


def test_the_clients_own_stream_helper_gives_the_same_answer(client):
    with client.chat.completions.stream(model="writer", messages=HELLO, temperature=0) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.content == chat(client).choices[0].message.content


def test_several_choices_come_whole_and_in_a_stream(client, gate):
    answer = chat(client, n=3, temperature=1, seed=1)
    texts = [choice.message.content for choice in answer.choices]
    assert len(set(texts)) == 3
    parts = ["", "", ""]
    for chunk in chat(client, n=3, temperature=1, seed=1, stream=True):
        parts[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert parts == texts
    assert (
        gate.by_meter["prompt_tokens"] == 2 * answer.usage.prompt_tokens
    )  # once for each request, not for each choice


def test_stop_ends_an_answer_and_is_not_part_of_it(client):
    answer = chat(client, stop=["never", " world"])
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("user hello", "stop")


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_an_answer_that_reached_its_length_says_so(client, name):
    answer = chat(client, **{name: 3})
    assert (answer.choices[0].finish_reason, answer.usage.completion_tokens) == ("length", 3)


def test_seeds_repeat_and_the_fingerprint_says_under_what(client):
    one, two = (chat(client, temperature=1, seed=7) for _ in range(2))
    assert one.choices[0].message.content == two.choices[0].message.content
    assert one.system_fingerprint == "tw_v1_abababab_int8_under-load"


def test_logprobs_are_told_for_each_token_with_the_likeliest_beside(client):
    answer = chat(client, logprobs=True, top_logprobs=2)
    content = answer.choices[0].logprobs.content
    assert "".join(one.token for one in content) == answer.choices[0].message.content
    assert all(len(one.top_logprobs) == 2 and bytes(one.bytes).decode() == one.token for one in content)
    streamed = [one for c in chat(client, logprobs=True, top_logprobs=2, stream=True) for one in (c.choices[0].logprobs.content if c.choices[0].logprobs else [])]  # fmt: skip
    assert [one.token for one in streamed] == [one.token for one in content]


def test_an_answer_in_json_fits_the_schema(client, engine):
    schema = {"type": "object", "properties": {"days": {"type": "integer"}}, "required": ["days"]}
    form = {"type": "json_schema", "json_schema": {"name": "refund", "schema": schema, "strict": True}}
    answer = chat(client, response_format=form)
    assert answer.choices[0].message.content.startswith('{"days"')
    assert engine.requests[-1][1].schema == schema
    chat(client, response_format={"type": "json_object"})
    assert engine.requests[-1][1].schema == {"type": "object"}


def test_the_clients_parse_gives_objects(client):
    class Refund(BaseModel):
        days: int
        reason: str

    answer = client.chat.completions.parse(model="writer", messages=HELLO, response_format=Refund)
    assert isinstance(answer.choices[0].message.parsed, Refund)
    response = client.responses.parse(model="writer", input="hello", text_format=Refund)
    assert isinstance(response.output_parsed, Refund)


def test_roles_and_parts_of_text_reach_the_template(client, engine):
    chat(client, messages=[
        {"role": "developer", "content": "system"},
        {"role": "user", "content": [{"type": "text", "text": "hello "}, {"type": "text", "text": "world"}]},
    ])  # fmt: skip
    assert tokenizer().decode(engine.requests[-1][0]).split() == [
        "system",
        "system",
        "user",
        "hello",
        "world",
        "assistant",
    ]


def test_completions_continue_text_tokens_and_lists_of_both(client, gate):
    one = client.completions.create(model="writer", prompt="hello world", temperature=0)
    assert (one.object, one.choices[0].text, one.choices[0].finish_reason) == ("text_completion", "hello world", "stop")
    many = client.completions.create(model="writer", prompt=["hello", "你好"], n=2, temperature=0, logprobs=1)
    assert [choice.text for choice in many.choices] == ["hello", "hello", "你好", "你好"]
    assert many.choices[0].logprobs.tokens == ["hello"]
    tokens = client.completions.create(model="writer", prompt=tokenizer().encode("hello"), temperature=0, echo=True)
    assert tokens.choices[0].text == "hellohello"
    assert gate.reserved == {}


def test_completions_stream(client):
    chunks = list(client.completions.create(model="writer", prompt="hello world", temperature=0, stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == "hello world"
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_responses_answer_and_count(client, gate):
    answer = client.responses.create(model="writer", instructions="system", input="hello world", temperature=0)
    assert (answer.status, answer.output_text) == ("completed", "system system user hello world assistant")
    assert answer.usage.total_tokens == sum(gate.by_meter.values())
    cut = client.responses.create(
        model="writer", input=[{"role": "user", "content": "hello world"}], max_output_tokens=3
    )
    assert (cut.status, cut.incomplete_details.reason) == ("incomplete", "max_output_tokens")


def test_a_responses_stream_runs_from_created_to_completed(client):
    with client.responses.stream(model="writer", input="hello world", temperature=0) as stream:
        seen = [event.type for event in stream]
        final = stream.get_final_response()
    assert (seen[0], seen[-1]) == ("response.created", "response.completed")
    assert final.output_text == "user hello world assistant"
    raw = list(client.responses.create(model="writer", input="hello world", temperature=0, stream=True))
    assert [event.sequence_number for event in raw] == list(range(len(raw)))
    assert "".join(event.delta for event in raw if event.type == "response.output_text.delta") == final.output_text


def test_models_are_listed_with_what_they_can(client):
    (model,) = client.models.list().data
    assert (model.id, model.task, model.context, model.tools) == ("writer", "generation", 512, True)
    assert client.models.retrieve("writer").id == "writer"


def test_the_async_client_answers_and_streams_side_by_side(house):
    async def story():
        async with openai.AsyncOpenAI(api_key="secret", base_url=f"{house[0]}/v1", max_retries=0) as client:

            async def streamed():
                text = ""
                async for chunk in await chat(client, stream=True):
                    text += chunk.choices[0].delta.content or ""
                return text

            whole = [await_one(chat(client)) for _ in range(8)]
            return await asyncio.gather(*whole, *(streamed() for _ in range(8)))

    async def await_one(asked):
        return (await asked).choices[0].message.content

    assert set(asyncio.run(story())) == {"user hello world assistant"}
    assert house[1].reserved == {}


def test_a_stream_that_breaks_off_raises_in_the_client():
    engine = CountingGenerator(tokenizer(), fail_after=4, pace_s=0.001)
    with serving(served(engine)) as (address, _), openai.OpenAI(api_key="secret", base_url=f"{address}/v1") as client:
        with pytest.raises(openai.APIError, match="is charged"):
            list(chat(client, stream=True))
        events = list(client.responses.create(model="writer", input="hello world", stream=True))
    assert (events[-1].type, events[-1].response.status) == ("response.failed", "failed")


def test_a_mark_before_the_text_moves_the_places_of_tokens():
    with (
        serving(served(marking=Marking(explicit=True, at="start"))) as (address, _),
        openai.OpenAI(api_key="secret", base_url=f"{address}/v1") as client,
    ):
        (choice,) = client.completions.create(model="writer", prompt="hello world", temperature=0, logprobs=0).choices
    for token, place in zip(choice.logprobs.tokens, choice.logprobs.text_offset, strict=True):
        assert choice.text[place:].startswith(token)


def test_errors_are_the_clients_own(client):
    with pytest.raises(openai.NotFoundError) as unknown:
        chat(client, model="writter")
    assert (unknown.value.code, unknown.value.param) == ("input.model_unknown", "model")
    assert "Did you mean writer?" in unknown.value.message
    with pytest.raises(openai.AuthenticationError):
        chat(client.with_options(api_key="wrong"))
    with pytest.raises(openai.BadRequestError) as wrong:
        chat(client, temperature=3, stream=True)
    assert (wrong.value.param, wrong.value.type) == ("temperature", "invalid_request_error")


def test_what_a_product_keeps_of_a_request_is_its_messages_and_the_answers(engine):
    class Notes:
        def __init__(self):
            self.kept = []

        def wants(self, product):
            return product == "writer"

        def note(self, request_id, account_id, product, *, release, inputs, outputs, subjects):
            self.kept.append((account_id, product, release, inputs, outputs))

    notes, shelf = Notes(), Shelf([])
    shelf.put(served(engine))
    with (
        running(create_app(shelf, OpenGate(), recorder=notes)) as address,
        httpx.Client(base_url=f"http://{address}") as client,
    ):
        client.post("/v1/chat/completions", json={"model": "writer", "messages": HELLO, "temperature": 0})
    assert notes.kept == [("open", "writer", "v1", [{"messages": HELLO}], [{"text": "user hello world assistant"}])]


def test_a_log_line_and_the_metrics_tell_tokens_and_no_text(engine):
    log = io.StringIO()
    with serving(served(engine), log=log) as (address, _), httpx.Client(base_url=address, headers=KEY) as client:
        answer = client.post("/v1/chat/completions", json={"model": "writer", "messages": HELLO}).json()
        metrics = client.get("/metrics").text
    # The thread that writes lines may not have come round: what is counted is there at once.
    assert f'kind="completion"}} {answer["usage"]["completion_tokens"]}' in metrics
    assert "hello" not in log.getvalue() + metrics
