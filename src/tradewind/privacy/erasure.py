"""Walks every holder of personal data and writes down what it found, took away, and kept with a reason.
Knows no table and no file: each store registers a holder. Not here: the receipt's signature (`receipts.py`).

A new store of personal data (feedback, say) adds one class with `name`, `find`, `erase` to the list that the verbs hand
over (`cli/holders.py`); erasing, exports and the receipt then know it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from tradewind.privacy.subjects import Subject

FORMAT = 1


@dataclass(frozen=True)
class Item:
    """One thing that is held about a person: where, and what it says. `content` is JSON; bytes of files are in `files`."""

    place: str
    content: Any
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Removed:
    """So many `things` were taken away or struck at a place. Neither field names the person."""

    place: str
    things: str
    count: int


@dataclass(frozen=True)
class Kept:
    """Something that stays, why it may, and until when."""

    place: str
    things: str
    count: int
    why: str
    until: str


@dataclass(frozen=True)
class Done:
    """What one holder did."""

    removed: Sequence[Removed] = ()
    kept: Sequence[Kept] = ()


class Holder(Protocol):
    """A store of personal data."""

    @property
    def name(self) -> str: ...

    def find(self, subject: Subject) -> Sequence[Item]:
        """Everything held about the subject, for an export."""
        ...

    def erase(self, subject: Subject, *, redact: bool) -> Done:
        """Takes away what may go; with `redact` the name also goes from texts about others. A second call finds nothing."""
        ...


@dataclass(frozen=True)
class Walk:
    """What all holders did, by holder, in their order."""

    done: Mapping[str, Done]

    @property
    def removed(self) -> int:
        return sum(one.count for done in self.done.values() for one in done.removed)

    @property
    def kept(self) -> tuple[Kept, ...]:
        return tuple(one for done in self.done.values() for one in done.kept)

    def as_json(self) -> list[dict[str, Any]]:
        return [
            {"holder": name, "removed": [asdict(one) for one in done.removed], "kept": [asdict(one) for one in done.kept]}
            for name, done in self.done.items()
        ]  # fmt: skip


def erase(
    holders: Sequence[Holder],
    subject: Subject,
    *,
    redact: bool = False,
    told: Callable[[str, Done], None] | None = None,
) -> Walk:
    """Every holder in turn; `told` hears what each did. A failure stops the walk with its error; what was erased before stays erased, and the next
    walk goes on: holders are idempotent."""
    assert len({holder.name for holder in holders}) == len(holders)
    done: dict[str, Done] = {}
    for holder in holders:
        done[holder.name] = holder.erase(subject, redact=redact)
        if told is not None:
            told(holder.name, done[holder.name])
    return Walk(done)


def find(holders: Sequence[Holder], subject: Subject) -> dict[str, Sequence[Item]]:
    """What every holder holds, by holder."""
    return {holder.name: found for holder in holders if (found := holder.find(subject))}
