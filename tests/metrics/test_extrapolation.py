"""The bias of the Frechet distance: found where it is known."""

import numpy as np
import pytest

from sansheng.metrics.distances import frechet
from sansheng.metrics.extrapolation import frechet_debiased, frechet_infinity, parts_of


def test_real_data_come_to_about_zero() -> None:
    values, corrected = [], []
    for seed in range(15):
        rng = np.random.default_rng(seed)
        found = frechet_debiased(rng.standard_normal((400, 8)), rng.standard_normal((400, 8)), rng)
        assert found.bias == found.value - found.infinity
        values.append(found.value)
        corrected.append(found.infinity)
    assert np.mean(values) > 0.1
    assert abs(np.mean(corrected)) < 0.15 * np.mean(values)


def test_infinitely_many_fakes_keep_the_bias_of_the_real_rows_alone() -> None:
    """Against a hundred times as many fakes, which is nearly n = ∞."""
    rng = np.random.default_rng(3)
    real, fakes = rng.standard_normal((300, 6)), rng.standard_normal((40_000, 6))
    found = [frechet_infinity(real, fakes[i : i + 400], rng) for i in range(0, 8000, 400)]
    infinity, few = np.mean([f.infinity for f in found]), np.mean([f.value for f in found])
    assert abs(infinity - frechet(real, fakes)) < 0.3 * (few - frechet(real, fakes))


def test_a_distance_that_is_there_stays() -> None:
    rng = np.random.default_rng(4)
    found = frechet_debiased(rng.standard_normal((2000, 4)), rng.standard_normal((2000, 4)) + 1, rng)
    assert found.infinity == pytest.approx(4, rel=0.05)


def test_too_few_rows_are_refused() -> None:
    rows = np.random.default_rng(5).standard_normal((63, 8))
    with pytest.raises(ValueError, match="at least 64 rows"):
        frechet_infinity(rows, rows, np.random.default_rng(0))


def test_parts_are_equal_and_do_not_overlap() -> None:
    parts = parts_of(np.arange(11)[:, None], 3)
    assert [part.ravel().tolist() for part in parts] == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
