"""What customers bring beside a release, sealed: documents of a knowledge base, examples of intents.
Not here: what is done with them (`server/library.py`), nor requests that were answered (`requests.py`).

Each account sees its own alone. A text is kept until its account takes it away or is closed; it is bound to its place by its
seal. Every change raises the database's revision, so that each worker knows of it before the reply leaves.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, select, update

from tradewind.business import accounts, audit
from tradewind.business.database import Database, now_ms
from tradewind.business.tables import customer_texts as texts
from tradewind.business.tables import state
from tradewind.errors import InputError, VerificationFailed
from tradewind.files import canonical_json
from tradewind.privacy.erasure import Done, Item, Removed
from tradewind.privacy.subjects import Subject
from tradewind.privacy.suppression import MARK
from tradewind.privacy.vault import Vault

Kind: TypeAlias = Literal["document", "intent"]
_PAGE = 500


@dataclass(frozen=True)
class CustomerText:
    """`content` is JSON. `vectors` are bytes made with `encoder`, where they are kept."""

    name: str
    content: Any
    revision: int = 0
    at_ms: int = 0
    encoder: str | None = None
    vectors: bytes | None = None


@dataclass(frozen=True)
class Place:
    """Whose texts, beside which product, of which kind."""

    account_id: str
    product: str
    kind: Kind

    @property
    def here(self) -> ColumnElement[bool]:
        return and_(texts.c.account_id == self.account_id, texts.c.product == self.product, texts.c.kind == self.kind)

    def context(self, name: str, part: str) -> tuple[str, ...]:
        return (texts.name, self.account_id, self.product, self.kind, name, part)


@dataclass(frozen=True)
class Stand:
    """Two equal ones: nothing changed between them."""

    count: int
    revision: int


NOTHING = Stand(0, 0)


def put(
    database: Database, vault: Vault, *, place: Place, new: Sequence[CustomerText], actor: str, most: int, replace: bool = True
) -> int:  # fmt: skip
    """Writes texts, all or none; gives how many were there before. The audit log keeps names and counts alone.

    Raises InputError (`text_exists` without `replace`, `too_many_texts` above `most`, `account_closed`), EnvironmentFailure.
    """
    rows = [
        {
            "account_id": place.account_id, "product": place.product, "kind": place.kind, "name": one.name,
            "sealed": vault.seal(canonical_json(one.content), place.context(one.name, "content")), "encoder": one.encoder,
            "vectors": None if one.vectors is None else vault.seal(one.vectors, place.context(one.name, "vectors")),
        }
        for one in new
    ]  # fmt: skip
    names = [one.name for one in new]

    def change(connection: Connection) -> int:
        accounts.require_open(connection, place.account_id)
        named = connection.execute(select(texts.c.name).where(place.here)).scalars().all()
        before = sorted(set(named) & set(names))
        if before and not replace:
            raise InputError(
                f"There is {place.kind} {before[0]} already.", code="text_exists", where="name",
                hint="Take it away first, or choose another name.",
            )  # fmt: skip
        if len(set(named) | set(names)) > most:
            raise InputError(
                f"At most {most:,} of the kind {place.kind} are kept beside a product.", code="too_many_texts", where="name",
                hint="Take some away first.",
            )  # fmt: skip
        connection.execute(delete(texts).where(place.here & texts.c.name.in_(before)))
        revision = _bump(database, connection)
        moment = now_ms(connection)
        connection.execute(insert(texts), [row | {"revision": revision, "at_ms": moment} for row in rows])
        _log(connection, actor, "put", place, {"texts": len(rows), "replaced": len(before)})
        return len(before)

    return database.write(change)


def remove(database: Database, *, place: Place, names: Collection[str] | None, actor: str) -> int:
    """Takes texts away, all of the place for None; gives how many there were."""

    def change(connection: Connection) -> int:
        where = place.here if names is None else place.here & texts.c.name.in_(names)
        gone = connection.execute(delete(texts).where(where)).rowcount
        if gone:
            _bump(database, connection)
            _log(connection, actor, "remove", place, {"texts": gone})
        return gone

    return database.write(change)


def stand(database: Database, *, place: Place) -> Stand:
    """How things stand, without opening anything."""
    statement = select(func.count(), func.coalesce(func.max(texts.c.revision), 0)).where(place.here)
    with database.reading() as connection:
        count, revision = connection.execute(statement).one()
    return Stand(int(count), int(revision))


def listed(database: Database, *, place: Place) -> dict[str, int]:
    """The revision by name, in the order of names."""
    with database.reading() as connection:
        rows = connection.execute(select(texts.c.name, texts.c.revision).where(place.here).order_by(texts.c.name)).all()
    return {row.name: int(row.revision) for row in rows}


def read(database: Database, vault: Vault, *, place: Place, names: Sequence[str]) -> list[CustomerText]:
    """Opened. One that is gone by now is left out. Raises VerificationFailed where one was changed."""
    found: list[CustomerText] = []
    for start in range(0, len(names), _PAGE):
        part = place.here & texts.c.name.in_(names[start : start + _PAGE])
        with database.reading() as connection:
            rows = connection.execute(select(texts).where(part).order_by(texts.c.name)).all()
        found += [_opened(row, vault, place) for row in rows]
    return found


def keep_vectors(database: Database, vault: Vault, *, place: Place, text: CustomerText) -> None:
    """Vectors of another encoder take the place of the old, unless the text changed meanwhile. No revision: nobody sees it."""
    assert text.vectors is not None
    sealed = vault.seal(text.vectors, place.context(text.name, "vectors"))
    here = place.here & (texts.c.name == text.name) & (texts.c.revision == text.revision)
    new = {"encoder": text.encoder, "vectors": sealed}
    database.write(lambda connection: connection.execute(update(texts).where(here).values(**new)))


def reseal(database: Database, vault: Vault) -> int:
    """Brings every text under the vault's newest key; gives how many were under an older one."""
    changed = 0
    for place in _places(database):
        for name in listed(database, place=place):
            changed += database.write(partial(_reseal_one, vault=vault, place=place, name=name))
    return changed


