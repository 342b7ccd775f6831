"""Subscriptions of other shapes: a ledger of months, a list of changes, a flat file of tenures.

The books of a ledger are held against a second reading of the same ledger, in plain Python.
"""

import itertools
from decimal import Decimal

import ibis
import numpy as np
import pandas as pd
import pytest
from lifelines.statistics import multivariate_logrank_test

from pipeline.analysis import revenue, survival
from pipeline.analysis.reliability import SMALLEST_N
from pipeline.data import slice as slices
from pipeline.data import store
from pipeline.data.reading import DataError
from pipeline.settings import ConfigurationError, Period, longest_days, parse
from pipeline.stages import cells, ingest
from tests.stages.company import Company, accounts_of, write_company

LENIENT = {"quarantine": {"max_share_of_rows": 1.0, "max_share_of_mrr": 1.0}}


def company_of(tmp_path, rows, shape, **params):
    """A company whose subscriptions come in a shape, and nothing else."""
    about = {"shape": shape} | params.pop("about", {})
    tables = {"subscriptions": about} | params.pop("tables", {})
    files = {"subscriptions.csv": rows} | params.pop("files", {})
    return write_company(tmp_path, files, source={"tables": tables}, **params)


def subscriptions(company: Company) -> pd.DataFrame:
    ingest.run(company.settings, company.paths)
    return store.read_frame(company.paths.ingest / "subscriptions.parquet")


LEDGER = """
    account_id,period,mrr
    A,2025-01,100
    A,2025-02,100
    A,2025-03,120.50
    B,2025-01,50
    B,2025-02,0
    B,2025-03,50
    C,2025-02,10.10
"""


def bridge(company, period):
    book = company.table(period, "mrr_ledger")
    return revenue.bridge(book, period).set_index("period").loc[period]


def test_a_ledger_gives_the_bridge_that_a_person_reads_off_it(tmp_path):
    company = company_of(
        tmp_path, LEDGER, "monthly", periods=["2025-02", "2025-03"], close_lag_days=0
    ).run()
    row = bridge(company, "2025-03")
    assert row[["mrr_start", "new", "expansion", "reactivation"]].tolist() == [110.1, 0, 20.5, 50]
    assert row[["contraction", "churn", "mrr_end"]].tolist() == [0, 10.1, 170.5]
    assert bridge(company, "2025-02")["churn"] == 50


def test_accounts_come_from_the_ledger_when_there_are_no_others(tmp_path):
    company = company_of(tmp_path, LEDGER, "monthly", periods=["2025-03"]).run()
    accounts = company.table("2025-03", "accounts").set_index("account_id")
    signed = accounts["signed_up_date"].dt.strftime("%Y-%m-%d").to_dict()
    assert signed == {"A": "2025-01-01", "B": "2025-01-01", "C": "2025-02-01"}


def test_what_a_ledger_says_of_an_account_is_taken_at_signing_and_todays_from_its_last_row(
    tmp_path,
):
    rows = """
        account_id,period,mrr,segment,tier
        A,2025-02,10,big,gold
        A,2025-01,10,small,silver
        B,2025-02,0,mid,none
    """
    attributes = {"tier": {"column": "tier", "known": "at_extract"}}
    tables = {"accounts": {"attributes": attributes}}
    company = company_of(tmp_path, rows, "monthly", tables=tables)
    assert len(subscriptions(company)) == 3
    accounts = store.read_frame(company.paths.ingest / "accounts.parquet")
    assert accounts[["account_id", "segment", "tier"]].to_numpy().tolist() == [
        ["A", "small", "gold"], ["B", "mid", "none"]
    ]  # fmt: skip


def test_accounts_of_a_file_of_their_own_need_no_sign_up_beside_a_flat_file(tmp_path):
    files = {"accounts.csv": "account_id,segment\nA,big\nB,small\nC,none\n"}
    rows = "account_id,tenure,churned\nA,3,true\nB,2,false\nZ,1,false\n"
    company = company_of(
        tmp_path, rows, "tenure", files=files, about={"tenure_unit": "months"},
        periods=["2026-09"], **LENIENT,
    )  # fmt: skip
    assert subscriptions(company)["account_id"].tolist() == ["A", "B"]
    assert company.quarantine("subscriptions") == [("4", "account_id", "unknown_account", "Z")]
    accounts = store.read_frame(company.paths.ingest / "accounts.parquet")
    signed = accounts["signed_up_date"].dt.strftime("%Y-%m-%d")
    assert signed.fillna("").tolist() == ["2026-06-30", "2026-07-30", ""]


