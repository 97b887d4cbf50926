"""A product that talks: a small text classifier made by hand, a knowledge base, a database with two customers, a server.

The classifier is a sum of weights a word has for a class, as a trained one's linear part, in a moment and without training.
"""

from __future__ import annotations

import io
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
from onnx import TensorProto, helper, numpy_helper

from tests.engines.knowledge import write
from tests.server.running import running
from tradewind.artifacts import Workspace
from tradewind.business import accounts, keys
from tradewind.engines.engine import Decision
from tradewind.engines.onnx import OnnxPredictor
from tradewind.features.column import ColumnSpec
from tradewind.features.feature_set import FeatureSet
from tradewind.features.passages import Document, Passage
from tradewind.features.target import fit_target
from tradewind.privacy.subjects import SubjectKey
from tradewind.product.answers import Variants
from tradewind.product.conversation import Conversation
from tradewind.release.bundle import Content, build
from tradewind.release.golden import Golden, object_array
from tradewind.release.registry import promote, register
from tradewind.release.signing import key_pair, make_key_pair
from tradewind.server import account, admin, widget
from tradewind.server.app import create_app
from tradewind.server.auth import Authenticator
from tradewind.server.dialogue.talk import Script
from tradewind.server.gate import OpenGate
from tradewind.server.library import Library
from tradewind.server.observe import Observer
from tradewind.server.origins import Origins
from tradewind.server.serving import Place, Shelf
from tradewind.server.settings import Settings
from tradewind.server.subjects import Subjects
from tradewind.server.talks import Talks

TEXTS = {
    "refund": ["I want a refund", "give my money back please", "refund the order", "我要退款", "请把钱退给我", "申请退款"],
    "delivery": ["where is my parcel", "when does the delivery arrive", "track my parcel", "我的包裹在哪里", "快递什么时候到", "查询物流"],
    "complaint": ["I want to complain", "this is a complaint", "very bad service complaint", "我要投诉", "服务太差了投诉", "投诉你们"],
}  # fmt: skip
ANSWERS = {
    "refund": Variants(en="Refunds take five days.", zh="退款需要五天。"),
    "delivery": Variants(en="Your parcel arrives within three days.", zh="您的包裹三天内送达。"),
}
PASSAGES = (
    Passage("Gift cards are valid for three years and can be used in every branch.", "Gift cards", line=4, last=4),
    Passage("Shoes can be exchanged for another size within thirty days of purchase.", "Shoes", line=9, last=9),
    Passage("礼品卡自购买之日起三年内有效，可在所有门店使用。", "礼品卡", line=3, last=3),
)
ORIGIN = "https://shop.example"
SETTINGS = {
    "confidence": 0.6, "passage": 0.3, "clarify": 0.45, "widget": {"origins": [ORIGIN]},
    "handoff": {"intents": ["complaint"]}, "slots": {"order": r"TW-\d{6}"},
}  # fmt: skip


def make_talking_release(workspace: Workspace, *, product="helpdesk", passages=PASSAGES, documents=None):
    """Builds, signs and registers it; with passages it brings a knowledge base along."""
    texts = [text for said in TEXTS.values() for text in said]
    labels = [label for label, said in TEXTS.items() for _ in said]
    column = object_array(texts)
    features = FeatureSet.fit(
        [ColumnSpec("text", "text")], {"text": column}, fit_target("classification", object_array(labels)), seed=0
    )
    encoded = features.encode({"text": column})
    numbers, weights = encoded["ngrams:text"], encoded["ngram_weights:text"]
    classes = features.target.classes
    table = np.zeros((int(numbers.max()) + 1, len(classes)), np.float32)
    for row, label in enumerate(labels):
        np.add.at(table, (numbers[row], classes.index(label)), weights[row])
    table[0] = 0
    table *= 14 / np.linalg.norm(table, axis=0)
    nodes = [
        helper.make_node("Gather", ["W", "ngrams_text"], ["rows"]),
        helper.make_node("Unsqueeze", ["ngram_weights_text", "last"], ["w"]),
        helper.make_node("Mul", ["rows", "w"], ["weighed"]),
        helper.make_node("ReduceSum", ["weighed", "one"], ["logits"], keepdims=0),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    tables = [
        numpy_helper.from_array(table, "W"), numpy_helper.from_array(np.array([2]), "last"), numpy_helper.from_array(np.array([1]), "one"),
    ]  # fmt: skip
    inputs = [
        helper.make_tensor_value_info("ngrams_text", TensorProto.INT64, ["B", "G"]),
        helper.make_tensor_value_info("ngram_weights_text", TensorProto.FLOAT, ["B", "G"]),
    ]
    out = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["B", len(classes)])
    model = helper.make_model(
        helper.make_graph(nodes, "words", inputs, [out], tables), opset_imports=[helper.make_opsetid("", 18)]
    )
    model.ir_version = 9
    graph = model.SerializeToString()
    decision = Decision("classification", tuple(classes))
    outputs = OnnxPredictor(graph, features, decision).predict({"text": column}).probabilities
    workspace.home.mkdir(parents=True, exist_ok=True)
    path = workspace.home / "words.onnx"
    path.write_bytes(graph)
    manifest = {
        "product": product, "task": "classification", "classes": list(classes), "positive": None, "threshold": None,
        "features_fingerprint": features.fingerprint, "plans": {},
    }  # fmt: skip
    documents = documents or [Document("help", "kb/help.md", passages, "en", (), "Help")]
    known = write(workspace.home / "knowledge", documents) if passages else None
    files = {f"knowledge/{one.name}": one.read_bytes() for one in known.iterdir()} if known else {}
    content = Content(
        manifest, path, features.state(), {"input": features.row_schema(), "output": {"type": "object"}},
        Golden({"text": column}, np.asarray(outputs, dtype=np.float64), 1e-5), {}, lambda manifest: {"report/card.md": b"card"} | files,
    )  # fmt: skip
    pair = key_pair(workspace.keys) or make_key_pair(workspace.keys)
    artifact = build(workspace, content, pair, parents={})
    version = register(workspace, artifact.digest, artifact.folder)
    promote(workspace, f"v{version.version}")
    return version


