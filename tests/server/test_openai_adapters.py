"""An adapter is a model of its own to a caller: listed, asked for and answered by its name."""

import openai
import pytest

from tests.server.language import HELLO, CountingGenerator, served, serving, tokenizer


@pytest.fixture
def engine():
    return CountingGenerator(tokenizer(), adapters=["tone", "brief"])


@pytest.fixture
def client(engine):
    with (
        serving(served(engine)) as (address, _),
        openai.OpenAI(api_key="secret", base_url=f"{address}/v1", max_retries=0) as client,
    ):
        yield client


def test_models_lists_each_adapter_with_the_one_it_changes(client):
    assert [(one.id, getattr(one, "parent", None)) for one in client.models.list()] == [
        ("writer", None), ("writer:tone", "writer"), ("writer:brief", "writer"),
    ]  # fmt: skip
    assert client.models.retrieve("writer:brief").id == "writer:brief"


@pytest.mark.parametrize("model", ["writer:tone", "writer:tone@v1"])
def test_an_answer_by_an_adapter_says_so(client, engine, model):
    answer = client.chat.completions.create(model=model, messages=HELLO, max_tokens=4)
    assert answer.model == "writer:tone"
    assert client.responses.create(model=model, input="hello", max_output_tokens=4).model == "writer:tone"
    assert client.completions.create(model=model, prompt="hello", max_tokens=4).model == "writer:tone"
    assert [sampling.adapter for _, sampling in engine.requests] == ["tone"] * 3


def test_without_a_name_the_models_own_weights_answer(client, engine):
    assert client.chat.completions.create(model="writer", messages=HELLO, max_tokens=4).model == "writer"
    assert engine.requests[0][1].adapter is None


def test_an_adapter_that_is_not_there_is_no_model_and_the_nearest_is_named(client, engine):
    with pytest.raises(openai.NotFoundError, match="writer:tone") as refused:
        client.chat.completions.create(model="writer:tona", messages=HELLO)
    assert (refused.value.code, refused.value.param) == ("input.model_unknown", "model")
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("writer:tona")
    assert engine.requests == []