# A ledger against a second reading of it, in plain Python.


class Books:
    """What a ledger says, month by month: the other implementation, written without the first."""

    def __init__(self, rows, grace_months=0):
        self.paid = {}
        for account, month, mrr in rows:
            months = self.paid.setdefault(account, {})
            months[month] = months.get(month, Decimal(0)) + Decimal(mrr)
        self.paid = {
            account: {month: mrr for month, mrr in months.items() if mrr > 0}
            for account, months in self.paid.items()
        }
        self.paid = {account: months for account, months in self.paid.items() if months}
        self.first = {account: min(months) for account, months in self.paid.items()}
        self.bridged = {
            account: _with_short_gaps_filled(months, grace_months)
            for account, months in self.paid.items()
        }

    def of(self, account, month):
        return self.bridged[account].get(month, Decimal(0))

    def bridge(self, month):
        """The movements of a month, by account."""
        sums = dict.fromkeys(
            ["mrr_start", "new", "expansion", "reactivation", "contraction", "churn", "mrr_end"],
            Decimal(0),
        )
        for account in self.bridged:
            before, now = self.of(account, _next(month, -1)), self.of(account, month)
            sums["mrr_start"] += before
            sums["mrr_end"] += now
            if before == 0 and now > 0:
                sums["new" if self.first[account] == month else "reactivation"] += now
            elif before > 0 and now == 0:
                sums["churn"] += before
            elif now > before:
                sums["expansion"] += now - before
            else:
                sums["contraction"] += before - now
        return sums

    def retention(self, month, months=1):
        """(gross, net, share of customers lost) of those who paid so many months before."""
        pairs = [(self.of(a, _next(month, -months)), self.of(a, month)) for a in self.bridged]
        pairs = [(then, now) for then, now in pairs if then > 0]
        start = sum(then for then, _ in pairs)
        gross = sum(min(then, now) for then, now in pairs) / start
        net = sum(now for _, now in pairs) / start
        return gross, net, Decimal(sum(now == 0 for _, now in pairs)) / len(pairs)

    def cohorts(self, last):
        """(cohort, age) → n at start, n there, share of their first revenue."""
        table = {}
        for cohort in sorted(set(self.first.values())):
            members = [a for a, month in self.first.items() if month == cohort]
            opening = sum(self.of(a, cohort) for a in members)
            age = 0
            while _next(cohort, age) <= last:
                now = [self.of(a, _next(cohort, age)) for a in members]
                table[cohort, age] = (
                    len(members), sum(mrr > 0 for mrr in now), sum(now) / opening
                )  # fmt: skip
                age += 1
        return table


def _next(month, step):
    return str(Period(month).shift(step))


def _with_short_gaps_filled(months, grace):
    """A gap of at most so many months goes on at the old MRR."""
    filled, known = dict(months), sorted(months)
    for last, back in itertools.pairwise(known):
        gap, month = [], _next(last, 1)
        while month < back:
            gap.append(month)
            month = _next(month, 1)
        if len(gap) <= grace:
            filled |= dict.fromkeys(gap, months[last])
    return filled


def drawn_ledger(seed, n_accounts=60, n_months=18, products=("",)):
    """Accounts that come, pause, change their price, leave and come back."""
    draws = np.random.default_rng(seed)
    rows = []
    for number in range(n_accounts):
        for product in products:
            month, mrr = draws.integers(n_months - 2), draws.integers(500, 90_000)
            is_paid = True
            while month < n_months:
                move = draws.random()
                is_paid = not is_paid if move < (0.10 if is_paid else 0.45) else is_paid
                mrr = draws.integers(500, 90_000) if move > 0.85 else mrr
                if is_paid or draws.random() < 0.3:  # not paid: no row, or a row with 0
                    amount = f"{mrr / 100:.2f}" if is_paid else "0"
                    rows.append((f"A{number:03d}", _next("2024-03", int(month)), amount, product))
                month += 1
    rows.append(("A999", "2024-03", "10.01", products[0]))
    rows.append(("A999", _next("2024-03", n_months - 1), "10.01", products[0]))
    return [rows[place] for place in draws.permutation(len(rows))]


