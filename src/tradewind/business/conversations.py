"""Conversations and their messages: begun, continued, read, closed. Each message is sealed.
Not here: their end (`conversation_keeping.py`), who takes over from the machine (`handovers.py`), verdicts (`verdicts.py`),
what is answered (`server/dialogue/`).

A user's message and its answer are written in one transaction before the answer leaves, under the request that it came
by: asked again after a crash, the same answer is found. Messages of one conversation are numbered without a gap.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from sqlalchemy import Connection, func, insert, select, update

from tradewind.business.database import Database, now_ms
from tradewind.business.tables import conversation_messages as messages
from tradewind.business.tables import conversations as table
from tradewind.errors import InputError, VerificationFailed
from tradewind.files import canonical_json
from tradewind.ids import new_id
from tradewind.privacy.vault import Vault
from tradewind.tariff import Rate

Status: TypeAlias = Literal["open", "waiting", "held", "closed"]
Author: TypeAlias = Literal["user", "assistant", "person", "system"]
STATUSES: tuple[Status, ...] = ("open", "waiting", "held", "closed")

MOST_MESSAGES = 2000  # of one conversation


@dataclass(frozen=True)
class Conversation:
    """`release` is pinned, or None for whatever is live; `subject` the keyed hash of whom it is about. `last` is the place of
    the newest message, `failures` how many messages in a row got no answer."""

    id: str
    account_id: str
    product: str
    release: str | None
    public: bool
    subject: str | None
    language: str
    status: Status
    queue: str | None
    holder: str | None
    failures: int
    last: int
    began_ms: int
    updated_ms: int
    waiting_ms: int | None
    expires_ms: int


@dataclass(frozen=True)
class Content:
    """What is said. `beside` is JSON that stands beside the text: sources, choices; `source` names the first document."""

    author: Author
    kind: str
    text: str
    beside: Mapping[str, Any] = field(default_factory=dict)
    confidence: float | None = None
    intent: str | None = None
    source: str | None = None


@dataclass(frozen=True)
class Message:
    """A message as it is stored. `answers` is the place of the user's message that it answers."""

    place: int
    content: Content
    answers: int | None
    at_ms: int


@dataclass(frozen=True)
class Turn:
    """A user's message, and what answered it: None where a person has taken over."""

    said: Message
    reply: Message | None


@dataclass(frozen=True)
class Next:
    """What a message does to its conversation: the answer, how many failures there are then, the queue it now waits in."""

    reply: Content | None
    failures: int = 0
    queue: str | None = None


# ---------------------------------------------------------------- begin


@dataclass(frozen=True)
class New:
    """A conversation to be begun. `rate` bounds how many of an account public keys may begin."""

    account_id: str
    product: str
    language: str
    keep_ms: int
    release: str | None = None
    subject: str | None = None
    public: bool = False
    rate: Rate | None = None
    greeting: Content | None = None


@dataclass(frozen=True)
class Begun:
    """A new conversation with its token, which nobody can read again."""

    conversation: Conversation
    token: str = field(repr=False)


def begin(database: Database, vault: Vault, new: New) -> Begun:
    """Raises InputError `conversations_limited`, EnvironmentFailure."""
    token = secrets.token_urlsafe(32)

    def change(connection: Connection) -> Conversation:
        at_ms = now_ms(connection)
        if new.public and new.rate is not None:
            _refuse_many(connection, new.account_id, new.rate, at_ms)
        made = Conversation(
            id=new_id("cnv", clock=database.clock), account_id=new.account_id, product=new.product, release=new.release,
            public=new.public, subject=new.subject, language=new.language, status="open", queue=None, holder=None, failures=0,
            last=0, began_ms=at_ms, updated_ms=at_ms, waiting_ms=None, expires_ms=at_ms + new.keep_ms,
        )  # fmt: skip
        connection.execute(insert(table).values(**vars(made), token=_hashed(token)))
        if new.greeting is not None:
            append(connection, vault, made, new.greeting)
            made = replace(made, last=1)
        return made

    return Begun(database.write(change), token)


def _refuse_many(connection: Connection, account_id: str, rate: Rate, at_ms: int) -> None:
    recent = (table.c.account_id == account_id) & table.c.public & (table.c.began_ms > at_ms - 1000 * rate.seconds)
    if connection.execute(select(func.count()).select_from(table).where(recent)).scalar_one() >= rate.count:
        raise InputError(
            "Too many conversations were begun at once.", code="conversations_limited", hint="Try again in a minute."
        )


# ---------------------------------------------------------------- read


