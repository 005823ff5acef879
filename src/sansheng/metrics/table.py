"""How a synthetic table differs from a real one: column by column, pair by pair, and in use.

The columns and pairs are scored as SDMetrics' QualityReport scores them (all pairs counted, no thresholds), and
reported as errors, 100 (1 − score) [%]; the tests hold numbers that it computed. The one constraint: the real table
decides which columns are numbers, and what is not a number is a category.

That report does not see everything: a column's own error leaves missing values out (`missing` counts them), a number
beside a category is put into bins of its own table's range, so that a shift shows only in the column's own error
(`bins="real"` sees it in the pair), and pairs of numbers of which one is constant are not counted.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, cast

import numpy as np
import pandas as pd

BINS = 10
"""Equal-width bins of a column's range, into which a number beside a category is put."""
Bins = Literal["each", "real"]
"""Whose range: of each table its own, or of the real one."""
DENSE_CELLS = 1_000_000
"""Joint tables up to this size are counted cell by cell, larger ones by what occurs."""


@dataclass(frozen=True)
class TableErrors:
    """Errors [%], 0 is best: `shape` is the mean over `columns`, `trend` over `pairs` (0 where there is no pair).

    A pair is NaN, and left out of the mean, where a correlation is undefined: one of the two is constant.
    missing: difference of the shares missing [percentage points], real minus synthetic without its sign, by column.
    """

    shape: float
    trend: float
    columns: dict[str, float]
    pairs: dict[tuple[str, str], float]
    missing: dict[str, float]

    @property
    def missing_mean(self) -> float:
        """Mean of `missing` over all columns [percentage points]."""
        return float(np.mean(list(self.missing.values())))


@dataclass(frozen=True)
class _Side:
    """One column of one table: numbers (NaN where missing; empty for a category), codes (bins, or levels), gaps."""

    numbers: np.ndarray
    codes: np.ndarray
    missing: np.ndarray

    def take(self, rows: np.ndarray) -> _Side:
        numbers = self.numbers[rows] if len(self.numbers) else self.numbers
        return _Side(numbers, self.codes[rows], self.missing[rows])


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

    def __init__(
        self, real: pd.DataFrame, fake: pd.DataFrame, *, categorical: Sequence[str] = (), bins: Bins = "each"
    ) -> None:
        """categorical: numeric columns to be treated as categories. bins: see the head of this file.

        Raises ValueError for tables without rows or with other columns, TypeError for text in a column of numbers.
        """
        _check(real, fake, categorical)
        pairs = [(str(c), series(real, c), series(fake, c), c in categorical) for c in real.columns]
        self._columns = [_column(*pair, bins) for pair in pairs]
        self.rows = (len(real), len(fake))

    def errors(self) -> TableErrors:
        """The errors of all rows."""
        return _errors(self._columns)

    def overall(self, real_rows: np.ndarray, fake_rows: np.ndarray) -> np.ndarray:
        """(shape, trend, missing) of the rows at these positions [%]."""
        some = [_Column(c.name, c.levels, c.real.take(real_rows), c.fake.take(fake_rows)) for c in self._columns]
        errors = _errors(some)
        return np.array([errors.shape, errors.trend, errors.missing_mean])


def table_errors(
    real: pd.DataFrame, fake: pd.DataFrame, *, categorical: Sequence[str] = (), bins: Bins = "each"
) -> TableErrors:
    """Shape and trend errors of `fake` against `real` [%], overall, by column and by pair of columns; lower is better.

    Column: the Kolmogorov-Smirnov statistic of numbers and dates, the total variation distance of categories, of what
    is not missing. Pair: |ρ_fake − ρ_real| / 2 of two numbers (Pearson, over rows that have both), otherwise the total
    variation distance of the joint table, missing being a level and numbers in ten equal-width bins of their range
    (the largest one, those above and those missing share an eleventh).
    Raises ValueError for tables without rows or with other columns, TypeError for text in a column of numbers.
    """
    return TableComparison(real, fake, categorical=categorical, bins=bins).errors()


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


