"""Gaps in series, drawn given what stands before, beside and after them.

The one constraint: what is there stays; a price that was drawn meets the next one that is known, its returns shifted
evenly over the gap, as a random walk between two known points has them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from sansheng.codecs.base import Records
from sansheng.codecs.series import SeriesCodec
from sansheng.codecs.series_channels import OHLC, anchor_of, filled, rounded
from sansheng.codecs.series_file import Timed, in_time
from sansheng.codecs.series_past import require
from sansheng.errors import DataError
from sansheng.filling import ONCE, Drawing, fill_cells
from sansheng.loop import derive_seed
from sansheng.run import Run


def fill_gaps(run: Run, codec: SeriesCodec, frame: pd.DataFrame, how: Drawing = ONCE) -> pd.DataFrame:
    """The columns of `frame` that are channels and have gaps, filled; its rows in their own order.

    Of a channel that has no value in a whole series the model draws all. Raises DataError for a channel that is not
    there, or has no value at all.
    """
    if codec.about["layout"] == "rows":
        raise DataError("gaps of series that stand one a row are not filled; of rows in time they are")
    timed = in_time(frame, run.recipe.data.options, channels=codec.names)
    require(timed.frame, codec.names)
    values = timed.frame[codec.names].to_numpy(np.float64).copy()
    gaps = np.isnan(values)
    if gaps.all(0).any():
        raise DataError(f"the table has no value of {codec.names[int(gaps.all(0).argmax())]!r} at all")
    for k, (starts, is_last) in enumerate(_rounds(timed, codec.length)):
        one = replace(how, draws=1, seed=derive_seed(how.seed, k, "gaps"))  # or all windows had the same noise
        _fill_windows(run, codec, timed, values, np.array(starts), np.array(is_last), one)
    _in_order(codec, values, gaps)
    here = [name for i, name in enumerate(codec.names) if gaps[:, i].any() and name in frame.columns]
    back = values[np.argsort(timed.order)]
    return pd.DataFrame({name: back[:, codec.names.index(name)] for name in here}, index=frame.index)


def _in_order(codec: SeriesCodec, values: np.ndarray, gaps: np.ndarray) -> None:
    """Bring drawn opens and closes between known lows and highs, in place, and drawn lows and highs around them."""
    if not any(channel.kind == "ratio" for channel in codec.channels):
        return
    place = {name.lower(): i for i, name in enumerate(codec.names)}
    o, h, low, c = (place[name] for name in OHLC)
    most = np.where(gaps[:, h], np.inf, values[:, h])
    least = np.where(gaps[:, low], -np.inf, values[:, low])
    for i in (o, c):
        values[:, i] = np.where(gaps[:, i], values[:, i].clip(least, most), values[:, i])
    ends = values[:, [o, c]]
    values[:, h] = np.where(gaps[:, h], np.maximum(values[:, h], ends.max(1)), values[:, h])
    values[:, low] = np.where(gaps[:, low], np.minimum(values[:, low], ends.min(1)), values[:, low])


def _rounds(timed: Timed, length: int) -> list[tuple[list[int], list[bool]]]:
    """Windows half a window apart, those of one place in their series together: (first rows, whether the last one)."""
    rounds: dict[int, list[tuple[int, bool]]] = {}
    for a, b in timed.series():
        starts = [*range(a, max(a, b - length), max(1, length // 2)), max(a, b - length)]
        for k, start in enumerate(starts):
            rounds.setdefault(k, []).append((start, k == len(starts) - 1))
    return [([s for s, _ in found], [last for _, last in found]) for _, found in sorted(rounds.items())]


def _fill_windows(
    run: Run,
    codec: SeriesCodec,
    timed: Timed,
    values: np.ndarray,
    starts: np.ndarray,
    is_last: np.ndarray,
    how: Drawing,
) -> None:
    """Fill windows in place, but for the last quarter of those that others follow: there is more to know there."""
    ends = dict(timed.series())
    stops = np.array([b for a in starts for s, b in ends.items() if s <= a < b])
    rows = np.minimum(starts[:, None] + np.arange(codec.length), stops[:, None] - 1)
    beyond = starts[:, None] + np.arange(codec.length) >= stops[:, None]
    windows = values[rows]
    there = ~np.isnan(windows) & ~beyond[:, :, None]
    chosen = (~there).any((1, 2))
    if not chosen.any():
        return
    windows, there, rows, beyond, is_last = (x[chosen] for x in (windows, there, rows, beyond, is_last))
    whole = np.stack([filled(windows[:, :, i]) for i in range(windows.shape[2])], axis=2)
    if np.isnan(whole).any():  # a channel without a value in this window: near or usual ones will do, as none is known
        table = pd.DataFrame(values)
        near = table.groupby(timed.entity).transform(lambda c: c.ffill().bfill()).fillna(table.median())
        whole = np.where(np.isnan(whole), near.to_numpy()[rows], whole)
    labels = {n: column for n, column in timed.labels_from(starts[chosen]).items() if n in codec.condition_names}
    known = codec.known(there, np.ones(there.shape[:2], bool))
    drawn = fill_cells(run, Records(whole, labels, codec.about), known, how).values
    drawn = moved(codec, drawn, np.where(there, whole, np.nan))
    taken = ~there & ~beyond[:, :, None]
    taken &= is_last[:, None, None] | (np.arange(codec.length) < codec.length - codec.length // 4)[:, None]
    values[np.broadcast_to(rows[:, :, None], taken.shape)[taken], np.nonzero(taken)[2]] = drawn[taken]


def moved(codec: SeriesCodec, drawn: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Prices moved to meet the known ones, and with the anchor those that are written beside it."""
    kinds = {channel.name: channel.kind for channel in codec.channels}
    found, place = drawn.copy(), {name: i for i, name in enumerate(codec.names)}
    for name in [name for name, kind in kinds.items() if kind == "price"]:
        i = place[name]
        found[:, :, i] = meeting(drawn[:, :, i], known[:, :, i])
    anchor = anchor_of(kinds)
    for channel in codec.channels:
        i = place[channel.name]
        if channel.kind in ("ratio", "beside") and anchor is not None:
            shift = found[:, :, place[anchor]] / drawn[:, :, place[anchor]]
            found[:, :, i] *= np.where(np.isfinite(shift), shift, 1.0)  # an anchor may be drawn as missing
        if channel.decimals is not None:
            found[:, :, i] = rounded(found[:, :, i], channel.decimals)
    return found


def meeting(drawn: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Drawn prices ``(N, L)``, moved so that they meet the known ones (NaN elsewhere): linearly in their logarithms."""
    with np.errstate(invalid="ignore"):
        shift = np.log(known) - np.log(drawn)
    steps = np.arange(drawn.shape[1])
    found = drawn.copy()
    for row, off in zip(found, shift, strict=True):
        at = np.isfinite(off)
        if at.any():
            row *= np.exp(np.interp(steps, steps[at], off[at]))
    return found
