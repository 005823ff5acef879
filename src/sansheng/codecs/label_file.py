"""Labels that come as columns: a ``labels.csv`` beside pictures, or the other columns of a Parquet of pictures.

The one constraint: a column becomes a label only if it says something of every picture; the others are named.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath

import numpy as np
import pandas as pd
from pandas.api import types

from sansheng.codecs.labels import MAX_LEVELS, MISSING, lacking, without_gaps
from sansheng.codecs.pixels import counted
from sansheng.codecs.table_file import series_of
from sansheng.codecs.table_text import sniff_delimiter
from sansheng.errors import DataError

LABEL_FILE = "labels.csv"
NAME_COLUMNS = ("file", "filename", "file_name")
MOST_BYTES = 2**28
TRUTH = {"True": True, "TRUE": True, "true": True, "False": False, "FALSE": False, "false": False}
WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")
DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?|-?\.[0-9]+|-?[1-9](\.[0-9]+)?e[-+][0-9]{2,3}|-?inf")
"""Numbers as people and programs write them; 007 and 1e5 are codes, while Python itself writes 1e-05."""
UTF16 = (b"\xff\xfe", b"\xfe\xff")
EXACT = 2**53
"""Whole numbers up to this are floats too."""
File = io.BytesIO | io.BufferedReader
"""Bytes that can be read from any place."""


def read_label_file(where: str, name: str, open: Callable[[str], File]) -> pd.DataFrame:
    """The table of a ``labels.csv``, its first column the path of a picture relative to the file's own folder.

    Raises DataError for one that is no such table.
    """
    try:
        with open(name) as file:
            raw = file.read(MOST_BYTES + 1)
    except (OSError, DataError) as error:
        raise DataError(f"{where}: {name} cannot be read: {error}") from None
    if len(raw) > MOST_BYTES:
        raise DataError(f"{where}: {name} has more than {MOST_BYTES:,} bytes")
    try:
        frame = _table(_decoded(raw))
    except (ValueError, csv.Error) as error:
        raise DataError(f"{where}: {name} cannot be read as a table: {str(error).splitlines()[0]}") from None
    frame.columns = [str(column).strip() for column in frame.columns]
    found = next((column for column in NAME_COLUMNS if column in frame.columns), None)
    if found is None or frame.shape[1] < 2:
        raise DataError(
            f"{where}: {name} needs a column {' or '.join(NAME_COLUMNS[:2])} and one with the label, not "
            f"{', '.join(frame.columns)}"
        )
    others = frame.drop(columns=found)
    return pd.concat([series_of(frame, found), *(_typed(column) for _, column in others.items())], axis=1)


def _decoded(raw: bytes) -> str:
    """Text in UTF-8, in UTF-16 if it begins with its mark, or else in Latin-1."""
    if raw.startswith(UTF16):
        return raw.decode("utf-16")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _table(text: str) -> pd.DataFrame:
    """Raises ValueError for a line with more fields than the header, which pandas would cut off."""
    separator = sniff_delimiter(text)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    width = len(next(lines, []))
    for fields in lines:
        if any(field.strip() for field in fields[width:]):
            raise ValueError(f"line {lines.line_num} has {len(fields)} fields, the header {width}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pd.errors.ParserWarning)  # blank fields at the end of every line
        return pd.read_csv(
            io.StringIO(text), sep=separator, skipinitialspace=True, index_col=False,
            dtype=str, keep_default_na=False, na_values=[""],
        )  # fmt: skip


def join_labels(
    where: str, names: Sequence[str], tables: Sequence[tuple[str, pd.DataFrame]]
) -> tuple[pd.DataFrame, list[str]]:
    """(labels of those pictures that have a line, notes): a picture without a line, or without one of the labels
    (`complete`), is left out, and counted; none is where no label remains.

    A line names a picture by its path, or by its file name alone if only one picture is called so. Raises DataError
    if two lines name one picture, or none names any.
    """
    known = {composed(name): name for name in names} | {name: name for name in names}
    counts = Counter(composed(PurePosixPath(name).name) for name in names)
    alone = {last: name for name in names if counts[last := composed(PurePosixPath(name).name)] == 1}
    pieces, lost = [], 0
    for file, frame in tables:
        home = PurePosixPath(file).parent
        asked = [str(PurePosixPath(str(text).replace("\\", "/"))) for text in frame.iloc[:, 0]]
        found = [_find(home, text, known, alone) for text in asked]
        lost += sum(name is None for name in found)
        kept = np.array([name is not None for name in found], dtype=bool)
        pieces.append(frame.iloc[:, 1:][kept].set_axis(pd.Index([name for name in found if name]), axis=0))
    labels = pd.concat(pieces, join="inner")
    if labels.empty:
        raise DataError(f"{where}: {tables[0][0]} names none of the {len(names):,} images (the first: {names[0]})")
    if labels.index.has_duplicates:
        repeated = labels.index[labels.index.duplicated()][0]
        raise DataError(f"{where}: {repeated} has more than one line in {tables[0][0]}")
    labels = labels.loc[[name for name in names if name in labels.index]]
    whole, remarks = complete(labels)
    columns, notes = label_columns(whole)
    missing = len(names) - len(labels)
    said = f"labels from {', '.join(name for name, _ in tables[:3])}: {', '.join(columns.columns) or 'none'}"
    if columns.columns.empty:
        return pd.DataFrame(index=pd.Index(names)), [said, *notes]
    said += f"; {counted(missing)} without a line left out" if missing else ""
    return columns, [said + (f"; {counted(lost, 'line')} without an image" if lost else ""), *remarks, *notes]


def complete(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """(the rows that lack none of the labels, notes); a label that too many lack (`lacking`) counts no more than a
    column that cannot be one.
    """
    frame = frame.loc[:, ~frame.columns.duplicated()]
    columns = {name: series_of(frame, name) for name in frame.columns}
    gaps = {name: column.isna().to_numpy() for name, column in columns.items() if column.hasnans}
    out, dropped = lacking({name: gap for name, gap in gaps.items() if not _unfit(columns[name].dropna())})
    if not out.any():
        return frame, []
    named = ", ".join(repr(str(name)) for name in gaps if name not in dropped and (gaps[name] & out).any())
    return frame.loc[~out], [f"{counted(int(out.sum()))} without a value of {named} left out"]


def with_missing(frame: pd.DataFrame, noun: str) -> tuple[pd.DataFrame, list[str]]:
    """(columns, notes): in those that can be labels what has no value has the level "(missing)". noun: of what they are
    the labels."""
    filled, notes = {}, []
    for name in frame.columns:
        column = series_of(frame, name)
        texts = without_gaps(column)
        if texts is column or not column.notna().any() or _unfit(column.dropna(), noun) or _unfit(texts, noun):
            continue
        filled[name] = texts
        notes.append(f"column {name!r}: {counted(int(column.isna().sum()), noun)} without a value, as level {MISSING}")
    return frame.assign(**filled), notes


def label_columns(frame: pd.DataFrame, noun: str = "image") -> tuple[pd.DataFrame, list[str]]:
    """The columns that can be labels, as truth values, whole numbers, floats or text; and what is left out, and why.

    noun: of what they are the labels.
    """
    kept: dict[str, pd.Series] = {}
    notes = []
    frame = frame.set_axis(list(map(str, frame.columns)), axis=1).loc[:, ~frame.columns.duplicated()]
    for name in frame.columns:
        column = series_of(frame, name)
        why = _unfit(column, noun)
        if why:
            notes.append(f"column {name!r} is no label: {why}")
        else:
            kept[name] = column if types.is_numeric_dtype(column.dtype) else column.astype(str)
    return pd.DataFrame(kept, index=frame.index), notes


def to_labels(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Label columns as arrays, by name."""
    return {str(name): _array(series_of(frame, str(name))) for name in frame.columns}


