"""How a synthetic table differs from a real one: column by column, pair by pair, and in use.

The columns and pairs are scored as SDMetrics' QualityReport scores them (all pairs counted, no thresholds), and
reported as errors, 100 (1 − score) [%]. The one constraint: the real table decides which columns are numbers, and what
is not a number is a category, missing being a level of its own.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import cast

import numpy as np
import pandas as pd

BINS = 10
"""Equal-width bins of the real range, into which a number beside a category is put."""
DENSE_CELLS = 1_000_000
"""Joint tables up to this size are counted cell by cell, larger ones by what occurs."""


@dataclass(frozen=True)
class TableErrors:
    """Errors [%], 0 is best: `shape` is the mean over `columns`, `trend` over `pairs` (0 where there is no pair)."""

    shape: float
    trend: float
    columns: dict[str, float]
    pairs: dict[tuple[str, str], float]


@dataclass(frozen=True)
class _Side:
    """One column of one table: numbers (NaN where missing; empty for a category) and codes (bins, or levels)."""

    numbers: np.ndarray
    codes: np.ndarray

    def take(self, rows: np.ndarray) -> _Side:
        return _Side(self.numbers[rows] if len(self.numbers) else self.numbers, self.codes[rows])


@dataclass(frozen=True)
class _Column:
    """One column of both tables; `levels` is the number of codes."""

    name: str
    levels: int
    real: _Side
    fake: _Side

    @property
    def numeric(self) -> bool:
        return len(self.real.numbers) > 0


class TableComparison:
    """Two tables read once, to be compared as a whole or on some of their rows."""

    def __init__(self, real: pd.DataFrame, fake: pd.DataFrame, *, categorical: Sequence[str] = ()) -> None:
        """categorical: numeric columns to be treated as categories.

        Raises ValueError for tables without rows or with other columns, TypeError for text in a column of numbers.
        """
        _check(real, fake, categorical)
        self._columns = [_column(str(c), series(real, c), series(fake, c), c in categorical) for c in real.columns]
        self.rows = (len(real), len(fake))

    def errors(self) -> TableErrors:
        """The errors of all rows."""
        return _errors(self._columns)

    def overall(self, real_rows: np.ndarray, fake_rows: np.ndarray) -> np.ndarray:
        """(shape, trend) of the rows at these positions [%]."""
        some = [_Column(c.name, c.levels, c.real.take(real_rows), c.fake.take(fake_rows)) for c in self._columns]
        errors = _errors(some)
        return np.array([errors.shape, errors.trend])


def table_errors(real: pd.DataFrame, fake: pd.DataFrame, *, categorical: Sequence[str] = ()) -> TableErrors:
    """Shape and trend errors of `fake` against `real` [%], overall, by column and by pair of columns; lower is better.

    Column: the Kolmogorov-Smirnov statistic of numbers (missing ones dropped), the total variation distance of
    categories. Pair: |ρ_fake − ρ_real| / 2 of two numbers (Pearson; 0 for a constant), otherwise the total variation
    distance of the joint table, numbers in ten equal-width bins of the real range, with one more on either side.
    Raises ValueError for tables without rows or with other columns, TypeError for text in a column of numbers.
    """
    return TableComparison(real, fake, categorical=categorical).errors()


def _check(real: pd.DataFrame, fake: pd.DataFrame, categorical: Sequence[str]) -> None:
    if real.empty or fake.empty:
        raise ValueError(f"both tables need rows and columns, got {real.shape} real and {fake.shape} fake")
    if not real.columns.is_unique:
        raise ValueError("the real table has two columns of the same name")
    if len(real.columns) != len(fake.columns) or set(real.columns) != set(fake.columns):
        odd = sorted(map(str, set(real.columns) ^ set(fake.columns)))
        raise ValueError(f"the tables must have the same columns; only one of them has {', '.join(odd[:5])}")
    if missing := [c for c in categorical if c not in real.columns]:
        raise ValueError(f"categorical names columns that are not there: {', '.join(map(str, missing))}")


def _column(name: str, real: pd.Series, fake: pd.Series, forced: bool) -> _Column:
    if forced or not is_numeric(real):
        codes, levels = _level_codes(real, fake)
        nothing = np.empty(0)
        return _Column(name, levels, _Side(nothing, codes[: len(real)]), _Side(nothing, codes[len(real) :]))
    if not is_numeric(fake):
        raise TypeError(f"column {name!r} holds numbers in the real table and {fake.dtype} in the fake one")
    a, b = as_numbers(real), as_numbers(fake)
    edges = _edges(a)
    return _Column(name, len(edges) + 2, _Side(a, _bin_codes(a, edges)), _Side(b, _bin_codes(b, edges)))


def series(frame: pd.DataFrame, name: Hashable) -> pd.Series:
    """The one column of that name."""
    return cast(pd.Series, frame[name])


def is_numeric(column: pd.Series) -> bool:
    """True for numbers, dates and durations; False for booleans, text and categories."""
    kind = pd.api.types
    if kind.is_bool_dtype(column) or isinstance(column.dtype, pd.CategoricalDtype):
        return False
    return kind.is_numeric_dtype(column) or kind.is_datetime64_any_dtype(column) or kind.is_timedelta64_dtype(column)


def as_numbers(column: pd.Series) -> np.ndarray:
    """float64 with NaN for missing and infinite; dates and durations in seconds."""
    if pd.api.types.is_datetime64_any_dtype(column):
        start = pd.Timestamp(0, tz=getattr(column.dtype, "tz", None))
        column = (column - start).dt.total_seconds()
    elif pd.api.types.is_timedelta64_dtype(column):
        column = column.dt.total_seconds()
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isfinite(values), values, np.nan)


def _level_codes(real: pd.Series, fake: pd.Series) -> tuple[np.ndarray, int]:
    """Codes of both columns in one numbering, missing the last of them, and how many there are."""
    both = pd.concat([real.astype(object), fake.astype(object)], ignore_index=True)
    codes, levels = pd.factorize(both)
    return np.where(codes < 0, len(levels), codes), len(levels) + 1


def _edges(numbers: np.ndarray) -> np.ndarray:
    known = numbers[~np.isnan(numbers)]
    if not len(known) or not np.isfinite(known.max() - known.min()):
        return np.empty(0)
    if known.min() == known.max():
        return known[[0, 0]]  # one bin that holds a single value
    return np.histogram_bin_edges(known, bins=BINS)


def _bin_codes(numbers: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """0 .. len(edges): below, the bins (the last one closed), above; len(edges) + 1 for missing."""
    codes = np.searchsorted(edges, numbers, side="right")
    if len(edges) > 1:
        codes[numbers == edges[-1]] = len(edges) - 1
    return np.where(np.isnan(numbers), len(edges) + 1, codes)


def _errors(columns: list[_Column]) -> TableErrors:
    shapes = {c.name: 100 * _shape_distance(c) for c in columns}
    trends = {(a.name, b.name): 100 * _trend_distance(a, b) for a, b in combinations(columns, 2)}
    mean_trend = float(np.mean(list(trends.values()))) if trends else 0.0
    return TableErrors(float(np.mean(list(shapes.values()))), mean_trend, shapes, trends)


def _shape_distance(column: _Column) -> float:
    if column.numeric:
        return _kolmogorov_smirnov(column.real.numbers, column.fake.numbers)
    return _total_variation(column.real.codes, column.fake.codes, column.levels)


def _trend_distance(a: _Column, b: _Column) -> float:
    if a.numeric and b.numeric:
        real = _correlation(a.real.numbers, b.real.numbers)
        return abs(_correlation(a.fake.numbers, b.fake.numbers) - real) / 2
    real, fake = (x.codes.astype(np.int64) * b.levels + y.codes for x, y in ((a.real, b.real), (a.fake, b.fake)))
    return _total_variation(real, fake, a.levels * b.levels)


def _kolmogorov_smirnov(real: np.ndarray, fake: np.ndarray) -> float:
    """Largest gap between the distribution functions, in [0, 1]; 1 if one of them holds nothing, 0 if both do not."""
    real, fake = np.sort(real[~np.isnan(real)]), np.sort(fake[~np.isnan(fake)])
    if not len(real) or not len(fake):
        return float(len(real) != len(fake))
    at = np.concatenate([real, fake])
    gap = np.searchsorted(real, at, side="right") / len(real) - np.searchsorted(fake, at, side="right") / len(fake)
    return float(np.abs(gap).max())


def _total_variation(real: np.ndarray, fake: np.ndarray, levels: int) -> float:
    """½ Σ |p − q| over codes 0 .. levels − 1, in [0, 1]."""
    if levels > DENSE_CELLS:
        seen, codes = np.unique(np.concatenate([real, fake]), return_inverse=True)
        real, fake, levels = codes[: len(real)], codes[len(real) :], len(seen)
    p, q = np.bincount(real, minlength=levels) / len(real), np.bincount(fake, minlength=levels) / len(fake)
    return float(0.5 * np.abs(p - q).sum())


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson's correlation over rows where both are known; 0 if either is constant there."""
    known = ~(np.isnan(x) | np.isnan(y))
    if known.sum() < 2:
        return 0.0
    x, y = _standardised(x[known]), _standardised(y[known])
    return float(np.clip((x * y).mean(), -1, 1))


def _standardised(x: np.ndarray) -> np.ndarray:
    """Mean 0 and variance 1, in a way that survives values near the largest float; zeros if constant."""
    largest = np.abs(x).max()
    if largest == 0 or x.min() == x.max():
        return np.zeros_like(x)
    x = x / largest
    x = x - x.mean()
    spread = np.sqrt(np.square(x).mean())
    return x / spread if spread > 0 else x
