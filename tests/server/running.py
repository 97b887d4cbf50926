"""A real server on a real socket, in a thread of the test's own process."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from tradewind.server.metering import Meter
from tradewind.server.protocol import Protocol


class Metered:
    """`app` with a meter that starts and stops with the server's loop, as a worker's does."""

    def __init__(self, app: Any, meter: Meter) -> None:
        self._app, self._meter = app, meter

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        await receive()
        await self._meter.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._meter.stop()
        await send({"type": "lifespan.shutdown.complete"})


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
