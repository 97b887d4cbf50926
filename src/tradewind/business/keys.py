"""API keys: a secret that is shown once, of which a hash is kept. Not here: HTTP headers, and what is remembered of them.

A secret is `tw_live_` (a customer's) or `tw_op_` (the operator's) and 256 random bits. Its first 16 characters, the prefix,
are shown in lists and find the row. Only the SHA-256 of the whole is stored: a slow hash is for what people choose and
others can guess; nobody guesses 256 random bits, and a fast hash keeps the check off the clock. Hashes are compared in
constant time, and a prefix that does not exist is compared too, so a stranger learns nothing from how long a refusal takes.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import string
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, and_, insert, or_, select, update

from tradewind.business import audit, plans
from tradewind.business.accounts import named, require, require_open
from tradewind.business.database import Database, now_ms
from tradewind.business.roles import SCOPES_OF, bounded
from tradewind.business.subscription import Subscription, subscription_of
from tradewind.business.tables import accounts, members, subscriptions
from tradewind.business.tables import keys as table
from tradewind.errors import InputError, nearest
from tradewind.ids import new_id

SCOPES = ("predict", "converse", "usage", "keys", "invoices", "operator")
OPERATOR = "operator"
PREDICT, CONVERSE = "predict", "converse"
USUAL = ("predict", "usage", "keys", "invoices")  # of a customer's key, where nothing else is said
GRACE_MOST_S = 90 * 86_400

_LETTERS = string.ascii_letters + string.digits
_PREFIX = 16
_SHAPE = re.compile(r"^tw_(live|op)_[A-Za-z0-9]{8,10}_[A-Za-z0-9_-]{43}$")
_NOBODY = hashlib.sha256(b"no key has this hash but by finding it").hexdigest()


@dataclass(frozen=True)
class Key:
    """`account_id` is None for the operator's, `member_id` for a key of the account itself. `expires_ms` is also the end of
    the grace after a rotation."""

    id: str
    account_id: str | None
    name: str
    prefix: str
    scopes: frozenset[str]
    created_ms: int
    expires_ms: int | None
    revoked_ms: int | None
    replaced_by: str | None
    member_id: str | None = None


@dataclass(frozen=True)
class Issued:
    """A new key and its secret, which nobody can see again."""

    key: Key
    secret: str = field(repr=False)


@dataclass(frozen=True)
class Access:
    """What a caller may do, with nothing left to look up. It holds until `until_ms` or the database's next revision.

    `scopes` are the key's, bounded by the `role` of the member it belongs to; both are None for a key of the account.

    `subscription` is the one in force; None for the operator, and for a customer who has none: he still reads his invoices.
    """

    key_id: str
    account_id: str | None
    scopes: frozenset[str]
    expires_ms: int | None
    operator: bool
    subscription: Subscription | None
    member_id: str | None = None
    role: str | None = None

    @property
    def public(self) -> bool:
        """Whether everybody may know the key, since it stands on a page: it converses and nothing else."""
        return self.scopes == {CONVERSE}

    def may(self, scope: str) -> bool:
        """Whoever may predict may converse."""
        return scope in self.scopes or (scope == CONVERSE and PREDICT in self.scopes)

    @property
    def until_ms(self) -> int | None:
        ends = (self.expires_ms, self.subscription.until_ms if self.subscription else None)
        return min((end for end in ends if end is not None), default=None)


def issue(
    database: Database,
    account_id: str | None,
    *,
    name: str,
    scopes: Collection[str],
    expires_ms: int | None = None,
    member_id: str | None = None,
    actor: str,
) -> Issued:
    """A new key of an account, of one of its members, or of the operator (None, with the scope `operator` and no other).

    Raises InputError `key_name`, `scope`, `expiry`, `account_unknown`, `account_closed`, `member_unknown`, and `role_scope`
    where the member's role allows none of the scopes.
    """
    name = named(name, code="key_name", what="A key")
    allowed = _scopes(scopes, operator=account_id is None)

    def change(connection: Connection) -> Issued:
        if account_id is not None:
            require_open(connection, account_id)
        if expires_ms is not None and expires_ms <= now_ms(connection):
            raise InputError("A key cannot expire before it is made.", code="expiry")
        _check_member(connection, account_id, member_id, allowed)
        issued = _make(
            connection, database, account_id, name=name, scopes=allowed, expires_ms=expires_ms, member_id=member_id
        )
        _log(connection, database, issued.key, action="key.issue", actor=actor, scopes=sorted(allowed))
        return issued

    return database.write(change)


def rotate(database: Database, key_id: str, *, grace_s: int = 86_400, within: str | None = None, actor: str) -> Issued:
    """A new key with the same name, scopes and length of life; the old one works for `grace_s` seconds more.

    Raises InputError `key_unknown` (also for a key of another account than `within`), `key_revoked`, `key_expired`,
    `key_replaced`, `grace`, `account_closed`.
    """
    if not 0 <= grace_s <= GRACE_MOST_S:
        raise InputError(f"The grace is between 0 and {GRACE_MOST_S} seconds.", code="grace")

    def change(connection: Connection) -> Issued:
        old = _held(connection, key_id, within=within)
        if old.account_id is not None:
            require_open(connection, old.account_id)
        moment = now_ms(connection)
        _refuse_dead(old, moment)
        if old.replaced_by is not None:
            raise InputError(f"The key {old.prefix} was rotated already.", code="key_replaced")
        lives_ms = None if old.expires_ms is None else old.expires_ms - old.created_ms
        expires_ms = None if lives_ms is None else moment + lives_ms
        issued = _make(
            connection, database, old.account_id,
            name=old.name, scopes=old.scopes, expires_ms=expires_ms, member_id=old.member_id,
        )  # fmt: skip
        ends_ms = moment + grace_s * 1000
        ends_ms = ends_ms if old.expires_ms is None else min(ends_ms, old.expires_ms)
        values = {"expires_ms": ends_ms, "replaced_by": issued.key.id}
        connection.execute(update(table).where(table.c.id == old.id).values(**values))
        _log(connection, database, old, action="key.rotate", actor=actor, replaced_by=issued.key.id, ends_ms=ends_ms)
        return issued

    return database.write(change)


def revoke(database: Database, key_id: str, *, within: str | None = None, actor: str) -> Key:
    """The key is refused from now on. Revoking it again changes nothing. Raises InputError `key_unknown`, also for a key
    of another account than `within`."""

    def change(connection: Connection) -> Key:
        key = _held(connection, key_id, within=within)
        if key.revoked_ms is not None:
            return key
        revoked = replace(key, revoked_ms=now_ms(connection))
        connection.execute(update(table).where(table.c.id == key_id).values(revoked_ms=revoked.revoked_ms))
        _log(connection, database, key, action="key.revoke", actor=actor)
        return revoked

    return database.write(change)


def find(database: Database, name: str) -> Key:
    """By id or prefix. Raises InputError `key_unknown`."""
    with database.reading() as connection:
        wanted = select(table).where(or_(table.c.id == name, table.c.prefix == name))
        row = connection.execute(wanted).mappings().first()
    if row is None:
        # The word may be a whole secret: it is not repeated.
        raise InputError("There is no such key.", code="key_unknown", hint="Name it by its id or its prefix.")
    return _key(row)


def keys_of(database: Database, account_id: str | None) -> tuple[Key, ...]:
    """All keys of an account, or of the operator, oldest first; dead ones too. Raises InputError `account_unknown`."""
    with database.reading() as connection:
        if account_id is not None:
            require(connection, account_id)
        mine = table.c.account_id.is_(None) if account_id is None else table.c.account_id == account_id
        found = connection.execute(select(table).where(mine).order_by(table.c.id)).mappings()
        return tuple(_key(row) for row in found)


def access(database: Database, secret: str) -> Access:
    """Who holds `secret`, in one query. Raises InputError `key_unknown`, `key_revoked`, `key_expired`, `account_closed`;
    EnvironmentFailure when the database cannot be asked."""
    hashed = hash_secret(secret)
    shaped = _SHAPE.match(secret) is not None
    with database.reading() as connection:
        moment = now_ms(connection)
        row = connection.execute(_joined(secret[:_PREFIX] if shaped else "")).mappings().first()
    proven = hmac.compare_digest(hashed, row["hash"] if row else _NOBODY)
    if row is None or not proven:
        raise InputError("The API key is not known.", code="key_unknown", hint="Check it, or make a new one.")
    key = _key(row)
    _refuse_dead(key, moment)
    if row["account_closed_ms"] is not None:
        raise InputError("The account is closed.", code="account_closed")
    subscription = None
    if row["subscription_id"] is not None:
        columns = {column.name: row[f"subscription_{column.name}"] for column in subscriptions.columns}
        subscription = subscription_of(columns)
        if subscription.is_due(moment):
            subscription = _rolled(database, subscription.account_id)
    operator = OPERATOR in key.scopes
    scopes, role = bounded(key.scopes, row["member_role"]), row["member_role"]
    return Access(key.id, key.account_id, scopes, key.expires_ms, operator, subscription, key.member_id, role)


def hash_secret(secret: str) -> str:
    """SHA-256 as 64 hexadecimal digits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


