"""Prices that go on: train a flow on a series, draw its next days many times, and see how often the truth is inside."""

import numpy as np
import pandas as pd

import sansheng
from sansheng.filling import Drawing
from sansheng.forecasting import forecast

rng = np.random.default_rng(0)
spells = np.repeat(rng.choice([0.006, 0.02], 60), 25)  # calm and wild months
close = 100 * np.exp(np.cumsum(spells * rng.standard_normal(1500)))
frame = pd.DataFrame({"date": pd.bdate_range("2019-01-01", periods=1500), "close": close.round(2)})

known, truth = frame.iloc[:1480], frame["close"].iloc[1480:].to_numpy()
run = sansheng.train(known, kind="series", family="flow", budget="60s", out="runs/example-series", force=True)
_, drawn = forecast(run, known, 20, Drawing(draws=100))
low, middle, high = np.quantile(drawn[0, :, :, 0], [0.05, 0.5, 0.95], axis=0)
for day in range(0, 20, 4):
    print(
        f"day {day + 1:2}: {middle[day]:7.2f}, nine times in ten {low[day]:7.2f} to {high[day]:7.2f}; was {truth[day]}"
    )
print(f"{((truth >= low) & (truth <= high)).mean():.0%} of the days lay within")
