"""Copying: ½ for fresh draws, 1 for replayed training, whatever the sizes."""

import numpy as np
import pytest

from sansheng.metrics import memory
from sansheng.metrics.memory import closest_pairs, copied_rows, copied_share, copying, nearer_to_train


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def naive(train: np.ndarray, held_out: np.ndarray, fake: np.ndarray) -> np.ndarray:
    """Distances pair by pair, samples of equal size."""

    def closest(cloud: np.ndarray) -> np.ndarray:
        return np.sqrt(((fake[:, None] - cloud) ** 2).sum(-1)).min(1)

    a, b = closest(train), closest(held_out)
    return np.where(a == b, 0.5, a < b)


def test_equals_the_definition() -> None:
    train, held_out, fake = rng().standard_normal((3, 60, 3))
    fake[:5], fake[5:9] = train[:5], held_out[:4]
    found = nearer_to_train(train, held_out, fake, rng(1))
    assert np.array_equal(found, naive(train, held_out, fake))
    assert found[:9].tolist() == [1] * 5 + [0] * 4


@pytest.mark.parametrize(("n_train", "n_held_out"), [(1500, 1500), (3000, 500), (500, 3000)])
def test_fresh_draws_score_one_half_whatever_the_sizes(n_train: int, n_held_out: int) -> None:
    values = []
    for seed in range(5):
        draw = rng(seed)
        train, held_out, fake = (draw.standard_normal((n, 4)) for n in (n_train, n_held_out, 1000))
        values.append(copying(train, held_out, fake, draw))
    assert np.mean(values) == pytest.approx(0.5, abs=0.04)


def test_replayed_training_of_which_a_share_is_kept_scores_half_and_half_of_that() -> None:
    train, held_out = rng(1).normal(size=(4000, 6)), rng(2).normal(size=(1000, 6))
    assert copying(train, held_out, train, rng()) == pytest.approx(0.5 + 0.25 / 2, abs=0.03)


def test_replayed_training_scores_one_and_replayed_held_out_zero() -> None:
    train, held_out = rng().standard_normal((2, 400, 4))
    assert copying(train, held_out, train, rng()) == 1
    assert copying(train, held_out, held_out, rng()) == 0


def test_what_stands_in_both_is_a_tie() -> None:
    both = rng().integers(0, 2, (300, 3)).astype(float)
    assert copying(both, both[::-1].copy(), both, rng()) == 0.5


def test_copied_rows_counts_within_the_tolerance() -> None:
    train = np.array([[0.0, 0.0], [3.0, 4.0]])
    fake = np.array([[0.0, 0.0], [3.0, 4.1], [9.0, 9.0], [3.0, 4.0]])
    assert copied_rows(train, fake) == 2 / 4
    assert copied_rows(train, fake, tolerance=0.11) == 3 / 4


def test_copied_share_of_lines_and_of_rows() -> None:
    assert copied_share(["anna", "bert"], ["anna", "anna", "bertha", "carl"]) == 2 / 4
    assert copied_share([(1, "a")], [(1, "a"), (1, "b")]) == 1 / 2
    with pytest.raises(ValueError, match="no samples"):
        copied_share(["anna"], [])


def test_closest_pairs_are_those_of_all_distances(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "CHUNK", 7)
    monkeypatch.setattr(memory, "ROWS", 3)
    train, held_out, fake = (rng(i).standard_normal((n, 4)) for i, n in enumerate((50, 20, 31)))
    found = closest_pairs(train, held_out, fake)
    for rows, index, distance in (
        (train, found.train, found.to_train),
        (held_out, found.held_out, found.to_held_out),
    ):
        every = np.linalg.norm(fake[:, None] - rows, axis=2)
        assert np.array_equal(index, every.argmin(1))
        np.testing.assert_allclose(distance, every.min(1), rtol=1e-9)


def test_of_equally_near_rows_the_first_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "CHUNK", 2)
    rows = np.array([[5.0], [1.0], [9.0], [1.0], [1.0]])
    assert closest_pairs(rows, rows, np.array([[1.0]])).train.tolist() == [1]


def test_suspects_are_copies_first() -> None:
    train, held_out = np.array([[0.0], [10.0]]), np.array([[2.0], [20.0]])
    fake = np.array([[1.0], [10.0], [2.0], [9.0]])
    found = closest_pairs(train, held_out, fake)
    assert found.suspects(2).tolist() == [1, 3]
    assert found.suspects(9).tolist() == [1, 3, 0, 2]
    assert found.suspects(0).tolist() == []


def test_pairs_of_what_cannot_be_compared_are_refused() -> None:
    with pytest.raises(ValueError, match="row"):
        closest_pairs(np.zeros((3, 2)), np.array([[0.0, 1], [np.nan, 0]]), np.zeros((3, 2)))
