"""How much of the arithmetic the machine can do a training step of the default denoiser does.

A bare matrix product of 1024 x 1024, the bare network forwards and backwards, and a whole training step (noising, loss,
optimiser, average), interleaved in one process and one run; operations are counted by torch's FlopCounterMode, two for
each multiply-add. The ratio of the step to the product is the figure; where the rest goes is shown by operator.

    python benchmarks/roofline.py --side 32 --channels 3 --threads 1
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from sansheng.budget import Budget, Clock
from sansheng.loop import State, Step, train
from sansheng.model import Batch
from sansheng.recipe import DataReference, Recipe, build, count_parameters, resolve
from sansheng.space import Real, Space

PRODUCT = 1024


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--channels", type=int, default=3)
    parser.add_argument("--family", default="diffusion", choices=["diffusion", "flow"])
    parser.add_argument("--parameters", type=int)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--profile", action="store_true", help="where the time of a step goes")
    parser.add_argument("--compiled", action="store_true", help="the step by torch.compile too; needs a C++ compiler")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def main() -> None:
    args = arguments()
    torch.set_num_threads(args.threads)
    space = Space((Real(args.channels, -1.0, 1.0),), (args.side, args.side))
    recipe = default_recipe(args, space)
    batch = recipe.batch
    x = torch.rand(batch, *space.shape) * 2 - 1
    model, steps = stepping(recipe, space, x)
    generator = torch.Generator().manual_seed(0)

    def network() -> None:
        loss, _ = model.turns()[next(iter(model.turns()))].loss(Batch(x), 0.5, generator)
        loss.backward()
        model.zero_grad(set_to_none=True)

    with FlopCounterMode(display=False) as counter:
        network()
    a, b = torch.randn(PRODUCT, PRODUCT), torch.randn(PRODUCT, PRODUCT)
    tasks: dict[str, Callable[[], object]] = {"product": lambda: a @ b, "network": network, "step": lambda: next(steps)}
    compiling = 0.0
    if args.compiled:
        other, faster = stepping(recipe, space, x)
        other.denoiser.network.compile()
        began = time.perf_counter()
        next(faster)
        compiling = time.perf_counter() - began
        tasks["compiled step"] = lambda: next(faster)
    times = interleave(tasks, args.rounds)
    seconds = {name: statistics.median(values) for name, values in times.items()}
    peak = 2 * PRODUCT**3 / seconds["product"]
    result = {
        "side": args.side,
        "channels": args.channels,
        "batch": batch,
        "parameters": count_parameters(model),
        "width": recipe.width,
        "threads": args.threads,
        "gflop_a_step": counter.get_total_flops() / 1e9,
        "product_gflop_s": peak / 1e9,
        "network_share": counter.get_total_flops() / seconds["network"] / peak,
        "step_share": counter.get_total_flops() / seconds["step"] / peak,
        "step_seconds": seconds["step"],
    }
    if args.compiled:
        result |= {"compiled_step_seconds": seconds["compiled step"], "compiling_seconds": compiling}
    print(json.dumps(result, indent=1))
    if args.out:
        args.out.write_text(json.dumps(result, indent=1))
    if args.profile:
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            next(steps)
        print(profile.key_averages().table(sort_by="self_cpu_time_total", row_limit=18, max_name_column_width=44))


def stepping(recipe: Recipe, space: Space, x: torch.Tensor) -> tuple[Any, Iterator[Step]]:
    """A model of its own, and its steps on the batch `x` without end."""
    model = build(recipe, space, None)
    model.measure(x)
    state = State(model, Clock.start(Budget(steps=10**9)), 0.1)
    return model, train(state, lambda step: Batch(x), seed=0, budget=Budget(steps=10**9))


def default_recipe(args: argparse.Namespace, space: Space) -> Recipe:
    """What `sansheng train` would make of pictures of this size."""
    return resolve(
        DataReference(name="noise", source="noise", kind="images", digest="", split_seed=0),
        space,
        None,
        family=args.family,
        preset="default",
        budget=Budget(steps=10**9),
        parameters=args.parameters,
        seed=0,
        device="cpu",
        precision="float32",
        overrides={"batch": args.batch} if args.batch else {},
        rows=10**6,
    )


def interleave(tasks: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each task, all in turn, `rounds` times after two that do not count: of the CPU where one thread works,
    so that other work on the machine is not counted, else on the clock."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for round_ in range(rounds + 2):
        for name, task in tasks.items():
            began = clock()
            task()
            if round_ >= 2:
                times[name].append(clock() - began)
    return times


if __name__ == "__main__":
    main()