LEDGERS = {
    "two products in a month add up, every gap is churn": {
        "seed": 12, "products": ("core", "extra"), "grace": 0,
    },
    "a gap of three months is bridged": {"seed": 14, "products": ("",), "grace": 3},
}  # fmt: skip


@pytest.mark.parametrize("given", LEDGERS.values(), ids=LEDGERS)
def test_the_books_of_a_ledger_are_met_to_the_cent(tmp_path, given):
    grace = given["grace"]
    rows = drawn_ledger(given["seed"], products=given["products"])
    text = "customer,month,amount,line\n" + "".join(f"{','.join(row)}\n" for row in rows)
    months = sorted({row[1] for row in rows})
    last = months[-1]
    columns = {"account_id": "customer", "period": "month", "mrr": "amount", "product": "line"}
    company = company_of(
        tmp_path, text, "monthly", about={"columns": columns}, periods=[last],
        grace_months=grace, close_lag_days=0,
    ).run()  # fmt: skip
    books = Books([row[:3] for row in rows], grace)
    ledger = company.table(last, "mrr_ledger")
    rows = revenue.bridge(ledger, last).set_index("period")
    assert rows.index.tolist() == months
    for month in months:
        for name, amount in books.bridge(month).items():
            assert Decimal(str(round(rows.loc[month, name], 4))) == amount, (month, name)
    history = revenue.retention_history(ledger).set_index("period")
    for month in months[1:]:
        gross, net, _ = books.retention(month)
        assert history.loc[month, "gross_revenue_retention"] == pytest.approx(float(gross), 1e-12)
        assert history.loc[month, "net_revenue_retention"] == pytest.approx(float(net), 1e-12)
    gross, net, _ = books.retention(last, 12)
    assert history.loc[last, "gross_revenue_retention_12_months"] == pytest.approx(float(gross))
    assert history.loc[last, "net_revenue_retention_12_months"] == pytest.approx(float(net))
    settled = max(month for month in months if Period(month).as_of <= _cut_off(company, last))
    found = revenue.cohorts(ledger, company.table(last, "accounts"), None, 0.95)
    found = {
        (row.cohort, row.age_months): (row.n_start, row.n, row.mrr_share)
        for row in found.itertuples()
    }
    wanted = books.cohorts(settled)
    assert set(found) == set(wanted)
    for place, (n_start, n, share) in wanted.items():
        assert found[place][:2] == (n_start, n), place
        if n_start >= SMALLEST_N:
            assert found[place][2] == pytest.approx(float(share), 1e-12), place


def _cut_off(company, period):
    return slices.read(company.paths.snapshot(Period(period))).cut_off


# A ledger's own faults.

BAD_MONTHS = {
    "a month that is none": ("A,2025-13,10", ("period", "month_unreadable", "2025-13")),
    "a month in another order": ("A,03-2025,10", ("period", "month_unreadable", "03-2025")),
    "a month in words": ("A,March 2025,10", ("period", "month_unreadable", "March 2025")),
    "a negative amount": ("B,2025-03,-10", ("mrr", "below_minimum", "-10")),
    "no amount": ("B,2025-03,", ("mrr", "required", "")),
}


def test_a_bad_row_of_a_ledger_goes_to_quarantine_with_its_line(tmp_path):
    text = LEDGER.rstrip() + "".join(f"\n    {row}" for row, _ in BAD_MONTHS.values()) + "\n"
    text += "    C,2025-03,1\n    C,2025-03,2\n"
    company = company_of(tmp_path, text, "monthly", **LENIENT)
    used = subscriptions(company)
    found = {row[0]: row[1:] for row in company.quarantine("subscriptions")}
    wanted = {str(9 + place): found_ for place, (_, found_) in enumerate(BAD_MONTHS.values())}
    twice = ("account_id", "conflicting_key")
    assert {line: found[line] for line in wanted} == wanted
    assert [found[line][:2] for line in ("14", "15")] == [twice, twice]
    assert len(found) == 7
    assert len(used) == 7


