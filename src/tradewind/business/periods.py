"""Months counted from an anchor, in UTC: the periods that quotas and invoices go by. Not here: who subscribed to what."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True)
class Period:
    """From `start_ms` on and before `end_ms`, milliseconds since 1970 in UTC."""

    start_ms: int
    end_ms: int


def boundary(anchor_ms: int, months: int) -> int:
    """The anchor moved by `months` (also back), at the same time of day in UTC.

    Counted from the anchor each time: the 31st falls on the last day of a shorter month and comes back to the 31st after it.
    """
    anchor = _EPOCH + anchor_ms * _MILLISECOND
    year, month = divmod(anchor.year * 12 + anchor.month - 1 + months, 12)
    day = min(anchor.day, calendar.monthrange(year, month + 1)[1])
    return (anchor.replace(year=year, month=month + 1, day=day) - _EPOCH) // _MILLISECOND


def period_at(anchor_ms: int, at_ms: int) -> Period:
    """The one period that holds `at_ms`. Periods lie end to end, before the anchor as after it."""
    anchor, moment = (_EPOCH + ms * _MILLISECOND for ms in (anchor_ms, at_ms))
    months = (moment.year - anchor.year) * 12 + moment.month - anchor.month
    start_ms = boundary(anchor_ms, months)
    if at_ms < start_ms:
        months -= 1
        start_ms = boundary(anchor_ms, months)
    return Period(start_ms, boundary(anchor_ms, months + 1))
