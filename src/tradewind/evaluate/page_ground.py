"""What the pages of all reports stand on: how a template is found, how a figure is written, what is set beside the model.

Not here: any page (`page.py`, `generation_page.py`, `recommendation_page.py`), nor words.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from tradewind.evaluate import pictures

Json: TypeAlias = Mapping[str, Any]

DASH = "–"


def template(name: str, **known: object) -> Template:
    """A template of this folder; `known` are names that it may use beside those it is rendered with."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.globals.update(known)
    return environment.get_template(name)


def rule(gate: Json) -> str:
    """A gate's rule to read: `true` is a lead above 0."""
    return "> 0" if gate["rule"] == "true" else str(gate["rule"]).replace(">=", "≥").replace("<=", "≤")


class CostPage:
    """What `cost.html` asks of a page: what a request costs, and money to read."""

    report: Json

    def micros(self, value: float | None) -> str:
        if value is None:
            return DASH
        if value < 0.1:
            return "< 0.1 µs"
        return f"{value / 1000:.1f} ms" if value >= 1000 else f"{value:.1f} µs"

    def money(self, price: str) -> str:
        """A price with at least two digits after the point and at most four that count: 0.0000005 CNY."""
        amount, _, currency = price.partition(" ")
        value = Decimal(amount)
        places = min(max(2, 3 - value.adjusted()), 12) if value else 2
        text = f"{value:,.{places}f}"
        while text.endswith("0") and len(text.partition(".")[2]) > 2:
            text = text[:-1]
        return f"{text} {currency}"

    def percent(self, share: float | None) -> str:
        return DASH if share is None else f"{100 * share:.1f} %".replace("-", "−")

    @property
    def cost(self) -> Json | None:
        """What one request costs; None in a report that did not measure it."""
        found: Json | None = self.report.get("cost")
        return found


class LeadPage(CostPage, ABC):
    """A page whose headline is a lead over the best baseline. `words` are its strings, with `figure`, `language` and a call;
    `leading` is the figure in which predictors are compared, the headline's own unless the report says another."""

    def __init__(self, report: Json, words: Any, draw: Callable[..., str], *, leading: str = "") -> None:
        self.report, self.words, self._draw = report, words, draw
        self.primary: str = report["primary"]
        self.leading: str = leading or self.primary
        self.headline: Json = report["figures"]["test"][self.primary]
        self.failed = [gate for gate in report["gates"] if not gate["passed"]]

    @abstractmethod
    def number(self, value: float | None, name: str = "", *, signed: bool = False) -> str:
        """A figure's value to read; a dash where there is none."""

    def interval(self, figure: Json, name: str = "", *, signed: bool = False) -> str:
        if figure["low"] is None:
            return ""
        low, high = (self.number(figure[end], name, signed=signed) for end in ("low", "high"))
        return f"{low} {self.words('to')} {high}"

    def count(self, value: float | None) -> str:
        return DASH if value is None else f"{value:,.0f}"

    def rule(self, gate: Json) -> str:
        return rule(gate)

    @property
    def verdict(self) -> tuple[str, str]:
        """Kind (better, worse, unclear, none) and sentence: is it worth it?"""
        lead = self.report["lead"]
        if lead is None or lead["value"] is None:
            return "none", self.words("verdict_none")
        low, high = (lead["value"] if lead[end] is None else lead[end] for end in ("low", "high"))
        kind = "better" if low > 0 else "worse" if high < 0 else "unclear"
        turn = -1.0 if kind == "worse" else 1.0  # "worse by 0.02": sizes, not signed numbers
        ends = sorted((turn * low, turn * high))
        values = {
            "name": self.words(self.report["lead_over"]), "gain": self.number(turn * lead["value"]),
            "low": self.number(ends[0]), "high": self.number(ends[1]), "figure": self.words.figure(self.primary),
        }  # fmt: skip
        return kind, self.words(f"verdict_{kind}", **values)

    @property
    def predictors(self) -> list[Json]:
        """The model and each baseline: figures, difference, verdict and how it was learnt."""
        notes = self.report["baseline_notes"]
        own = {"name": "model", "figures": self.report["figures"]["test"], "difference": None, "verdict": "",
               "note": self.report["model"].get("name", "")}  # fmt: skip
        others = [
            {
                "name": one["name"], "figures": one["figures"], "difference": one["differences"][self.leading],
                "verdict": one["verdict"], "note": self.words.reason(notes.get(one["name"], {}).get("how", "")),
            }
            for one in self.report["baselines"]
        ]  # fmt: skip
        return [own, *others]

    @property
    def comparison(self) -> str:
        """Dots with intervals: the leading figure of the model and each baseline."""
        found = [(one["name"], one["figures"][self.leading]) for one in self.predictors]
        rows = []
        for name, figure in found:
            if (value := figure["value"]) is not None:
                low, high = (value if figure["low"] is None else figure[end] for end in ("low", "high"))
                rows.append({"name": self.words(name), "value": value, "low": low, "high": high})
        if len(rows) < 2:
            return ""
        label = self.words.figure(self.leading)
        return self._draw(pictures.whiskers(rows, x=label), label=f"{self.words('worth')} {label}", name="whiskers")


def drawn(draw: Callable[..., str], with_pictures: bool) -> Callable[..., str]:
    """What draws; an empty picture in its place where words and numbers alone are wanted."""
    return draw if with_pictures else lambda chart, *, label, name: "<svg></svg>"
