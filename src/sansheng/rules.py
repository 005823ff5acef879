"""Rules that rows obey: "start <= end", "total = a + b + c", "0 <= age <= 120", "fixed: city, state".

The one constraint: a rule is parsed to a few kinds of node and evaluated; nothing a person types is executed.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sansheng.again import draw_until
from sansheng.codecs.base import Codec, Records
from sansheng.codecs.coders import Numbers
from sansheng.codecs.columns import Column
from sansheng.codecs.dates import DAY, iso_seconds, parse, seconds_of, spelled
from sansheng.codecs.dtypes import DATE_OBJECTS, plain, restore
from sansheng.codecs.table import TableCodec
from sansheng.codecs.table_file import series_of
from sansheng.errors import unknown
from sansheng.events import Event, Observer
from sansheng.where import Clause

FIXED = "fixed:"
EXAMPLES = '"start <= end", "total = a + b", "0 <= age <= 120", "fixed: city, state"'
ARITHMETIC: dict[type[ast.operator], Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
}  # fmt: skip
ORDER: dict[type[ast.cmpop], Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    ast.LtE: lambda a, b: (a <= b) | _same(a, b), ast.Lt: lambda a, b: (a < b) & ~_same(a, b),
    ast.GtE: lambda a, b: (a >= b) | _same(a, b), ast.Gt: lambda a, b: (a > b) & ~_same(a, b), ast.Eq: np.isclose,
}  # fmt: skip


def _same(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Whether numbers differ by rounding alone: 0.1 + 0.2 is 0.3."""
    return np.isclose(a, b, rtol=1e-12, atol=1e-12)


@dataclass(frozen=True, eq=False)
class Rule:
    """What a row obeys. holds: which rows of a frame do; where a value it speaks of is missing, they do.

    repair: rows made to obey it, where that can be done by a formula; otherwise rows are drawn anew. A gap stays one.
    """

    text: str
    holds: Callable[[pd.DataFrame], np.ndarray]
    repair: Callable[[pd.DataFrame], pd.DataFrame] | None = None


def read_rules(
    texts: Sequence[str], codec: Codec, combinations: Mapping[str, Sequence[Sequence[str]]]
) -> tuple[Rule, ...]:
    """Rules of a table; combinations: by text, those of its columns' values that are allowed.

    Raises ValueError for data that are no table, a column that there is not, or a text that is no rule.
    """
    if texts and not isinstance(codec, TableCodec):
        raise ValueError(f"--rule is for tables, and this is {codec.kind} data")
    columns = {column.name: column for column in getattr(codec, "columns", ())}
    return tuple(
        _fixed(text, columns, combinations.get(text, ())) if text.startswith(FIXED) else _formula(text, columns)
        for text in texts
    )


def seen_together(texts: Sequence[str], records: Records) -> dict[str, list[list[str]]]:
    """The combinations of values in training rows of every "fixed:" rule. Raises ValueError for an unknown column."""
    found: dict[str, list[list[str]]] = {}
    for text in texts:
        if text.startswith(FIXED):
            names = _names(text, list(records.values.columns))
            found[text] = records.values[names].dropna().astype(str).drop_duplicates().to_numpy().tolist()
    return found


def broken(rules: Sequence[Rule], records: Records) -> list[str]:
    """A remark for each rule that some rows break, with their count."""
    counts = [(rule.text, int((~rule.holds(records.values)).sum())) for rule in rules]
    return [
        f"{count:,} of {len(records):,} training rows break the rule {text!r}; samples will obey it all the same"
        for text, count in counts
        if count
    ]


def repaired(rules: Sequence[Rule], frame: pd.DataFrame) -> pd.DataFrame:
    """Rows made to obey every rule that a formula can restore, in whatever order these build on one another."""
    formulas = [rule.repair for rule in rules if rule.repair is not None]
    for _ in formulas:
        for repair in formulas:
            frame = repair(frame)
    return frame


