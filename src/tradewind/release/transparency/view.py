"""A document as its parts read it: values by key, shown as people read them. Not here: the parts (`parts.py`)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from tradewind.release.transparency.document import Document, Statement
from tradewind.release.transparency.evidence import Json
from tradewind.release.transparency.page import Block, Cell, Table, Text
from tradewind.release.transparency.words import Words

_STATED = ("stated.", "answers.")  # nobody's words but the provider's
_VALUES = (
    "task", "training.stopped", "training.objective", "training.adapt", "data.split_by", "serving.store.inputs", "serving.store.outputs",
    "serving.store.consent",
)  # fmt: skip


class View:
    """One document in one language."""

    def __init__(self, document: Document, language: str) -> None:
        self.document, self.words = document, Words(language)
        self.statements: Mapping[str, Statement] = {one.key: one for one in document.statements}

    def value(self, key: str) -> Json:
        """None where nothing is said."""
        found = self.statements.get(key)
        return None if found is None else found.value

    def below(self, prefix: str) -> Iterator[tuple[str, Statement]]:
        """Statements whose key begins with `prefix.`, each with the rest of its key."""
        for key, one in self.statements.items():
            if key.startswith(f"{prefix}."):
                yield key[len(prefix) + 1 :], one

    # ------------------------------------------------------------ cells

    def cell(self, key: str, *, code: bool = False) -> Cell:
        """What a statement says, bound to it; empty where it is not made."""
        found = self.statements.get(key)
        if found is None or found.value is None:
            return Cell("")
        text = self.shown(found.value, found.unit)
        if key.startswith("settings."):  # as it stands in the product file, to the last digit
            text = found.value if isinstance(found.value, str) else json.dumps(found.value, ensure_ascii=False)
        elif isinstance(found.value, str) and not key.startswith(_STATED):
            text = self.words.value(text) if key in _VALUES else self.words.sentence(text)
        return Cell(text, key, self.evidence(found), code, number=_is_number(found.value))

    def plain(self, text: str) -> Cell:
        return Cell(text)

    def word(self, key: str, **values: object) -> Cell:
        return Cell(self.words(key, **values))

    def interval(self, key: str) -> tuple[Cell, Cell]:
        """Both ends, each bound to its own statement."""
        return self.cell(f"{key}.low"), self.cell(f"{key}.high")

    @staticmethod
    def evidence(statement: Statement) -> str:
        join = {"same": "", "sum": " + ", "kwh": " · "}[statement.by]
        return join.join(statement.evidence)

    def shown(self, value: Json, unit: str | None = None) -> str:
        words = self.words
        if isinstance(value, bool):
            return words("yes") if value else words("no")
        if isinstance(value, (list, tuple)):
            return ("、" if words.language == "zh" else ", ").join(self.shown(one) for one in value)
        if isinstance(value, str):
            return value
        if unit == "share":
            return f"{value:+.2%}"
        return number(value)

    # ------------------------------------------------------------ blocks

    def facts(self, rows: Sequence[tuple[str, str]], *, code: Sequence[str] = ()) -> list[Block]:
        """A table of label and value, of the statements that are made; a missing one says so and where to fill it in."""
        found = []
        for label, key in rows:
            statement = self.statements.get(key)
            if statement is None:
                continue
            cell = self.cell(key, code=key in code)
            if statement.value is None:
                cell = Cell(self.words("fill", field=statement.field), key, self.evidence(statement))
            found.append((self.plain(label), cell))
        return [Table((self.words("what"), self.words("value")), tuple(found))] if found else []

    def said(self, key: str) -> list[Block]:
        """A text of the product file, paragraph by paragraph, or that it is missing."""
        statement = self.statements.get(key)
        if statement is None:
            return []
        if statement.value is None:
            return [Text(Cell(self.words("fill", field=statement.field), key, self.evidence(statement)))]
        parts = [part.strip() for part in str(statement.value).split("\n\n")]
        return [Text(Cell(part, key, self.evidence(statement))) for part in parts if part]

    def remark(self, key: str, **values: object) -> list[Block]:
        return [Text(self.word(key, **values), soft=True)]


def number(value: float) -> str:
    """Counts whole with their thousands; other numbers with four decimals, the very large and very small to four digits."""
    if isinstance(value, int):
        return f"{value:,}"
    size = abs(value)
    if value == 0 or 0.001 <= size < 1_000:
        return f"{value:.4f}"
    return f"{value:,.1f}" if size < 1e9 and size >= 1_000 else f"{value:.4g}"


def _is_number(value: Json) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
