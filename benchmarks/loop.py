"""What the loop costs: steps per second of `train`, with its journal, health and checks, against a bare PyTorch loop.

The bare loop is what a person would write by hand for the same network, batches and losses: backward, clip, one
fused AdamW step for each turn, and a moving average of the weights. Blocks of steps of the two take turns in one
process, so that a noisy machine slows both alike; the figure is the ratio of the medians.

    python benchmarks/loop.py [--data digits grid wine] [--blocks 30] [--steps 10]
    python benchmarks/loop.py --data prices.csv --as series
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from sansheng.budget import Budget, Clock
from sansheng.data import Batches, Data, open_data
from sansheng.loop import State, train
from sansheng.model import GenerativeModel
from sansheng.recipe import Recipe, build
from sansheng.run import plan
from sansheng.session import Session

FAMILIES = ("vae", "gan", "diffusion", "flow")


def fresh(data: Data, recipe: Recipe) -> GenerativeModel:
    model = build(recipe, data.codec.space, data.codec.condition_space)
    model.measure(data.train.x[:2000])
    return model


def ours(data: Data, recipe: Recipe, folder: Path) -> Iterator[None]:
    """Steps as `sansheng train` takes them."""
    state = State(fresh(data, recipe), Clock.start(recipe.budget), recipe.ema_length)
    batches = Batches(data.train, seed=recipe.seed, size=recipe.batch)
    with Session(folder, state, recipe.budget, lambda event: None, None) as session:
        for step in train(state, batches, seed=recipe.seed, budget=recipe.budget):
            session.after(step)
            yield


def bare(data: Data, recipe: Recipe) -> Iterator[None]:
    """The same by hand."""
    model = fresh(data, recipe)
    turns = [t for t in model.turns().values() if t.start == 0]
    optimizers = [torch.optim.AdamW(t.module.parameters(), t.learning_rate, t.betas, fused=True) for t in turns]
    average = [p.detach().clone() for p in model.parameters()]
    generator = torch.Generator().manual_seed(0)
    x, condition = data.train.x, data.train.condition
    from sansheng.model import Batch

    while True:
        index = torch.randint(len(x), (recipe.batch,), generator=generator)
        batch = Batch(x[index], None if condition is None else condition[index])
        for turn, optimizer in zip(turns, optimizers, strict=True):
            loss, _ = turn.loss(batch, 0.5, generator)
            optimizer.zero_grad()
            loss.backward(inputs=list(turn.module.parameters()))
            torch.nn.utils.clip_grad_norm_(turn.module.parameters(), turn.clip)
            optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(average, [p.detach() for p in model.parameters()], 0.01)
        yield


def seconds(steps: Iterator[None], n: int) -> float:
    began = time.perf_counter()
    for _ in itertools.islice(steps, n):
        pass
    return time.perf_counter() - began


def measure(data: Data, family: str, blocks: int, n: int) -> dict[str, float | str]:
    _, recipe = plan(data, family=family, budget=Budget(steps=4 * (blocks + 1) * n))
    with tempfile.TemporaryDirectory() as folder:
        pair = (ours(data, recipe, Path(folder)), bare(data, recipe))
        for steps in pair:
            seconds(steps, n)
        times = [[seconds(steps, n) for steps in (pair if i % 2 else pair[::-1])] for i in range(blocks)]
        mine = [t[i % 2 == 0] for i, t in enumerate(times)]
        hand = [t[i % 2 == 1] for i, t in enumerate(times)]
        for steps in pair:
            steps.close()  # type: ignore[attr-defined]
    ours_s, bare_s = statistics.median(mine) / n, statistics.median(hand) / n
    return {
        "data": data.name,
        "family": family,
        "ours_steps_per_second": round(1 / ours_s, 1),
        "bare_steps_per_second": round(1 / bare_s, 1),
        "ratio": round(bare_s / ours_s, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["digits", "grid", "wine"])
    parser.add_argument("--as", dest="kind", help="what the data are, such as series")
    parser.add_argument("--families", nargs="+", default=list(FAMILIES))
    parser.add_argument("--blocks", type=int, default=30)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    for name in asked.data:
        data = open_data(name, kind=asked.kind)
        for family in asked.families:
            print(json.dumps(measure(data, family, asked.blocks, asked.steps)), flush=True)


if __name__ == "__main__":
    main()
