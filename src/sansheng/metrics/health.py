"""Signs that a model has given up on part of its job: units that carry nothing, classes that never come.

The one constraint: pure functions of what was measured; what to say about it is the caller's affair.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int, Num


def active_units(means: Num[np.ndarray, "N D"], threshold: float = 0.01) -> int:
    """Latent units that carry anything: those whose posterior mean varies over the data by more than `threshold`.

    A_u = Var_x(E_{q(u|x)}[u]) > threshold  (Burda et al. 2015, section 5.2). Zero is a collapsed posterior.
    """
    return int((means.astype(np.float64).var(axis=0) > threshold).sum())


def mode_share(predictions: Int[np.ndarray, " N"], n_classes: int) -> Float[np.ndarray, " K"]:
    """Share of samples predicted to be of each class, ``(n_classes,)``, summing to 1.

    Raises ValueError for no predictions, or one outside 0 .. n_classes − 1.
    """
    if not len(predictions):
        raise ValueError("there are no predictions to count")
    if predictions.min() < 0 or predictions.max() >= n_classes:
        raise ValueError(
            f"class indices must be in 0 .. {n_classes - 1}, got {predictions.min()} .. {predictions.max()}"
        )
    return np.bincount(predictions, minlength=n_classes) / len(predictions)


def lost_classes(
    predictions: Int[np.ndarray, " N"], real: Int[np.ndarray, " M"], n_classes: int, *, share: float = 0.1
) -> list[int]:
    """Classes that come less often than `share` times as often as in `real` predictions. Raises as `mode_share`."""
    given, expected = mode_share(predictions, n_classes), mode_share(real, n_classes)
    return np.flatnonzero((expected > 0) & (given < share * expected)).tolist()
