"""Pairs of texts as they come: a table with two columns, or two text files of which line n translates line n.

    source: pairs.csv                              columns named like the languages, or as `translation` says
    source: data/train                             data/train.en and data/train.de
    source: {path: a.txt, target_path: b.txt}      whatever they are called

Not here: which pairs are good (`pair_rules.py`), splits and tokens (`parallel.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tradewind.data.ledger import RejectedRow
from tradewind.data.sources import open_source
from tradewind.data.sources.detect import SAMPLE_BYTES, encoding_of, telling
from tradewind.data.sources.location import File, find, head_of, is_url, shown
from tradewind.data.sources.text import text_blocks
from tradewind.errors import DataError, nearest
from tradewind.files import digest_file, digest_json
from tradewind.product import Source, Translation

_BLOCK = 1 << 20
# Names that tables of pairs give their columns, where they are not those of the languages.
USUAL_SOURCES, _TARGETS = ("source", "src", "source_text", "text"), ("target", "tgt", "target_text", "translation")


@dataclass(frozen=True)
class TextPair:
    """A text and its translation, and where it stands."""

    source: str
    target: str
    file: str
    line: int


class PairReader(Protocol):
    """A source of pairs that can be read again. `rejects` are those of the latest pass."""

    @property
    def rejects(self) -> Sequence[RejectedRow]: ...
    def pairs(self) -> Iterator[TextPair]: ...
    def fingerprint(self) -> str: ...
    def provenance(self) -> dict[str, Any]: ...


def open_pairs(source: Source, *, translation: Translation, base: Path, memory: int) -> PairReader:
    """Raises DataError when there is nothing, the sides differ in lines, or a column is not there."""
    if source.target_path is not None:
        return _Lines(source, (_only(source.path, base), _only(source.target_path, base)))
    if not is_url(source.path) and not (base / Path(source.path).expanduser()).exists():
        sides = [_beside(source.path, code, base) for code in (translation.source, translation.target)]
        if sides[0] is not None and sides[1] is not None:
            return _Lines(source, (sides[0], sides[1]))
        if any(side is not None for side in sides):
            missing = (translation.source, translation.target)[sides.index(None)]
            raise DataError(
                f"There is one side of the pairs, but no {source.path}.{missing}.", code="missing", where=source.path,
                hint="Give both files, or name them as path and target_path.",
            )  # fmt: skip
    return _Table(source, translation, base=base, memory=memory)


def _beside(path: str, code: str, base: Path) -> File | None:
    for name in (f"{path}.{code}", f"{path}.{code}.gz", f"{path}.{code}.txt"):
        place = base / Path(name).expanduser()
        if place.is_file():
            return File(place, name)
    return None


def _only(path: str, base: Path) -> File:
    files = find(path, base=base).files
    if len(files) != 1:
        raise DataError("One file of lines was expected.", code="not_a_file", where=shown(path))
    return files[0]


class _Lines:
    """Two files side by side."""

    rejects: Sequence[RejectedRow] = ()

    def __init__(self, source: Source, files: tuple[File, File]) -> None:
        self._source, self._files = source, files
        self._encodings = [encoding_of_lines(file, source) for file in files]

    def pairs(self) -> Iterator[TextPair]:
        sides = [lines_of(file, encoding) for file, encoding in zip(self._files, self._encodings, strict=True)]
        number = 0
        while True:
            texts = [next(side, None) for side in sides]
            if texts[0] is None or texts[1] is None:
                break
            number += 1
            yield TextPair(texts[0], texts[1], self._files[0].name, number)
        if texts[0] is not None or texts[1] is not None:
            counts = [
                number + (text is not None) + sum(1 for _ in side) for text, side in zip(texts, sides, strict=True)
            ]
            raise DataError(
                f"{self._files[0].name} has {counts[0]:,} lines, {self._files[1].name} {counts[1]:,}: line n must translate "
                "line n.", code="lines_differ", where=f"{self._files[0].name}:{number + 1}",
                hint="Write the two files anew from one list of pairs.",
            )  # fmt: skip

    def fingerprint(self) -> str:
        return digest_json([digest_file(file.path) for file in self._files])

    def provenance(self) -> dict[str, Any]:
        return {
            "uri": shown(self._source.path), "files": [file.name for file in self._files], "format": "lines",
            "bytes": sum(file.bytes for file in self._files), "digest": self.fingerprint(),
            "licence": self._source.licence, "encoding": self._encodings[0],
        }  # fmt: skip


def encoding_of_lines(file: File, source: Source) -> str:
    """As the source says, else as its first bytes tell."""
    sample = head_of(file, SAMPLE_BYTES)
    return encoding_of(telling(file, sample), source.encoding, whole=len(sample) < SAMPLE_BYTES, where=file.name)


def lines_of(file: File, encoding: str) -> Iterator[str]:
    """Each line without its end. Raises DataError encoding_wrong with the line."""
    rest, number = b"", 1
    for block in text_blocks(file, encoding, _BLOCK):
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            yield _text(line, file, number)
            number += 1
    if rest:
        yield _text(rest, file, number)


def _text(line: bytes, file: File, number: int) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"Byte 0x{line[error.start]:02x} is no UTF-8.", code="encoding_wrong", where=f"{file.name}:{number}",
            hint="Set source.encoding, or save the file as UTF-8.",
        ) from error  # fmt: skip


class _Table:
    """Two columns of a table in any format that tables have."""

    def __init__(self, source: Source, translation: Translation, *, base: Path, memory: int) -> None:
        opened = open_source(source, base=base, memory=memory)
        names = list(opened.names)
        read, written = translation.columns
        self._columns = (
            column_of(read, translation.source_column, names, USUAL_SOURCES, source),
            column_of(written, translation.target_column, names, _TARGETS, source),
        )
        self._opened = open_source(source, base=base, memory=memory, only=self._columns)
        self.rejects: Sequence[RejectedRow] = ()

    def pairs(self) -> Iterator[TextPair]:
        for chunk in self._opened.chunks():
            columns = [chunk.frame.get_column(name).cast(str, strict=False).to_list() for name in self._columns]
            for source, target, line in zip(*columns, chunk.lines.tolist(), strict=True):
                yield TextPair(source or "", target or "", chunk.file, line)
        self.rejects = [RejectedRow(one.file, one.line, one.code, one.reason, one.text) for one in self._opened.rejects]

    def fingerprint(self) -> str:
        return digest_json({"bytes": self._opened.fingerprint(), "columns": list(self._columns)})

    def provenance(self) -> dict[str, Any]:
        return {**self._opened.provenance(), "columns": list(self._columns)}


def column_of(name: str, said: str | None, names: Sequence[str], usual: Sequence[str], source: Source) -> str:
    """`said` as it is; else the language's own name, `translation.en` as Hugging Face's sets have it, or a usual name."""
    wanted = [name] if said is not None else [name, f"translation.{name}", *usual]
    found = next((one for one in wanted if one in names), None)
    if found is None:
        raise DataError(
            f"There is no column {name}. Columns: {', '.join(names)}.", code="column_missing", where=shown(source.path),
            hint=nearest(name, names) or "Name them: translation: {source_column: …, target_column: …}.",
        )  # fmt: skip
    return found
