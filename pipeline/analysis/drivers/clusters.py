"""Which drivers are set per customer success manager, and how sure are we of those?

Works on a fitted model whose rows name the manager. The subtle point: where all accounts of a
manager share the value, there are as many independent looks at it as managers, not as accounts;
errors clustered by account are then far too small.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from pipeline.analysis.drivers.model import DriverModel
from pipeline.analysis.drivers.rows import MANAGER
from pipeline.statistics.cloglog import Coefficients

FEWEST_MANAGERS, FEW_MANAGERS = 8, 30
"""Below the first, descriptive only; below the second, fragile; Cameron and Miller (2015)."""
CLUSTER_COLUMNS = ["column", "std_err", "degrees", "n_clusters", "cluster_note"]


def by_manager(model: DriverModel) -> pd.DataFrame:
    """Errors clustered by manager of the columns whose driver is one value per manager.

    Args:
        model: from `fit`; rows with `csm_id` (blank: each account stands alone).

    Returns:
        One row per such column: column, std_err (of the log hazard ratio), degrees of freedom,
        n_clusters, cluster_note. Empty without managers, or for a penalised fit.

    Source: Cameron and Miller (2015), Journal of Human Resources 50: 317; CR1 with t(G − 2).
    """
    empty = pd.DataFrame(columns=CLUSTER_COLUMNS)
    if model.fitted is None or model.is_penalised or MANAGER not in model.months.rows:
        return empty
    has_manager = model.months.rows[MANAGER].notna().to_numpy()
    known = model.months.rows[has_manager]
    n_managers = int(known[MANAGER].nunique())
    drivers = [name for name in model.recipe.terms["driver"].unique() if _is_set(known, name)]
    if n_managers < 2 or n_managers > model.months.n_accounts(has_manager) / 2 or not drivers:
        return empty
    terms = model.recipe.terms
    columns = list(terms.loc[terms["driver"].isin(drivers), "column"])
    kept = Coefficients(model.fitted.params.to_numpy(), model.fitted.cov.to_numpy(), True)
    cov = model.months.clustered_by(model.design, kept, MANAGER).cov
    errors = pd.Series(np.sqrt(np.diag(cov)), index=model.design.columns)[columns]
    return pd.DataFrame(
        {"column": columns, "std_err": errors.to_numpy(), "degrees": max(n_managers - 2, 1),
         "n_clusters": n_managers, "cluster_note": _note(n_managers)}
    )  # fmt: skip


def widened(rows: pd.DataFrame, managers: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Effects with the manager's errors in place of the account's where the driver is theirs.

    Args:
        rows: one row per column: column, hazard_ratio, ci_low, ci_high, p_value.
        managers: from `by_manager`.
        confidence: of the intervals.

    Returns:
        The same rows with clustered_by, n_clusters and cluster_note; below eight managers the
        interval and the p-value are blank.
    """
    own = managers.set_index("column").reindex(rows["column"])
    is_set = own["std_err"].notna().to_numpy()
    error, degrees = own["std_err"].to_numpy(float), own["degrees"].to_numpy(float)
    is_told = is_set & (own["n_clusters"].to_numpy(float) >= FEWEST_MANAGERS)
    log_ratio = np.log(rows["hazard_ratio"].to_numpy(float))
    degrees = np.where(is_set, degrees, 1.0)
    reach = stats.t.ppf(0.5 + confidence / 2, degrees) * error
    p_value = 2 * stats.t.sf(np.abs(log_ratio / np.where(is_set, error, 1.0)), degrees)
    wider = {"ci_low": np.exp(log_ratio - reach), "ci_high": np.exp(log_ratio + reach),
             "p_value": p_value}  # fmt: skip
    replaced = {
        name: np.where(is_set, np.where(is_told, values, np.nan), rows[name].to_numpy(float))
        for name, values in wider.items()
    }
    return rows.assign(
        **replaced,
        clustered_by=np.where(is_set, MANAGER, "account_id"),
        n_clusters=own["n_clusters"].to_numpy(float),
        cluster_note=own["cluster_note"].fillna("").to_numpy(object),
    )


def _is_set(rows: pd.DataFrame, driver: str) -> bool:
    codes = pd.Series(pd.factorize(rows[driver])[0]).groupby(rows[MANAGER].to_numpy())
    return driver != MANAGER and bool((codes.min() == codes.max()).all())


def _note(n_managers: int) -> str:
    if n_managers < FEWEST_MANAGERS:
        return f"set per manager, {n_managers} of them: descriptive only"
    told = f"set per manager, errors clustered by {n_managers} of them"
    return told + (": fragile" if n_managers < FEW_MANAGERS else "")
