"""What a column is taken for, with the reason; what a person says it is; and what is issued for identifiers."""

import json
import uuid

import numpy as np
import pandas as pd
import pytest
import torch

from sansheng.codecs import dates
from sansheng.codecs.base import Records, Source
from sansheng.codecs.coders import Digits
from sansheng.codecs.column_kinds import fit_column
from sansheng.codecs.columns import Column
from sansheng.codecs.identifiers import Identifier, named_identifier, text_identifier
from sansheng.codecs.table import TableCodec
from sansheng.codecs.table_file import from_frame, retype
from sansheng.errors import DataError
from sansheng.space import Category, Real

N = 400


def column(values, asked=None, name="x") -> Column:
    return fit_column(pd.Series(values, name=name), asked)


def through(values, asked=None) -> pd.Series:
    """Encoded, stored, restored and decoded."""
    series = pd.Series(values, name="x")
    found = fit_column(series, asked)
    again = Column.from_json(json.loads(json.dumps(found.to_json())), found.coder.arrays())
    x = again.encode(series, np.random.default_rng(0)).astype(np.float32)
    return again.decode(x, np.random.default_rng(0))


# -- kinds ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "kind", "reason"),
    [
        (np.linspace(0, 1, N).round(3), "number", "3 decimals"),
        ((np.arange(N) * 7) % 90, "integer", "90 distinct values from 0 to 89"),
        (np.arange(N) % 2, "boolean", "nothing but 0 and 1"),
        (["Yes", "No"] * (N // 2), "boolean", "nothing but No and Yes"),
        (np.arange(N) % 4, "category", "so few that they are taken as levels"),
        (np.arange(7, N + 7), "identifier", "count the rows; left out and issued anew, from 407 on"),
        ([f"P-{i:06d}" for i in range(N)], "identifier", "from P-000400 on"),
        ([f"report {i}: patient {'un' * (i % 3)}well" for i in range(N)], "text", "occur only once; left out"),
        ([f"2020-01-{1 + i % 28:02d}T10:{i % 60:02d}:00+02:00" for i in range(N)], "date", "YYYY-MM-DDThh:mm:ss+02:00"),
        ([20200101 + i % 28 for i in range(N)], "date", "written YYYYMMDD"),
        (["only"] * N, "constant", "every value is only"),
    ],
)
def test_each_kind_has_a_reason(values, kind, reason):
    found = column(values)
    assert found.kind == kind
    assert reason in found.reason


def test_a_column_of_numbers_in_no_order_is_no_identifier_unless_it_is_called_one():
    numbers = np.random.default_rng(0).permutation(N)
    assert column(numbers).kind == "integer"
    assert column(numbers, name="patient_id").kind == "identifier"


def test_a_gap_hides_no_identifier_and_one_that_repeats_is_pointed_out():
    numbers = np.random.default_rng(0).permutation(N).astype(float)
    numbers[3] = np.nan
    assert column(numbers, name="patient_id").kind == "identifier"
    assert column([None, *(f"P-{i:06d}" for i in range(N))]).kind == "identifier"
    for visits in (np.arange(N) // 2, [f"M{i // 2}" for i in range(N)]):
        found = column(visits, name="mrn")
        assert found.kind in ("integer", "category")
        assert "--type mrn=identifier" in found.reason
        assert "identifier" not in column(visits, name="dose").reason
        assert column(visits, "identifier", name="mrn").kind == "identifier"


# -- dates ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    [
        "%Y-%m-%d", "%-m/%-d/%Y", "%d.%m.%Y %H:%M", "%Y-%m-%dT%H:%M:%S.%3f", "%b %-d, %Y", "%-I:%M %p", "%H:%M:%S",
        "%Y-%m-%d %H:%M:%S+05:30", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S[Europe/Berlin]", "%m/%Y",
    ],
)  # fmt: skip
def test_dates_come_back_as_they_were_written(written):
    moments = pd.Series(pd.to_datetime(np.random.default_rng(0).integers(1.5e9, 1.6e9, N) * 1000, unit="ms"))
    texts = dates.write(moments, written)
    found = column(texts)
    assert found.kind == "date"
    assert found.dtype.date_format == written
    assert through(texts).tolist() == list(texts)


