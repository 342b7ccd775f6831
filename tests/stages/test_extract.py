"""The extract of a database: taken once per build, kept, and replaced only when it changed."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import duckdb
import psycopg
import pytest

from pipeline.data import database, store
from pipeline.data.database import UnreachableError
from pipeline.data.reading import DataError
from pipeline.settings import ConfigurationError
from pipeline.stages import extract
from tests.postgres import Server
from tests.stages.company import Company, write_company

VARIABLE = "BILLING_DATABASE_URL"
TABLES = (
    "CREATE SCHEMA billing",
    "CREATE TABLE billing.customers (ref text, created date, email text, region text)",
    "INSERT INTO billing.customers VALUES ('a', '2024-01-01', 'secret@example.org', 'EU'), "
    "('b', '2024-02-01', NULL, '株')",
    "CREATE TABLE billing.subscriptions (id text, customer text, start_date date, "
    "end_date date, mrr numeric(12, 2), currency text)",
    "INSERT INTO billing.subscriptions VALUES ('s1', 'a', '2024-01-01', NULL, 10.25, 'USD'), "
    "('s2', 'b', '2024-02-01', '2024-12-01', 20.50, 'USD')",
)
SOURCE = {
    "database": {"backend": "postgres", "url": VARIABLE, "schema": "billing"},
    "tables": {
        "accounts": {
            "table": "customers",
            "columns": {"account_id": "ref", "signed_up_date": "created"},
            "attributes": {"region": {"known": "at_signup"}},
        },
        "subscriptions": {"columns": {"subscription_id": "id", "account_id": "customer"}},
    },
}


@pytest.fixture
def billing(postgres: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A company whose data are in PostgreSQL, and what runs a statement there."""
    with postgres.database() as name:
        postgres.execute(name, *TABLES)
        monkeypatch.setenv(VARIABLE, postgres.address(name))

        def execute(*statements: str) -> None:
            postgres.execute(name, *statements)

        yield write_company(tmp_path, {}, source=SOURCE), execute


Billing = tuple[Company, Callable[..., None]]


def take(company: Company, *, is_offline: bool = False) -> str:
    return " ".join(extract.take(company.settings, company.paths, is_offline=is_offline))


def remapped(company: Company, **tables: object) -> Company:
    source = SOURCE | {"tables": SOURCE["tables"] | tables}  # type: ignore[operator]
    return write_company(company.root, {}, source=source)


def kept(company: Company) -> dict[str, tuple[int, str]]:
    """File of the raw folder → when it was written, and its hash."""
    return {
        path.name: (path.stat().st_mtime_ns, store.sha256(path))
        for path in company.paths.raw.iterdir()
    }


def test_each_mapped_table_is_kept_as_a_file_and_the_record_says_from_what(
    billing: Billing,
) -> None:
    company, _ = billing
    assert "accounts 2 rows, subscriptions 2 rows" in take(company)
    record = store.read_json(company.paths.raw / extract.RECORD)
    assert record["taken_at"].endswith("+00:00")
    assert {name: facts["rows"] for name, facts in record["tables"].items()} == {
        "accounts": 2, "subscriptions": 2,
    }  # fmt: skip
    assert record["tables"]["accounts"]["source"] == "customers"
    assert set(kept(company)) == {"accounts.parquet", "subscriptions.parquet", extract.RECORD}
    for name, facts in record["tables"].items():
        assert store.sha256(company.paths.raw / f"{name}.parquet") == facts["sha256"]


def test_only_mapped_columns_leave_the_database(billing: Billing) -> None:
    company, _ = billing
    take(company)
    rows = store.read_parquet(company.paths.raw / "accounts.parquet").to_pylist()
    assert rows == [
        {"ref": "a", "created": "2024-01-01", "region": "EU"},
        {"ref": "b", "created": "2024-02-01", "region": "株"},
    ]
    assert b"secret@example.org" not in (company.paths.raw / "accounts.parquet").read_bytes()


def test_a_database_that_did_not_change_leaves_every_file_as_it_was(billing: Billing) -> None:
    company, execute = billing
    take(company)
    before = kept(company)
    execute("UPDATE billing.customers SET ref = ref", "VACUUM FULL billing.customers")
    assert "holds what it held" in take(company)
    assert kept(company) == before


