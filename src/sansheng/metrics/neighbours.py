"""Squared Euclidean distances between the rows of two arrays, a block of rows at a time.

The one constraint: equal rows are at distance exactly zero, however the blocks fall.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

ROWS = 1024
"""Rows of a distance matrix held at once."""
TIE = 1 + 1e-9
"""Times a radius: a row as far as the k-th neighbour is within it, whatever rounding says."""
ROUNDING = 1e-12
"""A squared distance below this share of the squared norms is rounding, and taken for zero."""


def distance_blocks(x: np.ndarray, y: np.ndarray, rows: int = ROWS) -> Iterator[tuple[slice, np.ndarray]]:
    """(which rows of x, their squared distances to every row of y) for float64 ``(N, F)`` and ``(M, F)``."""
    origin = y.mean(0)
    x, y = x - origin, y - origin
    x_norm, y_norm = np.square(x).sum(1), np.square(y).sum(1)
    for start in range(0, len(x), rows):
        where = slice(start, min(start + rows, len(x)))
        norms = x_norm[where, None] + y_norm
        squared = norms - 2 * (x[where] @ y.T)
        squared[squared <= ROUNDING * norms] = 0.0
        yield where, squared


def nearest(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Squared distance from each row of x to the nearest row of y, ``(N,)``."""
    return np.concatenate([squared.min(1) for _, squared in distance_blocks(x, y)])


def own_radii(x: np.ndarray, k: int, rows: int = ROWS) -> np.ndarray:
    """Squared distance from each row of x to its k-th nearest other row, ``(N,)``, ties included.

    Needs more than k rows.
    """
    radii = np.empty(len(x))
    for where, squared in distance_blocks(x, x, rows):
        squared[np.arange(len(squared)), np.arange(where.start, where.stop)] = np.inf
        radii[where] = np.partition(squared, k - 1, axis=1)[:, k - 1]
    return radii * TIE
