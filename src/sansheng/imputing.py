"""Gaps in a table, drawn given what stands beside them: p(missing | observed).

The one constraint: what was observed comes back as it was written, byte for byte; only gaps are written.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from sansheng.codecs import numerals, parquet_cells
from sansheng.codecs.base import Codec, Records, Source
from sansheng.codecs.columns import Column
from sansheng.codecs.series import SeriesCodec
from sansheng.codecs.table import TableCodec, read
from sansheng.codecs.table_file import retype, series_of
from sansheng.codecs.table_text import MISSING, Form, encoding_of, sniff, sniff_decimal
from sansheng.errors import DataError
from sansheng.filling import Drawing
from sansheng.loop import derive_seed
from sansheng.model import Sampling, known_cells
from sansheng.rules import Rule, read_rules
from sansheng.run import Run
from sansheng.series_gaps import fill_gaps
from sansheng.where import allow
from sansheng.within import Allowed, Spelled, Within

CHUNK = 2000
"""Rows drawn at a time."""
ATTEMPTS = 25
"""How often a row is drawn whose filled cells break a rule."""


@dataclass(frozen=True)
class Imputed:
    """The table that was given, numbers where the model reads texts as numbers, and for each draw the columns that had
    gaps, filled, rows as they were. broken: of the filled rows of all draws, how many break a rule of the run."""

    frame: pd.DataFrame
    draws: tuple[pd.DataFrame, ...]
    broken: int = 0

    def filled(self, draw: int = 0) -> pd.DataFrame:
        """The table of one draw, columns in their order and dtypes wherever these can hold what was drawn."""
        made = self.draws[draw]
        return self.frame.assign(**{str(name): made[name] for name in made.columns})


def impute(run: Run, frame: pd.DataFrame, *, draws: int = 1, seed: int = 0, steps: int | None = None) -> Imputed:
    """Fill the gaps of a table's modelled columns, `draws` times; of rows in time those of a series' channels.

    Columns the model has not seen are left as they are; what is no number in one that was read as numbers (``--type``)
    is a gap; a filled cell is what the rules of the run say it is, where one is an equation for it. Rows that break
    another rule are drawn anew, up to `ATTEMPTS` times: what was observed may break it by itself.

    Raises ValueError for a model of anything but tables and series, a family that cannot, or fewer than one draw;
    DataError for a gap in a column that the model is given, or a column lost.
    """
    codec = run.codec
    if draws < 1:
        raise ValueError(f"draw at least once, not {draws} times")
    if isinstance(codec, SeriesCodec):
        some = [fill_gaps(run, codec, frame, Drawing(1, seed + i, steps)) for i in range(draws)]
        return Imputed(frame, tuple(some))
    if not isinstance(codec, TableCodec):
        raise ValueError(f"impute is for tables and series, not for {codec.kind} data: see sansheng fill")
    frame = _as_trained(run, frame)
    gaps = _gaps(codec, frame)
    rows = np.flatnonzero(gaps.to_numpy(bool).any(1))
    if not len(rows):
        return Imputed(frame, (pd.DataFrame(index=frame.index),) * draws)
    some, where = frame.iloc[rows].reset_index(drop=True), gaps.iloc[rows].reset_index(drop=True)
    rules = read_rules(run.recipe.rules, codec, run.recipe.combinations)
    made, broken = [], 0
    for i in range(draws):
        drawn = _draw(run, codec, some, where, rules, seed + i, steps)
        broken += len(_breaking(rules, some, where, drawn))
        made.append(_merge(frame, gaps, rows, drawn))
    return Imputed(frame, tuple(made), broken)


def _as_trained(run: Run, frame: pd.DataFrame) -> pd.DataFrame:
    """The table with the types that a person gave to its columns when the model was trained."""
    types = {name: kind for name, kind in run.recipe.data.types.items() if name in frame.columns}
    if not types:
        return frame
    return retype(Source(Records(frame)), types).records.values.set_axis(frame.index)


def _gaps(codec: TableCodec, frame: pd.DataFrame) -> pd.DataFrame:
    """Which cells of modelled columns are missing, of the columns where any is."""
    lost = [column.name for column in codec.columns if column.name not in frame.columns]
    if lost:
        raise DataError(f"the table has no column {lost[0]!r}; it has {', '.join(map(str, frame.columns))}")
    for name in codec.condition_names:
        if series_of(frame, name).isna().to_numpy().any():
            raise DataError(f"column {name!r} has gaps, and is given to this model: train one without --condition")
    names = [c.name for c in codec.columns if c.slots and c.name not in codec.condition_names]
    holes = {name: series_of(frame, name).isna() for name in names}
    return pd.DataFrame({name: hole for name, hole in holes.items() if hole.any()}, index=frame.index)


def _draw(
    run: Run, codec: TableCodec, frame: pd.DataFrame, gaps: pd.DataFrame, rules: Sequence[Rule], seed: int,
    steps: int | None,
) -> pd.DataFrame:  # fmt: skip
    """Rows with their gaps drawn as the rules have it."""
    drawn = _as_ruled(rules, frame, gaps, _draw_once(run, codec, frame, gaps, seed, steps))
    chance = [rule for rule in rules if rule.repair is None]
    for attempt in range(1, ATTEMPTS):
        bad = _breaking(chance, frame, gaps, drawn)
        if not len(bad):
            break
        some, where = frame.iloc[bad].reset_index(drop=True), gaps.iloc[bad].reset_index(drop=True)
        again = _draw_once(run, codec, some, where, derive_seed(seed, attempt, "again"), steps)
        again = _as_ruled(rules, some, where, again).set_axis(bad)
        drawn = pd.concat([drawn.drop(index=bad), again]).sort_index()
    return drawn


def _breaking(rules: Sequence[Rule], frame: pd.DataFrame, gaps: pd.DataFrame, drawn: pd.DataFrame) -> np.ndarray:
    """Places of the rows that break a rule once they are filled."""
    if not rules:
        return np.zeros(0, dtype=np.int64)
    filled = _merge(frame, gaps, np.arange(len(frame)), drawn)
    whole = frame.assign(**{str(name): filled[name] for name in filled})
    return np.flatnonzero(~np.all([rule.holds(whole) for rule in rules], axis=0))


def _draw_once(
    run: Run, codec: TableCodec, frame: pd.DataFrame, gaps: pd.DataFrame, seed: int, steps: int | None
) -> pd.DataFrame:
    """Rows with their gaps drawn, whatever the rules."""
    encoded = codec.encode(Records(frame))
    known, parts, first = torch.ones(len(frame), codec.space.channels, dtype=torch.bool), [], 0
    for column in codec.columns:
        if column.name in codec.condition_names:
            continue
        if column.name in gaps.columns:
            known[:, first : first + column.width] = torch.tensor(~gaps[column.name].to_numpy(bool))[:, None]
            parts += _present(column, first)
        first += column.width
    within = Within(tuple(parts)) if parts else None
    pieces: list[Tensor] = []
    for start in range(0, len(frame), CHUNK):
        piece = encoded.rows(slice(start, start + CHUNK)).to(run.device)
        told = known_cells(piece.x, known[start : start + CHUNK].to(run.device))
        generator = torch.Generator(run.device).manual_seed(derive_seed(seed, start, "impute"))
        settings = Sampling(steps, known=told, within=within)
        pieces.append(run.model.sample(len(piece), condition=piece.condition, settings=settings, generator=generator))
    return codec.decode(torch.cat(pieces).cpu(), encoded.condition).values


def _as_ruled(rules: Sequence[Rule], frame: pd.DataFrame, gaps: pd.DataFrame, drawn: pd.DataFrame) -> pd.DataFrame:
    """Drawn rows whose filled cells obey the equations among the rules, given what was observed."""
    formulas, rows = [rule.repair for rule in rules if rule.repair is not None], np.arange(len(frame))
    for repair in formulas * len(formulas):  # they may build on one another, in any order
        filled = _merge(frame, gaps, rows, drawn)
        told = repair(frame.assign(**{str(name): filled[name] for name in filled}))
        drawn = drawn.assign(**{name: series_of(told, name) for name in gaps.columns})
    return drawn


def _present(column: Column, first: int) -> list[Allowed | Spelled]:
    """The constraint that a cell is not missing, of a column that can be."""
    if not getattr(column.coder, "missing", False):
        return []
    part = allow(column, first, lambda values: ~pd.isna(values))
    return [part] if part is not None else []


def _merge(frame: pd.DataFrame, gaps: pd.DataFrame, rows: np.ndarray, drawn: pd.DataFrame) -> pd.DataFrame:
    """Columns that had gaps: observed values as they were, and the drawn ones elsewhere."""
    merged = {}
    for name in gaps.columns:
        places = gaps[name].to_numpy(bool)
        merged[name] = _put(series_of(frame, name).copy(), places, series_of(drawn, name).iloc[places[rows]])
    return pd.DataFrame(merged, index=frame.index)


def _put(column: pd.Series, places: np.ndarray, values: pd.Series) -> pd.Series:
    """Values where a column has gaps, in its dtype if that can hold them."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        levels = column.dtype.categories.union(pd.Index(values.unique()), sort=False)
        column = pd.Series(column.cat.set_categories(levels))
    try:
        held = values if isinstance(column.dtype, pd.CategoricalDtype) else values.astype(str(column.dtype))
        column[places] = held.to_numpy()
    except (TypeError, ValueError):
        column = column.astype(object)
        column[places] = values.to_numpy(object)
    return column


