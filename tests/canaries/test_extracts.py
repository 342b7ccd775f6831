"""Canaries for the data as they arrive: late rows, gaps, calendars, order, names and repeats."""

from __future__ import annotations

import hashlib

import pandas as pd
import pytest

from pipeline.settings import Period
from tests.stages.company import Company, accounts_of, write_company
from tests.stages.test_point_in_time import CHOICES, FILES, PERIOD

HEADER = "subscription_id,account_id,start_date,end_date,mrr,currency,end_type\n"
FREELY = {"quarantine": {"max_share_of_rows": 1.0, "max_share_of_mrr": 1.0}}


def slice_of(company: Company) -> dict[str, str]:
    folder = company.paths.snapshot(Period(PERIOD))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def before(tmp_path_factory) -> Company:
    return write_company(tmp_path_factory.mktemp("before"), FILES, **CHOICES).run()


def run(root, files: dict[str, str], **params) -> Company:
    """The same company, told otherwise."""
    return write_company(root, files, **CHOICES, **FREELY, **params).run()


# C6: late data. With the instant of recording no late row changes an old month: all kinds of them
# stand in tests/stages/test_point_in_time.py. Here the instant is taken away.


def test_c6_without_the_instant_of_recording_a_late_price_rewrites_the_old_month(tmp_path, before):
    rows = [line.strip() for line in FILES["subscriptions.csv"].strip().splitlines()]
    newest = [row for row in rows if "S1,A,2025-01-05,," not in row]
    today = [row.replace("2025-01-12,,200,", "2025-01-12,,999,") for row in newest]
    without = "\n".join(row.rsplit(",", 1)[0] for row in today) + "\n"
    after = run(tmp_path, FILES | {"subscriptions.csv": without})
    book = after.table(PERIOD, "mrr_ledger").set_index(["period", "account_id"])["mrr_end"]
    known = before.table(PERIOD, "mrr_ledger").set_index(["period", "account_id"])["mrr_end"]
    assert book["2025-01", "B"] == 999
    assert known["2025-01", "B"] == 200


# C7: a return within the grace.


def company_of(root, rows: list[str], period: str, **params) -> Company:
    params = {"extract_date": "2025-12-31", "periods": [period]} | params
    names = sorted({row.split(",")[1] for row in rows})
    files = {
        "accounts.csv": accounts_of(*names, signed="2023-12-01"),
        "subscriptions.csv": HEADER + "\n".join(rows),
    }
    return write_company(root, files, **params).run()


def movements(root, rows: list[str], period: str, **params) -> list[tuple[str, str, str]]:
    book = company_of(root, rows, period, **params).table(period, "mrr_ledger")
    return [
        tuple(row) for row in book[["period", "account_id", "movement"]].itertuples(index=False)
    ]


def test_c7_only_a_return_within_the_grace_is_no_churn(tmp_path):
    # A returns after 16 days, B after 30, C after 31.
    gaps = {"A": ("2025-02-20", "2025-03-08"), "B": ("2025-02-01", "2025-03-03"),
            "C": ("2025-02-01", "2025-03-04")}  # fmt: skip
    rows = [f"S1{name},{name},2025-01-15,{end},100,," for name, (end, _) in gaps.items()]
    rows += [f"S2{name},{name},{again},,100,," for name, (_, again) in gaps.items()]
    found = {}
    for grace in (30, 0):
        book = movements(tmp_path / str(grace), rows, "2025-04", grace_days=grace)
        found[grace] = "".join(
            account for _, account, movement in sorted(book) if movement == "churn"
        )
    assert found == {30: "C", 0: "ABC"}


# C8: boundaries. The ledger of the reference is held in tests/stages/test_ledger.py.

LAST_DAYS = {
    "A": ("2024-03-01", "2024-03"),  # served all of a leap February
    "B": ("2024-02-29", "2024-02"),
    "C": ("2024-01-31", "2024-01"),
    "D": ("2024-02-01", "2024-02"),
    "E": ("2024-12-31", "2024-12"),
    "F": ("2025-01-01", "2025-01"),
}


