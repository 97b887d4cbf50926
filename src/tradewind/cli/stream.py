"""`tradewind stream`: transactions from a file that grows, from a pipe or from Kafka, each decided as it comes.

The same steps as `POST /v1/decisions`, in this process and without HTTP: windows read, the transaction remembered, the model
asked, the action chosen. Not here: the steps (`server/deciding.py`), how a file is followed (`stream_file.py`), what is
written down (`stream_books.py`).
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from tradewind.business import accounts
from tradewind.business.database import Database, default_url
from tradewind.cli.alerts import bounds_of, hook_of
from tradewind.cli.office import database_exists
from tradewind.cli.session import HERE, FolderOption, JsonOption, Session, emit
from tradewind.cli.stream_books import Books
from tradewind.cli.stream_file import FollowedFile
from tradewind.cli.stream_kafka import KafkaRows, open_topic
from tradewind.cli.stream_source import Pause, Say, Source, StandardInput, Taken
from tradewind.errors import ArtifactError, DataError, InputError
from tradewind.privacy.subjects import SubjectKey
from tradewind.privacy.vault import Vault
from tradewind.server import outbox
from tradewind.server.deciding import decide, deciding, for_review
from tradewind.server.fields import decode_object
from tradewind.server.outgoing import Outgoing
from tradewind.server.review_queue import StoredQueue
from tradewind.server.served import Served
from tradewind.server.serving import Place, Shelf
from tradewind.server.watcher import Watcher
from tradewind.server.window_feed import Feeds
from tradewind.server.wire import new_request_id

_OPEN = "open"  # whose windows these are where no customer is named: those of `serve --open`
_KEEP_S, _FLUSH_S = 1.0, 0.05
_TOLD = 5  # rejected rows that are told at once
_FLAWS = {
    "line_too_long": "The line is longer than 16 MiB.",
    "cut_off": "The file was cut short within this line.",
}


def command(
    source: Annotated[str, typer.Argument(help="A file of JSON lines, - for stdin, or kafka://HOST:9092/TOPIC.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Where decisions go, a JSON line each; stdout by default.")
    ] = None,
    rejects: Annotated[
        Path | None, typer.Option(help="Where rows go that cannot be decided; NAME.rejects.jsonl by default.")
    ] = None,
    account: Annotated[
        str | None,
        typer.Option(help="The customer whose windows these are, and in whose name decisions wait for review."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="End at the end of what is there.")] = False,
    reasons: Annotated[
        bool | None, typer.Option("--reasons/--no-reasons", help="Beside all but allowed ones by default.")
    ] = None,
    directory: FolderOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Decide on transactions from a file that grows, from a pipe or from Kafka, as they come."""
    if as_json and out is None:
        raise InputError("--json leaves stdout to one object.", code="stream_output", hint="Name a file with --out.")
    session = Session.open(directory)
    stop = threading.Event()
    with ExitStack() as ends, _stopping(stop):
        # 1. The release, which follows what is promoted, and the state of its windows.
        serve, told = session.product.serve, _told(session)
        place = Place(session.workspace, abstain_below=serve.abstain_below, drift=bounds_of(session.product))
        shelf = Shelf([place], log=told)
        ends.callback(shelf.close)
        name = session.product.product
        if name not in shelf.open().products:
            raise ArtifactError(
                f"{name} has no release that can be served.", code="nothing_to_serve", where=str(session.folder),
                hint="Make one: tradewind run.",
            )  # fmt: skip
        home = session.workspace.home
        feeds = Feeds(home / "events", SubjectKey.open(home).sealed)
        hook = hook_of(session.product)
        outgoing = Outgoing({} if hook is None else {name: hook}, os.environ, home=home / outbox.FOLDER, log=told)
        ends.callback(outgoing.stop)
        watcher = Watcher(shelf, feeds, log=told, outgoing=outgoing)
        ends.callback(watcher.stop)
        # 2. Who waits for what must be looked at.
        whose, queue = _customer(session, account, ends)
        # 3. Where rows come from and where decisions go.
        rows = _source(source, once=once, pause=lambda seconds: not stop.wait(seconds), say=session.voice.say)
        ends.callback(rows.close)
        kept_as = hashlib.blake2b(f"{_absolute(source)}\n{out and out.absolute()}".encode(), digest_size=10).hexdigest()
        books = Books(out=out, rejects=rejects or _beside(source, out), place=home / "streams" / f"{kept_as}.json")
        ends.callback(books.close)
        rows.resume(*books.recover())
        # 4. Row by row, until the end.
        work = _Work(shelf, name, whose, feeds, queue, rows, books, session.voice.say, reasons)
        if isinstance(rows, KafkaRows):
            rows.leaving(work.keep)
        shelf.watch()
        outgoing.start()
        watcher.start()
        for taken in rows.rows():
            work.do(taken)
            if stop.is_set():
                break
        work.keep()
    if as_json:
        emit(work.facts())
    else:
        session.voice.say(work.told())


