"""Takes somebody's rows out of a finished report or release: golden examples, and texts that a page quotes.
Not here: who is to be taken out (`privacy/`), nor weights: what was learnt stays until the release is trained again.

A release changed so is signed anew with the workspace's key; its digest, which names what it was made from, stays, and its
record says by which receipt it was amended.
"""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tradewind.artifacts import RECORD, Artifact, amend
from tradewind.files import canonical_json, read_json, write_bytes
from tradewind.release.bundle import seal
from tradewind.release.golden import read_golden, write_golden
from tradewind.release.signing import SIGNATURE, KeyPair

GOLDEN = "golden.json"
_TEXT = (".json", ".jsonl", ".html", ".md", ".txt", ".csv", ".svg")
# Learnt state and records: a word in them is not a quotation, and a change would break what the graph was trained with.
LEARNT = ("columns.json", "manifest.json", GOLDEN, RECORD, SIGNATURE, "tokenizer.json")

Strike = Callable[[str], str]


def golden_without(folder: Path, rows: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    """Drops the golden examples that are equal to one of `rows`; gives how many went and how many are left.

    Writes nothing where none would be left: a release without examples cannot be checked.
    """
    path = folder / GOLDEN
    if not path.is_file() or "columns" not in read_json(path):
        return 0, 0
    golden = read_golden(path)
    names = list(golden.columns)
    gone = {_key({name: row.get(name) for name in names}) for row in rows}
    count = len(golden.outputs)
    keep = np.array(
        [_key({name: golden.columns[name][place] for name in names}) not in gone for place in range(count)], dtype=np.bool_
    )  # fmt: skip
    left = int(keep.sum())
    if 0 < left < count:
        columns = {name: np.asarray(column, dtype=object)[keep] for name, column in golden.columns.items()}
        write_golden(path, replace(golden, columns=columns, outputs=golden.outputs[keep]))
    return count - left, left


def strike_texts(folder: Path, strike: Strike) -> list[str]:
    """Applies `strike` to every text file that quotes rows; gives the names of those that changed."""
    changed = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in _TEXT and path.name not in LEARNT:
            text = path.read_text(encoding="utf-8")
            struck = strike(text)
            if struck != text:
                write_bytes(path, struck.encode())
                changed.append(path.relative_to(folder).as_posix())
    return changed


def seal_again(artifact: Artifact, pair: KeyPair | None, *, at: str, receipt: str) -> None:
    """Digests, signature (of a release) and record anew."""
    if artifact.kind == "release":
        assert pair is not None
        manifest = read_json(artifact.folder / "manifest.json")
        for name in ("manifest.json", SIGNATURE):
            (artifact.folder / name).unlink(missing_ok=True)
        record = artifact.folder / RECORD
        kept = record.read_bytes()
        record.unlink()  # `seal` lists every file, and the record is none of the release's own
        seal(artifact.folder, {name: value for name, value in manifest.items() if name != "files"}, pair)
        write_bytes(record, kept)
    amend(artifact, why="erasure", at=at, receipt=receipt)


def spellings(text: str) -> tuple[str, ...]:
    """How a text stands in JSON and in HTML."""
    plain = json.dumps(text, ensure_ascii=False)[1:-1]
    escaped = html.escape(text)
    return tuple(dict.fromkeys([text, plain, json.dumps(text)[1:-1], escaped, html.escape(text, quote=False), json.dumps(escaped, ensure_ascii=False)[1:-1]]))  # fmt: skip


def _key(row: Mapping[str, Any]) -> bytes:
    def plain(value: Any) -> Any:
        if isinstance(value, bytes):
            return {"$bytes": value.hex()}
        if isinstance(value, np.generic):
            value = value.item()
        return None if isinstance(value, float) and not np.isfinite(value) else value

    return canonical_json({name: plain(value) for name, value in row.items()})