def test_equal_lines_of_one_bill_stop_the_run_until_something_tells_them_apart(tmp_path):
    lines = """
        account_id,period,mrr,line
        A,2025-01,10,1
        A,2025-01,10,2
        A,2025-02,10,1
        A,2025-02,10,2
    """
    with pytest.raises(DataError, match=r"2 of 4 rows are alike.*map what tells them apart"):
        subscriptions(company_of(tmp_path / "unmapped", lines, "monthly"))
    about = {"columns": {"product": "line"}}
    told = subscriptions(company_of(tmp_path / "mapped", lines, "monthly", about=about))
    assert told["mrr"].sum() == 40


def test_a_month_that_nobody_has_a_row_in_stops_the_run(tmp_path):
    text = "account_id,period,mrr\nA,2025-01,10\nA,2025-04,10\nB,2025-01,10\n"
    with pytest.raises(DataError, match=r"no row for 2 months .*: 2025-02, 2025-03"):
        subscriptions(company_of(tmp_path, text, "monthly"))


FORMATS = {None: "2025-03", "MM/YYYY": "03/2025", "%Y%m": "202503", "DD.MM.YYYY": "31.03.2025"}


@pytest.mark.parametrize(("layout", "written"), FORMATS.items(), ids=str)
def test_a_month_is_read_in_its_declared_format_and_in_no_other(layout, written):
    text = ibis.memtable({"cell": list(FORMATS.values())})
    read = cells.typed(text.cell, "month", layout, ".")
    found = text.select("cell", read=read).execute().set_index("cell")["read"]
    assert found.dropna().astype(str).to_dict() == {written: "2025-03-01"}


@pytest.mark.parametrize("written", ["2025-03-01", "2025-03-31"])
def test_a_day_stands_for_its_month_and_an_impossible_one_for_none(written):
    text = ibis.memtable({"cell": [written, "2025-02-30", "2025-3-01"]})
    read = text.select(read=cells.typed(text.cell, "month", None, ".")).execute()["read"]
    assert read.astype(str).tolist() == ["2025-03-01", "NaT", "NaT"]


def test_a_ledger_reaches_to_the_last_day_of_its_newest_month(tmp_path):
    company = company_of(tmp_path, LEDGER, "monthly")
    subscriptions(company)
    facts = store.read_json(company.paths.ingest / "extract.json")
    assert facts["extract_date"] == "2025-03-31"


def test_a_restated_month_changes_no_report_from_before_it_was_known(tmp_path):
    rows = """
        account_id,period,mrr,recorded_at
        A,2025-01,100,2025-01-31
        A,2025-02,100,2025-02-28
        A,2025-03,100,2025-03-31
        A,2025-01,80,2025-03-15
        B,2025-01,50,2025-01-31
        B,2025-02,50,2025-02-28
        B,2025-03,50,2025-03-31
        B,2025-02,0,2025-03-20
    """
    company = company_of(tmp_path, rows, "monthly", periods=["2025-02", "2025-03"]).run()
    assert bridge(company, "2025-02")["mrr_end"] == 150
    book = revenue.bridge(company.table("2025-03", "mrr_ledger")).set_index("period")
    assert book["mrr_end"].to_dict() == {"2025-01": 130, "2025-02": 100, "2025-03": 150}


def test_a_ledger_that_was_known_only_after_the_close_of_its_month_is_refused(tmp_path):
    rows = """
        account_id,period,mrr,recorded_at
        A,2025-01,100,2025-02-02
        A,2025-02,100,2025-03-09
        A,2025-03,100,2025-04-09
    """
    given = {"periods": ["2025-02"], "close_lag_days": 3}
    company = company_of(tmp_path / "late", rows, "monthly", **given)
    with pytest.raises(DataError, match="Raise close_lag_days"):
        company.run()
    company = company_of(tmp_path / "waits", rows, "monthly", **given | {"close_lag_days": 9})
    assert bridge(company.run(), "2025-02")["mrr_end"] == 100


def test_the_grace_of_a_ledger_is_counted_in_months_whatever_their_length():
    about = {"company": "a", "company_name": "A", "periods": [], "grace_days": 30}
    ledger = {"source": {"tables": {"subscriptions": {"shape": "monthly"}}}}
    found = [parse(about | ledger | {"grace_months": n}).grace_days for n in (0, 1, 2, 3, 12)]
    assert found == [0, 31, 62, 92, 366]
    assert parse(about).grace_days == 30