def test_only_the_table_that_changed_is_written_anew(billing: Billing) -> None:
    company, execute = billing
    take(company)
    before = kept(company)
    execute("INSERT INTO billing.customers VALUES ('c', '2024-03-01', NULL, 'EU')")
    assert "accounts 3 rows" in take(company)
    after = kept(company)
    assert after["subscriptions.parquet"] == before["subscriptions.parquet"]
    assert after["accounts.parquet"] != before["accounts.parquet"]


def test_the_stages_read_the_extract_and_name_a_bad_row_by_its_place_there(
    billing: Billing,
) -> None:
    company, execute = billing
    execute("INSERT INTO billing.subscriptions VALUES ('s0', 'a', 'infinity', NULL, 'NaN', 'USD')")
    loose = {"max_share_of_rows": 0.5, "max_share_of_mrr": 0.5}
    company = write_company(
        company.root, {}, source=SOURCE, quarantine=loose, extract_date="2025-03-01"
    )
    take(company)
    company.run()
    assert company.quarantine("subscriptions") == [
        ("1", "start_date", "day_unreadable", "infinity")
    ]
    ledger = company.table("2025-01", "mrr_ledger")
    assert ledger[ledger["period"] == "2024-11"]["mrr_end"].sum() == 30.75


def test_a_query_joins_and_computes(billing: Billing) -> None:
    company, execute = billing
    execute(
        "CREATE TABLE billing.prices (subscription text, cents bigint)",
        "INSERT INTO billing.prices VALUES ('s1', 1025), ('s2', 2050)",
    )
    query = """
      SELECT s.id AS subscription_id, s.customer AS account_id, s.start_date, s.end_date,
             round(p.cents / 100.0, 2) AS mrr, upper(s.currency) AS currency
      FROM subscriptions AS s JOIN prices AS p ON p.subscription = s.id
    """
    company = remapped(company, subscriptions={"query": query})
    take(company)
    rows = store.read_parquet(company.paths.raw / "subscriptions.parquet").to_pylist()
    assert [(row["subscription_id"], row["mrr"]) for row in rows] == [
        ("s1", "10.25"), ("s2", "20.50"),
    ]  # fmt: skip


def test_a_table_that_is_looked_up_is_part_of_the_extract(billing: Billing) -> None:
    company, execute = billing
    execute(
        "CREATE TABLE billing.crm (customer_ref text, vertical text, note text)",
        "INSERT INTO billing.crm VALUES ('a', 'bank', 'x'), ('b', 'shop', 'y')",
    )
    lookup = {
        "industry": {
            "table": "crm", "by": "account_id", "key": "customer_ref", "column": "vertical",
        }
    }  # fmt: skip
    accounts = SOURCE["tables"]["accounts"] | {"lookup": lookup}  # type: ignore[index]
    company = remapped(company, accounts=accounts)
    take(company)
    assert store.read_parquet(company.paths.raw / "crm.parquet").to_pylist() == [
        {"customer_ref": "a", "vertical": "bank"}, {"customer_ref": "b", "vertical": "shop"},
    ]  # fmt: skip


def test_a_table_that_is_no_longer_mapped_leaves_the_folder(billing: Billing) -> None:
    company, execute = billing
    execute("CREATE TABLE billing.tickets (ticket_id text, account_id text, opened_at timestamptz)")
    take(remapped(company, tickets={}))
    assert (company.paths.raw / "tickets.parquet").is_file()
    assert "fewer tables" in take(remapped(company))
    assert not (company.paths.raw / "tickets.parquet").exists()


def test_missing_columns_of_all_tables_are_named_at_once(billing: Billing) -> None:
    company, execute = billing
    execute(
        "ALTER TABLE billing.customers RENAME created TO created_on",
        "ALTER TABLE billing.subscriptions DROP mrr",
    )
    with pytest.raises(DataError) as caught:
        take(company)
    assert "signed_up_date (as 'created'; did you mean 'created_on'?)" in str(caught.value)
    assert "subscriptions, table subscriptions of the database: missing columns: mrr" in str(
        caught.value
    )
    assert not (company.paths.raw / extract.RECORD).exists()


