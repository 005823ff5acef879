"""Tables: rows of numbers, levels, dates and truth values, with gaps, to channels and back.

Every column is understood on its own (`columns.py`) and the space has their slots in order, a number's before the
level that says whether it is missing. The one constraint: decoding any valid example gives a row of the columns,
dtypes and levels that were read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
import pandas as pd
import torch
from pandas.api import types
from torch import Tensor

from sansheng.codecs.base import Encoded, Records
from sansheng.codecs.coders import Identifier
from sansheng.codecs.column_kinds import check_types, fit_column, fit_condition
from sansheng.codecs.columns import Column
from sansheng.codecs.dtypes import restore
from sansheng.codecs.packed import pack
from sansheng.codecs.rows import LARGE
from sansheng.codecs.table_file import READABLE, from_frame, read, retype, series_of, write
from sansheng.errors import DataError, unknown
from sansheng.space import Space

__all__ = ["READABLE", "TableCodec", "from_frame", "read", "retype"]

OPTIONS = ("group",)
"""What can be said of how a table is read: `group`, the column that says whose each row is."""
ROWS = 20_000
"""Encoded at a time."""
MOST_SHOWN = 12
"""Columns, and levels of a column, in a preview."""


@final
class TableCodec:
    """A table to tensors and back; `columns` in the order of the table, those in `condition_names` given."""

    kind = "table"

    def __init__(self, columns: tuple[Column, ...], condition_names: tuple[str, ...], rows: int) -> None:
        """columns: at least one that has a slot and is not given. condition_names: of those that are.

        rows: how many it was fitted to.
        """
        by_name = {column.name: column for column in columns}
        self.columns = columns
        self.condition_names = condition_names
        self.rows = rows
        self._modelled = tuple(column for column in columns if column.name not in condition_names)
        self._given = tuple(by_name[name] for name in condition_names)
        self.space = Space(tuple(slot for column in self._modelled for slot in column.slots))
        given = tuple(slot for column in self._given for slot in column.slots)
        self.condition_space = Space(given) if given else None

    @classmethod
    def fit(
        cls, records: Records, *, condition: tuple[str, ...] = (), types: Mapping[str, str] | None = None
    ) -> TableCodec:
        """Understand the columns of the training rows. types: what a person says of some, as ``{"age": "number"}``.

        Raises ValueError for a condition that is no column, or a type that is none, and DataError if a column cannot be
        of its type or no column is left to model.
        """
        frame: pd.DataFrame = records.values
        asked = dict(types or {})
        check_types(asked, list(map(str, frame.columns)))
        for name in condition:
            if name not in frame.columns:
                raise unknown("condition", name, map(str, frame.columns))
        columns = [
            (fit_condition if name in condition else fit_column)(series_of(frame, name), asked.get(name))
            for name in frame.columns
        ]
        if not any(column.slots for column in columns if column.name not in condition):
            found = "; ".join(f"{column.name}: {column.reason}" for column in columns)
            raise DataError(f"no column is left to model ({found})")
        return cls(tuple(columns), tuple(condition), len(frame))

    # -- tensors -------------------------------------------------------------------------------------------

    def encode(self, records: Records, *, spread: bool = True) -> Encoded:
        """Rows to ``x: (N, C)`` and ``condition: (N, K)``. Equal numbers are spread by a fixed generator.

        Without `spread` they go to the middle of their interval, so that equal rows are equal when encoded.

        Values never seen in fitting go where `Levels`, `Numbers` and `Quantile` say. Raises DataError for a column
        that is missing or cannot be read as it was, or an infinite number.
        """
        frame: pd.DataFrame = records.values
        lost = [column.name for column in self.columns if column.name not in frame.columns]
        if lost:
            raise DataError(f"the table has no column {lost[0]!r}; it has {', '.join(map(str, frame.columns))}")
        parts = self._parts(frame, spread)
        large = 4 * len(frame) * self.space.channels > LARGE
        x = pack(self.space, parts, len(frame)) if large else torch.cat(list(parts))
        if not self._given:
            return Encoded(x)
        return Encoded(x, _join([c.encode(series_of(frame, c.name), None) for c in self._given], len(frame)))

    def _parts(self, frame: pd.DataFrame, spread: bool) -> Iterator[Tensor]:
        """The rows encoded, `ROWS` at a time; every column's generator goes on from one part to the next."""
        generators = [_generator(i) if spread else None for i in range(len(self._modelled))]
        for first in range(0, max(len(frame), 1), ROWS):
            part = frame.iloc[first : first + ROWS]
            pairs = zip(self._modelled, generators, strict=True)
            yield _join([c.encode(series_of(part, c.name), g) for c, g in pairs], len(part))

    def encode_condition(self, given: Mapping[str, Any], n: int) -> Tensor:
        """``(n, K)`` for one value, or a sequence of n values, of each condition.

        Raises ValueError for a name or level that does not exist, or a condition left out; lists the valid ones.
        """
        for name in given:
            if name not in self.condition_names:
                raise unknown("condition", name, self.condition_names)
        parts = []
        for column in self._given:
            if column.name not in given:
                example = next(iter(column.valid()), "VALUE")
                raise ValueError(f"condition {column.name!r} is not given; add {column.name}={example}")
            parts.append(_encode_given(column, given[column.name], n))
        return _join(parts, n)

    def decode(self, x: Tensor, condition: Tensor | None = None) -> Records:
        """Hardened examples to rows of the dtypes that were read; without `condition` its columns are left out.

        Row i always draws the same: decoding is a pure function of `x` and `condition`.
        """
        parts = dict(self._decoded(self._modelled, x))
        if condition is not None:
            parts |= self._decoded(self._given, condition)
        return Records(pd.DataFrame({c.name: parts[c.name] for c in self.columns if c.name in parts}))

    def reissue(self, frame: pd.DataFrame, first: int = 0) -> pd.DataFrame:
        """Decoded rows with identifiers issued as those of rows `first` and on, for rows put together from several."""
        for column in self.columns:
            if isinstance(column.coder, Identifier) and column.name in frame.columns:
                issued = column.coder.decode(np.zeros((first + len(frame), 0)), _generator(0))[first:]
                frame = frame.assign(**{column.name: restore(issued, column.dtype).to_numpy()})
        return frame

    def _decoded(self, columns: Sequence[Column], x: Tensor) -> dict[str, pd.Series]:
        values = x.detach().cpu().numpy()
        ends = np.cumsum([column.width for column in columns])
        return {
            column.name: column.decode(values[:, end - column.width : end], _generator(i))
            for i, (column, end) in enumerate(zip(columns, ends, strict=True))
        }

    # -- people --------------------------------------------------------------------------------------------

    def present(self, records: Records) -> pd.DataFrame:
        """The DataFrame."""
        return records.values

    def write(self, records: Records, path: Path) -> list[Path]:
        """Write rows as .csv or .parquet."""
        return write(records.values, path)

    def preview(self, records: Records, path: Path) -> Path:
        """Draw up to twelve columns as a PNG; identifiers and constants have no distribution to be seen."""
        dull = [column.name for column in self.columns if column.kind in ("identifier", "constant")]
        return draw(records.values.drop(columns=dull), path.with_name(f"{path.name}.png"))

    def describe(self) -> list[tuple[str, str]]:
        """How large the table is, then what each column was taken for, and why."""
        given = dict.fromkeys(self.condition_names, " (given)")
        size = f"{self.rows:,} rows of {len(self.columns)} column{'s' * (len(self.columns) != 1)}"
        return [("data", size), *((c.name, f"{c.kind}{given.get(c.name, '')}: {c.reason}") for c in self.columns)]

    # -- storage -------------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        names, columns = list(self.condition_names), [column.to_json() for column in self.columns]
        return {"kind": self.kind, "rows": self.rows, "condition_names": names, "columns": columns}

    def arrays(self) -> dict[str, np.ndarray]:
        stored = [(i, column.coder.arrays()) for i, column in enumerate(self.columns)]
        return {f"column{i}.{name}": array for i, arrays in stored for name, array in arrays.items()}

    @classmethod
    def from_json(cls, data: dict[str, Any], arrays: dict[str, np.ndarray]) -> TableCodec:
        def own(place: int) -> dict[str, np.ndarray]:
            head = f"column{place}."
            return {name.removeprefix(head): array for name, array in arrays.items() if name.startswith(head)}

        columns = tuple(Column.from_json(column, own(i)) for i, column in enumerate(data["columns"]))
        return cls(columns, tuple(data["condition_names"]), data["rows"])