def obey(
    rules: Sequence[Rule],
    codec: Codec,
    n: int,
    draw: Callable[[int, int], Records],
    seed: int,
    observe: Observer,
    asked: Sequence[Clause] = (),
) -> Records:
    """`n` rows that obey every rule: repaired where a formula does it, and drawn anew otherwise.

    draw: (how many, seed) -> rows, as `asked`, which they must still be once repaired. Raises ValueError where too few
    of those drawn do.
    """
    assert isinstance(codec, TableCodec)

    def keep(records: Records) -> Records:
        frame = repaired(rules, records.values)
        fits = np.all([test.holds(frame) for test in (*rules, *asked)], axis=0)
        return Records(frame.iloc[np.flatnonzero(fits)])

    try:
        records, share = draw_until(n, draw, keep, seed)
    except ValueError as error:
        texts = ", ".join(repr(test.text) for test in (*rules, *asked))
        raise ValueError(f"{error} obey {texts}; train longer, or without the rule") from None
    if share < 1:
        observe(Event("note", f"{share:.1%} of the rows drawn obey the rules; the others were drawn anew"))
    return Records(codec.reissue(records.values))


# -- kinds of rules ------------------------------------------------------------------------------------------


def _names(text: str, columns: Sequence[str]) -> list[str]:
    names = [name.strip() for name in text.removeprefix(FIXED).split(",")]
    for name in names:
        if name not in columns:
            raise unknown("column", name, columns)
    if len(names) < 2:
        raise ValueError(f"{text!r}: combinations are of two columns or more")
    return names


def _fixed(text: str, columns: Mapping[str, Column], combinations: Sequence[Sequence[str]]) -> Rule:
    names = _names(text, list(columns))
    allowed = pd.MultiIndex.from_tuples([tuple(c) for c in combinations] or [("",) * len(names)])

    def holds(frame: pd.DataFrame) -> np.ndarray:
        values = pd.DataFrame(frame[names])
        return values.isna().any(axis=1).to_numpy() | pd.MultiIndex.from_frame(values.astype(str)).isin(allowed)

    return Rule(text, holds)


def _formula(text: str, columns: Mapping[str, Column]) -> Rule:
    written, aliases = _with_aliases(text, columns)
    try:
        tree = ast.parse(re.sub(r"(?<![<>=!])=(?!=)", "==", written), mode="eval").body
    except SyntaxError:
        raise ValueError(f"{text!r} is no rule; rules are such as {EXAMPLES}") from None
    if not isinstance(tree, ast.Compare) or any(type(op) not in ORDER for op in tree.ops):
        raise ValueError(f"{text!r} compares nothing by <, <=, >, >= or =; rules are such as {EXAMPLES}")
    formats = _formats(tree, aliases)
    for term in (tree.left, *tree.comparators):
        _check(term, text, aliases, columns)
    terms = [_moments(term, text, formats) for term in (tree.left, *tree.comparators)]
    target = aliases.get(tree.left.id) if isinstance(tree.left, ast.Name) else None
    equation = len(tree.ops) == 1 and isinstance(tree.ops[0], ast.Eq) and target is not None
    decimals = _decimals(target) if equation and target is not None else None
    unit = target.dtype.unit / DAY if target is not None and target.dtype.storage == "date" else 1.0

    def holds(frame: pd.DataFrame) -> np.ndarray:
        values = [_evaluate(term, frame, aliases) for term in terms]
        gone = np.any([np.isnan(value) for value in values], axis=0)
        pairs = zip(tree.ops, values[:-1], values[1:], strict=True)
        if decimals is not None:
            return gone | (np.abs(values[0] - values[1]) <= 0.501 * 10.0**-decimals * unit)
        return gone | np.all([ORDER[type(op)](a, b) for op, a, b in pairs], axis=0)

    def repair(frame: pd.DataFrame) -> pd.DataFrame:
        assert target is not None
        value = _evaluate(terms[1], frame, aliases)
        value = value / unit
        value = value if decimals is None else np.round(value, decimals)
        drawn = plain(series_of(frame, target.name), target.dtype)
        told = np.isfinite(value) & ~np.isnan(drawn)
        return frame.assign(**{target.name: restore(np.where(told, value, drawn), target.dtype).to_numpy()})

    return Rule(text, holds, repair if equation else None)


