"""Tables as people save them are read; what was repaired is said, and what cannot be read names the line."""

import codecs

import numpy as np
import pandas as pd
import pytest

from sansheng.codecs.table_file import from_frame, read, unique_names, write
from sansheng.codecs.table_text import sniff_delimiter
from sansheng.errors import DataError


def saved(tmp_path, text: str | bytes, name: str = "t.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def frame_of(tmp_path, text: str | bytes, name: str = "t.csv") -> pd.DataFrame:
    return read(saved(tmp_path, text, name)).records.values


def notes_of(tmp_path, text: str | bytes, name: str = "t.csv") -> str:
    return " | ".join(read(saved(tmp_path, text, name)).notes)


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        ("a,b\n1,2\n3\n4,5\n", 3, "has 1 fields where the first line has 2"),
        ("a,b\n1,2\n\n3,4,5\n", 4, "has 3 fields"),
        ('a,b\n"x\ny",2\n3\n', 4, "has 1 fields"),
    ],
)
def test_a_ragged_line_is_named(tmp_path, text, line, found):
    with pytest.raises(DataError, match=rf"t\.csv, line {line}: {found}"):
        read(saved(tmp_path, text))


@pytest.mark.parametrize(
    "text",
    [
        b"a,b\n1,x\n2,y\n",
        codecs.BOM_UTF8 + b"a,b\r\n1,x\r\n2,y\r\n",
        "a,b\n1,x\n2,y\n".encode("utf-16"),
        b" a , b \n 1 , x \n 2 , y \n",
        b"a;b\n1;x\n2;y\n",
        b"a\tb\n1\tx\n2\ty",
        b"a|b\n1|x\n\n2|y\n",
    ],
)
def test_however_it_is_saved_it_is_the_same_table(tmp_path, text):
    pd.testing.assert_frame_equal(frame_of(tmp_path, text), pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}))


def test_what_was_changed_is_said(tmp_path):
    assert "Latin-1" in notes_of(tmp_path, "a,b\n1,é\n2,y\n".encode("latin-1"))
    assert "separated by ';'" in notes_of(tmp_path, "a;b\n1,5;x\n2,5;y\n")
    assert "decimal comma" in notes_of(tmp_path, "a;b\n1,5;x\n2,5;y\n")
    assert "'?' is read as missing" in notes_of(tmp_path, "a,b\n?,x\n2,y\n")
    assert "only numbers" in notes_of(tmp_path, "1,2\n3,4\n5,6\n")
    assert notes_of(tmp_path, "a,b\n1,x\n2,y\n") == ""


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("a\tb\n1,5\tx\n2,25\ty\n", [1.5, 2.25]),
        ("a|b\n'1,5'|x\n'2,5'|y\n", [1.5, 2.5]),
        ("a;b\n1.5;2,5 mg\n2.5;3,5 mg\n", [1.5, 2.5]),
        ("a;b\n1,125;x\n2,250;y\n", [1.125, 2.25]),
    ],
)
def test_the_decimal_sign_is_what_most_numbers_have(tmp_path, text, numbers):
    assert frame_of(tmp_path, text, "t.tsv" if "\t" in text else "t.csv")["a"].tolist() == numbers


def test_three_digits_behind_commas_between_tabs_may_be_thousands(tmp_path):
    assert frame_of(tmp_path, "a\tb\n1,125\tx\n2,250\ty\n", "t.tsv")["a"].tolist() == ["1,125", "2,250"]


def test_gaps_and_numbers_with_a_decimal_comma(tmp_path):
    assert frame_of(tmp_path, "a;b\n1,5;x\n2,25;y\n")["a"].tolist() == [1.5, 2.25]
    frame = frame_of(tmp_path, "a,b\n1,NA\n ?,x\n3, \nnull,y\n")
    assert frame["a"].isna().tolist() == [False, True, False, True]
    assert frame["b"].isna().tolist() == [True, False, True, False]
    assert frame["a"].dtype == np.float64


