"""Tables from files (text, `table_text.py`, and Parquet) and from memory, and back to files.

The one constraint: nothing is guessed in silence. What was repaired is a note; what cannot be is a DataError that
names the file and the line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pandas.api import types as kinds

from sansheng.codecs.base import Records, Source
from sansheng.codecs.column_kinds import check_types
from sansheng.codecs.dtypes import check_finite
from sansheng.codecs.table_text import read_text
from sansheng.errors import DataError

READABLE = (".csv", ".tsv", ".parquet")
WRITABLE = (".csv", ".parquet")
MOST_BYTES = 8 * 2**30
EXACT = 2**53
"""Whole numbers beyond this cannot all be told apart as floating-point numbers."""


def read(path: Path) -> Source:
    """Read a table. Raises DataError naming file and line for what is not one, or has fewer than two rows."""
    suffix = path.suffix.lower()
    if suffix not in READABLE:
        raise DataError(f"{path}: a table is one of {', '.join(READABLE)}, not {suffix or 'a folder'!r}")
    if suffix == ".parquet":
        return from_frame(_read_parquet(path), where=str(path))
    frame, names, notes = read_text(path)
    names, renamed = unique_names(names)
    source = from_frame(frame.set_axis(names, axis=1), where=str(path))
    return Source(source.records, notes=(*renamed, *notes, *source.notes))


def from_frame(frame: pd.DataFrame, *, where: str = "the table") -> Source:
    """A DataFrame as a Source: rows numbered from 0, columns with unique names.

    Raises DataError if it has no columns or fewer than two rows, or an infinite number.
    """
    if frame.shape[1] == 0:
        raise DataError(f"{where} has no columns")
    if len(frame) < 2:
        count = "no rows" if len(frame) == 0 else "only one row"
        raise DataError(f"{where} has {count} below its column names; two are the least, hundreds are better")
    names, notes = unique_names([str(name) for name in frame.columns])
    frame = frame.reset_index(drop=True).set_axis(names, axis=1)
    for name in names:
        if kinds.is_object_dtype(frame[name].dtype) and kinds.infer_dtype(frame[name], skipna=True) == "datetime":
            frame[name] = _moments(series_of(frame, name), where)
        if kinds.is_integer_dtype(frame[name].dtype) and _beyond(series_of(frame, name)):
            frame[name] = series_of(frame, name).astype("string").astype(object)
            notes += (f"column {name!r} holds whole numbers of over 15 digits; they are read as text",)
        if kinds.is_float_dtype(frame[name].dtype):
            _check_column(series_of(frame, name), where)
    return Source(Records(frame), notes=notes)


def retype(source: Source, types: Mapping[str, str]) -> Source:
    """Columns of text that should hold numbers as numbers; what is none is missing, and a note says how much that is.

    Raises ValueError for a column or a type that does not exist and DataError if most of a column are no numbers.
    """
    frame: pd.DataFrame = source.records.values
    check_types(types, list(map(str, frame.columns)))
    asked = [n for n, kind in types.items() if kind in ("number", "integer") and _is_text(series_of(frame, n))]
    parts = [records for records in (source.records, source.test) if records is not None]
    notes, made = [*source.notes], []
    for records in parts:
        columns = {name: _as_numbers(series_of(records.values, name), notes) for name in asked}
        made.append(Records(records.values.assign(**columns), records.labels))
    return Source(made[0], made[1] if len(made) > 1 else None, tuple(notes))


def _is_text(series: pd.Series) -> bool:
    return kinds.is_string_dtype(series.dtype) and kinds.infer_dtype(series, skipna=True) == "string"


def _as_numbers(series: pd.Series, notes: list[str]) -> pd.Series:
    """Numbers of texts such as 12, 1,234.5, $12 and 5 %; NaN, and a note, for what is none."""
    bare = series.str.replace(r"[\s$€£%]|,(?=\d{3}(?!\d))", "", regex=True)
    numbers = pd.Series(pd.to_numeric(bare, errors="coerce"), index=series.index)
    wrong = series.loc[numbers.isna() & series.notna()]
    if 2 * len(wrong) > series.notna().sum():
        raise DataError(f"column {series.name!r} cannot be a number: row {wrong.index[0] + 1} holds {wrong.iloc[0]!r}")
    if len(wrong):
        count = f"{len(wrong):,} text{'s' * (len(wrong) != 1)} that {'are no numbers' if len(wrong) > 1 else 'is none'}"
        notes.append(f"column {series.name!r}: {count} (such as {wrong.iloc[0]!r}) taken for missing")
    return numbers


def write(frame: pd.DataFrame, path: Path) -> list[Path]:
    """Write a table as .csv or .parquet. Raises ValueError for another suffix."""
    suffix = path.suffix.lower()
    if suffix not in WRITABLE:
        raise ValueError(f"cannot write a table as {suffix or 'a folder'!r}; use one of {', '.join(WRITABLE)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    if suffix == ".csv":
        frame.assign(**{name: _whole(series_of(frame, name)) for name in frame.columns}).to_csv(path, index=False)
    else:
        frame.to_parquet(path, index=False)
    return [path]


def _whole(series: pd.Series) -> pd.Series:
    """Whole numbers that gaps have made floats as whole numbers: 84, not 84.0."""
    if not kinds.is_float_dtype(series.dtype) or not series.isna().any():
        return series
    known = series.dropna()
    return series.astype("Int64") if len(known) and (known % 1 == 0).all() and (known.abs() < EXACT).all() else series


def series_of(frame: pd.DataFrame, name: str) -> pd.Series:
    """The column of a name that is there once."""
    return frame.iloc[:, frame.columns.get_loc(name)]  # pyright: ignore[reportReturnType]


def unique_names(names: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """Column names with empty and repeated ones replaced, and a note for each that was."""
    taken, notes, unique = {name.strip() for name in names}, [], []
    for place, name in enumerate((name.strip() for name in names), start=1):
        if name and name not in unique:
            unique.append(name)
            continue
        stem = name or "unnamed"
        fresh = next(f"{stem}_{i}" for i in range(2 if name else place, 10**9) if f"{stem}_{i}" not in taken)
        what = f"repeats the name {name!r}" if name else "has no name"
        notes.append(f"column {place} {what}; it is called {fresh!r}")
        taken.add(fresh)
        unique.append(fresh)
    return unique, tuple(notes)


def _moments(series: pd.Series, where: str) -> pd.Series:
    try:
        return pd.to_datetime(series)
    except ValueError:
        raise DataError(
            f"{where}: column {series.name!r} mixes dates of several time zones; bring them to one"
        ) from None


def _beyond(series: pd.Series) -> bool:
    known = series.dropna()
    return bool(len(known)) and max(abs(int(known.min())), abs(int(known.max()))) > EXACT


def _check_column(series: pd.Series, where: str) -> None:
    try:
        check_finite(series.to_numpy(np.float64, na_value=np.nan), str(series.name))
    except DataError as error:
        raise DataError(f"{where}: {error}") from None


# -- parquet -----------------------------------------------------------------------------------------------


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        metadata = pq.read_metadata(path)
        size = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
        if size > MOST_BYTES:
            raise DataError(f"{path}: unpacks to {size / 2**30:.0f} GiB; 8 GiB is the most. Take a sample of its rows")
        return pd.read_parquet(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: cannot be read as parquet: {str(error).splitlines()[0]}") from None
