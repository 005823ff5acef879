"""Can a synthetic table stand in for the real one: train on it, test on real rows.

The one constraint: the test rows are real and were seen neither by the model under test nor by its data's codec.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from sansheng.metrics.bootstrap import Interval, bootstrap
from sansheng.metrics.table import as_numbers, is_numeric, series

LEVELS = 254
"""Levels of a category that boosting tells apart; rarer ones count as missing."""
FEW = 10
"""A column of at most so many different numbers is taken for a class."""
ROUNDS = 60
"""Bootstrap samples of the test rows that an interval is made of."""


@dataclass(frozen=True)
class Usefulness:
    """AUC (one class against the rest, averaged over the classes in the test rows) or R2, and the test rows.

    measures: AUC, accuracy and F1 (averaged over the classes) of classes; R2 and RMSE [units of the target] of numbers;
    each with its interval over test rows, where a generator was given.
    """

    measure: Literal["AUC", "R2"]
    value: float
    n: int
    measures: dict[str, Interval]


def usefulness(
    train: pd.DataFrame, test: pd.DataFrame, target: str, *, generator: np.random.Generator | None = None
) -> Usefulness:
    """How well gradient boosting trained on `train` (synthetic, or real to compare) predicts `target` in `test` (real).

    A numeric target of more than ten different values is regressed (R2), any other is classified (AUC). Rows without
    a target are left out. Higher is better. (Esteban et al. 2017, "train on synthetic, test on real".)
    generator: for intervals, by bootstrap of the test rows; they hold the predictor fixed.
    Raises ValueError if `target` or another column is not in both, or if either has no row with a target.
    """
    _check(train, test, target)
    train, test = train.dropna(subset=[target]), test.dropna(subset=[target])
    inputs = [c for c in test.columns if c != target]
    encoded = [_encode(series(train, c), series(test, c)) for c in inputs]
    x_train, x_test = np.column_stack([e[0] for e in encoded]), np.column_stack([e[1] for e in encoded])
    options: dict[str, Any] = {
        "categorical_features": np.array([not is_numeric(series(test, c)) for c in inputs]),
        "early_stopping": False,
        "random_state": 0,
    }
    y_train, y_test = series(train, target), series(test, target)
    with threadpool_limits(1, user_api="openmp"):
        if is_numeric(y_test) and y_test.nunique() > FEW:
            judge = HistGradientBoostingRegressor(**options).fit(x_train, as_numbers(y_train))
            measures = _of_numbers(as_numbers(y_test), judge.predict(x_test))
            return _result("R2", measures, len(test), generator)
        classes, wanted = _class_names(y_train), _class_names(y_test)
        seen, probability = _fit_predict(HistGradientBoostingClassifier(**options), x_train, classes, x_test)
        return _result("AUC", _of_classes(wanted, probability, seen), len(test), generator)


def choose_target(train: pd.DataFrame, given: str | None = None) -> str | None:
    """The column to predict: the one given; else the last one that is a class of 2 to 20 levels; else the last number.

    The last, since that is where tables keep what they are about. None where there is none or no other column.
    """
    if train.shape[1] < 2:
        return None
    if given is not None and given in train.columns:
        return given
    names = [str(c) for c in train.columns][::-1]
    classes = [c for c in names if 2 <= series(train, c).nunique() <= (FEW if is_numeric(series(train, c)) else 20)]
    numbers = [c for c in names if is_numeric(series(train, c)) and series(train, c).nunique() > FEW]
    return next(iter([*classes, *numbers]), None)


Measure = Callable[[np.ndarray], float]


def _result(
    kind: Literal["AUC", "R2"], measures: dict[str, Measure], n: int, generator: np.random.Generator | None
) -> Usefulness:
    """Each measure over all test rows, with its interval if there is a generator."""
    rows = np.arange(n)
    values = {name: function(rows) for name, function in measures.items()}
    found = {name: Interval(value, value, value) for name, value in values.items()}
    if generator is not None:
        found = {
            name: bootstrap(function, rows, generator=generator, rounds=ROUNDS) for name, function in measures.items()
        }
    return Usefulness(kind, values[kind], n, found)


def _of_numbers(wanted: np.ndarray, predicted: np.ndarray) -> dict[str, Measure]:
    def r2(rows: np.ndarray) -> float:
        spread = float(np.square(wanted[rows] - wanted[rows].mean()).sum())
        return 1 - float(np.square(wanted[rows] - predicted[rows]).sum()) / spread if spread > 0 else 0.0

    return {"R2": r2, "RMSE": lambda rows: float(np.sqrt(np.square(wanted[rows] - predicted[rows]).mean()))}


def _of_classes(wanted: np.ndarray, probability: np.ndarray, seen: list[str]) -> dict[str, Measure]:
    """Written out, since a call of scikit-learn's costs more than what it computes, and there are hundreds."""
    names, codes = np.unique([*seen, *wanted], return_inverse=True)
    known, truth = codes[: len(seen)], codes[len(seen) :]
    predicted = known[probability.argmax(1)]
    column = np.full(len(names), -1)
    column[known] = np.arange(len(seen))
    return {
        "AUC": lambda rows: _auc(truth[rows], probability[rows], column),
        "accuracy": lambda rows: float((truth[rows] == predicted[rows]).mean()),
        "F1": lambda rows: _f1(truth[rows], predicted[rows], len(names)),
    }


