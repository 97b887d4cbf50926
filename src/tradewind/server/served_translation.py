"""A translator: texts in, translations out, by rows at `/v1/predict` and by texts at `/v1/translations`.

    {"model": "en-de", "inputs": [{"text": "One kite.", "glossary": {"kite": "Drachen"}, "beams": 4}]}
    {"outputs": [{"text", "score", "source_tokens", "target_tokens", "cut", "terms": [{"source", "translation", "kept", "how"}]}]}

What waits at the same moment is translated together. Not here: the route of texts (`translations.py`), the search (`engines/`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from tradewind.engines.batcher import Batcher
from tradewind.engines.loading import load_translator
from tradewind.engines.translation import Ask, Translation
from tradewind.errors import InputError
from tradewind.features.glossary import Glossary, checked
from tradewind.files import read_json
from tradewind.release.registry import Version
from tradewind.release.translation import TASK, TranslatorFacts
from tradewind.server.fields import Fields, kind_of
from tradewind.server.gate import METER_CHARACTERS, METER_COMPLETION, METER_PROMPT, METER_ROWS
from tradewind.server.served_rows import ServedRows
from tradewind.server.wire import Row

MOST_BEAMS, MOST_TERMS, MOST_CHARACTERS = 8, 200, 20_000
_ALL_CHARACTERS = 5 * MOST_CHARACTERS  # of one request
SEARCH = ("glossary", "beams", "length_penalty")
_AT_ONCE = 32  # texts of one batch: a long request lets others in between
_SLOW_S = 1.0  # a search never runs in the event loop


class Translating(Protocol):
    """What an engine of translations promises; safe for threads."""

    @property
    def facts(self) -> TranslatorFacts: ...
    @property
    def glossary(self) -> Glossary: ...
    def read(
        self, text: str, *, beams: int | None, length_penalty: float | None, glossary: Mapping[str, str] | None
    ) -> Ask: ...
    def answer(self, asks: Sequence[Ask]) -> list[Translation]: ...


@dataclass(frozen=True)
class Search:
    """What a request says of how it wants to be translated; None is the release's own way."""

    beams: int | None = None
    length_penalty: float | None = None
    glossary: Mapping[str, str] | None = None

    @classmethod
    def of(cls, fields: Fields) -> Search:
        """Raises InputError `field`, DataError `glossary_term`."""
        terms = fields.object("glossary")
        return cls(
            beams=fields.integer("beams", 1, MOST_BEAMS),
            length_penalty=fields.number("length_penalty", 0, 2),
            glossary=None if terms is None else _terms(fields, terms.content),
        )


@dataclass(frozen=True)
class ServedTranslator(ServedRows):
    """`unit` is what a plan counts: a text, a character of it, or a token read or written."""

    task = TASK

    engine: Translating
    batcher: Batcher[Ask, Translation]
    unit: str

    def answer(self, rows: Sequence[Row], account: str) -> list[dict[str, Any]]:
        """Raises InputError (field, model_task), DataError with the field of a row."""
        if self.unit != "text":
            raise InputError(
                f"{self.product} is sold by the {self.unit}, and rows are not.", code="model_task", where="model",
                hint="Ask POST /v1/translations.",
            )  # fmt: skip
        read = [Fields(row, f"inputs[{at}]") for at, row in enumerate(rows)]
        for fields in read:
            fields.only(("text", *SEARCH))
        texts = [text_of(fields, "text", fields.get("text")) for fields in read]
        check_together(texts, where="inputs")
        asks = [self.read(text, Search.of(fields)) for text, fields in zip(texts, read, strict=True)]
        return [one.to_json() for one in self.engine.answer(asks)]

    def read(self, text: str, search: Search) -> Ask:
        """A text in tokens."""
        return self.engine.read(
            text, beams=search.beams, length_penalty=search.length_penalty, glossary=search.glossary
        )

    async def translate(self, asks: Sequence[Ask]) -> list[Translation]:
        """Together with what others ask for at the same moment."""
        found: list[Translation] = []
        for start in range(0, len(asks), _AT_ONCE):
            found += await self.batcher.submit(asks[start : start + _AT_ONCE])
        return found

    def reserved(self, texts: Sequence[str], asks: Sequence[Ask]) -> int:
        """The most units that the texts can come to."""
        if self.unit == "token":
            return sum(one.source_tokens + one.most for one in asks)
        return sum(map(self._units, texts))

    def _units(self, text: str) -> int:
        """Of one text, where texts or characters are counted. One that says nothing comes back as it is, for nothing."""
        return 0 if not text.strip() else len(text) if self.unit == "character" else 1

    def used(self, texts: Sequence[str], asks: Sequence[Ask], found: Sequence[Translation]) -> dict[str, int]:
        """Units by meter. Tokens of terms that were put in beyond what was reserved cost nothing."""
        if self.unit != "token":
            return {METER_CHARACTERS if self.unit == "character" else METER_ROWS: sum(map(self._units, texts))}
        told = [(ask, one) for text, ask, one in zip(texts, asks, found, strict=True) if text.strip()]
        written = sum(min(ask.most, one.target_tokens) for ask, one in told)
        return {METER_PROMPT: sum(ask.source_tokens for ask, _ in told), METER_COMPLETION: written}

    def facts(self) -> Mapping[str, Any]:
        facts = self.engine.facts
        return {
            "from": facts.source, "to": facts.target, "context": facts.context, "precision": facts.precision, "beams": facts.beams,
            "length_penalty": facts.length_penalty, "glossary": len(self.engine.glossary.terms), "unit": self.unit,
        }  # fmt: skip


