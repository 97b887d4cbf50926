"""`/v1/writing`: the job in the words the model learnt, one answer whole or streamed, billed by the token."""

import httpx
import pytest

from tests.server.language import KEY, CountingGenerator, events, served, serving, tokenizer
from tradewind.features.writing import JOBS, request
from tradewind.server.marks import Marking

ASKED = {"model": "writer", "job": "title", "text": "hello world"}


@pytest.fixture
def engine():
    return CountingGenerator(tokenizer(), answer="hello you")


@pytest.fixture
def client(engine):
    one = served(engine)
    one.jobs = JOBS
    with serving(one) as (address, gate), httpx.Client(base_url=address, headers=KEY, timeout=20) as client:
        client.gate = gate
        yield client


def test_a_job_is_put_as_it_was_learnt_and_its_tokens_are_counted(client, engine):
    reply = client.post("/v1/writing", json={**ASKED, "job": "continue", "length": "short"}).json()
    assert (reply["object"], reply["job"], reply["text"], reply["finish_reason"]) == (
        "writing",
        "continue",
        "hello you",
        "stop",
    )
    ((prompt, _),) = engine.requests
    assert list(prompt) == tokenizer().chat(request("continue", "hello world", length="short"))
    prompt_tokens, completion_tokens = engine.computed
    assert reply["usage"] == {
        "prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens, "total_tokens": prompt_tokens + completion_tokens,
    }  # fmt: skip
    assert reply["tradewind"]["content_label"] == "ai-generated"


def test_a_stream_gives_the_same_text_and_ends_with_its_usage(client):
    whole = client.post("/v1/writing", json=ASKED).json()
    reply = client.post("/v1/writing", json={**ASKED, "stream": True})
    *found, done = events(reply.text)
    assert done == "[DONE]"
    assert "".join(one.get("text", "") for one in found) == whole["text"]
    assert found[-1]["usage"] == whole["usage"]
    assert found[-1]["finish_reason"] == "stop"


def test_the_mark_that_the_product_asks_for_is_in_the_text(engine):
    one = served(engine, marking=Marking("Ann's Shop", explicit=True))
    one.jobs = JOBS
    with serving(one) as (address, _):
        said = httpx.post(f"{address}/v1/writing", json=ASKED, headers=KEY).json()["text"]
    assert said.startswith("hello you")
    assert said != "hello you"


@pytest.mark.parametrize(
    ("change", "param", "says"),
    [
        ({"job": "sing"}, "job", "one of continue, title, rewrite"),
        ({"job": None}, "job", "is missing"),
        ({"text": ""}, "text", "is empty"),
        ({"length": "short"}, "length", "for the job continue"),
        ({"tone": "merry"}, "tone", "tone"),
    ],
)
def test_what_does_not_fit_is_told_with_its_field(client, change, param, says):
    reply = client.post("/v1/writing", json={**ASKED, **change})
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == param
    assert says in reply.json()["error"]["message"]


def test_a_model_that_has_not_learnt_a_job_says_which_it_has(client, engine):
    one = served(engine, product="titles")
    one.jobs = ("title",)
    with serving(one) as (address, _):
        reply = httpx.post(f"{address}/v1/writing", json={**ASKED, "model": "titles", "job": "rewrite"}, headers=KEY)
    assert reply.status_code == 400
    assert "It has: title." in reply.json()["error"]["message"]
