"""The queue of decisions that a person must make: what waits, who has taken it, what was found. Not here: which decision
goes to review (`features/actions.py`), nor what is learnt from verdicts.

What a reviewer sees (transaction, windows, reasons) is sealed; it is destroyed some time after the verdict, with `sweep`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, RowMapping, delete, insert, select, update
from sqlalchemy.sql.elements import ColumnElement

from tradewind.business import audit
from tradewind.business.database import Database, now_ms
from tradewind.business.tables import reviews as table
from tradewind.errors import InputError
from tradewind.files import canonical_json
from tradewind.ids import new_id
from tradewind.privacy.erasure import Done, Item, Removed
from tradewind.privacy.subjects import Subject
from tradewind.privacy.vault import Vault

KEPT_MS = 365 * 86_400_000  # after the verdict
CLAIM_MS = 30 * 60_000  # after so long another may take what was claimed and not closed
State = Literal["open", "claimed", "closed"]
STATES: tuple[State, ...] = ("open", "claimed", "closed")
_MOST = 1000


@dataclass(frozen=True)
class Review:
    """One decision that waits, or waited. `content` is what was decided upon: transaction, windows, reasons."""

    id: str
    account_id: str
    product: str
    release: str
    request_id: str
    score: float
    state: State
    at_ms: int
    claimed_by: str | None
    verdict: str | None
    closed_ms: int | None
    note: str | None
    content: Mapping[str, Any]


def add(
    database: Database, vault: Vault, account_id: str, *, product: str, release: str, request_id: str, score: float,
    content: Mapping[str, Any],
) -> str:  # fmt: skip
    """Puts a decision into the queue, once for each request; durable when it returns. Returns its id."""
    made = new_id("rev", clock=database.clock)
    sealed = vault.seal(canonical_json(content), _context(made))

    def change(connection: Connection) -> str:
        known = connection.scalar(select(table.c.id).where(table.c.request_id == request_id))
        if known is not None:
            return str(known)
        connection.execute(
            insert(table).values(
                id=made, account_id=account_id, product=product, release=release, request_id=request_id, score=score,
                sealed=sealed,
                state="open", at_ms=now_ms(connection),
            )
        )  # fmt: skip
        return made

    return database.write(change)


def listed(
    database: Database, vault: Vault, *, product: str | None = None, state: State | None = "open", limit: int = 100
) -> list[Review]:
    """The likeliest first. A claim that ran out counts as open."""
    with database.reading() as connection:
        wanted = select(table).order_by(table.c.score.desc(), table.c.at_ms).limit(min(limit, _MOST))
        if product is not None:
            wanted = wanted.where(table.c.product == product)
        if state == "open":
            wanted = wanted.where(_free(now_ms(connection)))
        elif state is not None:
            wanted = wanted.where(table.c.state == state)
        rows = connection.execute(wanted).mappings().all()
    return [_review(row, vault) for row in rows]


def get(database: Database, vault: Vault, review_id: str) -> Review:
    """Raises InputError review_unknown."""
    with database.reading() as connection:
        row = connection.execute(select(table).where(table.c.id == review_id)).mappings().one_or_none()
    if row is None:
        raise _unknown(review_id)
    return _review(row, vault)


def claim(
    database: Database, vault: Vault, *, by: str, product: str | None = None, review_id: str | None = None
) -> Review | None:
    """Takes one decision for a reviewer, who has it alone for half an hour: the named one, or the likeliest that is free.

    None where nothing is free. Raises InputError review_unknown, review_taken for a named one.
    """

    def take(connection: Connection) -> str | None:
        at_ms = now_ms(connection)
        wanted = select(table.c.id).where(_free(at_ms)).order_by(table.c.score.desc(), table.c.at_ms).limit(1)
        if product is not None:
            wanted = wanted.where(table.c.product == product)
        if review_id is not None:
            wanted = wanted.where(table.c.id == review_id)
        chosen = connection.scalar(wanted.with_for_update(skip_locked=True))
        if chosen is not None:
            connection.execute(
                update(table).where(table.c.id == chosen).values(state="claimed", claimed_by=by, claimed_ms=at_ms)
            )
        return chosen

    taken = database.write(take)
    if taken is not None:
        return get(database, vault, taken)
    if review_id is not None:
        found = get(database, vault, review_id)
        raise InputError(
            f"{review_id} is {found.state}" + (f" by {found.claimed_by}." if found.claimed_by else "."),
            code="review_taken", where=review_id, hint="Claim another one.",
        )  # fmt: skip
    return None


def close(
    database: Database, vault: Vault, review_id: str, *, verdict: str, by: str, note: str | None = None
) -> Review:
    """Writes down what was found: a class of the product. Only who claimed it may, or anybody where nobody has it.

    Raises InputError review_unknown, review_taken (by another, or closed with another verdict).
    """

    def change(connection: Connection) -> int:
        at_ms = now_ms(connection)
        mine = table.c.state.in_(("open", "claimed")) & (_free(at_ms) | (table.c.claimed_by == by))
        changed = connection.execute(
            update(table).where(table.c.id == review_id, mine)
            .values(state="closed", verdict=verdict, claimed_by=by, closed_ms=at_ms, note=note)
        ).rowcount  # fmt: skip
        if changed:
            audit.append(connection, actor=by, action="review.close", subject=review_id, detail={"verdict": verdict})
        return changed

    changed = database.write(change)
    found = get(database, vault, review_id)
    if not changed and not (found.state == "closed" and found.verdict == verdict):
        raise InputError(
            f"{review_id} is {found.state} by {found.claimed_by}.", code="review_taken", where=review_id,
            hint="Claim it first, or ask who has it.",
        )  # fmt: skip
    return found


def labels(database: Database, vault: Vault, *, product: str, target: str) -> Iterator[dict[str, Any]]:
    """Closed decisions as rows to learn from, oldest first: the transaction as it was sent with the verdict as its target.

    Windows are left out: preparation computes them again at the row's own moment.
    """
    with database.reading() as connection:
        wanted = select(table).where(table.c.product == product, table.c.state == "closed").order_by(table.c.closed_ms)
        rows = connection.execute(wanted).mappings().all()
    for row in rows:
        found = _review(row, vault)
        yield {**found.content["transaction"], target: found.verdict}


def sweep(database: Database, *, keep_ms: int = KEPT_MS) -> int:
    """Destroys decisions that were closed longer ago than `keep_ms`, a year by default. Returns how many."""

    def change(connection: Connection) -> int:
        oldest = now_ms(connection) - keep_ms
        return connection.execute(delete(table).where(table.c.state == "closed", table.c.closed_ms < oldest)).rowcount

    return database.write(change)


def reseal(database: Database, vault: Vault) -> int:
    """Brings every decision under the vault's newest key; gives how many were under an older one."""
    with database.reading() as connection:
        found = [
            row.id for row in connection.execute(select(table.c.id, table.c.sealed)) if not vault.is_newest(row.sealed)
        ]

    def change(connection: Connection) -> int:
        for review_id in found:
            sealed = connection.scalar(select(table.c.sealed).where(table.c.id == review_id).with_for_update())
            if sealed is not None:
                new = vault.reseal(sealed, _context(review_id))
                connection.execute(update(table).where(table.c.id == review_id).values(sealed=new))
        return len(found)

    return database.write(change) if found else 0


