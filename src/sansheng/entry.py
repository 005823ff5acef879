"""The rows of a comparison, and the page that shows them.

The one constraint: nothing is measured here; what was measured is pooled, arranged and handed to the report.
"""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from sansheng.codecs.base import Records
from sansheng.codecs.pixels import counted
from sansheng.data import IN_MEMORY, Data
from sansheng.metrics import Score, pool_scores
from sansheng.metrics.privacy import Findings
from sansheng.report import Chapter, CostCurve, Curve, HealthNote, Page, Panel, Row, ScoreCell, Section, ranked_table
from sansheng.report.explanations import explain
from sansheng.run import Run
from sansheng.session import read_journal

EVALUATION_KEY = "network_evaluations_per_sample"
HEADLINES = (
    "frechet", "ngram_divergence", "modes", "high_quality", "shape_error", "trend_error", "coverage", "two_sample_auc",
    "usefulness", "copied", "copying",
)  # fmt: skip
"""What a terminal has room for, as far as it was measured."""
SHOWN_IN_TERMINAL = 4
SHOWN = 36
SHOWN_ROWS = 12
MOST_POINTS = 600
"""Points of a learning curve in the report."""


@dataclass(frozen=True)
class CostPoint:
    """The headline score when a sample costs this many network evaluations."""

    evaluations: int
    score: Score
    seconds_per_1000: float


@dataclass
class Entry:
    """One row in the making: a family with a preset, over all seeds; or real data."""

    name: str
    kind: Literal["family", "reference"]
    scores: list[dict[str, Score]] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    costs: list[dict[str, float]] = field(default_factory=list)
    headline: str = ""
    cost_curve: list[CostPoint] = field(default_factory=list)
    shown: Records | None = None
    symptoms: list[str] = field(default_factory=list)
    findings: Findings | None = None
    """Of attacks on the rows that are shown, where these are a table."""

    def pooled(self) -> dict[str, Score]:
        """One score a metric, over the seeds."""
        names = dict.fromkeys(name for scores in self.scores for name in scores)
        return {name: pool_scores([s[name] for s in self.scores if name in s]) for name in names}

    def cost(self) -> dict[str, float]:
        """Means over the seeds."""
        return {name: float(np.mean([c[name] for c in self.costs])) for name in (self.costs[0] if self.costs else {})}

    def to_json(self) -> dict[str, Any]:
        """A row of ``scores.json``."""
        scores = {name: score.to_json() for name, score in self.pooled().items()}
        return {"name": self.name, "kind": self.kind, "scores": scores, "cost": self.cost()}


def build_page(
    data: Data,
    entries: Sequence[Entry],
    *,
    n: int,
    asked: Mapping[str, Any],
    notes: Sequence[str] = (),
    sections: Sequence[Section] = (),
    chapters: Sequence[Chapter] = (),
) -> Page:
    """The report of these rows. asked: the options of the command, None where none was given, True for a switch, a list
    for one that comes several times."""
    families = [entry for entry in entries if entry.runs]
    recipe = families[0].runs[0].recipe
    limit = ["--steps", str(recipe.steps)] if recipe.steps else ["--budget", str(recipe.budget)]
    given = {name: value for name, value in asked.items() if value is not None}
    each = [(name, one) for name, value in given.items() for one in (value if isinstance(value, list) else [value])]
    options = [text for name, value in each for text in ((name,) if value is True else (name, str(value)))]
    file = "YOUR_DATA" if data.source.endswith(IN_MEMORY) else data.source  # of which a command knows nothing
    command = shlex.join(["sansheng", "compare", file, *limit, *options])
    return Page(
        title=f"{data.name}: {counted(len(families), 'generative model')} compared",
        data=[*data.codec.describe(), ("split", f"{len(data.train):,} to train on, {len(data.test):,} held out")],
        notes=[*data.notes, f"Every row is scored on {n:,} examples against the training split.", *notes],
        budget=str(recipe.budget),
        seeds=len(families[0].runs),
        rows=[_row(entry) for entry in entries],
        panels=[panel for entry in entries for panel in _panels(entry, data)],
        curves=[Curve(entry.name, run.recipe.seed, _points(run)) for entry in families for run in entry.runs],
        cost_curves=[_cost_curve(entry) for entry in families],
        health=[note for entry in families for note in _health(entry)],
        settings={entry.name: _settings(entry) for entry in families},
        reproduce=[f"pip install sansheng=={version('sansheng')}", command],
        version=version("sansheng"),
        sections=sections,
        chapters=chapters,
    )