def test_a_table_that_fails_midway_replaces_no_file(
    billing: Billing, monkeypatch: pytest.MonkeyPatch
) -> None:
    company, execute = billing
    take(company)
    before = kept(company)
    monkeypatch.setattr("pipeline.data.database.connection.BATCH_ROWS", 10)
    execute(
        "INSERT INTO billing.customers VALUES ('c', '2024-03-01', NULL, 'EU')",
        "INSERT INTO billing.subscriptions SELECT 'x' || n, 'a', '2024-01-01', NULL, n, 'USD' "
        "FROM generate_series(1, 50) AS n",
    )
    query = "SELECT *, 1 / (mrr - 40) AS product FROM subscriptions ORDER BY mrr"
    columns = SOURCE["tables"]["subscriptions"]["columns"]  # type: ignore[index]
    broken = remapped(company, subscriptions={"query": query, "columns": columns})
    with pytest.raises(DataError, match="division by zero"):
        take(broken)
    assert kept(company) == before


def test_when_the_server_is_down_the_kept_extract_stays_and_can_be_used(
    billing: Billing, monkeypatch: pytest.MonkeyPatch
) -> None:
    company, _ = billing
    take(company)
    before = kept(company)
    monkeypatch.setenv(VARIABLE, "postgresql://reader:canary@127.0.0.1:1/billing")
    with pytest.raises(UnreachableError, match=r"run --offline` uses the extract of 20"):
        take(company)
    assert kept(company) == before
    monkeypatch.delenv(VARIABLE)
    assert "the database was not asked" in take(company, is_offline=True)
    assert kept(company) == before


def test_offline_needs_an_extract_whose_files_are_as_they_were_written(billing: Billing) -> None:
    company, _ = billing
    with pytest.raises(store.MissingDataError, match="no extract of the database is kept"):
        take(company, is_offline=True)
    take(company)
    path = company.paths.raw / "accounts.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(store.CorruptDataError, match=r"accounts\.parquet: not as"):
        take(company, is_offline=True)
    take(company)
    assert "was not asked" in take(company, is_offline=True)


def test_an_export_of_somebody_else_is_never_overwritten(billing: Billing) -> None:
    company, _ = billing
    company.paths.raw.mkdir(parents=True, exist_ok=True)
    (company.paths.raw / "accounts.parquet").write_bytes(b"mine")
    with pytest.raises(DataError, match=r"accounts\.parquet would be overwritten"):
        take(company)
    assert (company.paths.raw / "accounts.parquet").read_bytes() == b"mine"


def test_after_a_crash_between_two_files_the_next_extract_goes_on(
    billing: Billing, monkeypatch: pytest.MonkeyPatch
) -> None:
    company, _ = billing
    address, rename, done = os.environ[VARIABLE], Path.replace, []

    def second_fails(self: Path, target: Path) -> Path:
        if str(target).endswith(".parquet"):
            if done:
                raise KeyboardInterrupt
            done.append(target)
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", second_fails)
    with pytest.raises(KeyboardInterrupt):
        take(company)
    monkeypatch.undo()
    assert len([name for name in kept(company) if name.endswith(".parquet")]) == 1
    with pytest.raises(store.MissingDataError):
        take(company, is_offline=True)
    monkeypatch.setenv(VARIABLE, address)
    assert "accounts 2 rows, subscriptions 2 rows" in take(company)


def test_a_declared_variable_that_is_not_set_is_named(
    billing: Billing, monkeypatch: pytest.MonkeyPatch
) -> None:
    company, _ = billing
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(ConfigurationError, match=f"{VARIABLE} is not set"):
        take(company)


def test_without_a_database_nothing_is_done(tmp_path: Path) -> None:
    company = write_company(tmp_path, {})
    assert extract.take(company.settings, company.paths) == []
    assert extract.secrets(company.settings) == ()


# Files of a database, and our own names.