def test_days_that_are_all_the_first_of_a_month_stay_so():
    months = pd.Series(pd.date_range("2000-01-01", periods=100, freq="MS"), name="x")
    found = fit_column(months)
    drawn = found.decode(np.random.default_rng(0).normal(size=(300, 1)), np.random.default_rng(0))
    assert set(drawn.dt.day) == {1}


def test_a_zone_is_kept():
    hours = pd.Series(pd.date_range("2020-03-28", periods=N, freq="h", tz="Europe/Berlin"), name="x")
    assert "Europe/Berlin" in fit_column(hours).reason
    pd.testing.assert_series_equal(through(hours), hours.astype(through(hours).dtype), check_names=False)


# -- many levels ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("levels", "digits", "base"), [(300, 2, 18), (3000, 3, 15)])
def test_many_levels_take_few_channels_and_come_back_exactly(levels, digits, base):
    words = np.random.default_rng(0).permutation([f"w{i}" for i in range(levels)] * 6)
    words = np.concatenate([words, ["once"]]).astype(object)
    words[5] = None
    found = column(words)
    assert found.slots == (Category(base),) * digits
    back = through(words)
    assert back.isna().tolist() == [word is None for word in words]
    assert back.dropna().tolist() == [word for word in words if word is not None]


def test_any_digits_are_a_level_that_was_seen():
    words = [f"w{i}" for i in range(200)] * 5
    found = column(words)
    noise = np.random.default_rng(0).normal(size=(2000, found.width))
    assert set(found.decode(noise, np.random.default_rng(0))) <= set(words)


def test_days_that_may_be_months_are_pointed_out():
    def reason(days: range) -> str:
        return column([f"0{1 + i % 9}/{days[i % len(days)]:02d}/2020" for i in range(N)], name="seen").reason

    assert "days may be months: --type seen=date:%d/%m/%Y then" in reason(range(1, 13))
    assert "months" not in reason(range(1, 14))
    assert "months" not in column([f"2020-0{1 + i % 9}-{1 + i % 12:02d}" for i in range(N)]).reason


# -- identifiers ---------------------------------------------------------------------------------------------------


def issued(coder: Identifier, n: int) -> list[str]:
    return coder.decode(np.zeros((n, 0)), np.random.default_rng(0)).tolist()


@pytest.mark.parametrize(
    ("texts", "pattern"),
    [
        ([f"P-{i:06d}" for i in range(100)], r"P-\d{6}"),
        ([f"case {i}/x" for i in range(100)], r"case \d+/x"),
        ([f"{i * 7919 % 1000:03d}" for i in range(1000)], r"\d{4}"),
        (["".join(np.random.default_rng(i).choice(list("ABC123"), 8)) for i in range(100)], r"[A-Z0-9]{8}"),
    ],
)
def test_identifiers_are_issued_in_their_pattern_and_never_one_of_training(texts, pattern):
    coder = text_identifier(texts)
    fresh = issued(coder, 500)
    assert len(set(fresh)) == 500
    assert not set(fresh) & set(texts)
    assert all(pd.Series(fresh).str.fullmatch(pattern))
    assert issued(Identifier.from_json(json.loads(json.dumps(coder.to_json())), {}), 500) == fresh


def test_uuids_are_new_uuids_of_version_4():
    rng = np.random.default_rng(0)
    texts = [str(uuid.UUID(bytes=rng.bytes(16))).upper() for _ in range(60)]
    fresh = issued(text_identifier(texts), 1000)
    assert len(set(fresh)) == 1000
    assert {uuid.UUID(text).version for text in fresh} == {4}
    assert all(text == text.upper() for text in fresh)


def test_names_without_a_pattern_are_numbered():
    texts = ["ada@x.org", "b@y.com", "x-1"]
    assert text_identifier(texts) is None
    assert issued(named_identifier("x", texts), 2) == ["x-new-1", "x-new-2"]


