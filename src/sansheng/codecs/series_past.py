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
from sansheng.codecs.series_times import ELAPSED
from sansheng.errors import DataError

DAY = 86_400
EVERY_DAY = (True,) * 7
WEEKS = 2
"""Of days with rows, at least, that tell on which days of the week there are none."""


@dataclass(frozen=True)
class Past:
    """The latest steps of each series: `values` ``(N, T, C)``, by name. last: the time of the last step, or None.

    Shorter series have rows of NaN in front. last: dates, or numbers where times are such. step: from row to row, in
    seconds or as the times are numbered. labels: of each series, what does not change in time. days: whether there are
    rows on Mondays, …, Sundays; where steps are days, the others are passed over. every: what leads to the next row,
    where that is so many months. irregular: whether a channel says how far a row is from the one before.
    """

    values: np.ndarray
    names: Sequence[Any]
    last: np.ndarray | None = None
    step: float = 0.0
    labels: Mapping[str, np.ndarray] = field(default_factory=dict)
    days: tuple[bool, ...] = EVERY_DAY
    every: pd.offsets.BaseOffset | None = None
    irregular: bool = False

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
        if self.every is not None:
            times = [[end + int(k) * self.every for k in steps] for end in pd.DatetimeIndex(self.last)]
            return np.array(times, "datetime64[us]")
        if self.last.dtype.kind != "M" or self.step != DAY or all(self.days):
            return self._after(steps[None] * self.step)
        last = self.last.astype("datetime64[us]")[:, None]
        date = last.astype("datetime64[D]")
        return np.busday_offset(date, steps, roll="backward", weekmask=list(self.days)) + (last - date)

    def times_of(self, drawn: np.ndarray, channels: Sequence[str]) -> np.ndarray:
        """The times ``(N, draws, S)`` of rows that were drawn ``(N, draws, S, C)``, of the usual step or as drawn."""
        _, draws, horizon, _ = drawn.shape
        if self.irregular:
            return self._after(drawn[..., list(channels).index(ELAPSED)].clip(0).cumsum(axis=2))
        return self.times(np.arange(1, horizon + 1))[:, None].repeat(draws, axis=1)

    def _after(self, elapsed: np.ndarray) -> np.ndarray:
        """Times so long after the last row; `elapsed` is ``(N, ...)`` or ``(1, ...)``."""
        last = np.asarray(self.last).reshape(-1, *[1] * (elapsed.ndim - 1))
        if last.dtype.kind == "M":
            return last.astype("datetime64[us]") + np.round(elapsed * 1e6).astype("timedelta64[us]")
        return last + (np.rint(elapsed).astype(np.int64) if last.dtype.kind == "i" else elapsed)

    def labels_at(self, row: int, wanted: Sequence[str]) -> dict[str, np.ndarray]:
        """Labels of windows that begin at a row, counted from the first of `values`; it may lie ahead."""
        found = {name: self.labels[name] for name in wanted if name in self.labels}
        if self.last is not None and self.last.dtype.kind == "M":
            begins = pd.Series(self.times(np.array([row - self.values.shape[1] + 1]))[:, 0]).dt
            found |= {n: getattr(begins, CALENDAR[n]).to_numpy() for n in wanted if n in CALENDAR and n not in found}
        return found


def dated(past: Past, about: Mapping[str, Any]) -> Past:
    """The same with times in place of labels of the `calendar`, which say when windows begin; rows are `seconds` apart.

    Of the days that are as the labels say it is one of 2001. Unchanged where there is no such label, or no spacing.
    """
    said = {n: column for n, column in past.labels.items() if n in about.get("calendar", ())}
    if not said or not (seconds := about["seconds"]):
        return past
    parts = {n: np.asarray(column).astype(int) for n, column in said.items()}
    none = np.zeros(len(past.values), int)
    months = np.datetime64("2001-01", "M") + (parts.get("month", none + 1) - 1).astype("timedelta64[M]")
    first = months.astype("datetime64[D]") + np.timedelta64(7, "D")
    weekday = (first.astype(int) + 3) % 7  # 1 January 1970 was a Thursday
    days = (parts["weekday"] - weekday) % 7 if "weekday" in parts else none
    begins = (first + days.astype("timedelta64[D]")).astype("datetime64[us]")
    passed = parts.get("hour", none) * 3600 + (past.values.shape[1] - 1) * seconds
    last = begins + (passed * 1e6).round().astype("timedelta64[us]")
    labels = {name: column for name, column in past.labels.items() if name not in said}
    return replace(past, labels=labels, last=last, step=float(seconds))


def latest(frame: pd.DataFrame, options: Mapping[str, str], channels: Sequence[str], length: int) -> Past:
    """The last `length` rows of each series of a table, with the channels a model knows; NaN in front of shorter ones.

    Raises DataError if one of them is not there or a series has no row.
    """
    timed = in_time(frame, options, channels=channels, skip=True)
    require(timed.frame, channels)
    starts, stops = np.array(timed.series()).T
    rows = min(length, int((stops - starts).max()))
    index = stops[:, None] - rows + np.arange(rows)
    there = index >= starts[:, None]
    values = timed.frame[list(channels)].to_numpy(np.float64)[np.where(there, index, 0)]
    values = np.where(there[:, :, None], values, np.nan)
    labels = {name: column[starts] for name, column in timed.labels.items()}
    past = Past(values, timed.entities, labels=labels)
    if timed.stamps is None:
        return past
    irregular = ELAPSED in channels and ELAPSED not in map(str, frame.columns)
    last, between = timed.stamps.to_numpy()[stops - 1], timed.spacing
    if last.dtype.kind == "f" and (timed.stamps % 1 == 0).all():
        last = last.astype(np.int64)
    days = _days(timed.stamps) if last.dtype.kind == "M" else EVERY_DAY
    return replace(past, last=last, step=between.step, every=between.every, days=days, irregular=irregular)


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
