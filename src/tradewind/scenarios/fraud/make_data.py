"""Sample data: a month of card payments, some 0.7 % of them fraud, as fraud looks: bursts, new devices, hopping from shop to
shop, one small trial before large amounts. Nobody's cards: everything is drawn by code.

A stolen card looks like any other in a single row; what its last hour looked like tells it.
"""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

CARDS, DAYS, A_DAY = 300, 30, 1.2
THEFTS = 20
START = datetime(2026, 1, 1, tzinfo=UTC)
SHOPS = tuple(f"shop-{number:03d}" for number in range(120))
COLUMNS = ("id", "at", "card", "device", "shop", "channel", "amount", "fraud")
Payment: TypeAlias = dict[str, Any]


def make(folder: Path, *, seed: int = 0) -> None:
    """Writes `data/payments.csv`, in order of time, below `folder`."""
    random = np.random.default_rng(seed)
    payments = [payment for card in range(CARDS) for payment in _honest(random, card)]
    for card in random.choice(CARDS, THEFTS, replace=False).tolist():
        payments += _stolen(random, card)
    payments.sort(key=lambda payment: payment["second"])
    (folder / "data").mkdir(parents=True, exist_ok=True)
    with (folder / "data" / "payments.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        table.writeheader()
        for number, payment in enumerate(payments):
            at = (START + timedelta(seconds=payment["second"])).strftime("%Y-%m-%dT%H:%M:%SZ")
            table.writerow({**payment, "id": f"p{number:06d}", "at": at, "amount": f"{payment['amount']:.2f}"})


def _honest(random: np.random.Generator, card: int) -> list[Payment]:
    """A person with habits: a few shops, one or two devices, amounts about a level of his own; some days many payments."""
    level, shops = random.lognormal(3.2, 0.6), random.choice(len(SHOPS), 8)
    found = []
    for day in range(DAYS):
        for _ in range(random.poisson(A_DAY * (3 if random.random() < 0.03 else 1))):
            second = day * 86_400 + int(np.clip(random.normal(14, 4), 0, 23.99) * 3600)
            found.append(
                {
                    "second": second, "card": f"card-{card:04d}",
                    "device": f"device-{card:04d}-{int(random.random() < 0.2)}" if random.random() < 0.98 else f"device-x{random.integers(9999)}",
                    "shop": SHOPS[random.choice(shops)] if random.random() < 0.9 else SHOPS[random.integers(len(SHOPS))],
                    "channel": "online" if random.random() < 0.4 else "shop", "amount": level * random.lognormal(0, 0.7),
                    "fraud": "no",
                }
            )  # fmt: skip
    return found


def _stolen(random: np.random.Generator, card: int) -> list[Payment]:
    """One theft: a small trial, then some large payments within the hour, from a new device, from shop to shop."""
    second = int(random.integers(2 * 86_400, DAYS * 86_400 - 7200))
    device = f"device-x{random.integers(9999)}" if random.random() < 0.85 else f"device-{card:04d}-0"
    found = []
    for step in range(int(random.integers(3, 8))):
        found.append(
            {
                "second": second, "card": f"card-{card:04d}", "device": device, "shop": SHOPS[random.integers(len(SHOPS))],
                "channel": "online" if random.random() < 0.8 else "shop",
                "amount": random.uniform(1, 5) if step == 0 else random.lognormal(4.6, 0.7), "fraud": "yes",
            }
        )  # fmt: skip
        second += int(random.exponential(420)) + 20
    return found


if __name__ == "__main__":
    make(Path())
