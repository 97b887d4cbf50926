"""One worker process: database, gate, shelf and app on one event loop, until SIGTERM. Not here: who starts it
(`supervisor.py`, `cli/serve.py`).

On SIGTERM it drains: it takes no new connection, answers what comes on the open ones and asks each client to close, lets
running requests end, settles its journal and gives its leases back.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
import uvloop

from tradewind.business import backlog
from tradewind.business.database import Database
from tradewind.business.documents import Issuer
from tradewind.clock import SystemClock
from tradewind.errors import ArtifactError, TradewindError
from tradewind.privacy.notice import Notice
from tradewind.privacy.retention import Retention
from tradewind.privacy.subjects import SubjectKey
from tradewind.privacy.vault import Vault
from tradewind.server import account, admin, documents, heap, intents, items, notices, outbox, tracing, webhooks, widget
from tradewind.server.app import App, create_app
from tradewind.server.auth import Authenticator
from tradewind.server.dialogue.talk import Script
from tradewind.server.gate import Gate, OpenGate
from tradewind.server.handoff_events import tell_missed
from tradewind.server.keeping import Keeper, Kept
from tradewind.server.library import Library
from tradewind.server.metering import Meter
from tradewind.server.observe import Observer
from tradewind.server.origins import Origins
from tradewind.server.outgoing import Hook, Outgoing
from tradewind.server.protocol import Protocol
from tradewind.server.recording import Recorder
from tradewind.server.review_queue import StoredQueue
from tradewind.server.serving import Place, Shelf
from tradewind.server.settings import Settings
from tradewind.server.subjects import Subjects
from tradewind.server.talks import Talks
from tradewind.server.watcher import Watcher
from tradewind.server.window_feed import Feeds
from tradewind.tariff import Plan

# How long a draining worker still answers on open connections, so that clients learn of it from a reply.
_DRAIN_S, _LOOK_S = 1.0, 0.05
_KEEP_ALIVE_S = 75
_SWITCH_S = 0.0002


@dataclass(frozen=True)
class Site:
    """What is served and how. `database` is a URL; `open_to_all` needs no key and bills nobody (development only)."""

    places: tuple[Place, ...]
    home: Path
    database: str
    plans: Mapping[str, Plan] = field(default_factory=dict)
    retentions: Mapping[str, Retention] = field(default_factory=dict)  # what is kept of requests, by product
    kept: tuple[Kept, ...] = ()  # how long what was built is kept
    hooks: Mapping[str, Hook] = field(default_factory=dict)  # who is told of what, by product
    scripts: tuple[Script, ...] = ()  # of products that hold conversations
    notices: tuple[Notice, ...] = ()
    issuer: Issuer | None = None
    settings: Settings = field(default_factory=Settings)
    open_to_all: bool = False
    certificate: Path | None = None
    private_key: Path | None = None
    grace_s: float = 30.0
    access_log: bool = False

    @property
    def journals(self) -> Path:
        return self.home / "journals"


def work(site: Site, sockets: list[socket.socket], ready: Callable[[], None]) -> int:
    """Serves until SIGTERM and returns the exit status: 0, or 2 and 3 as the command line's."""
    # A thread beside the event loop gives way after so long when the loop wants to run: five milliseconds, the default,
    # would be the slowest part of most replies.
    sys.setswitchinterval(_SWITCH_S)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_serve(site, sockets, ready))
    except TradewindError as error:
        print(str(error), file=sys.stderr)
        return 2 if error.family in ("input", "product", "artifact") else 3


