"""The same work by HF datasets and datasketch, as their own guides do it: read, filter, near-deduplicate, tokenise, pack.

Run by `corpus.py` with the peers' Python: corpus_peer.py JSONL TOKENIZER_JSON OUT PROCESSES. Prints one JSON object.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import numpy as np
from datasets import disable_progress_bars, load_dataset
from datasketch import MinHash, MinHashLSH
from tokenizers import Tokenizer

_WORDS = re.compile(r"[\u3400-\u9fff]|[^\W\u3400-\u9fff]+")
_PERMUTATIONS, _RUN, _THRESHOLD = 128, 5, 0.9
_LINES = 0.6
_SCHEME = "affine32"  # datasketch's own since 2.0, which is the fastest


def _good(row: dict[str, Any]) -> bool:
    """Length, signs and repeated lines: fewer rules than ours."""
    text = row["text"]
    visible = [sign for sign in text if not sign.isspace()]
    if not visible or sum(not sign.isalnum() for sign in visible) > 0.5 * len(visible):
        return False
    lines = text.split("\n")
    return len(set(lines)) >= (1 - _LINES) * len(lines)


def _hashed(rows: dict[str, list[str]]) -> dict[str, list[Any]]:
    exact = [hashlib.blake2b(text.encode(), digest_size=8).hexdigest() for text in rows["text"]]
    signatures = []
    for text in rows["text"]:
        words = _WORDS.findall(text.lower())
        runs = {" ".join(words[at : at + _RUN]).encode() for at in range(max(1, len(words) - _RUN + 1))}
        signature = MinHash(num_perm=_PERMUTATIONS, seed=1, scheme=_SCHEME)
        signature.update_batch(list(runs))
        signatures.append(signature.hashvalues)
    return {"exact": exact, "signature": signatures}


def main() -> None:
    source, tokenizer_file, out, processes = sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
    disable_progress_bars()
    started = time.perf_counter()
    rows = load_dataset("json", data_files=source, split="train", cache_dir=str(out / "cache"))
    rows = rows.filter(_good, num_proc=processes)
    hashed = rows.map(_hashed, batched=True, batch_size=500, num_proc=processes)
    seen: set[str] = set()
    index = MinHashLSH(threshold=_THRESHOLD, num_perm=_PERMUTATIONS)
    kept = []
    for place, row in enumerate(hashed.with_format("numpy")):
        if row["exact"] in seen:
            continue
        seen.add(row["exact"])
        signature = MinHash(num_perm=_PERMUTATIONS, seed=1, hashvalues=row["signature"], scheme=_SCHEME)
        if not index.query(signature):
            index.insert(place, signature)
            kept.append(place)
    rows = rows.select(kept)
    tokenizer = Tokenizer.from_file(tokenizer_file)
    end = tokenizer.token_to_id("<|endoftext|>")

    def encoded(some: dict[str, list[str]]) -> dict[str, list[list[int]]]:
        return {"ids": [[*one.ids, end] for one in tokenizer.encode_batch_fast(some["text"], add_special_tokens=False)]}

    tokens = rows.map(encoded, batched=True, batch_size=1000, num_proc=processes, remove_columns=rows.column_names)
    total = 0
    with (out / "tokens.bin").open("wb") as file:
        for some in tokens.with_format("numpy").iter(batch_size=1000):
            flat = np.concatenate(list(some["ids"])).astype(np.uint16)
            total += len(flat)
            file.write(flat.tobytes())
    print(json.dumps({"seconds": time.perf_counter() - started, "documents": len(kept), "tokens": total}))


if __name__ == "__main__":
    main()
