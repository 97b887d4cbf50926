"""The released predictor and the data, as the rooms of trust are given them. Computes no figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.cli.figures import SplitName, raw_target
from tradewind.cli.session import Session
from tradewind.data.dataset import Dataset
from tradewind.engines.engine import Decision, Predictions
from tradewind.engines.onnx import OnnxPredictor
from tradewind.evaluate.examination import ROWS_OF_TRAIN, Examination, examine
from tradewind.evaluate.inputs import Scores
from tradewind.evaluate.report import Report
from tradewind.evaluate.synonyms import Lexicon, read_lexicon
from tradewind.evaluate.trust import Examined, Outputs, Part, Witness
from tradewind.features.column import Values
from tradewind.features.target import ClassTarget
from tradewind.release.golden import calibrated
from tradewind.train.run import Run


def examine_release(
    report: Report,
    dataset: Dataset,
    run: Run,
    *,
    graph: bytes,
    scores: Mapping[str, Scores],
    lexicon: Lexicon | None,
    retrieval: Witness | None,
    say: Callable[[str, float], None],
) -> Examination:
    """What the rooms of trust say of the calibrated `graph`. `scores` are those of the figures, before calibration;
    `retrieval` is how the knowledge base answered, where there is one."""
    features, target = dataset.features, dataset.features.target
    classes = target.classes if isinstance(target, ClassTarget) else ()
    positive = None if report.basis.positive is None else classes[report.basis.positive]
    decision = Decision(
        task="classification" if classes else "regression",
        classes=classes,
        positive=positive,
        threshold=0.5 if report.threshold is None else report.threshold,
        shifts=report.shifts,
    )
    predictor = OnnxPredictor(graph, features, decision, threads=0)

    texts = [column.name for column in features.columns if column.kind == "text"]

    def ask(values: Mapping[str, Values]) -> Outputs:
        order = _by_length(values, texts)
        if order is None:
            return _outputs(predictor.predict(values))
        found = _outputs(predictor.predict({name: column[order] for name, column in values.items()}))
        return found.of(np.argsort(order))

    def embed(values: Mapping[str, Values]) -> NDArray[np.float32]:
        order = _by_length(values, texts)
        if order is None:
            return predictor.vectors(values)
        found = predictor.vectors({name: column[order] for name, column in values.items()})
        return found[np.argsort(order)]

    def ask_encoded(arrays: Mapping[str, NDArray[Any]]) -> Outputs:
        return _decided(predictor.run_encoded(arrays), decision)

    def part(name: SplitName) -> Part:
        rows = _known(raw_target(dataset, name))
        if name == "train" and len(rows) > ROWS_OF_TRAIN:
            rows = rows[np.linspace(0, len(rows) - 1, ROWS_OF_TRAIN).astype(np.int64)]
        raw = {column: values[rows] for column, values in dataset.raw(name).items()}
        weight = dataset.split(name).weight
        found = scores.get(name)
        outputs: Outputs | Callable[[], Outputs]
        if found is None:
            outputs = partial(ask, raw)
        elif found.probabilities is not None:
            answered = calibrated(found.probabilities[rows].astype(np.float64), report.temperature)
            outputs = _decided(answered, decision, decision.cuts(raw, rows=len(rows)))
        else:
            assert found.values is not None
            outputs = Outputs(values=found.values[rows].astype(np.float64))
        return Part(
            raw=raw,
            target=raw_target(dataset, name)[rows],
            weight=None if weight is None else np.asarray(weight, dtype=np.float64)[rows],
            answers=outputs,
        )

    examined = Examined(
        context=report.context,
        kinds={column.name: column.kind for column in features.columns},
        train=part("train"),
        validation=part("validation"),
        test=part("test"),
        ask=ask,
        encode=features.encode,
        ask_encoded=ask_encoded,
        training=run.summary,
        layout=features.layout,
        seed=report.basis.settings.seed,
        lexicon=lexicon,
        retrieval=retrieval,
        embed=embed if predictor.has_vectors else None,
        frozen=run.product.model.text == "pretrained" and run.product.model.adapt == "frozen",
    )
    return examine(examined, say=say)


def _by_length(values: Mapping[str, Values], texts: Sequence[str]) -> NDArray[np.int64] | None:
    """The order in which texts of like length stand together: the rows of a batch are as long as its longest. None without texts."""
    given = [values[name] for name in texts if name in values]
    if not given:
        return None
    lengths = sum(np.array([len(str(one)) for one in column], np.int64) for column in given)
    return np.argsort(lengths, kind="stable")


def lexicon_of(session: Session) -> Lexicon | None:
    """The words of like meaning that the product file names; None for our own. A verb asks before it trains.

    Raises InputError where the file cannot be read or holds none.
    """
    written = session.product.evaluate.synonyms
    return None if written is None else read_lexicon(session.folder / written)


def _known(target: NDArray[Any]) -> NDArray[np.int64]:
    return np.flatnonzero(target >= 0 if target.dtype.kind in "iu" else np.isfinite(target))


def _outputs(found: Predictions) -> Outputs:
    if found.values is not None:
        return Outputs(values=found.values)
    assert found.probabilities is not None
    assert found.labels is not None
    codes = {name: code for code, name in enumerate(found.classes)}
    decided = np.array([codes[label] for label in found.labels], dtype=np.int64)
    return Outputs(found.probabilities.astype(np.float64), decided)


def _decided(output: NDArray[Any], decision: Decision, cut_B: NDArray[np.float32] | None = None) -> Outputs:
    if not decision.classes:
        return Outputs(values=output.astype(np.float64))
    codes = {name: code for code, name in enumerate(decision.classes)}
    labels = decision.labels(output.astype(np.float32), cut_B)
    return Outputs(output.astype(np.float64), np.array([codes[label] for label in labels], dtype=np.int64))
