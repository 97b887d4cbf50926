"""What is due when: how long each field of a record is kept, and which fields are over. Knows no table.
Not here: the records themselves (`business/requests.py`), nor erasing on a person's request.

GDPR article 5(1)(e) and PIPL article 19 ask for the shortest time that the purpose needs: so nothing is kept by default.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tradewind.errors import InputError

NEVER = "never"
ConsentRule = Literal["not_needed", "unless_withdrawn", "required"]
_DURATION = re.compile(r"^\s*([1-9]\d{0,5})\s*(min|h|d|w|y)\s*$")
_UNIT_MS = {"min": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000, "y": 365 * 86_400_000}
_LONGEST_MS = 100 * _UNIT_MS["y"]


def parse_duration(text: str) -> int | None:
    """'30d' in milliseconds; None for `never`, which keeps nothing. Raises InputError for anything else."""
    if text.strip() == NEVER:
        return None
    match = _DURATION.match(text)
    milliseconds = int(match[1]) * _UNIT_MS[match[2]] if match else 0
    if not 0 < milliseconds <= _LONGEST_MS:
        raise InputError(
            f"{text!r} is no time to keep.", code="duration", hint="Write 30d, 12h, 90min, 6w, 2y, or never."
        )
    return milliseconds


@dataclass(frozen=True)
class Retention:
    """How long each field is kept, in milliseconds. A field that is not named here is not stored.

    `consent` is whether whom it is about must have agreed: to nothing, not have withdrawn, or have said yes.
    """

    keep_ms: Mapping[str, int] = field(default_factory=dict)
    consent: ConsentRule = "not_needed"

    @classmethod
    def of(cls, written: Mapping[str, str], *, consent: ConsentRule = "not_needed") -> Retention:
        """From the words of the product file: {inputs: 30d, outputs: never}. Raises InputError."""
        parsed = {name: parse_duration(text) for name, text in written.items()}
        return cls({name: keep for name, keep in parsed.items() if keep is not None}, consent)

    def allowed(self, answer: bool | None) -> bool:
        """Whether something may be kept of one who agreed (True), withdrew (False) or never said (None)."""
        if self.consent == "not_needed":
            return True
        return answer is True if self.consent == "required" else answer is not False

    def __bool__(self) -> bool:
        return bool(self.keep_ms)

    def keeps(self, name: str) -> bool:
        return name in self.keep_ms

    def until_ms(self, name: str, at_ms: int) -> int | None:
        """The first moment at which a field stored at `at_ms` is due, or None where it is not stored at all."""
        keep = self.keep_ms.get(name)
        return None if keep is None else at_ms + keep


def due(until_ms: Mapping[str, int], now_ms: int) -> tuple[str, ...]:
    """The fields whose time is over at `now_ms`, sorted."""
    return tuple(sorted(name for name, until in until_ms.items() if until <= now_ms))


def next_due_ms(until_ms: Mapping[str, int]) -> int | None:
    """When something is due next, or None where nothing is kept."""
    return min(until_ms.values(), default=None)