class CustomerTexts:
    """The holder of what customers bring. A text that names the subject loses the name; the vectors of it go."""

    name = "customers' documents and intents"

    def __init__(self, database: Database, vault: Vault | None, *, actor: str = "") -> None:
        self._database = database
        self._vault = vault
        self._actor = actor

    def find(self, subject: Subject) -> Sequence[Item]:
        return [
            Item(f"{place.kind} {one.name} of {place.account_id}", one.content) for place, one in self._naming(subject)
        ]

    def erase(self, subject: Subject, *, redact: bool) -> Done:
        struck = 0
        for place, one in list(self._naming(subject)):
            assert self._vault is not None
            name = subject.struck_from(one.name, MARK)[:200]
            new = CustomerText(name, _struck(one.content, subject))
            if name != one.name:
                remove(self._database, place=place, names=[one.name], actor=self._actor)
            put(self._database, self._vault, place=place, new=[new], actor=self._actor, most=1 << 31)
            struck += 1
        return Done([Removed(texts.name, "texts of customers that named the subject", struck)] if struck else [])

    def _naming(self, subject: Subject) -> Iterator[tuple[Place, CustomerText]]:
        if self._vault is None:
            return
        for place in _places(self._database):
            for name in listed(self._database, place=place):
                for one in read(self._database, self._vault, place=place, names=[name]):
                    if subject.appears_in(json.dumps([one.name, one.content], ensure_ascii=False)):
                        yield place, one


def _places(database: Database) -> list[Place]:
    columns = texts.c.account_id, texts.c.product, texts.c.kind
    with database.reading() as connection:
        rows = connection.execute(select(*columns).distinct().order_by(*columns)).all()
    return [Place(row.account_id, row.product, row.kind) for row in rows]


def _opened(row: Any, vault: Vault, place: Place) -> CustomerText:
    try:
        content = json.loads(vault.open_sealed(row.sealed, place.context(row.name, "content")))
        vectors = None if row.vectors is None else vault.open_sealed(row.vectors, place.context(row.name, "vectors"))
    except ValueError:
        raise VerificationFailed("A customer's text cannot be read: its bytes were changed.", code="sealed") from None
    return CustomerText(row.name, content, int(row.revision), int(row.at_ms), row.encoder, vectors)


def _reseal_one(connection: Connection, *, vault: Vault, place: Place, name: str) -> bool:
    here = place.here & (texts.c.name == name)
    row = connection.execute(select(texts.c.sealed, texts.c.vectors).where(here).with_for_update()).first()
    if row is None:
        return False
    new = {"sealed": vault.reseal(row.sealed, place.context(name, "content"))}
    if row.vectors is not None:
        new["vectors"] = vault.reseal(row.vectors, place.context(name, "vectors"))
    if new["sealed"] == row.sealed and new.get("vectors") == row.vectors:
        return False
    connection.execute(update(texts).where(here).values(**new))
    return True


def _bump(database: Database, connection: Connection) -> int:
    database.bump(connection)
    return int(connection.execute(select(state.c.value).where(state.c.name == "revision")).scalar_one())


def _log(connection: Connection, actor: str, verb: str, place: Place, detail: dict[str, Any]) -> None:
    whole = {"product": place.product, "kind": place.kind, **detail}
    audit.append(connection, actor=actor, action=f"text.{verb}", subject=place.account_id, detail=whole)


def _struck(value: Any, subject: Subject) -> Any:
    if isinstance(value, str):
        return subject.struck_from(value, MARK)
    if isinstance(value, list):
        return [_struck(one, subject) for one in value]
    if isinstance(value, dict):
        return {name: _struck(one, subject) for name, one in value.items()}
    return value
