"""What are the three sentences of page one? One fact per chapter that is there.

Works on headlines and revenue's charts. Makes summary.verdict. The subtle point: nothing here
judges a change that its interval explains.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
SPOKEN = {"gross_mrr_churn_rate": "MRR lost", "customers_new": "new customers"}
"""The other charts: heard of in the verdict only when they signal."""
SIGNALS = ("above", "below", "run")
VERDICT_COLUMNS = [
    "chapter", "owner", "kind", "direction", "value", "ci_low", "ci_high", "before", "n", "extra",
    "since", "range", "range_period", "recent_months", "recent_signals", "signals", "note",
]  # fmt: skip


def verdict(
    headlines: pd.DataFrame, ranges: pd.DataFrame, owners: Mapping[str, str], period: str
) -> pd.DataFrame:
    """At most three facts, one per chapter that is there: revenue, survival, time to value.

    Takes the headlines (name, chapter, estimate, ci_low, ci_high, n, state, note, previous,
    year_ago), revenue's charts (the columns of its signals), chapter → owner and the report's
    month. A share is better or worse than a year ago only when it moved by more than its interval,
    widened for the year before, explains. Gives one row per fact: VERDICT_COLUMNS.
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


def _money_kept(lines: pd.DataFrame, ranges: pd.DataFrame, owner: str) -> dict[str, Any]:
    yearly, monthly = "net_revenue_retention_12_months", "net_revenue_retention"
    name = yearly if _is_known(lines, yearly) else monthly
    fact = _fact(lines, name, "revenue", owner, "money_kept")
    low, high = fact["ci_low"], fact["ci_high"]
    if np.isnan(fact["value"]):
        direction = "not_available"
    elif np.isnan(low) or np.isnan(high):
        direction = "not_judged"
    elif low <= 1 <= high:
        direction = "held"
    else:
        direction = "grew" if fact["value"] > 1 else "shrank"
    since = "a year ago" if name == yearly else "the month before"
    lost = lines["estimate"].get(CHURN_CHART, np.nan)
    return fact | {"direction": direction, "extra": lost, "since": since} | _range(ranges)


def _range(ranges: pd.DataFrame) -> dict[str, Any]:
    """What the chart of customers lost says, and the names of the others that signal."""
    rows = {row["chart"]: row for row in ranges.to_dict("records")}
    absent = {"verdict": "absent", "period": ""}
    own = rows.get(CHURN_CHART, absent)
    signals = [
        (words_, _side(rows[chart]))
        for chart, words_ in SPOKEN.items()
        if rows.get(chart, absent)["verdict"] in SIGNALS
    ]
    counts = {name: own.get(name, np.nan) for name in ("recent_months", "recent_signals")}
    side = _side(own) if own["verdict"] in SIGNALS else own["verdict"]
    return {"range": side, "range_period": own["period"], "signals": signals} | counts


def _side(row: Mapping[str, Any]) -> str:
    """The verdict of a chart; of a long run, the side on which it is where that is known."""
    if row["verdict"] != "run" or "centre" not in row or pd.isna(row["centre"]):
        return str(row["verdict"])
    return "run_above" if row["value"] > row["centre"] else "run_below"


def _customers_stay(lines: pd.DataFrame, ranges: pd.DataFrame, owner: str) -> dict[str, Any]:
    fact = _fact(lines, "retention_12_months_recent", "survival", owner, "customers_stay")
    return fact | {"direction": _direction(fact)}


def _value_comes(lines: pd.DataFrame, ranges: pd.DataFrame, owner: str) -> dict[str, Any]:
    fact = _fact(lines, "value_by_day_90_share_recent", "time_to_value", owner, "value_comes")
    median = lines["estimate"].get("median_time_to_value_days_recent", np.nan)
    return fact | {"direction": _direction(fact), "extra": median}


def _is_known(lines: pd.DataFrame, name: str) -> bool:
    return name in lines.index and lines.loc[name, "state"] in KNOWN


