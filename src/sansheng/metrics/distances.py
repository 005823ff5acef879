"""Distances between two clouds of features: Frechet, kernel (KID), sliced Wasserstein and its square as MIND.

The one constraint: values are comparable only in the same features and at equal sample sizes: the Frechet distance and
MIND are biased upwards by about 1/n, the kernel distance is not (`extrapolation` takes the Frechet distance to n = ∞).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Num

from sansheng.metrics.bootstrap import Interval, normal_interval, subsample_spread
from sansheng.metrics.checks import feature_pair

ROWS = 1024
"""Rows of a kernel matrix held at once."""
DIRECTIONS = 1000
"""Of MIND: the most that Berthet et al. recommend."""
SPREAD_DIRECTIONS = 100
"""Of MIND in the subsamples its interval is made of."""
BLOCK = 64
"""Directions looked along at once."""


def frechet(real: Num[np.ndarray, "N F"], fake: Num[np.ndarray, "M F"]) -> float:
    """Frechet distance between Gaussians fitted to the two samples [squared feature units], >= 0; lower is better.

    |μ₁ − μ₂|² + tr Σ₁ + tr Σ₂ − 2 tr (Σ₁Σ₂)^½  (Dowson & Landau 1982; as FID: Heusel et al. 2017, eq. 6).

    With Σ = AᵀA the last trace is the nuclear norm of A₁A₂ᵀ, so no covariance is formed, squared or inverted, and
    singular ones (fewer rows than features, a constant feature) need no special care.
    The covariances are estimates, so even real data are at a distance of about 2/n times a constant of their own: with
    few hundred rows the value means something only beside that of as many real rows.
    Raises ValueError for fewer than 2 rows in either, unequal numbers of features, NaN or inf.
    """
    real, fake = feature_pair(real, fake, least=2)
    root_real, root_fake = _covariance_root(real), _covariance_root(fake)
    overlap = np.linalg.svd(root_real @ root_fake.T, compute_uv=False).sum()
    shift = np.square(real.mean(0) - fake.mean(0)).sum()
    return max(0.0, float(shift + np.square(root_real).sum() + np.square(root_fake).sum() - 2 * overlap))


def kernel_distance(real: Num[np.ndarray, "N F"], fake: Num[np.ndarray, "M F"]) -> float:
    """Kernel distance (KID): the unbiased squared MMD with k(x, y) = (x·y/F + 1)³; may be negative, lower is better.

    mean_{i≠j} k(xᵢ, xⱼ) + mean_{i≠j} k(yᵢ, yⱼ) − 2 mean k(xᵢ, yⱼ)  (Bińkowski et al. 2018, eq. 4).
    Raises ValueError as `frechet` does.
    """
    real, fake = feature_pair(real, fake, least=2)
    n, m = len(real), len(fake)
    within_real = _kernel_sum(real, real) - _kernel_diagonal(real)
    within_fake = _kernel_sum(fake, fake) - _kernel_diagonal(fake)
    between = _kernel_sum(real, fake)
    return float(within_real / (n * (n - 1)) + within_fake / (m * (m - 1)) - 2 * between / (n * m))


def sliced_wasserstein(
    real: Num[np.ndarray, "N F"],
    fake: Num[np.ndarray, "M F"],
    generator: np.random.Generator,
    *,
    directions: int = 128,
) -> float:
    """Sliced 2-Wasserstein distance [feature units], >= 0; lower is better.

    (mean over random unit directions θ of W₂²(θ·x, θ·y))^½  (Bonneel et al. 2015). W₂ on the line is the L2 distance
    between quantile functions, exact for unequal sizes too. Raises ValueError as `frechet` does.
    """
    real, fake = feature_pair(real, fake)
    return float(np.sqrt(_along(real, fake, _directions(real.shape[1], directions, generator)).mean()))


def mind(
    real: Num[np.ndarray, "N F"],
    fake: Num[np.ndarray, "M F"],
    generator: np.random.Generator,
    *,
    directions: int = DIRECTIONS,
) -> float:
    """Monge inception distance [squared feature units], >= 0; lower is better.

    3 F · mean over random unit directions θ of W₂²(θ·x, θ·y)  (Berthet et al. 2026, arXiv 2605.06797): the square of
    `sliced_wasserstein` times 3 F, so a shift by d counts 3 |d|², whatever F is. It asks for 5,000 rows where
    the Frechet distance asks for 50,000, and sees more than means and covariances. For unequal sizes W₂ is exact, from
    all rows (the authors' programs drop rows of the larger). Raises ValueError as `frechet` does, or for no directions.
    """
    real, fake = feature_pair(real, fake)
    gaps = _along(real, fake, _directions(real.shape[1], directions, generator))
    return float(3 * real.shape[1] * gaps.mean())


def mind_interval(
    real: Num[np.ndarray, "N F"],
    fake: Num[np.ndarray, "M F"],
    generator: np.random.Generator,
    *,
    directions: int = DIRECTIONS,
    rounds: int = 30,
    share: float = 0.5,
    level: float = 0.95,
) -> Interval:
    """`mind` ± z · standard error, of the rows (subsamples, all along the same directions) and of directions.

    The two are independent and add in squares. Raises ValueError as `mind` and `bootstrap.subsample_spread` do.
    """
    real, fake = feature_pair(real, fake, least=4)
    theta = _directions(real.shape[1], directions, generator)
    scale, gaps, few = 3 * real.shape[1], _along(real, fake, theta), theta[:, :SPREAD_DIRECTIONS]

    def value(real: np.ndarray, fake: np.ndarray) -> float:
        return float(scale * _along(real, fake, few).mean())

    of_rows = float(subsample_spread(value, real, fake, generator=generator, rounds=rounds, share=share))
    of_directions = float(scale * gaps.std(ddof=1) / np.sqrt(directions)) if directions > 1 else 0.0
    return normal_interval(float(scale * gaps.mean()), float(np.hypot(of_rows, of_directions)), level)


def _directions(width: int, count: int, generator: np.random.Generator) -> np.ndarray:
    """Unit vectors ``(F, count)``, uniform on the sphere."""
    if count < 1:
        raise ValueError(f"directions must be at least 1, not {count}")
    theta = generator.standard_normal((width, count))
    return theta / np.linalg.norm(theta, axis=0)


def _along(real: np.ndarray, fake: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """W₂² between the two along each direction, ``(directions,)``."""
    parts = (theta[:, i : i + BLOCK] for i in range(0, theta.shape[1], BLOCK))
    return np.concatenate([_line_distances(real @ part, fake @ part) for part in parts])


def _line_distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """W₂² between the columns of ``(N, K)`` and of ``(M, K)``: the mean squared gap of their quantile functions."""
    x, y = np.sort(x, axis=0), np.sort(y, axis=0)
    if len(x) == len(y):
        return np.square(x - y).mean(0)
    steps = np.unique(np.concatenate([np.arange(1, len(x) + 1) / len(x), np.arange(1, len(y) + 1) / len(y)]))
    width = np.diff(steps, prepend=0.0)
    middle = steps - width / 2
    at_x = np.minimum((middle * len(x)).astype(int), len(x) - 1)
    at_y = np.minimum((middle * len(y)).astype(int), len(y) - 1)
    return width @ np.square(x[at_x] - y[at_y])


def _covariance_root(rows: np.ndarray) -> np.ndarray:
    """A with AᵀA = the unbiased covariance, and no more rows than features."""
    centred = (rows - rows.mean(0)) / np.sqrt(len(rows) - 1)
    return np.asarray(np.linalg.qr(centred, mode="r")) if len(rows) > rows.shape[1] else centred


def _kernel_sum(x: np.ndarray, y: np.ndarray) -> float:
    """Σᵢⱼ k(xᵢ, yⱼ), a block of rows at a time."""
    total = 0.0
    for start in range(0, len(x), ROWS):
        inner = x[start : start + ROWS] @ y.T / x.shape[1] + 1
        total += float((inner * inner * inner).sum())
    return total


def _kernel_diagonal(x: np.ndarray) -> float:
    """Σᵢ k(xᵢ, xᵢ)."""
    return float(((np.square(x).sum(1) / x.shape[1] + 1) ** 3).sum())
