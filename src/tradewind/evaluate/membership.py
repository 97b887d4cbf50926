"""Room of trust: can an outsider tell from the released model's answers which rows it was trained on?

Not here: training that bounds this from the start (`train/privacy.py`), or whether rows are repeated word for word
(`repetition.py`, for language models).

Two attackers, neither of whom needs models of his own: one who takes a small loss for membership (Yeom et al. 2018), and one
who compares the confidence in the true class with that of rows of the same class which were not learnt from, the offline
attack of Carlini et al. (LiRA, 2022) with validation rows in place of shadow models. Members are training rows, others are
test rows: where the two come from different sources, that difference is told apart too.

Legend: m members, n others, r rows to compare with, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tradewind.evaluate.figures import Figure, rounded
from tradewind.evaluate.intervals import area_above, exact_share
from tradewind.evaluate.trust import Context, Examined, Part, TrustPart, Witness

Floats: TypeAlias = NDArray[np.float64]

NAME = "membership"
LOUD_AUC, LOUD_TPR = 0.55, 0.02  # twice the 1 % that guessing finds
_WITNESS = "trust/membership.npz"
_SPLITS = ("train", "validation", "test")
_RATES = (0.001, 0.01)
_ALIKE = 20  # rows of a class, or of a bin of values, from which its own confidence can be told
_BINS = 10
_WIDE = 0.1  # an interval of the area beyond which nothing is said
_FLOOR = 1e-9
_POINTS = 80


def measure(examined: Examined) -> Witness | None:
    """Of each split the true class with its probability, or value and prediction; the budget of private training. None
    without training or test rows."""
    if not len(examined.train) or not len(examined.test):
        return None
    found: dict[str, NDArray[Any]] = {}
    for name, part in zip(_SPLITS, (examined.train, examined.validation, examined.test), strict=True):
        found[f"{name}_target"], found[f"{name}_said"] = part.target, _said(part)
    budget = examined.training.get("privacy")
    if budget:
        found["budget"] = np.array([budget["epsilon"], budget["delta"]])
    return found


def _said(part: Part) -> NDArray[Any]:
    """The probability of the true class, or the predicted value."""
    if part.outputs.probabilities is not None:
        chosen: NDArray[Any] = part.outputs.probabilities[np.arange(len(part)), part.target]
        return chosen
    assert part.outputs.values is not None
    return part.outputs.values


def summarise(witness: Witness, context: Context) -> TrustPart:
    """The area under both attackers' curves, what the stronger one finds at few false alarms, and what that means."""
    scores = _of_classes(witness) if context.task == "classification" else _of_values(witness)
    attacks = {name: Attack.of(members, others) for name, (members, others) in scores.items()}
    worst = max(attacks, key=lambda name: attacks[name].auc[0])
    members, others = len(witness["train_target"]), len(witness["test_target"])
    section: dict[str, Any] = {
        "members": members,
        "others": others,
        "worst": worst,
        "verdict": attacks[worst].verdict,
        "attacks": {name: attack.to_json() for name, attack in attacks.items()},
        "private": None,
    }
    figures = _figures(attacks[worst], worst, members + others)
    if "budget" in witness:
        epsilon, delta = (float(one) for one in witness["budget"])
        bound = min(1.0, float(np.exp(min(epsilon, 50.0))) * _RATES[1] + delta)
        section["private"] = {"epsilon": rounded(epsilon), "delta": rounded(delta), "bound": rounded(bound)}
        how = f"Rényi accounting of the noisy steps at delta {delta:.3g}"
        figures["epsilon"] = Figure(rounded(epsilon), how, "train", members, _WITNESS)
    return TrustPart(section, figures)


# ---------------------------------------------------------------- how much a row looks learnt from


def _of_classes(witness: Witness) -> dict[str, tuple[Floats, Floats]]:
    member_m, other_n, held_r = (_logit(witness[f"{name}_said"]) for name in ("train", "test", "validation"))
    kinds_m, kinds_n, kinds_r = (witness[f"{name}_target"] for name in ("train", "test", "validation"))
    centre, spread = _alike(held_r, kinds_r, int(max(kinds_m.max(), kinds_n.max())) + 1)
    return {
        "loss": (member_m, other_n),
        "compared": ((member_m - centre[kinds_m]) / spread[kinds_m], (other_n - centre[kinds_n]) / spread[kinds_n]),
    }


def _of_values(witness: Witness) -> dict[str, tuple[Floats, Floats]]:
    """The smaller the error, the more it looks learnt from; compared with rows of a like predicted value."""
    error = {name: np.log(np.abs(witness[f"{name}_target"] - witness[f"{name}_said"]) + _FLOOR) for name in _SPLITS}
    said = {name: witness[f"{name}_said"] for name in _SPLITS}
    edges = np.quantile(said["validation"], np.arange(1, _BINS) / _BINS) if len(said["validation"]) else np.zeros(0)
    place = {name: np.searchsorted(edges, said[name], side="right") for name in _SPLITS}
    centre, spread = _alike(-error["validation"], place["validation"], _BINS)
    found = {name: (-error[name] - centre[place[name]]) / spread[place[name]] for name in ("train", "test")}
    return {"loss": (-error["train"], -error["test"]), "compared": (found["train"], found["test"])}


