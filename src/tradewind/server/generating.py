"""Answers being computed for one request, and the bill for them. Not the request's fields, nor the bytes of the reply.

Reserved are the prompt and the most tokens that were allowed; settled is what was computed, once, whatever happens:

- the answer was finished: prompt and completion, before the last byte leaves;
- the client left, at any chunk: its slot in the engine is freed at once, and what was computed until then is billed;
- the engine failed: nothing before the first token, what was sent after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from tradewind.engines.generation import Generation, Piece, Sampling
from tradewind.errors import EnvironmentFailure
from tradewind.server.gate import METER_COMPLETION, METER_PROMPT, Gate, Outcome, Ticket
from tradewind.server.served_language import ServedLanguage
from tradewind.server.wire import Receive

Pieces: TypeAlias = list[tuple[int, Piece]]  # with the number of the answer each belongs to


@dataclass(frozen=True)
class Tokens:
    """What an answer took."""

    prompt: int
    completion: int

    @property
    def total(self) -> int:
        return self.prompt + self.completion

    @property
    def by_meter(self) -> dict[str, int]:
        return {METER_PROMPT: self.prompt, METER_COMPLETION: self.completion}


class Running:
    """The answers of one request: `choices` for each prompt, numbered prompt by prompt.

    Raises InputError as `GenerationEngine.start` does; then none of them runs.
    """

    def __init__(
        self, served: ServedLanguage, prompts: Sequence[Sequence[int]], sampling: Sequence[Sampling], *, choices: int
    ) -> None:
        self._prompt_tokens = sum(map(len, prompts))
        self._generations: list[Generation] = []
        self._most: list[int] = []
        self._pumps: list[asyncio.Task[None]] = []
        # What was not read yet. A queue of asyncio would be the dearest part of a token's way.
        self._found: Pieces = []
        self._failure: Exception | None = None
        self._waiting: asyncio.Future[None] | None = None
        try:
            for prompt, one in zip(prompts, sampling, strict=True):
                for number in range(choices):
                    seed = None if one.seed is None else one.seed + number
                    self._generations.append(served.engine.start(prompt, replace(one, seed=seed)))
                    self._most.append(one.max_tokens)
        except BaseException:
            self.cancel()
            raise
        self._answering = len(self._generations)
        for number, generation in enumerate(self._generations):
            self._pumps.append(asyncio.create_task(self._pump(number, generation)))

    @property
    def tokens(self) -> Tokens:
        """What was computed so far, read or not; never more than was allowed."""
        computed = (min(one.completion_tokens, most) for one, most in zip(self._generations, self._most, strict=True))
        return Tokens(self._prompt_tokens, sum(computed))

    async def next(self) -> Pieces:
        """The pieces that are there, at least one; none when all answers have ended. Raises what the engine raised, and
        `Gone` once the client has left."""
        if not self._answering:
            return []
        if not self._found and self._failure is None:
            self._waiting = asyncio.get_running_loop().create_future()
            try:
                await self._waiting
            finally:
                self._waiting = None
        if isinstance(self._failure, Gone) or (self._failure is not None and not self._found):
            raise self._failure
        found, self._found = self._found, []
        self._answering -= sum(piece.finish is not None for _, piece in found)
        return found

    def cancel(self) -> None:
        """Frees the slots at once. Idempotent."""
        for generation in self._generations:
            generation.cancel()
        for pump in self._pumps:
            pump.cancel()

    def leave(self) -> None:
        """The client is gone: frees the slots and tells whoever waits in `next`."""
        self._failure = Gone()
        self.cancel()
        self._wake()

    async def _pump(self, number: int, generation: Generation) -> None:
        finished = False
        try:
            async for piece in generation:
                if piece.finish == "cancelled":
                    break
                finished = piece.finish is not None
                self._found.append((number, piece))
                self._wake()
            if not finished:
                raise EnvironmentFailure("The engine was closed while it answered.", code="engine_stopped")
        except Exception as error:  # noqa: BLE001  handed to whoever reads
            self._failure = self._failure or error
            self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


class Gone(Exception):
    """The client went away in the middle of an answer."""


class Bill:
    """One reservation until it is settled or released, whichever comes first; `settled` is told when it was charged."""

    def __init__(self, gate: Gate, ticket: Ticket, running: Running, settled: Callable[[Tokens], None]) -> None:
        self._gate = gate
        self._ticket = ticket
        self._running = running
        self._settled = settled
        self.open = True
        self.charged = False

    def settle(self, outcome: Outcome = "served") -> Tokens:
        """Charges what was computed. Raises EnvironmentFailure: then it was not charged and is closed all the same."""
        tokens = self._running.tokens
        if self.open:
            self.open = False
            self._gate.settle(self._ticket, tokens.total, outcome, by_meter=tokens.by_meter)
            self.charged = True
            self._settled(tokens)
        return tokens

    def left(self) -> None:
        """The client went away, or the answer broke off after some of it was sent: what was computed is billed, nothing
        where nothing was."""
        if self._running.tokens.completion:
            self.settle("disconnected")
        else:
            self.release()

    def release(self) -> None:
        if self.open:
            self.open = False
            self._gate.release(self._ticket)


async def watch(receive: Receive, running: Running) -> None:
    """Waits until the client leaves, and then frees the engine. For a task beside the answer."""
    while (await receive())["type"] != "http.disconnect":
        continue
    running.leave()
