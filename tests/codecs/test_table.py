"""Any table comes back as it was, and any valid example is a row of the columns, dtypes and levels that were read."""

import datetime
import json
import time

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sansheng.codecs.base import Records
from sansheng.codecs.table import TableCodec
from sansheng.errors import DataError
from sansheng.space import Category, Real

WORDS = ["yes", "no", "perhaps", "", "naïve", "1", "a,b"]
FINITE = st.floats(allow_nan=False, allow_infinity=False)
DAYS = st.dates(datetime.date(1950, 1, 1), datetime.date(2030, 1, 1))


def listed(elements: st.SearchStrategy, n: int, *, gaps: bool = False) -> st.SearchStrategy:
    return st.lists(st.none() | elements if gaps else elements, min_size=n, max_size=n)


def columns(n: int) -> st.SearchStrategy:
    """A column of n values of any dtype a table may have."""
    whole = st.integers(-(2**53), 2**53)
    moments = st.datetimes(datetime.datetime(1950, 1, 1), datetime.datetime(2030, 1, 1))
    return st.one_of(
        listed(FINITE, n, gaps=True).map(lambda v: pd.Series(v, dtype="float64")),
        listed(st.floats(-1024, 1024, width=32), n).map(lambda v: pd.Series(v, dtype="float32")),
        listed(whole, n).map(lambda v: pd.Series(v, dtype="int64")),
        listed(st.integers(0, 3), n).map(lambda v: pd.Series(v, dtype="uint8")),
        listed(whole, n, gaps=True).map(lambda v: pd.Series(v, dtype="Int64")),
        listed(st.booleans(), n).map(lambda v: pd.Series(v, dtype="bool")),
        listed(st.booleans(), n, gaps=True).map(lambda v: pd.Series(v, dtype="boolean")),
        listed(st.sampled_from(WORDS), n, gaps=True).map(lambda v: pd.Series(v, dtype="str")),
        listed(st.sampled_from(WORDS), n, gaps=True).map(
            lambda v: pd.Series(pd.Categorical(v, categories=WORDS[::-1], ordered=True))
        ),
        listed(st.sampled_from([3, 1, 2]), n, gaps=True).map(lambda v: pd.Series(pd.Categorical(v, [3, 2, 1]))),
        listed(st.booleans(), n, gaps=True).map(lambda v: pd.Series(pd.Categorical(v, [True, False]))),
        listed(st.booleans(), n, gaps=True).map(lambda v: pd.Series(v, dtype=object)),
        listed(moments, n, gaps=True).map(lambda v: pd.Series(v, dtype="datetime64[us]")),
        listed(DAYS, n).map(lambda v: pd.Series([day.strftime("%d.%m.%Y") for day in v], dtype="str")),
    )


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    n = draw(st.integers(2, 40))
    parts = draw(st.lists(columns(n), min_size=1, max_size=5))
    return pd.DataFrame({f"c{i}": part for i, part in enumerate(parts)})


def fit(frame: pd.DataFrame, **options: tuple[str, ...]) -> TableCodec | None:
    """A codec, or None if the table says nothing: every column constant."""
    if all(frame[name].nunique(dropna=False) < 2 or frame[name].isna().all() for name in frame):
        with pytest.raises(DataError, match="no column is left"):
            TableCodec.fit(Records(frame), **options)
        return None
    return TableCodec.fit(Records(frame), **options)


def restored(codec: TableCodec) -> TableCodec:
    return TableCodec.from_json(json.loads(json.dumps(codec.to_json())), codec.arrays())


def drawn(codec: TableCodec, n: int = 200) -> pd.DataFrame:
    """Rows decoded from hardened noise."""
    noise = 3 * torch.randn(n, codec.space.channels, generator=torch.Generator().manual_seed(0))
    return codec.decode(codec.space.harden(noise)).values


def slots(frame: pd.DataFrame) -> tuple[Real | Category, ...]:
    return TableCodec.fit(Records(frame)).space.slots


def assert_same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


