"""Errors of a table by hand, and whether it can stand in for the real one."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics

from sansheng.metrics.table import TableComparison, table_errors
from sansheng.metrics.usefulness import _of_classes, choose_target, usefulness


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def mixed(n: int, seed: int = 0) -> pd.DataFrame:
    """A number, one that follows it, a category that follows both, and missing values."""
    draw = rng(seed)
    x = draw.standard_normal(n)
    y = 0.8 * x + 0.6 * draw.standard_normal(n)
    c = np.where(x + y + 0.5 * draw.standard_normal(n) > 0, "high", "low")
    return pd.DataFrame({"x": x, "y": np.where(draw.random(n) < 0.1, np.nan, y), "c": c})


def test_numbers_are_compared_by_kolmogorov_smirnov() -> None:
    a, b = rng().standard_normal(80), rng(1).exponential(size=50)
    found = table_errors(pd.DataFrame({"x": [*a, np.nan]}), pd.DataFrame({"x": b}))
    assert found.columns["x"] == pytest.approx(100 * stats.ks_2samp(a, b).statistic)
    assert (found.shape, found.trend, found.pairs) == (found.columns["x"], 0, {})


def test_categories_are_compared_by_total_variation_of_what_is_there() -> None:
    real = pd.DataFrame({"c": ["a", "a", "b", None], "d": [True, False, True, True]})
    fake = pd.DataFrame({"c": ["a", "z", None, None], "d": [True, True, True, True]})
    found = table_errors(real, fake)
    assert found.columns == pytest.approx({"c": 100 * (1 / 6 + 1 / 3 + 1 / 2) / 2, "d": 25})
    assert found.shape == pytest.approx((50 + 25) / 2)
    assert found.missing == {"c": 25, "d": 0}
    assert found.pairs[("c", "d")] == pytest.approx(50), "missing is a level of a pair"


def test_two_numbers_are_compared_by_correlation() -> None:
    real = pd.DataFrame({"x": [1.0, 2, 3, 4, np.nan], "y": [1.0, 3, 2, 4, 9]})
    fake = pd.DataFrame({"x": [1.0, 2, 3], "y": [3.0, 2, 1]})
    assert table_errors(real, fake).pairs == pytest.approx({("x", "y"): 100 * abs(0.8 - -1) / 2})


def test_a_constant_has_no_correlation_and_its_pair_does_not_count() -> None:
    real = pd.DataFrame({"x": [1.0, 2, 3], "y": [1.0, 2, 3], "z": [3.0, 2, 1]})
    found = table_errors(real, real.assign(y=7.0, z=real["x"]))
    assert np.isnan(found.pairs[("x", "y")])
    assert found.trend == pytest.approx(100)


def test_two_categories_are_compared_by_their_joint_table() -> None:
    """The same margins, and nothing in common."""
    real = pd.DataFrame({"c": ["a", "b"], "d": ["u", "v"]})
    fake = pd.DataFrame({"d": ["v", "u"], "c": ["a", "b"]})
    assert table_errors(real, fake).pairs == {("c", "d"): 100}
    assert table_errors(real, fake).shape == 0


def test_a_number_beside_a_category_is_put_into_ten_bins_of_its_range() -> None:
    """The largest is a bin of its own, with what lies above and what is missing."""
    real = pd.DataFrame({"x": np.arange(0.0, 11), "c": ["a"] * 11})
    fake = pd.DataFrame({"x": [0.5, 9.2, 10.0, -1, 11, np.nan], "c": ["a"] * 6})
    p = np.array([0.0] + [1] * 11) / 11  # below, bins, the rest
    by_real = np.array([1.0, 1] + [0] * 8 + [1, 3]) / 6
    by_own = np.array([0.0, 1, 1] + [0] * 6 + [1, 1, 2]) / 6  # 1.2 wide, from -1
    found = table_errors(real, fake, bins="real"), table_errors(real, fake)
    for errors, q in zip(found, (by_real, by_own), strict=True):
        assert errors.pairs[("x", "c")] == pytest.approx(50 * np.abs(p - q).sum())


def test_a_constant_number_has_a_bin_of_its_own() -> None:
    real = pd.DataFrame({"x": [5.0] * 4, "c": ["a"] * 4})
    assert table_errors(real, real.assign(x=[4.0, 5, 6, np.nan]), bins="real").trend == pytest.approx(75)
    assert table_errors(real, real.assign(x=9.0)).trend == 0


def test_an_empty_column_differs_from_a_full_one_and_not_from_itself() -> None:
    full, empty = (pd.DataFrame({"x": x, "c": ["a"] * 2}) for x in ([1.0, 2.0], [np.nan, np.nan]))
    assert table_errors(full, empty).columns["x"] == 100
    assert table_errors(empty, empty).shape == 0


def test_many_levels_are_counted_by_what_occurs(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = (pd.DataFrame(rng(s).integers(0, 9, (200, 2)).astype(str), columns=["c", "d"]) for s in (0, 1))
    dense = table_errors(real, fake)
    monkeypatch.setattr("sansheng.metrics.table.DENSE_CELLS", 5)
    assert table_errors(real, fake) == dense


def test_dates_are_numbers_and_numbers_can_be_categories() -> None:
    days = pd.DataFrame({"t": pd.to_datetime(["2020-01-01", "2020-01-02"]), "k": [1, 2]})
    later = days.assign(t=days["t"] + pd.Timedelta(days=1), k=[2, 3])
    assert table_errors(days, later).columns == {"t": 50, "k": 50}
    assert table_errors(days, later, categorical=["k"]).columns["k"] == 50
    assert table_errors(days, days.assign(k=[1, 9]), categorical=["k"]).trend == 50


def test_dates_no_nanosecond_can_count_are_compared() -> None:
    real = pd.DataFrame({"until": pd.array(["2024-01-01", "9999-12-31"] * 5, dtype="datetime64[s]")})
    assert table_errors(real, real).shape == 0
    assert table_errors(real, real.iloc[::2]).shape == pytest.approx(50)


def test_rows_of_a_comparison_are_as_tables_of_these_rows() -> None:
    real, fake = mixed(60), mixed(40, 1)
    some, others = np.arange(0, 60, 2), np.arange(5, 35)
    values = TableComparison(real, fake).overall(some, others)
    part = table_errors(real.iloc[some], fake.iloc[others])
    assert values[0] == pytest.approx(part.shape)
    assert table_errors(real, real).trend == 0
    assert table_errors(real, fake).trend == pytest.approx(
        TableComparison(real, fake).overall(*map(np.arange, (60, 40)))[1]
    )


def test_tables_that_do_not_match_are_refused() -> None:
    real = mixed(20)
    with pytest.raises(ValueError, match="only one of them has y"):
        table_errors(real, real.drop(columns="y"))
    with pytest.raises(ValueError, match="need rows and columns"):
        table_errors(real, real[:0])
    with pytest.raises(TypeError, match="'x' holds numbers in the real table"):
        table_errors(real, real.assign(x="a"))
    with pytest.raises(ValueError, match="not there: q"):
        table_errors(real, real, categorical=["q"])


# -- usefulness ------------------------------------------------------------------------------------------------


def test_real_rows_predict_and_shuffled_columns_do_not() -> None:
    train, test = mixed(600), mixed(400, 1)
    draw = rng(2)
    shuffled = pd.DataFrame({c: draw.permutation(train[c]) for c in train.columns})
    good, bad = usefulness(train, test, "c"), usefulness(shuffled, test, "c")
    assert (good.measure, good.n) == ("AUC", 400)
    assert good.value > 0.85
    assert bad.value == pytest.approx(0.5, abs=0.15)


def test_a_number_is_regressed_on_rows_that_have_it() -> None:
    train, test = mixed(600), mixed(400, 1)
    found = usefulness(train, test, "y")
    assert (found.measure, found.n) == ("R2", test["y"].notna().sum())
    assert 0.45 < found.value < 0.75  # 0.8² = 0.64 of the variance is x's, and c knows of the rest


def test_inputs_that_are_all_missing_and_levels_never_seen_are_survived() -> None:
    train, test = mixed(200).assign(empty=np.nan), mixed(100, 1).assign(empty=1.0, c="new")
    assert np.isfinite(usefulness(train, test, "x").value)


def test_a_class_that_training_lacks_counts_as_chance() -> None:
    """Two of three classes told apart perfectly from the rest, the third never seen: (1 + 1 + ½) / 3 at the most."""
    test = pd.DataFrame({"x": np.repeat([0.0, 1, 2], 50), "c": np.repeat(["a", "b", "z"], 50)})
    train = pd.concat([test[:100]] * 2)
    assert usefulness(train, test, "c").value <= 2.5 / 3
    assert usefulness(train.assign(c="a"), test, "c").value == 0.5


def test_a_class_is_one_class_as_integer_or_float() -> None:
    table = pd.DataFrame({"x": np.arange(200) % 4 / 3.0, "k": np.arange(200) % 4})
    assert usefulness(table.assign(k=table["k"].astype(float)), table, "k").value == pytest.approx(1)


def test_a_target_that_is_not_there_is_refused() -> None:
    table = mixed(50)
    with pytest.raises(ValueError, match="no target column 'q'; there are: x, y, c"):
        usefulness(table, table, "q")
    with pytest.raises(ValueError, match="is empty in"):
        usefulness(table.assign(y=np.nan), table, "y")
    with pytest.raises(ValueError, match="no column to predict"):
        usefulness(table[["c"]], table[["c"]], "c")


def test_every_measure_of_usefulness_lies_in_its_interval() -> None:
    train, test = mixed(400), mixed(300, 1)
    for target in ("c", "x"):
        found = usefulness(train, test, target, generator=rng())
        assert list(found.measures) == (["R2", "RMSE"] if target == "x" else ["AUC", "accuracy", "F1"])
        assert found.value == found.measures[found.measure].value
        assert all(m.low <= m.value <= m.high and m.low < m.high for m in found.measures.values())
        assert usefulness(train, test, target).measures[found.measure].low == found.value


def test_areas_and_f1_by_hand() -> None:
    draw = rng(3)
    truth, scores = draw.integers(0, 3, 200), np.round(draw.dirichlet([1, 1, 1], 200), 1)
    measured = _of_classes(np.array(list("abc"))[truth], scores, list("abc"))
    rows, guess = np.arange(200), scores.argmax(1)
    by_class = [metrics.roc_auc_score(truth == c, scores[:, c]) for c in range(3)]
    assert measured["AUC"](rows) == pytest.approx(np.mean(by_class))
    assert measured["F1"](rows) == pytest.approx(metrics.f1_score(truth, guess, average="macro"))
    assert measured["accuracy"](rows) == pytest.approx(metrics.accuracy_score(truth, guess))
    two = rows[truth < 2]
    assert measured["AUC"](two) == pytest.approx(metrics.roc_auc_score(truth[two], scores[two, 1]))


def test_the_column_to_predict_is_the_one_given_or_the_last_class_or_number() -> None:
    frame = pd.DataFrame({"y": np.arange(50.0), "c": ["a", "b"] * 25, "x": np.arange(50.0), "id": range(50)})
    assert choose_target(frame) == "c"
    assert choose_target(frame, "y") == "y"
    assert choose_target(frame[["y", "x"]]) == "x"
    assert choose_target(frame[["y"]]) is None
