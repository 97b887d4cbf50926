"""Finding out what a file is: format, encoding, delimiter and quote, and whether its first row is a header.

Not here: reading it.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import PurePosixPath

from tradewind.data.sources.location import GZIP, File, head_of, reading, table_suffix
from tradewind.data.sources.records import Dialect
from tradewind.errors import DataError

SAMPLE_BYTES = 1 << 20
_SAMPLE_ROWS = 200
_PROBES, _PROBE_BYTES = 64, 64 << 10
_FORMATS = {
    ".csv": "csv", ".tsv": "csv", ".txt": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl",
    ".parquet": "parquet", ".pq": "parquet", ".xlsx": "excel", ".xls": "excel", ".xlsb": "excel", ".ods": "excel",
}  # fmt: skip
_MAGIC = {
    b"PAR1": "parquet", b"\xd0\xcf\x11\xe0": "excel", b"%PDF": "a PDF file", b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture", b"SQLite format 3\0": "an SQLite database", b"BZh": "a bzip2 archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive", b"\xfd7zXZ": "an xz archive", b"7z\xbc\xaf": "a 7z archive",
    b"Rar!": "a RAR archive", b"Obj\x01": "an Avro file", b"ARROW1": "an Arrow file",
}  # fmt: skip
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_NUMBER = re.compile(r"\s*[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?\s*")
_MULTIBYTE = re.compile(rb"[\xc3-\xf4][\x80-\xbf]+")
# So many multi-byte characters that are valid UTF-8 do not come about by chance in another encoding.
_SURELY_UTF8 = 8


def format_of(file: File, said: str) -> str:
    """csv, jsonl, parquet or excel: by `said` unless auto, else by suffix, checked against the first bytes.

    Raises DataError when the bytes are of another kind than said, or of a kind that is not read.
    """
    head = head_of(file, 4096)
    by_suffix = _FORMATS.get(table_suffix(file.path))
    expected = by_suffix if said == "auto" else said
    found = _by_bytes(head)
    if found in ("parquet", "excel") and said == "auto":
        return found
    if found == "" or found == expected:
        return expected or _text_format(head)
    if found == "a web page" and expected is None:
        expected = "csv"
    hints = {
        "a zip archive": "Unpack it and give the file inside.",
        "an SQLite database": "Give it as sqlite:///PATH with table or query.",
        "a web page": "The address gives a page (perhaps one to sign in) in place of the file.",
    }
    kind = {"excel": "an Excel file", "parquet": "a Parquet file"}.get(found, found)
    raise DataError(
        f"It is {kind}, but {expected or 'a table (CSV, JSONL, Parquet, Excel)'} was expected.",
        code="format_wrong", where=file.name, hint=hints.get(found, "Give a table, or set format to what it is."),
    )  # fmt: skip


def _by_bytes(head: bytes) -> str:
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return kind
    if head.startswith(b"PK\x03\x04"):
        office = (b"[Content_Types].xml", b"xl/", b"_rels/", b"application/vnd.oasis", b"docProps/")
        return "excel" if any(name in head for name in office) else "a zip archive"
    if re.match(rb"(\xef\xbb\xbf)?\s*<(!doctype\s+html|html)", head, re.IGNORECASE):
        return "a web page"
    return ""


def _text_format(head: bytes) -> str:
    return "jsonl" if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b'{"', b"{ ", b"{\n")) else "csv"


# ---------------------------------------------------------------- encoding


def encoding_of(sample: bytes, said: str, *, whole: bool, where: str) -> str:
    """The codec's name: utf-8, utf-16 …, gb18030 and so on. `sample` is the file's beginning, all of it if `whole`.

    A byte-order mark decides; then valid UTF-8; then GB18030 where that gives Chinese text; then charset-normalizer.
    Raises DataError for an unknown encoding, or one that the bytes contradict.
    """
    found = _by_mark(sample)
    if said != "auto":
        return _said(sample, said, found, whole=whole, where=where)
    if found:
        return found
    if _decodes(sample, "utf-8", whole=whole):
        return "utf-8"
    if _chinese(sample, whole=whole):
        return "gb18030"
    try:
        import charset_normalizer  # needed only here, for files of older programs
    except ModuleNotFoundError:
        best = None
    else:
        best = charset_normalizer.from_bytes(sample[: 64 << 10]).best()
    if best is None or not _decodes(sample, best.encoding, whole=whole):
        raise DataError(
            "Its encoding could not be recognised: the bytes are neither UTF-8, UTF-16 nor GB18030.",
            code="encoding_unknown", where=where, hint="Say it with encoding: …, or save the file as UTF-8.",
        )  # fmt: skip
    return str(best.encoding)


def telling(file: File, sample: bytes) -> bytes:
    """A part of `file` from which its encoding shows: `sample`, or lines further down where that is all ASCII."""
    if not sample.isascii() or len(sample) < SAMPLE_BYTES:
        return sample
    with reading(file.name), file.path.open("rb") as stream:
        if stream.read(2) == GZIP:
            return sample
        for probe in range(1, _PROBES):
            stream.seek(file.bytes * probe // _PROBES)
            part = stream.read(_PROBE_BYTES).partition(b"\n")[2]
            if not part.isascii():
                return part
    return sample


def _by_mark(sample: bytes) -> str:
    for mark, name in _MARKS:
        if sample.startswith(mark):
            return name
    even, odd = sample[0:4096:2], sample[1:4096:2]
    if len(sample) >= 4 and b"\0" in sample:
        if odd.count(0) > 0.3 * len(odd) and even.count(0) == 0:
            return "utf-16-le"
        if even.count(0) > 0.3 * len(even) and odd.count(0) == 0:
            return "utf-16-be"
    return ""


def _said(sample: bytes, said: str, found: str, *, whole: bool, where: str) -> str:
    try:
        name = codecs.lookup(said).name
        "".encode(name)
    except (LookupError, ValueError):
        raise DataError(
            f"There is no encoding {said!r}.", code="encoding_unknown", where=where,
            hint="Encodings are auto, utf-8, utf-16, gb18030, latin-1 and the others that Python knows.",
        ) from None  # fmt: skip
    name = "utf-8" if name == "utf-8-sig" else name
    actual = found
    if not actual and not name.startswith("utf-8") and len(_MULTIBYTE.findall(sample)) >= _SURELY_UTF8:
        actual = "utf-8" if _decodes(sample, "utf-8", whole=whole) else ""
    wide = name.startswith(("utf-16", "utf-32"))
    if (actual and actual[:6] != name[:6]) or (wide and not actual):
        raise DataError(
            f"The bytes are {actual or 'not of two or four bytes a character'}, but encoding says {said}.",
            code="encoding_wrong", where=where, hint=f"Set encoding to {actual or 'auto'}, or leave it out.",
        )  # fmt: skip
    return name


def _decodes(sample: bytes, encoding: str, *, whole: bool) -> bool:
    try:
        codecs.getincrementaldecoder(encoding)("strict").decode(sample, final=whole)
    except (UnicodeError, LookupError):
        return False
    return True


def _chinese(sample: bytes, *, whole: bool) -> bool:
    """Whether the sample is GB18030 whose wide characters are mostly those of GB 2312's two levels of Chinese."""
    if not _decodes(sample, "gb18030", whole=whole):
        return False
    text = codecs.getincrementaldecoder("gb18030")("strict").decode(sample, final=whole)
    wide = [char for char in text if char > "\x7f"]
    usual = sum("\u4e00" <= char <= "\u9fff" or "\u3000" <= char <= "\u303f" or char > "\uff00" for char in wide)
    common = sum(_in_gb2312(char) for char in wide)
    return bool(wide) and usual >= 0.7 * len(wide) and common >= 0.9 * len(wide)


