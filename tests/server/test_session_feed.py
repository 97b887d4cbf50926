"""What users met, kept on the disk: order, repeats, other workers, forgetting, what is refused."""

import os
import signal
import subprocess
import sys

import pytest

from tradewind.errors import DataError
from tradewind.privacy.subjects import Subject, SubjectKey
from tradewind.server.session_feed import SessionFeed, SessionFeeds
from tradewind.server.session_people import Sessions, expire_events

KEY = SubjectKey(bytes(32))


def events(*items, user="ann", start=1_700_000_000):
    return [{"user": user, "item": item, "time": start + at} for at, item in enumerate(items)]


def test_a_history_is_in_order_of_time_whatever_the_order_of_arrival(tmp_path):
    feed = SessionFeed(tmp_path, KEY)
    assert feed.accept_events(events("a", "b", "c")[::-1]).taken == 3
    assert feed.history("ann") == ["a", "b", "c"]
    assert feed.history("bob") == []


def test_an_event_that_comes_twice_counts_once(tmp_path):
    feed = SessionFeed(tmp_path, KEY)
    one = {"user": "ann", "item": "a", "id": "e1"}
    told = feed.accept_events([one, one])
    assert (told.taken, told.passed_over) == (1, 1)
    assert feed.accept_events([one]).passed_over == 1


def test_another_worker_sees_an_event_at_once_and_so_does_a_later_one(tmp_path):
    first, second = SessionFeed(tmp_path, KEY), SessionFeed(tmp_path, KEY)
    first.accept_events(events("a", 7))
    assert second.history("ann") == SessionFeed(tmp_path, KEY).history("ann") == ["a", "7"]


def test_an_erased_person_is_gone_from_every_worker_and_from_the_disk_in_every_spelling(tmp_path):
    key = SubjectKey.open(tmp_path)
    folder = tmp_path / "sessions/shop/acc_1"
    first, second = SessionFeed(folder, key), SessionFeed(folder, key)
    first.accept_events([*events("secret-item", user="Ann"), *events("c", user="ann "), *events("b", user="bob")])
    holder, ann = Sessions(tmp_path), Subject.of("ann", key)
    (item,) = holder.find(ann)
    assert sorted(item.content["items"]) == ["c", "secret-item"]
    assert [one.count for one in holder.erase(ann, redact=False).removed] == [2]
    assert holder.find(ann) == []
    assert first.history("Ann") == second.history("ann ") == []
    assert SessionFeed(folder, key).history("bob") == ["b"]
    assert not any(b"secret-item" in path.read_bytes() for path in folder.iterdir())


def test_an_erased_person_leaves_the_disk_though_another_worker_rewrites_it_first(tmp_path, monkeypatch):
    erasing, other = SessionFeed(tmp_path, KEY), SessionFeed(tmp_path, KEY)
    erasing.accept_events([*events("secret-item"), *events("b", user="bob")])
    other.history("bob")
    rewrite, asked = erasing._log.compact, []

    def after_another(keep):
        if not asked:
            other._log.compact(lambda payload: True)  # it does not know yet who is to be forgotten
        asked.append(rewrite(keep))
        return asked[-1]

    monkeypatch.setattr(erasing._log, "compact", after_another)
    erasing.forget(KEY.digest("ann"))
    assert asked == [False, True]
    assert not any(b"secret-item" in path.read_bytes() for path in tmp_path.iterdir())
    assert other.history("ann") == []
    assert other.history("bob") == ["b"]


def test_no_name_of_a_user_lies_on_the_disk(tmp_path):
    SessionFeed(tmp_path, KEY).accept_events(events("a", user="ann@example.org"))
    assert not any(b"ann@example.org" in path.read_bytes() for path in tmp_path.iterdir())


@pytest.mark.parametrize(
    ("row", "code", "where"),
    [
        ({"user": "ann"}, "event_incomplete", "item"),
        ({"item": "a", "user": " "}, "event_incomplete", "user"),
        ({"user": "ann", "item": "a", "time": "yesterday"}, "time", "time"),
        ({"user": "ann", "item": "a", "price": 3}, "column_unknown", "price"),
    ],
)
def test_a_wrong_event_is_named_and_none_is_taken(tmp_path, row, code, where):
    feed = SessionFeed(tmp_path, KEY)
    with pytest.raises(DataError) as caught:
        feed.accept_events([*events("a"), row])
    assert (caught.value.code, caught.value.where) == (f"data.{code}", where)
    assert "Event 2" in str(caught.value)
    assert feed.history("ann") == []


def test_customers_do_not_see_each_others_events(tmp_path):
    feeds = SessionFeeds(tmp_path, KEY)
    feeds.of("acc_1").accept_events(events("a"))
    assert feeds.of("acc_2").history("ann") == []


def test_a_killed_worker_loses_nothing_it_had_taken(tmp_path):
    script = (
        "import sys; from pathlib import Path; from tradewind.server.session_feed import SessionFeed\n"
        "from tradewind.privacy.subjects import SubjectKey\n"
        "feed = SessionFeed(Path(sys.argv[1]), SubjectKey(bytes(32)))\n"
        "for at in range(10**6):\n"
        "    feed.accept_events([{'user': 'ann', 'item': f'i{at}', 'time': 1_700_000_000 + at}]); print(at, flush=True)\n"
    )
    worker = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    told = [int(worker.stdout.readline()) for _ in range(50)]
    os.kill(worker.pid, signal.SIGKILL)
    told += [int(line) for line in worker.stdout.read().splitlines() if line.isdigit()]
    worker.stdout.close()
    worker.wait()
    assert set(SessionFeed(tmp_path, KEY).history("ann")) >= {f"i{at}" for at in told[-50:]}


def test_what_is_over_goes_from_every_worker_and_from_the_disk(tmp_path):
    folder = tmp_path / "sessions/shop/acc_1"
    key = SubjectKey.open(tmp_path)
    first, second = SessionFeed(folder, key), SessionFeed(folder, key)
    first.accept_events([*events("old-item", "b", "c"), *events("only-old", user="bob")])
    assert second.history("ann") == ["old-item", "b", "c"]
    assert expire_events(tmp_path, 1_700_000_001_000) == 2
    assert expire_events(tmp_path, 1_700_000_001_000) == 0
    assert (first.history("ann"), second.history("ann"), second.history("bob")) == (["b", "c"], ["b", "c"], [])
    assert SessionFeed(folder, key).history("ann") == ["b", "c"]
    assert not any(b"old" in path.read_bytes() for path in folder.iterdir())