def test_c8_the_first_day_not_paid_names_the_month_of_the_loss_in_leap_years_too(tmp_path):
    rows = [f"S{name},{name},2023-12-10,{end},100,," for name, (end, _) in LAST_DAYS.items()]
    rows += ["S8,Y,2024-02-29,2025-02-28,100,,", "S9,Z,2024-01-31,2025-01-31,100,,"]
    company = company_of(tmp_path, rows, "2025-03", grace_days=0)
    book = company.table("2025-03", "mrr_ledger")
    lost = book[book["movement"] == "churn"].set_index("account_id")["period"].to_dict()
    assert {name: lost[name] for name in LAST_DAYS} == {
        name: month for name, (_, month) in LAST_DAYS.items()
    }
    # The usual reading, the month of the last paid day, is wrong for all that end on a first.
    last_paid = {name: str(pd.Timestamp(end) - pd.Timedelta(days=1))[:7]
                 for name, (end, _) in LAST_DAYS.items()}  # fmt: skip
    assert {name for name in LAST_DAYS if last_paid[name] != lost[name]} == {"A", "D", "F"}
    ages = company.table("2025-03", "spells").set_index("account_id")["duration_days"]
    assert ages[["Y", "Z"]].tolist() == [365, 366]


@pytest.mark.parametrize("zone", ["America/New_York", "Pacific/Auckland"])
def test_c8_the_change_of_the_clocks_moves_no_date(tmp_path, zone):
    # Clocks change on 2025-03-09 and 2025-04-06 there.
    rows = [
        "S1,A,2025-03-09,2025-03-31,100,,",
        "S2,B,2025-03-30,,50,,",
        "S3,C,2025-04-01,,70,,",
        "S4,D,2025-01-01,2025-04-06,30,,",
    ]
    book = movements(tmp_path, rows, "2025-04", timezone=zone, grace_days=0)
    kept = {(period, account): movement for period, account, movement in book}
    assert kept["2025-03", "A"] == "joined_and_left"
    assert kept["2025-03", "B"] == "new"
    assert kept["2025-04", "C"] == "new"
    assert kept["2025-04", "D"] == "churn"


# C9: order, names, repeats, later months.


def shuffled(text: str) -> str:
    header, *rows = [line.strip() for line in text.strip().splitlines()]
    return "\n".join([header, *reversed(rows)]) + "\n"


def test_c9_the_order_of_rows_changes_no_byte(tmp_path, before):
    files = {name: shuffled(text) for name, text in FILES.items()}
    assert slice_of(run(tmp_path, files)) == slice_of(before)


def test_c9_f043_later_months_change_no_byte(tmp_path, before):
    more = {
        "accounts.csv": "    X,2025-05-02,smb,2025-05-02T09:00:00\n",
        "subscriptions.csv": "    S7,X,2025-05-05,,900,5,,,2025-05-05T10:00:00\n",
        "usage.csv": "    U7,X,2025-05-20T08:00:00,report,1,2025-05-20T08:00:01\n",
    }
    files = {name: text.rstrip() + "\n" + more.get(name, "") for name, text in FILES.items()}
    assert slice_of(run(tmp_path, files)) == slice_of(before)


def twice(text: str) -> str:
    return text.rstrip() + "\n" + "\n".join(text.strip().splitlines()[1:]) + "\n"


def test_c9_a_row_that_stands_twice_counts_once_because_of_its_key(tmp_path, before):
    repeated = run(tmp_path / "twice", {name: twice(text) for name, text in FILES.items()})
    for table in ("mrr_ledger", "spells", "accounts"):
        pd.testing.assert_frame_equal(before.table(PERIOD, table), repeated.table(PERIOD, table))
    header, *rows = FILES["subscriptions.csv"].strip().splitlines()
    other_keys = [row.replace("S", "R", 1) for row in rows]
    blind = run(
        tmp_path / "blind",
        FILES | {"subscriptions.csv": "\n".join([header, *rows, *other_keys]) + "\n"},
    )
    ends = [company.table(PERIOD, "mrr_ledger")["mrr_end"].sum() for company in (before, blind)]
    assert ends[1] == 2 * ends[0]


RENAMED = {"A": "z-9", "B": "007", "C": "NA"}


def renamed(text: str) -> str:
    header, *rows = [line.strip() for line in text.strip().splitlines()]
    place = header.split(",").index("account_id")
    fields = [row.split(",") for row in rows]
    told = [",".join([*f[:place], RENAMED[f[place]], *f[place + 1 :]]) for f in fields]
    return "\n".join([header, *told]) + "\n"


def test_c9_other_names_for_the_accounts_change_nothing_but_the_names(tmp_path, before):
    other = run(tmp_path, {name: renamed(text) for name, text in FILES.items()})
    names = {there: here for here, there in RENAMED.items()}
    for table in ("mrr_ledger", "spells", "accounts", "account_months"):
        plain, told = before.table(PERIOD, table), other.table(PERIOD, table)
        back = told.assign(account_id=told["account_id"].map(names))
        keys = [name for name in ("period", "account_id", "spell") if name in plain]
        pd.testing.assert_frame_equal(
            plain.sort_values(keys, ignore_index=True),
            back[plain.columns].sort_values(keys, ignore_index=True),
            check_dtype=False,
        )
