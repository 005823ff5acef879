"""Numbers as people write them: with a decimal point or comma, thousands set off, signs of currency and per cent.

The one constraint: a factor of 1000 is never guessed. ``1,234`` is read as the decimal sign of its file has it, and not
at all where other texts of its column have another.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

EXACT = 2**53
"""Whole numbers beyond this cannot all be told apart as floating-point numbers."""
AROUND = r"[\s$€£%]"
"""What may stand around a number that a person says is one."""
OTHER = {".": ",", ",": "."}
LEAST_DIALLED = 7
"""Digits behind a plus from which on they are a code, such as a telephone number."""


@dataclass(frozen=True)
class Reading:
    """Texts read as numbers ``(N,)``, NaN for what is none or may be two. ambiguous ``(N,)``: those that may be two.

    decimal: the sign that was taken for the decimal one.
    """

    numbers: np.ndarray
    ambiguous: np.ndarray
    decimal: str


def fits(texts: pd.Series, decimal: str) -> np.ndarray:
    """Which texts are numbers with this decimal sign, and the other one between groups of three digits, if any."""
    d, t = re.escape(decimal), re.escape(OTHER[decimal])
    whole = rf"(?:\d+|[1-9]\d{{0,2}}(?:{t}\d{{3}})+)"
    return texts.str.fullmatch(rf"[-+]?(?:{whole}(?:{d}\d*)?|{d}\d+)(?:[eE][-+]?\d+)?").to_numpy(bool, na_value=False)


def read(texts: pd.Series, decimal: str = ".", *, sure: bool = True) -> Reading:
    """Texts ``(N,)`` as numbers. decimal: of their file. sure: whether anything in it tells that it is that.

    Where all that tells is against the file's sign, that of the column is taken; but then, and where the file tells
    nothing, ``1,234`` may be two numbers and is none.
    """
    bare = texts.str.replace(AROUND, "", regex=True)
    point, comma = fits(bare, "."), fits(bare, ",")
    apart = bare.str.contains("[.,]", regex=True).to_numpy(bool, na_value=False)
    either = point & comma & apart
    own, other = (point & ~comma, comma & ~point) if decimal == "." else (comma & ~point, point & ~comma)
    turned = bool(other.any() and not own.any())
    taken = OTHER[decimal] if turned else decimal
    as_decimal = bare.str.contains(decimal, regex=False).to_numpy(bool, na_value=False)
    clear = either & (as_decimal | sure) & (not other.any())
    kept = (point & comma & ~apart) | (other if turned else own) | clear
    return Reading(plain_numbers(bare.where(kept), taken), either & ~clear, taken)


def plain_numbers(texts: pd.Series, decimal: str) -> np.ndarray:
    """Texts that fit a decimal sign as numbers ``(N,)``; NaN for missing ones."""
    pointed = texts.str.replace(OTHER[decimal], "", regex=False).str.replace(decimal, ".", regex=False)
    return pd.Series(pd.to_numeric(pointed, errors="coerce")).to_numpy(np.float64, na_value=np.nan)


def look_like(texts: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """(which texts ``(N,)`` are numbers with some decimal sign, which are codes of digits such as 01234)."""
    bare = texts.str.replace(AROUND, "", regex=True)
    codes = bare.str.fullmatch(rf"0\d+|\+\d{{{LEAST_DIALLED},}}|\d+[eE]\d+|[-+]?\d{{16,}}").to_numpy(bool)
    return (fits(bare, ".") | fits(bare, ",")) & ~codes, codes


def are_codes(texts: pd.Series) -> bool:
    """Whether texts, none missing, are altered when read as numbers: 01234, +49103024294, 12E3, over 15 digits."""
    if not len(texts):
        return False
    if texts.str.fullmatch(r"0\d+").any() or texts.str.fullmatch(r"\d+[eE]\d+").all() or too_long(texts):
        return True
    dialled = texts.str.startswith("+").any()
    return bool(dialled and texts.str.fullmatch(rf"\+?\d{{{LEAST_DIALLED},}}").all())


def too_long(texts: pd.Series) -> bool:
    """Whether texts, none missing, are whole numbers of which some are beyond `EXACT`."""
    if not len(texts) or not re.fullmatch(r"[-+]?\d+", str(texts.iloc[0])):
        return False
    long = texts[(texts.str.len() > 15).to_numpy(bool)]
    if not len(long) or not texts.str.fullmatch(r"[-+]?\d+").all():
        return False
    return any(len(text) > 20 or abs(int(text)) > EXACT for text in long)


def are_grouped(texts: pd.Series, decimal: str) -> bool:
    """Whether texts, none missing, are all numbers in groups of three digits, and some have more than one group."""
    mark = OTHER[decimal]
    d, t = re.escape(decimal), re.escape(mark)
    number = rf"[-+]?(?:[1-9]\d{{0,2}}(?:{t}\d{{3}})*|0)(?:{d}\d+)?"
    if not len(texts) or not texts.head(20).str.fullmatch(number).all():
        return False
    return bool(texts.str.contains(mark, regex=False).any() and texts.str.fullmatch(number).all())


def in_groups(number: str, decimal: str) -> str:
    """A number as it is written, its whole part in groups of three: 1234.5 is 1,234.5."""
    whole, sign, rest = number.partition(decimal)
    return re.sub(r"(?<=\d)(?=(?:\d{3})+$)", OTHER[decimal], whole) + sign + rest
