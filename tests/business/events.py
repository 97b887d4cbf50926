"""Makes usage events for tests."""

from itertools import count

from tradewind.business.journal import Event

PERIOD_MS = 1_772_323_200_000  # 2026-03-01T00:00:00Z
_numbers = count(1)


def an_event(
    request_id=None, *, account_id="acc_1", meter="rows", units=1, period_start_ms=PERIOD_MS, outcome="complete"
):
    return Event(
        request_id=request_id or f"req_{next(_numbers)}",
        account_id=account_id,
        key_id="key_1",
        subscription_id="sub_1",
        period_start_ms=period_start_ms,
        meter=meter,
        units=units,
        product="credit-risk",
        release="rel_1",
        price_version="p1",
        outcome=outcome,
        at_ms=PERIOD_MS + 1,
    )
