"""Pictures of a report as inline SVG: Altair charts drawn by vl-convert, coloured by the page's style sheet.

Not here: the points of the curves (`curves.py`), the page around them (`page.py`).

One rendering serves light and dark: charts are drawn in stand-in colours (#0000f1 …) that `page.html` maps to its own
variables by attribute selectors. Legend: K classes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import altair as alt
import vl_convert

Json: TypeAlias = Mapping[str, Any]
Picture: TypeAlias = Any  # an Altair chart, whose own types are many

TEXT, GRID, FAINT = "#0000e1", "#0000e2", "#0000e3"
SERIES = ("#0000f1", "#0000f2", "#0000f3", "#0000f4", "#0000f5")
WIDTH, HEIGHT = 290, 210
_MOST_NAMED = 12  # classes with names on the confusion matrix
_VERSION = ".".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2])


def draw(chart: Picture, *, label: str, name: str) -> str:
    """The chart as an SVG element that scales down, with `label` for who cannot see it; `name` keeps its ids apart."""
    styled = (
        chart.configure(background="transparent", font="sans-serif")
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=TEXT, titleColor=TEXT, gridColor=GRID, domainColor=FAINT, tickColor=FAINT, labelFontSize=11,
            titleFontSize=11, titleFontWeight="normal", gridWidth=1, labelLimit=110, labelOverlap="greedy",
        )
        .configure_legend(labelColor=TEXT, titleColor=TEXT, labelFontSize=11, orient="top", title=None, labelLimit=120)
        .configure_text(color=TEXT, fontSize=11)
    )  # fmt: skip
    svg = vl_convert.vegalite_to_svg(json.dumps(styled.to_dict(validate=False)), vl_version=_VERSION)
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'(id="|url\(#|href="#)([A-Za-z_]+\d+)', rf"\1{name}-\2", svg)
    width = re.search(r'<svg[^>]*?\bwidth="([\d.]+)"', svg)
    size = float(width[1]) if width else WIDTH
    head = f'<svg role="img" aria-label="{_escape(label)}" style="max-width:{size:.0f}px"'
    svg = re.sub(r'(<svg[^>]*?)\swidth="[\d.]+"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?)\sheight="[\d.]+"', r"\1", svg, count=1)
    return head + svg[len("<svg") :]


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")


def _data(rows: Sequence[Json]) -> alt.InlineData:
    return alt.InlineData(values=[dict(row) for row in rows])


def _large(low: float, high: float) -> dict[str, Any]:
    """12k rather than 12,000 on an axis of large numbers."""
    return {"format": "~s"} if max(abs(low), abs(high)) >= 10_000 else {}


def _colour(labels: Sequence[str], *, legend: bool) -> alt.Color:
    shown = alt.Legend(columns=2, symbolType="stroke", symbolStrokeWidth=3) if legend else None
    return alt.Color("label:N", scale=alt.Scale(domain=list(labels), range=list(SERIES[: len(labels)])), legend=shown)


def curves(
    lines: Sequence[Json], *, x: str, y: str, unit: bool = True, diagonal: bool = False, dots: bool = False,
    height: int = HEIGHT,
) -> Picture:  # fmt: skip
    """Lines of (label, x, y); `unit` fixes both axes to 0 … 1, `diagonal` draws the line of no skill or of truth."""
    rows = [
        {"label": line["label"], "x": a, "y": b, "at": at}
        for line in lines
        for at, (a, b) in enumerate(zip(line["x"], line["y"], strict=True))
        if a is not None and b is not None
    ]
    scale = alt.Scale(domain=[0, 1]) if unit else alt.Scale(zero=False, nice=True)
    ends = alt.Axis(format=".1f", tickCount=5) if unit else alt.Axis(tickCount=5)
    base = alt.Chart(_data(rows)).encode(
        x=alt.X("x:Q", title=x, scale=scale, axis=ends),
        y=alt.Y("y:Q", title=y, scale=scale, axis=ends),
        color=_colour([line["label"] for line in lines], legend=len(lines) > 1),
        order="at:Q",
    )
    layers: list[Any] = []
    if diagonal:
        corner = _data([{"x": 0, "y": 0}, {"x": 1, "y": 1}])
        layers.append(alt.Chart(corner).mark_line(color=FAINT, strokeDash=[4, 4]).encode(x="x:Q", y="y:Q"))
    layers.append(base.mark_line(strokeWidth=2, clip=True))
    if dots:
        layers.append(base.mark_circle(size=30, opacity=1, clip=True))
    return alt.layer(*layers).properties(width=WIDTH, height=height)


def scatter(line: Json, *, x: str, y: str) -> Picture:
    """Predicted against true values, with the line where they agree."""
    rows = [{"x": a, "y": b} for a, b in zip(line["x"], line["y"], strict=True)]
    low, high = min(line["x"]), max(line["x"])
    agree = _data([{"x": low, "y": low}, {"x": high, "y": high}])
    axis = alt.Axis(tickCount=5, **_large(low, high))
    dots = (
        alt.Chart(_data(rows))
        .mark_circle(size=16, opacity=0.55, color=SERIES[0])
        .encode(
            x=alt.X("x:Q", title=x, scale=alt.Scale(zero=False), axis=axis),
            y=alt.Y("y:Q", title=y, scale=alt.Scale(zero=False), axis=axis),
        )
    )
    line_of_truth = alt.Chart(agree).mark_line(color=FAINT, strokeDash=[4, 4]).encode(x="x:Q", y="y:Q")
    return alt.layer(line_of_truth, dots).properties(width=WIDTH, height=HEIGHT)


def confusion(matrix: Sequence[Sequence[int]], classes: Sequence[str], *, x: str, y: str) -> Picture:
    """Shade is the share of the true class's rows; the number stands in the cell while there are few classes."""
    named = len(classes) <= _MOST_NAMED
    rows = [
        {"true": at, "said": to, "rows": count, "share": count / max(1, sum(line)), "text": f"{count:,}"}
        for at, line in enumerate(matrix)
        for to, count in enumerate(line)
        if named or count
    ]
    names = json.dumps(list(classes))
    axis = (
        alt.Axis(
            labelExpr=f"{names}[datum.value]", domain=False, ticks=False, labelAngle=0 if len(classes) < 5 else -45
        )
        if named
        else alt.Axis(labels=False, ticks=False, domain=False)
    )
    order = list(range(len(classes)))
    base = alt.Chart(_data(rows)).encode(
        x=alt.X("said:O", title=x, axis=axis, scale=alt.Scale(domain=order, paddingInner=0.03 if named else 0)),
        y=alt.Y("true:O", title=y, axis=axis, scale=alt.Scale(domain=order, paddingInner=0.03 if named else 0)),
    )
    ends = [0.06, 0.75] if named else [0.3, 1]  # empty cells are drawn only where there is room for their 0
    shade = alt.Opacity("share:Q", scale=alt.Scale(domain=[0, 1], range=ends), legend=None)
    cells = base.mark_rect(color=SERIES[0]).encode(opacity=shade)
    side = 210 if len(classes) < 5 else 260
    layers: list[Any] = [cells]
    if named:
        layers.append(base.mark_text(fontSize=13 if len(classes) < 5 else 10, color=TEXT).encode(text="text:N"))
    return alt.layer(*layers).properties(width=side, height=side if len(classes) != 2 else 150)


