"""Charts as inline SVG, small enough to stand side by side, right on a light and on a dark page.

The one constraint: every colour is one of `THEME`, whose values are turned into CSS variables of the page, and
every word is drawn as text without mathematics, so that a name can hold any character.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from sansheng.report.marks import COLOURS, REFERENCE, Mark
from sansheng.report.page import Number, ScoreCell

INK, RULE = "#6b7178", "#d9dcdf"
THEME = {**{value: f"--{name}" for name, value in COLOURS.items()}, INK: "--soft", RULE: "--rule"}
WIDTH = 320
"""[px] of a small chart; the page scales it a little."""
RC: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "sansheng", "font.size": 11, "font.family": "sans-serif"}
POINTS = 200
"""The most points drawn of one learning curve; longer ones are averaged in windows."""


@dataclass(frozen=True)
class Dot:
    """One line of an interval chart."""

    name: str
    mark: Mark
    cell: ScoreCell


@dataclass(frozen=True)
class Line:
    """One curve of a chart: x, y and, where known, an interval [low, high] around y; all ``(N,)``."""

    mark: Mark
    x: np.ndarray
    y: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None


def interval_chart(dots: Sequence[Dot], guide: Number | None, alt: str) -> str:
    """A dot and its interval for each row, top to bottom; a dotted line at `guide` (what real data score)."""
    names = [short(dot.name) for dot in dots]
    figure, axes = canvas(height=19 * len(dots) + 34, left=14 + 6.1 * max(map(len, names), default=0), bottom=24)
    if guide is not None:
        axes.axvline(guide, color=REFERENCE.colour, linewidth=1, linestyle=(0, (1, 2)), zorder=1)
    for place, dot in enumerate(dots):
        low, high = dot.cell.interval
        axes.plot([low, high], [place, place], color=dot.mark.colour, linewidth=2.2, alpha=0.55, zorder=2)
        axes.plot([dot.cell.value], [place], color=dot.mark.colour, **_marker(dot.mark), zorder=3)
    axes.set_ylim(len(dots) - 0.4, -0.6)
    ends = [end for dot in dots for end in dot.cell.interval]
    _value_axis(axes, ends, axis="x")
    axes.set_yticks(range(len(dots)), names, parse_math=False)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=RULE, linewidth=0.8)
    return svg(figure, alt)


def cost_chart(lines: Sequence[Line], label: str, *, octaves: bool, alt: str) -> str:
    """A value against the cost of a sample, on a log₂ axis; families of one step are single points.

    octaves: put the ticks at powers of two (evaluations) instead of powers of ten (seconds).
    """
    figure, axes = canvas(width=400, height=235, left=42, bottom=40)
    for line in lines:
        _cost_line(axes, line)
    axes.set_xscale("log", base=2 if octaves else 10)
    x = np.concatenate([line.x for line in lines])
    axes.set_xlim(x.min() / 1.25, x.max() * 1.25)
    axes.xaxis.set_major_locator(FixedLocator(_octaves(x)) if octaves else _decades(x))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(tick))
    ends = [end for line in lines for part in (line.y, line.low, line.high) if part is not None for end in part]
    _value_axis(axes, ends, axis="y")
    axes.set_xlabel(label, color=INK, fontsize=11, parse_math=False)
    axes.grid(color=RULE, linewidth=0.8)
    return svg(figure, alt)


def loss_chart(lines: Sequence[Line], alt: str) -> str:
    """One loss of one family against seconds, a line for each seed."""
    figure, axes = canvas(height=150, left=48, bottom=36)
    lines = [_averaged(line) for line in lines]
    for place, line in enumerate(lines):
        axes.plot(line.x, line.y, color=line.mark.colour, linewidth=1.5, alpha=max(0.35, 0.9 - 0.25 * place))
    settled = [value for line in lines for value in line.y[len(line.y) // 50 :] if np.isfinite(value)]
    ends = np.percentile(settled, [1, 99]).tolist() if settled else [0.0, 1.0]
    _value_axis(axes, ends, axis="y", margin=0.12)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(tick))
    axes.set_xlabel("seconds", color=INK, fontsize=11)
    axes.grid(color=RULE, linewidth=0.8)
    return svg(figure, alt)


# -- parts of a chart --------------------------------------------------------------------------------------


def canvas(*, height: Number, left: Number, bottom: Number, width: Number = WIDTH) -> tuple[Figure, Axes]:
    """A figure of width x height [px] with one bare pair of axes."""
    figure = Figure(figsize=(width / 72, height / 72), dpi=72)
    FigureCanvasSVG(figure)
    axes = figure.add_axes((left / width, bottom / height, (width - left - 14) / width, (height - bottom - 8) / height))
    axes.patch.set_visible(False)
    figure.patch.set_visible(False)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(RULE)
    axes.tick_params(colors=INK, length=0, labelsize=11, pad=5)
    return figure, axes


def _value_axis(axes: Axes, ends: Sequence[Number], *, axis: str, margin: float = 0.06) -> None:
    """Limits that hold `ends`; a log axis where they are positive and span more than a factor of 30."""
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    line = axes.xaxis if axis == "x" else axes.yaxis
    if low > 0 and high / low > 30:
        (axes.set_xscale if axis == "x" else axes.set_yscale)("log")
        room = (high / low) ** margin
        limits = low / room, high * room
        line.set_major_locator(_decades(np.array(ends)))
        line.set_minor_locator(NullLocator())
    else:
        room = margin * (high - low) or 0.1 * abs(high) or 1.0
        limits = low - room, high + room
        line.set_major_locator(MaxNLocator(4))
    line.set_major_formatter(FuncFormatter(tick))
    line.set_minor_formatter(NullFormatter())
    (axes.set_xlim if axis == "x" else axes.set_ylim)(*limits)


def _marker(mark: Mark) -> dict[str, Any]:
    """Keyword arguments of `Axes.plot` that draw one mark; a hollow one is painted over with the page."""
    size = {"D": 6.0, "x": 6.5, "s": 6.5}.get(mark.shape, 7.5)
    face = "none" if mark.hollow else mark.colour
    return {"marker": mark.shape, "markersize": size, "markerfacecolor": face, "markeredgewidth": 1.7}


def _cost_line(axes: Axes, line: Line) -> None:
    colour, style = line.mark.colour, (0, (4, 2)) if line.mark.hollow else "-"
    axes.plot(line.x, line.y, color=colour, linewidth=1.6, linestyle=style, **_marker(line.mark))
    if line.low is None or line.high is None:
        return
    if len(line.x) > 1:
        axes.fill_between(line.x, line.low, line.high, color=colour, alpha=0.13, linewidth=0)
    else:
        axes.vlines(line.x, line.low, line.high, color=colour, linewidth=2, alpha=0.5)


def _octaves(x: np.ndarray) -> list[float]:
    """Powers of two over the range of `x`, at most about eight of them."""
    first, last = int(np.floor(np.log2(x.min()))), int(np.ceil(np.log2(x.max())))
    return [2.0**power for power in range(first, last + 1, 1 + (last - first) // 8)]


def _decades(values: np.ndarray) -> LogLocator:
    """Ticks at powers of ten, and at 2 and 5 between them where there is room."""
    roomy = values.max() / values.min() < 200
    return LogLocator(base=10, subs=(1.0, 2.0, 5.0) if roomy else (1.0,), numticks=9)


def tick(value: Number, _: object = None) -> str:
    """A tick's label: no more digits than it needs."""
    return (f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}").replace("-", "−")


