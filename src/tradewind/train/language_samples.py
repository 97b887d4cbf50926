"""Texts that a model writes while it learns, and the golden prompts that its release is checked against.

Not here: how good the texts are (`evaluate/generation.py`), serving (`engines/`).

Legend: P prompts, T tokens, V vocabulary.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tradewind.data.packed import Packed
from tradewind.errors import writing
from tradewind.features.language import LanguageTokenizer
from tradewind.files import write_bytes
from tradewind.model.decoder import Decoder
from tradewind.train.language_model import uncompiled

_TEMPERATURE = 0.8
_PROMPT_TOKENS = 16


class Samples:
    """Appends to `samples.jsonl` at each evaluation: tokens trained on so far, the prompt, what the model says, and
    whether it stopped by itself. The same seed each time, so that what changes is the model."""

    def __init__(
        self, path: Path, model: Decoder, tokenizer: LanguageTokenizer, prompts: Sequence[Sequence[int]], *,
        tokens: int, seed: int,
    ) -> None:  # fmt: skip
        self.path, self.model, self.tokenizer, self.prompts = path, model, tokenizer, prompts
        self.tokens, self.seed = tokens, seed
        self.offset = 0

    def write(self, tokens: int) -> None:
        lines = b""
        with uncompiled(self.model):
            for prompt in self.prompts:
                stops = self.tokenizer.specials.stops
                made = self.model.generate(
                    prompt, max_tokens=self.tokens, temperature=_TEMPERATURE, seed=self.seed, stops=stops
                )
                record = {
                    "tokens": tokens, "prompt": self.tokenizer.decode(prompt), "text": self.tokenizer.decode(made),
                    "stopped": bool(made) and made[-1] in stops,
                }  # fmt: skip
                lines += json.dumps(record, ensure_ascii=False).encode() + b"\n"
        with writing(str(self.path)), self.path.open("ab") as file:
            file.truncate(self.offset)  # what an interrupted attempt wrote after its last checkpoint
            file.seek(0, 2)
            file.write(lines)
            self.offset = file.tell()

    def state(self) -> dict[str, Any]:
        return {"offset": self.offset}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.offset = int(state["offset"])


def prompts_of(packed: Packed, *, count: int, most: int = _PROMPT_TOKENS) -> list[list[int]]:
    """The beginnings of `count` documents, evenly from all over the split: of a conversation up to its first answer, cut
    from the left; of a text its first `most` tokens, and where documents are few, of places within them."""
    prompts = []
    chosen = np.unique(np.linspace(0, packed.documents - 1, min(count, packed.documents)).round().astype(np.int64))
    for document in chosen.tolist():
        begin, end = int(packed.starts[document]), int(packed.starts[document + 1])
        if packed.mask is not None:
            learnt = np.flatnonzero(packed.mask[begin:end])
            if len(learnt) == 0 or learnt[0] == 0:
                continue
            answer = begin + int(learnt[0])
            prompts.append(packed.tokens[max(begin, answer - 4 * most) : answer])
        else:
            prompts.append(packed.tokens[begin : min(begin + most, max(begin + 1, end - 1))])
    while packed.mask is None and len(prompts) < count and len(packed) > (count + 1) * most:
        begin = len(packed) * len(prompts) // count
        prompts.append(packed.tokens[begin : begin + most])
    return [[int(token) for token in prompt] for prompt in prompts]


@torch.no_grad()
def write_golden(path: Path, model: nn.Module, prompts: Sequence[Sequence[int]], *, pad: int) -> None:
    """`prompts` int64 [P, T], `lengths` int64 [P] and `logits` float32 [P, V] of the last token: what a release must give.

    Each prompt goes alone, so that padding has no part in it.
    """
    assert prompts, "a model is checked on something"
    lengths = np.array([len(prompt) for prompt in prompts], dtype=np.int64)
    padded = np.full((len(prompts), int(lengths.max())), pad, dtype=np.int64)
    logits = []
    for row, prompt in enumerate(prompts):
        padded[row, : len(prompt)] = prompt
        logits.append(model(torch.tensor([list(prompt)]))[0, len(prompt) - 1].float().numpy())
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, prompts=padded, lengths=lengths, logits=np.stack(logits))
    write_bytes(path, buffer.getvalue())
