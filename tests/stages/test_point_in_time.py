"""The heart: a slice holds what was known by its close, whatever is written later."""

import hashlib

import pandas as pd
import pytest

from pipeline.settings import Period
from tests.stages.company import Company, write_company

ACCOUNTS = """
    account_id,signed_up_date,segment,recorded_at
    A,2025-01-02,smb,2025-01-02T09:00:00
    B,2025-01-10,mid,2025-01-10T09:00:00
    C,2025-02-01,smb,2025-02-01T09:00:00
"""
SUBSCRIPTIONS = """
    subscription_id,account_id,start_date,end_date,mrr,seats,notice_date,end_type,recorded_at
    S1,A,2025-01-05,,100,5,,,2025-01-05T10:00:00
    S1,A,2025-01-05,2025-03-10,100,5,2025-03-01,voluntary,2025-03-01T10:00:00
    S2,B,2025-01-12,,200,9,,,2025-01-12T10:00:00
    S3,C,2025-02-03,2025-02-20,50,1,,,2025-02-20T10:00:00
    S4,C,2025-03-05,,60,1,,,2025-03-05T10:00:00
"""
USAGE = """
    usage_id,account_id,occurred_at,feature,quantity,recorded_at
    U1,A,2025-01-20T08:00:00,report,1,2025-01-20T08:00:01
    U2,A,2025-01-21T08:00:00,report,1,2025-02-02T08:00:00
    U3,B,2025-02-10T08:00:00,export,2,2025-02-10T08:00:01
    U4,B,2025-01-25T08:00:00,export,2,2025-03-15T08:00:00
"""
MILESTONES = """
    account_id,milestone,reached_at,recorded_at
    A,first_value,2025-01-25T00:00:00,2025-01-25T01:00:00
    B,first_value,2025-02-10T00:00:00,2025-03-20T01:00:00
"""
TICKETS = """
    ticket_id,account_id,opened_at,resolved_at,recorded_at
    T1,A,2025-02-11T08:00:00,2025-03-02T08:00:00,2025-02-11T08:00:00
    T2,B,2025-02-12T08:00:00,2025-02-13T08:00:00,2025-02-12T08:00:00
"""
GOALS = """
    goal_id,account_id,agreed_date,due_date,actual,measured_at,customer_declared_date
    G1,A,2025-01-15,2025-06-30,,,
    G2,B,2025-02-15,2025-06-30,,,
"""
CONTACTS = """
    contact_id,account_id,role,active_from,active_to
    P1,A,champion,2025-01-15,
"""
FILES = {
    "goals.csv": GOALS,
    "contacts.csv": CONTACTS,
    "accounts.csv": ACCOUNTS,
    "subscriptions.csv": SUBSCRIPTIONS,
    "usage.csv": USAGE,
    "milestones.csv": MILESTONES,
    "tickets.csv": TICKETS,
}
PERIOD = "2025-02"
CHOICES = {"periods": [PERIOD], "grace_days": 10, "close_lag_days": 2}
MARCH = CHOICES | {"periods": ["2025-03"], "extract_date": "2025-04-30"}
CLOSE = "2025-03-13"
"""28 February and 12 days: what is recorded on the 13th of March or later is not known."""


def slice_bytes(company: Company) -> dict[str, str]:
    folder = company.run().paths.snapshot(Period(PERIOD))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    return slice_bytes(write_company(tmp_path_factory.mktemp("before"), FILES, **CHOICES))


def with_rows(**more: str) -> dict[str, str]:
    return FILES | {
        f"{name}.csv": FILES[f"{name}.csv"].rstrip() + rows for name, rows in more.items()
    }


