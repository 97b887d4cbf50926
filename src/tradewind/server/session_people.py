"""A person in the logs of recommenders, of what users met and of items that customers brought: found, shown and taken away, for `erase`
and `export`; and what is over in them. Not the logs (`session_feed.py`, `item_feed.py`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tradewind.privacy.erasure import Done, Item, Removed
from tradewind.privacy.subjects import Subject, SubjectKey
from tradewind.server.item_feed import FOLDER as ITEMS
from tradewind.server.item_feed import ItemLog
from tradewind.server.session_feed import FOLDER, SessionFeed


def expire_events(home: Path, before_ms: int) -> int:
    """Takes away what users of all recommenders of the workspace at `home` met before a moment; gives how many events went."""
    return sum(feed.expire(before_ms) for _, feed in _feeds(home))


def expire_items(home: Path, before_ms: int) -> int:
    """Takes away the items that came before a moment and not again; gives how many went."""
    return sum(log.expire(before_ms) for _, log in _logs(home))


class Sessions:
    """The holder of what users of recommenders met, in the workspace at `home`."""

    name = "sessions"

    def __init__(self, home: Path) -> None:
        self._home = home

    def find(self, subject: Subject) -> Sequence[Item]:
        found = [(place, feed.of_subject(subject.digest)) for place, feed in _feeds(self._home)]
        return [Item(f"events of {place}", {"items": items}) for place, items in found if items]

    def erase(self, subject: Subject, *, redact: bool) -> Done:
        gone = [(place, feed.forget(subject.digest)) for place, feed in _feeds(self._home)]
        return Done([Removed(f"{FOLDER}/{place}", "events of the subject", count) for place, count in gone if count])


class BroughtItems:
    """The holder of items that customers brought, where their columns name somebody."""

    name = "items"

    def __init__(self, home: Path) -> None:
        self._home = home

    def find(self, subject: Subject) -> Sequence[Item]:
        found = [(place, log.of_subject(subject)) for place, log in _logs(self._home)]
        return [Item(f"items of {place}", {"items": items}) for place, items in found if items]

    def erase(self, subject: Subject, *, redact: bool) -> Done:
        """A catalogue names people in its texts, so these are struck whether or not names are to be struck elsewhere."""
        gone = [(place, log.forget(subject)) for place, log in _logs(self._home)]
        return Done(
            [Removed(f"{ITEMS}/{place}", "items that named the subject", count) for place, count in gone if count]
        )


def _logs(home: Path) -> Iterator[tuple[str, ItemLog]]:
    for place, folder in _customers(home / ITEMS):
        log = ItemLog(folder)
        try:
            yield place, log
        finally:
            log.close()


def _feeds(home: Path) -> Iterator[tuple[str, SessionFeed]]:
    for place, folder in _customers(home / FOLDER):
        yield place, SessionFeed(folder, SubjectKey.open(home))


def _customers(folder: Path) -> Iterator[tuple[str, Path]]:
    """The logs below a folder, by product and customer."""
    for log in sorted(one for one in folder.glob("*/*") if one.is_dir()):
        yield log.relative_to(folder).as_posix(), log
