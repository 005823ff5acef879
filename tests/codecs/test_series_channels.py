"""Channels of series: prices stay prices, stay together and in order, whatever is drawn."""

import numpy as np
import pytest
import torch

from candles import candles, walk
from sansheng.codecs.series import SeriesCodec
from sansheng.codecs.series_channels import kind_of
from sansheng.codecs.series_file import from_frame, from_windows


def test_candles_come_back_to_the_cent():
    records = from_frame(candles(), {}).records
    codec = SeriesCodec.fit(records)
    kinds = {channel.name: channel.kind for channel in codec.channels}
    assert kinds == {
        "Open": "ratio", "High": "ratio", "Low": "ratio", "Close": "price", "Adj": "beside", "Volume": "number"
    }  # fmt: skip
    back = codec.decode(codec.encode(records).x)
    for i, name in enumerate(codec.names[:5]):
        off = np.abs(back.values[:, :, i] / records.values[:, :, i] - 1)
        assert off.max() < 2e-3, name
        assert np.median(off) == 0, name


def test_whatever_is_drawn_prices_are_prices():
    codec = SeriesCodec.fit(from_frame(candles(), {}).records)
    noise = codec.space.harden(3 * torch.randn(300, *codec.space.shape, generator=torch.Generator().manual_seed(0)))
    drawn = codec.decode(noise.clamp(-4, 4)).values
    o, h, low, c, adj = (drawn[:, :, i] for i in range(5))
    assert drawn[:, :, :5].min() > 0
    assert (h >= np.maximum(o, c)).all()
    assert (low <= np.minimum(o, c)).all()
    np.testing.assert_array_equal(adj, c)


def test_prices_of_one_day_stay_together_though_nobody_names_them():
    """Windows of an array: log ratios of open, high, low to one another come back to where they were, day after day."""
    values = np.lib.stride_tricks.sliding_window_view(candles().to_numpy(), 16, axis=0).swapaxes(1, 2)
    codec = SeriesCodec.fit(from_windows(values))
    assert [channel.kind for channel in codec.channels] == ["price", *["beside"] * 4, "number"]
    noise = torch.randn(500, *codec.space.shape, generator=torch.Generator().manual_seed(0))
    drawn = codec.decode(codec.space.harden(noise)).values
    real, found = (np.log(windows[:, :, 1] / windows[:, :, 3]).mean(1) for windows in (values, drawn))
    assert found.std() < 2 * real.std()


def test_prices_of_two_shares_are_not_written_beside_one_another():
    values = np.lib.stride_tricks.sliding_window_view(walk(600, 3, channels=2), 16, axis=0).swapaxes(1, 2)
    assert [channel.kind for channel in SeriesCodec.fit(from_windows(values)).channels] == ["price", "price"]


def test_the_level_of_a_price_stands_at_every_step():
    values = np.lib.stride_tricks.sliding_window_view(walk(600), 16, axis=0).swapaxes(1, 2)
    records = from_windows(values)
    codec = SeriesCodec.fit(records)
    x = codec.encode(records).x
    assert x.shape == (len(values), 2, 16)
    assert (x[:, 1] == x[:, 1, :1]).all()
    assert np.corrcoef(x[:, 1, 0], np.log(values[:, 0, 0]))[0, 1] > 0.95
    known = codec.known(np.arange(16)[None, :, None] < 5, np.zeros((1, 16), bool))[0]
    assert known[0].tolist() == [True] * 5 + [False] * 11
    assert known[1].all()
    unknown = codec.known(np.arange(16)[None, :, None] > 5, np.zeros((1, 16), bool))[0]
    assert unknown[0].tolist() == [True] + [False] * 6 + [True] * 9  # a return is told by both its prices
    assert unknown[1].all()
    nothing = codec.known(np.zeros((1, 16, 1), bool), np.zeros((1, 16), bool))[0]
    assert not nothing[1].any()


def test_prices_that_all_begin_alike_do_so_when_drawn():
    values = np.lib.stride_tricks.sliding_window_view(walk(600), 16, axis=0).swapaxes(1, 2)
    values = 100 * values / values[:, :1]
    codec = SeriesCodec.fit(from_windows(values), types={"x0": "price"})
    noise = codec.space.harden(torch.randn(50, *codec.space.shape, generator=torch.Generator().manual_seed(0)))
    drawn = codec.decode(noise).values
    np.testing.assert_allclose(drawn[:, 0], 100, rtol=1e-6)
    assert drawn[:, 1:].std() > 1


