"""What a payment provider keeps of an account so that it may be charged at once: references, never a card's number.
Not here: charging (`payments.py`)."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from tradewind.business import audit
from tradewind.business.accounts import require_open
from tradewind.business.database import Database, now_ms
from tradewind.business.tables import payment_methods as table
from tradewind.errors import InputError

_MOST = 255


@dataclass(frozen=True)
class Card:
    """What a provider keeps of a customer who agreed to be charged; at Stripe `cus_…` and `pm_…`."""

    customer: str
    payment_method: str


def keep(database: Database, account_id: str, *, provider: str, card: Card, actor: str) -> None:
    """The account is charged by this from now on, in the place of what was kept for the provider before.

    Raises InputError `payment_method` for an empty or long reference or one that is not on one line, `account_unknown`,
    `account_closed`.
    """
    for word in (provider, card.customer, card.payment_method):
        if not word.strip() or len(word) > _MOST or not word.isprintable() or word.isdigit():
            raise InputError(
                "That is no reference of a payment provider.",
                code="payment_method",
                hint="Give the provider's ids, at Stripe cus_… and pm_…; never a card's number.",
            )

    def change(connection: Connection) -> None:
        require_open(connection, account_id)
        _forget(connection, account_id, provider)
        connection.execute(
            insert(table).values(
                account_id=account_id,
                provider=provider,
                customer=card.customer,
                payment_method=card.payment_method,
                at_ms=now_ms(connection),
            )
        )
        audit.append(
            connection, actor=actor, action="payment_method.keep", subject=account_id, detail={"provider": provider}
        )

    database.write(change)


def forget(database: Database, account_id: str, *, provider: str, actor: str) -> bool:
    """Whether there was one. What is collected from now on waits for the customer."""

    def change(connection: Connection) -> bool:
        gone = _forget(connection, account_id, provider)
        if gone:
            audit.append(
                connection,
                actor=actor,
                action="payment_method.forget",
                subject=account_id,
                detail={"provider": provider},
            )
        return gone

    return database.write(change)


def cards(database: Database, provider: str) -> dict[str, Card]:
    """By account, what is kept for a provider."""
    with database.reading() as connection:
        rows = connection.execute(select(table).where(table.c.provider == provider)).all()
    return {row.account_id: Card(row.customer, row.payment_method) for row in rows}


def _forget(connection: Connection, account_id: str, provider: str) -> bool:
    mine = (table.c.account_id == account_id) & (table.c.provider == provider)
    return connection.execute(delete(table).where(mine)).rowcount > 0
