"""How strongly two columns go together, on one scale whatever they are.

Numbers with numbers: Pearson's ρ in [−1, 1]. Levels with levels: Cramér's V in [0, 1], without its bias (Bergsma
2013). Numbers with levels: the correlation ratio η in [0, 1] (Fisher 1925), without its bias (Kelley 1935).
The one constraint: only rows in which both are known count, and what is undefined (a constant) is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from sansheng.metrics.table import as_numbers, correlation, is_numeric, series


@dataclass(frozen=True)
class _Column:
    """Numbers (NaN for missing), or codes (−1 for missing)."""

    numeric: bool
    values: np.ndarray


def associations(frame: pd.DataFrame) -> Float[np.ndarray, "C C"]:
    """The association of every pair of columns, symmetric, 1 on the diagonal."""
    columns = [_read(series(frame, name)) for name in frame.columns]
    table = np.eye(len(columns))
    for i, a in enumerate(columns):
        for j, b in enumerate(columns[:i]):
            table[i, j] = table[j, i] = association(a, b)
    return table


def association(a: _Column, b: _Column) -> float:
    """In [−1, 1] for two numbers, else in [0, 1]."""
    if a.numeric and b.numeric:
        return correlation(a.values, b.values)
    if a.numeric or b.numeric:
        numbers, levels = (a, b) if a.numeric else (b, a)
        known = ~np.isnan(numbers.values) & (levels.values >= 0)
        return _correlation_ratio(numbers.values[known], levels.values[known])
    known = (a.values >= 0) & (b.values >= 0)
    return _cramer(a.values[known], b.values[known])


def _read(column: pd.Series) -> _Column:
    if is_numeric(column):
        return _Column(True, as_numbers(column))
    return _Column(False, pd.factorize(column.astype(object))[0])


def _correlation_ratio(numbers: np.ndarray, levels: np.ndarray) -> float:
    _, group, size = np.unique(levels, return_inverse=True, return_counts=True)
    n, k = len(numbers), len(size)
    if k < 2 or n <= k or numbers.min() == numbers.max():
        return np.nan
    centred = numbers - numbers.mean()
    centred = centred / np.abs(centred).max()
    between = float((np.bincount(group, centred) ** 2 / size).sum())
    share = between / float(np.square(centred).sum())
    return float(np.sqrt(max(0.0, 1 - (1 - share) * (n - 1) / (n - k))))


def _cramer(a: np.ndarray, b: np.ndarray) -> float:
    a, b = (np.unique(x, return_inverse=True)[1] for x in (a, b))
    n = len(a)
    if n < 2 or a.max() == 0 or b.max() == 0:
        return np.nan
    rows, columns = int(a.max()) + 1, int(b.max()) + 1
    counts = np.bincount(a * columns + b, minlength=rows * columns).reshape(rows, columns)
    expected = np.outer(counts.sum(1), counts.sum(0)) / n
    phi = float((np.square(counts - expected) / expected).sum()) / n - (rows - 1) * (columns - 1) / (n - 1)
    least = min(r - (r - 1) ** 2 / (n - 1) for r in (rows, columns)) - 1
    return float(np.sqrt(min(1.0, max(0.0, phi) / least))) if least > 0 else np.nan
