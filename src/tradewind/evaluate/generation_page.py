"""The report of a language model as one self-contained HTML page: report.json in, words and pictures out.

Not here: any computing, and what it shares with other reports: words (`strings.py`), pictures, the style (`page.css`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

from jinja2 import Template

from tradewind.evaluate import pictures
from tradewind.evaluate.generation_words import LanguageStrings
from tradewind.evaluate.page_ground import DASH, Json, LeadPage, drawn, template

_OPEN_SAMPLES = 4
_LINES = {
    "perplexity": 5,
    "longest_verbatim": 0,
}  # figures of another size: significant digits, or none after the point
_NONE: Json = {}


def render(report: Json, *, language: str, with_pictures: bool = True) -> str:
    """The page as HTML text, self-contained. Without pictures the words and numbers alone, for `verify`."""
    words = LanguageStrings(language)
    page = _Page(report, words, drawn(pictures.draw, with_pictures))
    return _template().render(r=report, w=words, p=page, language=language)


@cache
def _template() -> Template:
    return template("generation_page.html")


class _Page(LeadPage):
    """What the template asks for: formatted numbers, chosen rows, drawn pictures."""

    def __init__(self, report: Json, words: LanguageStrings, draw: Callable[..., str]) -> None:
        super().__init__(report, words, draw, leading=report["measure"])
        self.model: Json = report["model"]
        self.data: Json = report["data"]
        self.names = list(report["figures"]["test"])

    # ------------------------------------------------------------ numbers

    def number(self, value: float | None, name: str = "", *, signed: bool = False) -> str:
        """Four decimals; perplexity five significant digits; counts none."""
        if value is None:
            return DASH
        sign = "+" if signed and value > 0 else ""
        digits = _LINES.get(name)
        if digits == 0:
            text = f"{value:,.0f}"
        elif digits is not None:
            places = digits - 1 - math.floor(math.log10(abs(value))) if value else 0
            text = f"{value:,.{max(places, 0)}f}" if abs(value) < 1e9 else f"{value:.3g}"
        else:
            text = f"{value:.4f}"
        return sign + text.replace("-", "−")

    def percent(self, share: float | None, *, signed: bool = False) -> str:
        if share is None:
            return DASH
        return (f"{100 * share:+.1f} %" if signed else f"{100 * share:.1f} %").replace("-", "−")

    def seconds(self, value: float | None) -> str:
        if value is None:
            return DASH
        if value >= 7200:
            return f"{value / 3600:.1f} h"
        return f"{value / 60:.1f} min" if value >= 120 else f"{value:.1f} s"

    # ------------------------------------------------------------ chosen rows

    @property
    def columns(self) -> list[str]:
        """Figures that predictors are compared in, the leading one first."""
        return [self.leading, *[name for name in ("bits_per_byte", "loss", "perplexity") if name != self.leading]]

    @property
    def further(self) -> list[str]:
        """Figures of samples and pairs: all but those of tokens and tasks."""
        tokens = ("loss", "perplexity", "bits_per_byte")
        return [name for name in self.names if name not in tokens and not name.startswith("accuracy:")]

    @property
    def open_samples(self) -> list[Json]:
        return list(self.report["samples"][:_OPEN_SAMPLES])

    @property
    def more_samples(self) -> list[Json]:
        return list(self.report["samples"][_OPEN_SAMPLES:])

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What training took, beside what was estimated."""
        model, w = self.model, self.words
        estimate = model.get("estimate") or _NONE
        found = [
            (w("steps"), self.count(model.get("steps"))),
            (w("tokens_seen"), self.count(model.get("tokens"))),
            (w("tokens_per_s"), self.count(model.get("tokens_per_s"))),
            (w("matmul_share"), self.percent(model.get("matmul_share"))),
            (w("seconds_taken"), self.seconds(model.get("seconds"))),
            (w("seconds_estimated"), self.seconds(estimate.get("seconds"))),
            (w("estimate_error"), self.percent(estimate.get("error"), signed=True)),
        ]
        return [(name, value) for name, value in found if value != DASH]

    # ------------------------------------------------------------ pictures

    @property
    def charts(self) -> list[dict[str, str]]:
        """Title, SVG and note of the curves of training: loss, and bits per byte where they are known."""
        w, found = self.words, []
        for title, figure, lines in (
            ("learning", "loss", (("train_line", "train"), ("validation_line", "validation"))),
            ("bits", "bits_per_byte", (("validation_line", "bits_per_byte"),)),
        ):
            drawn = [self._line(w(label), key) for label, key in lines]
            drawn = [line for line in drawn if len(line["x"]) > 1]
            if not drawn:
                continue
            chart = pictures.curves(drawn, x=w("step"), y=w.figure(figure), unit=False)
            best = self.model.get("best_step")
            note = w("best_step", n=f"{best:,}") if best is not None else ""
            svg = self._draw(chart, label=f"{w(title)}. {note}".strip(), name=title)
            found.append({"title": w(title), "svg": svg, "note": note})
        return found

    def _line(self, label: str, key: str) -> dict[str, Any]:
        points = [one for one in self.model.get("curve", ()) if one[key] is not None]
        return {"label": label, "x": [one["step"] for one in points], "y": [one[key] for one in points]}
