"""A query's rows are streamed out of the database; its password is in no message."""

import sqlite3

import pytest

from lifecycle.data.read import check_source, read_dataset
from lifecycle.data.sql import read_query
from lifecycle.errors import Unavailable, UsageError
from lifecycle.gates.column_types import ColumnType, column_type


@pytest.fixture(scope="module")
def database(july, tmp_path_factory):
    path = tmp_path_factory.mktemp("database") / "flights.db"
    with sqlite3.connect(path) as connection:
        july.head(120_000).to_sql("flights", connection, index=False)
        connection.execute("create table late_types (x)")
        connection.executemany("insert into late_types values (?)", [(1,)] * 60_000 + [(0.5,), (None,)])
    return f"sqlite:///{path}"


def test_the_rows_are_those_of_the_query(database, july):
    data = read_dataset(f"{database}::SELECT * FROM flights WHERE carrier = 'UA'", "late")
    expected = july[july.carrier == "UA"]
    assert (data.count, data.columns) == (len(expected), tuple(july.columns))
    assert data.column("distance").sum() == expected.distance.sum()
    assert data.has_labels


def test_the_same_rows_have_the_same_fingerprint_and_others_another(database):
    same, again, other = (
        read_dataset(f"{database}::select hour from flights order by rowid limit {n}", None).fingerprint
        for n in (50, 50, 51)
    )
    assert same == again != other


def test_a_column_whose_first_rows_look_otherwise_is_still_one_column(database):
    column = read_dataset(f"{database}::select x from late_types", None).column("x")
    assert column_type(column) is ColumnType.NUMBER
    assert column.sum() == 60_000.5


def test_its_rows_are_copied_in_a_few_large_files(database, tmp_path):
    read_query(database, "select x from late_types", tmp_path)
    assert len(list(tmp_path.iterdir())) == 2  # 60,002 rows


def test_no_rows_are_a_data_set_of_none(database):
    data = read_dataset(f"{database}::select hour from flights where hour > 99", None)
    assert (data.count, data.columns) == (0, ("hour",))


@pytest.mark.parametrize(
    ("url", "error", "words"),
    [
        ("sqlite:////no/such/folder/x.db", Unavailable, "does not answer"),
        ("nosuchdb://u:hush@h/d", UsageError, "not a database that SQLAlchemy knows"),
        ("postgresql+asyncpg://u:hush@h/d", UsageError, "pip install asyncpg"),
    ],
)
def test_a_database_that_is_not_there_is_one_line_without_the_password(url, error, words):
    with pytest.raises(error, match=words) as refused:
        read_dataset(f"{url}::select 1 as x", None)
    assert "hush" not in str(refused.value)


def test_a_query_that_the_database_refuses_is_one_line(database):
    with pytest.raises(UsageError, match="the database refused it") as refused:
        read_dataset(f"{database}::select nothing from nowhere", None)
    assert "\n" not in str(refused.value)


def test_secrets_come_from_the_environment_and_are_not_shown(database, monkeypatch):
    monkeypatch.setenv("FLIGHTS_DB", database)
    data = read_dataset("${FLIGHTS_DB}::select count(*) as n from flights", None)
    assert data.column("n")[0] > 1000
    assert data.source == "${FLIGHTS_DB}::select count(*) as n from flights"
    with pytest.raises(UsageError, match="the environment variable NOT_THERE is not set"):
        read_dataset("${NOT_THERE}::select 1 as x", None)


def test_columns_of_one_name_are_refused(database):
    with pytest.raises(UsageError, match="column 'hour' occurs twice"):
        read_dataset(f"{database}::select hour, hour from flights", None)


def test_checking_a_source_does_not_run_its_query(database):
    check_source(f"{database}::select nothing from nowhere")
