"""The report as one self-contained HTML page: report.json in, words and pictures of one language out.

Not here: any computing. Everything on the page stands in report.json, so the page can be made again from it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import cache
from typing import Any, Literal, TypeAlias

from jinja2 import Template

from tradewind.evaluate import pictures
from tradewind.evaluate.cleaning_words import reason_words, repair_words
from tradewind.evaluate.fairness_page import Fairness
from tradewind.evaluate.metrics import BINARY, REGRESSION
from tradewind.evaluate.page_ground import DASH, CostPage, Json, rule, template
from tradewind.evaluate.slices import MISSING, OTHERS
from tradewind.evaluate.strings import Strings

Draw: TypeAlias = Callable[..., str]

_CLASS_ROWS = 20
_MIXED_UP = 10
_HISTOGRAMS = 40


def render(report: Json, *, language: str, with_pictures: bool = True) -> str:
    """The page as HTML text. It asks for nothing from outside: styles and pictures are inline, fonts the system's.

    Without pictures the words and numbers alone, which is what `verify` compares.
    """
    words = Strings(language)
    page = _Page(report, words, pictures.draw if with_pictures else _no_picture)
    return _template().render(r=report, w=words, p=page, pictures=pictures, language=language)


def without_pictures(html: str) -> str:
    """The page with every SVG element emptied."""
    return re.sub(r"<svg\b.*?</svg>", "<svg></svg>", html, flags=re.DOTALL)


def language_of(html: str) -> Literal["en", "zh"]:
    return "zh" if '<html lang="zh"' in html[:200] else "en"


@cache
def _template() -> Template:
    return template("page.html", fairness=Fairness)


def _no_picture(chart: Any, *, label: str, name: str) -> str:
    return "<svg></svg>"


class _Page(CostPage):
    """What the template asks for: formatted numbers, chosen rows, drawn pictures."""

    def __init__(self, report: Json, words: Strings, draw: Draw) -> None:
        self.report, self.words, self.draw = report, words, draw
        self.classification = report["task"] == "classification"
        self.primary: str = report["primary"]
        self.headline: Json = report["figures"]["test"][self.primary]
        self.failed = [gate for gate in report["gates"] if not gate["passed"]]
        self.names = [name for name in (*BINARY, *REGRESSION) if name in report["figures"]["test"]]

    # ------------------------------------------------------------ numbers

    def number(self, value: float | None, *, signed: bool = False) -> str:
        """Four decimals for classification, five significant digits for values in their own unit."""
        if value is None:
            return DASH
        sign = "+" if signed and value > 0 else ""
        if self.classification:
            text = f"{value:.4f}"
        else:
            places = 4 - math.floor(math.log10(abs(value))) if value else 0
            text = f"{value:,.{min(max(places, 0), 8)}f}"
        return sign + text.replace("-", "−")

    def interval(self, figure: Json, *, signed: bool = False) -> str:
        if figure["low"] is None:
            return ""
        low, high = (self.number(figure[end], signed=signed) for end in ("low", "high"))
        return f"{low} {self.words('to')} {high}"

    def seconds(self, value: float | None) -> str:
        if value is None:
            return DASH
        if value >= 120:
            return f"{value / 60:.1f} min"
        return f"{value:.1f} s" if value >= 1 else f"{value * 1000:.0f} ms" if value >= 0.001 else "< 1 ms"

    def rule(self, gate: Json) -> str:
        return rule(gate)

    def label(self, value: str) -> str:
        """A slice's label; the words that slices.py put into it in the page's language."""
        if self.words.language == "en":
            return value
        value = {MISSING: f"（{self.words('missing')}）", OTHERS: f"（{self.words('others')}）"}.get(value, value)
        return re.sub(r"^(-?[\d.e+-]+) to (-?[\d.e+-]+)$", rf"\1 {self.words('to')} \2", value)

    def name(self, predictor: str) -> str:
        return self.words(predictor)

    # ------------------------------------------------------------ chosen rows

    @property
    def verdict(self) -> tuple[str, str]:
        """Kind (better, worse, unclear, none) and sentence: is it worth it?"""
        lead = self.report["lead"]
        if lead is None or lead["value"] is None:
            return "none", self.words("verdict_none")
        kind = "unclear"
        if lead["low"] is not None and not lead["low"] <= 0 <= lead["high"]:
            kind = "better" if lead["low"] > 0 else "worse"
        if lead["low"] is None:
            kind = "better" if lead["value"] > 0 else "worse"
        # "worse by 0.002 (0.001 to 0.003)": sizes, not signed numbers.
        turn = -1.0 if kind == "worse" else 1.0
        ends = sorted(turn * end for end in (lead["low"], lead["high"]) if end is not None)
        low, high = (self.number(end) for end in ends) if ends else (DASH, DASH)
        values = {
            "name": self.name(self.report["lead_over"]), "gain": self.number(turn * lead["value"]), "low": low,
            "high": high, "figure": self.words.figure(self.primary),
        }  # fmt: skip
        return kind, self.words(f"verdict_{kind}", **values)

    @property
    def predictors(self) -> list[Json]:
        """The model and each baseline with its leading figures, difference and cost."""
        costs = self.report["timings"]["predictors"]
        none = {"train_seconds": None, "predict_microseconds": None}
        own = {
            "name": "model", "figures": self.report["figures"]["test"], "difference": None, "verdict": "",
            "cost": costs.get("model", none), "note": self.report["model"]["name"],
        }  # fmt: skip
        notes = self.report["baseline_notes"]
        others = [
            {
                "name": one["name"], "figures": one["figures"], "difference": one["differences"][self.primary],
                "verdict": one["verdict"], "cost": costs.get(one["name"], none),
                "note": self.words.reason(notes[one["name"]]["how"]),
            }
            for one in self.report["baselines"]
        ]  # fmt: skip
        return [own, *others]

    @property
    def skipped(self) -> list[tuple[str, str]]:
        notes = self.report["baseline_notes"]
        return [(name, self.words.reason(note["skipped"])) for name, note in sorted(notes.items()) if note["skipped"]]

    @property
    def rooms(self) -> list[str]:
        """Rooms of trust that have something to say; each has a template `trust_NAME.html`."""
        return sorted(self.report["trust"])

    @property
    def second(self) -> str:
        """A second figure for the comparison, of another nature than the primary one."""
        if not self.classification:
            return "mae"
        return "f1_macro" if self.primary == "accuracy" else "accuracy"

    @property
    def classes(self) -> list[Json]:
        """All classes, or those with the lowest F1 when there are many."""
        found = list(self.report["by_class"])
        if len(found) <= _CLASS_ROWS:
            return found
        return sorted((one for one in found if one["rows"]), key=lambda one: (one["f1"], one["name"]))[:_CLASS_ROWS]

    @property
    def mixed_up(self) -> list[tuple[str, str, int]]:
        """The most frequent pairs of true and wrongly predicted class, for more than two classes."""
        classes, matrix = self.report["classes"], self.report["confusion"].get("test", [])
        if len(classes) <= 2:
            return []
        pairs = [
            (count, at, to) for at, line in enumerate(matrix) for to, count in enumerate(line) if at != to and count
        ]
        pairs.sort(key=lambda pair: (-pair[0], pair[1], pair[2]))
        return [(classes[at], classes[to], count) for count, at, to in pairs[:_MIXED_UP]]

    @property
    def shown_columns(self) -> list[Json]:
        return [one for one in self.report["data"]["columns"] if one["counts"]][:_HISTOGRAMS]

    @property
    def other_columns(self) -> list[Json]:
        """Columns that no histogram shows: free text, pictures, dropped ones."""
        shown = [one["name"] for one in self.shown_columns]
        return [one for one in self.report["data"]["columns"] if one["name"] not in shown]

    # ------------------------------------------------------------ pictures

    @property
    def charts(self) -> list[dict[str, str]]:
        """Title, SVG and note of each picture that this report has."""
        w, found = self.words, []
        lines = self.report["curves"]
        if lines["roc"]:
            chart = pictures.curves(lines["roc"], x=w("false_positive"), y=w("true_positive"), diagonal=True)
            found.append(self._chart("roc", chart, self._of_figure("roc_auc")))
        if lines["pr"]:
            chart = pictures.curves(lines["pr"], x=w.figure("recall"), y=w.figure("precision"))
            found.append(self._chart("pr", chart, self._of_figure("pr_auc")))
        if lines["scatter"]:
            chart = pictures.scatter(lines["scatter"][0], x=w("true_value"), y=w("predicted_value"))
            found.append(self._chart("scatter", chart, self._of_figure("r2")))
        if self.report["confusion"]:
            chart = pictures.confusion(
                self.report["confusion"]["test"], self.report["classes"], x=w("predicted_class"), y=w("true_class")
            )
            found.append(self._chart("confusion", chart, ""))
        if self.report["calibration"]:
            found.append(self._calibration())
        points = self.report["model"]["curve"]
        if len(points) > 1:
            found.append(self._training(points))
        return found

    def _chart(self, key: str, chart: Any, note: str) -> dict[str, str]:
        title = self.words(key)
        return {"title": title, "svg": self.draw(chart, label=f"{title}. {note}".strip(), name=key), "note": note}

    def _of_figure(self, name: str) -> str:
        figure = self.report["figures"]["test"][name]
        interval = self.interval(figure)
        return f"{self.words.figure(name)} {self.number(figure['value'])}" + (f" ({interval})" if interval else "")

    def _calibration(self) -> dict[str, str]:
        w, found = self.words, self.report["calibration"]
        calibrated = found["temperature"] != 1.0
        both = [(w("before"), found["bins_before"])] if calibrated else []
        lines = [
            {
                "label": label,
                "x": [one["confidence"] for one in bins if one["rows"]],
                "y": [one["frequency"] for one in bins if one["rows"]],
            }
            for label, bins in [(w("after") if calibrated else w("model"), found["bins"]), *both]
        ]
        note = w("uncalibrated_note")
        if calibrated:
            before, after = (self.number(found[when]["test"]["log_loss"]) for when in ("before", "after"))
            note = w("calibration_note", t=f"{found['temperature']:.3g}", b=before, a=after)
        chart = pictures.curves(lines, x=w("stated"), y=w("observed"), diagonal=True, dots=True)
        return self._chart("calibration", chart, note)

    def _training(self, points: list[Json]) -> dict[str, str]:
        w = self.words
        lines = [
            {
                "label": w(f"{side}_line"),
                "x": [one["epoch"] for one in points if one[side] is not None],
                "y": [one[side] for one in points if one[side] is not None],
            }
            for side in ("train", "validation")
        ]
        best = self.report["model"]["best_epoch"]
        chart = pictures.curves([line for line in lines if line["x"]], x=w("epoch"), y=w("loss"), unit=False)
        notes = [] if best is None else [w("best_epoch", n=f"{best:g}")]
        notes += [w("refitted")] if self.report["model"]["refitted"] else []
        return self._chart(
            "training_curve", chart, "" if not notes else (" " if w.language == "en" else "").join(notes)
        )

    @property
    def comparison(self) -> str:
        """Dots with intervals: the primary figure of the model and each baseline that learns."""
        rows = [
            {"name": self.name(one["name"]), **{end: one["figures"][self.primary][end] for end in _ENDS}}
            for one in self.predictors
            if one["figures"][self.primary]["value"] is not None and one["name"] not in ("majority", "mean")
        ]
        rows = [row if row["low"] is not None else {**row, "low": row["value"], "high": row["value"]} for row in rows]
        if len(rows) < 2:
            return ""
        label = self.words.figure(self.primary)
        return self.draw(pictures.whiskers(rows, x=label), label=f"{self.words('worth')} {label}", name="whiskers")

    def repair(self, rule: str) -> str:
        """What a cleaning rule, or the code of a rejection, says to a reader."""
        return repair_words(rule, chinese=self.words.language == "zh")

    def rejection(self, reason: str) -> str:
        return reason_words(reason, chinese=self.words.language == "zh")

    def histogram(self, column: Json, at: int) -> str:
        label = f"{column['name']}: {self.words(column['kind'])}"
        return self.draw(pictures.histogram(column), label=label, name=f"h{at}")


_ENDS = ("value", "low", "high")
