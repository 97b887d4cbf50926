"""Room of trust: have columns and scores moved between the rows that were learnt from and the test rows? And what a service
compares its scores with.

Not here: the arithmetic (`features/drift.py`), watching a service (`server/drift_watch.py`).

Legend: B bins.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.evaluate.figures import Figure, rounded
from tradewind.evaluate.trust import Context, Examined, Outputs, TrustPart, Witness
from tradewind.features.category import keys_of
from tradewind.features.column import Values
from tradewind.features.drift import Reference, compare
from tradewind.features.number import to_numbers

NAME = "drift"
BOUND = 0.2  # of the index; Siddiqi 2006
_WORDS = 20
_SHOWN = 20
_ROWS = 20_000
_LEAST = 100  # rows on either side
_WITNESS = "trust/drift.npz"


def measure(examined: Examined) -> Witness | None:
    """Counts over like bins of each number and category in train and test, and the scores of the test rows."""
    if len(examined.test) < _LEAST or len(examined.train) < _LEAST:
        return None
    found: dict[str, NDArray[Any]] = {"score": score(examined.test.outputs, examined.context.positive)}
    for name, kind in examined.kinds.items():
        if kind in ("number", "category") and name in examined.train.raw:
            counted = _numbers if kind == "number" else _words
            before, after = counted(_some(examined.train.raw[name]), _some(examined.test.raw[name]))
            found[f"before:{name}"], found[f"after:{name}"] = np.array(before), np.array(after)
    return found


def score(outputs: Outputs, positive: int | None) -> NDArray[np.float64]:
    """What is watched: the probability of the positive class of two, the largest of more, or the value."""
    if outputs.probabilities is None:
        assert outputs.values is not None
        return outputs.values.astype(np.float64)
    found: NDArray[np.float64] = (
        outputs.probabilities.max(axis=1) if positive is None else outputs.probabilities[:, positive]
    )
    return found


def summarise(witness: Witness, context: Context) -> TrustPart:
    """Columns by how far they moved. State: how scores are spread over the test rows."""
    columns = []
    for key in witness:
        if key.startswith("before:"):
            name = key.removeprefix("before:")
            moved = compare(witness[key].tolist(), witness[f"after:{name}"].tolist())
            columns.append(
                {
                    "name": name, "psi": rounded(moved.psi), "ks": rounded(moved.ks), "rows": moved.rows,
                    "moved": moved.alarming(BOUND),
                }
            )  # fmt: skip
    columns.sort(key=lambda one: (-float(str(one["psi"])), str(one["name"])))
    largest = columns[0]["psi"] if columns else None
    figure = Figure(
        None if largest is None else float(str(largest)), "largest population stability index of a column, train to test",
        "test", len(witness["score"]), _WITNESS, absent=None if columns else "no number and no category is read",
    )  # fmt: skip
    section = {"columns": columns[:_SHOWN], "moved": sum(bool(one["moved"]) for one in columns), "bound": BOUND}
    return TrustPart(section, {"column_drift": figure}, {"score": Reference.of(witness["score"]).state()})


def _some(values: Values) -> Values:
    """At most so many rows, drawn evenly."""
    if len(values) <= _ROWS:
        return values
    return values[np.linspace(0, len(values) - 1, _ROWS).astype(np.int64)]


def _numbers(train: Values, test: Values) -> tuple[list[int], list[int]]:
    """Counts over quantiles of train; the last bin is for what is missing."""
    before, after = to_numbers(train), to_numbers(test)
    there = np.isfinite(before)
    if not there.any():
        return [0, len(before)], [int(np.isfinite(after).sum()), int((~np.isfinite(after)).sum())]
    reference = Reference.of(before[there])
    counts = reference.counted(after[np.isfinite(after)])
    return [*reference.counts, int((~there).sum())], [*counts, int((~np.isfinite(after)).sum())]


def _words(train: Values, test: Values) -> tuple[list[int], list[int]]:
    """Counts of the most frequent words of train; the last bin is for all others."""
    before, after = Counter(keys_of(train)), Counter(keys_of(test))
    words = [word for word, _ in sorted(before.items(), key=lambda one: (-one[1], str(one[0])))[:_WORDS]]
    counts = [[found[word] for word in words] for found in (before, after)]
    return [*counts[0], len(train) - sum(counts[0])], [*counts[1], len(test) - sum(counts[1])]