def _in_gb2312(char: str) -> bool:
    try:
        char.encode("gb2312")
    except UnicodeError:
        return False
    return True


# ---------------------------------------------------------------- delimiter, quote, header


def dialect_of(text: str, said: str, *, suffix: str, where: str) -> Dialect:
    """Delimiter and quote of delimited text, from its beginning (whole lines).

    Raises DataError when `said` is not one ASCII character.
    """
    if said == "auto":
        candidates = ["\t", ",", ";", "|"] if suffix == ".tsv" else [",", "\t", ";", "|"]
    else:
        said = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "space": " "}.get(said, said)
        if len(said) != 1 or said > "~" or said in '\r\n"':
            raise DataError(
                f"The delimiter {said!r} is not one character.", code="delimiter_wrong", where=where,
                hint="Give one ASCII character, tab, or auto.",
            )  # fmt: skip
        candidates = [said]
    options = [Dialect(sign, quote) for sign in candidates for quote in ('"', "'")]
    best = max(options, key=lambda option: (_score(text, option), option.quote == '"'))
    if said == "auto" and _score(text, best) <= 0:
        best = Dialect(" ") if _spaced(text) else Dialect(candidates[0])
    # A backslash before a closing quote is text (a Windows folder); before one inside a field it escapes.
    inside = re.search(rf"\\{best.quote}[^{re.escape(best.delimiter)}\r\n]", text)
    backslashed = inside is not None and best.quote * 2 not in text
    return Dialect(best.delimiter, best.quote, "\\" if backslashed else "")


