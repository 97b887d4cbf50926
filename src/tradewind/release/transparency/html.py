"""A rendering as one self-contained HTML page, light and dark, for screen and paper. Nothing is asked for from outside.

Each cell stands on a line of its own and names its statement, so that a changed digit can be named; its evidence is shown when a
pointer rests on it. Not here: what stands on the page (`layout.py`).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from tradewind.release.transparency.page import Page
from tradewind.release.transparency.words import Words


def render(page: Page) -> str:
    return _template().render(page=page, w=Words(page.language))


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("page.html")
