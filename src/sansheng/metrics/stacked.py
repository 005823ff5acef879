"""Modes of StackedMNIST: pictures of several channels, each with a class of its own, so K classes make K³ modes.

The one constraint: the real distribution is uniform over all modes, as the benchmark draws it (Metz et al. 2017; Lin et
al. 2018, section 4.2).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Int
from scipy import stats


class StackedModes(NamedTuple):
    """Modes met, of how many, and the Kullback-Leibler divergence of their histogram to the uniform one [nats]."""

    modes: float
    of: int
    kl: float


def modes_and_kl(labels: Int[np.ndarray, "N C"], n_classes: int = 10) -> StackedModes:
    """Modes met at least once and KL(histogram ‖ uniform) = ln Kᶜ − H, in [0, ln Kᶜ] nats, of predicted labels.

    `labels` holds the class of each of the C channels (three in the benchmark). Even perfect samples are at
    `sampling_floor`. Raises ValueError for no rows or a label outside 0 .. n_classes − 1.
    """
    if not len(labels):
        raise ValueError("there are no labels to count")
    if labels.min() < 0 or labels.max() >= n_classes:
        raise ValueError(f"labels must be in 0 .. {n_classes - 1}, got {labels.min()} .. {labels.max()}")
    of = n_classes ** labels.shape[1]
    places = n_classes ** np.arange(labels.shape[1], dtype=np.int64)
    counts = np.unique(labels.astype(np.int64) @ places, return_counts=True)[1]
    share = counts / len(labels)
    return StackedModes(len(counts), of, max(0.0, float(np.log(of) + (share * np.log(share)).sum())))


def sampling_floor(n: int, n_classes: int = 10, channels: int = 3) -> StackedModes:
    """What `modes_and_kl` is on average of `n` draws from the uniform distribution itself.

    With M = Kᶜ and X ~ Binomial(n, 1/M): M (1 − (1 − 1/M)ⁿ) modes and ln M + M E[(X/n) ln (X/n)] nats, which is about
    (M − 1) / 2n once every mode has come several times. Raises ValueError for n, K or C below 1.
    """
    if min(n, n_classes, channels) < 1:
        raise ValueError(f"n, n_classes and channels must be at least 1, not {n}, {n_classes} and {channels}")
    of = n_classes**channels
    counts = np.arange(1, n + 1)
    negative_entropy = of * float(np.sum(stats.binom.pmf(counts, n, 1 / of) * counts / n * np.log(counts / n)))
    return StackedModes(of * float(stats.binom.sf(0, n, 1 / of)), of, max(0.0, float(np.log(of)) + negative_entropy))
