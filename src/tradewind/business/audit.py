"""Who changed what and when, as a chain of hashes: each line's hash covers its content and the hash before it.

Not here: usage and money, which have ledgers of their own; this log says who decided.

What `verify` finds: a line that was changed, taken out, put in or moved, by anybody who did not compute every later hash
anew. A cut-off end leaves a chain that holds, so the table `state` keeps the count of lines and 60 bits of the last hash,
and `verify` holds the chain against both. Whoever may write every table can forge all of it: against that, note
`head()` elsewhere from time to time (on paper, in a customer's mail) and give it to `verify` as `noted`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select, update

from tradewind.business.database import Database, now_ms
from tradewind.business.tables import audit, state
from tradewind.files import canonical_json, digest_json

START = "sha256:" + "0" * 64
_LOST = "sha256:" + "f" * 64  # stands for the hash of a line that is not there any more
_HASHED = ("sequence", "at_ms", "actor", "action", "subject", "detail", "previous")


@dataclass(frozen=True)
class Head:
    """The last line: all lines up to it are as they were when this was noted, or `verify` says so."""

    sequence: int
    hash: str


@dataclass(frozen=True)
class Entry:
    sequence: int
    at_ms: int
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]
    hash: str


def append(connection: Connection, *, actor: str, action: str, subject: str, detail: Mapping[str, Any]) -> None:
    """Adds a line in the caller's write transaction, with the next number: 1, 2, 3 … without a gap.

    `action` is noun.verb ("key.revoke"), `subject` the id of what was changed, `detail` JSON without a secret. The row of
    the count is locked until the transaction ends, so lines follow one another in the order of their commits.
    """
    sequence = connection.execute(
        update(state).where(state.c.name == "audit_entries").values(value=state.c.value + 1).returning(state.c.value)
    ).scalar_one()
    previous = START
    if sequence > 1:
        before = select(audit.c.hash).where(audit.c.sequence == sequence - 1)
        previous = connection.execute(before).scalar_one_or_none() or _LOST
    line = {
        "sequence": sequence,
        "at_ms": now_ms(connection),
        "actor": actor,
        "action": action,
        "subject": subject,
        "detail": canonical_json(dict(detail)).decode(),
        "previous": previous,
    }
    line["hash"] = digest_json(line)
    connection.execute(insert(audit).values(**line))
    connection.execute(update(state).where(state.c.name == "audit_head").values(value=_short(line["hash"])))


def head(database: Database) -> Head:
    """The last line's number and hash, to be noted elsewhere."""
    with database.reading() as connection:
        last = select(audit.c.sequence, audit.c.hash).order_by(audit.c.sequence.desc()).limit(1)
        row = connection.execute(last).first()
    return Head(row.sequence, row.hash) if row else Head(0, START)


def verify(database: Database, *, noted: Head | None = None) -> list[str]:
    """What does not hold, one sentence each; empty where the whole chain holds."""
    problems: list[str] = []
    last = Head(0, START)
    with database.reading() as connection:
        kept: dict[str, int] = {
            row.name: row.value for row in connection.execute(select(state).where(state.c.name.startswith("audit_")))
        }
        lines = connection.execution_options(yield_per=1000).execute(select(audit).order_by(audit.c.sequence))
        for line in lines.mappings():
            problems += _problems(line, last)
            last = Head(line["sequence"], line["hash"])
            if noted and noted.sequence == last.sequence and noted.hash != last.hash:
                problems.append(f"Audit line {noted.sequence}: not the line that was noted.")
    if noted and noted.sequence > last.sequence:
        problems.append(f"Audit log: it ends with line {last.sequence}, but line {noted.sequence} was noted.")
    if kept.get("audit_entries") != last.sequence:
        problems.append(
            f"Audit log: it ends with line {last.sequence} of {kept.get('audit_entries')} that were written."
        )
    elif kept.get("audit_head") != (_short(last.hash) if last.sequence else 0):
        problems.append(f"Audit line {last.sequence}: not the last line that was written.")
    return problems


def entries(database: Database, *, after: int = 0, limit: int = 100) -> tuple[Entry, ...]:
    """Lines after the number `after`, oldest first, at most `limit`."""
    with database.reading() as connection:
        found = connection.execute(
            select(audit).where(audit.c.sequence > after).order_by(audit.c.sequence).limit(limit)
        )
        return tuple(
            Entry(row.sequence, row.at_ms, row.actor, row.action, row.subject, json.loads(row.detail), row.hash)
            for row in found
        )


def _problems(line: RowMapping, before: Head) -> list[str]:
    number, problems = line["sequence"], []
    if number != before.sequence + 1:
        first, final = before.sequence + 1, number - 1
        problems.append(
            f"Audit line {first}: missing." if first == final else f"Audit lines {first} to {final}: missing."
        )
    elif line["previous"] != before.hash:
        problems.append(f"Audit line {number}: it does not follow the line before it.")
    if digest_json({name: line[name] for name in _HASHED}) != line["hash"]:
        problems.append(f"Audit line {number}: changed after it was written.")
    return problems


def _short(digest: str) -> int:
    return int(digest.removeprefix("sha256:")[:15], 16)
