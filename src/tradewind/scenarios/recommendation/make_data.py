"""Sample data of a shop for hobbies: items with columns, and visits in which one thing leads to the next.

Not here: anything that learns. Every visitor follows a hobby whose items build upon each other (tent, mat, stove …), keeps to
a level of prices, and now and then turns to another hobby. A tenth of the items is new: nobody has met it.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

HOBBIES = ("camping", "cycling", "painting", "baking", "gardening", "running", "photography", "music")
STEPS = ("starter set", "tools", "materials", "storage", "safety", "upgrade")
LEVELS = ("basic", "solid", "fine")
REGIONS = ("north", "south", "everywhere")
USERS, EACH = 1200, 3  # visitors; items of a hobby, step and level
_STAY, _FORWARD, _SAME_LEVEL = 0.9, 0.8, 0.85
_START_S, _DAY_S = 1_767_225_600, 86_400  # 1 January 2026


def make(folder: Path, *, seed: int = 0) -> None:
    """Writes data/events.csv (user, item, time, event), data/items.csv and data/users.csv."""
    random = np.random.default_rng(seed)
    place = folder / "data"
    place.mkdir(parents=True, exist_ok=True)
    items = _items(random)
    _write(place / "items.csv", ("item", "title", "hobby", "step", "level", "price", "region"), items)
    shelf: dict[tuple[str, str, str], list[str]] = {}
    for name, _, hobby, step, level, _, _ in items:
        shelf.setdefault((str(hobby), str(step), str(level)), []).append(str(name))
    old = {key: names[:-1] if number % 3 == 0 else names for number, (key, names) in enumerate(shelf.items())}
    events: list[tuple[str, str, int, str]] = []
    users: list[tuple[object, ...]] = []
    for number in range(USERS):
        user, level = f"u{number:05d}", str(random.choice(LEVELS, p=(0.4, 0.4, 0.2)))
        region = str(random.choice(REGIONS[:2]))
        users.append((user, region, level if random.random() < 0.7 else ""))
        events += _visit(user, level, old, random)
    _write(place / "events.csv", ("user", "item", "time", "event"), sorted(events, key=lambda row: (row[2], row[0])))
    _write(place / "users.csv", ("user", "region", "level"), users)


def _items(random: np.random.Generator) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for hobby in HOBBIES:
        for step in STEPS:
            for at, level in enumerate(LEVELS):
                for copy in range(EACH):
                    price = round(float((12, 40, 130)[at] * np.exp(random.normal(0, 0.25))), 2)
                    region = str(random.choice(REGIONS, p=(0.15, 0.15, 0.7)))
                    title = f"{level} {hobby} {step} no {copy + 1}"
                    rows.append((f"i{len(rows):04d}", title, hobby, step, level, price, region))
    return rows


def _visit(
    user: str, level: str, shelf: dict[tuple[str, str, str], list[str]], random: np.random.Generator
) -> list[tuple[str, str, int, str]]:
    """Steps forward within a hobby, mostly at one level of prices; the first copies of an item are the popular ones."""
    hobby, step = int(random.integers(len(HOBBIES))), 0 if random.random() < 0.7 else int(random.integers(len(STEPS)))
    at = _START_S + float(random.uniform(0, 90)) * _DAY_S
    rows: list[tuple[str, str, int, str]] = []
    for _ in range(int(random.integers(4, 14))):
        wanted = level if random.random() < _SAME_LEVEL else str(random.choice(LEVELS))
        names = shelf[HOBBIES[hobby], STEPS[step], wanted]
        item = names[min(int(random.geometric(0.6)) - 1, len(names) - 1)]
        rows.append((user, item, int(at), "buy" if random.random() < 0.3 else "view"))
        at += float(random.exponential(0.5)) * _DAY_S + 60
        if random.random() >= _STAY or step == len(STEPS) - 1:
            hobby, step = int(random.integers(len(HOBBIES))), 0
        else:
            step = step + 1 if random.random() < _FORWARD else int(random.integers(len(STEPS)))
    return rows


def _write(path: Path, names: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(rows)


if __name__ == "__main__":
    make(Path(__file__).resolve().parent)
