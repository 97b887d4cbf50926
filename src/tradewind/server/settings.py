"""What bounds one request and what is shown: the server's settings. Not plans and prices (`tariff.py`), nor ports (`cli/serve.py`)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """`metrics_key` opens /metrics to whoever sends it as a bearer token; without one only this machine may ask."""

    body_bytes: int = 8 << 20
    rows: int = 1024
    reason_rows: int = 64  # of a request that asks for reasons, counterfactuals or heat maps
    reasons: int = 16
    counterfactuals: int = 8
    seconds: float = 30.0
    answer_seconds: float = 600.0  # of an answer that is written token by token
    send_seconds: float = 30.0  # a client that takes nothing for so long has left
    choices: int = 8  # of one request: n, or n for each of several prompts
    docs: bool = True
    metrics: bool = True
    metrics_key: str | None = None
    title: str = "Tradewind"