async def _serve(site: Site, sockets: list[socket.socket], ready: Callable[[], None]) -> int:
    observer = Observer(requests=site.access_log)
    observer.tracing = tracing.configured(os.environ, observer.event)
    shelf = Shelf(site.places, log=observer.event, replaced=heap.renew).open()
    if len(shelf) == 0:
        observer.write()
        raise ArtifactError(
            "No release could be loaded.", code="nothing_to_serve", where=str(site.places[0].workspace.home),
            hint="The lines above say why; tradewind verify checks each.",
        )  # fmt: skip
    database = None if site.open_to_all else Database.open(site.database, clock=SystemClock())
    gate: Gate = OpenGate()
    meter: Meter | None = None
    recorder: Recorder | None = None
    subjects: Subjects | None = None
    library: Library | None = None
    talks: Talks | None = None
    queue: StoredQueue | None = None
    keeper = Keeper(site.kept, log=observer.event)
    extra: list[Any] = [notices.router(site.notices)] if site.notices else []
    if database is not None:
        gate = meter = Meter(database, site.journals, Authenticator(database))
        await meter.start()
        subjects = Subjects(SubjectKey.open(site.home))
        queue = StoredQueue(database, Vault.open(site.home / "vault"))
        library = Library(database, site.home / "vault", revision=lambda: meter.revision)
        extra += [account.router, admin.router, webhooks.router, documents.router, intents.router, items.router]
        if site.scripts:
            extra.append(widget.router)
        if any(site.retentions.values()):
            vault = Vault.open(site.home / "vault")
            recorder = Recorder(database, vault, retentions=site.retentions, log=observer.event)
            recorder.start()
    outgoing = Outgoing(site.hooks, os.environ, home=site.home / outbox.FOLDER, log=observer.event)
    feeds = Feeds(site.home / "events", SubjectKey.open(site.home).sealed)
    watcher = Watcher(shelf, feeds, log=observer.event, outgoing=outgoing)
    app = create_app(
        shelf, gate, site.settings, observer=observer, recorder=recorder, subjects=subjects, library=library,
        feeds=feeds, queue=queue, extra_routers=extra,
    )  # fmt: skip
    if meter is not None and database is not None:
        app.rest.state.database = database
        app.rest.state.plans = site.plans
        app.rest.state.authenticate = meter.authenticator.access
        app.rest.state.settle = lambda: backlog.wait_settled(database)
        if site.issuer is not None:
            app.rest.state.issuer = site.issuer
        if site.scripts:
            talks = Talks.of(
                app.desk, database, site.home / "vault", site.scripts, environment=os.environ, outgoing=outgoing
            )
            app.rest.state.talks = talks
            app.rest.add_middleware(Origins, allowed=talks.origins)
            tell_missed(talks)
    observer.start()
    keeper.start()
    outgoing.start()
    watcher.start()
    shelf.watch()
    server = _Server(app, site, ready)
    try:
        ended = asyncio.create_task(_stop_when_ended(meter, server))
        await server.serve(sockets=sockets)
        ended.cancel()
    finally:
        if talks is not None:
            await talks.close()
        shelf.close()
        keeper.stop()
        watcher.stop()
        outgoing.stop()
        if recorder is not None:
            recorder.stop()
        if meter is not None:
            await meter.stop()
        if database is not None:
            database.close()
        observer.stop()
    return 3 if server.disowned else 0


async def _stop_when_ended(meter: Meter | None, server: _Server) -> None:
    if meter is not None:
        await meter.ended.wait()
        server.disowned = True
        server.should_exit = True


class _Server(uvicorn.Server):
    """uvicorn, but for how it ends: between the signal and the end it answers with `connection: close`."""

    def __init__(self, app: App, site: Site, ready: Callable[[], None]) -> None:
        tls: dict[str, Any] = {}
        if site.certificate is not None:
            tls = {"ssl_certfile": str(site.certificate), "ssl_keyfile": str(site.private_key)}
        config = uvicorn.Config(
            app, loop="none", http=Protocol, ws="none", lifespan="off", log_config=None, access_log=False,
            server_header=False, proxy_headers=False, timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=int(site.grace_s), **tls,
        )  # fmt: skip
        super().__init__(config)
        self.disowned = False
        self._app = app
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        heap.freeze()
        self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._app.draining:
            self.should_exit = True
            self.force_exit = sig == signal.SIGINT
            return
        self._app.draining = True
        # Every reply from now on carries it; uvicorn closes the connection behind such a reply.
        close = (b"connection", b"close")
        self.config.encoded_headers = [*self.config.encoded_headers, close]
        self.server_state.default_headers = [*self.server_state.default_headers, close]
        loop = asyncio.get_running_loop()
        for server in self.servers:
            loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.call_later, _LOOK_S, self._end_by, loop.time() + _DRAIN_S)

    def _end_by(self, last_s: float) -> None:
        """Ends as soon as nobody is connected, at the latest when open connections had their time to hear of it."""
        loop = asyncio.get_running_loop()
        if not self.server_state.connections or loop.time() >= last_s:
            self.should_exit = True
        else:
            loop.call_later(_LOOK_S, self._end_by, last_s)
