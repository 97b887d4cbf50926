"""The shelf: which releases are served, side by side, and how a promoted one takes the place of the old without a gap.

Not here: one release (`served.py`, `served_language.py`), who may ask for it (`gate.py`).
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tradewind.artifacts import Workspace
from tradewind.engines.loading import load_generator
from tradewind.errors import ArtifactError, InputError, TradewindError, nearest
from tradewind.release.registry import FILE, Registry, Version
from tradewind.server.answer_texts import AnswerTexts
from tradewind.server.drift_watch import Bounds
from tradewind.server.openers import Item, Opening, open_item
from tradewind.server.served import Served
from tradewind.server.served_language import LoadEngine, ServedLanguage, Writing
from tradewind.server.served_rows import ServedRows
from tradewind.server.ticker import Ticker

POLL_S = 0.5
_PINNED_MOST = 8
_PINNED_LANGUAGE_MOST = 1  # beside the live one: they are large
_THREADS = 4
_THREADS_ASIDE = 4

Log = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Place:
    """A workspace to serve from, with what `serve` of its product file says. `writing` is a language model's."""

    workspace: Workspace
    public_key: Path | None = None
    abstain_below: float | None = None
    texts: AnswerTexts | None = None
    outside: str | None = None  # the label of what belongs to no class
    accept: float = 0.95
    drift: Bounds = field(default_factory=Bounds)
    writing: Writing = field(default_factory=Writing)


@dataclass
class _Watched:
    place: Place
    stamp: tuple[int, int, int] | None = None  # of registry.json when it was last read
    product: str | None = None
    pinned: OrderedDict[int, Item] = field(default_factory=OrderedDict)


