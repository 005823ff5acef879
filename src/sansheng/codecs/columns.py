"""One column of a table that has been understood (`column_kinds.py`), and how it becomes channels.

The one constraint: what a column is taken for never changes once it is fitted; other rows are read as that, or refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from sansheng.codecs.coders import CODERS, Coder, Digits, Levels, Numbers
from sansheng.codecs.dtypes import DType, plain, restore, tally
from sansheng.codecs.labels import means
from sansheng.errors import unknown
from sansheng.space import Slot

Kind = Literal["number", "integer", "date", "boolean", "category", "constant", "identifier", "text"]


@dataclass(frozen=True, eq=False)
class Column:
    """A column that has been understood: `kind`, the `reason` for it, how it is held and how it is coded."""

    name: str
    kind: Kind
    reason: str
    dtype: DType
    coder: Coder

    @property
    def slots(self) -> tuple[Slot, ...]:
        return self.coder.slots

    @property
    def width(self) -> int:
        return sum(slot.width for slot in self.slots)

    def encode(self, series: pd.Series, generator: np.random.Generator | None) -> np.ndarray:
        """A column of N rows to channels ``(N, width)`` float32; without a generator ties go to their middle."""
        if isinstance(self.coder, Numbers):
            return self.coder.encode(plain(series, self.dtype), generator)
        if not self.slots:
            return self.coder.encode(np.empty(len(series)), generator)
        codes, uniques = tally(series, self.dtype)
        missing = np.array([None if self.dtype.storage == "text" else np.nan], dtype=uniques.dtype)
        return self.coder.encode(np.concatenate([uniques, missing]), generator)[codes]

    def decode(self, x: np.ndarray, generator: np.random.Generator) -> pd.Series:
        """Channels ``(N, width)`` to a column of the dtype it had."""
        if isinstance(self.coder, Levels | Digits):
            places = self.coder.places(x, generator)
            return restore(self.coder.domain, self.dtype).take(places).reset_index(drop=True)
        return restore(self.coder.decode(x, generator), self.dtype)

    def parse(self, given: Any) -> Any:
        """A value a person typed, or gave, as this column holds it. Raises ValueError saying what is valid."""
        if isinstance(self.coder, Levels | Digits):
            meant = [level for typed, level in self._levels if means(typed, given)]
            if meant:
                return meant[0]
            raise unknown(f"level of {self.name}", str(given), self.valid())
        dated = self.kind == "date"
        number = plain(pd.Series([given], name=self.name), self.dtype)[0] if dated else _float(given)
        if not self._range[0] <= number <= self._range[1]:
            low, high = written(self._range, self.dtype)
            raise ValueError(f"{self.name} ({self.kind}) takes values from {low} to {high}, not {str(given)!r}")
        return number

    def valid(self) -> tuple[str, ...]:
        """The levels of a column coded as levels, as a person writes them."""
        return tuple(str(typed) for typed, _ in self._levels)

    @property
    def _levels(self) -> list[tuple[Any, Any]]:
        """Each level that can be given: as the table holds it, and as a plain value."""
        if not isinstance(self.coder, Levels | Digits):
            return []
        levels = np.array(self.coder.levels, dtype=np.float64 if self.coder.numeric else object)
        named = list(zip(restore(levels, self.dtype).tolist(), levels.tolist(), strict=True))
        return [*named, ("missing", np.nan if self.coder.numeric else None)] if self.coder.missing else named

    @property
    def _range(self) -> np.ndarray:
        values = self.coder.quantile.values if isinstance(self.coder, Numbers) else np.zeros(1)
        return values[[0, -1]]

    def to_json(self) -> dict[str, Any]:
        coder = next(name for name, kind in CODERS.items() if isinstance(self.coder, kind))
        head = {"name": self.name, "kind": self.kind, "reason": self.reason, "dtype": self.dtype.to_json()}
        return {**head, "coder": coder, **self.coder.to_json()}

    @staticmethod
    def from_json(data: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> Column:
        coder = CODERS[data["coder"]].from_json(data, dict(arrays))
        return Column(data["name"], data["kind"], data["reason"], DType.from_json(data["dtype"]), coder)


def _float(given: Any) -> float:
    try:
        return float(given)
    except (TypeError, ValueError):
        return np.nan


def written(values: np.ndarray, dtype: DType) -> list[str]:
    """Plain values as a person writes them."""
    return [f"{value:.7g}" if isinstance(value, float) else str(value) for value in restore(values, dtype)]
