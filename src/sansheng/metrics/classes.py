"""Are the classes of the data there in their shares, and is each of them good?

The one constraint: classes are integer labels that a network predicted of both real and fake rows alike, so what it
gets wrong is wrong on either side.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Int, Num

from sansheng.metrics.checks import feature_pair
from sansheng.metrics.distances import frechet
from sansheng.metrics.health import mode_share


class ClassDistance(NamedTuple):
    """One class: how many rows it has on either side, and their Frechet distance, None where there are too few."""

    label: int
    real: int
    fake: int
    distance: float | None


def class_imbalance(real: Int[np.ndarray, " N"], fake: Int[np.ndarray, " M"], n_classes: int) -> float:
    """Total variation distance between the shares of the classes, in [0, 1]; lower is better.

    ½ Σ |pᵢ − qᵢ|: the share of fakes that would have to change class. Raises ValueError for no labels of either kind
    or one outside 0 .. n_classes − 1.
    """
    return float(np.abs(mode_share(real, n_classes) - mode_share(fake, n_classes)).sum() / 2)


def imbalance_floor(real: Int[np.ndarray, " N"], fakes: int, n_classes: int) -> float:
    """About what `class_imbalance` is of `fakes` fresh draws with the shares of `real`, for chance alone; in [0, 1].

    ½ Σ √(2 pᵢ (1 − pᵢ) (1/N + 1/M) / π), each count being near normal. Raises ValueError as above or for no fakes.
    """
    if fakes < 1:
        raise ValueError(f"fakes must be at least 1, not {fakes}")
    share = mode_share(real, n_classes)
    variance = share * (1 - share) * (1 / len(real) + 1 / fakes)
    return min(1.0, float(np.sqrt(2 * variance / np.pi).sum() / 2))


def class_distances(
    real: Num[np.ndarray, "N F"],
    real_labels: Int[np.ndarray, " N"],
    fake: Num[np.ndarray, "M F"],
    fake_labels: Int[np.ndarray, " M"],
    n_classes: int,
    *,
    least: int | None = None,
) -> list[ClassDistance]:
    """The Frechet distance within each class of 0 .. n_classes − 1 [squared feature units]; lower is better.

    A class with fewer than `least` rows on either side has None: by default twice as many as features, below which the
    bias outweighs the distance. Raises ValueError as `frechet` does, for labels that are not one a row or outside
    their range, or for `least` below 2.
    """
    real, fake = feature_pair(real, fake)
    enough = 2 * real.shape[1] if least is None else least
    if enough < 2:
        raise ValueError(f"least must be at least 2, not {least}")
    for rows, labels in ((real, real_labels), (fake, fake_labels)):
        if len(rows) != len(labels):
            raise ValueError(f"{len(rows)} rows but {len(labels)} labels")
        mode_share(labels, n_classes)  # refuses labels outside the range
    return [_one_class(real[real_labels == c], fake[fake_labels == c], c, enough) for c in range(n_classes)]


def _one_class(real: np.ndarray, fake: np.ndarray, label: int, least: int) -> ClassDistance:
    enough = min(len(real), len(fake)) >= least
    return ClassDistance(label, len(real), len(fake), frechet(real, fake) if enough else None)
