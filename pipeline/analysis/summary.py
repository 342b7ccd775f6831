"""What must the company know this month? Page one, put together from what the chapters found.

Reads the snapshot tables accounts and quality, the headlines and models of the listed chapters, and
the rows they kept for page one: population's trust; revenue's usual_range, bridge, stay_lost,
reasons, largest_losses and mix_rate; drivers' forecast and drivers; time to value's overdue. Makes
summary.verdict, coming and at_risk. The subtle point: a chapter may be absent, and then its
sentence, tile and rows are absent too; nothing here fills a gap or judges a change that its
interval explains.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Protocol

import numpy as np
import pandas as pd

TILES = (
    "net_revenue_retention_12_months",
    "gross_revenue_retention_12_months",
    "net_revenue_retention",
    "gross_revenue_retention",
    "mrr_end",
    "gross_account_churn_rate",
    "retention_12_months_recent",
    "median_time_to_value_days_recent",
    "value_by_day_90_share_recent",
)
"""Page one in the order in which it is read: revenue first, then staying, then value."""
SOURCE_PAIRS = (
    ("account_churn_rate", "gross_account_churn_rate"),
    ("revenue_churn_rate", "gross_mrr_churn_rate"),
)
"""A source formula never stands without its cohort-based counterpart."""
CHURN_CHART = "gross_account_churn_rate"
KNOWN = ("exact", "ok", "provisional", "fragile")
"""States of a headline that has a value."""
UNKNOWN = "unknown"
VERDICT_COLUMNS = [
    "chapter", "owner", "kind", "direction", "value", "ci_low", "ci_high", "before", "n", "extra",
    "range", "range_period", "note",
]  # fmt: skip
PROBLEMS = ("quarantined", "excluded", "warning", "late", "merged")
"""What quality may have found, the gravest first."""


class Words(Protocol):
    """How numbers are said; the notebook passes pipeline.reporting.words."""

    def share(self, value: float, decimals: int = 1) -> str:
        """0.1234 as `12.3 %`."""

    def count(self, value: float) -> str:
        """1234 as `1,234`."""

    def counted(self, value: float, one: str) -> str:
        """`1 customer`, `1,234 customers`."""

    def money(self, value: float, currency: str) -> str:
        """305000 as `USD 305,000`."""

    def interval(self, low: float, high: float, kind: str) -> str:
        """`12.1 % to 13.0 %`."""

    def month(self, period: str) -> str:
        """`2026-10` as `October 2026`."""


# The verdict.


def verdict(
    headlines: pd.DataFrame, ranges: pd.DataFrame, owners: Mapping[str, str], period: str
) -> pd.DataFrame:
    """At most three facts, one per chapter that is there: revenue, survival, time to value.

    Takes the headlines (name, chapter, estimate, ci_low, ci_high, n, state, note, previous,
    year_ago), revenue's charts (chart, period, verdict), chapter → owner and the report's month. A
    share is better or worse than a year ago only when it moved by more than its interval, widened
    for the year before, explains. Gives one row per fact: VERDICT_COLUMNS.
    """
    lines = headlines.set_index("name")
    rows = [
        make(lines, ranges, owners.get(chapter, ""))
        for chapter, make in (
            ("revenue", _money_kept),
            ("survival", _customers_stay),
            ("time_to_value", _value_comes),
        )
        if chapter in set(headlines["chapter"])
    ]
    return pd.DataFrame(rows, columns=VERDICT_COLUMNS).assign(period=period)


def sentences(facts: pd.DataFrame, words: Words) -> pd.DataFrame:
    """Say the facts of `verdict`: one row per fact, owner and sentence."""
    said = {
        "money_kept": _say_money,
        "customers_stay": _say_stay,
        "value_comes": _say_value,
    }
    rows = [(row["owner"], said[row["kind"]](row, words)) for row in facts.to_dict("records")]
    return pd.DataFrame(rows, columns=["owner", "sentence"])


def _money_kept(lines: pd.DataFrame, ranges: pd.DataFrame, owner: str) -> dict[str, object]:
    yearly, monthly = "net_revenue_retention_12_months", "net_revenue_retention"
    name = yearly if _is_known(lines, yearly) else monthly
    fact = _fact(lines, name, "revenue", owner, "money_kept")
    low, high = fact["ci_low"], fact["ci_high"]
    if np.isnan(fact["value"]):
        direction = "not_available"
    elif np.isnan(low) or low <= 1 <= high:
        direction = "held"
    else:
        direction = "grew" if fact["value"] > 1 else "shrank"
    found = ranges[ranges["chart"] == CHURN_CHART] if len(ranges) else ranges
    usual = found.iloc[0][["verdict", "period"]].tolist() if len(found) else ["absent", ""]
    lost = lines["estimate"].get(CHURN_CHART, np.nan)
    return (
        fact
        | {"direction": direction, "extra": lost, "note": name}
        | dict(zip(("range", "range_period"), usual, strict=True))
    )


def _customers_stay(lines: pd.DataFrame, ranges: pd.DataFrame, owner: str) -> dict[str, object]:
    fact = _fact(lines, "retention_12_months_recent", "survival", owner, "customers_stay")
    return fact | {"direction": _direction(fact)}


def _value_comes(lines: pd.DataFrame, ranges: pd.DataFrame, owner: str) -> dict[str, object]:
    fact = _fact(lines, "value_by_day_90_share_recent", "time_to_value", owner, "value_comes")
    median = lines["estimate"].get("median_time_to_value_days_recent", np.nan)
    return fact | {"direction": _direction(fact), "extra": median}


def _is_known(lines: pd.DataFrame, name: str) -> bool:
    return name in lines.index and lines.loc[name, "state"] in KNOWN


def _fact(lines: pd.DataFrame, name: str, chapter: str, owner: str, kind: str) -> dict[str, object]:
    fact: dict[str, object] = dict.fromkeys(VERDICT_COLUMNS, np.nan)
    fact.update(chapter=chapter, owner=owner, kind=kind, range="", range_period="", note="")
    if name not in lines.index:
        return fact
    line = lines.loc[name]
    fact.update(n=line["n"], note=line["note"] or "")
    if line["state"] in KNOWN:
        before = line["year_ago"] if pd.notna(line["year_ago"]) else np.nan
        limits = {name: line[name] for name in ("ci_low", "ci_high")}
        fact.update(value=line["estimate"], before=before, **limits)
    return fact


def _direction(fact: Mapping[str, object]) -> str:
    """Against a year ago; the year before is taken to be as uncertain as this one."""
    value, before = fact["value"], fact["before"]
    if np.isnan(value):
        return "not_available"
    if np.isnan(before) or np.isnan(fact["ci_low"]) or np.isnan(fact["ci_high"]):
        return "no_comparison"
    reach = np.sqrt(2) * ((value - fact["ci_low"]) if before < value else (fact["ci_high"] - value))
    if abs(value - before) <= reach:
        return "unchanged"
    return "better" if value > before else "worse"


def _say_money(row: Mapping[str, object], words: Words) -> str:
    moved = {"grew": "more", "shrank": "less", "held": "about as much"}.get(str(row["direction"]))
    when = "a year ago" if str(row["note"]).endswith("12_months") else "the month before"
    if moved is None:
        kept = "What the customers we had pay now cannot be said yet"
    else:
        kept = f"The customers of {when} pay {moved}: {words.share(row['value'])} of what they did"
        has_limits = not (np.isnan(row["ci_low"]) and np.isnan(row["ci_high"]))
        kept += f" ({words.interval(row['ci_low'], row['ci_high'], 'share')})" if has_limits else ""
    if np.isnan(row["extra"]):
        return f"{kept}."
    lost = f"{kept}; customers lost this month: {words.share(row['extra'])}"
    return lost + _usual(row, words) + "."


def _usual(row: Mapping[str, object], words: Words) -> str:
    """Whether the losses are usual; a month that is not settled leaves the word to the last one."""
    usual = {
        "within": "within the usual range",
        "above": "above the usual range",
        "below": "below the usual range",
        "run": "on one side of the usual level for months",
    }
    if row["range"] == "too_few_months":
        return ", too few settled months to say whether that is usual"
    if row["range"] not in usual:
        return ""
    if row["range_period"] == row["period"]:
        return f", {usual[row['range']]}"
    settled = words.month(row["range_period"])
    return f"; {settled}, the newest settled month, was {usual[row['range']]}"


def _say_stay(row: Mapping[str, object], words: Words) -> str:
    if row["direction"] == "not_available":
        return f"How many stay a year cannot be said yet{_because(row)}."
    span = words.interval(row["ci_low"], row["ci_high"], "share")
    kept = f"At last year's rates {words.share(row['value'])} stay 12 months ({span})"
    return f"{kept}{_compared(row, words)}."


def _say_value(row: Mapping[str, object], words: Words) -> str:
    if row["direction"] == "not_available":
        return f"How soon customers get value cannot be said yet{_because(row)}."
    span = words.interval(row["ci_low"], row["ci_high"], "share")
    reached = f"{words.share(row['value'])} of new customers have value by day 90 ({span})"
    half = "half do not get there" if np.isnan(row["extra"]) else f"half by {_day(row, words)}"
    return f"{reached}, {half}{_compared(row, words)}."


def _day(row: Mapping[str, object], words: Words) -> str:
    return f"day {words.count(row['extra'])}"


def _compared(row: Mapping[str, object], words: Words) -> str:
    before = words.share(row["before"])
    return {
        "better": f"; better than a year ago ({before})",
        "worse": f"; worse than a year ago ({before})",
        "unchanged": f"; no clear change from a year ago ({before})",
        "no_comparison": "; no year ago to compare",
    }[str(row["direction"])]


def _because(row: Mapping[str, object]) -> str:
    return f": {row['note']}" if row["note"] else ""


# What moved, and what may still come back.


def movements(bridge: pd.DataFrame) -> pd.DataFrame:
    """The month's bridge as it adds up: what was lost has a minus.

    Takes revenue's bridge (step, mrr, kind). Gives one row per step: step, mrr.
    """
    if bridge.empty:
        return pd.DataFrame(columns=["step", "mrr"])
    signed = bridge["mrr"].where(bridge["kind"] != "down", -bridge["mrr"])
    return pd.DataFrame({"step": bridge["step"], "mrr": signed})


def still_pending(stay_lost: pd.DataFrame, words: Words, currency: str) -> pd.Series:
    """Whether losses of the month may still come back: one sentence, none without revenue.

    Takes revenue's stay_lost (n_lost, mrr_lost, n_pending, meaning).
    """
    return pd.Series(
        [_say_pending(row, words, currency) for row in stay_lost.to_dict("records")], dtype=object
    )


def _say_pending(row: Mapping[str, object], words: Words, currency: str) -> str:
    if pd.isna(row["n_pending"]):
        return "Too few customers were lost to say how many may still come back."
    if not row["n_pending"]:
        return "Every lapse of the month is settled: none of its losses can come back as a gap."
    lost = f"{words.counted(row['n_lost'], 'customer')} lost in the month"
    paid = f"with MRR of {words.money(row['mrr_lost'], currency)}"
    return f"{lost}, {paid}, {words.count(row['n_pending'])} within the grace: {row['meaning']}."


# Coming, and who is at risk.


def coming(accounts: pd.DataFrame, as_of: dt.date, horizon_days: int) -> pd.DataFrame:
    """Customers who asked to leave, and those whose stated commitment ends soon.

    Takes accounts (is_customer, is_in_notice, term_ends_on, mrr at P1). Nobody is counted twice; a
    customer without a stated term is in notice or in no row.
    Gives three rows: what, n, mrr, mrr_share (of all MRR).
    """
    customers = accounts[accounts["is_customer"].astype(bool)]
    reason = _reason(customers, as_of, horizon_days)
    total = customers["mrr"].sum()
    parts = [
        ("in notice", reason == "in notice"),
        (f"commitment ends within {horizon_days} days", reason == "commitment ends"),
        ("either", reason != ""),
    ]
    rows = [(what, int(is_in.sum()), customers.loc[is_in, "mrr"].sum()) for what, is_in in parts]
    table = pd.DataFrame(rows, columns=["what", "n", "mrr"])
    return table.assign(mrr_share=table["mrr"] / total if total else np.nan)


def at_risk(
    accounts: pd.DataFrame, as_of: dt.date, horizon_days: int, n_shown: int = 10
) -> pd.DataFrame:
    """The largest of them: account_id, why, date (of the notice or the end of term), mrr."""
    customers = accounts[accounts["is_customer"].astype(bool)]
    listed = customers.assign(why=_reason(customers, as_of, horizon_days))
    listed = listed[listed["why"] != ""]
    is_notice = listed["why"] == "in notice"
    listed = listed.assign(date=listed["notice_date"].where(is_notice, listed["term_ends_on"]))
    ordered = listed.sort_values(["mrr", "account_id"], ascending=[False, True])
    return ordered[["account_id", "why", "date", "mrr"]].head(n_shown).reset_index(drop=True)


def _reason(customers: pd.DataFrame, as_of: dt.date, horizon_days: int) -> pd.Series:
    until = pd.Timestamp(as_of) + pd.Timedelta(days=horizon_days)
    ends = customers["term_ends_on"]
    is_due = (ends > pd.Timestamp(as_of)) & (ends <= until)
    is_notice = customers["is_in_notice"].astype(bool)
    named = np.select([is_notice, is_due], ["in notice", "commitment ends"], "")
    return pd.Series(named, index=customers.index, dtype=object)


# Why.


def top_reasons(reasons: pd.DataFrame, n_shown: int = 3) -> pd.DataFrame:
    """The most frequent reasons for leaving; the rest in one row, the unknown in plain sight.

    Takes revenue's reasons (reason, n, share, mrr_lost, mrr_share). Gives the same columns, shares
    of all losses, "unknown" included.
    """
    columns = ["reason", "n", "share", "mrr_lost", "mrr_share"]
    if reasons.empty:
        return pd.DataFrame(columns=columns)
    is_unknown = reasons["reason"] == UNKNOWN
    known = reasons[~is_unknown].sort_values(["n", "reason"], ascending=[False, True])
    others = known.iloc[n_shown:]
    summed = pd.DataFrame([{"reason": "other reasons", **others[columns[1:]].sum()}])
    parts = [known.head(n_shown), summed if len(others) else known.head(0), reasons[is_unknown]]
    return pd.concat([part[columns] for part in parts if len(part)], ignore_index=True)


def shown(rows: pd.DataFrame, columns: list[str], n_shown: int | None = None) -> pd.DataFrame:
    """The first rows that another chapter kept, with just these columns; they may be none."""
    if rows.empty:
        return pd.DataFrame(columns=columns)
    return rows.reindex(columns=columns).head(n_shown or len(rows)).reset_index(drop=True)


# Can it be trusted?


def trusted(trust: pd.DataFrame, words: Words, currency: str) -> pd.Series:
    """How much of the data was set aside, and its money: one sentence, none without population.

    Takes population's trust of all tables (rows_share, mrr_affected, mrr_share).
    """
    return pd.Series(
        [
            f"The quarantine holds {words.share(row['rows_share'], 3)} of the rows received and "
            f"touches at most {words.money(row['mrr_affected'], currency)} of MRR "
            f"({words.share(row['mrr_share'])})."
            for row in trust.to_dict("records")
        ],
        dtype=object,
    )


def unclaimed(no_model: pd.DataFrame) -> pd.Series:
    """Why no driver is claimed: one sentence, none where there is a model.

    Takes drivers' no_model (reason).
    """
    rows = no_model.to_dict("records")
    return pd.Series([f"No driver is claimed: {row['reason']}." for row in rows], dtype=object)


def data_quality(quality: pd.DataFrame, n_shown: int = 8) -> pd.DataFrame:
    """What was wrong with the data and the revenue it touches, the gravest and largest first.

    Takes the snapshot's quality. Gives one row per table and rule that found something: table,
    rule, kind, n, n_of, mrr_affected.
    """
    found = quality[quality["kind"].isin(PROBLEMS) & (quality["n"] > 0)]
    ranked = found.assign(
        rank=found["kind"].map(PROBLEMS.index), mrr_affected=found["mrr_affected"].fillna(0.0)
    )
    ordered = ranked.sort_values(
        ["rank", "mrr_affected", "n", "table", "rule"], ascending=[True, False, False, True, True]
    )
    columns = ["table", "rule", "kind", "n", "n_of", "mrr_affected"]
    return ordered[columns].head(n_shown).reset_index(drop=True)


def badges(models: pd.DataFrame) -> pd.DataFrame:
    """Each model with what it was fitted on and whether its checks held.

    Takes one row per model and check (chapter, name, n, n_events, converged, check, passed).
    Gives one row per model: chapter, model, n, n_events, badge.
    """
    columns = ["chapter", "model", "n", "n_events", "badge"]
    rows = []
    for (chapter, name), checks in models.groupby(["chapter", "name"], sort=False):
        first = checks.iloc[0]
        failed = checks.loc[~checks["passed"].astype(bool), "check"].tolist()
        if not first["converged"]:
            badge = "no model: too little to fit"
        elif failed:
            badge = f"read with care: {', '.join(failed)}"
        else:
            badge = "checks held"
        rows.append((chapter, name, first["n"], first["n_events"], badge))
    return pd.DataFrame(rows, columns=columns)
