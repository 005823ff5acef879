"""How fast the steps of a run are: on how many threads, tried anew now and then, and how much of the processors it had.

The one constraint: what the clock decides is written down in `Clock.threads`, as its knots are.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch

from sansheng.budget import Clock
from sansheng.devices import faster
from sansheng.loop import Step

MOMENT, FEWEST = 0.2, 3
"""A number of threads is tried for so long [s] and so many steps, after one to warm up."""
HOPELESS = 4.0
"""How many times slower one step must be for the trial to end at once."""
SOONEST, RARELY, GROWING = 1.0, 50.0, 0.05
"""Until the next trial at least so long [s], so many times what the last one took, and that share of the time spent."""
LITTLE, LONG = 0.7, 5.0
"""Share of the processors below which it is said, of training that took so long [s]."""


class Threads:
    """On how many threads steps are taken. Two that share a core with another program wait for one another at every
    operation, and a step can take twenty times as long as on one: so the other number is tried now and then."""

    def __init__(self, clock: Clock, most: int) -> None:
        """clock: its last entry of `threads` is the number now. most: the other numbers are it and 1."""
        self.clock, self.most = clock, most
        self._spent, self._due = 0.0, SOONEST
        self._recent: list[float] = []
        self._usual: float | None = None
        """Seconds a step before the trial that is under way."""

    @property
    def now(self) -> int:
        return self.clock.threads[-1][1]

    def after(self, step: int, seconds: float) -> int:
        """How many threads the step after `step`, which took `seconds`, is taken on."""
        self._spent += seconds
        if self._spent < self._due:
            return self.now
        self._recent.append(seconds)
        long = len(self._recent) > FEWEST and sum(self._recent[1:]) >= MOMENT
        if self._usual is None:
            if long:
                self._usual = self._mean()
                self._change(step, self._other)
        elif long or (len(self._recent) > 1 and seconds > HOPELESS * self._usual):
            best = faster({self.now: self._mean(), self._other: self._usual})
            self._due = self._spent + max(SOONEST, RARELY * sum(self._recent), GROWING * self._spent)
            self._usual = None
            self._change(step, best)
        return self.now

    def _mean(self) -> float:
        return sum(self._recent[1:]) / (len(self._recent) - 1)

    @property
    def _other(self) -> int:
        return 1 if self.now > 1 else self.most

    def _change(self, step: int, n: int) -> None:
        self._recent = []
        if n != self.now:
            self.clock.threads.append((step, n))


class Pace:
    """What is seen of the steps of a run on a CPU."""

    def __init__(self, threads: Threads | None) -> None:
        """threads: what chooses their number; None if it stays."""
        self._threads = threads
        self.seconds, self.had, self.could = 0.0, 0.0, 0.0
        """Of training, and of processors: what the process had, and what its threads could have had [s]."""

    def watch(self, steps: Iterator[Step]) -> Iterator[Step]:
        """The same steps, each on the number of threads that is fastest by then."""
        while True:
            began, used = time.perf_counter(), time.process_time()
            if (step := next(steps, None)) is None:
                return
            seconds, n = time.perf_counter() - began, torch.get_num_threads()
            self.seconds += seconds
            self.had += time.process_time() - used
            self.could += seconds * n
            if self._threads is not None and (more := self._threads.after(step.step, seconds)) != n:
                torch.set_num_threads(more)
            yield step

    def symptoms(self) -> list[str]:
        """A word if other programs had much of the processors, so that training took fewer steps than it could."""
        share = self.had / self.could if self.could else 1.0
        if share >= LITTLE or self.seconds < LONG:
            return []
        return [
            f"busy machine: training had {share:.0%} of the processors it waited for, other programs (or a slow disk) "
            "the rest: it took so many fewer steps"
        ]
