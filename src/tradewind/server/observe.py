"""What the server tells its operator: counters for Prometheus, one JSON line a request, and through `tracing.py` a span.

Not here: what customers are told (`problems.py`) and what they are charged for (`metering.py`). No input, no key, no
address of a client is ever in any of it.
"""

from __future__ import annotations

import json
import sys
from bisect import bisect_left
from collections import deque
from collections.abc import Mapping
from typing import Any, TextIO

from tradewind.clock import Clock, SystemClock, milliseconds
from tradewind.server.ticker import Ticker
from tradewind.server.tracing import Tracing

# Seconds; fine where a table answers, coarse where a picture does.
BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0)
_LINES_MOST = 65536
_WRITE_S = 0.25


class Tally:
    """Requests of one route, product and status: count, seconds, units, and how many fell into each bucket."""

    __slots__ = ("buckets", "completion", "count", "prompt", "rows", "seconds")

    def __init__(self) -> None:
        self.count = 0
        self.rows = 0
        self.prompt = 0  # tokens
        self.completion = 0
        self.seconds = 0.0
        self.buckets = [0] * (len(BUCKETS_S) + 1)


class Observer:
    """Counts and logs finished requests. `record` is called in the event loop and touches no file.

    Lines wait in memory for the thread that writes them (`start`); beyond 65,536 waiting lines the oldest are dropped and
    counted. `out` None: no lines; `requests` False: events only.
    """

    def __init__(
        self,
        *,
        out: TextIO | None = sys.stderr,
        requests: bool = True,
        tracing: Tracing | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.requests = requests
        self._clock = clock or SystemClock()
        self.tallies: dict[tuple[str, str, int], Tally] = {}
        self.dropped = 0
        self.tracing = tracing
        self._out = out
        self._lines: deque[Mapping[str, Any] | tuple[Any, ...]] = deque()
        self._ticker = Ticker("log", self.write, every_s=_WRITE_S)

    def record(
        self, route: str, product: str, status: int, seconds: float, *, rows: int, request_id: str, account: str, release: str,
        tokens: tuple[int, int] | None = None, traceparent: str | None = None,
    ) -> None:  # fmt: skip
        """`tokens` of prompt and completion were charged, where the answer was text. `traceparent`: the client's header."""
        key = (route, product, status)
        tally = self.tallies.get(key)
        if tally is None:
            tally = self.tallies[key] = Tally()
        tally.count += 1
        tally.rows += rows
        if tokens is not None:
            tally.prompt += tokens[0]
            tally.completion += tokens[1]
        tally.seconds += seconds
        tally.buckets[bisect_left(BUCKETS_S, seconds)] += 1
        if self._out is not None and self.requests:
            self._put((self._clock.now(), route, product, status, seconds, rows, request_id, account, release, tokens))
        if self.tracing is not None:
            self.tracing.record(
                milliseconds(self._clock), route, product, status, seconds, rows=rows, request_id=request_id, release=release,
                tokens=tokens, traceparent=traceparent,
            )  # fmt: skip

    def event(self, content: Mapping[str, Any]) -> None:
        """A line of its own: a release that went live, a failure inside."""
        if self._out is not None:
            self._put({"at": self._clock.now(), **content})

    def start(self) -> None:
        if self._out is not None:
            self._ticker.start()

    def stop(self) -> None:
        """Writes and sends what still waits, and ends the thread."""
        self._ticker.stop()
        if self.tracing is not None:
            self.tracing.stop()
        self.write()

    def write(self) -> None:
        """Writes the waiting lines in one piece. A log that cannot be written stops no request: its lines are counted."""
        texts = []
        while self._lines:
            texts.append(_line(self._lines.popleft()))
        if texts and self._out is not None:
            try:
                self._out.write("".join(texts))
                self._out.flush()
            except (OSError, ValueError):
                self.dropped += len(texts)

    def render(self, gauges: Mapping[str, float] | None = None) -> str:
        """Prometheus text format 0.0.4."""
        lines = [
            "# HELP tradewind_request_seconds Time from the first byte read to the last byte given out.",
            "# TYPE tradewind_request_seconds histogram",
        ]
        tallies = sorted(self.tallies.items())
        for (route, product, status), tally in tallies:
            labels = f'route="{_label(route)}",product="{_label(product)}",status="{status}"'
            reached = 0
            for bound, number in zip((*BUCKETS_S, "+Inf"), tally.buckets, strict=True):
                reached += number
                lines.append(f'tradewind_request_seconds_bucket{{{labels},le="{bound}"}} {reached}')
            lines.append(f"tradewind_request_seconds_sum{{{labels}}} {tally.seconds:.9g}")
            lines.append(f"tradewind_request_seconds_count{{{labels}}} {tally.count}")
        lines += ["# HELP tradewind_rows_total Rows that were charged.", "# TYPE tradewind_rows_total counter"]
        for (route, product, status), tally in tallies:
            if tally.rows:
                labels = f'route="{_label(route)}",product="{_label(product)}",status="{status}"'
                lines.append(f"tradewind_rows_total{{{labels}}} {tally.rows}")
        lines += ["# HELP tradewind_tokens_total Tokens that were charged.", "# TYPE tradewind_tokens_total counter"]
        for (route, product, status), tally in tallies:
            for kind, tokens in (("prompt", tally.prompt), ("completion", tally.completion)):
                if tokens:
                    labels = f'route="{_label(route)}",product="{_label(product)}",status="{status}",kind="{kind}"'
                    lines.append(f"tradewind_tokens_total{{{labels}}} {tokens}")
        lines += ["# HELP tradewind_log_lines_dropped_total Log lines that were not written.",
                  "# TYPE tradewind_log_lines_dropped_total counter", f"tradewind_log_lines_dropped_total {self.dropped}"]  # fmt: skip
        told: set[str] = set()
        for name, value in sorted((gauges or {}).items()):
            family = name.partition("{")[0]
            lines += [] if family in told else [f"# TYPE {family} gauge"]
            lines.append(f"{name} {value:.9g}")
            told.add(family)
        return "\n".join(lines) + "\n"

    def _put(self, line: Mapping[str, Any] | tuple[Any, ...]) -> None:
        if len(self._lines) >= _LINES_MOST:
            self._lines.popleft()
            self.dropped += 1
        self._lines.append(line)


def _line(content: Mapping[str, Any] | tuple[Any, ...]) -> str:
    if isinstance(content, tuple):
        at, route, product, status, seconds, rows, request_id, account, release, tokens = content
        content = {"at": at, "event": "request", "route": route, "product": product, "status": status,
                   "ms": round(seconds * 1e3, 3), "rows": rows, "request_id": request_id, "account": account, "release": release}  # fmt: skip
        if tokens is not None:
            content |= {"prompt_tokens": tokens[0], "completion_tokens": tokens[1]}
    at = content["at"].isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({**content, "at": at}, ensure_ascii=False, default=str) + "\n"


def _label(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
