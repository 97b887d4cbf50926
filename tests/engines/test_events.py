"""Events since the release: in order of time, once each, bounded, and gone when somebody is forgotten."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tradewind.engines.events import Event, MemoryEvents
from tradewind.errors import DataError


def test_a_history_is_in_order_of_time_however_late_an_event_comes():
    events = MemoryEvents()
    assert events.append([Event("ann", "cup", 20), Event("ann", "jar", 30), Event("ann", "tea", 10)]) == 3
    assert events.history("ann") == ["tea", "cup", "jar"]


def test_events_of_one_moment_stand_as_they_came():
    events = MemoryEvents()
    events.append([Event("ann", item, 5) for item in ("tea", "cup", "pot")])
    assert events.history("ann") == ["tea", "cup", "pot"]


def test_an_id_counts_once():
    events = MemoryEvents()
    assert events.append([Event("ann", "tea", 1, id="a"), Event("ann", "tea", 1, id="a")]) == 1
    assert events.append([Event("ann", "cup", 2, id="a"), Event("ann", "cup", 2)]) == 1
    assert events.history("ann") == ["tea", "cup"]


def test_only_the_latest_events_and_users_are_kept():
    events = MemoryEvents(most_users=2, most_events=3)
    events.append([Event("ann", str(at), at) for at in range(5)])
    assert events.history("ann") == ["2", "3", "4"]
    events.append([Event("bob", "tea", 9), Event("ann", "5", 9), Event("cid", "tea", 9)])
    assert events.history("bob") == []
    assert events.history("ann") == ["3", "4", "5"]


def test_who_is_forgotten_has_no_history():
    events = MemoryEvents()
    events.append([Event("ann", "tea", 1), Event("ann", "cup", 2), Event("bob", "tea", 1)])
    assert (events.forget("ann"), events.forget("ann")) == (2, 0)
    assert (events.history("ann"), events.history("bob")) == ([], ["tea"])


@pytest.mark.parametrize(("event", "where"), [(Event("", "tea", 1), "user"), (Event("ann", "", 1), "item")])
def test_half_an_event_is_refused_and_nothing_beside_it_is_kept(event, where):
    events = MemoryEvents()
    with pytest.raises(DataError) as caught:
        events.append([Event("ann", "cup", 1), event])
    assert (caught.value.code, caught.value.where) == ("data.event_incomplete", where)
    assert events.history("ann") == []


def test_events_of_several_threads_are_all_kept():
    events = MemoryEvents(most_events=1000)
    with ThreadPoolExecutor(4) as threads:
        told = list(threads.map(lambda at: events.append([Event("ann", str(at), at)]), range(400)))
    assert sum(told) == 400
    assert events.history("ann") == [str(at) for at in range(400)]
