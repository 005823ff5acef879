"""What is known of good series, of windows ``(N, L, C)``: margins, tails, memory, the facts of prices, and forecasts.

The one constraint: pure functions of two sets of windows, NaN where a value is missing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

LAGS = 10
TAILS = (0.01, 0.05, 0.95, 0.99)


@dataclass(frozen=True)
class SeriesErrors:
    """Differences between two sets of windows; 0 is best.

    marginal: Kolmogorov-Smirnov distance, a mean over channels [%]. tails: of the quantiles at 1, 5, 95 and 99 %, in
    standard deviations of the real channel. autocorrelation: root mean square over lags 1 … 10 and channels.
    cross_correlation: the same over pairs of channels, of correlations between them.
    """

    marginal: float
    tails: float
    autocorrelation: float
    cross_correlation: float


def series_errors(real: Float[np.ndarray, "N L C"], fake: Float[np.ndarray, "M L C"]) -> SeriesErrors:
    """How the windows differ in distribution and in their memory."""
    channels = range(real.shape[2])
    pairs = [(_known(real[:, :, i]), _known(fake[:, :, i])) for i in channels]
    marginal = [largest_gap(a, b) for a, b in pairs]
    tails = [_tail_error(a, b) for a, b in pairs]
    lags = [autocorrelation(real[:, :, i]) - autocorrelation(fake[:, :, i]) for i in channels]
    cross = correlations(real) - correlations(fake)
    upper = cross[np.triu_indices(len(cross), 1)]
    return SeriesErrors(
        100 * float(np.mean(marginal)), float(np.mean(tails)), _root_mean_square(np.concatenate(lags)),
        _root_mean_square(upper) if len(upper) else 0.0,
    )  # fmt: skip


def largest_gap(a: Float[np.ndarray, " N"], b: Float[np.ndarray, " M"]) -> float:
    """The Kolmogorov-Smirnov distance of two samples; 1 where one of them is empty."""
    if not (len(a) and len(b)):
        return 1.0
    a, b, both = np.sort(a), np.sort(b), np.concatenate([a, b])
    below = (np.searchsorted(rows, both, side="right") / len(rows) for rows in (a, b))
    return float(np.abs(np.subtract(*below)).max())


def _tail_error(real: np.ndarray, fake: np.ndarray) -> float:
    if not len(fake):
        return float("inf")
    return float(np.abs(np.quantile(real, TAILS) - np.quantile(fake, TAILS)).mean() / max(real.std(), 1e-12))


def autocorrelation(rows: Float[np.ndarray, "N L"], lags: int = LAGS) -> Float[np.ndarray, " K"]:
    """Of rows about their common mean, at lags 1 … `lags` (fewer for short rows), over all that is known.

    0 for constant ones.
    """
    lags, there = min(lags, rows.shape[1] - 1), np.isfinite(rows).astype(float)
    x = np.nan_to_num(rows - np.nanmean(rows))
    power = np.square(x).sum() / max(there.sum(), 1)
    if power <= 0:
        return np.zeros(lags)
    pairs = [max((there[:, k:] * there[:, :-k]).sum(), 1) for k in range(1, lags + 1)]
    return np.array([(x[:, k:] * x[:, :-k]).sum() / pairs[k - 1] / power for k in range(1, lags + 1)])


def correlations(windows: Float[np.ndarray, "N L C"]) -> Float[np.ndarray, "C C"]:
    """Between channels at the same step; 0 for a constant one."""
    x = windows.reshape(-1, windows.shape[2])
    there = np.isfinite(x).astype(float)
    x = np.nan_to_num(x - np.nanmean(x, axis=0))
    spread = np.sqrt(np.square(x).sum(0) / np.maximum(there.sum(0), 1))
    return (
        (x.T @ x / np.maximum(there.T @ there, 1))
        / np.maximum(np.outer(spread, spread), 1e-300)
        * np.outer(spread > 0, spread > 0)
    )


@dataclass(frozen=True)
class Stylised:
    """What is known of prices (Cont 2001), of one channel of windows.

    clustering: autocorrelation of absolute log-returns at lags 1 … 5, a mean. leverage: correlation of a return with
    the squared return after it. drawdown: mean of the largest fall within a window, a share. kurtosis: of returns,
    beyond a normal's.
    """

    clustering: float
    leverage: float
    drawdown: float
    kurtosis: float


def stylised(prices: Float[np.ndarray, "N L"]) -> Stylised:
    """The facts of positive prices. Raises ValueError where one is not above 0."""
    if not np.nanmin(prices) > 0:
        raise ValueError("prices are above 0")
    returns = np.diff(np.log(prices), axis=1)
    centred = np.nan_to_num(returns - np.nanmean(returns))
    a, b = centred[:, :-1].ravel(), np.square(centred[:, 1:]).ravel()
    leverage = float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 and b.std() > 0 else 0.0
    falls = 1 - prices / np.fmax.accumulate(prices, axis=1)
    clustering = float(autocorrelation(np.abs(centred), 5).mean())
    kurtosis = float(stats.kurtosis(centred.ravel())) if centred.std() > 0 else 0.0
    return Stylised(clustering, leverage, float(np.nanmax(falls, axis=1).mean()), kurtosis)


def continuous_ranked_probability(
    draws: Float[np.ndarray, "K ..."], truth: Float[np.ndarray, ...]
) -> Float[np.ndarray, ...]:
    """E|X − y| − ½ E|X − X'| over draws X of each forecast, in its unit; less is better.

    (Gneiting & Raftery 2007, eq. 21.)
    """
    ordered = np.sort(draws, axis=0)
    k = len(draws)
    weights = (2 * np.arange(1, k + 1) - k - 1).reshape(-1, *[1] * (draws.ndim - 1))
    spread = (weights * ordered).sum(0) / k**2  # ½ E|X − X'| by ranks
    return np.abs(draws - truth).mean(0) - spread


def _known(values: np.ndarray) -> np.ndarray:
    return values[np.isfinite(values)]


def _root_mean_square(values: np.ndarray) -> float:
    return float(np.sqrt(np.square(values).mean()))
