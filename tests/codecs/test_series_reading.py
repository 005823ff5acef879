"""How series are read: short ones beside long ones, the calendar, times that are numbers, and files without names."""

from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest

from sansheng import codecs
from sansheng.codecs.base import Reading
from sansheng.codecs.series import SeriesCodec, from_memory
from sansheng.codecs.series_file import from_frame, in_time
from sansheng.codecs.series_past import latest
from sansheng.errors import DataError
from sansheng.forecasting import as_frame
from sansheng.run import Run


def patients(lengths):
    """x is 1000 times the patient and the row; a day lies between rows."""
    who = np.repeat(np.arange(len(lengths)), lengths)
    row = np.concatenate([np.arange(n) for n in lengths])
    dates = pd.Timestamp("2024-01-01") + pd.to_timedelta(row, unit="D")
    return pd.DataFrame(
        {"who": [f"p{i}" for i in who], "sex": ["fm"[i % 2] for i in who], "date": dates, "x": 1000.0 * who + row}
    )


def dated(dates, **more):
    return pd.DataFrame({"date": dates, "x": np.arange(len(dates)) % 7 + 0.5, **more})


def notes_of(frame, options=None):
    return " | ".join(from_frame(frame, options or {}).notes)


def ahead(frame, steps=3, options=None):
    past = latest(frame, options or {}, ["x"], 8)
    return [str(time) for time in past.times(np.arange(1, steps + 1))[0]]


# -- short series beside long ones -------------------------------------------------------------------------------


def test_a_short_series_shortens_no_other_past():
    past = latest(patients([30, 2, 12]), {"entity": "who"}, ["x"], 16)
    assert past.values.shape == (3, 16, 1)
    np.testing.assert_array_equal(past.values[0, :, 0], np.arange(14, 30))
    assert np.isnan(past.values[1, :14]).all()
    np.testing.assert_array_equal(past.values[1, 14:, 0], [1000, 1001])
    np.testing.assert_array_equal(past.values[2, 4:, 0], 2000 + np.arange(12))
    assert list(past.names) == ["p0", "p1", "p2"]
    assert list(past.labels["sex"]) == ["f", "m", "f"]
    expected = np.array(["2024-01-31", "2024-01-03", "2024-01-13"], "datetime64[D]")
    np.testing.assert_array_equal(past.times(np.array([1]))[:, 0], expected)
    np.testing.assert_array_equal(past.labels_at(16, ["weekday"])["weekday"], pd.DatetimeIndex(expected).day_of_week)
    assert latest(patients([5, 2]), {"entity": "who"}, ["x"], 16).values.shape == (2, 5, 1)


