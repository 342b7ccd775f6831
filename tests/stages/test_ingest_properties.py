"""Whatever rows come, ingest gives typed tables that reconcile, or stops and says why.

Cells are drawn from what real exports hold, good and bad; the draws are the same in every run.
"""

from __future__ import annotations

import csv
import io
import tempfile
from collections import Counter
from dataclasses import dataclass
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


def ingested(root: Path, exports: dict[str, list[list[str]]]) -> Company:
    """The company after ingest, with limits that no share of bad rows exceeds."""
    company = write_company(
        root, {}, quarantine={"max_share_of_rows": 1.0, "max_share_of_mrr": 1.0}
    )
    for name, rows in given_of(exports).items():
        path = company.paths.raw / f"{name}.csv"
        path.write_text(text_of(name, rows), encoding="utf-8", newline="")
    return company.ingest()


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


@dataclass(frozen=True)
class Count:
    """Rows of one table: received, used, set aside by any rule; quarantined and listed as such."""

    received: int
    used: int
    aside: int
    quarantined: int
    listed: int


def counts_of(company: Company, exports: dict[str, list[list[str]]]) -> dict[str, Count]:
    """Per table: its rows by our own reading of the export, and by what ingest left."""
    touched = store.read_frame(company.paths.ingest / "touched.parquet")
    found = {}
    for name, rows in given_of(exports).items():
        kinds = Counter(touched.loc[touched["table"] == name, "kind"])
        listing = company.paths.quarantine / f"{name}.csv"
        found[name] = Count(
            received=sum(1 for _ in csv.reader(io.StringIO(text_of(name, rows)))) - 1,
            used=used_of(company, name),
            aside=sum(kinds[kind] for kind in OUT),
            quarantined=kinds[OUT[0]],
            listed=len(company.quarantine(name)) if listing.is_file() else 0,
        )
    return found


def outcome(exports: dict[str, list[list[str]]]) -> dict[str, Count] | str:
    """What became of the rows of each table, or the words with which ingest stopped."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            return counts_of(ingested(Path(folder), exports), exports)
        except DataError as error:
            return str(error)


def is_sound(found: dict[str, Count] | str) -> bool:
    """True when all rows are accounted for, or the reason names a table and says what to do."""
    if isinstance(found, str):
        return any(name in found for name in COLUMNS) and len(found.split()) > 5
    return all(
        count.received == count.used + count.aside and count.quarantined == count.listed
        for count in found.values()
    )


SOUND_ALONE = {name: SOUND.get(name, []) for name in COLUMNS}
SEEDED = {"deadline": None, "derandomize": True, "database": None,
          "suppress_health_check": list(HealthCheck)}  # fmt: skip


def test_sound_rows_are_all_used() -> None:
    assert outcome(SOUND_ALONE) == {
        "accounts": Count(2, 2, 0, 0, 0), "subscriptions": Count(1, 1, 0, 0, 0),
    }  # fmt: skip


@settings(max_examples=5, **SEEDED)
@given(exports=EXPORTS)
def test_whatever_rows_come_the_counts_reconcile_or_the_run_stops_with_a_reason(exports):
    found = outcome(exports)
    assert is_sound(found), found


@pytest.mark.slow
@settings(max_examples=200, **SEEDED)
@given(exports=EXPORTS)
def test_whatever_rows_come_the_counts_reconcile_in_many_more_draws(exports):
    found = outcome(exports)
    assert is_sound(found), found