def test_every_gap_of_so_many_months_is_within_their_grace_and_no_longer_one_is():
    start = Period("2023-01")
    for months in range(1, 25):
        for step in range(48):
            first = start.shift(step)
            assert (first.shift(months).start - first.start).days <= longest_days(months)
            assert (first.shift(months + 1).start - first.start).days > longest_days(months)


# A list of changes.

CHANGES = """
    account_id,effective_date,mrr,plan,end_type
    A,2025-01-05,100,basic,
    A,2025-02-10,150,pro,
    A,2025-03-20,0,,voluntary
    B,2025-01-10,40,basic,
    B,2025-01-10T15:00,60,pro,
"""


def test_a_change_holds_until_the_next_one_and_the_end_belongs_to_the_row_before(tmp_path):
    company = company_of(tmp_path, CHANGES, "changes", **LENIENT)
    rows = subscriptions(company)
    said = rows[["account_id", "start_date", "end_date", "mrr", "plan", "end_type"]]
    told = [
        (row.account_id, str(row.start_date.date()), str(row.end_date.date()), row.mrr, row.plan)
        for row in said.itertuples()
    ]
    assert told == [
        ("A", "2025-01-05", "2025-02-10", 100, "basic"),
        ("A", "2025-02-10", "2025-03-20", 150, "pro"),
        ("A", "2025-03-20", "NaT", 0, None),
        ("B", "2025-01-10", "NaT", 60, "pro"),
    ]
    assert said["end_type"].tolist()[1] == "voluntary"
    touched = store.read_frame(company.paths.ingest / "touched.parquet")
    assert touched[["table", "rule", "kind"]].to_numpy().tolist() == [
        ["subscriptions", "zero_length", "excluded"]
    ]


def test_changes_and_the_same_history_in_intervals_give_the_same_tables(tmp_path):
    intervals = """
        subscription_id,account_id,start_date,end_date,mrr,plan,end_type
        1,A,2025-01-05,2025-02-10,100,basic,
        2,A,2025-02-10,2025-03-20,150,pro,voluntary
        4,B,2025-01-10,,60,pro,
    """
    about = {"periods": ["2025-03"], "extract_date": "2025-03-31"}
    files = {"accounts.csv": accounts_of("A", "B", signed="2025-01-05")}
    one = company_of(
        tmp_path / "changes", CHANGES, "changes", files=files, **about, **LENIENT
    ).run()
    two = write_company(
        tmp_path / "intervals", files | {"subscriptions.csv": intervals}, **about
    ).run()
    for period in about["periods"]:
        for name in ("accounts", "spells", "mrr_ledger", "account_months", "returns"):
            pd.testing.assert_frame_equal(one.table(period, name), two.table(period, name))


def test_a_change_that_came_late_ends_the_row_before_it_only_from_then_on(tmp_path):
    rows = """
        account_id,effective_date,mrr,recorded_at
        A,2025-01-05,100,2025-01-05
        A,2025-02-10,0,2025-04-02
        B,2025-01-05,10,2025-01-05
        B,2025-02-10,20,2025-02-10
        B,2025-02-10,30,2025-04-03
    """
    company = company_of(
        tmp_path, rows, "changes", periods=["2025-03", "2025-04"],
        extract_date="2025-05-31", grace_days=0, close_lag_days=0,
    ).run()  # fmt: skip
    ends = {
        period: revenue.bridge(company.table(period, "mrr_ledger")).set_index("period")["mrr_end"]
        for period in ("2025-03", "2025-04")
    }
    assert ends["2025-03"].to_dict() == {"2025-01": 110, "2025-02": 120, "2025-03": 120}
    assert ends["2025-04"].to_dict() == {
        "2025-01": 110, "2025-02": 30, "2025-03": 30, "2025-04": 30
    }  # fmt: skip


# A flat file.

FLAT = """
    who,months,left,fee
    A,3,Yes,10.5
    B,12,No,20
    C,0,No,5
    D,1,No,8
    E,2.5,Yes,9
"""


def flat_of(tmp_path, text=FLAT, unit="months", **params):
    about = {
        "tenure_unit": unit,
        "columns": {"account_id": "who", "tenure": "months", "churned": "left", "mrr": "fee"},
        "values": {"churned": {"Yes": "true", "No": "false"}},
    }
    given = {"periods": ["2026-09"], "extract_date": "2026-09-30"} | params
    return company_of(tmp_path, text, "tenure", about=about, **given)


