"""Serving beside the floor, on loopback, both servers up at once and loaded in turns: one worker on one core, the client
on another. The floor does none of what is sold: no key, no limit, no meter, no journal.

    python benchmarks/serving.py [--seconds 5] [--rounds 3]

throughput   requests/s at 32 connections; bound: 0.7 of the floor
latency      p50 at 1 connection; bound: 0.5 ms over the floor
memory       resident size of the worker; bound: 250 MiB
start        from the command to the first answer; bound: 3 s
"""

from __future__ import annotations

import argparse
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
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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


def wait_for(request: urllib.request.Request, seconds: float = 30) -> float:
    """Seconds until the first answer."""
    started = time.perf_counter()
    while time.perf_counter() - started < seconds:
        try:
            with urllib.request.urlopen(request, timeout=5) as reply:
                reply.read()
            return time.perf_counter() - started
        except (urllib.error.URLError, ConnectionError):
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


def main() -> None:
    parser = argparse.ArgumentParser(description="Serving beside the floor.")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        graph = make(work)
        row = {name: round(-1 + 0.1 * place, 1) for place, name in enumerate(COLUMNS)}
        ours, bare = work / "ours.json", work / "bare.json"
        ours.write_text(json.dumps({"model": "twenty", "inputs": [row]}))
        bare.write_text(json.dumps(row))
        account = json.loads(tradewind("account", "add", "bench", "--plan", "pro", "-C", temporary, "--json"))[
            "account"
        ]
        key = json.loads(tradewind("key", "add", account, "-C", temporary, "--json"))["key"]
        our_port, bare_port = free_port(), free_port()
        environment = {**os.environ, "GRAPH": str(graph), "COLUMNS": ",".join(COLUMNS), "OPENBLAS_NUM_THREADS": "1"}
        started = time.perf_counter()
        server = subprocess.Popen(
            pinned(1, [sys.executable, "-m", "tradewind.cli", "serve", "-C", temporary, "--port", str(our_port)]),
            stderr=subprocess.DEVNULL,
        )
        floor: subprocess.Popen[bytes] | None = None
        try:
            our_url = f"http://127.0.0.1:{our_port}/v1/predict"
            bare_url = f"http://127.0.0.1:{bare_port}/predict"
            wait_for(post(our_url, ours.read_bytes(), key))
            start_s = time.perf_counter() - started
            uvicorn = ["-m", "uvicorn", "bare:app", "--app-dir", str(HERE), "--no-access-log", "--log-level", "error"]
            floor = subprocess.Popen(pinned(1, [sys.executable, *uvicorn, "--port", str(bare_port)]), env=environment)
            wait_for(post(bare_url, bare.read_bytes()))
            rates: dict[str, list[float]] = {"ours": [], "floor": []}
            lone: dict[str, list[float]] = {"ours": [], "floor": []}
            for _ in range(given.rounds):
                for who, url, body, secret in (("ours", our_url, ours, key), ("floor", bare_url, bare, None)):
                    one = drive(0, url, body, 1, given.seconds / 2, secret)
                    many = drive(0, url, body, 32, given.seconds, secret)
                    lone[who].append(one["p50_ms"])
                    rates[who].append(many["requests_per_s"])
                    print(
                        f"  {who}: {many['requests_per_s']:,.0f} requests/s at 32 (p99 {many['p99_ms']:.1f} ms), "
                        f"p50 {one['p50_ms']:.3f} ms, p99 {one['p99_ms']:.3f} ms at 1",
                        flush=True,
                    )
            memory = resident_mib(server.pid)
            time.sleep(0.5)
            usage = json.loads(tradewind("usage", "--account", account, "-C", temporary, "--json"))
            print(f"  metered: {usage['units']:,} units")
        finally:
            for process in (server, floor):
                if process is not None:
                    process.send_signal(signal.SIGTERM)
                    process.wait(60)
    ratio = statistics.median(rates["ours"]) / statistics.median(rates["floor"])
    added = statistics.median(lone["ours"]) - statistics.median(lone["floor"])
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
