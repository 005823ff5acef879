"""A medical table: train on one with a diagnosis, draw benign patients only, and look at what the scores say."""

import sansheng

run = sansheng.train(
    "breast-cancer", family="diffusion", condition="diagnosis", budget="60s", out="runs/example-table", force=True
)
patients = run.sample(500, where={"diagnosis": "benign"})
print(patients.describe().T.head(5))
for name, score in run.evaluate(400).items():
    print(
        f"{name:16} {score.value:8.3f}   95 % interval {score.low:.3f} to {score.high:.3f}   {score.better} is better"
    )
