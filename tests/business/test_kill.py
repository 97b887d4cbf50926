"""Real processes that serve, killed with SIGKILL at random moments: every acknowledged request is billed once."""

import multiprocessing
import os
import random
import threading
import time
from multiprocessing.connection import wait
from pathlib import Path

from sqlalchemy import select

from tests.business.serving import Worker, add_account, balance, units_leased
from tradewind.business.database import Database
from tradewind.business.journal import replay
from tradewind.business.recovery import sweep
from tradewind.business.tables import usage_events, workers
from tradewind.clock import SystemClock

CAP = 20_000
KILLS = {"sqlite": 20, "postgresql": 5}
AT_ONCE = 4


def serve_until_killed(url: str, journals: Path, acknowledged, name: str) -> None:
    """A worker process: three threads serve, a fourth settles; what was served is said on a pipe, as a reply would."""
    worker = Worker(Database.open(url, clock=SystemClock()), journals, cap=CAP, want=8)
    worker.start()

    def serve(thread):
        for number in range(1_000_000):
            units = random.randint(1, 3)
            if not worker.reserve(units):
                return
            time.sleep(random.uniform(0, 0.002))
            if random.random() < 0.1:
                worker.fail(units)
                continue
            request_id = f"{name}_{thread}_{number}"
            worker.finish(request_id, units)
            os.write(acknowledged.fileno(), f"{request_id} {units}\n".encode())

    threads = [threading.Thread(target=serve, args=(thread,)) for thread in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def start(processes, url, journals, name):
    reader, writer = processes.Pipe(duplex=False)
    process = processes.Process(target=serve_until_killed, args=(url, journals, writer, name), daemon=True)
    process.start()
    writer.close()
    return process, reader


def kill_one_after_another(running) -> dict[str, int]:
    """Kills each at a moment of its own and returns what they had acknowledged: units by request."""
    lines = b""
    for process, reader in running:
        time.sleep(random.uniform(0, 0.15))
        process.kill()
        process.join()
        while part := os.read(reader.fileno(), 65_536):
            lines += part
        process.close()
        reader.close()
    return {line.split()[0].decode(): int(line.split()[1]) for line in lines.splitlines()}


def test_every_acknowledged_request_is_billed_once_whoever_is_killed(database_url, tmp_path):
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["tests.business.test_kill"])
    journals = tmp_path / "journals"
    database = Database.open(database_url, clock=SystemClock())
    add_account(database)
    acknowledged: dict[str, int] = {}
    kills = 0
    while kills < KILLS[database.dialect]:
        running = [start(processes, database_url, journals, f"req_{kills + number}") for number in range(AT_ONCE)]
        wait([reader for _, reader in running])  # one at least serves: the others are starting, or serve too
        time.sleep(random.uniform(0, 0.3))
        acknowledged |= kill_one_after_another(running)
        kills += AT_ONCE
        sweep(database, keep_journals=True)

    with database.reading() as connection:
        events = connection.execute(select(usage_events.c.request_id, usage_events.c.units))
        billed = {event.request_id: event.units for event in events}
        alive = connection.execute(select(workers.c.id).where(workers.c.ended_ms.is_(None))).all()
    journaled = {
        event.request_id: event.units
        for folder in journals.iterdir()
        for record in replay(folder)
        for event in record.events
    }
    used, granted = balance(database)
    leased = units_leased(database)
    database.close()
    assert len(acknowledged) > 0
    assert acknowledged.items() <= billed.items()  # nothing is lost
    assert billed == journaled  # nothing is made up
    assert used == sum(billed.values()) <= CAP
    assert (granted, leased, alive) == (0, {}, [])
