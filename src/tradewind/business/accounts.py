"""Organisations that buy, and their members. Not here: what they bought (`plans.py`) and how they call (`keys.py`)."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace

from sqlalchemy import Connection, delete, insert, or_, select, update

from tradewind.business import audit
from tradewind.business.database import Database, now_ms
from tradewind.business.roles import ROLES
from tradewind.business.tables import accounts, customer_texts, keys
from tradewind.business.tables import members as members_table
from tradewind.errors import InputError, nearest
from tradewind.ids import new_id

LANGUAGES = ("en", "zh")

_NAME_MOST = 200
_EMAIL = re.compile(r"^[^\s@\x00-\x1f]+@[^\s@\x00-\x1f]+\.[^\s@\x00-\x1f]+$")
_EMAIL_MOST = 320  # RFC 3696, erratum 1690: 64 before the sign, 255 after it


@dataclass(frozen=True)
class Account:
    """`language` is that of its invoices; a closed account stays for its invoices and can do nothing more."""

    id: str
    name: str
    email: str | None
    language: str
    created_ms: int
    closed_ms: int | None


@dataclass(frozen=True)
class Member:
    id: str
    account_id: str
    email: str
    role: str
    created_ms: int
    removed_ms: int | None


def add(database: Database, name: str, *, email: str | None = None, language: str = "en", actor: str) -> Account:
    """A new account. Two may bear one name. Raises InputError `account_name`, `email`, `language`."""
    name = named(name, code="account_name", what="An account")
    email = None if email is None else _email(email)
    _one_of(language, LANGUAGES, code="language")

    def change(connection: Connection) -> Account:
        account = Account(new_id("acc", clock=database.clock), name, email, language, now_ms(connection), None)
        connection.execute(insert(accounts).values(**asdict(account)))
        database.bump(connection)
        audit.append(connection, actor=actor, action="account.add", subject=account.id, detail={"name": name})
        return account

    return database.write(change)


def get(database: Database, account_id: str) -> Account:
    """Raises InputError `account_unknown`."""
    with database.reading() as connection:
        return require(connection, account_id)


def find(database: Database, name: str) -> Account:
    """By id, or by name where only one open account bears it. Raises InputError `account_unknown`, `account_ambiguous`."""
    with database.reading() as connection:
        wanted = select(accounts).where(or_(accounts.c.id == name, accounts.c.name == name.strip()))
        found = [Account(**row) for row in connection.execute(wanted.order_by(accounts.c.id)).mappings()]
        names = [] if found else connection.execute(select(accounts.c.name).limit(1000)).scalars().all()
    exact = [account for account in found if account.id == name]
    still_open = [account for account in found if account.closed_ms is None]
    best = exact or still_open or found
    if len(best) == 1:
        return best[0]
    if best:
        ids = ", ".join(account.id for account in best)
        raise InputError(f"{len(best)} accounts are named {name}.", code="account_ambiguous", hint=f"Say which: {ids}.")
    raise InputError(f"There is no account {name}.", code="account_unknown", hint=nearest(name, names) or None)


def all_accounts(database: Database) -> tuple[Account, ...]:
    """Every account, closed ones too, oldest first."""
    with database.reading() as connection:
        found = connection.execute(select(accounts).order_by(accounts.c.id)).mappings()
        return tuple(Account(**row) for row in found)


def close(database: Database, account_id: str, *, actor: str) -> Account:
    """Its keys stop and its subscription ends at this moment; its documents and intents go. Closing it again changes nothing."""

    def change(connection: Connection) -> Account:
        account = require(connection, account_id, lock=True)
        if account.closed_ms is not None:
            return account
        closed = replace(account, closed_ms=now_ms(connection))
        connection.execute(update(accounts).where(accounts.c.id == account_id).values(closed_ms=closed.closed_ms))
        connection.execute(delete(customer_texts).where(customer_texts.c.account_id == account_id))
        database.bump(connection)
        audit.append(connection, actor=actor, action="account.close", subject=account_id, detail={})
        return closed

    return database.write(change)


def add_member(database: Database, account_id: str, *, email: str, role: str = "member", actor: str) -> Member:
    """Raises InputError `email`, `role`, `member_exists`, `account_unknown`, `account_closed`."""
    email = _email(email)
    _one_of(role, ROLES, code="role")

    def change(connection: Connection) -> Member:
        require_open(connection, account_id)
        if any(member.email == email for member in _members(connection, account_id)):
            raise InputError(f"{email} is a member already.", code="member_exists")
        moment = now_ms(connection)
        member = Member(new_id("mem", clock=database.clock), account_id, email, role, moment, None)
        connection.execute(insert(members_table).values(**asdict(member)))
        # The log lives as long as the account; an address of a person does not.
        audit.append(connection, actor=actor, action="member.add", subject=member.id, detail={"role": role})
        return member

    return database.write(change)


def remove_member(database: Database, member_id: str, *, within: str | None = None, actor: str) -> Member:
    """Takes a member's place, and revokes every key of theirs in the same moment.

    Raises InputError `member_unknown`, also for one of another account than `within`, and `last_owner`, while others
    remain.
    """

    def change(connection: Connection) -> Member:
        member, others = _held(connection, member_id, within=within)
        _keep_an_owner(member, others)
        removed = replace(member, removed_ms=now_ms(connection))
        row = members_table.c.id == member_id
        connection.execute(update(members_table).where(row).values(removed_ms=removed.removed_ms))
        alive = (keys.c.member_id == member_id) & keys.c.revoked_ms.is_(None)
        revoked = connection.execute(update(keys).where(alive).values(revoked_ms=removed.removed_ms)).rowcount
        database.bump(connection)
        detail = {"keys_revoked": revoked}
        audit.append(connection, actor=actor, action="member.remove", subject=member_id, detail=detail)
        return removed

    return database.write(change)


def set_role(database: Database, member_id: str, *, role: str, within: str | None = None, actor: str) -> Member:
    """Gives a member another role; what their keys may do follows at once.

    Raises InputError `role`, `member_unknown` (also for one of another account than `within`), `last_owner`.
    """
    _one_of(role, ROLES, code="role")

    def change(connection: Connection) -> Member:
        member, others = _held(connection, member_id, within=within)
        if member.role == role:
            return member
        _keep_an_owner(member, others)
        row = members_table.c.id == member_id
        connection.execute(update(members_table).where(row).values(role=role))
        database.bump(connection)
        detail = {"from": member.role, "to": role}
        audit.append(connection, actor=actor, action="member.role", subject=member_id, detail=detail)
        return replace(member, role=role)

    return database.write(change)


def find_member(database: Database, account_id: str, name: str) -> Member:
    """By id or address. Raises InputError `account_unknown`, `member_unknown`."""
    people = members(database, account_id)
    for one in people:
        if name.strip() in (one.id, one.email) or name.strip().lower() == one.email:
            return one
    known = ", ".join(person.email for person in people) or "nobody"
    raise InputError(f"{name} is no member. Members: {known}.", code="member_unknown")


def members(database: Database, account_id: str) -> tuple[Member, ...]:
    """Who is a member now, oldest first. Raises InputError `account_unknown`."""
    with database.reading() as connection:
        require(connection, account_id)
        return _members(connection, account_id)


def require(connection: Connection, account_id: str, *, lock: bool = False) -> Account:
    """The account within the caller's transaction; with `lock`, others' changes to it wait until that ends."""
    query = select(accounts).where(accounts.c.id == account_id)
    if lock:  # not against rows that only point at it: usage goes on
        query = query.with_for_update(key_share=True)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise InputError(f"There is no account {account_id}.", code="account_unknown")
    return Account(**row)


def require_open(connection: Connection, account_id: str) -> Account:
    """The account, locked for the caller's change. Raises InputError `account_unknown`, `account_closed`."""
    account = require(connection, account_id, lock=True)
    if account.closed_ms is not None:
        raise InputError(f"The account {account_id} is closed.", code="account_closed")
    return account


