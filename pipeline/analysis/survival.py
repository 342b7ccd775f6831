"""How long do customers stay, and how do they leave?

Tables read: spells, accounts. Tables made: survival.curves, survival.levels,
survival.cumulative_incidence, survival.tests (log-rank), survival.restricted_means,
survival.hazard_by_tenure_month and the chapter's headlines. The regressions stand in
`survival_models`.

The subtle point: an account that existed before observation began was only seen because it had
stayed so long. It enters the risk set at the age it then had (delayed entry); a curve that forgets
this reads far too high.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection
from dataclasses import asdict, replace
from itertools import pairwise

import numpy as np
import pandas as pd

from pipeline.analysis.levels import levels_of
from pipeline.analysis.reliability import SMALLEST_N, fewest_at_risk
from pipeline.analysis.survival_readings import (
    DAYS_PER_MONTH,
    Reading,
    at_risk_on,
    curve_of,
    days_to_anniversary,
    earlier_cut_off,
    median_lifetime,
    month_edges,
    needed,
    recent,
    recut,
    retention,
)
from pipeline.statistics import (
    competing_risks,
    life_table,
    log_rank,
    multiplicity,
    restricted_mean,
)

CAUSES = ("voluntary", "involuntary", "completed", "unknown")
ADMINISTRATIVE = "administrative"
EVERYBODY = "all"
MONTHS_PER_YEAR = 12
LEFT_OUT, CENSORED = "left out", "in the curves, censored on the day of exit"
CURVE_COLUMNS = [
    "stratum", "level", "time_days", "estimate", "ci_low", "ci_high", "n_at_risk", "n_events",
    "n_censored",
]  # fmt: skip
INCIDENCE_COLUMNS = [
    "stratum", "level", "cause", "time_days", "estimate", "ci_low", "ci_high", "n_at_risk",
]  # fmt: skip
HEADLINES = ("retention_12_months_recent", "retention_12_months", "median_lifetime_months")
TEST_COLUMNS = ["test", "stratum", "statistic", "df", "p_value", "q_value", "note"]


def usable_strata(
    accounts: pd.DataFrame, strata: list[str], refused: Collection[str] = ()
) -> tuple[list[str], list[str]]:
    """Split the names of strata into those that can be used and those that cannot.

    Args:
        accounts: one row per account, the strata as columns.
        strata: names asked for.
        refused: names that may not be used, such as covariates that hold today's value.

    Returns:
        The names with at least one value, and the names without one or refused.
    """
    held = [
        name
        for name in strata
        if name in accounts and accounts[name].notna().any() and name not in refused
    ]
    return held, [name for name in strata if name not in held]


def spells_at_risk(
    spells: pd.DataFrame, accounts: pd.DataFrame, strata: list[str | None]
) -> pd.DataFrame:
    """First spells that were at risk at some time, with the strata of their accounts.

    Args:
        spells: one row per account and spell (account_id, spell, start_date, end_type,
            entry_days, duration_days, is_churn, is_age_known, is_followed).
        accounts: one row per account (account_id and the strata).
        strata: names of columns of `accounts`; None and repeated names are passed over.

    Returns:
        One row per account: account_id, start_date, entry_days, duration_days, is_event (churn
        that is not administrative), cause (of the event; blank when censored) and the strata as
        text levels.
    """
    counted = spells[(spells["spell"] == 1) & _true(spells["is_age_known"])]
    counted = counted[_true(counted["is_followed"])]
    is_event = _true(counted["is_churn"]) & (counted["end_type"] != ADMINISTRATIVE)
    cause = counted["end_type"].where(counted["end_type"].isin(CAUSES), "unknown").where(is_event)
    at_risk = counted[["account_id", "start_date", "entry_days", "duration_days"]].assign(
        is_event=is_event, cause=cause
    )
    names = [name for name in dict.fromkeys(strata) if name in accounts]
    levels = accounts[["account_id"]].assign(**{name: levels_of(accounts[name]) for name in names})
    return at_risk.merge(levels, on="account_id", how="left", validate="one_to_one").reset_index(
        drop=True
    )


def left_out(spells: pd.DataFrame) -> pd.DataFrame:
    """Count the spells that the curves do not use, and those they censor.

    Args:
        spells: as for `spells_at_risk`.

    Returns:
        One row per reason: reason, handling (left out, or censored: in the curves until that day),
        n.
    """
    first = spells["spell"] == 1
    known = _true(spells["is_age_known"])
    followed = _true(spells["is_followed"])
    ended = _true(spells["is_churn"]) & (spells["end_type"] == ADMINISTRATIVE)
    reasons = {
        ("later spells of accounts that came back", LEFT_OUT): ~first,
        ("first paid day unknown, so the age is unknown", LEFT_OUT): first & ~known,
        ("never at risk in the observed time", LEFT_OUT): first & known & ~followed,
        ("administrative exits", CENSORED): first & known & followed & ended,
    }
    counted = [(*names, int(mask.sum())) for names, mask in reasons.items()]
    return pd.DataFrame(counted, columns=["reason", "handling", "n"])


def curves(at_risk: pd.DataFrame, strata: list[str], confidence: float) -> pd.DataFrame:
    """Kaplan–Meier curves with delayed entry: everybody, then each level of each stratum.

    Args:
        at_risk: from `spells_at_risk`.
        strata: names of the strata.
        confidence: of the log-log limits.

    Returns:
        One row per stratum, level and time with an event or a censoring: the columns of
        survival.curves. Under ten accounts the estimate is blank and the counts stand.

    Source: Kaplan and Meier (1958), JASA 53: 457.
    """
    blocks = [
        curve_of(level_spells, confidence)
        .rename(columns={"time": "time_days", "at_risk": "n_at_risk", "events": "n_events",
                         "censored": "n_censored"})
        .assign(stratum=stratum, level=level)
        for stratum, level, level_spells in _levels(at_risk, strata)
    ]  # fmt: skip
    counts = {"n_at_risk": "int64", "n_events": "int64", "n_censored": "int64"}
    return _stack(blocks, CURVE_COLUMNS).astype(counts)


def levels(
    at_risk: pd.DataFrame, strata: list[str], confidence: float, months: int = 12
) -> pd.DataFrame:
    """What each level's curve says at one month mark.

    Args:
        at_risk: from `spells_at_risk`.
        strata: names of the strata.
        confidence: of the interval.
        months: the mark.

    Returns:
        One row per stratum and level: stratum, level, months, n, n_events, estimate, ci_low,
        ci_high, note.
    """
    rows = []
    for stratum, level, level_spells in _levels(at_risk, strata):
        reading = retention(level_spells, days_to_anniversary(months), confidence)
        rows.append(
            {"stratum": stratum, "level": level, "months": months, "n": reading.n,
             "n_events": int(level_spells["is_event"].sum()), "estimate": reading.estimate,
             "ci_low": reading.ci_low, "ci_high": reading.ci_high, "note": reading.note}
        )  # fmt: skip
    return pd.DataFrame(rows)


def cumulative_incidence(
    at_risk: pd.DataFrame, strata: list[str], confidence: float
) -> pd.DataFrame:
    """Share of customers gone by each age, by cause of leaving (Aalen–Johansen).

    Args:
        at_risk: from `spells_at_risk`.
        strata: names of the strata.
        confidence: of the limits.

    Returns:
        One row per stratum, level, cause that occurred and time: the columns of
        survival.cumulative_incidence. Under ten accounts the estimate is blank.

    Source: Aalen and Johansen (1978), Scandinavian Journal of Statistics 5: 141.
    """
    blocks = []
    for stratum, level, level_spells in _levels(at_risk, strata):
        codes = level_spells["cause"].map({cause: i + 1 for i, cause in enumerate(CAUSES)})
        if not codes.notna().any():
            continue
        incidence = competing_risks.aalen_johansen(
            level_spells["duration_days"].to_numpy(float),
            codes.fillna(0).to_numpy(int),
            level_spells["entry_days"].to_numpy(float),
            confidence,
        )
        if len(level_spells) < SMALLEST_N:
            incidence = incidence.assign(estimate=np.nan, ci_low=np.nan, ci_high=np.nan)
        names = incidence["cause"].map(dict(enumerate(CAUSES, start=1)))
        blocks.append(
            incidence.rename(columns={"time": "time_days", "at_risk": "n_at_risk"}).assign(
                stratum=stratum, level=level, cause=names
            )
        )
    return _stack(blocks, INCIDENCE_COLUMNS).astype({"n_at_risk": "int64"})


def tests(at_risk: pd.DataFrame, strata: list[str], stratify_by: str | None) -> pd.DataFrame:
    """Log-rank tests with delayed entry: do the curves of a stratum's levels differ?

    Args:
        at_risk: from `spells_at_risk`, with `stratify_by` among its columns when given.
        strata: names of the strata.
        stratify_by: a stratum within whose levels the others are compared as well.

    Returns:
        One row per test: the columns of survival.tests and a note. q values
        (Benjamini–Hochberg) are over the log_rank rows.
    """
    rows = [_log_rank("log_rank", at_risk, stratum, None) for stratum in strata]
    for row, q_value in zip(
        rows, multiplicity.benjamini_hochberg([row["p_value"] for row in rows]), strict=True
    ):
        row["q_value"] = q_value
    if stratify_by in at_risk:
        rows += [
            _log_rank("log_rank_stratified", at_risk, stratum, stratify_by)
            for stratum in strata
            if stratum != stratify_by
        ]
    return pd.DataFrame(rows, columns=TEST_COLUMNS)


def restricted_means(
    at_risk: pd.DataFrame, strata: list[str], horizons_months: list[int], confidence: float
) -> pd.DataFrame:
    """Mean months stayed within a horizon, by level, and its difference to the largest level.

    Args:
        at_risk: from `spells_at_risk`.
        strata: names of the strata.
        horizons_months: horizons, in months.
        confidence: of the intervals (normal, Greenwood plug-in).

    Returns:
        One row per stratum, level, horizon and measure (restricted_mean, difference): estimate,
        ci_low, ci_high in months, reference, n, note. Blank where too few are followed so far.

    Source: Royston and Parmar (2013), BMC Medical Research Methodology 13: 152.
    """
    rows = []
    for months in horizons_months:
        for stratum in [EVERYBODY, *strata]:
            rows += _restricted_means(at_risk, stratum, months, confidence)
    return pd.DataFrame(rows)


def hazard_by_tenure_month(at_risk: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Leaving rate by month of tenure: exits over the account-months spent in it.

    Args:
        at_risk: from `spells_at_risk`.
        confidence: of the exact Poisson interval.

    Returns:
        One row per month of tenure: tenure_month, n_at_risk (accounts seen in it),
        exposure_months, n_events, hazard, ci_low, ci_high (events per account-month; blank from
        fewer than ten accounts). Month k ends on the longest possible k-th anniversary, so that a
        lapse on any k-th anniversary falls in month k.
    """
    entry, exits = at_risk["entry_days"].to_numpy(), at_risk["duration_days"].to_numpy()
    edges = month_edges(int(exits.max()) if len(exits) else 0)
    bands = life_table.hazard_by_band(
        exits, at_risk["is_event"].to_numpy(bool), entry, edges, confidence
    )
    seen = np.array([int(((entry < high) & (exits > low)).sum()) for low, high in pairwise(edges)])
    rates = bands[["hazard", "ci_low", "ci_high"]].mul(DAYS_PER_MONTH)
    rates = rates.where(pd.Series(seen >= SMALLEST_N, index=rates.index), np.nan)
    return pd.DataFrame(
        {
            "tenure_month": np.arange(1, len(edges)),
            "n_at_risk": seen,
            "exposure_months": bands["exposure"].to_numpy() / DAYS_PER_MONTH,
            "n_events": bands["events"].to_numpy().astype("int64"),
        }
    ).join(rates)


