"""Writing beside others on the same weights: `tradewind serve` as a customer sees it, our engine alone, bare ONNX Runtime GenAI,
transformers, llama.cpp's server loop and its HTTP server.

    python benchmarks/generation.py [--models 10m,110m] [--streams 1,16] [--precisions fp32,int4] [--tokens 96] [--rounds 3]

The product is made by `tradewind run`, with a step of training: what the weights say costs no speed. Prompts have 64 tokens;
answers have all the same length. Contenders take turns, each in a process of its own; of the seconds that each takes for short and for
long answers the least over all rounds count, for what else the machine does only adds to them. What the long ones take more is writing.
`api` asks over HTTP with a key, a plan and meters, streaming, its clients on the same two processors; `llama server` is asked by the
same clients in the same way, but for the key. transformers computes in fp32; llama.cpp (`xllamacpp` and `gguf` in the peers'
environment, `peers_python.py`) q4_0 beside int4, f32 beside fp32.

written      tokens/s behind the prompts: bounds 0.9 of bare GenAI, 2 of transformers, 1 of llama.cpp's server
first token  of a lone prompt: bound 1.5 times bare GenAI's prefill
start        from the command to the first token, largest model: bound 5 s; and no torch in any process of the server
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from generation_one import short_of
from peers_python import peers_python

HERE = Path(__file__).parent
LLAMA = {"fp32": "f32", "int8": "q8_0", "int4": "q4_0"}
TURNS = 3  # of one process in a round
BOUNDS = {"bare": 0.9, "transformers": 2.0, "llama": 1.0, "llama server": 1.0}
PRODUCT = """\
product: writer
task: generation
data: {{source: text.jsonl, format: text, clean: {{duplicates: keep}}}}
tokenizer: {{kind: bpe, vocabulary: 16384}}
model: {{kind: decoder, preset: {preset}, context: 512}}
train: {{steps: 1, batch: 1}}
evaluate: {{samples: 0, most_tokens: 2000, baselines: false}}
release: {{precisions: [{precisions}], quantization_loss: {{int4: 9, int8: 9}}}}
serve:
  plans: {{pro: {{monthly: 299 CNY, included: 1000000000000, overage: 0.002 CNY, rate: 1000000000/s}}}}
"""


def write_text(path: Path) -> None:
    """Sentences of made words, enough of them for a vocabulary of 16,384."""
    drawn = random.Random(0)
    syllables = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]
    words = ["".join(drawn.choices(syllables, k=drawn.randint(2, 4))) for _ in range(30_000)]
    with path.open("w") as file:
        for _ in range(3000):
            sentences = [" ".join(drawn.choices(words, k=12)).capitalize() for _ in range(8)]
            file.write(json.dumps({"text": ". ".join(sentences) + "."}) + "\n")


def make(preset: str, work: Path, precisions: Sequence[str], peers: Path | None) -> tuple[Path, Path]:
    """The product's folder and its release, with gguf/ beside."""
    folder = work / preset
    folder.mkdir(parents=True)
    write_text(folder / "text.jsonl")
    (folder / "tradewind.yaml").write_text(PRODUCT.format(preset=preset, precisions=", ".join(precisions)))
    command = [sys.executable, "-m", "tradewind.cli", "run", "-C", str(folder), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    release = Path(json.loads(done.stdout)["artifacts"]["release"])
    config = json.loads((release / "hf" / "config.json").read_text())
    print(
        f"{preset}: {config['num_hidden_layers']} layers, {config['hidden_size']} wide, vocabulary {config['vocab_size']:,}"
    )
    for precision in precisions if peers else []:
        convert = [peers, HERE / "gguf_folder.py", release / "hf", folder / "gguf" / precision, LLAMA[precision]]
        subprocess.run([str(part) for part in convert if part], check=True)
    return folder, release


def timed(command: Sequence[Path | str | int]) -> dict[str, Any]:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"  {command[2]} failed: {(done.stderr.strip() or 'no reason').splitlines()[-1]}")
        return {}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(
    product: Path, release: Path, precision: str, streams: int, tokens: int, rounds: int, peers: Path | None
) -> list[str]:
    """A table row for each contender."""
    one, genai = HERE / "generation_one.py", release / "genai" / precision
    commands: dict[str, list[Path | str | int]] = {
        "api": [sys.executable, HERE / "generation_api.py", product, precision, streams, tokens, TURNS],
        "engine": [sys.executable, one, "ours", genai, streams, tokens, TURNS],
        "bare": [sys.executable, one, "bare", genai, streams, tokens, TURNS],
        "transformers": [sys.executable, one, "transformers", release / "hf", streams, tokens, TURNS],
    }
    if peers:
        commands["llama"] = [peers, one, "llama", product / "gguf" / precision, streams, tokens, TURNS]
        commands["llama server"] = [*commands["api"], peers]
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            if measured := timed(command):
                found[name].append(measured)
    best = {name: _best(every, streams, tokens) for name, every in found.items() if every}
    rows = []
    for name, figures in best.items():
        ratio = best["api"]["decoded_per_s"] / figures["decoded_per_s"]
        bound = BOUNDS.get(name)
        verdict = "" if bound is None else f"{'holds' if ratio >= bound else 'MISSED'} ({bound:g})"
        rows.append(
            f"| {product.name} {precision} | {streams} | {name} | {figures['decoded_per_s']:,.0f} | {ratio:.2f} {verdict} "
            f"| {figures['tokens_per_s']:,.0f} | {figures['first_ms']:.1f} |"
        )
    if "bare" in best:
        ratio = best["api"]["first_ms"] / best["bare"]["first_ms"]
        rows.append(f"| {product.name} {precision} | {streams} | first token, api / bare | | {ratio:.2f} {'holds' if ratio < 1.5 else 'MISSED'} (1.5) | | |")  # fmt: skip
    served = found["api"][0]
    rows.append(
        f"| {product.name} {precision} | {streams} | server | | start {min(one['start_s'] for one in found['api']):.2f} s "
        f"{'holds' if served['start_s'] < 5 else 'MISSED'} (5 s) | {served['resident_mib']:.0f} MiB | torch: {'YES' if served['torch'] else 'no'} |"
    )
    return rows


def _best(every: Sequence[Mapping[str, Any]], streams: int, tokens: int) -> dict[str, float]:
    least = {
        figure: min(taken for one in every for taken in one[figure]) for figure in ("short_s", "long_s", "first_ms")
    }
    written = streams * (tokens - short_of(tokens))
    return {
        "decoded_per_s": written / (least["long_s"] - least["short_s"]),
        "tokens_per_s": streams * tokens / least["long_s"],
        "first_ms": least["first_ms"],
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="10m,110m")
    parser.add_argument("--streams", default="1,16")
    parser.add_argument("--precisions", default="fp32,int4")
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    wanted = asked.precisions.split(",")
    others = peers_python("xllamacpp", "gguf")
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores; llama.cpp: {'yes' if others else 'no'}"
    )
    with tempfile.TemporaryDirectory() as temporary:
        for preset in asked.models.split(","):
            made, released = make(preset, Path(temporary), wanted, others)
            print(
                "| weights | streams | who | written tokens/s | api is … of it | with prompts | first token ms |\n|---|---|---|---|---|---|---|"
            )
            for kind in wanted:
                for several in map(int, asked.streams.split(",")):
                    rows = compare(made, released, kind, several, asked.tokens, asked.rounds, others)
                    print("\n".join(rows), flush=True)
