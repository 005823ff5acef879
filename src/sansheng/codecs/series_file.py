"""Series from files: rows in time to windows of a fixed length, held-out time kept apart.

A CSV or Parquet file is rows in time, of one or many series (``entity``), or one series a row (many columns of numbers
beside a label, as in the UCR archive). A .npy or .npz holds windows ``(N, L, C)`` or ``(N, L)``.

The one constraint: time is split before windows are cut, so that no held-out value stands in a training window.
"""

from __future__ import annotations

import io
import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types as kinds

from sansheng.codecs import table_file
from sansheng.codecs.archive import SUFFIXES, label_columns, read_arrays
from sansheng.codecs.base import Reading, Records, Source
from sansheng.codecs.labels import without_gaps
from sansheng.codecs.series_times import (
    ELAPSED,
    Spacing,
    elapsed,
    find_time,
    in_order,
    is_date,
    read_times,
    spacing,
    without_time,
)
from sansheng.codecs.table_file import series_of
from sansheng.codecs.table_text import MISSING, decode, sniff, sniff_decimal
from sansheng.errors import DataError, unknown

READABLE = (*table_file.READABLE, *SUFFIXES)
WINDOW = 24
HELD_OUT = 0.2
MOST_WINDOWS = 50_000
ROWS_FROM = 16
"""A table of so many numbered columns of numbers, and no more others, is one series a row."""
FEWEST = 4
"""Of fewer series none is held out whole."""
REPEATED = 0.1
"""The share of times that come again from which on rows seem to be of several series."""
CALENDAR = {"hour": "hour", "weekday": "day_of_week", "month": "month"}


@dataclass(frozen=True)
class Timed:
    """Rows in time order: `frame` of numbers, `stamps` or None, `entity` codes, and labels of each entity.

    stamps: dates or numbers. order: the place of each row in the table it came from. whole: columns of whole numbers.
    entities: the name of each series. spacing: what lies between rows.
    """

    frame: pd.DataFrame
    stamps: pd.Series | None
    entity: np.ndarray
    labels: Mapping[str, np.ndarray] = field(default_factory=dict)
    notes: Sequence[str] = ()
    order: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    whole: Sequence[str] = ()
    entities: Sequence[Any] = (0,)
    spacing: Spacing = field(default_factory=Spacing)

    def series(self) -> list[tuple[int, int]]:
        """(first row, row after the last) of each."""
        starts = np.flatnonzero(np.diff(self.entity, prepend=-1))
        return list(zip(starts.tolist(), [*starts[1:].tolist(), len(self.entity)], strict=True))

    def labels_from(self, starts: np.ndarray) -> dict[str, np.ndarray]:
        """Labels of windows that begin at these rows: of their series, and of the calendar where times are known."""
        labels = {name: column[starts] for name, column in self.labels.items()}
        if self.stamps is None or not is_date(self.stamps):
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
    if suffix != ".parquet" and not _is_header(list(found.records.values.columns)):
        found = _without_header(path)
    source = from_frame(found.records.values, reading.options, where=str(path))
    return Source(source.records, source.test, [*found.notes, *source.notes])


def from_frame(frame: pd.DataFrame, options: Mapping[str, str], *, where: str = "the table") -> Source:
    """Series of a table. options: `window`, `entity`, `time`."""
    frame = _named(frame)
    if not {"entity", "time"} & set(options) and (wide := _as_rows(frame)) is not None:
        return wide
    timed = in_time(frame, options, where, skip=True)
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


def _named(frame: pd.DataFrame) -> pd.DataFrame:
    """With names that are texts, and rows numbered from 0; an index of dates becomes a column, as it is the time.

    Raises DataError for two columns of one name.
    """
    names = [str(name) for name in frame.columns]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise DataError(f"the table has several columns called {twice!r}")
    found = frame.reset_index(drop=True).set_axis(names, axis=1)
    time = str(frame.index.name or "time")
    dated = isinstance(frame.index, pd.DatetimeIndex) and time not in names
    return found.assign(**{time: frame.index}) if dated else found


def _is_header(names: Sequence[str]) -> bool:
    """Whether a first line is names: not all are numbers, or they are evenly numbered as 0, 1, … or 10, 20, …"""
    plain = pd.Series([re.sub(r"_\d+$", "", name) for name in names])  # a repeated one was numbered
    numbers = pd.Series(pd.to_numeric(plain, errors="coerce"))
    if numbers.isna().all() or (numbers.isna() & ~plain.isin([*MISSING, "unnamed"])).any():
        return True
    steps = np.diff(numbers.to_numpy(np.float64))
    return len(steps) == 0 or bool(steps[0] > 0 and np.allclose(steps, steps[0]) and (len(steps) > 1 or steps[0] == 1))


