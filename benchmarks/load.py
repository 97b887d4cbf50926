"""A load generator for loopback: keep-alive connections that each send the next request when the reply is whole.

    python benchmarks/load.py URL --body FILE [--key KEY] [--connections 32] [--seconds 5]

Prints one JSON object: requests, seconds, requests_per_s, p50_ms, p99_ms, statuses. Bounded in connections and time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections import Counter
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import uvloop


class Client(asyncio.Protocol):
    """One connection. Replies must carry content-length, which every server here does."""

    def __init__(self, request: bytes, until_s: float, latencies_s: list[float], statuses: Counter[int]) -> None:
        self.request, self.until_s = request, until_s
        self.latencies_s, self.statuses = latencies_s, statuses
        self.buffer = b""
        self.sent_s = 0.0
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._send()

    def _send(self) -> None:
        self.sent_s = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head = self.buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        start = self.buffer.lower().find(b"content-length:", 0, head + 2)
        assert start >= 0, "a reply without content-length"
        length = int(self.buffer[start + 15 : self.buffer.find(b"\r\n", start)])
        if len(self.buffer) < head + 4 + length:
            return
        now = time.perf_counter()
        self.latencies_s.append(now - self.sent_s)
        self.statuses[int(self.buffer[9:12])] += 1
        self.buffer = b""
        if now < self.until_s:
            self._send()
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)


async def load(url: str, body: bytes, key: str | None, connections: int, seconds: float) -> dict[str, object]:
    parts = urlsplit(url)
    head = [f"POST {parts.path} HTTP/1.1", f"host: {parts.netloc}", "content-type: application/json"]
    head += [f"authorization: Bearer {key}"] if key else []
    request = "\r\n".join([*head, f"content-length: {len(body)}", "", ""]).encode() + body
    loop = asyncio.get_running_loop()
    latencies_s: list[float] = []
    statuses: Counter[int] = Counter()
    started = time.perf_counter()
    clients = []
    for _ in range(connections):
        _, client = await loop.create_connection(
            lambda: Client(request, started + seconds, latencies_s, statuses), parts.hostname, parts.port
        )
        clients.append(client)
    await asyncio.wait_for(asyncio.gather(*(client.closed for client in clients)), seconds + 30)
    took = time.perf_counter() - started
    ordered = sorted(latencies_s)
    return {
        "requests": len(ordered),
        "seconds": round(took, 3),
        "requests_per_s": round(len(ordered) / took, 1),
        "p50_ms": round(ordered[len(ordered) // 2] * 1e3, 4),
        "p99_ms": round(ordered[int(len(ordered) * 0.99)] * 1e3, 4),
        "statuses": dict(statuses),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("url")
    parser.add_argument("--body", type=Path, required=True)
    parser.add_argument("--key")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=5.0)
    given = parser.parse_args()
    assert given.connections <= 1000
    assert given.seconds <= 120
    found = uvloop.run(load(given.url, given.body.read_bytes(), given.key, given.connections, given.seconds))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
