"""Windows while a server runs: the same figures as a table's, in every worker, after every restart, for each customer alone."""

import numpy as np
import pytest

from tradewind.errors import DataError
from tradewind.features.window_table import of_table
from tradewind.features.windows import Window, Windows
from tradewind.server.window_feed import Accepted, Feeds, WindowFeed

HOUR_MS = 3_600_000
WINDOWS = Windows(
    "at",
    (
        Window("n", ("card",), HOUR_MS, "count"),
        Window("spent", ("card",), HOUR_MS, "sum", "amount"),
        Window("shops", ("card",), 24 * HOUR_MS, "distinct", "shop"),
        Window("pair", ("card", "shop"), 24 * HOUR_MS, "count"),
    ),
    id="id",
)


def _rows(count=200, seed=3):
    random = np.random.default_rng(seed)
    return [
        {
            "at": 1_700_000_000 + 97 * place, "card": f"card {random.integers(5)}", "shop": f"shop {random.integers(4)}",
            "amount": float(random.integers(1, 9999)) / 100, "id": place,
        }
        for place in range(count)
    ]  # fmt: skip


def _seal(word):
    return "#" + word[::-1]


def _table(rows):
    columns = {name: np.array([row[name] for row in rows], dtype=object) for name in WINDOWS.columns}
    return dict(of_table(WINDOWS, columns))


def test_workers_in_turn_see_what_a_table_shows(tmp_path):
    rows, table = _rows(), _table(_rows())
    workers = [WindowFeed(WINDOWS, tmp_path, _seal) for _ in range(3)]
    for place, row in enumerate(rows):
        feed = workers[place % 3]
        found = feed.ask_and_take(feed.of(row))
        assert found == {name: table[name][place] for name in WINDOWS.names}


def test_a_restarted_worker_goes_on_where_the_last_one_was(tmp_path):
    rows, table = _rows(), _table(_rows())
    WindowFeed(WINDOWS, tmp_path, _seal).accept_events(rows[:-1])
    feed = WindowFeed(WINDOWS, tmp_path, _seal)
    assert feed.ask_and_take(feed.of(rows[-1])) == {name: table[name][-1] for name in WINDOWS.names}


def test_an_event_that_comes_again_counts_once(tmp_path):
    feed = WindowFeed(WINDOWS, tmp_path, _seal)
    assert feed.accept_events(_rows(10)) == Accepted(10, 0)
    assert feed.accept_events(_rows(12)) == Accepted(2, 10)


def test_a_wrong_event_takes_none_of_its_batch(tmp_path):
    feed = WindowFeed(WINDOWS, tmp_path, _seal)
    with pytest.raises(DataError):
        feed.accept_events([*_rows(3), {"at": "soon", "card": "a"}])
    assert feed.events == 0


def test_no_word_of_a_customer_lies_on_the_disk(tmp_path):
    WindowFeed(WINDOWS, tmp_path, lambda word: "sealed").accept_events(_rows())
    assert b"card" not in (tmp_path / "events.0").read_bytes().replace(b"\xa4card", b"").replace(b"\xa9card+shop", b"")


def test_customers_do_not_see_each_other(tmp_path):
    feeds = Feeds(tmp_path, _seal)
    one, other = (feeds.open("cards", account, WINDOWS) for account in ("acc_1", "acc_2"))
    one.accept_events(_rows())
    assert other.ask_and_take(other.of(_rows()[-1]))["n"] == 0


def test_new_windows_of_a_release_are_filled_from_the_same_log(tmp_path):
    rows, feeds = _rows(), Feeds(tmp_path, _seal)
    feeds.open("cards", "acc_1", WINDOWS).accept_events(rows[:-1])
    wider = Windows("at", (Window("n_day", ("card",), 24 * HOUR_MS, "count"),), id="id")
    feed = feeds.open("cards", "acc_1", wider)
    expected = sum(row["card"] == rows[-1]["card"] for row in rows[:-1])
    assert feed.ask_and_take(feed.of(rows[-1])) == {"n_day": expected}


def test_a_long_log_is_compacted_and_the_figures_stay(tmp_path):
    rows, table = _rows(3000), _table(_rows(3000))
    feed, behind = WindowFeed(WINDOWS, tmp_path, _seal, compact_bytes=10_000), WindowFeed(WINDOWS, tmp_path, _seal)
    for place in range(0, 2990, 10):
        feed.accept_events(rows[place : place + 10])
    assert int(next(tmp_path.glob("events.*")).suffix[1:]) > 0
    assert sum(path.stat().st_size for path in tmp_path.glob("events.*")) < 300_000
    for reader in (behind, WindowFeed(WINDOWS, tmp_path, _seal)):
        assert reader.ask_and_take(reader.of(rows[2990])) == {name: table[name][2990] for name in WINDOWS.names}
