"""The simple models that stand beside every product: the majority or mean, a linear model, boosted trees.

Not here: comparing them with the product (`analysis.py`). They see the training split as the product did, and the
validation split only to stop the trees early; calibration and threshold treat them like the product.

Legend: n rows, D features, K classes.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import lightgbm
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.linear_model import LogisticRegression, Ridge

from tradewind.evaluate.inputs import EvaluationSplit, Task
from tradewind.evaluate.metrics import Floats

NAMES = ("majority", "linear", "lightgbm")  # majority is called mean for regression
SPECTRA = "mean and deviation of each band"
PIXELS = 32  # images are brought to squares of this side
_LINEAR_ROWS = 50_000
_LINEAR_ROWS_PIXELS = 8_000
_TREE_ROWS = 200_000
_TREES, _TREE_BUDGET = 300, 2_000
_BAG_WORDS = 300
_LINEAR_WEIGHTS = 2_000_000  # words × classes of the linear model: L-BFGS keeps twenty copies of them
_FEWEST_WORDS = 2_000
_TEXT_ONLY_CLASSES = 20
_LEAVES = 31


@dataclass(frozen=True)
class Baseline:
    """A fitted baseline. `scores` holds probabilities [n, K] or values [n] by split; None when skipped with `reason`.

    `train_seconds` is the fit, `predict_seconds` the test split's prediction, encoding included in both.
    """

    name: str
    how: str
    scores: dict[str, Floats] | None
    train_seconds: float = 0.0
    predict_seconds: float = 0.0
    reason: str = ""


Predict: TypeAlias = Callable[[EvaluationSplit], Floats]


@dataclass(frozen=True)
class _Fit:
    """What a maker gives: how to predict, in words how it was fitted, and the rounds that validation chose, if any."""

    predict: Predict
    how: str
    rounds: int | None = None


class Skipped(Exception):
    """This baseline does not suit the product; the message says why."""


def fit_baselines(
    task: Task, classes: tuple[str, ...], *, train: EvaluationSplit, validation: EvaluationSplit, test: EvaluationSplit,
    seed: int, refit: bool = False,
) -> tuple[Baseline, ...]:  # fmt: skip
    """Fits the three on `train` and lets them predict validation and test. Rows of unknown target are not given.

    With `refit` those that predict the test split have learnt from validation as well, as the product then has.

    Deterministic for a seed. Prints and warns nothing: a linear model that stopped early is still a fair baseline.
    """
    first = "majority" if task == "classification" else "mean"
    makers = ((first, _fit_constant), ("linear", _fit_linear), ("lightgbm", _fit_trees))
    return tuple(
        _one(name, make, task, len(classes), train=train, validation=validation, test=test, seed=seed, refit=refit)
        for name, make in makers
    )


def _one(
    name: str, make: Callable[..., _Fit], task: Task, kinds: int, *, train: EvaluationSplit,
    validation: EvaluationSplit, test: EvaluationSplit, seed: int, refit: bool,
) -> Baseline:  # fmt: skip
    start = time.perf_counter()
    try:
        if train.rows == 0:
            raise Skipped("the training split has no rows")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit = make(task, kinds, train, validation, seed)
            on_validation = fit.predict(validation) if validation.rows else None
            if refit and validation.rows:
                nothing = take(validation, np.zeros(0, dtype=np.int64))
                fit = make(task, kinds, joined(train, validation), nothing, seed, rounds=fit.rounds)
            fitted = time.perf_counter()
            on_test = fit.predict(test)
            predicted = time.perf_counter()
    except Skipped as skipped:
        return Baseline(name, "", None, reason=str(skipped))
    on_validation = on_test[:0] if on_validation is None else on_validation
    return Baseline(name, fit.how, {"validation": on_validation, "test": on_test}, fitted - start, predicted - fitted)


# ---------------------------------------------------------------- majority, mean


def _fit_constant(
    task: Task, kinds: int, train: EvaluationSplit, validation: EvaluationSplit, seed: int, *, rounds: int | None = None
) -> _Fit:
    if task == "regression":
        mean = float(np.average(train.target, weights=train.weight))
        return _Fit(lambda split: np.full(split.rows, mean), "the mean of the training target")
    shares = np.bincount(train.target, train.weight, minlength=kinds)
    shares = shares / shares.sum()
    return _Fit(lambda split: np.tile(shares, (split.rows, 1)), "the class shares of the training split")


# ---------------------------------------------------------------- linear


def _fit_linear(
    task: Task, kinds: int, train: EvaluationSplit, validation: EvaluationSplit, seed: int, *, rounds: int | None = None
) -> _Fit:
    chosen, sampled = _sample(train, _LINEAR_ROWS_PIXELS if train.images else _LINEAR_ROWS, seed)
    encoder = LinearEncoder(chosen, words=max(_FEWEST_WORDS, _LINEAR_WEIGHTS // max(kinds, 1)))
    features = encoder(chosen)
    what = " + ".join(encoder.parts)
    if task == "regression":
        mean = float(np.average(chosen.target, weights=chosen.weight))
        scale = float(np.std(chosen.target)) or 1.0
        ridge = Ridge(alpha=1.0, solver="lsqr" if sparse.issparse(features) else "auto")
        ridge.fit(features, (chosen.target - mean) / scale, sample_weight=chosen.weight)
        return _Fit(lambda split: np.asarray(ridge.predict(encoder(split))) * scale + mean, f"ridge on {what}{sampled}")
    seen = np.unique(chosen.target)
    if len(seen) < 2:
        raise Skipped("the training split holds only one class")
    # Bags of TF-IDF weights have length 1, so they bear, and need, a weaker penalty than standardised columns.
    strength = 10.0 if encoder.only_text else 1.0
    wide = bool(train.images) or kinds > _TEXT_ONLY_CLASSES
    model = LogisticRegression(C=strength, max_iter=60 if wide else 300, tol=1e-3 if wide else 1e-4)
    model.fit(features, chosen.target, sample_weight=chosen.weight)
    return _Fit(
        lambda split: _spread(model.predict_proba(encoder(split)), seen, split.rows, kinds),
        f"logistic regression on {what}{sampled}",
    )


class LinearEncoder:
    """Standardised numbers and spectra, one-hot categories, bags and small pixels side by side, CSR where anything is sparse."""

    def __init__(self, train: EvaluationSplit, *, words: int) -> None:
        self.parts: list[str] = []
        self._words = {name: _frequent(bag, words) for name, bag in train.bags.items() if bag.shape[1] > words}
        self._mean: Floats | None = None
        if train.numbers is not None and train.numbers.shape[1]:
            numbers = np.nan_to_num(np.asarray(train.numbers, dtype=np.float64))
            self._mean, spread = numbers.mean(axis=0), numbers.std(axis=0)
            self._scale = np.where(spread > 0, spread, 1.0)
            self.parts.append("numbers")
        self._spectrum: tuple[Floats, Floats] | None = None
        if train.sounds:
            spectra = spectra_of(train)
            spread = spectra.std(axis=0)
            self._spectrum = spectra.mean(axis=0), np.where(spread > 0, spread, 1.0)
            self.parts.append(SPECTRA)
        if train.categories is not None and train.categories.shape[1]:
            self.parts.append("one-hot")
        self.only_text = bool(train.bags) and not self.parts and not train.images
        if train.bags:
            self.parts.append(f"TF-IDF of the {words} most frequent words" if self._words else "TF-IDF")
        if train.images:
            self.parts.append(f"{PIXELS}×{PIXELS} pixels")
        if not self.parts:
            raise Skipped("the product has no column that a linear model can read")

    def __call__(self, split: EvaluationSplit) -> Any:
        dense: list[Floats] = []
        thin: list[Any] = []
        if self._mean is not None and split.numbers is not None:
            dense.append((np.nan_to_num(np.asarray(split.numbers, dtype=np.float64)) - self._mean) / self._scale)
        if self._spectrum is not None:
            dense.append((spectra_of(split) - self._spectrum[0]) / self._spectrum[1])
        for name in sorted(split.images):
            dense.append(_small(split.images[name]))
        if split.categories is not None and split.categories.shape[1]:
            thin.append(one_hot(split.categories, split.cardinalities))
        for name in sorted(split.bags):
            chosen = self._words.get(name)
            thin.append(split.bags[name] if chosen is None else split.bags[name][:, chosen])
        if not thin:
            return np.concatenate(dense, axis=1)
        return sparse.hstack([*(sparse.csr_matrix(block) for block in dense), *thin], format="csr")


def one_hot(categories_nC: NDArray[np.integer[Any]], cardinalities: tuple[int, ...]) -> Any:
    """Sparse one-hot [n, Σ cardinalities]; a code outside its cardinality counts as 0, never seen."""
    sizes = np.asarray(cardinalities, dtype=np.int64)
    assert categories_nC.shape[1] == len(sizes), "one cardinality for each category column"
    codes = np.where((categories_nC >= 0) & (categories_nC < sizes), categories_nC, 0)
    places = codes + np.r_[0, np.cumsum(sizes)[:-1]]
    rows, width = places.shape
    pointers = np.arange(0, rows * width + 1, width)
    return sparse.csr_matrix((np.ones(rows * width), places.ravel(), pointers), (rows, int(sizes.sum())))


def _small(images_nCHW: NDArray[np.uint8]) -> Floats:
    """Pixels in -1 … 1 of the pictures averaged down to at most 32 × 32; shape [n, channels · h · w]."""
    rows, channels, height, width = images_nCHW.shape
    high, wide = max(1, height // PIXELS), max(1, width // PIXELS)
    cut = images_nCHW[:, :, : height - height % high, : width - width % wide]
    blocks = cut.reshape(rows, channels, cut.shape[2] // high, high, cut.shape[3] // wide, wide)
    return np.asarray(blocks.mean(axis=(3, 5), dtype=np.float64) / 127.5 - 1.0).reshape(rows, -1)


def spectra_of(split: EvaluationSplit) -> Floats:
    """Mean and deviation over time of each band of each audio column, [n, 2 · bands]: what is heard, in no order."""
    heard = [split.sounds[name] for name in sorted(split.sounds)]
    parts = [found for levels in heard for found in (levels.mean(axis=1), levels.std(axis=1))]
    return np.concatenate(parts, axis=1, dtype=np.float64)


# ---------------------------------------------------------------- boosted trees


def _fit_trees(
    task: Task, kinds: int, train: EvaluationSplit, validation: EvaluationSplit, seed: int, *, rounds: int | None = None
) -> _Fit:
    table = bool(
        (train.numbers is not None and train.numbers.shape[1])
        or (train.categories is not None and train.categories.shape[1])
    )
    if not table and not train.bags and not train.sounds:
        raise Skipped("pixels are no columns of a table: trees on them say nothing")
    if not table and kinds > _TEXT_ONLY_CLASSES:
        raise Skipped(f"text alone with {kinds} classes: the linear model on TF-IDF is the stronger and cheaper one")
    if task == "classification" and len(np.unique(train.target)) < 2:
        raise Skipped("the training split holds only one class")
    chosen, sampled = _sample(train, _TREE_ROWS, seed)
    encoder = _TreeEncoder(chosen)
    trees_each = kinds if task == "classification" and kinds > 2 else 1
    rounds = rounds or max(20, min(_TREES, _TREE_BUDGET // trees_each))
    settings = {
        "objective": _objective(task, kinds), "num_class": kinds if trees_each > 1 else 1, "learning_rate": 0.1,
        "num_leaves": _LEAVES, "min_data_in_leaf": max(1, min(20, chosen.rows // 20)), "verbosity": -1, "seed": seed,
        "deterministic": True, "force_row_wise": True, "feature_pre_filter": False, "max_bin": 255,
    }  # fmt: skip
    data = lightgbm.Dataset(
        encoder(chosen), chosen.target, weight=chosen.weight, categorical_feature=encoder.categories,
        params={"verbosity": -1, "feature_pre_filter": False},
    )  # fmt: skip
    callbacks: list[Callable[..., Any]] = []
    watched: list[lightgbm.Dataset] = []
    if validation.rows >= 20:
        watched = [lightgbm.Dataset(encoder(validation), validation.target, weight=validation.weight, reference=data)]
        callbacks = [lightgbm.early_stopping(20, verbose=False)]
    booster = lightgbm.train(settings, data, rounds, valid_sets=watched, callbacks=callbacks)
    best = booster.best_iteration if booster.best_iteration > 0 else rounds

    def predict(split: EvaluationSplit) -> Floats:
        found = np.asarray(booster.predict(encoder(split), num_iteration=best), dtype=np.float64)
        return np.stack([1 - found, found], axis=1) if task == "classification" and kinds == 2 else found

    how = f"{best} rounds of boosted trees on {' + '.join(encoder.parts)}{sampled}"
    return _Fit(predict, how, rounds=best)


def _objective(task: Task, kinds: int) -> str:
    if task == "regression":
        return "regression"
    return "binary" if kinds == 2 else "multiclass"


class _TreeEncoder:
    """Numbers with NaN for missing, category codes, and the most frequent words of each bag; float32 [n, D]."""

    def __init__(self, train: EvaluationSplit) -> None:
        numbers = train.numbers.shape[1] if train.numbers is not None else 0
        width = train.categories.shape[1] if train.categories is not None else 0
        self.categories = list(range(numbers, numbers + width))
        self.parts = ["numbers"] * bool(numbers) + ["categories"] * bool(width) + [SPECTRA] * bool(train.sounds)
        self._words: dict[str, NDArray[np.int64]] = {}
        for name in sorted(train.bags):
            self._words[name] = _frequent(train.bags[name], _BAG_WORDS)
        if self._words:
            self.parts.append(f"the {_BAG_WORDS} most frequent words")

    def __call__(self, split: EvaluationSplit) -> NDArray[np.float32]:
        blocks: list[NDArray[np.float32]] = []
        if split.numbers is not None and split.numbers.shape[1]:
            numbers = np.array(split.numbers, dtype=np.float32)
            for at, flag in split.flags:
                numbers[numbers[:, flag] > 0, at] = np.nan
            blocks.append(numbers)
        if split.categories is not None and split.categories.shape[1]:
            blocks.append(np.asarray(split.categories, dtype=np.float32))
        if split.sounds:
            blocks.append(spectra_of(split).astype(np.float32))
        for name, words in self._words.items():
            blocks.append(np.asarray(split.bags[name][:, words].todense(), dtype=np.float32))
        return np.concatenate(blocks, axis=1)


# ---------------------------------------------------------------- both


def _frequent(bag: Any, most: int) -> NDArray[np.int64]:
    """Columns of the words that the most rows hold, in their own order."""
    rows = np.bincount(bag.indices, minlength=bag.shape[1])
    return np.sort(np.argsort(-rows, kind="stable")[:most])


def _sample(train: EvaluationSplit, most: int, seed: int) -> tuple[EvaluationSplit, str]:
    """At most `most` rows of the training split, drawn evenly, and words that say so."""
    if train.rows <= most:
        return train, ""
    rows = np.sort(np.random.default_rng(seed).choice(train.rows, most, replace=False))
    return take(train, rows), f", fitted on {most} of {train.rows} rows"


def take(split: EvaluationSplit, rows: NDArray[np.int64]) -> EvaluationSplit:
    """The given rows of a split, everything aligned; the split itself for all of them, so that nothing is copied."""
    if len(rows) == split.rows:
        return split
    return EvaluationSplit(
        name=split.name,
        rows=len(rows),
        target=split.target[rows],
        raw={name: values[rows] for name, values in split.raw.items()},
        numbers=None if split.numbers is None else split.numbers[rows],
        categories=None if split.categories is None else split.categories[rows],
        cardinalities=split.cardinalities,
        flags=split.flags,
        bags={name: bag[rows] for name, bag in split.bags.items()},
        images={name: pixels[rows] for name, pixels in split.images.items()},
        sounds={name: levels[rows] for name, levels in split.sounds.items()},
        weight=None if split.weight is None else split.weight[rows],
    )


def joined(first: EvaluationSplit, second: EvaluationSplit) -> EvaluationSplit:
    """The encoded rows of both, these first; raw values are left out."""

    def both(a: NDArray[Any] | None, b: NDArray[Any] | None) -> NDArray[Any] | None:
        return None if a is None or b is None else np.concatenate([a, b])

    return EvaluationSplit(
        name=f"{first.name} and {second.name}",
        rows=first.rows + second.rows,
        target=np.concatenate([first.target, second.target]),
        numbers=both(first.numbers, second.numbers),
        categories=both(first.categories, second.categories),
        cardinalities=first.cardinalities,
        flags=first.flags,
        bags={name: sparse.vstack([bag, second.bags[name]], format="csr") for name, bag in first.bags.items()},
        images={name: np.concatenate([pixels, second.images[name]]) for name, pixels in first.images.items()},
        sounds={name: np.concatenate([levels, second.sounds[name]]) for name, levels in first.sounds.items()},
        weight=both(first.weight, second.weight),
    )


def _spread(probabilities: Floats, seen: NDArray[np.int64], rows: int, kinds: int) -> Floats:
    """Columns of the classes seen in training put back among all K."""
    whole = np.zeros((rows, kinds))
    whole[:, seen] = probabilities
    return whole