def _array(column: pd.Series) -> np.ndarray:
    if types.is_bool_dtype(column.dtype):
        return column.to_numpy(dtype=bool)
    if types.is_integer_dtype(column.dtype):
        return column.to_numpy(dtype=np.int64)
    if types.is_float_dtype(column.dtype):
        return column.to_numpy(dtype=np.float64)
    return np.array(column.tolist(), dtype=str)


def _unfit(column: pd.Series, noun: str = "image") -> str | None:
    missing = int(column.isna().sum())
    if missing:
        return f"it has no value for {counted(missing, noun)}"
    if types.is_numeric_dtype(column.dtype):
        return None if np.isfinite(column.to_numpy(dtype=np.float64)).all() else "it holds infinite numbers"
    if not all(isinstance(value, str | bool | int | float) for value in column):
        return "it holds neither text nor numbers"
    levels = column.nunique()
    return f"it has {levels:,} different texts (at most {MAX_LEVELS:,})" if levels > MAX_LEVELS else None


def _find(home: PurePosixPath, text: str, known: Mapping[str, str], alone: Mapping[str, str]) -> str | None:
    whole = str(home / text)
    return known.get(whole) or known.get(composed(whole)) or alone.get(composed(text))


def composed(name: str) -> str:
    """A name with each accented letter as one character: macOS gives letter and accent apart, editors together."""
    return unicodedata.normalize("NFC", name)


def _keeps_apart(text: str) -> bool:
    """Whether a number as a float is not its neighbour's too: long identifiers would be."""
    return not text.lstrip("-").isdecimal() or abs(int(text)) <= EXACT


def _typed(column: pd.Series) -> pd.Series:
    """A column of texts as truth values or numbers, where every text is plainly one: 1 and 01 stay different codes.
    Those with gaps are of a type that knows them."""
    texts = {text.strip() for text in column.dropna()}
    if not texts:
        return column
    gaps = column.hasnans
    if texts <= TRUTH.keys():
        return column.str.strip().map(TRUTH).astype("boolean" if gaps else "bool")
    if all(WHOLE.fullmatch(text) for text in texts):
        whole = column.str.strip()
        return whole.map(int, na_action="ignore").astype("Int64") if gaps else whole.astype("int64")
    if all(DECIMAL.fullmatch(text) and _keeps_apart(text) for text in texts):
        return column.str.strip().astype("float64")
    return column
