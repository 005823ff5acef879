"""How the plain values of one column become channels: as numbers, as levels, or not at all.

Plain values are float64 with NaN for missing, or an object array of strings with None for missing. The one
constraint: encoding and decoding are pure functions; whatever is drawn is drawn from the generator passed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from sansheng.codecs.quantile import Quantile, nearest
from sansheng.space import Category, Real, Slot


@dataclass(frozen=True, eq=False)
class Numbers:
    """A Real slot by normal quantile; then, if needed, a Category: 0 a number, then missing, then inflated values.

    Where the Category says something other than a number, the Real is 0 and is ignored when decoding. A missing
    value where none was seen in fitting is encoded as the median.
    """

    quantile: Quantile
    inflated: tuple[float, ...] = ()
    missing: bool = False

    @property
    def slots(self) -> tuple[Slot, ...]:
        real = Real(1, -self.quantile.edge, self.quantile.edge)
        return (real, Category(1 + len(self._special))) if len(self._special) else (real,)

    @cached_property
    def _special(self) -> np.ndarray:
        """What the Category's levels after the first stand for."""
        return np.array(([np.nan] if self.missing else []) + list(self.inflated))

    def encode(self, values: np.ndarray, generator: np.random.Generator | None) -> np.ndarray:
        which = np.zeros(len(values), dtype=np.int64)
        for level, special in enumerate(self._special, start=1):
            which[np.isnan(values) if np.isnan(special) else values == special] = level
        plain = (which == 0) & ~np.isnan(values)
        z = self.quantile.encode(np.where(plain, values, self.quantile.values[0]), generator)
        real = np.where(plain, z, 0.0)[:, None]
        return np.hstack([real, one_hot(which, 1 + len(self._special))]) if len(self._special) else real

    def decode(self, x: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        numbers = self.quantile.decode(x[:, 0])
        if not len(self._special):
            return numbers
        which = x[:, 1:].argmax(1)
        return np.where(which == 0, numbers, self._special[which - 1])

    def to_json(self) -> dict[str, Any]:
        return {**self.quantile.to_json(), "inflated": list(self.inflated), "missing": self.missing}

    def arrays(self) -> dict[str, np.ndarray]:
        return self.quantile.arrays()

    @staticmethod
    def from_json(data: dict[str, Any], arrays: dict[str, np.ndarray]) -> Numbers:
        return Numbers(Quantile.from_json(data, arrays), tuple(data["inflated"]), data["missing"])


@dataclass(frozen=True, eq=False)
class Levels:
    """A Category slot: the levels, then "other" if any level is rare, then missing if any value was.

    Numbers are in order and strings by count. A rare level is encoded as "other" and decoded by drawing among the
    rare ones in proportion to their `counts`. A value never seen goes to "other" if there is one, otherwise a
    number goes to the nearest level and a string, or a missing value, to the `usual` one.
    """

    levels: tuple[str, ...] | tuple[float, ...]
    usual: int = 0
    missing: bool = False
    rare: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()

    @property
    def slots(self) -> tuple[Slot, ...]:
        return (Category(len(self._all)),)

    @cached_property
    def numeric(self) -> bool:
        return not isinstance(next(iter(self.levels), ""), str)

    @cached_property
    def _all(self) -> np.ndarray:
        """What each level of the slot stands for; "other" and missing are None (NaN among numbers)."""
        unnamed = bool(self.rare) + self.missing
        if self.numeric:
            return np.array([*self.levels, *[np.nan] * unnamed], dtype=np.float64)
        return np.array([*self.levels, *[None] * unnamed], dtype=object)

    def encode(self, values: np.ndarray, generator: np.random.Generator | None) -> np.ndarray:
        known = self._all[: len(self.levels)]
        gone = pd.isna(values)
        if self.numeric:
            codes = nearest(known, np.where(gone, known[self.usual], values))
        else:
            codes = pd.Index(known, dtype=object).get_indexer(pd.Index(values, dtype=object))
            codes = np.where(codes >= 0, codes, len(self.levels) if self.rare else self.usual)
        codes = np.where(gone, len(self._all) - 1 if self.missing else self.usual, codes)
        return one_hot(codes, len(self._all))

    def decode(self, x: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        codes = x.argmax(1)
        values = self._all[codes]
        if self.rare:
            share = np.cumsum(self.counts) / np.sum(self.counts)
            drawn = np.searchsorted(share, generator.random(len(codes)), side="right")
            other = codes == len(self.levels)
            values[other] = np.array(self.rare, dtype=object)[drawn[other]]
        return values

    def to_json(self) -> dict[str, Any]:
        plain = {"levels": list(self.levels), "usual": self.usual, "missing": self.missing}
        return {**plain, "rare": list(self.rare), "counts": list(self.counts)}

    def arrays(self) -> dict[str, np.ndarray]:
        return {}

    @staticmethod
    def from_json(data: dict[str, Any], arrays: dict[str, np.ndarray]) -> Levels:
        levels, rare, counts = tuple(data["levels"]), tuple(data["rare"]), tuple(data["counts"])
        return Levels(levels, data["usual"], data["missing"], rare, counts)


@dataclass(frozen=True, eq=False)
class Constant:
    """No slot: the one value there is (None if every value is missing) comes back in every row."""

    value: str | float | None
    slots: tuple[Slot, ...] = ()

    def encode(self, values: np.ndarray, generator: np.random.Generator | None) -> np.ndarray:
        return np.zeros((len(values), 0))

    def decode(self, x: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        if self.value is None or isinstance(self.value, str):
            return np.full(len(x), self.value, dtype=object)
        return np.full(len(x), self.value, dtype=np.float64)

    def to_json(self) -> dict[str, Any]:
        return {"value": self.value}

    def arrays(self) -> dict[str, np.ndarray]:
        return {}

    @staticmethod
    def from_json(data: dict[str, Any], arrays: dict[str, np.ndarray]) -> Constant:
        return Constant(data["value"])


@dataclass(frozen=True, eq=False)
class Identifier:
    """No slot: names of rows are issued anew, 1, 2, ..., behind a prefix and padded to `digits` if they are text."""

    prefix: str | None = None
    digits: int = 0
    slots: tuple[Slot, ...] = ()

    def encode(self, values: np.ndarray, generator: np.random.Generator | None) -> np.ndarray:
        return np.zeros((len(values), 0))

    def decode(self, x: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        if self.prefix is None:
            return np.arange(1, len(x) + 1, dtype=np.float64)
        return np.array([f"{self.prefix}{i:0{self.digits}d}" for i in range(1, len(x) + 1)], dtype=object)

    def to_json(self) -> dict[str, Any]:
        return {"prefix": self.prefix, "digits": self.digits}

    def arrays(self) -> dict[str, np.ndarray]:
        return {}

    @staticmethod
    def from_json(data: dict[str, Any], arrays: dict[str, np.ndarray]) -> Identifier:
        return Identifier(data["prefix"], data["digits"])


Coder = Numbers | Levels | Constant | Identifier
CODERS: dict[str, type[Coder]] = {
    "numbers": Numbers,
    "levels": Levels,
    "constant": Constant,
    "identifier": Identifier,
}


def one_hot(codes: np.ndarray, levels: int) -> np.ndarray:
    """``(N,)`` codes to ``(N, levels)`` of zeros and ones."""
    x = np.zeros((len(codes), levels))
    x[np.arange(len(codes)), codes] = 1.0
    return x