def table_of(page: Page) -> tuple[list[str], list[list[str]]]:
    """(header, rows) of text for a terminal: the best family first, the references last."""
    shown = [metric for metric in HEADLINES if metric in page.metrics][:SHOWN_IN_TERMINAL]
    cells = {row.name: [_cell_text(row.measured(metric)) for metric in shown] for row in page.rows}
    by_name = {row.name: row for row in page.rows}
    keys = ("steps", "train_seconds", "sample_seconds_per_1000", EVALUATION_KEY)
    places = {ranked.name: str(ranked.rank) for ranked in ranked_table(page)}
    names = [*places, *(row.name for row in page.families if row.name not in places)]
    lines = [
        [name, places.get(name, ""), *cells[name], *[_number(by_name[name].cost.get(key)) for key in keys]]
        for name in names
    ]
    lines += [[row.name, "", *cells[row.name], *[""] * len(keys)] for row in page.references]
    header = ["model", "rank", *[explain(metric).title for metric in shown]]
    return [*header, "steps", "train [s]", "1,000 samples [s]", "evaluations"], lines


def _cell_text(cell: ScoreCell | None) -> str:
    return "–" if cell is None else f"{cell.value:.3g} ({cell.interval[0]:.3g} to {cell.interval[1]:.3g})"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _row(entry: Entry) -> Row:
    cells = {name: ScoreCell(s.value, s.low, s.high, s.n, s.better, s.unit) for name, s in entry.pooled().items()}
    return Row(entry.name, entry.kind, cells, entry.cost())


def _panels(entry: Entry, data: Data) -> list[Panel]:
    if entry.shown is None:
        return []
    with tempfile.TemporaryDirectory() as scratch:
        few = entry.shown.take(np.arange(min(SHOWN, len(entry.shown))))
        asked = [name for name in data.condition if name in few.labels]
        if data.kind == "text" and asked:
            rows = zip(*(few.labels[name] for name in asked), few.values, strict=True)
            shown = [[str(cell) for cell in row] for row in rows][:SHOWN_ROWS]
            return [Panel(entry.name, entry.kind, ([*asked, "text"], shown))]
        path = data.codec.preview(few, Path(scratch) / "samples")
        return [Panel(entry.name, entry.kind, _content(path))]


def _content(path: Path) -> Any:
    """What a preview shows, as a panel holds it."""
    if path.suffix == ".png":
        return path.read_bytes()
    if path.suffix == ".csv":
        frame = pd.read_csv(path, dtype=object, keep_default_na=False).head(SHOWN_ROWS)
        return list(map(str, frame.columns)), frame.to_numpy().tolist()
    return path.read_text("utf-8").splitlines()[: 2 * SHOWN_ROWS]


def _points(run: Run) -> list[Any]:
    lines = read_journal(run.path)
    step = max(1, len(lines) // MOST_POINTS)
    return [{"step": line["step"], "seconds": line["seconds"], "values": _losses(line)} for line in lines[::step]]


def _losses(line: Mapping[str, Any]) -> dict[str, float]:
    """The logged values, losses proper first."""
    return dict(sorted(line["values"].items(), key=lambda item: not item[0].endswith("/loss")))


def _cost_curve(entry: Entry) -> CostCurve:
    points = [(float(p.evaluations), p.score.value, p.score.low, p.score.high) for p in entry.cost_curve]
    return CostCurve(entry.name, entry.headline, points, [p.seconds_per_1000 for p in entry.cost_curve])


def _health(entry: Entry) -> list[HealthNote]:
    if not entry.symptoms:
        return [HealthNote(entry.name, "ok", "nothing amiss was found")]
    return [HealthNote(entry.name, "warning", symptom) for symptom in entry.symptoms]


def _settings(entry: Entry) -> dict[str, Any]:
    recipe = entry.runs[0].recipe.model_dump(exclude={"data", "knots", "changes", "sansheng"})
    return {name: value for name, value in recipe.items() if value is not None}
