"""The scores of windows of series, each with its interval.

The one constraint: the keys are those of `scores.json` and do not change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float
from scipy import stats

from sansheng.metrics.bootstrap import Interval, normal_interval, subsample_spread
from sansheng.metrics.judges import discriminate, prediction_errors
from sansheng.metrics.score import Score, score
from sansheng.metrics.series import series_errors, stylised

LIMIT = 5000
"""Windows of each kind that are looked at."""
ROUNDS = 20
HIDDEN = 24
"""Units of the judge, which is stronger than the published one."""
STEPS, FEWEST, MOST = 6_000, 50, 250
"""Iterations of a judge times the length of a window, and at least and at most so many iterations: some seconds."""
RATE = 5e-3
"""Of learning; five times the published one, as there are few iterations."""
FACTS = ("clustering", "leverage", "drawdown")


def score_series(
    real: Float[np.ndarray, "N L C"], fake: Float[np.ndarray, "M L C"], *, generator: np.random.Generator,
    prices: Sequence[int] = (),
) -> dict[str, Score]:  # fmt: skip
    """discriminative, predictive, marginal_error, tail_error, memory_error, of several channels cross_error, and of
    prices clustering_error, leverage_error and drawdown_error.

    prices: places of the channels that are prices; the errors are means over them. NaN is missing.
    """
    real, fake = (windows[generator.permutation(len(windows))[:LIMIT]] for windows in (real, fake))
    scores = _judged(real, fake, int(generator.integers(2**31)))
    found = _with_spread(_errors, real, fake, generator)
    units = ("%", "standard deviations", "correlation", "correlation")
    names = ("marginal_error", "tail_error", "memory_error", "cross_error")
    scores |= {name: score(i, len(fake), "lower", unit) for name, i, unit in zip(names, found, units, strict=True)}
    if real.shape[2] == 1:
        del scores["cross_error"]
    if prices:
        names = ("clustering_error", "leverage_error", "drawdown_error")
        units = ("correlation", "correlation", "share")
        chosen = [windows[:, :, list(prices)] for windows in (real, fake)]
        found = _with_spread(_facts, chosen[0], chosen[1], generator)
        scores |= {name: score(i, len(fake), "lower", unit) for name, i, unit in zip(names, found, units, strict=True)}
    return scores


def _judged(real: np.ndarray, fake: np.ndarray, seed: int) -> dict[str, Score]:
    iterations = int(np.clip(STEPS // real.shape[1], FEWEST, MOST))
    told = discriminate(real, fake, seed=seed, iterations=iterations, hidden=HIDDEN, rate=RATE)
    off = prediction_errors(real, fake, seed=seed, iterations=iterations, rate=RATE)
    return {
        "discriminative": score(normal_interval(told.score, float(np.sqrt(0.25 / told.n))), told.n, "lower", "share"),
        "predictive": score(normal_interval(float(off.mean()), float(stats.sem(off))), len(off), "lower", "of range"),
    }


def _errors(real: np.ndarray, fake: np.ndarray) -> np.ndarray:
    found = series_errors(real, fake)
    return np.array([found.marginal, found.tails, found.autocorrelation, found.cross_correlation])


def _facts(real: np.ndarray, fake: np.ndarray) -> np.ndarray:
    """Differences of clustering, leverage and drawdown, means over channels."""
    pairs = [(stylised(real[:, :, i]), stylised(fake[:, :, i])) for i in range(real.shape[2])]
    off = [[abs(getattr(a, name) - getattr(b, name)) for name in FACTS] for a, b in pairs]
    return np.mean(off, axis=0)


def _with_spread(
    function: Callable[[np.ndarray, np.ndarray], np.ndarray], real: np.ndarray, fake: np.ndarray,
    generator: np.random.Generator,
) -> list[Interval]:  # fmt: skip
    share = min(0.5, 1000 / min(len(real), len(fake)))
    spread = subsample_spread(function, real, fake, generator=generator, rounds=ROUNDS, share=share)
    found = (normal_interval(float(v), float(e)) for v, e in zip(function(real, fake), spread, strict=True))
    return [one._replace(low=max(0.0, one.low)) for one in found]  # what errors are never below
