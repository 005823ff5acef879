"""Intervals: how far a score would move with other samples, and with other seeds.

The one constraint: for scores that compare clouds of points, rows are never drawn twice. A duplicate is its own
nearest neighbour and lowers the rank of a covariance, so the plain bootstrap biases those; subsamples do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

Statistic = Callable[..., float | np.ndarray]


class Interval(NamedTuple):
    """A value and the ends of its interval, 95 % unless said otherwise."""

    value: float
    low: float
    high: float


def bootstrap(
    function: Callable[..., float],
    *arrays: np.ndarray,
    generator: np.random.Generator,
    rounds: int = 100,
    level: float = 0.95,
) -> Interval:
    """Percentile bootstrap of `function(*arrays)`: rows of each array are drawn with replacement (Efron 1979).

    For means, shares and the like; see `subsample_interval` for distances. `level` in (0, 1), `rounds` >= 2.
    Raises ValueError for a level or a number of rounds outside its range.
    """
    _check(rounds, level)
    draws = [function(*(a[generator.integers(len(a), size=len(a))] for a in arrays)) for _ in range(rounds)]
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(function(*arrays)), float(low), float(high))


def subsample_interval(
    function: Callable[..., float],
    *arrays: np.ndarray,
    generator: np.random.Generator,
    rounds: int = 50,
    share: float = 0.5,
    level: float = 0.95,
) -> Interval:
    """`function(*arrays)` ± z times its spread by `subsample_spread`: the interval of every distance between clouds.

    Centred on the value from all rows, so a bias that depends on the number of rows moves it nowhere.
    Raises ValueError for a level, a share or a number of rounds outside its range.
    """
    _check(rounds, level)
    value = float(function(*arrays))
    spread = float(subsample_spread(function, *arrays, generator=generator, rounds=rounds, share=share))
    return normal_interval(value, spread, level)


def subsample_spread(
    function: Statistic,
    *arrays: np.ndarray,
    generator: np.random.Generator,
    rounds: int = 50,
    share: float = 0.5,
) -> np.ndarray:
    """Standard error of `function(*arrays)` (a number, or an array of them) from subsamples without replacement.

    √(m / (n − m)) · sd(θ*ₘ), with m = share · n rows of each array: Politis & Romano (1994) for the rescaling by √(m/n)
    and Shao & Wu (1989) for the correction 1/(1 − m/n), m being no small part of n. At one half the factor is 1.
    Raises ValueError unless 0 < share < 1 and every subsample has at least 2 rows.
    """
    sizes = [round(share * len(a)) for a in arrays]
    if not 0 < share < 1 or min(sizes) < 2:
        raise ValueError(f"share must be in (0, 1) and leave at least 2 rows; {share} leaves {min(sizes)}")
    draws = [
        function(*(a[generator.choice(len(a), m, replace=False)] for a, m in zip(arrays, sizes, strict=True)))
        for _ in range(rounds)
    ]
    return np.asarray(np.sqrt(share / (1 - share)) * np.std(np.asarray(draws, dtype=float), axis=0, ddof=1))


def normal_interval(value: float, standard_error: float, level: float = 0.95) -> Interval:
    """value ± z · standard error."""
    reach = float(stats.norm.ppf((1 + level) / 2)) * standard_error
    return Interval(value, value - reach, value + reach)


def share_interval(share: float, n: int, standard_error: float = 0.0, level: float = 0.95) -> Interval:
    """Wilson's interval (1927) of a share of `n` rows: inside [0, 1], and honest at 0 and 1.

    A `standard_error` larger than that of n independent rows counts as fewer rows, share (1 − share) / error²; of a
    share of 0 or 1 that is of the interval's own centre (Agresti & Coull 1998).
    """
    variance, z = share * (1 - share), float(stats.norm.ppf((1 + level) / 2))
    if standard_error > 0:
        likely = share if variance > 0 else (share + z**2 / (2 * n)) / (1 + z**2 / n)
        n = max(1, min(n, round(likely * (1 - likely) / standard_error**2)))
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z * float(np.sqrt(variance / n + z**2 / (4 * n**2))) / (1 + z**2 / n)
    return Interval(share, min(share, centre - reach), max(share, centre + reach))


def pool(values_by_seed: Sequence[tuple[float, float, float]], level: float = 0.95) -> Interval:
    """One interval for the mean over seeds, from the (value, low, high) of each.

    All seeds meet the same real rows, whose noise does not average out. With S seeds, between-seed variance
    b² (of the values) and mean within-seed variance w² (from the intervals' widths), w² − b², where that is above 0, is
    taken for what they share, and the mean has the variance b²/S + max(0, w² − b²): that of a mean of equally
    correlated values. The interval is Student's t with (S − 1)·max(1, (w²/b²)²) degrees of freedom (Satterthwaite 1946,
    w² taken as known). One seed keeps its own interval. Raises ValueError if there are none.
    """
    if not values_by_seed:
        raise ValueError("there are no seeds to pool")
    rows = np.array(values_by_seed, dtype=float)
    if len(rows) == 1:
        return Interval(*map(float, rows[0]))
    mean, between = float(rows[:, 0].mean()), float(rows[:, 0].var(ddof=1))
    z = stats.norm.ppf((1 + level) / 2)
    within = float(np.square((rows[:, 2] - rows[:, 1]) / (2 * z)).mean())
    ratio = within / between if between > 1e-12 * within else 1e12
    freedom = (len(rows) - 1) * max(1.0, min(ratio, 1e3) ** 2)
    reach = float(stats.t.ppf((1 + level) / 2, freedom) * np.sqrt(between / len(rows) + max(0.0, within - between)))
    return Interval(mean, mean - reach, mean + reach)


def _check(rounds: int, level: float) -> None:
    if rounds < 2 or not 0 < level < 1:
        raise ValueError(f"rounds must be at least 2 and level in (0, 1), not {rounds} and {level}")
