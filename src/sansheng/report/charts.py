"""Which charts a page has: from rows and curves to small multiples.

The one constraint: every chart has a text that says the same to a person who cannot see it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from sansheng.report.explanations import explain
from sansheng.report.figures import Dot, Line, cost_chart, interval_chart, loss_chart
from sansheng.report.marks import REFERENCE, Mark, family_of
from sansheng.report.numbers import interval_text, plain, value_text
from sansheng.report.page import CostCurve, Curve, Page
from sansheng.report.summary import unit_text

MOST_LOSSES = 6
"""Losses drawn for each family; the rest are named."""


@dataclass(frozen=True)
class Chart:
    title: str
    note: str
    svg: Markup


@dataclass(frozen=True)
class LossGroup:
    """The losses of one family; `hidden` names those that were not drawn."""

    name: str
    charts: list[Chart]
    hidden: list[str]


def look(looks: Mapping[str, Mark], name: str) -> Mark:
    """The mark of `name`; of its family where only a variant of the name is known (``"vae (seed 1)"``)."""
    if name in looks:
        return looks[name]
    family = family_of(name)
    return next((mark for known, mark in looks.items() if family_of(known) == family), REFERENCE)


# -- scores ------------------------------------------------------------------------------------------------


def interval_charts(page: Page, looks: Mapping[str, Mark]) -> list[Chart]:
    """One dot-and-interval chart for each metric, the rows in the order of the page."""
    return [_interval_chart(page, metric, looks) for metric in page.metrics]


def _interval_chart(page: Page, metric: str, looks: Mapping[str, Mark]) -> Chart:
    dots = [Dot(row.name, looks[row.name], cell) for row in page.rows if (cell := row.measured(metric)) is not None]
    real = (cell for row in page.references if _held_out(row.name) and (cell := row.measured(metric)) is not None)
    guide = next(real, None)
    words = "; ".join(f"{dot.name} {value_text(dot.cell)} {interval_text(dot.cell)}".strip() for dot in dots)
    title, cell = explain(metric).title, dots[0].cell
    better = f"{cell.better} is better" if explain(metric).ranked else "a warning, not ranked"
    alt = f"{title}, {better}: {words}"
    unit = f"{cell.unit}, " if unit_text(cell.unit) else ""
    svg = interval_chart(dots, None if guide is None else guide.value, alt)
    return Chart(title, f"{unit}{better}", Markup(svg))


def _held_out(name: str) -> bool:
    return name.lower().replace("-", " ").startswith(("held out", "real"))


# -- quality against cost ----------------------------------------------------------------------------------


def cost_charts(page: Page, looks: Mapping[str, Mark]) -> list[Chart]:
    """For each metric: against network evaluations, and against seconds where they were timed."""
    charts = []
    for metric in dict.fromkeys(curve.metric for curve in page.cost_curves):
        for timed in (False, True):
            curves = [curve for curve in page.cost_curves if curve.metric == metric]
            lines = {curve.name: _cost_line(curve, look(looks, curve.name), timed) for curve in curves}
            drawn = {name: line for name, line in lines.items() if len(line.x)}
            if drawn:
                charts.append(_cost_chart(page, metric, drawn, timed))
    return charts


def _cost_chart(page: Page, metric: str, lines: Mapping[str, Line], timed: bool) -> Chart:
    label = "seconds for 1,000 samples" if timed else "network evaluations for a sample"
    words = "; ".join(
        f"{name} from {plain(line.y[0])} at {plain(line.x[0])} to {plain(line.y[-1])} at {plain(line.x[-1])}"
        for name, line in lines.items()
    )
    title = explain(metric).title
    svg = cost_chart(list(lines.values()), label, octaves=not timed, alt=f"{title} by {label}: {words}")
    return Chart(title, _direction(page, metric), Markup(svg))


def _cost_line(curve: CostCurve, mark: Mark, timed: bool) -> Line:
    """The points in the order of their cost, without those whose cost or value is not a finite number."""
    points = np.array(curve.points, dtype=float).reshape(-1, 4)
    cost = np.array(curve.sample_seconds_per_1000 if timed else points[:, 0], dtype=float)
    table = np.column_stack([cost, points[: len(cost), 1:]])
    table = table[np.isfinite(table[:, :2]).all(1) & (cost > 0)]
    value = table[:, 1]
    low, high = (np.where(np.isfinite(end), end, value) for end in (table[:, 2], table[:, 3]))
    order = np.argsort(table[:, 0])
    return Line(mark, table[order, 0], value[order], low[order], high[order])


def _direction(page: Page, metric: str) -> str:
    cell = next((cell for row in page.rows if (cell := row.measured(metric)) is not None), None)
    return f"{cell.better} is better" if cell else ""


# -- learning curves ---------------------------------------------------------------------------------------


def loss_charts(page: Page, looks: Mapping[str, Mark]) -> list[LossGroup]:
    """For each family one chart a loss, a line for each seed."""
    groups = []
    for name in dict.fromkeys(curve.name for curve in page.curves):
        curves = [curve for curve in page.curves if curve.name == name]
        losses = list(dict.fromkeys(loss for c in curves for point in c.points for loss in point["values"]))
        mark = look(looks, name)
        charts = [_loss_chart(name, loss, curves, mark) for loss in losses[:MOST_LOSSES]]
        groups.append(LossGroup(name, charts, losses[MOST_LOSSES:]))
    return groups


def _loss_chart(name: str, loss: str, curves: Sequence[Curve], mark: Mark) -> Chart:
    lines = [line for curve in curves if len((line := _loss_line(curve, loss, mark)).x)]
    ends = "; ".join(f"from {plain(line.y[0])} to {plain(line.y[-1])}" for line in lines)
    return Chart(loss, "", Markup(loss_chart(lines, f"{name}, {loss} by seconds: {ends}")))


def _loss_line(curve: Curve, loss: str, mark: Mark) -> Line:
    points = [(p["seconds"], p["values"][loss]) for p in curve.points if p["values"].get(loss) is not None]
    table = np.array(points, dtype=float).reshape(-1, 2)
    return Line(mark, table[:, 0], table[:, 1])