# ---------------------------------------------------------------- within a transaction


def _make(
    connection: Connection,
    database: Database,
    account_id: str | None,
    *,
    name: str,
    scopes: frozenset[str],
    expires_ms: int | None,
    member_id: str | None,
) -> Issued:
    while True:
        secret = _new_secret("tw_op_" if account_id is None else "tw_live_")
        prefix = secret[:_PREFIX]
        if connection.execute(select(table.c.id).where(table.c.prefix == prefix)).first() is None:
            break
    key = Key(
        id=new_id("key", clock=database.clock),
        account_id=account_id,
        name=name,
        prefix=prefix,
        scopes=scopes,
        created_ms=now_ms(connection),
        expires_ms=expires_ms,
        revoked_ms=None,
        replaced_by=None,
        member_id=member_id,
    )
    row = {**vars(key), "scopes": json.dumps(sorted(scopes)), "hash": hash_secret(secret)}
    connection.execute(insert(table).values(**row))
    return Issued(key, secret)


def _new_secret(kind: str) -> str:
    shown = "".join(secrets.choice(_LETTERS) for _ in range(_PREFIX - len(kind)))
    return f"{kind}{shown}_{secrets.token_urlsafe(32)}"


def _held(connection: Connection, key_id: str, *, within: str | None) -> Key:
    row = connection.execute(select(table).where(table.c.id == key_id).with_for_update()).mappings().one_or_none()
    if row is None or within not in (None, row["account_id"]):
        raise InputError("There is no such key.", code="key_unknown")
    return _key(row)