# -- files ---------------------------------------------------------------------------------------------------


def read_table(path: Path) -> pd.DataFrame:
    """The table of a file. Raises DataError for what is none."""
    return read(path).records.values


def write_filled(imputed: Imputed, codec: Codec, source: Path, target: Path, draw: int) -> None:
    """Write one draw: the source with its gaps written over.

    Raises ValueError where the suffixes differ: what was observed could not be left as it was written.
    """
    if source.suffix.lower() != target.suffix.lower():
        raise ValueError(f"{target}: a filled table is written as it was read, as {source.suffix}")
    if source.suffix.lower() == ".parquet":
        _write_parquet(imputed, codec, source, target, draw)
        return
    raw = source.read_bytes()
    encoding = encoding_of(source, raw)
    text = raw.decode(encoding)
    start = text.removeprefix("\ufeff")
    form = sniff(start, "\t" if source.suffix.lower() == ".tsv" else None)
    decimal = sniff_decimal(start, form)
    made, order = imputed.draws[draw], {name: place for place, name in enumerate(imputed.frame.columns)}
    new, read_as_gaps, written_as = {}, set(MISSING), read_table(source)
    grouped = written_as.attrs.get("grouped", ())
    for name in made.columns:
        gone = imputed.frame[name].isna().to_numpy()
        read_as_gaps |= {str(text).strip() for text in series_of(written_as, str(name)).to_numpy()[gone]}
        rows = np.flatnonzero(imputed.frame[name].isna().to_numpy())
        written = _texts(made[name].iloc[rows], codec, decimal)
        written = [numerals.in_groups(text, decimal) for text in written] if name in grouped else written
        new |= {(int(row), order[name]): cell for row, cell in zip(rows, written, strict=True)}
    target.write_bytes(write_over(text, form, new, read_as_gaps).encode(encoding))


