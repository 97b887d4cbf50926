"""`tradewind chat`: a conversation with a released language model in the terminal, word by word as it is written.

Where stdin is no terminal, all of it is one message, and its answer goes to stdout. Not here: the HTTP API (`serve.py`).
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from tradewind.cli.releases import release_folder
from tradewind.cli.session import HERE, FolderOption
from tradewind.engines.generation import GenerationEngine, Sampling
from tradewind.engines.loading import load_generator
from tradewind.errors import InputError
from tradewind.release.language import open_language_bundle

_ORDER = ("int8", "int4", "fp32")
_LEAST_ANSWER = 16
_QUIT = ("/quit", "/exit")


def command(
    release: Annotated[str, typer.Argument(help="A release folder, a version or an alias.")] = "candidate",
    system: Annotated[
        str | None, typer.Option("--system", help="What the model is told first.", show_default=False)
    ] = None,
    temperature: Annotated[float, typer.Option("--temperature", help="0 always takes the likeliest word.")] = 0.7,
    max_tokens: Annotated[int, typer.Option("--max-tokens", help="The longest answer, in tokens.")] = 512,
    seed: Annotated[int | None, typer.Option("--seed", help="The same answers again.", show_default=False)] = None,
    precision: Annotated[
        str | None, typer.Option("--precision", help="fp32, int8 or int4; int8 where there is one.", show_default=False)
    ] = None,
    key: Annotated[
        Path | None, typer.Option("--key", help="Public key of the signer (PEM).", show_default=False)
    ] = None,
    directory: FolderOption = HERE,
) -> None:
    """Talk to a released language model in the terminal."""
    folder = release_folder(release, directory)
    if precision is None:
        held = open_language_bundle(folder, public_key=key).manifest["precisions"]
        precision = next((one for one in _ORDER if one in held), _ORDER[0])
    engine = load_generator(folder, precision=precision, public_key=key, slots=1)
    try:
        sampling = Sampling(max_tokens=max_tokens, temperature=temperature, seed=seed)
        messages = [{"role": "system", "content": system}] if system else []
        if sys.stdin.isatty():
            print(f"{folder.name} ({precision}). /quit ends it, Ctrl-C ends an answer.", file=sys.stderr)
            _converse(engine, messages, sampling)
        else:
            text = sys.stdin.read().strip()
            if not text:
                raise InputError("There is nothing on stdin to answer.", code="prompt_empty", where="stdin")
            asyncio.run(_answer(engine, [*messages, {"role": "user", "content": text}], sampling))
    finally:
        engine.close()


def _converse(engine: GenerationEngine, messages: list[dict[str, Any]], sampling: Sampling) -> None:
    """Turns until /quit or the end of input. What cannot be answered is said, and the conversation goes on."""
    while True:
        try:
            text = input("> ").strip()
        except (EOFError, KeyboardInterrupt):
            print(file=sys.stderr)
            return
        if text in _QUIT:
            return
        if not text:
            continue
        turn = [*messages, {"role": "user", "content": text}]
        try:
            said = asyncio.run(_answer(engine, turn, sampling))
        except InputError as error:
            print(error, file=sys.stderr)
            continue
        messages[:] = [*turn, {"role": "assistant", "content": said}]


async def _answer(engine: GenerationEngine, messages: list[dict[str, Any]], sampling: Sampling) -> str:
    """Writes the answer to stdout as it comes and gives it whole. Ctrl-C ends it there."""
    generation = engine.start(_prompt(engine, messages), sampling)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, generation.cancel)
    parts: list[str] = []
    try:
        async for piece in generation:
            parts.append(piece.text)
            sys.stdout.write(piece.text)
            sys.stdout.flush()
    finally:
        generation.cancel()
        loop.remove_signal_handler(signal.SIGINT)
    sys.stdout.write("\n")
    sys.stdout.flush()
    return "".join(parts)


def _prompt(engine: GenerationEngine, messages: list[dict[str, Any]]) -> list[int]:
    """The conversation as tokens: its oldest turns are forgotten until an answer has room. A model without a template goes
    on with the last message."""
    tokenizer = engine.tokenizer
    if tokenizer.template is None:
        return tokenizer.encode(messages[-1]["content"])
    first = 1 if messages[0]["role"] == "system" else 0
    while True:
        tokens = tokenizer.chat(messages)
        if len(tokens) + _LEAST_ANSWER <= engine.context or len(messages) <= first + 1:
            return tokens
        messages = [*messages[:first], *messages[first + 2 :]]
