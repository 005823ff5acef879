"""Is the model handing back its training data?

The one constraint: nearness to training rows means nothing by itself, since good samples are near real data; it is
always set against nearness to as many held-out rows, which the model never saw.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Num

from sansheng.metrics.checks import feature_pair, features, subsample
from sansheng.metrics.neighbours import distance_blocks, nearest

CHUNK = 4096
"""Rows looked at together when the closest pairs are sought."""
ROWS = 512
"""Fakes held against a chunk at once."""


@dataclass(frozen=True)
class ClosestPairs:
    """For each fake the nearest training row and the nearest held-out row, and how far they are [feature units].

    With many more training rows than held-out ones the nearest of them is nearer by numbers alone: `copying`, which
    takes equally many, says whether there is copying, and this only where to look.
    """

    train: Int[np.ndarray, " M"]
    to_train: Float[np.ndarray, " M"]
    held_out: Int[np.ndarray, " M"]
    to_held_out: Float[np.ndarray, " M"]

    def suspects(self, count: int) -> Int[np.ndarray, " K"]:
        """The `count` fakes most like copies, the most so first: nearest to training against nearest to held-out data.

        Ordered by the ratio of the two distances, then by the distance to training; fewer if there are fewer fakes.
        """
        ratio = np.where(self.to_train > 0, np.inf, 1.0)  # where a held-out row is met exactly
        np.divide(self.to_train, self.to_held_out, out=ratio, where=self.to_held_out > 0)
        return np.lexsort((self.to_train, ratio))[: max(0, count)]


def closest_pairs(
    train: Num[np.ndarray, "N F"], held_out: Num[np.ndarray, "H F"], fake: Num[np.ndarray, "M F"]
) -> ClosestPairs:
    """The nearest training row and the nearest held-out row of each fake, for a report to show side by side.

    Of equally near rows the first counts. Memory is that of a few thousand rows, however many there are.
    Raises ValueError for an empty array, unequal numbers of features, NaN or inf.
    """
    (train_at, to_train), (held_out_at, to_held_out) = (
        _closest("train", train, fake),
        _closest("held_out", held_out, fake),
    )
    return ClosestPairs(train_at, to_train, held_out_at, to_held_out)


def closest(
    rows: Float[np.ndarray, "N F"], fake: Float[np.ndarray, "M F"]
) -> tuple[Int[np.ndarray, " M"], Float[np.ndarray, " M"]]:
    """(place of the nearest row, squared distance to it) of each fake; of equally near rows the first counts."""
    index, best = np.zeros(len(fake), dtype=np.int64), np.full(len(fake), np.inf)
    for start in range(0, len(rows), CHUNK):
        for where, squared in distance_blocks(fake, rows[start : start + CHUNK].astype(np.float64), ROWS):
            at = squared.argmin(1)
            found = squared[np.arange(len(at)), at]
            nearer = found < best[where]
            index[where] = np.where(nearer, at + start, index[where])
            best[where] = np.where(nearer, found, best[where])
    return index, best


def copying(
    train: Num[np.ndarray, "N F"],
    held_out: Num[np.ndarray, "H F"],
    fake: Num[np.ndarray, "M F"],
    generator: np.random.Generator,
) -> float:
    """Share of fakes nearer to training than to held-out data, in [0, 1]; ½ for fresh draws.

    The larger of `train` and `held_out` is first subsampled to the size of the smaller; a tie counts one half. Replayed
    training data score ½ + k/2 where a share k of the training rows is kept: 1 only if none has to be left out (the
    test statistic of Meehan et al. 2020 in its simplest form, as "DCR share" in work on tables).
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


def _closest(name: str, rows: np.ndarray, fake: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(index, distance) of the row nearest to each fake, a chunk of either at a time."""
    features(name, rows[:1])
    features("fake", fake[:1])
    if rows.shape[1] != fake.shape[1]:
        raise ValueError(f"{name} has {rows.shape[1]} features and fake {fake.shape[1]}; they must be the same")
    for label, values in ((name, rows), ("fake", fake)):
        if not all(np.isfinite(values[i : i + CHUNK]).all() for i in range(0, len(values), CHUNK)):
            features(label, values)  # says which row
    parts = [closest(rows, fake[i : i + CHUNK].astype(np.float64)) for i in range(0, len(fake), CHUNK)]
    index, squared = (np.concatenate(column) for column in zip(*parts, strict=True))
    return index, np.sqrt(squared)
