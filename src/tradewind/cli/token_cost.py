"""How long a token takes the released engine on this machine: read in a prompt, written alone, written beside others; and what
that costs. Not here: the arithmetic of money (`business/cost.py`), speed beside peers (`benchmarks/generation.py`).
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tradewind.business.cost import check_prices
from tradewind.cli.prices import sold
from tradewind.cli.timing import processor_name
from tradewind.engines.genai import GenaiEngine
from tradewind.engines.generation import Sampling
from tradewind.evaluate.cost import RequestCost, RequestTime, unit_cost
from tradewind.features.language import LanguageTokenizer
from tradewind.product import Serve

_SLOTS = 16
_PROMPT = 64
_WRITTEN = 24
_ROUNDS = 3
_HOW = (
    "processor seconds of one thread for a token of {precision}: written by a lone answer (alone), by {slots} answers at once "
    "(bulk), or read in a prompt of {prompt} tokens; HTTP, keys and metering come on top"
)


def token_cost(
    folder: Path, tokenizer: LanguageTokenizer, *, precision: str, serve: Serve, product: str
) -> dict[str, Any]:
    """The section `cost` of a release's manifest, of the shape that a report has for rows. A unit is one token; a token
    written by a lone answer, the dearest, stands for it wherever plans are compared."""
    found = _measured(GenaiEngine(folder, tokenizer, slots=_SLOTS, threads=1))
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    measured = RequestTime(found["alone"], _WRITTEN, found["bulk"], _SLOTS, processor_name(), processors)
    cost = RequestCost(measured, serve.machine_hour, sold(serve.plans, product)).to_json()
    how = _HOW.format(precision=precision, slots=_SLOTS, prompt=found["prompt_tokens"])
    return cost | {"request": cost["request"] | {"prompt_seconds": found["prompt"], "precision": precision, "how": how}}


def below_cost_of_tokens(cost: Mapping[str, Any], serve: Serve, *, product: str) -> list[str]:
    """A sentence for each plan that sells a token below its cost, and may not."""
    if serve.machine_hour is None:
        return []
    return check_prices(sold(serve.plans, product), unit_cost(cost["request"], serve.machine_hour))


def _measured(engine: GenaiEngine) -> dict[str, float]:
    """Processor seconds a token, the least of three rounds."""
    try:
        prompt = [token % engine.tokenizer.vocabulary for token in range(5, 5 + min(_PROMPT, engine.context // 2))]
        most = min(_WRITTEN, engine.context - len(prompt))
        rounds = [asyncio.run(_round(engine, prompt, most)) for _ in range(_ROUNDS)]
    finally:
        engine.close()
    least = {name: min(one[name] for one in rounds) for name in rounds[0]}
    return least | {"prompt_tokens": len(prompt)}


async def _round(engine: GenaiEngine, prompt: list[int], most: int) -> dict[str, float]:
    read_s, read = await _written(engine, prompt, 1, answers=1)
    alone_s, alone = await _written(engine, prompt, most, answers=1)
    few_s, few = await _written(engine, prompt, 1, answers=_SLOTS)
    many_s, many = await _written(engine, prompt, most, answers=_SLOTS)
    # Reading the prompts is in each of them, and goes out with the difference. An answer may end at once by a stop token.
    return {
        "prompt": read_s / len(prompt),
        "alone": max(alone_s - read_s, 0.0) / (alone - read) if alone > read else read_s / len(prompt),
        "bulk": max(many_s - few_s, 0.0) / (many - few) if many > few else read_s / len(prompt),
    }


async def _written(engine: GenaiEngine, prompt: list[int], most: int, *, answers: int) -> tuple[float, int]:
    """Processor seconds of the whole process, and tokens written."""
    started = time.process_time()
    # Drawn, not the likeliest: a model that stops at once would tell nothing.
    running = [engine.start(prompt, Sampling(most, temperature=2.0, seed=seed)) for seed in range(answers)]
    counts = await asyncio.gather(*(_read(one) for one in running))
    return time.process_time() - started, sum(counts)


async def _read(generation: Any) -> int:
    return sum([piece.tokens async for piece in generation])
