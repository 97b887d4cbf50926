"""The report of a recommender as one self-contained HTML page: report.json in, words and pictures out.

Not here: any computing, and what it shares with other reports: words (`strings.py`), pictures, the style (`page.css`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from tradewind.evaluate import pictures
from tradewind.evaluate.ranking import BY_USER, OF_LISTS, SAMPLED
from tradewind.evaluate.recommendation_words import RecommendationStrings

Json: TypeAlias = Mapping[str, Any]

_DASH = "–"
_ENDS = ("value", "low", "high")


def render(report: Json, *, language: str, with_pictures: bool = True) -> str:
    """The page as HTML text, self-contained. Without pictures the words and numbers alone, for `verify`."""
    words = RecommendationStrings(language)
    page = _Page(report, words, pictures.draw if with_pictures else lambda chart, *, label, name: "<svg></svg>")
    return _template().render(r=report, w=words, p=page, language=language)


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("recommendation_page.html")


class _Page:
    """What the template asks for: formatted numbers, chosen rows, drawn pictures."""

    def __init__(self, report: Json, words: RecommendationStrings, draw: Callable[..., str]) -> None:
        self.report, self.words, self._draw = report, words, draw
        self.primary: str = report["primary"]
        self.headline: Json = report["figures"]["test"][self.primary]
        self.failed = [gate for gate in report["gates"] if not gate["passed"]]
        self.at: list[int] = sorted(set(report["settings"]["at"]))
        self.k = int(self.primary.partition("@")[2])
        self.by_user, self.of_lists = BY_USER, OF_LISTS

    # ------------------------------------------------------------ numbers

    def number(self, value: float | None, *, signed: bool = False) -> str:
        if value is None:
            return _DASH
        text = f"{value:.2f}" if abs(value) >= 10 else f"{value:.4f}"
        return ("+" if signed and value > 0 else "") + text.replace("-", "−")

    def interval(self, figure: Json, *, signed: bool = False) -> str:
        if figure["low"] is None:
            return ""
        low, high = (self.number(figure[end], signed=signed) for end in ("low", "high"))
        return f"{low} {self.words('to')} {high}"

    def count(self, value: float | None) -> str:
        return _DASH if value is None else f"{value:,.0f}"

    def rule(self, gate: Json) -> str:
        return "> 0" if gate["rule"] == "true" else gate["rule"].replace(">=", "≥").replace("<=", "≤")

    # ------------------------------------------------------------ chosen rows

    @property
    def verdict(self) -> tuple[str, str]:
        """Kind (better, worse, unclear, none) and sentence: is it worth it?"""
        lead = self.report["lead"]
        if lead is None or lead["value"] is None:
            return "none", self.words("verdict_none")
        low, high = (lead["value"] if lead[end] is None else lead[end] for end in ("low", "high"))
        kind = "better" if low > 0 else "worse" if high < 0 else "unclear"
        turn = -1.0 if kind == "worse" else 1.0
        ends = sorted((turn * low, turn * high))
        values = {
            "name": self.words(self.report["lead_over"]), "gain": self.number(turn * lead["value"]),
            "low": self.number(ends[0]), "high": self.number(ends[1]), "figure": self.words.figure(self.primary),
        }  # fmt: skip
        return kind, self.words(f"verdict_{kind}", **values)

    @property
    def columns(self) -> list[tuple[str, str]]:
        """Figures that predictors are compared in, each with where it stands."""
        full, drawn = self.words("full"), self.words("sampled", n=self.report["settings"]["candidates"])
        return [
            (self.primary, full), (f"hit@{self.k}", full),
            (f"{SAMPLED}ndcg@{self.k}", drawn), (f"{SAMPLED}hit@{self.k}", drawn),
        ]  # fmt: skip

    @property
    def predictors(self) -> list[Json]:
        """The model and each baseline: figures, difference, verdict and how it was fitted."""
        notes = self.report["baseline_notes"]
        own = {"name": "model", "figures": self.report["figures"]["test"], "difference": None, "verdict": "",
               "note": self.report["model"].get("name", "")}  # fmt: skip
        others = [
            {
                "name": one["name"], "figures": one["figures"], "difference": one["differences"][self.primary],
                "verdict": one["verdict"], "note": self.words.reason(notes.get(one["name"], {}).get("how", "")),
            }
            for one in self.report["baselines"]
        ]  # fmt: skip
        return [own, *others]

    @property
    def slices(self) -> list[tuple[str, list[Json]]]:
        """Slices under what they are cut by."""
        kinds = list(dict.fromkeys(one["of"] for one in self.report["slices"]))
        return [(kind, [one for one in self.report["slices"] if one["of"] == kind]) for kind in kinds]

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What training took."""
        model, w = self.report["model"], self.words
        found = [
            (w("epochs"), self.count(model.get("epochs"))),
            (w("best_epoch"), self.count(model.get("best_epoch"))),
            (w("seconds_taken"), self.number(model.get("seconds"))),
            (w("epoch_seconds"), self.number(model.get("epoch_seconds"))),
            (w("refit_line"), w("yes" if model.get("refit") else "no")),
            (w("weight_line"), self.number(model.get("weight"))),
        ]
        return [(name, value) for name, value in found if value != _DASH]

    # ------------------------------------------------------------ pictures

    @property
    def comparison(self) -> str:
        """Dots with intervals: the first figure of the model and each baseline."""
        rows = [
            {"name": self.words(one["name"]), **{end: one["figures"][self.primary][end] for end in _ENDS}}
            for one in self.predictors
        ]
        rows = [row if row["low"] is not None else {**row, "low": row["value"], "high": row["value"]} for row in rows]
        if len(rows) < 2:
            return ""
        label = self.words.figure(self.primary)
        return self._draw(pictures.whiskers(rows, x=label), label=f"{self.words('worth')} {label}", name="whiskers")

    @property
    def charts(self) -> list[dict[str, str]]:
        """Loss and the first figure on validation by step."""
        w, curve = self.words, self.report["model"].get("curve", ())
        found: list[dict[str, str]] = []
        for key, label in (("loss", w("train_line")), ("ndcg@10", f"{w.figure('ndcg@10')} · {w('validation')}")):
            points = [one for one in curve if one.get(key) is not None]
            if len(points) > 1:
                line = {"label": label, "x": [one["step"] for one in points], "y": [one[key] for one in points]}
                chart = pictures.curves([line], x=w("step"), y=label, unit=False)
                found.append({"title": label, "svg": self._draw(chart, label=label, name=f"curve-{len(found)}")})
        return found