# -- what a person says --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "asked", "slots"),
    [
        (np.arange(N) % 4, "number", Real),
        ((np.arange(N) * 7) % 90, "category", Category),
        (np.arange(7, N + 7), "integer", Real),
        ([f"0{i % 4}.0{1 + i % 3}.2020" for i in range(4, N)], "category", Category),
        ([f"P-{i:06d}" for i in range(N)], "category", Category),
    ],
)
def test_a_person_may_say_what_a_column_is(values, asked, slots):
    found = column(values, asked)
    assert found.kind == asked
    assert found.reason.startswith("as asked")
    assert isinstance(found.slots[0], slots)


def test_what_is_asked_to_be_left_out_is_missing():
    assert column(["a", "b"] * 50, "text").slots == ()
    assert through(["a", "b"] * 50, "text").isna().all()


@pytest.mark.parametrize(
    ("values", "asked", "message"),
    [
        ([1.5, 2.0, 3.0], "integer", "'x' cannot be an integer: it holds 1.5"),
        (["a", "b", "c"], "boolean", "'x' cannot be a boolean: it has 3 distinct"),
        (["a", "b", "c"], "number", "'x' cannot be number: it holds str"),
        (["a", "b", "c"], "date", "'x' does not hold dates .* x=date:%d/%m/%Y"),
        (["1.2.2020", "2020"], "date:%d.%m.%Y", "'2020' is not a date written DD.MM.YYYY"),
    ],
)
def test_what_a_column_cannot_be_is_said(values, asked, message):
    with pytest.raises(DataError, match=message):
        fit_column(pd.Series(values, name="x", dtype="str" if isinstance(values[0], str) else None), asked)


def test_unknown_columns_and_types_list_what_there_is():
    records = Records(pd.DataFrame({"age": [1.5, 2, 3], "job": ["a", "b", "a"]}))
    with pytest.raises(ValueError, match=r"unknown column 'agee'\. Did you mean 'age'\? Valid: age, job"):
        TableCodec.fit(records, types={"agee": "number"})
    with pytest.raises(ValueError, match=r"unknown type of column age 'nr'.*boolean, category, date"):
        TableCodec.fit(records, types={"age": "nr"})


def test_texts_asked_to_be_numbers_are_read_as_such_and_what_is_none_is_said():
    source = from_frame(pd.DataFrame({"pay": ["$1,200", "7.5 %", "low", None, "3"], "job": list("abcde")}))
    read = retype(source, {"pay": "number"})
    np.testing.assert_array_equal(read.records.values["pay"], [1200, 7.5, np.nan, np.nan, 3])
    assert read.notes == ("column 'pay': 1 text that is none (such as 'low') taken for missing",)
    with pytest.raises(DataError, match="'job' cannot be a number: row 1 holds 'a'"):
        retype(Source(source.records), {"job": "number"})


# -- other rows ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seen", "given", "message"),
    [
        (["a", "b"], [1.0, 2.0], "'x' should hold text but holds float64"),
        ([1.0, 2.0], ["a", "b"], "'x' should hold float64"),
        ([1.0, 2.0], [1.0, "old"], "'x' should hold float64 but holds object, among it 'old'"),
        ([1.0, 2.0], pd.date_range("2020", periods=2), "'x' should hold float64 but holds datetime64"),
        (pd.date_range("2020", periods=90), [1, 2], "'x' should hold datetime64"),
        (
            [f"2020-01-{i:02d}" for i in range(1, 31)],
            ["2020-01-05", "05.01.2020"],
            "'05.01.2020' is not a date written",
        ),
    ],
)
def test_a_kind_never_seen_is_refused_by_name(seen, given, message):
    found = column(seen)
    with pytest.raises(DataError, match=message):
        found.encode(pd.Series(given, name="x"), None)


def test_a_column_of_text_that_is_all_missing_may_be_held_as_numbers():
    found = column(["a", "b", None] * 20)
    assert torch.tensor(found.encode(pd.Series([np.nan, np.nan], name="x"), None)).argmax(1).tolist() == [2, 2]


@pytest.mark.parametrize("levels", [110, 2600])
def test_no_level_is_what_all_digits_that_mean_nothing_become(levels):
    coder = column([f"level {i:04d}" for i in range(levels) for _ in range(6)]).coder
    assert isinstance(coder, Digits)
    stands_for = np.bincount(coder.of_numbers())
    assert (len(stands_for), stands_for.min()) == (levels, 1)
    assert stands_for.max() <= 2