def _write_parquet(imputed: Imputed, codec: Codec, source: Path, target: Path, draw: int) -> None:
    """The source with its gaps written over in the types its columns have."""
    made, cells = imputed.draws[draw], {}
    for place, held in enumerate(parquet_cells.columns_of(source)):
        name = imputed.frame.columns[place]
        if name not in made.columns:
            continue
        rows = np.flatnonzero(imputed.frame[name].isna().to_numpy())
        drawn = made[name].iloc[rows]
        texts = parquet_cells.holds_text(source, held)
        cells[held] = rows, pd.Series(_texts(drawn, codec, "."), dtype=object) if texts else drawn
    parquet_cells.write_over(source, target, cells)


def _texts(values: pd.Series, codec: Codec, decimal: str) -> list[str]:
    """As the column is written, numbers with the decimal sign of the file."""
    if isinstance(codec, SeriesCodec):
        decimals = {channel.name: channel.decimals for channel in codec.channels}[str(values.name)]
        texts = [
            np.format_float_positional(v, trim="-") if decimals is None else f"{v:.{max(decimals, 0)}f}" for v in values
        ]
        return [text.replace(".", decimal) for text in texts]
    assert isinstance(codec, TableCodec)
    return _written(values, {column.name: column for column in codec.columns}[str(values.name)], decimal)


