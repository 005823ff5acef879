"""Is the model handing back its training data?

The one constraint: nearness to training rows means nothing by itself, since good samples are near real data; it is
always set against nearness to as many held-out rows, which the model never saw.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from jaxtyping import Float, Num

from sansheng.metrics.checks import feature_pair, features, subsample
from sansheng.metrics.neighbours import nearest


def copying(
    train: Num[np.ndarray, "N F"],
    held_out: Num[np.ndarray, "H F"],
    fake: Num[np.ndarray, "M F"],
    generator: np.random.Generator,
) -> float:
    """Share of fakes nearer to training than to held-out data, in [0, 1]; ½ for fresh draws, 1 for replayed training.

    The larger of `train` and `held_out` is first subsampled to the size of the smaller; a tie counts one half
    (the test statistic of Meehan et al. 2020 in its simplest form, as "DCR share" in work on tables).
    Raises ValueError for an empty array, unequal numbers of features, NaN or inf.
    """
    return float(nearer_to_train(train, held_out, fake, generator).mean())


def nearer_to_train(
    train: Num[np.ndarray, "N F"],
    held_out: Num[np.ndarray, "H F"],
    fake: Num[np.ndarray, "M F"],
    generator: np.random.Generator,
) -> Float[np.ndarray, " M"]:
    """For each fake 1 if it is nearer to training, 0 if to held-out data, ½ for a tie: what `copying` averages."""
    size = min(len(train), len(held_out))
    train = subsample(features("train", train), size, generator)
    held_out = subsample(features("held_out", held_out), size, generator)
    (train, fake), (held_out, _) = feature_pair(train, fake), feature_pair(held_out, fake)
    to_train, to_held_out = nearest(fake, train), nearest(fake, held_out)
    tie = np.isclose(to_train, to_held_out, rtol=1e-9, atol=0.0)
    return np.where(tie, 0.5, (to_train < to_held_out).astype(float))


def copied_rows(train: Num[np.ndarray, "N F"], fake: Num[np.ndarray, "M F"], tolerance: float = 0.0) -> float:
    """Share of fakes within `tolerance` [feature units] of a training row, in [0, 1]. Raises ValueError as above."""
    train, fake = feature_pair(train, fake)
    return float((nearest(fake, train) <= tolerance**2).mean())


def copied_share(train: Sequence[Hashable], fake: Sequence[Hashable]) -> float:
    """Share of fakes (lines of text, rows as tuples) that stand in `train` exactly, in [0, 1].

    Raises ValueError if `fake` is empty.
    """
    return float(is_copy(train, fake).mean())


def is_copy(train: Sequence[Hashable], fake: Sequence[Hashable]) -> Float[np.ndarray, " M"]:
    """For each fake 1 if it stands in `train`: what `copied_share` averages. Raises ValueError if `fake` is empty."""
    if not fake:
        raise ValueError("there are no samples to look for in the training data")
    known = set(train)
    return np.array([float(item in known) for item in fake])
