"""Leaving is one thing a month can bring: what goes with growing and with shrinking?

Works on settled rows with the movement of mrr_ledger. Tables made: drivers.movements. Staying as
one was is the reference; each other movement is held against it in a logistic regression of its
own, which estimates the coefficients of the multinomial one. The subtle point: rows with another
movement are left aside in each, so the ratios compare with staying, not with everything else.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import stats

from pipeline.analysis.drivers.design import learned
from pipeline.analysis.drivers.kinds import counted
from pipeline.analysis.drivers.months import Months
from pipeline.analysis.drivers.rows import month_number, numbered
from pipeline.analysis.levels import NOT_MEASURED
from pipeline.statistics import multiplicity

STAYED, MOVEMENT = "retained", "movement"
MOVED_BY = ("period", "account_id", "movement")
"""Columns of mrr_ledger that the chapter needs."""
OTHERS = ("contraction", "expansion")
MOVEMENT_COLUMNS = [
    "movement", "driver", "level", "unit", "reference", "relative_risk_ratio", "ci_low", "ci_high",
    "p_value", "q_value", "n", "n_events", "note",
]  # fmt: skip


def movements(
    rows: pd.DataFrame,
    mrr_ledger: pd.DataFrame,
    candidates: list[str],
    events_per_parameter: float,
    confidence: float,
    known: Months | None = None,
) -> pd.DataFrame:
    """What goes with contraction and expansion, against staying as one was.

    Args:
        rows: from `settled`.
        mrr_ledger: period, account_id, movement.
        candidates: names of drivers.
        events_per_parameter: fewest movements per driver term.
        confidence: of the intervals, errors clustered by account.
        known: the same rows counted by kind, as `DriverModel.months` has them; None: counted here.

    Returns:
        One row per movement, driver and level: the columns of drivers.movements; one row with the
        reason where a movement is too rare, and no number where the model did not settle.

    Source: Begg and Gray (1984), Biometrika 71: 11.
    """
    moved, known = _movement(rows, mrr_ledger), known or counted(rows, candidates)
    months, tables = known.split(MOVEMENT, moved, rows["account_id"]), []
    for movement in OTHERS:
        own = months.part(months.rows[MOVEMENT].isin([STAYED, movement]).to_numpy())
        happened = own.rows[MOVEMENT].eq(movement).to_numpy(bool)
        own = replace(own, rows=own.rows.assign(is_churn=happened))
        tables.append(_table(own, movement, candidates, events_per_parameter, confidence))
    whole = pd.concat(tables, ignore_index=True)
    q_values = multiplicity.benjamini_hochberg(whole["p_value"])
    return whole.assign(q_value=q_values)[MOVEMENT_COLUMNS]


def _movement(rows: pd.DataFrame, mrr_ledger: pd.DataFrame) -> pd.Series:
    """The movement of each row's account and month; blank where the ledger has none."""
    account, found = numbered(rows["account_id"])
    known, names = numbered(mrr_ledger["account_id"])
    place = pd.Index(found, dtype=object).get_indexer(pd.Index(names, dtype=object))
    of_ledger, month = place.astype(np.int32)[known], month_number(rows["period"])
    first, last = (month.min(), month.max()) if len(month) else (0, 0)
    month_of_ledger, span = month_number(mrr_ledger["period"]), int(last - first) + 1
    is_own = (of_ledger >= 0) & (month_of_ledger >= first) & (month_of_ledger <= last)
    codes, movements = numbered(mrr_ledger["movement"])
    table = np.full(len(found) * span, -1, dtype=np.int8)
    cell = of_ledger[is_own].astype(np.int64) * span
    cell += month_of_ledger[is_own] - first
    table[cell] = codes[is_own]
    if np.count_nonzero(table >= 0) < len(cell):
        raise ValueError("An account has two movements in one month; mrr_ledger has one.")
    cell = account.astype(np.int64) * span
    cell += month - first
    at = table[cell]
    return pd.Series(pd.Categorical.from_codes(at, np.asarray(movements, object)))


def _table(
    months: Months,
    movement: str,
    candidates: list[str],
    events_per_parameter: float,
    confidence: float,
) -> pd.DataFrame:
    n_events = months.n_events
    n_accounts = months.n_accounts(np.ones(len(months.rows), dtype=bool))
    counts = {"movement": movement, "n": n_accounts, "n_events": n_events}
    recipe, design = learned(months, candidates, True) if n_events else (None, pd.DataFrame())
    if recipe is None or recipe.terms.empty or n_events < events_per_parameter * len(recipe.terms):
        note = f"too few: {n_events} account-months with {movement}"
        return pd.DataFrame([{**counts, "note": note}]).reindex(columns=MOVEMENT_COLUMNS)
    fitted = months.fitted(design, link="logit")
    terms = recipe.terms[recipe.terms["level"] != NOT_MEASURED]
    params = fitted.params[terms["column"]].to_numpy()
    errors = np.sqrt(np.diag(fitted.cov.loc[terms["column"], terms["column"]]))
    if not fitted.converged:
        params, errors = np.full((2, len(terms)), np.nan)
    reach = stats.norm.ppf(0.5 + confidence / 2) * errors
    return terms.assign(
        **counts,
        relative_risk_ratio=np.exp(params),
        ci_low=np.exp(params - reach),
        ci_high=np.exp(params + reach),
        p_value=2 * stats.norm.sf(np.abs(params / errors)),
        q_value=np.nan,
        note="" if fitted.converged else "the coefficients did not settle",
    )[MOVEMENT_COLUMNS]
