"""Local servers and shorthands for the sources. No test of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import polars as pl
import pytest

from tradewind.data.sources import OpenSource, open_source
from tradewind.product import Source

Opener = Callable[..., OpenSource]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        return

    def do_GET(self) -> None:
        if self.path.startswith("/private/"):
            self.send_error(403)
        else:
            super().do_GET()


@pytest.fixture
def http(tmp_path: Path) -> Iterator[str]:
    """The URL at which a real server gives the files of tmp_path."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def opened(tmp_path: Path) -> Opener:
    """opened("a.csv", header=[…], only=[…], memory=…): the source below tmp_path."""

    def opener(path: str, *, only=None, drop=(), memory: int = 64 << 20, **fields: object) -> OpenSource:
        return open_source(Source(path=path, **fields), base=tmp_path, memory=memory, only=only, drop=drop)

    return opener


def frame_of(source: OpenSource) -> pl.DataFrame:
    return pl.concat([chunk.frame for chunk in source.chunks()])


def lines_of(source: OpenSource) -> list[int]:
    return [line for chunk in source.chunks() for line in chunk.lines.tolist()]
