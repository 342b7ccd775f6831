"""What is a new customer worth, and does it repay what it cost to win?

Reads spells, mrr_ledger and accounts. Makes revenue.lifetime_value and the headlines ltv_36_months,
ltv_to_cac and cac_payback_months. The subtle point: revenue per account over a churn rate assumes
that nobody's risk ever falls; here the curve is the observed one, up to a horizon that was seen.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.analysis import checks
from pipeline.analysis.levels import levels_of
from pipeline.analysis.reliability import DAYS_PER_MONTH, DAYS_PER_YEAR, SMALLEST_N
from pipeline.analysis.revenue.lives import LONGEST, Population, earlier, lives_of
from pipeline.statistics import bootstrap
from pipeline.statistics.lifetime_value import (
    Lives,
    complete_case_value,
    cumulative_value,
    days_to_repay,
    payment_by_day,
    survival_by_day,
)
from pipeline.statistics.restricted_mean import Estimate

CHAPTER = 2
WHOLE_TASK, LEVEL_TASK = 1, 2
HORIZONS = {12: 366, 24: 731, 36: LONGEST}
"""Months to days: the longest possible anniversaries; GLOSSARY, month marks."""
MONTH_DAYS = 31
LEAST_AT_RISK = 20
"""No value beyond the age at which fewer are at risk; GLOSSARY, lifetime value."""
COVERAGE_NEEDED = 0.80
"""Share of new accounts whose cost must be known before it is compared."""
DRAWS = 200
LIFETIME = ("ltv_36_months", "ltv_to_cac", "cac_payback_months")


@dataclass(frozen=True)
class Terms:
    """What turns MRR into value: the share that is margin (None: revenue) and the discount."""

    margin_share: float | None
    discount_per_year: float

    @property
    def per_day(self) -> float:
        """Value of one unit of MRR paid for one day."""
        return (1.0 if self.margin_share is None else self.margin_share) / DAYS_PER_MONTH

    @property
    def discount(self) -> float:
        """Continuous rate per day."""
        return float(np.log1p(self.discount_per_year) / DAYS_PER_YEAR)

    @property
    def says(self) -> str:
        """What the value is one of."""
        return "revenue, no margin is set" if self.margin_share is None else "margin"


def lifetime_headline(
    spells: pd.DataFrame, mrr_ledger: pd.DataFrame, accounts: pd.DataFrame, cut_off: dt.date,
    as_of: dt.date, terms: Terms, confidence: float, seed: int,
) -> pd.DataFrame:  # fmt: skip
    """Lifetime value over 36 months, over what a customer costs, and when it has repaid that.

    Args:
        spells: see the schema; first spells whose first paid day is known enter.
        mrr_ledger: observed months.
        accounts: account_id, first_paid_date, acquisition_cost.
        cut_off: analysis cut-off of the slice; lives are followed up to it.
        as_of: as-of date; the cost is that of the accounts won in the 12 months to it.
        terms: margin and discount.
        confidence: of the intervals.
        seed: of the draws of accounts.

    Returns:
        one row per headline of LIFETIME: name, estimate (currency per account, ratio, months),
        ci_low, ci_high, n, n_events, state, note, previous, year_ago (this slice cut earlier).
        A horizon with fewer than LEAST_AT_RISK accounts leaves the value blank; an upper limit of
        the payback that more than its share of draws did not reach is open.
    """
    made = Population.of(spells, mrr_ledger, accounts, cut_off, as_of)
    rows = _readings(made, terms, confidence, _stream(seed, WHOLE_TASK))
    if cut_off < as_of:
        rows["state"] = rows["state"].mask(rows["state"] == "ok", "provisional")
    for column, back in (("previous", 1), ("year_ago", 12)):
        days = (earlier(day, back) for day in (cut_off, as_of))
        before = _points(Population.of(spells, mrr_ledger, accounts, *days), terms)
        rows[column] = [point if np.isfinite(point) else np.nan for point in before]
    return rows


def lifetime_value(
    spells: pd.DataFrame, mrr_ledger: pd.DataFrame, accounts: pd.DataFrame, cut_off: dt.date,
    as_of: dt.date, terms: Terms, confidence: float, seed: int, by: str,
) -> pd.DataFrame:  # fmt: skip
    """The value of a new customer by horizon, for everybody and by level of a column.

    Args:
        spells: see `lifetime_headline`, as all that follow.
        mrr_ledger: observed months.
        accounts: with the column `by`.
        cut_off: analysis cut-off.
        as_of: as-of date.
        terms: margin and discount.
        confidence: of the intervals.
        seed: of the draws.
        by: column whose levels are valued one by one.

    Returns:
        one row per level ("all" first) and horizon: level, horizon_months, estimate with limits,
        by_complete_cases (the second opinion: accounts seen from their first day, weighted),
        wrong_revenue_over_churn (the usual shortcut, which knows no horizon), n, n_events,
        n_at_risk (fewest up to the horizon), is_revenue, note.
    """
    whole = Population.of(spells, mrr_ledger, accounts, cut_off, as_of)
    level = levels_of(accounts.set_index("account_id")[by].reindex(whole.account_ids))
    blocks = [_rows_of(whole, "all", terms, confidence, _stream(seed, WHOLE_TASK))]
    for place, name in enumerate(sorted(level.unique()), start=1):
        part = whole.part(level.eq(name).to_numpy())
        blocks.append(_rows_of(part, name, terms, confidence, _stream(seed, LEVEL_TASK, place)))
    return pd.DataFrame([row for block in blocks for row in block])


def lifetime_checks(table: pd.DataFrame) -> dict[str, list[checks.Check]]:
    """What was looked at before a lifetime value is believed, by headline.

    The second opinion from complete cases must lie within the interval wherever it can be made.
    """
    whole = table[(table["level"] == "all") & table["by_complete_cases"].notna()]
    found = [
        checks.calibration(
            row.ci_low / row.by_complete_cases, row.ci_high / row.by_complete_cases,
            what=f"{row.horizon_months} months against complete cases",
        )
        for row in whole.itertuples()
    ]  # fmt: skip
    n_events = int(table["n_events"].max()) if len(table) else 0
    own = [checks.events_per_parameter(n_events, 1), *found]
    return {name: own for name in LIFETIME}


def revenue_over_churn(
    spells: pd.DataFrame, mrr_ledger: pd.DataFrame, cut_off: dt.date, terms: Terms
) -> dict[str, float]:
    """The usual shortcut: mean margin per month over a churn rate, by the ages the rate is of.

    Wrong on purpose, for the bias ledger: it assumes that nobody's risk ever falls.
    """
    lives = lives_of(spells, mrr_ledger, cut_off)
    spans = {"the first month": MONTH_DAYS, "the first year": HORIZONS[12], "all months": np.inf}
    monthly = _mean_per_day(lives, terms) * DAYS_PER_MONTH
    rates = {ages: _churn_rate(lives, days) for ages, days in spans.items()}
    return {ages: monthly / rate if rate else np.nan for ages, rate in rates.items()}


def _value(lives: Lives, terms: Terms) -> NDArray[np.float64]:
    """Cumulative value by day up to the longest horizon."""
    return _values(lives, terms, np.ones((1, len(lives))))[0]


def _values(lives: Lives, terms: Terms, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same, one row per row of weights of accounts."""
    payments = payment_by_day(lives, LONGEST, weights) * terms.per_day
    curves = (survival_by_day(lives, LONGEST, own)[0] for own in weights)
    pairs = zip(curves, payments, strict=True)
    return np.array([cumulative_value(*pair, terms.discount) for pair in pairs])


