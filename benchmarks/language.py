"""Language models, trained: tinyshakespeare by characters in nanoGPT's baby setting (4 layers, 4 heads, 128 wide, 64 tokens of
context, 12 rows, 2,000 steps, rate 1e-3, no dropout), beside a plain PyTorch loop and the Trainer of transformers.

Run: .venv/bin/python benchmarks/language.py [--data DIR] [--steps 2000] [--rounds 2] [--only NAME] [--markdown FILE]

All three train the same module from the same seed on the same tokens, look at 20 batches of the validation split ten times on
the way, and are judged by the loss over the last tenth of the text, told token by token. Every one runs in a process of its
own, in turn; of all rounds the least seconds count, each figure by itself, for what else a machine does only adds to them. The first
round of ours compiles, later ones find that on the disk. The Trainer needs `accelerate`: where the project's environment has none, that of the peers has it (`peers_python.py`); else
it is left out by name. `wall s` is what the whole process took,
`CPU s` what the processor did for it: on a machine that is shared the second says more, and so do tokens by it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from peers_python import peers_python

HERE = Path(__file__).parent
LOSS, OVER_TRAINER = 1.88, 1.3
NAMES = ("tradewind", "plain PyTorch loop", "HF Trainer")
PRODUCT = """\
product: shakespeare
task: generation
data:
  source: train.txt
  format: text
  split: {{validation: validation.txt, test: validation.txt}}
  clean: {{duplicates: keep}}
tokenizer: {{kind: char}}
model: {{kind: decoder, width: 128, depth: 4, heads: 4, context: 64, dropout: 0.0}}
train: {{steps: {steps}, batch: 12, learning_rate: 0.001}}
"""


@dataclass(frozen=True)
class Result:
    """Of one trainer. `whole_s` and `whole_cpu_s` are those of its process from start to end: imports, choosing how to compute,
    compiling, the last evaluation. `tokens_per_cpu_s` are of the loop with its evaluations, `tokens_per_s` without them."""

    name: str
    whole_s: float
    whole_cpu_s: float
    tokens_per_s: float
    tokens_per_cpu_s: float
    loss: float
    way: str = ""  # how ours chose to compute


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, default=HERE.parent / "../shared/data")
    arguments.add_argument("--steps", type=int, default=2000)
    arguments.add_argument("--rounds", type=int, default=1)
    arguments.add_argument("--threads", type=int, help="so many for each of them; as each likes by default")
    arguments.add_argument("--only", choices=NAMES)
    arguments.add_argument("--markdown", type=Path)
    asked = arguments.parse_args()
    text = asked.data / "shakespeare" / "input.txt"
    if not text.is_file():
        sys.exit(f"{text} is not there: name the folder that holds shakespeare/input.txt with --data.")
    if asked.threads is not None:
        os.environ["OMP_NUM_THREADS"] = str(asked.threads)
    taken: dict[str, list[Result]] = {}
    skipped: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        whole = text.read_text(encoding="utf-8")
        (folder / "train.txt").write_text(whole[: int(0.9 * len(whole))], encoding="utf-8")
        (folder / "validation.txt").write_text(whole[int(0.9 * len(whole)) :], encoding="utf-8")
        (folder / "tradewind.yaml").write_text(PRODUCT.format(steps=asked.steps), encoding="utf-8")
        prepared = _call(_tradewind("prepare", folder), "prepare")[0]["artifacts"]["dataset"]
        wanted = list(NAMES if asked.only is None else (asked.only,))
        for number in range(asked.rounds):
            for name in list(wanted):
                try:
                    found = _train(name, folder, Path(prepared), asked.steps)
                    taken.setdefault(name, []).append(found)
                    print(_line(taken[name][-1], [every[-1] for every in taken.values()]), flush=True)
                except Skipped as reason:
                    wanted.remove(name)
                    skipped.append(f"{name}: left out, {reason}")
            if number + 1 < asked.rounds:
                shutil.rmtree(folder / ".tradewind" / "runs", ignore_errors=True)
    rows = [least(every) for every in taken.values()]
    lines = [*verdicts(rows), *skipped]
    table = "\n".join([_HEAD, *(_line(row, rows) for row in rows), *(f"\n{line}" for line in lines)])
    machine = f"{os.cpu_count()} processors, {platform.machine()}, load {os.getloadavg()[0]:.1f}, {asked.threads or 'free'} threads, {time.strftime('%Y-%m-%d')}"
    print(f"\n{table}\n\n{asked.steps} steps, least of {asked.rounds} rounds; {machine}")
    if asked.markdown is not None:
        asked.markdown.write_text(
            f"{table}\n\n{asked.steps} steps, least of {asked.rounds} rounds; {machine}\n", encoding="utf-8"
        )


def least(every: list[Result]) -> Result:
    """Of one trainer's rounds the best of each figure; what is not a matter of speed is the same in all."""
    return replace(
        every[-1],
        whole_s=min(one.whole_s for one in every),
        whole_cpu_s=min(one.whole_cpu_s for one in every),
        tokens_per_s=max(one.tokens_per_s for one in every),
        tokens_per_cpu_s=max(one.tokens_per_cpu_s for one in every),
    )


