"""Rows of an array too large to copy, read when they are asked for.

The one constraint: what comes out is what indexing the whole array would give; only the time of reading differs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, final

import numpy as np

LARGE = 256 * 2**20
"""Pictures of more bytes than this are read from disk and encoded batch by batch, never all at once [B]."""


@final
class Rows:
    """Rows `index` of an `array` ``(N, ...)`` on disk, in that order; looks like the array they would make.

    Indexing it gives an array, or again rows where that would be `LARGE`.
    """

    def __init__(self, array: np.memmap, index: np.ndarray) -> None:
        self.array, self.index = array, index
        self.dtype = array.dtype
        self.shape = (len(index), *array.shape[1:])
        self.ndim = array.ndim
        self.nbytes = len(index) * array[:1].nbytes

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, key: Any) -> Any:
        place = self.index[key]
        return take(self.array, place) if isinstance(place, np.ndarray) else self.array[place]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.array[self.index], dtype=dtype)

    def copy(self) -> np.ndarray:
        return np.asarray(self)


def is_large(values: Any) -> bool:
    """Whether these are bytes of pictures ``(N, H, W, C)`` that are better not copied."""
    return (
        isinstance(values, np.ndarray | Rows)
        and values.dtype == np.uint8
        and values.ndim == 4
        and values.nbytes > LARGE
    )


def on_disk(values: Any) -> bool:
    """Whether these are large and mapped from a file."""
    return isinstance(values, np.memmap | Rows) and is_large(values)


def take(values: np.ndarray | Rows, index: np.ndarray) -> np.ndarray | Rows:
    """``values[index]``, put off where the values are on disk and the result is large."""
    if not isinstance(values, np.memmap):
        return values[index]
    wanted = Rows(values, np.arange(len(values))[index])
    return wanted if is_large(wanted) else values[index]


def chunks(values: np.ndarray | Rows, size: int) -> Iterator[np.ndarray]:
    """All of `values`, `size` rows at a time."""
    for start in range(0, len(values), size):
        yield np.asarray(values[start : start + size])
