"""A recommender behind `/v1/predict`: somebody's items in, what comes next out, under the rules of the shop that asks.

    {"model": "shop", "inputs": [{"user": "ann", "k": 5, "where": {"region": ["north"]}, "why": 2}]}
    {"outputs": [{"items": [{"item", "score", "because": [{"item", "lift"}]}], "unknown": []}]}

A user's items are those of `history`, else those that came to `/v1/events`; one who sent neither gets what suits nobody in
particular. Not here: scores and rules (`engines/`), where events are kept (`session_feed.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from tradewind.engines.loading import load_recommender
from tradewind.engines.recommendation import Answer, RecommendationEngine
from tradewind.engines.shelf_rules import Boost, Rules
from tradewind.errors import InputError
from tradewind.files import read_json
from tradewind.privacy.subjects import SubjectKey
from tradewind.release.recommender import TASK
from tradewind.release.registry import Version
from tradewind.server.event_feed import EventFeed
from tradewind.server.fields import Fields
from tradewind.server.item_feed import FOLDER as ITEMS
from tradewind.server.item_feed import ItemFeeds
from tradewind.server.served_rows import ServedRows
from tradewind.server.session_feed import FOLDER, SessionFeeds
from tradewind.server.wire import Row

_MOST, _WHY_MOST, _HISTORY_MOST, _NAMED_MOST, _BOOSTS_MOST = 100, 10, 1000, 100_000, 100
_FIELDS = (
    "user", "history", "k", "why", "seen", "exclude", "allow", "where", "boosts", "diversity", "user_columns",
)  # fmt: skip
_BOOST_FIELDS = ("items", "where", "times", "plus")
_SEEN = ("default", "leave_out", "keep")


@dataclass(frozen=True)
class ServedRecommender(ServedRows):
    """`sessions` keeps what users of each customer met since the release, `items` what each customer sells since."""

    task = TASK

    engine: RecommendationEngine
    sessions: SessionFeeds
    items: ItemFeeds
    columns: Mapping[str, Any]  # of items and users, by kind: what filters, boosts and user_columns may name

    def answer(self, rows: Sequence[Row], account: str) -> list[dict[str, Any]]:
        """Raises InputError, DataError with the field of a row."""
        return [_shown(self._one(Fields(row, f"inputs[{at}]"), account)) for at, row in enumerate(rows)]

    def feed(self, account: str) -> EventFeed:
        return self.sessions.of(account)

    def facts(self) -> Mapping[str, Any]:
        return {"items": len(self.engine.names), "context": self.engine.context, **self.columns}

    def _one(self, row: Fields, account: str) -> Answer:
        row.only(_FIELDS)
        user, history = row.get("user"), row.items("history")
        if user is not None and (isinstance(user, bool) or not isinstance(user, str | int)):
            raise row.wrong("user", "is neither text nor a whole number")
        if history is None:
            history = [] if user is None else self.sessions.of(account).history(str(user))
        if len(history) > _HISTORY_MOST:
            raise row.wrong(
                "history", f"has {len(history)} items, but at most {_HISTORY_MOST}", hint="Send the latest."
            )
        columns = row.object("user_columns")
        return self.engine.recommend(
            _names(row, "history", history), row.integer("k", 1, _MOST) or 10,
            rules=_rules(row),
            columns=None if columns is None else columns.content,
            why=row.integer("why", 0, _WHY_MOST) or 0,
            own=self.items.own(account),
        )  # fmt: skip


def open_recommender(
    folder: Path, version: Version, *, home: Path, public_key: Path | None, threads: int
) -> ServedRecommender:
    """Loads and checks a release; events of customers lie in the workspace `home`. Raises ArtifactError, VerificationFailed."""
    engine = load_recommender(folder, public_key=public_key, threads=threads)
    manifest = read_json(folder / "manifest.json")
    product = manifest["product"]
    return ServedRecommender(
        product=product,
        version=version.version,
        digest=version.digest,
        created_s=int(datetime.fromisoformat(version.created).timestamp()),
        row_schema=_ROW,
        output_schema=_OUTPUT,
        engine=engine,
        sessions=SessionFeeds(home / FOLDER / product, SubjectKey.open(home)),
        items=ItemFeeds(home / ITEMS / product, engine),
        columns={"item_columns": manifest["item_columns"], "user_columns": manifest["user_columns"]},
    )


def _rules(row: Fields) -> Rules:
    boosts = row.objects("boosts")
    if len(boosts) > _BOOSTS_MOST:
        raise row.wrong("boosts", f"has {len(boosts)} entries, but at most {_BOOSTS_MOST}")
    allow = row.items("allow")
    return Rules(
        seen=cast(Any, row.one_of("seen", _SEEN) or "default"),
        exclude=_names(row, "exclude", row.items("exclude") or []),
        allow=None if allow is None else _names(row, "allow", allow),
        where=_where(row),
        boosts=[_boost(one) for one in boosts],
        diversity=row.number("diversity", 0, 1) or 0.0,
    )


def _boost(fields: Fields) -> Boost:
    fields.only(_BOOST_FIELDS)
    times = fields.number("times", 0, 1e6)
    return Boost(
        items=_names(fields, "items", fields.items("items") or []),
        where=_where(fields),
        times=1.0 if times is None else times,
        plus=fields.number("plus", -1e6, 1e6) or 0.0,
    )


def _where(fields: Fields) -> Mapping[str, Any]:
    inner = fields.object("where")
    return {} if inner is None else inner.content


def _names(fields: Fields, name: str, values: Sequence[object]) -> Sequence[object]:
    if len(values) > _NAMED_MOST:
        raise fields.wrong(name, f"has {len(values)} items, but at most {_NAMED_MOST}")
    for at, value in enumerate(values):
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise InputError(
                f"{fields.place(name)}[{at}] is no item.", code="field", where=f"{fields.place(name)}[{at}]",
                hint="An item is text or a whole number.",
            )  # fmt: skip
    return values


def _shown(answer: Answer) -> dict[str, Any]:
    items = [
        {"item": one.item, "score": one.score}
        | ({"because": [{"item": why.item, "lift": why.lift} for why in one.because]} if one.because else {})
        for one in answer.items
    ]
    return {"items": items, "unknown": list(answer.unknown)}


_NAME = {"type": ["string", "integer"]}
_NAMES = {"type": "array", "items": _NAME}
_WANTED = {
    "type": "object",
    "description": "Column of items → a value, a list of values, or {min, max}.",
    "additionalProperties": True,
}
_ROW: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "user": _NAME | {"description": "Whose events of POST /v1/events are the history, unless one is given."},
        "history": _NAMES | {"maxItems": _HISTORY_MOST, "description": "Items met, oldest first."},
        "k": {"type": "integer", "minimum": 1, "maximum": _MOST, "default": 10},
        "why": {"type": "integer", "minimum": 0, "maximum": _WHY_MOST, "description": "Items of the history named as reasons."},
        "seen": {"enum": list(_SEEN), "description": "Whether items of the history may come again."},
        "exclude": _NAMES,
        "allow": _NAMES | {"description": "The only items that may be shown: those in stock, say."},
        "where": _WANTED,
        "boosts": {
            "type": "array",
            "maxItems": _BOOSTS_MOST,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "items": _NAMES, "where": _WANTED, "times": {"type": "number", "minimum": 0}, "plus": {"type": "number"},
                },
            },
        },
        "diversity": {"type": "number", "minimum": 0, "maximum": 1},
        "user_columns": {"type": "object", "additionalProperties": True},
    },
}  # fmt: skip
_OUTPUT: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "items": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "item": {"type": "string"},
                    "score": {"type": "number"},
                    "because": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "properties": {"item": {"type": "string"}, "lift": {"type": "number"}},
                        },
                    },
                },
                "required": ["item", "score"],
            },
        },
        "unknown": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["items", "unknown"],
}
