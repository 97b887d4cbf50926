"""Texts as vectors, from the release of a text encoder: tokens by the release's tokeniser, the rest is the graph.

What it serves: encoders that a team trained on masked words (`train.objective: mlm`). Not here: encoders inside a predictor
(`onnx.py`), decoders, HTTP.

Legend: B texts, T tokens, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from tokenizers import Tokenizer

from tradewind.errors import ArtifactError, InputError

_BATCH_TOKENS = 8192  # of one call, padding included


class EncoderEngine:
    """Safe for threads. `threads` 0 lets the runtime use all cores. Raises ArtifactError when a part cannot be read."""

    def __init__(
        self, graph: Path, tokenizer: Path, *, context: int, vocabulary: int, width: int, pad: int, threads: int = 1
    ) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self._session = ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            first = str(error).splitlines()[0]
            raise ArtifactError(
                f"The graph cannot be loaded: {first}", code="graph_broken", where=str(graph)
            ) from error
        try:
            self._tokenizer = Tokenizer.from_file(str(tokenizer))
        except Exception as error:
            raise ArtifactError(
                f"The tokeniser cannot be read: {error}", code="tokeniser_broken", where=str(tokenizer)
            ) from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._tokenizer.encode_special_tokens = True  # what a text spells is text
        self.context, self.vocabulary, self.width = context, vocabulary, width
        self._pad = pad

    def encode(self, text: str) -> list[int]:
        """A text in tokens, those around it included."""
        tokens: list[int] = self._tokenizer.encode(text).ids
        return tokens

    def embed(self, texts: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """[B, D], each of length 1; an empty text gives zeros. Texts of like length are computed together.

        Raises InputError prompt_too_long, prompt_token.
        """
        for place, text in enumerate(texts):
            if len(text) > self.context:
                raise InputError(
                    f"The text has {len(text)} tokens, the encoder reads at most {self.context}.",
                    code="prompt_too_long", where=f"input[{place}]", hint="Cut it into parts.",
                )  # fmt: skip
            if text and not 0 <= min(text) <= max(text) < self.vocabulary:
                raise InputError(
                    f"Tokens lie from 0 to {self.vocabulary - 1}.", code="prompt_token", where=f"input[{place}]"
                )
        vectors_BD = np.zeros((len(texts), self.width), np.float32)
        order = sorted((row for row in range(len(texts)) if len(texts[row])), key=lambda row: len(texts[row]))
        while order:
            size = _fitting([len(texts[row]) for row in order])
            rows, order = order[:size], order[size:]
            vectors_BD[rows] = self._run([texts[row] for row in rows])
        return vectors_BD

    def _run(self, texts: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        length = max(len(text) for text in texts)
        tokens_BT = np.full((len(texts), length), self._pad, np.int64)
        there_BT = np.zeros((len(texts), length), np.int64)
        for row, text in enumerate(texts):
            tokens_BT[row, : len(text)] = text
            there_BT[row, : len(text)] = 1
        vectors: NDArray[np.float32] = self._session.run(None, {"tokens": tokens_BT, "there": there_BT})[0]
        return vectors


def _fitting(lengths: Sequence[int]) -> int:
    """How many of the texts, shortest first, go into one call: at least one."""
    fits = [size for size in range(1, len(lengths) + 1) if size * lengths[size - 1] <= _BATCH_TOKENS]
    return max(fits, default=1)
