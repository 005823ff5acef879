"""What a column of a table is taken for, and why: by what it holds, unless a person says what it is.

The one constraint: it is decided from the training rows alone, and the reason names what was counted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pandas.api.types import infer_dtype

from sansheng.codecs import dates
from sansheng.codecs.coders import Coder, Constant, Digits, Levels, Numbers
from sansheng.codecs.columns import Column, Kind, written
from sansheng.codecs.dtypes import DATE_OBJECTS, DType, plain, tally, understand
from sansheng.codecs.identifiers import Identifier, named_identifier, number_identifier, text_identifier
from sansheng.codecs.nearly import nearly
from sansheng.codecs.quantile import Quantile
from sansheng.errors import DataError, unknown

ASKABLE = ("number", "integer", "category", "boolean", "date", "identifier", "text")
"""Types a person can say a column has; a date also with its format, as in ``date:%d/%m/%Y``."""
FEW_NUMBERS = 20
"""Numbers with fewer distinct values than this are levels, if each has four rows on average."""
INFLATED_SHARE = 0.05
"""A number that more than this share of rows have, and that stands out from its neighbours, is set apart."""
LEAST_INFLATED = 20
"""Rows that must have it: in a small table five per cent are soon had by chance."""
STANDS_OUT = 3.0
"""How many times as frequent as its two nearest values on either side, on average, such a number is."""
MOST_INFLATED = 3
SAFE_LEVELS = 50
"""Text with more levels than this has a level "other", where levels never seen can go."""
RARE = 5
"""Of such text, levels that fewer rows than this have are taken together."""
MOST_ONE_HOT = 100
"""With more places than this, "other" and missing included, levels are written in digits."""
MOST_LEVELS = 4096
MOST_RARE = 50_000
UNIQUE_SHARE = 0.95
ONCE_SHARE = 0.8
"""Text of which so large a share of rows is like no other is left out, for there is little to learn of it."""
WORDY_SHARE = 0.1
"""Unique texts of which more than this share have spaces are no identifiers."""
FEW_ROWS = 50
"""Text in this many rows or fewer is never taken for an identifier."""
RUNNING = 1.5
"""Unique whole numbers in order are counted rows if they reach no further than this many times their number."""
NAMED_LIKE_IDENTIFIER = re.compile(
    r"(^|[_\W])(id|idx|index|key|uuid|guid|mrn|ssn|nhs|number|nr|row|rownum|unnamed(_\d+)?)$"
    r"|[a-z](Id|ID)$|^unnamed: \d+$",
    re.IGNORECASE,
)
SHARED = 1.2
"""From so many rows for each value of an identifier on, they may be visits of one person."""
MONTH_OR_DAY = re.compile(r"%-?[md]\W+%-?[md]")
TRUTHS = ({"yes", "no"}, {"true", "false"}, {"y", "n"}, {"t", "f"}, {"on", "off"}, {"ja", "nein"}, {"oui", "non"})


@dataclass(frozen=True, eq=False)
class _Seen:
    """A column of training rows: `uniques` increase, ``uniques[codes]`` are the values, −1 is missing."""

    name: str
    dtype: DType
    codes: np.ndarray
    uniques: np.ndarray
    counts: np.ndarray

    @property
    def rows(self) -> int:
        return len(self.codes)

    @property
    def present(self) -> int:
        return int(self.counts.sum())

    @property
    def gap(self) -> str:
        """How much is missing, as the end of a reason."""
        share = 1 - self.present / max(self.rows, 1)
        if not share:
            return ""
        return f", {100 * share:.1f} % missing" if share >= 0.0005 else ", very few missing"

    @property
    def missing(self) -> bool:
        return self.present < self.rows

    @property
    def whole(self) -> bool:
        """Whether these are numbers, and all of them whole."""
        return self.dtype.storage == "number" and bool((self.uniques == np.round(self.uniques)).all())

    def column(self, kind: Kind, reason: str, coder: Coder) -> Column:
        return Column(self.name, kind, reason, self.dtype, coder)


def check_types(types: Mapping[str, str], columns: list[str]) -> None:
    """Raise ValueError for a column or a type that does not exist, listing those that do."""
    for name, kind in types.items():
        if name not in columns:
            raise unknown("column", name, columns)
        if kind.partition(":")[0] not in ASKABLE or (":" in kind and not kind.startswith("date:%")):
            raise unknown(f"type of column {name}", kind, [*ASKABLE, "date:%d/%m/%Y (its format)"])


def fit_column(series: pd.Series, asked: str | None = None) -> Column:
    """Understand one column of the training rows. asked: what a person says it is (`ASKABLE`).

    Raises DataError if it cannot be that.
    """
    seen = _see(series, asked)
    if not len(seen.uniques):
        return seen.column("constant", "every value is missing", Constant(None))
    if asked:
        return _as_asked(seen, series, asked.partition(":")[0])
    if len(seen.uniques) == 1 and not seen.missing:
        value = written(seen.uniques, seen.dtype)[0]
        return seen.column("constant", f"every value is {value}", Constant(seen.uniques.tolist()[0]))
    if seen.dtype.storage != "text" or seen.dtype.categories is not None:
        return _as_identifier(seen) or _as_modelled(seen, series)
    written_so = infer_dtype(series, skipna=True) == "string"  # not times of day, say, that are held as objects
    near = nearly(seen.name, seen.uniques, seen.counts) if written_so else None
    named = None if near is not None and near.dates else _as_identifier(seen)
    column = named or _as_free_text(seen) or _as_modelled(seen, series)
    if near is None:
        return column
    return Column(column.name, column.kind, f"{column.reason}; {near.said}", column.dtype, column.coder)


def _as_modelled(seen: _Seen, series: pd.Series) -> Column:
    """The column as levels or numbers."""
    of_levels = seen.dtype.storage in ("boolean", "text") or seen.dtype.categories is not None
    if of_levels or _few(len(seen.uniques), seen.present):
        return _named_warily(_as_levels(seen), seen)
    return _named_warily(_as_numbers(seen, series), seen)


def _named_warily(column: Column, seen: _Seen) -> Column:
    """The column; where it is named or written like an identifier it says that its values come back, and what helps."""
    distinct = len(seen.uniques)
    named = NAMED_LIKE_IDENTIFIER.search(seen.name) and column.kind != "number" and distinct >= FEW_NUMBERS
    own = seen.dtype.storage == "text" and distinct > 2 and distinct > UNIQUE_SHARE * seen.present
    if not (named or own):
        return column
    like = "named like an identifier" if named else "nearly every row has its own"
    said = f"{like}, and its values come back: --type {seen.name}=identifier issues others"
    if seen.present > SHARED * distinct:
        said += f"; rows share them: --group {seen.name} holds out all rows of one or none"
    return Column(column.name, column.kind, f"{column.reason}; {said}", column.dtype, column.coder)


def fit_condition(series: pd.Series, asked: str | None = None) -> Column:
    """Understand a column that is given: always levels or numbers. Raises DataError if it cannot be."""
    column = fit_column(series, asked)
    coder = column.coder
    if isinstance(coder, Identifier) or (isinstance(coder, Constant) and coder.value is None):
        raise DataError(f"column {column.name!r} cannot be a condition: {column.reason}")
    if isinstance(coder, Numbers):
        numbers = plain(series, column.dtype)
        coder = Numbers(Quantile.fit_points(numbers[~np.isnan(numbers)]))
    elif isinstance(coder, Constant):
        coder = Levels((coder.value,))  # pyright: ignore[reportArgumentType]
    return Column(column.name, column.kind, column.reason, column.dtype, coder)


def _see(series: pd.Series, asked: str | None) -> _Seen:
    dtype = understand(series, asked)
    codes, uniques = tally(series, dtype)
    counts = np.bincount(codes[codes >= 0], minlength=len(uniques))
    return _Seen(str(series.name), dtype, codes, uniques, counts)


def _as_asked(seen: _Seen, series: pd.Series, kind: str) -> Column:
    """The column as a person says it is."""
    numeric = seen.dtype.storage in ("number", "date") and seen.dtype.categories is None
    if kind == "date" and seen.dtype.storage != "date":
        raise DataError(f"column {seen.name!r} cannot be a date: it holds {seen.dtype.name}")
    if kind == "boolean" and len(seen.uniques) > 2:
        raise DataError(f"column {seen.name!r} cannot be a boolean: it has {len(seen.uniques):,} distinct values")
    if kind in ("number", "integer") and (not numeric or seen.dtype.storage == "date"):
        raise DataError(f"column {seen.name!r} cannot be {kind}: it holds {seen.dtype.name}, {_held(seen)}")
    if kind == "integer" and not seen.whole:
        odd = seen.uniques[np.argmax(seen.uniques != np.round(seen.uniques))]
        raise DataError(f"column {seen.name!r} cannot be an integer: it holds {odd:.7g}; it can be a number")
    if kind == "text":
        return seen.column("text", "left out, as asked; comes back as missing", Constant(None))
    if kind == "identifier":
        coder = _issue(seen) or named_identifier(seen.name, list(map(str, seen.uniques)))
        return seen.column("identifier", f"as asked; {_issued(coder)}", coder)
    if kind in ("category", "boolean") or len(seen.uniques) == 1:
        return _asked(_as_levels(seen), kind)
    return _asked(_as_numbers(seen, series), kind)


def _asked(column: Column, kind: str) -> Column:
    return Column(column.name, kind, f"as asked; {column.reason}", column.dtype, column.coder)  # pyright: ignore[reportArgumentType]


def _held(seen: _Seen) -> str:
    return f"such as {written(seen.uniques[:1], seen.dtype)[0]!r}"


# -- what is left out ------------------------------------------------------------------------------------------


def _as_identifier(seen: _Seen) -> Column | None:
    distinct = len(seen.uniques)
    if seen.dtype.categories is not None:
        return None
    if seen.dtype.storage == "text":
        if seen.present <= FEW_ROWS or distinct <= UNIQUE_SHARE * seen.present:
            return None
        coder = text_identifier(seen.uniques.tolist())
        if coder is None and np.mean([" " in text for text in seen.uniques]) > WORDY_SHARE:
            return None
        share = f"{100 * distinct / seen.present:.0f} % of its texts are unique"
        coder = coder or named_identifier(seen.name, seen.uniques.tolist())
        return seen.column("identifier", f"{share}; {_issued(coder)}", coder)
    if not seen.whole or distinct < seen.present or distinct < 3:
        return None
    counted = not seen.missing and _running(seen)
    if not counted and not NAMED_LIKE_IDENTIFIER.search(seen.name):
        return None
    coder = number_identifier(seen.uniques)
    why = "whole numbers that count the rows" if counted else "unique whole numbers and a name like an identifier's"
    return seen.column("identifier", f"{why}; {_issued(coder)}", coder)


def _running(seen: _Seen) -> bool:
    """Whether unique whole numbers go up from row to row without large gaps."""
    reach = seen.uniques[-1] - seen.uniques[0] + 1
    return seen.rows > FEW_ROWS and reach <= RUNNING * seen.rows and bool((np.diff(seen.codes) > 0).all())


def _issue(seen: _Seen) -> Identifier | None:
    if seen.whole:
        return number_identifier(seen.uniques)
    return text_identifier(seen.uniques.tolist()) if seen.dtype.storage == "text" else None


def _issued(coder: Identifier) -> str:
    return f"left out and issued anew, from {coder.example} on"


def _as_free_text(seen: _Seen) -> Column | None:
    if seen.dtype.storage != "text" or seen.dtype.categories is not None or seen.rows <= FEW_ROWS:
        return None
    once = int((seen.counts == 1).sum())
    if len(seen.uniques) <= SAFE_LEVELS or once <= ONCE_SHARE * seen.present:
        return None
    share = f"{100 * once / seen.present:.0f} % of its texts occur only once"
    return seen.column("text", f"{share}; left out, and comes back as missing", Constant(None))


# -- levels ----------------------------------------------------------------------------------------------------


def _few(distinct: int, rows: int) -> bool:
    return distinct <= 2 or (distinct < FEW_NUMBERS and rows >= 4 * distinct)


def _as_levels(seen: _Seen) -> Column:
    if seen.dtype.storage == "text":
        return _as_words(seen)
    distinct = len(seen.uniques)
    number = f"{distinct:,} distinct values ({_listed(seen)})" if distinct > 1 else f"nothing but {_listed(seen)}"
    coder = _digits_if_many(Levels(tuple(seen.uniques.tolist()), int(seen.counts.argmax()), seen.missing))
    if seen.dtype.storage == "date":
        reason = f"{number}, {_spelling(seen.dtype)}taken as levels{seen.gap}{_other_way_round(seen)}"
        return seen.column("date", reason, coder)
    if seen.dtype.storage == "boolean":
        return seen.column("boolean", f"true or false{seen.gap}", coder)
    if seen.uniques.tolist() == [0, 1]:
        return seen.column("boolean", f"nothing but 0 and 1{seen.gap}", coder)
    few = f"{number}, so few that they are taken as levels" if distinct > 2 else number
    return seen.column("category", f"{few}{seen.gap}", coder)


def _as_words(seen: _Seen) -> Column:
    order = np.argsort(-seen.counts, kind="stable")
    kept = len(order)
    if len(order) > SAFE_LEVELS:
        usual = int((seen.counts >= RARE).sum())
        kept = min(max(usual, SAFE_LEVELS), MOST_LEVELS, len(order) - 1)
    ranked, rare = tuple(seen.uniques[order].tolist()), order[kept : kept + MOST_RARE]
    merged = tuple(seen.uniques[rare].tolist()), tuple(seen.counts[rare].tolist())
    coder = _digits_if_many(Levels(ranked[:kept], 0, seen.missing, *merged))
    if {text.lower() for text in ranked} in TRUTHS:
        return seen.column("boolean", f"nothing but {ranked[0]} and {ranked[1]}{seen.gap}", coder)
    together = f", the rarest {len(order) - kept:,} taken together" if len(rare) else ""
    coded = f", written as {coder.count} digits" if isinstance(coder, Digits) else ""
    number = f"{len(order):,} level{'s' * (len(order) != 1)} of text"
    return seen.column("category", f"{number}{together}{coded}{seen.gap}", coder)


def _digits_if_many(levels: Levels) -> Levels | Digits:
    return levels if len(levels.slot_values) <= MOST_ONE_HOT + 2 else Digits(levels)


def _listed(seen: _Seen) -> str:
    """The first and the last of a few values, or all of them if there are at most four."""
    if len(seen.uniques) <= 4:
        return ", ".join(written(seen.uniques, seen.dtype))
    first, last = written(seen.uniques[[0, -1]], seen.dtype)
    return f"{first} to {last}"


# -- numbers and dates -----------------------------------------------------------------------------------------


def _as_numbers(seen: _Seen, series: pd.Series) -> Column:
    inflated = _inflated(seen)
    values = np.append(seen.uniques, np.nan)[seen.codes]
    rest = values[~np.isnan(values) & ~np.isin(values, inflated)]
    quantile = Quantile.fit(rest, seen_only=_only_seen(seen))
    coder = Numbers(quantile, tuple(inflated.tolist()), seen.missing)
    kind: Kind = "date" if seen.dtype.storage == "date" else "integer" if seen.whole else "number"
    low, high = written(seen.uniques[[0, -1]], seen.dtype)
    decimals = quantile.decimals or 0
    precision = f", {decimals} decimal{'s' * (decimals > 1)}" if kind == "number" and decimals > 0 else ""
    reason = f"{len(seen.uniques):,} distinct values from {low} to {high}"
    reason += f"{', ' + _spelling(seen.dtype).removesuffix(', ') if kind == 'date' else precision}{seen.gap}"
    if len(inflated):
        reason += f"; set apart, because frequent: {', '.join(written(inflated, seen.dtype))}"
    reason += _other_way_round(seen) if kind == "date" else ""
    return seen.column(kind, reason, coder)


def _only_seen(seen: _Seen) -> bool:
    """Whether days that were never seen make no sense: all are, say, the first of a month."""
    if seen.dtype.storage != "date" or seen.dtype.unit != dates.DAY:
        return False
    days = pd.Series((seen.uniques * seen.dtype.unit).astype("datetime64[s]"))
    return bool((days.dt.day == days.dt.day[0]).all() or (days.dt.is_month_end).all())


def _spelling(dtype: DType) -> str:
    """How dates are written, as a part of a reason."""
    if dtype.date_format in (None, DATE_OBJECTS):
        zone = dtype.name.partition(",")[2].strip(" ]")
        return f"in {zone} time, " if zone else ""
    return f"written {dates.spelled(dtype.date_format)}, "


def _other_way_round(seen: _Seen) -> str:
    """That days may be months, as the end of a reason, where they come first and no text tells which is which."""
    date_format = seen.dtype.date_format or ""
    if not MONTH_OR_DAY.match(date_format):
        return ""
    days = pd.Series(pd.to_datetime(seen.uniques * seen.dtype.unit, unit="s")).dt.day
    if (days > 12).any():
        return ""
    return f"; no day is above 12, so days may be months: --type {seen.name}=date:{dates.swapped(date_format)} then"


def _inflated(seen: _Seen) -> np.ndarray:
    """The values, at most three, that are set apart because of how frequent they are."""
    uniques, counts = seen.uniques, seen.counts
    if len(uniques) <= FEW_NUMBERS:
        return np.array([])
    least = max(INFLATED_SHARE * seen.rows, LEAST_INFLATED - 1)
    frequent = [i for i in np.argsort(-counts, kind="stable")[:MOST_INFLATED] if counts[i] > least]
    around = [np.delete(np.arange(max(i - 2, 0), min(i + 3, len(counts))), min(i, 2)) for i in frequent]
    return uniques[
        [i for i, near in zip(frequent, around, strict=True) if counts[i] > STANDS_OUT * counts[near].mean()]
    ]
