"""Channels of a series as standard normal numbers, and back: plain numbers by rank, prices by their returns.

A price p is log p_t / p_(t−1) from the second step of a window on, and the logarithm of the first, which is written at
every step, for it has to do with all that happens at any; each by rank, so that a generated price is positive. Open,
high and low are written beside the close: log o/c, log h/max(o, c) and log min(o, c)/l, the last two never below 0, so
that low ≤ open, close ≤ high holds whatever is generated. Another price that moves as the close does (an adjusted
close, or in general one as the first price) is its log ratio to that one.

The one constraint: every channel is one number a step, of a price beside its level, and what is missing is written as 0
and told by a mask.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sansheng.codecs.quantile import Quantile, decimals_of
from sansheng.space import Category, Real

TYPES = ("number", "price")
LEVEL_MEMORY = 0.95
RETURN_MEMORY = 0.5
"""A positive channel is a price if levels remember themselves from step to step by more than the one, and returns by
less than the other (autocorrelation at lag 1)."""
RANGE = 1.5
"""…and the largest is at least so many times the smallest."""
TIED = 0.99
"""A price whose returns correlate so with those of the anchor is written beside it,"""
RETURNING, STEPS = 0.25, 8
"""and so is one whose log ratio to the anchor changes over a window, of so many steps or more, by less than such a
share of the variance that independent changes from step to step would add up to: it comes back (a variance ratio; Lo
1988). Two prices of one thing do, such as the open and the close of a day; those of two shares seldom do."""
OHLC = ("open", "high", "low", "close")
BROKEN = 0.01
"""Share of steps, at most, at which open, high, low and close may be out of order and yet are taken for such."""


@dataclass(frozen=True, eq=False)
class Channel:
    """One channel. kind: number, price, ratio (of open, high or low to others of its row) or beside (of a price to the
    anchor). first: of a price the map of its logarithm at the first step of a window. decimals: of the values
    themselves. gaps: whether any is missing. constant, start: what it is, and a price's logarithm at the first step,
    where there is no map.
    """

    name: str
    kind: str
    rest: Quantile | None
    first: Quantile | None = None
    decimals: int | None = None
    gaps: bool = False
    constant: float = 0.0
    start: float = 0.0

    @property
    def slots(self) -> list[Real | Category]:
        """The number; where there are gaps, whether it is there; of a price its level."""
        edge, level = (q.edge if q is not None else 1.0 for q in (self.rest, self.first))
        mask = [Category(2)] if self.gaps else []
        return [Real(1, -edge, edge, optional=self.gaps), *mask, *([Real(1, -level, level)] if self.first else [])]

    def encode(self, raw: np.ndarray, missing: np.ndarray) -> np.ndarray:
        """``(N, L)`` of what `raw_of` gives, NaN for what is not known, to ``(N, W, L)`` of its slots."""
        z = np.zeros(raw.shape)
        begin = int(self.kind == "price")
        if self.rest is not None:
            z[:, begin:] = _encode(self.rest, raw[:, begin:])
        rows = [np.where(missing, 0.0, z), *([~missing, missing] if self.gaps else [])]
        if self.first is not None:
            rows.append(np.broadcast_to(_encode(self.first, raw[:, 0])[:, None], raw.shape))
        return np.stack(rows, axis=1)

    def decode(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What `raw_of` would give, and whether it is missing, of ``(N, W, L)``."""
        raw = np.full(z[:, 0].shape, self.constant)
        gone = z[:, 2] > 0.5 if self.gaps else np.zeros(raw.shape, bool)
        begin = int(self.kind == "price")
        if self.rest is not None:
            raw[:, begin:] = self.rest.decode(z[:, 0, begin:].ravel()).reshape(z[:, 0, begin:].shape)
        if begin:
            raw[gone] = 0.0  # the next return is over the whole gap
            raw[:, 0] = self.start if self.first is None else self.first.decode(z[:, -1].mean(1))
        return raw, gone

    def known(self, told: np.ndarray, there: np.ndarray, mask: np.ndarray) -> list[np.ndarray]:
        """Which numbers of its slots are known: what `raw_of` gives is `told`, values `there`, gaps by a `mask`.

        All are ``(N, L)`` bool. A level is known where any price is: the first one stands for it.
        """
        begin = told.copy()
        if self.kind == "price":
            begin[:, 0] = True  # nothing stands there
        level = [np.broadcast_to(there.any(1, keepdims=True), told.shape)] if self.first is not None else []
        return [begin, *([mask] * 2 if self.gaps else []), *level]

    def to_json(self) -> dict[str, Any]:
        maps = {n: None if q is None else q.to_json() for n, q in (("rest", self.rest), ("first", self.first))}
        plain = {"name": self.name, "kind": self.kind, "decimals": self.decimals, "gaps": self.gaps}
        return {**plain, "constant": self.constant, "start": self.start, **maps}

    def arrays(self) -> dict[str, np.ndarray]:
        maps = (("rest", self.rest), ("first", self.first))
        return {f"{n}.{key}": value for n, q in maps if q is not None for key, value in q.arrays().items()}

    @staticmethod
    def from_json(data: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Channel:
        def restored(name: str) -> Quantile | None:
            if data[name] is None:
                return None
            own = {key.removeprefix(f"{name}."): v for key, v in arrays.items() if key.startswith(f"{name}.")}
            return Quantile.from_json(data[name], own)

        return Channel(
            data["name"], data["kind"], restored("rest"), restored("first"), data["decimals"], data["gaps"],
            data["constant"], data["start"] if data["kind"] == "price" else 0.0,
        )  # fmt: skip


def _encode(quantile: Quantile, raw: np.ndarray) -> np.ndarray:
    missing = np.isnan(raw)
    if not missing.any():
        return quantile.encode(raw.ravel(), None).reshape(raw.shape)
    numbers = np.where(missing, quantile.values[0], raw).ravel()
    return np.where(missing, 0.0, quantile.encode(numbers, None).reshape(raw.shape))


# -- fitting -------------------------------------------------------------------------------------------------


def fit_channels(values: np.ndarray, names: Sequence[str], types: Mapping[str, str]) -> list[Channel]:
    """A channel for each of `names`, from training windows ``(N, L, C)``."""
    kinds = {name: types.get(name) or kind_of(values[:, :, i]) for i, name in enumerate(names)}
    group, _ = quartet(names, values, types)
    kinds |= dict.fromkeys(group, "price")
    kinds = {**tied(names, kinds, values, group), **dict.fromkeys(group[:3], "ratio")}
    raw = raw_of(values, names, kinds)
    channels = [_fit(name, kinds[name], raw[name], values[:, :, i]) for i, name in enumerate(names)]
    together = [channel.decimals for channel in channels if channel.name in group]
    finest = None if None in together else max((d for d in together if d is not None), default=None)
    return [replace(c, decimals=finest) if c.name in group else c for c in channels]  # rounded alike, they keep order


def kind_of(column: np.ndarray) -> str:
    """number or price, by the rule above, of windows ``(N, L)``."""
    if not np.nanmin(column, initial=np.inf) > 0 or np.nanmax(column) < RANGE * np.nanmin(column):
        return "number"
    logs = np.log(column)
    levels, returns = _memory(logs), _memory(np.diff(logs, axis=1))
    return "price" if levels > LEVEL_MEMORY and abs(returns) < RETURN_MEMORY else "number"


def _memory(rows: np.ndarray) -> float:
    """Correlation of what follows with what was, over all windows."""
    return _correlation(rows[:, :-1].ravel(), rows[:, 1:].ravel())


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Of what is known of both; 0 where it is not defined."""
    known = np.isfinite(a) & np.isfinite(b)
    a, b = a[known], b[known]
    return float(np.corrcoef(a, b)[0, 1]) if len(a) > 2 and a.std() > 0 and b.std() > 0 else 0.0


def quartet(names: Sequence[str], values: np.ndarray, types: Mapping[str, str]) -> tuple[tuple[str, ...], float]:
    """The names of open, high, low and close, and at what share of the steps they are not positive and in order.

    No names if not all four are there, one is a number by `types`, any is not above 0, or the share is over `BROKEN`.
    """
    found = {name.lower(): name for name in names if types.get(name) != "number"}
    if not all(name in found for name in OHLC):
        return (), 0.0
    group = tuple(found[name] for name in OHLC)
    o, h, low, c = (values[:, :, names.index(name)] for name in group)
    with np.errstate(invalid="ignore"):
        wrong = (np.stack([o, h, low, c]) <= 0).any(0)
        share = float((wrong | (h < np.maximum(o, c)) | (low > np.minimum(o, c))).mean())
    return (() if wrong.any() or share > BROKEN else group), share


def tied(names: Sequence[str], kinds: Mapping[str, str], values: np.ndarray, group: Sequence[str]) -> dict[str, str]:
    """`kinds`, with the prices that go with the anchor as such: the close, or else the first price."""
    prices = [name for name in names if kinds[name] == "price"]
    free = [name for name in prices if name not in group]
    if len(prices) < 2 or not free:
        return dict(kinds)
    anchor = group[3] if group else prices[0]
    logs = {name: np.log(values[:, :, names.index(name)]) for name in (anchor, *free)}
    found = [name for name in free if name != anchor and _together(logs[name], logs[anchor])]
    return {**kinds, **dict.fromkeys(found, "beside")}


def _together(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two log prices ``(N, L)`` are to be written beside one another."""
    returns = (np.diff(log, axis=1).ravel() for log in (one, other))
    if _correlation(*returns) > TIED:
        return True
    ratio = one - other
    steps = ratio.shape[1] - 1
    step, whole = (change[np.isfinite(change)] for change in (np.diff(ratio, axis=1), ratio[:, -1] - ratio[:, 0]))
    if steps + 1 < STEPS or not len(step) or not len(whole):
        return False
    return bool((whole**2).mean() < RETURNING * steps * (step**2).mean())


def raw_of(values: np.ndarray, names: Sequence[str], kinds: Mapping[str, str]) -> dict[str, np.ndarray]:
    """What is encoded of each channel, ``(N, L)``: numbers, log-returns behind a first log price, log ratios.

    An anchor that is missing counts as it was before, as `values_of` has it.
    """
    column = {name: values[:, :, i] for i, name in enumerate(names)}
    raw = {name: _returns(column[name]) if kinds[name] == "price" else column[name] for name in names}
    whose, anchor = _places(kinds), anchor_of(kinds)
    for name in [name for name in names if kinds[name] == "beside"]:
        assert anchor is not None
        raw[name] = np.log(column[name]) - np.log(filled(column[anchor]))
    if "ratio" in kinds.values():
        o, h, low = (np.log(column[whose[name]]) for name in OHLC[:3])
        c = np.log(filled(column[whose["close"]]))
        raw[whose["open"]] = o - c
        raw[whose["high"]] = h - np.fmax(o, c)
        raw[whose["low"]] = np.fmin(o, c) - low
    return raw


def told_by(there: np.ndarray, kinds: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Whether what `raw_of` gives of each channel is told by the values that are there, ``(N, L, C)`` bool."""
    has = {name: there[:, :, i] for i, name in enumerate(kinds)}
    told, whose, anchor = dict(has), _places(kinds), anchor_of(kinds)
    for name, kind in kinds.items():
        if kind == "price":
            told[name] = has[name].copy()
            told[name][:, 1:] &= has[name][:, :-1]
        elif kind == "beside" and anchor is not None:
            told[name] = has[name] & has[anchor]
    if "ratio" in kinds.values():
        o, h, low, c = (has[whose[name]] for name in OHLC)
        told |= {whose["open"]: o & c, whose["high"]: h & o & c, whose["low"]: low & o & c}
    return told


def _places(kinds: Mapping[str, str]) -> dict[str, str]:
    """Open, high, low and close by their names in lower case."""
    return {name.lower(): name for name in kinds if name.lower() in OHLC}


def anchor_of(kinds: Mapping[str, str]) -> str | None:
    """The channel that others are written beside: the close of a quartet, or the first price."""
    if "ratio" in kinds.values():
        return _places(kinds)["close"]
    return next((name for name, kind in kinds.items() if kind == "price"), None)


def _returns(column: np.ndarray) -> np.ndarray:
    """log p of the first step, then log-returns; a gap has no return, and the next one is over the whole gap."""
    logs = np.log(filled(column))
    raw = np.concatenate([logs[:, :1], np.diff(logs, axis=1)], axis=1)
    missing = np.isnan(column)
    missing[:, 0] = np.isnan(logs[:, 0])  # the level may be that of a later step
    return np.where(missing, np.nan, raw)


def filled(column: np.ndarray) -> np.ndarray:
    """Gaps ``(N, L)`` filled with the value before them, those at the start with the first one."""
    found = column
    for way in (1, -1):
        seen = np.isfinite(found[:, ::way])
        last = np.maximum.accumulate(np.where(seen, np.arange(column.shape[1]), 0), axis=1)
        found = np.take_along_axis(found[:, ::way], last, axis=1)[:, ::way]
    return found


def _fit(name: str, kind: str, raw: np.ndarray, values: np.ndarray) -> Channel:
    """Settle the maps of a channel."""
    known = values[np.isfinite(values)]
    decimals = decimals_of(*np.unique(known, return_counts=True)) if kind != "number" and len(known) else None
    gaps = bool(np.isnan(values).any())
    if kind != "price":
        return Channel(name, kind, _map(raw, whole=kind == "number"), None, decimals, gaps, _any(raw))
    first, rest = _map(raw[:, 0]), _map(raw[:, 1:])
    return Channel(name, kind, rest, first, decimals, gaps, _any(raw[:, 1:]), _any(raw[:, 0]))


def _any(raw: np.ndarray) -> float:
    """The first number that is known, or 0."""
    known = raw[np.isfinite(raw)]
    return float(known[0]) if len(known) else 0.0


def _map(raw: np.ndarray, *, whole: bool = False) -> Quantile | None:
    """By rank; nothing where there are not two different numbers. whole: values that repeat own their interval."""
    known = raw[np.isfinite(raw)]
    if len(known) < 2 or known.min() == known.max():
        return None
    return Quantile.fit(known) if whole else Quantile.fit_points(known)


# -- back ----------------------------------------------------------------------------------------------------


def values_of(raw: Mapping[str, np.ndarray], channels: Sequence[Channel]) -> np.ndarray:
    """Windows ``(N, L, C)`` of what `raw_of` would give."""
    kinds = {channel.name: channel.kind for channel in channels}
    column = {n: np.exp(np.cumsum(raw[n], 1)) if kind == "price" else raw[n] for n, kind in kinds.items()}
    whose, anchor = _places(kinds), anchor_of(kinds)
    for name in [name for name, kind in kinds.items() if kind == "beside"]:
        assert anchor is not None
        column[name] = column[anchor] * np.exp(raw[name])
    if "ratio" in kinds.values():
        o, h, low, c = (whose[name] for name in OHLC)
        close = column[c]
        opened = close * np.exp(raw[o])
        top, bottom = np.maximum(opened, close), np.minimum(opened, close)
        column |= {o: opened, h: top * np.exp(raw[h].clip(0)), low: bottom * np.exp(-raw[low].clip(0))}
    for channel in channels:
        if channel.decimals is not None:  # rounding keeps the order of prices
            column[channel.name] = rounded(column[channel.name], channel.decimals)
    return np.stack([column[channel.name] for channel in channels], axis=2)


def rounded(values: np.ndarray, decimals: int) -> np.ndarray:
    """To so many decimals; what was positive stays so."""
    return np.maximum(np.round(values, decimals), 10.0**-decimals)
