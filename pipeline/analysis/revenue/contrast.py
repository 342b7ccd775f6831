"""Do we lose fewer than a year ago? The primary contrast of the chapter.

Reads mrr_ledger and accounts. The subtle point: a year's churn moves when the mix of customers
does, so both years are read at one mix; and one customer counts in many months, so months of one
account are no independent witnesses.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from pipeline.analysis import checks
from pipeline.analysis.levels import NOT_MEASURED, levels_of
from pipeline.analysis.reliability import EVENTS_PER_PARAMETER
from pipeline.analysis.revenue.ledger import shift
from pipeline.statistics.direct_standardisation import Difference, standardised_difference
from pipeline.statistics.rates import TOLERATED_DISPERSION, Rate, dispersion

WINDOW = 12
"""Months on each side, so that each holds every season once."""
SMALLEST_EFFECTIVE_N = 20.0
MEASURES = {
    "gross_account_churn_rate": ("is_lost", "n", "share of customers lost per month"),
    "gross_mrr_churn_rate": ("mrr_lost", "mrr_start", "share of MRR lost per month"),
}
"""Measure → what is counted, out of what, in words."""
UNIT = "difference of shares"
TWO_YEARS, SPREAD = "two settled years", "spread of months"
FEWEST_LOST = 2 * EVENTS_PER_PARAMETER
"""Two rates, each with as many losses as a parameter of a model needs."""


@dataclass(frozen=True)
class Compared:
    """The two years of a contrast: its numbers, accounts and events, and why some are missing."""

    difference: Difference | None
    n: int
    n_events: int
    spread: float
    spread_low: float
    first: str
    last: str
    note: str = ""


def starters(mrr_ledger: pd.DataFrame, accounts: pd.DataFrame, by: str) -> pd.DataFrame:
    """The customers at the start of each settled month, and what was lost of them.

    Args:
        mrr_ledger: observed months.
        accounts: account_id and, where there is one, the column `by`.
        by: column whose levels make the mix.

    Returns:
        one row per month and customer at its start: period, account_id, level, n (1), is_lost (0 or
        1), mrr_start, mrr_lost (churned or contracted), end_type, is_due.
    """
    rows = mrr_ledger[mrr_ledger["is_settled"] & (mrr_ledger["mrr_start"] > 0)]
    return pd.DataFrame(
        {
            "period": rows["period"].to_numpy(),
            "account_id": rows["account_id"].to_numpy(),
            "level": level_by_account(accounts, by).reindex(rows["account_id"]).to_numpy(),
            "n": 1.0,
            "is_lost": rows["mrr_end"].eq(0).to_numpy(dtype=float),
            "mrr_start": rows["mrr_start"].to_numpy(),
            "mrr_lost": (rows["mrr_start"] - rows["mrr_end"]).clip(lower=0).to_numpy(),
            "end_type": rows["end_type"].to_numpy(),
            "is_due": rows["is_due_for_renewal"].eq(True).to_numpy(),
        }
    ).fillna({"level": NOT_MEASURED})


def level_by_account(accounts: pd.DataFrame, by: str) -> pd.Series:
    """The mix level of each account (the index); all alike where the column is not there."""
    if by not in accounts:
        return pd.Series(NOT_MEASURED, index=accounts["account_id"])
    return levels_of(accounts[by]).set_axis(accounts["account_id"])


def compared(rows: pd.DataFrame, measure: str, confidence: float) -> Compared:
    """The newest 12 settled months against the 12 before, at one mix.

    Args:
        rows: see `starters`.
        measure: a name of MEASURES.
        confidence: of the interval.
    """
    above, below, _ = MEASURES[measure]
    months = sorted(rows["period"].unique())
    last = months[-1] if months else ""
    first = shift(last, 1 - 2 * WINDOW) if last else ""
    seen = rows[rows["period"] >= first]
    if seen["period"].nunique() < 2 * WINDOW:
        note = f"{len(months)} settled months; {2 * WINDOW} in a row are needed"
        return Compared(None, 0, 0, np.nan, np.nan, first, last, note)
    is_second = (seen["period"] > shift(last, -WINDOW)).to_numpy()
    spread = _spread(seen, is_second, confidence)
    widened = spread.estimate if spread.estimate > TOLERATED_DISPERSION else 1.0
    found = standardised_difference(
        seen["account_id"], is_second, seen["level"], seen[above], seen[below], confidence, widened
    )
    n, n_events = seen["account_id"].nunique(), int((seen[above] > 0).sum())
    told, note = _believable(found)
    return Compared(told, n, n_events, spread.estimate, spread.ci_low, first, last, note)


def contrast(
    mrr_ledger: pd.DataFrame, accounts: pd.DataFrame, measure: str, by: str, confidence: float
) -> dict[str, object]:
    """Is the monthly churn of the newest 12 settled months that of the 12 before?

    Args:
        mrr_ledger: observed months.
        accounts: account_id and the column `by`.
        measure: gross_account_churn_rate or gross_mrr_churn_rate.
        by: column whose mix is held fixed.
        confidence: of the interval.

    Returns:
        name, statement, estimand, population, estimate (difference of two monthly shares; negative:
        less is lost than before), ci_low, ci_high, unit, p_value, n, n_events, checks, null.
        The estimate is missing, with the reason in a hard check, before 24 settled months; its
        limits under an effective size of SMALLEST_EFFECTIVE_N.
    """
    found = compared(starters(mrr_ledger, accounts, by), measure, confidence)
    what = MEASURES[measure][2]
    middle = shift(found.last, -WINDOW) if found.last else ""
    numbers = found.difference
    return {
        "name": contrast_name(measure),
        "statement": f"{what}, the 12 settled months to {found.last} less the 12 to {middle}, at "
                     f"one mix of {by}",
        "estimand": f"Difference of the {what} between the two years, had both had the "
                    f"mix of {by} of the two together.",
        "population": "Customers at the start of each settled month, every end type counted; "
                      "months of one account taken together.",
        "estimate": numbers.estimate if numbers else np.nan,
        "ci_low": numbers.ci_low if numbers else np.nan,
        "ci_high": numbers.ci_high if numbers else np.nan,
        "unit": UNIT,
        "p_value": numbers.p_value if numbers else np.nan,
        "n": found.n,
        "n_events": found.n_events,
        "checks": contrast_checks(found),
        "null": 0.0,
    }  # fmt: skip


def contrast_name(measure: str) -> str:
    """What the contrast of a measure is called: not as the headline of the newest month."""
    return f"{measure}, year on year"


def contrast_checks(found: Compared) -> list[checks.Check]:
    """Months enough, events enough, accounts enough, and months that differ by chance alone."""
    if found.difference is None:
        return [checks.Check(TWO_YEARS, False, found.note, is_hard=True)]
    spread = (
        f"months differ {found.spread:.2f} times as much as chance alone; "
        "the interval is widened by its root above 1.2"
    )
    is_chance = not found.spread_low > 1
    return [
        checks.enough_events(found.n_events, FEWEST_LOST, "loss", "losses", is_hard=True),
        checks.effective_sample_size(found.difference.effective_n, SMALLEST_EFFECTIVE_N),
        checks.Check(SPREAD, is_chance, spread),
    ]


def _believable(found: Difference) -> tuple[Difference, str]:
    """The difference without limits where a few accounts decide it, and why it has none."""
    if found.effective_n < SMALLEST_EFFECTIVE_N:
        blank = replace(found, std_err=np.nan, ci_low=np.nan, ci_high=np.nan, p_value=np.nan)
        return blank, f"interval withheld: effective sample size {found.effective_n:.0f}"
    return found, "" if np.isfinite(found.std_err) else "no interval: accounts do not differ"


def _spread(seen: pd.DataFrame, is_second: np.ndarray, confidence: float) -> Rate:
    """How much the months' counts spread around the rates of their window and level."""
    cells = seen.assign(side=is_second).groupby(["side", "level", "period"])[["is_lost", "n"]].sum()
    sides = cells.groupby(["side", "level"]).transform("sum")
    expected = (cells["n"] * sides["is_lost"] / sides["n"]).groupby(["side", "period"]).sum()
    events = cells["is_lost"].groupby(["side", "period"]).sum()
    return dispersion(events, expected, 2, confidence)
