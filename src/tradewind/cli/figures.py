"""From a dataset and a run to what evaluation is given: arrays and plain facts. Computes no figure."""

from __future__ import annotations

import json
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from tradewind.data.dataset import Dataset
from tradewind.evaluate.inputs import (
    ColumnProfile,
    DataFacts,
    EvaluationSplit,
    ModelFacts,
    RejectedRow,
    TrainingPoint,
)
from tradewind.features.target import NumberTarget
from tradewind.train.run import Run

SplitName = Literal["train", "validation", "test"]
_REJECTED_SHOWN = 20


def raw_target(dataset: Dataset, name: SplitName) -> NDArray[Any]:
    """Class codes, or values in the target's own unit."""
    encoded = np.asarray(dataset.split(name).target)
    target = dataset.features.target
    return target.decode(encoded) if isinstance(target, NumberTarget) else encoded


def evaluation_split(dataset: Dataset, name: SplitName, *, raw: bool = True) -> EvaluationSplit:
    """One split as evaluation wants it; without `raw` for the training split, which has no slices."""
    split, layout = dataset.split(name), dataset.features.layout
    names = [feature.name for feature in layout.numbers]
    flags = tuple(
        (names.index(feature.column), place)
        for place, feature in enumerate(layout.numbers)
        if feature.name.endswith(":missing") and feature.column in names
    )
    bags: dict[str, Any] = {}
    images: dict[str, NDArray[np.uint8]] = {}
    sounds: dict[str, NDArray[np.uint8]] = {}
    for tensor in layout.tensors:
        if tensor.role == "ngrams":
            ids, weights = split.ragged[tensor.name], split.ragged[tensor.name.replace("ngrams:", "ngram_weights:", 1)]
            shape = (split.rows, int(tensor.meta["vocabulary"]))
            bags[tensor.column] = csr_matrix((weights.flat, ids.flat, ids.offsets), shape=shape)
        elif tensor.role == "image":
            images[tensor.column] = split.arrays[tensor.name]
        elif tensor.role == "audio":
            sounds[tensor.column] = split.arrays[tensor.name]
    return EvaluationSplit(
        name=name,
        rows=split.rows,
        target=raw_target(dataset, name),
        raw=dataset.raw(name) if raw else {},
        numbers=split.arrays.get("numbers"),
        categories=split.arrays.get("categories"),
        cardinalities=tuple(feature.cardinality for feature in layout.categories),
        flags=flags,
        bags=bags,
        images=images,
        sounds=sounds,
        weight=split.weight,
    )


def facts_of_data(dataset: Dataset) -> DataFacts:
    """What preparation found, for the report."""
    profile = dataset.profile
    rejected: list[RejectedRow] = []
    total = 0
    with (dataset.artifact.folder / "rejected.jsonl").open(encoding="utf-8") as file:
        for line in file:
            total += 1
            if len(rejected) < _REJECTED_SHOWN:
                row = json.loads(line)
                rejected.append(RejectedRow(row["file"], row["line"], row["reason"], row.get("text", "")))
    cleaning = profile["cleaning"]
    return DataFacts(
        rows=profile["rows"]["read"],
        columns=tuple(_column(one) for one in profile["columns"]),
        cleaning={f"{rule['rule']} {rule['column']}".strip(): rule["count"] for rule in cleaning["rules"]},
        rejected=total,
        rejected_reasons=cleaning["rejected"],
        rejected_rows=tuple(rejected),
    )


def _column(one: dict[str, Any]) -> ColumnProfile:
    histogram = one.get("histogram", {"edges": (), "counts": ()})
    top = one.get("top", ())
    rows = one.get("rows", 0)
    return ColumnProfile(
        name=one["name"],
        kind=one["kind"],
        missing=one.get("missing", 0) / rows if rows else 0.0,
        counts=tuple(entry["count"] for entry in top) or tuple(histogram["counts"]),
        edges=() if top else tuple(histogram["edges"]),
        labels=tuple(str(entry["value"]) for entry in top),
        role=one["part"],
        note=one.get("dropped", one["reason"]),
    )


def model_name(run: Run) -> str:
    """The networks that a run is made of: tabm, or cnn and tabm."""
    model = run.product.model
    return model.kind if model.kind != "auto" else f"{model.text} text, {model.image} images, {model.tabular}"


def facts_of_model(run: Run) -> ModelFacts:
    """What training did, for the report."""
    summary = run.summary
    curve = []
    with (run.artifact.folder / "steps.jsonl").open(encoding="utf-8") as file:
        for line in file:
            record = json.loads(line)
            if "epoch_loss" in record:
                curve.append(TrainingPoint(record["epoch"], record["epoch_loss"], record.get("loss")))
    return ModelFacts(
        name=model_name(run),
        parameters=summary["parameters"]["total"],
        seconds=summary["seconds"] + (summary["refit"]["seconds"] if summary["refit"] else 0.0),
        refitted=summary["refit"] is not None,
        epochs=summary["epochs"],
        best_epoch=summary["best_epoch"],
        curve=tuple(curve),
        curve_figure="loss",
    )
