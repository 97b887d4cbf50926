"""How strong fairness is to be: each strength of a ladder is tried and measured, and one is chosen. A person may choose another.

Not here: the ways to it (`fairness.py`, `reweighing.py`, `shifts.py`), the training itself (`run.py`), the figures of the test split, which no
choice sees.

Legend: R rows of the training split and behind them those of validation, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from tradewind.data.dataset import Dataset, Split
from tradewind.errors import ModelError
from tradewind.evaluate.calibration import apply_temperature, fit_temperature, logs
from tradewind.evaluate.slices import MISSING, OTHERS
from tradewind.evaluate.thresholds import RARE, choose, decide, positive_class
from tradewind.features.category import keys_of
from tradewind.features.target import ClassTarget, NumberTarget
from tradewind.product import Evaluate, Product
from tradewind.train.fairness import Adversary, FairTask, Penalty
from tradewind.train.groups import Floats, Gap, Goal, Groups, decision_gap, value_gap
from tradewind.train.reweighing import fair_weights
from tradewind.train.shifts import equalise, shift_of_codes
from tradewind.train.tasks import SupervisedTask, classification_figures, regression_figures

By: TypeAlias = Literal["reweighing", "penalty", "adversarial", "thresholds"]

# What each way is tried with, from plain training on; LAB.md has the figures of the penalty and of thresholds.
LADDERS: dict[By, tuple[float, ...]] = {
    "penalty": (0.0, 0.5, 1.0, 2.0, 4.0),
    "adversarial": (0.0, 0.03, 0.1, 0.3, 1.0),
    "reweighing": (0.0, 0.5, 1.0),
    "thresholds": (0.0, 3.0, 10.0, 30.0, 100.0),
}
_MARGIN = 0.9  # of the gap asked for: new rows will show a little more than those that chose


@dataclass(frozen=True)
class Point:
    """One strength with what it gave. `quality` is on validation, of what it decides; `gap` on the rows of `split`."""

    strength: float
    split: str
    quality: float
    quality_name: str
    gap: float
    gap_seen: float
    column: str
    of: str
    how: str
    shifts: dict[str, dict[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Fairness:
    """What is asked for, over the groups of training and validation rows together."""

    goal: Goal
    by: By
    gap: float
    strengths: tuple[float, ...]
    groups: Groups
    train: Split
    held: Split
    classes: tuple[str, ...]
    unit: tuple[float, float]  # mean and scale of a value
    settings: Evaluate
    seed: int

    @classmethod
    def of(cls, product: Product, dataset: Dataset) -> Fairness | None:
        """None where the resolved product asks for none. Raises ModelError where it cannot be had."""
        settings, target = product.train, dataset.features.target
        if settings.fairness == "none":
            return None
        assert settings.fairness_by != "auto"
        classes = target.classes if isinstance(target, ClassTarget) else ()
        _check(product, classes)
        strength = settings.fairness_strength
        train, held = dataset.split("train"), dataset.split("validation")
        groups = Groups.of([train, held], product.data.sensitive)
        if settings.fairness_by == "thresholds":
            _check_words(groups, [train, held])
        return cls(
            goal=settings.fairness, by=settings.fairness_by, gap=settings.fairness_gap,
            strengths=LADDERS[settings.fairness_by] if strength == "auto" else (float(strength),),
            groups=groups, train=train, held=held, classes=classes,
            unit=(target.mean, target.scale) if isinstance(target, NumberTarget) else (0.0, 1.0), settings=product.evaluate, seed=settings.seed,
        )  # fmt: skip

    @property
    def rungs(self) -> tuple[float, ...]:
        """The strengths that are trained; thresholds come after one plain training."""
        return (0.0,) if self.by == "thresholds" else self.strengths

    @cached_property
    def asked(self) -> tuple[int, ...]:
        """Classes whose rates are to be alike: the positive one of two, else each."""
        return tuple(range(len(self.classes))) if self._positive is None else (self._positive,)

    @cached_property
    def _positive(self) -> int | None:
        known = np.asarray(self.train.target)
        return positive_class(known[known >= 0], self.classes, self.settings.positive) if self.classes else None

    @cached_property
    def _cut(self) -> float:
        """About where the threshold will lie: at one half for accuracy, lower where the class is sought for its own sake."""
        rule = self.settings.threshold
        if isinstance(rule, float):
            return min(max(rule, 0.01), 0.99)
        target = np.asarray(self.train.target)
        share = float((target[target >= 0] == self._positive).mean()) if self._positive is not None else 0.5
        if rule == "balanced_accuracy":
            return min(max(share, 0.01), 0.99)
        return (share + 0.5) / 2 if rule == "f1" or (rule == "auto" and share < RARE) else 0.5

    # ---------------------------------------------------------------- training

    def weighted(self, split: Split, strength: float) -> Split:
        """The rows with the weights that they learn with. `split` is train, or train and validation."""
        if self.by != "reweighing" or strength == 0:
            return split
        weight = fair_weights(self._of(split), np.asarray(split.target), weight_R=split.weight, strength=strength)
        return replace(split, weight=weight)

    def task(self, plain: SupervisedTask, split: Split, strength: float) -> SupervisedTask:
        """The task with what makes it fair; with strength 0 the plain one itself."""
        if self.by not in ("penalty", "adversarial") or strength == 0:
            return plain
        groups, target, device = self._of(split), np.asarray(split.target), plain.device
        term: Penalty | Adversary
        if self.by == "penalty":
            term = Penalty(groups, self.goal, target, asked=self.asked, device=device, cut=self._cut)
        else:
            kinds = len(self.classes)
            term = Adversary(
                groups, self.goal, inputs=max(kinds, 1), classes=kinds, seed=self.seed, device=device
            )  # fmt: skip
        codes_RC = torch.from_numpy(groups.codes_RC)
        given = {one.name: getattr(plain, one.name) for one in fields(SupervisedTask)}
        return FairTask(**given, term=term, strength=strength, codes_RC=codes_RC)

    def _of(self, split: Split) -> Groups:
        return self.groups.part(0, split.rows)

    # ---------------------------------------------------------------- measuring

    def points(self, strength: float, train: NDArray[Any], held: NDArray[Any]) -> list[Point]:
        """What a model gives that said `train` and `held` of the rows: probabilities [·, K], or values in the target's unit.

        One point, but for thresholds, which are found here: one a strength.
        """
        target_R = np.concatenate([self.train.target, self.held.target])
        outputs = np.concatenate([train, held]).astype(np.float64)
        if not self.classes:
            return [self._of_values(strength, outputs, target_R.astype(np.float64))]
        decision = _Decision.of(outputs[self.train.rows :], self.held, self._positive, self.settings)
        if self.by != "thresholds":
            return [self._of_classes(strength, outputs, target_R, decision, {})]
        assert self._positive is not None
        margin_R = decision.margins(outputs)
        known = target_R >= 0
        groups = replace(self.groups, codes_RC=self.groups.codes_RC[known])
        weight_R = None if self._weight_R is None else self._weight_R[known]
        return [
            self._of_classes(one, outputs, target_R, decision, equalise(
                groups, margin_R[known], target_R[known] == self._positive, goal=self.goal, strength=one, weight_R=weight_R,
            ))
            for one in self.strengths
        ]  # fmt: skip

    @cached_property
    def _weight_R(self) -> Floats | None:
        if self.train.weight is None or self.held.weight is None:
            return None
        return np.concatenate([self.train.weight, self.held.weight]).astype(np.float64)

    def _of_classes(
        self, strength: float, outputs: Floats, target_R: NDArray[Any], decision: _Decision,
        shifts: dict[str, dict[str, float]],
    ) -> Point:  # fmt: skip
        decided_R = decision(outputs, shift_of_codes(self.groups, shifts) if shifts else None)
        gap = decision_gap(
            self.groups, decided_R, target_R, goal=self.goal, asked=self.asked, least=self.settings.fairness_least,
            weight_R=self._weight_R,
        )  # fmt: skip
        start = self.train.rows if self.held.rows else 0
        figures = classification_figures(
            np.log(np.clip(outputs[start:], 1e-12, None)), target_R[start:], np.ones(len(target_R) - start)
        )
        name = "accuracy" if self.by == "thresholds" or "roc_auc" not in figures else "roc_auc"
        quality = figures.get("roc_auc", 0.0)
        if name == "accuracy":  # of what is decided, by the threshold too
            known = target_R[start:] >= 0
            quality = float((decided_R[start:] == target_R[start:])[known].mean()) if known.any() else 0.0
        return self._point(strength, quality, name, gap, shifts)

    def _of_values(self, strength: float, value_R: Floats, target_R: Floats) -> Point:
        """Gaps in standard deviations of the target, so that one goal suits every unit."""
        mean, scale = self.unit
        z_R = (value_R - mean) / scale
        gap = value_gap(
            self.groups, z_R, target_R, goal=self.goal, least=self.settings.fairness_least, weight_R=self._weight_R
        )
        start = self.train.rows if self.held.rows else 0
        figures = regression_figures(z_R[start:], target_R[start:], np.ones(len(z_R) - start), scale=scale)
        return self._point(strength, figures.get("rmse", 0.0), "rmse", gap, {})

    def _point(
        self, strength: float, quality: float, name: str, gap: Gap, shifts: dict[str, dict[str, float]]
    ) -> Point:
        split = "train and validation" if self.held.rows else "train"
        unit = " in standard deviations of the target" if not self.classes else ""
        how = (
            f"{name} on {'validation' if self.held.rows else 'train'}; largest difference of {gap.of or 'rates'} between groups"
            f"{' of ' + gap.column if gap.column else ''} on {split}{unit}, rates of few rows drawn towards that of all"
        )
        return Point(
            strength, split, round(quality, 6), name, round(gap.value, 6), round(gap.seen, 6), gap.column, gap.of, how, shifts
        )  # fmt: skip

    def enough(self, points: Sequence[Point]) -> bool:
        """Whether a stronger rung would only lose quality: the last one's gap is small enough with some room."""
        return points[-1].gap <= _MARGIN * self.gap

    def chosen(self, points: Sequence[Point]) -> int:
        """The plain model where its gap is small enough. Else the best point whose gap is small enough with some room, or just
        small enough; else that with the smallest gap."""
        for bound in (_MARGIN * self.gap, self.gap):
            within = [at for at, point in enumerate(points) if point.gap <= bound]
            if within and points[within[0]].strength == 0:
                return within[0]
            if within:
                return max(within, key=lambda at: (points[at].quality * (1 if self.classes else -1), -at))
        return min(range(len(points)), key=lambda at: points[at].gap)

    def summary(self, points: Sequence[Point]) -> dict[str, Any]:
        """What a run keeps."""
        at = self.chosen(points)
        return {
            "goal": self.goal, "by": self.by, "gap_goal": self.gap, "columns": list(self.groups.columns), "chosen": at,
            "reached": points[at].gap <= self.gap, "shifts": points[at].shifts if points[at].strength else {},
            "frontier": [{key: value for key, value in asdict(point).items() if key != "shifts"} for point in points],
        }  # fmt: skip


