"""Customers' own documents and intents over HTTP: used at once, by nobody else, and there again after a restart or a promotion."""

from __future__ import annotations

import shutil
from contextlib import contextmanager

import httpx
import pytest

from tests.server.running import Metered, running
from tests.server.support_release import make_support
from tradewind.artifacts import Workspace
from tradewind.business import accounts, customer_texts, keys, plans
from tradewind.business.customer_texts import CustomerTexts, Place
from tradewind.privacy.subjects import Subject, SubjectKey
from tradewind.privacy.vault import Vault
from tradewind.release.registry import promote
from tradewind.server import account, documents, intents
from tradewind.server.app import create_app
from tradewind.server.auth import Authenticator
from tradewind.server.library import Library
from tradewind.server.metering import Meter
from tradewind.server.serving import Place as Workplace
from tradewind.server.serving import Shelf
from tradewind.tariff import Plan

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
TERMS = Plan.model_validate({"monthly": "9 CNY", "included": 1000})
DOCUMENT = {"name": "hours.md", "text": "# Hours\n\nThe desk is open from nine to five.", "tags": ["desk"]}
LOST = {
    "model": "support",
    "name": "lost card",
    "examples": ["I lost my bank card", "my bank card is gone", "card stolen"],
}


@pytest.fixture(scope="session")
def made_support(tmp_path_factory):
    """v1 is live; v2, by another encoder, lies beside it."""
    workspace = Workspace(tmp_path_factory.mktemp("support") / "home")
    make_support(workspace, seed=1)
    make_support(workspace, seed=2, live=False)
    return workspace


class Desk:
    """A server as a worker runs it, over one database."""

    def __init__(self, client, shelf, meter, database):
        self.client, self.shelf, self.meter, self.database = client, shelf, meter, database

    def call(self, secret, method, path, status=200, **more):
        reply = self.client.request(method, path, headers={"authorization": f"Bearer {secret}"}, **more)
        assert reply.status_code == status, reply.text
        return reply.json()

    def predict(self, secret, text):
        content = {"model": "support", "inputs": [{"text": text}]}
        return self.call(secret, "POST", "/v1/predict", json=content)["outputs"][0]

    def search(self, secret, query, **more):
        return self.call(secret, "POST", "/v1/search", json={"model": "support", "query": query, **more})["passages"]


@contextmanager
def served(workspace, database, tmp_path, **place):
    shelf = Shelf([Workplace(workspace, **place)]).open()
    meter = Meter(database, tmp_path / "journals", Authenticator(database))
    library = Library(database, tmp_path / "vault", revision=lambda: meter.revision)
    app = create_app(shelf, meter, library=library, extra_routers=[account.router, documents.router, intents.router])
    state = app.rest.state
    state.database, state.plans, state.settle, state.authenticate = (
        database,
        {},
        lambda: None,
        meter.authenticator.access,
    )

    try:
        with running(Metered(app, meter)) as address, httpx.Client(base_url=f"http://{address}", timeout=20) as client:
            yield Desk(client, shelf, meter, database)
    finally:
        shelf.close()


@pytest.fixture
def home(made_support, tmp_path):
    shutil.copytree(made_support.home, tmp_path / "home")
    return Workspace(tmp_path / "home")


@pytest.fixture
def desk(home, database, tmp_path):
    with served(home, database, tmp_path) as desk:
        yield desk


def customer(database, name, scopes=("predict", "usage", "keys")):
    made = accounts.add(database, name, actor="test")
    plans.subscribe(database, made.id, plan="p", terms=TERMS, actor="test")
    return made.id, keys.issue(database, made.id, name="k", scopes=list(scopes), actor="test").secret


@pytest.fixture
def ann(database):
    return customer(database, "Ann")


@pytest.fixture
def ben(database, ann):
    return customer(database, "Ben")


# ---------------------------------------------------------------- search


def test_a_question_is_answered_from_the_release_and_charged_once(desk, ann):
    hits = desk.search(ann[1], "When do refunds reach my card?", k=2)
    assert hits[0]["document"] == "d0"
    assert hits[0]["source"] == "kb/d0.md"
    desk.call(ann[1], "POST", "/v1/search", 404, json={"model": "nothing", "query": "x"})


WRONG_QUESTIONS = [
    ({"query": " "}, "query"), ({"query": "x", "k": 0}, "k"), ({"query": "x", "kk": 1}, "kk"), ({"query": 3}, "query"),
    ({"query": "x" * 4001}, "query"), ({"query": "x", "filters": {"tag": []}}, "filters.tag"),
    ({"query": "x", "filters": {"tags": [1]}}, "filters.tags"), ({"query": "x", "diversity": 2}, "diversity"),
]  # fmt: skip


def test_a_wrong_question_is_told_where(desk, ann):
    for wrong, param in WRONG_QUESTIONS:
        reply = desk.call(ann[1], "POST", "/v1/search", 400, json={"model": "support", **wrong})
        assert reply["error"]["param"] == param


