"""Text as people have it: one example a line, one long text, or a table with a column of text.

The one constraint: a long text is split before it is cut into windows, so that no held-out character stands in a
training window.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from sansheng.codecs import table_file
from sansheng.codecs.base import Reading, Records, Source
from sansheng.codecs.label_file import label_columns, to_labels, with_missing
from sansheng.codecs.pixels import counted
from sansheng.codecs.table_file import series_of
from sansheng.codecs.tokens import SUITED, can_find_pieces, parse_tokens, suited_tokens
from sansheng.errors import DataError, no_file, unknown

OPTIONS = ("unit", "window", "tokens", "column")
UNITS = ("lines", "windows")
JSON_LINES = (".jsonl", ".ndjson")
PLAIN = (".csv", ".tsv", ".tab")
"""Suffixes of tables that may be lines of text as well, where no column of text is found in them."""
COLUMN = "text"
"""What a column of texts is called unless they came from one."""
WINDOW = 256
HELD_OUT = 0.1
EACH = 4
"""How many training windows every character of a long text stands in, at other places."""
MAX_LENGTH = 128
"""Symbols of a line and its end, at most; windows are as long as a person says."""
LONG = 128
"""Characters: lines over this are too long to be one example each."""
LINE_END = re.compile(r"\r\n?|\n")
OF_PROSE = 0.02
"""With this share of lines empty or too long, a file is one long text."""
MOST_BYTES = 2**30


def read(path: Path, reading: Reading | None = None) -> Source:
    """Read text from a UTF-8 file (with or without a byte order mark), or from a column of a table or of JSON lines.

    Options: ``unit``, lines or windows (of one long text; found: where 2 % of lines are empty or over 128 characters);
    ``window``, characters, 256; ``tokens``, see `parse_tokens` (found: by how much text there is, `suited_tokens`);
    ``column``, that of the text. Repeated lines are left out. Raises DataError for what is missing, empty or no text,
    naming the line, and ValueError for windows of anything but one long text.
    """
    options = dict((reading or Reading()).options)
    if not path.is_file():
        raise no_file(path)
    if path.suffix.lower() in (*table_file.READABLE, *JSON_LINES):
        try:
            return from_frame(_table(path, options), options, str(path))
        except DataError:
            if path.suffix.lower() not in PLAIN or "column" in options:
                raise
    text = read_text(path)
    unit = _choose("unit", options, UNITS) or _unit_of(text)
    if "window" in options and "unit" not in options:
        unit = "windows"
    if unit == "windows":
        return from_long(text, options)
    every = text.removesuffix("\n").split("\n")
    numbers = [number for number, line in enumerate(every, 1) if line]
    source = from_lines([line for line in every if line], options, str(path), numbers)
    dropped = len(every) - sum(map(bool, every))
    return Source(source.records, None, [*([f"{dropped:,} empty lines dropped"] if dropped else []), *source.notes])


def read_text(path: Path) -> str:
    """All of a UTF-8 file, its lines ended by line feeds. Raises DataError for one that is missing or no text."""
    if not path.is_file():
        raise no_file(path)
    return LINE_END.sub("\n", _decoded(path, path.read_bytes()))


def from_lines(
    lines: Sequence[str], options: Mapping[str, str], where: str = "text in memory", numbers: Sequence[int] = ()
) -> Source:
    """One example a line, repeated ones left out. numbers: what each is called, where lines of a file were left out.

    Raises DataError if there are none, and ValueError for windows.
    """
    _no_windows(options, "this is read as lines (--unit lines)")
    if not lines:
        raise DataError(f"{where}: no lines of text in it")
    first: dict[str, int] = {}
    for place, line in enumerate(lines):
        first.setdefault(line, place)
    unique, notes = list(first), []
    if len(unique) < len(lines):
        left = len(lines) - len(unique)
        notes.append(f"{left:,} lines repeat an earlier one (left out, or held-out lines would leak)")
    about, said = _about("lines", options, unique)
    names = [f"line {numbers[place] if numbers else place + 1}" for place in first.values()]
    return Source(Records(unique, {}, about, names), None, [*notes, *_cut(unique, about), *said])


def from_long(text: str, options: Mapping[str, str]) -> Source:
    """Windows of one long text: the last tenth held out, without overlap; each training character in four of them."""
    size = _whole("window", options.get("window", str(WINDOW)))
    cut = len(text) - max(size, round(HELD_OUT * len(text)))
    if cut < size:
        raise DataError(
            f"a text of {len(text):,} characters has no room for windows of {size}; give a smaller --window"
        )
    train, test = _windows(text, 0, cut, size, max(1, size // EACH)), _windows(text, cut, len(text), size, size)
    notes = [
        f"one long text of {len(text):,} characters, in windows of {size} (--unit lines reads its lines instead); the "
        f"last {len(text) - cut:,} are held out; training windows overlap"
    ]
    about, said = _about("windows", options, [text])
    about |= {"window": size}
    held = Records(list(test.values()), {}, about, list(test))
    return Source(Records(list(train.values()), {}, about, list(train)), held, [*notes, *said])


def from_frame(frame: pd.DataFrame, options: Mapping[str, str], where: str = "the table") -> Source:
    """A column of text, one example a row, the other columns its labels; that with most text in it, repeated values
    counted once, unless one is named. Raises DataError where there is none, and ValueError for windows."""
    texts = {str(c): series_of(frame, str(c)) for c in frame.columns if _is_text(series_of(frame, str(c)))}
    name = options.get("column") or max(texts, key=lambda c: sum(map(len, texts[c].dropna().unique())), default=None)
    if name is None or not texts:
        raise DataError(f"{where}: no column of text in it")
    if name not in texts:
        raise DataError(f"{where}: {unknown('column of text', name, texts)}")
    _no_windows(options, f"each text of the column {name!r} is an example")
    kept = texts[name].notna() & (texts[name] != "") & ~_repeated(frame, name)
    lines = [LINE_END.sub(" ", str(text).replace("\0", "")) for text in texts[name][kept]]
    if not lines:
        raise DataError(f"{where}: column {name!r} holds no text")
    rest, said = with_missing(frame.drop(columns=name).loc[kept.to_numpy()], "text")
    labels, notes = label_columns(rest, "text")
    left = len(frame) - len(lines)
    found = f"text from the column {name!r}" + (f"; {left:,} rows without text or repeated left out" if left else "")
    about, symbols = _about("lines", options, lines)
    said = [*symbols, *said]
    names = [f"row {place}" for place in kept.to_numpy().nonzero()[0]]
    records = Records(lines, to_labels(labels), about | {"column": name}, names)
    return Source(records, None, [found, *_cut(lines, about), *said, *notes])


def _repeated(frame: pd.DataFrame, name: str) -> pd.Series:
    """Rows with the text of an earlier one and the same beside it, but for what differs in every row."""
    beside = frame.drop(columns=name).map(str)
    return frame[[name]].join(beside.loc[:, beside.nunique() < len(frame)]).duplicated()


def _no_windows(options: Mapping[str, str], otherwise: str) -> None:
    """Raise ValueError for options that are of one long text."""
    windows = _choose("unit", options, UNITS) == "windows"
    if windows or "window" in options:
        raise ValueError(f"--{'unit windows' if windows else 'window'} is for one long text, and {otherwise}")


def _cut(lines: Sequence[str], about: Mapping[str, str | int | None]) -> list[str]:
    """A note of how many texts are too long, where symbols are characters or less: of pieces of words nobody knows."""
    long = sum(len(line) >= MAX_LENGTH for line in lines)
    if not long or str(about["tokens"]).startswith("bpe"):
        return []
    cut = f"{long:,} of {counted(len(lines), 'text')} cut, being longer than {MAX_LENGTH - 1} characters"
    return [f"{cut} (--tokens bpe holds more of each)"]


def _about(
    unit: str, options: Mapping[str, str], texts: Sequence[str]
) -> tuple[dict[str, str | int | None], list[str]]:
    """What is known of all texts, their kind of tokens chosen by how much text there is, and a note of that."""
    asked = options.get("tokens")
    parse_tokens(asked)
    suited = suited_tokens(texts) if asked is None else None
    if suited is None:
        return {"unit": unit, "tokens": asked}, []
    size = f"a text of {sum(map(len, texts)):,} characters"
    if not can_find_pieces():
        return {"unit": unit, "tokens": None}, [
            f"{SUITED:,} pieces of words come nearer to {size} than single characters do: pip install 'sansheng[text]'"
        ]
    return {"unit": unit, "tokens": suited}, [
        f"the symbols are up to {SUITED:,} pieces of words, as of {size} (--tokens characters reads them one by one)"
    ]


def _choose(name: str, options: Mapping[str, str], valid: Sequence[str]) -> str | None:
    given = options.get(name)
    if given is not None and given not in valid:
        raise unknown(name, given, valid)
    return given


def _whole(name: str, text: str) -> int:
    if not text.isdigit() or not 8 <= int(text) <= 4096:
        raise ValueError(f"--{name} is a number of characters from 8 to 4096, not {text!r}")
    return int(text)


def _unit_of(text: str) -> str:
    lines = text.removesuffix("\n").split("\n")
    odd = sum(not line or len(line) > LONG for line in lines)
    return "windows" if odd > OF_PROSE * len(lines) and len(text) > 4 * WINDOW else "lines"


def _windows(text: str, first: int, last: int, size: int, stride: int) -> dict[str, str]:
    """What each window is called -> its text."""
    return {f"character {start}": text[start : start + size] for start in range(first, last - size + 1, stride)}


def _table(path: Path, options: Mapping[str, str]) -> pd.DataFrame:
    """Lines of JSON may be texts alone, which are of whatever column is asked for."""
    if path.suffix.lower() not in JSON_LINES:
        return table_file.read(path).records.values
    if path.stat().st_size > MOST_BYTES:
        raise DataError(f"{path}: more than {MOST_BYTES:,} bytes")
    rows = []
    for number, line in enumerate(_decoded(path, path.read_bytes()).split("\n"), 1):  # other line ends may be in texts
        try:
            row = json.loads(line) if line.strip() else None
        except json.JSONDecodeError as error:
            raise DataError(f"{path}, line {number}: not JSON ({error.msg})") from None
        if isinstance(row, str | dict):
            rows.append({options.get("column", COLUMN): row} if isinstance(row, str) else row)
        elif row is not None:
            raise DataError(f"{path}, line {number}: an object or a string is expected")
    return pd.DataFrame(rows)


def _is_text(column: pd.Series) -> bool:
    present = column.dropna()
    return bool(len(present)) and all(isinstance(value, str) for value in present)


def _decoded(path: Path, data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}, line {line}: not UTF-8 text (byte 0x{data[error.start]:02x}); save it as UTF-8"
        ) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(f"{path}, line {line}: holds a NUL character; is it a text file?")
    return text
