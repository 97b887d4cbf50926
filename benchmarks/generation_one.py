"""One contender of `generation.py`, in a process of its own: generation_one.py CONTENDER FOLDER STREAMS TOKENS ROUNDS.

Prints one JSON object: tokens per second over all streams and milliseconds to the first token of a lone prompt, by round.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

PROMPT = 64
FIRST_TOKENS = 300  # numbers of prompts' tokens: every tokeniser has them

Timed = tuple[float, float]


def prompts(streams: int) -> list[list[int]]:
    random = np.random.default_rng(1)
    return [random.integers(5, FIRST_TOKENS, PROMPT).tolist() for _ in range(streams)]


def ours(folder: Path, streams: int, tokens: int) -> Callable[[], Timed]:
    from tradewind.engines.genai import GenaiEngine
    from tradewind.engines.generation import Sampling
    from tradewind.features.language import LanguageTokenizer

    engine = GenaiEngine(folder, LanguageTokenizer.open(folder), slots=max(streams, 1))

    async def one(prompt: list[int], most: int) -> int:
        generation = engine.start(prompt, Sampling(max_tokens=most, temperature=0))
        return sum([piece.tokens async for piece in generation])

    async def measured() -> Timed:
        started = time.perf_counter()
        await one(prompts(1)[0], 1)
        first = time.perf_counter() - started
        started = time.perf_counter()
        done = await asyncio.gather(*(one(prompt, tokens) for prompt in prompts(streams)))
        return sum(done) / (time.perf_counter() - started), first

    return lambda: asyncio.run(measured())


def bare(folder: Path, streams: int, tokens: int) -> Callable[[], Timed]:
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

    def measured() -> Timed:
        first = generated(prompts(1), 1)
        return streams * tokens / generated(prompts(streams), tokens), first

    return measured


def transformers(folder: Path, streams: int, tokens: int) -> Callable[[], Timed]:
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

    def measured() -> Timed:
        first = generated(prompts(1), 1)
        return streams * tokens / generated(prompts(streams), tokens), first

    return measured


def llama(folder: Path, streams: int, tokens: int) -> Callable[[], Timed]:
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

    def measured() -> Timed:
        started = time.perf_counter()
        one(prompts(1)[0], 1)
        first = time.perf_counter() - started
        started = time.perf_counter()
        with ThreadPoolExecutor(streams) as pool:
            done = list(pool.map(lambda prompt: one(prompt, tokens), prompts(streams)))
        return sum(done) / (time.perf_counter() - started), first

    return measured


if __name__ == "__main__":
    contender, place = sys.argv[1], Path(sys.argv[2])
    several, wanted, rounds = map(int, sys.argv[3:6])
    run = {"ours": ours, "bare": bare, "transformers": transformers, "llama": llama}[contender](place, several, wanted)
    run()  # not counted
    found = [run() for _ in range(rounds)]
    print(json.dumps({"tokens_per_s": [one for one, _ in found], "first_ms": [1e3 * one for _, one in found]}))
