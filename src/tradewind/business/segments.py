"""What a bill is computed from: an account's subscriptions in a period, cut into segments, with the units of each.

Not here: what they cost (`lines.py`), and how a subscription changes (`plans.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, func, select

from tradewind.business import accounts
from tradewind.business.lines import Segment
from tradewind.business.periods import Period, boundary
from tradewind.business.subscription import Subscription, subscription_of
from tradewind.business.tables import subscriptions, usage_events
from tradewind.errors import InputError

_MONTH = re.compile(r"^(\d{4})-(0[1-9]|1[0-2])$")
_NEVER_MS = 1 << 62


def segments(connection: Connection, account_id: str, *, period: Period) -> tuple[Segment, ...]:
    """The segments of one billing period, in order of time; none where no subscription has this period."""
    rows = [row for row in _history(connection, account_id) if row.period(period.start_ms) == period]
    mine = (usage_events.c.account_id == account_id, usage_events.c.period_start_ms == period.start_ms)
    return _cut(rows, _units(connection, *mine), period)


def month_segments(connection: Connection, account_id: str, *, month: Period) -> tuple[Segment, ...]:
    """The segments of a calendar month, whatever the billing periods are; units by the time they were used at."""
    mine = (usage_events.c.account_id == account_id, usage_events.c.at_ms >= month.start_ms)
    units = _units(connection, *mine, usage_events.c.at_ms < month.end_ms)
    return _cut(_history(connection, account_id), units, month)


def latest_period(connection: Connection, account_id: str, *, at_ms: int) -> Period:
    """The billing period that holds `at_ms`, or the last one of a subscription that ended before it.

    Raises InputError `no_subscription`.
    """
    begun = [row for row in _history(connection, account_id) if row.started_ms <= at_ms]
    if not begun:
        raise _none(account_id)
    last = begun[-1]
    return last.period(max(last.started_ms, min(at_ms, last.until_ms - 1)))


def month_period(connection: Connection, account_id: str, *, month: str) -> Period:
    """The billing period of an account that begins in a month ("2026-02"). Raises InputError `month`, `no_subscription`."""
    calendar = parse_month(month)
    found = [
        span
        for row in _history(connection, account_id)
        for span in [row.period(calendar.end_ms - 1)]
        if row.started_ms < span.end_ms and span.start_ms < row.until_ms
    ]
    if not found:
        raise _none(account_id)
    return found[-1]


def periods_over(connection: Connection, account_id: str, *, at_ms: int) -> tuple[Period, ...]:
    """Every billing period of an account that is over at `at_ms`, or whose last subscription ended by then; the oldest
    first."""
    found: dict[int, Period] = {}
    for row in _history(connection, account_id):
        moment = row.started_ms
        while moment <= at_ms and (moment < row.until_ms or moment == row.started_ms):
            span = row.period(moment)
            found[span.start_ms] = span
            moment = span.end_ms
    made = []
    for span in sorted(found.values(), key=lambda one: one.start_ms):
        parts = segments(connection, account_id, period=span)
        if parts and (span.end_ms <= at_ms or parts[-1].end_ms <= at_ms):
            made.append(span)
    return tuple(made)


def parse_month(month: str) -> Period:
    """A calendar month in UTC from "2026-02". Raises InputError `month`."""
    match = _MONTH.match(month)
    if not match or int(match[1]) < 1970:
        raise InputError(f"{month!r} is no month.", code="month", hint="Write year and month: 2026-02.")
    start = int(datetime(int(match[1]), int(match[2]), 1, tzinfo=UTC).timestamp()) * 1000
    return Period(start, boundary(start, 1))


def terms_json(parts: Sequence[Segment]) -> list[dict[str, Any]]:
    """The plans that were in force, as an invoice keeps them."""
    return [
        {
            "subscription": part.subscription_id,
            "plan": part.plan,
            "price_version": part.price_version,
            "from_ms": part.start_ms,
            "to_ms": part.end_ms,
            "trial_end_ms": part.trial_end_ms,
            "terms": part.terms.model_dump(mode="json"),
        }
        for part in parts
    ]


@dataclass(frozen=True)
class _Stretch:
    """A subscription and the moment before which it is in force, as far as is known."""

    subscription: Subscription
    started_ms: int
    until_ms: int

    def period(self, at_ms: int) -> Period:
        return self.subscription.period(at_ms)


def _history(connection: Connection, account_id: str) -> list[_Stretch]:
    closed_ms = accounts.require(connection, account_id).closed_ms
    query = select(subscriptions).where(subscriptions.c.account_id == account_id)
    made = []
    for row in connection.execute(query).mappings():
        one = subscription_of(dict(row))
        ends = [end for end in (one.ended_ms, one.cancel_ms, closed_ms) if end is not None]
        made.append(_Stretch(one, one.started_ms, max(one.started_ms, min(ends, default=_NEVER_MS))))
    return sorted(made, key=lambda item: (item.started_ms, item.until_ms))


def _units(connection: Connection, *where: Any) -> dict[str, int]:
    total = func.sum(usage_events.c.units)
    query = select(usage_events.c.subscription_id, total).where(*where).group_by(usage_events.c.subscription_id)
    return {row[0]: int(row[1]) for row in connection.execute(query)}


def _cut(rows: Sequence[_Stretch], units: Mapping[str, int], period: Period) -> tuple[Segment, ...]:
    left, made = dict(units), []
    for row in rows:
        start, end = max(row.started_ms, period.start_ms), min(row.until_ms, period.end_ms)
        one = row.subscription
        # One that was changed in the millisecond it began has no time, but may have units.
        if start < end or (one.id in left and row.started_ms < period.end_ms):
            start, end = min(start, max(end, period.start_ms)), max(end, period.start_ms)
            used = left.pop(one.id, 0)
            made.append(Segment(one.id, one.plan, one.terms, one.price_version, start, end, used, one.trial_end_ms))
    if not made:
        return ()
    # A worker that had not heard of a change yet wrote the subscription before it: its units belong to the beginning.
    made[0] = replace(made[0], units=made[0].units + sum(left.values()))
    return tuple(made)


def _none(account_id: str) -> InputError:
    return InputError(
        f"{account_id} has no subscription then.", code="no_subscription", hint="Subscribe the account to a plan first."
    )
