"""Where a model runs and in what precision, and on how many threads it runs fastest.

The one constraint: all of it is settled before the first step and written into the recipe, but for a number of threads
that the clock changes (`pace`).
"""

from __future__ import annotations

import copy
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch

from sansheng.budget import Budget, Clock
from sansheng.errors import unknown
from sansheng.graphs import WARM
from sansheng.loop import State, train
from sansheng.model import Batch, GenerativeModel
from sansheng.space import Space

PRECISIONS = ("auto", "fp32", "bf16")
TIMED_STEPS = 3
WORTH = 0.9
"""What more threads must bring a step's time down to."""
LONGEST = 4.0
"""Seconds after which no more steps are timed."""

ROOM = 2**26
"""Channels at positions of all examples that are drawn at a time, at most: several numbers are kept of each, and of
pieces of words there are thousands."""
CHUNK, CACHED, FEWEST = 2000, 200_000, 32
"""Examples drawn at a time; on a CPU no more than so many numbers at a time stay in its cache (28 x 28 pictures, 250 at
a time: 1.3 times as many a second as 1,000), yet at least so many examples."""


def at_a_time(space: Space, device: torch.device) -> int:
    """How many examples of `space` are drawn at a time, each chunk from a generator of its own."""
    fits = max(1, ROOM // math.prod(space.shape))
    return min(fits, CHUNK if device.type != "cpu" else min(max(CACHED // space.size, FEWEST), CHUNK))


def choose(device: str, precision: str) -> tuple[str, str]:
    """("cpu", "cuda" or "mps", maybe with an index; "fp32" or "bf16"), with "auto" resolved.

    Raises ValueError for a device this machine lacks or a precision that does not exist.
    """
    if precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
    there = available()
    if device == "auto":
        device = there[0]
    elif device.split(":")[0] not in there:
        raise unknown("device (of this machine)", device, [*there, "auto"])
    return device, "fp32" if precision == "auto" else precision


def available() -> list[str]:
    """Kinds of device this machine has, the fastest first."""
    there = ["cuda"] if torch.cuda.is_available() else []
    return [*there, *(["mps"] if torch.backends.mps.is_available() else []), "cpu"]


def choose_threads(model: GenerativeModel, batches: Callable[[int], Batch], device: str) -> tuple[int, float]:
    """(threads, seconds a step): those with which a few steps of a copy of `model` are fastest; more if worth it."""
    most = most_threads()
    times = {n: _time(model, batches, n) for n in ({1, most} if device.startswith("cpu") else {most})}
    best = faster(times)
    return best, times[best]


def most_threads() -> int:
    """How many threads are worth trying: as many as torch may take, and no more than there are processors."""
    return min(torch.get_num_threads(), os.cpu_count() or 1)


def faster(times: Mapping[int, float]) -> int:
    """Of numbers of threads with the seconds a step takes on them: the most if it is worth it, else the fewest."""
    most, fewest = max(times), min(times)
    return most if times[most] < WORTH * times[fewest] or most == fewest else fewest


def _time(model: GenerativeModel, batches: Callable[[int], Batch], n: int) -> float:
    """Seconds of the fastest of a few steps on `n` threads, after one to warm up; on a GPU, after one is recorded."""
    recorded = next(model.parameters()).device.type == "cuda"
    budget = Budget(steps=TIMED_STEPS + 1 + (WARM + 1) * recorded)
    with threads(n):
        state = State(copy.deepcopy(model), Clock.start(budget))
        marks = [time.perf_counter()]
        for _ in train(state, batches, seed=0, budget=budget):
            if recorded:
                torch.cuda.synchronize()
            marks.append(time.perf_counter())
            if len(marks) > 2 and marks[-1] - marks[0] > LONGEST:
                break
    return min(b - a for a, b in zip(marks[1:-1], marks[2:], strict=True))


@contextmanager
def threads(n: int) -> Iterator[None]:
    """Compute on `n` threads within the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)
