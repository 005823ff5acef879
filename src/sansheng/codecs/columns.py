"""One column of a table: what it was taken for and why, and how it becomes channels.

The one constraint: what a column is taken for is decided from the training rows alone and never changes after.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from sansheng.codecs.coders import CODERS, Coder, Constant, Identifier, Levels, Numbers
from sansheng.codecs.dtypes import DType, plain, restore, understand
from sansheng.codecs.labels import means
from sansheng.codecs.quantile import Quantile
from sansheng.errors import DataError, unknown
from sansheng.space import Slot

Kind = Literal["number", "integer", "date", "boolean", "category", "constant", "identifier"]
FEW_NUMBERS = 20
"""Numbers with fewer distinct values than this are levels, if each has four rows on average."""
INFLATED_SHARE = 0.05
"""A number that more than this share of rows have, and that stands out from its neighbours, is set apart."""
LEAST_INFLATED = 20
"""Rows that must have it: in a small table five per cent are soon had by chance."""
STANDS_OUT = 3.0
"""How many times as frequent as its two nearest values on either side, on average, such a number is."""
MOST_INFLATED = 3
MOST_LEVELS = 100
SAFE_LEVELS = 50
"""Text with more levels than this has a level "other", where levels never seen can go."""
MOST_RARE = 5_000
UNIQUE_SHARE = 0.95
FEW_ROWS = 50
"""Text in this many rows or fewer is never taken for an identifier."""
NAMED_LIKE_IDENTIFIER = re.compile(
    r"(^|[_\W])(id|idx|index|key|uuid|guid|number|nr|row|rownum|unnamed(_\d+)?)$|[a-z](Id|ID)$|^unnamed: \d+$",
    re.IGNORECASE,
)


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
        """A column of N rows to channels ``(N, width)``; without a generator ties go to their middle."""
        return self.coder.encode(plain(series, self.dtype), generator)

    def decode(self, x: np.ndarray, generator: np.random.Generator) -> pd.Series:
        """Channels ``(N, width)`` to a column of the dtype it had."""
        return restore(self.coder.decode(x, generator), self.dtype)

    def parse(self, given: Any) -> Any:
        """A value a person typed, or gave, as this column holds it. Raises ValueError saying what is valid."""
        if isinstance(self.coder, Levels):
            meant = [level for written, level in self._levels if means(written, given)]
            if meant:
                return meant[0]
            raise unknown(f"level of {self.name}", str(given), self.valid())
        dated = self.kind == "date"
        number = plain(pd.Series([given], name=self.name), self.dtype)[0] if dated else _float(given)
        if not self._range[0] <= number <= self._range[1]:
            low, high = _written(self._range, self.dtype)
            raise ValueError(f"{self.name} ({self.kind}) takes values from {low} to {high}, not {str(given)!r}")
        return number

    def valid(self) -> tuple[str, ...]:
        """The levels of a column coded as levels, as a person writes them."""
        return tuple(str(written) for written, _ in self._levels)

    @property
    def _levels(self) -> list[tuple[Any, Any]]:
        """Each level that can be given: as the table holds it, and as a plain value."""
        if not isinstance(self.coder, Levels):
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


def fit_column(series: pd.Series) -> Column:
    """Understand one column of the training rows."""
    dtype = understand(series)
    values = plain(series, dtype)
    present = values[~pd.isna(values)]
    name, missing = str(series.name), 1 - len(present) / max(len(values), 1)
    uniques, counts = np.unique(present, return_counts=True)
    if len(uniques) == 0:
        return Column(name, "constant", "every value is missing", dtype, Constant(None))
    if len(uniques) == 1 and not missing:
        written = restore(uniques, dtype).iloc[0]
        return Column(name, "constant", f"every value is {written}", dtype, Constant(uniques.tolist()[0]))
    identifier = _as_identifier(name, values, uniques, dtype)
    if identifier is not None:
        return identifier
    if dtype.storage in ("boolean", "text") or dtype.categories is not None or _few(len(uniques), len(present)):
        return _as_levels(name, uniques, counts, dtype, missing)
    return _as_numbers(name, values, dtype)


def fit_condition(series: pd.Series) -> Column:
    """Understand a column that is given: always one slot, of levels or of numbers. Raises DataError if it cannot be."""
    column = fit_column(series)
    coder = column.coder
    if isinstance(coder, Identifier) or (isinstance(coder, Constant) and coder.value is None):
        raise DataError(f"column {column.name!r} cannot be a condition: {column.reason}")
    if isinstance(coder, Numbers):
        numbers = plain(series, column.dtype)
        coder = Numbers(Quantile.fit_points(numbers[~np.isnan(numbers)]))
    elif isinstance(coder, Constant):
        coder = Levels((coder.value,))  # pyright: ignore[reportArgumentType]
    return Column(column.name, column.kind, column.reason, column.dtype, coder)


def _float(given: Any) -> float:
    try:
        return float(given)
    except (TypeError, ValueError):
        return np.nan


def _few(distinct: int, rows: int) -> bool:
    return distinct <= 2 or (distinct < FEW_NUMBERS and rows >= 4 * distinct)


def _as_identifier(name: str, values: np.ndarray, uniques: np.ndarray, dtype: DType) -> Column | None:
    if dtype.categories is not None:
        return None
    if dtype.storage == "text":
        if len(values) <= FEW_ROWS or len(uniques) <= UNIQUE_SHARE * len(values):
            return None
        share = f"{100 * len(uniques) / len(values):.0f} % of its texts are unique"
        return Column(name, "identifier", f"{share}; left out and issued anew", dtype, _issue(name, values))
    whole = dtype.storage == "number" and bool((uniques == np.round(uniques)).all())
    if whole and len(uniques) == len(values) > 2 and NAMED_LIKE_IDENTIFIER.search(name):
        reason = "unique whole numbers and a name like an identifier's; left out and issued anew"
        return Column(name, "identifier", reason, dtype, Identifier())
    return None


def _issue(name: str, values: np.ndarray) -> Identifier:
    """Continue the pattern of "P001", "P002", ... if there is one, otherwise issue "name-1", "name-2", ..."""
    matches = [re.fullmatch(r"(.*?)(\d+)", value) for value in values if value is not None]
    prefixes = {match[1] if match else None for match in matches}
    prefix = prefixes.pop() if len(prefixes) == 1 else None
    if prefix is None:
        return Identifier(f"{name}-")
    widths = {len(match[2]) for match in matches if match}
    return Identifier(prefix, widths.pop() if len(widths) == 1 else 0)


def _as_levels(name: str, uniques: np.ndarray, counts: np.ndarray, dtype: DType, missing: float) -> Column:
    kind: Kind = "boolean" if dtype.storage == "boolean" else "category"
    if dtype.storage != "text":
        number = f"{len(uniques)} distinct value{'s' * (len(uniques) != 1)} ({_listed(uniques, dtype)})"
        coder = Levels(tuple(uniques.tolist()), int(counts.argmax()), missing > 0)
        return Column(name, kind, ("true or false" if kind == "boolean" else number) + _gap(missing), dtype, coder)
    order = np.argsort(-counts, kind="stable")
    kept = len(order) if len(order) <= SAFE_LEVELS else min(MOST_LEVELS, len(order) - 1)
    ranked, rare = tuple(uniques[order].tolist()), order[kept : kept + MOST_RARE]
    coder = Levels(ranked[:kept], 0, missing > 0, tuple(uniques[rare].tolist()), tuple(counts[rare].tolist()))
    merged = f", the rarest {len(order) - kept:,} taken together" if len(rare) else ""
    number = f"{len(order):,} level{'s' * (len(order) != 1)} of text"
    return Column(name, kind, number + merged + _gap(missing), dtype, coder)


def _as_numbers(name: str, values: np.ndarray, dtype: DType) -> Column:
    present = values[~np.isnan(values)]
    missing = 1 - len(present) / len(values)
    inflated = _inflated(present, len(values))
    rest = present[~np.isin(present, inflated)]
    coder = Numbers(Quantile.fit(rest), tuple(inflated.tolist()), missing > 0)
    whole = bool((present == np.round(present)).all())
    kind: Kind = "date" if dtype.storage == "date" else "integer" if whole else "number"
    uniques = np.unique(present)
    low, high = _written(uniques[[0, -1]], dtype)
    reason = f"{len(uniques):,} distinct values from {low} to {high}{_gap(missing)}"
    if len(inflated):
        reason += f"; set apart, because frequent: {', '.join(_written(inflated, dtype))}"
    return Column(name, kind, reason, dtype, coder)


def _gap(share: float) -> str:
    """How much is missing, as the end of a reason."""
    if not share:
        return ""
    return f", {100 * share:.1f} % missing" if share >= 0.0005 else ", very few missing"


def _written(values: np.ndarray, dtype: DType) -> list[str]:
    """Plain values as a person writes them."""
    return [f"{value:.7g}" if isinstance(value, float) else str(value) for value in restore(values, dtype)]


def _listed(uniques: np.ndarray, dtype: DType) -> str:
    """The first and the last of a few values, or all of them if there are at most four."""
    if len(uniques) <= 4:
        return ", ".join(_written(uniques, dtype))
    first, last = _written(uniques[[0, -1]], dtype)
    return f"{first} to {last}"


def _inflated(present: np.ndarray, rows: int) -> np.ndarray:
    """The values, at most three, that are set apart because of how frequent they are."""
    uniques, counts = np.unique(present, return_counts=True)
    if len(uniques) <= FEW_NUMBERS:
        return np.array([])
    least = max(INFLATED_SHARE * rows, LEAST_INFLATED - 1)
    frequent = [i for i in np.argsort(-counts, kind="stable")[:MOST_INFLATED] if counts[i] > least]
    around = [np.delete(np.arange(max(i - 2, 0), min(i + 3, len(counts))), min(i, 2)) for i in frequent]
    return uniques[
        [i for i, near in zip(frequent, around, strict=True) if counts[i] > STANDS_OUT * counts[near].mean()]
    ]
