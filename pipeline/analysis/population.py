"""Who is counted, who was left out, and can the data be trusted?

Reads: accounts, spells, returns, exclusions, quality. Makes: population.counted, exclusions, trust,
quality, coverage, freshness, returns, churn_definitions. The subtle point: nothing that was left
out may leave in silence, so each step carries the revenue of the accounts it touched; an account
touched by two rules is counted by both, hence "at most".
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import numpy as np
import pandas as pd

from pipeline.analysis.reliability import SMALLEST_N
from pipeline.analysis.wording import Words
from pipeline.statistics.life_table import kaplan_meier
from pipeline.statistics.proportions import wilson

QUESTIONS = {
    "assignments": "Does a change of touch model or manager go with staying?",
    "usage": "Does using the product go with staying?",
    "milestones": "How soon do customers get value, and does it matter?",
    "goals": "Did customers reach what they came for?",
    "surveys": "How do customers feel, and who stays silent?",
    "tickets": "Does trouble, and how fast we answer it, go with leaving?",
    "touches": "Which contacts reach customers, and at what cost?",
    "plays": "Did our actions help?",
    "contacts": "Do the people who decide still know us?",
    "adjustments": "How many refunds and concessions, and do they keep customers?",
    "referrals": "Do customers bring customers, and do those stay longer?",
    "targets": "Was the target met?",
    "calendar": "Did a release, a price rise or a competitor move the numbers?",
    "outages": "Was usage low, or was it not recorded?",
    "accounts.segment": "Do large and small customers stay alike?",
    "accounts.touch_model": "Which touch model keeps customers?",
    "accounts.acquisition_channel": "Which channel brings customers who stay?",
    "accounts.acquisition_cost": "When has a customer paid back what it cost to win?",
    "subscriptions.notice_date": "Who has asked to leave, and was it seen before?",
    "subscriptions.end_type": "Did customers choose to leave, or did a payment fail?",
    "subscriptions.end_reason": "Why do customers leave?",
    "subscriptions.term_ends_on": "Of those who could leave, how many did?",
    "recorded_at": "What was known when, and which facts came late?",
}
"""Which question a table or column answers; shown where a company lacks it."""
IN_NOTICE = "customers in notice"


def counted(accounts: pd.DataFrame, knows_notice: bool = True) -> pd.DataFrame:
    """Every account on file in exactly one group, and two notes beside.

    Args:
        accounts: is_customer, is_in_notice, is_first_paid_known, first_paid_date, mrr (at P1).
        knows_notice: False: the source cannot say who asked to leave, so no row says 0.

    Returns:
        one row per group: group, n, share (of all accounts), mrr, is_part (true: the groups with
        true add up to all accounts).
    """
    has_paid = accounts["first_paid_date"].notna()
    customer = accounts["is_customer"].astype(bool)
    known = accounts["is_first_paid_known"].astype(bool)
    groups = [
        ("customers", customer, True),
        ("former customers", ~customer & has_paid, True),
        ("never paid", ~customer & ~has_paid, True),
        (IN_NOTICE, customer & accounts["is_in_notice"].astype(bool), False),
        ("first paid day unknown, left out of age-based curves", has_paid & ~known, False),
    ]
    groups = [group for group in groups if knows_notice or group[0] != IN_NOTICE]
    rows = [
        {"group": name, "n": int(rows.sum()), "share": _share(rows.sum(), len(accounts)),
         "mrr": _money(accounts, rows), "is_part": is_part}
        for name, rows, is_part in groups
    ]  # fmt: skip
    return pd.DataFrame(rows)


def say_counted(
    groups: pd.DataFrame, trust: pd.DataFrame, as_of: dt.date, currency: str, words: Words
) -> str:
    """How many are counted and how much was set aside; no money where the source has none."""
    customers = groups.set_index("group").loc["customers"]
    touched = trust.set_index("table").loc["all"]
    has_money = pd.notna(customers["mrr"])
    paying = f" with MRR of {words.money(customers['mrr'], currency)}" if has_money else ""
    of_mrr = f" and touches at most {words.share(touched['mrr_share'])} of MRR" if has_money else ""
    return (
        f"{words.counted(customers['n'], 'customer')}{paying} are counted on {words.day(as_of)}. "
        f"The quarantine holds {words.share(touched['rows_share'], 3)} of the rows received"
        f"{of_mrr}."
    )


def say_returns(marks: pd.DataFrame, words: Words) -> str:
    """What share of lapses came back; without a settled lapse there is nothing to say."""
    last = marks.dropna(subset="returned_share").tail(1)
    if last.empty:
        return "Too few settled lapses to say how many come back"
    return (
        f"{words.share(last['returned_share'].max())} of lapses were back by the last day looked at"
    )


def left_out(exclusions: pd.DataFrame) -> pd.DataFrame:
    """The steps that leave something out, with how much each takes.

    Returns:
        one row per step, as given: the columns of population.exclusions, plus n_left_out and share
        (of the rows before the step).

    Raises:
        ValueError: a step ends with more rows than it began with.
    """
    n_left_out = exclusions["n_before"] - exclusions["n_after"]
    grown = exclusions[n_left_out < 0]
    if len(grown):
        named = ", ".join(f"{row.table}: {row.step}" for row in grown.head(5).itertuples())
        raise ValueError(
            f"{len(grown)} exclusion step(s) end with more rows than they began with ({named}). A "
            "step that adds rows is no exclusion; look at where it is written."
        )
    before = exclusions["n_before"].where(exclusions["n_before"] > 0)
    return exclusions.assign(n_left_out=n_left_out, share=n_left_out / before)


def trust(quality: pd.DataFrame, accounts: pd.DataFrame) -> pd.DataFrame:
    """How much did the quarantine touch, of the rows and of the money?

    Args:
        quality: table, rule, kind, n, n_of, mrr_affected.
        accounts: mrr at P1, for what the affected money is a share of.

    Returns:
        one row per raw table with rows, plus table "all": table, n_rows (received), n_quarantined,
        rows_share, mrr_affected, mrr_share (at most: an account may break two rules).
    """
    rows = quality[quality["kind"] == "rows"].groupby("table")["n_of"].sum()
    bad = quality[quality["kind"] == "quarantined"].groupby("table")[["n", "mrr_affected"]].sum()
    table = pd.DataFrame({"n_rows": rows}).join(bad.rename(columns={"n": "n_quarantined"}))
    table = table.fillna(0.0).astype({"n_rows": "int64", "n_quarantined": "int64"})
    table.loc["all"] = table.sum()
    money = float(accounts["mrr"].sum())
    if _has_no_money(accounts):
        table["mrr_affected"] = np.nan
    return (
        table.rename_axis("table")
        .assign(
            rows_share=table["n_quarantined"] / table["n_rows"].where(table["n_rows"] > 0),
            mrr_affected=table["mrr_affected"].clip(upper=money or None),
            mrr_share=(table["mrr_affected"] / money).clip(upper=1.0) if money else np.nan,
        )
        .astype({"n_rows": "int64", "n_quarantined": "int64"})
        .reset_index()
    )


def coverage(quality: pd.DataFrame) -> pd.DataFrame:
    """Which optional tables and columns are there, and what would each answer?

    Args:
        quality: rows of kind coverage; rule `table` speaks of a whole table that is not given,
            any other rule is a column's name.

    Returns:
        one row per table or column: subject, n, n_of, share, is_missing (no value), question.
    """
    rows = quality[quality["kind"] == "coverage"]
    subject = _subject(rows)
    share = rows["n"] / rows["n_of"].where(rows["n_of"] > 0)
    table = pd.DataFrame(
        {"subject": subject, "n": rows["n"], "n_of": rows["n_of"], "share": share,
         "is_missing": rows["n"] == 0,
         "question": subject.map(QUESTIONS).fillna(rows["rule"].map(QUESTIONS)).fillna("")}
    )  # fmt: skip
    return table.sort_values(["is_missing", "subject"], ascending=[False, True], ignore_index=True)


def _subject(rows: pd.DataFrame) -> pd.Series:
    return rows["table"].where(rows["rule"] == "table", rows["table"] + "." + rows["rule"])


def unanswered(coverage: pd.DataFrame) -> pd.DataFrame:
    """The questions that wait for a table or column.

    Args:
        coverage: the rows of `coverage`.

    Returns:
        one row per question: question, not_given (the tables and columns that would answer it).
    """
    missing = coverage[coverage["is_missing"]]
    question = missing["question"].replace("", "No question of this report: detail only")
    joined = missing["subject"].groupby(question, sort=False).agg(", ".join)
    return joined.rename("not_given").rename_axis("question").reset_index()


def freshness(quality: pd.DataFrame, as_of: dt.date) -> pd.DataFrame:
    """How old is the newest event of each table on the as-of date?

    Returns:
        one row per table with dates, oldest first: table, last_date, days_before_as_of (0: that day
        or later).
    """
    rows = quality[(quality["kind"] == "freshness") & quality["last_date"].notna()]
    age = (pd.Timestamp(as_of) - rows["last_date"]).dt.days.clip(lower=0)
    table = pd.DataFrame(
        {"table": rows["table"], "last_date": rows["last_date"], "days_before_as_of": age}
    )
    return table.sort_values(
        ["days_before_as_of", "table"], ascending=[False, True], ignore_index=True
    )


def returns_by_day(
    returns: pd.DataFrame, marks: Sequence[int], cut_off: dt.date, confidence: float
) -> pd.DataFrame:
    """What share of settled lapses came back by each day? The evidence for choosing a grace.

    Args:
        returns: one row per lapse: lapse_date, days_observed, has_returned.
        marks: days after the lapse; a return on the day counts.
        cut_off: later lapses are not settled and stay out.
        confidence: of the log-log interval.

    Returns:
        one row per mark: day, returned_share (1 − Kaplan–Meier), ci_low, ci_high, n (settled
        lapses), n_at_risk (still watched on that day), note. The share is missing under SMALLEST_N
        lapses and after the last day watched.
    """
    settled = returns[returns["lapse_date"] <= pd.Timestamp(cut_off)]
    curve = kaplan_meier(
        settled["days_observed"].to_numpy(float),
        settled["has_returned"].to_numpy(bool),
        confidence=confidence,
    )
    return pd.DataFrame([_return_mark(settled, curve, day) for day in marks])


def _return_mark(settled: pd.DataFrame, curve: pd.DataFrame, day: int) -> dict[str, object]:
    n, watched = len(settled), int((settled["days_observed"] >= day).sum())
    back = int((settled["has_returned"] & (settled["days_observed"] <= day)).sum())
    row = {"day": int(day), "n": n, "n_at_risk": watched}
    blank = {"returned_share": np.nan, "ci_low": np.nan, "ci_high": np.nan}
    if n < SMALLEST_N:
        return row | blank | {"note": f"{back} of {n}"}
    if day > settled["days_observed"].max():
        return row | blank | {"note": "no lapse was watched so long"}
    reached = curve[curve["time"] <= day]
    if not back:
        return row | blank | {"returned_share": 0.0, "note": "nobody came back by then"}
    last = reached.iloc[-1]
    shares = {"returned_share": 1 - last["estimate"], "ci_low": 1 - last["ci_high"],
              "ci_high": 1 - last["ci_low"]}  # fmt: skip
    return row | shares | {"note": ""}


def churn_definitions(
    accounts: pd.DataFrame,
    spells: pd.DataFrame,
    marks: Sequence[str],
    confidence: float = 0.95,
    *,
    is_flat: bool = False,
) -> pd.DataFrame:
    """Our definitions of churn beside the company's own marks, so that none is picked in silence.

    Args:
        accounts: account_id, is_customer, first_paid_date and the marks (True, False or missing).
        spells: account_id, is_churn (settled lapses, any end type).
        marks: the company's own columns.
        confidence: of the Wilson interval of share.
        is_flat: the accounts are of a flat file, which knows neither MRR by day nor a return.

    Returns:
        one row per definition: definition, n_churned, n_accounts, share, ci_low, ci_high,
        n_still_customer (of those churned by it, paying at the end of the month), note. Share is
        missing under SMALLEST_N accounts.

    Raises:
        ValueError: a mark that accounts do not have, or that is not true or false.
    """
    paid = accounts["first_paid_date"].notna()
    churned = accounts["account_id"].isin(spells.loc[spells["is_churn"].astype(bool), "account_id"])
    gone = ~accounts["is_customer"].astype(bool)
    known = [
        ("churned at least once", churned, paid, "MRR fell to 0 and stayed there past the grace"),
        ("no longer a customer", gone & paid, paid, "paid once, no MRR at the end of the month"),
    ]
    if is_flat:
        known = [("no longer a customer", gone & paid, paid, "the file calls it churned")]
    own = [(name, *_mark(accounts, name), "the company's own mark") for name in marks]
    return pd.DataFrame(
        [_churn_row(accounts, *definition, confidence) for definition in [*known, *own]]
    )


def _mark(accounts: pd.DataFrame, name: str) -> tuple[pd.Series, pd.Series]:
    """Who carries a mark, and for whom it is known."""
    if name not in accounts:
        raise ValueError(
            f"population.churn_marks names {name!r}, which accounts do not have. Declare it as an "
            "attribute of type flag under source.tables.accounts.attributes."
        )
    values = accounts[name]
    odd = values.dropna()[~values.dropna().isin([True, False])]
    if len(odd):
        raise ValueError(
            f"{len(odd)} value(s) of the mark {name!r} are neither true nor false (first: "
            f"{str(odd.iloc[0])[:40]!r}). Declare the attribute as type flag."
        )
    return values.eq(True), values.notna()


def _churn_row(
    accounts: pd.DataFrame,
    definition: str,
    churned: pd.Series,
    population: pd.Series,
    note: str,
    confidence: float,
) -> dict[str, object]:
    k, n = int((churned & population).sum()), int(population.sum())
    _, low, high = wilson(k, n, confidence)
    shown = (_share(k, n), float(low), float(high)) if n >= SMALLEST_N else (np.nan,) * 3
    still = int((churned & population & accounts["is_customer"].astype(bool)).sum())
    told = note if n >= SMALLEST_N else f"{k} of {n}; {note}"
    return {"definition": definition, "n_churned": k, "n_accounts": n, "share": shown[0],
            "ci_low": shown[1], "ci_high": shown[2], "n_still_customer": still,
            "note": told}  # fmt: skip


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else np.nan


def _has_no_money(accounts: pd.DataFrame) -> bool:
    """True for a flat file without MRR: blank for everybody, so no sum may say 0."""
    return bool(len(accounts)) and bool(accounts["mrr"].isna().all())


def _money(accounts: pd.DataFrame, rows: pd.Series) -> float:
    return np.nan if _has_no_money(accounts) else float(accounts.loc[rows, "mrr"].sum())
