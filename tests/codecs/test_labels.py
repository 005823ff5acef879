"""Labels become slots and come back in their own dtype; what a person types means what they meant."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sansheng.codecs.labels import Conditions, Levels, Number, means, summarise
from sansheng.errors import DataError
from sansheng.space import Category, Real

LABELS = st.one_of(
    st.lists(st.integers(-5, 5), min_size=1).map(np.array),
    st.lists(st.booleans(), min_size=1).map(np.array),
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5), min_size=1).map(np.array),
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=1).map(lambda v: np.array(v, np.float32)),
)


@settings(max_examples=50, deadline=None)
@given(LABELS)
def test_labels_come_back_in_their_dtype_even_through_json(column):
    fitted = Conditions.fit({"label": column}, ["label"])
    conditions = Conditions.from_json(json.loads(json.dumps(fitted.to_json())))
    encoded = conditions.encode({"label": column})
    conditions.space.check(encoded)
    back = conditions.decode(encoded)["label"]
    assert back.dtype == column.dtype
    if column.dtype.kind == "f":
        np.testing.assert_allclose(back, column, rtol=1e-5, atol=1e-5 * (np.ptp(column) + 1))
    else:
        np.testing.assert_array_equal(back, column)


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (np.arange(256), Levels),
        (np.arange(257), Number),
        (np.array([0.0, 1.0, 2.0]), Levels),
        (np.array([0.0, 1.5]), Number),
        (np.array([b"a", b"b"]), Levels),
        (np.array(["a", 1], dtype=object), Levels),
    ],
)
def test_few_whole_numbers_and_text_are_levels_the_rest_quantities(column, kind):
    (label,) = Conditions.fit({"y": column}, ["y"]).labels
    assert isinstance(label, kind)
    assert label.slot == (Real(1) if kind is Number else Category(len(np.unique(column.astype(str)))))


@pytest.mark.parametrize(
    "column",
    [
        np.array([20.3, 20.65, 21.0, 21.35] * 10),
        np.array([1 / 3, 2 / 3, 1e6 + 1 / 7]),
        np.array([0.1, 0.25, 5.3], np.float32),
        np.array([0.5, 0.5]),
        np.round(np.random.default_rng(0).normal(12_000, 1000, 500), 2),
        np.arange(1000.0),
        1e-25 * np.arange(1.0, 9.0),
    ],
)
def test_quantities_come_back_to_the_last_digit(column):
    fitted = Conditions.fit({"age": column}, ["age"])
    assert isinstance(fitted.labels[0], Number)
    for conditions in (fitted, Conditions.from_json(json.loads(json.dumps(fitted.to_json())))):
        np.testing.assert_array_equal(conditions.decode(conditions.encode({"age": column}))["age"], column)


def test_a_quantity_that_was_typed_is_not_taken_for_one_that_was_seen():
    conditions = Conditions.fit({"age": np.array([20.3, 20.65] * 5)}, ["age"])
    assert conditions.decode(conditions.encode_given({"age": "20.5"}, 1))["age"].tolist() == [20.5]


def test_quantities_of_runs_that_kept_no_values_come_back_rounded():
    fields = {"name": "age", "mean": 20.825, "sd": 0.3913, "dtype": "<f8"}
    conditions = Conditions.from_json([fields])
    assert conditions.to_json() == [fields]
    back = conditions.decode(conditions.encode({"age": np.array([20.65, 21.0])}))["age"]
    assert back.tolist() == [20.65, 21.0]


def test_numbers_are_standardised_by_the_training_split():
    column = np.random.default_rng(0).normal(100, 15, 500)
    conditions = Conditions.fit({"iq": column}, ["iq"])
    encoded = conditions.encode({"iq": column})
    assert abs(encoded.mean()) < 1e-5
    assert abs(encoded.std(unbiased=False) - 1) < 1e-5
    assert conditions.encode({"iq": np.array([column.mean() + column.std()])}).item() == pytest.approx(1, abs=1e-5)


def test_several_conditions_stand_side_by_side_in_the_order_asked():
    labels = {"a": np.array(["x", "y"]), "b": np.array([0.5, 1.5]), "c": np.array([True, False])}
    conditions = Conditions.fit(labels, ["c", "a", "c"])
    assert conditions.names == ("c", "a")
    assert conditions.encode(labels).tolist() == [[0, 1, 1, 0], [1, 0, 0, 1]]


def test_without_conditions_there_is_nothing():
    conditions = Conditions.fit({}, [])
    assert conditions.space is None
    assert conditions.encode({}) is None
    assert conditions.decode(None) == {}


@pytest.mark.parametrize(
    ("level", "typed", "same"),
    [
        (3, "3", True), (3, "3.0", True), (3.0, 3, True), (3, "4", False), (3, "three", False),
        (True, "yes", True), (True, "1", True), (False, "0", True), (False, "true", False), (True, "maybe", False),
        ("cat", " cat ", True), ("cat", "Cat", False), (" cat", " cat", True), ("3", 3, True),
    ],
)  # fmt: skip
def test_what_is_typed_means_a_level(level, typed, same):
    assert means(level, typed) is same


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (np.array([1.0, np.nan]), "no value in row 1"),
        (np.array(["a", None], dtype=object), "no value in row 1"),
        (np.zeros((3, 2)), r"shape \(3, 2\)"),
        (np.array([]), "one value for each"),
    ],
)
def test_labels_that_are_not_one_value_each_are_refused(column, message):
    with pytest.raises(DataError, match=message):
        Conditions.fit({"y": column}, ["y"])


def test_too_many_levels_are_an_identifier():
    with pytest.raises(ValueError, match="1,001 levels"):
        Conditions.fit({"y": np.arange(1001).astype(str)}, ["y"])


def test_mistakes_list_what_is_valid():
    labels = {"label": np.array([1, 2, 3])}
    conditions = Conditions.fit(labels, ["label"])
    with pytest.raises(ValueError, match=r"unknown condition 'lable'\. Did you mean 'label'"):
        Conditions.fit(labels, ["lable"])
    with pytest.raises(ValueError, match="no labels"):
        Conditions.fit({}, ["label"])
    with pytest.raises(ValueError, match="Valid: 1, 2, 3"):
        conditions.encode_given({"label": 7}, 2)
    with pytest.raises(ValueError, match="a value is needed for label"):
        conditions.encode_given({}, 2)
    with pytest.raises(ValueError, match="3 values of label were given for 2"):
        conditions.encode_given({"label": [1, 2, 3]}, 2)
    with pytest.raises(ValueError, match="without a condition"):
        Conditions.fit({}, []).encode_given({"label": 1}, 2)
    with pytest.raises(DataError, match="is of type <U1"):
        conditions.encode({"label": np.array(["a"])})
    with pytest.raises(DataError, match="no label 'label'"):
        conditions.encode({})


def test_a_level_never_seen_is_no_level():
    conditions = Conditions.fit({"y": np.array([1, 3])}, ["y"])
    assert torch.equal(conditions.encode({"y": np.array([0, 1, 2, 3, 4])}).sum(1), torch.tensor([0.0, 1, 0, 1, 0]))


def test_summaries_are_plain():
    labels = {"y": np.array([1, 1, 2]), "z": np.array([0.5, 1.0, 1.5])}
    assert summarise(labels) == [("y", "2 levels: 1 (2), 2 (1)"), ("z", "a number from 0.5 to 1.5, mean 1")]


def test_what_is_not_given_is_as_in_rows_that_are_so():
    labels = {"digit": np.arange(300) % 10, "who": np.array(list("abc")).repeat(100)}
    labels["digit"][:100] = 7  # only a says 7 … and nothing else
    conditions, rng = Conditions.fit(labels, ["digit", "who"]), np.random.default_rng(0)
    rows = conditions.encode(labels)
    asked = {"who": ["a"] * 50 + ["b"] * 250}
    found = conditions.decode(conditions.encode_some(asked, 300, rows, rng))
    assert found["who"].tolist() == asked["who"]
    assert (found["digit"][:50] == 7).all()
    assert np.bincount(found["digit"][50:], minlength=10).min() > 10
    whole = conditions.encode_some({"digit": 3, "who": "a"}, 2, rows, rng)  # nobody ever did: it can be asked for
    assert conditions.decode(whole)["digit"].tolist() == [3, 3]
    with pytest.raises(ValueError, match="unknown condition 'speaker'"):
        conditions.encode_some({"speaker": "a"}, 2, rows, rng)
