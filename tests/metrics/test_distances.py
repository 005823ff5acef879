"""Distances against closed forms, against other implementations, and against themselves in other blocks."""

import numpy as np
import pytest
from scipy import linalg, stats

from sansheng.metrics import distances
from sansheng.metrics.checks import feature_pair
from sansheng.metrics.distances import frechet, kernel_distance, mind, mind_interval, sliced_wasserstein


def clouds(n: int, m: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two correlated, shifted clouds."""
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((2, width, width))
    return rng.standard_normal((n, width)) @ mixing[0], rng.standard_normal((m, width)) @ mixing[1] + 0.7


def whitened(n: int, width: int, seed: int) -> np.ndarray:
    """Rows whose sample mean is exactly 0 and sample covariance exactly the identity."""
    rows = np.random.default_rng(seed).standard_normal((n, width))
    rows -= rows.mean(0)
    return np.linalg.qr(rows)[0] * np.sqrt(n - 1)


@pytest.mark.parametrize(("n", "m", "width"), [(300, 200, 6), (50, 400, 17)])
def test_frechet_is_the_formula_with_a_matrix_square_root(n: int, m: int, width: int) -> None:
    real, fake = clouds(n, m, width)
    a, b = np.cov(real, rowvar=False), np.cov(fake, rowvar=False)
    root = linalg.sqrtm(a @ b).real
    expected = np.square(real.mean(0) - fake.mean(0)).sum() + np.trace(a + b - 2 * root)
    assert frechet(real, fake) == pytest.approx(expected, rel=1e-8)


def test_frechet_of_known_gaussians() -> None:
    """Diagonal covariances: Σ (μ₁ − μ₂)² + (σ₁ − σ₂)²."""
    one, other = np.array([1.0, 2.0, 0.5]), np.array([3.0, 2.0, 0.0])
    shift = np.array([0.0, -1.0, 2.0])
    real, fake = whitened(100, 3, 0) * one, whitened(80, 3, 1) * other + shift
    assert frechet(real, fake) == pytest.approx(np.square(shift).sum() + np.square(one - other).sum(), rel=1e-9)


def test_frechet_with_fewer_rows_than_features() -> None:
    real, fake = clouds(8, 9, 20)
    a, b = np.cov(real, rowvar=False), np.cov(fake, rowvar=False)
    root_a = linalg.sqrtm(a + 1e-13 * np.eye(20)).real
    cross = np.sqrt(np.clip(np.linalg.eigvalsh(root_a @ b @ root_a), 0, None)).sum()
    expected = np.square(real.mean(0) - fake.mean(0)).sum() + np.trace(a) + np.trace(b) - 2 * cross
    assert frechet(real, fake) == pytest.approx(expected, rel=1e-4)
    assert frechet(real, real) == pytest.approx(0, abs=1e-10)


def test_frechet_is_biased_upwards_by_one_over_n() -> None:
    """What the docstring warns of: real data are at a distance that halves as rows double."""
    rng = np.random.default_rng(2)
    means = [np.mean([frechet(*rng.standard_normal((2, n, 5))) for _ in range(40)]) for n in (100, 400)]
    assert means[0] > 0.05
    assert means[0] / means[1] == pytest.approx(4, rel=0.25)


def naive_mmd(x: np.ndarray, y: np.ndarray) -> float:
    """The unbiased estimator, pair by pair."""

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return (float(a @ b) / len(a) + 1) ** 3

    same = [np.mean([kernel(a, b) for i, a in enumerate(z) for j, b in enumerate(z) if i != j]) for z in (x, y)]
    return float(same[0] + same[1] - 2 * np.mean([kernel(a, b) for a in x for b in y]))


def test_kernel_distance_is_the_unbiased_mmd_with_the_cubic_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = clouds(30, 23, 5)
    expected = naive_mmd(real, fake)
    assert kernel_distance(real, fake) == pytest.approx(expected, rel=1e-10)
    monkeypatch.setattr(distances, "ROWS", 7)
    assert kernel_distance(real, fake) == pytest.approx(expected, rel=1e-10)


def test_kernel_distance_is_unbiased() -> None:
    rng = np.random.default_rng(3)
    values = [kernel_distance(*rng.standard_normal((2, 20, 3))) for _ in range(400)]
    assert min(values) < 0
    assert abs(np.mean(values)) < 3 * stats.sem(values)


@pytest.mark.parametrize("m", [40, 60])
def test_sliced_wasserstein_on_the_line_is_the_quantile_distance(m: int) -> None:
    """One feature leaves one direction: repeat each row until both have as many, sort, and compare."""
    rng = np.random.default_rng(4)
    x, y = rng.standard_normal(40), rng.exponential(size=m)
    long_x, long_y = np.sort(np.repeat(x, 120 // 40)), np.sort(np.repeat(y, 120 // m))
    expected = np.sqrt(np.square(long_x - long_y).mean())
    assert sliced_wasserstein(x[:, None], y[:, None], rng, directions=3) == pytest.approx(expected)


def test_sliced_wasserstein_of_a_shift() -> None:
    """A shift by d is seen as |θ·d|, whose mean square over directions is |d|² / F."""
    rng = np.random.default_rng(5)
    x = rng.standard_normal((50, 4))
    found = sliced_wasserstein(x, x + np.array([3.0, 0, 0, 0]), rng, directions=20_000)
    assert found == pytest.approx(3 / 2, rel=0.02)


def test_features_that_no_metric_can_use_are_refused() -> None:
    good = np.zeros((4, 3))
    bad = good.copy()
    bad[2, 1] = np.nan
    with pytest.raises(ValueError, match="1 of 4 rows, first in row 2"):
        frechet(good, bad)
    with pytest.raises(ValueError, match="needs at least 2"):
        kernel_distance(good, good[:1])
    with pytest.raises(ValueError, match="3 features and fake 2"):
        feature_pair(good, good[:, :2])


def test_mind_of_a_shift_is_three_times_its_square() -> None:
    """A shift by d along a random unit direction: E (θ · d)² = |d|² / F."""
    rng = np.random.default_rng(0)
    real, shift = rng.standard_normal((500, 6)), np.array([1.0, -2, 0, 0.5, 0, 0])
    assert mind(real, real + shift, rng, directions=20_000) == pytest.approx(3 * shift @ shift, rel=0.03)
    assert mind(real, real[::-1], rng) == 0


def test_mind_is_sliced_wasserstein_squared_times_three_features() -> None:
    real, fake = clouds(70, 50, 4)
    value = mind(real, fake, np.random.default_rng(7), directions=100)
    sliced = sliced_wasserstein(real, fake, np.random.default_rng(7), directions=100)
    assert value == pytest.approx(12 * sliced**2)


def test_mind_sees_shapes_that_frechet_does_not() -> None:
    """Two clouds of equal means and covariances, one of them in two lumps."""
    rng = np.random.default_rng(1)
    lumps = whitened(2000, 2, 0)
    lumps[:, 0] = np.sign(lumps[:, 0])
    lumps = (lumps - lumps.mean(0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(lumps, rowvar=False))).T
    plain = whitened(2000, 2, 5)
    assert frechet(plain, lumps) == pytest.approx(0, abs=1e-9)
    assert mind(plain, lumps, rng) > 10 * mind(plain, whitened(2000, 2, 6), rng)


def test_the_interval_of_mind_covers_repeated_draws() -> None:
    rng = np.random.default_rng(2)
    far = [mind(rng.standard_normal((300, 3)), rng.standard_normal((300, 3)) + 0.5, rng) for _ in range(60)]
    inside = 0
    for _ in range(40):
        found = mind_interval(rng.standard_normal((300, 3)), rng.standard_normal((300, 3)) + 0.5, rng, directions=300)
        inside += found.low <= np.mean(far) <= found.high
    assert inside >= 32


def test_mind_wants_a_direction() -> None:
    with pytest.raises(ValueError, match="directions"):
        mind(np.eye(3), np.eye(3), np.random.default_rng(0), directions=0)
