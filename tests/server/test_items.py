"""`/v1/items` over HTTP: brought, replaced, listed and taken away, in every worker at once, and nobody else's."""

from contextlib import contextmanager

import httpx
import pytest

from tests.engines.shop import write_shop
from tests.server.running import running
from tradewind.business import accounts, keys, plans
from tradewind.engines.recommendation import RecommendationEngine
from tradewind.privacy.subjects import SubjectKey
from tradewind.server import items
from tradewind.server.app import create_app
from tradewind.server.auth import Authenticator
from tradewind.server.item_feed import ItemFeeds
from tradewind.server.metering import Meter
from tradewind.server.observe import Observer
from tradewind.server.served_recommendation import ServedRecommender
from tradewind.server.serving import Shelf
from tradewind.server.session_feed import SessionFeeds
from tradewind.tariff import Plan

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
TERMS = Plan.model_validate({"monthly": "9 CNY", "included": 1000})
SCARF = {"item": "silk/wool scarf", "columns": {"kind": "wear", "price": 4}}
RICE = {"item": "米", "columns": {"kind": "food", "price": 1}}


@pytest.fixture(scope="module")
def engine(tmp_path_factory) -> RecommendationEngine:
    return RecommendationEngine.open(write_shop(tmp_path_factory.mktemp("shop")))


class Worker:
    def __init__(self, client):
        self.client = client

    def call(self, secret, method, path, status=200, **more):
        reply = self.client.request(method, path, headers={"authorization": f"Bearer {secret}"}, **more)
        assert reply.status_code == status, reply.text
        return reply.json()

    def bring(self, secret, *brought):
        told = self.call(secret, "POST", "/v1/items", json={"model": "shop", "items": list(brought)})
        return told["taken"], told["replaced"], told["passed_over"]

    def listed(self, secret, **more):
        return self.call(secret, "GET", "/v1/items", params={"model": "shop", **more})

    def first(self, secret, **asked):
        content = {"model": "shop", "inputs": [{"history": ["hat"], "k": 2, **asked}]}
        (output,) = self.call(secret, "POST", "/v1/predict", json=content)["outputs"]
        return [one["item"] for one in output["items"]]


@contextmanager
def worker(engine, database, home):
    """A server as a worker runs it, over the database and the workspace that others share."""
    shelf = Shelf([])
    shelf.put(ServedRecommender(
        "shop", 1, "sha256:0", 0, {}, {}, engine=engine, sessions=SessionFeeds(home / "sessions", SubjectKey.open(home)),
        items=ItemFeeds(home / "items", engine), columns={},
    ))  # fmt: skip
    meter = Meter(database, home / "journals", Authenticator(database))
    app = create_app(shelf, meter, observer=Observer(out=None), extra_routers=[items.router])
    app.rest.state.authenticate = meter.authenticator.access

    async def start_then_serve(scope, receive, send):
        await meter.start()
        await app(scope, receive, send)

    with running(start_then_serve) as address, httpx.Client(base_url=f"http://{address}", timeout=20) as client:
        yield Worker(client)
    shelf.close()


@pytest.fixture
def one(engine, database, tmp_path):
    with worker(engine, database, tmp_path) as made:
        yield made


def secret_of(database, name, scopes=("predict",)):
    made = accounts.add(database, name, email=f"{name}@example.com", actor="test")
    plans.subscribe(database, made.id, plan="pro", terms=TERMS, actor="test")
    return keys.issue(database, made.id, name=name, scopes=list(scopes), actor="test").secret


def test_an_item_is_brought_replaced_listed_and_taken_away_in_every_worker(one, engine, database, tmp_path):
    ann = secret_of(database, "ann")
    with worker(engine, database, tmp_path) as other:
        assert one.bring(ann, SCARF, RICE) == (2, 0, 0)
        assert other.first(ann) == ["silk/wool scarf", "cap"]
        assert one.bring(ann, SCARF) == (0, 0, 1)
        dearer = {"item": "silk/wool scarf", "columns": {"kind": "wear", "price": 400}}
        assert other.bring(ann, dearer) == (1, 1, 0)
        assert one.first(ann, where={"price": {"min": 300}}) == ["silk/wool scarf"]
        assert one.listed(ann) == {"items": [dearer, RICE], "next": None}
        assert one.call(ann, "DELETE", "/v1/items/silk%2Fwool%20scarf", params={"model": "shop"}) == {
            "removed": "silk/wool scarf"
        }
        assert other.first(ann) == ["cap", "米"] or "silk/wool scarf" not in other.first(ann)
        assert [row["item"] for row in other.listed(ann)["items"]] == ["米"]
    with worker(engine, database, tmp_path) as begun_later:
        assert begun_later.listed(ann)["items"] == [RICE]


def test_a_list_has_pages(one, database):
    ann = secret_of(database, "ann")
    one.bring(ann, *({"item": f"i{at}", "columns": {"kind": "food"}} for at in range(5)))
    page = one.listed(ann, limit=3)
    assert ([row["item"] for row in page["items"]], page["next"]) == (["i0", "i1", "i2"], "i2")
    page = one.listed(ann, limit=3, after=page["next"])
    assert ([row["item"] for row in page["items"]], page["next"]) == (["i3", "i4"], None)


def test_nobody_sees_or_removes_the_items_of_another(one, database):
    ann, ben = secret_of(database, "ann"), secret_of(database, "ben")
    one.bring(ann, SCARF)
    assert one.listed(ben) == {"items": [], "next": None}
    path = "/v1/items/silk%2Fwool%20scarf"
    assert "ann" not in str(one.call(ben, "DELETE", path, 404, params={"model": "shop"}))
    assert one.listed(ann)["items"] == [SCARF]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/items", 400, "input.field"),
        ("GET", "/v1/items?model=nothing", 404, "input.model_unknown"),
        ("GET", "/v1/items?model=shop&limit=0", 400, "input.field"),
        ("DELETE", "/v1/items/tea?model=shop", 404, "input.item_unknown"),
        ("PUT", "/v1/items", 405, "input.method_not_allowed"),
    ],
)
def test_what_is_wrong_is_told(one, database, method, path, status, code):
    assert one.call(secret_of(database, "ann"), method, path, status)["error"]["code"] == code


def test_a_key_that_may_not_predict_reads_and_removes_nothing(one, database):
    clerk = secret_of(database, "ann", scopes=["usage"])
    assert one.call(clerk, "GET", "/v1/items?model=shop", 403)["error"]["code"] == "input.scope_missing"
    assert one.call(clerk, "DELETE", "/v1/items/tea?model=shop", 403)["error"]["code"] == "input.scope_missing"


def test_the_openapi_document_has_all_three(one):
    paths = one.client.get("/openapi.json").json()["paths"]
    assert set(paths["/v1/items"]) == {"get", "post"}
    assert "delete" in paths["/v1/items/{item}"]
