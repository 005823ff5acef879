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

from sansheng.errors import DataError

DELIMITERS = ",;\t|"
MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "<NA>", "?")
SNIFFED_LINES = 50
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


def read_text(path: Path) -> tuple[pd.DataFrame, list[str], list[str]]:
    """(values, column names as written, notes) of a file."""
    text, notes = decode(path)
    form = sniff(text, "\t" if path.suffix.lower() == ".tsv" else None)
    names = _check_lines(path, text, form)
    decimal = sniff_decimal(text, form)
    frame = _parse(text, form, decimal)
    frame = _keep_leading_zeros(frame, text, form, decimal)
    frame = _keep_spelling(frame, text, form, decimal)
    if _spaced(text, form):
        frame = pd.DataFrame({place: _strip(frame[place]) for place in frame})
    return frame, names, [*notes, *_remarks(text, form, decimal, names)]


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
    """
    if form.delimiter == ",":
        return "."
    border, quote = re.escape(form.delimiter), re.escape(form.quote)
    number = rf"(?:^|[{border}])[ {quote}]*[-+]?\d+([,.])(\d+)(?:[eE][-+]?\d+)?[ {quote}]*(?=$|[{border}\r])"
    found = re.findall(number, text[:SNIFFED], re.MULTILINE)
    commas = [decimals for sign, decimals in found if sign == ","]
    thousands = form.delimiter != ";" and all(len(decimals) == 3 for decimals in commas)
    return "," if len(commas) > len(found) / 2 and not thousands else "."


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
    text: str, form: Form, decimal: str, dtype: type | None = None, *, only: Sequence[int] | None = None
) -> pd.DataFrame:
    """The values, of all columns or those in these places, under columns called 0, 1, ..."""
    places: Any = only  # which are as good as names
    frame = pd.read_csv(
        io.StringIO(text), sep=form.delimiter, decimal=decimal, header=0, index_col=False, skipinitialspace=True,
        keep_default_na=False, na_values=list(MISSING), low_memory=False, quotechar=form.quote,
        escapechar=form.escape, doublequote=form.escape is None, dtype=dtype,
        usecols=places,
    )  # fmt: skip
    return frame.set_axis(range(frame.shape[1]), axis=1)


def _keep_leading_zeros(frame: pd.DataFrame, text: str, form: Form, decimal: str) -> pd.DataFrame:
    """Codes such as 01234, which are no numbers, as the texts they are."""
    raw, borders = _bytes(text), _borders(text, form)
    digit = (raw >= ord("0")) & (raw <= ord("9"))
    if not (borders[:-2] & (raw[1:-1] == ord("0")) & digit[2:]).any():
        return frame
    written = _parse(text, form, decimal, str)
    codes = [
        place
        for place in frame
        if types.is_numeric_dtype(frame[place].dtype) and written[place].str.fullmatch(r"0\d+").fillna(False).any()
    ]
    return pd.DataFrame({place: (written if place in codes else frame)[place] for place in frame})


def _keep_spelling(frame: pd.DataFrame, text: str, form: Form, decimal: str) -> pd.DataFrame:
    """TRUE and FALSE, or true and false, which would come back as True and False, as the texts they are."""
    held = [place for place in range(frame.shape[1]) if types.infer_dtype(frame[place], skipna=True) == "boolean"]
    if not held or re.search("TRUE|FALSE|true|false", text) is None:
        return frame
    written = _parse(text, form, decimal, str, only=held).set_axis(held, axis=1)
    other = [place for place in held if not set(written[place].dropna()) <= {"True", "False"}]
    return pd.DataFrame({place: (written if place in other else frame)[place] for place in frame})


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


def _strip(series: pd.Series) -> pd.Series:
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
    with contextlib.suppress(ValueError, TypeError):
        stripped = pd.Series(pd.to_numeric(stripped))
    return stripped.reindex(codes).reset_index(drop=True)


def _remarks(text: str, form: Form, decimal: str, names: Sequence[str]) -> Iterator[str]:
    if form.delimiter != ",":
        yield f"fields are separated by {'tabs' if form.delimiter == chr(9) else repr(form.delimiter)}"
    if form.quote != '"':
        yield f"fields are quoted by {form.quote}"
    if decimal == ",":
        yield "numbers are written with a decimal comma"
    border = re.escape(form.delimiter)
    if "?" in text and re.search(rf"(^|[{border}])\s*\?\s*($|[{border}])", text, re.MULTILINE):
        yield "'?' is read as missing"
    if all(re.fullmatch(r"-?\d+([.,]\d+)?", name.strip()) for name in names):
        yield "the first line holds only numbers and was taken for the column names; add a line of names if it is data"
