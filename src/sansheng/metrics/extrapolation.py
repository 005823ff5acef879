"""The Frechet distance at n = ∞: what of it is the samples' doing, and what only their number's.

The one constraint: the bias is a straight line in 1/n only where there are several times as many rows as features, so
fewer are refused rather than extrapolated from.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Num

from sansheng.metrics.checks import feature_pair
from sansheng.metrics.distances import frechet

ROWS_PER_FEATURE = 4
"""Rows the smallest subset has for every feature, at least."""
PARTS = 6
"""The most parts the rows are divided into."""


class Extrapolated(NamedTuple):
    """The distance of these samples, its value at n = ∞, and the difference: how much the number of rows adds."""

    value: float
    infinity: float
    bias: float


def frechet_infinity(
    real: Num[np.ndarray, "N F"], fake: Num[np.ndarray, "M F"], generator: np.random.Generator
) -> Extrapolated:
    """The Frechet distance to `real` as it stands for infinitely many fakes [squared feature units].

    FID(n) = FID∞ + c/n, its intercept found by least squares in 1/n (Chong & Forsyth 2020, section 3.2). They draw one
    subset for each n; here n = M/k for k = 1, 2, ... and all k parts of the shuffled rows are averaged, which
    wastes none. `infinity` is as it comes out, so near zero it may be negative; a bias of few real rows stays in it.
    Raises ValueError as `frechet` does, or for fewer than 8 fakes for every feature.
    """
    real, fake = feature_pair(real, fake, least=2)
    parts = _part_counts(len(fake), real.shape[1])
    shuffled = generator.permutation(fake)
    return _extrapolate(parts, [_mean_over(parts_of(shuffled, k), real) for k in parts])


def frechet_debiased(
    real: Num[np.ndarray, "N F"], fake: Num[np.ndarray, "M F"], generator: np.random.Generator
) -> Extrapolated:
    """As `frechet_infinity`, for infinitely many rows of both [squared feature units]: real data come to about zero.

    With the share 1/k of either sample the bias a/N + b/M grows k times, so the line in k meets k = 0 without it. Not
    what papers print, which keep `real` as it is. Raises ValueError as above, for fewer than 8 rows of either.
    """
    real, fake = feature_pair(real, fake, least=2)
    parts = _part_counts(min(len(real), len(fake)), real.shape[1])
    real, fake = generator.permutation(real), generator.permutation(fake)
    values = []
    for k in parts:
        pairs = zip(parts_of(real, k), parts_of(fake, k), strict=True)
        values.append(float(np.mean([frechet(a, b) for a, b in pairs])))
    return _extrapolate(parts, values)


def parts_of(rows: np.ndarray, count: int) -> list[np.ndarray]:
    """The rows in `count` parts of equal size, the remainder dropped."""
    size = len(rows) // count
    return [rows[i * size : (i + 1) * size] for i in range(count)]


def _mean_over(parts: list[np.ndarray], real: np.ndarray) -> float:
    return float(np.mean([frechet(real, part) for part in parts]))


def _part_counts(rows: int, width: int) -> list[int]:
    """1, 2, ... as far as the parts have rows enough."""
    most = min(PARTS, rows // (ROWS_PER_FEATURE * width))
    if most < 2:
        need = 2 * ROWS_PER_FEATURE * width
        raise ValueError(f"the bias of {width} features needs at least {need} rows of each to be found, not {rows}")
    return list(range(1, most + 1))


def _extrapolate(parts: list[int], values: list[float]) -> Extrapolated:
    """The line through (k, value), k being proportional to 1/n, at k = 0."""
    infinity = float(np.polyfit(parts, values, 1)[1])
    return Extrapolated(values[0], infinity, values[0] - infinity)
