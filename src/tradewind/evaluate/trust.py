"""What a room of trust is: it looks at the released predictor, writes down what it saw, and draws figures from that alone.

Rooms are modules beside this one (`fairness.py`, `robustness.py` …), each with NAME, `measure` and `summarise`. What was seen
is the **witness**: arrays in `trust/NAME.npz`. Figures follow from the witness and the context by a pure function, so that
`verify` computes them again without the model. Not here: which rooms there are and in what order (`examination.py`).

Legend: n rows, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tradewind.evaluate.figures import Figure
from tradewind.evaluate.inputs import Task
from tradewind.features.column import Layout, Values
from tradewind.product import Evaluate, Explain

Witness: TypeAlias = Mapping[str, NDArray[Any]]  # numbers, booleans and fixed-width strings; never objects


@dataclass(frozen=True)
class Outputs:
    """What the released predictor says of n rows: probabilities [n, K] at its temperature with the codes [n] of the classes
    that it decides for (threshold included), or values [n] in the target's own unit."""

    probabilities: NDArray[np.float64] | None = None
    decided: NDArray[np.int64] | None = None
    values: NDArray[np.float64] | None = None

    def of(self, rows: NDArray[np.int64]) -> Outputs:
        """Of some rows, in their order."""
        if self.probabilities is None or self.decided is None:
            assert self.values is not None
            return Outputs(values=self.values[rows])
        return Outputs(self.probabilities[rows], self.decided[rows])

    def __len__(self) -> int:
        found = self.values if self.probabilities is None else self.probabilities
        assert found is not None
        return len(found)


@dataclass(frozen=True)
class Part:
    """The rows of one split whose target is known: raw values by column (inputs and sensitive ones), each [n]; `target`
    int64 codes or float64 values; `outputs` of the released predictor. Validation's are those of the model that had not
    learnt from these rows. `answers` are the outputs, or asks for them: of training rows only some rooms look at any."""

    raw: Mapping[str, Values]
    target: NDArray[Any]
    weight: NDArray[np.float64] | None
    answers: Outputs | Callable[[], Outputs]

    @cached_property
    def outputs(self) -> Outputs:
        return self.answers() if callable(self.answers) else self.answers

    def __len__(self) -> int:
        return len(self.target)


@dataclass(frozen=True)
class Context:
    """What figures depend on beside the witness. All of it stands in report.json."""

    task: Task
    classes: tuple[str, ...]
    positive: int | None  # code of the positive class of two
    threshold: float | None
    primary: str  # the figure the report leads with
    settings: Evaluate
    explain: Explain
    sensitive: tuple[str, ...]


@dataclass(frozen=True)
class Examined:
    """The released predictor with the data. `kinds` are the input columns with their kinds; sensitive columns are in `raw`
    of the parts besides. `train` has at most as many rows as `ROWS_OF_TRAIN`, drawn evenly.

    `ask` answers raw columns (a column left out is missing), `encode` makes the arrays that the graph reads, `ask_encoded`
    answers those.
    """

    context: Context
    kinds: Mapping[str, str]
    train: Part
    validation: Part
    test: Part
    ask: Callable[[Mapping[str, Values]], Outputs]
    encode: Callable[[Mapping[str, Values]], Mapping[str, NDArray[Any]]]
    ask_encoded: Callable[[Mapping[str, NDArray[Any]]], Outputs]
    training: Mapping[str, Any] = field(default_factory=dict)  # the run's summary.json
    layout: Layout = field(
        default_factory=Layout
    )  # which encoded numbers, categories and tensors belong to which column
    seed: int = 0
    lexicon: Mapping[str, Sequence[str]] | None = None  # words of like meaning where the user gave some
    retrieval: Witness | None = None  # how the product's knowledge base answered, where it has one
    # Of a classifier of one text column: texts as vectors [n, V], and whether their encoder has not learnt the classes.
    embed: Callable[[Mapping[str, Values]], NDArray[np.float32]] | None = None
    frozen: bool = False


@dataclass(frozen=True)
class TrustPart:
    """What a room says. `section` is JSON for readers and the page; `figures` are of the test split, and gates may name
    them; `state` is JSON that the engine of a release needs (conformal quantiles, what its domain is …)."""

    section: Mapping[str, Any]
    figures: Mapping[str, Figure] = field(default_factory=dict)
    state: Mapping[str, Any] = field(default_factory=dict)


class Room(Protocol):
    """A module."""

    NAME: str

    def measure(self, examined: Examined) -> Witness | None:
        """What it saw; None where it has nothing to look at (no sensitive column, say)."""
        ...

    def summarise(self, witness: Witness, context: Context) -> TrustPart:
        """Pure: the same for the same input, on every machine."""
        ...
