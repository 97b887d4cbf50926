"""Serving beside the floor and the peers, on loopback, loaded in turns with ours: one worker on one core, the client on
another. Neither the floor nor a peer does any of what is sold: no key, no limit, no meter, no journal.

    python benchmarks/serving.py [--seconds 5] [--rounds 3] [--no-peers]

throughput   requests/s at 32 connections; bound: 0.7 of the floor
latency      p50 at 1 connection; bound: 0.5 ms over the floor
memory       resident size of the worker; bound: 250 MiB
start        from the command to the first answer; bound: 3 s

Peers (`peers.py`) are those that the virtual environment in TRADEWIND_PEERS has; `make peers` makes one.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import peers

HERE = Path(__file__).parent
COLUMNS = [f"f{i}" for i in range(20)]
PRODUCT = """\
product: twenty
task: classification
data: {source: rows.csv, target: y}
model: {kind: mlp, width: 256, depth: 2, numbers: linear}
train: {epochs: 2}
evaluate: {baselines: false, bootstrap: 0}
serve:
  plans:
    pro: {monthly: 299 CNY, included: 100000000, overage: 0.002 CNY, rate: 1000000/s}
"""


def make(folder: Path) -> Path:
    """A product with 20 number columns, released; returns its graph."""
    random.seed(0)
    with (folder / "rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*COLUMNS, "y"])
        for _ in range(2000):
            row = [random.gauss(0, 1) for _ in COLUMNS]
            writer.writerow([*(f"{value:.4f}" for value in row), "yes" if row[0] + row[1] > 0 else "no"])
    (folder / "tradewind.yaml").write_text(PRODUCT)
    done = json.loads(tradewind("run", "-C", str(folder), "--json"))
    return Path(done["artifacts"]["release"]) / "model.onnx"


def tradewind(*arguments: str) -> str:
    command = [sys.executable, "-m", "tradewind.cli", *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def pinned(core: int, command: Sequence[str]) -> list[str]:
    return ["taskset", "-c", str(core), *command]


def wait_for(
    request: urllib.request.Request, seconds: float = 30, server: subprocess.Popen[bytes] | None = None
) -> float:
    """Seconds until the first answer. Leaves with a word where the time is over, or `server` has ended."""
    started = time.perf_counter()
    while time.perf_counter() - started < seconds:
        if server is not None and server.poll() is not None:
            raise SystemExit(f"{request.full_url}: the server ended with status {server.returncode}")
        try:
            with urllib.request.urlopen(request, timeout=5) as reply:
                reply.read()
            return time.perf_counter() - started
        except OSError:  # refused, 503, or accepted by nobody yet
            time.sleep(0.01)
    raise SystemExit(f"{request.full_url} did not answer within {seconds:.0f} s")


def post(url: str, body: bytes, key: str | None = None) -> urllib.request.Request:
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {key}"} if key else {})
    return urllib.request.Request(url, data=body, headers=headers)


def drive(core: int, url: str, body: Path, connections: int, seconds: float, key: str | None = None) -> dict[str, Any]:
    command = [sys.executable, str(HERE / "load.py"), url, "--body", str(body)]
    command += ["--connections", str(connections), "--seconds", str(seconds), *(["--key", key] if key else [])]
    done = subprocess.run(pinned(core, command), stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    assert set(found["statuses"]) == {"200"}, found
    return found


def resident_mib(parent: int) -> float:
    """The largest process below `parent`."""
    sizes = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        except OSError:
            continue
        if int(fields.get("PPid", "0")) == parent or status.parent.name == str(parent):
            sizes.append(int(fields.get("VmRSS", "0 kB").split()[0]) / 1024)
    return max(sizes)


@dataclass
class Target:
    """A server under load, and what was measured of it."""

    name: str
    url: str
    body: Path
    key: str | None = None
    rates: list[float] = field(default_factory=list)  # requests/s at 32 connections
    lone_ms: list[float] = field(default_factory=list)  # p50 at 1
    lone_p99_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)

    def measure(self, seconds: float) -> None:
        one = drive(0, self.url, self.body, 1, seconds / 2, self.key)
        many = drive(0, self.url, self.body, 32, seconds, self.key)
        self.lone_ms.append(one["p50_ms"])
        self.lone_p99_ms.append(one["p99_ms"])
        self.rates.append(many["requests_per_s"])
        self.p99_ms.append(many["p99_ms"])
        print(
            f"  {self.name}: {many['requests_per_s']:,.0f} requests/s at 32 (p99 {many['p99_ms']:.1f} ms), "
            f"p50 {one['p50_ms']:.3f} ms, p99 {one['p99_ms']:.3f} ms at 1",
            flush=True,
        )

    def row(self, ours: Sequence[float]) -> str:
        """`ours`: our requests/s in the same turns."""
        rate = statistics.median(self.rates)
        cells = [self.name, f"{rate:,.0f}", f"{statistics.median(self.p99_ms):.1f}"]
        cells += [f"{statistics.median(self.lone_ms):.2f}", f"{statistics.median(self.lone_p99_ms):.2f}"]
        return f"| {' | '.join(cells)} | {statistics.median(ours) / rate:.2f} |"


def beside(peer: peers.Peer, ours: Target, work: Path, row: dict[str, float], graph: Path, given: Any) -> str:
    """A row of the table: `peer` and ours loaded in turns. Raises peers.Skipped."""
    folder = peers.programs()
    version = peers.version(peer, folder)
    scratch = work / peer.package
    scratch.mkdir()
    port = free_port()
    url = f"http://127.0.0.1:{port}{peer.path}"
    target = Target(f"{peer.name} {version}", url, peers.write_body(peer, row, scratch / "body.json"))
    near = Target(ours.name, ours.url, ours.body, ours.key)
    running = peers.running(peer, folder, port, scratch, graph=graph, columns=",".join(COLUMNS), pin=partial(pinned, 1))
    with running as server:
        try:
            wait_for(post(url, target.body.read_bytes()), 90, server)
            for _ in range(given.rounds):
                target.measure(given.seconds)
                near.measure(given.seconds)
        except (SystemExit, subprocess.CalledProcessError, AssertionError) as error:
            raise peers.Skipped(f"{error!s:.200}; its last line: {peers.last_line(scratch)}") from error
    return target.row(near.rates)


@contextlib.contextmanager
def started(command: list[str], environment: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment)
    try:
        yield server
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)


def main() -> None:
    parser = argparse.ArgumentParser(description="Serving beside the floor and the peers.")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as stack:
        work = Path(temporary)
        graph = make(work)
        row = {name: round(-1 + 0.1 * place, 1) for place, name in enumerate(COLUMNS)}
        (work / "ours.json").write_text(json.dumps({"model": "twenty", "inputs": [row]}))
        (work / "bare.json").write_text(json.dumps(row))
        account = json.loads(tradewind("account", "add", "bench", "--plan", "pro", "-C", temporary, "--json"))[
            "account"
        ]
        key = json.loads(tradewind("key", "add", account, "-C", temporary, "--json"))["key"]
        our_port, bare_port = free_port(), free_port()
        ours = Target("Tradewind", f"http://127.0.0.1:{our_port}/v1/predict", work / "ours.json", key)
        floor = Target("bare Starlette (the floor)", f"http://127.0.0.1:{bare_port}/predict", work / "bare.json")
        serve = [sys.executable, "-m", "tradewind.cli", "serve", "-C", temporary, "--port", str(our_port)]
        began = time.perf_counter()
        server = stack.enter_context(started(pinned(1, serve)))
        wait_for(post(ours.url, ours.body.read_bytes(), key))
        start_s = time.perf_counter() - began
        with started(
            pinned(1, [sys.executable, "-m", "uvicorn", "bare:app", "--app-dir", str(HERE), "--no-access-log",
                       "--log-level", "error", "--port", str(bare_port)]),
            {**os.environ, "GRAPH": str(graph), "COLUMNS": ",".join(COLUMNS), "OPENBLAS_NUM_THREADS": "1"},
        ):  # fmt: skip
            wait_for(post(floor.url, floor.body.read_bytes()))
            for _ in range(given.rounds):
                ours.measure(given.seconds)
                floor.measure(given.seconds)
        table, skipped = [ours.row(ours.rates), floor.row(ours.rates)], []
        for peer in peers.PEERS if given.peers else ():
            try:
                table.append(beside(peer, ours, work, row, graph, given))
            except peers.Skipped as reason:
                skipped.append(f"{peer.name} is not in the table: {reason}")
        memory = resident_mib(server.pid)
        time.sleep(0.5)
        usage = json.loads(tradewind("usage", "--account", account, "-C", temporary, "--json"))
        print(f"  metered: {usage['units']:,} units")
    print("\n| server | requests/s at 32 | p99 ms at 32 | p50 ms at 1 | p99 ms at 1 | ours, times as many |")
    print("|---|---|---|---|---|---|", *table, *skipped, sep="\n")
    ratio = statistics.median(ours.rates) / statistics.median(floor.rates)
    added = statistics.median(ours.lone_ms) - statistics.median(floor.lone_ms)
    print("\n| figure | measured | bound | holds |\n|---|---|---|---|")
    for figure, measured, bound, holds in (
        ("throughput at 32 connections, ours / floor", f"{ratio:.2f}", "0.70", ratio >= 0.7),
        ("p50 at 1 connection, over the floor", f"{added:.3f} ms", "0.5 ms", added < 0.5),
        ("resident size of the worker", f"{memory:.0f} MiB", "250 MiB", memory < 250),
        ("start to first answer", f"{start_s:.2f} s", "3 s", start_s < 3),
    ):
        print(f"| {figure} | {measured} | {bound} | {'yes' if holds else 'no'} |")


if __name__ == "__main__":
    main()
