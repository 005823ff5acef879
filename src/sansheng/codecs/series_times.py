"""The times of rows: the column that holds them, how they are read, and how far rows are apart.

The one constraint: times are dates, or numbers that stay numbers; what has no time is named by its row.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pandas.api import types as kinds

from sansheng.codecs.dates import COMPACT, find_format, is_written, parse, spelled, usual_format
from sansheng.codecs.table_file import series_of
from sansheng.errors import DataError

TIME_NAMES = re.compile(r"(date|time|timestamp|datetime|day|month|year|hour|ds|t)", re.IGNORECASE)
USUAL = 0.7
"""With this share of equal steps in time, series are taken for regular; so many rows of a column of time have one."""
ELAPSED = "elapsed"
"""The channel that says how long after the row before a row of an irregular series stands [s, or as numbered]."""
UNITS = (("day", 86400), ("h", 3600), ("min", 60))
SECONDS, MILLISECONDS, DAYS = (1e8, 1e10), (1e11, 1e13), (19_000_101, 21_001_231)
"""Numbers within these are seconds or milliseconds since 1970, or dates as YYYYMMDD."""


@dataclass(frozen=True)
class Spacing:
    """How far rows of a series are apart: `step` [s, or as the times are numbered], or months, which `every` adds."""

    step: float = 0.0
    every: pd.offsets.BaseOffset | None = None
    regular: bool = True
    note: str | None = None


# -- the column of time --------------------------------------------------------------------------------------


def find_time(frame: pd.DataFrame, by: str | None, codes: np.ndarray) -> str | None:
    """The column of dates with most different ones in each series; or one called so, of numbers that rise.

    codes: whose each row is. What never changes within a series is no time, such as a date of birth.
    """
    columns = {n: series_of(frame, n) for n in frame.columns if n != by}
    named = [n for n, c in columns.items() if TIME_NAMES.fullmatch(n) and kinds.is_numeric_dtype(c.dtype)]
    dated = [n for n, c in columns.items() if _is_dated(c)]
    different = {n: columns[n].groupby(codes).nunique().to_numpy() for n in [*dated, *named]}
    if len(np.unique(codes)) < len(codes):
        named, dated = ([n for n in some if different[n].max() > 1] for some in (named, dated))
    if dated:
        return max(dated, key=lambda n: (different[n].sum(), "time" in n.lower() or bool(TIME_NAMES.fullmatch(n))))
    return next((n for n in named if by is not None or columns[n].dropna().is_monotonic_increasing), None)


def without_time(frame: pd.DataFrame) -> str:
    """Say that no column of time was found, and which one all but is one."""
    said = "no column of time was found: rows are in order"
    for name in frame.columns:
        column = series_of(frame, name)
        if _is_text(column) and (odd := _odd(column)) is not None:
            row, written = odd
            value = "is blank" if pd.isna(column.iloc[row]) else f"holds {column.iloc[row]!r}"
            return f"{said}; column {name!r} is mostly dates, written {spelled(written)}, but row {row + 1} {value}"
    return said


def read_times(column: pd.Series, where: str) -> pd.Series:
    """Dates, or numbers; missing where a row has none. Raises DataError for what is neither, naming its first row."""
    name = column.name
    if column.isna().all():
        raise DataError(f"{where}: column {name!r} is blank")
    if kinds.is_numeric_dtype(column.dtype):
        return _of_numbers(column)
    if kinds.is_datetime64_any_dtype(column.dtype):
        return column.dt.tz_localize(None) if getattr(column.dtype, "tz", None) is not None else column
    known = column.dropna().astype(str)
    written = _format_of(column)
    if written is not None:
        return parse(known.to_numpy(object), written).set_axis(known.index).reindex(column.index)
    odd = _odd(column.where(column.notna(), known.iloc[0]))
    if odd is None:
        raise DataError(f"{where}: column {name!r} is no time: row {int(known.index[0]) + 1} holds {known.iloc[0]!r}")
    raise DataError(
        f"{where}: column {name!r}: row {odd[0] + 1} holds {column.iloc[odd[0]]!r}, and most are dates written "
        f"{spelled(odd[1])}; mend it, or leave it blank and that row is left out"
    )


def _is_text(column: pd.Series) -> bool:
    return kinds.is_string_dtype(column.dtype) or kinds.is_object_dtype(column.dtype)


def _is_dated(column: pd.Series) -> bool:
    """Whether a column is dates, or blank in a few rows."""
    if column.notna().mean() < USUAL:
        return False
    return kinds.is_datetime64_any_dtype(column.dtype) or _format_of(column) is not None


def _format_of(column: pd.Series) -> str | None:
    """The format in which all texts of a column are dates."""
    return find_format(column.dropna().astype(str).unique().astype(object)) if _is_text(column) else None


def _odd(column: pd.Series) -> tuple[int, str] | None:
    """(row, format): the first row that is not written as most are, which are dates; None if most are none."""
    written, there = usual_format(column.fillna("").astype(str).to_numpy(object))
    if written is None or not USUAL <= there.mean() < 1:
        return None
    return int((~there).argmax()), written


def _of_numbers(column: pd.Series) -> pd.Series:
    """Numbers as they are; as dates where all look like seconds or milliseconds since 1970, or YYYYMMDD."""
    numbers = pd.Series(column.to_numpy(np.float64, na_value=np.nan), column.index)
    known = numbers.dropna()
    for unit, (least, most) in (("s", SECONDS), ("ms", MILLISECONDS)):
        if known.between(least, most).all():
            return pd.to_datetime(numbers, unit=unit)
    if known.between(*DAYS).all() and (known % 1 == 0).all():
        texts = known.astype(np.int64).astype(str).to_numpy(object)
        if is_written(texts, COMPACT):
            return parse(texts, COMPACT).set_axis(known.index).reindex(column.index)
    return numbers


def is_date(stamps: pd.Series) -> bool:
    return kinds.is_datetime64_any_dtype(stamps.dtype)


def in_order(stamps: pd.Series) -> np.ndarray:
    """Times as numbers: microseconds of dates, exactly."""
    return stamps.to_numpy("datetime64[us]").astype(np.int64) if is_date(stamps) else stamps.to_numpy(np.float64)


# -- how far rows are apart ----------------------------------------------------------------------------------


def spacing(stamps: pd.Series, codes: np.ndarray) -> Spacing:
    """What lies between rows, which are in order."""
    gaps = _gaps(stamps)[np.diff(codes) == 0]
    if not len(gaps):
        return Spacing()
    usually = float(np.median(gaps))
    if is_date(stamps) and (found := _months(stamps, codes)) is not None:
        every, months, share = found
        return Spacing(usually, every, note=f"one row every {_span_of_months(months)}{_rest(share)}")
    alike = np.round(gaps / usually, 6) if usually else gaps
    values, counts = np.unique(alike, return_counts=True)
    share = counts.max() / len(gaps)
    step = float(np.median(gaps[alike == values[counts.argmax()]]))
    if share < USUAL:
        unit = " [s]" if is_date(stamps) else ""
        note = f"rows come irregularly: the time since the row before is a channel, {ELAPSED!r}{unit}"
        return Spacing(usually, regular=False, note=note)
    if step:
        span = _span(step) if is_date(stamps) else f"{step:g}"
        return Spacing(usually, note=f"one row every {span}{_rest(share)}")
    said = f"{share:.0%} of rows have the time of the row before; if they are of several series, name the column"
    return Spacing(usually, note=f"{said} that says whose each is: --entity")


def elapsed(stamps: pd.Series, codes: np.ndarray) -> np.ndarray:
    """Of each row the time since the one before, of the first of a series the usual one; 0 of a row alone."""
    since = np.concatenate([[0.0], _gaps(stamps)])
    begins = np.diff(codes, prepend=-1) != 0
    since[begins] = np.median(since[~begins]) if not begins.all() else 0.0
    return since


def _gaps(stamps: pd.Series) -> np.ndarray:
    """From row to row [s], or as the times are numbered."""
    return np.diff(in_order(stamps)) / (1e6 if is_date(stamps) else 1)


def _months(stamps: pd.Series, codes: np.ndarray) -> tuple[pd.offsets.BaseOffset, int, float] | None:
    """(what leads to the next row, its months, the share of such steps), where rows stand on one day of the month."""
    gaps = np.diff((stamps.dt.year * 12 + stamps.dt.month).to_numpy())[np.diff(codes) == 0]
    usual, counts = np.unique(gaps, return_counts=True)
    months, share = int(usual[counts.argmax()]), float(counts.max() / len(gaps))
    if months < 1 or share < USUAL:
        return None
    days = stamps.drop_duplicates()
    last = days.dt.is_month_end
    if last.all():
        return pd.offsets.MonthEnd(months), months, share
    if ((days.dt.day == days.dt.day.max()) | last).all():
        return pd.DateOffset(months=months, day=int(days.dt.day.max())), months, share
    business = (pd.offsets.BMonthEnd(months), pd.offsets.BMonthBegin(months))
    found = next((every for every in business if days.map(every.is_on_offset).all()), None)
    return None if found is None else (found, months, share)


def _rest(share: float) -> str:
    return "" if share == 1 else f", in {share:.0%} of steps; the others are taken for the same"


def _span(seconds: float) -> str:
    """A length of time in the largest unit of which it is a whole number: ``15 min``, ``1 day``."""
    name, size = next(((n, s) for n, s in UNITS if seconds % s == 0), ("s", 1))
    many = seconds / size
    return f"{many:g} {name}{'s' if name == 'day' and many > 1 else ''}"


def _span_of_months(months: int) -> str:
    many, name = (months // 12, "year") if months % 12 == 0 else (months, "month")
    return f"{many} {name}{'s' if many > 1 else ''}"
