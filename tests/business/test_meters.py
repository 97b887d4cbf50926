"""Totals are the sum of the records, pages and CloudEvents hold each record once, and the counter beside them agrees."""

from datetime import datetime

import pytest
from sqlalchemy import update

from tests.business.billing import at, customer
from tradewind.business import meters
from tradewind.business.tables import quotas
from tradewind.errors import InputError


def filled(database, clock, count=7):
    who = customer(database)
    for number in range(count):
        if number % 3:  # some in the same millisecond
            clock.advance(1)
        who.use(number + 1)
    return who


def test_totals_count_units_by_meter_and_each_request_once(database, clock):
    who = customer(database)
    request = who.use(30, meter="prompt_tokens")
    who.use(12, meter="output_tokens", request=request)
    who.use(5)
    found = meters.usage(database, who.id)
    assert (found.units, found.requests, found.events) == (47, 2, 3)
    assert found.by_meter == {"output_tokens": 12, "prompt_tokens": 30, "rows": 5}


def test_totals_of_a_period_and_of_a_calendar_month(database, clock):
    who = customer(database)
    who.use(1)
    clock.moment = at("2026-04-02 00:00")
    who.use(10)
    clock.moment = at("2026-04-20 00:00")
    who.use(100)
    first_ms = int(at("2026-03-10 12:00").timestamp() * 1000)
    assert meters.usage(database, who.id, period_start_ms=first_ms).units == 11
    assert meters.usage(database, who.id, month="2026-04").units == 110
    assert meters.usage(database, who.id).units == 111


def test_an_account_sees_its_own_alone(database, clock):
    one, two = filled(database, clock), customer(database)
    assert meters.usage(database, two.id) == meters.Usage(0, 0, {}, 0)
    assert meters.records(database, two.id).records == ()
    theirs = meters.records(database, one.id).records[0].id
    with pytest.raises(InputError, match="no usage record"):
        meters.records(database, two.id, after=theirs)
    with pytest.raises(InputError, match="no account"):
        meters.usage(database, "acc_9")


@pytest.mark.parametrize("limit", [1, 2, 7, 100])
def test_pages_hold_each_record_once_in_order(database, clock, limit):
    who = filled(database, clock)
    found, after = [], None
    while True:
        page = meters.records(database, who.id, after=after, limit=limit)
        found += page.records
        after = page.after
        if after is None:
            break
    assert sorted(record.units for record in found) == [1, 2, 3, 4, 5, 6, 7]
    assert [record.at_ms for record in found] == sorted(record.at_ms for record in found)


def test_a_cloud_event_has_what_version_one_asks_for(database, clock):
    who = customer(database)
    request = who.use(3)
    (event,) = meters.cloud_events(database, source="/tradewind/credit-risk")
    assert event["specversion"] == "1.0"
    assert event["id"] == f"{request}:rows"
    assert (event["source"], event["type"], event["subject"]) == ("/tradewind/credit-risk", "tradewind.usage", who.id)
    assert datetime.fromisoformat(event["time"]) == at("2026-03-10 12:00")
    assert event["time"].endswith("Z")
    assert event["data"]["units"] == 3


def test_events_resume_after_any_of_them(database, clock):
    who = filled(database, clock)
    whole = list(meters.cloud_events(database))
    for place, event in enumerate(whole):
        assert list(meters.cloud_events(database, account_id=who.id, after=event["id"])) == whole[place + 1 :]


def test_events_stream_past_a_page(database, clock):
    filled(database, clock, count=9)
    ids = [event["id"] for event in meters.cloud_events(database, page=3)]
    assert len(ids) == len(set(ids)) == 9


def test_events_begin_at_a_moment(database, clock):
    who = filled(database, clock)
    last_ms = meters.records(database, who.id).records[-1].at_ms
    assert {e["data"]["units"] for e in meters.cloud_events(database, since_ms=last_ms)} <= {6, 7}


def test_an_event_that_is_not_there_is_no_place_to_resume(database):
    with pytest.raises(InputError, match="no usage record req_9:rows"):
        list(meters.cloud_events(database, after="req_9:rows"))


def test_the_counter_agrees_with_the_records_until_somebody_changes_it(database, clock):
    who = filled(database, clock)
    assert meters.agree(database) == []
    with database.writing() as connection:
        connection.execute(update(quotas).values(used=29))
    (says,) = meters.agree(database, account_id=who.id)
    assert "the records say 28 units in 7 requests, the counter 29 in 7" in says