def get(database: Database, conversation_id: str, *, account_id: str | None = None) -> Conversation:
    """With `account_id`, another account's conversation is as unknown as none. Raises InputError `conversation_unknown`."""
    with database.reading() as connection:
        found = _row(connection, conversation_id)
    if found is None or account_id not in (None, found.account_id):
        raise unknown()
    return found


def opens(database: Database, conversation_id: str, token: str) -> bool:
    """Whether `token` is the one that was given out with the conversation."""
    with database.reading() as connection:
        held = connection.execute(select(table.c.token).where(table.c.id == conversation_id)).scalar()
    return hmac.compare_digest(held or _hashed(""), _hashed(token)) and held is not None


def page(
    database: Database, account_id: str, *, product: str | None = None, status: str | None = None, after: str | None = None,
    most: int = 100,
) -> list[Conversation]:  # fmt: skip
    """An account's conversations, the newest first, those begun before `after`."""
    wanted = select(table).where(table.c.account_id == account_id)
    for column, value in ((table.c.product, product), (table.c.status, status)):
        if value is not None:
            wanted = wanted.where(column == value)
    if after is not None:
        wanted = wanted.where(table.c.id < after)
    with database.reading() as connection:
        wanted = wanted.where(table.c.expires_ms > now_ms(connection))
        return [of(row) for row in connection.execute(wanted.order_by(table.c.id.desc()).limit(most)).mappings()]


def read(
    database: Database, vault: Vault, conversation_id: str, *, after: int = 0, last: int | None = None
) -> list[Message]:
    """Its messages behind the place `after`, or the `last` so many, opened, in order.

    Raises VerificationFailed where one was changed.
    """
    mine = (messages.c.conversation_id == conversation_id) & (messages.c.place > after)
    wanted = select(messages).where(mine).order_by(messages.c.place.desc()).limit(last or MOST_MESSAGES)
    with database.reading() as connection:
        rows = connection.execute(wanted).mappings().all()
    return [_message(vault, row) for row in reversed(rows)]


def turn(database: Database, vault: Vault, conversation_id: str, request_id: str) -> Turn | None:
    """What was answered to an earlier try of the same request."""
    mine = messages.c.conversation_id == conversation_id
    with database.reading() as connection:
        said = connection.execute(select(messages).where(mine, messages.c.request_id == request_id)).mappings().first()
        if said is None:
            return None
        reply = connection.execute(select(messages).where(mine, messages.c.answers == said["place"])).mappings().first()
    return Turn(_message(vault, said), None if reply is None else _message(vault, reply))


# ---------------------------------------------------------------- continue


def say(
    database: Database, vault: Vault, conversation: Conversation, *, request_id: str, said: Content, then: Next,
    keep_ms: int, rate: Rate | None = None,
) -> Turn:  # fmt: skip
    """Writes a user's message and its answer. A conversation that somebody took or closed meanwhile gets no answer of the
    machine; a request that was written already stays as it was.

    Raises InputError `conversation_unknown`, `conversation_closed`, `conversation_full`, `messages_limited`.
    """

    def change(connection: Connection) -> Turn | None:
        present = locked(connection, conversation.id)
        if connection.execute(_same_request(present.id, request_id)).first() is not None:
            return None
        require_talking(present)
        if rate is not None:
            _refuse_fast(connection, present.id, rate, now_ms(connection))
        told = append(connection, vault, present, said, request_id=request_id)
        moment = now_ms(connection)
        values: dict[str, Any] = {"updated_ms": moment, "expires_ms": moment + keep_ms}
        reply = None
        if present.status == conversation.status == "open":
            if then.reply is not None:
                reply = append(connection, vault, replace(present, last=told.place), then.reply, answers=told.place)
            values["failures"] = then.failures
            if then.queue is not None:
                values |= {"status": "waiting", "queue": then.queue, "waiting_ms": moment}
        connection.execute(update(table).where(table.c.id == present.id).values(**values))
        return Turn(told, reply)

    done = database.write(change) or turn(database, vault, conversation.id, request_id)
    assert done is not None
    return done


def close(database: Database, conversation_id: str, *, within: str | None = None) -> Conversation:
    """No further message. Closing again changes nothing. Raises InputError `conversation_unknown`."""

    def change(connection: Connection) -> Conversation:
        present = locked(connection, conversation_id, within=within)
        values = {"status": "closed", "updated_ms": now_ms(connection)}
        if present.status != "closed":
            connection.execute(update(table).where(table.c.id == conversation_id).values(**values))
        return replace(present, status="closed")

    return database.write(change)


