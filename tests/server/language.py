"""A language model on the shelf without a model: the engine's fake behind `ServedLanguage`, and a server before it."""

from __future__ import annotations

import json
from contextlib import contextmanager
from functools import cache

from tests.server.running import running
from tradewind.engines.fake import FakeGenerator
from tradewind.features.language import LanguageTokenizer
from tradewind.server.app import create_app
from tradewind.server.gate import OpenGate
from tradewind.server.marks import Marking
from tradewind.server.observe import Observer
from tradewind.server.served_language import ServedLanguage
from tradewind.server.serving import Shelf
from tradewind.server.settings import Settings

WORDS = "hello world, how are you today? 你好，世界。退款需要多久 user assistant system"
KEY = {"authorization": "Bearer secret"}
HELLO = [{"role": "user", "content": "hello world"}]


@cache
def tokenizer():
    return LanguageTokenizer.train_bpe([WORDS] * 3, vocabulary=320)


class CountingGenerator(FakeGenerator):
    """The fake, which remembers what each answer computed."""

    def __init__(self, *given, **named):
        super().__init__(*given, **named)
        self.started = []

    def start(self, prompt, sampling):
        generation = super().start(prompt, sampling)
        self.started.append(generation)
        return generation

    @property
    def computed(self):
        """(prompt, completion) tokens of all answers of which something was computed."""
        begun = [one for one in self.started if one.completion_tokens]
        return sum(one.prompt_tokens for one in begun), sum(one.completion_tokens for one in begun)


def served(engine=None, *, marking=None, max_tokens=1024, product="writer"):
    engine = engine or CountingGenerator(tokenizer())
    marking = marking or Marking("Ann's Shop")
    adapters = tuple(getattr(engine, "adapters", ()))
    return ServedLanguage(
        product, 1, "sha256:" + "ab" * 32, 1_700_000_000, engine, "int8", marking, max_tokens, adapters=adapters
    )


def app_of(one, gate=None, settings=None, log=None):
    shelf = Shelf([])
    shelf.put(one)
    return create_app(
        shelf, gate or OpenGate(keys={"secret": "acc_1"}), settings or Settings(), observer=Observer(out=log)
    )


@contextmanager
def serving(one, gate=None, settings=None, log=None):
    """The address of a server, and the gate behind it."""
    gate = gate or OpenGate(keys={"secret": "acc_1"})
    with running(app_of(one, gate, settings, log)) as address:
        yield f"http://{address}", gate


def events(text):
    """The data of server-sent events; `[DONE]` as it stands."""
    lines = [line.removeprefix("data: ") for line in text.split("\n") if line.startswith("data: ")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]
