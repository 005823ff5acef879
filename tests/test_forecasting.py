"""Series that go on: the past stays, the future is drawn, and a process whose law is known goes on by it."""

import numpy as np
import pandas as pd
import pytest

import sansheng
from candles import candles
from sansheng import forecasting
from sansheng.codecs.series import SeriesCodec
from sansheng.codecs.series_file import from_windows
from sansheng.codecs.series_past import Past
from sansheng.filling import Drawing
from sansheng.forecasting import as_frame, forecast, go_on, lengthen, remarks
from sansheng.imputing import Imputed, impute, write_filled
from sansheng.series_gaps import meeting


def rows(n=2500, seed=0):
    """A daily wave and AR(1) noise about it."""
    rng = np.random.default_rng(seed)
    noise = np.zeros(n)
    for t in range(1, n):
        noise[t] = 0.7 * noise[t - 1] + 0.2 * rng.standard_normal()
    time = pd.date_range("2020-01-01", periods=n, freq="3h")
    wave = np.sin(2 * np.pi * np.arange(n) / 8)
    return pd.DataFrame({"time": time, "x": wave + noise, "y": 3 * wave})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    where = tmp_path_factory.mktemp("series")
    rows().to_csv(where / "rows.csv", index=False)
    return sansheng.train(
        where / "rows.csv", kind="series", options={"window": "16"}, family="flow", steps=400, parameters=60_000,
        out=where / "run",
    )  # fmt: skip


def test_a_wave_goes_on(run):
    frame = rows(500, seed=5)
    past, drawn = forecast(run, frame, 20, Drawing(8))
    assert drawn.shape == (1, 8, 20, 2)
    np.testing.assert_array_equal(past.values[0, :, 0], frame["x"].to_numpy()[-16:])
    ahead = 3 * np.sin(2 * np.pi * np.arange(500, 520) / 8)
    off = np.abs(drawn[0, :, :, 1].mean(0) - ahead).mean()
    assert off < 0.35 * np.abs(ahead).mean()
    assert drawn[0, :, -1, 0].std() > 0.05  # draws differ


def test_a_forecast_as_a_table_has_times(run):
    table = as_frame(run, *forecast(run, rows(100), 3, Drawing(2)))
    assert list(table.columns) == ["draw", "time", "x", "y"]
    assert table["time"].iloc[0] == rows(101)["time"].iloc[-1]
    assert (table["time"].diff().dropna().unique()[:1] == np.timedelta64(3, "h")).all()


def test_longer_than_a_window(run):
    records = run.draw(6)
    long = lengthen(run, records, 40)
    assert long.values.shape == (6, 40, 2)
    np.testing.assert_array_equal(long.values[:, :16], records.values)
    steps = np.abs(np.diff(long.values[:, :, 1], axis=1)).mean(0)
    assert steps[15:].max() < 1.7 * steps[:15].max()  # nothing breaks where windows are joined
    short = lengthen(run, records, 10)
    np.testing.assert_array_equal(short.values, records.values[:, :10])


@pytest.mark.parametrize(("horizon", "known"), [(4, [12]), (20, [8, 8, 12])])
def test_a_window_holds_as_much_of_the_past_as_the_horizon_leaves(run, monkeypatch, horizon, known):
    asked, fill = [], forecasting.fill_cells

    def watched(run, records, known, how):
        asked.append(int(known[0, 0].sum()))
        return fill(run, records, known, how)

    monkeypatch.setattr(forecasting, "fill_cells", watched)
    forecast(run, rows(100), horizon)
    assert asked == known


def test_a_past_that_begins_late_is_that_of_the_rows_it_has(run):
    """Rows of nothing in front are as if they were not there, beside series that are longer."""
    long = rows(200)[["x", "y"]].to_numpy()[-16:]
    late = np.concatenate([np.full((13, 2), np.nan), long[-3:]])
    both = go_on(run, Past(np.stack([long, late]), [0, 1]), 8, Drawing(40)).reshape(2, 40, 8, 2)
    assert np.isfinite(both).all()
    ahead = 3 * np.sin(2 * np.pi * np.arange(200, 208) / 8)
    assert np.abs(both[1, :, :, 1].mean(0) - ahead).mean() < 0.5 * np.abs(ahead).mean()


