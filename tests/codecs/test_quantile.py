"""Numbers by rank: what is encoded is normal, what is decoded has the distribution that was seen."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import ndtri

from sansheng.codecs.quantile import DECIMALS, Quantile, decimals_of, nearest

EVEN = ndtri((np.arange(20_000) + 0.5) / 20_000)
"""Standard normal numbers, evenly spread in rank."""
numbers = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=3, max_size=60).map(np.array)
SAMPLES = {
    "continuous": lambda rng: rng.lognormal(size=4000),
    "whole": lambda rng: rng.poisson(30, 4000).astype(float),
    "two decimals": lambda rng: rng.normal(50, 20, 4000).round(2),
    "a spike": lambda rng: np.where(rng.random(4000) < 0.04, 7.5, rng.normal(5, 3, 4000)),
}


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def through_float32(quantile: Quantile, values: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
    return quantile.decode(quantile.encode(values, rng).astype(np.float32).astype(np.float64))


@settings(max_examples=50, deadline=None)
@given(numbers.filter(lambda v: len(np.unique(v)) > 1))
def test_training_numbers_come_back_exactly(values):
    quantile = Quantile.fit(values)
    for generator in (None, np.random.default_rng(0)):
        np.testing.assert_array_equal(through_float32(quantile, values, generator), values)


@settings(max_examples=50, deadline=None)
@given(numbers.filter(lambda v: len(np.unique(v)) > 1), st.lists(st.floats(-40, 40), min_size=1).map(np.array))
def test_decoded_numbers_lie_in_the_range_seen_and_keep_their_order(values, z):
    decoded = Quantile.fit(values).decode(np.sort(z))
    assert values.min() <= decoded.min()
    assert decoded.max() <= values.max()
    assert (np.diff(decoded) >= 0).all()


@settings(max_examples=50, deadline=None)
@given(numbers.filter(lambda v: len(np.unique(v)) > 1), numbers)
def test_any_number_has_a_place_between_the_edges_and_order_is_kept(values, others):
    quantile = Quantile.fit(values)
    z = quantile.encode(np.sort(others), None)
    assert np.abs(z).max() <= quantile.edge
    assert (np.diff(z) >= 0).all()


@pytest.mark.parametrize("name", SAMPLES)
def test_what_is_encoded_is_normal(rng, name):
    values = SAMPLES[name](rng)
    z = Quantile.fit(values).encode(values, rng)
    assert stats.kstest(z, "norm").statistic < 0.02
    assert abs(z.std() - 1) < 0.02


@pytest.mark.parametrize("name", SAMPLES)
def test_normal_numbers_decode_to_the_distribution_seen(rng, name):
    values = SAMPLES[name](rng)
    assert stats.ks_2samp(Quantile.fit(values).decode(EVEN), values).statistic < 0.01


def test_a_spike_keeps_its_share(rng):
    values = SAMPLES["a spike"](rng)
    decoded = Quantile.fit(values).decode(EVEN)
    assert abs((decoded == 7.5).mean() - (values == 7.5).mean()) < 0.001


def test_a_discrete_column_decodes_to_values_seen_only(rng):
    values = 1000.0 * rng.poisson(3, 4000)
    assert set(Quantile.fit(values).decode(EVEN)) == set(values)


def test_a_continuous_column_decodes_to_values_never_seen_of_the_same_decimals(rng):
    values = rng.normal(0, 1000, 500).round(1)
    decoded = Quantile.fit(values).decode(EVEN)
    assert np.isin(decoded, values).mean() < 0.5
    np.testing.assert_array_equal(decoded, decoded.round(1))


def test_numbers_never_seen_go_between_points_and_to_the_nearest_owner(rng):
    points = Quantile.fit(np.arange(0.0, 100.0))
    assert points.encode(np.array([49.0]), None) < points.encode(np.array([49.5]), None)
    assert points.decode(points.encode(np.array([49.25]), None)) == 49  # a whole number, as all others are
    owners = Quantile.fit(np.array([0.0, 10.0, 20.0] * 10))
    assert owners.decode(owners.encode(np.array([-5.0, 4.0, 6.0, 14.0, 16.0, 99.0]), rng)).tolist() == [
        0, 0, 10, 10, 20, 20,
    ]  # fmt: skip


def test_many_numbers_are_kept_as_few_points(rng):
    values = rng.standard_t(2, 200_000)
    quantile = Quantile.fit(values)
    assert len(quantile.values) <= 50_000
    assert (quantile.values[0], quantile.values[-1]) == (values.min(), values.max())
    assert np.abs(through_float32(quantile, values, None) - values).max() < 0.01 * np.ptp(values)


@settings(max_examples=50, deadline=None)
@given(numbers.filter(lambda v: len(np.unique(v)) > 1))
def test_it_is_restored_from_json_and_arrays(values):
    quantile = Quantile.fit(values)
    again = Quantile.from_json(json.loads(json.dumps(quantile.to_json())), quantile.arrays())
    np.testing.assert_array_equal(again.decode(EVEN[::100]), quantile.decode(EVEN[::100]))


@pytest.mark.parametrize(
    ("values", "decimals"),
    [([1.0, 2.0], 0), ([0.1 + 0.2, 0.5], 1), ([1.25, 3.0], 2), ([1000.0, 25_000.0], -3), ([np.pi, 1.0], None)],
)
def test_decimals(values, decimals):
    assert decimals_of(np.array(values)) == decimals


@settings(max_examples=50, deadline=None)
@given(st.integers(-(10**6), 10**6), st.sampled_from(list(DECIMALS)))
def test_decimals_hold_what_was_written_with_so_many(number, decimals):
    found = decimals_of(np.array([float(f"{number}e{-decimals}")]))
    assert found is not None
    assert found <= decimals


@settings(max_examples=50, deadline=None)
@given(numbers.map(np.unique), numbers)
def test_nearest_is_nearest(values, others):
    with np.errstate(over="ignore"):
        distance = np.abs(values[None] - others[:, None])
    found = nearest(values, others)
    np.testing.assert_array_equal(distance[np.arange(len(others)), found], distance.min(1))
