"""What a terminal shows: progress while something slow goes on, and tables of results.

The one constraint: progress and remarks go to standard error, results to standard output, so that a result can
be piped. Where standard error is no terminal there is no live bar but a plain line now and then.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn
from rich.table import Table
from rich.text import Text

from sansheng.events import Event

EVERY = 10.0
"""At most one plain line in so many seconds."""
MOST_LOSSES = 4


def duration(seconds: float) -> str:
    """``42 s``, ``3 min 05 s``, ``2 h 10 min``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def losses(values: Mapping[str, float]) -> str:
    """Named losses in a line, and how many latents are active; those called ``…/loss`` if there are any, and never more
    than a few."""
    named = {k: v for k, v in values.items() if k.endswith("/loss")} or dict(values)
    shown = dict(list(named.items())[:MOST_LOSSES]) | {k: v for k, v in values.items() if k.endswith("/active")}
    return "  ".join(f"{k.removesuffix('/loss').rpartition('/')[2]} {v:.4g}" for k, v in shown.items())


class Reporter:
    """An observer that shows events on standard error: a context manager, so that the bar is always cleared away.

    live: a moving bar, or a plain line at most every `EVERY` seconds; by default whether standard error is a
    terminal. clock: seconds, for tests.
    """

    def __init__(
        self, console: Console | None = None, *, live: bool | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.console = console or Console(stderr=True, highlight=False, soft_wrap=True)
        self.live = self.console.is_terminal if live is None else live
        self.preview: str | None = None
        """The path of the latest preview seen."""
        self._clock = clock
        self._shown_at = clock() - EVERY
        self._waiting: Event | None = None
        self._health = "ok"
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Reporter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish()

    def __call__(self, event: Event) -> None:
        show = {
            "note": self._note,
            "phase": self._begin,
            "step": self._step,
            "preview": self._previewed,
            "health": self._ail,
            "result": self._note,
        }
        show.get(event.kind, self._quiet)(event)

    def say(self, text: str) -> None:
        """One line of plain text, above the bar if there is one."""
        self.console.print(Text(text))

    def finish(self) -> None:
        """Show the last step if it has not been, and put the bar away."""
        if self._waiting is not None:
            self._line(self._waiting)
        if self._bar is not None:
            self._bar.stop()
        self._bar = self._task = None

    def _note(self, event: Event) -> None:
        self.say(event.text)

    def _begin(self, event: Event) -> None:
        self.finish()
        self._health = "ok"
        self._shown_at = self._clock() - EVERY
        self.say(f"{event.text} …")

    def _previewed(self, event: Event) -> None:
        if self.preview is None:
            self.say(f"first picture: {event.text}")
        self.preview = event.text

    def _ail(self, event: Event) -> None:
        if event.text not in ("ok", self._health):
            self.say(f"health: {event.text}")
        self._health = event.text

    def _quiet(self, event: Event) -> None:
        """What is saved is what a person expects: nothing to say."""

    def _step(self, event: Event) -> None:
        if self.live:
            self._move(event)
            return
        self._waiting = event
        if self._clock() - self._shown_at >= EVERY:
            self._line(event)

    def _line(self, event: Event) -> None:
        self._waiting, self._shown_at = None, self._clock()
        self.say("  ".join(part for part in self._parts(event) if part))

    def _parts(self, event: Event) -> list[str]:
        left = "" if event.left is None else f"{duration(event.left)} left"
        share = "" if event.progress is None else f"{100 * event.progress:3.0f} %"
        return [f"step {event.step:,}", share, left, losses(event.values), self._word]

    @property
    def _word(self) -> str:
        """The health in a word or two: what stands before a colon."""
        return self._health.split(":")[0]

    def _move(self, event: Event) -> None:
        if self._bar is None:
            self._bar, self._task = self._draw()
        assert self._task is not None
        left = "" if event.left is None else f"{duration(event.left)} left"
        facts = "  ".join(part for part in (left, losses(event.values), self._word) if part)
        self._bar.update(self._task, completed=event.progress or 0.0, facts=escape(facts))

    def _draw(self) -> tuple[Progress, TaskID]:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(24),
            TaskProgressColumn(),
            TextColumn("{task.fields[facts]}"),
        )
        bar = Progress(*columns, console=self.console, transient=True, refresh_per_second=4)
        bar.start()
        return bar, bar.add_task("training", total=1.0, facts="")


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on standard output; numbers (every column but the first) to the right."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, name in enumerate(header):
        table.add_column(escape(name), justify="right" if place else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    _output().print(table)


def print_pairs(lines: Iterable[tuple[str, str]]) -> None:
    """(name, description) lines, the descriptions under one another."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in lines:
        table.add_row(escape(name), escape(text))
    _output().print(table)


def _output() -> Console:
    """Standard output: as wide as the terminal, or wide enough for any table where it is none."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 200)
