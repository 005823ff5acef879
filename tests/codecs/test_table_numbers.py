"""Numbers in texts: what is one is read, a factor of 1000 is never guessed, and codes stay as they are written."""

import decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sansheng.codecs import numerals
from sansheng.codecs.column_kinds import fit_column
from sansheng.codecs.table_file import from_frame, read, retype
from sansheng.data import open_data
from sansheng.errors import DataError


def source_of(tmp_path, text: str, name: str = "t.csv"):
    path = tmp_path / name
    path.write_text(text)
    return read(path)


def column_of(tmp_path, texts, *, beside: str = "x", delimiter: str = ",") -> pd.Series:
    lines = [f"a{delimiter}b", *(f"{text}{delimiter}{beside}" for text in texts)]
    return source_of(tmp_path, "\n".join(lines) + "\n").records.values["a"]


# -- thousands and decimal signs -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "beside", "delimiter", "numbers"),
    [
        (['"52,000"', '"1,234,567"', "900"], "x", ",", [52_000, 1_234_567, 900]),
        (['"1,234.5"', "900", '"-2,000"'], "x", ",", [1234.5, 900, -2000]),
        (["1,234", "5,678"], "0.25", "\t", [1234, 5678]),
        (["1,234,567", "5,678"], "x", "\t", [1_234_567, 5678]),
        (["1.234,56", "2.000,5", "12,25"], "x", ";", [1234.56, 2000.5, 12.25]),
        (["7.113", "1.000"], "85,9", ";", [7113, 1000]),
    ],
)
def test_separators_of_thousands_are_read_where_all_agree(tmp_path, texts, beside, delimiter, numbers):
    assert column_of(tmp_path, texts, beside=beside, delimiter=delimiter).tolist() == numbers


@pytest.mark.parametrize(
    ("texts", "beside", "delimiter"),
    [
        (['"52,000"', '"2,5"'], "x", ","),
        (['"52,000"', "1000"], "x", ","),
        (['"52,000"', '"0,125"'], "x", ","),
        (['"52,000"', '"1,000"'], '"2,5"', ","),
        (["1,125", "2,250"], "x", "\t"),
        (["7.113", "2.25", "3,5"], "85,9", ";"),
    ],
)
def test_what_may_be_decimals_stays_text(tmp_path, texts, beside, delimiter):
    found = column_of(tmp_path, texts, beside=beside, delimiter=delimiter)
    assert found.tolist() == [text.strip('"') for text in texts]


def test_that_thousands_were_read_is_said(tmp_path):
    assert "column 'a': commas set off thousands" in source_of(tmp_path, 'a,b\n"52,000",x\n"1,000",y\n').notes
    source = source_of(tmp_path, "a;b\n7.113;85,9\n1.000;8,5\n")
    assert "column 'a': points set off thousands" in source.notes
    source = source_of(tmp_path, "a;b\n7.113;x\n1.250;y\n")
    assert source.records.values["a"].tolist() == [7.113, 1.25]
    assert any("they are decimals here, not thousands" in note for note in source.notes)


@pytest.mark.parametrize(
    ("texts", "decimal", "sure", "numbers"),
    [
        (["5.766,232", "1.234,5"], ",", True, [5766.232, 1234.5]),
        (["5.766,232", "1.234,5"], ".", True, [5766.232, 1234.5]),
        (["7.113", "85,9"], ",", True, [7113, 85.9]),
        (["1,234", "3,5", "7,25"], ".", True, [np.nan, 3.5, 7.25]),
        (["1,234", "3,5", "7.25"], ".", True, [np.nan, np.nan, 7.25]),
        (["1,234", "12"], ".", False, [np.nan, 12]),
        (["1.234", "12"], ".", False, [1.234, 12]),
        (["$1,200", "7.5 %", "-3e2", "", "1,2,3", "0x1f"], ".", True, [1200, 7.5, -300, np.nan, np.nan, np.nan]),
    ],
)
def test_no_number_is_guessed(texts, decimal, sure, numbers):
    found = numerals.read(pd.Series(texts), decimal, sure=sure)
    np.testing.assert_array_equal(found.numbers, numbers)


