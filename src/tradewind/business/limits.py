"""Token buckets shared by all workers and machines: requests and units per second. Not here: quotas (`ledger.py`).

Turner, "New directions in communications" (1986): a bucket of `burst` tokens fills at `rate`. Everything is an
integer: a rate is a whole number of thousandths of a token per whole number of milliseconds, and time is counted in
such steps, so that nothing is rounded however often the bucket is asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Any

from sqlalchemy import Connection, and_, select, update

from tradewind.business.database import Database
from tradewind.business.inserts import insert_new
from tradewind.business.tables import buckets
from tradewind.clock import milliseconds

_MILLI = 1000


@dataclass(frozen=True)
class Taken:
    """`tokens` were taken (0: refused). `left` whole tokens remain. `wait_s` is when `least` tokens will be there: 0
    where they were taken, None where they never fit in the bucket.
    """

    tokens: int
    left: int
    wait_s: float | None


def default_burst(rate_per_s: float) -> int:
    """One second of the rate, at least one token."""
    return max(1, ceil(rate_per_s))


def refill_and_take(
    database: Database,
    account_id: str,
    kind: str,
    *,
    rate_per_s: float,
    want: int,
    least: int = 1,
    burst: int | None = None,
) -> Taken:
    """Takes up to `want` tokens, at least `least` or none, from the account's bucket of `kind` (requests, units).

    `rate_per_s` is what `tariff.Plan` says: a whole number per second, minute or hour. A bucket is full at first. In
    any window of t seconds no more than `burst + rate * t` tokens are taken, and none is refused while the bucket
    holds `least`. A worker that takes a slice ahead may spend it later: with slices of `rate * slice_s` tokens, shared
    by all workers and given up after `slice_s`, a window sees at most `rate * slice_s` more. Machines agree on the
    time as well as their clocks do; a clock that is behind refills nothing.
    """
    assert 0 < least <= want
    assert rate_per_s > 0
    rate = Fraction(rate_per_s).limit_denominator(3600)
    # `gain` thousandths of a token every `step_ms` milliseconds, exactly.
    gain, step_ms = rate.numerator, rate.denominator
    full = (default_burst(rate_per_s) if burst is None else burst) * _MILLI

    def change(connection: Connection) -> Taken:
        now = milliseconds(database.clock)
        held, at_ms = _locked(connection, account_id, kind, full=full, now=now)
        steps = max(0, now - at_ms) // step_ms
        held += steps * gain
        at_ms += steps * step_ms
        if held >= full:
            held, at_ms = full, max(now, at_ms)
        tokens = min(want, held // _MILLI)
        if tokens < least:
            tokens = 0
        wait_s: float | None = 0.0
        if not tokens:
            steps_to_go = -(-(least * _MILLI - held) // gain)
            wait_s = None if least * _MILLI > full else (at_ms + steps_to_go * step_ms - now) / 1000
        held -= tokens * _MILLI
        connection.execute(update(buckets).where(_is(account_id, kind)).values(millitokens=held, at_ms=at_ms))
        return Taken(tokens, held // _MILLI, wait_s)

    return database.write(change)


def _locked(connection: Connection, account_id: str, kind: str, *, full: int, now: int) -> tuple[int, int]:
    query = select(buckets.c.millitokens, buckets.c.at_ms).where(_is(account_id, kind)).with_for_update()
    row = connection.execute(query).one_or_none()
    if row is None:
        new = insert_new(connection, buckets)
        connection.execute(new.values(account_id=account_id, kind=kind, millitokens=full, at_ms=now))
        row = connection.execute(query).one()
    return row.millitokens, row.at_ms


def _is(account_id: str, kind: str) -> Any:
    return and_(buckets.c.account_id == account_id, buckets.c.kind == kind)