def _logit(p_n: Floats) -> Floats:
    p_n = np.clip(p_n, _FLOOR, 1 - _FLOOR)
    found: Floats = np.log(p_n) - np.log1p(-p_n)
    return found


def _alike(held_r: Floats, place_r: NDArray[np.int64], places: int) -> tuple[Floats, Floats]:
    """Mean and spread of the rows that were not learnt from, by class or bin; of all where it has too few."""
    centre, spread = np.zeros(places), np.ones(places)
    if len(held_r) < 2:
        return centre, spread
    centre[:], spread[:] = held_r.mean(), max(float(held_r.std()), _FLOOR)
    for at in range(places):
        own = held_r[place_r == at]
        if len(own) >= _ALIKE:
            centre[at], spread[at] = own.mean(), max(float(own.std()), _FLOOR)
    return centre, spread


# ---------------------------------------------------------------- what an attacker finds


@dataclass(frozen=True)
class Attack:
    """Figures of one attacker as (value, low, high) at 95 %. `tpr` is None where too few others are there for so few
    false alarms. `curve` is false against true positive rate."""

    auc: tuple[float, float, float]
    advantage: tuple[float, float, float]
    tpr: Mapping[float, tuple[float, float, float] | None]
    curve: tuple[tuple[float, ...], tuple[float, ...]]

    @classmethod
    def of(cls, member_m: Floats, other_n: Floats) -> Attack:
        return cls(
            area_above(member_m, other_n), _advantage(member_m, other_n),
            {rate: _found(member_m, other_n, rate) for rate in _RATES}, _curve(member_m, other_n),
        )  # fmt: skip

    @property
    def verdict(self) -> str:
        """loud: surely better than guessing by more than a little; quiet: surely not; unclear: too few rows to say."""
        few = self.tpr[_RATES[1]]
        if self.auc[1] > LOUD_AUC or (few is not None and few[1] > LOUD_TPR):
            return "loud"
        return "quiet" if self.auc[2] <= LOUD_AUC and self.auc[2] - self.auc[1] <= _WIDE else "unclear"

    def to_json(self) -> dict[str, Any]:
        return {
            "auc": _ends(self.auc),
            "advantage": _ends(self.advantage),
            "tpr": [{"rate": rate, **_ends(found)} for rate, found in self.tpr.items()],
            "curve": {"x": self.curve[0], "y": self.curve[1]},
        }


def _ends(found: tuple[float, float, float] | None) -> dict[str, float | None]:
    value, low, high = (None, None, None) if found is None else (rounded(one) for one in found)
    return {"value": value, "low": low, "high": high}


def _advantage(member_m: Floats, other_n: Floats) -> tuple[float, float, float]:
    """True minus false positive rate at the bound that is best on every other row, measured on the rest: chosen and
    measured on the same rows it would look larger than it is."""
    bounds = np.unique(np.r_[member_m[::2], other_n[::2]])
    best = bounds[np.argmax(_above(member_m[::2], bounds) - _above(other_n[::2], bounds))]
    ours, theirs = (member_m[1::2], other_n[1::2]) if min(len(member_m), len(other_n)) > 1 else (member_m, other_n)
    true, false = float((ours >= best).mean()), float((theirs >= best).mean())
    reach = 1.96 * (true * (1 - true) / len(ours) + false * (1 - false) / len(theirs)) ** 0.5
    return true - false, max(-1.0, true - false - reach), min(1.0, true - false + reach)


def _above(scores: Floats, bounds: Floats) -> Floats:
    found: Floats = 1 - np.searchsorted(np.sort(scores), bounds, side="left") / len(scores)
    return found


def _found(member_m: Floats, other_n: Floats, rate: float) -> tuple[float, float, float] | None:
    """The share of members above a bound that at most the share `rate` of the others is above."""
    allowed = int(rate * len(other_n) + 1e-9)
    if not allowed:
        return None
    bound = np.sort(other_n)[-allowed - 1]
    hits = int((member_m > bound).sum())
    return (hits / len(member_m), *exact_share(hits, len(member_m)))


def _curve(member_m: Floats, other_n: Floats) -> tuple[tuple[float, ...], tuple[float, ...]]:
    bounds = np.quantile(np.r_[member_m, other_n], np.linspace(1, 0, _POINTS))
    x, y = (np.r_[0.0, _above(scores, bounds)] for scores in (other_n, member_m))
    return (
        tuple(rounded(float(one), 6) or 0.0 for one in x),
        tuple(rounded(float(one), 6) or 0.0 for one in y),
    )


def _figures(attack: Attack, name: str, rows: int) -> dict[str, Figure]:
    which = {"loss": "by loss", "compared": "by confidence compared with like rows"}[name]

    def figure(found: tuple[float, float, float] | None, how: str) -> Figure:
        how = f"{how}, the stronger of two attackers ({which})"
        if found is None:
            return Figure(
                None, how, "test", rows, _WITNESS, absent="the test split has too few rows for so few false alarms"
            )
        value, low, high = (rounded(one) for one in found)
        return Figure(value, how, "test", rows, _WITNESS, low, high)

    return {
        "membership_auc": figure(attack.auc, "chance that a training row looks more learnt from than a test row"),
        "membership_advantage": figure(attack.advantage, "true minus false positive rate at the best bound"),
        "membership_tpr": figure(attack.tpr[_RATES[1]], "share of training rows found with 1 % of false alarms"),
    }
