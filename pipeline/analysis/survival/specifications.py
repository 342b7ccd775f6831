"""Would the primary contrast read otherwise, had a choice been made otherwise?

One choice is varied at a time against the primary analysis. Two contrasts: the difference of months
kept (the primary one) and the hazard ratio of the same pair of levels. The subtle point: the pair
is fixed by the primary analysis, so every row compares the same two groups; a longer grace settles
less, so it has a cut-off of its own.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.analysis import choices, grace
from pipeline.analysis.choices import SPECIFICATION_COLUMNS
from pipeline.analysis.reliability import LARGEST_SHARE
from pipeline.analysis.survival.contrast import months_kept, pair_of
from pipeline.analysis.survival.models import Regression, cox, grouped_time, is_time_grouped
from pipeline.analysis.survival.readings import recent
from pipeline.analysis.survival.returning import SPELL_NUMBER, every_spell_at_risk
from pipeline.analysis.survival.risk_set import is_true, spells_at_risk

CHAPTER = "survival"
HAZARD_RATIO = "hazard ratio"
FIRST_DAYS = 30
START_YEAR = "start_year"


@dataclass(frozen=True)
class Choices:
    """What was decided for the primary analysis."""

    stratum: str
    covariates: list[str]
    cut_off: dt.date
    as_of: dt.date
    grace_days: int
    confidence: float


def specifications(
    spells: pd.DataFrame,
    accounts: pd.DataFrame,
    returns: pd.DataFrame,
    account_months: pd.DataFrame,
    *,
    stratum: str,
    covariates: list[str],
    cut_off: dt.date,
    as_of: dt.date,
    grace_days: int,
    confidence: float,
) -> pd.DataFrame:
    """The primary contrast under every other choice, one at a time.

    Args:
        spells: all spells of the slice, as in the snapshot.
        accounts: one row per account (account_id, the stratum and the covariates).
        returns: all lapses of the slice, as in the snapshot.
        account_months: period, account_id, mrr, is_in_notice.
        stratum: the declared contrast.
        covariates: of the regressions; the stratum joins them.
        cut_off: analysis cut-off of the slice.
        as_of: as-of date of the slice.
        grace_days: grace of the slice.
        confidence: of the intervals.

    Returns:
        One row per specification: SPECIFICATION_COLUMNS. Two blocks, each led by its own primary
        row (is_primary): months kept (unit months), hazard ratio (unit ratio). Blank with a note
        where a specification cannot be estimated. Empty without two levels to compare.

    Source: Simonsohn, Simmons and Nelson (2020), Nature Human Behaviour 4: 1208.
    """
    names = list(dict.fromkeys([stratum, *covariates]))
    chosen = Choices(stratum, names, cut_off, as_of, grace_days, confidence)
    at_risk = spells_at_risk(spells, accounts, [*names])
    pair = pair_of(at_risk, stratum)
    if pair is None:
        return pd.DataFrame(columns=SPECIFICATION_COLUMNS)
    every = every_spell_at_risk(spells, accounts, [*names])
    samples = _samples(at_risk, every, account_months, chosen)
    samples += _graces(spells, accounts, returns, chosen)
    rows = [
        {"choice": choice, "specification": said} | _kept(sample, pair, chosen, *told)
        for choice, said, sample, *told in samples
    ]
    kept = pd.DataFrame(rows).assign(contrast=stratum, unit="months")
    fits = _fits(at_risk, every, account_months, chosen)
    ratios = pd.DataFrame([
        {"choice": choice, "specification": said} | _ratio(fit(), pair, chosen)
        for choice, said, fit in fits
    ]).assign(contrast=f"{stratum}, {HAZARD_RATIO}", unit="ratio")  # fmt: skip
    blocks = [block.assign(is_primary=block.index == 0) for block in (kept, ratios)]
    stacked = pd.concat(blocks, ignore_index=True).assign(chapter=CHAPTER)
    return stacked[SPECIFICATION_COLUMNS]


Sample = tuple[str, str, pd.DataFrame | str] | tuple[str, str, pd.DataFrame | str, str]


def _samples(
    at_risk: pd.DataFrame, every: pd.DataFrame, account_months: pd.DataFrame, chosen: Choices
) -> list[Sample]:
    """Choice, words, and the spells of each specification (or why there are none)."""
    later = at_risk.assign(entry_days=np.maximum(at_risk["entry_days"], FIRST_DAYS))
    later = later[later["duration_days"] > later["entry_days"]]
    chosen_to_leave = at_risk["is_event"] & (at_risk["cause"] != "involuntary")
    by_choice = at_risk["cause"].eq("voluntary") & at_risk["is_event"]
    return [
        ("primary", choices.primary("first relationships, every exit"), at_risk),
        ("event", choices.without("involuntary"), at_risk.assign(is_event=chosen_to_leave)),
        ("event", choices.VOLUNTARY_ONLY, at_risk.assign(is_event=by_choice)),
        ("event", "with administrative exits",
         at_risk.assign(is_event=at_risk["is_event"] | at_risk["is_administrative"])),
        ("event", choices.ON_NOTICE, at_notice(at_risk, account_months)),
        ("sample", choices.without_first(FIRST_DAYS), later),
        ("sample", choices.WITHOUT_LARGEST,
         at_risk[~at_risk["account_id"].isin(largest(account_months))]),
        ("sample", "every paid relationship", every),
        ("time", choices.LAST_YEAR_ONLY, recent(at_risk, chosen.cut_off)),
    ]  # fmt: skip


def _graces(
    spells: pd.DataFrame, accounts: pd.DataFrame, returns: pd.DataFrame, chosen: Choices
) -> list[Sample]:
    """The same spells under other graces, each with its own cut-off."""
    rows: list[Sample] = []
    for days in choices.GRACES_DAYS:
        if days == chosen.grace_days:
            continue
        until = grace.cut_off_of(days, chosen.grace_days, chosen.as_of, chosen.cut_off)
        joined = grace.respelled(spells, returns, days, until)
        at_risk = spells_at_risk(joined, accounts, [chosen.stratum])
        rows.append(("grace", choices.days(days), at_risk, f"to {until.isoformat()}"))
    return rows


def _fits(
    at_risk: pd.DataFrame, every: pd.DataFrame, account_months: pd.DataFrame, chosen: Choices
) -> list[tuple[str, str, Callable[[], Regression]]]:
    """Choice, words, and the regression of each specification, the primary model first."""
    names, level = chosen.covariates, chosen.confidence
    dated = at_risk.assign(**{START_YEAR: at_risk["start_date"].dt.strftime("%Y")})
    common = at_risk[~at_risk["account_id"].isin(largest(account_months))].reset_index(drop=True)
    forced = at_risk.assign(is_event=at_risk["is_event"] & (at_risk["cause"] != "involuntary"))
    last_year = recent(at_risk, chosen.cut_off)
    models = {
        "Cox on days, Efron ties": lambda: cox(at_risk, names, None, level),
        "grouped time on months, cloglog": lambda: grouped_time(at_risk, names, level),
    }
    first, second = reversed(models) if is_time_grouped(at_risk) else models
    return [
        ("primary", choices.primary(first), models[first]),
        ("model", second, models[second]),
        ("covariates", "the contrast alone",
         lambda: cox(at_risk, [chosen.stratum], None, level)),
        ("time", "a baseline for each start year", lambda: cox(dated, names, START_YEAR, level)),
        ("time", choices.LAST_YEAR_ONLY, lambda: cox(last_year, names, None, level)),
        ("sample", "every paid relationship, by its number",
         lambda: cox(every, names, SPELL_NUMBER, level, is_clustered=True)),
        ("sample", choices.WITHOUT_LARGEST, lambda: cox(common, names, None, level)),
        ("event", choices.without("involuntary"), lambda: cox(forced, names, None, level)),
    ]  # fmt: skip


def at_notice(at_risk: pd.DataFrame, account_months: pd.DataFrame) -> pd.DataFrame | str:
    """The same spells, ended by notice: on the first day of the month that begins in notice.

    Args:
        at_risk: from `spells_at_risk`.
        account_months: period, account_id, is_in_notice (at the start of the month).

    Returns:
        One row per account at risk: its exit is the notice, when the account was in notice until it
        left or still is; or why there are none. Notice and exit within one month leave the exit as
        it is.
    """
    if "is_in_notice" not in account_months or not is_true(account_months["is_in_notice"]).any():
        return "no notice is recorded"
    months = account_months[["account_id", "period"]].assign(
        day=pd.to_datetime(account_months["period"].astype(str)),
        is_in_notice=is_true(account_months["is_in_notice"]),
    )
    own = months.merge(at_risk[["account_id", "start_date", "duration_days"]], on="account_id")
    age = (own["day"] - own["start_date"]).dt.days
    own = own.assign(age=age)[(age > 0) & (age < own["duration_days"])].sort_values("day")
    is_calm = own[~own["is_in_notice"]].groupby("account_id")["age"].max()
    own = own[own["is_in_notice"]]
    own = own[own["age"] > own["account_id"].map(is_calm).fillna(-1)]
    noticed = at_risk["account_id"].map(own.groupby("account_id")["age"].min())
    moved = at_risk.assign(
        duration_days=noticed.fillna(at_risk["duration_days"]).astype("int64"),
        is_event=at_risk["is_event"] | (noticed.notna() & ~at_risk["is_administrative"]),
    )
    return moved[moved["duration_days"] > moved["entry_days"]].reset_index(drop=True)


def largest(account_months: pd.DataFrame) -> pd.Index:
    """Accounts whose first recorded MRR is among the largest 1 %."""
    first = account_months.sort_values("period").groupby("account_id")["mrr"].first().astype(float)
    return first.index[first > first.quantile(1 - LARGEST_SHARE)]


def _kept(
    sample: pd.DataFrame | str, pair: tuple[str, str], chosen: Choices, note: str = ""
) -> dict[str, object]:
    """The contrast in one sample; `note` says what it speaks of."""
    if isinstance(sample, str):
        return {"estimate": np.nan, "ci_low": np.nan, "ci_high": np.nan, "n": 0, "n_events": 0,
                "note": sample}  # fmt: skip
    found = months_kept(sample, chosen.stratum, pair, chosen.confidence)
    found.pop("p_value")
    return found | {"note": found["note"] or note}


def _ratio(fit: Regression, pair: tuple[str, str], chosen: Choices) -> dict[str, object]:
    ratios = fit.ratios
    row = ratios[(ratios["term"] == chosen.stratum) & (ratios["level"] == pair[1])]
    blank = dict.fromkeys(("estimate", "ci_low", "ci_high"), np.nan)
    counts = {"n": fit.n, "n_events": fit.n_events}
    if row.empty or row["hazard_ratio"].isna().all():
        return blank | counts | {"note": fit.note or "no ratio can be given"}
    if row["reference"].iloc[0] != pair[0]:
        return blank | counts | {"note": "the reference is another level in this sample"}
    found = row[["hazard_ratio", "ci_low", "ci_high"]].iloc[0]
    return dict(zip(blank, found, strict=True)) | counts | {"note": ""}