def _without_header(path: Path) -> Source:
    """A file whose first line is data, as those of the UCR archive: a label, if there is one, and steps t1, t2, …"""
    text, notes = decode(path)
    form = sniff(text, "\t" if path.suffix.lower() == ".tsv" else None)
    frame = pd.read_csv(
        io.StringIO(text), sep=form.delimiter, decimal=sniff_decimal(text, form), header=None, skipinitialspace=True,
        na_values=list(MISSING),
    )  # fmt: skip
    whole = [kinds.is_numeric_dtype(frame[n].dtype) and bool((frame[n] % 1 == 0).all()) for n in frame.columns]
    label = None
    if frame.shape[1] > ROWS_FROM:
        label = next((i for i, inner in ((0, 1), (-1, -2)) if whole[i] and not whole[inner]), None)
        label = 0 if label is None and _is_label(frame.iloc[:, 0]) else label
    steps = [f"t{i + 1}" for i in range(frame.shape[1] - (label is not None))]
    names = {None: steps, 0: ["label", *steps], -1: [*steps, "label"]}[label]
    frame = frame.set_axis(names, axis=1)
    if label is not None and whole[label]:
        frame["label"] = frame["label"].astype(np.int64)
    source = table_file.from_frame(frame, where=str(path))
    said = "the first line holds only numbers, so it was read as data; columns are called " + ", ".join(names[:2])
    return Source(source.records, notes=[*notes, *source.notes, f"{said}, …"])


def _as_rows(frame: pd.DataFrame) -> Source | None:
    """One series a row: many numbered columns of numbers, and no more others, which are labels and hold no time."""
    steps = _longest_run([n for n in frame.columns if kinds.is_numeric_dtype(frame[n].dtype)], list(frame.columns))
    others = [n for n in frame.columns if n not in steps]
    if steps and not others and (ends := [n for n in (steps[0], steps[-1]) if _is_label(series_of(frame, n))]):
        others, steps = ends[:1], [n for n in steps if n != ends[0]]
    if len(steps) < max(ROWS_FROM, len(others)) or find_time(frame.loc[:, others], None, np.zeros(len(frame), int)):
        return None
    labels = {name: _label(series_of(frame, name)) for name in others}
    records = from_windows(frame[steps].to_numpy(np.float64, na_value=np.nan), labels, ["value"], "rows")
    before = [name for name in others if name in frame.columns[: frame.columns.get_loc(steps[0])]]
    about = {**records.about, "steps": steps, "before": before}
    note = f"each of {len(frame):,} rows is one series of {len(steps)} steps"
    labelled = f", labelled by {', '.join(map(repr, others))}" if others else ""
    return Source(Records(records.values, records.labels, about), None, [note + labelled])


