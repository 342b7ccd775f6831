"""Which choices are refused, which months come with an annex, and where its notebook is."""

import typing
from pathlib import Path

import pytest

from pipeline import settings as configuration
from pipeline.analysis.revenue.change import CHARTS
from pipeline.settings import ANNEX, CHAPTERS, Paths, Period, Settings


def settings_of(annex: str) -> Settings:
    return configuration.parse(
        {"company": "acme", "company_name": "Acme", "periods": [], "annex": annex}
    )


@pytest.mark.parametrize(
    ("annex", "month", "newest"),
    [
        ("quarterly", "2026-10", "2026-09"),
        ("quarterly", "2026-12", "2026-12"),
        ("quarterly", "2027-02", "2026-12"),
        ("monthly", "2026-10", "2026-10"),
        ("never", "2026-12", None),
    ],
)
def test_the_newest_annex_is_that_of_the_month_or_of_the_quarter_before(annex, month, newest):
    found = settings_of(annex).newest_annex(Period(month))
    assert found == (Period(newest) if newest else None)
    assert settings_of(annex).has_annex(Period(month)) == (newest == month)


def test_the_annex_is_no_chapter_that_can_be_listed():
    assert ANNEX not in CHAPTERS
    with pytest.raises(configuration.ConfigurationError, match="no chapter annex"):
        configuration.parse(
            {"company": "acme", "company_name": "Acme", "periods": [], "chapters": ["annex"]}
        )


@pytest.mark.parametrize("rate", [0, -1.0, 1e-13, 1e7, float("inf"), float("nan")])
def test_a_rate_that_no_exact_decimal_holds_is_refused(rate):
    company = {"company": "acme", "company_name": "Acme", "periods": []}
    with pytest.raises(configuration.ConfigurationError, match="EUR in 2026-10: a rate is above 0"):
        configuration.parse(company | {"fx": {"EUR": {"2026-10": rate}}})


def test_the_notebook_of_the_annex_comes_last():
    root = Path(__file__).parents[1]
    notebook = Paths(root, "acme").notebook(ANNEX)
    assert notebook.is_file()
    assert sorted(notebook.parent.glob("*.ipynb"))[-1] == notebook


@pytest.mark.parametrize(
    ("block", "key", "value", "why"),
    [
        ("survival", "horizons_months", [-6], "horizons_months.0: .*greater than or equal to 1"),
        ("survival", "horizons_months", [], "horizons_months: .*at least 1 item"),
        ("survival", "horizons_months", [12, 12], "horizons_months: 12 stands there more than"),
        ("population", "return_days", [-5], "return_days.0: .*greater than or equal to 1"),
        ("population", "return_days", [], "return_days: .*at least 1 item"),
        ("time_to_value", "landmark_days", [-30], "landmark_days.0: .*greater than"),
        ("time_to_value", "landmark_days", [12, 12], "landmark_days: 12 stands there more than"),
        ("time_to_value", "landmark_days", [10**20], "landmark_days.0: .*less than or equal"),
        ("revenue", "cohort_months", 999_999_999, "cohort_months: .*less than or equal to 600"),
        ("revenue", "charts", ["nope"], "charts.0: Input should be 'gross_account_churn_rate'"),
        ("revenue", "charts", ["customers_new"] * 2, "charts: customers_new stands there more"),
        ("drivers", "vif_limit", float("inf"), "vif_limit: .*finite number"),
        ("drivers", "vif_limit", float("nan"), "vif_limit: .*finite number"),
    ],
)
def test_a_value_that_means_nothing_is_refused_on_one_line(block, key, value, why):
    with pytest.raises(configuration.ConfigurationError, match=f"{block}.{why}") as caught:
        configuration.parse(
            {"company": "acme", "company_name": "Acme", "periods": [], block: {key: value}}
        )
    assert len(str(caught.value).splitlines()) == 2, "the head, and one line"


def test_the_charts_that_may_be_chosen_are_those_that_the_chapter_draws():
    assert typing.get_args(typing.get_args(typing.get_args(configuration.Charts)[0])[0]) == CHARTS
