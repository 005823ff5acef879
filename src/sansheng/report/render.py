"""A `Page` to one HTML file: no link leaves it, and everything a person named is escaped.

The one constraint: this file only arranges; verdicts are `summary`'s, pictures `figures`', words `explanations`'.
"""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sansheng.report import charts, numbers, tabular
from sansheng.report.explanations import explain, explain_reference
from sansheng.report.marks import Mark, marks
from sansheng.report.page import Chapter, Page, Panel, ScoreCell
from sansheng.report.summary import Summary, difference, listed, ranked_table, summarise, unit_text

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
ARROWS = {"lower": "↓", "higher": "↑"}
LEVELS = {"failed": "✕", "warning": "!", "ok": "✓"}
"""Level of a health note -> its sign, worst first."""


def render(page: Page) -> str:
    """The report as the text of one HTML file that opens without a network.

    Raises nothing of its own: an empty section says that it is empty.
    """
    environment = Environment(
        loader=PackageLoader("sansheng.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("template.html.j2")
    return template.render(**_context(page))


def _context(page: Page) -> dict[str, Any]:
    summary, looks = summarise(page), marks(page.rows)
    panels = [*page.panels, *(panel for section in page.sections for panel in section.panels)]
    panels += [panel for chapter in page.chapters for part in chapter.parts for panel in part.panels]
    for name in (*(panel.name for panel in panels), *page.settings, *(note.name for note in page.health)):
        looks.setdefault(name, charts.look(looks, name))
    return {
        "page": page,
        "summary": summary,
        "verdict": _joined(page.verdict or summary.sentences[0]),
        "sentences": [_joined(text) for text in (summary.sentences if page.verdict else summary.sentences[1:])],
        "ranked": ranked_table(page),
        "winners": _winners(page, summary),
        "marks": looks,
        "panels": _panels(page.panels),
        "sections": [(section, _panels(section.panels)) for section in page.sections],
        "chapters": [_chapter(chapter, looks) for chapter in page.chapters],
        "columns": _columns,
        "scores": _scores(page, summary),
        "footnotes": list(dict.fromkeys(summary.footnotes.values())),
        "references": [(row.name, explain_reference(row.name)) for row in page.references],
        "intervals": charts.interval_charts(page, looks),
        "costs": charts.cost_charts(page, looks),
        "cost_names": list(dict.fromkeys(curve.name for curve in page.cost_curves)),
        "losses": charts.loss_charts(page, looks),
        "health": sorted(page.health, key=lambda note: list(LEVELS).index(note.level)),
        "levels": LEVELS,
        "settings": {name: _flat(values) for name, values in page.settings.items()},
        "explanations": [(metric, explain(metric)) for metric in page.metrics],
        "plain": numbers.plain,
        "count": numbers.count,
        "seconds": numbers.seconds,
        "fixed": numbers.fixed,
        "swatch": swatch,
    }


def swatch(mark: Mark) -> Markup:
    """The symbol of a family in its colour, as it stands before a name."""
    return Markup('<span class="mark" style="color:var(--{})" aria-hidden="true">{}</span>').format(
        mark.css, mark.symbol
    )


def _joined(sentence: str) -> str:
    """No line ends between a number and its per cent."""
    return sentence.replace(" %", "\N{NO-BREAK SPACE}%")


# -- summary and scores ------------------------------------------------------------------------------------


def _winners(page: Page, summary: Summary) -> list[dict[str, Any]]:
    """A line for each metric: who is best, by how much, and what the interval says."""
    lines = []
    for winner in summary.winners:
        gap = "only one measured"
        if winner.runner_up is not None:
            gap = f"{difference(winner.cell, page.cells(winner.metric)[winner.runner_up])} {winner.runner_up}"
        lines.append(
            {
                "title": _title(winner.metric, winner.cell),
                "name": winner.name,
                "value": f"{numbers.value_text(winner.cell)}{unit_text(winner.cell.unit)}",
                "interval": numbers.interval_text(winner.cell),
                "gap": gap,
                "won": winner.significant,
                "alone": winner.runner_up is None,
                "tied": listed(winner.tied),
            }
        )
    return lines


def _scores(page: Page, summary: Summary) -> list[dict[str, Any]]:
    """A line for each metric: its cells in the order of the rows, and the number of its footnote."""
    notes = list(dict.fromkeys(summary.footnotes.values()))
    lines = []
    for metric in page.metrics:
        cells = [row.measured(metric) for row in page.rows]
        measured = [cell for cell in cells if cell is not None]
        lines.append(
            {
                "title": _title(metric, measured[0]),
                "unit": measured[0].unit,
                "ranked": explain(metric).ranked,
                "n": _sizes(measured),
                "note": notes.index(summary.footnotes[metric]) + 1 if metric in summary.footnotes else None,
                "cells": [_cell(row.name, metric, cell, summary) for row, cell in zip(page.rows, cells, strict=True)],
            }
        )
    return lines


def _cell(name: str, metric: str, cell: ScoreCell | None, summary: Summary) -> dict[str, str]:
    """The texts of one score and whether it won, is the best value, is tied with the best, or none of these."""
    winner = summary.winner(metric)
    if cell is None:
        return {"value": numbers.DASH, "interval": "", "class": "missing"}
    kind = ""
    if winner is not None and winner.runner_up is not None:
        best = "won" if winner.significant else "best tied" if winner.tied else "best"
        kind = best if winner.name == name else "tied" if name in winner.tied else ""
    return {"value": numbers.value_text(cell), "interval": numbers.interval_text(cell), "class": kind}


def _title(metric: str, cell: ScoreCell) -> str:
    entry = explain(metric)
    return f"{entry.title} {ARROWS[cell.better]}" if entry.ranked else entry.title


def _sizes(cells: list[ScoreCell]) -> str:
    low, high = min(cell.n for cell in cells), max(cell.n for cell in cells)
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"


# -- chapters ----------------------------------------------------------------------------------------------


def _chapter(chapter: Chapter, looks: Mapping[str, Mark]) -> dict[str, Any]:
    parts = [
        {
            "title": part.title,
            "note": part.note,
            "panels": _panels(part.panels),
            "columns": tabular.distribution_charts(part.distributions, looks),
            "names": list(dict.fromkeys(n for one in part.distributions for n in list(one.shares)[1:])),
            "heats": [(name, [tabular.heat_chart(heat) for heat in heats]) for name, heats in part.heats],
        }
        for part in chapter.parts
    ]
    findings = [_joined(text) for text in chapter.findings]
    return {
        "title": chapter.title,
        "id": chapter.title.lower(),
        "note": chapter.note,
        "findings": findings,
        "parts": parts,
    }


# -- panels and settings -----------------------------------------------------------------------------------


def _panels(panels: Sequence[Panel]) -> dict[str, list[dict[str, Any]]]:
    """Panels by form, real data first within each."""
    groups: dict[str, list[dict[str, Any]]] = {"image": [], "lines": [], "table": [], "clips": []}
    for panel in sorted(panels, key=lambda panel: panel.kind != "reference"):
        groups[panel.form].append(_panel(panel))
    return groups


def _columns(panels: list[dict[str, Any]]) -> int:
    """How many panels stand beside each other where there is room: up to six, three of what is wide; rows alike."""
    wide = any(panel.get("longest", 0) > 30 or panel.get("width", 0) > 1.3 * panel.get("height", 0) for panel in panels)
    return -(-len(panels) // -(-len(panels) // (3 if wide else 6)))


def _panel(panel: Panel) -> dict[str, Any]:
    content: Any = panel.content
    if panel.form == "image":
        width, height = struct.unpack(">II", content[16:24])
        source = _inline("image/png", content)
        return {"name": panel.name, "kind": panel.kind, "source": source, "width": width, "height": height}
    if panel.form == "clips":
        clips = [
            {"text": c.text, "sound": _inline("audio/wav", c.wav), "picture": _inline("image/png", c.picture)}
            for c in content
        ]
        return {"name": panel.name, "kind": panel.kind, "clips": clips}
    if panel.form == "lines":
        lines = [str(line) for line in content]
        longest = max(map(len, lines), default=0)
        return {"name": panel.name, "kind": panel.kind, "lines": lines, "longest": longest}
    columns, rows = content
    cells = [[_value(value) for value in row] for row in rows]
    numeric = [all(_is_number(row[i]) for row in rows if i < len(row)) for i in range(len(columns))]
    return {"name": panel.name, "kind": panel.kind, "columns": columns, "rows": cells, "numeric": numeric}


def _inline(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _value(value: Any) -> str | None:
    """A cell of a person's table; None where the value is missing (in a CSV file: empty)."""
    if value is None or value != value or value == "":
        return None
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _is_number(value: Any) -> bool:
    """True for numbers, for their text, and for a missing value, which does not say otherwise."""
    if isinstance(value, str):
        return not value or NUMBER.fullmatch(value) is not None
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as (dotted name, value) lines."""
    lines: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            lines += _flat(value, f"{name}.")
        else:
            lines.append((name, ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)))
    return lines
