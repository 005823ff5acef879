"""Rows in time from a table to a report: time is split, drawn beside real windows, and scored as prices where it is."""

from __future__ import annotations

import base64
import io
import json
import re
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sansheng.compare import Comparison, compare
from sansheng.metrics.series import stylised
from small import ASKED, WINDOW, rows_in_time

FAN = re.compile(r'<img src="data:image/png;base64,([^"]+)"[^>]*><figcaption>.*?</span>([^<]+)</span>')
CHANNELS = ["price", "warmth", "visits"]
Row = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    out = tmp_path_factory.mktemp("series") / "all"
    frame = rows_in_time(160, np.random.default_rng(0))
    return compare(frame, out=out, families=("gan", "flow"), steps=3, parameters=3000, seeds=1, **ASKED["series"])


@pytest.fixture(scope="module")
def scores(made: Comparison) -> dict[str, Row]:
    return {row["name"]: row["scores"] for row in json.loads(made.scores.read_text())["rows"]}


@pytest.fixture(scope="module")
def fans(made: Comparison) -> dict[str, np.ndarray]:
    """The pictures of the section "In time", by the name of the row."""
    section = made.report.read_text().split("<h3>In time</h3>")[1].split("<h2>")[0]
    pictures = {row: Image.open(io.BytesIO(base64.b64decode(data))) for data, row in FAN.findall(section)}
    return {row: np.asarray(picture.convert("RGB")) for row, picture in pictures.items()}


def test_every_row_but_that_of_copies_has_a_fan(fans: dict[str, np.ndarray]) -> None:
    assert fans.keys() == {"gan", "flow", "held-out data", "columns independent"}


def test_fans_have_a_row_of_plots_for_each_channel_and_differ(fans: dict[str, np.ndarray]) -> None:
    for picture in fans.values():
        assert picture.shape == (round(175 * len(CHANNELS)), 840, 3)
        for band in np.array_split(picture, len(CHANNELS)):
            assert (band < 128).any()  # something is drawn there
    assert len({picture.tobytes() for picture in fans.values()}) == len(fans)


def test_prices_are_scored_as_prices_and_several_channels_together(scores: dict[str, Row]) -> None:
    facts = {"clustering_error", "leverage_error", "drawdown_error"}
    margins = {"discriminative", "predictive", "marginal_error", "tail_error", "memory_error", "cross_error"}
    for row in scores.values():
        assert facts | margins <= row.keys()
        assert all(row[name]["low"] <= row[name]["value"] <= row[name]["high"] for name in facts | margins)


def test_real_windows_are_better_than_those_of_three_steps(scores: dict[str, Row]) -> None:
    replayed = scores["training data replayed"]
    for family in ("gan", "flow"):
        for name in ("marginal_error", "memory_error", "frechet"):
            assert replayed[name]["value"] < scores[family][name]["value"]


def test_channels_that_go_their_own_way_keep_margins_and_memory(scores: dict[str, Row]) -> None:
    replayed, apart = scores["training data replayed"], scores["columns independent"]
    assert apart["memory_error"]["value"] < 0.2
    assert apart["cross_error"]["value"] > replayed["cross_error"]["value"]


def test_windows_are_drawn_as_they_were_read(made: Comparison) -> None:
    """Of 160 days the last 32 are held out, and no window reaches over that day."""
    data = made.runs[0].open_data(rows_in_time(160, np.random.default_rng(0)))
    assert (len(data.train), len(data.test)) == (128 - WINDOW + 1, 32 - WINDOW + 1)
    for run in made.runs:
        assert [channel.kind for channel in run.codec.channels] == ["price", "number", "number"]  # pyright: ignore
        drawn = run.draw(6)
        assert drawn.about["names"] == CHANNELS
        assert drawn.values.shape == (6, WINDOW, len(CHANNELS))
        assert (drawn.values[:, :, 0] > 0).all()


def returns_with_leverage(sign: float, n: int = 3000, length: int = 30, seed: int = 0) -> np.ndarray:
    """Log-returns whose volatility is higher the lower (sign −1) or the higher (1) the one before was.

    log σ_t = log 0.01 + ½ sign · z_{t−1}, as in an EGARCH of order one (Nelson 1991) that forgets at once.
    """
    z = np.random.default_rng(seed).standard_normal((n, length + 1))
    return 0.01 * np.exp(0.5 * sign * z[:, :-1]) * z[:, 1:]


def prices_of(returns: np.ndarray) -> np.ndarray:
    return 100 * np.exp(np.cumsum(np.pad(returns, ((0, 0), (1, 0))), axis=1))


def test_leverage_is_negative_where_falls_are_followed_by_unrest() -> None:
    """And positive of the mirrored series, by as much; none where the order of time is lost."""
    returns = returns_with_leverage(-1.0)
    falls, rises = stylised(prices_of(returns)), stylised(prices_of(-returns))
    assert falls.leverage < -0.1
    assert rises.leverage == pytest.approx(-falls.leverage, rel=1e-6)
    assert stylised(prices_of(returns_with_leverage(1.0))).leverage > 0.1
    shuffled = np.random.default_rng(1).permuted(returns, axis=1)
    assert abs(stylised(prices_of(shuffled)).leverage) < 0.02
    backwards = stylised(prices_of(returns[:, ::-1]))
    assert abs(backwards.leverage) < 0.05  # a return tells of the unrest after it, and not of that before
