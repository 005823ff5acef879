"""Table files to DataFrames, and back: comma (or ; tab |) separated text and parquet.

The one constraint: nothing is guessed in silence. What was repaired is a note; what cannot be is a DataError that
names the file and the line.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pandas.api import types

from sansheng.codecs.base import Records, Source
from sansheng.codecs.dtypes import check_finite
from sansheng.errors import DataError

READABLE = (".csv", ".tsv", ".parquet")
WRITABLE = (".csv", ".parquet")
DELIMITERS = ",;\t|"
MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "<NA>", "?")
SNIFFED_LINES = 50
MOST_BYTES = 8 * 2**30
DECIMAL_COMMA = re.compile(r"-?\d+,\d+")


def read(path: Path) -> Source:
    """Read a table. Raises DataError naming file and line for what is not one, or has fewer than two rows."""
    suffix = path.suffix.lower()
    if suffix not in READABLE:
        raise DataError(f"{path}: a table is one of {', '.join(READABLE)}, not {suffix or 'a folder'!r}")
    frame, notes = _read_parquet(path) if suffix == ".parquet" else _read_text(path)
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
        if types.is_float_dtype(frame[name].dtype):
            _check_column(series_of(frame, name), where)
    return Source(Records(frame), notes=notes)


def write(frame: pd.DataFrame, path: Path) -> list[Path]:
    """Write a table as .csv or .parquet. Raises ValueError for another suffix."""
    suffix = path.suffix.lower()
    if suffix not in WRITABLE:
        raise ValueError(f"cannot write a table as {suffix or 'a folder'!r}; use one of {', '.join(WRITABLE)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    if suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path, index=False)
    return [path]


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


def _check_column(series: pd.Series, where: str) -> None:
    try:
        check_finite(series.to_numpy(np.float64, na_value=np.nan), str(series.name))
    except DataError as error:
        raise DataError(f"{where}: {error}") from None


# -- parquet -----------------------------------------------------------------------------------------------


def _read_parquet(path: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    try:
        metadata = pq.read_metadata(path)
        size = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
        if size > MOST_BYTES:
            raise DataError(f"{path}: unpacks to {size / 2**30:.0f} GiB; 8 GiB is the most. Take a sample of its rows")
        return pd.read_parquet(path), ()
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: cannot be read as parquet: {str(error).splitlines()[0]}") from None


# -- separated text ----------------------------------------------------------------------------------------


def _read_text(path: Path) -> tuple[pd.DataFrame, list[str]]:
    text, notes = _decode(path)
    delimiter = "\t" if path.suffix.lower() == ".tsv" else sniff_delimiter(text)
    names = _check_lines(path, text, delimiter)
    names, renamed = unique_names(names)
    decimal = "," if delimiter == ";" and DECIMAL_COMMA.search(text[:100_000]) else "."
    frame = pd.read_csv(
        io.StringIO(text), sep=delimiter, decimal=decimal, header=0, index_col=False, skipinitialspace=True,
        keep_default_na=False, na_values=list(MISSING), low_memory=False,
    ).set_axis(names, axis=1)  # fmt: skip
    frame = pd.DataFrame({name: _strip(series_of(frame, name)) for name in names})
    notes += [*renamed, *_remarks(text, delimiter, decimal, names)]
    return frame, notes


def _decode(path: Path) -> tuple[str, list[str]]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16", errors="replace"), ["read as UTF-16"]
    if b"\0" in raw:
        raise DataError(f"{path}: is not text (it holds zero bytes); save the table as CSV")
    if not raw.strip():
        raise DataError(f"{path}: is empty")
    try:
        return raw.decode("utf-8-sig"), []
    except UnicodeDecodeError:
        return raw.decode("latin-1"), ["not UTF-8; read as Latin-1, so check letters with accents"]


def sniff_delimiter(text: str) -> str:
    """The delimiter that divides the first line and agrees with most of the next fifty; a comma if none does."""

    def agreement(delimiter: str) -> tuple[float, int]:
        rows = [len(row) for _, row in zip(range(SNIFFED_LINES), _rows(text[:200_000], delimiter), strict=False)]
        if not rows or rows[0] < 2:
            return 0.0, 0
        return sum(n == rows[0] for n in rows) / len(rows), rows[0]

    return max(DELIMITERS, key=agreement)


def _rows(text: str, delimiter: str) -> Iterator[list[str]]:
    """Rows that are not blank."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    return (row for row in reader if row)


def _check_lines(path: Path, text: str, delimiter: str) -> list[str]:
    """The fields of the first line. Raises DataError at the first line with more or fewer."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    names: list[str] = []
    start = 1
    try:
        for row in reader:
            names = names or row
            if row and len(row) != len(names):
                what = f"has {len(row)} fields where the first line has {len(names)}"
                raise DataError(f"{path}, line {start}: {what}; quote fields that hold {delimiter!r}, or mend the line")
            start = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}, line {start}: {error}") from None
    return names


def _strip(series: pd.Series) -> pd.Series:
    """Text without spaces around it; what is then missing is missing, and what is then a number is one."""
    if not (types.is_string_dtype(series.dtype) or types.is_object_dtype(series.dtype)):
        return series
    if types.infer_dtype(series, skipna=True) != "string":
        return series
    stripped = series.str.strip()
    if stripped.equals(series):
        return series
    stripped = stripped.mask(stripped.isin(MISSING))
    try:
        return pd.Series(pd.to_numeric(stripped))
    except (ValueError, TypeError):
        return stripped


def _remarks(text: str, delimiter: str, decimal: str, names: Sequence[str]) -> Iterator[str]:
    if delimiter != ",":
        yield f"fields are separated by {'tabs' if delimiter == chr(9) else repr(delimiter)}"
    if decimal == ",":
        yield "numbers are written with a decimal comma"
    if re.search(rf"(^|[{re.escape(delimiter)}])\s*\?\s*($|[{re.escape(delimiter)}])", text, re.MULTILINE):
        yield "'?' is read as missing"
    if all(re.fullmatch(r"-?\d+([.,]\d+)?", name) for name in names):
        yield "the first line holds only numbers and was taken for the column names; add a line of names if it is data"
