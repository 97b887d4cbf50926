"""What cleaning did, counted: one line a rule and column, findings for people, and rows that were rejected.

Not here: the rules themselves (`clean.py`, `checks.py`, `duplicates.py`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tradewind.errors import writing

Level = Literal["info", "warning"]

_TEXT_LIMIT = 2000


@dataclass
class Tally:
    """How often one rule was applied to one column (an empty column: to whole rows), and the first example."""

    rule: str
    column: str
    action: str
    count: int = 0
    example: str | None = None


@dataclass(frozen=True)
class Finding:
    """Something a person should know about the data; nothing was changed because of it unless `action` says so."""

    code: str
    level: Level
    column: str
    message: str
    action: str = "none"


@dataclass(frozen=True)
class RejectedRow:
    """A row that did not come into the dataset: where it stands, a stable code and a sentence."""

    file: str
    line: int
    code: str
    reason: str
    text: str = ""


@dataclass
class Ledger:
    """Everything that happened to the rows and values of one dataset."""

    tallies: dict[tuple[str, str], Tally] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    rejected: list[RejectedRow] = field(default_factory=list)
    _many: list[tuple[str, int, Callable[[], Iterator[RejectedRow]]]] = field(default_factory=list)

    def count(self, rule: str, column: str, number: int, *, action: str, example: str | None = None) -> None:
        """Adds `number` applications of `rule` to `column`; zero leaves no trace."""
        if number <= 0:
            return
        tally = self.tallies.setdefault((rule, column), Tally(rule, column, action))
        tally.count += number
        if tally.example is None and example is not None:
            tally.example = example[:80]

    def find(self, code: str, column: str, message: str, *, level: Level = "warning", action: str = "none") -> None:
        self.findings.append(Finding(code, level, column, message, action))

    def reject(self, row: RejectedRow) -> None:
        self.rejected.append(row)

    def reject_many(self, code: str, number: int, rows: Callable[[], Iterator[RejectedRow]]) -> None:
        """Many rows of one code, which are written out only when they are asked for."""
        self._many.append((code, number, rows))

    def all_rejected(self) -> Iterator[RejectedRow]:
        yield from self.rejected
        for _, _, rows in self._many:
            yield from rows()

    def as_json(self) -> dict[str, Any]:
        """`rules` sorted by rule and column, `findings` in the order they were made, `rejected` counts by code."""
        by_code: dict[str, int] = {}
        for row in self.rejected:
            by_code[row.code] = by_code.get(row.code, 0) + 1
        for code, number, _ in self._many:
            by_code[code] = by_code.get(code, 0) + number
        return {
            "rules": [vars(tally) for _, tally in sorted(self.tallies.items())],
            "findings": [vars(finding) for finding in self.findings],
            "rejected": dict(sorted(by_code.items())),
        }


def write_rejected(path: Path, rows: Iterable[RejectedRow]) -> int:
    """One JSON object a line: file, line, code, reason, text. Returns how many."""
    written = 0
    with writing(str(path)), path.open("w", encoding="utf-8") as file:
        for row in rows:
            content = {**vars(row), "text": row.text[:_TEXT_LIMIT]}
            file.write(json.dumps(content, ensure_ascii=False) + "\n")
            written += 1
    return written


def read_rejected(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)
