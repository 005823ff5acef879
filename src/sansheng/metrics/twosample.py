"""Can a strong classifier tell real rows from generated ones?

The one constraint: a row and its few exact copies are always judged together, by a classifier that saw none of them,
so that replayed data scores as real data and not as its opposite. A row of which there are many copies (a cell of a
table of categories, a collapsed generator's one sample) is a lasting property of its distribution, and is learnt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Num
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from sansheng.metrics.checks import feature_pair, subsample

FOLDS = 5
FEW = 20
"""At most so many equal rows are copies of one another, and fewer where there are few rows (`_few`); the classifier's
smallest leaf holds as many rows."""


@dataclass(frozen=True)
class TwoSample:
    """Area under the curve, its standard error, and how many rows of each kind were told apart."""

    auc: float
    standard_error: float
    n: int


def two_sample_auc(
    real: Num[np.ndarray, "N F"], fake: Num[np.ndarray, "M F"], generator: np.random.Generator, *, limit: int = 2000
) -> TwoSample:
    """Out-of-fold AUC of gradient boosting told real from fake; about 0.5 if it cannot, 1 if it always can.

    Five-fold cross-validation on the same number of rows of each kind, at most `limit` (Lopez-Paz & Oquab 2017). The
    standard error is that of Hanley & McNeil (1982) at the AUC found; it holds the classifiers fixed. Columns that are
    categories come as numbers (one-hot or ordinal).
    Raises ValueError for fewer than 10 rows of either kind, unequal numbers of features, NaN or inf.
    """
    real, fake = feature_pair(real, fake, least=2 * FOLDS)
    n = min(len(real), len(fake), limit)
    rows = np.concatenate([subsample(real, n, generator), subsample(fake, n, generator)])
    is_real = np.repeat([True, False], n)
    fold = _folds(rows, is_real, generator)
    score = np.empty(len(rows))
    with threadpool_limits(1, user_api="openmp"):  # so few rows: threads would only wait for one another
        for k in range(FOLDS):
            judge = _judge(int(generator.integers(2**31)), _few(n)).fit(rows[fold != k], is_real[fold != k])
            score[fold == k] = judge.predict_proba(rows[fold == k])[:, 1]
    auc = float(roc_auc_score(is_real, score))
    return TwoSample(auc, hanley_mcneil(auc, n, n), n)


def hanley_mcneil(auc: float, positives: int, negatives: int) -> float:
    """Standard error of an area under the curve in [0, 1] (Hanley & McNeil 1982, eq. 1)."""
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    spread = auc * (1 - auc) + (positives - 1) * (q1 - auc**2) + (negatives - 1) * (q2 - auc**2)
    return float(np.sqrt(max(spread, 0.0) / (positives * negatives)))


def _few(n: int) -> int:
    """`FEW`, but of fewer than 100 rows of each kind a fifth, so that a few rows too can be split and told apart."""
    return max(2, min(FEW, n // FOLDS))


def _judge(seed: int, smallest_leaf: int) -> HistGradientBoostingClassifier:
    never: Any = False  # sklearn's stubs know only "auto"
    return HistGradientBoostingClassifier(
        max_iter=100, max_leaf_nodes=15, max_bins=63, min_samples_leaf=smallest_leaf, early_stopping=never,
        random_state=seed,
    )  # fmt: skip


def _folds(rows: np.ndarray, is_real: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The fold of each row: few equal rows share one; each fold has its share of groups only real, fake and both.

    What counts as few is never more than a fifth of a kind, so that every classifier sees both kinds.
    """
    _, group, size = np.unique(rows, axis=0, return_inverse=True, return_counts=True)
    group = group.ravel()
    common = size[group] > _few(len(rows) // 2)
    group[common] = len(size) + np.arange(common.sum())
    group = np.unique(group, return_inverse=True)[1]
    kind = np.zeros(group.max() + 1, dtype=int)
    np.bitwise_or.at(kind, group, np.where(is_real, 1, 2))
    order = np.lexsort((generator.random(len(kind)), kind))
    fold_of_group = np.empty(len(kind), dtype=int)
    fold_of_group[order] = np.arange(len(kind)) % FOLDS
    return fold_of_group[group]
