"""Credit bought in advance: codes that redeem exactly once, grants, and a balance that is the sum of its entries.

Not here: what credit pays for (`invoices.py`). Entries are only added: a mistake is put right by another one.

A code is 125 random bits in Crockford base 32 (https://www.crockford.com/base32.html), five groups of five, read without
regard to case, spaces, dashes, and O, I, L for 0, 1, 1. As with keys only its SHA-256 is kept.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import asdict, dataclass, field

from sqlalchemy import Connection, and_, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from tradewind.business import audit
from tradewind.business.accounts import require, require_open
from tradewind.business.database import Database, now_ms
from tradewind.business.subscription import subscription_of
from tradewind.business.tables import credit_entries, subscriptions, top_up_codes
from tradewind.errors import InputError
from tradewind.ids import new_id
from tradewind.money import Money

KINDS = ("top_up", "grant", "invoice", "credit_note", "refund")
MOST_CODES = 10_000
MOST_MINOR = 10**15

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_READ_AS = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})
_GROUP = 5
_REFERENCE_MOST = 80


@dataclass(frozen=True)
class Code:
    """A new top-up code, shown once. `prefix`, its first group, names it in lists."""

    prefix: str
    amount: Money
    expires_ms: int | None
    code: str = field(repr=False)


@dataclass(frozen=True)
class Entry:
    """Positive `amount`: bought or given; negative: spent. `reference` is unique within its `kind`."""

    id: str
    account_id: str
    amount: Money
    kind: str
    reference: str
    at_ms: int


def issue_codes(
    database: Database, amount: Money, *, count: int = 1, expires_ms: int | None = None, actor: str
) -> tuple[Code, ...]:
    """Raises InputError `credit_amount`, `credit_count`, `expiry`."""
    _check_amount(amount)
    if not 1 <= count <= MOST_CODES:
        raise InputError(f"Between 1 and {MOST_CODES} codes are made at once.", code="credit_count")

    def change(connection: Connection) -> tuple[Code, ...]:
        moment = now_ms(connection)
        if expires_ms is not None and expires_ms <= moment:
            raise InputError("A code cannot expire before it is made.", code="expiry")
        codes = tuple(_new_code(amount, expires_ms) for _ in range(count))
        rows = [
            {
                "hash": _hash(code.code),
                "prefix": code.prefix,
                "amount_minor": amount.amount_minor,
                "currency": amount.currency,
                "created_ms": moment,
                "expires_ms": expires_ms,
            }
            for code in codes
        ]
        connection.execute(insert(top_up_codes), rows)
        detail = {"count": count, "amount": str(amount), "expires_ms": expires_ms}
        audit.append(connection, actor=actor, action="credit.codes", subject=codes[0].prefix, detail=detail)
        return codes

    return database.write(change)


def redeem(database: Database, account_id: str, code: str, *, actor: str = "customer") -> Entry:
    """Adds a code's amount to the account's credit, once in the life of the code.

    Raises InputError `code_unknown`, `code_redeemed`, `code_expired`, `credit_currency` (the code stays good),
    `account_unknown`, `account_closed`.
    """
    hashed = _hash(code)

    def change(connection: Connection) -> Entry:
        require_open(connection, account_id)
        moment = now_ms(connection)
        good = and_(
            top_up_codes.c.hash == hashed,
            top_up_codes.c.redeemed_ms.is_(None),
            or_(top_up_codes.c.expires_ms.is_(None), top_up_codes.c.expires_ms > moment),
        )
        # One statement decides: of many that redeem at once, one finds the row as it was.
        taken = connection.execute(
            update(top_up_codes).where(good).values(redeemed_ms=moment, account_id=account_id).returning(top_up_codes)
        ).first()
        if taken is None:
            raise _refusal(connection, hashed)
        amount = Money(taken.amount_minor, taken.currency)
        _check_currency(connection, account_id, amount.currency)
        return record(
            connection, database, account_id=account_id, amount=amount, kind="top_up", reference=hashed, actor=actor
        )

    return database.write(change)


def grant(database: Database, account_id: str, *, amount: Money, reference: str | None = None, actor: str) -> Entry:
    """Gives credit. With a `reference` it is given once. Raises InputError `credit_amount`, `credit_exists`,
    `credit_reference`, `credit_currency`, `account_unknown`, `account_closed`."""
    _check_amount(amount)
    if reference is not None and not 0 < len(reference) <= _REFERENCE_MOST:
        raise InputError(f"A reference has 1 to {_REFERENCE_MOST} characters.", code="credit_reference")
    told = reference or new_id("grant", clock=database.clock)

    def change(connection: Connection) -> Entry:
        require_open(connection, account_id)
        _check_currency(connection, account_id, amount.currency)
        return record(
            connection, database, account_id=account_id, amount=amount, kind="grant", reference=told, actor=actor
        )

    try:
        return database.write(change)
    except IntegrityError as error:  # another account's, in the same moment
        raise _exists("grant", told) from error


def balance(database: Database, account_id: str, currency: str) -> Money:
    """What is left of the credit in one currency. Raises InputError `account_unknown`, `currency`."""
    with database.reading() as connection:
        require(connection, account_id)
        return balance_in(connection, account_id, currency=currency)


def entries(database: Database, account_id: str) -> tuple[Entry, ...]:
    """Every entry of the account, oldest first. Raises InputError `account_unknown`."""
    with database.reading() as connection:
        require(connection, account_id)
        mine = select(credit_entries).where(credit_entries.c.account_id == account_id)
        return tuple(
            Entry(row.id, row.account_id, Money(row.amount_minor, row.currency), row.kind, row.reference, row.at_ms)
            for row in connection.execute(mine.order_by(credit_entries.c.at_ms, credit_entries.c.id))
        )


def balance_in(connection: Connection, account_id: str, *, currency: str) -> Money:
    """The balance within the caller's transaction; to spend it, lock the account first (`accounts.require`)."""
    mine = and_(credit_entries.c.account_id == account_id, credit_entries.c.currency == currency)
    total = connection.execute(select(func.sum(credit_entries.c.amount_minor)).where(mine)).scalar_one()
    return Money(int(total or 0), currency)


