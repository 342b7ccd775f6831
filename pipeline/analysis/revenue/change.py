"""Is this month news? The usual range, and mix against rate.

Reads mrr_ledger and accounts. Makes revenue.usual_range and revenue.mix_rate. The subtle point:
only settled months set the limits and only they can signal; a provisional month still counts
customers as lost who will be back. And limits stand still for a year, or a slow drift would carry
its own limits along.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pipeline.analysis.reliability import MONTHS_PER_YEAR, SMALLEST_N
from pipeline.analysis.revenue.ledger import months, over
from pipeline.statistics.control_chart import laney_p_chart, laney_u_chart
from pipeline.statistics.decomposition import mix_and_rate

CHARTS = ("gross_account_churn_rate", "gross_mrr_churn_rate", "customers_new")
INVOLUNTARY = "involuntary_churn"
"""Charted beside CHARTS in every report: payments that fail are another trade than customers."""
PER_CUSTOMERS = 100.0
WITHIN, ABOVE, BELOW, RUN = "within", "above", "below", "run"
TOO_FEW = "too_few_months"
MEANINGS = {
    WITHIN: "within its usual range",
    ABOVE: "above its usual range",
    BELOW: "below its usual range",
    RUN: "within its limits, but after a long run of months on one side of its centre",
    TOO_FEW: "not judged: too few settled months to say",
}
MIX_COLUMNS = [
    "measure", "level", "period", "previous_period", "n_before", "n_now", "weight_before",
    "weight_now", "rate_before", "rate_now", "mix", "rate", "change", "mix_against_average", "part",
]  # fmt: skip
MIXED = ("gross_account_churn_rate", "gross_mrr_churn_rate", "net_revenue_retention")


def usual_range(
    mrr_ledger: pd.DataFrame, charts: Sequence[str], months_needed: int
) -> pd.DataFrame:
    """Each month of each chart beside the range that chance alone would give.

    Account churn is charted as observed over expected, given how many customers were due for
    renewal; MRR churn as a share weighted by each month's effective sample size; new customers as a
    count; involuntary churn per 100 customers at start. Limits: Laney, 3 sigma, from the settled
    months to the last turn of a year (while they are fewer than needed, from the first ones), so
    that they stand still for 12 months.

    Args:
        mrr_ledger: observed months.
        charts: names out of CHARTS, or INVOLUNTARY.
        months_needed: settled months below which there are no limits.

    Returns:
        one row per chart and period: chart, period, value, centre, lower, upper, is_signal,
        rule (beyond, run), is_settled, n_settled, is_baseline (sets the limits). Limits are missing
        when the settled months are too few.

    Raises:
        ValueError: a chart that does not exist.
    """
    unknown = [name for name in charts if name not in (*CHARTS, INVOLUNTARY)]
    if unknown:
        raise ValueError(f"No chart {', '.join(unknown)}; there are {', '.join(CHARTS)}.")
    sums = months(mrr_ledger)
    blocks = [_chart(name, mrr_ledger, sums, months_needed) for name in charts]
    return pd.concat(blocks, ignore_index=True) if blocks else pd.DataFrame()


def _chart(
    name: str, mrr_ledger: pd.DataFrame, sums: pd.DataFrame, months_needed: int
) -> pd.DataFrame:
    settled = sums["is_settled"] & (sums["customers_start"] >= SMALLEST_N)
    frozen = _frozen(settled, months_needed)
    observed, exposure = _counted(name, mrr_ledger, sums, frozen)
    table = pd.DataFrame(
        {"chart": name, "period": sums.index, "value": over(observed, exposure).to_numpy()}
    )
    table = table.assign(is_settled=sums["is_settled"].to_numpy(), n_settled=int(settled.sum()),
                         is_baseline=frozen.to_numpy())  # fmt: skip
    limits = pd.DataFrame(np.nan, index=table.index, columns=["centre", "lower", "upper"])
    if settled.sum() < months_needed:
        return pd.concat([table, limits], axis=1).assign(is_signal=False, rule="")
    kept = exposure.gt(0).to_numpy()
    chart = laney_p_chart if name == "gross_mrr_churn_rate" else laney_u_chart
    drawn = chart(observed[kept].to_numpy(), exposure[kept].to_numpy(), frozen[kept].to_numpy())
    limits.loc[kept] = drawn[["centre", "lower", "upper"]].to_numpy()
    rule = pd.Series("", index=table.index)
    rule[kept] = drawn["signal"].to_numpy()
    rule = rule.where(settled.to_numpy(), "")
    return pd.concat([table, limits], axis=1).assign(is_signal=rule != "", rule=rule)


def _frozen(settled: pd.Series, months_needed: int) -> pd.Series:
    """The settled months that set the limits: to the last turn of a year, else the first ones."""
    seen = settled.index[settled]
    year = seen[-1][:4] if len(seen) else ""
    before = seen[seen < f"{year}-01"]
    base = before if len(before) >= months_needed else seen[:months_needed]
    return pd.Series(settled.index.isin(base), index=settled.index)


def _counted(
    name: str, mrr_ledger: pd.DataFrame, sums: pd.DataFrame, frozen: pd.Series
) -> tuple[pd.Series, pd.Series]:
    """What is counted and what it is divided by, per month."""
    if name == "customers_new":
        return sums["n_new"].astype(float), pd.Series(1.0, index=sums.index)
    if name == "gross_account_churn_rate":
        return sums["n_churn"].astype(float), _expected_churn(mrr_ledger, frozen)
    if name == INVOLUNTARY:
        is_failed = mrr_ledger["movement"].eq("churn") & mrr_ledger["end_type"].eq("involuntary")
        failed = is_failed.groupby(mrr_ledger["period"]).sum().reindex(sums.index, fill_value=0)
        return failed.astype(float), sums["customers_start"] / PER_CUSTOMERS
    effective = sums["mrr_start"] ** 2 / _sum_of_squares(mrr_ledger).reindex(sums.index)
    lost = 1 - over(sums["kept"], sums["mrr_start"])
    return (lost * effective).fillna(0.0), effective.fillna(0.0)


def _sum_of_squares(mrr_ledger: pd.DataFrame) -> pd.Series:
    squares = (mrr_ledger["mrr_start"] ** 2).groupby(mrr_ledger["period"]).sum()
    return squares.where(squares > 0)


def _expected_churn(mrr_ledger: pd.DataFrame, frozen: pd.Series) -> pd.Series:
    """Losses expected if those due, and those not, left at the mean rates of the baseline."""
    starters = mrr_ledger[mrr_ledger["mrr_start"] > 0]
    is_due, is_lost = starters["is_due_for_renewal"].eq(True), starters["mrr_end"].eq(0)
    expected = pd.Series(0.0, index=frozen.index)
    for group in (is_due, ~is_due):
        lost = is_lost[group].groupby(starters["period"]).agg(["sum", "size"])
        lost = lost.reindex(frozen.index, fill_value=0)
        exposed = lost.loc[frozen, "size"].sum()
        rate = lost.loc[frozen, "sum"].sum() / exposed if exposed else 0.0
        expected += rate * lost["size"]
    return expected


def signals(charts: pd.DataFrame) -> pd.DataFrame:
    """What the newest settled month of each chart says.

    Args:
        charts: the rows of `usual_range`.

    Returns:
        one row per chart: chart, period, verdict (within, above, below, run, too_few_months),
        meaning (the verdict in words), value, centre, lower, upper, n_settled, recent_months (of
        the last 12, those that are settled and have limits) and recent_signals (how many of these
        signalled). Period is missing when no month is settled.
    """
    rows = [_verdict(name, rows) for name, rows in charts.groupby("chart", sort=False)]
    names = ["chart", "period", "verdict", "value", "centre", "lower", "upper", "n_settled",
             "recent_months", "recent_signals"]  # fmt: skip
    table = pd.DataFrame(rows, columns=names)
    return table.assign(meaning=table["verdict"].map(MEANINGS))


def _verdict(name: str, rows: pd.DataFrame) -> dict[str, object]:
    settled = rows[rows["is_settled"]]
    if settled.empty:
        return {"chart": name, "period": None, "verdict": TOO_FEW, "n_settled": 0}
    last = settled.iloc[-1]
    verdict = WITHIN
    if np.isnan(last["centre"]):
        verdict = TOO_FEW
    elif last["is_signal"]:
        is_high = last["value"] > last["centre"]
        verdict = RUN if last["rule"] == "run" else ABOVE if is_high else BELOW
    recent = settled[settled["centre"].notna()].tail(MONTHS_PER_YEAR)
    return {
        **last[["chart", "period", "value", "centre", "lower", "upper", "n_settled"]],
        "verdict": verdict,
        "recent_months": len(recent),
        "recent_signals": int(recent["is_signal"].sum()),
    }


def mix_rate(mrr_ledger: pd.DataFrame, accounts: pd.DataFrame, by: str) -> pd.DataFrame:
    """Did the rates move, or who is in them? The newest settled month against the one before.

    Args:
        mrr_ledger: observed months.
        accounts: account_id and the column `by`.
        by: column whose levels are told apart; missing values are the level "not recorded".

    Returns:
        one row per measure and level, plus level "all": measure, level, period,
        previous_period, n_before, n_now, weight_before, weight_now, rate_before, rate_now, mix,
        rate, change, mix_against_average, part. Mix and rate add up to the change exactly; a
        level's own rates are missing under SMALLEST_N customers. `mix_against_average` counts a
        level's weight only as far as its rate is not the company's; with the rate it makes `part`,
        what the level did to the change. Both sums are the same over all levels. No rows when fewer
        than two settled months follow each other, or when the level is recorded for nobody.

    Raises:
        ValueError: accounts have no column `by`.
    """
    if by not in accounts:
        raise ValueError(
            f"revenue.mix_by names {by!r}, which accounts do not have. Name one of their columns, "
            "like segment, or declare an attribute."
        )
    settled = mrr_ledger[mrr_ledger["is_settled"] & (mrr_ledger["mrr_start"] > 0)]
    names = sorted(settled["period"].unique())[-2:]
    if (
        accounts[by].isna().all()
        or len(names) < 2
        or pd.Period(names[0], freq="M") + 1 != pd.Period(names[1], freq="M")
    ):
        return pd.DataFrame(columns=MIX_COLUMNS)
    level = accounts.set_index("account_id")[by].reindex(settled["account_id"])
    labelled = settled.assign(level=level.fillna("not recorded").astype(str).to_numpy())
    before, now = (labelled[labelled["period"] == name] for name in names)
    blocks = [_decomposed(measure, before, now) for measure in MIXED]
    table = pd.concat(blocks, ignore_index=True)
    table.insert(2, "period", names[1])
    table.insert(3, "previous_period", names[0])
    return table


def _decomposed(measure: str, before: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    levels = sorted({*before["level"], *now["level"]})
    old, new = (_weights_and_rates(measure, frame).reindex(levels) for frame in (before, now))
    weights = [frame["weight"].fillna(0.0).to_numpy() for frame in (old, new)]
    rates = [old["rate"].fillna(new["rate"]).to_numpy(), new["rate"].fillna(old["rate"]).to_numpy()]
    parts = mix_and_rate(*weights, *rates)
    average = (weights[0] @ rates[0] + weights[1] @ rates[1]) / 2
    table = pd.DataFrame(
        {
            "measure": measure, "level": levels,
            "n_before": old["n"].fillna(0).to_numpy(int), "n_now": new["n"].fillna(0).to_numpy(int),
            "weight_before": weights[0], "weight_now": weights[1],
            "rate_before": old["rate"].to_numpy(), "rate_now": new["rate"].to_numpy(),
            "mix": parts["mix"].to_numpy(), "rate": parts["rate"].to_numpy(),
            "mix_against_average": parts["mix"].to_numpy() - (weights[1] - weights[0]) * average,
        }
    )  # fmt: skip
    return _with_total(table, weights, rates)


def _with_total(table: pd.DataFrame, weights: list, rates: list) -> pd.DataFrame:
    """The row "all" with the company's own rates; small levels lose theirs."""
    names = ["n_before", "n_now", "weight_before", "weight_now", "mix", "rate",
             "mix_against_average"]  # fmt: skip
    whole = {"measure": table["measure"].iloc[0], "level": "all", **table[names].sum()}
    whole |= {"rate_before": weights[0] @ rates[0], "rate_now": weights[1] @ rates[1]}
    shown = table.assign(
        rate_before=table["rate_before"].where(table["n_before"] >= SMALLEST_N),
        rate_now=table["rate_now"].where(table["n_now"] >= SMALLEST_N),
    )
    joined = pd.concat([shown, pd.DataFrame([whole])], ignore_index=True)
    counts = {"n_before": "int64", "n_now": "int64"}
    return joined.astype(counts).assign(
        change=joined["mix"] + joined["rate"],
        part=joined["mix_against_average"] + joined["rate"],
    )[[name for name in MIX_COLUMNS if name not in ("period", "previous_period")]]


def _weights_and_rates(measure: str, starters: pd.DataFrame) -> pd.DataFrame:
    """Per level: accounts, weight (share of customers, or of MRR at start) and rate."""
    first, last = starters["mrr_start"], starters["mrr_end"]
    numerator, base = {
        "gross_account_churn_rate": (last.eq(0).astype(float), pd.Series(1.0, index=first.index)),
        "gross_mrr_churn_rate": ((first - last).clip(lower=0), first),
        "net_revenue_retention": (last, first),
    }[measure]
    sums = (
        pd.DataFrame({"above": numerator, "below": base, "n": 1}).groupby(starters["level"]).sum()
    )
    return pd.DataFrame(
        {
            "n": sums["n"],
            "weight": sums["below"] / sums["below"].sum(),
            "rate": sums["above"] / sums["below"],
        }
    )