def _supported_days(lives: Lives) -> int:
    """The last day up to which enough are at risk on every day."""
    _, at_risk = survival_by_day(lives, LONGEST)
    thin = at_risk < LEAST_AT_RISK
    return int(thin.argmax()) if thin.any() else LONGEST


def _draws(made: Population, terms: Terms, stream: np.random.Generator) -> NDArray[np.float64]:
    """One row per draw of accounts: value by day, then the mean cost of its recent ones."""
    n, n_lives = len(made.account_ids), len(made.lives)
    if not n_lives:
        return np.full((0, LONGEST + 2), np.nan)
    known = np.isfinite(made.cost)
    spent = np.where(known, made.cost, 0.0)
    blocks = []
    for counts in bootstrap.drawn(n, DRAWS, stream):
        weights = counts.astype(float)
        total, counted = weights @ spent, weights @ known
        cost = np.divide(total, counted, out=np.full(len(counts), np.nan), where=counted > 0)
        values = _values(made.lives, terms, weights[:, :n_lives])
        blocks.append(np.column_stack([values, cost]))
    return np.concatenate(blocks)


def _readings(
    made: Population, terms: Terms, confidence: float, stream: np.random.Generator
) -> pd.DataFrame:
    points, draws = _points(made, terms), _draws(made, terms, stream)
    per_draw = np.array([_three(draw[:-1], draw[-1], terms) for draw in draws]).reshape(-1, 3)
    rows = []
    for name, point, column in zip(LIFETIME, points, per_draw.T, strict=True):
        is_there = np.isfinite(point)
        ends = _percentiles(column, confidence)
        low, high = (end if is_there and np.isfinite(end) else np.nan for end in ends)
        state, note = _state(name, made, terms, point)
        rows.append({"name": name, "estimate": point if is_there else np.nan, "ci_low": low,
                     "ci_high": high, "n": len(made.lives),
                     "n_events": int(made.lives.is_event.sum()), "state": state,
                     "note": note})  # fmt: skip
    return pd.DataFrame(rows)


