"""Rows of several series that nobody said are such, and windows that know when they begin but not their times."""

import numpy as np
import pandas as pd
import pytest

from sansheng.codecs.series_past import Past, dated
from sansheng.data import open_data


def rows(names, *, each=120, step="D", seed=0):
    rng = np.random.default_rng(seed)
    parts = [
        pd.DataFrame(
            {"date": pd.date_range("2020-01-01", periods=each, freq=step), "who": name, "x": rng.normal(size=each)}
        )
        for name in names
    ]
    return pd.concat(parts, ignore_index=True)


def notes_of(frame):
    return " ".join(open_data(frame, kind="series", options={"window": "10"}).notes)


@pytest.mark.parametrize("names", ["ab", "abc", "abcdefghi"])
@pytest.mark.parametrize("order", ["by series", "by time", "newest first"])
def test_the_column_that_says_whose_rows_are_is_pointed_out(names, order):
    frame = rows(names)
    if order == "by time":
        frame = frame.sort_values("date", kind="stable")
    if order == "newest first":
        frame = frame.iloc[::-1]
    assert "--entity who" in notes_of(frame.reset_index(drop=True))


def test_patients_seen_at_times_of_their_own_are_too():
    rng = np.random.default_rng(0)
    frame = rows("abcdef")
    frame["date"] += pd.to_timedelta(rng.integers(0, 80_000, len(frame)), unit="s")
    assert "--entity who" in notes_of(frame)


@pytest.mark.parametrize("ascending", [True, False])
def test_one_series_with_a_column_of_kinds_is_left_in_peace(ascending):
    frame = rows("a").assign(who=np.random.default_rng(0).choice(["x", "y"], 120))
    assert "--entity" not in notes_of(frame.sort_values("date", ascending=ascending).reset_index(drop=True))


def test_rows_in_no_order_at_all_name_nobody():
    frame = rows("a", each=300).assign(who=np.random.default_rng(0).choice(["x", "y"], 300))
    assert "--entity" not in notes_of(frame.sample(frac=1, random_state=0).reset_index(drop=True))


def test_the_calendar_of_windows_goes_on_with_them():
    past = Past(np.zeros((2, 10, 1)), ["a", "b"], labels={"hour": np.array([20, 3]), "weekday": np.array([6, 2])})
    later = dated(past, {"seconds": 3600.0, "calendar": ["hour", "weekday"]})
    for row in (0, 3, 4, 30):
        found = later.labels_at(row, ["hour", "weekday"])
        assert found["hour"].tolist() == [(20 + row) % 24, (3 + row) % 24]
        assert found["weekday"].tolist() == [(6 + (20 + row) // 24) % 7, (2 + (3 + row) // 24) % 7]


def test_months_of_windows_go_on_too_and_other_labels_stay():
    past = Past(np.zeros((1, 5, 1)), ["a"], labels={"month": np.array([11]), "ward": np.array(["icu"])})
    later = dated(past, {"seconds": 86_400.0 * 30.4, "calendar": ["month"]})
    assert [later.labels_at(row, ["month", "ward"])["month"].item() for row in (0, 1, 2, 3)] == [11, 12, 1, 2]
    assert later.labels_at(7, ["month", "ward"])["ward"].tolist() == ["icu"]


@pytest.mark.parametrize(
    "about", [{}, {"seconds": 0.0, "calendar": ["hour"]}, {"seconds": 60.0, "calendar": ["month"]}]
)
def test_windows_that_do_not_say_when_they_begin_stay_as_they_are(about):
    past = Past(np.zeros((1, 5, 1)), ["a"], labels={"hour": np.array([3])})
    assert dated(past, about) is past


@pytest.mark.parametrize("seed", range(5))
def test_a_time_that_comes_again_now_and_then_names_nobody(seed):
    rng = np.random.default_rng(seed)
    frame = rows("a", each=300).assign(who=rng.choice(["x", "y"], 300), count=rng.integers(0, 90, 300))
    frame.loc[120, "date"] = frame.loc[119, "date"]
    assert "--entity" not in notes_of(frame)


def test_a_label_of_ones_own_is_not_the_calendars():
    frame = rows("abc", each=200).assign(month=np.repeat([3, 5, 9], 200))
    about = open_data(frame, kind="series", options={"window": "10", "entity": "who"}).codec.about
    assert about["calendar"] == ["hour", "weekday"]


def test_tables_of_dates_say_how_far_rows_are_apart():
    data = open_data(rows("a", step="h"), kind="series", options={"window": "10"})
    assert data.codec.about["seconds"] == 3600
