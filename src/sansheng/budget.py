"""How long a person can wait: a number of steps or of seconds, and progress in [0, 1] towards it.

The one constraint: progress is a function of the step, given by recorded knots. A run by steps has two knots; a run
by seconds adds one now and then, from the speed it sees, and keeps them all. So a run is repeated bit for bit, and
continued, from its knots, whatever the clock says the next time.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
FINAL_RATE = 0.01
DEFAULT_SECONDS = 60.0
"""How long training takes unless told [s]."""


@dataclass(frozen=True)
class Budget:
    """Exactly one of `steps` (> 0) and `seconds` (> 0) [s] of training; in these at `most` so many steps, 0 for any."""

    steps: int | None = None
    seconds: float | None = None
    most: int = 0

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.seconds is None):
            raise ValueError("a budget is either steps or seconds")
        if (self.steps or self.seconds or 0) <= 0:
            raise ValueError(f"a budget is above zero, not {self}")

    @staticmethod
    def parse(text: str) -> Budget:
        """``"90"``, ``"30s"``, ``"5m"``, ``"1.5h"`` -> seconds. Raises ValueError saying what a budget looks like."""
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd]?)\s*", text)
        if not match or not 0 < float(match[1]) < math.inf:
            raise ValueError(f"a budget is a time such as 30s, 5m or 1h, not {text!r} (for a number of steps: --steps)")
        return Budget(seconds=float(match[1]) * _UNITS[match[2]])

    def __str__(self) -> str:
        if self.steps is not None:
            return f"{self.steps:,} steps"
        seconds = self.seconds or 0.0
        for unit, size in (("h", 3600), ("m", 60)):
            if seconds >= size and seconds % size == 0:
                return f"{seconds / size:g}{unit}"
        return f"{seconds:g}s"


@dataclass
class Clock:
    """Progress as a piecewise linear function of the step: ``knots`` of (step, progress, progress per step)."""

    knots: list[tuple[int, float, float]] = field(default_factory=list)
    seconds: float = 0.0
    """Training time so far [s], previews and checkpoints left out."""
    threads: list[tuple[int, int]] = field(default_factory=list)
    """(step, threads) wherever their number changed; empty where it is fixed."""
    _mark: tuple[int, float] = (0, 0.0)
    """Step and seconds when the pace was last taken."""

    @staticmethod
    def start(budget: Budget) -> Clock:
        """A clock at step 0. A run by seconds begins slowly, until its first `tick` knows the speed."""
        return Clock([(0, 0.0, 1 / budget.steps if budget.steps else 1e-6)])

    def progress(self, step: int) -> float:
        """Progress in [0, 1] before `step` is taken; 1 means the budget is spent."""
        for first, progress, slope in reversed(self.knots):
            if step >= first:
                return min(1.0, progress + (step - first) * slope + 1e-12)
        return 0.0

    def tick(self, step: int, budget: Budget) -> None:
        """For a run by seconds: add a knot where progress and time have drifted apart, aiming at progress 1 at its end.

        That is when its time is up, or the most steps are taken that it may take, whichever comes first. The pace is
        that of the steps since the last knot, since what a step costs may change within a run.
        """
        if budget.seconds is None or self.seconds <= 0:
            return
        last = self.knots[-1][0]
        early = len(self.knots) < 6 and step >= 2 ** len(self.knots)
        now = self.progress(step)
        left = budget.seconds - self.seconds
        due = max(1 - left / budget.seconds, step / budget.most if budget.most else 0.0)
        if step <= last or not (early or now >= 1 or left <= 0 or abs(due - now) > 0.01):
            return
        since, seconds = self._mark
        per_step = (self.seconds - seconds) / (step - since)
        self._mark = (step, self.seconds)
        steps_left = min(left / per_step, budget.most - step if budget.most else math.inf)
        if steps_left < 1:
            self.knots.append((step, 1.0, 0.0))
        else:
            now = min(now, 1 - 1e-6)
            self.knots.append((step, now, (1 - now) / steps_left))


def learning_rate(progress: float, *, constant: bool = False) -> float:
    """Factor on the learning rate: 5 % linear warm-up, then a half cosine down to a hundredth."""
    if constant:
        return 1.0
    if progress < 0.05:
        return (progress + 1e-3) / 0.051
    fall = 0.5 * (1 + math.cos(math.pi * (progress - 0.05) / 0.95))
    return FINAL_RATE + (1 - FINAL_RATE) * fall


def ramp(progress: Any, until: float) -> Any:
    """0 to 1 linearly over the first `until` of the budget (KL warm-up); of a tensor, a tensor."""
    if until <= 0:
        return 1.0
    share = progress / until
    return min(1.0, share) if isinstance(share, float) else share.clamp(max=1)


def geometric(progress: Any, start: float, end: float) -> Any:
    """From `start` to `end`, evenly in the logarithm (a falling gradient penalty); of a tensor, a tensor."""
    return start * (end / start) ** progress
