"""Items that customers bring: kept on the disk, other workers, kills, other releases, people named in them, what is refused."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from tests.engines.shop import write_shop
from tradewind.clock import FixedClock, milliseconds
from tradewind.engines.recommendation import RecommendationEngine
from tradewind.errors import DataError, InputError
from tradewind.privacy.subjects import Subject, SubjectKey
from tradewind.server import item_feed
from tradewind.server.item_feed import ItemFeed, ItemFeeds
from tradewind.server.session_people import BroughtItems, expire_items

SCARF = {"item": "scarf", "columns": {"kind": "wear", "price": 4}}
RICE = {"item": "rice", "columns": {"kind": "food", "price": 1}}


@pytest.fixture(scope="module")
def engine(tmp_path_factory) -> RecommendationEngine:
    return RecommendationEngine.open(write_shop(tmp_path_factory.mktemp("shop")))


def first(engine, own, *history, k=2):
    return [one.item for one in engine.recommend(history, k, own=own).items]


def test_an_item_is_recommended_from_the_next_answer_on(engine, tmp_path):
    feed = ItemFeed(tmp_path, engine)
    told = feed.accept_items([SCARF, RICE, SCARF])
    assert (told.taken, told.replaced, told.passed_over) == (2, 0, 1)
    assert first(engine, feed.own(), "hat") == ["scarf", "cap"]
    again = feed.accept_items([SCARF, {"item": "tea", "columns": {"kind": "wear"}}])
    assert (again.taken, again.passed_over) == (0, 2)


def test_another_worker_sees_an_item_at_once_and_so_does_one_begun_later(engine, tmp_path):
    one, other = ItemFeed(tmp_path, engine), ItemFeed(tmp_path, engine)
    one.accept_items([SCARF])
    other.accept_items([RICE])
    assert one.own().names == other.own().names == ItemFeed(tmp_path, engine).own().names == ["scarf", "rice"]


def test_other_columns_take_the_place_of_the_former_for_all_workers(engine, tmp_path):
    one, other = ItemFeed(tmp_path, engine), ItemFeed(tmp_path, engine)
    one.accept_items([SCARF, RICE])
    assert first(engine, other.own(), "hat") == ["scarf", "cap"]
    told = one.accept_items([SCARF | {"columns": {"kind": "food", "price": 4}}, RICE])
    assert (told.taken, told.replaced, told.passed_over) == (1, 1, 1)
    for feed in (one, other, ItemFeed(tmp_path, engine)):
        assert first(engine, feed.own(), "hat") == ["cap", "tea"]
        assert set(feed.own().names) == {"scarf", "rice"}


def test_an_item_that_is_taken_away_is_gone_for_all_workers(engine, tmp_path):
    one, other = ItemFeed(tmp_path, engine), ItemFeed(tmp_path, engine)
    one.accept_items([SCARF, RICE])
    assert other.own().names == ["scarf", "rice"]
    one.remove_item("scarf")
    for feed in (one, other, ItemFeed(tmp_path, engine)):
        assert feed.own().names == ["rice"]
    with pytest.raises(InputError, match="no item 'scarf'") as caught:
        one.remove_item("scarf")
    assert caught.value.code == "input.item_unknown"
    assert one.accept_items([SCARF]).taken == 1


def test_an_item_that_does_not_come_again_ends(engine, tmp_path):
    clock, folder = FixedClock(datetime(2026, 3, 1, tzinfo=UTC)), tmp_path / "items/shop/acc_1"
    feed = ItemFeed(folder, engine, clock=clock)
    feed.accept_items([SCARF, RICE])
    assert expire_items(tmp_path, milliseconds(clock)) == 0
    clock.advance(2 * 86_400)
    assert feed.accept_items([RICE]).passed_over == 1
    assert expire_items(tmp_path, milliseconds(clock)) == 1
    assert feed.own().names == ["rice"]
    assert not any(b"scarf" in path.read_bytes() for path in folder.iterdir())


def test_what_holds_no_more_leaves_the_disk(engine, tmp_path):
    one, other = ItemFeed(tmp_path, engine), ItemFeed(tmp_path, engine)
    other.accept_items([RICE])
    for price in range(250):
        one.accept_items([{"item": "scarf", "columns": {"kind": "wear", "price": price}}])
    assert sum(path.stat().st_size for path in tmp_path.glob("events.*")) < 10_000
    assert one.own().names == other.own().names == ItemFeed(tmp_path, engine).own().names == ["rice", "scarf"]


def test_one_customer_does_not_see_the_items_of_another(engine, tmp_path):
    feeds = ItemFeeds(tmp_path, engine)
    feeds.of("acc_1").accept_items([SCARF])
    assert first(engine, feeds.own("acc_1"), "hat") == ["scarf", "cap"]
    assert feeds.own("acc_2") is None
    assert first(engine, feeds.own("acc_2"), "hat") == ["cap", "tea"]
    assert not (tmp_path / "acc_2").exists()


KILLED = """
import sys
from pathlib import Path
from tradewind.engines.recommendation import RecommendationEngine
from tradewind.server.item_feed import ItemFeed
feed = ItemFeed(Path(sys.argv[2]), RecommendationEngine.open(Path(sys.argv[1])))
for number in range(10**6):
    feed.accept_items([{"item": f"scarf {number}", "columns": {"kind": "wear", "price": number}}])
    if number >= 5:
        feed.remove_item(f"scarf {number - 5}")
    print(number, flush=True)
