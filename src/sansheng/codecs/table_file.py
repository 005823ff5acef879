"""Tables from files (text, `table_text.py`, and Parquet) and from memory, and back to files.

The one constraint: nothing is guessed in silence. What was repaired is a note; what cannot be is a DataError that
names the file and the line.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pandas.api import types as kinds

from sansheng.codecs import dates, numerals
from sansheng.codecs.base import Records, Source
from sansheng.codecs.column_kinds import check_types
from sansheng.codecs.dtypes import beyond, check_finite
from sansheng.codecs.numerals import EXACT
from sansheng.codecs.table_text import read_text, unique_names
from sansheng.errors import DataError

READABLE = (".csv", ".tsv", ".parquet")
WRITABLE = (".csv", ".parquet")
MOST_BYTES = 8 * 2**30
_SIGNS = {".": "point", ",": "comma"}


def read(path: Path) -> Source:
    """Read a table. Raises DataError naming file and line for what is not one, or has fewer than two rows."""
    suffix = path.suffix.lower()
    if suffix not in READABLE:
        raise DataError(f"{path}: a table is one of {', '.join(READABLE)}, not {suffix or 'a folder'!r}")
    if suffix == ".parquet":
        return from_frame(_read_parquet(path), where=str(path))
    frame, notes = read_text(path)
    source = from_frame(frame, where=str(path))
    return Source(source.records, notes=(*notes, *source.notes))


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
        if _whole_beyond(series_of(frame, name)):
            frame[name] = series_of(frame, name).astype("string").astype(object)
        if _is_text(series_of(frame, name)) and numerals.too_long(series_of(frame, name).dropna()):
            notes += (f"column {name!r} holds whole numbers of over 15 digits; they are read as text",)
        if kinds.is_float_dtype(frame[name].dtype):
            _check_column(series_of(frame, name), where)
    return Source(Records(frame), notes=notes)


def retype(source: Source, types: Mapping[str, str]) -> Source:
    """Columns of text that should hold numbers, or dates in a format, as such; what is none is missing, as a note says.

    The decimal sign is that of the file, or what all of a column tells. Raises ValueError for a column or a type that
    does not exist and DataError if most of a column are no numbers, or no dates.
    """
    frame: pd.DataFrame = source.records.values
    check_types(types, list(map(str, frame.columns)))
    texts = {name: kind for name, kind in types.items() if _is_text(series_of(frame, name))}
    numbers = [name for name, kind in texts.items() if kind in ("number", "integer")]
    dated = {name: kind.removeprefix("date:") for name, kind in texts.items() if kind.startswith("date:")}
    parts = [records for records in (source.records, source.test) if records is not None]
    notes, made = [*source.notes], []
    for records in parts:
        written = {"decimal": ".", "sure": True, **records.values.attrs}
        how = written["decimal"], written["sure"]
        columns = {name: _as_numbers(series_of(records.values, name), *how, notes) for name in numbers}
        columns |= {n: _as_dates(series_of(records.values, n), dated[n], notes) for n in dated}
        made.append(Records(records.values.assign(**columns), records.labels))
    return Source(made[0], made[1] if len(made) > 1 else None, tuple(notes))


def _is_text(series: pd.Series) -> bool:
    return kinds.is_string_dtype(series.dtype) and kinds.infer_dtype(series, skipna=True) == "string"


def _as_numbers(series: pd.Series, decimal: str, sure: bool, notes: list[str]) -> pd.Series:
    """Numbers of texts such as 12, 1,234.5, $12 and 5 %; NaN, and a note, for what is none or may be two."""
    found = numerals.read(series, decimal, sure=sure)
    numbers = pd.Series(found.numbers, index=series.index)
    wrong, unsure = series.loc[numbers.isna() & series.notna()], series.loc[found.ambiguous]
    if 2 * len(wrong) > series.notna().sum():
        odd = unsure if 2 * len(unsure) > len(wrong) else wrong
        why = ", which may be a thousand times less; write it without a separator" if odd is unsure else ""
        raise DataError(f"column {series.name!r} cannot be a number: row {odd.index[0] + 1} holds {odd.iloc[0]!r}{why}")
    if found.decimal != decimal:
        notes.append(f"column {series.name!r}: numbers are read with a decimal {_SIGNS[found.decimal]}")
    if len(wrong):
        count = f"{len(wrong):,} text{'s' * (len(wrong) != 1)} that {'are no numbers' if len(wrong) > 1 else 'is none'}"
        notes.append(f"column {series.name!r}: {count} (such as {wrong.iloc[0]!r}) taken for missing")
    if len(unsure):
        some = f"{len(unsure):,} of these may be two numbers, as {unsure.iloc[0]!r}"
        notes.append(f"column {series.name!r}: {some}; write them without separators of thousands to keep them")
    return numbers


def _as_dates(series: pd.Series, date_format: str, notes: list[str]) -> pd.Series:
    """The texts that are dates in a format; missing, and a note, for what is none."""
    codes, uniques = pd.factorize(series)
    read = dates.parse(np.asarray(uniques, dtype=object), date_format).notna().to_numpy(bool)
    wrong = series.loc[(codes >= 0) & ~np.append(read, True)[codes]]
    if 2 * len(wrong) > series.notna().sum():
        dates.check_format(wrong.to_numpy(object), date_format, str(series.name))
    if not len(wrong):
        return series
    count = f"{len(wrong):,} text{'s' * (len(wrong) != 1)} that {'are no dates' if len(wrong) > 1 else 'is no date'}"
    how = f"written {dates.spelled(date_format)} (such as {wrong.iloc[0]!r})"
    notes.append(f"column {series.name!r}: {count} {how} taken for missing")
    return series.drop(wrong.index).reindex(series.index)


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


def _moments(series: pd.Series, where: str) -> pd.Series:
    try:
        return pd.to_datetime(series)
    except ValueError:
        raise DataError(
            f"{where}: column {series.name!r} mixes dates of several time zones; bring them to one"
        ) from None


def _whole_beyond(series: pd.Series) -> bool:
    """Whether a column holds whole numbers, as such or as objects, that floats cannot all tell apart."""
    objects = kinds.is_object_dtype(series.dtype) and kinds.infer_dtype(series) == "integer"
    return (objects or kinds.is_integer_dtype(series.dtype)) and beyond(series)


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
        return _exact(path, pd.read_parquet(path))
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: cannot be read as parquet: {str(error).splitlines()[0]}") from None


def _exact(path: Path, frame: pd.DataFrame) -> pd.DataFrame:
    """The table, with whole numbers of 64 bits that gaps have made floats as the whole numbers they are."""
    whole = [field.name for field in pq.read_schema(path) if field.type in (pa.int64(), pa.uint64())]
    floats = [name for name in whole if name in frame.columns and kinds.is_float_dtype(frame[name].dtype)]
    large = [name for name in floats if bool((series_of(frame, name).abs() >= EXACT).any())]
    if not large:
        return frame
    held = {pa.int64(): pd.Int64Dtype(), pa.uint64(): pd.UInt64Dtype()}.get
    read = pq.read_table(path, columns=large).to_pandas(types_mapper=held, ignore_metadata=True)
    return frame.assign(**{name: read[name].array for name in large})
