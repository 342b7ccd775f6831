"""What are the three sentences of page one? One fact per chapter that is there.

Works on headlines and revenue's charts. Makes summary.verdict. The subtle point: nothing here
judges a change that its interval explains.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from pipeline.analysis.wording import Words

TILES = (
    "net_revenue_retention_12_months",
    "gross_revenue_retention_12_months",
    "net_revenue_retention",
    "gross_revenue_retention",
    "mrr_end",
    "gross_account_churn_rate",
    "retention_12_months_recent",
    "ltv_36_months",
    "ltv_to_cac",
    "median_time_to_value_days_recent",
)
"""Page one in the order in which it is read: revenue first, then staying, then value; two rows on a
desk, so that verdict and tiles stand on the first screen."""
SOURCE_PAIRS = (
    ("account_churn_rate", "gross_account_churn_rate"),
    ("revenue_churn_rate", "gross_mrr_churn_rate"),
)
"""A source formula never stands without its cohort-based counterpart."""
CHURN_CHART = "gross_account_churn_rate"
KNOWN = ("exact", "ok", "provisional", "fragile")
"""States of a headline that has a value."""
VERDICT_COLUMNS = [
    "chapter", "owner", "kind", "direction", "value", "ci_low", "ci_high", "before", "n", "extra",
    "range", "range_period", "note",
]  # fmt: skip


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
