"""What happens in a long job, told as it happens: the command line draws it, Python users may ignore it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["note", "phase", "step", "preview", "saved", "health", "result"]


@dataclass(frozen=True)
class Event:
    """One thing that happened.

    note: something understood or skipped. phase: a slow part begins (`text` names it). step: training went on, with
    `progress` in [0, 1], `seconds` spent, `left` to go [s] and named losses. preview, saved: a file (`text`).
    health: a symptom, or "ok". result: a piece of outcome.
    """

    kind: Kind
    text: str = ""
    progress: float | None = None
    step: int = 0
    seconds: float = 0.0
    left: float | None = None
    values: Mapping[str, float] = field(default_factory=dict)


Observer = Callable[[Event], None]


def ignore(event: Event) -> None:
    """The observer that observes nothing."""
