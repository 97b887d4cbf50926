"""`tradewind serve` as a customer and an operator meet it: real processes, real sockets, real signals."""

import asyncio
import ipaddress
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.server.releases import make_release
from tradewind.artifacts import Workspace
from tradewind.cli.app import main
from tradewind.release.registry import promote

PRODUCT = """\
product: churn
task: classification
data: {source: rows.csv, target: churned}
serve:
  plans:
    pro: {monthly: 9 CNY, included: 1000000, overage: 0.01 CNY}
    small: {monthly: 1 CNY, included: 10, cap: 10}
"""
ROW = {"x0": 0.5, "x1": -1.0, "plan": "plus"}


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A product with a live release and a newer one beside it."""
    monkeypatch.delenv("TRADEWIND_DATABASE", raising=False)
    monkeypatch.delenv("TRADEWIND_HOME", raising=False)
    (tmp_path / "tradewind.yaml").write_text(PRODUCT)
    workspace = Workspace.of(tmp_path)
    make_release(workspace, seed=1)
    make_release(workspace, seed=2, live=False)
    return tmp_path


def tell(capsys, *words):
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def customer(shop, capsys, plan="pro"):
    account = tell(capsys, "account", "add", f"{plan} GmbH", "--plan", plan, "-C", str(shop))["account"]
    return account, tell(capsys, "key", "add", account, "-C", str(shop))["key"]


@contextmanager
def served(shop, *options, scheme="http", verify=True):
    """The server process and a client that speaks to it. SIGTERM at the end; it must go in peace."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "tradewind.cli", "serve", "-C", str(shop), "--port", str(port), *options]
    with (shop / "serve.log").open("w") as log:
        process = subprocess.Popen(command, stderr=log, env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        with httpx.Client(base_url=f"{scheme}://127.0.0.1:{port}", timeout=30, verify=verify) as client:
            wait_until_ready(client, process, shop)
            yield process, client
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        status = process.wait(60)
    assert status == 0, (shop / "serve.log").read_text()


def wait_until_ready(client, process, shop):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert process.poll() is None, (shop / "serve.log").read_text()
        try:
            if client.get("/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.02)
    pytest.fail((shop / "serve.log").read_text())


def children(parent):
    return [
        int(pid) for pid in subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, text=True).stdout.split()
    ]


def ask(client, key, rows=1):
    body = {"model": "churn", "inputs": [ROW] * rows}
    return client.post("/v1/predict", json=body, headers={"authorization": f"Bearer {key}"})


def test_a_customer_predicts_and_is_billed(shop, capsys):
    account, key = customer(shop, capsys)
    with served(shop) as (_, client):
        reply = ask(client, key, rows=3)
        usage = client.get("/v1/usage", headers={"authorization": f"Bearer {key}"}).json()
    assert reply.status_code == 200
    answer = reply.json()
    assert (answer["model"], answer["release"], answer["usage"]) == ("churn", "v1", {"units": 3})
    assert answer["outputs"][0]["label"] in ("yes", "no")
    assert usage["units"] == 3
    counted = tell(capsys, "usage", "--account", account, "-C", str(shop))
    assert (counted["units"], counted["requests"], counted["by_meter"]) == (3, 1, {"rows": 3})
    assert tell(capsys, "invoice", "draft", account, "-C", str(shop))["status"] == "draft"


def test_a_killed_worker_is_replaced_and_what_it_served_is_billed(shop, capsys):
    account, key = customer(shop, capsys)
    received = 0
    with served(shop, "--workers", "2") as (process, client):
        for _ in range(4):
            for _ in range(5):
                received += ask(client, key).status_code == 200
            os.kill(children(process.pid)[0], signal.SIGKILL)
            with httpx.Client(base_url=client.base_url, timeout=30) as fresh:
                wait_until_ready(fresh, process, shop)
                received += ask(fresh, key).status_code == 200
    assert tell(capsys, "usage", "--account", account, "-C", str(shop))["units"] >= received


def test_a_promoted_release_takes_over_without_a_failed_request(shop, capsys):
    _, key = customer(shop, capsys)
    seen, stop = Counter(), threading.Event()

    def load(address):
        with httpx.Client(base_url=address, timeout=30) as client:
            while not stop.is_set():
                reply = ask(client, key)
                seen[reply.status_code, reply.json().get("release")] += 1

    with served(shop) as (_, client):
        thread = threading.Thread(target=load, args=[client.base_url])
        thread.start()
        time.sleep(0.3)
        promote(Workspace.of(shop), "v2")
        deadline = time.monotonic() + 20
        while not seen[200, "v2"] and time.monotonic() < deadline:
            time.sleep(0.05)
        stop.set()
        thread.join()
    assert set(seen) == {(200, "v1"), (200, "v2")}


def test_sigterm_lets_running_requests_end(shop, capsys):
    account, key = customer(shop, capsys)
    statuses, broken = Counter(), []

    async def client_of(address, stop):
        async with httpx.AsyncClient(base_url=address, timeout=30) as session:
            while not stop.is_set():
                try:
                    reply = await session.post(
                        "/v1/predict",
                        json={"model": "churn", "inputs": [ROW]},
                        headers={"authorization": f"Bearer {key}"},
                    )
                except httpx.ConnectError:  # nobody listens any more: nothing was asked
                    return
                except httpx.TransportError as error:
                    broken.append(error)
                    return
                statuses[reply.status_code] += 1

    async def story(address, process):
        stop = asyncio.Event()
        clients = [asyncio.create_task(client_of(address, stop)) for _ in range(8)]
        await asyncio.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        await asyncio.gather(*clients)

    with served(shop) as (process, client):
        asyncio.run(story(client.base_url, process))
        assert process.wait(30) == 0
    assert broken == []
    assert set(statuses) == {200}
    assert tell(capsys, "usage", "--account", account, "-C", str(shop))["units"] == statuses[200]


def test_the_cap_holds_over_workers(shop, capsys):
    account, key = customer(shop, capsys, plan="small")

    async def race(address):
        async with httpx.AsyncClient(base_url=address, timeout=60, limits=httpx.Limits(max_connections=100)) as session:
            body, headers = {"model": "churn", "inputs": [ROW]}, {"authorization": f"Bearer {key}"}
            return await asyncio.gather(*(session.post("/v1/predict", json=body, headers=headers) for _ in range(100)))

    with served(shop, "--workers", "2") as (_, client):
        replies = asyncio.run(race(client.base_url))
    assert Counter(reply.status_code for reply in replies) == {200: 10, 429: 90}
    refused = next(reply for reply in replies if reply.status_code == 429)
    assert refused.json()["error"]["code"] == "input.quota_used_up"
    assert int(refused.headers["retry-after"]) > 0
    assert tell(capsys, "usage", "--account", account, "-C", str(shop))["units"] == 10


def test_a_revoked_key_is_refused_when_the_verb_returns(shop, capsys):
    account, key = customer(shop, capsys)
    with served(shop, "--workers", "2") as (_, client):
        assert ask(client, key).status_code == 200
        prefix = tell(capsys, "key", "list", account, "-C", str(shop))["keys"][0]["prefix"]
        tell(capsys, "key", "revoke", prefix, "-C", str(shop))
        assert {ask(client, key).status_code for _ in range(20)} == {401}


def test_tls_by_files(shop, capsys):
    _, key = customer(shop, capsys)
    secret = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(secret.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(secret, hashes.SHA256())
    )  # fmt: skip
    (shop / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (shop / "key.pem").write_bytes(
        secret.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    trusted = ssl.create_default_context(cafile=str(shop / "cert.pem"))
    options = ["--certificate", str(shop / "cert.pem"), "--private-key", str(shop / "key.pem")]
    with served(shop, *options, scheme="https", verify=trusted) as (_, client):
        assert ask(client, key).status_code == 200


def test_open_to_all_needs_no_key(shop):
    with served(shop, "--open") as (_, client):
        assert ask(client, "whatever").status_code == 200


def test_a_port_in_use_is_told(shop, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert main(["serve", "-C", str(shop), "--port", str(taken.getsockname()[1])]) == 3
    assert "cannot be listened on" in capsys.readouterr().err


def test_nothing_released_is_told(tmp_path, capsys):
    (tmp_path / "tradewind.yaml").write_text(PRODUCT)
    assert main(["serve", "-C", str(tmp_path)]) == 2
    assert "no release yet" in capsys.readouterr().err


def test_a_font_that_is_none_is_told_before_anything_is_served(shop, capsys, monkeypatch):
    monkeypatch.setenv("TRADEWIND_FONT", str(shop / "tradewind.yaml"))
    assert main(["serve", "-C", str(shop), "--port", "0"]) == 3
    assert "No Chinese can be embedded from it" in capsys.readouterr().err


def test_a_changed_release_is_not_served(shop):
    graph = next((shop / ".tradewind" / "releases").glob("*/model.onnx"))
    for graph in (shop / ".tradewind" / "releases").glob("*/model.onnx"):
        graph.chmod(0o644)
        graph.write_bytes(graph.read_bytes()[:-1] + b"x")
    command = [sys.executable, "-m", "tradewind.cli", "serve", "-C", str(shop), "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "No release could be loaded" in done.stderr
    assert "bytes are not those" in done.stderr  # the line above that says why
    assert "Traceback" not in done.stderr


def test_half_of_tls_is_told(shop, capsys):
    assert main(["serve", "-C", str(shop), "--certificate", "cert.pem"]) == 2
    assert "needs both" in capsys.readouterr().err
