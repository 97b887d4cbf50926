"""What only the data show of sensitive columns: groups that are not there, or too small, are told before anything is trained.

Not here: a gate on fairness that the product file itself contradicts (`gate_rules.py`), any figure (`evaluate/fairness.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from tradewind.cli.session import Session
from tradewind.data.dataset import Dataset
from tradewind.errors import DataError
from tradewind.evaluate.slices import labels_of
from tradewind.gate_rules import FAIRNESS, TOGETHER

_NAMED = 4


def check_groups(session: Session, dataset: Dataset) -> None:
    """Raises DataError for a gate on groups of a column that has none to compare in the test split; says where groups are too
    small for a verdict, and where no gate asks for one."""
    product = session.product
    asked = _asked(product.evaluate.gates, product.data.sensitive)
    for at, column in enumerate(product.data.sensitive):
        labels = labels_of(np.asarray(dataset.split("test").raw_column(column)))
        counts = Counter([] if isinstance(labels, str) else labels.tolist())
        if isinstance(labels, str) or len(counts) == 1:
            why = labels if isinstance(labels, str) else f"{next(iter(counts))} is its only group"
            if column in asked:
                raise DataError(
                    f"{column}: {why} in the test split, and the gate {asked[column]} compares groups.", code="groups",
                    where=session.place(("data", "sensitive", at)), hint="Take out the column or the gate.",
                )  # fmt: skip
            session.voice.say(f"! {column}: {why} in the test split: its groups cannot be compared")
            continue
        least = product.evaluate.fairness_least
        few = sorted((rows, str(group)) for group, rows in counts.items() if rows < least)
        if few:
            named = ", ".join(f"{group} ({rows})" for rows, group in few[:_NAMED]) + (" …" if len(few) > _NAMED else "")
            fails = f", so the gate {asked[column]} will not pass" if column in asked else ""
            session.voice.say(
                f"! {column}: groups with fewer than {least} rows of the test split get no verdict{fails}: {named}"
            )


def _asked(gates: dict[str, str | bool], sensitive: Sequence[str]) -> dict[str, str]:
    """Sensitive column → a gate that rests on its groups."""
    found: dict[str, str] = {}
    for name, rule in gates.items():
        figure, _, columns = name.partition(":")
        if figure in FAIRNESS and rule is not False:
            for column in columns.split(TOGETHER) if columns else sensitive:
                found.setdefault(column, name)
    return found
