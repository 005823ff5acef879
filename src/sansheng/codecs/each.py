"""Many files, some of them broken, read side by side.

The one constraint: what comes out is in the order of the names, whatever finished first.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

MAX_BROKEN = 0.2
"""A larger share of broken files is an error: something is wrong with the set as a whole."""
T = TypeVar("T")


def each(
    read: Callable[[str], T], names: Sequence[str], reason: Callable[[Exception], str]
) -> tuple[dict[str, T], dict[str, str]]:
    """What `read` makes of each name, in order, and for the others the reason why not."""

    def attempt(name: str) -> tuple[T, None] | tuple[None, str]:
        try:
            return read(name), None
        except Exception as error:  # a decoder may raise anything on a broken file
            return None, reason(error)

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        results = dict(zip(names, pool.map(attempt, names), strict=True))
    good = {name: value for name, (value, _) in results.items() if value is not None}
    return good, {name: why for name, (_, why) in results.items() if why is not None}