def test_prices_that_begin_late_go_on_from_the_last_one(tmp_path):
    frame = candles(400)
    frame.insert(0, "date", pd.bdate_range("2020-01-01", periods=400))
    run = sansheng.train(frame, kind="series", family="flow", steps=40, parameters=20_000, out=tmp_path / "run")
    names = list(frame.columns[1:])
    late = frame[names].to_numpy()[None, -24:].copy()
    late[0, :18] = np.nan
    drawn = go_on(run, Past(late, [0]), 1, Drawing(20))
    assert np.abs(np.log(drawn[:, 0, 3] / late[0, -1, 3])).max() < 0.15  # of returns of 0.02


def test_what_stands_beside_a_price_that_is_drawn_as_missing_is_there(tmp_path):
    frame = candles(400)[["Close", "Adj", "Volume"]]
    frame.loc[np.random.default_rng(0).random(400) < 0.5, "Close"] = np.nan
    run = sansheng.train(frame, kind="series", family="flow", steps=60, parameters=20_000, out=tmp_path / "run")
    drawn = forecast(run, frame, 12, Drawing(10))[1]
    assert np.isfinite(drawn[..., 1:]).all()


def test_a_past_without_any_price_tells_no_level(tmp_path):
    frame = candles(400)[["Close", "Volume"]].assign(Close=lambda f: f["Close"] ** 3)
    frame.loc[np.random.default_rng(0).random(400) < 0.3, "Close"] = np.nan
    run = sansheng.train(frame, kind="series", family="flow", steps=60, parameters=20_000, out=tmp_path / "run")
    past = frame.to_numpy()[None, -24:].copy()
    past[0, :, 0] = np.nan
    drawn = go_on(run, Past(past, [0]), 12, Drawing(30))[..., 0]
    assert np.nanstd(np.log(drawn)) > 0.3 * np.nanstd(np.log(frame["Close"]))


def test_a_past_shorter_than_half_a_window(run):
    past = Past(rows(3)[["x", "y"]].to_numpy()[None], [0])
    assert go_on(run, past, 5).shape == (1, 5, 2)


def test_what_cannot_go_on_is_said(run, tmp_path):
    with pytest.raises(ValueError, match="at least one step"):
        forecast(run, rows(100), 0)
    values = np.random.default_rng(0).standard_normal((200, 2))
    other = sansheng.train(values, family="flow", steps=3, out=tmp_path / "points")
    with pytest.raises(ValueError, match="series"):
        forecast(other, rows(100), 5)
    records = np.random.default_rng(0).standard_normal((100, 8, 1)).cumsum(1)
    vae = sansheng.train(records, kind="series", family="vae", steps=3, out=tmp_path / "vae")
    with pytest.raises(ValueError, match="VAE"):
        forecast(vae, records[:2], 5)


# -- gaps --------------------------------------------------------------------------------------------------------


def test_gaps_are_filled_by_what_is_beside_them(run):
    whole = rows(200, seed=7)
    frame = whole.copy()
    frame.loc[[5, 40, 41, 120, 199], "y"] = np.nan
    frame.loc[77:79, "x"] = np.nan
    shuffled = frame.sample(frac=1, random_state=0)
    made = impute(run, shuffled, draws=2, seed=1)
    for draw in range(2):
        filled = made.filled(draw).sort_index()
        assert not filled[["x", "y"]].isna().any(axis=None)
        known = frame["y"].notna()
        np.testing.assert_array_equal(filled.loc[known, "y"], whole.loc[known, "y"])
        assert np.abs(filled.loc[~known, "y"] - whole.loc[~known, "y"]).mean() < 1.2  # of a wave of height 3
    assert (made.filled(0)["x"] != made.filled(1)["x"]).any()


def test_a_series_without_a_value_is_said(run):
    frame = rows(50)
    frame["y"] = np.nan
    with pytest.raises(ValueError, match="'y'"):
        impute(run, frame)


def test_a_channel_that_one_series_lacks_is_drawn_for_it(tmp_path):
    frame = pd.concat([rows(300, seed=i).assign(patient=f"P{i}") for i in range(4)], ignore_index=True)
    frame.loc[::7, "x"] = np.nan
    options = {"entity": "patient", "window": "12"}
    run = sansheng.train(
        frame, kind="series", options=options, family="flow", steps=60, parameters=20_000, out=tmp_path / "run"
    )
    lacking = pd.concat([rows(40, seed=9).assign(patient="new", x=np.nan), rows(40, seed=8).assign(patient="old")])
    filled = impute(run, lacking.reset_index(drop=True)).filled()
    assert not filled[["x", "y"]].isna().any(axis=None)
    assert filled["x"][:40].std() > 0.1
    np.testing.assert_array_equal(filled["x"][40:], lacking["x"].to_numpy()[40:])


