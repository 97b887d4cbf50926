"""Identifiers name their kind, sort by time and do not repeat."""

from datetime import UTC, datetime

from tradewind.clock import FixedClock, stamp
from tradewind.ids import new_id


def test_ids_sort_by_the_time_they_were_made():
    clock = FixedClock(datetime(2026, 11, 23, tzinfo=UTC))
    made = []
    for _ in range(50):
        made.append(new_id("rel", clock=clock))
        clock.advance(0.001)
    assert made == sorted(made)
    assert len(set(made)) == 50
    assert all(one.startswith("rel_") and len(one) == 30 for one in made)


def test_two_ids_of_one_moment_differ():
    clock = FixedClock(datetime(2026, 11, 23, tzinfo=UTC))
    assert new_id("a", clock=clock) != new_id("a", clock=clock)


def test_a_stamp_is_utc_to_the_second():
    assert stamp(datetime(2026, 11, 23, 20, 15, 7, 999, tzinfo=UTC)) == "2026-11-23T20:15:07Z"
