"""Numbers as people read them: as many digits as the interval supports, and no more.

The one constraint: pure functions of numbers to text, shared by the page and its charts.
"""

from __future__ import annotations

from math import floor, isfinite, log10

from sansheng.report.page import Number, ScoreCell

DASH = "–"
MINUS = "−"


def plain(value: Number | None, digits: int = 3) -> str:
    """`value` with about `digits` significant digits; thousands grouped; a dash for what is not a finite number."""
    if value is None or not isfinite(value):
        return DASH
    if value == 0:
        return "0"
    magnitude = floor(log10(abs(value)))
    if magnitude < -4 or magnitude >= 9:
        return f"{value:.{digits - 1}e}".replace("-", MINUS)
    return fixed(value, max(0, digits - 1 - magnitude))


def fixed(value: Number, decimals: int) -> str:
    """`value` with that many decimals, a true minus sign, and no minus before zero."""
    text = f"{value:,.{decimals}f}"
    if text.startswith("-"):
        return text[1:] if float(text.replace(",", "")) == 0 else MINUS + text[1:]
    return text


def decimals_for(cell: ScoreCell) -> int:
    """Decimals that show one or two digits of the interval's half width (three of the value, without one); 0 to 5."""
    low, high = cell.interval
    scale = (high - low) / 2 if high > low else abs(cell.value) / 40
    if scale <= 0 or not isfinite(scale):
        return 2
    return min(5, max(0, -floor(log10(scale / 3))))


def value_text(cell: ScoreCell) -> str:
    return fixed(cell.value, decimals_for(cell)) if cell.measured else DASH


def interval_text(cell: ScoreCell) -> str:
    """``[low, high]``, or nothing where no interval is known."""
    if not cell.has_interval or not cell.measured:
        return ""
    low, high = cell.interval
    decimals = decimals_for(cell)
    return f"[{fixed(low, decimals)}, {fixed(high, decimals)}]"


def seconds(value: Number | None) -> str:
    """A duration [s] in the unit a person would use."""
    if value is None or not isfinite(value):
        return DASH
    if value < 1:
        return f"{plain(value * 1000, 2)} ms"
    if value < 120:
        return f"{plain(value, 3 if value >= 10 else 2)} s"
    if value < 7200:
        return f"{plain(value / 60, 3)} min"
    return f"{plain(value / 3600, 3)} h"


def count(value: Number | None) -> str:
    """A count, shortened: 1,234, 123 k or 1.23 M."""
    if value is None or not isfinite(value):
        return DASH
    if abs(value) >= 1e9:
        return f"{plain(value / 1e9)} G"
    if abs(value) >= 1e6:
        return f"{plain(value / 1e6)} M"
    if abs(value) >= 1e5:
        return f"{plain(value / 1e3)} k"
    return f"{value:,.0f}"
