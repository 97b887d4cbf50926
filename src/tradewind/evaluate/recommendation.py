"""The report of a recommender: `ask` hears a predictor, `evaluate_recommendation` makes the report, `write` puts it into a folder,
`again` computes it anew.

Two protocols: among all items, and among drawn ones beside the right one, as Kang and McAuley 2018 judged. The two may order
predictors differently (Krichene and Rendle, On Sampled Metrics for Item Recommendation, 2020): both stand in every report. Not here:
scores (engines, `features/`), figures (`ranking.py`), the page (`recommendation_page.py`).

Legend: Q users asked about, B some of them, I items, K length of lists, C drawn candidates.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from tradewind.errors import DataError
from tradewind.evaluate import ranking
from tradewind.evaluate.beside import BaselineFigures, verdict_of
from tradewind.evaluate.figures import Figure
from tradewind.evaluate.gates import GateResult, check
from tradewind.evaluate.ranking import Lists
from tradewind.evaluate.ranking_witness import (
    LISTS,
    MODEL,
    RANKS,
    RankingWitness,
    read_ranking_witness,
    write_ranking_witness,
)
from tradewind.evaluate.recommendation_page import render
from tradewind.evaluate.report import JSON_FILE, PAGE_FILE, plain
from tradewind.files import canonical_json, write_json, write_text
from tradewind.product import Evaluate

FORMAT = 1
_BLOCK_NUMBERS = 8_000_000  # scores held at once
_DRAWN_MORE = 2  # times as many candidates are drawn as are wanted, for some were met
_SLICES: Mapping[str, tuple[tuple[str, int, int], ...]] = {
    "history": (("1–4", 0, 5), ("5–9", 5, 10), ("10–19", 10, 20), ("20+", 20, 1 << 60)),
    "target": (("0", 0, 1), ("1–4", 1, 5), ("5–19", 5, 20), ("20+", 20, 1 << 60)),
}
_FEWEST = 20  # users of a slice

Scores = Callable[[range], NDArray[np.float32]]  # of some users asked about, [B, I]


class AskedLike(Protocol):
    """Who is asked about: items `before[starts[q] : starts[q + 1]]` in order, and `target` [Q], what came next."""

    @property
    def user(self) -> NDArray[np.int64]: ...

    @property
    def before(self) -> NDArray[np.int32]: ...

    @property
    def starts(self) -> NDArray[np.int64]: ...

    @property
    def target(self) -> NDArray[np.int32]: ...

    def __len__(self) -> int: ...


def ask(
    asked: AskedLike, scores: Scores, *, items: int, settings: Evaluate, again: bool, told: Callable[[float], None]
) -> Lists:
    """Hears one predictor. Items met before are no candidates unless `again`; candidates of a user are the same for every predictor.

    Raises DataError where a score is no number.
    """
    most = min(max(settings.at), items)
    block = max(1, _BLOCK_NUMBERS // items)
    full, sampled, top = [], [], []
    for begin in range(0, len(asked), block):
        rows = range(begin, min(begin + block, len(asked)))
        found = np.array(scores(rows), dtype=np.float32)
        if not np.isfinite(found).all():
            raise DataError(
                "A score is no number.", code="scores_not_finite", hint="Train again with a smaller learning rate."
            )
        target = asked.target[rows.start : rows.stop].astype(np.int64)
        at = np.arange(len(rows))
        right = found[at, target].copy()
        drawn = candidates(asked, rows, items=items, count=settings.candidates, seed=settings.seed)
        beside = np.where(drawn >= 0, found[at[:, None], np.maximum(drawn, 0)], -np.inf)
        sampled.append(_place(beside, right))
        if not again:
            for row, one in enumerate(rows):
                found[row, asked.before[asked.starts[one] : asked.starts[one + 1]]] = -np.inf
            # What came next may have been met before: it is asked for all the same.
            found[at, target] = right
        full.append(_place(found, right) - 0.5)  # the right item itself is among all items, and equals itself
        first = np.argpartition(-found, most - 1, axis=1)[:, :most]
        order = np.lexsort((first, -np.take_along_axis(found, first, 1)))
        first = np.take_along_axis(first, order, 1).astype(np.int32)
        first[~np.isfinite(np.take_along_axis(found, first.astype(np.int64), 1))] = -1
        top.append(first)
        told(rows.stop / len(asked))
    return Lists(np.concatenate(full), np.concatenate(sampled), np.concatenate(top))


def _place(found: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float64]:
    """How many stand above, ties by half."""
    above = (found > right[:, None]).sum(1)
    equal = (found == right[:, None]).sum(1)
    return np.asarray(above + 0.5 * equal, dtype=np.float64)


def candidates(asked: AskedLike, rows: range, *, items: int, count: int, seed: int) -> NDArray[np.int64]:
    """`count` items for each user, drawn evenly from those neither met nor next, [B, C]; -1 where there are not so many."""
    drawn = np.full((len(rows), count), -1, np.int64)
    for at, row in enumerate(rows):
        random = np.random.default_rng([seed, row])
        known = np.append(asked.before[asked.starts[row] : asked.starts[row + 1]], asked.target[row])
        if items <= _DRAWN_MORE * (count + len(known)):
            free = np.setdiff1d(np.arange(items), known)
            mine = random.permutation(free)[:count]
        else:
            mine = np.empty(0, np.int64)
            while len(mine) < count:  # more than half of all items are free
                more = random.integers(0, items, _DRAWN_MORE * count + len(known))
                mine = np.append(mine, more[~np.isin(more, known)])[:count]
        drawn[at, : len(mine)] = mine
    return drawn


# ---------------------------------------------------------------- the report


@dataclass(frozen=True)
class RecommendationInputs:
    """What a report is made of; `notes` say how each baseline was fitted, `data` and `model` are facts to be shown."""

    product: str
    witness: RankingWitness
    settings: Evaluate
    notes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    parents: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Slice:
    """Users alike in one thing, and the first figure over them: of the model and of the best baseline over all."""

    of: str
    name: str
    users: int
    model: float | None
    baseline: float | None


@dataclass(frozen=True)
class RecommendationAnalysis:
    """All that is computed. `primary` is the report's first figure, in which predictors are compared."""

    primary: str
    figures: Mapping[str, Mapping[str, Figure]]
    baselines: tuple[BaselineFigures, ...]
    lead: Figure | None
    lead_over: str
    gates: tuple[GateResult, ...]
    slices: tuple[Slice, ...]


