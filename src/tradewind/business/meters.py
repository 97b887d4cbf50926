"""What accounts used, from the usage records: totals, pages, and CloudEvents for other billers.

The records are the truth; `quotas` is a counter beside them, and `agree` says where the two differ. Not here: how a
record comes to be (`ledger.py`), what it costs (`lines.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, func, or_, select

from tradewind.business import accounts
from tradewind.business.database import Database
from tradewind.business.segments import parse_month
from tradewind.business.tables import quotas, usage_events
from tradewind.errors import InputError

TYPE = "tradewind.usage"
SOURCE = "/tradewind"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PAGE = 500


@dataclass(frozen=True)
class Usage:
    """`units` over all meters; `requests` counts each request once, `events` each record."""

    units: int
    requests: int
    by_meter: dict[str, int]
    events: int


@dataclass(frozen=True)
class Record:
    """One usage record: the units of one meter that one request used."""

    request_id: str
    meter: str
    account_id: str
    key_id: str
    subscription_id: str
    period_start_ms: int
    product: str
    release: str
    price_version: str
    units: int
    outcome: str
    at_ms: int

    @property
    def id(self) -> str:
        return f"{self.request_id}:{self.meter}"


@dataclass(frozen=True)
class Page:
    """Records in order of time; `after` asks for the next page, None on the last."""

    records: tuple[Record, ...]
    after: str | None


def usage(
    database: Database, account_id: str, *, period_start_ms: int | None = None, month: str | None = None
) -> Usage:
    """Totals of one billing period, of one calendar month in UTC ("2026-02"), or of all time.

    Raises InputError `account_unknown`, `month`.
    """
    where = _where(account_id, period_start_ms=period_start_ms, month=month)
    total = func.coalesce(func.sum(usage_events.c.units), 0)
    with database.reading() as connection:
        accounts.require(connection, account_id)
        by_meter = select(usage_events.c.meter, total, func.count()).where(*where).group_by(usage_events.c.meter)
        rows = connection.execute(by_meter.order_by(usage_events.c.meter)).all()
        requests = select(func.count(usage_events.c.request_id.distinct())).where(*where)
        counted = connection.execute(requests).scalar_one()
    meters = {str(row[0]): int(row[1]) for row in rows}
    return Usage(sum(meters.values()), int(counted), meters, sum(int(row[2]) for row in rows))


def records(
    database: Database, account_id: str, *, period_start_ms: int | None = None, month: str | None = None,
    after: str | None = None, limit: int = 100,
) -> Page:  # fmt: skip
    """A page of an account's records, at most `limit`, in order of time, beginning after the record `after`.

    Raises InputError `account_unknown`, `month`, and `usage_unknown` for an `after` that is no record of this account.
    """
    where = _where(account_id, period_start_ms=period_start_ms, month=month)
    with database.reading() as connection:
        accounts.require(connection, account_id)
        found = _after(connection, where, after, account_id=account_id, limit=limit + 1)
    return Page(found[:limit], found[limit - 1].id if len(found) > limit else None)


def cloud_events(
    database: Database, *, account_id: str | None = None, period_start_ms: int | None = None, month: str | None = None,
    after: str | None = None, since_ms: int | None = None, source: str = SOURCE, page: int = _PAGE,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """Usage records as CloudEvents 1.0 (https://github.com/cloudevents/spec, JSON format), `page` of them in memory at a time.

    `id` is request:meter, the same at each reading: a receiver that drops ids it has seen may read a stretch again.
    Resume with `after`, the last id that arrived. A record that a worker settles late stands at the time of its
    request; who must not miss one reads again `since_ms` a little before. Raises InputError `usage_unknown`, `month`.
    """
    where = _where(account_id, period_start_ms=period_start_ms, month=month)
    if since_ms is not None:
        where.append(usage_events.c.at_ms >= since_ms)
    while True:
        with database.reading() as connection:
            found = _after(connection, where, after, account_id=account_id, limit=page)
        for record in found:
            yield _cloud_event(record, source)
        if len(found) < page:
            return
        after = found[-1].id


def agree(database: Database, *, account_id: str | None = None) -> list[str]:
    """A sentence for each quota whose counter is not the sum of its records, over all meters; empty when all agree."""
    keys = ("account_id", "period_start_ms")
    events = [usage_events.c[key] for key in keys]
    requests_of = func.count(usage_events.c.request_id.distinct())
    summed = select(*events, func.sum(usage_events.c.units), requests_of).group_by(*events)
    counts = func.sum(quotas.c.used), func.sum(quotas.c.requests)
    counted = select(*(quotas.c[key] for key in keys), *counts).group_by(*(quotas.c[key] for key in keys))
    if account_id is not None:
        summed = summed.where(usage_events.c.account_id == account_id)
        counted = counted.where(quotas.c.account_id == account_id)
    with database.reading() as connection:
        truth = {tuple(row[:2]): (int(row[2]), int(row[3])) for row in connection.execute(summed)}
        fast = {tuple(row[:2]): (int(row[2]), int(row[3])) for row in connection.execute(counted)}
    says = []
    for key in sorted(truth.keys() | fast.keys()):
        units, requests = truth.get(key, (0, 0))
        used, asked = fast.get(key, (0, 0))
        if (units, requests) != (used, asked):
            says.append(
                f"{key[0]} from {_time(key[1])}: the records say {units} units in {requests} requests, "
                f"the counter {used} in {asked}."
            )
    return says


def _where(account_id: str | None, *, period_start_ms: int | None, month: str | None) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    if account_id is not None:
        where.append(usage_events.c.account_id == account_id)
    if period_start_ms is not None:
        where.append(usage_events.c.period_start_ms == period_start_ms)
    if month is not None:
        calendar = parse_month(month)
        where += [usage_events.c.at_ms >= calendar.start_ms, usage_events.c.at_ms < calendar.end_ms]
    return where


def _after(
    connection: Connection, where: list[ColumnElement[bool]], after: str | None, *, account_id: str | None, limit: int
) -> tuple[Record, ...]:
    table = usage_events
    conditions = list(where)
    if after is not None:
        request_id, _, meter = after.rpartition(":")
        mine = [table.c.request_id == request_id, table.c.meter == meter]
        if account_id is not None:
            mine.append(table.c.account_id == account_id)
        at_ms = connection.execute(select(table.c.at_ms).where(*mine)).scalar_one_or_none()
        if at_ms is None:
            raise InputError(f"There is no usage record {after}.", code="usage_unknown")
        same_time = and_(table.c.at_ms == at_ms, table.c.request_id == request_id, table.c.meter > meter)
        same_request = and_(table.c.at_ms == at_ms, table.c.request_id > request_id)
        conditions.append(or_(table.c.at_ms > at_ms, same_request, same_time))
    query = select(table).where(*conditions).order_by(table.c.at_ms, table.c.request_id, table.c.meter).limit(limit)
    return tuple(_record(row) for row in connection.execute(query))


def _record(row: Row[Any]) -> Record:
    return Record(**row._mapping)


def _cloud_event(record: Record, source: str) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": record.id,
        "source": source,
        "type": TYPE,
        "subject": record.account_id,
        "time": _time(record.at_ms),
        "datacontenttype": "application/json",
        "data": {
            "request": record.request_id,
            "meter": record.meter,
            "units": record.units,
            "outcome": record.outcome,
            "product": record.product,
            "release": record.release,
            "key": record.key_id,
            "subscription": record.subscription_id,
            "price_version": record.price_version,
            "period_start": _time(record.period_start_ms),
        },
    }


def _time(moment_ms: int) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    moment = _EPOCH + timedelta(milliseconds=moment_ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