def served_translator(
    engine: Translating, *, executor: Executor | None, product: str, version: int = 1, digest: str = "", created_s: int = 0, unit: str = "text",
) -> ServedTranslator:  # fmt: skip
    """An engine on the shelf."""
    batcher = Batcher(engine.answer, seconds_a_row=_SLOW_S, executor=executor, most_rows=_AT_ONCE)
    return ServedTranslator(product, version, digest, created_s, ROW, OUTPUT, engine, batcher, unit)


def open_translator(
    folder: Path, version: Version, *, executor: Executor, public_key: Path | None, threads: int
) -> ServedTranslator:
    """Loads and checks a release. Raises ArtifactError, VerificationFailed."""
    engine = load_translator(folder, public_key=public_key, threads=threads)
    manifest = read_json(folder / "manifest.json")
    return served_translator(
        engine, executor=executor, product=manifest["product"], version=version.version, digest=version.digest,
        created_s=int(datetime.fromisoformat(version.created).timestamp()), unit=manifest["unit"],
    )  # fmt: skip


def text_of(fields: Fields, name: str, value: object) -> str:
    """A text to translate, the empty one too. Raises InputError `field`."""
    if not isinstance(value, str):
        raise fields.wrong(name, "is missing" if value is None else f"is {kind_of(value)}, but must be text")
    if len(value) > MOST_CHARACTERS:
        raise fields.wrong(
            name, f"has {len(value):,} characters, but at most {MOST_CHARACTERS:,}", hint="Send it in parts."
        )
    return value


def check_together(texts: Sequence[str], *, where: str) -> None:
    """Raises InputError too_many_rows where one request asks for more than its share of a worker."""
    if (characters := sum(map(len, texts))) > _ALL_CHARACTERS:
        raise InputError(
            f"{characters:,} characters are more than the {_ALL_CHARACTERS:,} that one request may hold.", code="too_many_rows",
            where=where, hint="Send several requests.",
        )  # fmt: skip


def _terms(fields: Fields, terms: Mapping[str, object]) -> Mapping[str, str]:
    place = fields.place("glossary")
    if len(terms) > MOST_TERMS:
        raise fields.wrong("glossary", f"has {len(terms)} terms, but at most {MOST_TERMS}")
    if wrong := next((term for term, translation in terms.items() if not isinstance(translation, str)), None):
        raise fields.wrong("glossary", f"gives {wrong[:40]!r} {kind_of(terms[wrong])}, but must give it text")
    return checked({term: str(translation) for term, translation in terms.items()}, where=place).terms


_TERM = {
    "type": "object",
    "properties": {
        "source": {"type": "string"},
        "translation": {"type": "string"},
        "kept": {"type": "boolean"},
        "how": {
            "enum": ["written", "placed", "missing"],
            "description": "By the model, put in afterwards, or not at all.",
        },
    },
    "required": ["source", "translation", "kept", "how"],
}
ROW: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "text": {"type": "string", "maxLength": MOST_CHARACTERS},
        "glossary": {
            "type": ["object", "null"],
            "maxProperties": MOST_TERMS,
            "additionalProperties": {"type": "string"},
            "description": "Term → the translation that it must have; they go before those of the release.",
        },
        "beams": {"type": ["integer", "null"], "minimum": 1, "maximum": MOST_BEAMS},
        "length_penalty": {"type": ["number", "null"], "minimum": 0, "maximum": 2},
    },
    "required": ["text"],
}
OUTPUT: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "score": {"type": "number", "description": "Mean log-probability of a token, in nats."},
        "source_tokens": {"type": "integer", "minimum": 0},
        "target_tokens": {"type": "integer", "minimum": 0},
        "cut": {"type": "boolean", "description": "Broken off: it was longer than a translation may be."},
        "terms": {
            "type": "array",
            "items": _TERM,
            "description": "Terms of the glossary that stand in the text, in order.",
        },
    },
    "required": ["text", "score", "source_tokens", "target_tokens", "cut", "terms"],
}
