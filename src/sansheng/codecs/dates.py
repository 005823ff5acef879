"""Dates as people write them: the format found, read and written again.

A format is strftime's, with ``%-d`` for a day or month without its zero, ``%3f`` for milliseconds, and perhaps an
offset such as ``+02:00`` or a zone such as ``[Europe/Berlin]`` at its end. The one constraint: a format is only taken
if writing what was read gives every text back as it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

import numpy as np
import pandas as pd

from sansheng.errors import DataError

DAYS = (
    "%Y-%m-%d", "%Y/%m/%d", "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y.%m.%d", "%m/%d/%y",
    "%d/%m/%y", "%d.%m.%y", "%-m/%-d/%Y", "%-d/%-m/%Y", "%-d.%-m.%Y", "%-m/%-d/%y", "%-d/%-m/%y", "%d %b %Y",
    "%d-%b-%Y", "%d-%b-%y", "%b %d, %Y", "%b %-d, %Y", "%-d %b %Y", "%d %B %Y", "%-d %B %Y", "%B %d, %Y", "%B %-d, %Y",
)  # fmt: skip
MONTHS = ("%b-%Y", "%b %Y", "%B %Y", "%Y-%m", "%Y/%m", "%m/%Y", "%b-%y")
TIMES = (
    "%H:%M", "%H:%M:%S", "%H:%M:%S.%3f", "%H:%M:%S.%f", "%-H:%M", "%-H:%M:%S", "%I:%M %p", "%I:%M:%S %p", "%-I:%M %p",
    "%-I:%M:%S %p",
)  # fmt: skip
FORMATS = (*DAYS, *(f"{day}{gap}{time}" for day in DAYS for gap in " T" for time in TIMES), *MONTHS, *TIMES)
COMPACT = "%Y%m%d"
"""The format of dates held as whole numbers."""
ZONES = (
    "Europe/London", "Europe/Berlin", "Europe/Athens", "America/New_York", "America/Chicago", "America/Denver",
    "America/Los_Angeles", "America/Halifax", "America/Sao_Paulo", "Australia/Sydney", "Australia/Adelaide",
    "Pacific/Auckland", "Asia/Jerusalem",
)  # fmt: skip
"""Zones that are tried where the offset changes with the season."""
OFFSET = re.compile(r" ?(?:Z|UTC|[+-]\d\d:?\d\d)$")
ZONE = re.compile(r"\[([\w/+-]+)\]$")
DIGITS = {"Y": r"\d{4}", "b": "[A-Za-z]{3}", "B": "[A-Za-z]{3,9}", "p": "[AP]M", "f": r"\d{6}", "3f": r"\d{3}"}
TRIED = 20
USUAL = 14
"""Of so many that are tried, texts that a format must fit to be the usual one."""
DAY = 86_400
LONGEST = 40


def find_format(texts: np.ndarray) -> str | None:
    """The first format in which every text can be read and is written again just as it was; None if there is none."""
    if len(texts) == 0 or not any(c.isdigit() for c in texts[0]) or max(map(len, texts[:TRIED])) > LONGEST:
        return None
    offsets = [match[0] if (match := OFFSET.search(text)) else "" for text in texts[:TRIED]]
    if "" in offsets or not re.search(r"\d:\d\d", texts[0]):
        return next(_fitting(texts, ""), None)
    bare = np.array([OFFSET.sub("", text) for text in texts], dtype=object)
    same = all(
        text.endswith(offsets[0]) and len(text) == len(b) + len(offsets[0]) for text, b in zip(texts, bare, strict=True)
    )
    if same:
        return next(_fitting(bare, offsets[0]), None)
    return next((found for zone in ZONES for found in _fitting(bare, f"[{zone}]", texts)), None)


def usual_format(texts: np.ndarray) -> tuple[str | None, np.ndarray]:
    """(format, mask ``(N,)``): the one in which most texts are written, and which are; None if hardly any are."""
    best, most = None, np.zeros(len(texts), dtype=bool)
    tried = texts[np.unique(np.linspace(0, len(texts) - 1, TRIED).astype(int))] if len(texts) else texts
    least = USUAL * len(tried) / TRIED
    if sum(len(text) <= LONGEST and any(c.isdigit() for c in text) for text in tried) < max(least, 1):
        return best, most
    ends = [match[0] if (match := OFFSET.search(text)) and re.search(r"\d:\d\d", text) else "" for text in tried]
    end = max(ends, key=ends.count)
    for date_format in (COMPACT, *FORMATS):
        shape = _shape(date_format)
        if sum(shape.fullmatch(text.removesuffix(end)) is not None for text in tried) < least:
            continue
        found = _written(texts, date_format + end)
        if found.sum() > most.sum():
            best, most = date_format + end, found
    return best, most


def _written(texts: np.ndarray, date_format: str) -> np.ndarray:
    """Which texts ``(N,)`` can be read in a format and are written again just as they were."""
    dates = parse(texts, date_format)
    usual = (dates.dt.year >= 1900) & (dates.dt.year <= 2100) if date_format == COMPACT else dates.notna()
    return usual.to_numpy(bool) & (write(dates, date_format) == texts)


def _fitting(bare: np.ndarray, end: str, texts: np.ndarray | None = None) -> Iterator[str]:
    """Formats, with this end, that fit; `bare` are the texts without it."""
    whole = bare if texts is None else texts
    for date_format in FORMATS:
        shape = _shape(date_format)
        if not all(shape.fullmatch(text) for text in bare[:TRIED]):
            continue
        full = date_format + (end if texts is not None else "")
        if is_written(whole[:TRIED], full) and is_written(whole, full):
            yield date_format + end


def is_written(texts: np.ndarray, date_format: str) -> bool:
    """Whether every text can be read in a format and is written again just as it was."""
    dates = parse(texts, date_format)
    return bool(dates.notna().all()) and bool((write(dates, date_format) == texts).all())


def parse(texts: np.ndarray, date_format: str) -> pd.Series:
    """Dates ``(N,)``, local where the format has an offset, else in UTC; NaT for what is not written so."""
    zone, offset = ZONE.search(date_format), OFFSET.search(date_format)
    plain = ZONE.sub("", date_format) if zone else OFFSET.sub("", date_format)
    readable = plain.replace("%-", "%").replace("%3f", "%f")
    if zone:
        dates = pd.to_datetime(pd.Series(texts, dtype=object), format=f"{readable}%z", errors="coerce", utc=True)
        return dates.dt.tz_localize(None)
    if offset:
        texts = np.array([t.removesuffix(offset[0]) if t.endswith(offset[0]) else None for t in texts], dtype=object)
    return pd.to_datetime(pd.Series(texts, dtype=object), format=readable, errors="coerce")


def write(dates: pd.Series, date_format: str) -> np.ndarray:
    """Dates, as `parse` gives them, as texts ``(N,)``; None for NaT."""
    zone, offset = ZONE.search(date_format), OFFSET.search(date_format)
    plain = ZONE.sub("", date_format) if zone else OFFSET.sub("", date_format)
    marked = plain.replace("%-", "\x01%").replace("%3f", "%f\x02") + ("%z\x03" if zone else "")
    if zone:
        dates = dates.dt.tz_localize("UTC").dt.tz_convert(zone[1])
    written = dates.dt.strftime(marked).astype(object)
    if marked != plain:
        written = written.str.replace(r"\x010?", "", regex=True).str.replace(r"\d{3}\x02", "", regex=True)
        written = written.str.replace(r"(\d\d)\x03", r":\1", regex=True)
    if offset and not zone:
        written = written + offset[0]
    return written.mask(dates.isna(), None).to_numpy(object)


def check_format(texts: np.ndarray, date_format: str, column: str) -> None:
    """Raise DataError naming the first text that is not written in a format."""
    dates = parse(texts, date_format)
    if dates.isna().any():
        wrong = texts[int(np.argmax(dates.isna().to_numpy()))]
        raise DataError(f"column {column!r}: {wrong!r} is not a date written {spelled(date_format)}")


def spelled(date_format: str) -> str:
    """A format as people write it: YYYY-MM-DD."""
    names = {"Y": "YYYY", "m": "MM", "d": "DD", "y": "YY", "H": "hh", "M": "mm", "S": "ss", "I": "hh", "p": "AM"}
    names |= {"b": "Mon", "B": "Month", "f": "ffffff", "3f": "fff", "-m": "M", "-d": "D", "-H": "h", "-I": "h"}
    return re.sub(r"%(3f|-?[A-Za-z])", lambda match: names.get(match[1], match[0]), date_format)


def swapped(date_format: str) -> str:
    """A format with day and month the other way round."""
    return re.sub(r"(%-?)([md])", lambda match: match[1] + ("d" if match[2] == "m" else "m"), date_format)


def seconds_of(dates: pd.Series) -> np.ndarray:
    """Dates as seconds since 1970 in UTC, float64 with NaN."""
    if getattr(dates.dtype, "tz", None) is not None:
        dates = dates.dt.tz_convert("UTC").dt.tz_localize(None)
    micros = dates.to_numpy("datetime64[us]")
    return np.where(np.isnat(micros), np.nan, micros.astype(np.int64) / 1e6)


def iso_seconds(text: str) -> float:
    """Seconds since 1970 of a date such as 2024-01-31; NaN for any other text."""
    return float(seconds_of(pd.Series(pd.to_datetime(pd.Series([text]), format="ISO8601", errors="coerce")))[0])


def unit_of(seconds: np.ndarray) -> int:
    """The longest of a day, an hour, a minute and a second that divides all [s]; 1 if none does."""
    present = seconds[~np.isnan(seconds)]
    return next((unit for unit in (DAY, 3600, 60) if bool((present % unit == 0).all())), 1)


@cache
def _shape(date_format: str) -> re.Pattern[str]:
    """What a text in a format looks like."""

    def piece(match: re.Match[str]) -> str:
        return r"\d{1,2}" if match[1].startswith("-") else DIGITS.get(match[1], r"\d\d")

    return re.compile(re.sub(r"%(3f|-?[A-Za-z])", piece, date_format.replace(".", r"\.")))
