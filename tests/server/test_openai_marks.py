"""The marks on generated content: metadata on every reply; a sentence where it is switched on, whole, in the right place."""

import httpx
import pytest

from tests.server.language import HELLO, KEY, CountingGenerator, events, served, serving, tokenizer
from tradewind.server.marks import Marking

EN, ZH = "[AI-generated content]", "（本内容由人工智能生成）"
BODY = {"model": "writer", "messages": HELLO, "temperature": 0}


def ask(marking, path="/v1/chat/completions", answer=None, **said):
    body = dict(BODY)
    if path != "/v1/chat/completions":
        del body["messages"]
        body["prompt" if path == "/v1/completions" else "input"] = "hello"
    engine = CountingGenerator(tokenizer(), answer=answer)
    with serving(served(engine, marking=marking)) as (address, gate):
        reply = httpx.post(f"{address}{path}", json={**body, **said}, headers=KEY)
    return reply, engine, gate


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/v1/responses"])
def test_every_reply_says_who_made_it(path):
    reply, _, _ = ask(Marking("深圳某某科技有限公司", "91440300MA5XXXXXXX"), path)
    said = reply.json()["tradewind"]
    assert (said["provider"], said["product"], said["release"]) == ("深圳某某科技有限公司", "writer", "v1")
    assert (said["content_label"], reply.headers["x-content-label"]) == ("ai-generated", "ai-generated")
    assert said["request_id"] == reply.headers["x-request-id"]
    assert said["AIGC"] | {} == {
        "Label": "1", "ContentProducer": "91440300MA5XXXXXXX", "ProduceID": said["request_id"], "ReservedCode1": "",
        "ContentPropagator": "", "PropagateID": "", "ReservedCode2": "",
    }  # fmt: skip
    assert reply.headers["x-tradewind-release"] == "writer@v1"
    assert reply.headers["x-tradewind-repeats"] == said["repeats"] == "under-load"
    assert '"Label": "1"' in reply.headers["x-aigc"]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/v1/responses"])
def test_a_stream_carries_the_metadata_too(path):
    reply, _, _ = ask(Marking(), path, stream=True)
    first = events(reply.text)[0]
    assert (first.get("response") or first)["tradewind"]["content_label"] == "ai-generated"
    assert reply.headers["x-content-label"] == "ai-generated"


def text_of(reply):
    return reply.json()["choices"][0]["message"]["content"]


@pytest.mark.parametrize(("language", "words"), [("en", EN), ("zh", ZH)])
@pytest.mark.parametrize("at", ["start", "end"])
def test_the_sentence_stands_where_it_was_asked_for_and_costs_nothing(language, words, at):
    plain, engine, _ = ask(Marking())
    marked, _, gate = ask(Marking(explicit=True, at=at, language=language))
    text = text_of(plain)
    assert text_of(marked) == (f"{words}\n\n{text}" if at == "start" else f"{text}\n\n{words}")
    assert marked.json()["usage"] == plain.json()["usage"]
    assert sum(gate.by_meter.values()) == sum(engine.computed)


@pytest.mark.parametrize("at", ["start", "end"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/v1/responses"])
def test_a_stream_keeps_the_sentence_whole(path, at):
    reply, _, _ = ask(Marking(explicit=True, at=at), path, stream=True)
    found = [one for one in events(reply.text) if one != "[DONE]"]
    if path == "/v1/responses":
        texts = [one["delta"] for one in found if one["type"] == "response.output_text.delta"]
    elif path == "/v1/completions":
        texts = [choice["text"] for one in found for choice in one["choices"]]
    else:
        texts = [choice["delta"].get("content", "") for one in found for choice in one["choices"]]
    texts = [text for text in texts if text]
    assert EN in (texts[0] if at == "start" else texts[-1])
    assert "".join(texts).count(EN) == 1


def test_a_stream_that_breaks_off_is_marked_all_the_same():
    engine = CountingGenerator(tokenizer(), fail_after=4, pace_s=0.001)
    with serving(served(engine, marking=Marking(explicit=True))) as (address, _):
        reply = httpx.post(f"{address}/v1/chat/completions", json={**BODY, "stream": True}, headers=KEY)
    found = events(reply.text)
    assert EN in found[-2]["choices"][0]["delta"]["content"]
    assert "error" in found[-1]


def test_json_stays_json():
    reply, _, _ = ask(Marking(explicit=True), response_format={"type": "json_object"})
    assert text_of(reply) == "{}"
    assert reply.json()["tradewind"]["content_label"] == "ai-generated"


def test_the_model_does_not_read_its_own_marks():
    marking = Marking(explicit=True, language="zh")
    turns = [*HELLO, {"role": "assistant", "content": f"hello\n\n{ZH}"}, {"role": "user", "content": f"what is {ZH}?"}]
    _, engine, _ = ask(marking, messages=turns)
    text = tokenizer().decode(engine.requests[-1][0])
    assert text.count("人工智能") == 1  # what the user wrote stays


def test_an_empty_answer_is_not_marked():
    reply, _, _ = ask(Marking(explicit=True), answer="")
    assert text_of(reply) == ""
