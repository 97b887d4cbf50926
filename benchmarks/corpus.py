"""A corpus cleaned, near-deduplicated, tokenised and packed, beside HF datasets with datasketch over the same tokeniser.

    python benchmarks/corpus.py [--megabytes 50] [--rounds 1] [--processes 2] [--data ../shared/data]

Peers are timed where their environment (`peers_python.py`) has `datasets`, `datasketch` and `tokenizers`; both read the same
JSONL file of mixed Chinese, English and German (`corpus_text.py`, a tenth of it copies) from the same disk, in turns. Starting
Python and learning the tokeniser are not timed. Ours also scans for contamination; it looks for no personal data, as the
peers do not. Bound: 3 times the peers.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

import corpus_text
from peers_python import peers_python
from tradewind.artifacts import Workspace
from tradewind.data.corpus import prepare_corpus
from tradewind.features.language import LanguageTokenizer
from tradewind.product import Product

HERE = Path(__file__).parent
_LEARNT_FROM = 4000  # documents
_VOCABULARY = 16_000
_BOUND = 3.0


def ours(source: Path, tokenizer: Path, work: Path) -> tuple[float, int, int]:
    """Seconds, documents and tokens of one preparation."""
    product = Product.model_validate(
        {
            "product": "corpus-speed",
            "task": "generation",
            "data": {"source": str(source), "clean": {"duplicates": "near", "pii": "keep"}},
            "tokenizer": {"path": str(tokenizer)},
        }
    )
    started = time.perf_counter()
    corpus = prepare_corpus(product, base=HERE, workspace=Workspace(work))
    seconds = time.perf_counter() - started
    splits = corpus.profile["splits"].values()
    return seconds, sum(split["documents"] for split in splits), sum(split["tokens"] for split in splits)


def peers(python: Path, source: Path, tokenizer: Path, work: Path, processes: int) -> tuple[float, int, int]:
    work.mkdir(parents=True)
    command = [
        str(python),
        str(HERE / "corpus_peer.py"),
        str(source),
        str(tokenizer / "tokenizer.json"),
        str(work),
        str(processes),
    ]
    environment = {**os.environ, "HF_HOME": str(work)}
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    found = json.loads(answer.stdout.strip().splitlines()[-1])
    return found["seconds"], found["documents"], found["tokens"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=50)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1), help="of the peers")
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("TRADEWIND_DATA", HERE.parent / "../shared/data"))
    )
    options = parser.parse_args()
    python = peers_python("datasets", "datasketch", "tokenizers")
    with tempfile.TemporaryDirectory(prefix="tradewind-corpus-") as name:
        folder = Path(name)
        source, tokenizer = folder / "corpus.jsonl", folder / "tokenizer"
        documents = corpus_text.write(source, megabytes=options.megabytes, data=options.data)
        with source.open(encoding="utf-8") as lines:
            texts = [json.loads(line)["text"] for line in islice(lines, _LEARNT_FROM)]
        LanguageTokenizer.train_bpe(texts, vocabulary=_VOCABULARY).save(tokenizer)
        megabytes = source.stat().st_size / 1e6
        print(f"{documents:,} documents, {megabytes:.1f} MB, {os.cpu_count()} cores", flush=True)
        seconds: dict[str, list[float]] = {"tradewind": [], "datasets + datasketch": []}
        for turn in range(options.rounds):
            for who in seconds:
                work = folder / f"{turn}-{who.split()[0]}"
                if who == "tradewind":
                    took, kept, tokens = ours(source, tokenizer, work)
                elif python is not None:
                    took, kept, tokens = peers(python, source, tokenizer, work, options.processes)
                else:
                    continue
                shutil.rmtree(work)
                seconds[who].append(took)
                print(
                    f"{who:24} {took:8.1f} s  {megabytes / took:6.2f} MB/s  {kept:,} documents  {tokens:,} tokens",
                    flush=True,
                )
    if python is None:
        print("datasets, datasketch and tokenizers are not installed (`make peers`): nothing to compare with.")
        return
    ratio = statistics.median(seconds["datasets + datasketch"]) / statistics.median(seconds["tradewind"])
    print(f"{ratio:.2f} times the peers (bound {_BOUND})")
    sys.exit(0 if ratio >= _BOUND else 1)


if __name__ == "__main__":
    main()
