"""The chapter of a report on how good synthetic tables are: every column, every pair, and what can be learnt from them.

The one constraint: it shows one seed of each model, the first, beside the same number of held-out rows; what ranks is
in `score`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from sansheng.entry import Entry
from sansheng.metrics.association import associations
from sansheng.metrics.bootstrap import Interval
from sansheng.metrics.checks import some_rows
from sansheng.metrics.scores import LIMIT, USED
from sansheng.metrics.table import TableErrors, as_numbers, is_numeric, series, table_errors
from sansheng.metrics.usefulness import usefulness
from sansheng.report import Chapter, Distribution, Heat, Panel, Part
from sansheng.score import Scorer
from sansheng.score_kinds import compared

FEW = 10
"""Up to so many different numbers are shown one by one, and so many levels by name."""
BINS = 24
"""At most; 2 n^(1/3) where the smallest table has few rows (Rice's rule)."""
TAIL = 0.002
"""Share of real values beyond either end of a histogram, put into its outermost bars."""
MOST_COLUMNS = 36
MOST_PAIRED = 30
ROWS = 5000
"""Real rows an association is computed from."""
FAINTEST = 5.0
"""[%] an error of a pair that at least has the strongest colour."""
NOTE = (
    "The first model of each family, as many rows as were scored, against the training rows. Held-out data are real "
    "rows that no model saw: what they are off by is chance, and a model can hardly do better."
)
COLUMNS_NOTE = (
    "Grey: real training rows; the marks and lines are the models. Every bar is a share of all rows, those without a "
    "value included, which stand apart as “missing”. The outermost bars hold everything beyond them. “Off by” is the "
    "error of the column: the largest gap between the two distribution functions (Kolmogorov–Smirnov) of numbers and "
    "dates, the share that would have to change (total variation) of categories."
)
PAIRS_NOTE = (
    "How strongly columns go together, in real rows and in synthetic ones: Pearson’s correlation of two numbers "
    "(red below zero), Cramér’s V of two categories, the correlation ratio of a number with a category; and how "
    "far each pair is off, from none to the strongest colour: half the difference of two correlations, or the share "
    "that would have to change, with numbers in ten bins of the real range. (The score “Trend error” is that of "
    "SDMetrics, which takes the range of each table by itself, so that one outlier moves all bins.) Blank: nearly "
    "zero, or not defined because a column is constant. Columns are numbered in the same order across and down."
)
MISSING_NOTE = "Share of rows without a value; the errors of columns do not count it."


def quality_chapter(entries: Sequence[Entry], scorer: Scorer) -> Chapter:
    """The chapter of tables. entries: families, and the references of which held-out data are shown."""
    data = scorer.data
    train = compared(data, data.train_records.values)
    shown = {
        e.name: compared(data, e.shown.values) for e in entries if e.shown is not None and (e.runs or _held_out(e))
    }
    names = list(train.columns)
    errors = {name: table_errors(train, frame, bins="real") for name, frame in shown.items()}
    models = {e.name: shown[e.name] for e in entries if e.runs and e.name in shown}
    parts = [_columns(train, models, errors, names), _pairs(train, shown, models, errors, names)]
    parts += _missing(train, shown, names) + _usefulness(entries, scorer)
    return Chapter("Quality", NOTE, [_sentence(name, errors) for name in models], parts)


def _held_out(entry: Entry) -> bool:
    return entry.name.startswith("held-out")


def _sentence(name: str, errors: dict[str, TableErrors]) -> str:
    """How far one model is off, its worst column and pair, and what chance alone makes."""
    mine, chance = errors[name], next((e for n, e in errors.items() if n.startswith("held-out")), None)
    column = max(mine.columns, key=lambda c: mine.columns[c])
    beside = [f" (held-out data {value:.1f} %)" if chance else "" for value in _both(chance)]
    text = f"{name}: columns are off by {mine.shape:.1f} % on average{beside[0]}"
    text = f"{text}, most of all {column} ({mine.columns[column]:.1f} %)"
    defined = {pair: value for pair, value in mine.pairs.items() if value == value}
    if not defined:
        return f"{text}."
    a, b = max(defined, key=lambda pair: defined[pair])
    return f"{text}; pairs by {mine.trend:.1f} %{beside[1]}, most of all {a} with {b} ({defined[a, b]:.1f} %)."


def _both(errors: TableErrors | None) -> tuple[float, float]:
    return (0.0, 0.0) if errors is None else (errors.shape, errors.trend)


# -- columns -------------------------------------------------------------------------------------------------


def _columns(
    train: pd.DataFrame, models: dict[str, pd.DataFrame], errors: dict[str, TableErrors], names: list[str]
) -> Part:
    def worst(name: str) -> float:
        return max((errors[model].columns[name] for model in models), default=0.0)

    kept = set(sorted(names, key=worst, reverse=True)[:MOST_COLUMNS])
    tables = {"real": train, **models}
    charts = [
        distribution(name, tables, {m: errors[m].columns[name] for m in models}) for name in names if name in kept
    ]
    left = f" Shown are the {MOST_COLUMNS} columns of {len(names)} that are off the most." if kept < set(names) else ""
    return Part("Every column", COLUMNS_NOTE + left, distributions=charts)


def distribution(name: str, tables: dict[str, pd.DataFrame], errors: dict[str, float]) -> Distribution:
    """One column of several tables, in the bins or levels of the first."""
    columns = {which: series(frame, name) for which, frame in tables.items()}
    real = next(iter(columns.values()))
    missing = {which: float(column.isna().mean()) for which, column in columns.items()}
    if not is_numeric(real) or real.nunique() <= FEW:
        levels, shares = _level_shares(columns)
        return Distribution(name, levels, shares, missing, errors)
    fewest = min(len(column) for column in columns.values())
    edges = _edges(as_numbers(real), int(np.clip(2 * np.cbrt(fewest), 4, BINS)))
    shares = {which: _bin_shares(as_numbers(column), edges) for which, column in columns.items()}
    dates = pd.api.types.is_datetime64_any_dtype(real)
    return Distribution(name, edges.tolist(), shares, missing, errors, dates=dates)


def _level_shares(columns: dict[str, pd.Series]) -> tuple[list[str], dict[str, list[float]]]:
    """(names, shares of all rows) of the commonest real levels; numbers in their order; the rest as "other"."""
    real = next(iter(columns.values()))
    levels = list(real.value_counts().index[:FEW])
    if is_numeric(real):
        levels = sorted(levels)
    shares = {}
    for which, column in columns.items():
        counts = column.value_counts()
        known = (counts.reindex(levels, fill_value=0).to_numpy(dtype=float) / len(column)).tolist()
        shares[which] = [*known, max(0.0, float(column.notna().mean()) - sum(known))]
    names = [f"{level:g}" if isinstance(level, float) else str(level) for level in levels]
    if all(values[-1] < 1e-9 for values in shares.values()):
        return names, {which: values[:-1] for which, values in shares.items()}
    return [*names, "other"], shares


def _edges(numbers: np.ndarray, bins: int) -> np.ndarray:
    """Equal bins over nearly all real values; whole numbers are never split between two bins unevenly."""
    known = numbers[~np.isnan(numbers)]
    low, high = np.quantile(known, [TAIL, 1 - TAIL])
    if low == high:
        low, high = known.min(), known.max()
    if np.all(known == np.round(known)) and high - low >= 1:
        width = max(1, int(np.ceil((high - low + 1) / bins)))
        return np.arange(np.floor(low), high + width, width) - 0.5
    return np.linspace(low, high, bins + 1)


def _bin_shares(numbers: np.ndarray, edges: np.ndarray) -> list[float]:
    known = np.clip(numbers[~np.isnan(numbers)], edges[0], edges[-1])
    return (np.histogram(known, edges)[0] / len(numbers)).tolist()


# -- pairs ---------------------------------------------------------------------------------------------------


def _pairs(
    train: pd.DataFrame,
    shown: dict[str, pd.DataFrame],
    models: Collection[str],
    errors: dict[str, TableErrors],
    names: list[str],
) -> Part:
    squares = {name: _square(errors[name], names) for name in shown}
    together = np.nanmax([np.nan_to_num(square) for square in squares.values()], axis=0)
    kept = np.sort(np.argsort(-together.mean(0), kind="stable")[:MOST_PAIRED])
    columns, most = [names[i] for i in kept], max(FAINTEST, float(together.max()))
    real = _heat("Real rows", "association", columns, associations(some_rows(train.loc[:, columns], ROWS)), 1.0)
    rows = []
    for name, frame in shown.items():
        title = "Synthetic rows" if name in models else name.capitalize()
        made = _heat(title, "association", columns, associations(some_rows(frame.loc[:, columns], ROWS)), 1.0)
        off = _heat("Error", f"strongest colour: {most:.0f} %", columns, squares[name][np.ix_(kept, kept)], most)
        rows.append((name, [real, made, off]))
    left = (
        f" Shown are the {MOST_PAIRED} columns of {len(names)} that are off the most." if len(kept) < len(names) else ""
    )
    return Part("Every pair of columns", PAIRS_NOTE + left, heats=rows)


def _square(errors: TableErrors, names: list[str]) -> np.ndarray:
    place = {name: i for i, name in enumerate(names)}
    square = np.full((len(names), len(names)), np.nan)
    for (a, b), value in errors.pairs.items():
        square[place[a], place[b]] = square[place[b], place[a]] = value
    return square


def _heat(title: str, note: str, columns: list[str], values: np.ndarray, most: float) -> Heat:
    cells = [[None if np.isnan(v) else float(v) for v in row] for row in values]
    return Heat(title, note, columns, cells, most, signed=True)


# -- tables --------------------------------------------------------------------------------------------------


def _missing(train: pd.DataFrame, shown: dict[str, pd.DataFrame], names: list[str]) -> list[Part]:
    tables = {"real rows": train, **shown}
    gaps = [c for c in names if any(series(frame, c).isna().any() for frame in tables.values())]
    if not gaps:
        return []
    rows = [[c, *(f"{100 * series(frame, c).isna().mean():.1f} %" for frame in tables.values())] for c in gaps]
    return [Part("Missing values", MISSING_NOTE, [Panel("", "reference", (["column", *tables], rows))])]


def _usefulness(entries: Sequence[Entry], scorer: Scorer) -> list[Part]:
    """Each table's rows, and the real training rows, as a lesson; held-out rows are the test."""
    target, rows, header = scorer.target, [], []
    if target is None:
        return []
    held_out = some_rows(compared(scorer.data, scorer.data.test_records.values), LIMIT)
    for entry in entries:
        if entry.shown is None or _held_out(entry):
            continue
        lesson = some_rows(compared(scorer.data, entry.shown.values), USED)
        try:
            found = usefulness(lesson, held_out, target, generator=np.random.default_rng(0))
        except ValueError:
            continue
        header = ["trained on", "rows", *found.measures]
        name = "real training rows" if entry.name.startswith("training") else entry.name
        rows.append([name, f"{len(lesson):,}", *map(_interval, found.measures.values())])
    note = (
        f"Gradient boosting learns to predict “{target}” from all other columns, once from each table, and is tested "
        f"on {len(held_out):,} real held-out rows (intervals: bootstrap of these). As good as real training rows is "
        "the most to hope for; a --condition chooses another column."
    )
    return [Part("Usefulness", note, [Panel("", "reference", (header, rows))])] if rows else []


def _interval(found: Interval) -> str:
    return f"{found.value:.3g} [{found.low:.3g}, {found.high:.3g}]"
