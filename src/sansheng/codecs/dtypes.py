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

from sansheng.errors import DataError

Storage = Literal["number", "boolean", "date", "text"]
DATE_FORMATS = (
    "%Y-%m-%d", "%Y/%m/%d", "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%m/%d/%y", "%d/%m/%y",
    "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S.%fZ", "%Y/%m/%d %H:%M:%S",
    "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%d.%m.%Y %H:%M",
    "%d %b %Y", "%d-%b-%Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y", "%b-%Y", "%b %Y", "%Y-%m",
)  # fmt: skip
DATE_OBJECTS = "datetime.date"
"""The date format of a column of Python dates."""
DAY = 86_400


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


def understand(series: pd.Series) -> DType:
    """The DType of a column. Raises DataError if it holds what no table codec can carry (durations, complex...)."""
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _understand_categorical(series, dtype)
    if types.is_bool_dtype(dtype):
        return DType(str(dtype), "boolean")
    if types.is_datetime64_any_dtype(dtype):
        return DType(str(dtype), "date", None, _unit(_seconds(series)))
    if types.is_numeric_dtype(dtype) and not types.is_complex_dtype(dtype):
        return DType(str(dtype), "number")
    if types.is_object_dtype(dtype) or types.is_string_dtype(dtype):
        return _understand_objects(series)
    raise DataError(f"column {series.name!r} holds {dtype}: convert it to numbers, text or dates")


def plain(series: pd.Series, dtype: DType) -> np.ndarray:
    """Plain values ``(N,)`` of a column held as `dtype`: float64 with NaN, or objects with None.

    Raises DataError for an infinite number, or for a column that cannot be read as `dtype`.
    """
    if isinstance(series.dtype, pd.CategoricalDtype):
        series = series.astype(object)
    if dtype.storage == "text":
        return _strings(series)
    try:
        if dtype.storage == "date":
            return _date_numbers(series, dtype)
        numbers = series.to_numpy(object, na_value=np.nan) if types.is_object_dtype(series.dtype) else series
        numbers = pd.Series(numbers).to_numpy(np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        held = f"holds {series.dtype}, among it {series.iloc[0]!r}" if len(series) else f"holds {series.dtype}"
        raise DataError(f"column {series.name!r} should hold {dtype.name} but {held}") from None
    check_finite(numbers, str(series.name))
    return numbers


def check_finite(numbers: np.ndarray, column: str) -> None:
    """Raise DataError, naming the row (the first is 1), if a number is infinite."""
    infinite = np.flatnonzero(np.isinf(numbers))
    if len(infinite):
        where = f"row {infinite[0] + 1}, column {column!r}"
        raise DataError(f"{where}: {numbers[infinite[0]]} is not a finite number; remove it or leave the cell empty")


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


def _understand_objects(series: pd.Series) -> DType:
    name = str(series.dtype)
    inferred = types.infer_dtype(series, skipna=True)
    if inferred == "boolean":
        return DType(name, "boolean")
    if inferred in ("integer", "floating", "mixed-integer-float", "decimal"):
        return DType(name, "number")
    if inferred == "date":
        return DType(name, "date", DATE_OBJECTS, DAY)
    if inferred == "string":
        uniques = np.asarray(series.dropna().unique(), dtype=object)
        date_format = find_date_format(uniques)
        if date_format:
            seconds = _seconds(pd.Series(pd.to_datetime(pd.Series(uniques), format=date_format)))
            return DType(name, "date", date_format, _unit(seconds))
    return DType(name, "text")


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


def find_date_format(texts: np.ndarray) -> str | None:
    """The first of DATE_FORMATS in which every text can be read and is written again just as it was."""
    if len(texts) == 0 or not any(c.isdigit() for c in texts[0]) or max(map(len, texts[:20])) > 40:
        return None
    return next((f for f in DATE_FORMATS if _is_written(texts[:20], f) and _is_written(texts, f)), None)


def _is_written(texts: np.ndarray, date_format: str) -> bool:
    dates = pd.to_datetime(pd.Series(texts, dtype=object), format=date_format, errors="coerce")
    return bool(dates.notna().all()) and bool((dates.dt.strftime(date_format).to_numpy(object) == texts).all())


def _seconds(dates: pd.Series) -> np.ndarray:
    """Dates as seconds since 1970 in UTC, float64 with NaN."""
    if getattr(dates.dtype, "tz", None) is not None:
        dates = dates.dt.tz_convert("UTC").dt.tz_localize(None)
    micros = dates.to_numpy("datetime64[us]")
    return np.where(np.isnat(micros), np.nan, micros.astype(np.int64) / 1e6)


def _unit(seconds: np.ndarray) -> int:
    return DAY if bool((seconds[~np.isnan(seconds)] % DAY == 0).all()) else 1


def _date_numbers(series: pd.Series, dtype: DType) -> np.ndarray:
    if dtype.date_format is None or dtype.date_format == DATE_OBJECTS:
        return _seconds(pd.to_datetime(series)) / dtype.unit
    codes, uniques = pd.factorize(series.to_numpy(object, na_value=None))
    dates = pd.to_datetime(pd.Series(uniques, dtype=object), format=dtype.date_format, errors="coerce")
    return np.concatenate([_seconds(dates) / dtype.unit, [np.nan]])[codes]


def _restore_dates(values: np.ndarray, dtype: DType) -> pd.Series:
    seconds, inverse = np.unique(values * dtype.unit, return_inverse=True)
    micros = np.where(np.isnan(seconds), 0, np.rint(seconds * 1e6)).astype(np.int64).astype("datetime64[us]")
    dates = pd.Series(np.where(np.isnan(seconds), np.datetime64("NaT"), micros))
    if dtype.date_format == DATE_OBJECTS:
        dates = dates.dt.date.astype(object)
    elif dtype.date_format is not None:
        dates = dates.dt.strftime(dtype.date_format).astype(object)
    elif "," in dtype.name:
        dates = dates.dt.tz_localize("UTC")
    gap = np.nan if dates.dtype == object else pd.NaT
    written = dates.mask(np.isnan(seconds), gap).take(inverse)
    return written.reset_index(drop=True).astype(dtype.name)
