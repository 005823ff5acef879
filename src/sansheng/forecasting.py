"""How series go on: the steps after a known past, drawn window by window.

The one constraint: a window's first half at least is the past, known to the model, and only what follows is drawn; so
what is longer than a window is joined where the model has seen both sides.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from sansheng.codecs.archive import SUFFIXES
from sansheng.codecs.base import Records
from sansheng.codecs.series import SeriesCodec
from sansheng.codecs.series_past import Past, dated, latest, past_of_windows
from sansheng.codecs.table_file import read as read_table
from sansheng.data import read_records
from sansheng.filling import ONCE, Drawing, fill_cells, lacking, unseen
from sansheng.run import Run
from sansheng.series_gaps import moved


def forecast(
    run: Run, source: str | Path | pd.DataFrame | np.ndarray, horizon: int, how: Drawing = ONCE
) -> tuple[Past, np.ndarray]:
    """The past that was read, and ``(N, draws, horizon, C)``: how each series may go on.

    source: what the model was trained on in its own form: rows in time or one series a row, in a file or a DataFrame,
    or windows ``(N, T, C)``.
    Raises ValueError for a model that is not of series, or cannot know a part of a window (VAE and GAN).
    """
    codec = codec_of(run)
    if horizon < 1:
        raise ValueError(f"a horizon is at least one step, not {horizon}")
    if isinstance(source, np.ndarray):
        past = past_of_windows(source, codec.names)
    elif codec.about["layout"] == "rows" or (isinstance(source, (str, Path)) and Path(source).suffix in SUFFIXES):
        records = read_records(source, "series", options=run.recipe.data.options)
        past = replace(past_of_windows(records.values, codec.names), labels=records.labels)
    else:
        frame = source if isinstance(source, pd.DataFrame) else read_table(Path(source).expanduser()).records.values
        past = latest(frame, run.recipe.data.options, codec.names, codec.length)
    drawn = go_on(run, past, horizon, how)
    return past, drawn.reshape(len(past.values), how.draws, *drawn.shape[1:])


def go_on(run: Run, past: Past, horizon: int, how: Drawing = ONCE) -> np.ndarray:
    """``(N · draws, horizon, C)``: what follows each past, the draws of one in a row.

    Rows at the beginning of a past that hold nothing are not known.
    """
    codec, whole = codec_of(run), past.repeat(how.draws)
    length, known, made, n = codec.length, whole.values, [], 0
    while n < horizon:
        context = _context(known.shape[1], length, horizon - n)
        first = known.shape[1] - context
        window = np.concatenate([known[:, first:], known[:, -1:].repeat(length - context, axis=1)], axis=1)
        begun = np.isfinite(window).any(2).cumsum(1) > 0
        passed = begun & (np.arange(length) < context)
        there = passed[:, :, None] & np.isfinite(window).any(1, keepdims=True)  # no price at all tells no level
        window = np.where(begun[:, :, None], window, _first_values(window))
        records = Records(codec.without_new_gaps(window), whole.labels_at(first, codec.condition_names), codec.about)
        drawn = fill_cells(run, records, codec.known(there, passed), replace(how, draws=1, seed=how.seed + n))
        fresh = moved(codec, drawn.values, np.where(there, window, np.nan))[:, context:]
        made.append(fresh)
        known, n = np.concatenate([known, fresh], axis=1), n + fresh.shape[1]
    return np.concatenate(made, axis=1)[:, :horizon]


def _context(known: int, length: int, ahead: int) -> int:
    """How many of so many known steps a window of `length` holds, where so many are ahead."""
    return min(known, max(length // 2, length - ahead))


def _first_values(window: np.ndarray) -> np.ndarray:
    """``(N, 1, C)``: the first value of each channel of windows ``(N, L, C)``, or NaN."""
    at = np.isfinite(window).argmax(1, keepdims=True)
    return np.take_along_axis(window, at, axis=1)


def remarks(run: Run, past: Past, horizon: int) -> list[str]:
    """What the model is conditioned on and this past does not say, or says as the model has never seen it."""
    known, codec = past.values.shape[1], codec_of(run)
    first = known - _context(known, codec.length, horizon)
    records = Records(past.values, past.labels_at(first, codec.condition_names))
    said = [f"no {name} is there, so it is drawn as in training" for name in lacking(run, records)]
    for name, values in unseen(run, records).items():
        said.append(f"the model has seen no {name} {str(values[0])!r}: it is drawn as in training")
    return said


def lengthen(run: Run, records: Records, length: int, how: Drawing = ONCE) -> Records:
    """Windows that were drawn, continued to `length` steps or cut to them. Raises ValueError as `forecast`."""
    names = codec_of(run).names
    if length < 1:
        raise ValueError(f"a series has at least one step, not {length}")
    missing = length - records.values.shape[1]
    if missing <= 0:
        return replace(records, values=records.values[:, :length])
    past = replace(past_of_windows(records.values, names), labels=records.labels)
    past = dated(past, codec_of(run).about)
    return replace(records, values=np.concatenate([records.values, go_on(run, past, missing, how)], axis=1))


def as_frame(run: Run, past: Past, drawn: np.ndarray) -> pd.DataFrame:
    """One row for each step of each draw of each series, with its time where that is known."""
    n, draws, horizon, _ = drawn.shape
    columns: dict[str, np.ndarray] = {}
    if n > 1:
        columns["series"] = np.asarray(past.names).repeat(draws * horizon)
    if draws > 1:
        columns["draw"] = np.tile(np.arange(draws).repeat(horizon), n)
    codec = codec_of(run)
    if past.last is None:
        columns["step"] = np.tile(np.arange(1, horizon + 1), n * draws)
    else:
        columns["time"] = past.times_of(drawn, codec.names).ravel()
    columns |= {name: codec.column(name, drawn[..., i].ravel()) for i, name in enumerate(codec.names)}
    return pd.DataFrame(columns)


def codec_of(run: Run) -> SeriesCodec:
    """The codec of a model of series. Raises ValueError for any other."""
    if not isinstance(run.codec, SeriesCodec):
        what = f"this is a model of {run.codec.kind} data"
        raise ValueError(f"only series go on in time, and {what} (a text goes on by sansheng fill --length)")
    return run.codec
