"""Customers' documents and intents in a worker's memory, beside what a release brings: each customer's own, and up to date.
Not here: how they are kept (`business/customer_texts.py`), used (`engines/`), sent (`documents.py`, `intents.py`).

A change raises the database's revision; a worker that has taken it in looks, once a customer, whether anything changed, and
reads only what did. Vectors are kept beside the texts; those of another encoder are made again and kept.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from tradewind.business import customer_texts
from tradewind.business.customer_texts import NOTHING, CustomerText, Place, Stand
from tradewind.business.database import Database
from tradewind.engines.prototypes import Intents, NewIntents
from tradewind.engines.retrieval import Knowledge, Own
from tradewind.engines.vectors import Floats
from tradewind.errors import EnvironmentFailure
from tradewind.features.passages import Document, Passage, cut, language_of, pair
from tradewind.privacy.vault import Vault
from tradewind.product.answers import Variants

MOST_DOCUMENTS, MOST_INTENTS = 10_000, 200
_MOST_SHELVES, _MOST_DRAWERS = 1024, 100_000  # customers whose documents and intents a worker holds at once


@dataclass
class _Shelf:
    own: Own
    encoder: str | None
    stand: Stand = NOTHING
    seen: int = -1  # the revision that it was looked at
    held: dict[str, int] = field(default_factory=dict)  # revisions by name
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True)
class _Drawer:
    """A customer's intents as they stood at a revision."""

    new: NewIntents | None
    answers: Mapping[str, Variants]  # of those that have one
    stand: Stand
    seen: int


