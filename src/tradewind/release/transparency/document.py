"""The transparency report's one source: statements, each bound to its evidence. `report/transparency.json` of a release.

Every rendering (card, Annex IV, NIST, China, the whole) is made from this document alone. Not here: which statements there are
(`facts.py`), how they are laid out (`layout.py`), or whether they hold (`check.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from tradewind.errors import ArtifactError
from tradewind.release.transparency.evidence import PREVIOUS, Json, reference, resolve

FORMAT = 1
FILE, CARD, PAGE, PAPER = (
    "report/transparency.json", "report/card.md", "report/transparency.html", "report/transparency.pdf",
)  # fmt: skip

Kind: TypeAlias = Literal["predictor", "language", "encoder"]
# How a value follows from what its references name: it is that value · their sum ·
# (the sum of all but the last, in seconds) x (the last, in watts), in kWh.
By: TypeAlias = Literal["same", "sum", "kwh"]
_JOULES_PER_KWH = 3.6e6
# Told apart between releases: figures, settings, data, what people state. Not what every release says differently (times,
# digests), not both ends of an interval beside its value, and of the rooms of trust their figures alone.
_COMPARED = (
    "stated.",
    "answers.",
    "release.",
    "data.",
    "settings.",
    "training.",
    "figures.",
    "further.",
    "gates.",
    "lead",
    "precisions.",
)
_NOT_COMPARED = re.compile(
    r"\.(low|high|absent|unsure|digest)$|^release\.(parity|made_with)|^training\.(seconds|processor_seconds|energy|watts|resumed)"
)


@dataclass(frozen=True)
class Statement:
    """One thing that the report says. `value` is None where nobody said it: then it is missing, and `evidence` names the
    field of the product file where it would stand."""

    key: str
    value: Json
    evidence: tuple[str, ...]
    by: By = "same"
    unit: str | None = None

    def to_json(self) -> dict[str, Any]:
        content = {"key": self.key, "value": self.value, "evidence": list(self.evidence), "by": self.by}
        return content if self.unit is None else {**content, "unit": self.unit}

    @property
    def field(self) -> str:
        """Where it would be filled in, as the product file writes it: release.contact."""
        return self.evidence[0].partition("#/")[2].replace("/", ".")

    @property
    def is_figure(self) -> bool:
        """Of a statement below `figures` or `further`: the figure itself, not an end of its interval, a reason or a count. The
        name of a figure may hold a point."""
        return self.unit is None and not self.key.endswith((".low", ".high", ".absent", ".unsure"))


@dataclass(frozen=True)
class Change:
    """One statement that the last release made differently; `before` or `now` is None where it was not made at all."""

    key: str
    before: Json
    now: Json

    @property
    def difference(self) -> float | None:
        if _number(self.before) and _number(self.now):
            return float(self.now - self.before)
        return None

    def to_json(self) -> dict[str, Any]:
        content = {
            "key": self.key,
            "before": self.before,
            "now": self.now,
            "evidence": reference(PREVIOUS, "statements", self.key),
        }
        return content if self.difference is None else {**content, "difference": self.difference}  # fmt: skip


@dataclass(frozen=True)
class Document:
    """The whole report. `evidence` holds the digest of each file that statements refer to, `renderings` that of each file
    of the release that was made from the statements."""

    product: str
    kind: Kind
    language: Literal["en", "zh"]
    evidence: Mapping[str, str]
    statements: tuple[Statement, ...]
    changes: tuple[Change, ...] | None  # None: there is no release before it, or it says nothing to compare with
    renderings: Mapping[str, str] = field(default_factory=dict)

    @property
    def values(self) -> dict[str, Json]:
        return {one.key: one.value for one in self.statements}

    @property
    def missing(self) -> list[Statement]:
        """What nobody filled in."""
        return [one for one in self.statements if one.value is None]

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "product": self.product,
            "kind": self.kind,
            "language": self.language,
            "evidence": dict(self.evidence),
            "statements": [one.to_json() for one in self.statements],
            "missing": [one.field for one in self.missing],
            "changes": None if self.changes is None else [one.to_json() for one in self.changes],
            "renderings": dict(self.renderings),
        }


def document_from(content: Json, *, where: str) -> Document:
    """Raises ArtifactError when it is no transparency report, or one of another format."""
    try:
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']}; this version reads {FORMAT}")
        return Document(
            product=content["product"],
            kind=content["kind"],
            language=content["language"],
            evidence=dict(content["evidence"]),
            statements=tuple(
                Statement(one["key"], one["value"], tuple(one["evidence"]), one["by"], one.get("unit"))
                for one in content["statements"]
            ),
            changes=None
            if content["changes"] is None
            else tuple(Change(one["key"], one["before"], one["now"]) for one in content["changes"]),
            renderings=dict(content["renderings"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArtifactError(
            f"The transparency report cannot be read ({error}).",
            code="transparency_broken",
            where=where,
            hint="Run `tradewind release` again.",
        ) from error


def computed(statement: Statement, files: Mapping[str, Json]) -> Json:
    """The value that the evidence gives. Raises KeyError where a reference leads nowhere, TypeError for no number."""
    found = [resolve(files, where) for where in statement.evidence]
    if statement.by == "same":
        (value,) = found
        return value
    if not all(_number(one) for one in found):
        raise TypeError(f"{statement.key}: its evidence is no number")
    return derived(statement.by, found)


def derived(by: By, numbers: Sequence[Any]) -> Any:
    """As `By` says."""
    if by == "sum":
        return sum(numbers)
    assert by == "kwh", by
    return sum(numbers[:-1]) * numbers[-1] / _JOULES_PER_KWH


def changes_since(previous: Mapping[str, Json] | None, statements: Sequence[Statement]) -> tuple[Change, ...] | None:
    """What is said otherwise than in the statements of the release before, in the order of this one's."""
    before = (previous or {}).get("statements")
    if before is None:
        return None
    now = {one.key: one.value for one in statements}
    keys = [*now, *(key for key in before if key not in now)]
    return tuple(
        Change(key, before.get(key), now.get(key))
        for key in keys
        if worth_comparing(key) and before.get(key) != now.get(key)
    )


def worth_comparing(key: str) -> bool:
    """Whether a statement is one that a change log tells of."""
    return key.startswith(_COMPARED) and _NOT_COMPARED.search(key) is None


def _number(value: Json) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def flattened(value: Json, prefix: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Json]]:
    """Leaves of nested mappings with their paths; a list of words is one leaf."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from flattened(one, (*prefix, str(key)))
    else:
        yield prefix, value
