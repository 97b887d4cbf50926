"""One transaction to one decision: its steps, and the whole way within this process, for whoever reads transactions himself.

Not here: HTTP, keys and charges (`decisions.py`), where transactions come from (`cli/stream.py`), which action costs least
(`features/actions.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from tradewind.engines.beside import Wanted
from tradewind.errors import InputError
from tradewind.features.actions import Action
from tradewind.server.served import Answer, Labelled, Served
from tradewind.server.window_feed import WindowFeed
from tradewind.server.wire import Row


@dataclass(frozen=True)
class Looked:
    """What the model sees of a transaction, and the names in it that nobody reads."""

    seen: Row
    ignored: Sequence[str]

    def with_windows(self, found: Mapping[str, float]) -> Looked:
        told = {name: None if value != value else value for name, value in found.items()}
        return replace(self, seen=self.seen | told)


@dataclass(frozen=True)
class Verdict:
    """What became of a transaction. `score` is the calibrated probability of the positive class."""

    action: Action
    score: float

    def explains(self, asked: bool | None) -> bool:
        """Whether reasons stand beside it: as was asked, else beside all but an allowed one."""
        return self.action != "allow" if asked is None else asked


def deciding(served: Served) -> Served:
    """Raises InputError model_task for a product that does not tell two classes apart."""
    if served.decision.positive is None:
        raise InputError(
            f"{served.product} does not tell two classes apart.", code="model_task", where="model",
            hint="Decisions are for products of two classes; ask POST /v1/predict.",
        )  # fmt: skip
    return served


def look(served: Served, row: Row) -> Looked:
    """Checks a transaction before it becomes an event. Raises InputError window_given, DataError for a wrong column."""
    windows = served.windows
    seen = {name: value for name, value in row.items() if name in served.reads}
    ignored = sorted(row.keys() - served.knows)
    if windows is not None:
        for name in windows.names:
            if name in row:
                raise InputError(
                    f"{name} is a window, which is computed here.", code="window_given", where=name, hint="Leave it out."
                )  # fmt: skip
        served.check([seen or dict.fromkeys(windows.names)])
    return Looked(seen, ignored)


def judge(served: Served, row: Row, answer: Answer) -> Verdict:
    """By the costs of the product file; without any, positive is refused, and what the model abstains from is reviewed."""
    label, probabilities = cast(Labelled, answer)
    score = probabilities[served.classes.index(cast(str, served.decision.positive))]
    if served.actions is not None:
        return Verdict(served.actions.of(score, row), score)
    if served.abstain_below is not None and max(probabilities) < served.abstain_below:
        return Verdict("review", score)
    return Verdict("refuse" if label == served.decision.positive else "allow", score)


def rests_on(served: Served, looked: Looked) -> dict[str, Any]:
    """The fields of a reply that say what a decision rests on."""
    told: dict[str, Any] = {}
    if served.windows is not None:
        told["windows"] = {name: looked.seen[name] for name in served.windows.names}
    if looked.ignored:
        told["ignored"] = list(looked.ignored)
    return told


def for_review(row: Row, content: Mapping[str, Any]) -> dict[str, Any]:
    """What a reviewer is shown of a transaction and its decision."""
    return {"transaction": row, "windows": content.get("windows", {}), "reasons": content.get("reasons", [])}


def decide(
    served: Served, feed: WindowFeed | None, row: Row, *, name: str | None, reasons: bool | None
) -> dict[str, Any]:
    """The whole way of one transaction, here and now: `decision`, `score`, `reasons`, `windows`, `ignored`.

    `feed` is the state of windows of a product that has some. `name` says which transaction it is where it bears no id of its
    own: one that comes again under the same name, after a kill say, is not counted again. The event is on the disk before the
    model is asked. Raises DataError, InputError; then the transaction is no event. EnvironmentFailure where the disk is full.
    """
    looked = look(served, row)
    if feed is not None:
        event = feed.of(row, name=name)
        looked = looked.with_windows(feed.ask_and_take(event))
    prepared = served.prepare([looked.seen])
    (answer,) = served.answer(prepared)
    verdict = judge(served, row, answer)
    content: dict[str, Any] = {"decision": verdict.action, "score": verdict.score}
    if verdict.explains(reasons):
        (beside,) = served.beside.of(prepared, Wanted(reasons=0))
        content["reasons"] = beside["reasons"]
    served.drift.note(verdict.score)
    return content | rests_on(served, looked)
