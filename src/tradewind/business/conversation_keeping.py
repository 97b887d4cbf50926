"""The end of conversations: when their time is over, when somebody is to be forgotten, when another key seals them.
Not here: how long they are kept (`serve.conversation.keep`), nor how they are continued (`conversations.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from sqlalchemy import Connection, delete, select, update

from tradewind.business.conversations import Content, message_context, sealed_of
from tradewind.business.database import Database, now_ms
from tradewind.business.tables import conversation_feedback as feedback
from tradewind.business.tables import conversation_messages as messages
from tradewind.business.tables import conversations as table
from tradewind.business.verdicts import comment_context
from tradewind.privacy.vault import Vault


def sweep(database: Database, *, most: int = 500) -> int:
    """Ends conversations whose time is over, at most `most` in one transaction; gives how many. Figures of verdicts stay,
    without their words."""

    def change(connection: Connection) -> int:
        over = select(table.c.id).where(table.c.expires_ms <= now_ms(connection)).order_by(table.c.expires_ms)
        found = list(connection.execute(over.limit(most).with_for_update(skip_locked=True)).scalars())
        if found:
            mine = feedback.c.conversation_id.in_(found)
            connection.execute(update(feedback).where(mine).values(comment=None))
            _remove(connection, found)
        return len(found)

    return database.write(change)


def sweep_all(database: Database) -> int:
    """Ends everything that is due, in as many transactions as it takes."""
    gone = 0
    while step := sweep(database):
        gone += step
    return gone


def forget(connection: Connection, found: Sequence[str]) -> None:
    """Takes conversations away with every message and every verdict on them."""
    connection.execute(delete(feedback).where(feedback.c.conversation_id.in_(found)))
    _remove(connection, found)


def rewrite(connection: Connection, vault: Vault, conversation_id: str, *, place: int, content: Content) -> None:
    """Other words in the place of a message: of one that names somebody who is to be forgotten."""
    here = (messages.c.conversation_id == conversation_id) & (messages.c.place == place)
    connection.execute(update(messages).where(here).values(sealed=sealed_of(vault, conversation_id, place, content)))


def reseal_all(database: Database, vault: Vault, *, most: int = 100) -> int:
    """Brings every message and comment under the vault's newest key; gives how many changed. `most` conversations go into
    one transaction."""
    changed, after = 0, ""
    while True:
        step, last = database.write(partial(_reseal, vault=vault, after=after, most=most))
        changed += step
        if last is None:
            return changed
        after = last


def _reseal(connection: Connection, *, vault: Vault, after: str, most: int) -> tuple[int, str | None]:
    """How many changed, and the conversation to go on after; None when all were seen."""
    ids = feedback.c.conversation_id, table.c.id
    seen = (
        select(ids[1])
        .where(ids[1] > after)
        .union(select(ids[0]).where(ids[0] > after, feedback.c.comment.is_not(None)))
    )
    found, changed = list(connection.execute(seen.order_by(ids[1].name).limit(most)).scalars()), 0
    for sealed, column, context in (
        (messages, messages.c.sealed, message_context),
        (feedback, feedback.c.comment, comment_context),
    ):
        chosen = select(sealed.c.conversation_id, sealed.c.place, column.label("sealed"))
        chosen = chosen.where(sealed.c.conversation_id.in_(found), column.is_not(None)).with_for_update()
        for row in connection.execute(chosen).all():
            new = vault.reseal(row.sealed, context(row.conversation_id, row.place))
            if new != row.sealed:
                here = (sealed.c.conversation_id == row.conversation_id) & (sealed.c.place == row.place)
                connection.execute(update(sealed).where(here).values({column.name: new}))
                changed += 1
    return changed, found[-1] if len(found) == most else None


def _remove(connection: Connection, found: Sequence[str]) -> None:
    connection.execute(delete(messages).where(messages.c.conversation_id.in_(found)))
    connection.execute(delete(table).where(table.c.id.in_(found)))
