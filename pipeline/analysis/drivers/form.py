"""Is each driver said once, and in the right shape?

Works on the fitted model. Tables made: drivers.vif, drivers.form. A number enters as a straight
line on the log hazard; a restricted cubic spline is held against it, and the link against a bend.
The subtle point: a bend that is found is told, not modelled away; the line is then an average
slope.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from pipeline.analysis.checks import Check
from pipeline.analysis.drivers.model import DriverModel
from pipeline.statistics import multiplicity
from pipeline.statistics.design_rows import BLOCK, DesignRows, column_of, rows_of
from pipeline.statistics.spline import restricted_cubic

VIF_COLUMNS = ["driver", "df", "gvif", "scaled", "limit", "is_high", "closest"]
FORM_COLUMNS = ["what", "statistic", "df", "p_value", "q_value", "note"]
LINK = "link"
BENT_BELOW = 0.05
"""A q value below it is told as a bend."""
STRAIGHT, BENT = "a straight line will do", "not straight: the ratio is an average slope"


def vif(model: DriverModel, limit: float) -> pd.DataFrame:
    """How much of a driver the others already say: generalised variance inflation.

    Args:
        model: from `fit`.
        limit: of an ordinary variance inflation factor.

    Returns:
        One row per driver: driver, df (columns), gvif, scaled (gvif^(1/df), comparable with the
        limit), limit, is_high, closest (the driver it goes with most).

    Source: Fox and Monette (1992), JASA 87: 178.
    """
    terms = model.recipe.terms
    if model.fitted is None or terms["driver"].nunique() < 2:
        return pd.DataFrame(columns=VIF_COLUMNS)
    correlation = _correlation(model.design, list(terms["column"]), model.months.n)
    whole = np.linalg.slogdet(correlation)[1]
    rows = []
    for driver in terms["driver"].unique():
        own = (terms["driver"] == driver).to_numpy()
        parts = [np.linalg.slogdet(correlation[np.ix_(mask, mask)])[1] for mask in (own, ~own)]
        gvif, df = float(np.exp(sum(parts) - whole)), int(own.sum())
        scaled = gvif ** (1 / df)
        rows.append(
            (driver, df, gvif, scaled, limit, scaled > limit, _closest(terms, correlation, own))
        )
    return pd.DataFrame(rows, columns=VIF_COLUMNS)


def functional_form(model: DriverModel) -> pd.DataFrame:
    """Whether a straight line will do for each numeric driver, and the link for all.

    Args:
        model: from `fit`; a penalised one is not looked at.

    Returns:
        One row per numeric driver and one for the link: what, statistic (Wald, clustered by
        account), df, p_value, q_value (over the rows), note.

    Source: Harrell (2015), section 2.4.5 for the spline; Pregibon (1980) for the link.
    """
    if model.fitted is None or model.is_penalised:
        return pd.DataFrame(columns=FORM_COLUMNS)
    terms = model.recipe.terms
    numbers = terms[(terms["kind"] == "number") & (terms["level"] == "")]
    rows = []
    for row in numbers.itertuples():
        bends = restricted_cubic(column_of(model.design, row.column), model.months.n)
        if not bends.shape[1]:
            rows.append((row.driver, np.nan, 0, np.nan, "too few values for a bend"))
            continue
        statistic, p_value = added(model, bends)
        rows.append((row.driver, statistic, bends.shape[1], p_value, ""))
    eta = rows_of(model.design).linear(model.fitted.params.to_numpy())
    own = pd.DataFrame({"one": np.ones_like(eta), "eta": eta})
    statistic, p_value = added(
        model, (eta - np.average(eta, weights=model.months.n))[:, None] ** 2, own
    )
    rows.append((LINK, statistic, 1, p_value, ""))
    table = pd.DataFrame(rows, columns=["what", "statistic", "df", "p_value", "note"])
    table = table.assign(q_value=multiplicity.benjamini_hochberg(table["p_value"]))
    told = np.where(table["q_value"] < BENT_BELOW, BENT, STRAIGHT)
    note = table["note"].where(table["note"] != "", pd.Series(told, index=table.index))
    return table.assign(note=note)[FORM_COLUMNS]


def check(form: pd.DataFrame) -> Check:
    """The functional form as a check.

    Args:
        form: from `functional_form`.
    """
    bent = list(form.loc[form["note"] == BENT, "what"])
    note = f"not straight: {', '.join(bent)}" if bent else ""
    return Check("functional form", not bent, note if len(form) else "not looked at")


def added(
    model: DriverModel, columns: np.ndarray, own: pd.DataFrame | None = None
) -> tuple[float, float]:
    """Clustered Wald test of columns added to the model, or to the columns `own` in its place.

    Raises:
        ValueError: the model was not fitted.
    """
    if own is not None:
        base, start = rows_of(own), np.array([0.0, 1.0])
    elif model.fitted is not None:
        base, start = rows_of(model.design), model.fitted.params.to_numpy()
    else:
        raise ValueError(f"There is no fit to add columns to: {model.reason}.")
    k = columns.shape[1]
    fitted = model.months.scored(base.beside(columns), np.r_[start, np.zeros(k)])
    b, cov = fitted.params[-k:], fitted.cov[-k:, -k:]
    statistic = float(b @ np.linalg.pinv(cov, hermitian=True) @ b)
    return statistic, float(stats.chi2.sf(statistic, k))


def _correlation(
    design: pd.DataFrame | DesignRows, names: list[str], n: np.ndarray | None = None
) -> np.ndarray:
    """Correlation of some columns, from their sums of products about the means."""
    if isinstance(design, pd.DataFrame) and len(design) <= BLOCK and n is None:
        return np.corrcoef(design[names].to_numpy(dtype=float), rowvar=False)
    rows = rows_of(design)
    weights = np.ones(rows.shape[0]) if n is None else n
    own = rows.columns.get_indexer(names)
    mean = rows.pull(weights)[own] / weights.sum()
    spread = rows.information(weights)[np.ix_(own, own)] / weights.sum() - np.outer(mean, mean)
    size = np.sqrt(np.diag(spread))
    return np.asarray(spread / np.outer(size, size))


def _closest(terms: pd.DataFrame, correlation: np.ndarray, own: np.ndarray) -> str:
    """The driver with the column that goes most with one of the driver's own."""
    among = np.abs(correlation[np.ix_(own, ~own)]).max(axis=0)
    return str(terms.loc[~own, "driver"].iloc[int(among.argmax())])
