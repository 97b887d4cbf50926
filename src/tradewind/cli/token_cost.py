"""How long a token takes the released engine on this machine: read in a prompt, written alone, written beside others; and what
that costs. Not here: the arithmetic of money (`business/cost.py`), speed beside peers (`benchmarks/generation.py`).
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from tradewind.business.cost import check_prices
from tradewind.cli.prices import sold
from tradewind.cli.timing import processor_name
from tradewind.engines.genai import GenaiEngine
from tradewind.engines.generation import Sampling
from tradewind.evaluate.cost import RequestCost, RequestTime, unit_cost
from tradewind.features.language import LanguageTokenizer
from tradewind.product import Serve

Timed: TypeAlias = tuple[float, int]  # processor seconds of the whole process, and tokens written
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
    """Processor seconds a token."""
    try:
        prompt = [token % engine.tokenizer.vocabulary for token in range(5, 5 + min(_PROMPT, engine.context // 2))]
        most = min(_WRITTEN, engine.context - len(prompt))
        rounds = [asyncio.run(_round(engine, prompt, most)) for _ in range(_ROUNDS)]
    finally:
        engine.close()
    # The least of each, before anything is subtracted: the least difference would be that of the worst disturbance.
    least = {name: min(one[name] for one in rounds) for name in rounds[0]}
    read_s = least["read"][0] / len(prompt)
    return {
        "prompt": read_s,
        "alone": written_s(least["read"], least["alone"]) or read_s,
        "bulk": written_s(least["few"], least["many"]) or read_s,
        "prompt_tokens": len(prompt),
    }


def written_s(short: Timed, long: Timed) -> float:
    """Seconds a written token: what reading the prompts took is in both and goes out with the difference. Where a disturbance
    swallowed it, reading is charged too: a cost may be told too high, never as nothing. 0 where no token was written."""
    (short_s, short_tokens), (long_s, long_tokens) = short, long
    if long_tokens > short_tokens and long_s > short_s:
        return (long_s - short_s) / (long_tokens - short_tokens)
    return long_s / long_tokens if long_tokens else 0.0


async def _round(engine: GenaiEngine, prompt: list[int], most: int) -> dict[str, Timed]:
    return {
        "read": await _written(engine, prompt, 1, answers=1),
        "alone": await _written(engine, prompt, most, answers=1),
        "few": await _written(engine, prompt, 1, answers=_SLOTS),
        "many": await _written(engine, prompt, most, answers=_SLOTS),
    }


async def _written(engine: GenaiEngine, prompt: list[int], most: int, *, answers: int) -> Timed:
    started = time.process_time()
    # Drawn, not the likeliest: a model that stops at once would tell nothing.
    running = [engine.start(prompt, Sampling(most, temperature=2.0, seed=seed)) for seed in range(answers)]
    counts = await asyncio.gather(*(_read(one) for one in running))
    return time.process_time() - started, sum(counts)


async def _read(generation: Any) -> int:
    return sum([piece.tokens async for piece in generation])
