"""What a release must give again: for a few pairs the log-probability of each target token, and the greedy translation.

Not here: holding an engine against it (`engines/loading.py`). Legend: P pairs, T target tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tradewind.data.packed import Packed
from tradewind.features.pair_tokenizer import Frame
from tradewind.model.seq2seq import Seq2Seq
from tradewind.release.translation import GOLDEN_TOKENS, TranslationGolden, write_translation_golden

_PAIRS = 8


@torch.no_grad()
def write_golden(path: Path, model: Seq2Seq, source: Packed, target: Packed, *, frame: Frame) -> None:
    """`sources`, `targets` (all but what a decoder is given), their `log_probs`, and `greedy` without the end. Each pair
    goes alone, so that padding has no part in it; pairs are from all over the split."""
    fitting = [
        row for row in range(source.documents) if max(len(_row(source, row)), len(_row(target, row))) <= GOLDEN_TOKENS
    ]
    places = np.linspace(0, max(len(fitting), 1) - 1, min(_PAIRS, max(len(fitting), 1))).round().astype(int)
    rows = [fitting[place] for place in np.unique(places)] if fitting else [0]
    given = len(frame.start)
    sources = [_row(source, row) for row in rows]
    written = [_row(target, row) for row in rows]
    log_probs = [_log_probs(model, *pair)[given - 1 :] for pair in zip(sources, written, strict=True)]
    greedy = [np.array(_greedy(model, read, frame), dtype=np.int64) for read in sources]
    targets = tuple(one[given:] for one in written)
    write_translation_golden(path, TranslationGolden(tuple(sources), targets, tuple(log_probs), tuple(greedy)))


def _row(packed: Packed, row: int) -> NDArray[np.int64]:
    return packed.tokens[packed.starts[row] : packed.starts[row + 1]].astype(np.int64)


def _log_probs(model: Seq2Seq, read: NDArray[np.int64], written: NDArray[np.int64]) -> NDArray[np.float32]:
    source, target = torch.from_numpy(read)[None], torch.from_numpy(written)[None]
    logits_TV = model(source, torch.ones_like(source, dtype=torch.bool), target[:, :-1])[0]
    found: NDArray[np.float32] = logits_TV.log_softmax(-1).gather(1, target[0, 1:, None])[:, 0].numpy()
    return found


def _greedy(model: Seq2Seq, read: NDArray[np.int64], frame: Frame) -> Sequence[int]:
    source = torch.from_numpy(read)[None]
    there = torch.ones_like(source, dtype=torch.bool)
    memory = model.encode(source, there)
    ids = list(frame.start)
    for _ in range(GOLDEN_TOKENS):
        states = model.decode(torch.tensor([ids]), memory, there)[0, -1]
        logits = states @ model.model.shared.weight.T
        if model.logits_bias is not None:
            logits = logits + model.logits_bias
        if frame.pad != frame.eos:
            logits[frame.pad] = -torch.inf  # no search writes it
        likeliest = int(logits.argmax())
        if likeliest == frame.eos:
            break
        ids.append(likeliest)
    return ids[len(frame.start) :]
