"""Writing beside others on the same weights: our engine, bare ONNX Runtime GenAI, transformers, llama.cpp's server loop.

    python benchmarks/generation.py [--models 10m,110m] [--streams 1,16] [--precisions fp32,int4] [--tokens 96] [--rounds 3]

Weights are random, which costs no speed; prompts have 64 tokens; answers have all the same length. Contenders take turns,
each in a process of its own, and the best round of each counts. transformers reads fp32; llama.cpp (`xllamacpp` and `gguf`
in the virtual environment that TRADEWIND_PEERS names) q4_0 beside int4 and f32 beside fp32.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from tradewind.features.language import LanguageTokenizer
from tradewind.model.decoder import Decoder, DecoderConfig
from tradewind.model.genai import build_genai
from tradewind.model.hf_folder import save_folder

HERE = Path(__file__).parent
VOCABULARY = 16_384
LLAMA = {"fp32": "f32", "int8": "q8_0", "int4": "q4_0"}


def peers_python() -> Path | None:
    """The Python of TRADEWIND_PEERS, where it has xllamacpp and gguf."""
    home = os.environ.get("TRADEWIND_PEERS")
    python = Path(home) / "bin" / "python" if home else None
    if python is None or not python.is_file():
        return None
    script = "import importlib.util as u, sys; sys.exit(not (u.find_spec('xllamacpp') and u.find_spec('gguf')))"
    return python if subprocess.run([python, "-c", script], check=False).returncode == 0 else None


def make(name: str, work: Path, precisions: list[str], peers: Path | None) -> Path:
    """hf/, genai/ and gguf/ of one preset with random weights."""
    folder = work / name
    words = [f"word{number} 字{number}" for number in range(3000)]
    LanguageTokenizer.train_bpe(words, vocabulary=1000).save(folder / "tokenizer")
    torch.manual_seed(0)
    model = Decoder(DecoderConfig.preset(name, vocabulary=VOCABULARY, context=512)).eval()
    print(f"{name}: {model.config.parameters():,} parameters, vocabulary {VOCABULARY:,}")
    save_folder(model, folder / "hf", tokenizer=folder / "tokenizer")
    build_genai(folder / "hf", folder / "genai", precisions=precisions)  # type: ignore[arg-type]
    for precision in precisions if peers else []:
        command = [peers, HERE / "gguf_folder.py", folder / "hf", folder / "gguf" / precision, LLAMA[precision]]
        subprocess.run([str(part) for part in command if part], check=True)
    return folder


def timed(python: Path | str, contender: str, folder: Path, streams: int, tokens: int) -> dict[str, list[float]]:
    command = [python, HERE / "generation_one.py", contender, folder, streams, tokens, 2]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"  {contender} failed: {(done.stderr.strip() or 'no reason').splitlines()[-1]}")
        return {"tokens_per_s": [], "first_ms": []}
    found: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(folder: Path, precision: str, streams: int, tokens: int, rounds: int, peers: Path | None) -> None:
    contenders: dict[str, tuple[Path | str, Path]] = {
        "ours": (sys.executable, folder / "genai" / precision),
        "bare": (sys.executable, folder / "genai" / precision),
        "transformers": (sys.executable, folder / "hf"),
    }
    if peers:
        contenders["llama"] = (peers, folder / "gguf" / precision)
    found: dict[str, dict[str, list[float]]] = {name: {"tokens_per_s": [], "first_ms": []} for name in contenders}
    for _ in range(rounds):
        for name, (python, place) in contenders.items():
            for key, values in timed(python, name, place, streams, tokens).items():
                found[name][key] += values
    print(f"{folder.name} {precision}, {streams} streams of {tokens} tokens:")
    own = max(found["ours"]["tokens_per_s"], default=0.0)
    for name, one in found.items():
        if one["tokens_per_s"]:
            best, first = max(one["tokens_per_s"]), min(one["first_ms"])
            print(f"  {name:13}{best:9.0f} tokens/s   ours is {own / best:5.2f} of it   first token {first:7.1f} ms")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="10m,110m")
    parser.add_argument("--streams", default="1,16")
    parser.add_argument("--precisions", default="fp32,int4")
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    wanted = asked.precisions.split(",")
    others = peers_python()
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores; llama.cpp: {'yes' if others else 'no'}"
    )
    with tempfile.TemporaryDirectory() as temporary:
        for preset in asked.models.split(","):
            made = make(preset, Path(temporary), wanted, others)
            for kind in wanted:
                for several in map(int, asked.streams.split(",")):
                    compare(made, kind, several, asked.tokens, asked.rounds, others)
