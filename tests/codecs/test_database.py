"""Rows of a database are read by a query, and nothing in it is changed."""

import sqlite3

import pandas as pd
import pytest

from sansheng.codecs import database
from sansheng.data import open_data
from sansheng.errors import DataError

ALL = "SELECT * FROM patients"


@pytest.fixture
def url(tmp_path) -> str:
    path = tmp_path / "clinic.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE patients (age REAL, job TEXT)")
        rows = [(20.5 + i, "ab"[i % 2]) for i in range(60)]
        connection.executemany("INSERT INTO patients VALUES (?, ?)", rows)
    return f"sqlite:///{path}"


def test_a_query_is_a_table(url):
    data = open_data(url, query="SELECT job, age FROM patients WHERE age > 30 ORDER BY age")
    assert (data.name, data.source, data.kind) == ("clinic", url, "table")
    assert list(data.train_records.values) == ["job", "age"]
    assert len(data.train) + len(data.test) == 50
    again = open_data(data.source, query=data.query, codec=data.codec)
    assert again.digest == data.digest


def test_nothing_is_changed(url):
    with pytest.raises(DataError):
        open_data(url, query="DELETE FROM patients")
    assert len(database.read_query(url, ALL)) == 60


@pytest.mark.parametrize(
    "query",
    [
        "DROP TABLE patients",
        "ALTER TABLE patients DROP COLUMN job",
        "/* SELECT */ DELETE FROM patients RETURNING *",
        "WITH x AS (SELECT 1) DELETE FROM patients RETURNING *",
        "-- SELECT\nUPDATE patients SET age = 0 RETURNING *",
        "PRAGMA query_only = OFF",
        "SELECT * FROM patients; DROP TABLE patients",
        "",
    ],
)
def test_what_does_more_than_read_is_refused_and_changes_nothing(url, query):
    before = database.read_query(url, ALL)
    with pytest.raises(DataError):
        open_data(url, query=query)
    pd.testing.assert_frame_equal(database.read_query(url, ALL), before)


@pytest.mark.parametrize(
    "query",
    [
        "-- all; of them\n/* patients */ SELECT * FROM patients;",
        "WITH old AS (SELECT * FROM patients) SELECT * FROM old WHERE job != 'a;b'",
        "select * from (select * from patients)",
        "SELECT 1.5 AS age, 'a' AS job UNION ALL SELECT * FROM patients LIMIT 60",
    ],
)
def test_every_way_to_read_is_allowed(url, query):
    assert len(database.read_query(url, query)) == 60


def test_mistakes_say_what_there_is(url, tmp_path):
    with pytest.raises(
        ValueError, match=r"say which rows, as in --query 'SELECT \* FROM patients'; its tables: patients"
    ):
        open_data(url)
    with pytest.raises(DataError, match="no such table: people"):
        open_data(url, query="SELECT * FROM people")
    with pytest.raises(DataError, match=r"none\.db: no such database file"):
        open_data(f"sqlite:///{tmp_path}/none.db", query=ALL)
    assert not (tmp_path / "none.db").exists()
    with pytest.raises(ValueError, match=r"a query \(--query\) needs the URL of a database"):
        open_data("iris", query=ALL)


def test_a_password_is_not_kept_but_its_name_is():
    assert database.kept_url("postgresql://me:secret@host/db") == "postgresql://me:***@host/db"
    assert database.kept_url("postgresql://me:$PGPASSWORD@host/db") == "postgresql://me:$PGPASSWORD@host/db"
    with pytest.raises(DataError, match="the password was not kept"):
        database.read_query("postgresql://me:***@host/db", ALL)


def test_without_sqlalchemy_it_is_said_what_to_install(url, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sqlalchemy", None)
    with pytest.raises(DataError, match=r"pip install 'sansheng\[sql\]'"):
        open_data(url, query=ALL)
