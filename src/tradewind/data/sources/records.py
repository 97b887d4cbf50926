"""Where records of delimited text begin and end, quoted newlines and stray quotes included, and on which lines.

Not here: fields (pyarrow parses them; this file agrees with its lexer on where a quoted field begins and ends).

Legend: a mark is the position of a quote that opens or closes a quoted field; marks alternate, opening first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_NEWLINE, _RETURN = 10, 13
Positions = NDArray[np.int64]


@dataclass(frozen=True)
class Dialect:
    """How delimited text is written. All three are single ASCII bytes; `escape` is empty where quotes are doubled."""

    delimiter: str
    quote: str = '"'
    escape: str = ""


def marks(block: bytes, dialect: Dialect) -> Positions:
    """The quotes of `block` that open or close a quoted field. `block` begins at a record's first byte."""
    quote = dialect.quote.encode()
    if not quote or quote not in block:
        return np.empty(0, np.int64)
    data = np.frombuffer(block, np.uint8)
    quotes = np.flatnonzero(data == quote[0])
    if not dialect.escape and _regular(data, quotes, dialect):
        return quotes
    return np.array(_lexed(block, quotes.tolist(), dialect), np.int64)


def _regular(data: NDArray[np.uint8], quotes: Positions, dialect: Dialect) -> bool:
    """Whether every quote opens, closes or doubles: then counting them is enough."""
    edges = np.zeros(256, bool)
    edges[[_NEWLINE, _RETURN, ord(dialect.delimiter), ord(dialect.quote)]] = True
    opens, closes = quotes[0::2], quotes[1::2]
    inner = opens[opens > 0]
    after = closes[closes < len(data) - 1]
    if not (edges[data[inner - 1]].all() and edges[data[after + 1]].all()):
        return False
    # A quote just before an opening one must be the first of a doubled pair, that is the closing mark before it.
    doubled = inner[data[inner - 1] == ord(dialect.quote)]
    return not len(doubled) or bool(np.isin(doubled - 1, closes).all())


def _lexed(block: bytes, quotes: list[int], dialect: Dialect) -> list[int]:
    """The slow way, quote by quote: one opens only at the beginning of a field; a doubled or escaped one is text."""
    edges = {_NEWLINE, _RETURN, ord(dialect.delimiter)}
    quote, escape = ord(dialect.quote), ord(dialect.escape) if dialect.escape else -1
    found: list[int] = []
    inside, skip, last = False, -1, len(block) - 1
    for place in quotes:
        if place == skip:
            continue
        if escape >= 0 and _escaped(block, place, escape):
            continue
        if not inside:
            if place == 0 or block[place - 1] in edges:
                inside = True
                found.append(place)
        elif escape < 0 and place < last and block[place + 1] == quote:
            skip = place + 1
        else:
            inside = False
            found.append(place)
    return found


def _escaped(block: bytes, place: int, escape: int) -> bool:
    count = 0
    while place - count > 0 and block[place - count - 1] == escape:
        count += 1
    return count % 2 == 1


def whole(block: bytes, dialect: Dialect) -> int:
    """How many bytes of `block` are whole records, each with its newline; 0 when none ends in it."""
    if not dialect.quote or dialect.quote.encode() not in block:
        return block.rfind(b"\n") + 1
    found = marks(block, dialect)
    end = len(block)
    while (end := block.rfind(b"\n", 0, end)) >= 0:
        place = int(np.searchsorted(found, end))
        if place % 2 == 0:
            return end + 1
        end = int(found[place - 1])
    return 0


def open_quote(block: bytes, dialect: Dialect) -> int:
    """The position of the quote that is never closed in `block`, or -1."""
    found = marks(block, dialect)
    return int(found[-1]) if len(found) % 2 else -1


def record_lines(block: bytes, dialect: Dialect) -> Positions:
    """The line (0-based, within `block`) on which each record begins, blank lines left out.

    A carriage return alone ends a record, as pyarrow has it, but not a line.
    """
    data = np.frombuffer(block, np.uint8)
    newlines = np.flatnonzero(data == _NEWLINE)
    returns = np.flatnonzero(data == _RETURN)
    alone = returns[(returns == len(data) - 1) | (data[np.minimum(returns + 1, len(data) - 1)] != _NEWLINE)]
    ends = np.sort(np.concatenate([newlines, alone])) if len(alone) else newlines
    found = marks(block, dialect)
    if len(found):
        ends = ends[np.searchsorted(found, ends) % 2 == 0]
    starts = np.concatenate([[0], ends + 1]).astype(np.int64)
    starts = starts[starts < len(data)]
    blank = data[starts] == _NEWLINE
    pair = (data[starts] == _RETURN) & (data[np.minimum(starts + 1, len(data) - 1)] == _NEWLINE)
    lone = np.isin(starts, alone)
    starts = starts[~(blank | pair | lone)]
    lines: Positions = np.searchsorted(newlines, starts).astype(np.int64)
    return lines
