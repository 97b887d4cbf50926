"""CTranslate2 behind token numbers: the search for a translation, and the log-probability of one that is given.

Not here: texts and glossaries (`translation.py`), how the network came to be a folder (`release/translation_export.py`).

Legend: T target tokens.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tradewind.errors import ArtifactError, EnvironmentFailure
from tradewind.features.pair_tokenizer import Frame

_BATCH_TOKENS = 4096  # source tokens of one step of the search, padding and beams included

Tokens: TypeAlias = Sequence[int] | NDArray[np.int64]


@dataclass(frozen=True)
class Written:
    """`ids` without what a decoder is given and without the end; `mean` is the log-probability of a token in nats, the end
    included where the search came to it (`ended`)."""

    ids: tuple[int, ...]
    mean: float
    ended: bool


@dataclass(frozen=True)
class Hypothesis:
    """One of several translations that a search came to: the sum of the log-probabilities of `tokens` tokens in nats, what a
    decoder is given and the end counted as the search counts them. The best is that of the highest total over tokens to the
    power of the length penalty."""

    ids: tuple[int, ...]
    total: float
    tokens: int


class TokenTranslator:
    """Safe for threads: calls wait for each other. `threads` 0 lets the runtime use all cores.

    Raises ArtifactError when the folder cannot be loaded, EnvironmentFailure when the runtime is not installed.
    """

    def __init__(self, folder: Path, frame: Frame, *, threads: int = 1) -> None:
        try:
            self._translator = _runtime().Translator(str(folder), device="cpu", inter_threads=1, intra_threads=threads)
        except (RuntimeError, ValueError) as error:
            first = str(error).splitlines()[0]
            raise ArtifactError(
                f"The network cannot be loaded: {first}", code="graph_broken", where=str(folder)
            ) from error
        self._frame = frame
        self._given = [str(one) for one in frame.start[1:]]  # the runtime itself puts the first one there

    def translate(self, sources: Sequence[Tokens], *, beams: int, length_penalty: float, most: int) -> list[Written]:
        """The best translation of each, of at most `most` tokens. Padding is never written.

        Beam search ends when as many hypotheses as beams are finished; the best is that of the highest sum of
        log-probabilities over length to the power of `length_penalty` (Wu et al. 2016 without their 5 and 6), the end counted.
        """
        results = self._searched(sources, beams=beams, length_penalty=length_penalty, most=most, kept=1)
        return [self._written(one.hypotheses[0], one.scores[0], length_penalty) for one in results]

    def hypotheses(self, sources: Sequence[Tokens], *, beams: int, most: int) -> list[list[Hypothesis]]:
        """As many as beams for each: among them is what `translate` takes, by whatever length penalty above 0."""
        found = self._searched(sources, beams=beams, length_penalty=1.0, most=most, kept=beams)
        return [
            [
                Hypothesis(self._written(one, score, 1.0).ids, score * len(one), len(one))
                for one, score in zip(result.hypotheses, result.scores, strict=True)
            ]
            for result in found
        ]

    def _searched(
        self, sources: Sequence[Tokens], *, beams: int, length_penalty: float, most: int, kept: int
    ) -> Sequence[Any]:
        if not sources:
            return []
        given = len(self._given)
        found: Sequence[Any] = self._translator.translate_batch(
            [_names(one) for one in sources],
            [self._given] * len(sources) if given else None,
            max_batch_size=max(1, _BATCH_TOKENS // beams), batch_type="tokens", beam_size=beams, length_penalty=length_penalty,
            max_input_length=0, max_decoding_length=most + given, min_decoding_length=0, return_scores=True, return_end_token=True,
            disable_unk=self._frame.pad != self._frame.eos, num_hypotheses=kept,
        )  # fmt: skip
        return found

    def _written(self, hypothesis: Sequence[str], score: float, length_penalty: float) -> Written:
        ids = [int(one) for one in hypothesis]
        ended = bool(ids) and ids[-1] == self._frame.eos
        total = score * len(ids) ** length_penalty
        found = ids[len(self._given) :]
        return Written(tuple(found[:-1] if ended else found), total / max(1, len(found)), ended)

    def log_probs(self, sources: Sequence[Tokens], targets: Sequence[Tokens]) -> list[NDArray[np.float32]]:
        """Of each token of each target and of its end, in nats, [T + 1]. Targets are without what a decoder is given."""
        if not sources:
            return []
        given = len(self._given)
        results = self._translator.score_batch(
            [_names(one) for one in sources], [self._given + _names(one) for one in targets],
            max_batch_size=_BATCH_TOKENS, batch_type="tokens", max_input_length=0,
        )  # fmt: skip
        return [np.array(one.log_probs[given:], np.float32) for one in results]


def _runtime() -> Any:
    """Loaded only where a translator is served: it takes 20 MB of memory."""
    try:
        return importlib.import_module("ctranslate2")
    except ModuleNotFoundError as error:
        raise EnvironmentFailure(
            "Translations need the package ctranslate2, which is not installed.", code="package_missing",
            hint="Install it with: pip install 'tradewind[translate]'.",
        ) from error  # fmt: skip


def _names(ids: Tokens) -> list[str]:
    return [str(one) for one in ids]
