"""Months from an anchor lie end to end, for every anchor: the 31st, leap years, and before the anchor too."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tradewind.business.periods import Period, boundary, period_at

MOMENTS = st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2090, 1, 1), timezones=st.just(UTC))


def ms(moment):
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def day(text):
    return ms(datetime.fromisoformat(text).replace(tzinfo=UTC))


def test_the_31st_falls_on_the_last_day_and_comes_back():
    anchor = day("2026-01-31T08:30:00.125")
    found = [boundary(anchor, months) for months in range(-2, 5)]
    assert found == [
        day(f"{date}T08:30:00.125")
        for date in ("2025-11-30", "2025-12-31", "2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31")
    ]


def test_a_leap_day_is_used_where_there_is_one():
    assert boundary(day("2027-12-31"), 2) == day("2028-02-29")
    assert boundary(day("2028-02-29"), 12) == day("2029-02-28")
    assert boundary(day("2028-02-29"), 48) == day("2032-02-29")


def test_a_period_begins_with_its_boundary_and_ends_before_the_next():
    anchor = day("2026-01-31")
    second = Period(day("2026-02-28"), day("2026-03-31"))
    assert period_at(anchor, second.start_ms) == second
    assert period_at(anchor, second.end_ms - 1) == second
    assert period_at(anchor, second.start_ms - 1) == Period(anchor, second.start_ms)
    assert second.end_ms - second.start_ms == 31 * 86_400_000


@given(anchor=MOMENTS, moment=MOMENTS)
def test_each_moment_is_in_exactly_one_period(anchor, moment):
    period = period_at(ms(anchor), ms(moment))
    assert period.start_ms <= ms(moment) < period.end_ms
    for inside in (period.start_ms, (period.start_ms + period.end_ms) // 2, period.end_ms - 1):
        assert period_at(ms(anchor), inside) == period


@given(anchor=MOMENTS, moment=MOMENTS)
def test_periods_touch_without_gap_or_overlap(anchor, moment):
    period = period_at(ms(anchor), ms(moment))
    assert period_at(ms(anchor), period.end_ms).start_ms == period.end_ms
    assert period_at(ms(anchor), period.start_ms - 1).end_ms == period.start_ms


@given(anchor=MOMENTS, months=st.integers(-600, 600))
def test_a_boundary_is_a_month_apart_at_the_same_time_of_day(anchor, months):
    start, end = boundary(ms(anchor), months), boundary(ms(anchor), months + 1)
    assert 28 <= (end - start) // 86_400_000 <= 31
    assert (end - start) % 86_400_000 == 0
    assert boundary(ms(anchor), 0) == ms(anchor)
