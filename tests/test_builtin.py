"""Built-in data sets are what they say, and the same on every run."""

import numpy as np
import pandas as pd
import pytest

from sansheng import builtin
from sansheng.data import digest_of

EXPECTED = {
    "digits": ("image", (1797, 8, 8, 1)),
    "wine": ("table", (178, 14)),
    "breast-cancer": ("table", (569, 31)),
    "iris": ("table", (150, 5)),
    "diabetes": ("table", (442, 11)),
    "ring": ("array", (100_000, 2)),
    "grid": ("array", (100_000, 2)),
    "moons": ("array", (20_000, 2)),
    "checkerboard": ("array", (100_000, 2)),
}


def test_these_are_all():
    assert set(builtin.names()) == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_kind_size_and_content_are_the_same_every_time(name):
    kind, source = builtin.load(name)
    assert (kind, source.records.values.shape) == EXPECTED[name]
    assert digest_of(source.records) == digest_of(builtin.load(name)[1].records)


@pytest.mark.parametrize(("name", "modes", "sd"), [("ring", 8, 0.01), ("grid", 25, 0.05)])
def test_mixtures_are_equal_gaussians_about_their_centres(name, modes, sd):
    points, label = (builtin.load(name)[1].records.values, builtin.load(name)[1].records.labels["mode"])
    middle, spread = builtin.centres(name)
    assert (middle.shape, spread) == ((modes, 2), sd)
    off = points - middle[label]
    np.testing.assert_allclose(off.std(0), sd, rtol=0.02)
    np.testing.assert_allclose(np.bincount(label) / len(label), 1 / modes, rtol=0.1)
    assert abs((np.hypot(*off.T) < 3 * sd).mean() - 0.989) < 0.002


def test_the_ring_is_the_unit_circle_and_the_grid_five_by_five():
    np.testing.assert_allclose(np.hypot(*builtin.centres("ring")[0].T), 1)
    assert {tuple(centre) for centre in builtin.centres("grid")[0]} == {
        (x, y) for x in range(-4, 5, 2) for y in range(-4, 5, 2)
    }
    with pytest.raises(ValueError, match=r"unknown mixture 'moons'\. Valid: grid, ring"):
        builtin.centres("moons")


def test_the_checkerboard_is_uniform_on_every_other_square():
    points = builtin.load("checkerboard")[1].records.values
    column, row = np.floor((points.T + 4) / 2).astype(int).clip(0, 3)
    assert ((column + row) % 2 == 0).all()
    counts = np.histogram2d(column, row, bins=4, range=[[0, 4], [0, 4]])[0]
    np.testing.assert_allclose(counts[counts > 0], len(points) / 8, rtol=0.05)


def test_digits_fill_the_range_of_a_byte_and_tables_name_their_levels():
    digits = builtin.load("digits")[1].records
    assert (digits.values.min(), digits.values.max(), digits.values.dtype) == (0, 255, np.uint8)
    assert np.bincount(digits.labels["label"]).min() > 170
    assert set(builtin.load("iris")[1].records.values["species"]) == {"setosa", "versicolor", "virginica"}
    assert builtin.load("breast-cancer")[1].records.values["diagnosis"].value_counts().to_dict() == {
        "benign": 357, "malignant": 212,
    }  # fmt: skip
    diabetes: pd.DataFrame = builtin.load("diabetes")[1].records.values
    assert diabetes["age"].between(18, 80).all()


def test_an_unknown_name_lists_the_known():
    with pytest.raises(ValueError, match=r"unknown built-in data set 'digit'\. Did you mean 'digits'\? Valid: breast"):
        builtin.load("digit")
