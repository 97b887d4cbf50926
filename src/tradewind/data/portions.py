"""Which documents are learnt from and which judge: copies go, splits are drawn, what would be known beforehand is found.

Not here: rules for one document (`quality.py`), writing tokens (`packing.py`).

Documents are drawn at random. Running text (one text file, or fewer than three documents) is cut by place, as nanoGPT does: its
beginning is learnt from, then comes validation, and test is its end. Legend: D documents.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tradewind.data.document_records import Document
from tradewind.data.duplicates import first_copies, near_copies
from tradewind.data.gathering import Gathered
from tradewind.data.ledger import Ledger, RejectedRow
from tradewind.data.overlap import RUN, Judged
from tradewind.data.shingles import Units
from tradewind.errors import DataError
from tradewind.product import Clean, Source, Split

NAMES = ("train", "validation", "test")
TRAIN, VALIDATION, TEST = range(3)
_DROPPED = -1
_FEWEST = 3
_BLOCK_UNITS = 1 << 20
_CUT_WITHIN = 4096  # characters in which a line end is looked for where running text is cut
_MOST_CONTAMINATED = 0.5


@dataclass(frozen=True)
class Portions:
    """`split` int64 [D]: 0 train, 1 validation, 2 test, -1 dropped. For running text `cuts` are the characters at which
    validation and test begin, and `split` says only what is dropped.
    """

    split: NDArray[np.int64]
    cuts: tuple[int, int] | None

    @property
    def by(self) -> str:
        return "document" if self.cuts is None else "place"


def divide(gathered: Gathered, *, rules: Clean, split: Split, ledger: Ledger) -> Portions:
    """Raises DataError corpus_empty, corpus_too_small."""
    documents = len(gathered.spool)
    if documents == 0:
        counts = ", ".join(f"{code} {count:,}" for code, count in ledger.as_json()["rejected"].items())
        raise DataError(
            f"The corpus is empty: no document passes the rules ({counts}).", code="corpus_empty", where="data.source",
            hint="Loosen data.clean.quality, or give other documents.",
        )  # fmt: skip
    own = [isinstance(share, Source) for share in (split.validation, split.test)]
    if not any(own) and (gathered.is_book or (gathered.kind == "text" and documents < _FEWEST)):
        return Portions(np.zeros(documents, dtype=np.int64), _cuts(gathered, split))
    first = _copies(gathered, rules, ledger)
    place = np.arange(documents)
    alive = (first == place) | (rules.duplicates == "keep")
    assigned = _drawn(gathered, split, first)
    assigned[~alive] = _DROPPED
    portions = Portions(assigned, None)
    if rules.contamination != "off":
        _decontaminate(gathered, portions, rules, ledger)
    for number, name in enumerate(NAMES):
        if not (assigned == number).any():
            raise DataError(
                f"The corpus of {int(alive.sum()):,} documents is too small: none is left for {name}.",
                code="corpus_too_small", where="data.source", hint="Give more documents, or sources of their own under data.split.",
            )  # fmt: skip
    return portions


def pieces(gathered: Gathered, portions: Portions) -> Iterator[tuple[str, Document]]:
    """Every document that is kept, in order, with the name of its split; running text is cut."""
    kept = np.flatnonzero(portions.split != _DROPPED).tolist()
    documents = gathered.spool.read(kept)
    if portions.cuts is None:
        for place, document in zip(kept, documents, strict=True):
            # A part of a large file counts as a document here: its neighbours may be in another split.
            yield NAMES[portions.split[place]], replace(document, goes_on=False) if document.goes_on else document
        return
    at = 0
    ends = [*portions.cuts, int(gathered.characters.sum())]
    number = 0
    for document in documents:
        text = document.content["text"]
        while number < TEST and at + len(text) >= ends[number]:
            room = min(_CUT_WITHIN, (ends[number + 1] - ends[number]) // 2)
            cut = _line_end(text, max(0, ends[number] - at), room)
            if cut:
                yield (
                    NAMES[number],
                    replace(document, content={"text": text[:cut]}, goes_on=cut < len(text) or document.goes_on),
                )
            text, at, number = text[cut:], at + cut, number + 1
        if text:
            yield NAMES[number], replace(document, content={"text": text})
            at += len(text)


def _line_end(text: str, cut: int, room: int) -> int:
    """`cut`, or the line end that follows in so many characters."""
    found = text.find("\n", cut, cut + room)
    return found + 1 if 0 < found + 1 < len(text) else cut


def _cuts(gathered: Gathered, split: Split) -> tuple[int, int]:
    total = int(gathered.characters.sum())
    assert isinstance(split.test, float)
    assert isinstance(split.validation, float)
    test = int(total * (1 - split.test))
    validation = int(test * (1 - split.validation))
    if not 0 < validation < test < total:
        raise DataError(f"The corpus of {total} characters is too small to be split.", code="corpus_too_small",
                        where="data.source", hint="Give more text.")  # fmt: skip
    return validation, test


# ---------------------------------------------------------------- copies


def _copies(gathered: Gathered, rules: Clean, ledger: Ledger) -> NDArray[np.int64]:
    """For each document the first one that it is a copy of, itself where it is none [D]."""
    first = first_copies(gathered.hashes)
    place = np.arange(len(first))
    if rules.duplicates == "keep":
        return first
    exact = int((first != place).sum())
    ledger.count("duplicates", "", exact, action="dropped")
    _reject_copies(gathered, first, np.flatnonzero(first != place), "duplicate", ledger)
    if gathered.signatures is not None:
        near = near_copies(gathered.signatures, np.zeros(len(first), dtype=np.uint64), threshold=rules.near_threshold)
        changed = np.flatnonzero((near != place) & (first == place))
        ledger.count("near_duplicates", "", len(changed), action="dropped")
        _reject_copies(gathered, near, changed, "near_duplicate", ledger)
        first = near
    return first


def _reject_copies(
    gathered: Gathered, first: NDArray[np.int64], some: NDArray[np.int64], code: str, ledger: Ledger
) -> None:
    if len(some) == 0:
        return

    def rows() -> Iterator[RejectedRow]:
        originals = {}
        for place, document in zip(
            wanted := sorted(set(first[some].tolist())), gathered.spool.read(wanted), strict=True
        ):
            originals[place] = f"{document.file}:{document.line}"
        for place, document in zip(some.tolist(), gathered.spool.read(some.tolist()), strict=True):
            reason = f"a copy of {originals[int(first[place])]}"
            yield RejectedRow(document.file, document.line, code, reason, document.text[:200])

    ledger.reject_many(code, len(some), rows)


# ---------------------------------------------------------------- splits


def _drawn(gathered: Gathered, split: Split, first: NDArray[np.int64]) -> NDArray[np.int64]:
    """A split for each document [D]: sources of their own, then shares of the corpus; copies go where the first one goes."""
    assigned = np.where(gathered.origin == 1, VALIDATION, np.where(gathered.origin == 2, TEST, TRAIN))
    groups = np.flatnonzero((first == np.arange(len(first))) & (gathered.origin == 0))
    order = np.random.default_rng([split.seed, 7]).permutation(groups)
    left = len(order)
    for number, share in ((TEST, split.test), (VALIDATION, split.validation)):
        if isinstance(share, float):
            count = min(max(1, round(share * left)), max(left - 1, 0))
            assigned[order[:count]], order, left = number, order[count:], left - count
    # A copy in the corpus of a document from validation's own source stays a copy of it.
    same = gathered.origin == gathered.origin[first]
    assigned[same] = assigned[first[same]]
    return assigned


# ---------------------------------------------------------------- contamination


def _decontaminate(gathered: Gathered, portions: Portions, rules: Clean, ledger: Ledger) -> None:
    """Drops training documents that hold half of a judged one, or are half of judged ones."""
    split = portions.split
    judged = Judged(_units_of(gathered, np.flatnonzero(split > TRAIN)))
    train = np.flatnonzero(split == TRAIN)
    hits = [judged.contaminated(some) for some in _units_of(gathered, train)]
    found = train[np.concatenate(hits)] if hits else train[:0]
    if len(found) == 0:
        return
    message = f"{len(found):,} training documents share half of their runs of {RUN} words with validation or test."
    if len(found) > _MOST_CONTAMINATED * len(train):
        ledger.find("contamination", "", f"{message} So many point to a form that all share; none is dropped.")
        return
    drops = rules.contamination == "drop"
    ledger.count("contamination", "", len(found), action="dropped" if drops else "none")
    ledger.find(
        "contamination", "", message, action="dropped" if drops else "none", level="info" if drops else "warning"
    )
    if drops:
        split[found] = _DROPPED

        def rows() -> Iterator[RejectedRow]:
            for document in gathered.spool.read(found.tolist()):
                reason = "shares its text with validation or test"
                yield RejectedRow(document.file, document.line, "contamination", reason, document.text[:200])

        ledger.reject_many("contamination", len(found), rows)


def _units_of(gathered: Gathered, places: NDArray[np.int64]) -> Iterator[Units]:
    """Those of the documents at `places`, which grow, a block at a time."""
    assert gathered.units is not None
    offsets = gathered.unit_offsets
    block = np.cumsum(offsets[places + 1] - offsets[places]) // _BLOCK_UNITS
    for some in np.split(places, np.flatnonzero(np.diff(block)) + 1):
        if len(some) == 0:
            continue
        counts = offsets[some + 1] - offsets[some]
        own = np.concatenate([[0], np.cumsum(counts)])
        first, last = offsets[some[0]], offsets[some[-1] + 1]
        wanted = np.zeros(last - first, dtype=np.bool_)
        wanted[np.repeat(offsets[some] - first - own[:-1], counts) + np.arange(own[-1])] = True
        yield Units(gathered.units[first:last][wanted], own, np.empty((len(some), 0), dtype=np.int64))
