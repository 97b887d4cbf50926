"""The report of a recommender as one self-contained HTML page: report.json in, words and pictures out.

Not here: any computing, and what it shares with other reports: words (`strings.py`), pictures, the style (`page.css`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from jinja2 import Template

from tradewind.evaluate import pictures
from tradewind.evaluate.page_ground import DASH, Json, LeadPage, drawn, template
from tradewind.evaluate.ranking import BY_USER, OF_LISTS, SAMPLED
from tradewind.evaluate.recommendation_words import RecommendationStrings


def render(report: Json, *, language: str, with_pictures: bool = True) -> str:
    """The page as HTML text, self-contained. Without pictures the words and numbers alone, for `verify`."""
    words = RecommendationStrings(language)
    page = _Page(report, words, drawn(pictures.draw, with_pictures))
    return _template().render(r=report, w=words, p=page, language=language)


@cache
def _template() -> Template:
    return template("recommendation_page.html")


class _Page(LeadPage):
    """What the template asks for: formatted numbers, chosen rows, drawn pictures."""

    def __init__(self, report: Json, words: RecommendationStrings, draw: Callable[..., str]) -> None:
        super().__init__(report, words, draw)
        self.at: list[int] = sorted(set(report["settings"]["at"]))
        self.k = int(self.primary.partition("@")[2])
        self.by_user, self.of_lists = BY_USER, OF_LISTS

    # ------------------------------------------------------------ numbers

    def number(self, value: float | None, name: str = "", *, signed: bool = False) -> str:
        if value is None:
            return DASH
        text = f"{value:.2f}" if abs(value) >= 10 else f"{value:.4f}"
        return ("+" if signed and value > 0 else "") + text.replace("-", "−")

    # ------------------------------------------------------------ chosen rows

    @property
    def columns(self) -> list[tuple[str, str]]:
        """Figures that predictors are compared in, each with where it stands."""
        full, drawn = self.words("full"), self.words("sampled", n=self.report["settings"]["candidates"])
        return [
            (self.primary, full), (f"hit@{self.k}", full),
            (f"{SAMPLED}ndcg@{self.k}", drawn), (f"{SAMPLED}hit@{self.k}", drawn),
        ]  # fmt: skip

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
        return [(name, value) for name, value in found if value != DASH]

    # ------------------------------------------------------------ pictures

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
