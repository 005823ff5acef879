"""What every metric asks of its arrays before it computes: two axes, the same columns, enough rows, finite numbers.

The one constraint: a check never changes a value; it returns the same numbers in float64, or raises ValueError.
"""

from __future__ import annotations

import numpy as np
import pandas as pd


def features(name: str, rows: np.ndarray, least: int = 1) -> np.ndarray:
    """`rows` as float64 ``(N, F)``. Raises ValueError for another shape, fewer than `least` rows, NaN or inf."""
    if rows.ndim != 2 or rows.shape[1] == 0:
        raise ValueError(f"{name} must be an array of shape (N, F) with F >= 1, got {rows.shape}")
    if len(rows) < least:
        raise ValueError(f"{name} has {len(rows)} rows; this metric needs at least {least}")
    rows = rows.astype(np.float64)
    bad = ~np.isfinite(rows).all(axis=1)
    if bad.any():
        raise ValueError(f"{name} holds NaN or inf in {bad.sum()} of {len(rows)} rows, first in row {bad.argmax()}")
    return rows


def feature_pair(real: np.ndarray, fake: np.ndarray, least: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64 with the same number of columns. Raises ValueError otherwise."""
    real, fake = features("real", real, least), features("fake", fake, least)
    if real.shape[1] != fake.shape[1]:
        raise ValueError(f"real has {real.shape[1]} features and fake {fake.shape[1]}; they must be the same")
    return real, fake


def subsample(rows: np.ndarray, limit: int, generator: np.random.Generator) -> np.ndarray:
    """`limit` rows drawn without replacement; `rows` itself if it has no more than that."""
    return rows if len(rows) <= limit else rows[generator.choice(len(rows), limit, replace=False)]


def some_rows(frame: pd.DataFrame, limit: int) -> pd.DataFrame:
    """At most `limit` rows in their order, always the same random ones: a file may be sorted by what is measured."""
    if len(frame) <= limit:
        return frame
    return frame.iloc[np.sort(np.random.default_rng(0).choice(len(frame), limit, replace=False))]
