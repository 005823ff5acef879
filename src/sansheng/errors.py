"""A mistake in a person's files or options: one clear line and exit code 2 on the command line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class DataError(ValueError):
    """Something in a person's data: what was given, where (file, row, column), what is allowed, what to do next."""


def no_file(path: Path) -> DataError:
    """An error for a path that should be a file and is none."""
    return DataError(f"{path}: a folder, where a file is needed" if path.is_dir() else f"{path}: no such file")


def unknown(what: str, given: str, valid: Iterable[str]) -> ValueError:
    """An error for an option that does not exist: lists the valid ones and guesses which was meant."""
    valid = sorted(valid)
    close = difflib.get_close_matches(given, valid, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return ValueError(f"unknown {what} {given!r}.{hint} Valid: {', '.join(valid)}")
