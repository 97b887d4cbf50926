"""`data.events`: rows are events of entities, and windows tell of each row what its entities did before.

Not here: how a window is computed (`features/windows.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from tradewind.features.windows import MEASURES, Measure, Window, Windows
from tradewind.privacy.retention import NEVER, parse_duration
from tradewind.product.section import DurationField, Place, Section

_UNIT_MS = {"date": None, "s": 1_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}


def _several(value: object) -> object:
    return [value] if isinstance(value, str) else value


class WindowOptions(Section):
    """One column. Exactly one measure: of a column, or `true` for what needs none."""

    by: Annotated[list[str], Field(min_length=1), BeforeValidator(_several, json_schema_input_type=str | list[str])] = (
        Field(description="The entity: a column, or several that name it together")
    )
    over: DurationField = Field(description="How far back: 10min, 1h, 24h, 30d")
    count: Literal[True] | None = Field(None, description="Events")
    since: Literal[True] | None = Field(None, description="Seconds since the last event")
    sum: str | None = Field(None, description="Sum of a column")
    mean: str | None = None
    min: str | None = None
    max: str | None = None
    std: str | None = Field(None, description="Standard deviation of a column")
    last: str | None = Field(None, description="Value of the last event")
    ratio: str | None = Field(None, description="The row's own value over the mean of the window")
    distinct: str | None = Field(None, description="How many values of a column differ")

    @property
    def measure(self) -> Measure:
        return next(name for name in MEASURES if getattr(self, name) is not None)

    @property
    def of(self) -> str | None:
        value = getattr(self, self.measure)
        return value if isinstance(value, str) else None

    @model_validator(mode="after")
    def _one_measure(self) -> WindowOptions:
        given = [name for name in MEASURES if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"a window has one measure, but {' and '.join(given) if given else 'none'} stands here: write one of {', '.join(MEASURES)}"
            )
        if self.over == NEVER:
            raise ValueError("over is never, but a window reaches back some time: write 1h or 30d")
        return self


class Events(Section):
    """Rows are events in time. A window sees what is strictly before its row."""

    time: str = Field(description="Column with the moment of an event")
    unit: Literal["date", "s", "min", "h", "d"] = Field(
        "date", description="What time is: a date and time, or a plain number of seconds, minutes, hours or days"
    )
    id: str | None = Field(None, description="Column that names an event: one that comes twice counts once")
    decimals: Annotated[int, Field(ge=0, le=9)] = Field(
        4, description="Places after the point that count in amounts: sums of them are exact"
    )
    late: DurationField = Field("1h", description="An event so far behind the newest still takes its place")
    label_delay: DurationField | None = Field(
        None,
        description="How long the truth takes to be known; split by time leaves that much out before what is measured",
    )
    windows: dict[Annotated[str, Field(pattern=r"^[^\s:.][^:.]*$")], WindowOptions] = Field(min_length=1)

    def spec(self, *, missing: Collection[str] = ()) -> Windows:
        """As `features/windows.py` has it. `missing` are the source's words for a missing value."""
        return Windows(
            self.time,
            tuple(
                Window(name, tuple(one.by), _ms(one.over), one.measure, one.of) for name, one in self.windows.items()
            ),
            unit_ms=_UNIT_MS[self.unit],
            decimals=self.decimals,
            late_ms=_ms(self.late),
            id=self.id,
            missing=tuple(missing),
        )

    @property
    def label_delay_s(self) -> float:
        return _ms(self.label_delay) / 1000 if self.label_delay is not None else 0.0

    @property
    def unit_s(self) -> float:
        """Of a plain number; 1 where time is a date."""
        return (_UNIT_MS[self.unit] or 1000) / 1000

    def faults(self, *, target: str, columns: Collection[str]) -> Iterator[tuple[Place, str]]:
        """What cannot be meant: where, and a sentence. `columns` are those that have options of their own."""
        here: Place = ("data", "events")
        if self.late == NEVER:
            yield (*here, "late"), "late is never, but an event is late after some time: write 1h"
        if self.label_delay == NEVER:
            yield (*here, "label_delay"), "label_delay is never, so nothing could be learnt: write 30d"
        if self.time == target:
            yield (*here, "time"), f"{target} is the target, which no row can see"
        for name, window in self.windows.items():
            place: Place = (*here, "windows", name)
            if target in window.by:
                yield (*place, "by"), f"{target} is the target, which no row can see"
            if window.of == target:
                yield (
                    (*place, window.measure),
                    f"{target} is the target: when a transaction comes in, nobody knows yet what became of those just before it",
                )
            if name == target:
                yield place, f"{name} is the target: give the window another name"
            if name in columns:
                yield place, f"{name} is a window, which is a number: leave it out of data.columns"


def _ms(duration: str) -> int:
    return parse_duration(duration) or 0
