"""Answers bound to a JSON Schema or a regular expression: which tokens may come next. Not which of them does (`sampling.py`).

The grammar engine is llguidance, the one that ONNX Runtime GenAI is built with, used through its own package.

Legend: V vocabulary (the width of the logits).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.engines.generation import Sampling
from tradewind.errors import InputError
from tradewind.features.language import LanguageTokenizer

llguidance: Any
try:
    import llguidance
except ModuleNotFoundError:  # an engine without it answers; only what asks for a grammar is refused
    llguidance = None

# No blanks but those of the separators: a model that likes blanks would never come to an end.
_SPEECHLESS = "the model has no token for what must come next."
_JSON_OPTIONS = {"whitespace_flexible": False}


class Guidance:
    """Grammars over one tokeniser; made ready when the first is asked for."""

    def __init__(self, tokenizer: LanguageTokenizer, *, vocabulary: int) -> None:
        self._source = tokenizer
        self._vocabulary = vocabulary
        self._tokenizer: Any = None

    def begin(self, sampling: Sampling) -> Constraint | None:
        """What binds this answer, or None. Raises InputError: guidance_unsupported, schema_invalid, regex_invalid."""
        if sampling.schema is None and sampling.regex is None:
            return None
        if llguidance is None:
            raise InputError(
                "This service cannot bind an answer to a schema or an expression.",
                code="guidance_unsupported",
                hint="Its operator can: pip install 'tradewind[generate]'.",
            )
        if self._tokenizer is None:
            self._tokenizer = self._open()
        kind = "schema" if sampling.schema is not None else "regex"
        try:
            if sampling.schema is not None:
                written = json.dumps(dict(sampling.schema))
                grammar = llguidance.LLMatcher.grammar_from_json_schema(written, defaults=_JSON_OPTIONS)
            else:
                grammar = llguidance.LLMatcher.grammar_from_regex(sampling.regex)
        except (ValueError, TypeError) as error:
            raise _invalid(kind, str(error)) from error
        matcher = llguidance.LLMatcher(self._tokenizer, grammar, log_level=0)
        if matcher.is_error():
            raise _invalid(kind, matcher.get_error())
        return Constraint(matcher)

    def _open(self) -> Any:
        source, stops = self._source, list(self._source.specials.stops)
        if source.definition["model"]["type"] == "WordLevel":  # which llguidance does not read
            wrapped = llguidance.TokenizerWrapper(_Spelling(source))
            return llguidance.LLTokenizer(wrapped, n_vocab=self._vocabulary, eos_token=stops)
        definition = json.dumps(source.definition, ensure_ascii=False)
        return llguidance.LLTokenizer(definition, n_vocab=self._vocabulary, eos_token=stops)


class _Spelling:
    """A tokeniser as llguidance asks for it: the bytes of each token, and how a text is cut."""

    def __init__(self, source: LanguageTokenizer) -> None:
        self.eos_token_id = source.specials.eos
        self.bos_token_id = source.specials.bos
        spelt = [source.decode([number]).encode() for number in range(source.vocabulary)]
        self.special_token_ids = [number for number, text in enumerate(spelt) if not text]
        self.tokens = [text or source.token(number).encode() for number, text in enumerate(spelt)]
        self._encode: Callable[[str], list[int]] = source.encode

    def __call__(self, text: bytes | str) -> list[int]:
        return self._encode(text.decode() if isinstance(text, bytes) else text)


class Constraint:
    """The state of one bound answer."""

    def __init__(self, matcher: Any) -> None:
        self._matcher = matcher

    def mask(self, logits_V: NDArray[np.float32]) -> NDArray[np.float32]:
        """The logits with -inf where a token may not come. Raises InputError when the grammar is too hard to follow."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        if self._matcher.is_error():
            raise _invalid("grammar", self._matcher.get_error())
        allowed_V = np.unpackbits(bits, bitorder="little")[: len(logits_V)].astype(bool)
        if not allowed_V.any():
            raise _invalid("grammar", _SPEECHLESS)
        masked: NDArray[np.float32] = np.where(allowed_V, logits_V, np.float32(-np.inf))
        return masked

    def accept(self, token: int) -> bool:
        """Takes the chosen token; True when nothing may follow it. Raises InputError where no token spells what must come:
        a tokeniser of characters offers its unknown one then, which the grammar does not take."""
        if not self._matcher.consume_token(token):
            raise _invalid("grammar", _SPEECHLESS)
        return bool(self._matcher.is_stopped())


def _invalid(kind: str, reason: str) -> InputError:
    first = reason.strip().splitlines()[0] if reason.strip() else "no reason is given"
    names = {"schema": "The JSON Schema", "regex": "The regular expression", "grammar": "The schema or expression"}
    code = "regex_invalid" if kind == "regex" else "schema_invalid"
    return InputError(f"{names[kind]} cannot be followed: {first}", code=code, hint="Correct it, or leave it out.")
