"""One rendering as it lies there, against what it should say: which line differs, and which statement stands on it.

Not here: evidence and statements (`check.py`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from pathlib import PurePath
from typing import get_args

from tradewind.errors import InputError
from tradewind.release.transparency import markdown, pdf
from tradewind.release.transparency.document import Document
from tradewind.release.transparency.evidence import Json
from tradewind.release.transparency.files import FORMS, Form
from tradewind.release.transparency.frames import FRAMES, FrameName
from tradewind.release.transparency.layout import Language, lay_out
from tradewind.release.transparency.page import Bullets, Cell, Page, Table

_SHORT = 200


@dataclass(frozen=True)
class Fault:
    """One place that does not hold. `statement` is its key, where it belongs to one; `line` counts from 1, in a PDF within
    its `page`."""

    file: str
    statement: str
    found: Json
    expected: Json
    line: int | None = None
    page: int | None = None

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        if self.page is not None:
            place = f"{self.file} page {self.page} line {self.line}"
        about = f"{self.statement}: " if self.statement else ""
        return f"{place}: {about}found {_shown(self.found)}, expected {_shown(self.expected)}."


def differences(
    name: str, content: bytes, wanted: bytes, *, document: Document, frame: FrameName, form: Form, language: Language
) -> list[Fault]:
    """Where `content`, a file called `name`, says something else than `wanted`, the document in this frame, form and
    language."""
    if content == wanted:
        return []
    page = lay_out(document, frame, language=language)
    if form == "pdf":
        return list(_runs(name, pdf.runs_of(content), pdf.runs_of(wanted), page))
    expected = wanted.decode()
    if form == "html":
        return list(lines(name, decoded(content), expected, lambda number: _of_html(expected, number)))
    cells = markdown.lines_of(page)
    before = expected.count("\n") - len(cells)
    return list(lines(name, decoded(content), expected, lambda number: _of_markdown(expected, number, cells, before)))


def nearest_rendering(name: str, content: bytes, document: Document) -> tuple[FrameName, Form, Language]:
    """Which rendering a file of another folder is: the one whose headings it has.

    Raises InputError where its name has no known ending.
    """
    form = next((form for form in FORMS if PurePath(name).suffix.lower() == f".{form}"), None)
    if form is None:
        raise InputError(
            "It is no rendering of a transparency report.",
            code="not_a_rendering",
            where=name,
            hint=f"Endings: {', '.join(f'.{one}' for one in FORMS)}.",
        )
    text = "".join(run.text for run in pdf.runs_of(content)) if form == "pdf" else decoded(content)
    said = "".join(text.split())
    languages: tuple[Language, ...] = get_args(Language)
    alike: dict[tuple[FrameName, Form, Language], int] = {}
    for frame in FRAMES:
        for language in languages:
            page = lay_out(document, frame, language=language)
            titles = ["".join(one.split()) for one in (page.title, *(section.title for section in page.sections))]
            found = sum(one in said or escape(one) in said for one in titles)
            alike[frame, form, language] = 2 * found - len(titles)
    return max(alike, key=lambda one: alike[one])


def decoded(content: bytes) -> str:
    """Bytes that are no UTF-8 stay visible as such."""
    return content.decode("utf-8", errors="backslashreplace")


def lines(name: str, found: str, expected: str, statement: Callable[[int], str]) -> Iterator[Fault]:
    """Each line that differs with its number, from 1; the first alone where lines were added or taken out."""
    said, wanted = found.split("\n"), expected.split("\n")
    if len(said) != len(wanted):
        at = _first(said, wanted)
        yield Fault(name, statement(at + 1), "".join(said[at : at + 1]), "".join(wanted[at : at + 1]), at + 1)
        return
    for at, (one, other) in enumerate(zip(said, wanted, strict=True), start=1):
        if one != other:
            yield Fault(name, statement(at), one.strip(), other.strip(), at)


def _first(found: list[str], expected: list[str]) -> int:
    """Place of the first difference."""
    pairs = enumerate(zip(found, expected, strict=False))
    return next((at for at, (one, other) in pairs if one != other), min(len(found), len(expected)))


def _of_markdown(text: str, number: int, cells: list[tuple[str, tuple[Cell, ...]]], before: int) -> str:
    """Of a line: in the front matter a figure, else the statements that the line says."""
    if number > before:
        at = number - 1 - before
        said = [cell.key for cell in cells[at][1] if cell.key] if at < len(cells) else []
        return ", ".join(dict.fromkeys(said))
    match = re.match(r'\s+\{"type": "(.+?)"', text.split("\n")[number - 1])
    return f"figures.test.{match.group(1)}" if match else "front matter"


def _of_html(text: str, number: int) -> str:
    lines = text.split("\n")
    keys = re.findall(r'data-key="([^"]*)"', lines[number - 1]) if number <= len(lines) else []
    return ", ".join(keys)


def _runs(name: str, found: list[pdf.Run], expected: list[pdf.Run], page: Page) -> Iterator[Fault]:
    """Texts of a PDF in the order they are drawn in. Broken into lines otherwise they still say the same: another version
    of the library that sets them may do so, and a release is not to be blamed for it."""
    one, other = ("".join("".join(run.text for run in runs).split()) for runs in (found, expected))
    if one == other:
        return
    if len(found) != len(expected):
        at = _first([run.text for run in found], [run.text for run in expected])
        places = [at]
    else:
        places = [at for at, pair in enumerate(zip(found, expected, strict=True)) if pair[0].text != pair[1].text]
    nothing = pdf.Run("", 1, 1)
    for at in places:
        said = found[at] if at < len(found) else nothing
        wanted = expected[at] if at < len(expected) else nothing
        where = said if at < len(found) else (found or [nothing])[-1]
        yield Fault(name, _of_run(wanted.text, page), said.text, wanted.text, where.line, where.page)


def _of_run(text: str, page: Page) -> str:
    """The statement whose cell says this text, where there is one alone."""
    keys = {cell.key for cell in cells_of(page) if cell.key and text and text in cell.text}
    exact = {cell.key for cell in cells_of(page) if cell.key and cell.text == text}
    return next(iter(exact or keys)) if len(exact or keys) == 1 else ""


def cells_of(page: Page) -> Iterator[Cell]:
    """Every cell in its order."""
    for section in page.sections:
        for block in section.blocks:
            if isinstance(block, Table):
                for row in block.rows:
                    yield from row
            elif isinstance(block, Bullets):
                yield from block.items
            else:
                yield block.cell


def _shown(value: Json) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 1]}…"
