"""StackedMNIST's modes: by hand, and the floor against draws."""

import numpy as np
import pytest

from sansheng.metrics.stacked import modes_and_kl, sampling_floor


def test_all_modes_equally_often_are_at_zero() -> None:
    labels = np.stack(np.unravel_index(np.arange(1000), (10, 10, 10)), axis=1)
    assert modes_and_kl(labels) == (1000, 1000, pytest.approx(0, abs=1e-12))


def test_one_mode_is_at_the_logarithm_of_all() -> None:
    assert modes_and_kl(np.full((7, 3), 4)) == (1, 1000, pytest.approx(np.log(1000)))


def test_half_the_modes_are_at_log_two() -> None:
    labels = np.array([[a, b] for a in (0, 1) for b in range(4)])
    assert modes_and_kl(labels, 4) == (8, 16, pytest.approx(np.log(2)))


@pytest.mark.parametrize(("n", "classes", "channels"), [(26_000, 10, 3), (300, 4, 3), (5, 3, 2)])
def test_the_floor_is_what_uniform_draws_score(n: int, classes: int, channels: int) -> None:
    rng = np.random.default_rng(0)
    found = [modes_and_kl(rng.integers(0, classes, (n, channels)), classes) for _ in range(40)]
    floor = sampling_floor(n, classes, channels)
    assert np.mean([f.modes for f in found]) == pytest.approx(floor.modes, rel=0.03)
    assert np.mean([f.kl for f in found]) == pytest.approx(floor.kl, rel=0.06)


def test_the_floor_of_the_benchmark() -> None:
    """Of 26,000 samples, known to be about 0.019."""
    assert sampling_floor(26_000).kl == pytest.approx(0.0193, abs=3e-4)


@pytest.mark.parametrize("labels", [np.zeros((0, 3), int), np.full((2, 3), 10), np.full((2, 3), -1)])
def test_labels_that_cannot_be_are_refused(labels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="labels"):
        modes_and_kl(labels)