def _generator(place: int) -> np.random.Generator:
    """The fixed generator of one column."""
    return np.random.default_rng([0, place])


def _join(parts: Sequence[np.ndarray], n: int) -> Tensor:
    joined = np.concatenate([np.zeros((n, 0)), *parts], axis=1, dtype=np.float32)
    return torch.from_numpy(joined)


def _encode_given(column: Column, given: Any, n: int) -> np.ndarray:
    several = isinstance(given, (list, tuple, np.ndarray, pd.Series))
    values = list(given) if several else [given]
    if several and len(values) != n:
        raise ValueError(f"condition {column.name!r} has {len(values)} values for {n} samples; give one or {n}")
    parsed = [column.parse(value) for value in values]
    plain = np.array(parsed, dtype=object if column.dtype.storage == "text" else np.float64)
    return np.broadcast_to(column.coder.encode(plain, None), (n, column.width))


def draw(frame: pd.DataFrame, path: Path) -> Path:
    """Small multiples of the columns of a table: histograms of numbers, bars of levels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = list(frame.columns[:MOST_SHOWN])
    across = min(4, len(shown))
    down = -(-len(shown) // across)
    figure = Figure(figsize=(3 * across, 2.2 * down), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(down, across, squeeze=False).ravel()
    for name, panel in zip(shown, panels, strict=False):
        _draw_column(series_of(frame, name), panel)
    for panel in panels[len(shown) :]:
        panel.axis("off")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
    return path


def _draw_column(series: pd.Series, panel: Any) -> None:
    gaps = f", {100 * series.isna().mean():.0f} % missing" if series.isna().any() else ""
    panel.set_title(f"{str(series.name)[:30]}{gaps}".replace("$", r"\$"), fontsize=8)
    panel.tick_params(labelsize=6)
    numeric = types.is_numeric_dtype(series.dtype) and not types.is_bool_dtype(series.dtype)
    if numeric and series.nunique() > MOST_SHOWN:
        panel.hist(series.dropna().to_numpy(np.float64), bins=30)
        return
    written = pd.Series(np.where(series.isna(), "missing", series.astype(str)))
    counts = dict(written.value_counts().head(MOST_SHOWN)[::-1])
    panel.barh([str(level)[:18].replace("$", r"\$") for level in counts], list(counts.values()))