def test_texts_asked_to_be_numbers_have_the_decimal_sign_of_their_file(tmp_path):
    lines = "".join(f"{i}.766,232;8{i % 10},9\n" for i in range(1, 20))
    source = retype(source_of(tmp_path, f"Preis;b\n{lines}ab;1,5\n"), {"Preis": "number"})
    assert source.records.values["Preis"].tolist()[:2] == [1766.232, 2766.232]
    assert "column 'Preis': 1 text that is none (such as 'ab') taken for missing" in source.notes
    source = source_of(tmp_path, "a\tb\n1,125\tx\n2,250\ty\n", "t.tsv")
    with pytest.raises(DataError, match="'a' cannot be a number: row 1 holds '1,125', which may be"):
        retype(source, {"a": "number"})


# -- what is missing -----------------------------------------------------------------------------------------------


def test_a_lone_point_is_missing_and_that_is_said(tmp_path):
    source = source_of(tmp_path, 'sodium,b\n139.5,x\n.,y\n" . ",z\n140.1,x\n')
    assert source.records.values["sodium"].isna().tolist() == [False, True, True, False]
    assert source.records.values["sodium"].dtype == np.float64
    assert "'.' is read as missing" in source.notes


def test_cells_that_read_na_are_counted_in_columns_of_text(tmp_path):
    source = source_of(tmp_path, "country,n\nNA,1\nZA,NA\nNA,3\n")
    assert source.records.values["country"].isna().sum() == 2
    assert [note for note in source.notes if "2 of column 'country';" in note]
    assert source_of(tmp_path, "country,n\nBW,1\nZA,NA\n").notes == ()


# -- codes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "texts",
    [
        ["12E3", "45E1", "10E9"],
        ["+49103024294", "+4930123456"],
        ["12345678901234567", "", "12345678901234568"],
        ["1000000000000000000000001", "1000000000000000000000002"],
        ["01234 ", "99999 "],
        ["12345678901234567 ", " "],
    ],
)
def test_codes_stay_as_they_are_written(tmp_path, texts):
    found = column_of(tmp_path, texts)
    assert found.dropna().tolist() == [text.strip() for text in texts if text.strip()]


@pytest.mark.parametrize(
    ("texts", "numbers"),
    [
        (["1.2e-5", "3.0E2"], [1.2e-5, 300]),
        (["1e-5", "2e3"], [1e-5, 2000]),
        (["+1.5", "-2.5"], [1.5, -2.5]),
        (["+12", "+7"], [12, 7]),
        (["123456789012345678.5", "1"], [123456789012345678.5, 1]),
    ],
)
def test_numbers_stay_numbers(tmp_path, texts, numbers):
    assert column_of(tmp_path, texts).tolist() == numbers


def test_long_whole_numbers_keep_their_digits_and_that_is_said(tmp_path):
    codes = [10**17 + 3 * i if i % 5 else None for i in range(40)]
    source = source_of(tmp_path, "code,n\n" + "".join(f"{'' if c is None else c},{i}\n" for i, c in enumerate(codes)))
    assert source.records.values["code"].dropna().tolist() == [str(code) for code in codes if code]
    assert source.notes == ("column 'code' holds whole numbers of over 15 digits; they are read as text",)
    pq.write_table(pa.table({"code": pa.array(codes, pa.int64()), "n": range(40)}), tmp_path / "t.parquet")
    source = read(tmp_path / "t.parquet")
    assert source.records.values["code"].dropna().tolist() == [str(code) for code in codes if code]
    assert len(source.notes) == 1