def test_series_of_a_row_each_go_on(tmp_path):
    values = np.sin(2 * np.pi * (np.arange(60)[:, None] + np.arange(24)) / 8)
    frame = pd.DataFrame(values, columns=[f"t{i}" for i in range(24)]).assign(kind=np.arange(60) % 2)
    frame["kind"] = frame["kind"].map({0: "a", 1: "b"})
    run = sansheng.train(
        frame, kind="series", family="flow", condition="kind", steps=60, parameters=20_000, out=tmp_path / "run"
    )
    past, drawn = forecast(run, frame, 4, Drawing(2))
    assert drawn.shape == (60, 2, 4, 1)
    assert remarks(run, past, 4) == []
    assert "no kind 'c'" in remarks(run, forecast(run, frame.assign(kind="c"), 4)[0], 4)[0]
    assert "no kind is there" in remarks(run, forecast(run, frame.drop(columns="kind"), 4)[0], 4)[0]
    np.testing.assert_array_equal(past.values[:, :, 0], values)
    with pytest.raises(ValueError, match="one a row"):
        impute(run, frame)


def test_drawn_prices_meet_the_known_ones():
    known = np.array([[100, np.nan, np.nan, 121.0, np.nan]])
    drawn = np.array([[100, 110, 121, 133.1, 146.41]])
    met = meeting(drawn, known)
    assert met[0, 0] == pytest.approx(100)
    assert met[0, 3] == pytest.approx(121)
    np.testing.assert_allclose(np.diff(np.log(met[0, :4])), np.log(1.21) / 3)
    assert met[0, 4] == pytest.approx(121 * 1.1)


def test_gaps_of_prices_keep_their_order(tmp_path):
    rng = np.random.default_rng(0)
    close = 50 * np.exp(np.cumsum(0.02 * rng.standard_normal(400)))
    o = close * np.exp(0.01 * rng.standard_normal(400))
    frame = pd.DataFrame({"open": o, "high": np.maximum(o, close) * 1.01, "low": np.minimum(o, close) / 1.01})
    frame["close"] = close
    frame = frame.round(2).assign(date=pd.bdate_range("2020-01-01", periods=400), volume=np.arange(400) % 70)
    run = sansheng.train(
        frame, kind="series", family="flow", condition="weekday", steps=60, parameters=40_000, out=tmp_path / "run"
    )
    assert isinstance(run.codec, SeriesCodec)
    ahead = as_frame(run, *forecast(run, frame, 3))
    assert ahead["volume"].dtype == np.int64  # as it was in the table
    assert (ahead["time"].dt.day_of_week < 5).all()
    some = frame.iloc[:60].copy()
    some.iloc[10:14, :4] = np.nan
    some.loc[30, ["open", "high", "low"]] = np.nan
    some.loc[40:45, "close"] = np.nan  # drawn between lows and highs that are known
    filled = impute(run, some).filled()
    assert (filled["high"] >= filled[["open", "close"]].max(axis=1)).all()
    assert (filled["low"] <= filled[["open", "close"]].min(axis=1)).all()
    off = np.abs(np.log(filled["close"].iloc[10:14] / frame["close"].iloc[10:14]))
    assert off.max() < 0.15


def test_windows_have_noise_of_their_own(run):
    """Gaps at the same place of windows that are alike are not all filled by the same number."""
    frame = rows(160, seed=7)
    frame["x"], frame.loc[5::8, "x"] = frame["y"], np.nan
    drawn = impute(run, frame).draws[0]["x"].to_numpy()[5::8]
    assert len(np.unique(drawn)) > len(drawn) // 2


def test_filled_numbers_are_written_in_full(tmp_path):
    codec = SeriesCodec.fit(from_windows(np.arange(40.0).reshape(2, 20, 1) * 1_000_001))
    frame = pd.DataFrame({"x0": [np.nan, 1.5]})
    (tmp_path / "a.csv").write_text("x0\nNA\n1.5\n")
    imputed = Imputed(frame, (pd.DataFrame({"x0": [12_345_678.0, 1.5]}),))
    write_filled(imputed, codec, tmp_path / "a.csv", tmp_path / "b.csv", 0)
    assert (tmp_path / "b.csv").read_text() == "x0\n12345678\n1.5\n"
