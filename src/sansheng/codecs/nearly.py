"""What a column of text nearly is: dates or numbers, but for a few cells.

The one constraint: it is only said, with the words that read it so; the column stays text until a person says them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sansheng.codecs import dates, numerals

SHARE = 0.9
"""Of the cells with a text, from which on a column is nearly that."""
MOST_CODES = 0.01
"""Of the cells; where more are codes such as 01234, the others are too."""


@dataclass(frozen=True)
class Nearly:
    """said: the end of a reason. dates: whether they are nearly dates, which are no names of rows."""

    said: str
    dates: bool


def nearly(name: str, texts: np.ndarray, counts: np.ndarray) -> Nearly | None:
    """What different texts ``(U,)``, each in so many cells ``(U,)``, nearly are; None if they are just texts."""
    total = int(counts.sum())
    if not total:
        return None
    date_format, written = dates.usual_format(texts)
    if date_format is not None and counts[written].sum() >= SHARE * total:
        said = f"{int(counts[written].sum()):,} of {total:,} texts are dates ({dates.spelled(date_format)})"
        return Nearly(f"{said}; {_asked(name, f'date:{date_format}')} reads them, the others as missing", True)
    numbers, codes = numerals.look_like(pd.Series(texts, dtype=object))
    numeric = counts[numbers].sum()
    if numeric < SHARE * total or counts[codes].sum() > MOST_CODES * total:
        return None
    how = f"{_asked(name, 'number')} reads them{', the others as missing' if numeric < total else ''}"
    return Nearly(f"{_percent(numeric / total)} % of its texts are numbers; {how}", False)


def _percent(share: float) -> str:
    """A share, never rounded up to all."""
    return "100" if share == 1 else f"{min(100 * share, 99.9):.1f}" if share > 0.99 else f"{100 * share:.0f}"


def _asked(name: str, kind: str) -> str:
    typed = f"{name}={kind}"
    return f'--type "{typed}"' if " " in typed else f"--type {typed}"