def _is_label(column: pd.Series) -> bool:
    """A few whole numbers, or names."""
    if not kinds.is_numeric_dtype(column.dtype):
        return True
    values = column.dropna()
    few = 1 < values.nunique() <= min(50, max(2, len(values) // 4))
    return few and bool((values == values.round()).all())


def _longest_run(numbers: Container[str], names: Sequence[str]) -> list[str]:
    """The most columns of numbers beside one another that are numbered, as t1, t2, … or 0, 1, …"""
    runs: list[list[str]] = [[]]
    for name in names:
        match = re.fullmatch(r"(.*?)(\d+)", name)
        if match is None or name not in numbers:
            runs.append([])
            continue
        before = re.fullmatch(r"(.*?)(\d+)", runs[-1][-1]) if runs[-1] else None
        if before is not None and (match[1], int(match[2])) == (before[1], int(before[2]) + 1):
            runs[-1].append(name)
        else:
            runs.append([name])
    return max(runs, key=len)


# -- rows in time --------------------------------------------------------------------------------------------


def in_time(
    frame: pd.DataFrame, options: Mapping[str, str], where: str = "the table", *, channels: Sequence[str] = (),
    skip: bool = False,
) -> Timed:  # fmt: skip
    """Sorted by entity and time, with the columns of numbers only.

    channels: what a model knows, which are channels even where these rows are too few to show that they change.
    skip: whether rows without a time are left out. Raises DataError for them otherwise, and for rows without an entity.
    """
    frame = _named(frame)
    names = list(frame.columns)
    for role in ("entity", "time"):
        if role in options and options[role] not in names:
            raise unknown(f"column for the {role}", options[role], names)
    by = options.get("entity")
    codes, entities = (np.zeros(len(frame), int), [0]) if by is None else pd.factorize(series_of(frame, by))
    if (codes < 0).any():
        raise DataError(f"{where}: column {by!r} does not say whose row {int((codes < 0).argmax()) + 1} is")
    clock = options.get("time") or find_time(frame, by, codes)
    stamps = None if clock is None else read_times(series_of(frame, clock), where)
    notes = [without_time(frame) if clock is None else f"time is {clock!r}"]
    rows = np.arange(len(frame))
    if stamps is not None and stamps.isna().any():
        rows = np.flatnonzero(stamps.notna())
        first = int(stamps.isna().to_numpy().argmax()) + 1
        if not skip:
            raise DataError(f"{where}: column {clock!r} has no time in row {first}")
        gone = f"{len(frame) - len(rows):,} of {len(frame):,} rows, row {first} the first"
        notes.append(f"left out, as column {clock!r} is blank: {gone}")
    order = rows[np.lexsort((rows if stamps is None else in_order(stamps.iloc[rows]), codes[rows]))]
    stamps = None if stamps is None else stamps.iloc[order].reset_index(drop=True)
    held, codes = np.unique(codes[order], return_inverse=True)
    frame, entities = frame.iloc[order].reset_index(drop=True), [entities[i] for i in held]
    timed = Timed(frame, stamps, codes, order=order, entities=entities)
    return _channels(timed, [n for n in names if n not in (by, clock)], notes, by is not None, channels, where)


def _channels(
    timed: Timed, names: Sequence[str], notes: list[str], many: bool, channels: Sequence[str], where: str
) -> Timed:
    """With the columns of numbers of a whole table only; those that never change within an entity are labels."""
    frame, codes = timed.frame, timed.entity
    numbers = [n for n in names if kinds.is_numeric_dtype(frame[n].dtype)]
    steady = [n for n in names if many and n not in channels and _steady(series_of(frame, n), codes)]
    left_out = [n for n in names if n not in numbers and n not in steady]
    if left_out:
        notes.append(f"left out, as they are no numbers: {', '.join(left_out)}")
    found = [n for n in numbers if n not in steady]
    if not found:
        raise DataError(f"{where}: there is no column of numbers that changes in time")
    labels = {n: _label(series_of(frame, n)) for n in steady}
    values = pd.DataFrame({n: series_of(frame, n).to_numpy(np.float64, na_value=np.nan) for n in found})
    between = Spacing() if timed.stamps is None else spacing(timed.stamps, codes)
    if between.note is not None:
        notes.append(between.note)
    if not many and (whose := _whose(timed, names)) is not None:
        said = "times go back or come again, but not within"
        notes.append(f"{said} {whose!r}: if rows are of several series, say so: --entity {whose}")
    if timed.stamps is not None and ELAPSED not in values and (ELAPSED in channels or not between.regular):
        values[ELAPSED] = elapsed(timed.stamps, codes)
    whole = [n for n in found if kinds.is_integer_dtype(frame[n].dtype) or kinds.is_bool_dtype(frame[n].dtype)]
    return replace(timed, frame=values, labels=labels, notes=notes, whole=whole, spacing=between)


def _whose(timed: Timed, names: Sequence[str]) -> str | None:
    """The first column within the values of which times rise from row to row of the table, where they else do not.

    Times may fall from row to row as well. That times come again now and then proves nothing: a tenth of them do, or it
    is mostly with the next value of the column that times go back.
    """
    if timed.stamps is None:
        return None
    table = np.argsort(timed.order)
    stamps = in_order(timed.stamps)[table]
    rising = (np.diff(stamps) > 0).sum() >= (np.diff(stamps) < 0).sum()
    stamps = stamps if rising else stamps[::-1]
    back = np.diff(stamps) <= 0
    if not back.any():
        return None
    again = 1 - len(np.unique(stamps)) / len(stamps)
    for name in names:
        codes, values = pd.factorize(series_of(timed.frame, name).iloc[table if rising else table[::-1]])
        by_value, changes = np.argsort(codes, kind="stable"), np.diff(codes) != 0
        within = np.diff(codes[by_value]) == 0
        whole = 1 < len(values) <= len(codes) // 2 and (codes >= 0).all()
        told = again >= REPEATED or 2 * back.sum() > changes.sum()
        if whole and told and (np.diff(stamps[by_value])[within] > 0).all():
            return name
    return None


def _steady(column: pd.Series, codes: np.ndarray) -> bool:
    """Whether a column never changes within an entity: it says something of who it is, and nothing of time."""
    return bool((column.groupby(codes).nunique(dropna=False) <= 1).all())


def _label(column: pd.Series) -> np.ndarray:
    """Values of a label, where there are gaps as texts."""
    return without_gaps(column).to_numpy()


# -- windows -------------------------------------------------------------------------------------------------


def _length(options: Mapping[str, str], timed: Timed) -> int:
    """The window asked for, or 24, or less where series are short: nine rows in ten are of series that have as many."""
    if "window" not in options:
        sizes = np.bincount(timed.entity)
        usual = int(np.quantile(sizes[timed.entity], 0.1, method="lower"))
        return max(4, min(WINDOW, usual if len(sizes) >= FEWEST else usual // 5))
    text = options["window"]
    if not str(text).isdigit() or not 2 <= int(text) <= 4096:
        raise ValueError(f"a window is a number of rows from 2 to 4096, not {text!r}")
    return int(text)


def _windows(timed: Timed, length: int, where: str) -> Source:
    """All windows of training time, and of held-out time."""
    starts, stops = np.array(timed.series()).T
    sizes = stops - starts
    cuts, split = _cuts(sizes, length, where)
    first, held = (
        np.concatenate([np.arange(a, b - length + 1) for a, b in zip(begins, ends, strict=True)])
        for begins, ends in ((starts, starts + cuts), (starts + cuts, stops))
    )
    notes = [*timed.notes, _how_split(split, len(sizes), length)]
    if short := int((sizes < length).sum()):
        notes.append(f"left out, as they are shorter than a window: {short:,} of {len(sizes):,} series")
    stride = max(1, len(first) // MOST_WINDOWS)
    if stride > 1:
        notes.append(f"every {stride}th window is taken, {len(first[::stride]):,} in all")
    labels = timed.labels_from(first[::stride])
    constant = {n for n in CALENDAR if n not in timed.labels and n in labels and len(np.unique(labels[n])) < 2}
    cut = [_cut(timed, some, length, constant) for some in (first[::stride], held)]
    return Source(cut[0], cut[1], notes)


def _cuts(sizes: np.ndarray, length: int, where: str) -> tuple[np.ndarray, int]:
    """(how many rows of each series come before what is held out, how many series are split in time).

    Held out is the last fifth of those that are long enough, if most rows are of such; or else a fifth of all, whole.
    """
    long = sizes * HELD_OUT >= length
    enough = np.flatnonzero(sizes >= length)
    if long.any() and (len(enough) < FEWEST or 2 * sizes[long].sum() >= sizes.sum()):
        return np.where(long, sizes - np.round(sizes * HELD_OUT).astype(int), sizes), int(long.sum())
    if len(enough) < FEWEST:
        raise DataError(f"{where}: {sizes.max():,} rows are too few for windows of {length}; give a shorter --window")
    whole = np.random.default_rng(0).permutation(enough)[: round(HELD_OUT * len(enough))]
    return np.where(np.isin(np.arange(len(sizes)), whole), 0, sizes), 0


def _how_split(split: int, series: int, length: int) -> str:
    """split: how many series are split in time."""
    many = f"{series:,} series" if series > 1 else "one series"
    held = "the last fifth of the time" if split else "a fifth of the series"
    some = f" of {split:,} long ones" if 0 < split < series else ""
    return f"{many}, in windows of {length} rows; {held}{some} is held out"


def _cut(timed: Timed, starts: np.ndarray, length: int, constant: Container[str]) -> Records:
    """Windows that begin at these rows, without the labels that are `constant` in training time."""
    values = timed.frame.to_numpy()[starts[:, None] + np.arange(length)]
    labels = timed.labels_from(starts)
    about = {"names": list(map(str, timed.frame.columns)), "layout": "long", "whole": list(timed.whole)}
    if timed.stamps is not None and is_date(timed.stamps):
        about |= {"seconds": timed.spacing.step, "calendar": [n for n in CALENDAR if n not in timed.labels]}
    return Records(values, {n: column for n, column in labels.items() if n not in constant}, about)