def record(
    connection: Connection,
    database: Database,
    *,
    account_id: str,
    amount: Money,
    kind: str,
    reference: str,
    actor: str,
) -> Entry:
    """Adds an entry in the caller's write transaction. Raises InputError `credit_exists` for a second one of the same kind
    and reference."""
    assert kind in KINDS
    same = and_(credit_entries.c.kind == kind, credit_entries.c.reference == reference)
    if connection.execute(select(credit_entries.c.id).where(same)).first() is not None:
        raise _exists(kind, reference)
    entry = Entry(new_id("crd", clock=database.clock), account_id, amount, kind, reference, now_ms(connection))
    row = {name: value for name, value in asdict(entry).items() if name != "amount"}
    connection.execute(insert(credit_entries).values(**row, **asdict(amount)))
    database.bump(connection)
    detail = {"account": account_id, "amount": str(amount), "reference": reference}
    audit.append(connection, actor=actor, action=f"credit.{kind}", subject=entry.id, detail=detail)
    return entry


def _exists(kind: str, reference: str) -> InputError:
    return InputError(f"There is a {kind} entry for {reference} already.", code="credit_exists")


def _refusal(connection: Connection, hashed: str) -> InputError:
    row = connection.execute(select(top_up_codes).where(top_up_codes.c.hash == hashed)).first()
    if row is None:
        return InputError("There is no such code.", code="code_unknown", hint="Check each group of five characters.")
    if row.redeemed_ms is not None:
        return InputError("The code was redeemed already.", code="code_redeemed")
    return InputError("The code has expired.", code="code_expired")


def _check_currency(connection: Connection, account_id: str, currency: str) -> None:
    """Credit that the account's plan could never use is refused."""
    mine = and_(subscriptions.c.account_id == account_id, subscriptions.c.ended_ms.is_(None))
    row = connection.execute(select(subscriptions).where(mine)).mappings().first()
    if row is not None and subscription_of(dict(row)).terms.currency != currency:
        wanted = subscription_of(dict(row)).terms.currency
        raise InputError(f"The credit is in {currency}, the account's plan in {wanted}.", code="credit_currency")


def _check_amount(amount: Money) -> None:
    if not 0 < amount.amount_minor <= MOST_MINOR:
        raise InputError(f"{amount} is no amount of credit: it must be above 0.", code="credit_amount")


def _new_code(amount: Money, expires_ms: int | None) -> Code:
    groups = ["".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(5)]
    return Code(groups[0], amount, expires_ms, "-".join(groups))


def _hash(code: str) -> str:
    return hashlib.sha256(code.upper().translate(_READ_AS).encode("utf-8", "surrogatepass")).hexdigest()