def _written(values: pd.Series, column: Column, decimal: str) -> list[str]:
    """Drawn values as the column writes them: whole numbers without a point."""
    if column.dtype.storage != "number":
        return [str(int(v)) if isinstance(v, float) else str(v) for v in values]  # a float is a date such as 20240131
    whole = column.kind == "integer"
    return [str(int(v)) if whole or _is_level(float(v), column) else str(v).replace(".", decimal) for v in values]


def _is_level(value: float, column: Column) -> bool:
    """Whether it is one of a few levels that are all whole numbers, which a gap in their column has made floats."""
    levels = getattr(column.coder, "levels", ())
    return bool(levels) and value.is_integer() and all(float(level).is_integer() for level in levels)


def write_over(
    text: str, form: Form, cells: dict[tuple[int, int], str], read_as_gaps: Collection[str] = MISSING
) -> str:
    """Delimited text with the cells at (row below the names, column) replaced, and all else as it was.

    Blank lines are no rows. A cell is quoted if the gap was, or it holds the delimiter, a quote or a line break. Raises
    DataError for a cell that is none of `read_as_gaps`.
    """
    d, q = re.escape(form.delimiter), re.escape(form.quote)
    letter = rf"[^{q}]|{q}{q}" if form.escape is None else rf"[^{q}\\]|\\."
    cell = rf"[ ]*{q}(?:{letter})*{q}[^{d}\r\n]*|[^{d}\r\n]*"
    field = re.compile(rf"(?P<cell>{cell})(?P<end>{d}|\r\n|\n|\r|$)", re.DOTALL)
    pieces, row, place, at = [], -1, 0, 0
    while at < len(text):
        match = field.match(text, at)
        if match is None:
            raise DataError(f"the text of the table breaks off at character {at:,}")
        cell, end = match["cell"], match["end"]
        blank = place == 0 and end != form.delimiter and not cell
        drawn = None if blank else cells.get((row, place))
        if drawn is not None and cell.strip().strip(form.quote).strip() not in read_as_gaps:
            raise DataError(f"row {row + 1}, column {place + 1} reads {cell!r}, which is no gap: it is left alone")
        pieces += [cell if drawn is None else _quoted(drawn, form, form.quote in cell), end]
        place, row = (place + 1, row) if end == form.delimiter else (0, row + (not blank))
        at = match.end()
        if not end:
            break
    return "".join(pieces)


def _quoted(cell: str, form: Form, always: bool) -> str:
    if not always and not any(c in cell for c in (form.delimiter, form.quote, "\n", "\r")):
        return cell
    if form.escape is not None:
        cell = cell.replace(form.escape, 2 * form.escape)
    return f"{form.quote}{cell.replace(form.quote, (form.escape or form.quote) + form.quote)}{form.quote}"