"""


def test_what_was_answered_survives_a_kill(engine, tmp_path):
    shop, folder = write_shop(tmp_path / "shop"), tmp_path / "items"
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(shop), str(folder)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            if int(line) >= 20:
                os.kill(writer.pid, signal.SIGKILL)
                break
        told = [int(line), *map(int, writer.stdout)][-1]
    names = set(ItemFeed(folder, engine).own().names)
    assert names >= {f"scarf {number}" for number in range(told - 3, told + 1)}
    assert not names & {f"scarf {number}" for number in range(told - 4)}


def test_a_release_that_knows_no_columns_leaves_all_out(engine, tmp_path):
    ItemFeed(tmp_path / "log", engine).accept_items([SCARF, RICE])
    bare = RecommendationEngine.open(write_shop(tmp_path / "bare", described=False))
    assert len(ItemFeed(tmp_path / "log", bare).own()) == 0
    with pytest.raises(DataError, match="no columns of items"):
        ItemFeed(tmp_path / "log", bare).accept_items([SCARF])


def test_columns_that_a_release_does_not_know_are_left_out(engine, tmp_path):
    own = engine.own()
    rows = [{"kind": "wear", "price": 4, "colour": "red"}, {"kind": "wear", "price": "dear"}]
    assert engine.add_known(rows, ["scarf", "fur"], own=own) == 1
    assert first(engine, own, "hat") == ["scarf", "cap"]


def test_a_person_who_is_named_in_an_item_is_struck_from_it_and_from_the_disk(engine, tmp_path):
    folder = tmp_path / "items/shop/acc_1"
    feed = ItemFeed(folder, engine)
    feed.accept_items([{"item": "scarf", "columns": {"kind": "Ann Miller", "price": 4}}, {"item": "ann miller", "columns": {"kind": "wear"}}, RICE])  # fmt: skip
    ann = Subject.of("ann miller", SubjectKey.open(tmp_path))
    (found,) = BroughtItems(tmp_path).find(ann)
    assert found.content["items"] == ["scarf", "ann miller"]
    assert [one.count for one in BroughtItems(tmp_path).erase(ann, redact=False).removed] == [2]
    assert BroughtItems(tmp_path).find(ann) == []
    assert set(feed.own().names) == {"scarf", "rice"}
    assert not any(b"iller" in path.read_bytes() for path in folder.iterdir())


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ([RICE, {"item": "scarf"}], "input.field"),
        ([RICE, {"item": "", "columns": {}}], "input.field"),
        ([RICE, {"item": "x" * 501, "columns": {"kind": "wear"}}], "input.field"),
        ([RICE, {"item": True, "columns": {"kind": "wear"}}], "input.field"),
        ([RICE, SCARF | {"price": 4}], "data.column_unknown"),
        ([RICE, {"item": "scarf", "columns": {"colour": "red"}}], "data.column_unknown"),
        ([RICE, {"item": "scarf", "columns": {"kind": "x" * 70_000}}], "data.item_too_long"),
    ],
)
def test_nothing_is_taken_where_one_item_is_wrong(engine, tmp_path, rows, code):
    feed = ItemFeed(tmp_path, engine)
    with pytest.raises((DataError, InputError)) as caught:
        feed.accept_items(rows)
    assert caught.value.code == code
    assert len(feed.own()) == 0
    assert feed.accept_items([RICE]).taken == 1


def test_there_is_an_end_of_items(engine, tmp_path):
    feed = ItemFeed(tmp_path, engine, most=2)
    feed.accept_items([SCARF])
    with pytest.raises(InputError) as caught:
        feed.accept_items([RICE, {"item": "oats", "columns": {"kind": "food"}}])
    assert caught.value.code == "input.too_many_items"
    assert feed.accept_items([RICE, SCARF]).taken == 1
    assert item_feed.MOST_ITEMS == 10_000
