"""A person takes over a conversation: who waits, who takes it, what is said, and how it goes back. Not here: when that is
due (`server/dialogue/policy.py`), nor what is told about it (`server/dialogue/summary.py`).

Two people never hold one conversation: it is taken in one transaction that holds its row, and whoever comes second is told.
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection, select, update

from tradewind.business import audit, conversations
from tradewind.business.conversations import Content, Conversation, Message, Status, of, require_talking
from tradewind.business.database import Database, now_ms
from tradewind.business.tables import conversations as table
from tradewind.errors import InputError
from tradewind.privacy.vault import Vault

_MOST = 200


def waiting(database: Database, *, within: str | None = None, queue: str | None = None) -> list[Conversation]:
    """Those that wait for a person, and those that one holds; who waits longest comes first. `within` one account."""
    wanted = select(table).where(table.c.status.in_(("waiting", "held")))
    for column, value in ((table.c.account_id, within), (table.c.queue, queue)):
        if value is not None:
            wanted = wanted.where(column == value)
    with database.reading() as connection:
        wanted = wanted.where(table.c.expires_ms > now_ms(connection))
        rows = connection.execute(wanted.order_by(table.c.waiting_ms, table.c.id).limit(_MOST)).mappings()
        return [of(row) for row in rows]


def take(
    database: Database, conversation_id: str, *, holder: str, within: str | None = None, actor: str
) -> Conversation:
    """`holder` answers from now on. Taking again what one holds changes nothing.

    Raises InputError `conversation_unknown`, `conversation_closed`, `conversation_held`, `conversation_not_waiting`.
    """

    def change(connection: Connection) -> Conversation:
        present = conversations.locked(connection, conversation_id, within=within)
        if present.status == "held" and present.holder == holder:
            return present
        require_talking(present)
        if present.status == "held":
            raise InputError(
                f"{present.holder} has taken it already.", code="conversation_held", hint="Take another one."
            )
        if present.status != "waiting":
            raise InputError("It waits for nobody.", code="conversation_not_waiting", hint="GET lists those that do.")
        _set(connection, conversation_id, status="held", holder=holder)
        _log(connection, actor, "conversation.take", conversation_id)
        return replace(present, status="held", holder=holder)

    return database.write(change)


def reply(
    database: Database, vault: Vault, conversation_id: str, *, holder: str, text: str, keep_ms: int,
    within: str | None = None,
) -> Message:  # fmt: skip
    """What the person says. Raises InputError as `take`, and `conversation_not_held` where somebody else holds it."""

    def change(connection: Connection) -> Message:
        present = _held(connection, conversation_id, holder=holder, within=within)
        said = conversations.append(connection, vault, present, Content("person", "person", text))
        moment = now_ms(connection)
        values = {"updated_ms": moment, "expires_ms": moment + keep_ms}
        connection.execute(update(table).where(table.c.id == conversation_id).values(**values))
        return said

    return database.write(change)


def give_back(
    database: Database, conversation_id: str, *, holder: str, to: str, within: str | None = None, actor: str
) -> Conversation:
    """Back to the queue (`to` names one), or to the machine (""). Raises InputError as `reply`."""

    def change(connection: Connection) -> Conversation:
        present = _held(connection, conversation_id, holder=holder, within=within)
        status: Status = "waiting" if to else "open"
        _set(connection, conversation_id, status=status, holder=None, queue=to or present.queue, failures=0)
        _log(connection, actor, "conversation.give_back", conversation_id)
        return replace(present, status=status, holder=None, queue=to or present.queue, failures=0)

    return database.write(change)


def _held(connection: Connection, conversation_id: str, *, holder: str, within: str | None) -> Conversation:
    present = conversations.locked(connection, conversation_id, within=within)
    require_talking(present)
    if present.status != "held" or present.holder != holder:
        raise InputError("You do not hold this conversation.", code="conversation_not_held", hint="Take it first.")
    return present


def _set(connection: Connection, conversation_id: str, **values: object) -> None:
    values["updated_ms"] = now_ms(connection)
    connection.execute(update(table).where(table.c.id == conversation_id).values(**values))


def _log(connection: Connection, actor: str, action: str, conversation_id: str) -> None:
    audit.append(connection, actor=actor, action=action, subject=conversation_id, detail={})
