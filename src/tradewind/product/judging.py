"""`evaluate` and `explain`: what is measured, which gates must hold, and what stands beside an answer.

Not here: which gates contradict each other (`gate_rules.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from tradewind.gate_rules import contradiction, parse
from tradewind.product.section import Place, Positive, Section, Share, misplaced


def _gate(value: object) -> object:
    parse(value if isinstance(value, (bool, str)) else str(value))
    return value


def _possible(gates: dict[str, str | bool]) -> dict[str, str | bool]:
    found = contradiction(gates)
    if found is not None:
        name, says = found
        raise misplaced(("evaluate", "gates", name), says)
    return gates


Gate = Annotated[str | bool, BeforeValidator(_gate, json_schema_input_type=str | bool)]
Gates = Annotated[dict[str, Gate], AfterValidator(_possible)]


class Costs(Section):
    """What a mistake costs, in one unit: with it, answers become actions (allow, review, refuse)."""

    false_positive: Annotated[float, Field(ge=0)] = Field(description="A negative that is refused")
    false_negative: Annotated[float, Field(ge=0)] | str = Field(
        description="A positive that is allowed: a number, or the column that holds it, such as the amount"
    )
    review: Annotated[float, Field(ge=0)] | None = Field(
        None, description="One look by a person; without it nobody looks"
    )


class Alerts(Section):
    """How many of a day's rows somebody can look at."""

    a_day: Positive
    of: Positive = Field(description="Rows of a usual day")

    @property
    def share(self) -> float:
        return self.a_day / self.of

    @model_validator(mode="after")
    def _fits(self) -> Alerts:
        if self.a_day > self.of:
            raise ValueError(f"a_day is {self.a_day}, but a day has {self.of} rows")
        return self


class Evaluate(Section):
    gates: Gates = Field(
        default_factory=dict,
        description="Figures of the report that must hold, as in roc_auc: '>= 0.77', beats_baseline: true",
    )
    threshold: Literal["auto", "half", "accuracy", "f1", "balanced_accuracy", "specificity", "sensitivity"] | float = (
        Field("auto", description="How the probability from which a row counts as positive is chosen, on validation")
    )
    positive: str | None = Field(
        None, description="The class that counts as positive, of two; the rarer one by default"
    )
    negative: str | None = Field(
        None,
        description="Of more than two classes the one without a finding: sensitivity is that of all others together",
    )
    specificity: Share | None = Field(
        None, description="Report the sensitivity at this specificity, chosen on validation and judged on test"
    )
    sensitivity: Share | None = Field(None, description="Report the specificity at this sensitivity, likewise")
    costs: Costs | None = Field(None, description="Two classes: what mistakes cost; chooses allow, review or refuse")
    alerts: Alerts | None = Field(None, description="Two classes: how many rows a day are looked at")
    calibrate: bool = True
    baselines: bool = True
    bootstrap: Annotated[int, Field(ge=0)] = Field(500, description="Resamples behind each interval")
    slices: list[str] | Literal["auto"] = "auto"
    examine: (
        Literal["auto"]
        | list[
            Literal[
                "fairness",
                "screening",
                "robustness",
                "explanations",
                "uncertainty",
                "membership",
                "intents",
                "retrieval",
                "actions",
                "drift",
            ]
        ]
    ) = Field("auto", description="What is examined beside quality; all that applies by default")
    fairness_least: Positive = Field(
        10, description="Rows that a group must have behind each of its rates before a verdict rests on it"
    )
    fairness_bound: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.1, description="Difference between groups up to which a verdict holds, where no gate says another"
    )
    synonyms: str | None = Field(
        None, description="Robustness: a file with words of like meaning, a group a line; a small lexicon by default"
    )
    coverage: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.9, description="Promise of the sets and intervals that come beside predictions (conformal)"
    )
    tasks: list[str] = Field(
        default_factory=list,
        description="Generation: JSONL files of questions with choices or prompts with an answer, or lm_eval:TASK",
    )
    attacks: str | None = Field(
        None, description="Generation: a JSONL file of attacks in words beside those that Tradewind has"
    )
    shots: Annotated[int, Field(ge=0)] = Field(0, description="Generation: examples in the prompt of each question")
    samples: Annotated[int, Field(ge=0)] = Field(
        16, description="Generation: texts that the model writes for the report"
    )
    sample_tokens: Positive = Field(200, description="Generation: most tokens of such a text")
    most_tokens: Positive = Field(
        1_000_000, description="Generation: tokens of a split that are scored, the first ones"
    )
    at: list[Positive] = Field(
        [5, 10, 20], min_length=1, description="Recommendation: lengths of the list that is judged"
    )
    candidates: Positive = Field(100, description="Recommendation: drawn items beside the right one, sampled protocol")
    most_users: Positive = Field(
        100_000, description="Recommendation: users of a split who are asked about, drawn evenly"
    )
    most_pairs: Positive = Field(
        5_000, description="Translation: pairs of the test split that are translated, from all over it"
    )
    seed: int = 0

    @model_validator(mode="after")
    def _operating_point(self) -> Evaluate:
        if self.threshold in ("specificity", "sensitivity") and getattr(self, str(self.threshold)) is None:
            raise misplaced(
                ("evaluate", "threshold"), f"it is to be set by {self.threshold}, but evaluate.{self.threshold} says none",
                hint=f"Add {self.threshold}: 0.9.",
            )  # fmt: skip
        return self


class Explain(Section):
    """Reasons in words, and what a person could change."""

    reasons: dict[str, str] = Field(
        default_factory=dict, description="Column → the sentence of an adverse-action notice when it counted against"
    )
    favourable: str | bool | float | None = Field(
        None, description="The class, or the value from which on, an answer is the good one for the person asked about"
    )
    may_change: list[str] | Literal["auto"] = Field(
        "auto", description="Columns that a counterfactual may change; all but sensitive ones by default"
    )
    only: dict[str, Literal["up", "down"]] = Field(
        default_factory=dict, description="Columns that may change in one direction alone"
    )
    most: Annotated[int, Field(ge=1, le=32)] = Field(4, description="Reasons of one answer")

    def faults(self, *, sensitive: Collection[str], target: str) -> Iterator[tuple[Place, str]]:
        """What cannot be meant, whatever the data hold: where, and a sentence."""
        moving = [] if self.may_change == "auto" else list(self.may_change)
        for at, name in enumerate(moving):
            if name in sensitive:
                yield ("explain", "may_change", at), f"{name} is sensitive: nobody is told to change it"
            if name == target:
                yield ("explain", "may_change", at), f"{name} is the target, which follows from the others"
            if name in moving[:at]:
                yield ("explain", "may_change", at), f"{name} stands twice"
        for name in self.only:
            if name in sensitive:
                yield ("explain", "only", name), f"{name} is sensitive: nobody is told to change it"
            elif self.may_change != "auto" and name not in moving:
                yield ("explain", "only", name), f"{name} has a direction, but may_change leaves it out"
        for name in self.reasons:
            if name == target:
                yield ("explain", "reasons", name), f"{name} is the target, which is no reason for itself"
            if not self.reasons[name].strip():
                yield ("explain", "reasons", name), f"the sentence for {name} is empty"
