"""A real server on a real socket, in a thread of the test's own process."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from tradewind.server.protocol import Protocol


@contextmanager
def running(app: Any) -> Iterator[str]:
    """Serves `app` on a free port of 127.0.0.1; yields host:port. Leaves when the last reply is out."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(256)
        config = uvicorn.Config(
            app, loop="uvloop", http=Protocol, ws="none", access_log=False, log_config=None, log_level="error"
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        deadline = time.monotonic() + 10
        while not server.started:
            assert thread.is_alive()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        host, port = listening.getsockname()
        try:
            yield f"{host}:{port}"
        finally:
            server.should_exit = True
            thread.join(10)
