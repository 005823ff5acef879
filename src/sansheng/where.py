"""What rows are asked for, as a person types it: "income=>50K", "age>=60", "state in CA,NY", on any column.

The one constraint: a text is read against the names and the levels of the columns, and is never executed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sansheng.codecs.base import Codec
from sansheng.codecs.coders import Constant, Digits, Identifier, Levels, Numbers
from sansheng.codecs.columns import Column
from sansheng.codecs.dates import iso_seconds
from sansheng.codecs.dtypes import plain
from sansheng.codecs.labels import means
from sansheng.codecs.table import TableCodec
from sansheng.codecs.table_file import series_of
from sansheng.errors import unknown
from sansheng.within import Allowed, Spelled, Within

Test = Callable[[np.ndarray], np.ndarray]
"""Plain values of a column, ``(N,)`` float64 with NaN or objects with None -> which are meant, ``(N,)`` bool."""
Where = Mapping[str, Any] | Sequence[str]
"""Values by name, or texts such as "age>=60"."""
OPERATORS = ("not in ", "in ", ">=", "<=", "!=", "==", "=", ">", "<")
COMPARISONS: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    ">=": np.greater_equal, "<=": np.less_equal, ">": np.greater, "<": np.less,
}  # fmt: skip
MISSING = "missing"
EXAMPLES = '"income=>50K", "age>=60", "state in CA,NY"'
BISECTIONS = 60
GRID = 4001
"""Places in a number's range at which it is looked for where intervals of what is asked for begin and end."""


@dataclass(frozen=True, eq=False)
class Clause:
    """One thing asked of one column. text: as it was typed. equal: the value, where it is a single one."""

    column: Column
    text: str
    test: Test
    equal: Any = None

    def holds(self, frame: pd.DataFrame) -> np.ndarray:
        """Which rows of decoded records are as asked."""
        return self.test(plain(series_of(frame, self.column.name), self.column.dtype))


def as_mapping(where: Where) -> Mapping[str, Any]:
    """Texts that are ``NAME=VALUE`` as values by name. Raises ValueError for others, or a name that comes twice."""
    if isinstance(where, Mapping):
        return where
    pairs: dict[str, str] = {}
    for text in where:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise ValueError(f"--where needs NAME=VALUE, not {text!r}")
        if name[-1] in "<>!":
            raise ValueError(f"--where {text!r}: comparisons are for tables; a label is given by its value, NAME=VALUE")
        if name in pairs:
            raise ValueError(f"--where {name} is given twice: {pairs[name]!r} and {value!r}")
        pairs[name] = value
    return pairs


def steering_clauses(where: Where, codec: Codec) -> tuple[Clause, ...]:
    """What is asked of a table's rows, unless it is a value of each condition and no more. Raises as `read_clauses`."""
    if not isinstance(codec, TableCodec) or not where:
        return ()
    clauses = read_clauses(where, codec)
    return () if isinstance(where, Mapping) and set(where) == set(codec.condition_names) else clauses


def read_clauses(where: Where, codec: TableCodec) -> tuple[Clause, ...]:
    """Texts, or values by column, as clauses. Raises ValueError saying what there is for one that has no meaning."""
    if isinstance(where, Mapping):
        columns = {column.name: column for column in codec.columns}
        for name in where:
            if name not in columns:
                raise unknown("column", name, columns)
        return tuple(_equal(columns[name], value, f"{name}={value}") for name, value in where.items())
    return tuple(_read(text, codec.columns) for text in where)


def _read(text: str, columns: Sequence[Column]) -> Clause:
    """The longest column name that begins the text and leaves something with a meaning."""
    reasons: list[ValueError] = []
    for column in sorted(columns, key=lambda column: -len(column.name)):
        rest = text.strip()
        if not rest.startswith(column.name):
            continue
        rest = rest[len(column.name) :].strip()
        for operator in OPERATORS:
            if rest.lower().startswith(operator):
                try:
                    return _clause(column, operator.strip(), rest[len(operator) :].strip(), text)
                except ValueError as error:
                    reasons.append(error)
    if reasons:
        raise reasons[-1] if len(reasons) == 1 else reasons[0]
    name = re.split(r"\s*(?:[<>=!]|\s(?:not\s+)?in\s)", text.strip())[0]
    if name in {column.name for column in columns}:
        raise ValueError(f"--where is such as {EXAMPLES}, not {text!r}")
    raise unknown("column", name, [column.name for column in columns])


