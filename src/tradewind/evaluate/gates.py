"""Gates: what a product file demands of its figures, answered as data.

Not here: failing. The verb reads the results and raises `GateFailed`. How a gate is written: `gate_rules.py`; which figures
there can be: `gate_names.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tradewind.errors import nearest
from tradewind.evaluate.figures import Figure
from tradewind.gate_names import BEATS, named
from tradewind.gate_rules import Rule, parse


@dataclass(frozen=True)
class GateResult:
    """One gate. `value` is the figure on the test split, None where there is none; `says` is a whole sentence."""

    name: str
    rule: str
    value: float | None
    passed: bool
    says: str
    low: float | None = None
    high: float | None = None


def check(
    gates: Mapping[str, str | bool], figures: Mapping[str, Figure], lead: Figure | None, *, task: str, against: str = ""
) -> tuple[GateResult, ...]:
    """Each gate's result, sorted by name. Never raises for a gate that says no.

    `figures` are those of the test split in a report of `task`. `lead` is how far the model is ahead of the best baseline, positive for
    better; `against` names that baseline. `beats_baseline: true` asks for a lead above 0, a comparison for that much.
    """
    unnamed = [name for name in figures if not named(name, task=task)]
    assert not unnamed, f"{unnamed} of {task}: gate_names.py does not know them, and nobody could ask for them"
    known = {**figures, BEATS: lead} if lead is not None else dict(figures)
    return tuple(_one(name, rule, known, against) for name, rule in sorted(gates.items()))


def _one(name: str, written: str | bool, figures: Mapping[str, Figure], against: str) -> GateResult:
    rule, text = parse(written), str(written).lower() if isinstance(written, bool) else written.strip()
    if rule is False:
        return GateResult(name, text, None, True, f"{name} is not asked for.")
    figure = figures.get(name)
    if figure is None:
        if name == BEATS:
            return GateResult(name, text, None, False, "No baseline was fitted, so none was beaten.")
        hint = nearest(name, [*figures, BEATS])
        says = f"The report has no figure called {name}. {hint}".strip()
        return GateResult(name, text, None, False, says)
    if figure.value is None and figure.unsure is not None:
        return GateResult(name, text, None, False, f"{name}: there is not enough data for a verdict: {figure.unsure}.")
    if figure.value is None:
        return GateResult(name, text, None, False, f"{name} is absent: {figure.absent}.")
    if rule is True:
        rule = Rule(">", 0.0)
        if name != BEATS:
            return GateResult(name, text, figure.value, False, f"{name} needs a comparison, as in '>= 0.77'.")
    passed = rule.holds(figure.value)
    if passed and figure.unsure is not None:
        says = f"{name} is {figure.value:.4g}, but there is not enough data for a verdict: {figure.unsure}."
        return GateResult(name, text, figure.value, False, says, figure.low, figure.high)
    verdict = "holds" if passed else "does not hold"
    says = f"{name} is {figure.value:.4g}, so {rule.sign} {rule.bound:g} {verdict}."
    if name == BEATS:
        says = f"The lead over {against} is {figure.value:.4g}, so {rule.sign} {rule.bound:g} {verdict}."
        if figure.low is not None and figure.high is not None and figure.low <= 0 <= figure.high:
            says += f" Its interval {figure.low:.4g} to {figure.high:.4g} holds 0: no clear difference."
    return GateResult(name, text, figure.value, passed, says, figure.low, figure.high)