LATER = {
    "a new customer, recorded later": with_rows(
        accounts="\n    D,2025-02-10,smb,2025-03-13T00:00:00\n",
        subscriptions="\n    S9,D,2025-02-12,,900,5,,,2025-03-13T00:00:00\n",
    ),
    "the end of a subscription, recorded later": with_rows(
        subscriptions="\n    S2,B,2025-01-12,2025-02-15,200,9,,voluntary,2025-03-13T09:00:00\n"
    ),
    "another price for the past, recorded later": with_rows(
        subscriptions="\n    S2,B,2025-01-12,,999,9,,,2025-03-20T09:00:00\n"
    ),
    "another segment, recorded later": with_rows(
        accounts="\n    B,2025-01-10,enterprise,2025-04-01T09:00:00\n"
    ),
    "usage of the past, known later": with_rows(
        usage="\n    U9,A,2025-02-20T08:00:00,report,5,2025-03-14T08:00:00\n"
    ),
    "value of the past, known later": with_rows(
        milestones="\n    C,first_value,2025-02-10T00:00:00,2025-03-13T01:00:00\n"
    ),
    "a ticket of the past, known later": with_rows(
        tickets="\n    T9,B,2025-02-20T08:00:00,,2025-03-13T08:00:00\n"
    ),
    "a bad row, recorded later": with_rows(
        subscriptions="\n    S8,B,2025-03-20,,-5,9,,,2025-03-20T09:00:00\n"
    ),
    "a goal measured later": FILES
    | {
        "goals.csv": GOALS.replace(
            "2025-06-30,,,", "2025-06-30,5,2025-03-20T09:00:00,2025-03-21", 1
        )
    },
    "a goal agreed later": with_rows(goals="\n    G3,A,2025-03-15,2025-06-30,,,\n"),
    "a champion who left later": FILES
    | {"contacts.csv": CONTACTS.replace("2025-01-15,", "2025-01-15,2025-03-20")},
    "a milestone of an account that comes later, not reached yet": with_rows(
        accounts="\n    E,2025-03-20,smb,2025-03-20T00:00:00\n",
        milestones="\n    E,first_value,,\n",
    ),
    "later values shifted": FILES
    | {
        "subscriptions.csv": SUBSCRIPTIONS.replace("S4,C,2025-03-05,,60", "S4,C,2025-03-05,,6000"),
        "usage.csv": USAGE.replace("export,2,2025-03-15", "export,900,2025-03-16"),
    },
}


@pytest.mark.parametrize("files", LATER.values(), ids=LATER.keys())
def test_f055_what_is_recorded_after_the_close_changes_no_byte_of_the_slice(
    tmp_path, before, files
):
    later = write_company(
        tmp_path / "later",
        files,
        **CHOICES,
        quarantine={"max_share_of_rows": 1.0, "max_share_of_mrr": 1.0},
    )
    assert slice_bytes(later) == before


def test_what_is_recorded_the_day_before_the_close_enters(tmp_path, before):
    files = with_rows(
        accounts="\n    D,2025-02-10,smb,2025-03-12T23:59:59\n",
        subscriptions="\n    S9,D,2025-02-12,,900,5,,,2025-03-12T23:59:59\n",
    )
    after = slice_bytes(write_company(tmp_path / "after", files, **CHOICES))
    assert after["accounts.parquet"] != before["accounts.parquet"]
    assert after["mrr_ledger.parquet"] != before["mrr_ledger.parquet"]


def features(tmp_path) -> pd.DataFrame:
    company = write_company(tmp_path, FILES, **MARCH).run()
    return company.table("2025-03", "account_months").set_index(["account_id", "period"])


def test_usage_enters_in_the_month_in_which_it_became_known(tmp_path):
    rows = features(tmp_path)
    assert rows.loc[("A", "2025-02"), "usage_events"] == 1
    assert rows.loc[("A", "2025-03"), "usage_events"] == 1
    assert rows.loc[("B", "2025-04"), "usage_events"] == 0, "49 days late: counted, no feature"


def test_value_counts_only_from_the_day_it_was_known(tmp_path):
    rows = features(tmp_path)
    assert rows.loc[("A", "2025-02"), "has_value"]
    assert not rows.loc[("B", "2025-03"), "has_value"]
    assert rows.loc[("B", "2025-04"), "has_value"]


def test_an_open_ticket_is_open_until_the_day_it_was_resolved(tmp_path):
    rows = features(tmp_path)
    assert rows.loc[("A", "2025-03"), "open_tickets"] == 1
    assert rows.loc[("B", "2025-03"), "open_tickets"] == 0


def test_from_the_notice_on_features_stand_still(tmp_path):
    files = FILES | {
        "subscriptions.csv": SUBSCRIPTIONS.replace(
            "2025-03-10,100,5,2025-03-01", "2025-03-10,100,5,2025-02-05"
        ).replace("voluntary,2025-03-01T", "voluntary,2025-02-05T")
    }
    company = write_company(tmp_path, files, **MARCH).run()
    rows = company.table("2025-03", "account_months").set_index(["account_id", "period"])
    noticed = rows.loc[("A", "2025-03")]
    assert noticed["is_in_notice"]
    assert noticed["tickets"] == 0, "the ticket of 11 February came after the notice of the 5th"
    assert noticed["usage_events"] == rows.loc[("A", "2025-02"), "usage_events"]


def test_the_bytes_do_not_depend_on_the_number_of_threads(tmp_path, before, monkeypatch):
    from pipeline.data import engine

    connect = engine.connect
    monkeypatch.setattr(
        engine,
        "connect",
        lambda timezone="UTC", name="duckdb", **_: connect(timezone, name, threads=1),
    )
    assert slice_bytes(write_company(tmp_path / "one", FILES, **CHOICES)) == before