def test_without_a_key_nothing_is_searched(desk):
    assert desk.client.post("/v1/search", json={"model": "support", "query": "x"}).status_code == 401


# ---------------------------------------------------------------- documents


def test_a_document_is_found_at_once_and_only_by_its_owner(desk, ann, ben):
    told = desk.call(ann[1], "POST", "/v1/documents", 201, json={"model": "support", "documents": [DOCUMENT]})
    assert told == {"documents": [{"name": "hours.md", "passages": 1, "language": "en"}], "replaced": 0}
    hit = desk.search(ann[1], "opening hours of the desk")[0]
    assert (hit["document"], hit["heading"], hit["own"], hit["tags"]) == ("hours.md", "Hours", True, ["desk"])
    assert all(not one["own"] for one in desk.search(ben[1], "opening hours of the desk"))
    assert desk.call(ben[1], "GET", "/v1/documents?model=support") == {"documents": []}
    desk.call(ben[1], "GET", "/v1/documents?model=support&name=hours.md", 404)
    desk.call(ben[1], "DELETE", "/v1/documents?model=support&name=hours.md", 404)
    assert desk.search(ann[1], "desk", filters={"tags": ["desk"]})[0]["document"] == "hours.md"


def test_a_document_is_replaced_read_and_taken_away(desk, ann):
    def put(text):
        content = {"model": "support", "documents": [DOCUMENT | {"text": text}]}
        return desk.call(ann[1], "POST", "/v1/documents", 201, json=content)

    put("lamps")
    assert put("chairs")["replaced"] == 1
    assert desk.search(ann[1], "lamps") == []
    assert desk.call(ann[1], "GET", "/v1/documents?model=support&name=hours.md")["text"] == "chairs"
    assert desk.call(ann[1], "DELETE", "/v1/documents?model=support&name=hours.md") == {"removed": 1}
    assert desk.search(ann[1], "chairs") == []


WRONG_DOCUMENTS = [
    ({"name": "x", "text": "# Only a heading"}, "document_empty"), ({"name": "x", "text": "a\u0000b"}, "document_binary"),
    ({"name": "x", "text": ""}, "field"), ({"name": "", "text": "x"}, "field"),
    ({"name": "x", "text": "y", "form": "pdf"}, "field"),
]  # fmt: skip


def test_a_wrong_document_is_refused(desk, ann):
    for document, code in WRONG_DOCUMENTS:
        content = {"model": "support", "documents": [document]}
        reply = desk.call(ann[1], "POST", "/v1/documents", 400, json=content)
        assert reply["error"]["code"] == f"input.{code}"


def test_a_key_that_may_only_predict_changes_nothing(desk, database, ann):
    secret = keys.issue(database, ann[0], name="widget", scopes=["predict"], actor="test").secret
    desk.call(secret, "POST", "/v1/documents", 403, json={"model": "support", "documents": [DOCUMENT]})
    desk.call(secret, "POST", "/v1/intents", 403, json=LOST)
    desk.call(secret, "GET", "/v1/documents?model=support")
    assert desk.search(secret, "parcels")


# ---------------------------------------------------------------- intents


def test_a_new_intent_is_answered_at_once_and_only_for_its_owner(desk, ann, ben):
    before = desk.predict(ann[1], "help, my bank card is lost")
    assert "lost card" not in before["probabilities"]
    assert desk.call(ann[1], "POST", "/v1/intents", 201, json=LOST) == {
        "name": "lost card",
        "examples": 3,
        "replaced": False,
    }
    after = desk.predict(ann[1], "help, my bank card is lost")
    assert after["label"] == "lost card"
    assert sum(after["probabilities"].values()) == pytest.approx(1)
    assert "lost card" not in desk.predict(ben[1], "help, my bank card is lost")["probabilities"]
    assert desk.call(ben[1], "GET", "/v1/intents?model=support")["intents"] == []
    assert desk.call(ann[1], "DELETE", "/v1/intents?model=support&name=lost card") == {"removed": 1}
    assert desk.predict(ann[1], "help, my bank card is lost") == before


def test_intents_live_through_a_restart_and_a_release_by_another_encoder(home, database, tmp_path, ann):
    with served(home, database, tmp_path) as desk:
        desk.call(ann[1], "POST", "/v1/intents", 201, json=LOST)
        desk.call(ann[1], "POST", "/v1/documents", 201, json={"model": "support", "documents": [DOCUMENT]})
        promote(home, "v2")
        desk.shelf.look()
        assert desk.shelf.get("support").release == "v2"
        assert desk.predict(ann[1], "my bank card is gone")["label"] == "lost card"
    with served(home, database, tmp_path) as desk:
        assert desk.predict(ann[1], "my bank card is gone")["label"] == "lost card"
        assert desk.search(ann[1], "opening hours of the desk")[0]["own"]