# -- any table ---------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(frames())
def test_every_table_comes_back_exactly(frame):
    codec = fit(frame)
    if codec is not None:
        encoded = codec.encode(Records(frame))
        codec.space.check(encoded.x)
        assert torch.equal(codec.space.harden(encoded.x), encoded.x)
        assert_same(codec.decode(encoded.x).values, frame)


@settings(max_examples=40, deadline=None)
@given(frames())
def test_any_valid_example_is_a_valid_row(frame):
    codec = fit(frame)
    if codec is None:
        return
    rows = drawn(codec)
    assert list(rows.columns) == list(frame.columns)
    assert (rows.dtypes == frame.dtypes).all()
    for name in frame:
        seen, found = frame[name].dropna(), rows[name].dropna()
        assert frame[name].isna().any() or not rows[name].isna().any()
        if codec.columns[rows.columns.get_loc(name)].kind in ("number", "integer"):
            assert found.between(seen.min(), seen.max()).all()
        elif codec.columns[rows.columns.get_loc(name)].kind != "date":
            assert set(found) <= set(seen)


@settings(max_examples=30, deadline=None)
@given(frames())
def test_it_is_restored_from_json_and_arrays(frame):
    codec = fit(frame)
    if codec is not None:
        again = restored(codec)
        assert (again.space, again.describe()) == (codec.space, codec.describe())
        assert torch.equal(again.encode(Records(frame)).x, codec.encode(Records(frame)).x)
        assert_same(drawn(again), drawn(codec))


# -- what a column is taken for ----------------------------------------------------------------------------


def test_numbers_are_real_few_numbers_and_text_are_levels():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"many": rng.random(100), "few": np.arange(100) % 5, "word": np.array(["a", "b"] * 50)})
    real, few, word = slots(frame)
    assert isinstance(real, Real)
    assert (few, word) == (Category(5), Category(2))


def test_a_gap_is_a_level_beside_the_number():
    frame = pd.DataFrame({"x": [np.nan, *np.linspace(0, 1, 99)]})
    codec = TableCodec.fit(Records(frame))
    assert codec.space.slots[1:] == (Category(2),)
    assert codec.encode(Records(frame)).x[0].tolist() == [0, 0, 1]


def test_a_frequent_number_is_set_apart_and_does_not_bend_the_others():
    rng = np.random.default_rng(0)
    values = np.where(rng.random(2000) < 0.9, 0.0, rng.lognormal(8, 1, 2000))
    codec = TableCodec.fit(Records(pd.DataFrame({"gain": values})))
    x = codec.encode(Records(pd.DataFrame({"gain": values}))).x
    assert codec.space.slots[1:] == (Category(2),)
    assert torch.equal(x[:, 2] == 1, torch.from_numpy(values == 0))
    assert abs(x[values != 0, 0].std() - 1) < 0.05
    assert "because frequent: 0" in dict(codec.describe())["gain"]


def test_a_number_that_repeats_by_chance_in_a_small_table_is_not_set_apart():
    values = np.concatenate([np.full(7, 1.5), np.linspace(0, 3, 93)])
    assert len(slots(pd.DataFrame({"x": values}))) == 1


def test_constant_columns_and_identifiers_have_no_slot_but_come_back():
    frame = pd.DataFrame(
        {
            "id": np.arange(7, 107),
            "code": [f"P{i:04d}" for i in range(100)],
            "same": ["x"] * 100,
            "none": [np.nan] * 100,
            "y": np.arange(100) % 2,
        }
    )
    codec = TableCodec.fit(Records(frame))
    assert codec.space.slots == (Category(2),)
    rows = drawn(codec, 3)
    assert rows["id"].tolist() == [107, 108, 109]
    assert rows["code"].tolist() == ["P0100", "P0101", "P0102"]
    assert rows["same"].tolist() == ["x"] * 3
    assert rows["none"].isna().all()
    kinds = {name: text.split(":")[0] for name, text in codec.describe()[1:]}
    assert kinds == {"id": "identifier", "code": "identifier", "same": "constant", "none": "constant", "y": "boolean"}


def test_a_table_with_nothing_to_learn_is_refused():
    with pytest.raises(DataError, match=r"no column is left to model \(x: every value is 3\)"):
        TableCodec.fit(Records(pd.DataFrame({"x": [3, 3]})))


