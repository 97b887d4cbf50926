"""A fraud decision with 30 window columns through the whole API on one connection, beside the bare model and the bare windows.

    python benchmarks/fraud.py [--decisions 4000] [--cards 500]

Not here: how good decisions are (the report of the scenario `fraud`).
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from pathlib import Path

import httpx
import numpy as np
from tests.server.releases import make_release
from tests.server.running import running

from tradewind.artifacts import Workspace
from tradewind.features.actions import Actions
from tradewind.features.windows import MEASURES, Window, Windows, WindowState
from tradewind.server.app import create_app
from tradewind.server.gate import OpenGate
from tradewind.server.observe import Observer
from tradewind.server.serving import Place, Shelf
from tradewind.server.window_feed import Feeds

HOUR_MS = 3_600_000
SPANS = ((("card",), HOUR_MS), (("card",), 24 * HOUR_MS), (("shop",), HOUR_MS))
WARM = 500


def thirty_windows() -> Windows:
    """Ten measures over three spans, named as the columns of the release: x0 … x29."""
    of = {"count": None, "since": None, "distinct": "shop"}
    spans = [(by, over, measure) for by, over in SPANS for measure in MEASURES]
    return Windows(
        "at", tuple(Window(f"x{at}", by, over, m, of.get(m, "amount")) for at, (by, over, m) in enumerate(spans))
    )


def transactions(count: int, cards: int) -> list[dict[str, object]]:
    random = np.random.default_rng(0)
    at = 1_760_000_000 + np.cumsum(random.exponential(2.0, count))
    return [
        {
            "at": float(at[row]), "card": f"card {random.integers(cards)}", "shop": f"shop {random.integers(50)}",
            "amount": float(np.round(random.gamma(2, 40), 2)), "plan": "plus",
        }
        for row in range(count)
    ]  # fmt: skip


def told(name: str, seconds: list[float]) -> float:
    times_ms = np.array(seconds[WARM:]) * 1e3
    p50, p99, most = np.quantile(times_ms, 0.5), np.quantile(times_ms, 0.99), times_ms.max()
    print(f"{name:34} p50 {p50:7.3f} ms   p99 {p99:7.3f} ms   max {most:7.2f} ms")
    return float(p99)


def timed(call: object, rows: list[dict[str, object]]) -> list[float]:
    seconds = []
    for row in rows:
        start = time.perf_counter()
        call(row)  # type: ignore[operator]
        seconds.append(time.perf_counter() - start)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--decisions", type=int, default=4000)
    parser.add_argument("--cards", type=int, default=500)
    given = parser.parse_args()
    windows, rows = thirty_windows(), transactions(given.decisions + WARM, given.cards)
    state = WindowState(windows)

    def bare_windows(row: dict[str, object]) -> None:
        event = windows.event(row)
        state.of(event)
        state.take(event)

    with tempfile.TemporaryDirectory() as folder:
        home = Workspace(Path(folder) / "home")
        trust = {"events": windows.state(), "actions": Actions(1e9, 0.0).state()}
        make_release(home, product="cards", numbers=len(windows.names), trust=trust)
        shelf = Shelf([Place(home)]).open()
        served = shelf.get("cards", None)
        assert served is not None
        feeds = Feeds(Path(folder) / "events", lambda word: word)
        app = create_app(shelf, OpenGate(), observer=Observer(out=None), feeds=feeds)
        filled = dict.fromkeys(windows.names, 1.0) | {"plan": "plus"}
        print(
            f"{platform.processor() or platform.machine()}, {len(windows.names)} windows, {given.decisions} decisions"
        )
        bare = told("the model alone", timed(lambda _: served.answer([filled]), rows))
        told("windows alone, in memory", timed(bare_windows, rows))
        with running(app) as address, httpx.Client(base_url=f"http://{address}", timeout=20) as client:
            headers = {"content-type": "application/json"}

            def decide(row: dict[str, object]) -> None:
                body = json.dumps({"model": "cards", "transaction": row})
                reply = client.post("/v1/decisions", content=body, headers=headers)
                assert reply.status_code == 200, reply.text

            whole = told("a decision, whole API", timed(decide, rows))
            refused = told(
                "a decision with reasons",
                timed(
                    lambda row: client.post(
                        "/v1/decisions",
                        json={"model": "cards", "transaction": {**row, "at": rows[-1]["at"]}, "reasons": True},
                    ).raise_for_status(),
                    rows[: WARM + 300],
                ),
            )
        print(
            f"p99 of a decision {whole:.3f} ms: {whole / bare:.1f} times the model's; with reasons {refused:.3f} ms; bound 5 ms"
        )
        shelf.close()
        feeds.close()


if __name__ == "__main__":
    main()
