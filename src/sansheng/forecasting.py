"""How series go on: the steps after a known past, drawn window by window.

The one constraint: a window's first half at least is the past, known to the model, and only what follows is drawn; so
what is longer than a window is joined where the model has seen both sides.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from sansheng.codecs.base import Records
from sansheng.codecs.series import SeriesCodec
from sansheng.codecs.series_channels import filled
from sansheng.codecs.series_past import Past, latest, past_of_windows
from sansheng.codecs.table_file import read as read_table
from sansheng.filling import ONCE, Drawing, fill_cells
from sansheng.run import Run


def forecast(
    run: Run, source: str | Path | pd.DataFrame | np.ndarray, horizon: int, how: Drawing = ONCE
) -> tuple[Past, np.ndarray]:
    """The past that was read, and ``(N, draws, horizon, C)``: how each series may go on.

    source: rows in time as the model was trained on them, in a file or a DataFrame, or windows ``(N, T, C)``.
    Raises ValueError for a model that is not of series, or cannot know a part of a window (VAE and GAN).
    """
    codec = codec_of(run)
    if horizon < 1:
        raise ValueError(f"a horizon is at least one step, not {horizon}")
    if isinstance(source, np.ndarray):
        past = past_of_windows(source, codec.names)
    else:
        frame = source if isinstance(source, pd.DataFrame) else read_table(Path(source).expanduser()).records.values
        past = latest(frame, run.recipe.data.options, codec.names, codec.length)
    drawn = go_on(run, past, horizon, how)
    return past, drawn.reshape(len(past.values), how.draws, *drawn.shape[1:])


def go_on(run: Run, past: Past, horizon: int, how: Drawing = ONCE) -> np.ndarray:
    """``(N · draws, horizon, C)``: what follows each past, the draws of one in a row."""
    length, whole = codec_of(run).length, past.repeat(how.draws)
    known, made, n = whole.values, [], 0
    while n < horizon:
        context = min(known.shape[1], max(length // 2, length - (horizon - n)))
        first = known.shape[1] - context
        window = np.concatenate([known[:, first:], known[:, -1:].repeat(length - context, axis=1)], axis=1)
        labels = whole.labels_at(first, run.codec.condition_names)
        records = Records(_without_gaps(window, run), labels, codec_of(run).about)
        passed = np.broadcast_to(np.arange(length) < context, (len(window), length))
        there = np.broadcast_to(passed[:, :, None], window.shape)
        drawn = fill_cells(run, records, codec_of(run).known(there, passed), replace(how, draws=1, seed=how.seed + n))
        fresh = drawn.values[:, context:]
        made.append(fresh)
        known, n = np.concatenate([known, fresh], axis=1), n + fresh.shape[1]
    return np.concatenate(made, axis=1)[:, :horizon]


def lengthen(run: Run, records: Records, length: int, how: Drawing = ONCE) -> Records:
    """Windows that were drawn, continued to `length` steps or cut to them. Raises ValueError as `forecast`."""
    names = codec_of(run).names
    if length < 1:
        raise ValueError(f"a series has at least one step, not {length}")
    missing = length - records.values.shape[1]
    if missing <= 0:
        return replace(records, values=records.values[:, :length])
    past = replace(past_of_windows(records.values, names), labels=records.labels)
    return replace(records, values=np.concatenate([records.values, go_on(run, past, missing, how)], axis=1))


def as_frame(run: Run, past: Past, drawn: np.ndarray) -> pd.DataFrame:
    """One row for each step of each draw of each series, with its time where that is known."""
    n, draws, horizon, _ = drawn.shape
    columns: dict[str, np.ndarray] = {}
    if n > 1:
        columns["series"] = np.asarray(past.names).repeat(draws * horizon)
    if draws > 1:
        columns["draw"] = np.tile(np.arange(draws).repeat(horizon), n)
    steps = np.tile(np.arange(1, horizon + 1), n * draws)
    if past.last is None:
        columns["step"] = steps
    else:
        columns["time"] = past.times(steps[:horizon]).repeat(draws, axis=0).ravel()
    codec = codec_of(run)
    columns |= {name: codec.column(name, drawn[..., i].ravel()) for i, name in enumerate(codec.names)}
    return pd.DataFrame(columns)


def codec_of(run: Run) -> SeriesCodec:
    """The codec of a model of series. Raises ValueError for any other."""
    if not isinstance(run.codec, SeriesCodec):
        raise ValueError(f"only series go on in time, and this is a model of {run.codec.kind} data")
    return run.codec


def _without_gaps(window: np.ndarray, run: Run) -> np.ndarray:
    """Gaps of channels that had none in training are filled with the value before them."""
    channels = codec_of(run).channels
    columns = [window[:, :, i] if c.gaps else filled(window[:, :, i]) for i, c in enumerate(channels)]
    return np.stack(columns, axis=2)
