"""The feature set: fitted columns in order and the target, one JSON state, one fingerprint, one way to encode a row.

Not here: any one kind of column (the files beside it), which columns there are (`data/inference.py`), HTTP (`server/`).

Legend: B rows, N numbers of all columns, C categories of all columns.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cached_property
from importlib import import_module
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tradewind import plugins
from tradewind.errors import ArtifactError, DataError, EnvironmentFailure, nearest
from tradewind.features.attachments import audio_inside
from tradewind.features.category import CategoryColumn
from tradewind.features.column import Block, Column, ColumnSpec, Layout, Values, stack
from tradewind.features.date import DateColumn, parse_date
from tradewind.features.dicom_terms import is_dicom_text
from tradewind.features.number import NumberColumn, parse_number
from tradewind.features.plain_rows import PlainRows
from tradewind.features.target import Target, target_from_state
from tradewind.files import digest_bytes, digest_json

_KINDS: dict[str, Any] = {column.kind: column for column in (NumberColumn, CategoryColumn, DateColumn)}
# Loaded when a product has such a column: a table of numbers is served without tokenizers, Pillow and libsndfile.
_DECODING = {
    "text": ("tradewind.features.text", "TextColumn"),
    "image": ("tradewind.features.image", "ImageColumn"),
    "audio": ("tradewind.features.audio", "AudioColumn"),
}
_FORMAT = 1
_HASH_DIGITS = 8
# From so many rows on, encoding column by column is faster than row by row.
_BULK_ROWS = 32

_ApplyOne = Callable[[object, list[float], list[int]], Mapping[str, NDArray[Any]]]


@dataclass(frozen=True)
class FeatureSet:
    """Fitted columns and the target; what training and serving share. `encode` and `encode_rows` agree bit for bit."""

    columns: tuple[Column, ...]
    target: Target
    _appliers: tuple[tuple[str, _ApplyOne], ...] = field(init=False, repr=False, compare=False)
    _kinds: Mapping[str, str] = field(init=False, repr=False, compare=False)
    _plain: PlainRows | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_appliers", tuple((column.name, column.apply_one) for column in self.columns))
        object.__setattr__(self, "_kinds", {column.name: column.kind for column in self.columns})
        object.__setattr__(self, "_plain", PlainRows.of(self.columns))

    @classmethod
    def fit(cls, specs: Sequence[ColumnSpec], values: Mapping[str, Values], target: Target, *, seed: int) -> Self:
        """Fits each spec on the training values of its column, shape [B] each.

        Raises DataError when there is no column, two of one name, or no values for one; InputError for an unknown kind;
        EnvironmentFailure for a kind whose decoder is not installed.
        """
        names = [spec.name for spec in specs]
        if not names:
            raise DataError(
                "No column is left to learn from.",
                code="no_columns",
                where="data",
                hint="Check drop, only and clean, and the columns that preparation found to be constant or identifiers.",
            )
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise DataError(f"Two columns are called {twice[0]}.", code="column_twice", where="data.columns")
        columns = tuple(_kind(spec.kind).fit(spec, _of(values, spec.name), seed=seed) for spec in specs)
        return cls(columns=columns, target=target)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Raises ArtifactError for a state that this version cannot read."""
        try:
            if state["format"] != _FORMAT:
                raise ArtifactError(
                    f"The columns are in format {state['format']}, but this version reads format {_FORMAT}.",
                    code="columns_format",
                    hint="Use the version of Tradewind that made them, or prepare again.",
                )
            columns = tuple(_kind(entry["kind"]).from_state(entry["state"]) for entry in state["columns"])
            return cls(columns=columns, target=target_from_state(state["target"]))
        except (KeyError, TypeError) as error:
            raise ArtifactError(
                f"The fitted columns cannot be read ({type(error).__name__}: {error}).", code="columns_broken"
            ) from error

    def state(self) -> dict[str, Any]:
        """JSON from which `from_state` makes an equal set."""
        columns = [{"kind": column.kind, "state": column.state()} for column in self.columns]
        return {"format": _FORMAT, "columns": columns, "target": self.target.state()}

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the state: equal sets, and only those, have equal fingerprints."""
        return digest_json(self.state())

    @cached_property
    def layout(self) -> Layout:
        layouts = [column.layout for column in self.columns]
        return Layout(
            numbers=tuple(feature for layout in layouts for feature in layout.numbers),
            categories=tuple(feature for layout in layouts for feature in layout.categories),
            tensors=tuple(feature for layout in layouts for feature in layout.tensors),
        )

    @cached_property
    def input_names(self) -> dict[str, str]:
        """The arrays of `encode`, in order, and the name of each as an input of the ONNX graph."""
        layout = self.layout
        names = ["numbers"] if layout.numbers else []
        names += ["categories"] if layout.categories else []
        return {name: input_name(name) for name in (*names, *(tensor.name for tensor in layout.tensors))}

    def encode(self, values: Mapping[str, Values]) -> dict[str, NDArray[Any]]:
        """`numbers` float32 [B, N], `categories` int64 [B, C] and each tensor by name, from raw values by column.

        Raises DataError where a column is absent or columns differ in length; no single value raises.
        """
        raw = [_of(values, column.name) for column in self.columns]
        lengths = {len(array) for array in raw}
        if len(lengths) != 1:
            raise DataError("The columns differ in length.", code="ragged_columns")
        blocks: list[Block] = [column.apply(array) for column, array in zip(self.columns, raw, strict=True)]
        return stack(blocks, lengths.pop())

    def encode_rows(self, rows: Sequence[Mapping[str, object]]) -> dict[str, NDArray[Any]]:
        """Like `encode`, from rows; a name that a row lacks is a missing value. Few rows, and plain ones, go fast."""
        if self._plain is not None and rows and (plain := self._plain.encode(rows)) is not None:
            return plain
        if len(rows) == 1:
            return self._encode_row(rows[0])
        if 1 < len(rows) < _BULK_ROWS and not self.layout.tensors:
            encoded = [self._encode_row(row) for row in rows]
            return {name: np.concatenate([one[name] for one in encoded]) for name in self.input_names}
        values: dict[str, Values] = {}
        for name, _ in self._appliers:
            # Filled one by one: NumPy would take a list inside a list for a second dimension.
            column_B = np.empty(len(rows), dtype=object)
            for at, row in enumerate(rows):
                column_B[at] = row.get(name)
            values[name] = column_B
        return self.encode(values)

    def _encode_row(self, row: Mapping[str, object]) -> dict[str, NDArray[Any]]:
        numbers: list[float] = []
        categories: list[int] = []
        arrays: dict[str, NDArray[Any]] = {}
        for name, apply_one in self._appliers:
            tensors = apply_one(row.get(name), numbers, categories)
            if tensors:
                arrays.update(tensors)
        if numbers:
            arrays["numbers"] = np.array([numbers], dtype=np.float32)
        if categories:
            arrays["categories"] = np.array([categories], dtype=np.int64)
        return arrays

    def check_row(self, row: Mapping[str, object]) -> None:
        """Raises DataError for a row that a caller got wrong: an unknown column, no column at all, an impossible type.

        A column may be absent, null, or a value that training never saw: those are encoded.
        """
        if self._plain is not None and self._plain.accepts(row):
            return
        kinds = self._kinds
        if not isinstance(row, Mapping):
            raise DataError(f"A row is {_named(row)}, but an object with column names was expected.", code="row_type")
        for name, value in row.items():
            kind = kinds.get(name)
            if kind is None:
                raise DataError(
                    f"No such column. Columns: {', '.join(kinds)}.",
                    code="column_unknown",
                    where=str(name),
                    hint=nearest(str(name), kinds) or None,
                )
            if value is not None and (fault := _fault(kind, value)):
                raise DataError(fault, code="value_type", where=name)
        if not row:
            raise DataError(f"The row is empty. Columns: {', '.join(kinds)}.", code="row_empty")

    def row_schema(self) -> dict[str, Any]:
        """JSON Schema (2020-12) of one input row. No column is required: an absent one is a missing value."""
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {column.name: _value_schema(column) for column in self.columns},
            "additionalProperties": False,
            "minProperties": 1,
        }


def input_name(name: str) -> str:
    """The ONNX input for an array: `tokens:note` is tokens_note.

    Every character outside A-Z a-z 0-9 _ becomes _. Where that loses more than the colon after the role, eight digits of
    the name's digest follow, so that two columns with Chinese names stay two inputs.
    """
    plain = re.sub(r"[^A-Za-z0-9_]", "_", name)
    if plain == name.replace(":", "_", 1):
        return plain
    return f"{plain}_{digest_bytes(name.encode()).removeprefix('sha256:')[:_HASH_DIGITS]}"


def _kind(kind: str) -> Any:
    """The column class of a kind: built in, or an entry point of the group `tradewind.columns`."""
    if kind in _KINDS:
        return _KINDS[kind]
    if kind not in _DECODING:
        return plugins.load("columns", kind)
    module, name = _DECODING[kind]
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        raise EnvironmentFailure(
            f"A column of kind {kind} needs the package {error.name}, which is not installed.",
            code="package_missing",
            hint="Install it with: pip install 'tradewind[serve]'.",
        ) from error


def _of(values: Mapping[str, Values], name: str) -> Values:
    if name not in values:
        raise DataError(
            f"The data has no column {name}. Columns: {', '.join(values)}.",
            code="column_missing",
            where=name,
            hint=nearest(name, values) or None,
        )
    return values[name]


# ---------------------------------------------------------------- what a caller may send

_TEXT_OR_NUMBER = (str, int, float, Decimal, np.generic)
_ACCEPTED: dict[str, tuple[tuple[type, ...], str]] = {
    "number": (_TEXT_OR_NUMBER, "a number"),
    "category": (_TEXT_OR_NUMBER, "a word, a number or a boolean"),
    "date": ((*_TEXT_OR_NUMBER, date), "a date as text, or seconds since 1970"),
    "text": ((str,), "text"),
    "image": ((str, bytes), "an image"),
    "audio": ((str, bytes), "a recording"),
}
_SCHEMAS: dict[str, dict[str, Any]] = {
    "number": {"type": ["number", "string", "null"], "description": "A number, also as text: 1200, 1,200, 40%, 3.5万"},
    "category": {"type": ["string", "number", "boolean", "null"]},
    "date": {
        "type": ["string", "number", "null"],
        "description": "ISO 8601, 2026/1/5, 2026年1月5日, seconds since 1970",
    },
    "text": {"type": ["string", "null"]},
    "image": {"type": ["string", "null"], "contentEncoding": "base64"},
    "audio": {
        "type": ["string", "null"],
        "contentEncoding": "base64",
        "description": "A WAV, FLAC, MP3 or Ogg file",
    },
}
_NAMES = {list: "a list", tuple: "a list", dict: "an object", str: "text", bool: "a boolean", bytes: "bytes"}
_NAMES |= {int: "a number", float: "a number"}
# What people send for a missing value, beside null.
_MISSING_WORDS = frozenset(["", "-", "?", "na", "n/a", "nan", "null", "none", "missing", "unknown", "无", "空", "未知"])
# What `features/picture.py` takes for the file itself; any other text it would open as a path.
_IMAGE_STARTS = ("iVBORw0KGgo", "/9j/", "R0lGOD", "Qk", "SUkqAA", "TU0AKg", "UklGR")
_SHOWN_CHARACTERS = 40
_EXAMPLES = 10


def _fault(kind: str, value: object) -> str | None:
    """What is wrong with a value that is not None, as a sentence; None where nothing is."""
    accepted = _ACCEPTED.get(kind)
    if accepted is None:
        return None
    types, expected = accepted
    if not isinstance(value, types) or (isinstance(value, bool) and kind == "date"):
        return f"The value is {_named(value)}, but {expected} was expected."
    if kind == "image" and isinstance(value, str) and not _holds_image(value):
        return "The text is no image. Send the bytes of a PNG, JPEG or DICOM file in base64, or a data: URL."
    if kind == "audio" and isinstance(value, str) and audio_inside(value) is None:
        return "The text is no recording. Send the bytes of a WAV, FLAC or MP3 file in base64, or a data: URL."
    if isinstance(value, str) and kind in ("number", "date"):
        parsed = parse_number(value) if kind == "number" else parse_date(value)
        if parsed != parsed and value.strip().lower() not in _MISSING_WORDS:
            return f"{value[:_SHOWN_CHARACTERS]!r} was found, but {expected} was expected."
    return None


def _holds_image(text: str) -> bool:
    """Whether the text is the picture itself: a caller must never make a service open one of its own files."""
    if text.startswith("data:") or is_dicom_text(text):
        return True
    if not text.startswith(_IMAGE_STARTS) or "." in text:
        return False
    try:
        return bool(b64decode("".join(text.split()), validate=True))
    except ValueError:
        return False


def _named(value: object) -> str:
    return "null" if value is None else _NAMES.get(type(value), f"a {type(value).__name__}")


def _value_schema(column: Column) -> dict[str, Any]:
    schema = dict(_SCHEMAS.get(column.kind, {}))
    if column.kind == "audio":
        shortest, longest = column.state()["shortest"], column.state()["longest"]
        schema["description"] += f" of {shortest:g} to {longest:g} s" if shortest else f" of at most {longest:g} s"
    if isinstance(column, CategoryColumn) and column.vocabulary:
        schema["examples"] = list(column.vocabulary[:_EXAMPLES])
    return schema
