"""Digits on demand: train a flow on pictures with labels, then ask for the digits of a number."""

from pathlib import Path

import sansheng

run = sansheng.train("digits", family="flow", condition="label", budget="60s", out="runs/example-digits", force=True)
for digit in (2, 0, 2, 6):
    (picture,) = run.sample(1, where={"label": digit}, guidance=1.5, seed=digit)
    path = Path(f"runs/example-digits/{digit}.png")
    picture.resize((80, 80)).save(path)
    print(path)