def _clause(column: Column, operator: str, value: str, text: str) -> Clause:
    if isinstance(column.coder, Identifier):
        raise ValueError(f"{column.name} is an identifier, issued anew, so nothing can be asked of it")
    if operator in COMPARISONS:
        return _compared(column, operator, value, text)
    if operator in ("=", "=="):
        return _equal(column, value, text)
    listed = value.strip("()[]{}").split(",") if "in" in operator else [value]
    meant = [_equal(column, one.strip(), text).test for one in listed]
    if operator == "in":
        return Clause(column, text, lambda values: np.any([test(values) for test in meant], axis=0))
    return Clause(column, text, lambda values: ~pd.isna(values) & ~np.any([test(values) for test in meant], axis=0))


def _compared(column: Column, operator: str, value: str, text: str) -> Clause:
    if column.dtype.storage == "text":
        raise ValueError(f"{column.name} is text, which {operator!r} has no meaning for; say {column.name}=LEVEL")
    end, compare = _number(column, value), COMPARISONS[operator]
    return Clause(column, text, lambda values: ~np.isnan(values) & compare(values, end))


def _equal(column: Column, value: Any, text: str) -> Clause:
    if isinstance(column.coder, Identifier):
        raise ValueError(f"{column.name} is an identifier, issued anew, so nothing can be asked of it")
    if str(value) == MISSING and getattr(column.coder, "missing", False):
        return Clause(column, text, pd.isna, MISSING)
    if column.dtype.storage == "text":
        level = _level(column, value)
        return Clause(column, text, lambda values: values == level, level)
    number = column.parse(value) if isinstance(column.coder, Levels | Digits) else _number(column, value)
    return Clause(column, text, lambda values: values == number, number)


def _level(column: Column, value: Any) -> str:
    """A level of text, one of the rare ones too."""
    known = [*getattr(column.coder, "levels", ()), *getattr(column.coder, "rare", ())]
    if isinstance(column.coder, Constant):
        known = [column.coder.value]
    meant = next((level for level in known if means(level, value)), None)
    if meant is None:
        raise unknown(f"level of {column.name}", str(value), [str(level) for level in known])
    return str(meant)


def _number(column: Column, value: Any) -> float:
    """A number, or a date as one. Raises ValueError for what is neither."""
    try:
        if column.dtype.storage == "date":
            number = float(plain(pd.Series([value], name=column.name), column.dtype)[0])
        elif column.dtype.storage == "boolean" and str(value).lower() in ("true", "false"):
            number = float(str(value).lower() == "true")
        else:
            number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if math.isnan(number) and column.dtype.storage == "date":
        number = iso_seconds(str(value)) / column.dtype.unit
    if math.isnan(number):
        what = "dates as the table writes them or such as 2024-01-31" if column.dtype.storage == "date" else "numbers"
        raise ValueError(f"{column.name} ({column.kind}) takes {what}, not {str(value)!r}")
    return number


# -- of a model ----------------------------------------------------------------------------------------------


def confine(clauses: Iterable[Clause], codec: TableCodec) -> Within | None:
    """What clauses on modelled columns mean in the codec's space; None if there are none.

    Raises ValueError where no row can be as asked.
    """
    tests: dict[str, list[Clause]] = {}
    for clause in clauses:
        tests.setdefault(clause.column.name, []).append(clause)
    parts, first = [], 0
    for column in codec.columns:
        if column.name in codec.condition_names:
            continue
        if column.name in tests:
            some = tests[column.name]
            part = allow(column, first, lambda values, some=some: np.all([c.test(values) for c in some], axis=0))
            if part is None:
                raise _hopeless(some)
            parts += [part] if column.width else []
        first += column.width
    return Within(tuple(parts)) if parts else None