@pytest.mark.parametrize("base", [10**20, 10**400])
def test_python_integers_beyond_floats_are_text(base):
    frame = from_frame(pd.DataFrame({"h": [base + i for i in range(60)], "n": range(60)})).records.values
    assert frame["h"].tolist()[1] == str(base + 1)
    assert fit_column(frame["h"]).kind == "identifier"
    assert fit_column(pd.Series([base + i % 2 for i in range(60)], name="h")).kind == "category"
    with pytest.raises(DataError, match="'x' holds numbers too large"):
        fit_column(pd.Series([10**400, 1.5] * 30, name="x", dtype=object))


def test_nested_cells_are_refused_by_name(tmp_path):
    n = 60
    for cell in ([1, 2], {"a": 1}):
        pq.write_table(pa.table({"x": np.arange(n) / 7, "cell": [cell] * n}), tmp_path / "t.parquet")
        with pytest.raises(DataError, match=r"'cell' holds a \w+ in a cell: flatten it .* or drop it"):
            open_data(tmp_path / "t.parquet")


# -- what a column nearly is ---------------------------------------------------------------------------------------


def test_texts_that_are_nearly_numbers_are_pointed_out_whatever_their_kind():
    rng = np.random.default_rng(0)
    for values in (rng.normal(140, 3, 300).round(6), rng.integers(0, 3, 300) / 4):
        texts = [f"{v}" if i % 50 else "<0.5" for i, v in enumerate(values)]
        reason = fit_column(pd.Series(texts, name="sodium")).reason
        assert "98 % of its texts are numbers; --type sodium=number reads them, the others as missing" in reason
    reason = fit_column(pd.Series([f"{v:.1f}%" for v in rng.uniform(0, 99, 300)], name="share")).reason
    assert reason.endswith("100 % of its texts are numbers; --type share=number reads them")
    for codes in ([f"{i:05d}" for i in range(9700, 10300)], ["a", "1"] * 150):
        assert "are numbers" not in fit_column(pd.Series(codes, name="code")).reason


@pytest.mark.parametrize("odd", ["0000-00-00", "unknown"])
def test_texts_that_are_nearly_dates_are_no_identifiers_and_can_be_asked_for(odd):
    texts = [str(day)[:10] for day in pd.date_range("1950-01-01", periods=300, freq="31h")]
    texts = [odd if i in (3, 90) else text for i, text in enumerate(dict.fromkeys(texts))]
    source = from_frame(pd.DataFrame({"birth": texts, "n": np.arange(len(texts)) / 7}))
    found = fit_column(source.records.values["birth"])
    assert found.kind == "text"
    how = "--type birth=date:%Y-%m-%d reads them, the others as missing"
    assert f"{len(texts) - 2} of {len(texts)} texts are dates (YYYY-MM-DD); {how}" in found.reason
    asked = retype(source, {"birth": "date:%Y-%m-%d"})
    made = fit_column(asked.records.values["birth"], "date:%Y-%m-%d")
    assert made.kind == "date"
    assert asked.records.values["birth"].isna().sum() == 2
    note = f"column 'birth': 2 texts that are no dates written YYYY-MM-DD (such as {odd!r}) taken for missing"
    assert asked.notes == (note,)
    with pytest.raises(DataError, match="is not a date written"):
        retype(source, {"birth": "date:%d.%m.%Y"})


@pytest.mark.parametrize("written", ["%Y%m%d", "%d.%m.%Y %H:%M", "%Y-%m-%dT%H:%M:%SZ"])
def test_however_dates_are_written_one_odd_text_does_not_hide_them(written):
    times = pd.date_range("2020-01-01", periods=300, freq="31h")
    texts = ["none" if i == 7 else time.strftime(written) for i, time in enumerate(times)]
    assert f"date:{written}" in fit_column(pd.Series(texts, name="seen")).reason


def test_decimals_are_numbers():
    values = [decimal.Decimal(i) / 4 for i in range(60)]
    assert fit_column(pd.Series(values, name="d")).kind == "number"
