"""From facts to the lines of an invoice: pure functions over exact numbers, half to even, rounded once a line.

An invoice bills a period in arrears: the fee of the period that ended, its included units, its further units, and the
credit that pays for them. Not here: the database (`invoices.py`), nor when a period begins (`plans.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil
from typing import Any

from tradewind.errors import InputError
from tradewind.money import Money
from tradewind.tariff import Plan

ROUNDING = "Each line is rounded once, half to even, to the smallest unit of the currency; the total is their sum."


@dataclass(frozen=True)
class Segment:
    """A stretch of a period under one subscription, `start_ms` included and `end_ms` not, and the units used in it."""

    subscription_id: str
    plan: str
    terms: Plan
    price_version: str
    start_ms: int
    end_ms: int
    units: int
    trial_end_ms: int | None = None

    @property
    def trial_ms(self) -> int:
        """Where the trial ends within the segment; its start where there is none."""
        return min(max(self.trial_end_ms or self.start_ms, self.start_ms), self.end_ms)


@dataclass(frozen=True)
class Line:
    """One line: `amount_minor` in the invoice's currency; `evidence` is what it was computed from, as JSON values."""

    kind: str  # plan, proration, trial, included, overage, credit, correction
    description: str
    quantity: int
    unit_price: str
    amount_minor: int
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Bill:
    """Lines and their sums. `subtotal_minor` is before credit, `total_minor` what is left to pay; neither is negative."""

    currency: str
    lines: tuple[Line, ...]
    subtotal_minor: int
    total_minor: int

    @property
    def credit_minor(self) -> int:
        return self.subtotal_minor - self.total_minor


def share(amount: int, *, start_ms: int, end_ms: int, period: tuple[int, int]) -> int:
    """The part of `amount` that falls to `start_ms` … `end_ms` of a period, by milliseconds, half to even.

    It is the difference of two rounded sums from the period's beginning, so the parts of a period that touch add up
    to `amount` exactly however it is cut, and each is less than one unit away from its exact share.
    """
    assert period[0] <= start_ms <= end_ms <= period[1]
    return _until(amount, end_ms, period) - _until(amount, start_ms, period)


def _until(amount: int, moment_ms: int, period: tuple[int, int]) -> int:
    return round(Fraction(amount * (moment_ms - period[0]), period[1] - period[0]))  # Fraction rounds half to even


def included_units(segments: Sequence[Segment], *, period: tuple[int, int]) -> int:
    """Units included in the whole period: each plan's, in proportion to the time it was in force, rounded up once.

    They are one pool: who changes the plan keeps what was not used, and a day on a large plan includes a day's part
    of it. Time before the first and after the last segment counts as theirs, so a plan that never changed includes
    all its units in a short period too.
    """
    ends = [period[0], *(segment.start_ms for segment in segments[1:]), period[1]]
    weighted = sum(part.terms.included * (ends[i + 1] - ends[i]) for i, part in enumerate(segments))
    return ceil(Fraction(weighted, period[1] - period[0]))


def bill(segments: Sequence[Segment], *, period: tuple[int, int], credit_minor: int = 0) -> Bill:
    """The bill of one period, `(start_ms, end_ms)`, from its segments in order of time.

    - A plan's fee falls due for the time it was in force, by milliseconds; time on trial is free.
    - Units are included until the pool of the period is used up; the ones after that cost the price of the segment
      they were used in. A plan without such a price charges nothing for them: it had refused them.
    - Money for further units stays within the spend cap of the plan in force.
    - Credit pays for what it reaches, never more than the subtotal.

    Raises InputError `currencies_mixed` when plans of two currencies meet in one period.
    """
    assert segments, "a period without a subscription has no bill"
    assert credit_minor >= 0
    currencies = sorted({segment.terms.currency for segment in segments})
    if len(currencies) > 1:
        raise InputError(
            f"One period has plans in {' and '.join(currencies)}: they cannot stand on one invoice.",
            code="currencies_mixed",
            hint="Let a change of currency wait for the end of the period.",
        )
    currency = currencies[0]
    lines = [line for segment in segments for line in _fee(segment, period)]
    lines += _units(segments, included_units(segments, period=period))
    subtotal = sum(line.amount_minor for line in lines)
    used = min(credit_minor, subtotal)
    if used:
        evidence = {"credit_minor": used, "subtotal_minor": subtotal}
        lines.append(Line("credit", "Paid from credit", 1, str(Money(used, currency)), -used, evidence))
    return Bill(currency, tuple(lines), subtotal, subtotal - used)


def _fee(segment: Segment, period: tuple[int, int]) -> list[Line]:
    monthly, lines = segment.terms.monthly, []
    for start, end, free in ((segment.start_ms, segment.trial_ms, True), (segment.trial_ms, segment.end_ms, False)):
        if start == end:
            continue
        whole = (start, end) == period
        kind = "trial" if free else "plan" if whole else "proration"
        amount = 0 if free else share(monthly.amount_minor, start_ms=start, end_ms=end, period=period)
        words = {"trial": "trial", "plan": "monthly fee", "proration": "monthly fee, part of the period"}[kind]
        evidence = _named(segment) | {
            "from_ms": start, "to_ms": end, "period_start_ms": period[0], "period_end_ms": period[1],
            "monthly_minor": monthly.amount_minor,
        }  # fmt: skip
        lines.append(Line(kind, f"Plan {segment.plan}: {words}", 1, str(monthly), amount, evidence))
    return lines


def _units(segments: Sequence[Segment], pool: int) -> list[Line]:
    lines, before, spent = [], 0, 0
    for segment in segments:
        overage = segment.terms.overage
        inside = min(segment.units, max(0, pool - before)) if overage else segment.units
        beyond = segment.units - inside
        evidence = _named(segment) | {"units": segment.units, "units_before": before, "included_in_period": pool}
        price = f"0 {segment.terms.currency}"
        lines.append(Line("included", f"Plan {segment.plan}: included units", inside, price, 0, evidence))
        if overage and beyond:
            exact, cap = overage.times(beyond).amount_minor, segment.terms.spend_cap
            amount = exact if cap is None else min(exact, max(0, cap.amount_minor - spent))
            if amount < exact:
                assert cap is not None
                evidence = evidence | {"spend_cap_minor": cap.amount_minor, "without_cap_minor": exact}
            words = f"Plan {segment.plan}: further units"
            lines.append(Line("overage", words, beyond, str(overage), amount, evidence))
            spent += amount
        before += segment.units
    return lines


def _named(segment: Segment) -> dict[str, Any]:
    return {
        "plan": segment.plan,
        "subscription": segment.subscription_id,
        "price_version": segment.price_version,
    }
