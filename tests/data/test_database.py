"""A database as a source: what it holds comes out letter by letter, at one moment, and no secret.

PostgreSQL is a real server (tests/postgres.py); DuckDB and SQLite are files.
"""

import sqlite3
import traceback
import tracemalloc
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import duckdb
import psycopg
import pytest

from pipeline import settings
from pipeline.data import database, store
from pipeline.data.database import Relation, UnreachableError
from pipeline.data.reading import DataError
from pipeline.exits import exit_code_of
from pipeline.settings import ConfigurationError, Database
from tests.postgres import PASSWORD, Server

VARIABLE = "BILLING_DATABASE_URL"


@pytest.fixture
def billing(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty database; the environment variable holds its address."""
    with postgres.database() as name:
        monkeypatch.setenv(VARIABLE, postgres.address(name))
        yield name


def declared(backend: str = "postgres", **more: object) -> Database:
    place = {"url": VARIABLE} if backend == "postgres" else {}
    return Database.model_validate({"backend": backend} | place | more)


def rows_of(look: database.Connection, relation: Relation) -> list[dict[str, str | None]]:
    columns = look.columns(relation)
    return [row for rows in look.rows(relation, columns) for row in rows.to_pylist()]


def read(name: str, query: str | None = None, **more: object) -> list[dict[str, str | None]]:
    folder = Path(str(more.pop("folder", ".")))
    with database.connect(declared(**more), folder) as look:
        return rows_of(look, Relation(name, query))


def values(expression: str) -> str | None:
    return read("one", f"SELECT {expression} AS cell")[0]["cell"]


# What cells become.


@pytest.mark.usefixtures("billing")
@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("12345678901234567890.1200::numeric", "12345678901234567890.1200"),
        ("'NaN'::numeric", "NaN"),
        ("0.1::float8 + 0.2::float8", "0.30000000000000004"),
        ("1e16::float8", "10000000000000000"),
        ("-1.5e-7::float8", "-0.00000015"),
        ("'-Infinity'::float8", "-Infinity"),
        ("1234.5::money", "1234.50"),
        ("9007199254740993::bigint", "9007199254740993"),
        ("'007'::text", "007"),
        ("true", "true"),
        ("DATE '2026-10-31'", "2026-10-31"),
        ("'infinity'::date", "infinity"),
        ("TIMESTAMP '2026-10-31 20:00:00.5'", "2026-10-31 20:00:00.5"),
        ("TIMESTAMPTZ '2026-11-01 05:00:00+09'", "2026-10-31 20:00:00+00"),
        ("'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ("'株式会社 🛰'::text", "株式会社 🛰"),
        ("''::text", ""),
        ("NULL::numeric", None),
        ("ARRAY[1, 2]", "{1,2}"),
        ("""'{"plan": "pro"}'::jsonb""", '{"plan": "pro"}'),
        ("to_timestamp(1793476800)", "2026-10-31 20:00:00+00"),
        ("INTERVAL '1 day'", "P1D"),
    ],
)
def test_a_cell_is_the_text_that_the_server_gives_it_whatever_its_settings(
    expression: str, text: str | None
) -> None:
    assert values(expression) == text


@pytest.mark.usefixtures("billing")
def test_bytes_are_refused_and_the_column_is_named() -> None:
    with pytest.raises(DataError, match="query of one: column 'cell' holds bytes"):
        values("'\\x00ff'::bytea")


def test_rows_come_sorted_by_their_columns_in_whatever_order_they_lie(
    postgres: Server, billing: str
) -> None:
    postgres.execute(
        billing,
        "CREATE TABLE t (a text, b int)",
        "INSERT INTO t VALUES ('b', 1), ('a', 10), ('Ä', 1), (NULL, 0), ('a', 9), ('B', 1)",
    )
    first = read("t")
    assert [row["a"] for row in first] == ["B", "a", "a", "b", "Ä", None]
    assert [row["b"] for row in first][1:3] == ["10", "9"]
    postgres.execute(billing, "CREATE TABLE u AS SELECT * FROM t ORDER BY b DESC, a")
    assert read("u") == first


def test_a_table_may_lie_in_another_schema_and_be_a_view_of_either_kind(
    postgres: Server, billing: str
) -> None:
    postgres.execute(
        billing,
        "CREATE SCHEMA crm",
        'CREATE TABLE crm."Odd ""name" (id int)',
        "CREATE TABLE t (id int)",
        "CREATE VIEW crm.seen AS SELECT 1 AS id",
        "CREATE MATERIALIZED VIEW crm.kept AS SELECT 2 AS id, NULL::numeric(9, 2) AS amount",
    )
    with database.connect(declared(schema="crm"), Path()) as look:
        assert look.tables() == {
            'Odd "name': {"id": "int32"},
            "kept": {"id": "int32", "amount": "decimal(9, 2)"},
            "seen": {"id": "int32"},
        }
        assert rows_of(look, Relation("kept")) == [{"id": "2", "amount": None}]
        assert rows_of(look, Relation('Odd "name')) == []
        assert rows_of(look, Relation("public.t")) == []
        assert rows_of(look, Relation("q", "SELECT id FROM seen; ")) == [{"id": "1"}]
    assert read("crm.seen") == [{"id": "1"}]


def test_a_table_without_rows_has_its_columns(postgres: Server, billing: str) -> None:
    postgres.execute(billing, "CREATE TABLE t (a text, b int)")
    with database.connect(declared(), Path()) as look:
        columns = look.columns(Relation("t"))
        found = list(look.rows(Relation("t"), columns))
    assert [(rows.column_names, rows.num_rows) for rows in found] == [(["a", "b"], 0)]


# One moment, bounded memory, nothing written.


def test_all_that_one_look_reads_is_one_moment_while_others_write(
    postgres: Server, billing: str
) -> None:
    postgres.execute(
        billing,
        "CREATE TABLE invoices (amount int)",
        "CREATE TABLE payments (amount int)",
        "INSERT INTO invoices VALUES (1)",
        "INSERT INTO payments VALUES (1)",
    )
    with database.connect(declared(), Path()) as look:
        before = rows_of(look, Relation("invoices"))
        postgres.execute(
            billing, "INSERT INTO invoices VALUES (2)", "INSERT INTO payments VALUES (2)"
        )
        look.tables()
        assert rows_of(look, Relation("payments")) == before == rows_of(look, Relation("invoices"))
    assert len(read("payments")) == 2


def test_two_hundred_thousand_rows_pass_in_batches_and_in_little_memory(
    postgres: Server, billing: str
) -> None:
    postgres.execute(
        billing,
        "CREATE TABLE usage AS SELECT 'account-' || n % 1000 AS account_id, n AS quantity, "
        "TIMESTAMPTZ '2026-01-01' + n * INTERVAL '1 minute' AS occurred_at "
        "FROM generate_series(1, 200000) AS n",
    )
    with database.connect(declared(), Path()) as look:
        columns = look.columns(Relation("usage"))
        sizes, total = [], 0
        tracemalloc.start()
        for rows in look.rows(Relation("usage"), columns):
            sizes.append(rows.num_rows)
            waiting = look.backend.con.execute("SELECT name FROM pg_cursors").fetchall()
            assert ("lodestar",) in waiting  # the rest is still on the server
            total += sum(map(int, rows["quantity"].to_pylist()))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert sizes == [database.BATCH_ROWS] * 10
    assert total == 200_000 * 200_001 // 2
    assert peak < 50e6


@pytest.mark.usefixtures("billing")
@pytest.mark.parametrize(
    "query",
    ["DELETE FROM t", "SELECT 1; DROP TABLE t", "SELECT pg_advisory_lock(1), nextval('s') AS n"],
)
def test_a_query_that_wants_to_write_is_refused(postgres: Server, billing: str, query: str) -> None:
    postgres.execute(billing, "CREATE TABLE t AS SELECT 1 AS a", "CREATE SEQUENCE s")
    with pytest.raises(ConfigurationError, match="cannot read the query of t"):
        read("t", query)
    assert read("t") == [{"a": "1"}]


# When it cannot be read.


@pytest.mark.parametrize(
    ("table", "query", "code", "words"),
    [
        ("Subscription", None, 66, "Did you mean 'subscriptions'?"),
        ("nowhere.t", None, 66, "no table nowhere.t"),
        ("hidden", None, 78, "Grant SELECT"),
        ("q", "SELECT plan FROM subscriptions", 78, 'column "plan" does not exist'),
        ("q", "SELECT FROM WHERE", 78, "syntax error"),
        ("q", "SELECT 1 AS a, 2 AS a", 78, "two columns are called 'a'"),
        ("q", "SELECT 1 / (id - 1) AS a FROM subscriptions", 65, "division by zero"),
        ("q", "SELECT pg_sleep(60)::text AS a", 75, "timeout_minutes"),
    ],
)
def test_what_cannot_be_read_is_named_and_says_what_to_do(
    postgres: Server,
    billing: str,
    monkeypatch: pytest.MonkeyPatch,
    table: str,
    query: str | None,
    code: int,
    words: str,
) -> None:
    postgres.execute(
        billing,
        "CREATE TABLE subscriptions AS SELECT 1 AS id",
        "CREATE TABLE hidden (id int)",
        "DROP ROLE IF EXISTS reader",
        "CREATE ROLE reader LOGIN",
        "GRANT SELECT ON subscriptions TO reader",
    )
    monkeypatch.setenv(VARIABLE, postgres.address(billing, "reader"))
    try:
        with pytest.raises(Exception, match=r"(table|query)") as caught:
            read(table, query, timeout_minutes=0.01)
    finally:
        postgres.execute(billing, "DROP OWNED BY reader", "DROP ROLE reader")
    assert exit_code_of(caught.value) == code
    assert words in str(caught.value)


@pytest.mark.usefixtures("billing")
@pytest.mark.parametrize(
    ("address", "code", "words"),
    [
        ("", 78, f"{VARIABLE} is not set"),
        (f"postgres+driver://reader:{PASSWORD}@localhost/x", 78, "is no address"),
        (f"postgresql://reader:{PASSWORD}%ZZ@localhost/x", 78, "is no address"),
        (f"postgresql://reader:{PASSWORD}@127.0.0.1:1/x", 75, "cannot be reached"),
        ("no such database", 78, "does not exist"),
        ("wrong password", 78, "password authentication failed"),
    ],
)
def test_a_database_that_does_not_open_says_why_and_not_its_address(
    postgres: Server,
    billing: str,
    monkeypatch: pytest.MonkeyPatch,
    address: str,
    code: int,
    words: str,
) -> None:
    known = {
        "no such database": postgres.address("nix"),
        "wrong password": postgres.with_password(billing, "postgres", PASSWORD),
    }
    monkeypatch.setenv(VARIABLE, known.get(address, address))
    with pytest.raises(Exception, match=VARIABLE) as caught:
        read("t")
    assert exit_code_of(caught.value) == code
    said = str(caught.value)
    assert words in said
    assert VARIABLE in said
    for secret in (PASSWORD, "canary", "127.0.0.1", str(postgres.folder)):
        assert secret not in said
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))


def test_a_server_that_goes_down_while_it_is_read_can_be_asked_again_later(
    postgres: Server, billing: str
) -> None:
    with database.connect(declared(), Path()) as look:
        victim = look.backend.con.info.backend_pid
        postgres.execute(billing, f"SELECT pg_terminate_backend({victim})")
        with pytest.raises(UnreachableError, match="Try again"):
            look.columns(Relation("t"))


def test_the_address_is_the_name_of_a_variable_and_never_the_address() -> None:
    with pytest.raises(ValueError, match="never stands in params") as caught:
        declared(url=f"postgresql://reader:{PASSWORD}@host/x")
    assert "write the name of the environment variable" in str(caught.value)


# DuckDB and SQLite files.


def duckdb_file(folder: Path, *statements: str) -> Path:
    with duckdb.connect(str(folder / "books.duckdb")) as connection:
        for statement in statements:
            connection.execute(statement)
    return folder / "books.duckdb"


def sqlite_file(folder: Path, *statements: str) -> Path:
    connection = sqlite3.connect(folder / "books.sqlite")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
    return folder / "books.sqlite"


def test_a_duckdb_file_gives_its_cells_as_text(tmp_path: Path) -> None:
    duckdb_file(
        tmp_path,
        "CREATE SCHEMA crm",
        "CREATE TABLE crm.t AS SELECT 12.50::DECIMAL(18, 4) AS amount, 1e16::DOUBLE AS f, "
        "TIMESTAMPTZ '2026-11-01 05:00:00+09' AS at, DATE '2026-10-31' AS day, '株' AS name, "
        "false AS is_trial, 9007199254740993 AS id, NULL::INTEGER AS nothing",
    )
    more = {"backend": "duckdb", "file": "books.duckdb", "schema": "crm", "folder": tmp_path}
    assert read("t", **more) == [
        {
            "amount": "12.5000", "f": "10000000000000000", "at": "2026-10-31 20:00:00+00",
            "day": "2026-10-31", "name": "株", "is_trial": "false", "id": "9007199254740993",
            "nothing": None,
        }
    ]  # fmt: skip
    assert read("q", "SELECT sum(amount) AS s FROM t", **more) == [{"s": "12.5000"}]
    with database.connect(declared("duckdb", file="books.duckdb", schema="crm"), tmp_path) as look:
        assert look.tables()["t"]["amount"] == "decimal(18, 4)"


def test_an_sqlite_file_gives_each_cell_as_what_it_is(tmp_path: Path) -> None:
    sqlite_file(
        tmp_path,
        "CREATE TABLE t (id INTEGER, amount NUMERIC, day DATE, name TEXT COLLATE NOCASE, anything)",
        "INSERT INTO t VALUES (9007199254740993, 19.99, '2026-10-31', 'b', 'x')",
        "INSERT INTO t VALUES (2, 1e16, '31.10.2026', 'B', 0.1 + 0.2)",
        "INSERT INTO t VALUES (3, 'twelve', NULL, '', 1e-7)",
        "CREATE VIEW v AS SELECT id FROM t WHERE name = 'b'",
    )
    more = {"backend": "sqlite", "file": "books.sqlite", "folder": tmp_path}
    cells = [list(row.values()) for row in read("t", **more)]
    assert cells == [
        ["2", "10000000000000000", "31.10.2026", "B", "0.30000000000000004"],
        ["3", "twelve", None, "", "0.0000001"],
        ["9007199254740993", "19.99", "2026-10-31", "b", "x"],
    ]
    with database.connect(declared("sqlite", file="books.sqlite"), tmp_path) as look:
        assert list(look.tables()) == ["t", "v"]
        assert look.tables()["t"]["amount"] == "numeric"
    assert read("q", "SELECT name FROM t WHERE id = 2", **more) == [{"name": "B"}]


@pytest.mark.parametrize("backend", ["duckdb", "sqlite"])
def test_a_file_is_never_written_and_sees_no_other_file(tmp_path: Path, backend: str) -> None:
    make = duckdb_file if backend == "duckdb" else sqlite_file
    path = make(tmp_path, "CREATE TABLE t (a INTEGER)", "INSERT INTO t VALUES (1)")
    (tmp_path / "other.csv").write_text("a\n1\n")
    before = store.sha256(path)
    more = {"backend": backend, "file": path.name, "folder": tmp_path}
    for query in (
        "INSERT INTO t VALUES (2)",
        "SELECT 1 AS a; DROP TABLE t",
        f"SELECT * FROM '{tmp_path}/other.csv'",
        f"SELECT * FROM read_csv('{tmp_path}/other.csv')",
    ):
        with pytest.raises((ConfigurationError, DataError)):
            read("q", query, **more)
    assert read("t", **more) == [{"a": "1"}]
    assert store.sha256(path) == before
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted([path.name, "other.csv"])


@pytest.mark.parametrize("backend", ["duckdb", "sqlite"])
def test_a_file_that_is_not_there_or_no_database_is_named(tmp_path: Path, backend: str) -> None:
    more = {"backend": backend, "file": "books.db", "folder": tmp_path}
    with pytest.raises(store.MissingDataError, match=r"books\.db is not there"):
        read("t", **more)
    (tmp_path / "books.db").write_bytes(b"account_id,mrr\n" * 100)
    with pytest.raises(DataError, match=r"books\.db cannot be read"):
        read("t", **more)
    make = duckdb_file if backend == "duckdb" else sqlite_file
    more["file"] = make(tmp_path, "CREATE TABLE accounts (a INTEGER)").name
    with pytest.raises(store.MissingDataError, match="Did you mean 'accounts'"):
        read("Accounts_", **more)


def test_bytes_in_an_sqlite_cell_are_refused(tmp_path: Path) -> None:
    sqlite_file(tmp_path, "CREATE TABLE t (a TEXT)", "INSERT INTO t VALUES (x'00ff')")
    with pytest.raises(DataError, match="column 'a' holds bytes"):
        read("t", backend="sqlite", file="books.sqlite", folder=tmp_path)


def test_an_sqlite_file_that_another_program_writes_can_be_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sqlite_file(tmp_path, "CREATE TABLE t (a TEXT)")
    monkeypatch.setattr("pipeline.data.database.sqlite_file.LOCK_SECONDS", 0.05)
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(UnreachableError, match="Try again"):
            read("t", backend="sqlite", file=path.name, folder=tmp_path)
    finally:
        writer.close()


@pytest.mark.parametrize("backend", ["duckdb", "sqlite"])
def test_a_query_that_takes_too_long_is_ended(tmp_path: Path, backend: str) -> None:
    make = duckdb_file if backend == "duckdb" else sqlite_file
    path = make(tmp_path, "CREATE TABLE t (a INTEGER)")
    endless = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT (i + 1) % 7 FROM n) "
        "SELECT count(*) AS a FROM n"
    )
    with pytest.raises(UnreachableError, match="timeout_minutes"):
        read("q", endless, backend=backend, file=path.name, folder=tmp_path, timeout_minutes=0.005)


def test_the_sum_of_amounts_is_exact_to_the_last_cent(postgres: Server, billing: str) -> None:
    postgres.execute(
        billing,
        "CREATE TABLE t AS SELECT n, (n * 0.01)::numeric(18, 2) AS mrr "
        "FROM generate_series(1, 999) AS n",
    )
    found = sum(Decimal(str(row["mrr"])) for row in read("t"))
    with psycopg.connect(postgres.address(billing)) as connection:
        said = connection.execute("SELECT sum(mrr) FROM t").fetchone()
    assert said is not None
    assert found == said[0] == Decimal("4995.00")


# What params.yaml may say.

PARAMS = {"company": "acme", "company_name": "Acme", "periods": []}
DUCKDB = {"backend": "duckdb", "file": "books.duckdb"}


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"tables": {"accounts": {"table": "customers"}}}, "no `database` is declared"),
        (
            {"database": DUCKDB, "tables": {"accounts": {"table": "a", "query": "SELECT 1"}}},
            "tables.accounts: give one of table and query, not both",
        ),
        (
            {"database": DUCKDB, "tables": {"accounts": {"table": "a", "file": "a.csv"}}},
            "tables.accounts: give one of file and table, not both",
        ),
        ({"database": {"backend": "postgres", "file": "x"}}, "postgres is found by `url`"),
        ({"database": {"backend": "sqlite", "url": VARIABLE}}, "sqlite is found by `file`"),
        ({"database": {"backend": "oracle", "url": VARIABLE}}, "'postgres', 'duckdb' or 'sqlite'"),
    ],
)
def test_a_source_that_says_too_much_or_too_little_is_refused(
    source: dict[str, object], words: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        settings.parse(PARAMS | {"source": source})
    assert words in str(caught.value)


def test_an_address_in_params_yaml_is_refused_and_not_repeated() -> None:
    address = f"postgresql://reader:{PASSWORD}@db.example.org/billing"
    source = {"database": {"backend": "postgres", "url": address}}
    with pytest.raises(ConfigurationError, match="name of the environment variable") as caught:
        settings.parse(PARAMS | {"source": source})
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))


def test_tables_with_a_file_stay_files_beside_a_database() -> None:
    tables = {"accounts": {"file": "crm.csv"}, "usage": {}, "tickets": {"table": "cases"}}
    read = settings.parse(PARAMS | {"source": {"database": DUCKDB, "tables": tables}})
    assert set(read.source.of_database or {}) == {"usage", "tickets"}
    assert settings.parse(PARAMS | {"source": {"database": DUCKDB}}).source.of_database is None
    assert settings.parse(PARAMS).source.of_database == {}