_BESIDE_DOTS = alt.Axis(domain=False, ticks=False, labelPadding=8)  # a dot at the axis touches no name


def whiskers(rows: Sequence[Json], *, x: str) -> Picture:
    """One figure per predictor as a dot with its interval; the first row stands out."""
    names = [row["name"] for row in rows]
    data = [{**row, "own": at == 0} for at, row in enumerate(rows)]
    own = alt.condition("datum.own", alt.value(SERIES[0]), alt.value(FAINT))
    base = alt.Chart(_data(data)).encode(y=alt.Y("name:N", sort=names, title=None, axis=_BESIDE_DOTS), color=own)
    place = alt.X("value:Q", title=x, scale=alt.Scale(zero=False, nice=True), axis=alt.Axis(tickCount=4))
    bars = base.mark_rule(strokeWidth=3).encode(x=alt.X("low:Q", title=x), x2="high:Q")
    dots = base.mark_circle(size=70, opacity=1).encode(x=place)
    return alt.layer(bars, dots).properties(width=WIDTH - 40, height=26 * len(rows) + 8)


def groups(rows: Sequence[Json], *, x: str) -> Picture:
    """One rate of each group (name, value, low, high, enough) as a dot with its interval, from 0 on; grey where rows are few."""
    names = [row["name"] for row in rows]
    colour = alt.condition("datum.enough", alt.value(SERIES[0]), alt.value(FAINT))
    base = alt.Chart(_data(rows)).encode(y=alt.Y("name:N", sort=names, title=None, axis=_BESIDE_DOTS), color=colour)
    place = alt.X("value:Q", title=x, scale=alt.Scale(zero=True, nice=True), axis=alt.Axis(tickCount=3))
    bars = base.mark_rule(strokeWidth=3).encode(x=alt.X("low:Q", title=x), x2="high:Q")
    dots = base.mark_circle(size=70, opacity=1).encode(x=place)
    return alt.layer(bars, dots).properties(width=WIDTH - 60, height=26 * len(rows) + 8)