def test_calm_prices_keep_their_order_too():
    """Their range is too small for `kind_of` to take them for prices; their names say that they are."""
    calm = candles()
    calm.iloc[:, :5] = (np.exp(np.log(calm.iloc[:, :5]) * 0.1) * 100).round(2)
    assert kind_of(calm["Close"].to_numpy()[:480].reshape(20, 24)) == "number"
    records = from_frame(calm, {}).records
    codec = SeriesCodec.fit(records)
    assert [channel.kind for channel in codec.channels[:4]] == ["ratio", "ratio", "ratio", "price"]
    noise = codec.space.harden(torch.randn(300, *codec.space.shape, generator=torch.Generator().manual_seed(0)))
    o, h, low, c = (codec.decode(noise).values[:, :, i] for i in range(4))
    assert (h >= np.maximum(o, c)).all()
    assert (low <= np.minimum(o, c)).all()
    asked = SeriesCodec.fit(records, types={"Close": "number"})
    assert asked.channels[3].kind == "number"


@pytest.mark.parametrize(("bars", "kept", "says"), [(1, True, "what is drawn is in order"), (60, False, "not kept in")])
def test_a_few_bars_out_of_order_are_told_and_do_no_harm(bars, kept, says):
    frame = candles()
    frame.loc[np.arange(bars) * 10 + 5, "High"] = frame["Low"].min() / 2
    codec = SeriesCodec.fit(from_frame(frame, {}).records)
    assert (codec.channels[1].kind == "ratio") == kept
    assert says in dict(codec.describe())["order"]
    assert "order" not in dict(SeriesCodec.fit(from_frame(candles(), {}).records).describe())


def test_kinds_of_channels():
    prices = np.stack([walk(24, seed=i)[:, 0] for i in range(200)]) * np.linspace(0.5, 2, 200)[:, None]
    assert kind_of(prices) == "price"
    assert kind_of(prices - 40) == "number"  # below zero
    assert kind_of(np.random.default_rng(0).uniform(1, 5, (200, 24))) == "number"  # no memory
    temperature = 290 + np.cumsum(np.random.default_rng(0).standard_normal((200, 24)), axis=1)
    assert kind_of(temperature) == "number"  # hardly varies beside its level


def test_a_person_can_say_what_a_channel_is():
    records = from_frame(candles(), {}).records
    kinds = {c.name: c.kind for c in SeriesCodec.fit(records, types={"Close": "number"}).channels}
    assert kinds["Close"] == "number"
    assert kinds["Open"] == "price"
    with pytest.raises(ValueError, match=r"number.*price"):
        SeriesCodec.fit(records, types={"Close": "category"})
    with pytest.raises(ValueError, match="Cloze"):
        SeriesCodec.fit(records, types={"Cloze": "price"})


@pytest.mark.parametrize("missing", ["Close", "Open"])
def test_what_stands_beside_a_price_with_gaps_comes_back(missing):
    frame = candles()
    frame.loc[np.random.default_rng(0).random(len(frame)) < 0.1, missing] = np.nan
    records = from_frame(frame, {}).records
    codec = SeriesCodec.fit(records)
    back, values = codec.decode(codec.encode(records).x).values, records.values
    np.testing.assert_array_equal(np.isnan(back), np.isnan(values))
    for i in (j for j, name in enumerate(codec.names) if name in ("Close", "Open", "Adj")):
        np.testing.assert_allclose(back[:, :, i], values[:, :, i], rtol=2e-3, err_msg=codec.names[i])


def test_prices_with_gaps_do_not_drift():
    rng = np.random.default_rng(0)
    values = 50 * np.exp(np.cumsum(0.01 + 0.01 * rng.standard_normal((200, 16, 1)), axis=1))
    values[:, 1:][rng.random((200, 15)) < 0.3] = np.nan
    codec = SeriesCodec.fit(from_windows(values), types={"x0": "price"})
    back = codec.decode(codec.encode(from_windows(values)).x).values
    np.testing.assert_allclose(back, values, rtol=2e-3)


def test_a_bar_with_nothing_but_an_open_of_0_is_no_price():
    frame = candles()
    frame.loc[7, ["High", "Low", "Close"]] = np.nan
    frame.loc[7, "Open"] = 0.0
    assert SeriesCodec.fit(from_frame(frame, {}).records).channels[0].kind == "number"
