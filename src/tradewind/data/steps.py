"""Preparation told as one story: read and clean, find copies, split, check, fit on train, encode, describe.

Not here: how any step does it; each has its own file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tradewind.data import checks
from tradewind.data.clean import Cleaner
from tradewind.data.copies import drop_copies, reject
from tradewind.data.dicom import with_headers
from tradewind.data.encode import Encoder, encode, raw_values, sample
from tradewind.data.inference import Inferred, infer
from tradewind.data.ledger import Ledger, write_rejected
from tradewind.data.plan import Plan, check_names, make_plan
from tradewind.data.profile import describe_columns
from tradewind.data.rows import DROPPED, SPLITS, TEST, TRAIN, VALIDATION, Rows, mix
from tradewind.data.sources import open_source
from tradewind.data.spill import Spill
from tradewind.data.splits import check_filled, decide
from tradewind.data.subjects import Subjects, write_subjects
from tradewind.data.survey import Input, head, survey
from tradewind.data.windows import with_windows
from tradewind.features.column import Values
from tradewind.features.date import to_moments
from tradewind.features.feature_set import FeatureSet
from tradewind.features.target import fit_target
from tradewind.files import write_json
from tradewind.product import ColumnOptions, Events, Product, Source

Progress = Callable[[str, float], None]

FORMAT = 2  # 2: numbers are read with a unit of measure behind them
_READER_SHARE = 16  # of the memory goes to one chunk as it is read
_HELD_SHARE = 4  # of the memory may hold typed chunks before they go to disk
_FIT_AT_LEAST = 256  # rows, however large they are


def open_inputs(product: Product, *, base: Path) -> list[Input]:
    """The main source, then the files that validation and test have of their own."""
    data = product.data
    memory = data.memory // _READER_SHARE
    inputs = [Input(TRAIN, open_source(data.source, base=base, memory=memory), data.source.path)]
    for side, own in ((VALIDATION, data.split.validation), (TEST, data.split.test)):
        if isinstance(own, Source):
            alike = own.model_copy(update={
                "header": own.header or data.source.header,
                "missing": own.missing or data.source.missing,
            })  # fmt: skip
            inputs.append(Input(side, open_source(alike, base=base, memory=memory), own.path))
    if data.dicom:
        with_headers([item.source for item in inputs], data.dicom)
    if data.events is not None:
        with_windows([item.source for item in inputs], data.events.spec(missing=data.source.missing))
    return inputs


@dataclass
class Surveyed:
    """What the first pass left: the plan that held, the typed chunks and what is known of each row."""

    plan: Plan
    cleaner: Cleaner
    ledger: Ledger
    spill: Spill
    rows: Rows


def make(
    product: Product, inputs: Sequence[Input], folder: Path, *, progress: Progress, subjects: Subjects | None = None
) -> None:
    """Fills `folder` with a dataset. Raises DataError for what is wrong with the data."""
    data = product.data
    done = _read(product, inputs, folder / "spill", progress=progress, subjects=subjects)
    plan, ledger, rows, spill = done.plan, done.ledger, done.rows, done.spill
    try:
        # 1. Copies and conflicts, then the split: a copy never stands on both sides.
        sides = np.where(rows.origin == TRAIN, TRAIN, rows.origin).astype(np.int8)
        labels = rows.target if plan.task == "classification" else None
        rows, sides = drop_copies(rows, sides, spill, plan, done.cleaner.dictionaries, data.clean, ledger)
        words = done.cleaner.dictionaries[plan.given].words if plan.given else None
        sides = decide(rows, data.split, sides=sides, given=words, classes=labels, ledger=ledger)
        sides = _known_in_time(rows, sides, data.events, ledger)
        sides = _known_classes(rows, sides, done)
        check_filled(rows, sides, data.split, ledger)
        # 2. Fit on the training split alone.
        progress("fit", 0.0)
        most = min(data.fit_rows, max(int(data.memory / _HELD_SHARE / spill.bytes_per_row), _FIT_AT_LEAST))
        chosen = _fitted_rows(rows, sides == TRAIN, most, seed=data.split.seed)
        frame = sample(spill.frames(), chosen, plan.kept)
        values = {name: raw_values(name, frame[name], plan, done.cleaner.dictionaries) for name in plan.kept}
        plan = plan.without(_check(values, frame, done, product))
        if plan.task == "classification":
            checks.imbalance(class_counts(rows, sides == TRAIN, done.cleaner, plan), plan.target, ledger)
        specs = plan.specs(data.columns, outliers=data.clean.outliers, tokeniser=product.model.pretrained)
        target = fit_target(product.task, values[plan.target])
        features = FeatureSet.fit(specs, values, target, seed=data.split.seed)
        # 3. Encode everything, chunk by chunk.
        encoder = Encoder(features, plan, done.cleaner.dictionaries)
        for count in encode(spill.frames(), sides, encoder, folder):
            progress("encode", count / len(rows))
    finally:
        spill.close()
    # 4. Say what was done.
    write_json(folder / "columns.json", features.state())
    write_rejected(folder / "rejected.jsonl", ledger.all_rejected())
    people = None if rows.subject is None else write_subjects(folder, rows, sides, data)
    profile = describe_columns(plan, frame, done.cleaner.dictionaries)
    counts: dict[str, dict[str, int]] | None = None
    if plan.task == "classification":
        counts = {side: class_counts(rows, sides == number, done.cleaner, plan) for number, side in enumerate(SPLITS)}
    write_json(
        folder / "profile.json",
        {
            "task": product.task,
            "target": data.target,
            "rows": {
                "read": len(rows) + len(ledger.rejected),
                "rejected": len(rows) + len(ledger.rejected) - int((sides != DROPPED).sum()),
                **{side: int((sides == number).sum()) for number, side in enumerate(SPLITS)},
            },
            "classes": counts,
            "columns": profile,
            "described_rows": len(frame),
            "cleaning": ledger.as_json(),
            "sources": [{"split": SPLITS[item.side], **dict(item.source.provenance())} for item in inputs],
            "split": data.split.model_dump(mode="json"),
            "fingerprint": features.fingerprint,
            **({} if people is None else {"subjects": people}),
        },
    )


def _read(
    product: Product, inputs: Sequence[Input], place: Path, *, progress: Progress, subjects: Subjects | None
) -> Surveyed:
    """The first pass; once more when later rows show that a column is not of the kind its first rows promised."""
    data = product.data
    names = list(inputs[0].source.names)
    check_names(data, names, source=data.source.path)
    first = head(inputs[0].source)
    if subjects is not None:  # nothing is learnt, not even a kind, from rows that may not be used
        first = subjects.without(first)
    given = {**dict.fromkeys(data.windows, ColumnOptions(kind="number")), **data.columns}
    inferred = infer(first, given=given, missing=data.source.missing, units=data.clean.units)
    for _ in range(len(names) + 1):
        plan = make_plan(product.task, data, names, inferred)
        checks.keys_read(first, plan)
        ledger = Ledger()
        cleaner = Cleaner(plan, data.clean, ledger, missing=data.source.missing)
        spill = Spill(place, limit=data.memory // _HELD_SHARE)
        rows = survey(inputs, cleaner, spill, ledger, progress=progress, subjects=subjects)
        cleaner.close()
        revised = _revise(plan, cleaner, ledger, rows=len(rows), seen=len(first))
        if not revised:
            break
        spill.close()
        inferred = {**inferred, **revised}
    _check_target(plan, cleaner, ledger, rows)
    return Surveyed(plan, cleaner, ledger, spill, rows)


def _revise(plan: Plan, cleaner: Cleaner, ledger: Ledger, *, rows: int, seen: int) -> dict[str, Inferred]:
    """Columns whose later rows contradict the first ones."""
    revised: dict[str, Inferred] = {}
    if rows <= seen:
        return revised
    for name in plan.inputs:
        found = plan.inferred[name]
        if found.given:
            continue
        tally = ledger.tallies.get(("not_a_number", name))
        if plan.reading(name) == "number" and tally and tally.count > 0.1 * rows:
            revised[name] = Inferred(
                "category", f"{tally.count:,} of {rows:,} values are words, such as {tally.example}"
            )
        elif found.kind == "category":
            words = cleaner.dictionaries[name].words
            if found.reason.startswith("only the codes") and len(words) > 2:
                revised[name] = Inferred("number", f"whole numbers, {len(words):,} of them differ in {rows:,} rows")
            elif len(words) > 50_000 and len(words) > 0.5 * rows:
                revised[name] = Inferred("text", f"{len(words):,} of {rows:,} values differ")
    return revised


def _check_target(plan: Plan, cleaner: Cleaner, ledger: Ledger, rows: Rows) -> None:
    if plan.task == "classification":
        main = rows.origin == TRAIN
        checks.target_of_task(plan, class_counts(rows, main, cleaner, plan), int(main.sum()))
    else:
        tally = ledger.tallies.get(("not_a_number", plan.target))
        bad = tally.count if tally else 0
        checks.regression_target(plan.target, len(rows), len(rows) + bad, tally.example if tally else None)


def class_counts(rows: Rows, mask: NDArray[np.bool_], cleaner: Cleaner, plan: Plan) -> dict[str, int]:
    """Rows of each class among `mask` [R], by name, those without a row left out."""
    words = cleaner.dictionaries[plan.target].words
    counts = np.bincount(rows.target[mask].astype(np.int64), minlength=len(words) + 1)[1:]
    return {word: int(count) for word, count in zip(words, counts, strict=True) if count}


def _known_classes(rows: Rows, sides: NDArray[np.int8], done: Surveyed) -> NDArray[np.int8]:
    """Refuses rows of validation and test whose class training never sees."""
    if done.plan.task != "classification":
        return sides
    known = np.unique(rows.target[sides == TRAIN])
    strange = (sides != DROPPED) & ~np.isin(rows.target, known)
    if strange.any():
        done.ledger.count("class_unseen", done.plan.target, int(strange.sum()), action="rejected")
        why = "Its class has no row in the training split."
        reject(done.ledger, rows, np.flatnonzero(strange), "class_unseen", reason=why)
        sides = np.where(strange, DROPPED, sides).astype(np.int8)
    return sides


def _known_in_time(rows: Rows, sides: NDArray[np.int8], events: Events | None, ledger: Ledger) -> NDArray[np.int8]:
    """Drops rows whose truth was not known yet when the first row came in that they would be measured on, or chosen by."""
    if rows.time is None or events is None or events.label_delay is None:
        return sides
    time_R = to_moments(rows.time) if events.unit == "date" else rows.time * events.unit_s
    for side, later in ((VALIDATION, (TEST,)), (TRAIN, (VALIDATION, TEST))):
        measured = np.isin(sides, later)
        if not measured.any():
            continue
        unknown = (sides == side) & (time_R > time_R[measured].min() - events.label_delay_s)
        ledger.count("label_unknown", "", int(unknown.sum()), action="dropped")
        why = f"Its truth was not known yet when the first row came in that is measured on: {events.label_delay} before it."
        reject(ledger, rows, np.flatnonzero(unknown), "label_unknown", reason=why)
        sides = np.where(unknown, DROPPED, sides).astype(np.int8)
    return sides


def _fitted_rows(rows: Rows, train: NDArray[np.bool_], most: int, *, seed: int) -> NDArray[np.bool_]:
    """At most `most` training rows, chosen by hash so that the order of the rows has no say."""
    places = np.flatnonzero(train)
    if len(places) <= most:
        return train
    order = mix(rows.copy[places], seed + 17)
    kept = places[np.argpartition(order, most)[:most]]
    chosen = np.zeros(len(train), dtype=np.bool_)
    chosen[kept] = True
    return chosen


def _check(values: dict[str, Values], frame: pl.DataFrame, done: Surveyed, product: Product) -> dict[str, str]:
    """Inputs to drop after the split, each with its reason; findings go to the ledger."""
    plan, rules, ledger = done.plan, product.data.clean, done.ledger
    dropped = checks.constant(frame, plan, rules)
    rest = plan.without(dropped)
    dropped |= checks.leakage(frame, rest, rules, ledger)
    checks.sensitive(plan, ledger)
    return dropped
