"""Mixed Chinese, English and German text from code, as JSONL, for timing the preparation of a corpus. Seeded.

Sentences are walks over which word follows which in the public data sets where they are there, else in short word lists. Every
tenth document is a copy: one half exact, the other with a word in fifty exchanged.
"""

from __future__ import annotations

import csv
import json
import random
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

_ENGLISH = """the ship leaves harbour before dawn and a small crew sings while gulls turn over grey water because wind is fair
today our customers ask where every parcel waits so we answer that it was sent yesterday with care from another town"""
_GERMAN = """das Schiff verlässt den Hafen vor Tagesanbruch und eine kleine Mannschaft singt während Möwen über grauem Wasser
kreisen weil der Wind heute günstig ist unsere Kunden fragen wo jedes Paket bleibt und wir antworten dass es gestern abging"""
_CHINESE = "船在黎明前离开港口小小的船员队伍唱着歌海鸥在灰色的水面上盘旋因为今天风很好我们的客户问每个包裹在哪里我们回答说昨天已经寄出"
_DOCUMENT_SENTENCES = 14
_COPIES = 0.1


class Walker:
    """Which unit follows which; a walk that reaches an end begins anywhere."""

    def __init__(self, units: list[str], *, glue: str, stop: str) -> None:
        self.glue = glue
        self.stop = stop
        self._follows: dict[str, list[str]] = defaultdict(list)
        for one, other in pairwise(units):
            self._follows[one].append(other)
        self._all = list(self._follows)

    def sentence(self, drawn: random.Random) -> str:
        unit = drawn.choice(self._all)
        walk = [unit]
        for _ in range(drawn.randint(8, 24)):
            # A step aside now and then keeps walks from repeating those of a short list.
            unit = (
                drawn.choice(self._follows.get(unit) or self._all) if drawn.random() < 0.9 else drawn.choice(self._all)
            )
            walk.append(unit)
        if drawn.random() < 0.2:
            walk.append(str(drawn.randint(1, 99999)))
        return self.glue.join(walk) + self.stop


def walkers(data: Path) -> list[Walker]:
    def words(path: str, short: str) -> list[str]:
        file = data / path
        return file.read_text(encoding="utf-8").split() if file.exists() else short.split()

    english = words("multi30k/train.en", _ENGLISH) + words("shakespeare/input.txt", "")
    chinese = list(_CHINESE)
    if (data / "waimai/waimai_10k.csv").exists():
        with (data / "waimai/waimai_10k.csv").open(encoding="utf-8", newline="") as file:
            chinese = [sign for row in csv.reader(file) for sign in row[-1]]
    return [
        Walker(english, glue=" ", stop=". "),
        Walker(words("multi30k/train.de", _GERMAN), glue=" ", stop=". "),
        Walker(chinese, glue="", stop="。"),
        Walker(chinese, glue="", stop="。\n"),
    ]


def write(path: Path, *, megabytes: float, data: Path, seed: int = 0) -> int:
    """A JSONL file of `megabytes`; returns the documents in it."""
    drawn = random.Random(seed)
    some = walkers(data)
    kept: list[str] = []
    size = documents = 0
    with path.open("w", encoding="utf-8") as file:
        while size < megabytes * 1e6:
            if kept and drawn.random() < _COPIES:
                text = drawn.choice(kept)
                if drawn.random() < 0.5:
                    text = _changed(text, drawn)
            else:
                walker = drawn.choice(some)
                count = max(2, int(drawn.expovariate(1 / _DOCUMENT_SENTENCES)))
                text = "".join(walker.sentence(drawn) for _ in range(count))
                if len(kept) < 20_000:
                    kept.append(text)
            size += file.write(json.dumps({"text": text}, ensure_ascii=False) + "\n") and len(text.encode())
            documents += 1
    return documents


def _changed(text: str, drawn: random.Random) -> str:
    parts = text.split(" ") if " " in text[:100] else list(text)
    for _ in range(max(1, len(parts) // 200)):
        parts[drawn.randrange(len(parts))] = drawn.choice(parts)
    return (" " if " " in text[:100] else "").join(parts)
