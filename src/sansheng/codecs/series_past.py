"""The latest rows of series, from which they go on, and the times of the rows that follow.

The one constraint: rows are read as training read them, and hold every channel that the model knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from sansheng.codecs.series_file import CALENDAR, from_windows, in_time
from sansheng.codecs.table_file import series_of
from sansheng.errors import DataError

DAY = 86_400
EVERY_DAY = (True,) * 7
WEEKS = 2
"""Of days with rows, at least, that tell on which days of the week there are none."""


@dataclass(frozen=True)
class Past:
    """The latest steps of each series: `values` ``(N, T, C)``, by name. last: the time of the last step, or None.

    step: seconds from row to row. labels: of each series, what does not change in time. days: whether there are rows
    on Mondays, …, Sundays; where steps are days, the others are passed over.
    """

    values: np.ndarray
    names: Sequence[Any]
    last: np.ndarray | None = None
    step: float = 0.0
    labels: Mapping[str, np.ndarray] = field(default_factory=dict)
    days: tuple[bool, ...] = EVERY_DAY

    def repeat(self, times: int) -> Past:
        """Each series so many times, in a row."""
        labels = {name: np.asarray(column).repeat(times) for name, column in self.labels.items()}
        last = None if self.last is None else self.last.repeat(times)
        names = [name for name in self.names for _ in range(times)]
        return replace(self, values=self.values.repeat(times, axis=0), names=names, last=last, labels=labels)

    def times(self, steps: np.ndarray) -> np.ndarray:
        """Of each series the times ``(N, S)`` of rows so many `steps` behind the last one, or before it if below 0.

        Raises ValueError where no times are known.
        """
        if self.last is None:
            raise ValueError("these series have no times")
        last = self.last.astype("datetime64[s]")[:, None]
        if self.step != DAY or all(self.days):
            return last + np.round(steps * self.step).astype("timedelta64[s]")
        date = last.astype("datetime64[D]")
        return np.busday_offset(date, steps, roll="backward", weekmask=list(self.days)) + (last - date)

    def labels_at(self, row: int, wanted: Sequence[str]) -> dict[str, np.ndarray]:
        """Labels of windows that begin at a row, counted from the first of `values`; it may lie ahead."""
        found = {name: self.labels[name] for name in wanted if name in self.labels}
        if self.last is not None:
            begins = pd.Series(self.times(np.array([row - self.values.shape[1] + 1]))[:, 0]).dt
            found |= {n: getattr(begins, CALENDAR[n]).to_numpy() for n in wanted if n in CALENDAR and n not in found}
        return found


def latest(frame: pd.DataFrame, options: Mapping[str, str], channels: Sequence[str], length: int) -> Past:
    """The last `length` rows of each series of a table, with the channels a model knows.

    Raises DataError if one of them is not there or a series has no row.
    """
    timed = in_time(frame, options, channels=channels)
    require(timed.frame, channels)
    starts, stops = np.array(timed.series()).T
    rows = min(length, int((stops - starts).min()))
    index = stops[:, None] - rows + np.arange(rows)
    values = timed.frame[list(channels)].to_numpy(np.float64)[index]
    labels = {name: column[starts] for name, column in timed.labels.items()}
    by = options.get("entity")
    names = [0] if by is None else list(pd.unique(series_of(frame, by)))
    if timed.stamps is None:
        return Past(values, names, labels=labels)
    stamps = timed.stamps.to_numpy("datetime64[s]")
    gaps = np.diff(stamps.astype(np.int64))[np.diff(timed.entity) == 0]
    step = float(np.median(gaps)) if len(gaps) else 0.0
    return Past(values, names, stamps[stops - 1], step, labels, _days(timed.stamps))


def _days(stamps: pd.Series) -> tuple[bool, ...]:
    """The days of the week that rows stand on; every day where there are too few to tell."""
    if stamps.dt.normalize().nunique() < WEEKS * 7:
        return EVERY_DAY
    seen = set(stamps.dt.day_of_week.tolist())
    return tuple(day in seen for day in range(7))


def require(frame: pd.DataFrame, channels: Sequence[str]) -> None:
    """Raise DataError where a channel that a model knows is not there."""
    if missing := [name for name in channels if name not in frame.columns]:
        raise DataError(f"the table has no column of numbers {missing[0]!r}, which the model knows")


def past_of_windows(values: np.ndarray, channels: Sequence[str]) -> Past:
    """Windows ``(N, T, C)`` in memory. Raises DataError for another number of channels."""
    windows = from_windows(
        values, names=[] if values.ndim != 3 or values.shape[2] != len(channels) else channels
    ).values
    if windows.shape[2] != len(channels):
        raise DataError(f"expected windows of {len(channels)} channels ({', '.join(channels)}), got {windows.shape[2]}")
    return Past(windows, list(range(len(windows))))
