"""The importance-weighted bound of VAEs on binarised digits, with 5,000 samples an example [nats].

Dynamic binarisation: a grey level is the probability of a white pixel, drawn anew in every step; test pictures are
drawn once, from a fixed seed (Burda 2015, section 5.1).

    python benchmarks/bound.py mnist.npz --budget 15m --cpu --threads 1 --parameters 2000000 --set dense=true
    python benchmarks/bound.py mnist.npz --budget 45m --threads 2 --ladder

The settings of the figures that were measured are in `docs/benchmarks.md`.

All test pictures are bounded with `--few` samples and `--some` of them with `--samples` too; the mean difference on
those is added to the mean over all. Both are averages over the same law, so the sum estimates the bound with
`--samples` on all pictures, at a fraction of its cost; its standard error is of both parts.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from cpu import count_cpu_seconds

import sansheng.run as sansheng
from sansheng.codecs.base import Records
from sansheng.data import Data, open_data
from sansheng.run import Run

DRAW = 0


def binarised(data: Data) -> Records:
    """The test pictures in black and white, drawn once."""
    grey = np.asarray(data.test_records.values)
    uniform = np.random.default_rng(DRAW).random(grey.shape)
    return Records(np.where(uniform < grey / 255, 255, 0).astype(np.uint8))


def bound(run: Run, records: Records, few: int, some: int, samples: int) -> dict[str, float]:
    """Mean −bound [nats] and its standard error."""
    loose = -run.log_likelihood(records, samples=few)
    chosen = records.take(np.arange(some))
    tight = -run.log_likelihood(chosen, samples=samples, seed=1)
    gain = tight - loose[:some]
    error = np.sqrt(loose.var() / len(loose) + gain.var() / len(gain))
    return {
        f"nats_{few}": float(loose.mean()),
        f"nats_{samples}": float(loose.mean() + gain.mean()),
        "standard_error": float(error),
        "tightened_by": float(-gain.mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--budget", default="45m")
    parser.add_argument("--ladder", action="store_true")
    parser.add_argument("--parameters", type=int, default=1_000_000)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--cpu", action="store_true", help="the budget is in CPU seconds")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --run")
    parser.add_argument("--few", type=int, default=50)
    parser.add_argument("--some", type=int, default=500)
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--run", type=Path, default=Path("runs/bound"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.cpu:
        count_cpu_seconds()
    data = open_data(args.data)
    settings = {"likelihood": "bernoulli", "binarise": True, "prior": False, "prior_share": 0.0, "ladder": args.ladder}
    if not args.ladder:
        settings |= {"latent": 50}
    settings |= dict(pair.split("=", 1) for pair in args.set)
    if args.resume:
        run = sansheng.resume(args.run)
    else:
        run = sansheng.train(
            data, family="vae", budget=args.budget, seed=args.seed, out=args.run, force=True,
            parameters=args.parameters, settings=settings,
        )  # fmt: skip
    result = {"ladder": args.ladder, "budget": args.budget, "set": args.set, "threads": args.threads, "cpu": args.cpu}
    print(json.dumps(result | bound(run, binarised(data), args.few, args.some, args.samples)))


if __name__ == "__main__":
    main()
