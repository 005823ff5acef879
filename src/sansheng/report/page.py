"""What a report page holds: plain frozen data, in the words of `scores.json`.

The one constraint: nothing here knows how it is drawn, and every field is JSON-like (pictures are PNG bytes).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Literal, TypedDict

from sansheng.report.explanations import explain

RowKind = Literal["family", "reference"]
Better = Literal["lower", "higher"]
Level = Literal["ok", "warning", "failed"]
Number = float | int
"""What PEP 484 means by `float`, said so that a check at run time takes whole numbers too."""
Table = tuple[Sequence[str], Sequence[Sequence[Any]]]
"""(column names, rows of cell values)."""

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class ScoreCell:
    """One score with its 95 % interval [low, high], the number of examples behind it and its direction.

    value: in `unit` (may be empty); a value that is not finite counts as not measured.
    low, high: None where no interval is known; the value alone then stands for it.
    """

    value: Number
    low: Number | None
    high: Number | None
    n: int
    better: Better
    unit: str = ""

    def __post_init__(self) -> None:
        if self.better not in ("lower", "higher"):
            raise ValueError(f"a score is better 'lower' or 'higher', not {self.better!r}")

    @property
    def measured(self) -> bool:
        return isfinite(self.value)

    @property
    def interval(self) -> tuple[Number, Number]:
        """(low, high), widened to hold the value; a missing or infinite end is the value itself."""
        low = self.value if self.low is None or not isfinite(self.low) else self.low
        high = self.value if self.high is None or not isfinite(self.high) else self.high
        return min(low, self.value), max(high, self.value)

    @property
    def has_interval(self) -> bool:
        low, high = self.interval
        return high > low

    def overlaps(self, other: ScoreCell) -> bool:
        """True if the two intervals share a point."""
        (low, high), (other_low, other_high) = self.interval, other.interval
        return low <= other_high and other_low <= high

    def apart(self, other: ScoreCell) -> bool:
        """True if the intervals do not overlap; never where neither score has one."""
        return not self.overlaps(other) and (self.has_interval or other.has_interval)

    def beats(self, other: ScoreCell) -> bool:
        """True if this value is strictly better; the intervals are not asked."""
        return self.value < other.value if self.better == "lower" else self.value > other.value


@dataclass(frozen=True)
class Row:
    """One thing compared: a trained family (pooled over seeds) or a reference made of real data.

    cost: train_seconds [s], parameters, steps, sample_seconds_per_1000 [s], network_evaluations_per_sample; any
    may be absent.
    """

    name: str
    kind: RowKind
    scores: Mapping[str, ScoreCell] = field(default_factory=dict)
    cost: Mapping[str, Number | None] = field(default_factory=dict)

    def measured(self, metric: str) -> ScoreCell | None:
        """The score of `metric`, or None where it was not measured."""
        cell = self.scores.get(metric)
        return cell if cell is not None and cell.measured else None


@dataclass(frozen=True)
class Clip:
    """A recording to listen to: the bytes of a WAV file, the PNG of its spectrogram, and what it is said to be."""

    text: str
    wav: bytes
    picture: bytes


@dataclass(frozen=True)
class Panel:
    """Samples to look at: the bytes of one PNG, lines of text, a table (columns, rows), or recordings."""

    name: str
    kind: RowKind
    content: bytes | Sequence[str] | Table | Sequence[Clip]

    def __post_init__(self) -> None:
        if isinstance(self.content, bytes) and not self.content.startswith(PNG_SIGNATURE):
            raise ValueError(f"the picture of panel {self.name!r} is not a PNG; save it with format='PNG'")

    @property
    def form(self) -> Literal["image", "table", "lines", "clips"]:
        if isinstance(self.content, bytes):
            return "image"
        if self.content and all(isinstance(one, Clip) for one in self.content):
            return "clips"
        return "table" if isinstance(self.content, tuple) and len(self.content) == 2 and _nested(self) else "lines"


def _nested(panel: Panel) -> bool:
    return not any(isinstance(part, str) for part in panel.content)


class LossPoint(TypedDict):
    """One line of a journal: step, seconds since training began [s], named losses (None where one was not finite)."""

    step: int
    seconds: Number
    values: Mapping[str, Number | None]


@dataclass(frozen=True)
class Curve:
    """The losses of one training run."""

    name: str
    seed: int
    points: Sequence[LossPoint]


@dataclass(frozen=True)
class CostCurve:
    """A metric against what a sample costs.

    points: (network evaluations per sample, value, low, high), at least one.
    sample_seconds_per_1000: [s] for each point; empty where it was not timed.
    """

    name: str
    metric: str
    points: Sequence[tuple[Number, Number, Number, Number]]
    sample_seconds_per_1000: Sequence[Number] = ()

    def __post_init__(self) -> None:
        timed, points = len(self.sample_seconds_per_1000), len(self.points)
        if timed not in (0, points):
            raise ValueError(f"cost curve {self.name!r}: {points} points but {timed} timings; give one each or none")


@dataclass(frozen=True)
class HealthNote:
    """One remark on how a training run went."""

    name: str
    level: Level
    text: str


@dataclass(frozen=True)
class Section:
    """More to look at: a title, a sentence on how to read it, and panels."""

    title: str
    note: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Distribution:
    """One column, real against synthetic.

    ticks: names of the bins (levels), or their edges, one more than bins, as numbers; `dates` says that these are
    seconds since 1970. shares, missing: of each row, of all its values those in each bin, and those missing, in [0, 1].
    errors: of each row the error of the column [%]. The first row is the real one.
    """

    column: str
    ticks: Sequence[str] | Sequence[Number]
    shares: Mapping[str, Sequence[Number]]
    missing: Mapping[str, Number]
    errors: Mapping[str, Number] = field(default_factory=dict)
    dates: bool = False

    @property
    def named(self) -> bool:
        return all(isinstance(tick, str) for tick in self.ticks)


@dataclass(frozen=True)
class Heat:
    """A number for each pair of columns, symmetric, None where it is not defined; `most` is the strongest colour.

    signed: below zero has a colour of its own.
    """

    title: str
    note: str
    columns: Sequence[str]
    values: Sequence[Sequence[Number | None]]
    most: Number
    signed: bool = False


@dataclass(frozen=True)
class Part:
    """A heading of a chapter with what belongs under it; `heats`: (name of a row of the page, its heat maps)."""

    title: str
    note: str
    panels: Sequence[Panel] = ()
    distributions: Sequence[Distribution] = ()
    heats: Sequence[tuple[str, Sequence[Heat]]] = ()


@dataclass(frozen=True)
class Chapter:
    """A section of the page with a place in its menu: what was found in sentences, then its parts."""

    title: str
    note: str
    findings: Sequence[str]
    parts: Sequence[Part]


@dataclass(frozen=True)
class Page:
    """Everything a report says.

    data: (name, description) lines of what was understood of the data. budget: as a person typed it.
    reproduce: shell commands. verdict: a sentence to stand in place of the one `summarise` writes.
    """

    title: str
    data: Sequence[tuple[str, str]]
    notes: Sequence[str]
    budget: str
    seeds: int
    rows: Sequence[Row]
    panels: Sequence[Panel] = ()
    curves: Sequence[Curve] = ()
    cost_curves: Sequence[CostCurve] = ()
    health: Sequence[HealthNote] = ()
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    reproduce: Sequence[str] = ()
    version: str = ""
    verdict: str | None = None
    sections: Sequence[Section] = ()
    chapters: Sequence[Chapter] = ()

    def __post_init__(self) -> None:
        names = [row.name for row in self.rows]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"each row of a page needs a name of its own; given twice: {', '.join(twice)}")

    @property
    def families(self) -> list[Row]:
        return [row for row in self.rows if row.kind == "family"]

    @property
    def references(self) -> list[Row]:
        return [row for row in self.rows if row.kind == "reference"]

    @property
    def metrics(self) -> list[str]:
        """Every metric some row has, in the order first met."""
        return list(dict.fromkeys(m for row in self.rows for m in row.scores if row.measured(m)))

    @property
    def contested(self) -> list[str]:
        """The metrics that count for ranks; the others only warn."""
        return [metric for metric in self.metrics if explain(metric).ranked]

    def cells(self, metric: str) -> dict[str, ScoreCell]:
        """name -> score of every family that has `metric`."""
        return {row.name: cell for row in self.families if (cell := row.measured(metric)) is not None}
