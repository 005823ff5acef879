"""A number that travels with its n, interval, direction and unit.

The one constraint: the unit settles the range, and value, low and high are inside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sansheng.metrics.bootstrap import Interval, pool

Better = Literal["lower", "higher"]
RANGES: dict[str, tuple[float, float]] = {
    "share": (0.0, 1.0),
    "AUC": (0.5, 1.0),
    "bits": (0.0, math.inf),
    "%": (0.0, 100.0),
    "points": (-100.0, 100.0),
    "squared feature units": (0.0, math.inf),
    "squared kernel units": (-math.inf, math.inf),
    "ratio": (0.0, math.inf),
}
"""Lowest and highest value of each unit; points are a difference of percentages. An AUC below a half is chance and
tells nothing apart, as a half does."""


@dataclass(frozen=True)
class Score:
    """What was measured: `value` in [`low`, `high`] (95 %), on `n` samples, which direction is `better`, its `unit`."""

    value: float
    low: float
    high: float
    n: int
    better: Better
    unit: str

    def to_json(self) -> dict[str, Any]:
        """Plain numbers and text."""
        return asdict(self)


def score(interval: Interval, n: int, better: Better, unit: str) -> Score:
    """A Score whose interval is cut to the range of its unit."""
    lowest, highest = RANGES.get(unit, (-math.inf, math.inf))
    value, low, high = (min(max(float(x), lowest), highest) for x in interval)
    return Score(value, low, high, n, better, unit)


def pool_scores(scores: Sequence[Score]) -> Score:
    """One score for several seeds of one model: the mean, with the interval of `bootstrap.pool`, n summed.

    Raises ValueError if there are none.
    """
    interval = pool([(s.value, s.low, s.high) for s in scores])
    return score(interval, sum(s.n for s in scores), scores[0].better, scores[0].unit)