def verdicts(rows: list[Result]) -> list[str]:
    """What was asked of ours, whether it holds, and how ours was computed."""
    ours = next((row for row in rows if row.name == NAMES[0]), None)
    if ours is None:
        return []
    found = [(f"validation loss {ours.loss:.3f}, bound {LOSS}", ours.loss <= LOSS)]
    for row in rows:
        if row is not ours:
            found.append(
                (f"whole process {ours.whole_s / row.whole_s:.2f} of {row.name}'s, bound 1", ours.whole_s < row.whole_s)
            )
        if row.name == NAMES[2]:
            ratio = ours.tokens_per_s / row.tokens_per_s
            found.append((f"tokens/s {ratio:.2f} of {row.name}'s, bound {OVER_TRAINER}", ratio >= OVER_TRAINER))
    return [f"ours: {ours.way}", *(f"{what}: {'holds' if holds else 'MISSED'}" for what, holds in found)]


class Skipped(Exception):
    """Why a trainer is not in the table."""


_HEAD = (
    "| trainer | wall s | CPU s | tokens/s | tokens/CPU s | validation loss | ours by it, tokens/s, tokens/CPU s |\n"
    "|---|---|---|---|---|---|---|"
)
_TOKENS_PER_STEP = 12 * 64


def _line(row: Result, rows: list[Result]) -> str:
    ours = next((one for one in rows if one.name == NAMES[0]), row)
    ratios = f"{ours.tokens_per_s / row.tokens_per_s:.2f}, {ours.tokens_per_cpu_s / row.tokens_per_cpu_s:.2f}"
    return (
        f"| {row.name} | {row.whole_s:.1f} | {row.whole_cpu_s:.1f} | {row.tokens_per_s:,.0f} | {row.tokens_per_cpu_s:,.0f} | "
        f"{row.loss:.4f} | {ratios} |"
    )


def _train(name: str, folder: Path, prepared: Path, steps: int) -> Result:
    if name == NAMES[0]:
        said, whole_s, cpu_s = _call(_tradewind("train", folder), name)
        found = json.loads((Path(said["artifacts"]["run"]) / "summary.json").read_text())
    else:
        kind = "plain" if name == NAMES[1] else "trainer"
        python = Path(sys.executable) if kind == "plain" else _python_with_accelerate()
        command = [str(python), str(HERE / "language_peers.py"), kind, str(prepared), str(steps)]
        found, whole_s, cpu_s = _call(command, name)
    per_cpu_s = steps * _TOKENS_PER_STEP / found["cpu_s"]
    way = found.get("way", {})
    chosen = (
        f"{way['threads']} threads, {way['precision']}, {'compiled' if way['compiled'] else 'eager'}" if way else ""
    )
    return Result(name, whole_s, cpu_s, found["tokens_per_s"], per_cpu_s, found["loss"], chosen)


def _tradewind(verb: str, folder: Path) -> list[str]:
    return [sys.executable, "-m", "tradewind.cli", verb, "-C", str(folder), "--json"]


def _call(command: list[str], name: str) -> tuple[dict[str, Any], float, float]:
    """What the command printed as JSON, the seconds that it took and those of a processor that it used."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent / "src")}
    environment.pop("TRADEWIND_HOME", None)
    began = time.perf_counter()
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stderr[-2000:]}")
    whole_s, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return json.loads(done.stdout.strip().splitlines()[-1]), whole_s, cpu_s


def _python_with_accelerate() -> Path:
    found = peers_python("accelerate", "transformers", "torch", "safetensors", own=True)
    if found is None:
        raise Skipped("accelerate is not installed (`make peers`)")
    return found


if __name__ == "__main__":
    main()
