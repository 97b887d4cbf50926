"""The report of a translator as one self-contained HTML page: report.json in, words and pictures out.

Not here: any computing, and what it shares with other reports: words (`strings.py`), pictures, the style (`page.css`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from jinja2 import Template

from tradewind.evaluate import pictures
from tradewind.evaluate.page_ground import DASH, Json, LeadPage, drawn, template
from tradewind.evaluate.translation_words import TranslationStrings

_SCORES = ("bleu", "chrf", "length_ratio")
_SHARES = ("terms_kept", "cut", "empty", "copied", "repeated", "shared")


def render(report: Json, *, language: str, with_pictures: bool = True) -> str:
    """The page as HTML text, self-contained. Without pictures the words and numbers alone, for `verify`."""
    words = TranslationStrings(language)
    page = _Page(report, words, drawn(pictures.draw, with_pictures))
    return _template().render(r=report, w=words, p=page, language=language)


@cache
def _template() -> Template:
    return template("translation_page.html")


class _Page(LeadPage):
    """What the template asks for: formatted numbers, chosen rows, drawn pictures."""

    def __init__(self, report: Json, words: TranslationStrings, draw: Callable[..., str]) -> None:
        super().__init__(report, words, draw)
        self.scores = _SCORES

    # ------------------------------------------------------------ numbers

    def number(self, value: float | None, name: str = "", *, signed: bool = False) -> str:
        """Shares in per cent, a ratio of lengths with three digits, scores with one behind the point."""
        if value is None:
            return DASH
        text = (
            f"{100 * value:.1f} %" if name in _SHARES else f"{value:.3f}" if name == "length_ratio" else f"{value:.1f}"
        )
        return ("+" if signed and value > 0 else "") + text.replace("-", "−")

    def megabytes(self, size: int | None) -> str:
        return DASH if size is None else f"{size / 1e6:.1f} MB"

    # ------------------------------------------------------------ chosen rows

    @property
    def shares(self) -> list[str]:
        """Those that somebody has: terms are kept only where there are some."""
        return [name for name in _SHARES if any(name in one["figures"] for one in self.predictors)]

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What training and translating took."""
        model, timings, w = self.report["model"], self.report["timings"], self.words
        found = [
            (w("epochs"), self.count(model.get("epochs"))),
            (w("best_epoch"), self.count(model.get("best_epoch"))),
            (w("seconds_taken"), self.count(model.get("seconds"))),
            (w("threads"), self.count(model.get("threads"))),
            (w("tokens_per_s"), self.count(model.get("tokens_per_s"))),
            (w("precision"), model.get("precision", DASH)),
            (w("megabytes"), self.megabytes(model.get("bytes"))),
            (w("beams"), self.count(model.get("beams"))),
            (w("length_penalty"), self.number(model.get("length_penalty"))),
            (w("sentences_per_s"), self.number(timings.get("sentences_per_s"))),
        ]
        return [(name, value) for name, value in found if value != DASH]

    # ------------------------------------------------------------ pictures

    @property
    def charts(self) -> list[dict[str, str]]:
        """Loss of training and of validation by step."""
        w, curve = self.words, self.report["model"].get("curve", ())
        lines = []
        for key, label in (("loss", w("train_line")), ("validation_loss", w("validation_line"))):
            points = [one for one in curve if one.get(key) is not None]
            if len(points) > 1:
                lines.append({"label": label, "x": [one["step"] for one in points], "y": [one[key] for one in points]})
        if not lines:
            return []
        title = w.figure("validation_loss")
        chart = pictures.curves(lines, x=w("step"), y=title, unit=False)
        return [{"title": title, "svg": self._draw(chart, label=title, name="curve-0")}]
