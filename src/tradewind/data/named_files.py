"""Files that a table names, pictures and recordings: their bytes are part of what a dataset is made of, as the table's own are.

Not here: opening them (`survey.py`), a folder of pictures or recordings, whose source digests them itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tradewind.data.inference import infer_column
from tradewind.data.survey import Input, head
from tradewind.errors import DataError
from tradewind.files import digest_file, digest_json
from tradewind.product import Data

_KINDS = ("image", "audio")
_LOOKED_AT = 200  # rows of a first chunk that show whether a column names files


def digest_named(data: Data, inputs: Sequence[Input]) -> str | None:
    """Of the bytes of every picture or recording that a column names, in the order of the rows; None where no column does.

    One that is missing or unreadable counts as missing here: preparation rejects its row, and says so.
    """
    found = []
    for item in inputs:
        names = _columns(data, item)
        if not names:
            continue
        digests: dict[str, str | None] = {}
        for chunk in item.source.chunks():
            for name in names:
                for value in chunk.frame[name].drop_nulls():
                    if value not in digests:
                        digests[value] = _digest(Path(item.source.locate(value)))
        found.append(sorted(digests.items()))
    return digest_json(found) if found else None


def _columns(data: Data, item: Input) -> list[str]:
    if item.source.provenance().get("format") in ("images", "audio"):
        return []
    try:
        first = head(item.source).head(_LOOKED_AT)
    except DataError:
        return []  # said by the first pass, with its place
    names = []
    for name in first.columns:
        given = data.columns[name].kind if name in data.columns else "auto"
        if str(first[name].dtype) != "String" or given not in ("auto", *_KINDS):
            continue
        if given in _KINDS or infer_column(name, first[name], words=frozenset(), units=False).kind in _KINDS:
            names.append(name)
    return names


def _digest(path: Path) -> str | None:
    try:
        return digest_file(path)
    except (OSError, ValueError):  # ValueError: no text that could name a file
        return None