def _column(name: str, real: pd.Series, fake: pd.Series, forced: bool, bins: Bins) -> _Column:
    gaps = real.isna().to_numpy(), fake.isna().to_numpy()
    if forced or not is_numeric(real):
        codes, levels = _level_codes(real, fake)
        nothing, n = np.empty(0), len(real)
        return _Column(name, levels, _Side(nothing, codes[:n], gaps[0]), _Side(nothing, codes[n:], gaps[1]))
    if not is_numeric(fake):
        raise TypeError(f"column {name!r} holds numbers in the real table and {fake.dtype} in the fake one")
    a, b = as_numbers(real), as_numbers(fake)
    edges = _edges(a), _edges(a if bins == "real" else b)
    sides = [_Side(x, _bin_codes(x, e), np.isnan(x)) for x, e in zip((a, b), edges, strict=True)]
    return _Column(name, BINS + 2, *sides)


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
        seconds = column.dt.as_unit("us")  # a date such as 9999-12-31 is beyond what nanoseconds can count
        start = pd.Timestamp(0, tz=getattr(column.dtype, "tz", None)).as_unit("us")
        column = (seconds - start).dt.total_seconds()
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
    """``(11,)``: ten equal-width bins of the range, of a width around a constant; all infinite if nothing is known."""
    known = numbers[~np.isnan(numbers)]
    if not len(known) or not np.isfinite(known.max() - known.min()):
        return np.full(BINS + 1, -np.inf)
    low, high = known.min(), known.max()
    return np.linspace(low - 0.5, high + 0.5, BINS + 1) if low == high else np.linspace(low, high, BINS + 1)


def _bin_codes(numbers: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """0: below, 1 .. 10: the bins, each without its upper end, 11: at the upper end, above it, or missing."""
    return np.searchsorted(edges, numbers, side="right")


def _errors(columns: list[_Column]) -> TableErrors:
    shapes = {c.name: 100 * _shape_distance(c) for c in columns}
    trends = {(a.name, b.name): 100 * _trend_distance(a, b) for a, b in combinations(columns, 2)}
    defined = [value for value in trends.values() if not np.isnan(value)]
    mean_trend = float(np.mean(defined)) if defined else 0.0
    gaps = {c.name: 100 * float(abs(c.real.missing.mean() - c.fake.missing.mean())) for c in columns}
    return TableErrors(float(np.mean(list(shapes.values()))), mean_trend, shapes, trends, gaps)


def _shape_distance(column: _Column) -> float:
    real, fake = column.real, column.fake
    if column.numeric:
        return _kolmogorov_smirnov(real.numbers, fake.numbers)
    return _total_variation(real.codes[~real.missing], fake.codes[~fake.missing], column.levels)


def _trend_distance(a: _Column, b: _Column) -> float:
    """In [0, 1]; NaN for two numbers of which one is constant."""
    if a.numeric and b.numeric:
        real = correlation(a.real.numbers, b.real.numbers)
        return abs(correlation(a.fake.numbers, b.fake.numbers) - real) / 2
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
    """½ Σ |p − q| over codes 0 .. levels − 1, in [0, 1]; 1 if one of them holds nothing, 0 if both do not."""
    if not len(real) or not len(fake):
        return float(len(real) != len(fake))
    if levels > DENSE_CELLS:
        seen, codes = np.unique(np.concatenate([real, fake]), return_inverse=True)
        real, fake, levels = codes[: len(real)], codes[len(real) :], len(seen)
    p, q = np.bincount(real, minlength=levels) / len(real), np.bincount(fake, minlength=levels) / len(fake)
    return float(0.5 * np.abs(p - q).sum())


def correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson's correlation over rows where both are known; NaN if either is constant there."""
    known = ~(np.isnan(x) | np.isnan(y))
    if known.sum() < 2:
        return np.nan
    x, y = _standardised(x[known]), _standardised(y[known])
    return float(np.clip((x * y).mean(), -1, 1))


def _standardised(x: np.ndarray) -> np.ndarray:
    """Mean 0 and variance 1, in a way that survives values near the largest float; NaN if constant."""
    largest = np.abs(x).max()
    if largest == 0 or x.min() == x.max():
        return np.full_like(x, np.nan)
    x = x / largest
    x = x - x.mean()
    spread = np.sqrt(np.square(x).mean())
    return x / spread if spread > 0 else np.full_like(x, np.nan)
