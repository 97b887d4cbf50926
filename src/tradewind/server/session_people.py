"""A person in the logs of what users met: found, shown and taken away, for `erase` and `export`. Not the logs (`session_feed.py`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tradewind.privacy.erasure import Done, Item, Removed
from tradewind.privacy.subjects import Subject, SubjectKey
from tradewind.server.session_feed import FOLDER, SessionFeed


class Sessions:
    """The holder of what users of recommenders met, in the workspace at `home`."""

    name = "sessions"

    def __init__(self, home: Path) -> None:
        self._home = home

    def find(self, subject: Subject) -> Sequence[Item]:
        found = [(place, feed.of_subject(subject.digest)) for place, feed in self._feeds()]
        return [Item(f"events of {place}", {"items": items}) for place, items in found if items]

    def erase(self, subject: Subject, *, redact: bool) -> Done:
        gone = [(place, feed.forget(subject.digest)) for place, feed in self._feeds()]
        return Done([Removed(f"{FOLDER}/{place}", "events of the subject", count) for place, count in gone if count])

    def _feeds(self) -> Iterator[tuple[str, SessionFeed]]:
        folder = self._home / FOLDER
        if folder.is_dir():
            key = SubjectKey.open(self._home)
            for log in sorted(one for one in folder.glob("*/*") if one.is_dir()):
                yield log.relative_to(folder).as_posix(), SessionFeed(log, key)
