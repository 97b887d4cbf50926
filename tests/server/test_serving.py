"""A promoted release takes its place while requests run; a broken one is refused and the old one stays."""

import asyncio
import threading

import httpx
import pytest

from tests.server.releases import make_release
from tests.server.running import running
from tradewind.artifacts import Workspace
from tradewind.errors import ArtifactError, InputError
from tradewind.release.registry import Registry, promote, roll_back
from tradewind.server.app import create_app
from tradewind.server.gate import OpenGate
from tradewind.server.observe import Observer
from tradewind.server.problems import problem_of
from tradewind.server.serving import Place, Shelf


@pytest.fixture
def events():
    return []


@pytest.fixture
def open_shelf(homes, events):
    shelf = Shelf([Place(workspace) for workspace in homes], log=events.append, poll_s=0.02).open()
    yield shelf
    shelf.close()


def test_products_stand_side_by_side_and_the_candidate_serves_where_none_was_promoted(open_shelf):
    assert {served.product: served.release for served in open_shelf} == {"churn": "v1", "price": "v1"}
    assert open_shelf.get("churn").classes == ("no", "yes")


def test_a_promotion_and_a_roll_back_are_followed(open_shelf, homes):
    promote(homes[0], "v2")
    open_shelf.look()
    assert open_shelf.get("churn").release == "v2"
    roll_back(homes[0])
    open_shelf.look()
    assert open_shelf.get("churn").release == "v1"


def test_who_holds_the_old_release_keeps_it(open_shelf, homes):
    held = open_shelf.get("churn")
    promote(homes[0], "v2")
    open_shelf.look()

    async def ask():
        return await held.batcher.submit([{"x0": 1.0}])

    assert asyncio.run(ask())[0][0] in ("no", "yes")
    assert held.release == "v1"


def test_a_release_with_a_changed_byte_is_refused_and_the_old_one_stays(open_shelf, homes, events):
    registry = Registry.open(homes[0])
    graph = registry.path(registry.find("v2")) / "model.onnx"
    graph.write_bytes(graph.read_bytes() + b"\0")
    promote(homes[0], "v2")
    open_shelf.look()
    assert open_shelf.get("churn").release == "v1"
    assert events[-1]["event"] == "release_refused"
    assert "bytes are not those" in events[-1]["reason"]
    count = len(events)
    open_shelf.look()
    assert len(events) == count  # said once, not every half second


def test_a_broken_registry_changes_nothing(open_shelf, homes, events):
    (homes[0].home / "registry.json").write_text("{")
    open_shelf.look()
    assert open_shelf.get("churn").release == "v1"
    assert events[-1]["event"] == "release_refused"


def test_a_pinned_version_is_loaded_once(open_shelf):
    assert open_shelf.get("churn", "v2") is None
    first = asyncio.run(open_shelf.fetch("churn", "v2"))
    assert first.release == "v2"
    assert open_shelf.get("churn", "2") is first
    assert open_shelf.get("churn").release == "v1"


@pytest.mark.parametrize("release", ["v9", "x", "v", "-1", "v²", "9" * 30, "live"])
def test_an_unknown_version_is_refused(open_shelf, release):
    with pytest.raises(InputError) as caught:
        asyncio.run(open_shelf.fetch("churn", release))
    assert caught.value.code == "input.release_unknown"


def test_a_pinned_release_that_cannot_be_checked_is_no_fault_of_the_caller(open_shelf, homes):
    (homes[0].keys / "signing.pub.pem").write_text("no key")
    with pytest.raises(ArtifactError) as caught:
        asyncio.run(open_shelf.fetch("churn", "v2"))
    assert problem_of(caught.value).status == 500
    assert b"key" not in problem_of(caught.value).body("req_1")


def test_a_release_made_after_the_start_appears(tmp_path, events):
    workspace = Workspace(tmp_path / "late")
    shelf = Shelf([Place(workspace)], log=events.append, poll_s=0.02).open()
    assert len(shelf) == 0
    make_release(workspace)
    shelf.look()
    assert [served.product for served in shelf] == ["churn"]
    shelf.close()


def test_two_workspaces_with_one_product_do_not_fight(homes, tmp_path, events):
    twin = Workspace(tmp_path / "twin")
    make_release(twin, seed=5)
    shelf = Shelf([Place(homes[0]), Place(twin)], log=events.append).open()
    assert len(shelf) == 1
    assert "Two workspaces" in events[-1]["reason"]
    shelf.close()


def test_no_request_fails_while_releases_change_under_load(open_shelf, homes):
    open_shelf.watch()
    seen, failures, stop = set(), [], threading.Event()

    def load(address):
        with httpx.Client(base_url=f"http://{address}", timeout=20) as client:
            while not stop.is_set():
                reply = client.post("/v1/predict", json={"model": "churn", "inputs": [{"x0": 1}]})
                if reply.status_code == 200:
                    seen.add(reply.json()["release"])
                else:
                    failures.append(reply.text)

    with running(create_app(open_shelf, OpenGate(), observer=Observer(out=None))) as address:
        threads = [threading.Thread(target=load, args=(address,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for name in ("v2", "v1", "v2", "v1"):
            promote(homes[0], name)
            for _ in range(500):
                if open_shelf.get("churn").release == name:
                    break
                threading.Event().wait(0.01)
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []
    assert seen == {"v1", "v2"}
