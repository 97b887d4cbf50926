"""Identifiers that name their kind and sort by the time they were made: `rel_01k…`. Not digests (see `files.py`)."""

from __future__ import annotations

import secrets

from tradewind.clock import Clock, SystemClock

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"


def new_id(prefix: str, *, clock: Clock | None = None) -> str:
    """A prefix, an underscore and 26 characters of Crockford base 32: 48 bits of milliseconds, then 80 random bits.

    The same layout as a ULID (https://github.com/ulid/spec), in lower case.
    """
    milliseconds = int((clock or SystemClock()).now().timestamp() * 1000)
    value = (milliseconds << 80) | secrets.randbits(80)
    characters = []
    for _ in range(26):
        characters.append(_CROCKFORD[value & 31])
        value >>= 5
    return f"{prefix}_{''.join(reversed(characters))}"
