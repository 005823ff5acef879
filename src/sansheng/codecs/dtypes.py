"""What pandas holds in a column against plain values: float64 with NaN, or strings with None.

Truth values, dates and numbers are float64; all else is text. The one constraint: `restore` gives back the dtype,
and the spelling of dates, that `understand` saw.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from pandas.api import types

from sansheng.codecs import dates
from sansheng.codecs.dates import COMPACT, DAY
from sansheng.codecs.numerals import EXACT
from sansheng.errors import DataError

Storage = Literal["number", "boolean", "date", "text"]
DATE_OBJECTS = "datetime.date"
"""The date format of a column of Python dates."""


@dataclass(frozen=True)
class DType:
    """How a column is held. `name` is pandas' own; `date_format` is set for dates held as text or Python dates.

    unit: seconds in one step of a date's number: 86,400 if no date has a time of day, otherwise 1.
    categories: of a pandas categorical, whose `name` is then that of its categories.
    """

    name: str
    storage: Storage
    date_format: str | None = None
    unit: int = 1
    categories: tuple[str, ...] | tuple[float, ...] | None = None
    ordered: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(data: dict[str, Any]) -> DType:
        categories = data["categories"]
        return DType(**{**data, "categories": None if categories is None else tuple(categories)})


def understand(series: pd.Series, asked: str | None = None) -> DType:
    """The DType of a column; `asked` is the type a person wants it to be, such as "category" or "date:%d/%m/%Y".

    Raises DataError if it holds what no table codec can carry (durations, complex...) or cannot be of that type.
    """
    dtype = series.dtype
    what, _, date_format = (asked or "").partition(":")
    if isinstance(dtype, pd.CategoricalDtype):
        return _understand_categorical(series, dtype)
    if types.is_bool_dtype(dtype):
        return DType(str(dtype), "boolean")
    if types.is_datetime64_any_dtype(dtype):
        return DType(str(dtype), "date", None, dates.unit_of(dates.seconds_of(series)))
    if types.is_numeric_dtype(dtype) and not types.is_complex_dtype(dtype):
        return _understand_numbers(series, what, date_format)
    if types.is_object_dtype(dtype) or types.is_string_dtype(dtype):
        return _understand_objects(series, what, date_format)
    raise DataError(f"column {series.name!r} holds {dtype}: convert it to numbers, text or dates")


def plain(series: pd.Series, dtype: DType) -> np.ndarray:
    """Plain values ``(N,)`` of a column held as `dtype`: float64 with NaN, or objects with None.

    Raises DataError for an infinite number, or for a column that cannot be read as `dtype`.
    """
    if isinstance(series.dtype, pd.CategoricalDtype):
        series = series.astype(object)
    if dtype.storage == "text":
        _check_text(series, dtype)
        return _strings(series)
    try:
        if dtype.storage == "date":
            return _date_numbers(series, dtype)
        if types.is_datetime64_any_dtype(series.dtype) and series.notna().any():
            raise TypeError("dates are no numbers")
        numbers = series.to_numpy(object, na_value=np.nan) if types.is_object_dtype(series.dtype) else series
        numbers = pd.Series(numbers).to_numpy(np.float64, na_value=np.nan)
    except DataError:
        raise
    except OverflowError:
        raise DataError(f"column {series.name!r} holds numbers too large for a float; hold them as text") from None
    except (TypeError, ValueError, AttributeError):
        held = f"holds {series.dtype}{_odd(series)}"
        raise DataError(f"column {series.name!r} should hold {dtype.name} but {held}") from None
    check_finite(numbers, str(series.name))
    return numbers


def moments(series: pd.Series, dtype: DType) -> pd.Series:
    """A column of dates, however held, as datetime64[s] in UTC, with its index and NaT for gaps."""
    seconds = plain(series, dtype) * dtype.unit
    known, found = np.isfinite(seconds), np.full(len(seconds), "NaT", dtype="datetime64[s]")
    found[known] = seconds[known].astype(np.int64).astype("datetime64[s]")
    return pd.Series(found, index=series.index, name=series.name)


def _odd(series: pd.Series) -> str:
    """The first value that is no number, as the end of an error; the first of all where all are."""
    present = series.dropna().tolist()
    numbers = pd.Series(pd.to_numeric(pd.Series(present, dtype=object), errors="coerce"))
    odd = [value for value, none in zip(present, numbers.isna(), strict=True) if none]
    return f", among it {(odd or present)[0]!r}" if present else ""


def _check_text(series: pd.Series, dtype: DType) -> None:
    """Raise DataError for numbers or dates where there was text; a column that is all missing may be held as any."""
    other = types.is_numeric_dtype(series.dtype) or types.is_datetime64_any_dtype(series.dtype)
    if other and series.notna().any():
        some = series.dropna().iloc[0]
        raise DataError(f"column {series.name!r} should hold text but holds {series.dtype}, among it {some!r}")


def check_finite(numbers: np.ndarray, column: str) -> None:
    """Raise DataError, naming the row (the first is 1), if a number is infinite."""
    infinite = np.flatnonzero(np.isinf(numbers))
    if len(infinite):
        where = f"row {infinite[0] + 1}, column {column!r}"
        raise DataError(f"{where}: {numbers[infinite[0]]} is not a finite number; remove it or leave the cell empty")


def tally(series: pd.Series, dtype: DType) -> tuple[np.ndarray, np.ndarray]:
    """(codes ``(N,)``, uniques): the plain values of a column are ``uniques[codes]``, and −1 stands for missing.

    `uniques` increase. Faster than `plain` where there are few. Raises as `plain` does.
    """
    first, found = pd.factorize(series)
    try:
        values = plain(pd.Series(found, dtype=series.dtype, name=series.name), dtype)
    except DataError:
        plain(series, dtype)  # names the row
        raise
    gone = pd.isna(values)
    uniques, place = np.unique(values[~gone], return_inverse=True)
    places = np.full(len(values) + 1, -1)
    places[:-1][~gone] = place
    return places[first], uniques


def restore(values: np.ndarray, dtype: DType) -> pd.Series:
    """Plain values ``(N,)`` as a column held as `dtype`."""
    values = values.astype(object if dtype.storage == "text" else np.float64)
    if dtype.categories is not None:
        return _restore_categorical(values, dtype)
    if dtype.storage == "date":
        return _restore_dates(values, dtype)
    if dtype.storage == "boolean":
        return _restore_booleans(values, dtype.name)
    if dtype.storage == "number":
        return _restore_numbers(values, dtype.name)
    return pd.Series(np.where(pd.isna(values), np.nan, values), dtype=object).astype(dtype.name)


# -- numbers, truth values and text ------------------------------------------------------------------------


def _understand_categorical(series: pd.Series, dtype: pd.CategoricalDtype) -> DType:
    inner = pd.Series(dtype.categories, name=series.name)
    if types.is_datetime64_any_dtype(inner.dtype):
        raise DataError(f"column {series.name!r} is a categorical of dates: convert it to dates")
    numeric = types.is_numeric_dtype(inner.dtype)
    name = str(inner.dtype) if numeric else "object" if types.is_object_dtype(inner.dtype) else str(inner.dtype)
    storage: Storage = "boolean" if types.is_bool_dtype(inner.dtype) else "number" if numeric else "text"
    held = DType(name, storage)
    return DType(name, storage, None, 1, tuple(plain(inner, held).tolist()), bool(dtype.ordered))


def _restore_categorical(values: np.ndarray, dtype: DType) -> pd.Series:
    levels = np.array(dtype.categories, dtype=values.dtype)
    categories = pd.Index(restore(levels, DType(dtype.name, dtype.storage)))
    codes = pd.Index(levels).get_indexer(pd.Index(values))  # -1, which is missing, where there is no such level
    return pd.Series(pd.Categorical.from_codes(codes.tolist(), categories, ordered=dtype.ordered))


def _understand_numbers(series: pd.Series, asked: str, date_format: str) -> DType:
    """Numbers, unless they are whole and all are days written YYYYMMDD."""
    if asked == "date" or (not asked and _days(series)):
        date_format = date_format or COMPACT
        texts = _digits(pd.Series(series.dropna().unique()))
        dates.check_format(texts, date_format, str(series.name))
        return _written_date(str(series.dtype), texts, date_format)
    return DType(str(series.dtype), "number")


def _days(series: pd.Series) -> bool:
    """Whether all are whole numbers that are days between 1900 and 2100."""
    uniques = series.dropna().unique()
    numbers = np.asarray(uniques, dtype=np.float64)
    if len(numbers) < 2 or not ((numbers >= 19_000_101) & (numbers < 21_010_000) & (numbers % 1 == 0)).all():
        return False
    return dates.is_written(_digits(pd.Series(uniques)), COMPACT)


def _understand_objects(series: pd.Series, asked: str, date_format: str) -> DType:
    name = str(series.dtype)
    inferred = "string" if isinstance(series.dtype, pd.StringDtype) else types.infer_dtype(series, skipna=True)
    if asked in ("category", "identifier", "text") and inferred == "string":
        return DType(name, "text")
    if types.is_object_dtype(series.dtype):
        _check_flat(series)
    if inferred == "integer" and beyond(series):
        return DType(name, "text")
    if inferred == "boolean":
        return DType(name, "boolean")
    if inferred in ("integer", "floating", "mixed-integer-float", "decimal"):
        return DType(name, "number")
    if inferred == "date":
        return DType(name, "date", DATE_OBJECTS, DAY)
    if inferred == "string" and (found := _date_written(series, asked, date_format)):
        return found
    return DType(name, "text")


def _check_flat(series: pd.Series) -> None:
    """Raise DataError for lists, arrays and the like in cells."""
    nested = next((v for v in series.tolist() if isinstance(v, list | tuple | dict | set | np.ndarray)), None)
    if nested is not None:
        held = f"holds a {type(nested).__name__} in a cell"
        raise DataError(f"column {series.name!r} {held}: flatten it into columns of their own, or drop it")


def beyond(series: pd.Series) -> bool:
    """Whether whole numbers are so large that not all can be told apart as floating-point numbers."""
    known = series.dropna()
    return bool(len(known)) and max(abs(int(known.min())), abs(int(known.max()))) > EXACT


def _date_written(series: pd.Series, asked: str, date_format: str) -> DType | None:
    """How texts that are dates are held; None if they are none. Raises DataError if they should be."""
    uniques = np.asarray(series.dropna().unique(), dtype=object)
    if asked == "date" and date_format:
        dates.check_format(uniques, date_format, str(series.name))
        return _written_date(str(series.dtype), uniques, date_format)
    found = dates.find_format(uniques) if asked in ("", "date") else None
    if asked == "date" and found is None:
        how = f"say how they are written, as in {series.name}=date:%d/%m/%Y"
        raise DataError(f"column {series.name!r} does not hold dates in one known form, such as {uniques[0]!r}; {how}")
    return None if found is None else _written_date(str(series.dtype), uniques, found)


def _written_date(name: str, texts: np.ndarray, date_format: str) -> DType:
    return DType(name, "date", date_format, dates.unit_of(dates.seconds_of(dates.parse(texts, date_format))))


def _digits(series: pd.Series) -> np.ndarray:
    """Whole numbers as texts ``(N,)``; None for missing."""
    return np.array([None if pd.isna(v) else str(int(v)) for v in series.tolist()], dtype=object)


def _strings(series: pd.Series) -> np.ndarray:
    values = series.to_numpy(object, na_value=None)
    return np.array([None if v is None or v is pd.NaT else v if type(v) is str else str(v) for v in values], object)


def _restore_booleans(values: np.ndarray, name: str) -> pd.Series:
    missing = np.isnan(values)
    if not missing.any():
        return pd.Series(values > 0.5).astype(name)
    return pd.Series(np.where(missing, np.nan, (values > 0.5).astype(object)), dtype=object).astype(name)


def _restore_numbers(values: np.ndarray, name: str) -> pd.Series:
    if not types.is_integer_dtype(pd.Series([], dtype=name)):
        return pd.Series(values).astype(name)
    if np.isnan(values).any():
        return pd.Series(np.rint(values)).astype("Int64").astype(name)
    whole = np.uint64 if name.lower().startswith("uint") else np.int64
    limit = np.nextafter(float(np.iinfo(whole).max), 0)
    return pd.Series(np.rint(values).clip(float(np.iinfo(whole).min), limit).astype(whole)).astype(name)


# -- dates -------------------------------------------------------------------------------------------------


def _date_numbers(series: pd.Series, dtype: DType) -> np.ndarray:
    if dtype.date_format is None or dtype.date_format == DATE_OBJECTS:
        if types.is_numeric_dtype(series.dtype) and series.notna().any():
            raise TypeError("numbers are no dates")
        return dates.seconds_of(pd.to_datetime(series)) / dtype.unit
    codes, uniques = pd.factorize(series.to_numpy(object, na_value=None))
    texts = _digits(pd.Series(uniques)) if _numeric(dtype) else np.asarray(uniques, dtype=object)
    dates.check_format(texts, dtype.date_format, str(series.name))
    seconds = dates.seconds_of(dates.parse(texts, dtype.date_format))
    return np.concatenate([seconds / dtype.unit, [np.nan]])[codes]


def _numeric(dtype: DType) -> bool:
    """Whether dates are held as numbers."""
    return dtype.name.lower().startswith(("int", "uint", "float"))


def _restore_dates(values: np.ndarray, dtype: DType) -> pd.Series:
    seconds, inverse = np.unique(values * dtype.unit, return_inverse=True)
    micros = np.where(np.isnan(seconds), 0, np.rint(seconds * 1e6)).astype(np.int64).astype("datetime64[us]")
    found = pd.Series(np.where(np.isnan(seconds), np.datetime64("NaT", "us"), micros))
    if dtype.date_format == DATE_OBJECTS:
        found = found.dt.date.astype(object)
    elif dtype.date_format is not None:
        found = pd.Series(dates.write(found, dtype.date_format), dtype=object)
        found = pd.Series(pd.to_numeric(found)) if _numeric(dtype) else found
    elif "," in dtype.name:
        found = found.dt.tz_localize("UTC")
    gap = pd.NaT if types.is_datetime64_any_dtype(found.dtype) else np.nan
    written = found.mask(np.isnan(seconds), gap).take(inverse)
    return written.reset_index(drop=True).astype(dtype.name)