def named(name: str, *, code: str, what: str) -> str:
    """A name without the spaces around it. Raises InputError for an empty one, a long one, control characters."""
    name = name.strip()
    if not name or len(name) > _NAME_MOST or not name.isprintable():
        raise InputError(f"{what} needs a name of 1 to {_NAME_MOST} characters on one line.", code=code)
    return name


def _members(connection: Connection, account_id: str) -> tuple[Member, ...]:
    mine = (members_table.c.account_id == account_id) & members_table.c.removed_ms.is_(None)
    found = connection.execute(select(members_table).where(mine).order_by(members_table.c.id)).mappings()
    return tuple(Member(**row) for row in found)


def _held(connection: Connection, member_id: str, *, within: str | None) -> tuple[Member, tuple[Member, ...]]:
    """A member and the others of the account, which is locked for the caller's change."""
    query = select(members_table.c.account_id).where(members_table.c.id == member_id)
    account_id = connection.execute(query).scalar_one_or_none()
    if account_id is None or within not in (None, account_id):
        raise InputError(f"There is no member {member_id}.", code="member_unknown")
    require(connection, account_id, lock=True)
    present = {member.id: member for member in _members(connection, account_id)}
    if member_id not in present:
        raise InputError(f"There is no member {member_id}.", code="member_unknown")
    member = present.pop(member_id)
    return member, tuple(present.values())


def _keep_an_owner(member: Member, others: tuple[Member, ...]) -> None:
    if member.role == "owner" and others and all(other.role != "owner" for other in others):
        raise InputError(
            f"{member.email} is the last owner.", code="last_owner", hint="Make another member owner first."
        )


def _email(email: str) -> str:
    email = email.strip().lower()
    if not _EMAIL.match(email) or len(email) > _EMAIL_MOST:
        raise InputError(f"{email!r} is no e-mail address.", code="email", hint="Write name@example.com.")
    return email


def _one_of(word: str, known: tuple[str, ...], *, code: str) -> None:
    if word not in known:
        raise InputError(f"{word} is not one of {', '.join(known)}.", code=code, hint=nearest(word, known) or None)