def _hopeless(clauses: Sequence[Clause]) -> ValueError:
    column = clauses[0].column
    asked = " and ".join(clause.text for clause in clauses)
    found = column.reason if isinstance(column.coder, Numbers) else f"it has {', '.join(column.valid()[:20])}"
    return ValueError(f"no value of {column.name} is such that {asked}; {found}")


def allow(column: Column, first: int, test: Test) -> Allowed | Spelled | None:
    """What of the channels of a column, from `first` on, decodes to values with `test`; None if nothing does."""
    coder = column.coder
    if isinstance(coder, Constant):
        return Allowed() if test(coder.decode(np.zeros((1, 0)), np.random.default_rng(0)))[0] else None
    if isinstance(coder, Levels):
        levels = _allowed_levels(coder, test)
        return Allowed(symbols=_channels(first, len(levels)), levels=levels) if any(levels) else None
    if isinstance(coder, Digits):
        spelled = np.array(_allowed_levels(coder.named, test))[coder.of_numbers()]
        return Spelled(first, coder.base, tuple(spelled.tolist())) if spelled.any() else None
    if not isinstance(coder, Numbers):
        raise ValueError(f"nothing can be asked of {column.name} but with --reject")
    intervals, special = _intervals(coder, test), ([np.nan] if coder.missing else []) + list(coder.inflated)
    if not special:
        return Allowed(first, intervals) if intervals else None
    levels = (bool(intervals), *(bool(test(np.array([value]))[0]) for value in special))
    return Allowed(first, intervals, _channels(first + 1, len(levels)), levels) if any(levels) else None


def _channels(first: int, count: int) -> tuple[int, ...]:
    return tuple(range(first, first + count))


def _allowed_levels(coder: Levels, test: Test) -> tuple[bool, ...]:
    """Of each level of the slot; "other" is allowed if any rare one is."""
    dtype = np.float64 if coder.numeric else object
    allowed = test(np.array(coder.levels, dtype=dtype)).tolist()
    other = [bool(test(np.array(coder.rare, dtype=object)).any())] if coder.rare else []
    gone = [bool(test(np.array([np.nan if coder.numeric else None], dtype=dtype))[0])] if coder.missing else []
    return (*map(bool, allowed), *other, *gone)


def _intervals(coder: Numbers, test: Test) -> tuple[tuple[float, float], ...]:
    """Where in the range of z the test holds of what z decodes to, as float32 holds the ends."""
    quantile = coder.quantile
    edges = np.linspace(-quantile.edge, quantile.edge, GRID).astype(np.float32)
    points = quantile.encode(quantile.values, None).astype(np.float32) if len(quantile.values) < 10 * GRID else edges
    z = np.unique(np.concatenate([edges, points])).clip(-quantile.edge, quantile.edge)

    def inside(places: np.ndarray) -> np.ndarray:
        return test(quantile.decode(places.astype(np.float64)))

    held = np.concatenate([[False], inside(z), [False]])
    begins, ends = np.flatnonzero(held[1:] & ~held[:-1]), np.flatnonzero(held[:-1] & ~held[1:]) - 1
    far = 2.0 * quantile.edge
    return tuple(
        (
            -far if b == 0 else _border(inside, z[b], z[b - 1]),
            far if e == len(z) - 1 else _border(inside, z[e], z[e + 1]),
        )
        for b, e in zip(begins.tolist(), ends.tolist(), strict=True)
    )


def _border(inside: Test, held: np.float32, failed: np.float32) -> float:
    """The last float32 between a place where a test holds and one where it does not, at which it holds."""
    for _ in range(BISECTIONS):
        middle = np.float32((held + failed) / 2)
        if middle in (held, failed):
            break
        held, failed = (middle, failed) if inside(np.array([middle]))[0] else (held, middle)
    return float(held)