def test_rare_levels_share_one_and_are_drawn_by_their_counts():
    words = [f"w{i}" for i in range(60) for _ in range(20)] + ["rare"] * 4 + ["rarer"] * 1
    codec = TableCodec.fit(Records(pd.DataFrame({"word": words})))
    assert codec.space.slots == (Category(61),)
    other = torch.zeros(5000, 61)
    other[:, 60] = 1
    counts = codec.decode(other).values["word"].value_counts(normalize=True)
    assert set(counts.index) == {"rare", "rarer"}
    assert abs(counts["rare"] - 0.8) < 0.02


def test_dates_keep_their_spelling_and_lie_in_the_range_seen():
    days = pd.date_range("2020-01-01", periods=300, freq="3D")
    frame = pd.DataFrame({"day": days.strftime("%d/%m/%Y"), "moment": days + pd.Timedelta(seconds=1)})
    codec = TableCodec.fit(Records(frame))
    assert [column.kind for column in codec.columns] == ["date", "date"]
    rows = drawn(codec)
    found = pd.to_datetime(rows["day"], format="%d/%m/%Y")
    assert found.between(days[0], days[-1]).all()
    assert rows["moment"].between(frame["moment"].min(), frame["moment"].max()).all()
    assert "from 01/01/2020 to" in dict(codec.describe())["day"]


def test_descriptions_are_plain():
    frame = pd.DataFrame({"age": np.arange(1000) % 60 + 18.5, "job": ["a", "b", None, "c"] * 250})
    assert TableCodec.fit(Records(frame)).describe() == [
        ("data", "1,000 rows of 2 columns"),
        ("age", "number: 60 distinct values from 18.5 to 77.5, 1 decimal"),
        ("job", "category: 3 levels of text, 25.0 % missing"),
    ]


# -- rows that were not in the training split --------------------------------------------------------------


def test_what_was_never_seen_is_encoded_as_what_is_nearest():
    train = pd.DataFrame({"n": [1, 2, 4] * 10, "word": ["a", "a", "b"] * 10, "x": np.linspace(0, 1, 30)})
    other = pd.DataFrame({"n": [9, 0, 3.6], "word": ["z", None, "b"], "x": [-5.0, 5.0, np.nan]})
    codec = TableCodec.fit(Records(train))
    back = codec.decode(codec.encode(Records(other)).x).values
    assert back["n"].tolist() == [4, 1, 4]
    assert back["word"].tolist() == ["a", "a", "b"]
    assert back["x"].iloc[:2].tolist() == [0, 1]
    assert back["x"].iloc[2] == pytest.approx(0.5, abs=0.05)


def test_mistakes_name_the_column_and_the_row():
    codec = TableCodec.fit(Records(pd.DataFrame({"n": np.arange(30.0), "y": ["a", "b"] * 15})))
    with pytest.raises(DataError, match="no column 'y'; it has n"):
        codec.encode(Records(pd.DataFrame({"n": [1.0]})))
    with pytest.raises(DataError, match="row 2, column 'n': inf"):
        codec.encode(Records(pd.DataFrame({"n": [1.0, np.inf], "y": ["a", "b"]})))
    with pytest.raises(DataError, match="column 'n' should hold float64"):
        codec.encode(Records(pd.DataFrame({"n": ["one"], "y": ["a"]})))


def test_columns_no_table_can_carry_are_refused():
    with pytest.raises(DataError, match="'t' holds timedelta"):
        TableCodec.fit(Records(pd.DataFrame({"t": pd.to_timedelta([1, 2], unit="s")})))


# -- conditions --------------------------------------------------------------------------------------------


@pytest.fixture
def patients() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "sick": rng.random(200) < 0.5,
            "age": rng.integers(20, 90, 200),
            "stage": np.where(rng.random(200) < 0.1, np.nan, rng.integers(0, 3, 200)),
            "weight": rng.normal(70, 9, 200),
        }
    )


