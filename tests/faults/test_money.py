"""Faults 58 to 67: amounts, currencies and other measures, injected through exports.

Each test is named after its fault. An amount is exact from the first cell to the last sum, in
units of its own currency; what cannot be read for certain is set aside with its line.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from pipeline.data import store
from pipeline.data.reading import DataError
from pipeline.settings import ConfigurationError, parse
from tests.stages.company import Company, accounts_of, write_company

HEADER = "subscription_id,account_id,start_date,end_date,mrr,currency\n"
LENIENT = {"quarantine": {"max_share_of_rows": 1.0, "max_share_of_mrr": 1.0}}
RATES = {"EUR": {"2025-01": 1.1, "2025-02": 1.2}, "JPY": {"2025-01": 0.007}, "KWD": {"2025-01": 3}}


def company_of(root: Path, amounts: list[str], currency: str = "", **more: object) -> Company:
    """One subscription of account A per amount; line 2 is the first."""
    rows = [f'S{n},A,2025-01-05,,"{text}",{currency}' for n, text in enumerate(amounts)]
    files = {"accounts.csv": accounts_of("A"), "subscriptions.csv": HEADER + "\n".join(rows) + "\n"}
    files |= dict(more.pop("files", {}))
    return write_company(root, files, **(LENIENT | more))


def written(**source: object) -> dict[str, object]:
    return {"tables": {"subscriptions": source}}


def amounts_of(company: Company) -> list[Decimal]:
    """Exact amounts in the order of their lines."""
    rows = store.read_parquet(company.paths.ingest / "subscriptions.parquet")
    return rows.sort_by("source_line")["mrr"].to_pylist()


def test_f058_a_negative_amount_is_set_aside_and_told_where_it_belongs(tmp_path):
    company = company_of(tmp_path, ["100", "-50"]).ingest()
    assert company.quarantine("subscriptions") == [("3", "mrr", "below_minimum", "-50")]
    with pytest.raises(DataError, match="credit note belongs in adjustments"):
        company_of(tmp_path / "strict", ["100", "-50"], quarantine={}).ingest()


def test_f059_free_and_trial_rows_are_used_and_are_never_customers(tmp_path):
    header = HEADER.strip() + ",is_trial\n"
    rows = "S1,A,2025-01-05,,0,,\nS2,B,2025-01-05,,90,,true\nS3,C,2025-01-05,,100,,false\n"
    files = {"accounts.csv": accounts_of("A", "B", "C"), "subscriptions.csv": header + rows}
    company = write_company(tmp_path, files, extract_date="2025-02-28").run()
    accounts = company.table("2025-01", "accounts").set_index("account_id")
    assert accounts["is_customer"].to_dict() == {"A": False, "B": False, "C": True}
    assert company.table("2025-01", "mrr_ledger")["mrr_end"].tolist() == [100]
    assert company.aside("subscriptions") == {}


def test_f060_a_currency_without_rates_stops_the_run_and_names_the_rows(tmp_path):
    with pytest.raises(DataError, match=r"subscriptions\.csv line 2: EUR"):
        company_of(tmp_path, ["100"], "EUR").ingest()


def test_f060_currencies_with_dated_rates_add_up_in_the_company_s_own(tmp_path):
    rows = "S1,A,2025-01-05,,100,EUR\nS2,B,2025-01-05,,50,USD\nS3,C,2025-01-05,,10,\n"
    files = {"accounts.csv": accounts_of("A", "B", "C"), "subscriptions.csv": HEADER + rows}
    params = {"fx": RATES, "periods": ["2025-02"], "extract_date": "2025-03-31"}
    company = write_company(tmp_path, files, **params).run()
    book = company.table("2025-02", "mrr_ledger").set_index(["period", "account_id"])
    assert book["mrr_end"].to_dict() == {
        ("2025-01", "A"): 110, ("2025-01", "B"): 50, ("2025-01", "C"): 10,
        ("2025-02", "A"): 120, ("2025-02", "B"): 50, ("2025-02", "C"): 10,
    }  # fmt: skip


def test_f061_a_month_without_a_rate_stops_the_run_and_names_its_rows(tmp_path):
    rows = "S1,A,2025-01-05,,100,\nS2,A,2025-01-05,,100,EUR\n"
    files = {"accounts.csv": accounts_of("A"), "subscriptions.csv": HEADER + rows}
    params = {"fx": RATES, "periods": ["2025-03"], "extract_date": "2025-12-31"}
    with pytest.raises(DataError, match=r"no rate for EUR in 2025-03.*subscriptions\.csv line 3"):
        write_company(tmp_path, files, **params).run()


@pytest.mark.parametrize("rate", [0.0, -1.0, float("inf"), float("nan")])
def test_f061_a_rate_that_is_no_rate_is_refused_by_name(rate):
    base = {"company": "acme", "company_name": "Acme", "periods": ["2025-01"]}
    with pytest.raises(ConfigurationError, match="EUR in 2025-01"):
        parse(base | {"fx": {"EUR": {"2025-01": rate}}})


ODD = ["1.234,50", "¥1,000", "(50)", "10 000", "1,000", "$5", "5-", "1e5", "1_000", "٣", "0x10",
       "12.", ".5", "+5", "1.2.3", "5 USD", "twelve"]  # fmt: skip


def test_f062_an_amount_in_another_way_of_writing_is_set_aside_with_its_line(tmp_path):
    company = company_of(tmp_path, ["100", *ODD]).ingest()
    found = company.quarantine("subscriptions")
    assert [row[:3] for row in found] == [
        (str(line), "mrr", "money_unreadable") for line in range(3, len(ODD) + 3)
    ]
    assert [row[3].removeprefix("'") for row in found] == ODD
    assert amounts_of(company) == [Decimal(100)]


@pytest.mark.parametrize(
    ("way", "amounts", "expected"),
    [
        ({"decimal": ",", "thousands": "."}, ["1.234,50", "12,5", "1.000.000"],
         ["1234.50", "12.5", "1000000"]),
        ({"thousands": ","}, ["1,000", "1,234.50", "999"], ["1000", "1234.50", "999"]),
        ({"thousands": " "}, ["10 000", "10\u00a0000.5", "10\u202f000"],
         ["10000", "10000.5", "10000"]),
        ({"thousands": "'"}, ["1'234.5"], ["1234.5"]),
        ({"decimal": ","}, ["10,5", "7"], ["10.5", "7"]),
    ],
)  # fmt: skip
def test_f062_the_declared_way_of_writing_is_read_exactly(tmp_path, way, amounts, expected):
    company = company_of(tmp_path, amounts, source=written(**way)).ingest()
    assert amounts_of(company) == [Decimal(text) for text in expected]


@pytest.mark.parametrize(
    ("way", "amount"),
    [
        ({"decimal": ",", "thousands": "."}, "1.5"),
        ({"decimal": ",", "thousands": "."}, "12.34"),
        ({"thousands": ","}, "1,00"),
        ({"thousands": ","}, "1,0000"),
        ({"thousands": ","}, ",100"),
        ({"thousands": ","}, "1,000,00"),
        ({"decimal": ","}, "10.5"),
    ],
)
def test_f062_marks_in_the_wrong_place_are_no_amount(tmp_path, way, amount):
    company = company_of(tmp_path, ["100", amount], source=written(**way)).ingest()
    assert company.quarantine("subscriptions") == [("3", "mrr", "money_unreadable", amount)]


def test_f062_one_mark_cannot_be_both():
    base = {"company": "acme", "company_name": "Acme", "periods": ["2025-01"]}
    with pytest.raises(ConfigurationError, match="both ','"):
        parse(base | {"source": written(decimal=",", thousands=",")})


def test_f063_sums_are_exact_to_the_last_digit(tmp_path):
    amounts = ["0.1", "0.2", "0.3"] * 100 + ["99999999999.9999"]
    company = company_of(tmp_path, amounts).ingest()
    assert sum(amounts_of(company)) == Decimal("60") + Decimal("99999999999.9999")


def test_f063_digits_beyond_the_four_that_are_kept_are_rounded_and_counted(tmp_path):
    company = company_of(tmp_path, ["83.33333", "83.3333", "5.00000"]).ingest()
    assert amounts_of(company) == [Decimal("83.3333"), Decimal("83.3333"), Decimal(5)]
    assert company.aside("subscriptions") == {("warning", "rounded"): 1}


@pytest.mark.parametrize(
    ("currency", "minor", "units"),
    [
        ("", "12345", "123.45"),
        ("USD", "1", "0.01"),
        ("EUR", "12345", "123.45"),
        ("JPY", "12345", "12345"),
        ("KWD", "12345", "12.345"),
    ],
)
def test_f064_minor_units_are_those_of_the_row_s_currency(tmp_path, currency, minor, units):
    source = written(units={"mrr": "cents"})
    company = company_of(tmp_path, [minor], currency, source=source, fx=RATES).ingest()
    assert amounts_of(company) == [Decimal(units)]


def test_f064_the_company_s_own_currency_may_have_no_cents(tmp_path):
    source = written(units={"mrr": "cents"})
    company = year_of_prices(tmp_path, 1, 1, source=source, currency="JPY").ingest()
    assert set(amounts_of(company)) == {Decimal(100 + n) for n in range(10)}


def year_of_prices(root: Path, odd_month: int, factor: int, **more: object) -> Company:
    """Ten new customers a month in 2025, 100 each; in one month the amounts are multiplied."""
    factors = {odd_month: factor}
    rows = [
        f"S{month}-{n},A,2025-{month:02d}-{n + 1:02d},,{(100 + n) * factors.get(month, 1)},"
        for month in range(1, 13)
        for n in range(10)
    ]
    files = {"accounts.csv": accounts_of("A"), "subscriptions.csv": HEADER + "\n".join(rows)}
    return write_company(root, files, **more)


def test_f065_a_month_in_cents_among_months_in_units_stops_the_run(tmp_path):
    with pytest.raises(DataError, match=r"2025-11: 10 new rows at a usual 10450 USD, 104\.5 in"):
        year_of_prices(tmp_path, 11, 100).ingest()


def test_f065_a_smaller_shift_is_a_warning_that_the_report_shows(tmp_path):
    company = year_of_prices(tmp_path, 11, 10).ingest()
    assert company.aside("subscriptions") == {("warning", "level_shift"): 10}


def test_f065_the_factor_is_the_analyst_s_choice_and_usual_months_say_nothing(tmp_path):
    limits = {"level_shift_stops_above": None, "level_shift_warns_above": 1000.0}
    assert (
        year_of_prices(tmp_path / "high", 11, 100, quarantine=limits)
        .ingest()
        .aside("subscriptions")
        == {}
    )
    assert year_of_prices(tmp_path / "usual", 11, 2).ingest().aside("subscriptions") == {}


NO_NUMBERS = ["inf", "Infinity", "-inf", "nan", "NaN", "1e400", "9" * 400]


def test_f066_what_is_infinite_or_no_number_is_named_by_column_and_line(tmp_path):
    rows = "".join(f"{n},A,2025-01-05,30,{text}\n" for n, text in enumerate(NO_NUMBERS))
    tickets = "ticket_id,account_id,opened_at,severity,handle_minutes\n" + rows
    company = company_of(tmp_path, ["100", *NO_NUMBERS], files={"tickets.csv": tickets}).ingest()
    for table, column, rule, first in (
        ("subscriptions", "mrr", "money_unreadable", 3),
        ("tickets", "handle_minutes", "number_unreadable", 2),
    ):
        assert company.quarantine(table) == [
            (str(line), column, rule, f"'{text}" if text[0] == "-" else text)
            for line, text in enumerate(NO_NUMBERS, first)
        ]


def discounts(root: Path, cells: list[str], **source: object) -> Company:
    names = [f"A{place}" for place in range(len(cells))]
    text = "account_id,signed_up_date,rebate\n"
    text += "".join(f"{n},2025-01-01,{cell}\n" for n, cell in zip(names, cells, strict=True))
    own = {"discount": {"column": "rebate", "type": "share", "known": "at_signup"}}
    accounts = {"attributes": own} | source
    rows = HEADER + "S1,A0,2025-01-05,,100,\n"
    files = {"accounts.csv": text, "subscriptions.csv": rows}
    return write_company(root, files, source={"tables": {"accounts": accounts}}, **LENIENT)


def test_f067_a_share_beyond_1_is_set_aside_and_told_how_to_declare_percent(tmp_path):
    company = discounts(tmp_path, ["0", "0.25", "1", "25", "-0.1"]).ingest()
    assert [row[:3] for row in company.quarantine("accounts")] == [
        ("5", "discount", "share_out_of_range"),
        ("6", "discount", "share_out_of_range"),
    ]


def test_f067_percent_is_declared_and_read_as_a_share(tmp_path):
    company = discounts(tmp_path, ["0", "25", "100", "101"], units={"discount": "percent"}).ingest()
    assert company.used("accounts")["discount"].tolist() == [0, 0.25, 1]
    assert [row[3] for row in company.quarantine("accounts")] == ["101"]


def test_f067_an_answer_beyond_its_scale_is_set_aside(tmp_path):
    surveys = "response_id,account_id,kind,sent_at,score\n"
    surveys += "R1,A,nps,2025-01-05,10\nR2,A,nps,2025-01-05,85\nR3,A,csat,2025-01-05,85\n"
    company = company_of(tmp_path, ["100"], files={"surveys.csv": surveys}).ingest()
    assert company.quarantine("surveys") == [("3", "score", "score_out_of_range", "85")]


def test_f066_a_count_is_exact_or_set_aside(tmp_path):
    header = "subscription_id,account_id,start_date,mrr,seats\n"
    cells = ["9007199254740993", "12.0", "12.5", "9" * 30, "-1"]
    rows = "".join(f"S{n},A,2025-01-05,1,{cell}\n" for n, cell in enumerate(cells))
    files = {"accounts.csv": accounts_of("A"), "subscriptions.csv": header + rows}
    company = write_company(tmp_path, files, **LENIENT).ingest()
    stored = store.read_parquet(company.paths.ingest / "subscriptions.parquet")
    assert stored.sort_by("source_line")["seats"].to_pylist() == [9007199254740993, 12]
    assert [row[2] for row in company.quarantine("subscriptions")] == [
        "count_unreadable",
        "count_unreadable",
        "below_minimum",
    ]
