"""Features of images by a small convolutional network trained on the data at hand: to name their labels, or, without
labels, to name how an image was turned and mirrored.

The one constraint: the same images, labels and seed give the same features; nothing depends on the clock.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Shaped, UInt8
from torch import Tensor

from sansheng.metrics.convnet import FEATURES, ConvNet, train_network

CHUNK = 512
"""Images looked at together when features are taken."""
SMALLEST = 4
"""Pixels a side must have."""
LARGEST = 64
"""Sides of twice this and more are averaged down, to less than twice this, before the network looks."""


class ImageFeatures:
    """A trained network as a function: ``features(images) -> (N, 64)`` float32, standardised on the training images."""

    def __init__(self, network: ConvNet, images: np.ndarray, classes: np.ndarray) -> None:
        self.network = network
        self.shape = images.shape[1:]
        self.classes = classes
        """What class index i stands for."""
        raw = self._features(images)
        self._mean, self._scale = raw.mean(0), raw.std(0) + 1e-6

    def __call__(self, images: UInt8[np.ndarray, "N H W C"]) -> Float[np.ndarray, "N F"]:
        """Features of images of the size trained on. Raises ValueError for another shape or type."""
        return (self._features(images) - self._mean) / self._scale

    def predict(self, images: UInt8[np.ndarray, "N H W C"]) -> Int[np.ndarray, " N"]:
        """The likeliest class index of each image. Raises ValueError as above."""
        with torch.no_grad():
            return self.network.logits(torch.from_numpy(self._features(images))).argmax(1).numpy()

    def accuracy(self, images: UInt8[np.ndarray, "N H W C"], labels: Shaped[np.ndarray, " N"]) -> float:
        """Share of images whose label is named, in [0, 1]; give it images not trained on."""
        return float((self.classes[self.predict(images)] == labels).mean())

    def _features(self, images: np.ndarray) -> np.ndarray:
        """As the network gives them, ``(N, 64)``."""
        _check(images, self.shape)
        parts = [np.empty((0, FEATURES), np.float32)]
        with torch.no_grad():
            for start in range(0, len(images), CHUNK):
                parts.append(self.network.features(_shrink(images[start : start + CHUNK])).numpy())
        return np.concatenate(parts)


def fit_classifier_features(
    images: UInt8[np.ndarray, "N H W C"],
    labels: Shaped[np.ndarray, " N"],
    *,
    seed: int,
    max_steps: int | None = None,
) -> ImageFeatures:
    """Train a small network to name the labels, with small shifts of the images, and return its features.

    Steps follow from the number and size of the images (at most 20 passes; seconds to a minute on one core), or
    `max_steps` if that is fewer. H, W >= 4. Raises ValueError for other shapes or types, or labels of one class only
    (use `fit_transform_features` then).
    """
    _check(images)
    classes, indices = np.unique(labels, return_inverse=True)
    if len(indices) != len(images):
        raise ValueError(f"{len(images)} images but {len(indices)} labels")
    if len(classes) < 2:
        raise ValueError("a classifier needs labels of at least two classes; without them use fit_transform_features")
    pixels, targets = _shrink(images), torch.from_numpy(indices.astype(np.int64))

    def draw(index: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return _shift(pixels[index], generator), targets[index]

    network = train_network(_shape(pixels), len(images), len(classes), draw, seed=seed, max_steps=max_steps)
    return ImageFeatures(network, images, classes)


def fit_transform_features(
    images: UInt8[np.ndarray, "N H W C"], *, seed: int, max_steps: int | None = None
) -> ImageFeatures:
    """Train a small network to name which transformation was applied, and return its features.

    A square image is turned and mirrored in one of 8 ways, another one in one of 4 (after Gidaris et al. 2018).
    Steps and errors as for `fit_classifier_features`. `predict` names the transformation, 0 being none.
    """
    _check(images)
    kinds = 8 if images.shape[1] == images.shape[2] else 4
    pixels = _shrink(images)

    def draw(index: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        target = torch.randint(kinds, (len(index),), generator=generator)
        return transform(_shift(pixels[index], generator), target), target

    network = train_network(_shape(pixels), len(images), kinds, draw, seed=seed, max_steps=max_steps)
    return ImageFeatures(network, images, np.arange(kinds))


def transform(images: Tensor, kind: Tensor) -> Tensor:
    """Each image ``(H, W, C)`` changed in its own way: bit 0 mirrors, bit 1 turns by 180°, bit 2 transposes."""
    images = images.clone()
    for bit, change in enumerate((_mirror, _turn, _transpose)):
        chosen = (kind >> bit & 1).bool()
        if chosen.any():
            images[chosen] = change(images[chosen])
    return images


def _mirror(images: Tensor) -> Tensor:
    return images.flip(2)


def _turn(images: Tensor) -> Tensor:
    return images.flip((1, 2))


def _transpose(images: Tensor) -> Tensor:
    return images.transpose(1, 2)


def _shift(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each image moved by up to a fourteenth of its side, at least a pixel, its border repeated."""
    n, height, width, _ = images.shape
    rows, columns = (_shifted(n, side, generator) for side in (height, width))
    return images[torch.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]


def _shifted(n: int, side: int, generator: torch.Generator) -> Tensor:
    """``(n, side)``: where each row comes from."""
    reach = max(1, side // 14)
    by = torch.randint(-reach, reach + 1, (n, 1), generator=generator)
    return (torch.arange(side) + by).clamp(0, side - 1)


def _shrink(images: np.ndarray) -> Tensor:
    """uint8 images with large sides averaged down, by whole factors."""
    pool = (max(1, images.shape[1] // LARGEST), max(1, images.shape[2] // LARGEST))
    if pool == (1, 1):
        return torch.from_numpy(images.copy())
    parts = [torch.from_numpy(images[i : i + CHUNK].copy()) for i in range(0, len(images), CHUNK)]
    means = (F.avg_pool2d(part.permute(0, 3, 1, 2).float(), pool) for part in parts)
    return torch.cat([mean.round().to(torch.uint8).permute(0, 2, 3, 1) for mean in means]).contiguous()


def _shape(images: Tensor) -> tuple[int, int, int]:
    return images.shape[1], images.shape[2], images.shape[3]


def _check(images: np.ndarray, shape: tuple[int, ...] | None = None) -> None:
    if images.dtype != np.uint8 or images.ndim != 4:
        raise ValueError(f"images must be uint8 of shape (N, H, W, C), got {images.dtype} {images.shape}")
    if shape is None and (len(images) == 0 or min(images.shape[1:3]) < SMALLEST):
        raise ValueError(f"images must be at least one, of at least {SMALLEST} x {SMALLEST} pixels, got {images.shape}")
    if shape is not None and images.shape[1:] != shape:
        raise ValueError(f"these features were trained on images of shape {shape}, got {images.shape[1:]}")