OURS = (
    "CREATE TABLE accounts (account_id TEXT, signed_up_date DATE)",
    "INSERT INTO accounts VALUES ('a', '2024-01-01')",
    "CREATE TABLE subscriptions (subscription_id TEXT, account_id TEXT, start_date DATE, mrr REAL)",
    "INSERT INTO subscriptions VALUES ('s1', 'a', '2024-01-01', 49.5)",
    "CREATE TABLE unknown_to_us (a TEXT)",
)


@pytest.mark.parametrize("backend", ["duckdb", "sqlite"])
def test_a_file_of_a_database_with_our_own_names_needs_no_mapping(
    tmp_path: Path, backend: str
) -> None:
    source = {"database": {"backend": backend, "file": f"books.{backend}"}}
    company = write_company(tmp_path, {}, source=source, extract_date="2025-03-01")
    place = str(company.paths.raw / f"books.{backend}")
    opened = duckdb.connect(place) if backend == "duckdb" else sqlite3.connect(place)
    for statement in OURS:
        opened.execute(statement)
    opened.commit()
    opened.close()
    assert "accounts 1 rows, subscriptions 1 rows" in take(company)
    ledger = company.run().table("2025-01", "mrr_ledger")
    assert ledger[ledger["period"] == "2024-06"]["mrr_end"].tolist() == [49.5]
    assert "holds what it held" in take(company)


def test_a_table_with_a_file_comes_from_that_file(billing: Billing) -> None:
    company, _ = billing
    company = remapped(company, accounts={"file": "crm.csv"})
    (company.paths.raw / "crm.csv").write_text("account_id,signed_up_date\na,2024-01-01\n")
    assert "accounts" not in take(company)
    assert not (company.paths.raw / "accounts.parquet").exists()


def test_the_extract_is_of_one_moment(billing: Billing, monkeypatch: pytest.MonkeyPatch) -> None:
    company, execute = billing
    read = database.Connection.rows

    def others_write(self, relation, columns, limit=None):  # type: ignore[no-untyped-def]
        yield from read(self, relation, columns, limit)
        execute("DELETE FROM billing.subscriptions", "DELETE FROM billing.customers")

    monkeypatch.setattr(database.Connection, "rows", others_write)
    take(company)
    rows = store.read_parquet(company.paths.raw / "subscriptions.parquet")
    assert rows.num_rows == 2
    with psycopg.connect(os.environ[VARIABLE]) as connection:
        assert connection.execute("SELECT count(*) FROM billing.customers").fetchone() == (0,)


def test_a_flat_table_of_the_database_brings_its_accounts_along(tmp_path: Path) -> None:
    source = {
        "database": {"backend": "sqlite", "file": "flat.sqlite"},
        "tables": {
            "subscriptions": {
                "table": "telecom",
                "shape": "tenure",
                "tenure_unit": "months",
                "columns": {"account_id": "customer"},
            },
            "accounts": {"attributes": {"contract": {"column": "Contract", "known": "at_extract"}}},
        },
    }
    company = write_company(tmp_path, {}, source=source, extract_date="2025-01-31")
    with sqlite3.connect(company.paths.raw / "flat.sqlite") as opened:
        opened.execute("CREATE TABLE telecom (customer, tenure, churned, Contract, phone)")
        opened.execute("INSERT INTO telecom VALUES ('a', 12, 'yes', 'Month-to-month', '555')")
        opened.execute("INSERT INTO telecom VALUES ('b', 3, 'no', 'Two year', '556')")
    opened.close()
    take(company)
    rows = store.read_parquet(company.paths.raw / "subscriptions.parquet").to_pylist()
    assert rows == [
        {"customer": "a", "tenure": "12", "churned": "yes", "Contract": "Month-to-month"},
        {"customer": "b", "tenure": "3", "churned": "no", "Contract": "Two year"},
    ]
    assert set(company.run().table("2025-01", "accounts")["contract"]) == {
        "Month-to-month", "Two year",
    }  # fmt: skip
    numbered = {"account_id": "row"}
    source["tables"]["subscriptions"]["columns"] = numbered  # type: ignore[index]
    with pytest.raises(ConfigurationError, match="have no order"):
        take(write_company(tmp_path, {}, source=source))