def _points(made: Population, terms: Terms) -> list[float]:
    """The three headlines; missing where they cannot be told, inf for a cost not repaid."""
    supported = _supported_days(made.lives)
    cost = float(np.nanmean(made.cost)) if _is_cost_known(made) else np.nan
    worth, ratio, payback = _three(_value(made.lives, terms), cost, terms)
    if supported < LONGEST:
        worth = ratio = np.nan
        payback = payback if payback <= supported / DAYS_PER_MONTH else np.nan
    return [worth, ratio, payback]


def _is_cost_known(made: Population) -> bool:
    return made.coverage >= COVERAGE_NEEDED and made.n_cost >= SMALLEST_N


def _three(value: NDArray, cost: float, terms: Terms) -> tuple[float, float, float]:
    worth = float(value[LONGEST])
    if not cost > 0:
        return worth, np.nan, np.nan
    return worth, worth / cost, days_to_repay(value, cost, terms.discount) / DAYS_PER_MONTH


def _state(name: str, made: Population, terms: Terms, point: float) -> tuple[str, str]:
    """State and note of a headline, with what stands in the way when there is no number."""
    cost = f"{made.n_cost} of {made.is_recent.sum()} accounts won in 12 months have a cost"
    if name == "cac_payback_months" and np.isinf(point):
        return "not_reached", f"not repaid within 36 months; {cost}"
    if np.isfinite(point):
        return "ok", f"of {terms.says}" + (f"; {cost}" if name != "ltv_36_months" else "")
    if name != "ltv_36_months" and not _is_cost_known(made):
        return "not_available", cost
    supported = _supported_days(made.lives)
    seen = f"{_value(made.lives, terms)[supported]:,.0f} by month {supported / DAYS_PER_MONTH:.0f}"
    return "not_available", (
        f"fewer than {LEAST_AT_RISK} accounts at risk before month 36; "
        f"{seen if supported else 'none at the start'}"
    )


def _percentiles(draws: NDArray, confidence: float) -> tuple[float, float]:
    """The limits that leave out the tails of the draws; inf draws, not reached, are the largest."""
    known = draws[~np.isnan(draws)]
    if not len(known):
        return np.nan, np.nan
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = np.quantile(known, tails, method="inverted_cdf")
    return float(low), float(high)


def _rows_of(
    made: Population, level: str, terms: Terms, confidence: float, stream: np.random.Generator
) -> list[dict[str, object]]:
    lives = made.lives
    value, draws = _value(lives, terms), _draws(made, terms, stream)
    _, at_risk = survival_by_day(lives, LONGEST)
    rate = _churn_rate(lives)
    shortcut = _mean_per_day(lives, terms) * DAYS_PER_MONTH / rate if rate else np.nan
    rows = []
    for months, days in HORIZONS.items():
        is_seen = at_risk[:days].min() >= LEAST_AT_RISK
        limits = _percentiles(draws[:, days], confidence) if is_seen else (np.nan, np.nan)
        second = _by_complete_cases(lives, terms, days, confidence)
        rows.append({"level": level, "horizon_months": months,
                     "estimate": value[days] if is_seen else np.nan, "ci_low": limits[0],
                     "ci_high": limits[1], "by_complete_cases": second.estimate,
                     "wrong_revenue_over_churn": shortcut if is_seen else np.nan,
                     "n": len(lives), "n_events": int(lives.is_event.sum()),
                     "n_at_risk": int(at_risk[:days].min()),
                     "is_revenue": terms.margin_share is None,
                     "note": "" if is_seen else f"fewer than {LEAST_AT_RISK} at risk"})  # fmt: skip
    return rows


def _by_complete_cases(lives: Lives, terms: Terms, horizon: int, confidence: float) -> Estimate:
    """The value from accounts seen from their first day; blank where few were followed so far."""
    seen = lives.entry == 0
    starts = np.concatenate([[0], lives.band_ends[:-1]])
    inside = np.clip((horizon - starts) / np.diff(np.append(starts, lives.band_ends[-1])), 0, 1)
    middle = (starts + lives.band_ends) / 2
    worth = (lives.paid[seen] * terms.per_day * inside * np.exp(-terms.discount * middle)).sum(1)
    if (lives.exit[seen] >= horizon).sum() < LEAST_AT_RISK:
        return Estimate(np.nan, np.nan, np.nan, np.nan)
    return complete_case_value(lives.exit[seen], lives.is_event[seen], worth, horizon, confidence)


def _mean_per_day(lives: Lives, terms: Terms) -> float:
    days = lives.days.sum()
    return float(lives.paid.sum() / days * terms.per_day) if days else np.nan


def _churn_rate(lives: Lives, days: float = np.inf) -> float:
    """Events per account-month up to an age, as the shortcuts take it."""
    happened = lives.is_event & (lives.exit <= days)
    exposure = np.clip(np.minimum(lives.exit, days) - lives.entry, 0, None).sum()
    return float(happened.sum() / (exposure / DAYS_PER_MONTH)) if exposure else np.nan


def _stream(seed: int, *task: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(CHAPTER, *task)))
