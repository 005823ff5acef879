"""Vectors and points: each column standardised, bounded a little beyond what the training split holds.

The one constraint: every value is a finite number; a row with a gap belongs in a table.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from sansheng.codecs.archive import SUFFIXES, label_columns, read_arrays, write_npz
from sansheng.codecs.base import Encoded, Records, Source
from sansheng.codecs.labels import Conditions, summarise
from sansheng.errors import DataError, unknown
from sansheng.space import Real, Space

MARGIN = 0.1
"""Bounds lie this share of a column's range beyond its least and largest value."""
SLOT_PER_COLUMN = 256
"""Up to this many columns each has bounds of its own; beyond, all share one slot."""
PLOTTED = 5000
COLOURED_LEVELS = 10
WRITTEN = (".npy", ".npz", ".csv")


def read(path: Path) -> Source:
    """Read rows of numbers from a .npy or .npz file as ``(N, D)``; ``(N,)`` is one column.

    Raises DataError for another kind of file, another shape, or values that are not finite numbers.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file")
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"{path}: arrays are read from {' or '.join(SUFFIXES)}")
    found = read_arrays(path)
    try:
        source = from_arrays(found.values, found.labels, test_values=found.test_values, test_labels=found.test_labels)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    return Source(source.records, source.test, found.notes)


def from_arrays(
    values: np.ndarray,
    labels: Mapping[str, np.ndarray] | None = None,
    *,
    test_values: np.ndarray | None = None,
    test_labels: Mapping[str, np.ndarray] | None = None,
) -> Source:
    """Rows of numbers ``(N, D)`` or ``(N,)`` as records, checked; the test split must have the same columns."""
    rows = _rows(values)
    records = Records(rows, label_columns(labels or {}, len(rows), "training rows"))
    if test_values is None or not len(test_values):
        return Source(records)
    test = _rows(test_values)
    if test.shape[1] != rows.shape[1]:
        raise DataError(f"test rows have {test.shape[1]} columns, training rows {rows.shape[1]}")
    return Source(records, Records(test, label_columns(test_labels or {}, len(test), "test rows")))


@final
class ArrayCodec:
    """Rows of D numbers; (value − mean)/sd of each column is what is modelled."""

    kind = "array"

    def __init__(
        self,
        moments: Mapping[str, np.ndarray],
        dtype: np.dtype,
        conditions: Conditions,
        description: list[tuple[str, str]],
    ) -> None:
        """moments: `mean`, `sd`, `low` and `high`, each ``(D,)`` float64; the bounds in standardised units.

        dtype: of the values that `decode` returns.
        """
        self.mean, self.sd = moments["mean"], moments["sd"]
        self.low, self.high = moments["low"], moments["high"]
        self.dtype = dtype
        self.conditions = conditions
        self.description = description
        self.space = Space(_slots(self.low, self.high))
        self.condition_space = conditions.space
        self.condition_names = conditions.names

    @classmethod
    def fit(cls, records: Records, *, condition: tuple[str, ...] = ()) -> ArrayCodec:
        """Settle mean, sd and bounds of each column, and the levels of `condition`, from the training records."""
        values = _rows(records.values)
        moments = _moments(values.astype(np.float64))
        n, columns = values.shape
        data = f"{n:,} row{'s' * (n != 1)} of {columns:,} number{'s' * (columns != 1)} ({values.dtype})"
        description = [("data", data), ("range", f"{values.min():.4g} to {values.max():.4g}")]
        constant = int((values == values[0]).all(0).sum())
        if constant:
            description.append(("constant", f"{constant:,} columns hold one value"))
        conditions = Conditions.fit(records.labels, condition)
        return cls(moments, values.dtype, conditions, description + summarise(records.labels))

    def encode(self, records: Records) -> Encoded:
        values = _rows(records.values)
        if values.shape[1] != len(self.mean):
            raise DataError(f"expected rows of {len(self.mean)} numbers, got {values.shape[1]}")
        x = torch.from_numpy((values - self.mean) / self.sd).float()
        return Encoded(x, self.conditions.encode(records.labels))

    def encode_condition(self, given: Mapping[str, Any], n: int) -> Tensor:
        return self.conditions.encode_given(given, n)

    def decode(self, x: Tensor, condition: Tensor | None = None) -> Records:
        self.space.check(x)
        values = x.detach().cpu().double().numpy() * self.sd + self.mean
        if self.dtype.kind == "b":
            values = values > 0.5
        elif self.dtype.kind in "iu":
            limits = np.iinfo(self.dtype)
            values = np.rint(values).clip(limits.min, limits.max)
        return Records(values.astype(self.dtype), self.conditions.decode(condition))

    def present(self, records: Records) -> np.ndarray:
        return records.values

    def write(self, records: Records, path: Path) -> list[Path]:
        """.npy and .npz hold the rows; .csv has columns x0, x1, … and one for each label."""
        suffix = path.suffix.lower()
        if suffix not in WRITTEN:
            raise unknown("suffix for arrays", suffix or "(none)", WRITTEN)
        path.parent.mkdir(parents=True, exist_ok=True)
        if suffix == ".npz":
            write_npz(path, "data", records.values, records.labels)
        elif suffix == ".npy":
            with path.open("wb") as file:
                np.save(file, records.values, allow_pickle=False)
        else:
            columns = {f"x{i}": records.values[:, i] for i in range(records.values.shape[1])}
            pd.DataFrame({**columns, **records.labels}).to_csv(path, index=False)
        return [path]

    def preview(self, records: Records, path: Path) -> Path:
        """The first two columns as a scatter (a single column as a histogram), within the training range, as PNG."""
        target = path.with_name(path.name + ".png")
        target.parent.mkdir(parents=True, exist_ok=True)
        figure = Figure(figsize=(5, 5), layout="tight")
        axes = figure.add_subplot()
        low, high = self.low * self.sd + self.mean, self.high * self.sd + self.mean
        if len(self.mean) == 1:
            axes.hist(records.values[:, 0].astype(np.float64), bins=50, range=(low[0], high[0]))
        else:
            _scatter(axes, records)
            axes.set(ylim=(low[1], high[1]), ylabel="x1")
            axes.set_aspect("equal" if len(self.mean) == 2 else "auto")
        axes.set(xlim=(low[0], high[0]), xlabel="x0")
        FigureCanvasAgg(figure).print_png(target)
        return target

    def describe(self) -> list[tuple[str, str]]:
        given = [("condition", ", ".join(self.condition_names))] if self.condition_names else []
        return [*self.description, *given]

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "dtype": self.dtype.str,
            "conditions": self.conditions.to_json(),
            "description": [list(line) for line in self.description],
        }

    def arrays(self) -> dict[str, np.ndarray]:
        return {"mean": self.mean, "sd": self.sd, "low": self.low, "high": self.high}

    @classmethod
    def from_json(cls, data: dict[str, Any], arrays: dict[str, np.ndarray]) -> ArrayCodec:
        """Restore what `to_json` and `arrays` saved."""
        description = [(name, text) for name, text in data["description"]]
        return cls(arrays, np.dtype(data["dtype"]), Conditions.from_json(data["conditions"]), description)


def _rows(values: np.ndarray) -> np.ndarray:
    """``(N, D)`` of finite numbers; raises DataError naming the row and column that is not one."""
    values = np.asarray(values)
    if values.dtype.kind not in "biuf":
        raise DataError(f"array values must be numbers, not {values.dtype}")
    if values.ndim not in (1, 2):
        hint = "; if these are images, say so (image)" if values.ndim in (3, 4) else ""
        raise DataError(f"an array of shape {values.shape} is not rows (N, D) of numbers{hint}")
    if not values.size:
        raise DataError(f"an array of shape {values.shape} holds no numbers")
    rows = values[:, None] if values.ndim == 1 else values
    finite = np.isfinite(rows)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        raise DataError(f"row {row}, column {column} is {rows[row, column]}, not a finite number (counted from 0)")
    return rows


def _moments(values: np.ndarray) -> dict[str, np.ndarray]:
    """Mean, sd (1 for a constant column) and bounds in standardised units, each ``(D,)`` float64."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean, sd = values.mean(0), values.std(0)
    if not np.isfinite(mean + sd).all():
        column = int(np.argmin(np.isfinite(mean + sd)))
        raise DataError(f"column {column} holds numbers too large to standardise ({np.abs(values[:, column]).max():g})")
    least, most = values.min(0), values.max(0)
    sd = np.where((least == most) | (sd == 0), 1.0, sd)
    low, high = (least - mean) / sd, (most - mean) / sd
    margin = np.where(high > low, MARGIN * (high - low), MARGIN)
    return {"mean": mean, "sd": sd, "low": low - margin, "high": high + margin}


def _slots(low: np.ndarray, high: np.ndarray) -> tuple[Real, ...]:
    if len(low) > SLOT_PER_COLUMN:
        return (Real(len(low), float(low.min()), float(high.max())),)
    return tuple(Real(1, a, b) for a, b in zip(low.tolist(), high.tolist(), strict=True))


def _scatter(axes: Axes, records: Records) -> None:
    """At most `PLOTTED` points, coloured by the first label of few levels."""
    points = records.values[:PLOTTED]
    few = [np.asarray(c)[:PLOTTED] for c in records.labels.values() if len(np.unique(c)) <= COLOURED_LEVELS]
    groups = few[0] if few else np.zeros(len(points), int)
    for level in np.unique(groups):
        chosen = points[groups == level]
        axes.scatter(chosen[:, 0], chosen[:, 1], s=4, linewidths=0, alpha=0.6, label=str(level))
    if few:
        axes.legend(loc="upper right", markerscale=3)
