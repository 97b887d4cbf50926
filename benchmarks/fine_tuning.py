"""Fine-tuning on customers' questions: does it lower the loss of the answers below the base model's, and do answers stop?

    python benchmarks/fine_tuning.py [--data ../shared/data] [--steps 600] [--tuned 600] [--asked 300] [--threads 1]

banking77: questions to a bank with 77 intents, own train and test file. A small base model is trained from scratch on the
training questions as text. Then it learns pairs, a question and the reply that its intent has (made here from the intent's
name), in full and by LoRA, and preferences, the right reply before another intent's. All by the product's verbs, with what the
product chooses where nothing is said. `--asked` questions of the test file judge: losses are those of the report, answers come
from the signed releases.

answer loss   nats per token of the test replies under the weights before and after: both are asked in the same words
stops         share of greedy answers that end by the stop token within 64 tokens; bound 0.99
right         share of answers that are the intent's reply, word for word
preferred     share of test pairs whose better reply gained more
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tradewind.engines.genai import GenaiEngine
from tradewind.engines.generation import Sampling
from tradewind.features.language import LanguageTokenizer

HERE = Path(__file__).parent
MOST_TOKENS = 64
STOPS_BOUND = 0.99
BASE = """\
product: base
task: generation
data: {{source: train.jsonl, format: text, split: {{validation: 0.02, test: test.jsonl}}, clean: {{duplicates: keep}}}}
tokenizer: {{kind: bpe, vocabulary: 2000}}
model: {{kind: decoder, width: 128, depth: 4, heads: 4, context: 128}}
train: {{steps: {steps}, threads: {threads}}}
evaluate: {{samples: 0, baselines: false}}
release: {{precisions: [fp32]}}
"""
TUNED = """\
product: tuned
task: generation
data: {{source: train.jsonl, format: {kind}, split: {{validation: 0.02, test: test.jsonl}}, clean: {{duplicates: keep}}}}
model: {{pretrained: {base}, adapt: {adapt}, context: 128}}
train: {{steps: {steps}, threads: {threads}}}
evaluate: {{samples: 0, baselines: false}}
release: {{precisions: [fp32]}}
"""


@dataclass(frozen=True)
class Made:
    """A signed release, what its report says of the test split, and the loss of the weights it began with there."""

    release: Path
    figures: dict[str, float]
    loss_before: float | None
    seconds: float


def reply(intent: str) -> str:
    words = intent.replace("_", " ").strip("?").lower()
    return f"You are asking about {words}. I have opened a request for you; our team answers within one day."


def rows(path: Path) -> list[tuple[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["text"].strip(), row["category"]) for row in csv.DictReader(file)]


def write(path: Path, objects: Sequence[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in objects), encoding="utf-8")


def pair(text: str, intent: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": reply(intent)}]}


def preference(text: str, intent: str, other: str) -> dict[str, Any]:
    return {"prompt": text, "chosen": reply(intent), "rejected": reply(other)}


def make(folder: Path, product: str, train: Sequence[dict[str, Any]], test: Sequence[dict[str, Any]]) -> Made:
    """The whole way of one product, by `tradewind run`."""
    folder.mkdir()
    write(folder / "train.jsonl", train)
    write(folder / "test.jsonl", test)
    (folder / "tradewind.yaml").write_text(product)
    started = time.perf_counter()
    command = [sys.executable, "-m", "tradewind.cli", "run", "-C", str(folder), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    outcome = json.loads(done.stdout)
    report = json.loads((Path(outcome["artifacts"]["report"]) / "report.json").read_text())
    before = {one["name"]: one["figures"] for one in report["baselines"]}.get("base")
    return Made(
        release=Path(outcome["artifacts"]["release"]),
        figures=outcome["metrics"]["test"],
        loss_before=None if before is None else before["loss"]["value"],
        seconds=time.perf_counter() - started,
    )


def asked(release: Path, questions: Sequence[tuple[str, str]]) -> tuple[float, float]:
    """Shares of greedy answers that stop, and that are right."""
    tokenizer = LanguageTokenizer.open(release / "hf")
    engine = GenaiEngine(release / "genai" / "fp32", tokenizer, threads=1, waiting=len(questions))

    async def one(text: str, intent: str) -> tuple[bool, bool]:
        prompt = tokenizer.chat([{"role": "user", "content": text}])
        pieces = [piece async for piece in engine.start(prompt, Sampling(MOST_TOKENS, temperature=0))]
        return pieces[-1].finish == "stop", "".join(piece.text for piece in pieces).strip() == reply(intent)

    async def every() -> list[tuple[bool, bool]]:
        return await asyncio.gather(*(one(text, intent) for text, intent in questions))

    found = asyncio.run(every())
    engine.close()
    return sum(stop for stop, _ in found) / len(found), sum(right for _, right in found) / len(found)


def tell(name: str, made: Made, questions: Sequence[tuple[str, str]]) -> None:
    """A row of the table; whether what was asked for holds."""
    stops, right = asked(made.release, questions)
    before, after = made.loss_before, made.figures["loss"]
    assert before is not None
    preferred = made.figures.get("preference_accuracy")
    gained = ("loss", after < before) if preferred is None else ("preferred", preferred > 0.5)
    verdicts = [f"{what} {'holds' if holds else 'MISSED'}" for what, holds in (gained, ("stops", stops >= STOPS_BOUND))]
    shown = "" if preferred is None else f"{preferred:.3f}"
    figures = f"{before:.3f} | {after:.3f} | {stops:.3f} | {right:.3f} | {shown}"
    print(f"| {name} | {figures} | {', '.join(verdicts)} | {made.seconds:.0f} |", flush=True)


def main(given: argparse.Namespace, work: Path) -> None:
    drawn = random.Random(0)
    train, test = rows(given.data / "banking77" / "train.csv"), rows(given.data / "banking77" / "test.csv")
    test = drawn.sample(test, given.asked)
    intents = sorted({intent for _, intent in train})

    def other(intent: str) -> str:
        return drawn.choice([one for one in intents if one != intent])

    base = make(
        work / "base", BASE.format(steps=given.steps, threads=given.threads), *([{"text": text} for text, _ in side] for side in (train, test))
    )  # fmt: skip
    bits = base.figures["bits_per_byte"]
    print(f"base, from scratch: {bits:.3f} bits per byte of test questions, {base.seconds:.0f} s\n")
    print(
        "| model | answer loss before | after | stops | right | preferred | holds | s |\n|---|---|---|---|---|---|---|---|"
    )
    pairs = [[pair(*one) for one in side] for side in (train, test)]
    common = {"steps": given.tuned, "threads": given.threads}
    weights = base.release / "hf"
    full = make(work / "full", TUNED.format(kind="chat", base=weights, adapt="full", **common), *pairs)
    tell("in full", full, test)
    tell("LoRA", make(work / "lora", TUNED.format(kind="chat", base=weights, adapt="lora", **common), *pairs), test)
    choices = [[preference(*one, other(one[1])) for one in side] for side in (train, test)]
    common["steps"] = max(given.tuned // 6, 1)
    product = TUNED.format(kind="preferences", base=full.release / "hf", adapt="full", **common)
    tell("in full, then preferences", make(work / "preferences", product, *choices), test)
    print(f"\n{os.cpu_count()} processors, {platform.machine()}, {given.threads} threads, {time.strftime('%Y-%m-%d')}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE.parent / "../shared/data")
    parser.add_argument("--steps", type=int, default=600, help="of the base")
    parser.add_argument("--tuned", type=int, default=600, help="of each fine-tuning; of preferences a sixth")
    parser.add_argument("--asked", type=int, default=300, help="test questions that are asked")
    parser.add_argument("--threads", type=int, default=1)
    with tempfile.TemporaryDirectory() as temporary:
        main(parser.parse_args(), Path(temporary))
