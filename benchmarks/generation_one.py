"""One contender of `generation.py`, in a process of its own: generation_one.py CONTENDER FOLDER STREAMS TOKENS TURNS.

Prints one JSON object, by turn: seconds of short answers (a quarter of TOKENS) on all streams, seconds of long ones, milliseconds to the
first token of a lone prompt, the median of five.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

PROMPT = 64
FIRST_TOKENS = 300  # numbers of prompts' tokens: every tokeniser has them

# Seconds that all streams take for so many tokens each, and for the first token of this prompt alone.
Timed = tuple[Callable[[int], float], Callable[[list[int]], float]]


def short_of(tokens: int) -> int:
    """Tokens of a short answer, beside one of `tokens`: what takes longer than it is writing alone."""
    return max(tokens // 4, 1)


def prompts(streams: int) -> list[list[int]]:
    random = np.random.default_rng(1)
    return [random.integers(5, FIRST_TOKENS, PROMPT).tolist() for _ in range(streams)]


def ours(folder: Path, streams: int) -> Timed:
    from tradewind.engines.genai import GenaiEngine
    from tradewind.engines.generation import Sampling
    from tradewind.features.language import LanguageTokenizer

    engine = GenaiEngine(folder, LanguageTokenizer.open(folder), slots=max(streams, 1))

    async def one(prompt: list[int], most: int) -> int:
        generation = engine.start(prompt, Sampling(max_tokens=most, temperature=0))
        return sum([piece.tokens async for piece in generation])

    async def all_of(given: list[list[int]], most: int) -> float:
        started = time.perf_counter()
        done = await asyncio.gather(*(one(prompt, most) for prompt in given))
        assert sum(done) == len(given) * most
        return time.perf_counter() - started

    return lambda most: asyncio.run(all_of(prompts(streams), most)), lambda prompt: asyncio.run(all_of([prompt], 1))


def bare(folder: Path, streams: int) -> Timed:
    import onnxruntime_genai as genai

    genai.disable_telemetry_events()
    model = genai.Model(str(folder))

    def generated(ids: list[list[int]], most: int) -> float:
        parameters = genai.GeneratorParams(model)
        length = PROMPT + most
        parameters.set_search_options(batch_size=len(ids), do_sample=False, min_length=length, max_length=length)
        generator = genai.Generator(model, parameters)
        started = time.perf_counter()
        generator.append_tokens(np.array(ids, np.int32))
        while not generator.is_done():
            generator.generate_next_token()
        return time.perf_counter() - started

    return lambda most: generated(prompts(streams), most), lambda prompt: generated([prompt], 1)


def transformers(folder: Path, streams: int) -> Timed:
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder).eval()

    def generated(ids: list[list[int]], most: int) -> float:
        given = torch.tensor(ids)
        started = time.perf_counter()
        with torch.no_grad():
            model.generate(
                given, attention_mask=torch.ones_like(given), do_sample=False, min_new_tokens=most, max_new_tokens=most
            )
        return time.perf_counter() - started

    return lambda most: generated(prompts(streams), most), lambda prompt: generated([prompt], 1)


def llama(folder: Path, streams: int) -> Timed:
    """llama.cpp's own server loop, by xllamacpp; `folder` holds model.gguf."""
    from concurrent.futures import ThreadPoolExecutor

    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(folder / "model.gguf")
    parameters.n_ctx = 512 * streams
    parameters.n_parallel = streams
    parameters.n_gpu_layers = 0
    parameters.warmup = True
    parameters.verbosity = -1
    server = xllamacpp.Server(parameters)

    def one(prompt: list[int], most: int) -> int:
        asked = {"prompt": prompt, "n_predict": most, "temperature": 0, "ignore_eos": True, "cache_prompt": False}
        found = server.handle_completions(asked)
        if isinstance(found, str | bytes):
            found = json.loads(found)
        return int(found.get("tokens_predicted") or found["usage"]["completion_tokens"])

    def all_of(given: list[list[int]], most: int) -> float:
        started = time.perf_counter()
        with ThreadPoolExecutor(len(given)) as pool:
            done = list(pool.map(lambda prompt: one(prompt, most), given))
        assert sum(done) == len(given) * most
        return time.perf_counter() - started

    return lambda most: all_of(prompts(streams), most), lambda prompt: all_of([prompt], 1)


if __name__ == "__main__":
    contender, place = sys.argv[1], Path(sys.argv[2])
    several, wanted, turns = map(int, sys.argv[3:6])
    take, first = {"ours": ours, "bare": bare, "transformers": transformers, "llama": llama}[contender](place, several)
    shorts, longs, firsts = [], [], []
    for turn in range(turns + 1):  # the first one is not counted
        short, long = take(short_of(wanted)), take(wanted)
        lone = statistics.median(first(prompt) for prompt in prompts(5))
        if turn:
            shorts.append(short)
            longs.append(long)
            firsts.append(1e3 * lone)
    print(json.dumps({"short_s": shorts, "long_s": longs, "first_ms": firsts}))
