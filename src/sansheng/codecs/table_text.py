"""Tables written as text: encoding, delimiter, quotes and decimal sign found, every line as long as the first.

The one constraint: nothing is guessed in silence. What was repaired or is out of the ordinary is a note; what cannot be
read is a DataError that names the file and the line.
"""

from __future__ import annotations

import contextlib
import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from sansheng.codecs import numerals
from sansheng.errors import DataError

DELIMITERS = ",;\t|"
MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "<NA>", "?", ".")
SNIFFED_LINES = 50
MOST_NAMED = 5
SNIFFED = 200_000
"""Characters looked at to find delimiter, quotes and decimal sign."""


@dataclass(frozen=True)
class Form:
    """How a table is written. escape: what stands before a quote inside quotes, if it is not doubled."""

    delimiter: str = ","
    quote: str = '"'
    escape: str | None = None

    def rows(self, text: str) -> Any:
        """The csv module's reader."""
        return csv.reader(
            io.StringIO(text, newline=""), delimiter=self.delimiter, quotechar=self.quote, skipinitialspace=True,
            escapechar=self.escape, doublequote=self.escape is None,
        )  # fmt: skip


def read_text(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """(values, notes) of a file, columns with unique names.

    What a later reader of its texts needs to know is in `attrs`: the ``decimal`` sign, whether the file makes that
    ``sure``, and the names of columns whose numbers are ``grouped`` by separators of thousands.
    """
    text, notes = decode(path)
    form = sniff(text, "\t" if path.suffix.lower() == ".tsv" else None)
    header = _check_lines(path, text, form)
    names, renamed = unique_names(header)
    decimal = sniff_decimal(text, form)
    frame = _parse(text, form, decimal)
    frame = _keep_written(frame, text, form, decimal)
    if _spaced(text, form):
        frame = pd.DataFrame({place: _strip(pd.Series(frame[place]), decimal) for place in frame})
    sure, clash = evidence(text, form, decimal)
    frame, grouped = _ungroup(frame, decimal, sure=sure, clash=clash)
    remarks = [*_remarks(text, form, decimal, header), *_remark_na(frame, names, text, form)]
    frame = frame.set_axis(names, axis=1)
    frame.attrs = {"decimal": decimal, "sure": sure and not clash, "grouped": [names[place] for place in grouped]}
    marks = {".": "commas", ",": "points"}[decimal]
    said = [f"column {name!r}: {marks} set off thousands" for name in frame.attrs["grouped"]]
    return frame, [*renamed, *notes, *remarks, *said]


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


def decode(path: Path) -> tuple[str, list[str]]:
    """(text, notes) of a file, in the encoding that `encoding_of` finds."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    if not raw.strip():
        raise DataError(f"{path}: is empty")
    encoding = encoding_of(path, raw)
    text = raw.decode(encoding, errors="replace").removeprefix("\ufeff")
    if encoding.startswith("utf-16"):
        return text, ["read as UTF-16"]
    named = {"cp1252": "Windows-1252", "latin-1": "Latin-1"}.get(encoding)
    return text, [f"not UTF-8; read as {named}, so check letters with accents"] if named else []


def encoding_of(path: Path, raw: bytes) -> str:
    """UTF-8, UTF-16 by its mark or its zero bytes, else Windows-1252 or Latin-1; a mark is kept.

    Raises DataError for bytes that are no text.
    """
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16-le" if raw[:2] == b"\xff\xfe" else "utf-16-be"
    if b"\0" in raw:
        return _wide(path, raw)
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return _western(raw)
    return "utf-8"


def _wide(path: Path, raw: bytes) -> str:
    """UTF-16 without a mark: about every other byte of western text is zero."""
    for encoding, zeros in (("utf-16-le", raw[1:2000:2]), ("utf-16-be", raw[0:2000:2])):
        if len(raw) % 2 == 0 and zeros.count(0) > 0.6 * len(zeros):
            return encoding
    raise DataError(f"{path}: is not text (it holds zero bytes); save the table as CSV")


def _western(raw: bytes) -> str:
    """Windows-1252 where bytes are used that Latin-1 has no letters for, such as curly quotes and the euro."""
    if re.search(rb"[\x80-\x9f]", raw):
        with contextlib.suppress(UnicodeDecodeError):
            raw.decode("cp1252")
            return "cp1252"
    return "latin-1"


# -- what divides fields ---------------------------------------------------------------------------------------


def sniff(text: str, delimiter: str | None = None) -> Form:
    """How a table is written, by its beginning: the delimiter (unless it is known) and the quotes."""
    start = text[:SNIFFED]
    known = delimiter or sniff_delimiter(start)
    edge = rf"(?:^|[{re.escape(known)}\n])[ ]*"
    quote = '"'
    single = re.findall(rf"{edge}'(?:[^'\n]|'')*'(?=[ ]*(?:[{re.escape(known)}\r\n]|$))", start)
    if not re.search(rf'{edge}"', start) and single:
        quote, known = "'", delimiter or sniff_delimiter(start, "'")
    escaped = f"\\{quote}" in start and re.search(rf"\\{quote}[^{re.escape(known)}\r\n]", start)
    return Form(known, quote, "\\" if escaped else None)


def sniff_delimiter(text: str, quote: str = '"') -> str:
    """The delimiter that divides the first line and agrees with most of the next fifty; a comma if none does."""

    def agreement(delimiter: str) -> tuple[float, int]:
        reader = (row for row in Form(delimiter, quote).rows(text[:SNIFFED]) if row)
        rows = [len(row) for _, row in zip(range(SNIFFED_LINES), reader, strict=False)]
        if not rows or rows[0] < 2:
            return 0.0, 0
        return sum(n == rows[0] for n in rows) / len(rows), rows[0]

    return max(DELIMITERS, key=agreement)


def sniff_decimal(text: str, form: Form) -> str:
    """The decimal sign: a comma where fields are divided by something else and more numbers have one than have a point.

    Three digits behind every comma may be thousands: then it is one only where semicolons leave commas free for that.
    Three digits behind every point may be thousands too, and are where a comma can be nothing but a decimal sign.
    """
    if form.delimiter == ",":
        return "."
    found = _signed(text, form)
    commas = [decimals for _, sign, decimals in found if sign == ","]
    if _clear(found) == {","}:
        return ","
    thousands = form.delimiter != ";" and all(len(decimals) == 3 for decimals in commas)
    return "," if len(commas) > len(found) / 2 and not thousands else "."


def evidence(text: str, form: Form, decimal: str) -> tuple[bool, bool]:
    """(whether numbers of a table tell that this is its decimal sign, whether some tell that the other is).

    Of 1,234 nothing is told. A table divided by commas has a decimal point unless something tells another.
    """
    clear = _clear(_signed(text, form))
    return form.delimiter == "," or decimal in clear, bool(clear - {decimal})


def _clear(numbers: Sequence[tuple[str, str, str]]) -> set[str]:
    """The decimal signs of numbers, as `_signed` finds them, that can be nothing else."""
    return {sign for whole, sign, decimals in numbers if len(decimals) != 3 or not whole.strip("0")}


def _signed(text: str, form: Form) -> list[tuple[str, str, str]]:
    """(whole part, decimal sign, digits behind it) of the numbers at a table's beginning that may have one.

    Where commas divide fields, only those in quotes: others are fields of their own.
    """
    border, quote = re.escape(form.delimiter), re.escape(form.quote)
    start, end = rf"(?:^|[{border}])[ {quote}]*", rf"[ {quote}]*(?=$|[{border}\r])"
    if form.delimiter == ",":
        start, end = rf"{quote}[ ]*", rf"[ ]*{quote}"
    number = r"(?:(\d+(?:\.\d{3})*)(,)(\d+)|(\d+(?:,\d{3})*)(\.)(\d+))"
    found = re.findall(rf"{start}[-+]?{number}(?:[eE][-+]?\d+)?{end}", text[:SNIFFED], re.MULTILINE)
    return [parts[:3] if parts[1] else parts[3:] for parts in found]


def _check_lines(path: Path, text: str, form: Form) -> list[str]:
    """The fields of the first line. Raises DataError at the first line with more or fewer."""
    names: list[str] = []
    if form.escape is None and _all_alike(text, form):
        return next(row for row in form.rows(text) if row)
    start, reader = 1, form.rows(text)
    try:
        for row in reader:
            names = names or row
            if row and len(row) != len(names):
                what = f"has {len(row)} fields where the first line has {len(names)}"
                raise DataError(
                    f"{path}, line {start}: {what}; quote fields that hold {form.delimiter!r}, or mend the line"
                )
            start = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}, line {start}: {error}") from None
    return names


def _all_alike(text: str, form: Form) -> bool:
    """Whether every line has as many delimiters, outside quotes, as the first; False where that cannot be told."""
    raw = np.frombuffer(text.encode("utf-8", "surrogatepass"), dtype=np.uint8)
    delimiters, ends = raw == ord(form.delimiter), raw == ord("\n")
    if form.quote in text:
        outside = np.logical_xor.accumulate(raw == ord(form.quote)) == 0
        delimiters, ends = delimiters & outside, ends & outside
    counts = np.diff(np.cumsum(delimiters)[np.flatnonzero(ends)], prepend=0)
    return text.endswith("\n") and len(counts) > 0 and bool(counts[0] > 0 and (counts == counts[0]).all())


# -- values ----------------------------------------------------------------------------------------------------


def _parse(
    text: str, form: Form, decimal: str, dtype: type | None = None, *, only: Sequence[int] | None = None,
    missing: Sequence[str] = MISSING,
) -> pd.DataFrame:  # fmt: skip
    """The values, of all columns or those in these places, under columns called 0, 1, ..."""
    places: Any = only  # which are as good as names
    frame = pd.read_csv(
        io.StringIO(text), sep=form.delimiter, decimal=decimal, header=0, index_col=False, skipinitialspace=True,
        keep_default_na=False, na_values=list(missing), low_memory=False, quotechar=form.quote,
        escapechar=form.escape, doublequote=form.escape is None, dtype=dtype,
        usecols=places,
    )  # fmt: skip
    return frame.set_axis(range(frame.shape[1]), axis=1)


def _keep_written(frame: pd.DataFrame, text: str, form: Form, decimal: str) -> pd.DataFrame:
    """Codes that are no numbers (`numerals.are_codes`), and TRUE and FALSE, or true and false, as they are written."""
    places = list(range(frame.shape[1]))
    truths = [place for place in places if types.infer_dtype(frame[place], skipna=True) == "boolean"]
    truths = truths if re.search("TRUE|FALSE|true|false", text) else []
    suspects = sorted({*truths, *_suspects(frame, text, form)})
    if not suspects:
        return frame
    written = _parse(text, form, decimal, str, only=suspects).set_axis(suspects, axis=1)
    texts = {place: written[place].dropna() for place in suspects}
    kept = {place for place in set(suspects) - set(truths) if numerals.are_codes(texts[place].str.strip())}
    kept |= {place for place in truths if not set(texts[place]) <= {"True", "False"}}
    return pd.DataFrame({place: (written if place in kept else frame)[place] for place in frame})


def _suspects(frame: pd.DataFrame, text: str, form: Form) -> Iterator[int]:
    """Columns of numbers that may be codes; told without reading them again as text."""
    raw, borders = _bytes(text), _borders(text, form)
    digit = (raw >= ord("0")) & (raw <= ord("9"))
    zeros = bool((borders[:-2] & (raw[1:-1] == ord("0")) & digit[2:]).any())
    plus = bool((borders[:-1] & (raw[1:] == ord("+"))).any())
    powers = bool((digit[:-2] & ((raw[1:-1] | 32) == ord("e")) & digit[2:]).any())
    for place in range(frame.shape[1]):
        if not types.is_numeric_dtype(frame[place].dtype) or types.is_bool_dtype(frame[place].dtype):
            continue
        known = frame[place].dropna()
        large = len(known) and known.max() >= 10 ** (numerals.LEAST_DIALLED - 1)
        floats = types.is_float_dtype(known.dtype)
        if zeros or (large and plus) or (floats and (powers or bool((known.abs() >= numerals.EXACT).any()))):
            yield place


def _ungroup(frame: pd.DataFrame, decimal: str, *, sure: bool, clash: bool) -> tuple[pd.DataFrame, list[int]]:
    """Numbers such as 52,000 as numbers, and the columns that have them.

    None where the file tells no decimal sign, unless a number of the column does, such as 1,234,567 or 1,234.5.
    """
    clear = rf"[-+]?\d+(?:\{numerals.OTHER[decimal]}\d{{3}})+(?:\{numerals.OTHER[decimal]}\d{{3}}|\{decimal}\d+)"
    made: dict[int, pd.Series] = {}
    for place in [] if clash else range(frame.shape[1]):
        if types.infer_dtype(frame[place], skipna=True) != "string":
            continue
        column = pd.Series(frame[place])
        texts = column.dropna()
        if numerals.are_grouped(texts, decimal) and (sure or texts.str.fullmatch(clear).any()):
            numbers = pd.Series(numerals.plain_numbers(column, decimal))
            fits = numbers.notna().all() and (numbers % 1 == 0).all() and (numbers.abs() < numerals.EXACT).all()
            made[place] = numbers.astype(np.int64) if fits else numbers
    return pd.DataFrame({place: made.get(place, frame[place]) for place in range(frame.shape[1])}), list(made)


def _spaced(text: str, form: Form) -> bool:
    """Whether any field may have spaces around it, which reading does not take away."""
    raw, borders = _bytes(text), _borders(text, form)
    space = (raw == ord(" ")) | (raw == ord("\t")) & (form.delimiter != "\t")
    return bool((space[1:] & borders[:-1] | space[:-1] & borders[1:]).any())


def _bytes(text: str) -> np.ndarray:
    """A text, between two ends of lines, as UTF-8."""
    return np.frombuffer(f"\n{text}\n".encode("utf-8", "surrogatepass"), dtype=np.uint8)


def _borders(text: str, form: Form) -> np.ndarray:
    """Where fields end or begin in the bytes of a text."""
    border = np.zeros(256, dtype=bool)
    border[[ord(c) for c in (form.delimiter, form.quote, "\r", "\n")]] = True
    return border[_bytes(text)]


def _strip(series: pd.Series, decimal: str) -> pd.Series:
    """Text without spaces around it; what is then missing is missing, and what is then a number is one."""
    if not (types.is_string_dtype(series.dtype) or types.is_object_dtype(series.dtype)):
        return series
    codes, uniques = pd.factorize(series)
    texts = pd.Series(uniques)
    if types.infer_dtype(texts, skipna=True) != "string":
        return series
    stripped = texts.str.strip()
    if stripped.equals(texts):
        return series
    stripped = stripped.mask(stripped.isin(MISSING))
    known = stripped.dropna()
    if not numerals.are_codes(known) and not known.str.contains(numerals.OTHER[decimal], regex=False).any():
        with contextlib.suppress(ValueError, TypeError):
            stripped = pd.Series(pd.to_numeric(stripped.str.replace(decimal, ".", regex=False)))
    return stripped.reindex(codes).reset_index(drop=True)


def _remarks(text: str, form: Form, decimal: str, names: Sequence[str]) -> Iterator[str]:
    if form.delimiter != ",":
        yield f"fields are separated by {'tabs' if form.delimiter == chr(9) else repr(form.delimiter)}"
    if form.quote != '"':
        yield f"fields are quoted by {form.quote}"
    if decimal == ",":
        yield "numbers are written with a decimal comma"
    yield from (f"{mark!r} is read as missing" for mark in "?." if _stands_alone(mark, text, form))
    points = [(whole, decimals) for whole, sign, decimals in _signed(text, form) if sign == "."]
    if decimal == "." and form.delimiter == ";" and points and all(len(d) == 3 and w.strip("0") for w, d in points):
        yield "every number with a point has three digits behind it; they are decimals here, not thousands"
    if all(re.fullmatch(r"-?\d+([.,]\d+)?", name.strip()) for name in names):
        yield "the first line holds only numbers and was taken for the column names; add a line of names if it is data"


def _stands_alone(cell: str, text: str, form: Form) -> bool:
    """Whether any field is just this."""
    border, quote = re.escape(form.delimiter), re.escape(form.quote)
    alone = rf"(?:^|[{border}])[ {quote}]*{re.escape(cell)}[ {quote}]*(?:\r?$|[{border}])"
    return cell in text and re.search(alone, text, re.MULTILINE) is not None


def _remark_na(frame: pd.DataFrame, names: Sequence[str], text: str, form: Form) -> Iterator[str]:
    """How many cells of text read NA, which may be a code, such as that of a country."""
    places = [place for place in range(frame.shape[1]) if types.infer_dtype(frame[place], skipna=True) == "string"]
    if not places or not _stands_alone("NA", text, form):
        return
    written = _parse(text, form, ".", str, only=places, missing=()).set_axis(places, axis=1)
    counts = {names[place]: int((written[place].str.strip() == "NA").sum()) for place in places}
    found = [f"{count:,} of column {name!r}" for name, count in counts.items() if count]
    if found:
        more = f" and of {len(found) - MOST_NAMED} more columns" if len(found) > MOST_NAMED else ""
        named = ", ".join(found[:MOST_NAMED])
        yield f"cells that read NA are missing, {named}{more}; spell NA otherwise where it is a code"