def _f1(truth: np.ndarray, predicted: np.ndarray, classes: int) -> float:
    """2 TP / (2 TP + FP + FN), averaged over the classes that occur among the truths or the predictions."""
    hits = np.bincount(truth[truth == predicted], minlength=classes)
    both = np.bincount(truth, minlength=classes) + np.bincount(predicted, minlength=classes)
    return float((2 * hits[both > 0] / both[both > 0]).mean())


def _check(train: pd.DataFrame, test: pd.DataFrame, target: str) -> None:
    if target not in test.columns:
        raise ValueError(f"no target column {target!r}; there are: {', '.join(map(str, test.columns))}")
    if set(train.columns) != set(test.columns):
        raise ValueError("train and test must have the same columns")
    if len(test.columns) < 2:
        raise ValueError("there is no column to predict the target from")
    if series(train, target).isna().all() or series(test, target).isna().all():
        raise ValueError(f"column {target!r} is empty in the training or the test rows")


def _encode(train: pd.Series, test: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Numbers as they are; categories as codes by how often they come in `train`, NaN for rare and unknown ones.

    A column of which `train` knows nothing is 0 throughout: boosting cannot bin it.
    """
    if train.isna().all():
        return np.zeros(len(train)), np.zeros(len(test))
    if is_numeric(test):
        return as_numbers(train), as_numbers(test)
    common = {level: float(i) for i, level in enumerate(train.astype(object).value_counts().index[:LEVELS])}
    a, b = (column.astype(object).map(common).to_numpy(dtype=np.float64, na_value=np.nan) for column in (train, test))
    return a, b


def _class_names(column: pd.Series) -> np.ndarray:
    """Classes as text, a whole number in the same way whether it is stored as an integer or not."""
    values: list[Any] = column.tolist()
    return np.array([str(int(v)) if isinstance(v, float) and v.is_integer() else str(v) for v in values])


def _fit_predict(
    judge: HistGradientBoostingClassifier, x_train: np.ndarray, y_train: np.ndarray, x_test: np.ndarray
) -> tuple[list[str], np.ndarray]:
    """(classes seen in training, their probabilities of each test row); certainty where there is but one."""
    seen = np.unique(y_train).tolist()
    if len(seen) < 2:
        return seen, np.ones((len(x_test), 1))
    return seen, judge.fit(x_train, y_train).predict_proba(x_test)


def _auc(truth: np.ndarray, probability: np.ndarray, column: np.ndarray) -> float:
    """Mean over test classes of the AUC of one against the rest: ½ for a class never seen in training.

    column: of each class its place in `probability`, −1 for one never seen.
    """
    wanted = np.unique(truth)
    if probability.shape[1] < 2 or len(wanted) < 2:
        return 0.5
    if len(wanted) == 2 and (column[wanted] >= 0).all():
        wanted = wanted[1:]
    areas = [_area(truth == c, probability[:, column[c]]) if column[c] >= 0 else 0.5 for c in wanted]
    return float(np.mean(areas))


def _area(positive: np.ndarray, scores: np.ndarray) -> float:
    """Share of (positive, negative) pairs in the right order, ties half (Mann & Whitney 1947)."""
    hits = int(positive.sum())
    return float((rankdata(scores)[positive].sum() - hits * (hits + 1) / 2) / (hits * (len(scores) - hits)))
