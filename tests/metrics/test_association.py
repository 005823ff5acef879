"""Associations by hand and against scikit-learn and scipy."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats.contingency import association as scipy_association
from sklearn.feature_selection import f_classif

from sansheng.metrics.association import associations


def test_associations_are_pearson_cramer_and_the_correlation_ratio() -> None:
    draw = np.random.default_rng(0)
    level = draw.integers(0, 3, 4000)
    other = np.where(draw.random(4000) < 0.7, level, draw.integers(0, 3, 4000))
    x, y = level + draw.standard_normal(4000), draw.standard_normal(4000)
    frame = pd.DataFrame({"x": x, "y": y - x, "a": level.astype(str), "b": other.astype(str)})
    found = associations(frame)
    assert np.array_equal(found, found.T)
    assert found[0, 1] == pytest.approx(np.corrcoef(x, y - x)[0, 1])
    table = pd.crosstab(frame["a"], frame["b"]).to_numpy()
    assert found[2, 3] == pytest.approx(float(scipy_association(table, method="cramer")), abs=0.005)
    f = f_classif(x[:, None], level)[0][0]
    assert found[0, 2] == pytest.approx(np.sqrt(2 * f / (2 * f + 3997)), abs=0.005)


def test_unrelated_columns_of_many_levels_are_at_nearly_zero() -> None:
    """Without correction both would be about 0.3."""
    draw = np.random.default_rng(1)
    frame = pd.DataFrame({"a": draw.integers(0, 20, 200).astype(str), "b": draw.integers(0, 20, 200).astype(str)})
    frame["x"] = draw.standard_normal(200)
    found = associations(frame)
    assert np.abs(found[np.triu_indices(3, 1)]).max() < 0.15


def test_missing_rows_do_not_count_and_constants_have_no_association() -> None:
    frame = pd.DataFrame(
        {"a": ["u", "v", "u", "v", None], "b": ["s", "t", "s", "t", "s"], "c": ["k"] * 5, "x": [1.0] * 5}
    )
    found = associations(frame)
    assert found[0, 1] == pytest.approx(1)
    assert np.isnan(found[0, 2])
    assert np.isnan(found[1, 3])
