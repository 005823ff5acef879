"""Series: windows there and back, prices that stay prices, gaps, and no leak from held-out time."""

import numpy as np
import pandas as pd
import pytest
import torch

from candles import candles, walk
from sansheng import codecs
from sansheng.codecs.base import Reading, Records
from sansheng.codecs.series import SeriesCodec
from sansheng.codecs.series_channels import filled
from sansheng.codecs.series_file import from_frame, from_windows
from sansheng.codecs.series_past import latest
from sansheng.data import open_data
from sansheng.errors import DataError


def timed(n=600, seed=0, every="1h"):
    frame = candles(n, seed)
    frame.insert(0, "date", pd.date_range("2020-01-01", periods=n, freq=every).strftime("%Y-%m-%d %H:%M:%S"))
    return frame


# -- there and back ----------------------------------------------------------------------------------------------


def test_windows_of_numbers_come_back():
    rng = np.random.default_rng(0)
    values = np.cumsum(rng.standard_normal((200, 16, 3)), axis=1)
    records = from_windows(values)
    codec = SeriesCodec.fit(records)
    encoded = codec.encode(records)
    assert encoded.x.shape == (200, 3, 16)
    np.testing.assert_allclose(codec.decode(encoded.x).values, values, atol=1e-3 * values.std())
    assert abs(float(encoded.x.std()) - 1) < 0.05


def test_held_out_gaps_where_training_had_none_are_filled():
    values = np.cumsum(np.random.default_rng(0).standard_normal((50, 8, 2)), axis=1)
    codec = SeriesCodec.fit(from_windows(values))
    gaps = values.copy()
    gaps[0, 3, 1] = np.nan
    filled_by_hand = values.copy()
    filled_by_hand[0, 3, 1] = values[0, 2, 1]
    torch.testing.assert_close(codec.encode(from_windows(gaps)).x, codec.encode(from_windows(filled_by_hand)).x)
    gaps[0, :, 1] = np.nan
    with pytest.raises(DataError, match="'x1' has no value in a whole window"):
        codec.encode(from_windows(gaps))


def test_gaps_come_back_as_gaps():
    rng = np.random.default_rng(0)
    values = np.cumsum(rng.standard_normal((300, 12, 2)), axis=1)
    values[rng.random(values.shape[:2]) < 0.2, 1] = np.nan
    records = from_windows(values)
    codec = SeriesCodec.fit(records)
    assert [c.gaps for c in codec.channels] == [False, True]
    back = codec.decode(codec.encode(records).x).values
    np.testing.assert_array_equal(np.isnan(back), np.isnan(values))
    np.testing.assert_allclose(back, values, atol=1e-2)


def test_filled_takes_the_value_before():
    column = np.array([[np.nan, 1.0, np.nan, 3.0, np.nan]])
    np.testing.assert_array_equal(filled(column), [[1, 1, 1, 3, 3]])


def test_a_saved_codec_is_the_same():
    records = from_frame(timed(), {}).records
    codec = SeriesCodec.fit(records, condition=("hour",))
    again = codecs.from_json(codec.to_json(), codec.arrays())
    encoded = codec.encode(records)
    torch.testing.assert_close(again.encode(records).x, encoded.x)
    np.testing.assert_array_equal(
        again.decode(encoded.x, encoded.condition).values, codec.decode(encoded.x, encoded.condition).values
    )


def test_other_shapes_are_refused():
    codec = SeriesCodec.fit(from_windows(np.random.default_rng(0).standard_normal((50, 8, 2))))
    with pytest.raises(DataError, match=r"\(8, 2\)"):
        codec.encode(from_windows(np.zeros((5, 9, 2)) + np.arange(9)[:, None]))
    with pytest.raises(DataError, match="infinite"):
        from_windows(np.full((5, 9, 2), np.inf))
    with pytest.raises(DataError, match="N, L, C"):
        from_windows(np.zeros(7))


# -- reading -----------------------------------------------------------------------------------------------------


def test_held_out_time_stands_in_no_training_window(tmp_path):
    frame = pd.DataFrame({"date": pd.date_range("2020-01-01", periods=500, freq="D"), "x": np.arange(500.0)})
    frame.sample(frac=1, random_state=0).to_csv(tmp_path / "x.csv", index=False)  # not in order
    data = open_data(tmp_path / "x.csv", kind="series")
    train, test = data.train_records.values, data.test_records.values
    assert train.max() < test.min()
    assert (train.max(), test.min(), test.max()) == (399, 400, 499)
    assert len(train) == 400 - 23
    np.testing.assert_array_equal(np.diff(train, axis=1), 1)


