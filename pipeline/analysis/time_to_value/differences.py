"""By how much do groups differ in reaching value, with an interval of the difference?

The subtle point: a regression needs one number per account, and who is still waiting has none.
Pseudo-observations of the incidence stand in; they are taken within each level, so that levels may
be followed for different times.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from pipeline.analysis.reliability import SMALLEST_N
from pipeline.analysis.time_to_value.covariates import coded, independent
from pipeline.analysis.time_to_value.incidence import MARK_DAYS, supported_days
from pipeline.analysis.time_to_value.starters import VALUE
from pipeline.statistics.gray import gray_test
from pipeline.statistics.multiplicity import benjamini_hochberg
from pipeline.statistics.pseudo_values import incidence_pseudo_values

COLUMNS = [
    "group", "level", "reference", "day", "difference", "ci_low", "ci_high",
    "adjusted_difference", "adjusted_ci_low", "adjusted_ci_high", "n", "note",
]  # fmt: skip


def differences(
    starters: pd.DataFrame,
    groups: Iterable[str],
    confidence: float,
    days: Sequence[int] = MARK_DAYS,
) -> pd.DataFrame:
    """Share with value by a day, each level less the largest, alone and given the other groups.

    Args:
        starters: days, outcome, followed_days, account_id, and the groups.
        groups: columns known at signing.
        confidence: level of the intervals.
        days: days since the first paid day, inclusive.

    Returns:
        One row per group, level but the largest, and day: COLUMNS; differences are in shares, n
        counts the level's starters. Blank with a note where fewer than ten started, or too few are
        followed so long.

    Source: Klein & Andersen (2005), Biometrics 61: 223: independence estimating equations with
    identity link and robust errors, one pseudo-observation per account and day.
    """
    names = list(dict.fromkeys(groups))
    rows = [
        row
        for name in names
        for row in _of_group(starters, name, [each for each in names if each != name], days)
    ]
    found = pd.DataFrame(rows, columns=[*COLUMNS[:4], "alone", "given", "n", "note"])
    reach = stats.norm.ppf((1 + confidence) / 2)
    for stem, kind in (("", "alone"), ("adjusted_", "given")):
        estimate, std_err = found[kind].str[0].astype(float), found[kind].str[1].astype(float)
        found[f"{stem}difference"] = estimate
        found[f"{stem}ci_low"] = (estimate - reach * std_err).clip(lower=-1.0)
        found[f"{stem}ci_high"] = (estimate + reach * std_err).clip(upper=1.0)
    return found[COLUMNS]


def group_tests(starters: pd.DataFrame, groups: Iterable[str]) -> pd.DataFrame:
    """Gray's test of one incidence of value for all levels of a group, at every day together.

    Args:
        starters: days, outcome, and the groups.
        groups: columns known at signing; levels of fewer than ten starters are left out, and named.

    Returns:
        One row per group: test ("gray"), stratum (the group), statistic, df, p_value, q_value (over
        the groups), n, note.

    Source: Gray (1988), Annals of Statistics 16: 1141.
    """
    rows = []
    for name in dict.fromkeys(groups):
        sizes = starters[name].value_counts().sort_index()
        small = sizes.index[sizes < SMALLEST_N]
        kept = starters[~starters[name].isin(small)]
        found = gray_test(kept["days"], kept["outcome"], kept[name], VALUE)
        left_out = f"too few starters: {', '.join(map(str, small))}" if len(small) else ""
        note = "; ".join(filter(None, [found.reason, left_out]))
        rows.append(("gray", name, found.statistic, found.df, found.p_value, len(kept), note))
    columns = ["test", "stratum", "statistic", "df", "p_value", "n", "note"]
    tests = pd.DataFrame(rows, columns=columns)
    tests.insert(5, "q_value", benjamini_hochberg(tests["p_value"].astype(float)))
    return tests


def _of_group(
    starters: pd.DataFrame, group: str, others: list[str], days: Sequence[int]
) -> list[tuple]:
    sizes = starters[group].value_counts().sort_index()
    if len(sizes) < 2:
        return []
    reference = sizes.idxmax()
    rows = []
    for day in days:
        why = {level: _too_little(starters[starters[group] == level], day) for level in sizes.index}
        readable = [level for level in sizes.index if not why[level]]
        kept = starters[starters[group].isin(readable)] if not why[reference] else starters[:0]
        alone, given = _fitted(kept, group, reference, others, day)
        for level in sizes.index.drop(reference):
            note = why[level] or why[reference]
            blank = (np.nan, np.nan)
            found = alone.get(level, blank), given.get(level, blank)
            rows.append((group, level, reference, day, *found, int(sizes[level]), note))
    return rows


def _too_little(members: pd.DataFrame, day: int) -> str:
    if len(members) < SMALLEST_N:
        return f"{int((members['outcome'] == VALUE).sum())} of {len(members)}"
    return "" if supported_days(members) >= day else f"too few are followed for {day} days"


def _fitted(
    rows: pd.DataFrame, group: str, reference: str, others: list[str], day: int
) -> tuple[dict[str, tuple[float, float]], dict[str, tuple[float, float]]]:
    """Difference and standard error of each level, alone and given the other groups."""
    levels = [level for level in sorted(rows[group].unique()) if level != reference]
    if not levels:
        return {}, {}
    y = np.zeros(len(rows))
    for level in [reference, *levels]:
        here = (rows[group] == level).to_numpy()
        part = rows[here]
        y[here] = incidence_pseudo_values(part["days"], part["outcome"], VALUE, [day])[:, 0]
    own = pd.DataFrame({level: (rows[group] == level).astype(float) for level in levels})
    beside = coded(rows.assign(event=True), others).columns
    beside = beside[independent(beside, own)]
    alone = _means(y, own)
    given = _means(y, own.join(beside)) if beside.shape[1] else alone
    return alone, {level: given[level] for level in levels}


def _means(y: NDArray[np.float64], columns: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Least squares with robust errors (HC1), which one row per account makes clustered."""
    design = np.column_stack([np.ones(len(y)), columns.to_numpy(float)])
    bread = np.linalg.inv(design.T @ design)
    params = bread @ design.T @ y
    scores = design * (y - design @ params)[:, None]
    spread = bread @ (scores.T @ scores) @ bread * len(y) / (len(y) - design.shape[1])
    errors = np.sqrt(np.diag(spread))
    return {
        name: (float(params[place]), float(errors[place]))
        for place, name in enumerate(columns.columns, start=1)
    }
