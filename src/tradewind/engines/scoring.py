"""What a graph thinks of texts and prompts: losses by token and golden logits. Torch-free; not how it answers (`genai.py`).

Legend: N tokens, T tokens of a chunk, V vocabulary, P prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tradewind.engines.slots import SlotGraph


def token_losses(
    folder: Path, documents: Sequence[NDArray[np.int64]], *, threads: int = 0
) -> list[NDArray[np.float64]]:
    """Natural losses of the tokens of each document but its first, in windows of the context that do not overlap."""
    graph = SlotGraph(folder, slots=1, threads=threads)
    return [_losses(graph, tokens_N) for tokens_N in documents]


def _losses(graph: SlotGraph, tokens_N: NDArray[np.int64]) -> NDArray[np.float64]:
    losses = np.zeros(max(0, len(tokens_N) - 1))
    for window in range(0, len(losses), graph.context):
        end = min(window + graph.context, len(losses))
        for begin in range(window, end, graph.chunk):
            stop = min(begin + graph.chunk, end)
            logits_TV = graph.prefill(0, tokens_N[begin:stop].tolist(), begin - window).astype(np.float64)
            logits_TV -= logits_TV.max(axis=1, keepdims=True)
            chosen_T = logits_TV[np.arange(stop - begin), tokens_N[begin + 1 : stop + 1]]
            losses[begin:stop] = np.log(np.exp(logits_TV).sum(axis=1)) - chosen_T
    return losses


def last_logits(graph: SlotGraph, prompts: Sequence[Sequence[int]]) -> NDArray[np.float32]:
    """Logits of the last token of each prompt [P, V]. The first slot is used."""
    found = []
    for prompt in prompts:
        assert prompt
        for begin in range(0, len(prompt), graph.chunk):
            logits_TV = graph.prefill(0, prompt[begin : begin + graph.chunk], begin)
        found.append(logits_TV[-1].copy())
    return np.stack(found)