def append(
    connection: Connection, vault: Vault, conversation: Conversation, content: Content, *, request_id: str | None = None,
    answers: int | None = None,
) -> Message:  # fmt: skip
    """One message more, in a transaction that holds the conversation. Raises InputError `conversation_full`."""
    place, at_ms = conversation.last + 1, now_ms(connection)
    if place > MOST_MESSAGES:
        raise InputError(
            f"A conversation has at most {MOST_MESSAGES} messages.", code="conversation_full", hint="Begin another one."
        )
    sealed = sealed_of(vault, conversation.id, place, content)
    stored = insert(messages).values(
        conversation_id=conversation.id, place=place, author=content.author, kind=content.kind, request_id=request_id,
        answers=answers, confidence=content.confidence, intent=content.intent, source=content.source, sealed=sealed,
        at_ms=at_ms,
    )  # fmt: skip
    connection.execute(stored)
    connection.execute(update(table).where(table.c.id == conversation.id).values(last=place))
    return Message(place, content, answers, at_ms)


def locked(connection: Connection, conversation_id: str, *, within: str | None = None) -> Conversation:
    """The conversation, held by this transaction. Raises InputError `conversation_unknown`."""
    found = _row(connection, conversation_id, lock=True)
    if found is None or within not in (None, found.account_id):
        raise unknown()
    return found


def require_talking(conversation: Conversation) -> None:
    if conversation.status == "closed":
        raise InputError("The conversation is closed.", code="conversation_closed", hint="Begin another one.")


def require_message(connection: Connection, conversation_id: str, place: int) -> Mapping[str, Any]:
    """Kind, intent and source of an answer. Raises InputError `message_unknown`."""
    here = (messages.c.conversation_id == conversation_id) & (messages.c.place == place)
    wanted = select(messages.c.kind, messages.c.intent, messages.c.source)
    row = connection.execute(wanted.where(here, messages.c.author.in_(("assistant", "person")))).mappings().first()
    if row is None:
        raise InputError("There is no such answer.", code="message_unknown", hint="Name an answer by its place.")
    return dict(row)


def unknown() -> InputError:
    return InputError(
        "There is no such conversation.", code="conversation_unknown", hint="It was never begun, or its time is over."
    )


def of(row: Mapping[Any, Any]) -> Conversation:
    return Conversation(**{name: row[name] for name in Conversation.__dataclass_fields__})


def _refuse_fast(connection: Connection, conversation_id: str, rate: Rate, at_ms: int) -> None:
    mine = (messages.c.conversation_id == conversation_id) & (messages.c.author == "user")
    recent = select(func.count()).select_from(messages).where(mine, messages.c.at_ms > at_ms - 1000 * rate.seconds)
    if connection.execute(recent).scalar_one() >= rate.count:
        raise InputError("Too many messages at once.", code="messages_limited", hint="Wait a moment.")


def _row(connection: Connection, conversation_id: str, *, lock: bool = False) -> Conversation | None:
    wanted = select(table).where(table.c.id == conversation_id, table.c.expires_ms > now_ms(connection))
    row = connection.execute(wanted.with_for_update() if lock else wanted).mappings().first()
    return None if row is None else of(row)


def _same_request(conversation_id: str, request_id: str) -> Any:
    mine = messages.c.conversation_id == conversation_id
    return select(messages.c.place).where(mine, messages.c.request_id == request_id)


# ---------------------------------------------------------------- sealed


def message_context(conversation_id: str, place: int) -> tuple[str, ...]:
    return (messages.name, conversation_id, str(place))


def sealed_of(vault: Vault, conversation_id: str, place: int, content: Content) -> bytes:
    return vault.seal(
        canonical_json({"text": content.text, "beside": dict(content.beside)}), message_context(conversation_id, place)
    )


def message_of(vault: Vault, conversation_id: str, place: int, sealed: bytes) -> dict[str, Any]:
    """What was sealed of a message: `text` and `beside`. Raises VerificationFailed."""
    opened = json.loads(vault.open_sealed(sealed, message_context(conversation_id, place)))
    if not isinstance(opened, dict) or not isinstance(opened.get("text"), str):
        raise VerificationFailed("A stored message cannot be read.", code="sealed")
    return opened


def _message(vault: Vault, row: Mapping[Any, Any]) -> Message:
    opened = message_of(vault, row["conversation_id"], row["place"], row["sealed"])
    content = Content(
        row["author"], row["kind"], opened["text"], opened["beside"], row["confidence"], row["intent"], row["source"]
    )
    return Message(row["place"], content, row["answers"], row["at_ms"])


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
