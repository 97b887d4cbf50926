"""What was built is ended when its time is over, while the server runs; what has no end stays."""

import fcntl
import time
from datetime import UTC, datetime

import pytest

from tradewind.artifacts import Workspace, all_artifacts, tombstones
from tradewind.clock import FixedClock
from tradewind.privacy.subjects import SubjectKey
from tradewind.server.item_feed import ItemLog, Record
from tradewind.server.keeping import Keeper, Kept
from tradewind.server.session_feed import SessionFeed

DAY_MS = 86_400_000


@pytest.fixture
def clock():
    return FixedClock(datetime(2026, 3, 10, 12, tzinfo=UTC))


@pytest.fixture
def workspace(tmp_path, clock):
    made = Workspace(tmp_path, clock)
    for kind in ("dataset", "run", "release"):
        with made.making(kind, {"kind": kind}) as folder:
            (folder / "rows").write_text("rows of people")
    return made


def left(workspace):
    return {kind for kind in ("dataset", "run", "release") if all_artifacts(workspace, kind)}


def test_each_kind_ends_at_its_own_time(workspace, clock):
    keeper = Keeper([Kept(workspace, {"dataset": DAY_MS, "run": 3 * DAY_MS})])
    keeper.sweep()
    assert left(workspace) == {"dataset", "run", "release"}
    clock.advance(86_401)
    keeper.sweep()
    assert left(workspace) == {"run", "release"}
    clock.advance(2 * 86_400)
    keeper.sweep()
    assert left(workspace) == {"release"}
    assert [stone["why"] for stone in tombstones(workspace, "dataset")] == ["retention"]


def test_it_runs_by_itself(workspace, clock):
    keeper = Keeper([Kept(workspace, {"dataset": DAY_MS})], every_s=0.01)
    keeper.start()
    clock.advance(86_401)
    ends = time.monotonic() + 20
    while "dataset" in left(workspace) and time.monotonic() < ends:
        time.sleep(0.02)
    keeper.stop()
    assert left(workspace) == {"run", "release"}


def test_another_process_at_it_is_left_alone(workspace, clock, tmp_path):
    clock.advance(86_401)
    (tmp_path / "privacy").mkdir()
    with (tmp_path / "privacy" / ".keep.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        Keeper([Kept(workspace, {"dataset": DAY_MS})]).sweep()
    assert "dataset" in left(workspace)


def test_what_fails_is_told_and_done_in_the_next_round(workspace, clock):
    clock.advance(86_401)
    record = next((workspace.home / "datasets").glob("*/artifact.json"))
    whole = record.read_bytes()
    record.write_text("{")
    told = []
    keeper = Keeper([Kept(workspace, {"dataset": DAY_MS})], log=told.append)
    keeper.sweep()
    assert [one["event"] for one in told] == ["artifacts_not_swept"]
    record.write_bytes(whole)
    keeper.sweep()
    assert "dataset" not in left(workspace)


def test_what_users_met_ends_too(workspace, clock, tmp_path):
    feed = SessionFeed(tmp_path / "sessions/shop/acc_1", SubjectKey.open(tmp_path))
    now = clock.now().timestamp()
    feed.accept_events(
        [{"user": "ann", "item": item, "time": at} for item, at in (("old", now - 2 * 86_400), ("new", now))]
    )
    told = []
    log = ItemLog(tmp_path / "items/shop/acc_1")
    with log.turn():
        log.write([Record(item, {}, round(1000 * at)) for item, at in (("tea", now - 2 * 86_400), ("cup", now))])
    Keeper([Kept(workspace, {}, events_ms=DAY_MS, items_ms=DAY_MS)], log=told.append).sweep()
    assert feed.history("ann") == ["new"]
    with log.turn():
        assert list(log.rows) == ["cup"]
    assert told == [{"event": "events_ended", "count": 1}, {"event": "items_ended", "count": 1}]
