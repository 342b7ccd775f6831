"""Who is at risk of leaving, from when, until when, and in which groups?

Tables read: spells, accounts. Table made: survival.left_out. The subtle point: an account that
existed before observation began enters the risk set at the age it then had (delayed entry); a spell
whose age is not known cannot enter at all, and is counted.
"""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

from pipeline.analysis.levels import levels_of

CAUSES = ("voluntary", "involuntary", "completed", "unknown")
ADMINISTRATIVE = "administrative"
EVERYBODY = "all"
LEFT_OUT, CENSORED = "left out", "in the curves, censored on the day of exit"


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
        that is not administrative), is_administrative, cause (of the event; blank when censored)
        and the strata as text levels.
    """
    return at_risk_in(spells[spells["spell"] == 1], accounts, strata).drop(columns="spell")


def at_risk_in(
    spells: pd.DataFrame, accounts: pd.DataFrame, strata: list[str | None]
) -> pd.DataFrame:
    """The given spells of known age that were followed, with the strata of their accounts.

    Args:
        spells: as for `spells_at_risk`.
        accounts: as for `spells_at_risk`.
        strata: as for `spells_at_risk`.

    Returns:
        One row per account and spell: the columns of `spells_at_risk` and spell.
    """
    counted = spells[is_true(spells["is_age_known"]) & is_true(spells["is_followed"])]
    has_ended = is_true(counted["is_churn"])
    is_event = has_ended & (counted["end_type"] != ADMINISTRATIVE)
    cause = counted["end_type"].where(counted["end_type"].isin(CAUSES), "unknown").where(is_event)
    columns = ["account_id", "spell", "start_date", "entry_days", "duration_days"]
    at_risk = counted[columns].assign(
        is_event=is_event, is_administrative=has_ended & ~is_event, cause=cause
    )
    own = {str(name): levels_of(accounts[name]) for name in strata if name in accounts}
    at_risk = at_risk.reset_index(drop=True)
    place = pd.Index(accounts["account_id"]).get_indexer(pd.Index(at_risk["account_id"]))
    is_known = pd.Series(place >= 0)
    levels = {name: column.iloc[place].reset_index(drop=True) for name, column in own.items()}
    return at_risk.assign(**{name: column.where(is_known) for name, column in levels.items()})


def left_out(spells: pd.DataFrame) -> pd.DataFrame:
    """Count the spells that the curves do not use, and those they censor.

    Args:
        spells: as for `spells_at_risk`.

    Returns:
        One row per reason: reason, handling (left out, or censored: in the curves until that day),
        n.
    """
    first = spells["spell"] == 1
    known = is_true(spells["is_age_known"])
    followed = is_true(spells["is_followed"])
    ended = is_true(spells["is_churn"]) & (spells["end_type"] == ADMINISTRATIVE)
    reasons = {
        ("later spells of accounts that came back", LEFT_OUT): ~first,
        ("first paid day unknown, so the age is unknown", LEFT_OUT): first & ~known,
        ("never at risk in the observed time", LEFT_OUT): first & known & ~followed,
        ("administrative exits", CENSORED): first & known & followed & ended,
    }
    counted = [(*names, int(mask.sum())) for names, mask in reasons.items()]
    return pd.DataFrame(counted, columns=["reason", "handling", "n"])


def by_level(at_risk: pd.DataFrame, strata: list[str]) -> list[tuple[str, str, pd.DataFrame]]:
    """Stratum, level and rows of everybody, then of each level of each stratum.

    The rows are the same rows, of `spells_at_risk`: one row per account at risk.
    """
    blocks = [(EVERYBODY, EVERYBODY, at_risk)]
    for stratum in strata:
        if stratum == EVERYBODY:
            continue
        blocks += [
            (stratum, str(level), group) for level, group in at_risk.groupby(stratum, sort=True)
        ]
    return blocks


def is_true(flags: pd.Series) -> pd.Series:
    """A flag column without blanks: blank is no."""
    return flags.astype("boolean").fillna(False).astype(bool)
