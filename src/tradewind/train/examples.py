"""Which made rows a release takes along: none that is a row of the data, with answers spread as those of real rows are.

Not here: how a row is made (`features/examples.py`), exporting and checking (`run.py`, `release/`).

Legend: M rows made, R rows of a split, G golden rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.data.dataset import Split
from tradewind.features.column import Values
from tradewind.features.examples import examples
from tradewind.features.feature_set import FeatureSet
from tradewind.model.export import predict
from tradewind.model.trunk import TradewindModel

_ROWS, _ROWS_FILES = 32, 4
_TRIED = 512  # made rows of tables, of which the best are taken
_SEED = 0
_AT_ONCE = 100_000

Arrays = dict[str, NDArray[Any]]


def golden_rows(
    model: TradewindModel, features: FeatureSet, train: Split, held: Split
) -> tuple[dict[str, Values], Arrays]:
    """Raw by column, and encoded from raw as serving will. Their values follow the columns of `held`, or of `train` where it is empty.

    Of tables more rows are made than are taken: those equal to a row of either split go to the end, and for each of G real
    rows the one is taken whose answer is nearest to that row's, so that answers compared with golden rows are compared
    with what the model usually says.
    """
    source = held if held.rows else train
    files = any(tensor.role in ("image", "audio") for tensor in features.layout.tensors)
    rows = min(source.rows, _ROWS_FILES if files else _ROWS)
    raw = {column.name: source.raw_column(column.name) for column in features.columns}
    table = not features.layout.tensors
    made = examples(features, raw, rows=_TRIED if table else rows, seed=_SEED)
    encoded = features.encode(made)
    if not table:
        return made, encoded
    real = np.unique(np.linspace(0, source.rows - 1, rows).round().astype(np.int64))
    aims = predict(model, features, {name: np.asarray(array[real]) for name, array in source.arrays.items()})
    known = np.logical_or.reduce([_stands_in(encoded, split) for split in (train, held) if split.rows])
    chosen = _nearest(predict(model, features, encoded), aims, last=known)
    return {name: column[chosen] for name, column in made.items()}, {
        name: array[chosen] for name, array in encoded.items()
    }


def _stands_in(encoded: Arrays, split: Split) -> NDArray[np.bool_]:
    """Which of the M rows is a row of the split [M], as the model sees both."""
    keys = _keys(encoded)
    found = np.zeros(len(keys), dtype=np.bool_)
    for begin in range(0, split.rows, _AT_ONCE):
        part = {name: split.arrays[name][begin : begin + _AT_ONCE].astype(made.dtype) for name, made in encoded.items()}
        found |= np.isin(keys, _keys(part))
    return found


def _keys(arrays: Arrays) -> NDArray[Any]:
    """The bytes of each row as one value."""
    joined = np.concatenate([np.ascontiguousarray(array).view(np.uint8) for array in arrays.values()], axis=1)
    return np.ascontiguousarray(joined).view(np.dtype((np.void, joined.shape[1])))[:, 0]


def _nearest(outputs: NDArray[Any], aims: NDArray[Any], *, last: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For each aim the place of the nearest output that is still free; those that are `last` only where no other is left."""
    free = np.where(last, 1e12, 0.0)
    chosen = []
    for aim in aims:
        away = np.square((outputs - aim).reshape(len(outputs), -1)).sum(axis=1) + free
        chosen.append(int(away.argmin()))
        free[chosen[-1]] = np.inf
    return np.array(chosen, dtype=np.int64)
