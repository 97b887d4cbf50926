"""The first pass over pairs: they are read, repaired and judged, copies and leaks go, and each comes to a split.

Not here: rules for one pair (`pair_rules.py`), tokens (`parallel.py`). Memory holds a block of pairs and a few numbers for each
of all. Legend: P pairs that are kept in the spool.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.data.ledger import Ledger, RejectedRow
from tradewind.data.pair_rules import TwoLanguages, fault, key_of, unusual_lengths
from tradewind.data.spool import Spool
from tradewind.data.text_pairs import PairReader, TextPair
from tradewind.errors import DataError, writing
from tradewind.features.pair_text import repaired
from tradewind.privacy import pii
from tradewind.privacy.subjects import Subject
from tradewind.privacy.suppression import strike
from tradewind.product import Clean, Product, Split

NAMES = ("train", "validation", "test")
_SHOWN = 200
_OUT = -1


@dataclass(frozen=True)
class GatheredPairs:
    """Pairs in a spool and the split of each, int8 [P]: 0 train, 1 validation, 2 test, -1 left out."""

    spool: Spool[TextPair]
    split_P: NDArray[np.int8]
    characters_P: NDArray[np.int64]
    personal: dict[str, Any]

    def pairs(self, name: str) -> Iterator[tuple[str, str]]:
        """Source and target of each pair of a split, in the order of the files."""
        places = np.flatnonzero(self.split_P == NAMES.index(name)).tolist()
        return ((pair.source, pair.target) for pair in self.spool.read(places))

    def number_of(self, name: str) -> int:
        return int(np.count_nonzero(self.split_P == NAMES.index(name)))

    def characters(self, name: str) -> int:
        """Of both sides."""
        return int(self.characters_P[self.split_P == NAMES.index(name)].sum())

    def remove(self) -> None:
        self.spool.remove()


def gather_pairs(
    readers: Sequence[PairReader | None], folder: Path, product: Product, ledger: Ledger,
    struck: Sequence[Subject], tell: Callable[[float], None],
) -> GatheredPairs:  # fmt: skip
    """`readers` are the pairs to train on, and those of validation and test where they have sources of their own.

    Raises DataError pairs_missing where nothing is left to train on.
    """
    folder.mkdir(parents=True)
    with writing(str(folder)):
        spool = Spool(folder / "pairs.jsonl", TextPair)
        gathering = _Gathering(product.data.clean, ledger, struck, spool)
        try:
            for origin, reader in enumerate(readers):
                if reader is not None:
                    gathering.read(reader, origin)
                    tell((origin + 1) / len(readers))
        finally:
            spool.finish()
    return gathering.divided(product.data.split)


@dataclass
class _Gathering:
    rules: Clean
    ledger: Ledger
    struck: Sequence[Subject]
    spool: Spool[TextPair]
    _origin: array[int] = field(default_factory=lambda: array("b"))
    _read: array[int] = field(default_factory=lambda: array("q"))  # characters
    _written: array[int] = field(default_factory=lambda: array("q"))
    _source_key: array[int] = field(default_factory=lambda: array("Q"))
    _target_key: array[int] = field(default_factory=lambda: array("Q"))
    _languages: TwoLanguages = field(default_factory=TwoLanguages)
    _personal: Counter[str] = field(default_factory=Counter)
    _affected: int = 0

    def read(self, reader: PairReader, origin: int) -> None:
        for pair in map(self._repaired, reader.pairs()):
            found = fault(pair)
            # What judges is taken as it is, but for pairs of which nothing can be asked.
            if found is not None and (origin == 0 or found[0] == "empty"):
                self._reject(pair, *found)
                continue
            self.spool.add(pair)
            if origin == 0:
                self._languages.see(pair)
            self._origin.append(origin)
            self._read.append(len(pair.source))
            self._written.append(len(pair.target))
            self._source_key.append(key_of(pair.source))
            self._target_key.append(key_of(pair.target))
        for row in reader.rejects:
            self.ledger.reject(row)

    def divided(self, split: Split) -> GatheredPairs:
        origin_P = np.frombuffer(self._origin, np.int8)
        read_P, written_P = np.frombuffer(self._read, np.int64), np.frombuffer(self._written, np.int64)
        source_P, target_P = np.frombuffer(self._source_key, np.uint64), np.frombuffer(self._target_key, np.uint64)
        split_P = origin_P.copy()
        # ---- sides that are far too long for each other
        ours = np.flatnonzero(origin_P == 0)
        self._leave_out(split_P, ours[unusual_lengths(read_P[ours], written_P[ours])], "length_ratio",
                        "one side is three times as long as is usual for the other")  # fmt: skip
        # ---- sides in the language of the other one
        ours = np.flatnonzero(split_P == 0)
        wrong = np.array([self._languages.wrong_side(pair) or "" for pair in self.spool.read(ours.tolist())])
        for side in ("source", "target"):
            reason = f"the {side} is written in the language of the other side"
            self._leave_out(split_P, ours[wrong == side], "wrong_language", reason)
        # ---- copies: the first one stays
        if self.rules.duplicates != "keep":
            ours = np.flatnonzero(split_P == 0)
            keys = np.stack([source_P[ours], target_P[ours]], 1)
            _, first = np.unique(keys, axis=0, return_index=True)
            again = np.delete(ours, first)
            self._leave_out(split_P, again, "duplicate", "the same pair stood before")
        # ---- validation and test of their own, or drawn: pairs of one source stay together
        drawn = [at for at, share in ((1, split.validation), (2, split.test)) if isinstance(share, float)]
        if drawn:
            _draw(split_P, source_P, split)
        # ---- what is judged by is not learnt
        if self.rules.contamination != "off":
            judging = source_P[split_P > 0]
            ours = np.flatnonzero(split_P == 0)
            leaks = ours[np.isin(source_P[ours], judging)]
            if self.rules.contamination == "drop":
                self._leave_out(split_P, leaks, "leak", "its source stands in validation or test")
            elif len(leaks):
                self.ledger.find("leak", "", f"{len(leaks):,} training pairs have a source of validation or test.")
        if not np.any(split_P == 0):
            raise DataError("No pair is left to train on.", code="pairs_missing", where="data.source",
                            hint=self._most_frequent())  # fmt: skip
        if self._personal and self.rules.pii == "report":
            self.ledger.find("personal_data", "", f"{self._affected:,} pairs hold personal data.")
        return GatheredPairs(
            self.spool, split_P, read_P + written_P,
            {"documents": self._affected, "findings": dict(sorted(self._personal.items()))},
        )  # fmt: skip

    def _repaired(self, pair: TextPair) -> TextPair:
        sides = [repaired(text) if self.rules.whitespace else text for text in (pair.source, pair.target)]
        if self.rules.pii != "keep":
            kinds = [finding.kind for text in sides for finding in pii.find(text)]
            self._personal.update(kinds)
            self._affected += bool(kinds)
            if kinds and self.rules.pii == "redact":
                sides = [pii.redact(text)[0] for text in sides]
        if self.struck:
            sides = [strike(text, self.struck) for text in sides]
        return replace(pair, source=sides[0], target=sides[1])

    def _leave_out(self, split_P: NDArray[np.int8], places: NDArray[np.int64], code: str, reason: str) -> None:
        if not len(places):
            return
        split_P[places] = _OUT
        spool = self.spool
        self.ledger.reject_many(code, len(places), lambda: _rows(spool, places.tolist(), code, reason))

    def _reject(self, pair: TextPair, code: str, reason: str) -> None:
        self.ledger.reject(RejectedRow(pair.file, pair.line, code, reason, _shown(pair)))

    def _most_frequent(self) -> str:
        counts = self.ledger.as_json()["rejected"]
        worst = max(counts, key=counts.get, default=None)
        return "Give pairs." if worst is None else f"{counts[worst]:,} pairs were left out as {worst}."


def _draw(split_P: NDArray[np.int8], source_P: NDArray[np.uint64], split: Split) -> None:
    """Sends a share of the sources, drawn by the seed, to validation and test, with all pairs that have them."""
    ours = np.flatnonzero(split_P == 0)
    keys = np.unique(source_P[ours])
    order = np.random.default_rng([split.seed, 41]).permutation(len(keys))
    taken = 0
    rest = len(keys)
    for at, share in ((2, split.test), (1, split.validation)):
        if not isinstance(share, float):
            continue
        count = max(1, round(share * rest))
        chosen = keys[order[taken : taken + count]]
        split_P[ours[np.isin(source_P[ours], chosen)]] = at
        taken, rest = taken + count, rest - count


def _rows(spool: Spool[TextPair], places: Iterable[int], code: str, reason: str) -> Iterator[RejectedRow]:
    for pair in spool.read(places):
        yield RejectedRow(pair.file, pair.line, code, reason, _shown(pair))


def _shown(pair: TextPair) -> str:
    return f"{pair.source[:_SHOWN]} → {pair.target[:_SHOWN]}"
