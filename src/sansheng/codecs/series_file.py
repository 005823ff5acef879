"""Series from files: rows in time to windows of a fixed length, held-out time kept apart.

A CSV or Parquet file is rows in time, of one or many series (``entity``), or one series a row (many columns of numbers
beside a label, as in the UCR archive). A .npy or .npz holds windows ``(N, L, C)`` or ``(N, L)``.

The one constraint: time is split before windows are cut, so that no held-out value stands in a training window.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types as kinds

from sansheng.codecs import table_file
from sansheng.codecs.archive import SUFFIXES, label_columns, read_arrays
from sansheng.codecs.base import Reading, Records, Source
from sansheng.codecs.dates import find_format, parse, seconds_of
from sansheng.codecs.table_file import series_of
from sansheng.errors import DataError, unknown

READABLE = (*table_file.READABLE, *SUFFIXES)
WINDOW = 24
HELD_OUT = 0.2
MOST_WINDOWS = 50_000
ROWS_FROM = 16
"""A table of so many columns of numbers, and hardly any other, is one series a row."""
TIME_NAMES = re.compile(r"(date|time|timestamp|datetime|day|month|year|hour|ds|t)", re.IGNORECASE)
USUAL = 0.7
"""With this share of equal steps in time, series are taken for regular."""
ELAPSED = "elapsed"
"""The channel that says how long after the row before a row of an irregular series stands [s]."""
UNITS = (("day", 86400), ("h", 3600), ("min", 60))
CALENDAR = {"hour": "hour", "weekday": "day_of_week", "month": "month"}


@dataclass(frozen=True)
class Timed:
    """Rows in time order: `frame` of numbers, `stamps` or None, `entity` codes, and labels of each entity.

    order: the place of each row in the table it came from. whole: columns of whole numbers.
    """

    frame: pd.DataFrame
    stamps: pd.Series | None
    entity: np.ndarray
    labels: Mapping[str, np.ndarray] = field(default_factory=dict)
    notes: Sequence[str] = ()
    order: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    whole: Sequence[str] = ()

    def series(self) -> list[tuple[int, int]]:
        """(first row, row after the last) of each."""
        starts = np.flatnonzero(np.diff(self.entity, prepend=-1))
        return list(zip(starts.tolist(), [*starts[1:].tolist(), len(self.entity)], strict=True))

    def labels_from(self, starts: np.ndarray) -> dict[str, np.ndarray]:
        """Labels of windows that begin at these rows: of their series, and of the calendar where times are known."""
        labels = {name: column[starts] for name, column in self.labels.items()}
        if self.stamps is None:
            return labels
        begins = self.stamps.iloc[starts].dt
        return labels | {n: getattr(begins, part).to_numpy() for n, part in CALENDAR.items() if n not in labels}


def read(path: Path, reading: Reading) -> Source:
    """Windows ``(N, L, C)`` float64, NaN for missing. Raises DataError for what cannot be series."""
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        return _from_archive(path)
    if suffix not in table_file.READABLE:
        raise DataError(f"{path}: series are read from {', '.join(READABLE)}")
    found = table_file.read(path)
    source = from_frame(found.records.values, reading.options, where=str(path))
    return Source(source.records, source.test, [*found.notes, *source.notes])


def from_frame(frame: pd.DataFrame, options: Mapping[str, str], *, where: str = "the table") -> Source:
    """Series of a table. options: `window`, `entity`, `time`."""
    if not {"entity", "time"} & set(options) and (wide := _as_rows(frame)) is not None:
        return wide
    timed = in_time(frame, options, where)
    return _windows(timed, _length(options, timed), where)


def from_windows(
    values: np.ndarray, labels: Mapping[str, np.ndarray] | None = None, names: Sequence[str] = (), layout: str = "array"
) -> Records:
    """Windows ``(N, L, C)`` or ``(N, L)`` in memory. Raises DataError for other shapes and infinite numbers."""
    values = np.asarray(values)
    if values.ndim == 2:
        values = values[:, :, None]
    if values.ndim != 3 or values.dtype.kind not in "biuf" or not values.size or values.shape[1] < 2:
        raise DataError(
            f"windows are numbers of shape (N, L, C) with L of 2 or more, not {values.dtype} {values.shape}"
        )
    if np.isinf(values.astype(np.float64)).any():
        raise DataError("the windows hold infinite numbers")
    names = [*names] or [f"x{i}" for i in range(values.shape[2])]
    about = {"names": names, "layout": layout}
    return Records(values.astype(np.float64), label_columns(labels or {}, len(values), "windows"), about)


# -- one series a row ----------------------------------------------------------------------------------------


def _from_archive(path: Path) -> Source:
    found = read_arrays(path)
    try:
        records = from_windows(found.values, found.labels)
        test = None if found.test_values is None else from_windows(found.test_values, found.test_labels)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    return Source(records, test, found.notes)


def _as_rows(frame: pd.DataFrame) -> Source | None:
    """One series a row: many columns of numbers, and at most one other or one of a few whole numbers at an end."""
    names = [str(name) for name in frame.columns]
    words = [n for n in names if not kinds.is_numeric_dtype(frame[n].dtype)]
    ends = [n for n in (names[0], names[-1]) if _is_label(series_of(frame, n))]
    label = next(iter([*words, *ends]), None)
    steps = [n for n in names if n != label]
    if len(words) > 1 or len(steps) < ROWS_FROM or not _numbered(steps):
        return None
    labels = {} if label is None else {label: series_of(frame, label).to_numpy()}
    values = frame[steps].to_numpy(np.float64)
    records = from_windows(values, labels, ["value"], "rows")
    about = {**records.about, "steps": steps, "label_first": label == names[0]}
    note = f"each of {len(frame):,} rows is one series of {len(steps)} steps" + (
        f", labelled by {label!r}" if label else ""
    )
    return Source(Records(records.values, records.labels, about), None, [note])


def _is_label(column: pd.Series) -> bool:
    """A few whole numbers, or names."""
    if not kinds.is_numeric_dtype(column.dtype):
        return True
    values = column.dropna()
    return bool((values == values.round()).all()) and values.nunique() <= min(50, max(2, len(values) // 4))


def _numbered(names: Sequence[str]) -> bool:
    """Whether columns are numbered, as t1, t2, … or 0, 1, …"""
    ends = [re.search(r"(\d+)$", name) for name in names]
    if not all(ends):
        return False
    numbers = [int(match[1]) for match in ends if match]
    return all(b - a == 1 for a, b in zip(numbers[:-1], numbers[1:], strict=True))


# -- rows in time --------------------------------------------------------------------------------------------


def in_time(
    frame: pd.DataFrame, options: Mapping[str, str], where: str = "the table", *, channels: Sequence[str] = ()
) -> Timed:
    """Sorted by entity and time, with the columns of numbers only.

    channels: what a model knows, which are channels even where these rows are too few to show that they change.
    Raises DataError for rows without a time or an entity.
    """
    names, notes = [str(c) for c in frame.columns], []
    for role in ("entity", "time"):
        if role in options and options[role] not in names:
            raise unknown(f"column for the {role}", options[role], names)
    by = options.get("entity")
    clock = options.get("time") or _find_time(frame, by)
    stamps = None if clock is None else _stamps(series_of(frame, clock), clock, where)
    codes = np.zeros(len(frame), int) if by is None else pd.factorize(series_of(frame, by))[0]
    if (codes < 0).any():
        raise DataError(f"{where}: column {by!r} does not say whose row {int((codes < 0).argmax()) + 1} is")
    order = np.lexsort((np.arange(len(frame)) if stamps is None else seconds_of(stamps), codes))
    frame, codes = frame.iloc[order].reset_index(drop=True), codes[order]
    stamps = None if stamps is None else stamps.iloc[order].reset_index(drop=True)
    notes.append("no column of time was found: rows are in order" if clock is None else f"time is {clock!r}")
    rest = [n for n in names if n not in (by, clock)]
    numbers = [n for n in rest if kinds.is_numeric_dtype(frame[n].dtype)]
    steady = [n for n in rest if by is not None and n not in channels and _steady(series_of(frame, n), codes)]
    left_out = [n for n in rest if n not in numbers and n not in steady]
    if left_out:
        notes.append(f"left out, as they are no numbers: {', '.join(left_out)}")
    found = [n for n in numbers if n not in steady]
    if not found:
        raise DataError(f"{where}: there is no column of numbers that changes in time")
    labels = {n: _label(series_of(frame, n)) for n in steady}
    values = pd.DataFrame({n: series_of(frame, n).to_numpy(np.float64, na_value=np.nan) for n in found})
    if stamps is not None and (note := _spacing(values, stamps, codes)) is not None:
        notes.append(note)
    if stamps is not None and ELAPSED in channels and ELAPSED not in values:
        values[ELAPSED] = _elapsed(stamps, codes)
    whole = [n for n in found if kinds.is_integer_dtype(frame[n].dtype)]
    return Timed(values, stamps, codes, labels, notes, order, whole)


def _find_time(frame: pd.DataFrame, by: str | None) -> str | None:
    """The first column of dates; or one called so, of numbers that rise."""
    names = [str(c) for c in frame.columns if str(c) != by]
    for name in names:
        column = series_of(frame, name)
        if kinds.is_datetime64_any_dtype(column.dtype) or _format_of(column) is not None:
            return name
    rising = [n for n in names if TIME_NAMES.fullmatch(n) and kinds.is_numeric_dtype(frame[n].dtype)]
    return next((n for n in rising if by is not None or series_of(frame, n).is_monotonic_increasing), None)


def _format_of(column: pd.Series) -> str | None:
    if not (kinds.is_string_dtype(column.dtype) or kinds.is_object_dtype(column.dtype)) or column.isna().any():
        return None
    return find_format(column.astype(str).to_numpy(object))


def _stamps(column: pd.Series, name: str, where: str) -> pd.Series:
    """Dates; numbers are seconds. Raises DataError where a row has no time."""
    if kinds.is_numeric_dtype(column.dtype):
        stamps = pd.to_datetime(column, unit="s", errors="coerce")
    elif kinds.is_datetime64_any_dtype(column.dtype):
        stamps = column.dt.tz_localize(None) if getattr(column.dtype, "tz", None) is not None else column
    else:
        written = _format_of(column)
        if written is None:
            raise DataError(f"{where}: column {name!r} is no time: {column.iloc[0]!r}")
        stamps = parse(column.astype(str).to_numpy(object), written)
    if stamps.isna().any():
        raise DataError(f"{where}: column {name!r} has no time in row {int(stamps.isna().to_numpy().argmax()) + 1}")
    return stamps


def _steady(column: pd.Series, codes: np.ndarray) -> bool:
    """Whether a column never changes within an entity: it says something of who it is, and nothing of time."""
    return bool((column.groupby(codes).nunique(dropna=False) <= 1).all())


def _label(column: pd.Series) -> np.ndarray:
    """Values of a label, where there are gaps as texts."""
    if not column.isna().any():
        return column.to_numpy()
    return column.astype(object).where(column.notna(), "(missing)").astype(str).to_numpy(object)


def _spacing(values: pd.DataFrame, stamps: pd.Series, codes: np.ndarray) -> str | None:
    """Say what the steps in time are; if they are irregular their length becomes a channel."""
    gaps = np.diff(seconds_of(stamps))[np.diff(codes) == 0]
    if not len(gaps):
        return None
    usual, counts = np.unique(gaps, return_counts=True)
    step, share = float(usual[counts.argmax()]), counts.max() / len(gaps)
    if share >= USUAL and not step:
        return (
            f"{share:.0%} of rows have the time of the row before; if they are of several series, name the column "
            "that says whose each is: --entity"
        )
    if share >= USUAL:
        rest = "" if share == 1 else f", in {share:.0%} of steps; the others are taken for the same"
        return f"one row every {_span(step)}{rest}"
    values[ELAPSED] = _elapsed(stamps, codes)
    return f"rows come irregularly: the time since the row before is a channel, {ELAPSED!r} [s]"


def _elapsed(stamps: pd.Series, codes: np.ndarray) -> np.ndarray:
    """Of each row the time since the one before [s], of the first of a series the usual one; 0 of a row alone."""
    elapsed = np.diff(seconds_of(stamps), prepend=0.0)
    begins = np.diff(codes, prepend=-1) != 0
    elapsed[begins] = np.median(elapsed[~begins]) if not begins.all() else 0.0
    return elapsed


def _span(seconds: float) -> str:
    """A length of time in the largest unit of which it is a whole number: ``15 min``, ``1 day``."""
    name, size = next(((n, s) for n, s in UNITS if seconds % s == 0), ("s", 1))
    many = seconds / size
    return f"{many:g} {name}{'s' if name == 'day' and many > 1 else ''}"


# -- windows -------------------------------------------------------------------------------------------------


def _length(options: Mapping[str, str], timed: Timed) -> int:
    """The window asked for, or 24, or less where series are short."""
    shortest = int(np.bincount(timed.entity).min())
    if "window" not in options:
        return max(4, min(WINDOW, shortest if timed.entity.max() else shortest // 5))
    text = options["window"]
    if not str(text).isdigit() or not 2 <= int(text) <= 4096:
        raise ValueError(f"a window is a number of rows from 2 to 4096, not {text!r}")
    return int(text)


def _windows(timed: Timed, length: int, where: str) -> Source:
    """All windows of training time, and of held-out time: the last fifth of each series, or a fifth of short ones."""
    starts, stops = np.array(timed.series()).T
    sizes = stops - starts
    by_time = sizes * HELD_OUT >= length
    if not by_time.any() and len(sizes) < 4:
        raise DataError(f"{where}: {sizes.max():,} rows are too few for windows of {length}; give a shorter --window")
    train, test = [], []
    whole = np.random.default_rng(0).permutation(len(sizes))[: round(HELD_OUT * len(sizes))]
    for i, (a, b) in enumerate(zip(starts, stops, strict=True)):
        cut = b - round((b - a) * HELD_OUT) if by_time.all() else (a if i in set(whole.tolist()) else b)
        train.append(np.arange(a, cut - length + 1))
        test.append(np.arange(cut, b - length + 1))
    first, held = (np.concatenate(parts) for parts in (train, test))
    if not len(first) or not len(held):
        raise DataError(f"{where}: series are too short for windows of {length}; give a shorter --window")
    notes = [*timed.notes, _how_split(by_time.all(), len(sizes), length)]
    if short := int((sizes < length).sum()):
        notes.append(f"left out, as they are shorter than a window: {short:,} of {len(sizes):,} series")
    stride = max(1, len(first) // MOST_WINDOWS)
    if stride > 1:
        notes.append(f"every {stride}th window is taken, {len(first[::stride]):,} in all")
    labels = timed.labels_from(first[::stride])
    constant = {n for n in CALENDAR if n not in timed.labels and n in labels and len(np.unique(labels[n])) < 2}
    cut = [_cut(timed, some, length, constant) for some in (first[::stride], held)]
    return Source(cut[0], cut[1], notes)


def _how_split(by_time: Any, series: int, length: int) -> str:
    many = f"{series:,} series" if series > 1 else "one series"
    held = "the last fifth of the time" if by_time else "a fifth of the series"
    return f"{many}, in windows of {length} rows; {held} is held out"


def _cut(timed: Timed, starts: np.ndarray, length: int, constant: Container[str]) -> Records:
    """Windows that begin at these rows, without the labels that are `constant` in training time."""
    values = timed.frame.to_numpy()[starts[:, None] + np.arange(length)]
    labels = timed.labels_from(starts)
    about = {"names": list(map(str, timed.frame.columns)), "layout": "long", "whole": list(timed.whole)}
    return Records(values, {n: column for n, column in labels.items() if n not in constant}, about)