class ReviewedDecisions:
    """The holder of decisions that waited for a person. One that names the subject is destroyed whole."""

    name = "decisions for review"

    def __init__(self, database: Database, vault: Vault | None, *, actor: str = "") -> None:
        self._database = database
        self._vault = vault
        self._actor = actor

    def find(self, subject: Subject) -> Sequence[Item]:
        return [Item(f"review {one.id}", dict(one.content)) for one in self._naming(subject)]

    def erase(self, subject: Subject, *, redact: bool) -> Done:
        gone = [one.id for one in self._naming(subject)]

        def change(connection: Connection) -> None:
            connection.execute(delete(table).where(table.c.id.in_(gone)))
            detail = {"reviews": len(gone)}
            audit.append(connection, actor=self._actor, action="subject.erase", subject=subject.digest, detail=detail)

        if gone:
            self._database.write(change)
        return Done([Removed(table.name, "decisions for review that named the subject", len(gone))] if gone else [])

    def _naming(self, subject: Subject) -> Iterator[Review]:
        if self._vault is None:
            return
        with self._database.reading() as connection:
            rows = connection.execute(select(table)).mappings().all()
        for row in rows:
            found = _review(row, self._vault)
            texts = json.dumps([found.content, found.note], ensure_ascii=False)
            if subject.appears_in(texts) or any(map(subject.named_by, found.content["transaction"].values())):
                yield found


def _free(at_ms: int) -> ColumnElement[bool]:
    return (table.c.state == "open") | ((table.c.state == "claimed") & (table.c.claimed_ms < at_ms - CLAIM_MS))


def _review(row: RowMapping, vault: Vault) -> Review:
    names = (
        "id",
        "account_id",
        "product",
        "release",
        "request_id",
        "score",
        "state",
        "at_ms",
        "claimed_by",
        "verdict",
        "closed_ms",
        "note",
    )
    content = json.loads(vault.open_sealed(row["sealed"], _context(row["id"])))
    return Review(**{name: row[name] for name in names}, content=content)


def _context(review_id: str) -> tuple[str, str]:
    return ("reviews", review_id)


def _unknown(review_id: str) -> InputError:
    return InputError(f"There is no review {review_id[:80]}.", code="review_unknown", where=review_id[:80])
