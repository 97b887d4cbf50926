"""Persons in the business database: stored requests and replies about them, and the members and customers they are.
Not here: the walk over all holders and the receipt (`privacy/erasure.py`).

A person is found by the keyed hash that a request named (`subject`), and by the name itself in what is stored. Invoices, and
the log of who decided what, stay: the law asks for the one, and the other proves itself only whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, String, Text, delete, func, insert, or_, select, update

from tradewind.business import accounts, audit, requests
from tradewind.business.database import Database
from tradewind.business.requests import RECORD, REPLY, WHOLE, RequestRecord
from tradewind.business.tables import (
    consents,
    erased_subjects,
    idempotency,
    keys,
    members,
    metadata,
    request_records,
    request_subjects,
)
from tradewind.clock import milliseconds
from tradewind.errors import InputError
from tradewind.privacy.erasure import Done, Item, Kept, Removed
from tradewind.privacy.subjects import Subject
from tradewind.privacy.suppression import MARK
from tradewind.privacy.vault import Vault

GONE_STATUS = 410
_GONE = json.dumps(
    {"error": {"message": "The reply was erased on a person's request. It was charged once, and is not again.",
               "type": "invalid_request_error", "param": None, "code": "erased"}}
).encode()  # fmt: skip
_JSON = json.dumps([["content-type", "application/json"]])
_LAW = "Invoices and what they are derived from must be kept (tax law: six to ten years in most countries)."
_LOG = "The audit log is a chain of hashes: a changed line would take the proof from every other."
# Why a name may stay in a table that is none of the holders below.
_REASONS: Mapping[str, tuple[str, str]] = {
    "invoices": (_LAW, "the end of the legal term"),
    "invoice_lines": (_LAW, "the end of the legal term"),
    "subscriptions": (_LAW, "the end of the legal term"),
    "payments": (_LAW, "the end of the legal term"),
    "credit_entries": (_LAW, "the end of the legal term"),
    "usage_events": (_LAW, "the end of the legal term"),
    "audit": (_LOG, "the account's records end"),
    "accounts": ("It is the name or address of a customer, whom contracts and invoices name.", "the end of the legal term"),
}  # fmt: skip
_OTHER = ("It is part of the business records.", "the end of the legal term")
_MINE = frozenset(
    {
        "request_records",
        "request_subjects",
        "erased_subjects",
        "members",
        "idempotency",
        "customer_texts",
        "reviews",
        "alembic_version",
    }
)


class StoredRequests:
    """The holder of sealed requests and of replies kept for idempotency keys."""

    name = "stored requests"

    def __init__(self, database: Database, vault: Vault | None, *, actor: str = "", receipt: str = "") -> None:
        self._database = database
        self._vault = vault
        self._actor = actor
        self._receipt = receipt

    def find(self, subject: Subject) -> Sequence[Item]:
        items = []
        for record, gone in self._records(subject):
            content: dict[str, Any] = {"product": record.product, "release": record.release, "at_ms": record.at_ms}
            for name in requests.FIELDS:
                values = getattr(record, name)
                if values is not None:
                    whole = WHOLE in gone or not isinstance(values, list) or len(values) <= max(gone)
                    content[name] = values if whole else [values[place] for place in sorted(gone)]
            items.append(Item(f"stored request {record.request_id}", content))
        for row in self._replies(subject):
            items.append(Item(f"reply kept for an idempotency key, request {row.request_id}", _shown(row.body)))
        return items

    def erase(self, subject: Subject, *, redact: bool) -> Done:
        found, replies = list(self._records(subject)), self._replies(subject)
        now_ms = milliseconds(self._database.clock)

        def change(connection: Connection) -> tuple[int, int]:
            _mark_erased(connection, subject, receipt=self._receipt, at_ms=now_ms)
            for record, gone in found:
                assert self._vault is not None
                rows = record.inputs if record.inputs is not None else record.outputs
                everything = WHOLE in gone or not isinstance(rows, list)
                requests.without_rows(connection, self._vault, record=record, gone=None if everything else gone)
            for row in replies:
                here = (idempotency.c.account_id == row.account_id) & (idempotency.c.key == row.key)
                new = {"status": GONE_STATUS, "headers": _JSON, "body": _GONE}
                connection.execute(update(idempotency).where(here).values(**new))
            # Labels that are left are of records that no vault opens any more: the hash alone says whose they are.
            mine = request_subjects.c.subject == subject.digest
            left = select(request_subjects.c.request_id).where(mine & (request_subjects.c.kind == RECORD))
            shut = connection.execute(delete(request_records).where(request_records.c.request_id.in_(left))).rowcount
            connection.execute(delete(request_subjects).where(mine))
            counts = len(found) + shut, len(replies)
            if any(counts):
                detail = {"receipt": self._receipt, "requests": counts[0], "replies": counts[1]}
                audit.append(
                    connection, actor=self._actor, action="subject.erase", subject=subject.digest, detail=detail
                )
            return counts

        stored, kept = self._database.write(change)
        removed = []
        if stored:
            removed.append(Removed("request_records", "requests about the subject or naming it", stored))
        if kept:
            removed.append(Removed("idempotency", "replies kept for an idempotency key", kept))
        return Done(removed)

    def _records(self, subject: Subject) -> Iterator[tuple[RequestRecord, set[int]]]:
        """Records about the subject, with the rows that are; WHOLE stands for all of one."""
        if self._vault is None:
            return
        labelled = self._labelled(subject, RECORD)
        for record in requests.every(self._database, self._vault):
            gone = set(labelled.get(record.request_id, ()))
            for values in (record.inputs, record.outputs):
                if isinstance(values, list):
                    gone.update(place for place, value in enumerate(values) if _names(value, subject))
                elif values is not None and _names(values, subject):
                    gone.add(WHOLE)
            if gone:
                yield record, gone

    def _replies(self, subject: Subject) -> list[Any]:
        labelled = self._labelled(subject, REPLY)
        with self._database.reading() as connection:
            kept = connection.execute(select(idempotency).where(idempotency.c.body.is_not(None))).all()
        return [
            row for row in kept
            if row.body != _GONE and (row.request_id in labelled or _names(_shown(row.body), subject))
        ]  # fmt: skip

    def _labelled(self, subject: Subject, kind: str) -> dict[str, list[int]]:
        mine = (request_subjects.c.subject == subject.digest) & (request_subjects.c.kind == kind)
        found: dict[str, list[int]] = {}
        with self._database.reading() as connection:
            for row in connection.execute(select(request_subjects).where(mine)):
                found.setdefault(row.request_id, []).append(row.place)
        return found


class People:
    """The holder of members, customers and every other text of the database that names the subject."""

    name = "accounts"

    def __init__(self, database: Database, *, actor: str = "") -> None:
        self._database = database
        self._actor = actor

    def find(self, subject: Subject) -> Sequence[Item]:
        items = [Item(f"member {row['id']}", dict(row)) for row in self._members(subject)]
        for table, column, key, text in self._named(subject):
            items.append(Item(f"{table}, {column} of {key}", text))
        return items

    def erase(self, subject: Subject, *, redact: bool) -> Done:
        removed, kept = [], []
        gone = 0
        for row in self._members(subject):
            try:
                if row["removed_ms"] is None:
                    accounts.remove_member(self._database, row["id"], actor=self._actor)
            except InputError:  # last_owner
                kept.append(Kept(
                    "members", "address of the last owner of an account", 1,
                    "Somebody must be able to act for the account while it is open.", "another member is made owner",
                ))  # fmt: skip
                continue
            self._database.write(partial(_rename, member_id=row["id"]))
            gone += 1
        if gone:
            removed.append(Removed("members", "members, with their keys", gone))
        if struck := self._database.write(lambda connection: _strike(connection, subject)):
            removed.append(Removed("keys, consents", "names of keys and notes that named the subject", struck))
        counts: dict[tuple[str, str], int] = {}
        for table, column, _, _ in self._named(subject):
            counts[table, column] = counts.get((table, column), 0) + 1
        for (table, column), count in counts.items():
            why, until = _REASONS.get(table, _OTHER)
            kept.append(Kept(f"{table}.{column}", "entries that name the subject", count, why, until))
        return Done(removed, kept)

    def _members(self, subject: Subject) -> list[dict[str, Any]]:
        with self._database.reading() as connection:
            rows = [dict(row) for row in connection.execute(select(members)).mappings()]
        return [row for row in rows if subject.named_by(row["email"])]

    def _named(self, subject: Subject) -> Iterator[tuple[str, str, str, str]]:
        """Table, column, key and text of every entry that names the subject, but for those of other holders."""
        for table in metadata.sorted_tables:
            columns = [one for one in table.columns if isinstance(one.type, (String, Text)) and not one.foreign_keys]
            if table.name in _MINE or not columns:
                continue
            spellings = {subject.name, subject.name.lower(), json.dumps(subject.name)[1:-1].lower()}
            wanted = or_(
                *(func.lower(one).contains(text, autoescape=True) for one in columns for text in spellings),
                *(
                    one.contains(subject.name, autoescape=True) for one in columns
                ),  # where the database folds ASCII alone
            )
            with self._database.reading() as connection:
                rows = connection.execute(select(table).where(wanted)).mappings().all()
            for row in rows:
                key = "/".join(str(row[one.name]) for one in table.primary_key.columns)
                for one in columns:
                    if row[one.name] is not None and subject.appears_in(_plain(row[one.name])):
                        yield table.name, one.name, key, row[one.name]


def mark_erased(database: Database, subject: Subject, *, receipt: str) -> None:
    """Requests answered until now and not yet stored will not be."""
    at_ms = milliseconds(database.clock)
    database.write(lambda connection: _mark_erased(connection, subject, receipt=receipt, at_ms=at_ms))


def _mark_erased(connection: Connection, subject: Subject, *, receipt: str, at_ms: int) -> None:
    connection.execute(delete(erased_subjects).where(erased_subjects.c.subject == subject.digest))
    connection.execute(insert(erased_subjects).values(subject=subject.digest, receipt=receipt, at_ms=at_ms))


def _rename(connection: Connection, *, member_id: str) -> None:
    new = {"email": f"erased-{member_id}@invalid"}
    connection.execute(update(members).where(members.c.id == member_id).values(**new))


def _strike(connection: Connection, subject: Subject) -> int:
    """Names of keys and notes of consents are for people to read: the name goes, the rest stays."""
    struck = 0
    for table, column in ((keys, keys.c.name), (consents, consents.c.note)):
        for row in connection.execute(select(table.c.id, column.label("text")).where(column.is_not(None))).all():
            new = subject.struck_from(row.text, MARK)
            if new != row.text:
                connection.execute(update(table).where(table.c.id == row.id).values({column.name: new}))
                struck += 1
    return struck


def _names(value: Any, subject: Subject) -> bool:
    if isinstance(value, str):
        return subject.appears_in(value)
    if isinstance(value, Mapping):
        return any(_names(one, subject) for one in value.values())
    if isinstance(value, list):
        return any(_names(one, subject) for one in value)
    return not isinstance(value, bool) and subject.named_by(value)


def _shown(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace")


def _plain(text: str) -> str:
    """JSON columns may hold Chinese as escapes."""
    try:
        return json.dumps(json.loads(text), ensure_ascii=False) if text[:1] in "[{" else text
    except ValueError:
        return text
