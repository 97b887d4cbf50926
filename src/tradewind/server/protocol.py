"""uvicorn's HTTP over httptools, with one way more: a reply that is whole goes out in one call.

ASGI takes a reply in two messages, and uvicorn looks at each header three times. Where a reply is whole and plain, an
ASGI extension of the scope (`WHOLE`) writes it at once; it answers False where it will not, and then ASGI's way is taken.

Not here: reading requests, keep-alive, pipelining, closing, which stay uvicorn's.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from tradewind.server.wire import WHOLE


class Protocol(HttpToolsProtocol):
    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if not self.config.access_log:  # that is written where a reply starts
            cycle.scope["extensions"] = {WHOLE: partial(_send_whole, cycle)}  # type: ignore[dict-item]  # a name of ours
        super()._start_asgi_task(cycle, app)


def _send_whole(cycle: RequestResponseCycle, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> bool:
    """Raises RuntimeError for a header that would end its line, as uvicorn does."""
    if (
        cycle.response_started or cycle.disconnected or not cycle.keep_alive or cycle.flow.write_paused
        or cycle.scope["method"] == "HEAD" or status < 200 or status in (204, 304)
    ):  # fmt: skip
        return False
    parts = [STATUS_LINE[status]]
    for name, value in (*cycle.default_headers, *headers):
        if name == b"connection":
            return False
        parts += (name, b": ", value, b"\r\n")
    head = b"".join(parts)
    lines = 1 + len(cycle.default_headers) + len(headers)
    if head.count(b"\n") != lines or head.count(b"\r") != lines or b"\0" in head:
        raise RuntimeError("Invalid HTTP header value.")
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    cycle.transport.write(b"%b\r\n%b" % (head, body))
    cycle.message_event.set()  # whoever still listens for the client's going
    cycle.on_response()
    return True