def _averaged(line: Line) -> Line:
    """At most POINTS points, each the mean of a window; values that are not finite are left out."""
    y = np.where(np.isfinite(line.y), line.y, np.nan)
    windows = np.array_split(np.arange(len(y)), min(len(y), POINTS)) if len(y) else []
    means = [np.nan if np.isnan(y[w]).all() else float(np.nanmean(y[w])) for w in windows]
    return Line(line.mark, np.array([line.x[w].mean() for w in windows]), np.array(means))


def short(name: str, longest: int = 22) -> str:
    """A name on one line, cut if it is too long for its place."""
    name = " ".join(name.split())
    return name if len(name) <= longest else name[: longest - 1] + "…"


# -- SVG ---------------------------------------------------------------------------------------------------


def svg(figure: Figure, alt: str) -> str:
    """The figure as an `<svg>` element for an HTML page, its colours CSS variables, `alt` for screen readers."""
    buffer = io.StringIO()
    with matplotlib.rc_context(RC):
        figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = buffer.getvalue()
    body = text[text.index(">", text.index("<svg")) + 1 :]
    body = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", body, flags=re.DOTALL)
    for value, variable in THEME.items():
        body = body.replace(value, f"var({variable})")
    width, height = figure.get_size_inches() * 72
    head = f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{html.escape(alt)}">'
    return head + _without_group_names(body)


def _without_group_names(body: str) -> str:
    """Drop the ids of groups, which nothing refers to and which would repeat from chart to chart."""
    return re.sub(r'(<g|<text) id="[^"]*"', r"\1", body).replace("xlink:href", "href")