def test_series_of_many_patients_are_cut_apart(tmp_path):
    rng = np.random.default_rng(0)
    rows = [
        {"patient": f"p{i}", "sex": "fm"[i % 2], "t": t, "pulse": 60 + 10 * i + rng.standard_normal()}
        for i in range(10)
        for t in range(30)
    ]
    pd.DataFrame(rows).sample(frac=1, random_state=1).to_csv(tmp_path / "x.csv", index=False)
    data = open_data(
        tmp_path / "x.csv", kind="series", condition=("sex",), options={"entity": "patient", "window": "5"}
    )
    values = np.concatenate([data.train_records.values, data.test_records.values])
    assert (np.ptp(values, axis=1) < 10).all()  # no window runs from one patient into the next
    assert len(data.train_records) == 10 * (24 - 4)
    assert len(data.test_records) == 10 * (6 - 4)
    level = (values[:, 0, 0] / 10).round().astype(int) - 6
    sex = np.concatenate([data.train_records.labels["sex"], data.test_records.labels["sex"]])
    np.testing.assert_array_equal(sex, np.array(list("fm"))[level % 2])


def test_patients_with_short_series_are_held_out_whole():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"id": np.repeat(np.arange(40), 6), "x": np.repeat(np.arange(40), 6) + 0.1 * rng.random(240)})
    found = from_frame(frame, {"entity": "id"})
    assert found.records.values.shape[1] == 6
    seen, held = (set(np.floor(r.values[:, 0, 0]).astype(int)) for r in (found.records, found.test))
    assert not seen & held
    assert len(held) == 8


def test_irregular_times_become_a_channel():
    rng = np.random.default_rng(0)
    gaps = rng.exponential(3600, 400).round() + 1
    stamps = pd.Timestamp("2021-03-01") + pd.to_timedelta(np.cumsum(gaps), unit="s")
    found = from_frame(pd.DataFrame({"when": stamps, "x": rng.standard_normal(400)}), {})
    assert found.records.about["names"] == ["x", "elapsed"]
    np.testing.assert_allclose(found.records.values[0, 1:, 1], gaps[1:24])
    assert any("irregular" in note for note in found.notes)


def test_the_calendar_is_a_label():
    found = from_frame(timed(), {}).records
    np.testing.assert_array_equal(found.labels["hour"][:3], [0, 1, 2])
    np.testing.assert_array_equal(found.labels["weekday"][:25:24], [2, 3])  # 1 January 2020 was a Wednesday


def test_one_series_a_row(tmp_path):
    rng = np.random.default_rng(0)
    beats = pd.DataFrame(rng.standard_normal((60, 40)), columns=[f"t{i}" for i in range(40)])
    beats.insert(0, "label", rng.integers(1, 4, 60))
    beats.to_csv(tmp_path / "ecg.csv", index=False)
    data = open_data(tmp_path / "ecg.csv", kind="series", condition=("label",))
    assert data.train_records.values.shape[1:] == (40, 1)
    assert set(data.train_records.labels["label"]) == {1, 2, 3}
    codec = data.codec
    written = codec.write(data.train_records, tmp_path / "out.csv")
    again = pd.read_csv(written[0])
    assert list(again.columns) == list(beats.columns)


def test_labels_of_rows_stand_where_they_stood():
    frame = pd.DataFrame(np.random.default_rng(0).standard_normal((30, 20)), columns=[f"t{i}" for i in range(20)])
    frame.insert(0, "id", np.arange(30))
    frame.insert(1, "label", np.arange(30) % 3)
    frame["age"] = np.arange(30) % 7
    records = from_frame(frame, {}).records
    assert list(SeriesCodec.fit(records).to_frame(records).columns) == list(frame.columns)


def test_an_index_of_dates_is_the_time():
    frame = timed().drop(columns="date").set_axis(pd.date_range("2020-01-01", periods=600, freq="1h"))
    back = frame.sample(frac=1, random_state=0)
    found, ordered = open_data(back, kind="series"), open_data(frame, kind="series")
    np.testing.assert_array_equal(found.train_records.values, ordered.train_records.values)
    assert any("every hour" in note or "1 h" in note for note in found.notes), found.notes


