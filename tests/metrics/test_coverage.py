"""Neighbourhood scores against loops over every pair."""

import numpy as np
import pytest

from sansheng.metrics.coverage import coverage, density, modes, neighbourhoods, precision, recall
from sansheng.metrics.neighbours import distance_blocks, nearest


def naive(real: np.ndarray, fake: np.ndarray, k: int) -> tuple[float, float, float, float]:
    """(precision, recall, density, coverage), by definition."""

    def distance(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.sqrt(((a - b) ** 2).sum()))

    def radius(cloud: np.ndarray, i: int) -> float:
        return sorted(distance(cloud[i], cloud[j]) for j in range(len(cloud)) if j != i)[k - 1]

    real_radii = [radius(real, i) for i in range(len(real))]
    fake_radii = [radius(fake, j) for j in range(len(fake))]
    balls = [[distance(r, f) <= reach for r, reach in zip(real, real_radii, strict=True)] for f in fake]
    recalled = [any(distance(r, f) <= reach for f, reach in zip(fake, fake_radii, strict=True)) for r in real]
    covered = [any(row[i] for row in balls) for i in range(len(real))]
    return (
        float(np.mean([any(row) for row in balls])),
        float(np.mean(recalled)),
        float(np.mean([sum(row) / k for row in balls])),
        float(np.mean(covered)),
    )


def clouds(n: int = 40, m: int = 30, shift: float = 0.8) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, 3)), 0.7 * rng.standard_normal((m, 3)) + shift


@pytest.mark.parametrize("k", [1, 3, 5])
def test_scores_are_their_definitions(k: int) -> None:
    real, fake = clouds()
    found = precision(real, fake, k), recall(real, fake, k), density(real, fake, k), coverage(real, fake, k)
    assert found == pytest.approx(naive(real, fake, k))
    assert min(found) > 0
    assert len(set(found)) == 4


def test_block_size_changes_nothing() -> None:
    real, fake = clouds(70, 50)
    whole = neighbourhoods(real, fake, rows=1000)
    for rows in (1, 7, 64):
        parts = neighbourhoods(real, fake, rows=rows)
        assert all(np.array_equal(getattr(whole, f), getattr(parts, f)) for f in vars(whole))


def test_ties_are_inside_whatever_the_rounding() -> None:
    """On a grid with a spacing that binary fractions cannot hold, nearly every distance is a tie."""
    grid = np.stack(np.meshgrid(*[np.arange(6)] * 2), -1).reshape(-1, 2)
    moved = neighbourhoods(0.1 * grid + 0.3, 0.1 * grid[::2] + 0.3, 3, rows=5)
    exact = neighbourhoods(grid, grid[::2], 3)
    assert all(np.array_equal(getattr(moved, f), getattr(exact, f)) for f in vars(exact))
    assert exact.means() == pytest.approx(naive(grid.astype(float), grid[::2].astype(float), 3))


def test_real_data_score_as_they_should() -> None:
    """Density about 1, coverage 1 − Π (N − i) / (2N − i) ≈ 1 − 2⁻ᵏ, for two samples of one distribution."""
    rng = np.random.default_rng(1)
    real, fake = rng.standard_normal((2, 800, 2))
    assert density(real, fake) == pytest.approx(1, abs=0.08)
    assert coverage(real, fake) == pytest.approx(1 - 2**-5, abs=0.03)


def test_lost_modes_cost_recall_and_junk_costs_precision() -> None:
    rng = np.random.default_rng(2)
    two = np.concatenate([rng.standard_normal((100, 2)), rng.standard_normal((100, 2)) + 50])
    one, junk = rng.standard_normal((200, 2)), rng.standard_normal((200, 2)) - 500
    assert recall(two, one) == pytest.approx(0.5, abs=0.02)
    assert coverage(two, one) <= 0.5
    assert precision(two, one) > 0.9
    assert (precision(two, junk), density(two, junk), coverage(two, junk)) == (0, 0, 0)


def test_equal_rows_are_at_distance_zero_far_from_the_origin() -> None:
    rows = np.random.default_rng(3).standard_normal((20, 5)) + 1e6
    assert np.array_equal(nearest(rows, rows), np.zeros(20))
    for block in (1, 6, 100):
        squared = np.concatenate([part for _, part in distance_blocks(rows, rows, block)])
        assert squared == pytest.approx(((rows[:, None] - rows) ** 2).sum(-1), abs=1e-8)


def test_modes_by_hand() -> None:
    centres = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    samples = np.array([[0.2, 0.0], [0.0, 0.29], [0.31, 0.0], [10.0, 0.1], [0.0, 11.0]])
    assert modes(samples, centres, 0.1) == (2, 3 / 5)
    assert modes(samples, centres, np.array([0.1, 0.01, 0.5])) == (2, 3 / 5)


def test_modes_of_perfect_samples() -> None:
    """A Gaussian in the plane stays within 3 sd with probability 1 − exp(−4.5) = 98.9 %."""
    rng = np.random.default_rng(4)
    centres = 10.0 * rng.permutation(25)[:, None] * np.ones(2)
    samples = centres[rng.integers(25, size=20_000)] + 0.05 * rng.standard_normal((20_000, 2))
    covered, good = modes(samples, centres, 0.05)
    assert covered == 25
    assert good == pytest.approx(1 - np.exp(-4.5), abs=0.003)


def test_numbers_that_cannot_be_are_refused() -> None:
    real, fake = clouds()
    with pytest.raises(ValueError, match="k must be at least 1"):
        precision(real, fake, 0)
    with pytest.raises(ValueError, match="needs at least 6"):
        neighbourhoods(real, fake[:5])
    with pytest.raises(ValueError, match="sd must be positive"):
        modes(fake, real[:3], 0.0)