def test_a_flat_account_is_placed_so_that_its_tenure_ends_on_the_cut_off(tmp_path):
    company = flat_of(tmp_path).run()
    spells = company.table("2026-09", "spells").set_index("account_id")
    assert spells["duration_days"].to_dict() == {"A": 92, "B": 366, "C": 0, "D": 31, "E": 77}
    assert spells["is_churn"].to_dict() == {
        "A": True, "B": False, "C": False, "D": False, "E": True
    }  # fmt: skip
    assert spells["is_followed"].to_dict()["C"] is False
    steps = company.table("2026-09", "exclusions").set_index("step")
    kept = steps.loc["started_after_cut_off"]
    assert (kept["n_before"], kept["n_after"]) == (5, 4)
    assert "tenure is 0" in kept["reason"]
    accounts = company.table("2026-09", "accounts").set_index("account_id")
    assert accounts["mrr"].to_dict() == {"A": 0, "B": 20, "C": 5, "D": 8, "E": 0}


def test_a_flat_file_has_no_books_and_without_money_no_sum(tmp_path):
    text = "\n".join(",".join(row.split(",")[:3]) for row in FLAT.strip().splitlines())
    about = {
        "tenure_unit": "days",
        "columns": {"account_id": "row", "tenure": "months", "churned": "left"},
        "values": {"churned": {"Yes": "true", "No": "false"}},
    }
    company = company_of(
        tmp_path, text.replace("2.5", "2"), "tenure", about=about, periods=["2026-09"]
    ).run()
    for name in ("mrr_ledger", "account_months", "returns"):
        assert company.table("2026-09", name).empty
    accounts = company.table("2026-09", "accounts").set_index("account_id")
    assert sorted(accounts.index) == ["1", "2", "3", "4", "5"]
    assert accounts["mrr"].isna().all()
    assert company.table("2026-09", "exclusions")["mrr_affected"].isna().all()
    days = company.table("2026-09", "spells").set_index("account_id")["duration_days"]
    assert days.to_dict() == {"1": 3, "2": 12, "3": 0, "4": 1, "5": 2}


def test_a_bad_row_of_a_flat_file_goes_to_quarantine_with_its_line(tmp_path):
    rows = ["F,-1,Yes,1", "G,soon,Yes,1", "H,1,maybe,1", "I,1,Yes,", "J,1201,No,1", "B,11,No,20"]
    text = FLAT.rstrip() + "".join(f"\n    {row}" for row in rows) + "\n"
    company = flat_of(tmp_path, text, **LENIENT)
    subscriptions(company)
    assert sorted(company.quarantine("subscriptions"), key=lambda row: int(row[0])) == [
        ("3", "account_id", "conflicting_key", "B"),
        ("7", "tenure", "below_minimum", "-1"),
        ("8", "tenure", "number_unreadable", "soon"),
        ("9", "churned", "flag_unreadable", "maybe"),
        ("10", "mrr", "required", ""),
        ("11", "tenure", "above_maximum", "1201"),
        ("12", "account_id", "conflicting_key", "B"),
    ]


def test_a_flat_file_of_no_day_is_refused_and_says_what_to_set(tmp_path):
    company = flat_of(tmp_path, periods=[], extract_date=None)
    with pytest.raises(DataError, match="Set extract_date"):
        ingest.run(company.settings, company.paths)


def test_a_flat_file_has_one_report_that_of_the_newest_month_by_its_day(tmp_path):
    company = flat_of(
        tmp_path, periods=["2026-07", "2026-08", "2026-09"], extract_date="2026-09-10"
    )
    company.run()
    made = sorted(path.name for path in (company.paths.processed / "snapshot").iterdir())
    assert made == ["2026-08"]
    spells = company.table("2026-08", "spells").set_index("account_id")
    assert spells["duration_days"]["B"] == 366


def test_the_unit_of_a_tenure_is_asked_for():
    about = {"company": "a", "company_name": "A", "periods": []}
    with pytest.raises(ConfigurationError, match="tenure_unit"):
        parse(about | {"source": {"tables": {"subscriptions": {"shape": "tenure"}}}})
    with pytest.raises(ConfigurationError, match="only subscriptions come in shapes"):
        parse(about | {"source": {"tables": {"accounts": {"shape": "monthly"}}}})


