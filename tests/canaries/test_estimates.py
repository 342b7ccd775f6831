"""Canaries for estimates: the number of the chapter is right, the usual shortcut is not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pipeline.analysis import survival
from pipeline.analysis.survival.risk_set import CAUSES
from pipeline.statistics import grouped_hazard
from pipeline.statistics.life_table import kaplan_meier

CUT_OFF = pd.Timestamp("2026-10-31")
YEAR = 366


def draws(task: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(20261104, spawn_key=(3, task)))


def at_risk(durations, causes, entry) -> pd.DataFrame:
    """First spells as the survival chapter sees them; a blank cause is still a customer."""
    causes = np.asarray(causes, dtype=object)
    spells = pd.DataFrame(
        {
            "account_id": np.arange(len(durations)).astype(str),
            "spell": 1,
            "start_date": CUT_OFF - pd.to_timedelta(durations, unit="D"),
            "end_type": causes,
            "entry_days": entry,
            "duration_days": durations,
            "is_churn": pd.notna(causes),
            "is_age_known": True,
            "is_followed": True,
        }
    )
    return survival.spells_at_risk(spells, spells[["account_id"]], [])


# C2: value changes nothing.


def lives_with_value(n: int = 1500) -> pd.DataFrame:
    """Months of 1,500 accounts whose leaving (5 % a month) and value (12 %) know nothing of
    each other, followed for 18 months."""
    draw = draws(2)
    accounts = pd.DataFrame(
        {
            "account": np.arange(n),
            "life": draw.geometric(0.05, n),
            "value_at": draw.geometric(0.12, n),
        }
    )
    months = accounts.loc[accounts.index.repeat(np.minimum(accounts["life"], 18))]
    months = months.assign(month=months.groupby("account").cumcount() + 1)
    return months.assign(
        left=(months["month"] == months["life"]) * 1,
        value_at_start=(months["value_at"] < months["month"]) * 1.0,
        value_ever=(months["value_at"] <= np.minimum(months["life"], 18)) * 1.0,
    ).reset_index(drop=True)


def hazard_ratio(months: pd.DataFrame, exposure: str) -> tuple[float, float, float]:
    baseline = pd.get_dummies(pd.cut(months["month"], [0, 3, 6, 12, 18]), dtype=float)
    baseline.columns = [f"band {k}" for k in range(4)]
    design = baseline.assign(**{exposure: months[exposure]})
    fitted = grouped_hazard.fit(months["left"], design, months["account"])
    error = np.sqrt(fitted.cov.loc[exposure, exposure])
    at = fitted.params[exposure]
    return tuple(np.exp([at, at - 1.96 * error, at + 1.96 * error]))


def test_c2_value_as_of_the_month_covers_no_effect_and_ever_reached_value_invents_one():
    months = lives_with_value()
    _, low, high = hazard_ratio(months, "value_at_start")
    assert low < 1 < high
    naive, _, naive_high = hazard_ratio(months, "value_ever")
    assert naive < 0.6
    assert naive_high < 1


# C3: a play that does nothing is started where usage is low.


def months_with_plays(n: int = 2500) -> pd.DataFrame:
    draw = draws(3)
    blocks = []
    for account in range(n):
        for _ in range(12):
            low_usage = draw.random() < 0.4
            play = draw.random() < (0.5 if low_usage else 0.1)
            left = draw.random() < (0.08 if low_usage else 0.03)
            blocks.append((account, float(low_usage), float(play), int(left)))
            if left:
                break
    return pd.DataFrame(blocks, columns=["account", "low_usage", "play", "left"])


def test_c3_adjusted_for_what_triggered_it_the_play_does_nothing_and_unadjusted_it_harms():
    months = months_with_plays().assign(one=1.0)
    found = {}
    for names in (["one", "play"], ["one", "play", "low_usage"]):
        fitted = grouped_hazard.fit(months["left"], months[names], months["account"])
        error = np.sqrt(fitted.cov.loc["play", "play"])
        found[len(names)] = (fitted.params["play"], 1.96 * error)
    unadjusted, adjusted = found[2], found[3]
    assert abs(adjusted[0]) < adjusted[1]
    assert unadjusted[0] - unadjusted[1] > np.log(1.1)


# C4: causes compete.


@pytest.fixture(scope="module")
def competing() -> pd.DataFrame:
    draw = draws(4)
    life = np.ceil(draw.exponential(400, 3000)).astype(int)
    cause = draw.choice(CAUSES, 3000, p=[0.5, 0.3, 0.1, 0.1])
    seen = draw.integers(30, 900, 3000)
    return at_risk(np.minimum(life, seen), np.where(life <= seen, cause, None), np.zeros(3000, int))


def one_minus_km(spells: pd.DataFrame, cause: str) -> float:
    curve = kaplan_meier(spells["duration_days"], spells["cause"] == cause, spells["entry_days"])
    return float(1 - curve.loc[curve["time"] <= YEAR, "estimate"].iloc[-1])


def test_c4_the_chapter_reads_a_cause_beside_the_others_and_1_minus_km_overstates_it(competing):
    table = survival.cumulative_incidence(competing, [], 0.95)
    mine = table[(table["cause"] == "voluntary") & (table["time_days"] <= YEAR)]
    published = mine["estimate"].iloc[-1]
    truth = 0.5 * (1 - np.exp(-YEAR / 400))
    assert abs(published - truth) < 0.03
    wrong = one_minus_km(competing, "voluntary")
    assert wrong - published > 0.05
    by_cause = table[table["time_days"] <= YEAR].groupby("cause")["estimate"].last().sum()
    curve = survival.curves(competing, [], 0.95)
    stays = curve.loc[curve["time_days"] <= YEAR, "estimate"].iloc[-1]
    assert by_cause + stays == pytest.approx(1)
    assert sum(one_minus_km(competing, cause) for cause in CAUSES) + stays > 1.05


# C5: accounts from before the data enter late.


def test_c5_deleting_the_entry_raises_the_share_left_after_12_cycles_by_more_than_15_points():
    # 24 months seen, of accounts that began up to 60 months before; 6 % leave a month.
    draw = draws(5)
    start = draw.integers(-60 * 30, 24 * 30, 20_000)
    life = draw.geometric(0.06, 20_000) * 30
    stop = np.minimum(life, 24 * 30 - start)
    entry = np.maximum(0, -start)
    seen = stop > entry
    cause = np.where(life <= 24 * 30 - start, "voluntary", None)
    spells = at_risk(stop[seen], cause[seen], entry[seen])
    truth = 0.94**12

    def left_after_12(rows: pd.DataFrame) -> float:
        curve = survival.curves(rows, [], 0.95)
        return float(curve.loc[curve["time_days"] <= 360, "estimate"].iloc[-1])

    assert abs(left_after_12(spells) - truth) < 0.02
    assert left_after_12(spells.assign(entry_days=0)) - truth > 0.15
