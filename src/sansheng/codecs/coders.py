"""How the plain values of one column become channels: as numbers, as levels, or not at all.

Plain values are float64 with NaN for missing, or an object array of strings with None for missing. The one
constraint: encoding and decoding are pure functions; whatever is drawn is drawn from the generator passed in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from sansheng.codecs.identifiers import Identifier
from sansheng.codecs.quantile import Quantile, nearest
from sansheng.space import Category, Real, Slot

MOST_TWO_DIGITS = 1024
"""With more levels than this a number of a level has three digits."""


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
        edge, special = self.quantile.edge, len(self._special) > 0
        real = Real(1, -edge, edge, optional=special, unknown=self.missing)
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
        real = np.where(plain, z, 0.0).astype(np.float32)[:, None]
        return np.hstack([real, one_hot(which, 1 + len(self._special))]) if len(self._special) else real

    def decode(self, x: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        numbers = self.quantile.decode(x[:, 0].astype(np.float64))
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
        return (Category(len(self.slot_values)),)

    @cached_property
    def numeric(self) -> bool:
        return not isinstance(next(iter(self.levels), ""), str)

    @cached_property
    def slot_values(self) -> np.ndarray:
        """What each level of the slot stands for; "other" and missing are None (NaN among numbers)."""
        unnamed = bool(self.rare) + self.missing
        if self.numeric:
            return np.array([*self.levels, *[np.nan] * unnamed], dtype=np.float64)
        return np.array([*self.levels, *[None] * unnamed], dtype=object)

    @cached_property
    def domain(self) -> np.ndarray:
        """Everything decoding can give: the levels, the rare ones, and missing if any value was."""
        dtype, gone = (np.float64, np.nan) if self.numeric else (object, None)
        return np.array([*self.levels, *self.rare, *[gone] * self.missing], dtype=dtype)

    def codes(self, values: np.ndarray) -> np.ndarray:
        """The place ``(N,)`` in the slot of each plain value."""
        known, gone = self.slot_values[: len(self.levels)], pd.isna(values)
        if self.numeric:
            codes = nearest(known, np.where(gone, known[self.usual], values).astype(np.float64))
        else:
            codes = pd.Index(known, dtype=object).get_indexer(pd.Index(values, dtype=object))
            codes = np.where(codes >= 0, codes, len(self.levels) if self.rare else self.usual)
        return np.where(gone, len(self.slot_values) - 1 if self.missing else self.usual, codes)

    def draw(self, codes: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Places in `domain` ``(N,)`` of places in the slot; those of "other" are drawn among the rare."""
        if not self.rare:
            return codes
        share = np.cumsum(self.counts) / np.sum(self.counts)
        rare = len(self.levels) + np.searchsorted(share, generator.random(len(codes)), side="right")
        missing = np.where(codes > len(self.levels), len(self.domain) - 1, codes)
        return np.where(codes == len(self.levels), rare.clip(max=len(self.levels) + len(self.rare) - 1), missing)

    def encode(self, values: np.ndarray, generator: np.random.Generator | None) -> np.ndarray:
        return one_hot(self.codes(values), len(self.slot_values))

    def places(self, x: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Places in `domain` ``(N,)`` of channels."""
        return self.draw(x.argmax(1), generator)

    def decode(self, x: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        return self.domain[self.places(x, generator)]

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
class Digits:
    """Many levels as the two or three digits of a number, a Category slot each, so that K of them take 2 √K channels.

    The number of a level grows with its rarity, so that the first digit says how usual it is; "other" and missing
    come first. Numbers beyond the last level stand for the last ones again, one each, so that none gets all of them.
    """

    named: Levels

    @cached_property
    def base(self) -> int:
        return math.ceil(len(self.named.slot_values) ** (1 / self.count) - 1e-9)

    @cached_property
    def count(self) -> int:
        """How many digits."""
        return 2 if len(self.named.slot_values) <= MOST_TWO_DIGITS else 3

    @property
    def slots(self) -> tuple[Slot, ...]:
        return (Category(self.base),) * self.count

    @property
    def levels(self) -> tuple[str, ...] | tuple[float, ...]:
        return self.named.levels

    @property
    def missing(self) -> bool:
        return self.named.missing

    @property
    def numeric(self) -> bool:
        return self.named.numeric

    @property
    def domain(self) -> np.ndarray:
        return self.named.domain

    @cached_property
    def _shift(self) -> int:
        return bool(self.named.rare) + self.named.missing

    @property
    def rare(self) -> tuple[str, ...]:
        return self.named.rare

    @property
    def counts(self) -> tuple[int, ...]:
        return self.named.counts

    def of_numbers(self) -> np.ndarray:
        """The place in the slot of `named` that each number stands for, ``(base ** count,)``."""
        last, numbers = len(self.named.slot_values) - 1, np.arange(self.base**self.count)
        return (np.where(numbers > last, 2 * last + 1 - numbers, numbers) - self._shift) % (last + 1)

    def encode(self, values: np.ndarray, generator: np.random.Generator | None) -> np.ndarray:
        numbers = (self.named.codes(values) + self._shift) % len(self.named.slot_values)
        powers = self.base ** np.arange(self.count)[::-1]
        return np.hstack([one_hot(numbers // power % self.base, self.base) for power in powers])

    def places(self, x: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Places in `domain` ``(N,)`` of channels."""
        digits = x.reshape(len(x), self.count, self.base).argmax(2)
        numbers = digits @ self.base ** np.arange(self.count)[::-1]
        return self.named.draw(self.of_numbers()[numbers], generator)

    def decode(self, x: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        return self.domain[self.places(x, generator)]

    def to_json(self) -> dict[str, Any]:
        return self.named.to_json()

    def arrays(self) -> dict[str, np.ndarray]:
        return self.named.arrays()

    @staticmethod
    def from_json(data: dict[str, Any], arrays: dict[str, np.ndarray]) -> Digits:
        return Digits(Levels.from_json(data, arrays))


@dataclass(frozen=True, eq=False)
class Constant:
    """No slot: the one value there is (None if every value is missing) comes back in every row."""

    value: str | float | None
    slots: tuple[Slot, ...] = ()

    def encode(self, values: np.ndarray, generator: np.random.Generator | None) -> np.ndarray:
        return np.zeros((len(values), 0), dtype=np.float32)

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


Coder = Numbers | Levels | Digits | Constant | Identifier
CODERS: dict[str, type[Coder]] = {
    "numbers": Numbers,
    "levels": Levels,
    "digits": Digits,
    "constant": Constant,
    "identifier": Identifier,
}


def one_hot(codes: np.ndarray, levels: int) -> np.ndarray:
    """``(N,)`` codes to ``(N, levels)`` of zeros and ones."""
    x = np.zeros((len(codes), levels), dtype=np.float32)
    x[np.arange(len(codes)), codes] = 1.0
    return x