def drawn_telecom(seed=20260901, n=900):
    """A flat telecom file: tenure in months, Churn Yes or No, charges; blank totals at tenure 0."""
    draws = np.random.default_rng(seed)
    contract = draws.choice(["Month-to-month", "One year", "Two year"], n, p=[0.55, 0.21, 0.24])
    scale = pd.Series(contract).map({"Month-to-month": 20, "One year": 90, "Two year": 250})
    leaves = draws.exponential(scale) + 0.5
    seen = draws.integers(0, 73, n)
    tenure = np.minimum(np.floor(leaves), seen).astype(int)
    charges = draws.integers(1825, 11875, n) / 100
    return pd.DataFrame({
        "customerID": [f"{number:04d}-{'QWERTZ'[number % 6]}" for number in range(n)],
        "gender": draws.choice(["Female", "Male"], n),
        "SeniorCitizen": draws.integers(0, 2, n),
        "tenure": tenure,
        "InternetService": draws.choice(["DSL", "Fiber optic", "No"], n),
        "Contract": contract,
        "MonthlyCharges": charges,
        "TotalCharges": [f"{a:.2f}" if a else " " for a in charges * tenure],
        "Churn": np.where(leaves < seen, "Yes", "No"),
    })  # fmt: skip


TELECOM = {
    "subscriptions": {
        "file": "telecom.csv",
        "shape": "tenure",
        "tenure_unit": "months",
        "columns": {
            "account_id": "customerID", "churned": "Churn", "mrr": "MonthlyCharges",
        },
        "values": {"churned": {"Yes": "true", "No": "false"}},
    },
    "accounts": {
        "attributes": {
            name: {"column": column, "known": "at_signup"}
            for name, column in {
                "gender": "gender", "senior": "SeniorCitizen", "internet": "InternetService",
                "contract": "Contract",
            }.items()
        }
    },
}  # fmt: skip


def test_a_flat_telecom_file_gives_the_log_rank_statistics_of_its_own_months(tmp_path):
    flat = drawn_telecom()
    company = write_company(
        tmp_path, {"telecom.csv": flat.to_csv(index=False)}, source={"tables": TELECOM},
        periods=["2026-08"], extract_date="2026-08-31",
    ).run()  # fmt: skip
    assert not (company.paths.quarantine / "subscriptions.csv").is_file()
    accounts, spells = company.table("2026-08", "accounts"), company.table("2026-08", "spells")
    assert len(accounts) == len(flat)
    stayed = flat[flat["Churn"] == "No"]
    assert accounts["is_customer"].sum() == len(stayed)
    assert accounts["mrr"].sum() == pytest.approx(stayed["MonthlyCharges"].sum())
    names = ["gender", "senior", "internet", "contract"]
    at_risk = survival.spells_at_risk(spells, accounts, names)
    found = survival.tests(at_risk, names, None).set_index("stratum")["statistic"]
    lasted = flat[(flat["tenure"] > 0)]
    assert len(at_risk) == len(lasted)
    for name, column in zip(names, ["gender", "SeniorCitizen", "InternetService", "Contract"],
                            strict=True):  # fmt: skip
        right = multivariate_logrank_test(
            lasted["tenure"], lasted[column], lasted["Churn"] == "Yes"
        ).test_statistic
        assert found[name] == pytest.approx(right, rel=1e-9), name


def test_a_flat_file_says_its_median_in_its_own_months_and_nothing_of_last_year(tmp_path):
    about = pd.DataFrame(
        {
            "name": ["retention_12_months_recent", "retention_12_months", "median_lifetime_months"],
            "estimate": [0.5, 0.2, 184 / 30.4375],
            "ci_low": [0.4, 0.1, 153 / 30.4375],
            "ci_high": [0.6, 0.3, 215 / 30.4375],
            "state": "ok",
            "note": "",
            "previous": 0.1,
            "year_ago": 0.2,
        }
    )
    known = survival.of_flat_file(about, "months").set_index("name")
    median = known.loc["median_lifetime_months", ["estimate", "ci_low", "ci_high"]]
    assert median.tolist() == [6, 5, 7]
    recent = known.loc["retention_12_months_recent"]
    assert np.isnan(recent["estimate"])
    assert (recent["state"], recent["note"]) == ("not_available", "a flat file has no dates")
    assert known[["previous", "year_ago"]].isna().all(axis=None)
    assert survival.of_flat_file(about, None) is about
