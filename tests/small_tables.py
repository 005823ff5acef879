"""Small tables on which the numbers of the quality report were computed once, by another program."""

import numpy as np
import pandas as pd


def clinic(n: int, seed: int, drift: float = 0.0) -> pd.DataFrame:
    """Numbers, a date, a boolean, categories and a constant, with values missing in most; `drift` moves everything."""
    draw = np.random.default_rng(seed)
    age = np.round(draw.gamma(9 + 3 * drift, 6, n))
    pressure = 90 + 0.6 * age * (1 - drift) + draw.normal(0, 12, n)
    smoker = draw.random(n) < 0.2 + 0.2 * drift
    ward = np.where(
        draw.random(n) < 0.15, "day", draw.choice(["a", "b", "c"], n, p=[0.5, 0.3 - 0.2 * drift, 0.2 + 0.2 * drift])
    )
    days = draw.integers(0, 900, n) + np.where(ward == "c", 200, 0)
    dose = np.where(draw.random(n) < 0.3 - 0.2 * drift, np.nan, draw.exponential(2 + drift, n))
    seen = pd.Series(pd.Timestamp("2021-03-01") + pd.to_timedelta(days, unit="D"))
    return pd.DataFrame(
        {
            "age": age,
            "pressure": np.where(draw.random(n) < 0.1, np.nan, pressure),
            "dose": dose,
            "seen": seen.where(draw.random(n) > 0.05),
            "smoker": smoker,
            "ward": pd.Series(ward, dtype=object).where(draw.random(n) > 0.1 - 0.05 * drift, None),
            "site": "north",
            "version": 3.0,
        }
    )


def ledger(n: int, seed: int, *, synthetic: bool) -> pd.DataFrame:
    """Heavy tails, few whole numbers, a boolean with gaps, many levels, an empty column and one that is only sometimes
    constant; the synthetic one has levels and values of its own."""
    draw = np.random.default_rng(seed)
    amount = np.round(draw.pareto(1.5, n) * 100, 2)
    kind = draw.choice(["loan", "card", "other"] if synthetic else ["loan", "card", "cash"], n, p=[0.6, 0.3, 0.1])
    late = pd.Series(draw.random(n) < np.where(kind == "loan", 0.4, 0.1), dtype=object)
    return pd.DataFrame(
        {
            "amount": amount,
            "months": draw.choice([12, 24, 36, 60], n, p=[0.4, 0.3, 0.2, 0.1]),
            "kind": kind,
            "late": late.where(draw.random(n) > 0.2, None),
            "branch": [f"b{i}" for i in draw.integers(0, 40 if synthetic else 30, n)],
            "fee": np.zeros(n) + 5 if synthetic else draw.choice([0.0, 5.0], n),
            "rate": np.where(draw.random(n) < 0.9, np.nan, draw.random(n)) if synthetic else draw.random(n),
        }
    )