@dataclass(frozen=True)
class _Decision:
    """How a release will decide: at the temperature and the common threshold that evaluation finds on the same rows."""

    positive: int | None
    temperature: float
    threshold: float

    @classmethod
    def of(cls, held_RK: Floats, held: Split, positive: int | None, settings: Evaluate) -> _Decision:
        target_R = np.asarray(held.target)
        known = target_R >= 0
        if not known.any():
            return cls(positive, 1.0, 0.5)
        target_R, held_RK = target_R[known], held_RK[known]
        weight_R = None if held.weight is None else np.asarray(held.weight, dtype=np.float64)[known]
        temperature = fit_temperature(target_R, held_RK, weight_N=weight_R) if settings.calibrate else 1.0
        if positive is None:
            return cls(None, temperature, 0.5)
        scores = apply_temperature(held_RK, temperature)[:, positive]
        weights = np.ones(len(target_R)) if weight_R is None else weight_R
        return cls(positive, temperature, choose(settings.threshold, scores, target_R == positive, weights).value)

    def margins(self, outputs_RK: Floats) -> Floats:
        """Log-odds of the positive class above the threshold, before calibration [R]."""
        assert self.positive is not None
        z = logs(outputs_RK)
        cut = np.clip(self.threshold, 1e-12, 1 - 1e-12)
        return np.asarray(z[:, self.positive] - z[:, 1 - self.positive] - self.temperature * np.log(cut / (1 - cut)))

    def __call__(self, outputs_RK: Floats, shift_R: Floats | None) -> NDArray[np.int64]:
        if shift_R is None:
            return decide(apply_temperature(outputs_RK, self.temperature), self.positive, self.threshold)
        assert self.positive is not None
        return np.where(self.margins(outputs_RK) >= shift_R, self.positive, 1 - self.positive).astype(np.int64)