def _joined(prefix: str) -> Any:
    present = and_(subscriptions.c.account_id == table.c.account_id, subscriptions.c.ended_ms.is_(None))
    columns = [column.label(f"subscription_{column.name}") for column in subscriptions.columns]
    query = select(
        table, accounts.c.closed_ms.label("account_closed_ms"), members.c.role.label("member_role"), *columns
    )
    joined = query.outerjoin(accounts, accounts.c.id == table.c.account_id).outerjoin(subscriptions, present)
    joined = joined.outerjoin(members, members.c.id == table.c.member_id)
    return joined.where(table.c.prefix == prefix)


def _rolled(database: Database, account_id: str) -> Subscription | None:
    try:
        return plans.current(database, account_id)
    except InputError:
        return None


def _key(row: Mapping[Any, Any]) -> Key:
    return Key(
        id=row["id"],
        account_id=row["account_id"],
        name=row["name"],
        prefix=row["prefix"],
        scopes=frozenset(json.loads(row["scopes"])),
        created_ms=row["created_ms"],
        expires_ms=row["expires_ms"],
        revoked_ms=row["revoked_ms"],
        replaced_by=row["replaced_by"],
        member_id=row["member_id"],
    )


def _check_member(
    connection: Connection, account_id: str | None, member_id: str | None, scopes: frozenset[str]
) -> None:
    if member_id is None:
        return
    query = select(members.c.role).where(
        members.c.id == member_id, members.c.account_id == account_id, members.c.removed_ms.is_(None)
    )
    role = connection.execute(query).scalar_one_or_none()
    if role is None:
        raise InputError(f"There is no member {member_id}.", code="member_unknown")
    if not bounded(scopes, role):
        raise InputError(
            f"A key of the role {role} may {', '.join(sorted(SCOPES_OF[role]))}, and none of {', '.join(sorted(scopes))}.",
            code="role_scope",
            hint="Ask for other scopes, or give the member another role.",
        )


def _log(connection: Connection, database: Database, key: Key, *, action: str, actor: str, **detail: Any) -> None:
    database.bump(connection)
    detail = {"account": key.account_id, "prefix": key.prefix, **detail}
    audit.append(connection, actor=actor, action=action, subject=key.id, detail=detail)


def _refuse_dead(key: Key, moment: int) -> None:
    if key.revoked_ms is not None:
        raise InputError(f"The key {key.prefix} was revoked.", code="key_revoked", hint="Use another one.")
    if key.expires_ms is not None and key.expires_ms <= moment:
        raise InputError(f"The key {key.prefix} has expired.", code="key_expired", hint="Use another one.")


def _scopes(scopes: Collection[str], *, operator: bool) -> frozenset[str]:
    known = (OPERATOR,) if operator else tuple(scope for scope in SCOPES if scope != OPERATOR)
    whose = "the operator's key" if operator else "a customer's key"
    for scope in scopes:
        if scope not in known:
            raise InputError(
                f"{scope} is no scope of {whose}. Scopes: {', '.join(known)}.",
                code="scope",
                hint=nearest(scope, known) or None,
            )
    if not scopes or isinstance(scopes, str):
        raise InputError(f"A key needs at least one scope of {', '.join(known)}.", code="scope")
    return frozenset(scopes)