class Library:
    """Safe for threads. `revision` is what this worker has taken in."""

    def __init__(self, database: Database, vault_folder: Path, *, revision: Callable[[], int]) -> None:
        self.database = database
        self._vault_folder = vault_folder
        self._revision = revision
        self._opened: Vault | None = None
        self._opening = threading.Lock()
        self._shelves: OrderedDict[tuple[str, str, str], _Shelf] = OrderedDict()
        self._drawers: OrderedDict[tuple[str, str, str], _Drawer] = OrderedDict()
        self._guard = threading.Lock()

    @property
    def vault(self) -> Vault:
        """Made where there is none, with the first text that is kept."""
        with self._opening:
            if self._opened is None:
                self._opened = Vault.open(self._vault_folder)
            return self._opened

    def own(self, account_id: str, product: str, knowledge: Knowledge) -> Own | None:
        """A customer's documents beside a knowledge base, None where there are none. May ask the database: for a thread."""
        shelf = self._shelf(account_id, product, knowledge)
        if shelf.seen != self._revision():
            with shelf.lock:
                self._renew(shelf, Place(account_id, product, "document"), knowledge)
        return shelf.own if shelf.held else None

    def has_now(self, account_id: str, product: str, digest: str) -> bool | None:
        """Whether a customer has intents beside the release `digest`, as far as it is known without asking; None: ask `intents`."""
        drawer = self._drawers.get((account_id, product, digest))
        if drawer is None or drawer.seen != self._revision():
            return None
        return drawer.new is not None

    def intents(self, account_id: str, product: str, digest: str, intents: Intents) -> NewIntents | None:
        """A customer's intents beside a release, from their examples; None where there are none. For a thread."""
        key = account_id, product, digest
        drawer = self._drawers.get(key)
        seen = self._revision()  # asked before the database: what comes in between is seen with the next look
        if drawer is not None and drawer.seen == seen:
            return drawer.new
        place = Place(account_id, product, "intent")
        try:
            stand = customer_texts.stand(self.database, place=place)
        except EnvironmentFailure:
            if drawer is None:
                raise
            return drawer.new  # while the database cannot be asked, what was known goes on
        if drawer is None or drawer.stand != stand:
            new, answers = self._read(place, intents) if stand.count else (None, {})
            drawer = _Drawer(new, answers, stand, seen)
        with self._guard:
            self._drawers[key] = replace(drawer, seen=seen)
            self._drawers.move_to_end(key)
            while len(self._drawers) > _MOST_DRAWERS:
                self._drawers.popitem(last=False)
        return drawer.new

    def answers(self, account_id: str, product: str, digest: str) -> Mapping[str, Variants]:
        """What a customer's intents say, as `intents` has last read them; asks nobody."""
        drawer = self._drawers.get((account_id, product, digest))
        return {} if drawer is None else drawer.answers

    def _read(self, place: Place, intents: Intents) -> tuple[NewIntents | None, Mapping[str, Variants]]:
        names = list(customer_texts.listed(self.database, place=place))
        texts = customer_texts.read(self.database, self.vault, place=place, names=names)
        # A later release may have learnt what was an intent of the customer's own: then its answer stands.
        learnt = {*intents.classes, intents.outside}
        own = [one for one in texts if one.name not in learnt]
        answers = {one.name: Variants(**one.content["answer"]) for one in own if "answer" in one.content}
        return intents.new({one.name: one.content["examples"] for one in own}), answers

    def _shelf(self, account_id: str, product: str, knowledge: Knowledge) -> _Shelf:
        key = account_id, product, knowledge.manifest["digest"]
        with self._guard:
            shelf = self._shelves.get(key)
            if shelf is None:
                encoder = None if knowledge.encoder is None else knowledge.encoder.name
                shelf = self._shelves[key] = _Shelf(knowledge.own(), encoder)
            self._shelves.move_to_end(key)
            while len(self._shelves) > _MOST_SHELVES:
                self._shelves.popitem(last=False)
        return shelf

    def _renew(self, shelf: _Shelf, place: Place, knowledge: Knowledge) -> None:
        seen = self._revision()  # asked before the database: what comes in between is seen with the next look
        stand = customer_texts.stand(self.database, place=place)
        if stand != shelf.stand:
            there = customer_texts.listed(self.database, place=place)
            for name in shelf.held.keys() - there.keys():
                shelf.own.remove(name)
                del shelf.held[name]
            changed = [name for name, revision in there.items() if shelf.held.get(name) != revision]
            for text in customer_texts.read(self.database, self.vault, place=place, names=changed) if changed else ():
                document = document_of(text.name, text.content, knowledge)
                shelf.own.put(document, self._vectors(shelf, text, document, place))
                shelf.held[text.name] = text.revision
            shelf.stand = stand
        shelf.seen = seen

    def _vectors(self, shelf: _Shelf, text: CustomerText, document: Document, place: Place) -> Floats | None:
        if shelf.encoder is None:
            return None
        if text.vectors is not None and text.encoder == shelf.encoder:
            kept = np.frombuffer(text.vectors, "<f2").astype(np.float32)
            if len(kept) % max(1, len(document.passages)) == 0:
                return kept.reshape(len(document.passages), -1)
        vectors = shelf.own.vectors_of(document)
        assert vectors is not None
        new = replace(text, encoder=shelf.encoder, vectors=packed(vectors))
        customer_texts.keep_vectors(self.database, self.vault, place=place, text=new)
        return vectors


def document_of(name: str, content: Mapping[str, Any], knowledge: Knowledge) -> Document:
    """What a customer sent, cut as the knowledge base is. Raises InputError `document_binary`."""
    passages: Sequence[Passage]
    if content.get("question"):
        passages = (pair(content["question"], content["text"]),)
    else:
        passages = cut(
            content["text"], content["form"], size=knowledge.manifest["size"], overlap=knowledge.manifest["overlap"]
        )
    return Document(
        name=name, source=content.get("source") or name, passages=tuple(passages), title=content.get("title") or "",
        language=content.get("language") or language_of(" ".join(one.found_by for one in passages[:20])),
        tags=tuple(content.get("tags") or ()),
    )  # fmt: skip


def packed(vectors_PD: Floats) -> bytes:
    """As they are kept: half of single precision, which no order of neighbours feels."""
    return vectors_PD.astype("<f2").tobytes()
