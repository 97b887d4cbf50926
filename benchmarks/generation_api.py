"""The contenders of `generation.py` that are asked over HTTP, by the same streaming clients in this process: `tradewind serve` itself
with key, plan, limits, meters and journal, and the HTTP server that llama.cpp brings along.

    python generation_api.py PRODUCT PRECISION STREAMS TOKENS TURNS [PYTHON_WITH_XLLAMACPP]

Prints what `generation_one.py` prints, besides the seconds from the command to the first token, the resident size of the
worker in MiB, and whether any process of the server has torch in its memory.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import uvloop

from generation_one import prompts, short_of

HERE = Path(__file__).parent
START_S = 60.0
LLAMA_FIELDS = {"ignore_eos": True, "cache_prompt": False}  # an answer of full length, its prompt read anew


def tradewind(*arguments: str) -> str:
    command = [sys.executable, "-m", "tradewind.cli", *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout


def key_of(product: Path) -> str:
    account = json.loads(tradewind("account", "add", "load", "--plan", "pro", "-C", str(product), "--json"))["account"]
    made: str = json.loads(tradewind("key", "add", account, "-C", str(product), "--json"))["key"]
    return made


class Client:
    """One connection that streams completions; a new one for each where the server closes it behind its answer."""

    def __init__(self, port: int, key: str, *, fields: Mapping[str, bool], stays: bool) -> None:
        self._port, self._key, self._fields, self._stays = port, key, fields, stays
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def stream(self, prompt: list[int], tokens: int) -> tuple[float, int]:
        """Seconds to the first event that holds text, and the tokens that the server counted."""
        if self._writer is None or (self._reader is not None and self._reader.at_eof()):
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        assert self._reader is not None
        body = json.dumps(
            {"model": "writer", "prompt": prompt, "max_tokens": tokens, "temperature": 0, "stream": True, "stream_options": {"include_usage": True}, **self._fields}
        ).encode()  # fmt: skip
        head = f"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nauthorization: Bearer {self._key}\r\n"
        started = time.perf_counter()
        self._writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        first, found = 0.0, b""
        while b"[DONE]" not in found[-64:] or not found.endswith(b"0\r\n\r\n"):
            part = await self._reader.read(65_536)
            if not part:
                self.close()
                raise ConnectionError(f"the server closed the connection: {found[-300:]!r}")
            found += part
            if not first and b'"text"' in found:
                first = time.perf_counter() - started
        if not found.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"the server answered {found[:300]!r}")
        if not self._stays:
            self.close()
        usage = found[found.rindex(b'"completion_tokens":') + len(b'"completion_tokens":') :]
        return first, int(usage[: min(usage.find(b","), usage.find(b"}")) if b"," in usage[:12] else usage.find(b"}")])

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


async def measured(clients: list[Client], streams: int, tokens: int) -> tuple[float, float]:
    """Seconds of the whole, and the median of a lone prompt's first token."""
    firsts = []
    for prompt in prompts(5):
        firsts.append((await clients[0].stream(prompt, 1))[0])
    started = time.perf_counter()
    pairs = zip(clients, prompts(streams), strict=True)
    done = await asyncio.gather(*(client.stream(prompt, tokens) for client, prompt in pairs))
    took = time.perf_counter() - started
    assert sum(count for _, count in done) == streams * tokens
    return took, sorted(firsts)[len(firsts) // 2]


def processes(parent: int) -> list[int]:
    """`parent` and its children."""
    found = [parent]
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.append(int(status.parent.name))
    return found


def resident_mib(process: int) -> float:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def main(product: Path, precision: str, streams: int, tokens: int, turns: int, llama: str | None = None) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    if llama:
        key, fields = "none", LLAMA_FIELDS
        command = [
            llama,
            str(HERE / "llama_server.py"),
            str(product / "gguf" / precision / "model.gguf"),
            str(streams),
            str(port),
        ]
    else:
        key, fields = key_of(product), {}
        _choose(precision, product / "tradewind.yaml")
        command = [sys.executable, "-m", "tradewind.cli", "serve", "-C", str(product), "--port", str(port)]
    begun = time.perf_counter()
    quiet = subprocess.DEVNULL
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet)
    try:
        clients = [Client(port, key, fields=fields, stays=not llama) for _ in range(streams)]
        found = uvloop.run(_asked(server, clients, begun, streams, tokens, turns))
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)
    print(json.dumps(found))


def _choose(precision: str, file: Path) -> None:
    kept = "\n".join(line for line in file.read_text().splitlines() if not line.startswith("  precision:"))
    file.write_text(kept.replace("serve:\n", f"serve:\n  precision: {precision}\n"))


async def _asked(
    server: subprocess.Popen[bytes], clients: list[Client], begun: float, streams: int, tokens: int, turns: int
) -> dict[str, object]:
    while True:
        try:
            await clients[0].stream(prompts(1)[0], 1)
            break
        except OSError:
            if server.poll() is not None or time.perf_counter() - begun > START_S:
                raise SystemExit(
                    f"no server after {time.perf_counter() - begun:.0f} s, status {server.poll()}"
                ) from None
            await asyncio.sleep(0.02)
    start = time.perf_counter() - begun
    shorts, longs, firsts = [], [], []
    for turn in range(turns + 1):  # the first one is not counted
        short, _ = await measured(clients, streams, short_of(tokens))
        long, first = await measured(clients, streams, tokens)
        if turn:
            shorts.append(short)
            longs.append(long)
            firsts.append(1e3 * first)
    family = processes(server.pid)
    maps = "".join(Path(f"/proc/{one}/maps").read_text() for one in family if os.path.exists(f"/proc/{one}/maps"))
    for client in clients:
        client.close()
    return {
        "short_s": shorts, "long_s": longs, "first_ms": firsts, "start_s": start,
        "resident_mib": max(map(resident_mib, family)), "torch": "libtorch" in maps,
    }  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:6]), *sys.argv[6:])
