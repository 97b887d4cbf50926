"""Text from a folder of ONNX Runtime GenAI on the CPU, many answers at once, torch-free.

One thread owns the graph. Between any two steps answers join and leave: a prompt is read in chunks, one chunk a turn, so
that nobody waits for a long one; then every open answer gets one token. The asyncio side only hands pieces over.

Not here: the graph and its slots (`slots.py`), the choice of a token (`sampling.py`, `guidance.py`), text (`pieces.py`).
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tradewind.engines.adapters import ADAPTER_GRAPH, stack_adapters
from tradewind.engines.generation import Deterministic, Finish, Piece, Sampling, TokenLogprob, check_request
from tradewind.engines.guidance import Constraint, Guidance
from tradewind.engines.pieces import Composer
from tradewind.engines.sampling import Sampler, likeliest, log_probabilities
from tradewind.engines.scoring import last_logits
from tradewind.engines.slots import SlotGraph
from tradewind.errors import ArtifactError, EnvironmentFailure
from tradewind.features.language import LanguageTokenizer

_log = logging.getLogger(__name__)
# A small model has a token every millisecond. Faster than this nobody reads, and each handing over costs an event loop's turn.
_POST_S = 0.004

_Mail: TypeAlias = list[tuple["asyncio.Queue[Piece | Exception]", Piece | Exception]]


class GenaiEngine:
    """`folder` is one precision, such as genai/int4; `adapters` are folders in PEFT's layout by name.

    `slots` answers are computed at once, at most `waiting` others wait in order. `threads` 0 lets the runtime use all cores.
    Raises ArtifactError when the graph, the tokeniser or an adapter does not fit.
    """

    def __init__(
        self,
        folder: Path,
        tokenizer: LanguageTokenizer,
        *,
        slots: int = 16,
        context: int | None = None,
        threads: int = 0,
        adapters: Mapping[str, Path] | None = None,
        waiting: int = 256,
    ) -> None:
        self.tokenizer = tokenizer
        self._most_waiting = waiting
        self.adapters = tuple(adapters or ())
        self._graph = SlotGraph(
            folder,
            slots=slots,
            context=context,
            threads=threads,
            graph=ADAPTER_GRAPH if self.adapters else "model.onnx",
            extra=stack_adapters(folder, adapters) if adapters else None,
        )
        self.context = self._graph.context
        self._vocabulary = self._graph.facts.vocabulary
        if tokenizer.vocabulary > self._vocabulary:
            raise ArtifactError(
                f"The tokeniser has {tokenizer.vocabulary} tokens, the model only {self._vocabulary}.",
                code="tokeniser_misfit",
                where=str(folder),
                hint="Take the tokeniser that the model was trained with.",
            )
        self._guidance = Guidance(tokenizer, vocabulary=self._vocabulary)
        self.deterministic = Deterministic(alone=True, under_load=self._graph.steady())
        self._wake = threading.Condition()
        self._waiting: deque[_Answer] = deque()
        self._reading: _Answer | None = None  # its prompt is being read
        self._rows: list[_Answer] = []  # row b has slot b
        self._closing = False
        self._some_left = False  # an answer was cancelled since the last look
        self._outbox: dict[_Answer, Piece | Exception] = {}
        self._posted_s = 0.0
        self._thread = threading.Thread(target=self._work, name="tradewind-genai", daemon=True)
        self._thread.start()

    def last_logits(self, prompts: Sequence[Sequence[int]], *, adapter: str | None = None) -> NDArray[np.float32]:
        """Logits of the last token of each prompt, for checks before anything is asked."""
        assert not self.running, "the graph belongs to the thread"
        self._graph.adapter_S[0] = self._number(adapter)
        return last_logits(self._graph, prompts)

    @property
    def running(self) -> int:
        """Answers that are being computed or wait for a slot."""
        return len(self._rows) + len(self._waiting) + (self._reading is not None)

    def start(self, prompt: Sequence[int], sampling: Sampling) -> GenaiGeneration:
        """See `GenerationEngine.start`. Raises EnvironmentFailure engine_closed, engine_busy besides."""
        limit = check_request(
            prompt, sampling, vocabulary=self.tokenizer.vocabulary, context=self.context, adapters=self.adapters
        )
        constraint = self._guidance.begin(sampling)
        generation = GenaiGeneration(self, len(prompt), Composer(self.tokenizer, sampling.stop))
        answer = _Answer(
            generation=generation,
            prompt=tuple(prompt),
            sampling=sampling,
            limit=limit,
            sampler=Sampler(sampling),
            constraint=constraint,
            adapter=self._number(sampling.adapter),
        )
        with self._wake:
            if self._closing:
                raise EnvironmentFailure("The engine is closed.", code="engine_closed")
            if len(self._waiting) >= self._most_waiting:
                raise EnvironmentFailure(
                    f"{self._most_waiting} answers wait for a slot already.",
                    code="engine_busy",
                    hint="Try again soon; whoever runs the service may raise serve.waiting or serve.slots.",
                )
            self._waiting.append(answer)
            self._wake.notify()
        return generation

    def close(self) -> None:
        """Ends every open answer as cancelled, then the thread."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def nudge(self) -> None:
        """Something was cancelled: look at once."""
        with self._wake:
            self._some_left = True
            self._wake.notify()

    def _number(self, adapter: str | None) -> int:
        """Of an adapter in the stacks; 0 is none."""
        return 0 if adapter is None else 1 + self.adapters.index(adapter)

    # ---------------------------------------------------------------- in the thread

    def _work(self) -> None:
        while self._wait():
            if self._some_left:
                self._leave()
            try:
                if self._reading or (self._waiting and len(self._rows) < self._graph.slots):
                    self._post()
                    self._read_chunk()
                    self._post()
                self._step()
            except Exception as error:  # noqa: BLE001  the thread's edge
                _log.exception("A step of the language model failed.")
                self._fail(error)
            if not self._rows or time.perf_counter() - self._posted_s > _POST_S:
                self._post()
        for answer in [*self._rows, *([self._reading] if self._reading else []), *self._waiting]:
            self._finish(answer, "cancelled")
        self._rows, self._reading = [], None
        self._waiting.clear()
        self._post()

    def _wait(self) -> bool:
        """True as soon as there is work; False when the engine is to end."""
        if self._rows and not self._closing:
            return True
        with self._wake:
            while not (self._closing or self._rows or self._reading or self._waiting):
                self._wake.wait()
            return not self._closing

    def _leave(self) -> None:
        """Those whose readers have gone give their slots back."""
        with self._wake:
            self._some_left = False
            gone = [one for one in self._waiting if one.generation.cancelled]
            for answer in gone:
                self._waiting.remove(answer)
        for answer in gone:
            self._finish(answer, "cancelled")
        for answer in [one for one in self._rows if one.generation.cancelled]:
            self._finish(answer, "cancelled")
            self._free(answer)
        if self._reading is not None and self._reading.generation.cancelled:
            self._finish(self._reading, "cancelled")
            self._reading = None
        self._post()

    def _read_chunk(self) -> None:
        """The next part of the oldest prompt; behind its last token the answer has its first."""
        graph = self._graph
        if self._reading is None:
            with self._wake:
                if not self._waiting or len(self._rows) == graph.slots:
                    return
                self._reading = self._waiting.popleft()
            self._reading.slot = len(self._rows)
            graph.adapter_S[self._reading.slot] = self._reading.adapter
        answer = self._reading
        part = answer.prompt[answer.length : answer.length + graph.chunk]
        logits_TV = graph.prefill(answer.slot, part, answer.length)
        answer.length += len(part)
        if answer.length < len(answer.prompt):
            return
        self._reading = None
        row = len(self._rows)
        if answer.slot != row:  # others left while it was read
            graph.move(answer.slot, row, answer.length)
            answer.slot = row
        self._rows.append(answer)
        if self._take(answer, logits_TV[-1]):
            self._free(answer)

    def _step(self) -> None:
        if not self._rows:
            return
        logits_BV = self._graph.step([one.last for one in self._rows], [one.length for one in self._rows])
        ended = []
        for answer, logits_V in zip(self._rows, logits_BV, strict=True):
            answer.length += 1
            if self._take(answer, logits_V):
                ended.append(answer)
        for answer in ended:
            self._free(answer)

    def _take(self, answer: _Answer, logits_V: NDArray[np.float32]) -> bool:
        """Chooses the next token of one answer; True when that ends it. A fault ends this answer alone."""
        composer = answer.generation.composer
        try:
            logits_V = logits_V[: self.tokenizer.vocabulary]
            allowed_V = logits_V if answer.constraint is None else answer.constraint.mask(logits_V)
            token = answer.sampler.choose(allowed_V)
            closed = answer.constraint is not None and answer.constraint.accept(token)
            if token in self.tokenizer.specials.stops:
                self._send(answer, composer.end("stop", tokens=1))
                return True
            answer.last = token
            piece = composer.push(token, self._figures(answer.sampling, logits_V, token))
        except Exception as error:  # noqa: BLE001  the edge between one answer and the others
            self._send(answer, error)
            return True
        if piece is not None:
            self._send(answer, piece)
            if piece.finish is not None:
                return True
        if closed or composer.total >= answer.limit:
            self._finish(answer, "stop" if closed else "length")
            return True
        return False

    def _figures(self, sampling: Sampling, logits_V: NDArray[np.float32], token: int) -> TokenLogprob | None:
        if sampling.logprobs is None:
            return None
        logprobs_V, name = log_probabilities(logits_V), self.tokenizer.token
        top = tuple((name(one), one, float(logprobs_V[one])) for one in likeliest(logprobs_V, sampling.logprobs))
        return TokenLogprob(name(token), token, float(logprobs_V[token]), top)

    def _free(self, answer: _Answer) -> None:
        """The last row takes the slot, so that rows stay without a gap."""
        last = self._rows.pop()
        if last is not answer:
            self._graph.move(last.slot, answer.slot, last.length)
            last.slot = answer.slot
            self._rows[answer.slot] = last

    def _finish(self, answer: _Answer, finish: Finish) -> None:
        self._send(answer, answer.generation.composer.end(finish))

    def _fail(self, error: Exception) -> None:
        """The graph itself failed: whoever was in it is told; those who wait are served."""
        for answer in [*self._rows, *([self._reading] if self._reading else [])]:
            self._send(answer, error)
        self._rows, self._reading = [], None

    def _send(self, answer: _Answer, piece: Piece | Exception) -> None:
        """Pieces of an answer that wait to be handed over become one."""
        before = self._outbox.get(answer)
        if isinstance(before, Piece) and isinstance(piece, Piece):
            piece = Piece(
                before.text + piece.text, before.tokens + piece.tokens, before.logprobs + piece.logprobs, piece.finish
            )
        elif before is not None:
            self._post()
        self._outbox[answer] = piece

    def _post(self) -> None:
        """Hands over what there is: one call an event loop, however many answers."""
        self._posted_s = time.perf_counter()
        if not self._outbox:
            return
        by_loop: dict[asyncio.AbstractEventLoop, _Mail] = {}
        for answer, piece in self._outbox.items():
            by_loop.setdefault(answer.generation.loop, []).append((answer.generation.arrived, piece))
        self._outbox = {}
        for loop, mail in by_loop.items():
            self._hand_over(loop, mail)

    def _hand_over(self, loop: asyncio.AbstractEventLoop, mail: _Mail) -> None:
        try:
            loop.call_soon_threadsafe(_deliver, mail)
        except RuntimeError:  # the loop is closed: nobody reads any more
            for answer in [*self._rows, *self._waiting]:
                if answer.generation.loop is loop:
                    answer.generation.cancelled = self._some_left = True