@dataclass
class _Work:
    """What is done with each row, and what was done so far."""

    shelf: Shelf
    product: str
    account: str
    feeds: Feeds
    queue: StoredQueue | None
    source: Source
    books: Books
    say: Say
    reasons: bool | None
    counts: Counter[str] = field(default_factory=Counter)
    _kept_s: float = 0.0
    _flushed_s: float = 0.0

    def do(self, taken: Taken | None) -> None:
        if taken is None:
            self.keep()
            return
        served = self._served()
        try:
            if taken.flaw is not None:
                raise DataError(_FLAWS[taken.flaw], code=taken.flaw)
            self.books.decided(self._decide(served, taken, decode_object(taken.text, what="line").content))
        except InputError as error:
            self.counts["rejected"] += 1
            self.books.rejected(taken, error)
            if self.counts["rejected"] <= _TOLD:
                self.say(f"! {taken.where}: {error}")
        now = time.monotonic()
        if now - self._kept_s > _KEEP_S:
            self.keep()
        elif now - self._flushed_s > _FLUSH_S:
            self.books.flush()
            self._flushed_s = now

    def keep(self) -> None:
        self.feeds.sync()
        self.books.keep(self.source.position)
        self.source.kept()
        self._kept_s = self._flushed_s = time.monotonic()

    def facts(self) -> dict[str, int]:
        return {name: self.counts[name] for name in ("allow", "review", "refuse", "queued", "rejected")}

    def told(self) -> str:
        decided = sum(self.counts[action] for action in ("allow", "review", "refuse"))
        parts = ", ".join(f"{count:,} {name}" for name, count in self.facts().items())
        return f"{decided:,} decided: {parts}"

    def _served(self) -> Served:
        served = self.shelf.get(self.product)
        if not isinstance(served, Served):
            raise ArtifactError(
                f"{self.product} does not decide on rows of a table.", code="model_task", where=self.product, hint="Use tradewind predict."
            )  # fmt: skip
        return deciding(served)

    def _decide(self, served: Served, taken: Taken, row: dict[str, Any]) -> dict[str, Any]:
        windows = served.windows
        feed = None if windows is None else self.feeds.open(self.product, self.account, windows)
        content = decide(served, feed, row, name=taken.name, reasons=self.reasons)
        decision: dict[str, Any] = {"id": _id(taken), "model": served.product, "release": served.release}
        if windows is not None and windows.id is not None:
            decision["transaction"] = row.get(windows.id)
        decision |= content
        if content["decision"] == "review" and self.queue is not None:
            decision["review"] = self.queue.add(
                self.account, product=served.product, release=served.release, request_id=decision["id"], score=content["score"],
                content=for_review(row, content),
            )  # fmt: skip
            self.counts["queued"] += 1
        self.counts[content["decision"]] += 1
        return decision | {"at": dict(taken.at)}


def _id(taken: Taken) -> str:
    """The same for a row that is read again: it waits for review once, and a reader of stdout can tell it."""
    if taken.name is None:
        return new_request_id()
    return "dec_" + hashlib.blake2b(taken.name.encode(), digest_size=13).hexdigest()


def _customer(session: Session, account: str | None, ends: ExitStack) -> tuple[str, StoredQueue | None]:
    """Whose windows these are, and the queue for reviews where there is a database."""
    if account is None:
        if database_exists(session.workspace):
            session.voice.say("Decisions to review stand in the output alone: with --account they join the queue.")
        return _OPEN, None
    database = Database.open(default_url(session.workspace.home), clock=session.workspace.clock)
    ends.callback(database.close)
    found = accounts.find(database, account)
    return found.id, StoredQueue(database, Vault.open(session.workspace.home / "vault"))


def _source(source: str, *, once: bool, pause: Pause, say: Say) -> Source:
    if source == "-":
        return StandardInput(sys.stdin.fileno(), pause=pause)
    if source.startswith("kafka://"):
        return open_topic(source, once=once, pause=pause, say=say)
    return FollowedFile(Path(source), follow=not once, pause=pause, say=say)


def _absolute(source: str) -> str:
    return source if source == "-" or "://" in source else str(Path(source).absolute())


def _beside(source: str, out: Path | None) -> Path:
    """Where rejected rows go by themselves."""
    if out is not None:
        return out.with_suffix(".rejects.jsonl")
    name = "stdin" if source == "-" else Path(source.partition("?")[0]).stem
    return Path(f"{name}.rejects.jsonl")


def _told(session: Session) -> Any:
    """Events of the rooms behind, a JSON line each on stderr."""

    def say(event: Mapping[str, Any]) -> None:
        if event.get("event") != "release_live" or event.get("before") is not None:
            session.voice.say(json.dumps(dict(event), ensure_ascii=False, default=str))

    return say


@contextmanager
def _stopping(stop: threading.Event) -> Iterator[None]:
    """SIGTERM and Ctrl-C end the stream behind the row at hand."""

    def end(number: int, frame: Any) -> None:
        stop.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
