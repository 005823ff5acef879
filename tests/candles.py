"""Prices to test with."""

import numpy as np
import pandas as pd


def walk(n=600, seed=0, channels=1):
    """Prices whose logarithm is a random walk, to two decimals."""
    rng = np.random.default_rng(seed)
    steps = rng.standard_normal((n, channels)) * 0.02
    return np.round(50 * np.exp(np.cumsum(steps, axis=0)), 2)


def candles(n=600, seed=0):
    rng = np.random.default_rng(seed)
    close = walk(n, seed)[:, 0]
    opened = np.round(close * np.exp(0.01 * rng.standard_normal(n)), 2)
    high = np.round(np.maximum(opened, close) * np.exp(0.01 * rng.exponential(size=n)), 2)
    low = np.round(np.minimum(opened, close) * np.exp(-0.01 * rng.exponential(size=n)), 2)
    volume = rng.lognormal(10, 1, n).round()
    return pd.DataFrame({"Open": opened, "High": high, "Low": low, "Close": close, "Adj": close, "Volume": volume})
