"""Which column plays which part: input, target, sensitive, weight, key of a split, or dropped with a reason.

Not here: how kinds are found (`inference.py`), how values are repaired (`clean.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from tradewind.data.inference import Inferred
from tradewind.errors import DataError, nearest
from tradewind.features.column import ColumnSpec
from tradewind.product import ColumnOptions, Data, Task

Reading = Literal["number", "category", "text", "date", "image", "audio", "key"]

_TARGET_KIND: dict[str, Reading] = {"classification": "category", "regression": "number"}


@dataclass(frozen=True)
class Plan:
    """The columns of a dataset. `reading` says how each column that is read is typed; `dropped` why others are not.

    `group`, `time` and `given` are the columns that `split.by` names; `needed` is every column that is read.
    """

    task: Task
    target: str
    inputs: tuple[str, ...]
    sensitive: tuple[str, ...]
    weight: str | None
    group: str | None
    time: str | None
    given: str | None
    inferred: Mapping[str, Inferred]
    plain_time: bool = False  # time is a number of hours, say, since some beginning
    frames: Mapping[str, str] = field(default_factory=dict)  # of columns of pictures: which one of a DICOM file
    dropped: Mapping[str, str] = field(default_factory=dict)

    @property
    def kept(self) -> tuple[str, ...]:
        """Columns that stay in raw: inputs, sensitive ones, the weight, the target."""
        further = [name for name in (self.weight, self.target) if name]
        return tuple(dict.fromkeys([*self.inputs, *self.sensitive, *further]))

    @property
    def needed(self) -> tuple[str, ...]:
        keys = [name for name in (self.group, self.time, self.given) if name]
        return tuple(dict.fromkeys([*self.kept, *keys]))

    def reading(self, name: str) -> Reading:
        if name == self.target:
            return _TARGET_KIND[self.task]
        if name == self.weight:
            return "number"
        if name not in self.inputs and name not in self.sensitive:
            if name != self.time:
                return "key"
            return "number" if self.plain_time else "date"
        kind = self.inferred[name].kind
        if kind == "identifier":
            return "category"
        return kind

    def without(self, reasons: Mapping[str, str]) -> Plan:
        """The plan with further inputs dropped. Raises DataError when none is left."""
        inputs = tuple(name for name in self.inputs if name not in reasons)
        dropped = {**self.dropped, **reasons}
        if not inputs:
            told = "; ".join(f"{name}: {reason}" for name, reason in dropped.items())
            raise DataError(
                f"No column is left to learn from. {told}.", code="no_columns", where="data",
                hint="Name the columns to use under data.only, or set data.clean.constant or identifiers to keep.",
            )  # fmt: skip
        return replace(self, inputs=inputs, dropped=dropped)

    def specs(
        self, columns: Mapping[str, ColumnOptions], *, outliers: str, tokeniser: str | None = None
    ) -> list[ColumnSpec]:
        """What `FeatureSet.fit` is asked to fit, in the order of the source's columns.

        `tokeniser` is that of a pretrained encoder, for text columns that name none of their own.
        """
        specs = []
        for name in self.inputs:
            found = self.inferred[name]
            options = columns.get(name, ColumnOptions()).model_dump(exclude={"kind"}, exclude_none=True)
            if self.reading(name) == "text" and tokeniser is not None:
                options.setdefault("tokeniser", tokeniser)
            if self.reading(name) == "number":
                options["outliers"] = outliers
            if self.reading(name) in ("number", "audio"):
                for bound in ("minimum", "maximum"):
                    if getattr(found, bound) is not None:
                        options[bound] = getattr(found, bound)
            specs.append(ColumnSpec(name, self.reading(name), options))
        return specs


def check_names(data: Data, names: Sequence[str], *, source: str) -> None:
    """Raises DataError for a column that the product file names and the source has not."""
    if data.target not in names:
        raise _unknown(data.target, names, where="data.target", code="target_missing", source=source)
    by = data.split.by.partition(":")[2]
    places: list[tuple[str, Iterable[str]]] = [
        ("data.columns", data.columns),
        ("data.only", data.only or []),
        ("data.drop", data.drop),
        ("data.sensitive", data.sensitive),
        ("data.weight", [data.weight] if data.weight else []),
        ("data.subject", [data.subject] if data.subject else []),
        ("data.consent", [data.consent] if data.consent else []),
        ("data.split.by", [by] if by else []),
    ]
    for where, wanted in places:
        several = where in ("data.only", "data.drop", "data.sensitive")
        for at, name in enumerate(wanted):
            if name not in names:
                place = f"{where}.{at}" if several else where
                raise _unknown(name, names, where=place, code="column_missing", source=source)


def _unknown(name: str, names: Sequence[str], *, where: str, code: str, source: str) -> DataError:
    shown = ", ".join(names[:20]) + (" …" if len(names) > 20 else "")
    return DataError(
        f"{name}: no such column in {source}. Columns: {shown}.", code=code, where=where,
        hint=nearest(name, names) or "Correct the name, or give the source a header.",
    )  # fmt: skip


def make_plan(task: Task, data: Data, names: Sequence[str], inferred: Mapping[str, Inferred]) -> Plan:
    """Parts of all columns, from the product file and from inference. Raises DataError when no input is left."""
    mode, _, by = data.split.by.partition(":")
    time = by if mode == "time" and by else _only_date(inferred, data.target) if mode == "time" else None
    plan = Plan(
        task=task, target=data.target, inputs=tuple(names), sensitive=tuple(data.sensitive), weight=data.weight,
        group=by if mode == "group" else None, time=time, given=by if mode == "column" else None, inferred=inferred,
        frames={name: options.frame for name, options in data.columns.items() if options.frame},
        plain_time=data.events is not None and data.events.unit != "date" and data.events.time == time,
    )  # fmt: skip
    reasons: dict[str, str] = {}
    for name in names:
        reason = _why_not(name, data, plan)
        if reason is not None:
            reasons[name] = reason
    plan = plan.without(reasons)
    hidden = {name for name in reasons if name == data.target}
    return replace(plan, dropped={name: why for name, why in plan.dropped.items() if name not in hidden})


def _why_not(name: str, data: Data, plan: Plan) -> str | None:
    """The reason why a column is no input, or None when it is one."""
    found = plan.inferred[name]
    named = data.only is not None and (name in data.only or name in data.windows)
    if name == data.target:
        return "the target"
    if name == data.weight:
        return "the weight of a row"
    if name == data.subject:
        return "says whom a row is about"
    if name == data.consent:
        return "says whether the subject agreed"
    if name in data.drop:
        return "dropped in the product file"
    if data.only is not None and not named:
        return "not among data.only"
    if name == plan.given:
        return "says the split of a row"
    if name in data.sensitive and not data.sensitive_as_input:
        return "sensitive, kept for fairness only"
    if name == plan.group and not named:
        return "the group of a row"
    if found.kind == "identifier" and (found.given or (data.clean.identifiers == "drop" and not named)):
        return f"identifier: {found.reason}"
    return None


def _only_date(inferred: Mapping[str, Inferred], target: str) -> str:
    dates = [name for name, found in inferred.items() if found.kind == "date" and name != target]
    if len(dates) == 1:
        return dates[0]
    found = f"Dates found: {', '.join(dates)}." if dates else "No column reads as dates."
    raise DataError(
        f"split.by is time, but it is not clear by which column. {found}", code="time_column", where="data.split.by",
        hint="Write by: time:COLUMN.",
    )  # fmt: skip
