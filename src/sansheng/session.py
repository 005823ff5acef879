"""What happens around the steps of a training run: journal, previews, checkpoints, interruption, a word on its health.

The one constraint: nothing here changes what a step computes, so a run with a session ends bit for bit where one
without it does.
"""

from __future__ import annotations

import json
import math
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import torch
from filelock import FileLock, Timeout

from sansheng import checkpoint
from sansheng.budget import Budget
from sansheng.errors import DataError
from sansheng.events import Event, Observer
from sansheng.loop import State, Step

CHECKPOINT_SECONDS = 60.0
JOURNAL_SECONDS = 0.2
"""Every step goes into the journal at first; then one in so many seconds."""
EVERY_STEP_UNTIL = 50
PREVIEWS = (0.01, 0.03, 0.1, 0.3, 1.0)
"""Progress at which pictures are drawn, besides one before the first step."""
ADVICE = (
    "what to try: a smaller learning rate (--set learning_rate=2e-4), --precision fp32, a larger --set batch, "
    "or another --seed"
)


class Interrupted(Exception):
    """Training was asked to stop, and has saved. `signum`: by which signal. `path`: the run folder to resume."""

    def __init__(self, signum: int, path: Path) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}; saved in {path}")
        self.signum, self.path = signum, path


class TrainingFailed(RuntimeError):
    """A loss stopped being a number. The last good checkpoint is kept."""


class Session:
    """A context manager around the steps of one run; call `after` when each is done."""

    def __init__(
        self, folder: Path, state: State, budget: Budget, observe: Observer, preview: Callable[[Path], Path] | None
    ) -> None:
        """preview: draws a picture at a path without suffix and returns its file; None for no pictures."""
        self.folder, self.state, self.budget, self.observe, self.preview = folder, state, budget, observe, preview
        self._lock = FileLock(folder / ".lock", timeout=0)
        self._signum: int | None = None
        self._handlers: dict[int, Any] = {}
        self._due = [p for p in PREVIEWS if p > state.progress]
        self._written = self._saved = time.monotonic()
        self._saved_step = -1

    def __enter__(self) -> Session:
        try:
            self._lock.acquire()
        except Timeout:
            raise DataError(f"{self.folder} is being trained by another process") from None
        self._journal = (self.folder / "journal.jsonl").open("a", encoding="utf-8")
        if threading.current_thread() is threading.main_thread():
            for signum in (signal.SIGINT, signal.SIGTERM):
                self._handlers[signum] = signal.signal(signum, self._stop)
        try:
            if self.state.step == 0:
                self._draw()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._save()
            if isinstance(error, FloatingPointError):
                raise TrainingFailed(self._failure(error)) from error
        finally:
            self._close()

    def _close(self) -> None:
        """Signals, journal and lock as they were."""
        self._journal.close()
        for signum, handler in self._handlers.items():
            signal.signal(signum, handler)
        self._lock.release()

    def after(self, step: Step) -> None:
        """Write, draw and save what is due. Raises Interrupted, after saving, if a signal came."""
        now = time.monotonic()
        if step.step <= EVERY_STEP_UNTIL or now - self._written >= JOURNAL_SECONDS or step.progress >= 1:
            self._written = now
            self._write(step)
        if self._due and step.progress >= self._due[0]:
            self._due = [p for p in self._due if p > step.progress]
            self._draw()
        if self._signum is not None:
            self._save()
            raise Interrupted(self._signum, self.folder)
        if now - self._saved >= CHECKPOINT_SECONDS:
            self._save()

    def _write(self, step: Step) -> None:
        values = {name: float(value) for name, value in step.values.items()}
        line = {"step": step.step, "seconds": round(step.seconds, 3), "progress": step.progress, "values": values}
        self._journal.write(json.dumps(line) + "\n")
        self._journal.flush()
        symptoms = self.state.model.symptoms(values, step.progress)
        self.observe(Event("health", symptoms[0] if symptoms else "ok"))
        left = self._seconds_left(step)
        self.observe(Event("step", "", step.progress, step.step, step.seconds, left, values))

    def _seconds_left(self, step: Step) -> float:
        """The shorter of what is left of the time and of the steps."""
        most, limit = self.budget.steps or self.budget.most, self.budget.seconds
        of_time = math.inf if limit is None else max(0.0, limit - step.seconds)
        return min(of_time, step.seconds / step.step * max(0, most - step.step) if most else math.inf)

    def _draw(self) -> None:
        if self.preview is not None:
            name = self.folder / "previews" / f"step-{self.state.step:07d}"
            name.parent.mkdir(exist_ok=True)
            self.observe(Event("preview", str(self.preview(name)), self.state.progress, self.state.step))

    def _save(self) -> None:
        if self.state.step == self._saved_step:
            return
        if not all(torch.isfinite(p).all() for p in self.state.model.parameters()):
            raise FloatingPointError(f"a weight is not finite at step {self.state.step}")
        checkpoint.save(self.folder / "checkpoint", self.state)
        self._saved, self._saved_step = time.monotonic(), self.state.step
        self.observe(Event("saved", str(self.folder / "checkpoint")))

    def _stop(self, signum: int, frame: FrameType | None) -> None:
        """The first signal asks for a stop after this step; a second one stops at once."""
        self._signum = signum
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self.observe(Event("note", "stopping: saving after this step (again to quit without saving)"))

    def _failure(self, error: FloatingPointError) -> str:
        entries = checkpoint.entries(self.folder / "checkpoint")
        kept = f"the last good checkpoint, of step {entries[0]['step']:,}, is kept in {self.folder}" if entries else ""
        return "; ".join(part for part in (f"training broke down: {error}", kept, ADVICE) if part)


def read_journal(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's journal in order of steps; where a run went back and on again, the later ones count."""
    path = folder / "journal.jsonl"
    lines: list[dict[str, Any]] = []
    for text in path.read_text("utf-8").splitlines() if path.exists() else []:
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            continue  # cut short by a crash
        while lines and lines[-1]["step"] >= line["step"]:
            lines.pop()
        lines.append(line)
    return lines
