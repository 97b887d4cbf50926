"""The fairness part of the page: chosen rows and drawn pictures, from `trust.fairness` of report.json. Computes no figure.

Not here: the template (`trust_fairness.html`), its words (`fairness_words.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from tradewind.evaluate import pictures
from tradewind.evaluate.strings import Strings
from tradewind.gate_rules import TOGETHER

Json: TypeAlias = Mapping[str, Any]

_DRAWN = ("selection_rate", "true_positive_rate", "false_positive_rate", "precision")
_SHOWN = (*_DRAWN, "base_rate", "calibration_bias", "ece")
_ALL = ("accuracy", "calibration_bias", "ece")  # of a group, where classes are many
_ERRORS = ("mae", "rmse", "bias")
_ERRORS_SHOWN = (*_ERRORS, "mean_predicted", "mean_true")
_LEADING = ("demographic_parity_difference", "equalized_odds_difference", "predictive_parity_difference")
_LEADING_ERRORS = ("mae_difference", "bias_difference")
_MOST_DRAWN = 12  # groups
PILLS = {"holds": "good", "violated": "bad", "not enough data": "mid"}


class Pen(Protocol):
    """What the page lends: its way to write numbers and to draw."""

    def number(self, value: float | None, *, signed: bool = False) -> str: ...
    def label(self, value: str) -> str: ...
    @property
    def draw(self) -> Any: ...


@dataclass(frozen=True)
class Part:
    """One column, or several together: `charts` are title, SVG and note; `leading` differences stand in the overview."""

    name: str
    rates: tuple[str, ...]
    groups: Sequence[Json]
    differences: Sequence[Json]
    leading: Sequence[Json]
    charts: Sequence[Mapping[str, str]]


class Fairness:
    """What the template asks for."""

    def __init__(self, report: Json, words: Strings, pen: Pen) -> None:
        self.report, self.words, self.pen = report, words, pen
        self.section: Json = report["trust"]["fairness"]
        self.regression = report["task"] == "regression"
        self.leading = _LEADING_ERRORS if self.regression else _LEADING

    @property
    def columns(self) -> list[Part]:
        return [self._part(one, f"fair{at}") for at, one in enumerate(self.section["columns"])]

    @property
    def intersections(self) -> list[Part]:
        return [self._part(one, "") for one in self.section["intersections"]]

    def group(self, name: str) -> str:
        """A group's name to read; those of an intersection part by part."""
        return f" {TOGETHER} ".join(self.pen.label(part) for part in name.split(f" {TOGETHER} "))

    def ends(self, difference: Json) -> str:
        """'Female 0.0812, Male 0.2613', with the class where there are several."""
        found = ", ".join(f"{self.group(end['group'])} {self.pen.number(end['value'])}" for end in difference["ends"])
        if difference["of"] is None:
            return found
        return f"{found} ({self.words('fair_class_of', name=difference['of'])})"

    def pill(self, difference: Json) -> str:
        return PILLS[difference["verdict"]]

    def rule(self, difference: Json) -> str:
        return f"{'≥' if difference['name'].endswith('_ratio') else '≤'} {self.pen.number(difference['bound'])}"

    def _part(self, column: Json, place: str) -> Part:
        groups = column["groups"]
        known = groups[0]["rates"]
        rates = tuple(
            name for name in (_ERRORS_SHOWN if self.regression else dict.fromkeys((*_SHOWN, *_ALL))) if name in known
        )
        differences = column["differences"]
        charts = self._charts(groups, rates, place) if place and 1 < len(groups) <= _MOST_DRAWN else []
        return Part(
            column["column"],
            rates,
            groups,
            differences,
            [one for one in differences if one["name"] in self.leading],
            charts,
        )

    def _charts(self, groups: Sequence[Json], rates: Sequence[str], place: str) -> list[dict[str, str]]:
        drawn = [name for name in (_ERRORS if self.regression else (*_DRAWN, "accuracy")) if name in rates]
        if len(rates) > len(_ALL) and not self.regression:
            drawn.remove("accuracy")
        charts = []
        for name in drawn:
            rows = [
                {"name": self.group(one["group"]), **one["rates"][name]}
                for one in groups if one["rates"][name]["value"] is not None
            ]  # fmt: skip
            if rows:
                title = self.words.figure(name)
                chart = pictures.groups([_with_ends(row) for row in rows], x=title)
                grey = any(not row["enough"] for row in rows)
                note = self.words("fair_grey") if grey else ""
                charts.append(self._chart(title, chart, note, f"{place}{name}"))
        lines = self._calibration(groups)
        if lines:
            chart = pictures.curves(lines, x=self.words("stated"), y=self.words("observed"), diagonal=True, dots=True)
            note = self.words("fair_bands", least=self.section["least"])
            charts.append(self._chart(self.words("fair_calibration"), chart, note, f"{place}calibration"))
        return charts

    def _calibration(self, groups: Sequence[Json]) -> list[Json]:
        """A line for each of the largest groups, through the bands of probability that hold enough rows."""
        lines: list[Json] = []
        for one in sorted(groups, key=lambda one: -one["rows"]):
            bands = [band for band in one.get("calibration", ()) if band["rows"] >= self.section["least"]]
            if len(bands) > 1 and len(lines) < len(pictures.SERIES):
                x, y = ([band[key] for band in bands] for key in ("said", "found"))
                lines.append({"label": self.group(one["group"]), "x": x, "y": y})
        return lines

    def _chart(self, title: str, chart: Any, note: str, name: str) -> dict[str, str]:
        return {"title": title, "svg": self.pen.draw(chart, label=f"{title}. {note}".strip(), name=name), "note": note}

    # ------------------------------------------------------------ the frontier of training

    @property
    def training(self) -> Json | None:
        """What training tried, each try marked whether it was chosen, with its picture and a note."""
        found: Json | None = self.section["training"]
        if not found or not found["frontier"]:
            return None
        w, chosen = self.words, found.get("chosen")
        tries = [{**one, "chosen": at == chosen} for at, one in enumerate(found["frontier"])]
        quality = w.figure(tries[0]["quality_name"])
        chart = pictures.frontier(tries, x=w("fair_gap"), y=quality, bound=found["gap_goal"])
        note = w(
            "fair_frontier_note", by=w(found["by"]), goal=w(found["goal"]), columns=self.list(found["columns"]),
            bound=self.pen.number(found["gap_goal"]),
        )  # fmt: skip
        picture = self._chart(w("fair_frontier"), chart, note, "frontier")
        return {
            **picture,
            "tries": tries,
            "quality": quality,
            "on_test": self._on_test(found, tries[0]["quality_name"]),
        }

    def _on_test(self, found: Json, name: str) -> str:
        quality, gap = (
            self.report["figures"]["test"].get(name),
            self.report["further"].get(f"{found['goal']}_difference"),
        )
        if quality is None or gap is None:
            return ""
        return self.words(
            "fair_on_test", quality_name=self.words.figure(name), quality=self.pen.number(quality["value"]),
            gap=self.pen.number(gap["value"]),
        )  # fmt: skip

    def list(self, names: Sequence[str]) -> str:
        return ("、" if self.words.language == "zh" else ", ").join(names)


def _with_ends(row: Json) -> Json:
    return row if row["low"] is not None else {**row, "low": row["value"], "high": row["value"]}
