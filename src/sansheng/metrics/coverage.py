"""Do the samples look real (precision, density), and is all of the real data there (recall, coverage, modes)?

A sample is "within" the other cloud if it lies in the ball around one of its rows that reaches that row's k-th nearest
neighbour. The one constraint: the values depend on the number of rows, so compare them at equal sizes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Num, Shaped

from sansheng.metrics.checks import feature_pair, features
from sansheng.metrics.neighbours import ROWS, distance_blocks, own_radii

K = 5
"""The neighbour that sets the radius of a ball."""


@dataclass(frozen=True)
class Neighbourhoods:
    """One number for each row, whose means are the four scores: `precision` and `density` ``(M,)`` over fakes,
    `recall` and `coverage` ``(N,)`` over reals."""

    precision: Shaped[np.ndarray, " M"]
    density: Shaped[np.ndarray, " M"]
    recall: Shaped[np.ndarray, " N"]
    coverage: Shaped[np.ndarray, " N"]

    def means(self) -> np.ndarray:
        """(precision, recall, density, coverage)."""
        return np.array([self.precision.mean(), self.recall.mean(), self.density.mean(), self.coverage.mean()])


def neighbourhoods(
    real: Num[np.ndarray, "N F"], fake: Num[np.ndarray, "M F"], k: int = K, *, rows: int = ROWS
) -> Neighbourhoods:
    """What the four scores are means of, from one pass over the distances, `rows` fakes at a time.

    Raises ValueError for k < 1, no more than k rows in either, unequal numbers of features, NaN or inf.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    real, fake = feature_pair(real, fake, least=k + 1)
    real_radii, fake_radii = own_radii(real, k, rows), own_radii(fake, k, rows)
    inside = np.zeros(len(fake), dtype=int)
    recalled = np.zeros(len(real), dtype=bool)
    covered = np.zeros(len(real), dtype=bool)
    for where, squared in distance_blocks(fake, real, rows):
        in_real_ball = squared <= real_radii
        inside[where] = in_real_ball.sum(1)
        covered |= in_real_ball.any(0)
        recalled |= (squared <= fake_radii[where, None]).any(0)
    return Neighbourhoods(inside > 0, inside / k, recalled, covered)


def precision(real: Num[np.ndarray, "N F"], fake: Num[np.ndarray, "M F"], k: int = K) -> float:
    """Share of fakes within the real cloud, in [0, 1]; higher is better (Kynkäänniemi et al. 2019, eq. 1-2)."""
    return float(neighbourhoods(real, fake, k).precision.mean())


def recall(real: Num[np.ndarray, "N F"], fake: Num[np.ndarray, "M F"], k: int = K) -> float:
    """Share of reals within the fake cloud, in [0, 1]; higher is better (Kynkäänniemi et al. 2019, eq. 1-2)."""
    return float(neighbourhoods(real, fake, k).recall.mean())


def density(real: Num[np.ndarray, "N F"], fake: Num[np.ndarray, "M F"], k: int = K) -> float:
    """Real balls around a fake, over k, averaged over fakes; >= 0, about 1 for real data (Naeem et al. 2020, (5))."""
    return float(neighbourhoods(real, fake, k).density.mean())


def coverage(real: Num[np.ndarray, "N F"], fake: Num[np.ndarray, "M F"], k: int = K) -> float:
    """Share of real balls that hold a fake, in [0, 1]; about 1 − 2⁻ᵏ for real data (Naeem et al. 2020, (6))."""
    return float(neighbourhoods(real, fake, k).coverage.mean())


def modes(
    samples: Num[np.ndarray, "N F"], centres: Num[np.ndarray, "K F"], sd: Float[np.ndarray, " K"] | float
) -> tuple[int, float]:
    """(modes covered, share of high-quality samples in [0, 1]) of a known mixture.

    A sample is of high quality if it is within 3 `sd` of its nearest centre, and a mode is covered by at least one
    such sample (Lin et al. 2018, PacGAN, section 4.1). Raises ValueError for `sd` <= 0, unequal columns, NaN or inf.
    """
    samples, centres = feature_pair(features("samples", samples), features("centres", centres))
    if np.any(np.asarray(sd) <= 0):
        raise ValueError(f"sd must be positive, not {sd}")
    squared = np.concatenate([block for _, block in distance_blocks(samples, centres)])
    closest = squared.argmin(1)
    reach = 9 * np.square(np.broadcast_to(sd, len(centres)))
    good = squared[np.arange(len(samples)), closest] <= reach[closest]
    return len(np.unique(closest[good])), float(good.mean())
