"""Rows of a table as points, so that one can say how near two of them are.

Numbers and dates are at their rank among the training rows, in [0, 1]; levels are corners of a simplex, all at distance
1 from one another; missing is a level. The squared distance of two rows is then a sum over columns of at most about 1
each (the squares of Gower 1971, with ranks in place of ranges, so that no outlier sets the scale).

The one constraint: everything is learnt from the training rows, and a column that tells every row by itself (an
identifier in words) is left out, since it would make all rows strangers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from sansheng.metrics.table import as_numbers, is_numeric, series

LEVELS = 128
"""Levels told apart in a column; the rarer ones and those never seen are one more."""
NEARLY_ALL = 0.9
"""A column of words of which more than this share differ from all others is an identifier."""


@dataclass(frozen=True)
class Column:
    """What was learnt of one column: sorted numbers, or the commonest levels."""

    name: str
    numbers: np.ndarray | None
    levels: tuple[Any, ...] = ()

    def read(self, frame: pd.DataFrame) -> np.ndarray:
        """Rank of each number in [0, 1] or code of each level, ``(N,)``; NaN for missing."""
        column = series(frame, self.name)
        if self.numbers is None:
            codes = {level: float(i) for i, level in enumerate(self.levels)}
            known = column.astype(object).map(codes).to_numpy(dtype=float, na_value=np.nan)
            return np.where(np.isnan(known) & column.notna().to_numpy(), float(len(self.levels)), known)
        values = as_numbers(column)
        sides = (np.searchsorted(self.numbers, values, side) for side in ("left", "right"))
        rank = sum(sides) / (2 * max(1, len(self.numbers)))
        return np.where(np.isnan(values), np.nan, rank)

    def points(self, values: np.ndarray) -> np.ndarray:
        """``(N, width)``: what `read` gave, as coordinates."""
        missing = np.isnan(values)[:, None]
        if self.numbers is not None:
            return np.column_stack([np.where(missing[:, 0], 0.5, values), missing])
        corner = np.where(missing[:, 0], len(self.levels) + 1, np.nan_to_num(values)).astype(int)
        return np.eye(len(self.levels) + 2)[corner] / np.sqrt(2)


@dataclass(frozen=True)
class RowSpace:
    """The columns by which rows are compared."""

    columns: tuple[Column, ...]

    @staticmethod
    def fit(train: pd.DataFrame) -> RowSpace:
        """Learn ranks and levels from training rows. Raises ValueError if no column is left."""
        columns = tuple(_fit(str(c), series(train, c)) for c in train.columns if not identifies(series(train, c)))
        if not columns:
            raise ValueError("every column is an identifier; there is nothing to compare rows by")
        return RowSpace(columns)

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    @property
    def numeric(self) -> np.ndarray:
        """``(C,)``: which columns are ranks and not codes."""
        return np.array([column.numbers is not None for column in self.columns])

    def read(self, frame: pd.DataFrame) -> Float[np.ndarray, "N C"]:
        """Ranks and codes, NaN for missing. Raises KeyError if a column is not there."""
        return np.column_stack([column.read(frame) for column in self.columns])

    def points(self, values: Float[np.ndarray, "N C"], leave_out: int | None = None) -> Float[np.ndarray, "N F"]:
        """Coordinates of what `read` gave, all columns but the one left out."""
        used = [i for i in range(len(self.columns)) if i != leave_out]
        parts = [self.columns[i].points(values[:, i]) for i in used]
        return np.concatenate(parts, axis=1) if parts else np.zeros((len(values), 1))

    def same(
        self, i: int, a: Float[np.ndarray, " N"], b: Float[np.ndarray, " N"], tolerance: float
    ) -> Float[np.ndarray, " N"]:
        """1 where two values of column i agree: the same level, ranks within `tolerance`, or both missing; else 0."""
        near = np.abs(a - b) <= (tolerance if self.columns[i].numbers is not None else 0.0)
        return (near | (np.isnan(a) & np.isnan(b))).astype(float)


def keys(frame: pd.DataFrame, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """Each row as a tuple that is equal for equal rows, whatever type the numbers are stored in; None for missing."""
    plain = [_plain(series(frame, name)) for name in columns]
    return list(zip(*plain, strict=True))


def _plain(column: pd.Series) -> list[Any]:
    if not is_numeric(column):
        return [None if missing else str(v) for v, missing in zip(column.tolist(), column.isna().tolist(), strict=True)]
    return [None if v != v else v for v in as_numbers(column).tolist()]


def _fit(name: str, column: pd.Series) -> Column:
    if is_numeric(column):
        values = as_numbers(column)
        return Column(name, np.sort(values[~np.isnan(values)]))
    return Column(name, None, tuple(column.astype(object).value_counts().index[:LEVELS]))


def identifies(column: pd.Series) -> bool:
    """True for a column of words of which nearly every one is different: a name, a number of a record."""
    return not is_numeric(column) and len(column) > 2 and column.nunique() > NEARLY_ALL * len(column)