def _fact(lines: pd.DataFrame, name: str, chapter: str, owner: str, kind: str) -> dict[str, Any]:
    fact: dict[str, Any] = dict.fromkeys(VERDICT_COLUMNS, np.nan)
    fact.update(chapter=chapter, owner=owner, kind=kind, note="")
    fact.update(range="", range_period="", signals=[])
    if name not in lines.index:
        return fact
    line = lines.loc[name]
    fact.update(n=line["n"], note=line["note"] or "")
    if line["state"] in KNOWN:
        before = line["year_ago"] if pd.notna(line["year_ago"]) else np.nan
        limits = {name: line[name] for name in ("ci_low", "ci_high")}
        fact.update(value=line["estimate"], before=before, **limits)
    return fact


def _direction(fact: Mapping[str, Any]) -> str:
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


def _say_money(row: Mapping[str, Any], words: Words) -> str:
    paid = f"{_moved(row)}{words.share(row['value'])} of what they did"
    kept = f"The customers of {row['since']} pay {paid}"
    if row["direction"] == "not_available":
        kept = f"What the customers we had pay now cannot be said yet{_because(row)}"
    elif row["direction"] != "not_judged":
        kept += f" ({words.interval(row['ci_low'], row['ci_high'], 'share')})"
    if np.isnan(row["extra"]):
        return f"{kept}."
    lost = f"{kept}; customers lost this month: {words.share(row['extra'])}"
    return lost + _usual(row, words) + _others(row) + "."


def _moved(row: Mapping[str, Any]) -> str:
    """More, less or about as much; nothing where no interval says how far chance reaches."""
    moved = {"grew": "more: ", "shrank": "less: ", "held": "about as much: "}
    return moved.get(str(row["direction"]), "")


USUAL = {
    "within": "within the usual range",
    "above": "above the usual range",
    "below": "below the usual range",
    "run": "on one side of the usual level for months",
    "run_above": "above the usual level for months",
    "run_below": "below the usual level for months",
}


def _usual(row: Mapping[str, Any], words: Words) -> str:
    """Whether the losses are usual; a month that is not settled leaves the word to the last one."""
    if row["range"] == "too_few_months":
        return ", too few settled months to say whether that is usual"
    if row["range"] not in USUAL:
        return ""
    usual = f"{USUAL[str(row['range'])]}{_of_the_last_months(row, words)}"
    if row["range_period"] == row["period"]:
        return f", {usual}"
    settled = words.month(row["range_period"])
    return f"; {settled}, the newest settled month, was {usual}"


def _of_the_last_months(row: Mapping[str, Any], words: Words) -> str:
    """How many of the last months were as usual; nothing where that is not known."""
    n_months, n_signals = row["recent_months"], row["recent_signals"]
    if pd.isna(n_months) or not n_months:
        return ""
    last = f"the last {words.counted(n_months, 'month')}"
    if not n_signals:
        return f" like all of {last}"
    were = "was" if n_signals == 1 else "were"
    return f" ({words.count(n_signals)} of {last} {were} not as usual)"


def _others(row: Mapping[str, Any]) -> str:
    """The other charts that signal, by name."""
    return "".join(f"; {what} {USUAL[side]}" for what, side in row["signals"])


def _say_stay(row: Mapping[str, Any], words: Words) -> str:
    if row["direction"] == "not_available":
        return f"How many stay a year cannot be said yet{_because(row)}."
    span = words.interval(row["ci_low"], row["ci_high"], "share")
    kept = f"At last year's rates {words.share(row['value'])} stay 12 months ({span})"
    return f"{kept}{_compared(row, words)}."


def _say_value(row: Mapping[str, Any], words: Words) -> str:
    if row["direction"] == "not_available":
        return f"How soon customers get value cannot be said yet{_because(row)}."
    span = words.interval(row["ci_low"], row["ci_high"], "share")
    reached = f"{words.share(row['value'])} of new customers have value by day 90 ({span})"
    half = "half do not get there" if np.isnan(row["extra"]) else f"half by {_day(row, words)}"
    return f"{reached}, {half}{_compared(row, words)}."


def _day(row: Mapping[str, Any], words: Words) -> str:
    return f"day {words.count(row['extra'])}"


def _compared(row: Mapping[str, Any], words: Words) -> str:
    before = words.share(row["before"])
    return {
        "better": f"; better than a year ago ({before})",
        "worse": f"; worse than a year ago ({before})",
        "unchanged": f"; no clear change from a year ago ({before})",
        "no_comparison": "; no year ago to compare",
    }[str(row["direction"])]


def _because(row: Mapping[str, Any]) -> str:
    return f": {row['note']}" if row["note"] else ""
