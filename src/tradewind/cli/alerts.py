"""What the product file says of alerts, as the server has it: how far scores may move, and who is told. Not who tells
(`server/outgoing.py`).
"""

from __future__ import annotations

from tradewind.product import Product
from tradewind.server.drift_watch import Bounds
from tradewind.server.outgoing import Hook


def bounds_of(product: Product) -> Bounds:
    drift = product.serve.drift
    return Bounds(drift.bound, drift.window, drift.least)


def hook_of(product: Product) -> Hook | None:
    hook = product.serve.webhook
    return None if hook is None else Hook(hook.url, hook.secret_env, frozenset(hook.events))
