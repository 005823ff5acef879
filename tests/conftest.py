"""Fixtures that run a test for every kind of data and every family."""

from __future__ import annotations

import pytest

from small import FAMILIES, KINDS


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return request.param
