"""Numbers as people read them."""

from __future__ import annotations

import math

import pytest

from sansheng.report.numbers import count, fixed, interval_text, plain, seconds, value_text
from sansheng.report.page import ScoreCell


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (3.14159, "3.14"), (-0.01234, "−0.0123"), (12345, "12,345"), (None, "–"), (math.inf, "–")],
)
def test_plain(value: float | None, text: str) -> None:
    assert plain(value) == text


def test_a_number_that_rounds_to_zero_has_no_minus() -> None:
    assert fixed(-0.0004, 2) == "0.00"


@pytest.mark.parametrize(("value", "text"), [(0.11, "110 ms"), (60.2, "60.2 s"), (300, "5.00 min"), (None, "–")])
def test_seconds(value: float | None, text: str) -> None:
    assert seconds(value) == text


@pytest.mark.parametrize(("value", "text"), [(35, "35"), (7755, "7,755"), (991_256, "991 k"), (1_234_567, "1.23 M")])
def test_count(value: float, text: str) -> None:
    assert count(value) == text


def test_digits_follow_the_interval() -> None:
    wide = ScoreCell(3.14159, 2.1, 4.2, 10, "lower")
    narrow = ScoreCell(3.14159, 3.13, 3.15, 10, "lower")
    assert (value_text(wide), interval_text(wide)) == ("3.1", "[2.1, 4.2]")
    assert (value_text(narrow), interval_text(narrow)) == ("3.142", "[3.130, 3.150]")


def test_a_score_without_an_interval_shows_none() -> None:
    assert interval_text(ScoreCell(0.5, None, None, 10, "lower")) == ""
