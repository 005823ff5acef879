"""A run by time that ends before its time, for it would learn its few examples by heart."""

import numpy as np
import pytest

import sansheng
from sansheng import checkpoint

WINDOWS = np.random.default_rng(0).normal(size=(60, 12, 2)).cumsum(1)


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    told = []
    run = sansheng.train(
        WINDOWS, kind="series", family="flow", budget="10m", settings={"most_steps": 40}, previews=False,
        out=tmp_path_factory.mktemp("short") / "run", observe=lambda event: told.append(event.text),
    )  # fmt: skip
    return run, told


def steps_of(run):
    return checkpoint.entries(run.path / "checkpoint")[0]["step"]


def test_it_ends_after_so_many_steps_and_says_why(short):
    run, told = short
    assert steps_of(run) == pytest.approx(40, abs=1)
    assert any("by heart" in text and "most_steps=0" in text for text in told)


def test_rates_have_fallen_by_then(short):
    run, _ = short
    assert run.recipe.knots[-1][1] == 1


def test_who_asks_for_more_gets_all_of_it(short):
    run, _ = short
    with pytest.raises(ValueError, match="has spent its budget"):
        sansheng.resume(run.path, source=WINDOWS)
    before = steps_of(run)
    longer = sansheng.resume(run.path, steps=25, source=WINDOWS)
    assert steps_of(longer) == before + 25
    assert longer.recipe.most_steps == 0


def test_steps_that_were_asked_for_are_taken(tmp_path):
    how = {"kind": "series", "family": "flow", "previews": False, "settings": {"most_steps": 10}}
    run = sansheng.train(WINDOWS, steps=15, out=tmp_path / "run", **how)
    assert steps_of(run) == 15
