"""Pictures of tables: one column real against synthetic, and heat maps of pairs of columns.

The one constraint: real data are always the grey ground, models the coloured marks of the rest of the page, and the
strength of a heat map is an opacity, so that it reads on a light and on a dark page.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from sansheng.report.charts import Chart
from sansheng.report.figures import INK, RULE, canvas, short, svg, tick
from sansheng.report.marks import REFERENCE, Mark
from sansheng.report.numbers import fixed
from sansheng.report.page import Distribution, Heat, Number

LABELLED = 30
"""Columns of a heat map that are named; of more only the places are shown."""
CELL = 16
NAMES = 104
"""[px] for the names beside a heat map."""


def distribution_charts(distributions: Sequence[Distribution], looks: Mapping[str, Mark]) -> list[Chart]:
    """A chart for each column; the errors of the models stand beside its name."""
    return [_distribution_chart(one, looks) for one in distributions]


def _distribution_chart(one: Distribution, looks: Mapping[str, Mark]) -> Chart:
    errors = ", ".join(f"{name} {fixed(value, 1)} %" for name, value in one.errors.items())
    note = f"off by {errors}" if errors else ""
    alt = f"Column {one.column}, real data and models; {note or 'no errors known'}"
    drawn = _levels(one, looks, alt) if one.named else _histogram(one, looks, alt)
    return Chart(one.column, note, Markup(drawn))


def _levels(one: Distribution, looks: Mapping[str, Mark], alt: str) -> str:
    """Horizontal bars of the real shares, a mark of each model on the same line; missing values last."""
    names = [str(name) for name in one.ticks]
    shares = {name: list(values) for name, values in one.shares.items()}
    if any(one.missing.values()):
        names.append("missing")
        shares = {name: [*values, one.missing.get(name, 0)] for name, values in shares.items()}
    labels = [short(name, 16) for name in names]
    figure, axes = canvas(height=19 * len(names) + 34, left=14 + 6.1 * max(map(len, labels), default=0), bottom=24)
    real, *models = shares.items()
    axes.barh(range(len(names)), [100 * v for v in real[1]], height=0.72, color=REFERENCE.colour, alpha=0.35)
    for place, (name, values) in enumerate(models):
        y = np.arange(len(names)) + (place - (len(models) - 1) / 2) * 0.16
        mark = looks[name]
        face = "none" if mark.hollow else mark.colour
        axes.plot(
            [100 * v for v in values], y, linestyle="", color=mark.colour, marker=mark.shape, markersize=5.5,
            markerfacecolor=face, alpha=0.9, clip_on=False,
        )  # fmt: skip
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, 104 * max([v for values in shares.values() for v in values] or [1]) or 1)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{tick(v)} %"))
    axes.set_yticks(range(len(names)), labels, parse_math=False)
    axes.grid(axis="x", color=RULE, linewidth=0.8)
    return svg(figure, alt)


def _histogram(one: Distribution, looks: Mapping[str, Mark], alt: str) -> str:
    """The real histogram as a grey ground, each model an outline; missing values stand apart on the right."""
    edges = np.array(one.ticks, dtype=float)
    figure, axes = canvas(height=165, left=44, bottom=36)
    gap, step = any(one.missing.values()), float(edges[-1] - edges[0])
    for place, (name, values) in enumerate(one.shares.items()):
        colour = REFERENCE.colour if place == 0 else looks[name].colour
        heights, missing = [100 * v for v in values], 100 * one.missing.get(name, 0)
        if place == 0:
            axes.stairs(heights, edges, fill=True, color=colour, alpha=0.35)
        else:
            style = "--" if looks[name].hollow else "-"
            axes.stairs(heights, edges, color=colour, linewidth=1.5, linestyle=style, baseline=None)
        if gap and place == 0:
            axes.bar([edges[-1] + 0.12 * step], [missing], width=0.1 * step, color=colour, alpha=0.35)
        elif gap:
            x = edges[-1] + step * (0.075 + 0.03 * (place - 1))
            axes.plot([x], [missing], color=colour, marker=looks[name].shape, markersize=5, clip_on=False)
    _value_ticks(axes, edges, dates=one.dates, gap=gap)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{tick(v)} %"))
    axes.grid(axis="y", color=RULE, linewidth=0.8)
    return svg(figure, alt)


def _value_ticks(axes: Axes, edges: np.ndarray, *, dates: bool, gap: bool) -> None:
    """Three or four labels within the range, and "missing" beyond it."""
    low, high = float(edges[0]), float(edges[-1])
    places = [low, (low + high) / 2, high] if dates else list(MaxNLocator(4).tick_values(low, high))
    places = [p for p in places if low <= p <= high - (0.06 * (high - low) if gap and not dates else 0)]
    labels = [_day(p) if dates else tick(p) for p in places]
    if gap:
        places, labels = [*places, high + 0.12 * (high - low)], [*labels, "missing"]
    axes.xaxis.set_major_locator(FixedLocator(places))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(places, labels, color=INK)
    axes.set_xlim(low - 0.02 * (high - low), high + (0.2 if gap else 0.02) * (high - low))


def _day(seconds: Number) -> str:
    return datetime.fromtimestamp(float(seconds), UTC).strftime("%Y-%m-%d")


# -- heat maps ---------------------------------------------------------------------------------------------


def heat_chart(heat: Heat) -> Chart:
    """A square of cells, the names of its columns at the left, their places at the top."""
    n = len(heat.columns)
    named = n <= LABELLED
    left, top = (NAMES, 16) if named else (4, 4)
    width, height = left + n * CELL + 4, top + n * CELL + 4
    cells = "".join(_cell(heat, i, j, left, top) for i in range(n) for j in range(n))
    labels = "".join(_label(i, name, left, top) for i, name in enumerate(heat.columns)) if named else ""
    alt = html.escape(f"{heat.title}: {_strongest(heat)}")
    frame = f'<rect x="{left}" y="{top}" width="{n * CELL}" height="{n * CELL}" fill="none" stroke="var(--rule)"/>'
    body = (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{alt}" font-size="9">{frame}{cells}{labels}</svg>'
    )
    return Chart(heat.title, heat.note, Markup(body))


def _cell(heat: Heat, i: int, j: int, left: int, top: int) -> str:
    value = heat.values[i][j]
    if i == j or value is None or value != value:
        return ""
    strength = min(1.0, abs(value) / heat.most) if heat.most > 0 else 0.0
    if strength < 0.01:
        return ""
    colour = "--bad" if value < 0 and heat.signed else "--diffusion"
    title = html.escape(f"{heat.columns[i]} × {heat.columns[j]}: {value:.3g}")
    x, y, side = left + j * CELL, top + i * CELL, CELL - 1
    where = f'x="{x}" y="{y}" width="{side}" height="{side}"'
    return f'<rect {where} fill="var({colour})" fill-opacity="{strength:.2f}"><title>{title}</title></rect>'


def _label(i: int, name: str, left: int, top: int) -> str:
    middle = i * CELL + CELL / 2
    side = f'<text x="{left - 5}" y="{top + middle + 3}" text-anchor="end" fill="var(--soft)">{{}}</text>'
    above = (
        f'<text x="{left + middle}" y="{top - 4}" text-anchor="middle" fill="var(--soft)" font-size="8">{i + 1}</text>'
    )
    return side.format(html.escape(f"{short(name, 15)} {i + 1}")) + above


def _strongest(heat: Heat, count: int = 3) -> str:
    """The pairs with the largest values in words."""
    n = len(heat.columns)
    pairs = [(i, j, v) for i in range(n) for j in range(i) if (v := heat.values[i][j]) is not None and v == v]
    pairs.sort(key=lambda pair: -abs(pair[2]))
    return "; ".join(f"{heat.columns[i]} and {heat.columns[j]} {v:.3g}" for i, j, v in pairs[:count]) or "no pairs"
