"""`POST /v1/search`: a question in, passages with their sources out, charged by the question. Not how they are found
(`engines/retrieval.py`), nor a customer's own documents (`documents.py`).

    {"model": "support", "query": "How do I return it?", "k": 5, "filters": {"tags": ["returns"]}, "diversity": 0.3}
    {"id", "model", "release", "price_version", "passages": [{"text", "source", "heading", "line", "score", …}], "usage"}
"""

from __future__ import annotations

from tradewind.engines.retrieval import Filters, Hit, Knowledge
from tradewind.errors import InputError
from tradewind.server.asking import read_request
from tradewind.server.desk import Desk, Work
from tradewind.server.fields import Fields
from tradewind.server.gate import Reply
from tradewind.server.wire import Receive, Scope, Send, encode

ROUTE = "/v1/search"
MOST = 50
_CHARACTERS = 4000
_READ = frozenset(["model", "query", "k", "filters", "diversity"])
_FILTERS = frozenset(["tags", "languages", "documents"])


class Search:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._desk.serve(ROUTE, self.handle, scope, receive, send)

    async def handle(self, work: Work) -> Reply:
        desk = self._desk
        fields, _ = await read_request(desk, work)
        fields.only(_READ)
        query = fields.required("query").strip()
        if not query or len(query) > _CHARACTERS:
            raise fields.wrong("query", f"has {len(query)} characters, but has 1 to {_CHARACTERS}")
        k, diversity = fields.integer("k", 1, MOST) or 5, fields.number("diversity", 0, 1) or 0.0
        filters = _filters(fields)
        name, _, pinned = fields.required("model").partition("@")
        served, knowledge = await desk.find_knowledge(work, name, pinned or None)
        ticket = await desk.admit(work, product=served.product, release=pinned or None, units=1, body=work.body)
        if ticket.replay is not None:
            return ticket.replay
        try:
            hits = await desk.aside(
                work, found, desk, work.account, served.product, knowledge, query, k, filters, diversity
            )
            outputs = [hit.to_json() for hit in hits]
            out = encode(
                {
                    "id": work.request_id, "model": served.product, "release": served.release,
                    "price_version": ticket.price_version, "passages": outputs, "usage": {"units": 1},
                }
            )  # fmt: skip
            reply = Reply(200, desk.headers(work, ticket, b"application/json", len(out)), out)
            ticket.release_version = served.release
            desk.gate.settle(ticket, 1, "served")
            work.rows, work.settled = 1, ticket
            desk.remember(
                work, ticket, served.product, served.release, inputs=[{"query": query}], outputs=[{"passages": outputs}]
            )
        except BaseException:
            if work.settled is None:
                desk.gate.release(ticket)
            raise
        return reply


def found(
    desk: Desk, account_id: str, product: str, knowledge: Knowledge, query: str, k: int, filters: Filters, diversity: float = 0.0
) -> list[Hit]:  # fmt: skip
    """Passages of the release and of the customer's own documents, the best first. May ask the database: for a thread."""
    own = None if desk.library is None else desk.library.own(account_id, product, knowledge)
    return knowledge.search(query, k=k, filters=filters, own=own, diversity=diversity)


def _filters(fields: Fields) -> Filters:
    inner = fields.object("filters")
    if inner is None:
        return Filters()
    inner.only(_FILTERS)
    return Filters(*(_texts(inner, name) for name in ("tags", "languages", "documents")))


def _texts(fields: Fields, name: str) -> tuple[str, ...]:
    values = fields.items(name) or []
    if not all(isinstance(one, str) for one in values):
        raise InputError(f"{fields.place(name)} must be a list of texts.", code="field", where=fields.place(name))
    return tuple(values)
