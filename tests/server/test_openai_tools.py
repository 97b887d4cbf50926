"""Functions that a model may call: offered through the template, found again in what it writes, never invented."""

import json

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.server.language import HELLO, CountingGenerator, served, serving, tokenizer
from tradewind.server.tools import Call, CallReader, Tools

REFUND = {
    "type": "function",
    "function": {
        "name": "refund", "description": "Pay back", "parameters": {"type": "object", "properties": {"order": {"type": "integer"}}, "required": ["order"]},
    },
}  # fmt: skip
CALL = '<tool_call>\n{"name": "refund", "arguments": {"order": 7}}\n</tool_call>'
OFFERED = Tools((REFUND,), names=frozenset(["refund"]))


def client_of(answer, **named):
    engine = CountingGenerator(tokenizer(), answer=answer, **named)
    return engine, serving(served(engine))


def chat(address, **said):
    with openai.OpenAI(api_key="secret", base_url=f"{address}/v1", max_retries=0) as client:
        found = client.chat.completions.create(**{"model": "writer", "messages": HELLO, "tools": [REFUND], **said})
        return list(found) if said.get("stream") else found.choices[0]


def test_a_call_is_found_and_ends_the_answer():
    _, house = client_of(f"One moment.\n{CALL}\n")
    with house as (address, _):
        choice = chat(address)
    (call,) = choice.message.tool_calls
    assert (choice.finish_reason, choice.message.content.strip()) == ("tool_calls", "One moment.")
    assert (call.type, call.function.name, json.loads(call.function.arguments)) == ("function", "refund", {"order": 7})


def test_two_calls_come_one_by_one_in_a_stream_and_no_tag_is_seen():
    _, house = client_of(f"{CALL}\n{CALL}")
    with house as (address, _):
        chunks = chat(address, stream=True)
        whole = chat(address)
    calls = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or []]
    assert [(call.index, call.function.name, call.function.arguments) for call in calls] == [(0, "refund", '{"order": 7}'), (1, "refund", '{"order": 7}')]  # fmt: skip
    assert len({call.id for call in calls}) == 2
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == ""
    assert chunks[-1].choices[0].finish_reason == "tool_calls"
    assert (whole.message.content, len(whole.message.tool_calls)) == (None, 2)


def test_one_call_where_they_may_not_be_parallel():
    _, house = client_of(f"{CALL}{CALL}")
    with house as (address, _):
        assert len(chat(address, parallel_tool_calls=False).message.tool_calls) == 1


@pytest.mark.parametrize(
    "text",
    [
        '<tool_call>{"name": "refund", "arguments": </tool_call>',
        '<tool_call>{"name": "delete_all", "arguments": {}}</tool_call>',
        '<tool_call>{"name": "refund", "arguments": [1]}</tool_call>',
        '<tool_call>{"name": "refund", "argum',
        "2 < 3 and a <tool",
        "  ",
    ],
)
def test_what_is_no_whole_call_of_an_offered_function_stays_text(text):
    _, house = client_of(text)
    with house as (address, _):
        choice = chat(address)
        streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chat(address, stream=True))
    assert (choice.message.content, choice.message.tool_calls, choice.finish_reason) == (text, None, "stop")
    assert streamed == text


def test_a_call_that_was_cut_short_is_text_and_says_length():
    _, house = client_of(CALL)
    with house as (address, _):
        choice = chat(address, max_tokens=12)
    assert (choice.finish_reason, choice.message.tool_calls) == ("length", None)


def test_without_tools_nothing_is_looked_for():
    _, house = client_of(CALL)
    with house as (address, _):
        assert chat(address, tools=[]).message.content == CALL
        assert chat(address, tool_choice="none").message.content == CALL


def test_a_forced_call_is_bound_by_its_schema():
    engine, house = client_of(None)
    with house as (address, _):
        choice = chat(address, tool_choice={"type": "function", "function": {"name": "refund"}})
    assert choice.finish_reason == "tool_calls"
    assert (choice.message.tool_calls[0].function.name, choice.message.content) == ("refund", None)
    bound = engine.requests[-1][1].schema
    assert bound["properties"]["name"] == {"const": "refund"}
    assert bound["properties"]["arguments"] == REFUND["function"]["parameters"]


def test_calls_and_their_results_go_back_into_the_conversation():
    engine, house = client_of("done")
    turns = [
        *HELLO,
        {"role": "assistant", "content": None, "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "refund", "arguments": '{"order": 7}'}}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "paid"},
    ]  # fmt: skip
    with house as (address, _):
        chat(address, messages=turns)
    text = tokenizer().decode(engine.requests[-1][0])
    assert '{"name": "refund", "arguments": {"order": 7}}' in text
    assert "paid" in text


def test_responses_have_calls_as_items_and_take_their_outputs():
    engine, house = client_of(f"One moment.{CALL}")
    flat = {"type": "function", **REFUND["function"]}
    with house as (address, _), openai.OpenAI(api_key="secret", base_url=f"{address}/v1") as client:
        answer = client.responses.create(model="writer", input="hello", tools=[flat])
        said, call = answer.output
        assert (said.type, call.type, call.name, json.loads(call.arguments)) == (
            "message",
            "function_call",
            "refund",
            {"order": 7},
        )
        with client.responses.stream(model="writer", input="hello", tools=[flat]) as stream:
            seen = [event.type for event in stream]
            final = stream.get_final_response()
        assert "response.function_call_arguments.done" in seen
        assert [item.type for item in final.output] == ["message", "function_call"]
        client.responses.create(model="writer", tools=[flat], input=[
            {"role": "user", "content": "hello"},
            {"type": "function_call", "call_id": call.call_id, "name": "refund", "arguments": call.arguments},
            {"type": "function_call_output", "call_id": call.call_id, "output": "paid"},
        ])  # fmt: skip
    assert "paid" in tokenizer().decode(engine.requests[-1][0])


@given(
    st.lists(st.sampled_from([CALL, "text ", "<tool_call>", "</tool_call>", "<", "\n", "你好"]), max_size=6), st.data()
)
def test_calls_are_found_however_the_text_is_cut(parts, data):
    text = "".join(parts)

    def read(cuts):
        reader, shown, calls = CallReader(OFFERED), "", []
        for piece in cuts:
            more, found = reader.push(piece)
            shown, calls = shown + more, calls + found
        rest, last = reader.flush()
        return shown + rest, calls + last

    size = data.draw(st.integers(1, 9))
    cut = read([text[start : start + size] for start in range(0, len(text), size)])
    assert cut == read([text])
    shown, calls = cut
    assert all(call == Call("refund", '{"order": 7}') for call in calls)
    if not calls:
        assert shown == text
