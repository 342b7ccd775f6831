"""Spells: literal subscriptions in, paid relationships out."""

import pytest

from tests.stages.company import accounts_of, write_company

HEADER = "subscription_id,account_id,start_date,end_date,mrr,is_trial,notice_date,end_type\n"


def spells(tmp_path, rows, period="2025-06", **params):
    params = {"extract_date": "2025-12-31", "periods": [period]} | params
    names = sorted({row.split(",")[1] for row in rows})
    files = {"accounts.csv": accounts_of(*names), "subscriptions.csv": HEADER + "\n".join(rows)}
    table = write_company(tmp_path, files, **params).run().table(period, "spells")
    dates = table.assign(
        start=table["start_date"].dt.strftime("%Y-%m-%d"),
        lapse=table["lapse_date"].dt.strftime("%Y-%m-%d"),
    )
    columns = ["account_id", "spell", "start", "lapse", "end_type", "duration_days", "is_churn"]
    return [
        tuple(None if value != value else value for value in row)
        for row in dates[columns].itertuples(index=False)
    ]


@pytest.mark.parametrize(
    ("second_start", "expected"),
    [
        ("2025-03-31", [("A", 1, "2025-01-01", None, None, 180, False)]),
        (
            "2025-04-01",
            [
                ("A", 1, "2025-01-01", "2025-03-01", "unknown", 59, True),
                ("A", 2, "2025-04-01", None, None, 90, False),
            ],
        ),
    ],
    ids=["return after 30 days is a bridge", "return after 31 days is churn"],
)
def test_a_gap_of_at_most_the_grace_does_not_end_a_spell(tmp_path, second_start, expected):
    rows = ["S1,A,2025-01-01,2025-03-01,100,,,", f"S2,A,{second_start},,100,,,"]
    assert spells(tmp_path, rows) == expected


def test_nested_and_overlapping_rows_are_one_spell(tmp_path):
    rows = [
        "S1,A,2025-01-01,2025-06-01,100,,,",
        "S2,A,2025-02-01,2025-03-01,50,,,",
        "S3,A,2025-05-15,2025-06-10,50,,,",
    ]
    assert spells(tmp_path, rows) == [("A", 1, "2025-01-01", "2025-06-10", "unknown", 160, True)]


def test_trials_and_free_rows_are_no_spell(tmp_path):
    rows = [
        "S1,A,2025-01-01,2025-02-01,100,true,,",
        "S2,A,2025-02-01,2025-03-01,0,false,,",
        "S3,A,2025-03-01,,100,false,,",
    ]
    assert spells(tmp_path, rows) == [("A", 1, "2025-03-01", None, None, 121, False)]


def test_the_end_type_is_that_of_the_last_ending_row_and_voluntary_goes_first(tmp_path):
    rows = [
        "S1,A,2025-01-01,2025-03-01,100,,,involuntary",
        "S2,A,2025-01-01,2025-04-01,100,,,completed",
        "S3,A,2025-02-01,2025-04-01,100,,,voluntary",
        "S4,B,2025-01-01,2025-04-01,100,,,",
    ]
    assert spells(tmp_path, rows) == [
        ("A", 1, "2025-01-01", "2025-04-01", "voluntary", 90, True),
        ("B", 1, "2025-01-01", "2025-04-01", "unknown", 90, True),
    ]


def test_a_lapse_on_the_cut_off_is_an_event_and_one_on_the_next_day_is_not(tmp_path):
    rows = ["S1,A,2025-01-01,2025-06-30,100,,,", "S2,B,2025-01-01,2025-07-01,100,,,"]
    assert spells(tmp_path, rows) == [
        ("A", 1, "2025-01-01", "2025-06-30", "unknown", 180, True),
        ("B", 1, "2025-01-01", None, None, 180, False),
    ]


def test_in_a_provisional_month_ages_stop_at_the_cut_off(tmp_path):
    rows = ["S1,A,2025-01-01,2025-06-20,100,,,", "S2,B,2025-01-01,,100,,,"]
    assert spells(tmp_path, rows, extract_date="2025-07-10") == [
        ("A", 1, "2025-01-01", "2025-06-20", "unknown", 157, False),
        ("B", 1, "2025-01-01", None, None, 157, False),
    ]


def test_an_end_is_not_known_before_its_notice(tmp_path):
    rows = ["S1,A,2025-01-01,2025-07-15,100,,2025-06-20,voluntary"]
    company = write_company(
        tmp_path,
        {"accounts.csv": accounts_of("A"), "subscriptions.csv": HEADER + rows[0]},
        periods=["2025-05", "2025-06"],
        extract_date="2025-06-30",
    ).run()
    may, june = company.table("2025-05", "accounts"), company.table("2025-06", "accounts")
    assert not may["is_in_notice"].item()
    assert june["is_in_notice"].item()
    assert june["notice_date"].dt.strftime("%Y-%m-%d").item() == "2025-06-20"


def test_accounts_older_than_the_observation_enter_at_their_age(tmp_path):
    rows = [
        "S1,A,2024-12-01,,100,,,",
        "S2,B,2025-02-01,,100,,,",
        "S3,C,2024-06-01,2024-12-01,100,,,",
    ]
    files = {
        "accounts.csv": accounts_of("A", "B", "C"),
        "subscriptions.csv": HEADER + "\n".join(rows),
    }
    table = (
        write_company(
            tmp_path,
            files,
            periods=["2025-06"],
            extract_date="2025-12-31",
            observation_start="2025-01-01",
        )
        .run()
        .table("2025-06", "spells")
    )
    assert table["entry_days"].tolist() == [31, 0, 214]
    assert table["is_followed"].tolist() == [True, True, False]


def test_the_first_paid_day_is_unknown_when_the_billing_data_begin_in_mid_life(tmp_path):
    accounts = "account_id,signed_up_date\nA,2023-01-01\nB,2024-12-15\nC,2023-01-01\n"
    rows = [
        "S1,A,2025-01-01,,100,,,",
        "S2,B,2025-01-01,,100,,,",
        "S3,C,2025-01-02,,100,,,",
    ]
    table = (
        write_company(
            tmp_path,
            {"accounts.csv": accounts, "subscriptions.csv": HEADER + "\n".join(rows)},
            periods=["2025-06"],
            extract_date="2025-12-31",
        )
        .run()
        .table("2025-06", "spells")
    )
    assert dict(zip(table["account_id"], table["is_age_known"], strict=True)) == {
        "A": False,
        "B": True,
        "C": True,
    }