def _with_aliases(text: str, columns: Mapping[str, Column]) -> tuple[str, dict[str, Column]]:
    """The text with each column's name, the longest first, as a plain name that Python can read."""
    aliases = {f"column_{i}_": column for i, column in enumerate(columns.values())}
    by_name = {column.name: alias for alias, column in aliases.items()}
    longest = sorted(by_name, key=len, reverse=True)
    pattern = "|".join(rf"(?<![\w]){re.escape(name)}(?![\w])" for name in longest)
    return re.sub(rf"'[^']*'|\"[^\"]*\"|{pattern}", lambda m: by_name.get(m[0].strip("`"), m[0]), text), aliases


def _decimals(column: Column) -> int | None:
    """How finely a column is written, where it is known."""
    if isinstance(column.coder, Numbers):
        return column.coder.quantile.decimals
    return 0 if column.dtype.storage == "number" and _whole_levels(column) else None


def _whole_levels(column: Column) -> bool:
    levels = getattr(column.coder, "levels", ())
    return bool(levels) and all(float(level).is_integer() for level in levels)


def _check(node: ast.expr, text: str, aliases: Mapping[str, Column], columns: Mapping[str, Column]) -> None:
    """Raise ValueError for a node that is no column, no number or date, and no + - * / of these."""
    if isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        _check(node.left, text, aliases, columns)
        _check(node.right, text, aliases, columns)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        _check(node.operand, text, aliases, columns)
    elif isinstance(node, ast.Name):
        if node.id not in aliases:
            raise unknown("column", node.id, columns)
        if aliases[node.id].dtype.storage == "text":
            raise ValueError(f"{text!r}: {aliases[node.id].name} is text, which is neither ordered nor added")
    elif not (isinstance(node, ast.Constant) and type(node.value) in (int, float, str)):
        raise ValueError(f"{text!r}: only columns, numbers, quoted dates and + - * / have a meaning in a rule")


def _formats(tree: ast.expr, aliases: Mapping[str, Column]) -> list[str]:
    """How the dates of the columns that a rule names are written."""
    named = [aliases[node.id].dtype for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id in aliases]
    return [d.date_format for d in named if d.storage == "date" and d.date_format not in (None, DATE_OBJECTS)]  # pyright: ignore[reportReturnType]


def _moments(term: ast.expr, text: str, formats: Sequence[str]) -> ast.expr:
    """A term with its quoted dates as days since 1970."""

    class Moments(ast.NodeTransformer):
        def visit_Constant(self, node: ast.Constant) -> ast.Constant:
            return ast.Constant(_date(node.value, text, formats)) if isinstance(node.value, str) else node

    return Moments().visit(term)


def _date(written: str, text: str, formats: Sequence[str]) -> float:
    """A date as a column of the rule writes it, or as 2024-01-31; days since 1970."""
    texts = np.array([written], dtype=object)
    read = [seconds_of(parse(texts, one)) for one in formats]
    found = [float(s) for s in (*(seconds[0] for seconds in read), iso_seconds(written)) if not np.isnan(s)]
    if not found:
        ways = " or ".join(dict.fromkeys(["YYYY-MM-DD", *map(spelled, formats)]))
        raise ValueError(f"{text!r}: {written!r} is no date written {ways}")
    return found[0] / DAY


def _evaluate(node: ast.expr, frame: pd.DataFrame, aliases: Mapping[str, Column]) -> np.ndarray:
    """The value of a checked node for each row, dates as days since 1970."""
    if isinstance(node, ast.BinOp):
        sides = (_evaluate(side, frame, aliases) for side in (node.left, node.right))
        with np.errstate(divide="ignore", invalid="ignore"):
            return ARITHMETIC[type(node.op)](*sides)
    if isinstance(node, ast.UnaryOp):
        return -_evaluate(node.operand, frame, aliases)
    if isinstance(node, ast.Name):
        column = aliases[node.id]
        values = plain(series_of(frame, column.name), column.dtype)
        return values * (column.dtype.unit / DAY if column.dtype.storage == "date" else 1)
    assert isinstance(node, ast.Constant)
    return np.full(len(frame), float(node.value))  # pyright: ignore[reportArgumentType]