def test_conditions_are_given_apart_and_come_back_in_their_place(patients):
    codec = restored(TableCodec.fit(Records(patients), condition=("sick", "age", "stage")))
    encoded = codec.encode(Records(patients))
    assert codec.space.slots == TableCodec.fit(Records(patients[["weight"]])).space.slots
    codec.condition_space.check(encoded.condition)
    assert_same(codec.decode(encoded.x, encoded.condition).values, patients)
    assert list(codec.decode(encoded.x).values) == ["weight"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ({"sick": "true", "age": "30", "stage": "2"}, [True, 30, 2.0]),
        ({"sick": False, "age": 30, "stage": 1.0}, [False, 30, 1.0]),
        ({"sick": "no", "age": 30.0, "stage": "missing"}, [False, 30, np.nan]),
    ],
)
def test_conditions_mean_what_was_typed(patients, typed, meant):
    codec = TableCodec.fit(Records(patients), condition=("sick", "age", "stage"))
    condition = codec.encode_condition(typed, 3)
    rows = codec.decode(torch.zeros(3, 1), condition).values
    assert rows[["sick", "age", "stage"]].iloc[2].tolist() == pytest.approx(meant, nan_ok=True)
    seen = patients.assign(sick=meant[0], age=30, stage=meant[2])
    assert torch.equal(codec.encode(Records(seen)).condition[:3], condition)


def test_condition_mistakes_say_what_is_valid(patients):
    codec = TableCodec.fit(Records(patients), condition=("stage", "age"))
    with pytest.raises(ValueError, match=r"level of stage '7'.*Valid: 0.0, 1.0, 2.0, missing"):
        codec.encode_condition({"stage": 7, "age": 30}, 1)
    with pytest.raises(ValueError, match=r"age \(integer\) takes values from 20 to 8\d, not 'old'"):
        codec.encode_condition({"stage": 1, "age": "old"}, 1)
    with pytest.raises(ValueError, match=r"from 20 to 8\d, not '99'"):
        codec.encode_condition({"stage": 1, "age": 99}, 1)
    with pytest.raises(ValueError, match="'age' is not given"):
        codec.encode_condition({"stage": 1}, 1)
    with pytest.raises(ValueError, match=r"unknown condition 'sick'\. Valid: age, stage"):
        codec.encode_condition({"sick": 1}, 1)
    with pytest.raises(ValueError, match="has 2 values for 3 samples"):
        codec.encode_condition({"stage": [0, 1], "age": 30}, 3)
    with pytest.raises(ValueError, match=r"unknown condition 'agee'\. Did you mean 'age'"):
        TableCodec.fit(Records(patients), condition=("agee",))


# -- people ------------------------------------------------------------------------------------------------


def test_a_preview_is_drawn_of_every_kind_of_column(tmp_path, patients):
    frame = patients.assign(
        word="$5 & $6", day=pd.date_range("2020", periods=200), flag=patients["sick"].astype(object)
    )
    codec = TableCodec.fit(Records(frame))
    path = codec.preview(Records(frame), tmp_path / "new" / "0001")
    assert path.name == "0001.png"
    with Image.open(path) as picture:
        assert min(picture.size) > 300
        assert len(np.unique(np.asarray(picture.convert("L")))) > 10


def test_a_preview_has_no_identifiers_and_constants(tmp_path, patients, monkeypatch):
    frame = patients.assign(number=[f"P{i:05d}" for i in range(len(patients))], country="here")
    codec = TableCodec.fit(Records(frame))
    drawn = []
    monkeypatch.setattr("sansheng.codecs.table.draw", lambda shown, path: drawn.extend(shown) or path)
    codec.preview(Records(frame), tmp_path / "0001")
    assert drawn == list(patients)


def test_thirty_thousand_rows_of_fifteen_columns_decode_in_three_seconds():
    rng = np.random.default_rng(0)
    numbers = {f"n{i}": rng.lognormal(size=32_561).round(2) for i in range(6)}
    words = {f"w{i}": rng.choice([f"level {j}" for j in range(16)], 32_561) for i in range(9)}
    frame = pd.DataFrame({**numbers, **words})
    codec = TableCodec.fit(Records(frame))
    x = codec.encode(Records(frame)).x
    start = time.perf_counter()
    codec.decode(x)
    assert time.perf_counter() - start < 3