def _deliver(mail: _Mail) -> None:
    for queue, piece in mail:
        queue.put_nowait(piece)


@dataclass(eq=False)
class _Answer:
    """One answer in the thread. `length` tokens of it are in the slot; `last` is chosen and not yet read."""

    generation: GenaiGeneration
    prompt: tuple[int, ...]
    sampling: Sampling
    limit: int
    sampler: Sampler
    constraint: Constraint | None
    adapter: int
    slot: int = 0
    length: int = 0
    last: int = 0


class GenaiGeneration:
    """The asyncio side of an answer. See `Generation`."""

    def __init__(self, engine: GenaiEngine, prompt_tokens: int, composer: Composer) -> None:
        self.prompt_tokens = prompt_tokens
        self.composer = composer
        self.loop = asyncio.get_running_loop()
        self.arrived: asyncio.Queue[Piece | Exception] = asyncio.Queue()
        self.cancelled = False
        self._engine = engine

    @property
    def completion_tokens(self) -> int:
        return self.composer.total

    def cancel(self) -> None:
        if not self.cancelled:
            self.cancelled = True
            self._engine.nudge()

    async def __aiter__(self) -> AsyncIterator[Piece]:
        while True:
            piece = await self.arrived.get()
            if isinstance(piece, Exception):
                raise piece
            yield piece
            if piece.finish is not None:
                return