def supported(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows at which enough accounts are at risk to be drawn: ten, or 5 % of the most.

    Args:
        rows: with n_at_risk, such as `hazard_by_tenure_month` or one stratum of incidence.
    """
    least = fewest_at_risk(rows["n_at_risk"].max() if len(rows) else 0)
    return rows[rows["n_at_risk"] >= least].reset_index(drop=True)


def gone_by(incidence: pd.DataFrame, months: int = 12) -> dict[str, float]:
    """Share of everybody gone by a month mark, for each cause.

    Args:
        incidence: from `cumulative_incidence`.
        months: the mark.

    Returns:
        Share by cause, zero for a cause that had not occurred by then.
    """
    everybody = incidence[incidence["stratum"] == EVERYBODY]
    past = everybody[everybody["time_days"] <= days_to_anniversary(months)]
    shares = past.groupby("cause")["estimate"].last()
    return shares.reindex(list(CAUSES), fill_value=0.0).to_dict()


def headline(
    at_risk: pd.DataFrame,
    *,
    cut_off: dt.date,
    observation_start: dt.date | None,
    is_final: bool,
    confidence: float,
) -> pd.DataFrame:
    """The chapter's headlines, with the same number a month and a year before.

    Args:
        at_risk: from `spells_at_risk`.
        cut_off: analysis cut-off of the slice.
        observation_start: first day observed; None: the first start.
        is_final: False: what stands may still move, the state says provisional.
        confidence: of the intervals.

    Returns:
        One row per headline: name, estimate, ci_low, ci_high, n, state, note, previous, year_ago.
        Comparisons are this slice cut earlier; blank where that lies before the observation.
    """
    year = days_to_anniversary(12)
    measures: dict[str, tuple[int, Callable[[pd.DataFrame, dt.date], Reading]]] = {
        "retention_12_months": (0, lambda spells, _: retention(spells, year, confidence)),
        "retention_12_months_recent": (
            MONTHS_PER_YEAR,
            lambda spells, day: retention(recent(spells, day), year, confidence),
        ),
        "median_lifetime_months": (0, lambda spells, _: median_lifetime(spells, confidence)),
    }
    first = pd.Timestamp(observation_start or at_risk["start_date"].min())
    rows = []
    for name, (looks_back, measure) in measures.items():
        reading = measure(at_risk, cut_off)
        if looks_back and pd.Timestamp(earlier_cut_off(cut_off, looks_back)) < first:
            parts = (f"observed only since {first.date()}", reading.note)
            reading = replace(reading, note="; ".join(part for part in parts if part))
        if not is_final and reading.state == "ok":
            reading = replace(reading, state="provisional")
        rows.append({"name": name, **asdict(reading)})
        for column, months in (("previous", 1), ("year_ago", 12)):
            then = earlier_cut_off(cut_off, months)
            is_seen = pd.Timestamp(earlier_cut_off(then, looks_back)) >= first
            rows[-1][column] = measure(recut(at_risk, then), then).estimate if is_seen else np.nan
    return pd.DataFrame(rows)


def _true(flags: pd.Series) -> pd.Series:
    return flags.astype("boolean").fillna(False).astype(bool)


def _levels(at_risk: pd.DataFrame, strata: list[str]) -> list[tuple[str, str, pd.DataFrame]]:
    blocks = [(EVERYBODY, EVERYBODY, at_risk)]
    for stratum in strata:
        if stratum == EVERYBODY:
            continue
        blocks += [
            (stratum, str(level), group) for level, group in at_risk.groupby(stratum, sort=True)
        ]
    return blocks


def _stack(blocks: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    filled = [block[columns] for block in blocks if len(block)]
    if not filled:
        return pd.DataFrame({column: pd.Series(dtype=float) for column in columns})
    return pd.concat(filled, ignore_index=True)


def _log_rank(
    test: str, at_risk: pd.DataFrame, stratum: str, stratify_by: str | None
) -> dict[str, object]:
    result = log_rank.log_rank(
        at_risk["duration_days"].to_numpy(float),
        at_risk["is_event"].to_numpy(bool),
        at_risk[stratum].to_numpy(),
        at_risk["entry_days"].to_numpy(float),
        strata=at_risk[stratify_by].to_numpy() if stratify_by else None,
    )
    within = f"within {stratify_by}" if stratify_by else ""
    return {
        "test": test, "stratum": stratum, "statistic": result.statistic, "df": result.df,
        "p_value": result.p_value, "q_value": np.nan, "note": result.reason or within,
    }  # fmt: skip


def _restricted_means(
    at_risk: pd.DataFrame, stratum: str, months: int, confidence: float
) -> list[dict[str, object]]:
    horizon = days_to_anniversary(months)
    groups = (
        {EVERYBODY: at_risk}
        if stratum == EVERYBODY
        else {str(level): group for level, group in at_risk.groupby(stratum, sort=True)}
    )
    reference = max(groups, key=lambda level: len(groups[level])) if len(groups) > 1 else ""
    rows = []
    for level, group in groups.items():
        common = {"stratum": stratum, "level": level, "horizon_months": months, "n": len(group)}
        kind = {"measure": "restricted_mean", "reference": ""}
        rows.append(common | kind | _mean_within([group], horizon, confidence))
        if reference and level != reference:
            kind = {"measure": "difference", "reference": reference}
            pair = [groups[reference], group]
            rows.append(common | kind | _mean_within(pair, horizon, confidence))
    return rows


def _mean_within(groups: list[pd.DataFrame], horizon: int, confidence: float) -> dict[str, object]:
    """Restricted mean of one group, or of the second less the first, in months."""
    for group in groups:
        followed, least = at_risk_on(group, horizon), needed(group)
        if followed < least:
            note = f"only {followed} accounts at risk at day {horizon}, {least} are needed"
            return {"estimate": np.nan, "ci_low": np.nan, "ci_high": np.nan, "note": note}
    arrays = [
        (
            group["duration_days"].to_numpy(float),
            group["is_event"].to_numpy(bool),
            group["entry_days"].to_numpy(float),
        )
        for group in groups
    ]
    if len(groups) == 1:
        mean = restricted_mean.restricted_mean(*arrays[0], horizon, confidence)
    else:
        mean = restricted_mean.restricted_mean_difference(*arrays, horizon, confidence)
    values = [value / DAYS_PER_MONTH for value in (mean.estimate, mean.ci_low, mean.ci_high)]
    return dict(zip(("estimate", "ci_low", "ci_high"), values, strict=True)) | {"note": ""}
