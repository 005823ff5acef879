"""Fixtures that run a test for every kind of data and every family."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from commands import models, sansheng
from small import FAMILIES, KINDS

__all__ = ["models", "sansheng"]
"""Fixtures of commands, for every test that types some."""


@pytest.fixture(autouse=True)
def _signals_as_they_were() -> Iterator[None]:
    """No test leaves a handler behind."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    assert {number: signal.getsignal(number) for number in before} == before


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return request.param