def test_arrays_of_windows(tmp_path):
    values = np.random.default_rng(0).standard_normal((80, 10, 2))
    np.save(tmp_path / "w.npy", values)
    found = codecs.read(tmp_path / "w.npy", "series", Reading()).records
    np.testing.assert_array_equal(found.values, values)
    codec = SeriesCodec.fit(found)
    codec.write(found, tmp_path / "back.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "back.npy"), values)


@pytest.mark.parametrize(
    ("frame", "options", "says"),
    [
        (candles(20), {"window": "12"}, "too few|too short"),
        (candles(300), {"window": "1"}, "2 to 4096"),
        (candles(300), {"window": "abc"}, "abc"),
        (candles(300), {"entity": "who"}, "who"),
        (pd.DataFrame({"a": list("xyz") * 50}), {}, "no column of numbers"),
    ],
)
def test_what_cannot_be_series_is_said(frame, options, says):
    with pytest.raises((DataError, ValueError), match=says):
        from_frame(frame, options)


def test_options_of_series_are_for_series(tmp_path):
    candles(300).to_csv(tmp_path / "x.csv", index=False)
    with pytest.raises(ValueError, match=r"--window.*series"):
        open_data(tmp_path / "x.csv", kind="table", options={"window": "12"})


def test_latest_rows_and_their_labels():
    past = latest(timed(100), {}, ["Close", "Open"], 24)
    assert past.values.shape == (1, 24, 2)
    np.testing.assert_array_equal(past.values[0, :, 0], candles(100)["Close"].to_numpy()[-24:])
    assert past.step == 3600
    np.testing.assert_array_equal(past.labels_at(24, ["hour"])["hour"], [100 % 24])
    with pytest.raises(DataError, match="Price"):
        latest(timed(100), {}, ["Price"], 24)


@pytest.mark.parametrize(("freq", "ahead"), [("B", ["2024-01-29", "2024-01-30"]), ("D", ["2024-01-27", "2024-01-28"])])
def test_days_without_rows_are_passed_over(freq, ahead):
    stamps = pd.date_range(end="2024-01-26 16:00", periods=40, freq=freq)  # a Friday
    past = latest(pd.DataFrame({"t": stamps, "x": np.arange(40.0)}), {}, ["x"], 8)
    expected = np.array([f"{day}T16:00:00" for day in ahead], "datetime64[s]")
    np.testing.assert_array_equal(past.times(np.array([1, 2]))[0], expected)
    assert past.times(np.array([-7]))[0, 0] == stamps[-8].to_datetime64()
    assert past.labels_at(8, ["weekday"])["weekday"] == [expected[0].astype("datetime64[D]").item().weekday()]


def test_rows_of_several_series_at_the_same_times_are_pointed_out():
    frame = pd.DataFrame({"when": np.tile(pd.date_range("2024-01-01", periods=60), 9), "x": np.arange(540.0)})
    assert any("--entity" in note for note in from_frame(frame, {}).notes)
    frame["who"] = np.arange(9).repeat(60)
    assert any("one row every 1 day" in note for note in from_frame(frame, {"entity": "who"}).notes)


def test_records_keep_what_is_said_of_them():
    records = Records(np.zeros((4, 3, 1)), {}, {"names": ["x"]})
    assert records.take(np.arange(2)).about == {"names": ["x"]}
    assert records.join(records).about == {"names": ["x"]}


def test_what_is_constant_is_settled_by_training_time():
    """Forty days of which the last eight lie in one month: held-out windows have the month all the same."""
    frame = pd.DataFrame({"date": pd.date_range("2024-01-05", periods=960, freq="h"), "x": np.arange(960.0) % 7})
    data = open_data(frame, kind="series", condition="month", options={"window": "24"})
    assert set(data.train_records.labels) == set(data.test_records.labels) == {"hour", "weekday", "month"}
    assert len(np.unique(data.test_records.labels["month"])) == 1


def test_rows_of_nobody_and_series_too_short_are_said():
    frame = pd.concat([timed(n, every="1D").assign(who=str(n)) for n in (300, 301, 302, 303, 304, 8)])
    notes = " ".join(from_frame(frame, {"entity": "who", "window": "20"}).notes)
    assert "shorter than a window: 1 of 6 series" in notes
    frame.iloc[3, frame.columns.get_loc("who")] = None
    with pytest.raises(DataError, match="'who' does not say whose row 4 is"):
        from_frame(frame, {"entity": "who", "window": "20"})


def test_a_past_has_the_channels_that_the_model_knows():
    """Whether or not a few rows show that they change, or come irregularly."""
    dates = [*pd.date_range("2024-01-01", periods=5)] * 2
    frame = pd.DataFrame({"who": [*"aaaaabbbbb"], "x": np.arange(10.0), "y": [1.0] * 5 + [2.0] * 5, "date": dates})
    past = latest(frame, {"entity": "who"}, ["x", "y", "elapsed"], 4)
    np.testing.assert_array_equal(past.values[:, 0, 1], [1, 2])
    np.testing.assert_array_equal(past.values[:, :, 2], 86_400)


def test_days_of_the_week_are_told_by_days_and_not_by_rows():
    frame = pd.concat(
        [pd.DataFrame({"who": str(i), "x": [1.0, 2.0 + i], "date": ["2024-01-01", "2024-01-02"]}) for i in range(7)]
    )
    assert all(latest(frame, {"entity": "who"}, ["x"], 4).days)


def test_a_price_at_or_below_zero_is_refused():
    prices = from_windows(walk(400).reshape(-1, 20))
    codec = SeriesCodec.fit(prices, types={"x0": "price"})
    prices.values[3, 5, 0] = 0
    with pytest.raises(DataError, match="--type x0=number"):
        codec.encode(prices)


def test_options_that_were_found_are_known_for_other_series():
    codec = SeriesCodec.fit(from_frame(timed(200), {}).records)
    other = from_frame(timed(600, seed=1), codec.reading()).records
    assert codec.encode(other).x.shape[2] == codec.length
