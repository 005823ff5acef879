"""Image features: good enough to name held-out digits, the same every time, blind to how they are batched."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from sansheng.metrics import image
from sansheng.metrics.image import ImageFeatures, fit_classifier_features, fit_transform_features, transform


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(train images, train labels, test images, test labels)."""
    bunch = load_digits()
    images = np.round(bunch.images * 255 / 16).astype(np.uint8)[..., None]
    order = np.random.default_rng(0).permutation(len(images))
    train, test = order[:1350], order[1350:]
    return images[train], bunch.target[train], images[test], bunch.target[test]


@pytest.fixture(scope="module")
def features(digits) -> ImageFeatures:
    return fit_classifier_features(digits[0], digits[1], seed=0)


def test_held_out_digits_are_named(features: ImageFeatures, digits) -> None:
    assert features.accuracy(digits[2], digits[3]) > 0.95


def test_features_are_standardised_on_training_images(features: ImageFeatures, digits) -> None:
    found = features(digits[0])
    assert found.shape == (1350, 64)
    assert found.mean(0) == pytest.approx(np.zeros(64), abs=1e-3)
    assert found.std(0) == pytest.approx(np.ones(64), abs=1e-2)


def test_the_batch_size_changes_nothing(features: ImageFeatures, digits, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = features(digits[2])
    monkeypatch.setattr(image, "CHUNK", 13)
    assert features(digits[2]) == pytest.approx(whole, abs=1e-4)


def test_same_seed_same_features_and_no_global_randomness(digits) -> None:
    images, labels = digits[0][:200], digits[1][:200]
    torch.manual_seed(0)
    one = fit_classifier_features(images, labels, seed=3, max_steps=5)(images)
    state = torch.get_rng_state()
    torch.manual_seed(1)
    again = fit_classifier_features(images, labels, seed=3, max_steps=5)(images)
    other = fit_classifier_features(images, labels, seed=4, max_steps=5)(images)
    assert np.array_equal(one, again)
    assert not np.allclose(one, other)
    torch.manual_seed(0)
    assert torch.equal(state, torch.get_rng_state())


def test_class_names_of_any_kind_come_back(digits) -> None:
    keep = np.flatnonzero(digits[1] < 2)[:100]
    images, names = digits[0][keep], np.array(["zero", "one"])[digits[1][keep]]
    found = fit_classifier_features(images, names, seed=0, max_steps=40)
    assert found.classes.tolist() == ["one", "zero"]
    assert found.accuracy(images, names) > 0.9


def test_transformations_are_the_eight_of_the_square() -> None:
    """The same as numpy's: bit 0 mirrors, bit 1 turns by 180°, bit 2 transposes."""
    picture = torch.arange(9, dtype=torch.uint8).reshape(1, 3, 3, 1)
    found = transform(picture.repeat(8, 1, 1, 1), torch.arange(8))[..., 0].numpy()
    start = picture[0, ..., 0].numpy()
    assert np.array_equal(found[0], start)
    assert np.array_equal(found[1], np.fliplr(start))
    assert np.array_equal(found[2], np.rot90(start, 2))
    assert np.array_equal(found[7], np.rot90(np.fliplr(start), 2).T)
    assert len({f.tobytes() for f in found}) == 8


def test_images_without_labels_learn_how_they_were_turned(digits) -> None:
    found = fit_transform_features(digits[0], seed=0, max_steps=200)
    upright = found.accuracy(digits[2], np.zeros(len(digits[2]), dtype=int))
    assert upright > 3 / 8  # chance is 1/8, and 0, 1 and 8 look alike in several positions
    turned = transform(torch.from_numpy(digits[2]), torch.full((len(digits[2]),), 2)).numpy()
    assert found.accuracy(turned, np.full(len(turned), 2)) > 3 / 8


@pytest.mark.parametrize("shape", [(4, 4, 1), (5, 31, 3), (130, 200, 3)])
def test_images_of_any_size_are_taken(shape: tuple[int, int, int]) -> None:
    """Bright against dark, with either kind of side and any number of channels."""
    labels = np.arange(40) % 2
    images = np.random.default_rng(0).integers(0, 100, (40, *shape)) + 120 * labels[:, None, None, None]
    found = fit_classifier_features(images.astype(np.uint8), labels, seed=0, max_steps=20)
    assert found.accuracy(images.astype(np.uint8), labels) > 0.9
    assert fit_transform_features(images.astype(np.uint8), seed=0, max_steps=1)(images.astype(np.uint8)).shape == (
        40,
        64,
    )


def test_images_that_do_not_fit_are_refused(features: ImageFeatures, digits) -> None:
    with pytest.raises(ValueError, match=r"trained on images of shape \(8, 8, 1\), got \(8, 9, 1\)"):
        features(np.zeros((2, 8, 9, 1), dtype=np.uint8))
    with pytest.raises(ValueError, match="at least 4 x 4"):
        fit_transform_features(np.zeros((2, 3, 8, 1), dtype=np.uint8), seed=0)
    with pytest.raises(ValueError, match="labels of at least two classes"):
        fit_classifier_features(digits[0][:9], np.zeros(9), seed=0)
