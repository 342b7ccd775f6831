"""Would other reasonable choices have said the same? The primary contrast under each of them.

The subtle point: one choice is varied at a time, and every choice is listed here before anyone saw
what it gives.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from pipeline.analysis import choices
from pipeline.analysis.choices import SPECIFICATION_COLUMNS
from pipeline.analysis.grace import cut_off_of, respelled
from pipeline.analysis.levels import NOT_MEASURED, levels_of
from pipeline.analysis.reliability import LARGEST_SHARE
from pipeline.analysis.time_to_value.exposure import (
    LANDMARK,
    LANDMARK_DAY,
    at_landmark,
    primary_model,
    start_stop,
    time_varying_model,
)
from pipeline.analysis.time_to_value.grouped import grouped_model
from pipeline.analysis.time_to_value.leaving import LeavingModel, leaving_model
from pipeline.analysis.time_to_value.starters import starters

CHAPTER = "time_to_value"
FIRST_DAYS = 30
MORE_COVARIATES = ("acquisition_channel", "billing_interval")
USE = "use_before"
Spec = tuple[str, str, Callable[[], LeavingModel]]


@dataclass(frozen=True)
class _Slice:
    """The frames and choices that specifications start from."""

    accounts: pd.DataFrame
    account_months: pd.DataFrame
    spells: pd.DataFrame
    returns: pd.DataFrame
    cut_off: dt.date
    as_of: dt.date
    observation_start: dt.date | None
    grace_days: int
    adjust_for: list[str]
    primary_contrast: str
    confidence: float

    def starters(self, spells: pd.DataFrame, cut_off: dt.date) -> pd.DataFrame:
        """The starters under other spells; columns for more covariates where they are on file."""
        more = [name for name in MORE_COVARIATES if name in self.accounts]
        return starters(
            self.accounts, self.account_months, spells, cut_off, self.observation_start,
            [*self.adjust_for, *more],
        )  # fmt: skip

    def primary(self, rows: pd.DataFrame, adjust_for: Iterable[str] | None = None) -> LeavingModel:
        """The primary model on other rows or with other covariates."""
        names = self.adjust_for if adjust_for is None else adjust_for
        return primary_model(rows, self.primary_contrast, names, self.confidence)


def specifications(
    accounts: pd.DataFrame,
    account_months: pd.DataFrame,
    spells: pd.DataFrame,
    returns: pd.DataFrame,
    cut_off: dt.date,
    as_of: dt.date,
    observation_start: dt.date | None,
    grace_days: int,
    landmark_days: Iterable[int],
    adjust_for: Iterable[str],
    primary_contrast: str,
    confidence: float,
) -> pd.DataFrame:
    """The hazard ratio of value under every listed choice, the primary one first.

    Args:
        accounts: table of the slice.
        account_months: table of the slice; gives use and notice.
        spells: table of the slice.
        returns: table of the slice; gives other graces.
        cut_off: analysis cut-off of the slice.
        as_of: as-of date of the slice.
        observation_start: first day observed, or None.
        grace_days: grace that the slice was cut with.
        landmark_days: time_to_value.landmark_days.
        adjust_for: time_to_value.adjust_for.
        primary_contrast: time_to_value.primary_contrast.
        confidence: level of the intervals.

    Returns:
        One row per specification: SPECIFICATION_COLUMNS; unit "ratio"; note says why it is blank.
    """
    base = _Slice(
        accounts, account_months, spells, returns, cut_off, as_of, observation_start, grace_days,
        list(adjust_for), primary_contrast, confidence,
    )  # fmt: skip
    rows = base.starters(spells, cut_off)
    specs: list[Spec] = [
        *_models(base, rows, list(landmark_days)),
        *_covariates(base, rows),
        *_graces(base),
        *_samples(base, rows),
    ]
    said = choices.primary(_words(primary_contrast))
    first = _row(base, "primary", said, base.primary(rows), True)
    others = [_row(base, choice, words, fitted(), False) for choice, words, fitted in specs]
    return pd.DataFrame([first, *others], columns=SPECIFICATION_COLUMNS)


def _words(kind: str, day: int = LANDMARK_DAY) -> str:
    return f"landmark, day {day}" if kind == LANDMARK else "time-varying, Cox on days of age"


def _row(
    base: _Slice, choice: str, words: str, found: LeavingModel, is_primary: bool
) -> dict[str, object]:
    name = f"value_by_day_{LANDMARK_DAY}" if base.primary_contrast == LANDMARK else "value_reached"
    return {
        "chapter": CHAPTER, "contrast": name, "choice": choice,
        "specification": words, "estimate": found.hazard_ratio, "ci_low": found.ci_low,
        "ci_high": found.ci_high, "unit": "ratio", "n": found.n, "n_events": found.n_events,
        "is_primary": is_primary, "note": found.note,
    }  # fmt: skip


def _models(base: _Slice, rows: pd.DataFrame, landmark_days: list[int]) -> Iterator[Spec]:
    adjust, confidence = base.adjust_for, base.confidence
    if base.primary_contrast == LANDMARK:
        yield "model", "time-varying", lambda: time_varying_model(rows, adjust, confidence)
    for day in landmark_days:
        if (base.primary_contrast, day) != (LANDMARK, LANDMARK_DAY):
            yield "model", _words(LANDMARK, day), partial(_at, base, rows, day, adjust)
    yield (
        "model",
        "time-varying, cloglog on months",
        lambda: grouped_model(rows, adjust, confidence),
    )


def _at(base: _Slice, rows: pd.DataFrame, day: int, names: list[str]) -> LeavingModel:
    return leaving_model(at_landmark(rows, day), "by_landmark", names, base.confidence)


def _covariates(base: _Slice, rows: pd.DataFrame) -> Iterator[Spec]:
    yield "covariates", "not adjusted", lambda: base.primary(rows, [])
    more = [name for name in MORE_COVARIATES if name in rows and name not in base.adjust_for]
    if more:
        words = " and ".join(name.replace("_", " ") for name in more)
        names = [*base.adjust_for, *more]
        yield "covariates", f"and {words}", lambda: base.primary(rows, names)
    with_use = use_before(rows, base.account_months, LANDMARK_DAY)
    words = f"{_words(LANDMARK)}, and use before it"
    yield (
        "covariates",
        words,
        lambda: _at(base, with_use, LANDMARK_DAY, [*base.adjust_for, USE]),
    )


def _graces(base: _Slice) -> Iterator[Spec]:
    for days in choices.GRACES_DAYS:
        if days != base.grace_days:
            yield "grace", choices.days(days), partial(_under_grace, base, days)


def _under_grace(base: _Slice, days: int) -> LeavingModel:
    last = cut_off_of(days, base.grace_days, base.as_of, base.cut_off)
    spells = respelled(base.spells, base.returns, days, last)
    return base.primary(base.starters(spells, last))


def _samples(base: _Slice, rows: pd.DataFrame) -> Iterator[Spec]:
    is_voluntary = rows["is_lost"] & (rows["end_type"] == "voluntary")
    voluntary = rows.assign(is_lost=is_voluntary)
    yield "event", choices.VOLUNTARY_ONLY, lambda: base.primary(voluntary)
    noticed = dated_on_notice(rows, base.account_months)
    yield "event", choices.ON_NOTICE, lambda: base.primary(noticed)
    if base.primary_contrast != LANDMARK:
        yield (
            "sample",
            choices.without_first(FIRST_DAYS),
            lambda: _after(start_stop(rows), FIRST_DAYS, base),
        )
    limit = rows["mrr_last"].quantile(1 - LARGEST_SHARE)
    small = rows[~(rows["mrr_last"] > limit)]
    yield "sample", choices.WITHOUT_LARGEST, lambda: base.primary(small)
    years = rows["first_paid_date"].dt.year
    for year in sorted(years.unique()):
        kept = rows[years != year]
        words = choices.without_starters_of(year)
        yield "sample", words, partial(base.primary, kept)


def _after(parts: pd.DataFrame, day: int, base: _Slice) -> LeavingModel:
    late = parts[parts["stop"] > day]
    late = late.assign(start=late["start"].clip(lower=day))
    return leaving_model(late, "has_value", base.adjust_for, base.confidence)


def use_before(rows: pd.DataFrame, account_months: pd.DataFrame, day: int) -> pd.DataFrame:
    """Starters with the use known at a day of age, in quarters of days with use a month.

    Gives the same rows with `use_before`: usage_days of the last calendar month that had begun by
    then, "not measured" where there is none.
    """
    months = account_months[["account_id", "period", "usage_days"]]
    began = months.assign(began=_began(months["period"]))[["account_id", "began", "usage_days"]]
    asked = rows[["account_id"]].assign(
        until=(rows["first_paid_date"] + pd.Timedelta(days=day)).astype(began["began"].dtype)
    )
    known = began.merge(asked, on="account_id")
    known = known[known["began"] <= known["until"]].sort_values("began", kind="stable")
    last = known.groupby("account_id")["usage_days"].last()
    use = rows["account_id"].map(last)
    if use.notna().any():
        return rows.assign(**{USE: levels_of(use)})
    return rows.assign(**{USE: NOT_MEASURED})


def dated_on_notice(rows: pd.DataFrame, account_months: pd.DataFrame) -> pd.DataFrame:
    """Starters whose loss is dated on the first month begun in notice, where notice was given.

    What happens between notice and lapse cannot change the decision; value reached then is late.

    Returns:
        The same rows, end_day and value_day as they were by then.
    """
    noticed = account_months[account_months["is_in_notice"].eq(True)]
    first = _began(noticed["period"]).groupby(noticed["account_id"]).min()
    age = (rows["account_id"].map(first) - rows["first_paid_date"]).dt.days
    is_earlier = rows["is_lost"] & (age > 0) & (age < rows["end_day"])
    end = np.where(is_earlier, age, rows["end_day"]).astype("int64")
    is_late = is_earlier & (rows["value_day"] >= end)
    return rows.assign(end_day=end, value_day=rows["value_day"].where(~is_late))


def _began(period: pd.Series) -> pd.Series:
    return pd.to_datetime(period.astype(str) + "-01", format="%Y-%m-%d")
