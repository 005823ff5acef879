"""Several processes take turns on the same cores, so that all of them meet the same noise.

The one constraint: a turn is measured in CPU seconds of the whole process group, and only one group runs at a time; the
others are stopped (SIGSTOP). Reads ``/proc``, so Linux only.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

POLL = 0.05
"""Seconds between two looks at the clock of whoever runs; a turn overshoots by about this times the threads."""
STUCK = 900.0
"""Wall seconds without any CPU time after which a process is ended."""
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Job:
    """A command to run; what it prints goes to `log`."""

    name: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)


class Turn(NamedTuple):
    """After a turn: CPU seconds `name` has used in all, and its exit status (None while it lives)."""

    name: str
    cpu_seconds: float
    status: int | None


class Player:
    """A job's process group, stopped from the start and between turns."""

    def __init__(self, job: Job) -> None:
        self.job, self.cpu_seconds = job, 0.0
        with job.log.open("wb") as log:
            self.process = subprocess.Popen(
                job.command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                env={**os.environ, **job.environment},
            )  # fmt: skip
        self.signal(signal.SIGSTOP)

    def signal(self, number: signal.Signals) -> None:
        """To the whole group; one that has just ended is no error."""
        if self.process.returncode is None:
            try:
                os.killpg(self.process.pid, number)
            except ProcessLookupError:
                return

    def turn(self, seconds: float) -> Turn:
        """Let the group run until it has used `seconds` of CPU time, or has ended."""
        goal, moved, status = self.cpu_seconds + seconds, time.monotonic(), None
        self.signal(signal.SIGCONT)
        while self.cpu_seconds < goal:
            time.sleep(POLL)
            now = group_cpu_seconds(self.process.pid)
            if now > self.cpu_seconds:
                moved = time.monotonic()
            if (status := self.process.poll()) is not None:
                break
            self.cpu_seconds = max(now, self.cpu_seconds)
            if time.monotonic() - moved > STUCK:
                self.end()
                return Turn(self.job.name, self.cpu_seconds, self.process.returncode)
        self.signal(signal.SIGSTOP)
        return Turn(self.job.name, self.cpu_seconds, status)

    def end(self) -> None:
        self.signal(signal.SIGKILL)
        self.process.wait()


def interleave(jobs: Sequence[Job], seconds: float) -> Iterator[Turn]:
    """Run all jobs in turns of `seconds` [CPU s] until each has ended; yields after every turn.

    CPU seconds given to two jobs that both live differ by at most one turn (and what a look at the clock is late).
    All are ended if the caller stops early. Raises ValueError for a turn that is not above zero.
    """
    if seconds <= 0:
        raise ValueError(f"a turn is above zero seconds, not {seconds}")
    players: list[Player] = []
    try:
        players.extend(Player(job) for job in jobs)
        alive = list(players)
        while alive:
            for player in list(alive):
                turn = player.turn(seconds)
                if turn.status is not None:
                    alive.remove(player)
                yield turn
    finally:
        for player in players:
            player.end()


def group_cpu_seconds(group: int) -> float:
    """User and system seconds of every living process of a group, and of their children that have ended."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it ended while we looked
            continue
        if int(fields[2]) == group:
            ticks += sum(int(value) for value in fields[11:15])
    return ticks / TICKS
