"""Modes of StackedMNIST: three digits at random as the channels of one picture, 1,000 combinations.

    python benchmarks/stacked.py mnist.npz extractor/small_cnn.py extractor/weights.safetensors --budget 20m --threads 2

26,000 samples of every family; a classifier names each channel (Lin 2018, section 4.2). Given as for
``benchmarks/mnist.py``. The row "real" is as many triples of test digits: its divergence is the floor. A line of JSON
is added to the results in ``--out`` for every model.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from cpu import count_cpu_seconds
from mnist import module_from
from PIL import Image

import sansheng.run as sansheng
from sansheng import checkpoint
from sansheng.data import open_data
from sansheng.metrics.stacked import modes_and_kl, sampling_floor

SAMPLES = 26_000
TRIPLES = 60_000
SEED = 0
SHOWN = 100


def stacked(digits: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """``(n, 28, 28, 3)``: digits drawn for every channel on its own."""
    return np.stack([digits[rng.integers(len(digits), size=n)] for _ in range(3)], axis=-1)


def counted(module: ModuleType, network: Any, images: np.ndarray) -> dict[str, float]:
    """Modes and divergence of what the classifier reads in each channel."""
    names = [module.logits(network, np.ascontiguousarray(images[..., c])).argmax(1) for c in range(3)]
    found = modes_and_kl(np.stack([np.asarray(name) for name in names], axis=1))
    return {"modes": found.modes, "kl": found.kl}


def show(images: np.ndarray, path: Path) -> None:
    """A square of the first samples."""
    side = int(SHOWN**0.5)
    rows = images[: side * side].reshape(side, side, *images.shape[1:]).swapaxes(1, 2)
    Image.fromarray(rows.reshape(side * images.shape[1], side * images.shape[2], 3)).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("features", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--families", default="gan,flow,diffusion,vae")
    parser.add_argument("--budget", default="20m")
    parser.add_argument("--train-steps", type=int, help="steps of training, in place of a budget")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parameters", type=int)
    parser.add_argument("--steps", type=int, help="of the sampler of diffusion and flow")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--cpu", action="store_true", help="the budget is in CPU seconds")
    parser.add_argument("--out", type=Path, default=Path("runs/stacked"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.cpu:
        count_cpu_seconds()
    args.out.mkdir(parents=True, exist_ok=True)
    rng, digits = np.random.default_rng(SEED), np.load(args.data)
    module = module_from(args.features)
    network = module.load(str(args.weights))
    source = args.out / "stacked.npz"
    np.savez(source, images=stacked(digits["train_images"], TRIPLES, rng))
    real = counted(module, network, stacked(digits["test_images"], SAMPLES, rng))
    print("real", json.dumps(real), "floor", sampling_floor(SAMPLES), flush=True)
    data = open_data(source)
    budget = None if args.train_steps else args.budget
    for family in args.families.split(","):
        run = sansheng.train(
            data, family=family, budget=budget, steps=args.train_steps, seed=args.seed, out=args.out / family,
            force=True, parameters=args.parameters, settings=dict(pair.split("=", 1) for pair in args.set),
        )  # fmt: skip
        images = run.draw(SAMPLES, steps=args.steps if run.model.quick_sampler else None).values
        show(images, args.out / f"{family}.png")
        result = {
            "family": family,
            "budget": budget,
            "seed": args.seed,
            "set": args.set,
            "threads": args.threads,
            "cpu": args.cpu,
        }
        result |= {"steps": checkpoint.entries(run.path / "checkpoint")[0]["step"]} | counted(module, network, images)
        with (args.out / "results.jsonl").open("a") as file:
            file.write(json.dumps(result) + "\n")
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
