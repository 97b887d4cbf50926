"""Vectors of texts, in OpenAI's shape, charged by the token of the prompt. The encoder is a fake."""

import base64

import httpx
import numpy as np
import openai
import pytest

from tests.server.language import KEY, serving, tokenizer
from tradewind.server.served_encoder import ServedEncoder


class FakeEncoder:
    width, context, vocabulary = 8, 16, 320

    def encode(self, text):
        return tokenizer().encode(text)

    def embed(self, texts):
        found = np.array([np.random.default_rng(sum(text)).normal(size=self.width) for text in texts], dtype=np.float32)
        return found / np.linalg.norm(found, axis=1, keepdims=True)


@pytest.fixture
def house():
    with serving(ServedEncoder("finder", 2, "sha256:cd", 1_700_000_000, FakeEncoder())) as (address, gate):
        yield address, gate


def test_the_client_gets_vectors_and_pays_by_the_token(house):
    address, gate = house
    with openai.OpenAI(api_key="secret", base_url=f"{address}/v1") as client:
        found = client.embeddings.create(model="finder", input=["hello world", "你好"])
        (model,) = client.models.list().data
    assert [one.index for one in found.data] == [0, 1]
    assert all(np.linalg.norm(one.embedding) == pytest.approx(1, abs=1e-6) for one in found.data)
    assert gate.by_meter == {"prompt_tokens": found.usage.prompt_tokens}
    assert gate.reserved == {}
    assert (model.task, model.width) == ("embedding", 8)


def test_floats_and_base64_are_the_same_numbers(house):
    def ask(kind):
        body = {"model": "finder", "input": "hello", "encoding_format": kind, "dimensions": 8, "user": "u"}
        return httpx.post(f"{house[0]}/v1/embeddings", json=body, headers=KEY).json()["data"][0]["embedding"]

    assert np.frombuffer(base64.b64decode(ask("base64")), dtype="<f4").tolist() == ask("float")


@pytest.mark.parametrize(
    ("said", "param"),
    [
        ({"input": []}, "input"),
        ({"input": [""]}, "input[0]"),
        ({"input": ["a", 3]}, "input[1]"),
        ({"input": [[400]]}, "input[0]"),
        ({"input": "hello " * 50}, "input[0]"),
        ({"input": "hello", "dimensions": 4}, "dimensions"),
        ({"input": "hello", "encoding_format": "int8"}, "encoding_format"),
        ({"input": ["hello"] * 2049}, "input"),
    ],
)
def test_what_is_wrong_is_named(house, said, param):
    reply = httpx.post(f"{house[0]}/v1/embeddings", json={"model": "finder", **said}, headers=KEY)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)
    assert house[1].reserved == {}


def test_the_same_idempotency_key_gives_the_same_vectors_for_one_price(house):
    address, gate = house
    replies = [
        httpx.post(f"{address}/v1/embeddings", json={"model": "finder", "input": "hello"}, headers={**KEY, "idempotency-key": "k"})
        for _ in range(2)
    ]  # fmt: skip
    assert replies[0].json() == replies[1].json()
    assert gate.by_meter == {"prompt_tokens": replies[0].json()["usage"]["prompt_tokens"]}
