"""Least, largest and distinct of a span that moves forward: each event is looked at twice, however long the span.

Not here: which span a row sees (`windows.py`). Places are absolute: they count on when early events are dropped.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence


class Extremes:
    """The largest of `sign` times the amounts in a span; None where there is none. A deque that falls from front to back."""

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._lo = self._hi = 0
        self._best: deque[tuple[int, int]] = deque()

    def of(self, values: Sequence[int | None], first: int, lo: int, hi: int) -> int | None:
        """Of `values[lo - first : hi - first]`, whose first stands at place `first`. A span may begin anew, but costs more."""
        if lo < self._lo or hi < self._hi or lo > self._hi:
            self._best.clear()
            self._hi = lo
        best = self._best
        for place in range(self._hi, hi):
            value = values[place - first]
            if value is not None:
                value *= self._sign
                while best and best[-1][1] <= value:
                    best.pop()
                best.append((place, value))
        while best and best[0][0] < lo:
            best.popleft()
        self._lo, self._hi = lo, hi
        return best[0][1] * self._sign if best else None


class Distinct:
    """How many words a span holds."""

    def __init__(self) -> None:
        self._lo = self._hi = 0
        self._held: Counter[str] = Counter()

    def of(self, words: Sequence[str | None], first: int, lo: int, hi: int) -> int:
        """Of `words[lo - first : hi - first]`, as `Extremes.of`."""
        held = self._held
        if lo < self._lo or hi < self._hi or lo > self._hi or self._lo < first:
            held.clear()
            self._lo = self._hi = lo
        for word in words[self._hi - first : hi - first]:
            if word is not None:
                held[word] += 1
        for word in words[self._lo - first : lo - first]:
            if word is not None:
                held[word] -= 1
                if not held[word]:
                    del held[word]
        self._lo, self._hi = lo, hi
        return len(held)
