"""Rows of a database: a SQLAlchemy URL and a SELECT to a table.

The one constraint: a database is only read, in a transaction that cannot write where it has such; no password is kept.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pandas as pd

from sansheng.errors import DataError

URL = re.compile(r"[a-z][\w+]*://")
MOST_NAMED = 20
READS = ("SELECT", "WITH", "VALUES", "TABLE")
"""How a query begins, perhaps after parentheses."""
SKIPPED = re.compile(r"(?:\s+|--[^\n]*(?:\n|$)|/\*(?![!+]).*?\*/)*", re.DOTALL)
"""Spaces and comments, but none that some databases execute."""
UNSPLIT = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|`[^`]*`|--[^\n]*|/\*.*?\*/", re.DOTALL)
"""What may hold a semicolon that ends no statement."""
ONLY_READS = {
    "sqlite": "PRAGMA query_only = ON", "postgresql": "SET TRANSACTION READ ONLY",
    "cockroachdb": "SET TRANSACTION READ ONLY", "oracle": "SET TRANSACTION READ ONLY",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
    "mariadb": "SET SESSION TRANSACTION READ ONLY",
}  # fmt: skip
"""What makes a database refuse every change, by its kind."""


def is_url(source: str) -> bool:
    """Whether a text is the URL of a database, such as ``sqlite:///file.db``."""
    return URL.match(source) is not None


def kept_url(url: str) -> str:
    """A URL to find the database by again: the path of a file made absolute, a password hidden (use ``$NAME``)."""
    made = _sqlalchemy().engine.make_url(url)
    if made.get_backend_name() == "sqlite" and made.database and made.database != ":memory:":
        made = made.set(database=str(Path(made.database).expanduser().resolve()))
    if made.password is None or made.password.startswith("$"):
        return made.render_as_string(hide_password=False).replace("%24", "$")
    return made.render_as_string(hide_password=True)


def name_of(url: str) -> str:
    """What to call the data of a database."""
    return Path(_sqlalchemy().engine.make_url(url).database or "database").stem


def read_query(url: str, query: str | None) -> pd.DataFrame:
    """The rows of a query. ``$NAME`` in the URL is taken from the environment.

    Raises DataError if there is no such database, the query fails or does anything but read; ValueError without a
    query, naming the tables.
    """
    sqlalchemy = _sqlalchemy()
    shown = kept_url(url)
    if ":***@" in url:
        raise DataError(f"{url}: the password was not kept; put $NAME in its place and set NAME in the environment")
    try:
        made = sqlalchemy.engine.make_url(os.path.expandvars(url))
        _check_file(made)
        engine = sqlalchemy.create_engine(made)
        with engine.connect() as connection:
            if query is None:
                tables = sqlalchemy.inspect(connection).get_table_names()[:MOST_NAMED]
                first, there = next(iter(tables), "TABLE"), ", ".join(tables) or "none"
                how = f"say which rows, as in --query 'SELECT * FROM {first}'"
                raise ValueError(f"{shown}: {how}; its tables: {there}")
            _check_reads(query)
            if made.get_backend_name() in ONLY_READS:
                connection.exec_driver_sql(ONLY_READS[made.get_backend_name()])
            return pd.read_sql_query(sqlalchemy.text(query), connection)
    except (sqlalchemy.exc.SQLAlchemyError, pd.errors.DatabaseError) as error:
        cause = error.__cause__ or error
        why = str(getattr(cause, "orig", None) or cause).splitlines()[0]
        raise DataError(f"{shown}: {why}") from None
    except ModuleNotFoundError as error:
        raise DataError(f"{shown}: this kind of database needs the package {error.name}; install it") from None


def _check_file(url: Any) -> None:
    """SQLite makes a file that is not there; a person would rather know."""
    path = url.database
    if url.get_backend_name() == "sqlite" and path and path != ":memory:" and not Path(path).is_file():
        raise DataError(f"{path}: no such database file")


def _check_reads(query: str) -> None:
    """Raise DataError for what is no single query that reads."""
    bare = query
    while (rest := SKIPPED.sub("", bare, count=1).removeprefix("(")) != bare:
        bare = rest
    first = re.match(r"\w*", bare)
    if first is None or first[0].upper() not in READS:
        begun = bare[:20].strip()
        raise DataError(f"a database is only read: --query begins with SELECT, WITH or VALUES, not with {begun!r}")
    if re.search(r";\s*\S", UNSPLIT.sub(" ", bare)):
        raise DataError("a database is only read by one query: leave out what stands behind the semicolon")


def _sqlalchemy() -> Any:
    try:
        import sqlalchemy  # pyright: ignore[reportMissingImports]
        import sqlalchemy.exc  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError:
        raise DataError("to read from a database, install SQLAlchemy: pip install 'sansheng[sql]'") from None
    return sqlalchemy
