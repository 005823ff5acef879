"""Signs of trouble, by hand."""

import numpy as np
import pytest

from sansheng.metrics.health import active_units, lost_classes, mode_share


def test_active_units_are_those_whose_means_vary() -> None:
    wave = np.array([1.0, -1.0] * 50)
    assert active_units(np.stack([wave, 0.05 * wave, 0 * wave + 3], axis=1)) == 1
    assert active_units(np.stack([wave, 0.2 * wave], axis=1)) == 2
    assert active_units(np.stack([wave, 0.2 * wave], axis=1), threshold=0.05) == 1


def test_shares_of_classes() -> None:
    assert mode_share(np.array([0, 2, 2, 2]), 4).tolist() == [0.25, 0, 0.75, 0]
    with pytest.raises(ValueError, match=r"must be in 0 .. 2, got 0 .. 3"):
        mode_share(np.array([0, 3]), 3)
    with pytest.raises(ValueError, match="no predictions"):
        mode_share(np.array([], dtype=int), 3)


def test_a_class_is_lost_if_it_hardly_comes_where_it_should() -> None:
    real = np.repeat([0, 1, 2], [50, 40, 10])
    predictions = np.repeat([0, 1, 2], [950, 39, 11])
    assert lost_classes(predictions, real, 4) == [1]
    assert lost_classes(predictions, real, 4, share=0.2) == [1, 2]
    assert lost_classes(real, real, 4) == []
