"""A column of numbers as standard normal numbers, and back, by rank: z = Φ⁻¹(F(v)).

A value that repeats owns the interval [F(v−), F(v)] of probability: encoding spreads its rows over that interval and
decoding returns the value that owns it. A value that hardly repeats is one point, and between points both ways
interpolate linearly. The one constraint: a decoded number lies within the range seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import ndtri

ROWS_PER_VALUE = 2
"""With this many rows for each distinct value on average a column is discrete: every value that repeats owns an
interval."""
OFTEN = 3.0
"""In other columns a value owns one if it is more than this many times as frequent as values are on average."""
MOST_OWNERS = 50_000
MOST_POINTS = 50_000
DECIMALS = range(-6, 11)
USUAL_SHARE = 0.99
"""Decimals that hold so large a share of the rows are what numbers between points are rounded to."""
NOISE = 1e-14
"""Share of itself by which a binary fraction may miss the decimals it stands for."""
MARGIN = 0.02
"""Share of a value's interval left free at each end, so that float32 cannot carry it into its neighbour."""


@dataclass(frozen=True, eq=False)
class Quantile:
    """A fitted map between numbers and standard normal numbers in [−edge, edge].

    values: ``(K,)`` increasing. low, high: ``(K,)``, the interval of probability of each value; equal for a point.
    decimals: what numbers decoded between points are rounded to; None leaves them alone.
    """

    values: np.ndarray
    low: np.ndarray
    high: np.ndarray
    decimals: int | None
    edge: float

    @staticmethod
    def fit(numbers: np.ndarray, *, seen_only: bool = False) -> Quantile:
        """Fit to finite numbers ``(N,)`` of which at least two differ. seen_only: decode to none but these."""
        values, counts = np.unique(numbers, return_counts=True)
        owns = np.ones(len(counts), dtype=bool) if seen_only else _owners(counts)
        return _place(values, counts, owns)

    @staticmethod
    def fit_points(numbers: np.ndarray) -> Quantile:
        """The same with every value a point, so that a number between values seen comes back as it was given."""
        values, counts = np.unique(numbers, return_counts=True)
        return _place(values, counts, np.zeros(len(counts), dtype=bool))

    def encode(self, numbers: np.ndarray, generator: np.random.Generator | None) -> np.ndarray:
        """Finite numbers ``(N,)`` to z ``(N,)``, as float32 holds it.

        Without a generator all rows of a value go to the middle of its interval.
        Numbers never seen lie between the points about them; between two owners, or out of range, they are taken for
        the nearest value.
        """
        at = np.searchsorted(self.values, numbers).clip(max=len(self.values) - 1)
        seen = self.values[at] == numbers
        share = None if generator is None else generator.uniform(MARGIN, 1 - MARGIN, len(numbers))
        z = self._middle[at] if share is None else ndtri(self.low[at] + (self.high[at] - self.low[at]) * share)
        if not seen.all():
            new = np.flatnonzero(~seen)
            z[new] = self._between(numbers[new], 0.5 if share is None else share[new])
        z = z.clip(-self.edge, self.edge)
        return z.astype(np.float32).astype(np.float64)

    def _between(self, numbers: np.ndarray, share: np.ndarray | float) -> np.ndarray:
        """The z ``(N,)`` of numbers that were not seen, or were not kept."""
        numbers = self._snapped(numbers)
        at = np.searchsorted(self.values, numbers).clip(max=len(self.values) - 1)
        own = ndtri(self.low[at] + (self.high[at] - self.low[at]) * share)
        between = np.interp(numbers / self._scale, self.values.repeat(2) / self._scale, self._knots)
        between = between.clip(self._knots[(2 * at - 1).clip(0)], self._knots[2 * at])
        return np.where(self.values[at] == numbers, own, between)

    def decode(self, z: np.ndarray) -> np.ndarray:
        """z ``(N,)`` to numbers ``(N,)``."""
        knot = np.searchsorted(self._knots, z, side="right").clip(1) - 1
        left, right = self.values[knot // 2], self.values[(knot // 2 + 1).clip(max=len(self.values) - 1)]
        owned = (knot % 2 == 0) | (self._knots[knot] == z)
        between = np.interp(z, self._knots, self.values.repeat(2) / self._scale) * self._scale
        if self.decimals is not None:
            between = np.round(between, self.decimals)
        return np.where(owned, left, between.clip(left, right))

    def to_json(self) -> dict[str, Any]:
        return {"decimals": self.decimals, "edge": self.edge}

    def arrays(self) -> dict[str, np.ndarray]:
        return {"values": self.values, "low": self.low, "high": self.high}

    @staticmethod
    def from_json(data: dict[str, Any], arrays: dict[str, np.ndarray]) -> Quantile:
        return Quantile(arrays["values"], arrays["low"], arrays["high"], data["decimals"], data["edge"])

    @cached_property
    def _knots(self) -> np.ndarray:
        """``(2K,)``: the z at which each value begins and ends, as float32 holds them."""
        z = ndtri(np.stack([self.low, self.high], axis=1).ravel())
        return z.clip(-self.edge, self.edge).astype(np.float32).astype(np.float64)

    @cached_property
    def _middle(self) -> np.ndarray:
        """``(K,)``: the z in the middle of each value's interval."""
        return ndtri((self.low + self.high) / 2)

    @cached_property
    def _scale(self) -> float:
        """A power of two that keeps differences of huge numbers finite; 1 for all others."""
        largest = float(np.abs(self.values).max())
        return 2.0 ** (math.frexp(largest)[1] - 1) if largest > 1e150 else 1.0

    def _snapped(self, numbers: np.ndarray) -> np.ndarray:
        """Numbers with no room between the two values about them, replaced by the nearer one."""
        right = np.searchsorted(self.values, numbers).clip(min(1, len(self.values) - 1), len(self.values) - 1)
        full = self.high[right - 1] >= self.low[right]
        outside = (numbers < self.values[0]) | (numbers > self.values[-1])
        return np.where(full | outside, self.values[nearest(self.values, numbers)], numbers)


def nearest(values: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """The index of the nearest of `values` (increasing) for each number."""
    if len(values) == 1:
        return np.zeros(len(numbers), dtype=np.int64)
    right = np.searchsorted(values, numbers).clip(1, len(values) - 1)
    with np.errstate(over="ignore"):  # an infinite distance compares as it should
        return np.where(numbers - values[right - 1] < values[right] - numbers, right - 1, right)


def decimals_of(values: np.ndarray, counts: np.ndarray | None = None) -> int | None:
    """The fewest decimals (negative for tens, hundreds...) that hold every value, or None if ten do not.

    With `counts`, those that hold all but one row in a hundred.
    """
    weights = None if counts is None else counts / counts.sum()
    with np.errstate(over="ignore", invalid="ignore"):
        for decimals in DECIMALS:
            fits = np.abs(np.round(values, decimals) - values) <= NOISE * np.abs(values)
            if fits.all() or (weights is not None and weights[fits].sum() >= USUAL_SHARE):
                return decimals
    return None


def _place(values: np.ndarray, counts: np.ndarray, owns: np.ndarray) -> Quantile:
    """Values with what is theirs of the probability: all of it if they own it, otherwise its middle."""
    total = np.concatenate([[0], counts.cumsum()])
    n, middle = total[-1], (total[:-1] + total[1:]) / 2
    low, high = np.where(owns, total[:-1], middle) / n, np.where(owns, total[1:], middle) / n
    kept = _kept(owns, middle / n)
    edge = float(np.float32(ndtri(1 - 0.5 / n)))
    return Quantile(values[kept], low[kept], high[kept], decimals_of(values, counts), edge)


def _owners(counts: np.ndarray) -> np.ndarray:
    """Which values own an interval."""
    if len(counts) <= MOST_OWNERS and counts.mean() >= ROWS_PER_VALUE:
        return counts > 1
    return counts > OFTEN * counts.mean()


def _kept(owns: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """Indices of all owners and of at most MOST_POINTS points: half even in rank, half in z (where the tails are)."""
    points = np.flatnonzero(~owns)
    if len(points) <= MOST_POINTS:
        return np.arange(len(owns))
    half, z = MOST_POINTS // 2, ndtri(middle[points])
    by_rank = np.linspace(0, len(z) - 1, half).round().astype(np.int64)
    by_z = np.searchsorted(z, np.linspace(z[0], z[-1], half)).clip(max=len(z) - 1)
    return np.sort(np.concatenate([np.flatnonzero(owns), np.unique(points[np.concatenate([by_rank, by_z])])]))
