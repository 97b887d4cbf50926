"""A period is cut where the plan changed, and every recorded unit lies in one of its segments."""

import pytest
from sqlalchemy import update

from tests.business.billing import PRO, at, customer
from tradewind.business import accounts, plans
from tradewind.business.segments import latest_period, month_period, month_segments, parse_month, segments
from tradewind.business.tables import usage_events
from tradewind.errors import InputError
from tradewind.tariff import Plan

LARGE = Plan(monthly="999 CNY", included=9_000, overage="0.01 CNY")


def ms(text):
    return int(at(text).timestamp() * 1000)


def cut(database, who, text):
    with database.reading() as connection:
        return segments(connection, who.id, period=latest_period(connection, who.id, at_ms=ms(text)))


def test_an_unchanged_plan_is_one_segment_over_the_whole_period(database):
    who = customer(database)
    who.use(7)
    (part,) = cut(database, who, "2026-03-20")
    assert (part.start_ms, part.end_ms, part.units) == (ms("2026-03-10 12:00"), ms("2026-04-10 12:00"), 7)


def test_a_change_now_cuts_the_period_and_the_units(database, clock):
    who = customer(database)
    who.use(7)
    clock.moment = at("2026-03-20 00:00")
    plans.change(database, who.id, plan="large", terms=LARGE, actor="test")
    who.use(11)
    one, two = cut(database, who, "2026-03-25")
    assert (one.plan, one.units, two.plan, two.units) == ("pro", 7, "large", 11)
    assert one.end_ms == two.start_ms == ms("2026-03-20")


def test_a_plan_changed_in_the_moment_it_began_keeps_its_units_and_costs_no_time(database):
    who = customer(database)
    who.use(7)
    plans.change(database, who.id, plan="large", terms=LARGE, actor="test")
    one, two = cut(database, who, "2026-03-25")
    assert (one.end_ms - one.start_ms, one.units, two.units) == (0, 7, 0)


def test_units_written_under_a_subscription_of_before_count_from_the_beginning(database):
    who = customer(database)
    who.use(7)
    with database.writing() as connection:
        connection.execute(update(usage_events).values(subscription_id="sub_of_before"))
    (part,) = cut(database, who, "2026-03-20")
    assert part.units == 7


@pytest.mark.parametrize("how", ["cancel", "close"])
def test_the_last_segment_ends_with_the_subscription(database, clock, how):
    who = customer(database)
    if how == "cancel":
        plans.cancel(database, who.id, actor="test")
        assert cut(database, who, "2026-06-01")[-1].end_ms == ms("2026-04-10 12:00")
    else:
        clock.moment = at("2026-03-20 00:00")
        accounts.close(database, who.id, actor="test")
        assert cut(database, who, "2026-06-01")[-1].end_ms == ms("2026-03-20")


def test_who_comes_back_has_periods_of_a_new_anchor(database, clock):
    who = customer(database)
    plans.cancel(database, who.id, actor="test")
    clock.moment = at("2026-04-15 00:00")
    plans.subscribe(database, who.id, plan="pro", terms=PRO, actor="test")
    (part,) = cut(database, who, "2026-04-20")
    assert (part.start_ms, part.end_ms) == (ms("2026-04-15"), ms("2026-05-15"))


def test_a_calendar_month_counts_units_by_their_time(database, clock):
    who = customer(database)
    who.use(7)
    clock.moment = at("2026-04-01 00:00")
    who.use(11)
    with database.reading() as connection:
        (part,) = month_segments(connection, who.id, month=parse_month("2026-03"))
        assert (part.units, part.start_ms, part.end_ms) == (7, ms("2026-03-10 12:00"), ms("2026-04-01"))
        assert month_segments(connection, who.id, month=parse_month("2026-02")) == ()


def test_the_period_of_a_month_is_the_one_that_begins_in_it(database):
    who = customer(database)
    with database.reading() as connection:
        assert month_period(connection, who.id, month="2026-05").start_ms == ms("2026-05-10 12:00")


@pytest.mark.parametrize("month", ["2026-13", "2026-00", "26-01", "2026-1", "1969-12", "", "2026-01-01"])
def test_what_is_no_month_is_refused(month):
    with pytest.raises(InputError, match="Write year and month"):
        parse_month(month)


def test_an_account_that_never_subscribed_has_no_period(database):
    account = accounts.add(database, "Nobody", actor="test")
    with database.reading() as connection, pytest.raises(InputError, match="no subscription"):
        latest_period(connection, account.id, at_ms=0)
