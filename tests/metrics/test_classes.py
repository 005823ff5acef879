"""Classes: their balance by hand and against chance, and the distance within each."""

import numpy as np
import pytest

from sansheng.metrics.classes import class_distances, class_imbalance, imbalance_floor
from sansheng.metrics.distances import frechet


def test_imbalance_is_the_share_that_would_have_to_change_class() -> None:
    real, fake = np.array([0, 0, 1, 1]), np.array([0, 0, 0, 0, 0, 1, 1, 2])
    assert class_imbalance(real, fake, 3) == pytest.approx(1 / 4)
    assert class_imbalance(real, real, 3) == 0
    assert class_imbalance(np.zeros(5, int), np.ones(9, int), 2) == 1


@pytest.mark.parametrize("share", [[0.1] * 10, [0.7, 0.2, 0.1]])
def test_the_floor_is_what_fresh_draws_score(share: list[float]) -> None:
    rng = np.random.default_rng(0)
    classes, real = len(share), np.repeat(np.arange(len(share)), np.round(np.array(share) * 4000).astype(int))
    found = []
    for _ in range(300):
        fresh = [rng.choice(classes, size=n, p=share) for n in (len(real), 1000)]
        found.append(class_imbalance(*fresh, classes))
    assert np.mean(found) == pytest.approx(imbalance_floor(real, 1000, classes), rel=0.05)


def test_each_class_is_held_against_its_own() -> None:
    rng = np.random.default_rng(1)
    real, fake = rng.standard_normal((300, 3)), rng.standard_normal((300, 3))
    of_real, of_fake = np.arange(300) % 2, np.arange(300) % 2
    fake[of_fake == 1] += 2
    zero, one = class_distances(real, of_real, fake, of_fake, 2)
    assert zero.distance == pytest.approx(frechet(real[::2], fake[::2]))
    assert (zero.label, zero.real, zero.fake) == (0, 150, 150)
    assert one.distance is not None
    assert one.distance == pytest.approx(12, rel=0.2)


def test_a_class_of_few_rows_has_no_distance() -> None:
    rows, labels = np.random.default_rng(2).standard_normal((40, 4)), np.array([0] * 33 + [1] * 7)
    assert [c.distance is None for c in class_distances(rows, labels, rows, labels, 3)] == [False, True, True]
    assert class_distances(rows, labels, rows, labels, 2, least=7)[1].distance == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("labels", "least", "says"), [([0, 3], 2, "class indices"), ([0, 1], 1, "least")])
def test_what_cannot_be_is_refused(labels: list[int], least: int | None, says: str) -> None:
    rows = np.eye(2)
    with pytest.raises(ValueError, match=says):
        class_distances(rows, np.array(labels), rows, np.array(labels), 2, least=least)