def frontier(tries: Sequence[Json], *, x: str, y: str, bound: float) -> Picture:
    """Quality over gap of each try (gap, quality, strength, chosen); the dashed line is the gap that was aimed at."""
    base = alt.Chart(_data(tries)).encode(
        x=alt.X("gap:Q", title=x, scale=alt.Scale(zero=True, nice=True), axis=alt.Axis(tickCount=5)),
        y=alt.Y("quality:Q", title=y, scale=alt.Scale(zero=False, nice=True), axis=alt.Axis(tickCount=5)),
    )
    goal = alt.Chart(_data([{"gap": bound}])).mark_rule(color=FAINT, strokeDash=[4, 4]).encode(x="gap:Q")
    line = base.mark_line(color=FAINT, strokeWidth=1).encode(order="strength:Q")
    others = base.transform_filter("!datum.chosen").mark_circle(size=50, opacity=1, color=SERIES[0])
    chosen = base.transform_filter("datum.chosen").mark_circle(size=140, opacity=1, color=SERIES[1])
    return alt.layer(goal, line, others, chosen).properties(width=WIDTH, height=HEIGHT)


def histogram(column: Json) -> Picture:
    """Bars of one profiled column: bands of a number or date, or its most frequent values."""
    if column["edges"]:
        rows = [
            {"from": column["edges"][at], "to": column["edges"][at + 1], "rows": count}
            for at, count in enumerate(column["counts"])
        ]
        axis = alt.Axis(tickCount=4, grid=False, **_large(column["edges"][0], column["edges"][-1]))
        return (
            alt.Chart(_data(rows))
            .mark_bar(color=SERIES[0], binSpacing=1)
            .encode(
                x=alt.X("from:Q", bin="binned", title=None, axis=axis, scale=alt.Scale(nice=False)),
                x2="to:Q",
                y=alt.Y("rows:Q", title=None, axis=None),
            )
            .properties(width=200, height=70)
        )
    rows = [
        {"value": str(label)[:40], "rows": count}
        for label, count in list(zip(column["labels"], column["counts"], strict=False))[:6]
    ]
    return (
        alt.Chart(_data(rows))
        .mark_bar(color=SERIES[0], height={"band": 0.75})
        .encode(
            y=alt.Y("value:N", sort=None, title=None, axis=alt.Axis(domain=False, ticks=False, labelLimit=90)),
            x=alt.X("rows:Q", title=None, axis=None),
        )
        .properties(width=120, height=max(30, 15 * len(rows)))
    )