def rows_of(text: str, dialect: Dialect) -> list[list[str]]:
    """The first rows of a sample, blank ones left out."""
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=dialect.delimiter, quotechar=dialect.quote,
        doublequote=not dialect.escape, escapechar=dialect.escape or None,
    )  # fmt: skip
    rows: list[list[str]] = []
    try:
        for row in reader:
            if row and (len(row) > 1 or row[0].strip()):
                rows.append(row)
            if len(rows) >= _SAMPLE_ROWS:
                break
    except csv.Error:
        pass  # a field beyond csv's limit: what was read until there is enough to look at
    return rows


def _score(text: str, dialect: Dialect) -> float:
    """Share of rows with the usual number of fields, plus a little for each field; 0 for one field."""
    counts = Counter(len(row) for row in rows_of(text, dialect))
    if not counts:
        return 0
    fields, rows = counts.most_common(1)[0]
    if fields == 1:
        return 0
    share = rows / counts.total()
    quoted = len(re.findall(rf"(?m)(?:^|{re.escape(dialect.delimiter)}){dialect.quote}", text))
    if dialect.quote == "'" and (quoted < rows / 2 or '"' in text):
        return 0
    return share + min(fields, 100) / 1000


def _spaced(text: str) -> bool:
    """Whether fields are parted by a space: as many on every row, and a number among them."""
    rows = rows_of(text, Dialect(" "))
    widths = {len(row) for row in rows}
    if len(rows) < 2 or len(widths) != 1 or widths == {1}:
        return False
    return any(all(is_number(cell) for cell in cells) for cells in zip(*rows[1:], strict=True))


def is_number(cell: str) -> bool:
    return bool(_NUMBER.fullmatch(cell))


def looks_like_data(first: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row is data rather than names: numbers stand in it wherever numbers stand below it.

    Names that count on (2019, 2020 or 0, 1, 2) beside names that are words are let through.
    """
    numeric = [place for place, cell in enumerate(first) if is_number(cell)]
    if not numeric:
        return False
    if len(numeric) == len(first):
        return True
    below = [row for row in rows if len(row) == len(first)]
    columns = {p for p in range(len(first)) if below and all(is_number(row[p]) or not row[p].strip() for row in below)}
    cells = [float(first[place]) for place in numeric]
    steps = {after - before for before, after in pairwise(cells)}
    counting = steps == {1} or (len(cells) > 2 and len(steps) == 1 and min(steps) > 0)
    return columns <= set(numeric) and bool(columns) and not counting


def suffix_of(file: File) -> str:
    return PurePosixPath(file.path.name.lower().removesuffix(".gz")).suffix
