"""Budgets in CPU seconds, for benchmarks on a machine that others use too.

The one constraint: nothing but the clock of the training loop changes. With one thread (``OMP_NUM_THREADS=1``) CPU
seconds are what a quiet core would have taken on the clock; with several they add up over threads.
"""

from __future__ import annotations

import time
from types import SimpleNamespace

from sansheng import loop


def count_cpu_seconds() -> None:
    """Let every budget of this process be spent in CPU seconds of the process instead of seconds on the clock."""
    loop.time = SimpleNamespace(perf_counter=time.process_time)