class Told:
    """Who is told of what waits for a person, in memory."""

    def __init__(self):
        self.events, self.ids = [], set()

    def tell(self, product, event, *, id):
        if id not in self.ids:
            self.ids.add(id)
            self.events.append((product, event))


@dataclass
class Site:
    """A server that talks, with what stands behind it and a client before it."""

    client: httpx.Client
    database: object
    gate: OpenGate
    talks: Talks
    log: io.StringIO
    account_id: str
    key: str
    public: str
    operator: str

    @property
    def logged(self):
        """Every line so far."""
        self.talks.desk.observer.write()
        return self.log.getvalue()

    def ask(self, method, path, status=200, *, key=None, **more):
        headers = {"authorization": f"Bearer {key or self.key}", **more.pop("headers", {})}
        reply = self.client.request(method, path, headers=headers, **more)
        assert reply.status_code == status, reply.text
        return reply.json() if "json" in reply.headers.get("content-type", "") else reply

    def begin(self, **more):
        return self.ask("POST", "/v1/conversations", 201, json={"model": "helpdesk", **more})

    def say(self, conversation, text, status=200, **more):
        return self.ask("POST", f"/v1/conversations/{conversation['id']}/messages", status, json={"text": text}, **more)


@contextmanager
def talking(
    shelf, database, home: Path, *, settings=None, environment=None, answers=ANSWERS, product="helpdesk", more=()
):
    """The whole server over a shelf, whoever else stands on it."""
    gate, log = OpenGate(), io.StringIO()
    subjects = Subjects(SubjectKey.open(home))
    app = create_app(
        shelf, gate, Settings(), observer=Observer(out=log), subjects=subjects,
        library=Library(database, home / "vault", revision=database.revision),
        extra_routers=[account.router, admin.router, widget.router],
    )  # fmt: skip
    script = Script(product, Conversation.model_validate({**SETTINGS, **(settings or {})}), answers)
    talks = Talks.of(
        app.desk, database, home / "vault", [script, *more], environment=environment or {}, outgoing=Told()
    )
    state = app.rest.state
    state.database, state.plans, state.settle, state.talks = database, {}, lambda: None, talks
    state.authenticate = lambda header: Authenticator(database).access(header)
    app.rest.add_middleware(Origins, allowed=talks.origins)
    made = accounts.add(database, "Ann's Shop", actor="test")
    key = keys.issue(database, made.id, name="server", scopes=keys.USUAL, actor="test").secret
    public = keys.issue(database, made.id, name="page", scopes=["converse"], actor="test").secret
    operator = keys.issue(database, None, name="operator", scopes=["operator"], actor="test").secret
    gate.keys = {key: made.id, public: made.id}
    with running(app) as address, httpx.Client(base_url=f"http://{address}", timeout=30) as client:
        yield Site(client, database, gate, talks, log, made.id, key, public, operator)


def open_shelf(home: Path, **more) -> Shelf:
    workspace = Workspace(home)
    make_talking_release(workspace, **more)
    return Shelf([Place(workspace)]).open()
