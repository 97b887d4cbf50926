"""Do the named reasons carry the answer? They are deleted, and as many drawn by lot, and how far the score moves is compared.

After the deletion tests of Samek et al. (2017) and DeYoung et al. (2020), with what is drawn by lot as the yardstick. Not here:
which reasons are named for columns (`explanations.py`), the figure that becomes of it.

Legend: n rows, P columns, M background rows, R draws by lot, U units of a text, cells of a picture, stretches of a recording.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.evaluate.trust import Examined, Outputs
from tradewind.features.coalitions import Arrays, Floats, Players, log_odds
from tradewind.features.segments import silenced, stretches
from tradewind.features.spans import units, without
from tradewind.features.text import as_text

DRAWS = 4
_AT_ONCE = 256
_UNITS, _CELLS = 48, 6  # of a text; along a side of a picture
CELLS_DELETED = _CELLS


@dataclass(frozen=True)
class Moves:
    """By how much the score of each row moved: without its named reasons [n], and without as many by lot [n, R]."""

    named_n: Floats
    random_nR: Floats


def score_of(outputs: Outputs, code: int | None) -> Floats:
    """Log-odds of class `code`, or the values themselves."""
    if outputs.values is not None:
        return outputs.values
    assert outputs.probabilities is not None
    assert code is not None
    return log_odds(outputs.probabilities[:, code])


def asked(examined: Examined, arrays: Arrays, code: int | None) -> Floats:
    """Scores of any number of encoded rows, in calls of bounded size."""
    rows = len(next(iter(arrays.values())))
    parts = [
        score_of(examined.ask_encoded({name: one[at : at + _AT_ONCE] for name, one in arrays.items()}), code)
        for at in range(0, rows, _AT_ONCE)
    ]
    return np.concatenate(parts)


def columns_deleted(
    examined: Examined, players: Players, rows: Sequence[Arrays], background: Arrays, *, strength_nP: Floats,
    codes: Sequence[int | None], scores_n: Floats, count: int, random: np.random.Generator,
) -> Moves:  # fmt: skip
    """The `count` columns of the largest `strength_nP` take the values of M background rows, and so do DRAWS sets by lot."""
    columns, others = len(players.names), len(next(iter(background.values())))
    moves = np.empty((len(rows), 1 + DRAWS))
    for at, row in enumerate(rows):
        keep = np.ones((1 + DRAWS, columns), dtype=np.bool_)
        keep[0, np.argsort(-strength_nP[at], kind="stable")[:count]] = False
        for draw in range(DRAWS):
            keep[1 + draw, random.choice(columns, count, replace=False)] = False
        questions = players.mixed(
            row, background, keep_QP=np.repeat(keep, others, axis=0), other_Q=np.tile(np.arange(others), 1 + DRAWS)
        )
        found = asked(examined, questions, codes[at]).reshape(1 + DRAWS, others).mean(axis=1)
        moves[at] = np.abs(scores_n[at] - found)
    return Moves(moves[:, 0], moves[:, 1:])


def text_deleted(
    examined: Examined, column: str, texts: Sequence[object], *, codes: Sequence[int | None], count: int,
    random: np.random.Generator,
) -> Moves:  # fmt: skip
    """Words, or characters of a script without spaces: those whose loss alone moves the score most, and as many by lot."""
    moves = []
    for raw, code in zip(texts, codes, strict=True):
        text = as_text(raw)
        found = units(text, most=_UNITS)

        def ask(sets: list[list[int]], text: str = text, found: list[Any] = found, code: int | None = code) -> Floats:
            shorter = [without(text, [found[unit] for unit in chosen]) for chosen in sets]
            return score_of(examined.ask({column: np.array(shorter, dtype=object)}), code)

        moves += list(_moves_of_units(ask, len(found), count, random))
    return _together(moves)


def image_deleted(
    examined: Examined, tensor: str, rows: Sequence[Arrays], *, codes: Sequence[int | None], random: np.random.Generator
) -> Moves:
    """Cells of a picture filled with its mean: the sixth of them whose loss alone moves the score most, and as many by lot."""
    moves = []
    for row, code in zip(rows, codes, strict=True):
        picture = row[tensor][0]
        edges = np.linspace(0, picture.shape[-1], _CELLS + 1).round().astype(np.int64)
        mean = picture.mean(axis=(1, 2)).round().astype(picture.dtype)[:, None, None]

        def ask(
            sets: list[list[int]], row: Arrays = row, picture: NDArray[Any] = picture, mean: NDArray[Any] = mean,
            edges: NDArray[np.int64] = edges, code: int | None = code,
        ) -> Floats:  # fmt: skip
            hidden = np.repeat(picture[None], len(sets), axis=0)
            for one, cells in zip(hidden, sets, strict=True):
                for cell in cells:
                    y, x = divmod(cell, _CELLS)
                    one[:, edges[y] : edges[y + 1], edges[x] : edges[x + 1]] = mean
            return asked(examined, {tensor: hidden}, code)

        moves += list(_moves_of_units(ask, _CELLS**2, CELLS_DELETED, random))
    return _together(moves)


def audio_deleted(
    examined: Examined, tensor: str, rows: Sequence[Arrays], *, codes: Sequence[int | None], count: int,
    random: np.random.Generator,
) -> Moves:  # fmt: skip
    """Stretches of a recording brought to its background: those whose loss alone moves the score most, and as many by lot."""
    moves = []
    for row, code in zip(rows, codes, strict=True):
        levels_TM = row[tensor][0]
        found = stretches(levels_TM)

        def ask(
            sets: list[list[int]],
            levels_TM: NDArray[Any] = levels_TM,
            found: list[Any] = found,
            code: int | None = code,
        ) -> Floats:
            hidden = silenced(levels_TM, [[found[at] for at in chosen] for chosen in sets])
            return asked(examined, {tensor: hidden}, code)

        moves += list(_moves_of_units(ask, len(found), count, random))
    return _together(moves)


def _moves_of_units(
    ask: Callable[[list[list[int]]], Floats], count: int, most: int, random: np.random.Generator
) -> Iterator[Floats]:
    """One row's moves [1 + R], named first; nothing of a row with fewer than two units."""
    if count < 2:
        return
    size = max(1, min(most, count // 2))
    alone = ask([[], *([unit] for unit in range(count))])
    named = np.argsort(-np.abs(alone[0] - alone[1:]), kind="stable")[:size]
    sets = [named, *(random.choice(count, size, replace=False) for _ in range(DRAWS))]
    yield np.abs(alone[0] - ask([[int(unit) for unit in one] for one in sets]))


def _together(moves: list[Floats]) -> Moves:
    found = np.array(moves).reshape(len(moves), 1 + DRAWS)
    return Moves(found[:, 0], found[:, 1:])
