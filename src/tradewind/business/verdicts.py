"""What people thought of answers: a score and a word for each message or conversation, changeable; figures, and rows to
learn from. Not here: who may give one (`server/conversations.py`), nor what is learnt (`improve`).

A row to learn from leaves only where its account agreed that models may learn from what it sends (`consents`, `training`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, case, delete, func, insert, select

from tradewind.business import consent
from tradewind.business.conversations import Conversation, message_of, require_message
from tradewind.business.database import Database, now_ms
from tradewind.business.tables import conversation_feedback as table
from tradewind.business.tables import conversation_messages as messages
from tradewind.business.tables import conversations
from tradewind.privacy.vault import Vault

WHOLE = 0  # the place of a verdict on the whole conversation
UP, DOWN = 5, 1
GOOD, BAD = 4, 2  # from the one on satisfied, up to the other not
TRAINING = "training"

_BY = {"intent": table.c.intent, "source": table.c.source, "kind": table.c.kind}


@dataclass(frozen=True)
class Verdict:
    conversation_id: str
    place: int
    score: int
    at_ms: int


@dataclass(frozen=True)
class Figures:
    """So many verdicts; shares of those that were satisfied (4, 5) and were not (1, 2); the mean score."""

    verdicts: int
    good: int
    bad: int
    mean: float | None

    @property
    def rate(self) -> float | None:
        return self.good / self.verdicts if self.verdicts else None


@dataclass(frozen=True)
class Judged:
    """A user's message, how it was answered, and what he thought of that. `intent` is what the machine took it for."""

    conversation_id: str
    place: int
    account_id: str
    product: str
    text: str
    kind: str
    intent: str | None
    source: str | None
    score: int
    comment: str | None
    at_ms: int


def give(
    database: Database, vault: Vault, conversation: Conversation, *, place: int, score: int, comment: str | None = None
) -> Verdict:
    """Takes the place of an earlier verdict on the same message (`place`), or on the whole conversation (`WHOLE`).

    Raises InputError `message_unknown` for a place where nothing was answered.
    """
    assert 1 <= score <= 5

    def change(connection: Connection) -> Verdict:
        about: Mapping[str, Any] = {"kind": None, "intent": None, "source": None}
        if place != WHOLE:
            about = require_message(connection, conversation.id, place)
        at_ms = now_ms(connection)
        sealed = None
        if comment is not None:
            sealed = vault.seal(comment.encode(), comment_context(conversation.id, place))
        here = (table.c.conversation_id == conversation.id) & (table.c.place == place)
        connection.execute(delete(table).where(here))
        connection.execute(
            insert(table).values(
                conversation_id=conversation.id, place=place, account_id=conversation.account_id, score=score,
                product=conversation.product, comment=sealed, at_ms=at_ms, **about,
            )
        )  # fmt: skip
        return Verdict(conversation.id, place, score, at_ms)

    return database.write(change)


def figures(
    database: Database, *, product: str | None = None, account_id: str | None = None, since_ms: int = 0
) -> Figures:
    wanted = _chosen(product, account_id, since_ms)
    with database.reading() as connection:
        return _figures(connection.execute(select(*_COUNTS).where(wanted)).one())


def figures_by(
    database: Database, what: str, *, product: str | None = None, account_id: str | None = None, since_ms: int = 0
) -> dict[str, Figures]:
    """Figures by `intent`, `source` (the document that was cited first) or `kind` of answer, most verdicts first."""
    column = _BY[what]
    wanted = _chosen(product, account_id, since_ms) & column.is_not(None)
    grouped = select(column.label("by"), *_COUNTS).where(wanted).group_by(column).order_by(func.count().desc(), column)
    with database.reading() as connection:
        return {row.by: _figures(row) for row in connection.execute(grouped.limit(500))}


def judged(
    database: Database, vault: Vault, *, product: str | None = None, all_accounts: bool = False
) -> Iterator[Judged]:
    """Every verdict on a message that is still kept, oldest first, with the words it was about.

    Of accounts that agreed to `training`, and no others, but for `all_accounts`: an operator who looks, not one who learns.
    """
    answered = messages.alias("answered")
    wanted = (
        select(table, answered.c.answers, messages.c.sealed, messages.c.place.label("said_at"))
        .join(conversations, conversations.c.id == table.c.conversation_id)
        .join(answered, (answered.c.conversation_id == table.c.conversation_id) & (answered.c.place == table.c.place))
        .join(
            messages, (messages.c.conversation_id == table.c.conversation_id) & (messages.c.place == answered.c.answers)
        )
        .order_by(table.c.at_ms, table.c.conversation_id, table.c.place)
    )
    if product is not None:
        wanted = wanted.where(table.c.product == product)
    with database.reading() as connection:
        wanted = wanted.where(conversations.c.expires_ms > now_ms(connection))
        rows = connection.execute(wanted).mappings().all()
    agreed = consent.answers(database, {row["account_id"] for row in rows}, purpose=TRAINING)
    for row in rows:
        if all_accounts or agreed[row["account_id"]] is True:
            yield _judged(vault, row)


def comment_context(conversation_id: str, place: int) -> tuple[str, ...]:
    return (table.name, conversation_id, str(place))


_COUNTS = (
    func.count().label("verdicts"),
    func.coalesce(func.sum(case((table.c.score >= GOOD, 1), else_=0)), 0).label("good"),
    func.coalesce(func.sum(case((table.c.score <= BAD, 1), else_=0)), 0).label("bad"),
    func.coalesce(func.sum(table.c.score), 0).label("total"),
)


def _chosen(product: str | None, account_id: str | None, since_ms: int) -> Any:
    wanted = table.c.at_ms >= since_ms
    if product is not None:
        wanted = wanted & (table.c.product == product)
    return wanted if account_id is None else wanted & (table.c.account_id == account_id)


def _figures(row: Any) -> Figures:
    verdicts = int(row.verdicts)
    return Figures(verdicts, int(row.good), int(row.bad), int(row.total) / verdicts if verdicts else None)


def _judged(vault: Vault, row: Mapping[Any, Any]) -> Judged:
    conversation_id, place = row["conversation_id"], row["place"]
    comment = row["comment"]
    if comment is not None:
        comment = vault.open_sealed(comment, comment_context(conversation_id, place)).decode()
    return Judged(
        conversation_id, place, row["account_id"], row["product"],
        message_of(vault, conversation_id, row["said_at"], row["sealed"])["text"], row["kind"], row["intent"], row["source"],
        row["score"], comment, row["at_ms"],
    )  # fmt: skip
