"""Whatever rows come, ingest gives typed tables that reconcile, or stops and says why.

Cells are drawn from what real exports hold, good and bad; the draws are the same in every run.
"""

from __future__ import annotations

import csv
import io
import tempfile
from collections import Counter
from pathlib import Path

import ibis
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.data import store
from pipeline.data.reading import DataError
from pipeline.data.schema import RAW
from tests.stages.company import Company, write_company

OUT = ("quarantined", "merged", "excluded")
IDS = st.sampled_from(["A", "B", "C", " A", "Ａ", "A\u200b", "", "  ", "001", "1", "=1+1", "NA"])
DAYS = st.sampled_from(
    ["2025-01-05", "2025-01-05", "2025-02-28", "2024-02-29", "2025-02-30", "9999-12-31", "soon", "",
     "0000-01-01", "2025-01-05T10:00:00", "05/01/2025", "2062-01-01"]
)  # fmt: skip
AMOUNTS = st.sampled_from(
    ["100", "100", "0", "0.1", "-5", "1e5", "1,000", "nan", "inf", "", "99999999999999", "9" * 40,
     "83.333333", "(50)"]
)  # fmt: skip
CODES = st.sampled_from(["", "", "month", "year", "weekly"])
FLAGS = st.sampled_from(["", "true", "0", "maybe"])
ODD = st.text(max_size=6).filter(lambda text: "\x00" not in text)
COLUMNS = {
    "accounts": {
        "account_id": IDS, "signed_up_date": DAYS, "name": ODD, "acquisition_cost": AMOUNTS,
    },
    "subscriptions": {
        "subscription_id": st.sampled_from(["S1", "S2", "S3", "S4", "S5", "", "s1"]),
        "account_id": IDS, "start_date": DAYS, "end_date": DAYS, "mrr": AMOUNTS,
        "billing_interval": CODES, "is_trial": FLAGS,
    },
    "adjustments": {
        "adjustment_id": st.sampled_from(["J1", "J2", ""]), "account_id": IDS,
        "occurred_at": DAYS, "amount": AMOUNTS,
    },
    "usage": {"account_id": IDS, "occurred_at": DAYS, "feature": ODD, "quantity": AMOUNTS},
}  # fmt: skip


SOUND = {
    "accounts": [["A", "2025-01-05", "Anna", "1"], ["B", "2025-01-05", "Ben", ""]],
    "subscriptions": [["S0", "A", "2025-01-05", "", "100", "", ""]],
}
"""Rows that make a company, whatever else comes."""


def rows_of(table: str) -> st.SearchStrategy[list[list[str]]]:
    """Rows of one table, some of them repeated, after those that make a company."""
    row = st.tuples(*COLUMNS[table].values()).map(list)
    rows = st.lists(row, max_size=12)
    repeated = st.tuples(rows, st.booleans()).map(lambda drawn: drawn[0] * (1 + drawn[1]))
    return repeated.map(lambda drawn: SOUND.get(table, []) + drawn)


EXPORTS = st.fixed_dictionaries({name: rows_of(name) for name in COLUMNS})


def given_of(exports: dict[str, list[list[str]]]) -> dict[str, list[list[str]]]:
    """Only tables with rows: one without is not exported."""
    return {name: rows for name, rows in exports.items() if rows}


def text_of(table: str, rows: list[list[str]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(COLUMNS[table])
    writer.writerows(rows)
    return out.getvalue()


def ingested(root: Path, exports: dict[str, list[list[str]]], limit: float) -> Company | None:
    """The company after ingest; None when it stopped with an error of data."""
    company = write_company(
        root, {}, quarantine={"max_share_of_rows": limit, "max_share_of_mrr": limit}
    )
    for name, rows in given_of(exports).items():
        path = company.paths.raw / f"{name}.csv"
        path.write_text(text_of(name, rows), encoding="utf-8", newline="")
    try:
        return company.ingest()
    except DataError:
        return None


def used_of(company: Company, name: str) -> int:
    place = company.paths.ingest / name
    files = sorted(place.glob("*.parquet")) if name == "usage" else [place.with_suffix(".parquet")]
    n_used = 0
    for path in files:
        rows = store.read_parquet(path)
        n_used += rows.num_rows
        if rows.num_rows:
            RAW[name].schema.validate(ibis.memtable(rows), lazy=True)
    return n_used


def assert_reconciles(company: Company, exports: dict[str, list[list[str]]]) -> None:
    touched = store.read_frame(company.paths.ingest / "touched.parquet")
    gone = Counter(touched.loc[touched["kind"].isin(OUT), "table"])
    for name, rows in given_of(exports).items():
        n_rows = sum(1 for _ in csv.reader(io.StringIO(text_of(name, rows)))) - 1
        assert n_rows == used_of(company, name) + gone[name], name
        listed = company.paths.quarantine / f"{name}.csv"
        n_listed = len(company.quarantine(name)) if listed.is_file() else 0
        assert n_listed == len(touched[(touched["table"] == name) & (touched["kind"] == OUT[0])])


def check(exports: dict[str, list[list[str]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        company = ingested(Path(folder), exports, 1.0)
        if company:
            assert_reconciles(company, exports)


@settings(max_examples=5, deadline=None, derandomize=True, database=None,
          suppress_health_check=list(HealthCheck))  # fmt: skip
@given(exports=EXPORTS)
def test_whatever_rows_come_the_counts_reconcile_or_the_run_stops_with_a_reason(exports):
    check(exports)


@pytest.mark.slow
@settings(max_examples=200, deadline=None, derandomize=True, database=None,
          suppress_health_check=list(HealthCheck))  # fmt: skip
@given(exports=EXPORTS)
def test_whatever_rows_come_the_counts_reconcile_in_many_more_draws(exports):
    check(exports)
