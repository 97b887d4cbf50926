"""Text from a folder `hf/` on GPUs, by vLLM's AsyncLLM, behind the contract of `generation.py`.

vLLM computes; text and stop texts are made from its tokens here, as for every engine, so that answers do not depend on where
they come from. It brings torch: a machine with it is no torch-free one. Not here: the CPU (`genai.py`).
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tradewind.engines.generation import Deterministic, Piece, Sampling, TokenLogprob, check_request
from tradewind.engines.pieces import Composer
from tradewind.errors import EnvironmentFailure, InputError
from tradewind.features.language import LanguageTokenizer


@dataclass(frozen=True)
class Runtime:
    """The names of vLLM that are used."""

    engine_args: Any
    async_llm: Any
    sampling_params: Any
    structured_outputs: Any
    output_kind: Any
    lora_request: Any


_installed: Runtime | None = None
try:
    from vllm import AsyncEngineArgs, SamplingParams
    from vllm.lora.request import LoRARequest
    from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams
    from vllm.v1.engine.async_llm import AsyncLLM
except ModuleNotFoundError:
    pass
else:
    _installed = Runtime(
        AsyncEngineArgs, AsyncLLM, SamplingParams, StructuredOutputsParams, RequestOutputKind, LoRARequest
    )


def _runtime() -> Runtime:
    if _installed is None:
        raise EnvironmentFailure(
            "The engine vllm needs the package vllm, which is not installed.",
            code="package_missing",
            hint="Install it on a machine with a GPU: pip install vllm. On a CPU serve a precision of genai/.",
        )
    return _installed


class VllmEngine:
    """`folder` is an `hf/`; `adapters` are folders in PEFT's layout by name. Call it inside an event loop.

    Answers are the same alone; beside others only where vLLM's batch-invariant kernels are switched on. Raises
    EnvironmentFailure package_missing where vLLM is not installed.
    """

    def __init__(
        self,
        folder: Path,
        tokenizer: LanguageTokenizer,
        *,
        context: int,
        adapters: Mapping[str, Path] | None = None,
        runtime: Runtime | None = None,
        **settings: Any,
    ) -> None:
        self._runtime = runtime or _runtime()
        self.tokenizer = tokenizer
        self.context = context
        self.adapters = {name: (number, path) for number, (name, path) in enumerate((adapters or {}).items(), 1)}
        arguments = self._runtime.engine_args(
            model=str(folder),
            tokenizer=str(folder),
            max_model_len=context,
            enable_lora=bool(self.adapters),
            **({"max_loras": len(self.adapters)} if self.adapters else {}),
            **settings,
        )
        self._llm = self._runtime.async_llm.from_engine_args(arguments)
        self.deterministic = Deterministic(alone=True, under_load=os.environ.get("VLLM_BATCH_INVARIANT") == "1")
        self._numbers = itertools.count()

    def start(self, prompt: Sequence[int], sampling: Sampling) -> VllmGeneration:
        limit = check_request(
            prompt, sampling, vocabulary=self.tokenizer.vocabulary, context=self.context, adapters=tuple(self.adapters)
        )
        return VllmGeneration(self, f"tradewind-{next(self._numbers)}", list(prompt), sampling, limit)

    def close(self) -> None:
        self._llm.shutdown()

    def outputs(self, number: str, prompt: list[int], sampling: Sampling, limit: int) -> AsyncIterator[Any]:
        """What vLLM yields for a request."""
        runtime = self._runtime
        structured = None
        if sampling.schema is not None:
            structured = runtime.structured_outputs(json=dict(sampling.schema))
        elif sampling.regex is not None:
            structured = runtime.structured_outputs(regex=sampling.regex)
        parameters = runtime.sampling_params(
            max_tokens=limit,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            seed=sampling.seed,
            logprobs=sampling.logprobs,
            stop_token_ids=list(self.tokenizer.specials.stops),
            structured_outputs=structured,
            detokenize=False,
            output_kind=runtime.output_kind.DELTA,
        )
        adapter = None
        if sampling.adapter is not None:
            place, path = self.adapters[sampling.adapter]
            adapter = runtime.lora_request(sampling.adapter, place, str(path))
        answer: AsyncIterator[Any] = self._llm.generate(
            {"prompt_token_ids": prompt}, parameters, number, lora_request=adapter
        )
        return answer

    async def abort(self, number: str) -> None:
        await self._llm.abort(number)


class VllmGeneration:
    """See `Generation`. vLLM begins with the first look at it and goes on by itself."""

    def __init__(self, engine: VllmEngine, number: str, prompt: list[int], sampling: Sampling, limit: int) -> None:
        self.prompt_tokens = len(prompt)
        self._engine, self._number = engine, number
        self._request = (prompt, sampling, limit)
        self._composer = Composer(engine.tokenizer, sampling.stop)
        self._cancelled = False
        self._abort: asyncio.Task[None] | None = None

    @property
    def completion_tokens(self) -> int:
        return self._composer.total

    def cancel(self) -> None:
        if not self._cancelled:
            self._cancelled = True
            # Kept: a task that nobody holds may be collected before it ran.
            self._abort = asyncio.get_running_loop().create_task(self._engine.abort(self._number))

    async def __aiter__(self) -> AsyncIterator[Piece]:
        prompt, sampling, limit = self._request
        stops = self._engine.tokenizer.specials.stops
        if self._cancelled:
            yield self._composer.end("cancelled")
            return
        try:
            async for output in self._engine.outputs(self._number, prompt, sampling, limit):
                part = output.outputs[0]
                figures = part.logprobs or [None] * len(part.token_ids)
                for token, figure in zip(part.token_ids, figures, strict=True):
                    if token in stops:
                        yield self._composer.end("stop", tokens=1)
                        return
                    piece = self._composer.push(token, self._told(token, figure, sampling))
                    if piece is not None:
                        yield piece
                        if piece.finish is not None:
                            await self._engine.abort(self._number)
                            return
                if self._cancelled or part.finish_reason == "abort":
                    break
                if part.finish_reason is not None:
                    yield self._composer.end("length" if part.finish_reason == "length" else "stop")
                    return
        except ValueError as error:  # vLLM checks a request when it takes it
            raise InputError(f"vLLM refuses the request: {error}", code="schema_invalid") from error
        yield self._composer.end("cancelled")

    def _told(self, token: int, figure: Mapping[int, Any] | None, sampling: Sampling) -> TokenLogprob | None:
        if figure is None:
            return None
        name = self._engine.tokenizer.token
        ranked = sorted(figure.items(), key=lambda item: -item[1].logprob)[: sampling.logprobs or 0]
        top = tuple((name(one), one, float(what.logprob)) for one, what in ranked)
        return TokenLogprob(name(token), token, float(figure[token].logprob), top)
