"""Deterministic engines without a model, for tests of whatever stands before an engine. Nothing here is ever sold."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tradewind.engines.engine import Decision, Predictions, Usage
from tradewind.engines.generation import Deterministic, Finish, Piece, Sampling, TokenLogprob, check_request
from tradewind.engines.pieces import Composer
from tradewind.features.column import Values

if TYPE_CHECKING:
    from tradewind.features.language import LanguageTokenizer


@dataclass(frozen=True)
class FakePredictor:
    """The probabilities of a row follow from the digest of its values alone: same row, same answer, on any machine."""

    decision: Decision
    columns: tuple[str, ...]

    def predict(self, values: Mapping[str, Values]) -> Predictions:
        rows = max((len(column) for column in values.values()), default=0)
        return self.predict_rows([{name: values[name][i] for name in values} for i in range(rows)])

    def predict_rows(self, rows: Sequence[Mapping[str, object]]) -> Predictions:
        seeds = [_seed({name: row.get(name) for name in self.columns}) for row in rows]
        usage = Usage(rows=len(rows))
        if self.decision.task == "regression":
            return Predictions(len(rows), values=np.array([seed[0] / 255 for seed in seeds]), usage=usage)
        weights = np.array(
            [[1 + seed[k] for k in range(len(self.decision.classes))] for seed in seeds], dtype=np.float64
        )
        weights = weights.reshape(len(rows), len(self.decision.classes))
        probabilities = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
        labels = self.decision.labels(probabilities)
        return Predictions(len(rows), self.decision.classes, probabilities, labels, usage=usage)


def _seed(row: Mapping[str, object]) -> bytes:
    return hashlib.sha256(repr(sorted((name, str(value)) for name, value in row.items())).encode()).digest()


class FakeGenerator:
    """Answers with the prompt's own words, turned by the seed where the temperature is above 0.

    `answer` in its place is said to every prompt; a schema is answered with its smallest value. `pace_s` is waited
    before each token, and `fail_after` tokens an answer breaks off with an error. `running` counts open answers.
    """

    def __init__(
        self,
        tokenizer: LanguageTokenizer,
        *,
        context: int = 512,
        pace_s: float = 0.0,
        answer: str | None = None,
        adapters: Sequence[str] = (),
        fail_after: int | None = None,
    ) -> None:
        self.tokenizer = tokenizer
        self.context = context
        self.deterministic = Deterministic(alone=True, under_load=True)
        self.pace_s = pace_s
        self.answer = answer
        self.adapters = tuple(adapters)
        self.fail_after = fail_after
        self.running = 0
        self.requests: list[tuple[tuple[int, ...], Sampling]] = []

    def start(self, prompt: Sequence[int], sampling: Sampling) -> FakeGeneration:
        limit = check_request(
            prompt, sampling, vocabulary=self.tokenizer.vocabulary, context=self.context, adapters=self.adapters
        )
        self.requests.append((tuple(prompt), sampling))
        self.running += 1
        return FakeGeneration(self, len(prompt), self.tokenizer.encode(self._text(prompt, sampling)), sampling, limit)

    def close(self) -> None:
        return

    def _text(self, prompt: Sequence[int], sampling: Sampling) -> str:
        if self.answer is not None:
            return self.answer
        if sampling.schema is not None:
            return json.dumps(_smallest(sampling.schema), ensure_ascii=False)
        words = self.tokenizer.decode(list(prompt)).split()
        turn = (sampling.seed or 0) % max(1, len(words)) if sampling.temperature else 0
        return " ".join(words[turn:] + words[:turn])


class FakeGeneration:
    """An answer of the fake, computed as it is read."""

    def __init__(
        self, engine: FakeGenerator, prompt_tokens: int, ids: Sequence[int], sampling: Sampling, limit: int
    ) -> None:
        self.prompt_tokens = prompt_tokens
        self._engine = engine
        self._ids = ids
        self._sampling = sampling
        self._limit = limit
        self._composer = Composer(engine.tokenizer, sampling.stop)
        self._cancelled = asyncio.Event()
        self._open = True

    @property
    def completion_tokens(self) -> int:
        return self._composer.total

    def cancel(self) -> None:
        self._cancelled.set()
        self._close()

    def _close(self) -> None:
        if self._open:
            self._open = False
            self._engine.running -= 1

    async def __aiter__(self) -> AsyncIterator[Piece]:
        try:
            for count, token in enumerate(self._ids[: self._limit]):
                await self._wait()
                if self._cancelled.is_set():
                    yield self._composer.end("cancelled")
                    return
                if count == self._engine.fail_after:
                    raise RuntimeError("The fake was told to fail here.")
                piece = self._composer.push(token, self._figures(token))
                if piece is not None:
                    yield piece
                    if piece.finish is not None:
                        return
            finish: Finish = "length" if len(self._ids) >= self._limit else "stop"
            yield self._composer.end(finish, tokens=int(finish == "stop"))
        finally:
            self._close()

    async def _wait(self) -> None:
        if not self._engine.pace_s:
            await asyncio.sleep(0)
            return
        try:
            await asyncio.wait_for(self._cancelled.wait(), self._engine.pace_s)
        except TimeoutError:
            return

    def _figures(self, token: int) -> TokenLogprob | None:
        most = self._sampling.logprobs
        if most is None:
            return None
        tokenizer = self._engine.tokenizer
        ids = [(token + step) % tokenizer.vocabulary for step in range(most)]
        top = tuple((tokenizer.decode([one]), one, -0.5 - rank) for rank, one in enumerate(ids))
        return TokenLogprob(tokenizer.decode([token]), token, -0.5, top)


def _smallest(schema: Mapping[str, Any]) -> object:
    """The plainest value that a simple schema allows: required properties only, first of an enumeration."""
    if "const" in schema or "enum" in schema:
        return schema.get("const", (schema.get("enum") or [None])[0])
    kind = schema.get("type", "object")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        properties = schema.get("properties", {})
        return {name: _smallest(properties.get(name, {})) for name in schema.get("required", [])}
    if kind == "array":
        return [_smallest(schema.get("items", {}))] * int(schema.get("minItems", 0))
    return {"string": "", "integer": 0, "number": 0, "boolean": False}.get(kind)
