"""Twenty-five islands: how many of them does each family find?"""

import sansheng
from sansheng.builtin import centres
from sansheng.metrics.coverage import modes

for family in ("vae", "gan", "diffusion", "flow"):
    run = sansheng.train("grid", family=family, budget="30s", out=f"runs/example-{family}", force=True)
    covered, good = modes(run.sample(2500), *centres("grid"))
    print(f"{family:10} {covered} of 25 islands, {good:.1%} of the points on one")