WRONG_INTENTS = [
    ({"examples": []}, 400, "field"), ({"examples": [" "]}, 400, "field"), ({"name": "refund"}, 409, "text_exists"),
    ({"name": ""}, 400, "field"), ({"model": "none"}, 404, "model_unknown"), ({"exampels": ["x"]}, 400, "field"),
]  # fmt: skip


def test_a_wrong_intent_is_refused(desk, ann):
    for changes, status, code in WRONG_INTENTS:
        reply = desk.call(ann[1], "POST", "/v1/intents", status, json=LOST | changes)
        assert reply["error"]["code"] == f"input.{code}"


def test_a_name_is_taken_once_unless_it_is_replaced(desk, ann):
    desk.call(ann[1], "POST", "/v1/intents", 201, json=LOST)
    assert desk.call(ann[1], "POST", "/v1/intents", 409, json=LOST)["error"]["code"] == "input.text_exists"
    assert desk.call(ann[1], "POST", "/v1/intents", 201, json=LOST | {"replace": True, "examples": ["x"]})["replaced"]
    assert desk.call(ann[1], "GET", "/v1/intents?model=support")["intents"] == [
        {"name": "lost card", "examples": ["x"]}
    ]
    answered = LOST | {"replace": True, "answer": "Call us."}
    desk.call(ann[1], "POST", "/v1/intents", 201, json=answered)
    (kept,) = desk.call(ann[1], "GET", "/v1/intents?model=support")["intents"]
    assert kept["answer"] == {"en": "Call us.", "zh": "Call us."}
    desk.call(ann[1], "DELETE", "/v1/intents?model=support&name=lostcard", 404)


def test_what_belongs_to_no_class_is_told_so(home, database, tmp_path, ann):
    with served(home, database, tmp_path, outside="other", accept=0.5) as desk:
        foreign = desk.predict(ann[1], "quantum chromodynamics lecture")
        assert (foreign["label"], foreign["out_of_scope"]) == ("other", True)
        known = desk.predict(ann[1], "where is my parcel")
        assert not known["out_of_scope"]
        assert known["scope"] > foreign["scope"]
        content = {"model": "support", "name": "physics", "examples": ["quantum chromodynamics lecture notes"]}
        desk.call(ann[1], "POST", "/v1/intents", 201, json=content)
        assert desk.predict(ann[1], "quantum chromodynamics lecture")["label"] == "physics"
        desk.call(ann[1], "POST", "/v1/intents", 409, json=content | {"name": "other"})


# ---------------------------------------------------------------- what is kept


def test_texts_lie_sealed_and_open_only_at_their_place(desk, database, tmp_path, ann):
    desk.call(ann[1], "POST", "/v1/documents", 201, json={"model": "support", "documents": [DOCUMENT]})
    assert b"nine to five" not in b"".join(path.read_bytes() for path in tmp_path.glob("*.sqlite*"))
    vault = Vault.open(tmp_path / "vault")
    (text,) = customer_texts.read(database, vault, place=Place(ann[0], "support", "document"), names=["hours.md"])
    assert text.content["text"] == DOCUMENT["text"]
    assert text.vectors


def test_resealing_leaves_nothing_under_the_old_key(desk, database, tmp_path, ann):
    desk.call(ann[1], "POST", "/v1/intents", 201, json=LOST)
    vault = Vault.open(tmp_path / "vault")
    vault.rotate()
    assert customer_texts.reseal(database, vault) == 1
    assert customer_texts.reseal(database, vault) == 0
    vault.drop(next(one.key_id for one in vault.all_keys() if not one.newest))
    assert customer_texts.read(database, vault, place=Place(ann[0], "support", "intent"), names=["lost card"])


def test_an_erased_person_leaves_the_texts(desk, database, tmp_path, ann):
    named = LOST | {"examples": ["Jane Roe lost her bank card", "card stolen"]}
    desk.call(ann[1], "POST", "/v1/intents", 201, json=named)
    holder = CustomerTexts(database, Vault.open(tmp_path / "vault"), actor="operator")
    person = Subject.of("Jane Roe", SubjectKey.open(tmp_path))
    assert len(holder.find(person)) == 1
    assert holder.erase(person, redact=False).removed[0].count == 1
    assert holder.find(person) == []
    (left,) = desk.call(ann[1], "GET", "/v1/intents?model=support")["intents"]
    assert "Jane" not in left["examples"][0]
    assert left["examples"][1] == "card stolen"


def test_a_closed_account_leaves_no_texts(desk, database, ann):
    desk.call(ann[1], "POST", "/v1/intents", 201, json=LOST)
    accounts.close(database, ann[0], actor="test")
    assert customer_texts.stand(database, place=Place(ann[0], "support", "intent")).count == 0
