"""What the cells of a column look like: formats, numbers, codes, and what cannot be told apart."""

import pytest

from pipeline.proposal import looks

CODES = ("month", "quarter", "year")


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("MonthlyCharges", "monthly_charges"),
        ("customerID", "customer_id"),
        (" Start Date ", "start_date"),
        ("churn-date", "churn_date"),
        ("mrr", "mrr"),
    ],
)
def test_a_name_is_compared_in_small_letters_with_its_words_apart(name: str, plain: str) -> None:
    assert looks.plain(name) == plain


@pytest.mark.parametrize(
    ("cells", "layout"),
    [
        (["2024-01-31", "2024-02-29"], ""),
        (["2024-01-31T10:00:00Z", "2024-02-01 09:30"], ""),
        (["31-01-2024", "29-02-2024"], "DD-MM-YYYY"),
        (["01-31-2024", "02-29-2024"], "MM-DD-YYYY"),
        (["31.01.2024 10:00", "1.2.2024 9:05"], "DD.MM.YYYY HH:mm"),
        (["20240131", "20240201"], "YYYYMMDD"),
    ],
)
def test_the_date_format_that_every_cell_fits_is_found(cells: list[str], layout: str) -> None:
    look = looks.dates(cells)
    assert (look.share, look.date_format, look.also) == (1.0, layout, ())


def test_an_order_of_day_and_month_that_cannot_be_told_names_both() -> None:
    look = looks.dates(["01/02/2024", "03/04/2024"])
    assert {look.date_format, *look.also} == {"DD/MM/YYYY", "MM/DD/YYYY"}


def test_one_cell_beyond_twelve_settles_the_order() -> None:
    assert looks.dates(["01/02/2024", "13/04/2024"]).also == ()


def test_a_date_that_no_calendar_has_does_not_fit() -> None:
    look = looks.dates(["2026-02-28", "2026-02-30"])
    assert look.share == 0.5
    assert look.odd == ("2026-02-30",)


@pytest.mark.parametrize(
    ("cells", "decimal", "thousands"),
    [
        (["1234.50", "12"], None, None),
        (["1234,50", "12"], ",", None),
        (["1,234.50", "12"], None, ","),
        (["1.234,50", "12,00"], ",", "."),
        (["12", "-3"], None, None),
    ],
)
def test_point_and_comma_are_told_apart_by_the_cells(
    cells: list[str], decimal: str | None, thousands: str | None
) -> None:
    look = looks.numbers(cells)
    assert (look.share, look.decimal, look.thousands) == (1.0, decimal, thousands)


def test_words_for_nothing_are_no_odd_cells() -> None:
    assert looks.look(["12", "N/A", ""], "money", (), {}).share == 1.0
    assert looks.empty_words(["12", "N/A", "", "null"]) == ["N/A", "null"]


def test_codes_of_theirs_become_codes_of_ours_or_are_named() -> None:
    words = {"monthly": "month"}
    look = looks.coded(["Monthly", "year", "weekly"], CODES, words)
    assert look.values == {"Monthly": "month"}
    assert look.unknown == ("weekly",)


def test_flags_that_need_no_declaration_get_none() -> None:
    assert looks.flags(["Yes", "no"]).values is None
    assert looks.flags(["1.0", "0.0"]).values == {"1.0": "true", "0.0": "false"}


@pytest.mark.parametrize(
    ("cells", "kind", "why"),
    [
        (["1704067200", "1706745600"], "day", "seconds since 1970"),
        (["3 Jan 2024", "4 Feb 2024"], "day", "months are written as words"),
        (["$12", "$13"], "money", "sign of their currency"),
    ],
)
def test_what_hinders_reading_is_said(cells: list[str], kind: str, why: str) -> None:
    assert why in looks.why_not(cells, kind)


@pytest.mark.parametrize(
    ("cells", "layout"),
    [(["2024-01", "2024-12"], ""), (["202401", "202412"], "YYYYMM"), (["01/2024"], "MM/YYYY")],
)
def test_months_of_a_ledger_have_formats_of_their_own(cells: list[str], layout: str) -> None:
    look = looks.months(cells)
    assert (look.share, look.date_format) == (1.0, layout)


@pytest.mark.parametrize(
    ("cells", "layout"),
    [
        (["01/02/2024", "01/03/2024"], "DD/MM/YYYY"),
        (["02/01/2024", "03/01/2024"], "MM/DD/YYYY"),
        (["31.01.2024", "29.02.2024"], "DD.MM.YYYY"),
        (["2024-01-01", "2024-02-01"], "YYYY-MM-DD"),
    ],
)
def test_days_that_stand_for_months_settle_their_own_order(cells: list[str], layout: str) -> None:
    look = looks.month_marks(cells)
    assert (look.share, look.date_format, look.also) == (1.0, layout, ())