class Shelf:
    """The live releases of one or more workspaces: what `live` names, else the newest (`candidate`).

    `open` loads them; `watch` starts the thread that follows the registries. `log` gets one mapping an event,
    `replaced` is called after a release took the place of another.
    Readers see either the old or the new release: the table is replaced whole, and requests keep what they hold.
    """

    def __init__(
        self, places: Sequence[Place], *, threads: int = 1, log: Log | None = None, poll_s: float = POLL_S,
        load_engine: LoadEngine = load_generator, replaced: Callable[[], object] | None = None,
    ) -> None:  # fmt: skip
        self._watched = [_Watched(place) for place in places]
        self._threads = threads
        self._log = log or (lambda event: None)
        self._replaced = replaced or (lambda: None)
        self._load_engine = load_engine
        self._live: dict[str, Item] = {}
        self._loading = threading.Lock()
        self._ticker = Ticker("shelf", self.look, every_s=poll_s)
        # Shared by all releases: each batcher keeps at most one call running, so four slow models run side by side.
        self.executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="model")
        # Pictures, reasons and loading: what must neither hold the event loop nor a model's turn.
        self.aside = ThreadPoolExecutor(_THREADS_ASIDE, thread_name_prefix="aside")

    @property
    def products(self) -> Mapping[str, Item]:
        """Live releases by product."""
        return self._live

    def __iter__(self) -> Iterator[Item]:
        return iter(list(self._live.values()))

    def __len__(self) -> int:
        return len(self._live)

    # ------------------------------------------------------------ asking

    def get(self, product: str, release: str | None = None) -> Item | None:
        """The live release, or a version that is loaded; None where `fetch` must load it.

        Raises InputError (model_unknown, release_unknown).
        """
        served = self._live.get(product)
        if served is None:
            raise self._unknown(product)
        if release is None:
            return served
        number = _number(release, product)
        if number == served.version:
            return served
        watched = next((one for one in self._watched if one.product == product), None)
        if watched is None:  # it was put here by hand
            raise _no_release(product, release, [served.release])
        found = watched.pinned.get(number)
        if found is not None:
            with suppress(KeyError):
                watched.pinned.move_to_end(number)
        return found

    async def fetch(self, product: str, release: str | None = None) -> Item:
        """As `get`, and loads a pinned version in a thread the first time."""
        served = self.get(product, release)
        if served is not None:
            return served
        assert release is not None
        return await asyncio.get_running_loop().run_in_executor(self.aside, self._pin, product, release)

    def versions(self, product: str) -> list[str]:
        """Every version that can be asked for: v1, v2, …"""
        watched = next((one for one in self._watched if one.product == product), None)
        if watched is None and product in self._live:
            return [self._live[product].release]
        if watched is None:
            raise self._unknown(product)
        return [f"v{item.version}" for item in Registry.open(watched.place.workspace).versions]

    def numbers(self, product: str) -> set[str]:
        """Version numbers as the Open Inference Protocol writes them, with and without the v."""
        names = self.versions(product)
        return {*names, *(name.removeprefix("v") for name in names)}

    # ------------------------------------------------------------ following

    def put(self, served: Item) -> None:
        """Serves a release that lies in no workspace: an engine's fake, say."""
        self._live = {**self._live, served.product: served}

    def open(self) -> Shelf:
        """Loads what is live now. A workspace whose release fails its checks is passed over with a log line."""
        self.look()
        return self

    def watch(self) -> None:
        """Follows the registries until `close`."""
        self._ticker.start()

    def close(self) -> None:
        self._ticker.stop()
        for item in [*self, *(one for watched in self._watched for one in watched.pinned.values())]:
            _retire(item)
        for pool in (self.executor, self.aside):
            pool.shutdown(wait=False, cancel_futures=True)

    def look(self) -> None:
        """One look at every registry; a changed one is read and its live release loaded beside the old one."""
        with self._loading:
            for watched in self._watched:
                stamp = _stamp(watched.place.workspace.home / FILE)
                if stamp is not None and stamp != watched.stamp:
                    watched.stamp = stamp
                    self._renew(watched)

    def _renew(self, watched: _Watched) -> None:
        workspace = watched.place.workspace
        try:
            registry = Registry.open(workspace)
            name = "live" if "live" in registry.aliases else "candidate"
            if name not in registry.aliases:
                return
            version = registry.find(name)
            before = self._live.get(watched.product) if watched.product else None
            if before is not None and before.version == version.version and before.digest == version.digest:
                return
            served = self._load(watched, registry.path(version), version)
            other = self._live.get(served.product)
            if other is not None and watched.product != served.product:
                raise InputError("Two workspaces hold this product.", code="product_twice", where=served.product)
        except Exception as error:  # noqa: BLE001  the edge of the thread: the old release goes on whatever happened
            reason = str(error) if isinstance(error, TradewindError) else type(error).__name__
            self._log({"event": "release_refused", "workspace": workspace.home.name, "reason": reason})
            return
        table = {name: one for name, one in self._live.items() if name != watched.product}
        self._live = {**table, served.product: served}
        watched.product = served.product
        if before is not None:
            _retire(before)
        event: dict[str, Any] = {
            "event": "release_live", "product": served.product, "release": served.release, "digest": served.digest,
            "before": None if before is None else before.release,
        }  # fmt: skip
        if isinstance(served, Served):
            event["row_ms"] = round(served.seconds_a_row * 1e3, 4)
        self._log(event)
        if before is not None:
            self._replaced()

    def _pin(self, product: str, release: str) -> Item:
        number = _number(release, product)
        with self._loading:
            watched = next((one for one in self._watched if one.product == product), None)
            if watched is None:
                raise self._unknown(product)
            if number in watched.pinned:
                return watched.pinned[number]
            registry = Registry.open(watched.place.workspace)
            version = next((item for item in registry.versions if item.version == number), None)
            if version is None:
                raise _no_release(product, release, [f"v{item.version}" for item in registry.versions])
            try:
                served = self._load(watched, registry.path(version), version)
            except InputError as error:  # what is wrong with a release is no fault of the caller
                raise ArtifactError(str(error), code="release_refused", where=product) from error
            watched.pinned[number] = served
            most = _PINNED_LANGUAGE_MOST if isinstance(served, ServedLanguage) else _PINNED_MOST
            while len(watched.pinned) > most:
                _retire(watched.pinned.popitem(last=False)[1])
            return served

    def _load(self, watched: _Watched, folder: Path, version: Version) -> Item:
        place = watched.place
        return open_item(
            folder,
            version,
            Opening(
                executor=self.executor, home=place.workspace.home, public_key=place.public_key, abstain_below=place.abstain_below,
                texts=place.texts,
                outside=place.outside, accept=place.accept,
                drift=place.drift, writing=place.writing, threads=self._threads, load_engine=self._load_engine,
            ),
        )  # fmt: skip

    def _unknown(self, product: str) -> InputError:
        return InputError(
            f"There is no model {product[:80]!r}.", code="model_unknown", where="model",
            hint=nearest(product, self._live) or "GET /v1/models lists what is served.",
        )  # fmt: skip


def _retire(item: Item) -> None:
    """The memory of a language model is given back at once; a predictor's goes with the last who holds it."""
    if isinstance(item, ServedLanguage | ServedRows):
        item.retire()


def _no_release(product: str, release: str, known: Sequence[str]) -> InputError:
    return InputError(
        f"{product} has no release {release[:40]}.", code="release_unknown", where="release", hint=f"Known: {', '.join(known)}."
    )  # fmt: skip


def _number(release: str, product: str) -> int:
    digits = release.removeprefix("v")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 10):
        raise InputError(
            f"{product} has no release {release[:40]!r}.", code="release_unknown", where="release", hint="A release is named v1, v2, …"
        )  # fmt: skip
    return int(digits)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
