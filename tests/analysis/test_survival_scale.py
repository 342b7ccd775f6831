"""Does the chapter stay as small as it was when there are more accounts?"""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from pipeline.analysis import survival

CUT_OFF = dt.date(2026, 9, 28)
STRATA = ["segment"]
TIMES = 8


@pytest.fixture(scope="module")
def companies() -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    """Spells and accounts of a company, and of one with each account eight times."""
    draw = np.random.default_rng(20261122)
    n = 240
    start = pd.Timestamp(CUT_OFF) - pd.to_timedelta(draw.integers(30, 1_000, n), unit="D")
    followed = (pd.Timestamp(CUT_OFF) - start).days.to_numpy()
    segment = draw.choice(["smb", "mid"], n)
    stayed = np.ceil(draw.exponential(np.where(segment == "smb", 300, 600)))
    is_churn = stayed < followed
    days = np.minimum(stayed, followed).astype(int)
    spells = pd.DataFrame(
        {
            "account_id": [f"a{number}" for number in range(n)], "spell": 1, "start_date": start,
            "lapse_date": (start + pd.to_timedelta(days, unit="D")).where(is_churn),
            "end_type": np.where(is_churn, draw.choice(["voluntary", "involuntary"], n), None),
            "entry_days": 0, "duration_days": days, "is_churn": is_churn, "is_age_known": True,
            "is_followed": True,
        }
    )  # fmt: skip
    accounts = pd.DataFrame({"account_id": spells["account_id"], "segment": segment})
    return [(spells, accounts), (copied(spells), copied(accounts))]


def copied(rows: pd.DataFrame) -> pd.DataFrame:
    blocks = [rows.assign(account_id=rows["account_id"] + f"-{copy}") for copy in range(TIMES)]
    return pd.concat(blocks, ignore_index=True)


def tables(company: tuple[pd.DataFrame, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Every table that the chapter makes of its spells."""
    spells, accounts = company
    at_risk = survival.spells_at_risk(spells, accounts, [*STRATA])
    every = survival.every_spell_at_risk(spells, accounts, [*STRATA])
    fit = survival.cox(at_risk, STRATA)
    grouped = survival.grouped_time(at_risk, STRATA)
    return {
        "curves": survival.curves(at_risk, STRATA, 0.95),
        "levels": survival.levels(at_risk, STRATA, 0.95),
        "incidence": survival.cumulative_incidence(at_risk, STRATA, 0.95),
        "hazards": survival.hazard_by_tenure_month(at_risk, 0.95),
        "means": survival.restricted_means(at_risk, STRATA, [12], 0.95),
        "censoring": survival.censoring(at_risk, STRATA, 0.95),
        "bounds": survival.bounds(at_risk, CUT_OFF, 0.95),
        "ratios": survival.hazard_ratios([fit, grouped], is_grouped=False),
        "by_age": survival.hazard_ratios_by_age(at_risk, STRATA),
        "effects": survival.effects(grouped, 0.95),
        "every_spell": survival.every_spell(fit, every, STRATA, 0.95),
        "churns": survival.churns_per_account(spells, CUT_OFF, 0.95),
        "proportional": survival.proportional_hazards_tests(fit),
        "diagnostics": survival.diagnostics(fit),
    }


def test_no_table_grows_with_the_number_of_accounts(companies):
    few, many = map(tables, companies)
    assert {name: len(rows) for name, rows in few.items()} == {
        name: len(rows) for name, rows in many.items()
    }


def test_the_same_accounts_eight_times_give_the_same_shares_and_narrower_intervals(companies):
    few, many = map(tables, companies)
    for name in ("curves", "incidence", "levels", "churns"):
        np.testing.assert_allclose(many[name]["estimate"], few[name]["estimate"], rtol=1e-12)
    width = {
        name: (own["levels"]["ci_high"] - own["levels"]["ci_low"])
        for name, own in (("few", few), ("many", many))
    }
    assert (width["many"] < 0.5 * width["few"]).all()


def test_an_account_without_a_row_of_its_own_keeps_its_spell_and_has_no_level(companies):
    spells, accounts = companies[0]
    at_risk = survival.spells_at_risk(spells, accounts[accounts["account_id"] != "a3"], ["segment"])
    assert len(at_risk) == len(spells)
    assert at_risk.loc[at_risk["segment"].isna(), "account_id"].tolist() == ["a3"]