@dataclass(frozen=True)
class RecommendationReport:
    inputs: RecommendationInputs
    analysis: RecommendationAnalysis

    def to_json(self) -> dict[str, Any]:
        inputs = self.inputs
        return {
            "format": FORMAT,
            "product": inputs.product,
            "task": "recommendation",
            "settings": inputs.settings.model_dump(mode="json"),
            "witness": _content(inputs.witness),
            **plain(self.analysis),
            "baseline_notes": plain(inputs.notes),
            "data": plain(inputs.data),
            "model": plain(inputs.model),
            "timings": plain(inputs.timings),
            "parents": dict(inputs.parents),
        }


def _content(witness: RankingWitness) -> dict[str, Any]:
    return {"files": [RANKS, LISTS], "digest": witness.digest()}


def evaluate_recommendation(inputs: RecommendationInputs) -> RecommendationReport:
    """Every figure with its interval."""
    return RecommendationReport(inputs, analyse(inputs.witness, inputs.settings))


def analyse(witness: RankingWitness, settings: Evaluate) -> RecommendationAnalysis:
    """From the stored ranks and lists to every figure: the same whoever asks."""
    at = sorted(set(settings.at))
    primary = f"ndcg@{10 if 10 in at else at[0]}"
    columns = {name: ranking.columns(lists, at) for name, lists in witness.said.items()}
    drawn = ranking.drawn(columns, resamples=settings.bootstrap, seed=settings.seed)
    found = {
        name: ranking.figures(
            lists, drawn[name], at=at, counts_I=witness.counts_I, predictor=name, candidates=settings.candidates
        )
        for name, lists in witness.said.items()
    }  # fmt: skip
    baselines = tuple(
        _baseline(name, columns, drawn, found, primary=primary) for name in witness.said if name != MODEL
    )  # fmt: skip
    best = max(baselines, key=lambda one: (one.figures[primary].value or 0.0, one.name), default=None)
    lead = None if best is None else best.differences[primary]
    over = "" if best is None else best.name
    figures = {"test": found[MODEL]}
    return RecommendationAnalysis(
        primary=primary, figures=figures, baselines=baselines, lead=lead, lead_over=over,
        gates=check(settings.gates, found[MODEL], lead, task="recommendation", against=over),
        slices=_slices(witness, columns, primary, over),
    )  # fmt: skip


def _baseline(
    name: str, columns: Mapping[str, Mapping[str, Any]], drawn: Mapping[str, Mapping[str, Any]],
    figures: Mapping[str, Mapping[str, Figure]], *, primary: str,
) -> BaselineFigures:  # fmt: skip
    differences = {
        one: ranking.difference(
            columns[MODEL][one], columns[name][one], drawn[MODEL][one], drawn[name][one], one, over=name
        )
        for one in columns[MODEL]
    }
    return BaselineFigures(name, figures[name], differences, verdict_of(differences[primary]))


def _slices(
    witness: RankingWitness, columns: Mapping[str, Mapping[str, Any]], primary: str, over: str
) -> tuple[Slice, ...]:  # fmt: skip
    """By how much came before, and by how often training met what came next."""
    by = {"history": witness.before_Q, "target": witness.counts_I[witness.target_Q]}
    found = []
    for of, edges in _SLICES.items():
        for name, low, high in edges:
            chosen = (by[of] >= low) & (by[of] < high)
            users = int(chosen.sum())
            if users:
                means: list[float | None] = [
                    float(columns[one][primary][chosen].mean()) if one and users >= _FEWEST else None
                    for one in (MODEL, over)
                ]
                found.append(Slice(of, name, users, *means))
    return tuple(found)


# ---------------------------------------------------------------- writing it, and computing it again


def write(report: RecommendationReport, folder: Path, *, language: Literal["en", "zh"]) -> None:
    """Writes report.json, report.html and the witness. Raises EnvironmentFailure when the disk refuses."""
    # Through JSON once: the page is made from exactly what a reader of report.json sees.
    content = json.loads(canonical_json(report.to_json()))
    write_ranking_witness(report.inputs.witness, folder)
    write_json(folder / JSON_FILE, content)
    write_text(folder / PAGE_FILE, render(content, language=language))


def again(stored: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """What the stored witness says, in the words of report.json. Raises ArtifactError when the witness cannot be read."""
    witness = read_ranking_witness(folder)
    found = analyse(witness, Evaluate.model_validate(stored["settings"]))
    return {**plain(found), "witness": _content(witness)}