def test_repeated_and_empty_names_are_replaced_and_said(tmp_path):
    source = read(saved(tmp_path, "x,x,,x_2\n1,2,3,4\n5,6,7,8\n"))
    assert list(source.records.values) == ["x", "x_3", "unnamed_3", "x_2"]
    assert source.records.values.iloc[0].tolist() == [1, 2, 3, 4]
    assert source.notes == (
        "column 2 repeats the name 'x'; it is called 'x_3'",
        "column 3 has no name; it is called 'unnamed_3'",
    )
    assert unique_names(["a", "a", "a"])[0] == ["a", "a_2", "a_3"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("a,b\n", "has no rows"),
        ("a,b\n1,2\n", "only one row"),
        (b"a,b\n1,\x00\n", "is not text"),
        ("a,b\n1,2\n3,inf\n", "row 2, column 'b': inf is not a finite number"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read(saved(tmp_path, text))


def test_files_of_other_kinds_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"a table is one of \.csv, \.tsv, \.parquet"):
        read(saved(tmp_path, "x", "t.xlsx"))
    with pytest.raises(DataError, match="cannot be read as parquet"):
        read(saved(tmp_path, "x", "t.parquet"))
    with pytest.raises(DataError, match="cannot be read"):
        read(tmp_path / "none.csv")
    with pytest.raises(ValueError, match=r"cannot write a table as '\.xls'; use one of \.csv, \.parquet"):
        write(pd.DataFrame({"a": [1]}), tmp_path / "t.xls")


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_what_is_written_is_read_again(tmp_path, suffix):
    frame = pd.DataFrame(
        {"n": [1, 2, 3], "x": [0.1, np.nan, -1e-9], "word": ["a,b", None, 'say "ü"'], "yes": [True, False, True]}
    )
    (path,) = write(frame, tmp_path / "new" / f"t{suffix}")
    pd.testing.assert_frame_equal(read(path).records.values, frame)


def test_a_frame_keeps_its_dtypes_and_loses_its_index():
    frame = pd.DataFrame({1: pd.array([1, None], "Int64"), "d": pd.to_datetime(["2020", "2021"])}, index=["p", "q"])
    values = from_frame(frame).records.values
    assert list(values) == ["1", "d"]
    assert list(values.index) == [0, 1]
    assert (values.dtypes.array == frame.dtypes.array).all()


def test_a_delimiter_inside_quotes_does_not_count():
    assert sniff_delimiter('a,b\n"1;2;3","4;5"\n"6;7","8;9"\n') == ","
    assert sniff_delimiter("word\none\ntwo\n") == ","


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("a,b\n'x, y',1\n'it''s',2\n", [["x, y", 1], ["it's", 2]]),
        ('a,b\n"x, \\"y\\" z",1\n"w",2\n', [['x, "y" z', 1], ["w", 2]]),
        ('a;b\n"x; ""y""";1\n"w";2\n', [['x; "y"', 1], ["w", 2]]),
        ("a,b\nit's,1\nhers',2\n", [["it's", 1], ["hers'", 2]]),
    ],
)
def test_quotes_are_found(tmp_path, text, rows):
    assert frame_of(tmp_path, text).to_numpy().tolist() == rows


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1"])
def test_encodings_are_found(tmp_path, encoding):
    word = "caf\u00e9" if encoding == "latin-1" else "caf\u00e9 \u201c5 \u20ac\u201d"
    assert frame_of(tmp_path, f"a,b\n1,{word}\n2,y\n".encode(encoding))["b"].tolist() == [word, "y"]


@pytest.mark.parametrize("words", [("TRUE", "FALSE"), ("true", "false")])
def test_yes_and_no_come_as_they_are_written(tmp_path, words):
    yes, no = words
    frame = frame_of(tmp_path, f"a,b,c,d\n1,{yes},True,true\n2,{no},False,x\n3,,True,y\n4,{yes},,z\n")
    assert frame["b"].dropna().tolist() == [yes, no, yes]
    assert frame["c"].dropna().tolist() == [True, False, True]
    assert frame["a"].tolist() == [1, 2, 3, 4]


def test_codes_keep_their_leading_zeros(tmp_path):
    frame = frame_of(tmp_path, "zip,n,x\n01234,1,0.5\n99999,0,0.25\n,10,007.5\n")
    assert frame["zip"].tolist()[:2] == ["01234", "99999"]
    assert frame["zip"].isna().tolist() == [False, False, True]
    assert frame["n"].tolist() == [1, 0, 10]


def test_lines_are_as_long_as_the_first_though_quotes_hold_delimiters(tmp_path):
    assert len(frame_of(tmp_path, 'a,b\n"1,2\n3",x\n4,y\n')) == 2
    with pytest.raises(DataError, match=r"line 4: has 3 fields"):
        read(saved(tmp_path, 'a,b\n"1,2\n3",x\n4,y,z\n'))


def test_whole_numbers_that_no_float_can_tell_apart_are_text(tmp_path):
    codes = [2**60 + i for i in range(6)]
    source = read(saved(tmp_path, "code,n\n" + "".join(f"{code},{i}\n" for i, code in enumerate(codes))))
    assert source.records.values["code"].tolist() == list(map(str, codes))
    assert "'code' holds whole numbers of over 15 digits; they are read as text" in source.notes[0]


def test_gaps_do_not_give_whole_numbers_a_point(tmp_path):
    frame = pd.DataFrame({"n": [84.0, np.nan], "x": [0.5, np.nan], "w": [1.0, 2.0], "none": [np.nan] * 2})
    write(frame, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == "n,x,w,none\n84,0.5,1.0,\n,,2.0,\n"


def test_a_column_of_several_time_zones_is_refused_by_name():
    times = [pd.Timestamp("2024-01-01", tz=zone) for zone in ("UTC", "Asia/Tokyo")]
    with pytest.raises(DataError, match="'seen' mixes dates of several time zones"):
        from_frame(pd.DataFrame({"seen": pd.Series(times, dtype=object), "n": [1, 2]}))