def test_a_few_short_series_do_not_shorten_windows():
    found = from_frame(patients([45] * 34 + [2] * 6), {"entity": "who"})
    assert found.records.values.shape[1] == 24
    assert "shorter than a window: 6 of 40 series" in " | ".join(found.notes)
    seen, held = (set(r.values[:, 0, 0] // 1000) for r in (found.records, found.test))
    assert not seen & held
    assert len(held) == 7
    assert from_frame(patients([6] * 38 + [2, 2]), {"entity": "who"}).records.values.shape[1] == 6


def test_a_short_series_stays_in_training_and_others_are_split_in_time():
    found = from_frame(patients([100, 100, 100, 100, 12]), {"entity": "who", "window": "10"})
    for i in range(4):
        seen, held = (r.values[r.values[:, 0, 0] // 1000 == i] for r in (found.records, found.test))
        assert seen.max() == 1000 * i + 79
        assert held.min() == 1000 * i + 80
    assert (found.records.values[:, 0, 0] >= 4000).sum() == 3
    assert not (found.test.values >= 4000).any()
    assert "the last fifth of the time of 4 long ones is held out" in " | ".join(found.notes)


def test_one_long_series_among_many_short_ones_is_not_all_that_is_held_out():
    found = from_frame(patients([30] * 20 + [200]), {"entity": "who", "window": "24"})
    assert len(set(found.test.values[:, 0, 0] // 1000)) == 4


def test_two_series_have_windows_that_their_held_out_time_has_room_for():
    assert from_frame(patients([60, 60]), {"entity": "who"}).records.values.shape[1] == 12


# -- the calendar ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("freq", "says", "expected"),
    [
        ("ME", "1 month", ["2012-05-31", "2012-06-30", "2012-07-31"]),
        ("MS", "1 month", ["2012-05-01", "2012-06-01", "2012-07-01"]),
        ("BME", "1 month", ["2012-05-31", "2012-06-29", "2012-07-31"]),
        ("QE", "3 months", ["2025-03-31", "2025-06-30", "2025-09-30"]),
        ("QS", "3 months", ["2025-01-01", "2025-04-01", "2025-07-01"]),
        ("YE", "1 year", ["2100-12-31", "2101-12-31", "2102-12-31"]),
        ("YS", "1 year", ["2100-01-01", "2101-01-01", "2102-01-01"]),
    ],
)
def test_months_quarters_and_years_are_regular_steps(freq, says, expected):
    frame = dated(pd.date_range("2000-01-01", periods=148 if freq[0] in "MB" else 100, freq=freq))
    found = from_frame(frame, {})
    assert found.records.about["names"] == ["x"]
    assert f"one row every {says}" in found.notes
    assert [time[:10] for time in ahead(frame)] == expected
    past = latest(frame, {}, ["x"], 8)
    assert past.times(np.array([-7]))[0, 0] == frame["date"].iloc[-8].to_datetime64()


def test_days_about_a_month_apart_are_irregular():
    rng = np.random.default_rng(0)
    dates = pd.Timestamp("2000-01-01") + pd.to_timedelta(np.cumsum(rng.integers(26, 35, 120)), unit="D")
    assert from_frame(dated(dates), {}).records.about["names"] == ["x", "elapsed"]


# -- times that are numbers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "numbers", "says", "expected"),
    [
        ("year", np.arange(1900, 2200), "every 1", ["2200", "2201", "2202"]),
        ("t", np.arange(300), "every 1", ["300", "301", "302"]),
        ("time", np.arange(300) / 4, "every 0.25", ["75.0", "75.25", "75.5"]),
        ("t", np.arange(300) * 0.1, "every 0.1", ["30.0", "30.1", "30.2"]),
        ("time", 1_700_000_000 + 60 * np.arange(300), "every 1 min", ["2023-11-15T03:13:20"]),
        ("time", 1_700_000_000_000 + 500 * np.arange(300), "every 0.5 s", ["2023-11-14T22:15:50.000"]),
        ("day", pd.date_range("2023-01-01", periods=300).strftime("%Y%m%d").astype(int), "every 1 day", ["2023-10-28"]),
    ],
)
def test_numbers_stay_numbers_but_for_those_that_are_dates(name, numbers, says, expected):
    frame = dated(numbers).rename(columns={"date": name})
    assert f"one row {says}" in from_frame(frame, {}).notes
    found = ahead(frame, len(expected))
    if "T" in found[0]:
        assert all(time.startswith(e) for time, e in zip(found, expected, strict=True))
    else:
        np.testing.assert_allclose(np.array(found, float), np.array(expected, float))
        assert ("." in found[0]) == ("." in expected[0])


def test_rows_are_in_the_order_of_their_numbers():
    frame = dated(np.arange(300)).rename(columns={"date": "t"}).assign(y=np.arange(300.0))
    shuffled = frame.sample(frac=1, random_state=0)
    np.testing.assert_array_equal(np.diff(from_frame(shuffled, {"time": "t"}).records.values[:, :, 1]), 1)


@pytest.mark.parametrize("dates", [True, False])
def test_where_rows_are_irregular_a_forecast_has_the_times_that_it_drew(dates):
    rng = np.random.default_rng(0)
    since = np.cumsum(rng.integers(1, 3000, 200))
    stamps = pd.Timestamp("2024-01-01") + pd.to_timedelta(since, unit="s") if dates else since
    frame = dated(stamps).rename(columns={"date": "time"})
    read = from_frame(frame, {})
    codec = SeriesCodec.fit(read.records)
    assert codec.names == ["x", "elapsed"]
    assert ("[s]" in " | ".join(read.notes)) == dates
    past = latest(frame, {}, codec.names, 8)
    drawn = rng.uniform(0, 1, (1, 2, 3, 2))
    drawn[0, :, :, 1] = [[10, 20, 30], [1, -5, 2]]  # time does not run back
    times = as_frame(Mock(spec=Run, codec=codec), past, drawn)["time"].to_numpy()
    passed = (times - np.asarray(stamps)[-1]) / (np.timedelta64(1, "s") if dates else 1)
    np.testing.assert_allclose(passed, [10, 30, 60, 1, 1, 3])


def test_a_column_of_the_table_that_is_called_elapsed_stays():
    rng = np.random.default_rng(0)
    stamps = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.cumsum(rng.integers(1, 3000, 200)), unit="s")
    frame = dated(stamps, elapsed=rng.standard_normal(200))
    np.testing.assert_array_equal(from_frame(frame, {}).records.values[0, :, 1], frame["elapsed"][:24])
    assert not latest(frame, {}, ["x", "elapsed"], 8).irregular


# -- which column is time ----------------------------------------------------------------------------------------


def test_a_date_of_birth_is_no_time():
    frame = patients([30] * 6)
    born = pd.date_range("1950-01-01", periods=6, freq="500D").strftime("%Y-%m-%d").repeat(30)
    frame.insert(0, "birthdate", born.where(np.arange(180) != 7, None))
    assert "time is 'date'" in notes_of(frame, {"entity": "who"})


def test_time_is_the_column_with_most_different_dates():
    stamps = pd.date_range("2024-01-01", periods=300, freq="h")
    frame = pd.DataFrame({"day": stamps.normalize(), "updated": stamps[::-1], "measured_time": stamps})
    assert "time is 'measured_time'" in notes_of(frame.assign(x=np.arange(300.0)))


@pytest.mark.parametrize("blank", [None, np.nan])
def test_rows_without_a_time_are_left_out_and_counted(blank):
    dates = pd.date_range("2024-01-01", periods=300).strftime("%d.%m.%Y").to_numpy(object, copy=True)
    dates[[6, 40]] = blank
    found = from_frame(dated(dates), {})
    assert "left out, as column 'date' is blank: 2 of 300 rows, row 7 the first" in found.notes
    assert not (found.records.values[:, :, 0] == 6.5).all(1).any()
    assert latest(dated(dates), {}, ["x"], 8).step == 86_400
    with pytest.raises(DataError, match="'date' has no time in row 7"):
        in_time(dated(dates), {})


def test_a_series_whose_rows_have_no_time_is_gone():
    frame = patients([30, 3, 30])
    frame.loc[frame["who"] == "p1", "date"] = pd.NaT
    past = latest(frame, {"entity": "who"}, ["x"], 8)
    assert past.names == ["p0", "p2"]
    assert past.values[1, -1, 0] == 2029


def test_a_time_that_is_written_otherwise_is_named():
    dates = pd.date_range("2024-01-01", periods=300).strftime("%Y-%m-%d").to_numpy(object, copy=True)
    dates[41] = "yesterday"
    with pytest.raises(DataError, match=r"'date': row 42 holds 'yesterday'.*YYYY-MM-DD"):
        from_frame(dated(dates), {"time": "date"})
    found = notes_of(dated(dates))
    assert "column 'date' is mostly dates, written YYYY-MM-DD, but row 42 holds 'yesterday'" in found
    with pytest.raises(DataError, match="'word' is no time: row 1 holds 'a'"):
        from_frame(dated(dates, word=[*"abc"] * 100), {"time": "word"})


# -- one series a row --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".tsv", ".csv"])
def test_files_of_the_archive_have_no_names(tmp_path, suffix):
    rng = np.random.default_rng(0)
    values = np.round(rng.standard_normal((60, 40)), 4)
    values[0, 3] = values[0, 8]  # or a name would be there twice
    values[:3, -2:] = np.nan
    frame = pd.DataFrame(values)
    frame.insert(0, "label", rng.integers(-1, 2, 60).astype(float))
    frame.to_csv(
        tmp_path / f"a{suffix}", header=False, index=False, sep="\t" if suffix == ".tsv" else ",", na_rep="NaN"
    )
    found = codecs.read(tmp_path / f"a{suffix}", "series", Reading())
    np.testing.assert_array_equal(found.records.values[:, :, 0], values)
    np.testing.assert_array_equal(found.records.labels["label"], frame["label"])
    assert any("first line" in note and "read as data" in note for note in found.notes)
    assert not any("taken for the column names" in note for note in found.notes)


def test_names_that_count_are_names(tmp_path):
    values = np.random.default_rng(0).standard_normal((60, 40))
    pd.DataFrame(values).to_csv(tmp_path / "a.csv", index=False)
    found = codecs.read(tmp_path / "a.csv", "series", Reading()).records
    assert found.values.shape == (60, 40, 1)
    assert not found.labels


@pytest.mark.parametrize("labels", [["id", "label"], ["label", "age"], ["id", "label", "age"], ["age"]])
def test_what_stands_beside_the_steps_are_labels(labels):
    rng = np.random.default_rng(0)
    beside = {"id": [f"a{i}" for i in range(60)], "label": rng.integers(1, 4, 60), "age": rng.uniform(20, 80, 60)}
    frame = pd.DataFrame(rng.standard_normal((60, 40)), columns=[f"t{i}" for i in range(40)])
    for name in labels:
        frame.insert(len(frame.columns) if name == "age" else 0, name, beside[name])
    found = from_frame(frame, {}).records
    np.testing.assert_array_equal(found.values[:, :, 0], frame[[f"t{i}" for i in range(40)]])
    assert set(found.labels) == set(labels)
    for name in labels:
        np.testing.assert_array_equal(found.labels[name], beside[name])


def test_numbered_channels_beside_dates_are_rows_in_time():
    frame = pd.DataFrame(np.random.default_rng(0).standard_normal((200, 20)), columns=[f"s{i}" for i in range(20)])
    frame.insert(0, "date", pd.date_range("2024-01-01", periods=200))
    assert from_frame(frame, {}).records.values.shape[1:] == (24, 20)


def test_names_may_be_numbers():
    frame = pd.DataFrame(np.random.default_rng(0).standard_normal((300, 3)))
    assert from_memory(frame, {}).records.about["names"] == ["0", "1", "2"]
    assert latest(frame, {}, ["0", "2"], 8).values.shape == (1, 8, 2)
    assert (
        from_memory(pd.DataFrame(np.random.default_rng(0).standard_normal((30, 40))), {}).records.about["layout"]
        == "rows"
    )


def test_yes_and_no_stay_whole_numbers():
    frame = pd.DataFrame({"hr": np.arange(200) % 17 + 0.5, "vent": np.arange(200) % 3 == 0})
    records = from_frame(frame, {}).records
    back = SeriesCodec.fit(records).to_frame(records)
    assert back["vent"].tolist()[:4] == [1, 0, 0, 1]
    assert back["vent"].dtype == np.int64


def test_months_that_end_short_go_on_at_their_day():
    frame = pd.DataFrame({"x": np.arange(26) % 5 + 0.5})
    frame["time"] = [pd.Timestamp("2000-01-30") + pd.DateOffset(months=k) for k in range(26)]
    past = latest(frame, {}, ["x"], 12)
    days = [str(day)[:10] for day in past.times(np.arange(1, 4))[0]]
    assert str(past.last[0])[:10] == "2002-02-28"
    assert days == ["2002-03-30", "2002-04-30", "2002-05-30"]


def test_an_index_of_dates_is_the_time_of_a_past_too():
    frame = pd.DataFrame({"x": np.arange(48) % 7 + 0.5}, index=pd.date_range("2020-01-01", periods=48, freq="1h"))
    past = latest(frame[::-1], {}, ["x"], 12)
    assert past.times(np.array([1]))[0, 0] == np.datetime64("2020-01-03T00:00")
    assert past.values[0, -1, 0] == frame["x"].iloc[-1]


def test_two_columns_of_one_name_are_said():
    frame = pd.DataFrame(np.arange(60.0).reshape(30, 2), columns=["x", "x"])
    with pytest.raises(DataError, match="several columns called 'x'"):
        from_frame(frame, {})


def test_a_first_step_that_is_alike_in_all_rows_is_no_label():
    walks = 100 + np.cumsum(np.random.default_rng(0).standard_normal((40, 24)), axis=1)
    walks[:, 0] = 100
    records = from_frame(pd.DataFrame(walks, columns=[f"t{i}" for i in range(24)]), {}).records
    assert records.values.shape == (40, 24, 1)
