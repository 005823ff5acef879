"""Our own families with their defaults; the run's clock reads CPU seconds in place of those on the wall.

What is prepared before the first step (the width for the number of parameters, scales of the data, timing of threads)
counts as training; the examination of the finished model and its previews are left out.
"""

from __future__ import annotations

import json

import numpy as np
import torch
from task import Task, cpu_seconds

import sansheng.loop
import sansheng.run
from sansheng.budget import Budget
from sansheng.data import open_data
from sansheng.plan import plan


class CPUClock:
    """`cpu_seconds`, remembering when it was last read: the end of the last step."""

    last = 0.0

    def perf_counter(self) -> float:
        self.last = cpu_seconds()
        return self.last


def main() -> None:
    task = Task("sansheng", family="flow", parameters=0)
    family, parameters = task.options["family"], task.options["parameters"] or None
    data, clock = open_data(task.data), CPUClock()
    # A process that is stopped between its turns must not be charged for the time of others.
    sansheng.loop.time = clock  # pyright: ignore[reportAttributeAccessIssue]
    sansheng.run.examine = lambda *_: []  # pyright: ignore[reportAttributeAccessIssue]
    if task.threads == 1:  # there is nothing to choose from, so nothing to time
        sansheng.run.devices.choose_threads = lambda *_: (1, 0.0)  # pyright: ignore[reportAttributeAccessIssue]
    for _ in range(2):  # the first time loads what torch loads late
        task.start()
        plan(data, family=family, parameters=parameters, budget=Budget(seconds=task.budget))
    prepared = task.spent()
    began = cpu_seconds()
    run = sansheng.run.train(
        data, family=family, budget=f"{max(1.0, task.budget - prepared):.3f}s", seed=task.seed, out=task.out / "run",
        force=True, parameters=parameters, previews=False,
    )  # fmt: skip
    trained = clock.last - began
    journal = (task.out / "run" / "journal.jsonl").read_text().splitlines()
    task.steps = json.loads(journal[-1])["step"]
    settings = ", ".join(f"{key}={value}" for key, value in run.recipe.settings.items())

    def draw(n: int) -> np.ndarray:
        torch.set_num_threads(task.threads)
        return run.draw(n, seed=task.seed).values

    count = sum(p.numel() for p in run.model.parameters() if p.requires_grad)
    task.report(f"sansheng-{family}", draw, count, trained, settings)


if __name__ == "__main__":
    main()
