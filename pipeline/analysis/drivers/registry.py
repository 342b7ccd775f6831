"""Which columns may be held against leaving, and what did each know when?

Works on names alone. One entry per feature that the snapshot makes: where it comes from, its grain,
when it was available, how far it looks back, what a blank means and the sign one would expect. The
subtle point: a leak is refused before a model is fitted, by name and by rule, because a model that
has seen the future looks better than an honest one.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import pandas as pd

LEAVING, EITHER, STAYING = "leaving", "either", "staying"
BEFORE = "known before the first day of the month; frozen from the month of notice"
AT_SIGNING = "as it was at signing"
NOT_GIVEN = "blank where the table is not there"


class LeakageError(ValueError):
    """A candidate may know what the month it is held against could not."""


@dataclass(frozen=True)
class RegisteredFeature:
    """What a feature knew, and when."""

    name: str
    source: str
    grain: str
    available: str
    lookback_days: int | None
    missing: str
    expected_sign: str


def _monthly(
    name: str, source: str, lookback: int | None, sign: str, missing: str = NOT_GIVEN
) -> RegisteredFeature:
    return RegisteredFeature(name, source, "account and month", BEFORE, lookback, missing, sign)


def _signed(name: str, sign: str = EITHER) -> RegisteredFeature:
    return RegisteredFeature(name, "accounts", "account", AT_SIGNING, None, "not measured", sign)


OUTAGE = "blank in a month without any event on file"
FEATURES: dict[str, RegisteredFeature] = {
    feature.name: feature
    for feature in (
        _monthly("mrr", "subscriptions", 0, EITHER, "never blank"),
        _monthly("seats", "subscriptions", 0, EITHER),
        _monthly("is_due_for_renewal", "subscriptions", 0, LEAVING),
        _monthly("has_value", "milestones", None, STAYING),
        _monthly("usage_events", "usage", 31, STAYING, OUTAGE),
        _monthly("usage_days", "usage", 31, STAYING, OUTAGE),
        _monthly("usage_users", "usage", 31, STAYING, OUTAGE),
        _monthly("usage_days_change", "usage", 62, STAYING, OUTAGE),
        _monthly("tickets", "tickets", 31, LEAVING),
        _monthly("open_tickets", "tickets", None, LEAVING),
        _monthly("touches", "touches", 31, EITHER),
        _monthly("is_play_active", "plays", 90, EITHER),
        _monthly("is_champion_lost", "contacts", 90, LEAVING),
        _monthly("nps_band", "surveys", 180, EITHER, "no_answer is a level of its own"),
        *(
            _signed(name)
            for name in (
                "segment", "industry", "country", "business_type", "acquisition_channel",
                "acquisition_cost", "touch_model", "csm_id", "billing_interval",
            )
        ),
    )
}  # fmt: skip
FORBIDDEN: dict[str, str] = {
    "is_churn": "is the outcome",
    "end_type": "is known only once the customer has left",
    "end_reason": "is known only once the customer has left",
    "is_settled": "says when the outcome was known",
    "is_age_known": "says how the row was observed",
    "is_in_notice": "is the leaving itself, announced",
    "notice_date": "is the leaving itself, announced",
    "is_customer": "is the status at the extract",
    "term_ends_on": "is read at the extract",
    "first_value_date": "holds dates after the month; has_value is the column known before it",
    "reached_value_ever": "only those who stayed had the time; has_value is known before the month",
    "tenure_months": "is the baseline of the model already",
    "first_paid_date": "is the baseline of the model already",
    "is_first_paid_known": "says how the row was observed",
    "account_id": "is an id",
    "name": "is an id",
    "period": "is the calendar, which the baseline holds",
    "signed_up_date": "is a date",
}
FORBIDDEN_WORDS = {
    "extract": "read at the extract",
    "lifetime": "a total over the whole life",
    "ever": "a total over the whole life",
    "final": "the last value before leaving",
    "next": "read after the month began",
    "future": "read after the month began",
    "after": "read after something that leads to leaving",
}
"""Words of a name that say that the value is not as of a past month."""
ID_LIKE_SHARE = 0.9
"""With so many levels per account a column names accounts, not a property of them."""
FEWEST_FOR_AN_ID = 20


def refuse(
    candidates: Collection[str],
    monthly: Collection[str],
    of_account: Collection[str],
    known_at_extract: Collection[str] = (),
) -> None:
    """Stop when a candidate has no rule of availability, or one that holds the future.

    Args:
        candidates: names of drivers.
        monthly: columns of the account-months.
        of_account: columns of the accounts; those not made by us are the company's own attributes,
            declared as known at signing.
        known_at_extract: attributes declared to hold today's value.

    Raises:
        LeakageError: names the candidates, why, and what to do.
    """
    todays = [name for name in candidates if name in known_at_extract]
    if todays:
        raise LeakageError(
            f"{', '.join(todays)} hold today's value (known: at_extract) and may know what a past "
            "month could not. Take them out of drivers.candidates, or declare known: at_signup if "
            "they never change."
        )
    reasons = {name: _why(name, name in monthly, name in of_account) for name in candidates}
    wrong = [f"{name} {reason}" for name, reason in reasons.items() if reason]
    if wrong:
        raise LeakageError(
            f"{len(wrong)} of {len(reasons)} candidates may know what the month could not: "
            f"{'; '.join(wrong[:5])}. Take them out of drivers.candidates, or give the feature a "
            "rule of availability where it is made and register it."
        )


def refuse_ids(accounts: pd.DataFrame, candidates: Collection[str]) -> None:
    """Stop when a text column has about as many levels as there are accounts.

    Raises:
        LeakageError: such a column names accounts; a model could learn each one's fate.
    """
    for name in candidates:
        values = accounts[name].dropna() if name in accounts else pd.Series(dtype=object)
        is_number = pd.api.types.is_numeric_dtype(values)
        levels = 0 if is_number else int(values.nunique())
        if len(values) >= FEWEST_FOR_AN_ID and levels >= ID_LIKE_SHARE * len(values):
            raise LeakageError(
                f"{name} has {levels} levels in {len(values)} accounts (such as "
                f"{', '.join(map(str, values.head(3)))}): it names accounts. Take it out of "
                "drivers.candidates, or group its levels first."
            )


def registered(candidates: Collection[str]) -> pd.DataFrame:
    """What each candidate knew, and when.

    Args:
        candidates: names of drivers that were not refused.

    Returns:
        One row per candidate: driver, source, grain, available, lookback_days (blank: all
        that came before), missing, expected_sign (leaving, either, staying).
    """
    rows = [vars(FEATURES.get(name, _signed(name))) for name in candidates]
    columns = list(RegisteredFeature.__dataclass_fields__)
    table = pd.DataFrame(rows, columns=columns).rename(columns={"name": "driver"})
    return table.assign(lookback_days=table["lookback_days"].astype("Float64"))


def _why(name: str, is_monthly: bool, is_of_account: bool) -> str:
    """Why a candidate is refused; blank: it is not. What neither table holds is named later."""
    if name in FORBIDDEN:
        return FORBIDDEN[name]
    told = [why for word, why in FORBIDDEN_WORDS.items() if word in name.split("_")]
    if told:
        return f"is, by its name, {told[0]}"
    if name not in FEATURES and is_monthly:
        return "has no rule of availability in the registry"
    return ""