def _check(product: Product, classes: tuple[str, ...]) -> None:
    """Raises ModelError for a way that does not suit what is predicted, how rows are varied, or what else weighs them."""
    by, mixup = product.train.fairness_by, product.data.augment.mixup
    if product.train.privacy is not None:
        raise _unsuited(
            "Every training and every comparison of groups would spend the budget of train.privacy again.",
            "Leave out train.privacy or train.fairness.",
        )
    if by == "thresholds" and len(classes) != 2:
        found = f"there are {len(classes)}" if classes else "a value is predicted"
        raise _unsuited(f"Thresholds for groups decide between two classes, but {found}.", "Use fairness_by: penalty.")
    if by == "reweighing" and not classes:
        raise _unsuited("Reweighing is of groups and classes, but a value is predicted.", "Use fairness_by: penalty.")
    if by in ("penalty", "adversarial") and isinstance(mixup, float) and mixup > 0:
        raise _unsuited(
            "Mixup blends rows of different groups, which then belong to none.", "Set data.augment.mixup: 0."
        )
    if by != "thresholds" and product.train.robustness == "group_dro":
        raise _unsuited("group_dro and train.fairness both say how much a group counts.", "Leave one of them out.")


def _check_words(groups: Groups, splits: Sequence[Split]) -> None:
    """Raises ModelError where groups are no words of their column but bands of its numbers: an answer knows words alone."""
    for column, names in zip(groups.columns, groups.names, strict=True):
        words = {word for split in splits for word in keys_of(split.raw_column(column))}
        bands = [name for name in names if name not in words and name not in (MISSING, OTHERS)]
        if bands:
            raise _unsuited(
                f"Thresholds are found for words, but {column} holds many numbers, which are compared in bands such as {bands[0]}.",
                f"Add a column with a word for each band to the data and name it in data.sensitive in place of {column}, or use "
                "fairness_by: penalty.",
            )  # fmt: skip


def _unsuited(message: str, hint: str) -> ModelError:
    return ModelError(message, code="fairness_unsuited", where="train.fairness_by", hint=hint)
