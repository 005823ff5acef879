"""A column of numbers as standard normal numbers, and back, by rank: z = Φ⁻¹(F(v)).

Numbers that repeat are discrete: each owns the interval [F(v−), F(v)] of probability, encoding spreads its rows
over that interval and decoding returns the value that owns it. Numbers that hardly repeat are continuous: both
ways interpolate linearly between values seen. The one constraint: a decoded number lies within the range seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtri

MOST_DISCRETE_VALUES = 5_000
MOST_KNOTS = 2_000
CONTINUOUS_SHARE = 0.8
"""Above this share of distinct values a column is continuous."""
MOST_DECIMALS = 10
MARGIN = 0.02
"""Share of a value's interval left free at each end, so that float32 cannot carry it into its neighbour."""


@dataclass(frozen=True, eq=False)
class Quantile:
    """A fitted map between numbers and standard normal numbers in [−edge, edge].

    values: ``(K,)`` increasing. positions: ``(K,)``, for discrete values the cumulative probability F(v), for
    continuous ones the z of each knot. decimals: what decoded numbers are rounded to; None leaves them alone.
    """

    values: np.ndarray
    positions: np.ndarray
    discrete: bool
    decimals: int | None
    edge: float

    @staticmethod
    def fit(numbers: np.ndarray) -> Quantile:
        """Fit to finite numbers ``(N,)`` of which at least two differ."""
        values, counts = np.unique(numbers, return_counts=True)
        n, edge = len(numbers), float(ndtri(1 - 0.5 / len(numbers)))
        if len(values) <= min(MOST_DISCRETE_VALUES, CONTINUOUS_SHARE * n):
            return Quantile(values, counts.cumsum() / n, True, None, edge)
        z = ndtri((counts.cumsum() - counts / 2) / n)
        knots = _spread_knots(z)
        z = z[knots].astype(np.float32).astype(np.float64)
        return Quantile(values[knots], z, False, decimals_of(values), edge)

    def encode(self, numbers: np.ndarray, generator: np.random.Generator | None) -> np.ndarray:
        """Finite numbers ``(N,)`` to z ``(N,)``; without a generator, to the middle of a value's interval.

        Numbers never seen go to the nearest value seen (discrete) or are clipped to the range seen (continuous).
        """
        if not self.discrete:
            return np.interp(numbers / self._scale, self.values / self._scale, self.positions)
        at = nearest(self.values, numbers)
        low, high = np.concatenate([[0.0], self.positions])[at], self.positions[at]
        share = 0.5 if generator is None else generator.uniform(MARGIN, 1 - MARGIN, len(numbers))
        return np.clip(ndtri(low + (high - low) * share), -self.edge, self.edge)

    def decode(self, z: np.ndarray) -> np.ndarray:
        """z ``(N,)`` to numbers ``(N,)``."""
        if self.discrete:
            return self.values[np.searchsorted(ndtri(self.positions[:-1]), z, side="right")]
        numbers = np.interp(z, self.positions, self.values / self._scale) * self._scale
        return numbers if self.decimals is None else np.round(numbers, self.decimals)

    def to_json(self) -> dict[str, Any]:
        return {"discrete": self.discrete, "decimals": self.decimals, "edge": self.edge}

    def arrays(self) -> dict[str, np.ndarray]:
        return {"values": self.values, "positions": self.positions}

    @staticmethod
    def from_json(data: dict[str, Any], arrays: dict[str, np.ndarray]) -> Quantile:
        return Quantile(arrays["values"], arrays["positions"], data["discrete"], data["decimals"], data["edge"])

    @property
    def _scale(self) -> float:
        """A power of two that keeps differences of huge numbers finite; 1 for all others."""
        largest = float(np.abs(self.values).max())
        return 2.0 ** math.frexp(largest)[1] if largest > 1e150 else 1.0


def nearest(values: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """The index of the nearest of `values` (increasing) for each number."""
    right = np.clip(np.searchsorted(values, numbers), 1, max(len(values) - 1, 1))
    if len(values) == 1:
        return np.zeros(len(numbers), dtype=np.int64)
    return np.where(numbers - values[right - 1] < values[right] - numbers, right - 1, right)


def decimals_of(values: np.ndarray) -> int | None:
    """The fewest decimals that hold every value exactly, or None if ten do not."""
    with np.errstate(over="ignore", invalid="ignore"):
        fits = (d for d in range(MOST_DECIMALS + 1) if np.array_equal(np.round(values, d), values))
        return next(fits, None)


def _spread_knots(z: np.ndarray) -> np.ndarray:
    """Indices of at most MOST_KNOTS knots, half even in rank and half even in z (which is where the tails are)."""
    if len(z) <= MOST_KNOTS:
        return np.arange(len(z))
    half = MOST_KNOTS // 2
    by_rank = np.linspace(0, len(z) - 1, half).round().astype(np.int64)
    by_z = np.clip(np.searchsorted(z, np.linspace(z[0], z[-1], half)), 0, len(z) - 1)
    return np.unique(np.concatenate([by_rank, by_z]))
