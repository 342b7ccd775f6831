"""Do customers who came back leave for the same reasons, and how often does an account churn?

Tables made: survival.every_spell, survival.churns_per_account. Secondary analysis: the chapter
counts first relationships. The subtle point: an account's relationships depend on each other, so
errors are by account, and a second relationship is compared with other second ones only.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from pipeline.analysis.reliability import SMALLEST_N
from pipeline.analysis.survival.models import Regression, cox
from pipeline.analysis.survival.readings import days_to_anniversary
from pipeline.analysis.survival.risk_set import ADMINISTRATIVE, at_risk_in, is_true
from pipeline.statistics.recurrent import mean_count

SPELL_NUMBER = "spell_number"
LAST_NUMBER = 2
"""Later relationships share the second one's baseline: third ones are few."""
MARKS_MONTHS = (12, 24, 36)


def every_spell_at_risk(
    spells: pd.DataFrame, accounts: pd.DataFrame, strata: list[str | None]
) -> pd.DataFrame:
    """Every spell that was at risk at some time, each on its own clock.

    Args:
        spells: as for `spells_at_risk`.
        accounts: as for `spells_at_risk`.
        strata: as for `spells_at_risk`.

    Returns:
        One row per account and spell: the columns of `spells_at_risk` and spell_number ("1", or
        "2 or later").
    """
    at_risk = at_risk_in(spells, accounts, strata)
    number = np.where(at_risk["spell"] < LAST_NUMBER, "1", f"{LAST_NUMBER} or later")
    return at_risk.assign(**{SPELL_NUMBER: number})


def every_spell(
    first: Regression, every: pd.DataFrame, covariates: list[str], confidence: float
) -> pd.DataFrame:
    """Ratios of first spells beside those of every spell, stratified by spell number.

    Args:
        first: Cox regression of first spells, from `cox`.
        every: from `every_spell_at_risk`.
        covariates: names of the covariates.
        confidence: of the intervals; those of every spell by account (Lin and Wei 1989).

    Returns:
        One row per term and level: term, level, reference, first_ratio, first_from,
        first_to, ratio, ci_low, ci_high, n (accounts), n_spells, n_events, note. Empty when
        either has no fit.

    Source: Prentice, Williams and Peterson (1981), Biometrika 68: 373, gap time.
    """
    columns = ["term", "level", "reference", "first_ratio", "first_from", "first_to",
               "ratio", "ci_low", "ci_high", "n", "n_spells", "n_events", "note"]  # fmt: skip
    again = cox(every, covariates, SPELL_NUMBER, confidence, is_clustered=True)
    if not (first.is_fitted and again.is_fitted):
        return pd.DataFrame(columns=columns)
    limits = ["hazard_ratio", "ci_low", "ci_high"]
    own = first.ratios[["term", "level", *limits]].rename(
        columns=dict(zip(limits, columns[3:6], strict=True))
    )
    ratios = again.ratios.rename(columns={"hazard_ratio": "ratio", "n": "n_spells"})
    numbered = again.rows.assign(account=pd.factorize(again.rows["account_id"])[0])
    by_term = {name: numbered.groupby(name)["account"].nunique() for name in set(ratios["term"])}
    accounts = [int(by_term[row.term].get(row.level, 0)) for row in ratios.itertuples()]
    return ratios.assign(n=accounts).merge(own, on=["term", "level"], how="left")[columns]


def churns_per_account(spells: pd.DataFrame, cut_off: dt.date, confidence: float) -> pd.DataFrame:
    """Mean number of churns per account by months since the first paid day.

    Args:
        spells: account_id, spell, start_date, lapse_date, end_type, is_churn, entry_days,
            is_age_known.
        cut_off: analysis cut-off of the slice.
        confidence: of the intervals, robust by account.

    Returns:
        One row per mark: months, estimate (churns per account), ci_low, ci_high, n (accounts seen
        from their first paid day), n_at_risk (seen at the mark), n_events. Accounts that existed
        before the observation are left out: they are here because they had not churned. An
        administrative exit ends the observation. Blank where fewer than ten are seen at the mark.

    Source: Nelson (1988); Lawless and Nadeau (1995), Technometrics 37: 158.
    """
    until, churns = _histories(spells, cut_off)
    rows = []
    for months in MARKS_MONTHS:
        day = days_to_anniversary(months)
        seen = int((until >= day).sum())
        before = churns[churns["age_days"] <= day]
        row = {"months": months, "estimate": np.nan, "ci_low": np.nan, "ci_high": np.nan,
               "n": len(until), "n_at_risk": seen, "n_events": len(before)}  # fmt: skip
        if seen >= SMALLEST_N and len(before):
            counts = mean_count(until, before["position"], before["age_days"], confidence)
            row |= counts[["estimate", "ci_low", "ci_high"]].iloc[-1].to_dict()
        rows.append(row)
    return pd.DataFrame(rows)


def _histories(spells: pd.DataFrame, cut_off: dt.date) -> tuple[pd.Series, pd.DataFrame]:
    """Days observed per account, and its churns: position of the account, age in days."""
    first = spells[(spells["spell"] == 1) & is_true(spells["is_age_known"])]
    first = first[(first["entry_days"] == 0) & (first["start_date"] < pd.Timestamp(cut_off))]
    origin = first.set_index("account_id")["start_date"]
    ended = spells[is_true(spells["is_churn"]) & spells["account_id"].isin(origin.index)]
    age = (ended["lapse_date"] - ended["account_id"].map(origin)).dt.days
    ended = ended.assign(age_days=age, is_moved=ended["end_type"] == ADMINISTRATIVE)
    until = (pd.Timestamp(cut_off) - origin).dt.days
    moved = ended[ended["is_moved"]].groupby("account_id")["age_days"].min()
    until = moved.reindex(until.index).fillna(until).astype("int64")
    position = pd.Series(np.arange(len(until)), index=until.index)
    churns = ended[~ended["is_moved"]]
    churns = churns.assign(position=churns["account_id"].map(position))
    inside = churns["age_days"] <= churns["account_id"].map(until)
    return until.reset_index(drop=True), churns.loc[inside, ["position", "age_days"]]
