"""Another grace: the spells that the stages would have made, from one slice."""

import datetime as dt

import pandas as pd
import pytest

from pipeline.analysis.grace import cut_off_of, paid_runs, respelled
from tests.analysis.gapped import company_with

PERIOD = "2024-12"


def tables(company):
    return company.table(PERIOD, "spells"), company.table(PERIOD, "returns")


def test_the_same_grace_gives_the_same_spells(gapped):
    spells, returns = tables(gapped(30))
    again = respelled(spells, returns, 30, dt.date(2024, 12, 31))
    pd.testing.assert_frame_equal(again, spells)


@pytest.mark.parametrize("grace_days", [0, 14, 60, 90])
def test_another_grace_gives_the_spells_that_the_stages_make_with_it(gapped, grace_days):
    spells, returns = tables(gapped(30))
    expected, _ = tables(gapped(grace_days))
    as_of = dt.date(2024, 12, 31)
    cut_off = cut_off_of(grace_days, 30, as_of, as_of)
    found = respelled(spells, returns, grace_days, cut_off)
    settled = expected[expected["start_date"] <= pd.Timestamp(cut_off)]
    columns = ["account_id", "spell", "start_date", "entry_days", "is_age_known"]
    pd.testing.assert_frame_equal(
        found[columns].reset_index(drop=True), settled[columns].reset_index(drop=True)
    )
    lapse = settled["lapse_date"].where(settled["lapse_date"] <= pd.Timestamp(cut_off))
    ours = found["lapse_date"].where(found["is_churn"])
    assert ours.tolist() == lapse.tolist() or ours.equals(lapse.reset_index(drop=True))


def test_a_longer_grace_settles_less_and_a_shorter_one_more_but_no_day_after_the_as_of_date():
    as_of, cut_off = dt.date(2024, 12, 31), dt.date(2024, 12, 2)
    assert cut_off_of(90, 30, as_of, as_of) == dt.date(2024, 10, 2)
    assert cut_off_of(30, 30, as_of, cut_off) == cut_off
    assert cut_off_of(14, 30, as_of, cut_off) == dt.date(2024, 12, 18)
    assert cut_off_of(0, 30, as_of, cut_off) == as_of
    assert cut_off_of(60, 30, as_of, cut_off) == dt.date(2024, 11, 1)


def test_a_run_ends_at_every_gap_and_its_end_type_is_not_guessed(gapped):
    spells, returns = tables(gapped(30))
    runs = paid_runs(spells, returns).query("account_id == 'twice'")
    assert runs["start_date"].dt.strftime("%Y-%m-%d").tolist() == [
        "2023-05-01", "2024-02-11", "2024-05-20",
    ]  # fmt: skip
    assert runs["end_type"].tolist() == ["unknown", "unknown", "completed"]
    assert runs["mrr_lost"].tolist() == [50.0, 60.0, 60.0]


def test_a_company_where_nobody_ever_left_has_one_run_each(tmp_path):
    rows = ["S1,a,2024-01-01,,10,", "S2,b,2024-02-01,,9,"]
    spells, returns = tables(company_with(tmp_path, 30, PERIOD, rows))
    assert len(paid_runs(spells, returns)) == 2
    again = respelled(spells, returns, 60, dt.date(2024, 11, 1))
    assert again["start_date"].tolist() == spells["start_date"].tolist()
    assert again["duration_days"].tolist() == [305, 274]
