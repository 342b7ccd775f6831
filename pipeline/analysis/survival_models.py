"""Which accounts stay longer, all else equal, and may one ratio say so for every age?

Two regressions of leaving on what was known at signing, side by side: Cox with Efron ties on days,
and the grouped-time model (complementary log-log) on months of tenure. Tables made:
survival.hazard_ratios, survival.hazard_ratios_by_age, the proportional-hazards rows of
survival.tests.

The subtle point: monthly billing makes leavings tie. Where many leave on the same day of age the
grouped model is the primary one; otherwise Cox is, and the other is its check. Where the
proportional-hazards test fails, one ratio is wrong at every age and ratios by age band replace it.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import statsmodels.api as sm
from lifelines import CoxPHFitter
from lifelines.exceptions import ConvergenceError
from scipy import stats
from statsmodels.tools.sm_exceptions import (
    ConvergenceWarning,
    DomainWarning,
    PerfectSeparationWarning,
)

from pipeline.analysis.reliability import EVENTS_PER_PARAMETER, SMALLEST_N
from pipeline.analysis.survival_readings import days_to_anniversary, month_edges
from pipeline.statistics import baseline, life_table, multiplicity, proportional_hazards

COX, GROUPED = "cox", "grouped"
FEW_DISTINCT_TIMES = 0.2
LARGE_TIE = 0.05
"""Ties rule: fewer than 0.2 distinct times per event, or an age at which over 5 % of those at risk
leave: then time is grouped, not continuous. Kalbfleisch and Prentice (2002), section 4.8."""
LARGEST_COEFFICIENT = 10.0
"""Beyond it a coefficient is separation, not an effect; Heinze and Schemper (2002)."""
NEWTON = {"precision": 1e-12, "r_precision": 1e-14}
"""lifelines' own stopping rule leaves coefficients a relative 1e-5 short of their limit."""
BASELINE_EVENTS = 15
BASELINE_LIMITS = (*range(1, 13), 18, 24, 36)
"""Last tenure month of each baseline band before merging: months 1 to 12, then bands."""
AGE_BANDS_MONTHS = ((0, 3), (3, 12), (12, None))
RATIO_COLUMNS = [
    "model", "term", "level", "reference", "hazard_ratio", "ci_low", "ci_high", "p_value",
    "q_value", "n", "n_events", "is_primary", "note",
]  # fmt: skip


@dataclass(frozen=True)
class Regression:
    """A fitted regression, or the reason why there is none."""

    model: str
    ratios: pd.DataFrame
    n: int
    n_events: int
    converged: bool
    note: str = ""
    terms: pd.DataFrame = field(default_factory=pd.DataFrame)
    coefficients: np.ndarray = field(default_factory=lambda: np.zeros(0))
    rows: pd.DataFrame = field(default_factory=pd.DataFrame)
    stratify_by: str | None = None

    @property
    def is_fitted(self) -> bool:
        """True when there are coefficients to read."""
        return len(self.coefficients) > 0


def is_time_grouped(at_risk: pd.DataFrame) -> bool:
    """Do so many leave at the same age that time comes in steps?

    Args:
        at_risk: from `survival.spells_at_risk`.

    Returns:
        True: the grouped-time model is primary and Cox its check.
    """
    table = life_table.risk_table(
        at_risk["duration_days"].to_numpy(float),
        at_risk["is_event"].to_numpy(bool),
        at_risk["entry_days"].to_numpy(float),
    )
    events, sizes = table.events[table.events > 0], table.at_risk[table.events > 0]
    if not len(events):
        return False
    # A last few at risk always leave in a large share; only a risk set that carries a rate counts.
    carried = sizes >= SMALLEST_N / LARGE_TIE
    is_large = (events[carried] / sizes[carried] > LARGE_TIE).any()
    return bool(len(events) / events.sum() < FEW_DISTINCT_TIMES or is_large)


def cox(
    at_risk: pd.DataFrame,
    covariates: list[str],
    stratify_by: str | None = None,
    confidence: float = 0.95,
) -> Regression:
    """Cox regression on days of age, delayed entry, Efron ties.

    Args:
        at_risk: from `survival.spells_at_risk`, with the covariates as text levels.
        covariates: names of the covariates.
        stratify_by: a column whose levels get a baseline each; not a covariate then.
        confidence: of the Wald intervals on the log scale.

    Returns:
        The regression; its `ratios` hold one row per covariate and level, reference included.

    Source: Cox (1972), JRSS B 34: 187; Efron (1977), JASA 72: 557.
    """
    stratify_by = stratify_by if stratify_by in at_risk else None
    names = [name for name in covariates if name != stratify_by]
    rows, terms, note = _design(at_risk, names)
    if reason := _too_few(rows, terms):
        return _none(COX, rows, reason, note)
    frame = _columns(rows, terms).assign(
        duration=rows["duration_days"], event=rows["is_event"], entry=rows["entry_days"]
    )
    if stratify_by:
        frame = frame.assign(stratum=rows[stratify_by].factorize(sort=True)[0])
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fitter = CoxPHFitter(alpha=1 - confidence).fit(
                frame, "duration", "event", entry_col="entry",
                strata=["stratum"] if stratify_by else None, fit_options=NEWTON,
            )  # fmt: skip
    except ConvergenceError:
        return _none(COX, rows, "the fit did not converge", note)
    converged = not any("onverge" in str(warning.message) for warning in caught)
    coefficients = fitter.params_.to_numpy()
    errors = fitter.standard_errors_.to_numpy()
    ratios = _ratios(COX, terms, coefficients, errors, confidence)
    return Regression(
        COX, ratios, len(rows), int(rows["is_event"].sum()), converged, note, terms, coefficients,
        rows, stratify_by,
    )  # fmt: skip


def grouped_time(
    at_risk: pd.DataFrame, covariates: list[str], confidence: float = 0.95
) -> Regression:
    """Grouped-time regression (complementary log-log) on months of tenure.

    Args:
        at_risk: from `survival.spells_at_risk`, with the covariates as text levels.
        covariates: names of the covariates.
        confidence: of the Wald intervals on the log scale.

    Returns:
        The regression; its `ratios` hold one row per covariate and level, reference included.

    Source: Prentice and Gloeckler (1978), Biometrics 34: 57.
    """
    rows, terms, note = _design(at_risk, covariates)
    cells = _account_months(rows, covariates)
    n_events = int(rows["is_event"].sum())
    if reason := _too_few(rows, terms):
        return _none(GROUPED, rows, reason, note)
    design = np.hstack([_baseline(cells), _columns(cells, terms).to_numpy(float)])
    outcome = cells[["n_events", "n_stayed"]].to_numpy(float)
    with warnings.catch_warnings():
        for category in (ConvergenceWarning, DomainWarning, PerfectSeparationWarning):
            warnings.simplefilter("ignore", category)
        fit = sm.GLM(outcome, design, family=sm.families.Binomial(sm.families.links.CLogLog())).fit(
            maxiter=100
        )
    n_terms = len(_fitted(terms))
    coefficients, errors = fit.params[-n_terms:], fit.bse[-n_terms:]
    ratios = _ratios(GROUPED, terms, coefficients, errors, confidence)
    return Regression(
        GROUPED, ratios, len(rows), n_events, bool(fit.converged), note, terms, coefficients, rows
    )


def hazard_ratios(regressions: list[Regression], is_grouped: bool) -> pd.DataFrame:
    """The regressions' ratios in one table, the primary model marked.

    Args:
        regressions: Cox and grouped-time.
        is_grouped: from `is_time_grouped`.

    Returns:
        One row per model, term and level, reference rows included (ratio 1, no interval): the
        columns of survival.hazard_ratios, is_primary and note.
    """
    primary = GROUPED if is_grouped else COX
    ratios = [fit.ratios.assign(is_primary=fit.model == primary) for fit in regressions]
    filled = [block for block in ratios if len(block)]
    if not filled:
        return pd.DataFrame(columns=RATIO_COLUMNS)
    return pd.concat(filled, ignore_index=True)[RATIO_COLUMNS]


def proportional_hazards_tests(fit: Regression, transform: str = "km") -> pd.DataFrame:
    """Score test of whether each ratio of a Cox regression holds at every age.

    Args:
        fit: from `cox`.
        transform: of age; km: the share gone by then.

    Returns:
        One row for all terms together (stratum "all") and one per term and level: the columns of
        survival.tests and a note. Empty when there is no fit.

    Source: Grambsch and Therneau (1994), Biometrika 81: 515, as a score test.
    """
    columns = ["test", "stratum", "statistic", "df", "p_value", "q_value", "note"]
    if not fit.is_fitted:
        return pd.DataFrame(columns=columns)
    rows = fit.rows
    scores = proportional_hazards.proportional_hazards_test(
        rows["duration_days"].to_numpy(float),
        rows["is_event"].to_numpy(bool),
        _columns(rows, fit.terms).to_numpy(float),
        fit.coefficients,
        rows["entry_days"].to_numpy(float),
        transform=transform,
        strata=rows[fit.stratify_by].to_numpy() if fit.stratify_by else None,
    )
    fitted = _fitted(fit.terms)
    labels = list(fitted["term"] + ": " + fitted["level"])
    tests = scores[["statistic", "df", "p_value"]].assign(
        test="proportional_hazards", stratum=[*labels, "all"], q_value=np.nan, note="score test"
    )
    tests.loc[tests["stratum"] != "all", "q_value"] = multiplicity.benjamini_hochberg(
        tests.loc[tests["stratum"] != "all", "p_value"].to_numpy()
    )
    return tests[columns].iloc[[-1, *range(len(labels))]].reset_index(drop=True)


def holds(ph_tests: pd.DataFrame, confidence: float) -> bool:
    """True unless the global proportional-hazards test rejects."""
    everything = ph_tests.loc[ph_tests["stratum"] == "all", "p_value"]
    return not (everything < 1 - confidence).any()


def hazard_ratios_by_age(
    at_risk: pd.DataFrame,
    covariates: list[str],
    stratify_by: str | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Cox ratios within bands of age, for when one ratio does not hold at every age.

    Args:
        at_risk: as for `cox`.
        covariates: as for `cox`.
        stratify_by: as for `cox`.
        confidence: as for `cox`.

    Returns:
        One row per age band (months 0–3, 3–12, over 12), term and level: age_band, the columns of
        survival.hazard_ratios and note. A band with too few events has one row that says so.
    """
    blocks = []
    for first, last in AGE_BANDS_MONTHS:
        start = days_to_anniversary(first) if first else 0
        end = days_to_anniversary(last) if last else np.inf
        label = f"{first}–{last} months" if last else f"over {first} months"
        band = at_risk.assign(
            entry_days=np.maximum(at_risk["entry_days"], start),
            duration_days=np.minimum(at_risk["duration_days"], end),
            is_event=at_risk["is_event"] & (at_risk["duration_days"] <= end),
        )
        fit = cox(
            band[band["duration_days"] > band["entry_days"]].reset_index(drop=True),
            covariates, stratify_by, confidence,
        )  # fmt: skip
        ratios = fit.ratios if fit.is_fitted else pd.DataFrame([{
            "model": COX, "term": "", "level": "", "reference": "", "n": fit.n,
            "n_events": fit.n_events, "note": fit.note}])  # fmt: skip
        blocks.append(ratios.assign(age_band=label))
    return pd.concat(blocks, ignore_index=True)


def shown_ratios(ratios: pd.DataFrame, by_age: pd.DataFrame, is_proportional: bool) -> pd.DataFrame:
    """The ratios a reader may use: of the primary model, or by age where one ratio does not hold.

    Args:
        ratios: from `hazard_ratios`.
        by_age: from `hazard_ratios_by_age`.
        is_proportional: from `holds`.

    Returns:
        One row per term and level (and age band): label, age_band, hazard_ratio, ci_low, ci_high,
        q_value, n, n_events, note.
    """
    rows = by_age
    if is_proportional:
        rows = ratios[ratios["is_primary"].astype(bool)].assign(age_band="every age")
    names = rows["term"].astype(str) + " " + rows["level"].astype(str)
    label = names.where(rows["age_band"] == "every age", names + ", " + rows["age_band"])
    columns = ["label", "age_band", "hazard_ratio", "ci_low", "ci_high", "q_value", "n", "n_events"]
    given = rows.assign(label=label.str.replace("_", " ").str.strip(" ,"))
    return given.reindex(columns=[*columns, "note"]).reset_index(drop=True)


def verdict(fit: Regression, is_grouped: bool, is_proportional: bool) -> dict[str, str]:
    """What may be said of the ratios, in words.

    Args:
        fit: the Cox regression.
        is_grouped: from `is_time_grouped`.
        is_proportional: from `holds`.

    Returns:
        `model`: which to read, or why there is none. `ratios`: whether one ratio will do.
    """
    if not fit.is_fitted:
        return {"model": f"No model: {fit.note}", "ratios": "are not estimated"}
    primary = "the one on months of tenure" if is_grouped else "Cox on days of age"
    note = f" Left out: {fit.note}." if fit.note else ""
    return {
        "model": f"The model to read is {primary}; the other is its check.{note}",
        "ratios": "hold at every age" if is_proportional else "change with age",
    }


def all_tests(log_ranks: pd.DataFrame, ph_tests: pd.DataFrame) -> pd.DataFrame:
    """The rows of survival.tests: log-rank tests, then the proportional-hazards tests."""
    blocks = [block for block in (log_ranks, ph_tests) if len(block)]
    return pd.concat(blocks, ignore_index=True) if blocks else log_ranks


def checks(
    fit: Regression, other: Regression, ph_tests: pd.DataFrame, confidence: float
) -> list[dict[str, object]]:
    """What was looked at before one ratio is believed at every age.

    Args:
        fit: the Cox regression.
        other: the grouped-time regression.
        ph_tests: from `proportional_hazards_tests`.
        confidence: 1 less the level of the test.

    Returns:
        One entry per check: name, passed, note.
    """
    if not fit.is_fitted:
        return [{"name": "enough events for a model", "passed": False, "note": fit.note}]
    is_proportional = holds(ph_tests, confidence)
    return [
        {
            "name": "proportional hazards",
            "passed": is_proportional,
            "note": "" if is_proportional else "ratios by age and months kept are shown instead",
        },
        {"name": "the fit settled", "passed": fit.converged and other.converged, "note": fit.note},
        {
            "name": "Cox and grouped time agree",
            "passed": _agree(fit.ratios, other.ratios),
            "note": "each ratio lies inside the other model's interval",
        },
    ]


def _agree(first: pd.DataFrame, second: pd.DataFrame) -> bool:
    """Do the ratios of two models lie inside each other's intervals?"""
    both = first.merge(second, on=["term", "level"], suffixes=("", "_other"))
    both = both[both["ci_low"].notna() & both["ci_low_other"].notna()]
    inside = both["hazard_ratio"].between(both["ci_low_other"], both["ci_high_other"])
    back = both["hazard_ratio_other"].between(both["ci_low"], both["ci_high"])
    return bool((inside & back).all())


def _design(at_risk: pd.DataFrame, covariates: list[str]) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """Rows that can be modelled, one term per level, and what was left out.

    A level with fewer than ten accounts, or in which nobody or everybody left, carries no ratio:
    its accounts stay out, named.
    """
    rows, notes = at_risk, []
    for name in covariates:
        counts = rows.groupby(name)["is_event"].agg(["size", "sum"])
        thin = counts[(counts["size"] < SMALLEST_N) | (counts["sum"] == 0)]
        notes += [
            f"{name} {level}: {int(row['sum'])} events among {int(row['size'])}, left out"
            for level, row in thin.iterrows()
        ]
        rows = rows[~rows[name].isin(thin.index)]
    terms = []
    for name in covariates:
        counts = rows.groupby(name)["is_event"].agg(["size", "sum"])
        if len(counts) < 2:
            notes.append(f"{name}: one level, nothing to compare")
            continue
        reference = counts.sort_index()["size"].idxmax()
        terms += [
            {"term": name, "level": level, "reference": reference, "n": int(row["size"]),
             "n_events": int(row["sum"]), "is_reference": level == reference}
            for level, row in counts.sort_index().iterrows()
        ]  # fmt: skip
    columns = ["term", "level", "reference", "n", "n_events", "is_reference"]
    table = pd.DataFrame(terms, columns=columns).astype({"is_reference": bool})
    return rows.reset_index(drop=True), table, "; ".join(notes)


def _fitted(terms: pd.DataFrame) -> pd.DataFrame:
    """The terms that have a coefficient."""
    return terms[~terms["is_reference"]].reset_index(drop=True)


def _columns(rows: pd.DataFrame, terms: pd.DataFrame) -> pd.DataFrame:
    """One 0/1 column per fitted term, named by position: data never name a column."""
    return pd.DataFrame(
        {
            f"x{position}": (rows[term.term] == term.level).astype(float)
            for position, term in enumerate(_fitted(terms).itertuples())
        },
        index=rows.index,
    )


def _too_few(rows: pd.DataFrame, terms: pd.DataFrame) -> str:
    """Why no model is fitted; blank when one is."""
    n_events = int(rows["is_event"].sum())
    if terms.empty:
        return "no covariate with two levels to compare"
    n_terms = len(_fitted(terms))
    if n_events < EVENTS_PER_PARAMETER * n_terms:
        return (
            f"too few for a model: {n_events} events for {n_terms} terms, "
            f"{EVENTS_PER_PARAMETER:g} for each are needed"
        )
    return ""


def _none(model: str, rows: pd.DataFrame, reason: str, note: str) -> Regression:
    text = "; ".join(part for part in (reason, note) if part)
    ratios = pd.DataFrame(columns=[name for name in RATIO_COLUMNS if name != "is_primary"])
    return Regression(model, ratios, len(rows), int(rows["is_event"].sum()), False, text)


def _ratios(
    model: str, terms: pd.DataFrame, coefficients: np.ndarray, errors: np.ndarray, confidence: float
) -> pd.DataFrame:
    """Hazard ratios with Wald limits, reference rows put in their place."""
    is_separated = np.abs(coefficients) > LARGEST_COEFFICIENT
    b = np.where(is_separated, np.nan, coefficients)
    reach = stats.norm.ppf(0.5 + confidence / 2) * errors
    p_values = np.where(is_separated, np.nan, 2 * stats.norm.sf(np.abs(coefficients / errors)))
    fitted = _fitted(terms).assign(
        hazard_ratio=np.exp(b),
        ci_low=np.exp(b - reach),
        ci_high=np.exp(b + reach),
        p_value=p_values,
        q_value=multiplicity.benjamini_hochberg(p_values),
        note=np.where(is_separated, "separated: no ratio can be given", ""),
    )
    references = terms[terms["is_reference"]].assign(hazard_ratio=1.0, note="reference")
    ratios = pd.concat([references, fitted], ignore_index=True)
    order = {name: position for position, name in enumerate(dict.fromkeys(terms["term"]))}
    ratios = ratios.assign(model=model, position=ratios["term"].map(order))
    ratios = ratios.sort_values(
        ["position", "is_reference", "level"], ascending=[True, False, True]
    )
    columns = [name for name in RATIO_COLUMNS if name != "is_primary"]
    return ratios.reset_index(drop=True)[columns]


def _account_months(rows: pd.DataFrame, covariates: list[str]) -> pd.DataFrame:
    """Months of tenure counted by month and covariate levels.

    One row per tenure month and combination of levels: n_events, n_stayed. A month seen in part
    without an event counts as that part: under this link a share f of a month without an event is
    exactly f months without one. An account has one spell, so its months are conditionally
    independent and counts lose nothing.
    """
    entry, exits = rows["entry_days"].to_numpy(), rows["duration_days"].to_numpy()
    edges = month_edges(int(exits.max(initial=0)))
    month_of_exit = np.searchsorted(edges, exits, side="left")
    is_event = rows["is_event"].to_numpy(bool)
    combinations = rows[covariates].drop_duplicates().reset_index(drop=True)
    numbered = combinations.assign(cell=np.arange(len(combinations)))
    cell = rows[covariates].merge(numbered, on=covariates, how="left")["cell"].to_numpy()
    blocks = []
    for month in range(1, len(edges)):
        low, high = edges[month - 1], edges[month]
        seen = np.clip(np.minimum(exits, high) - np.maximum(entry, low), 0, None) / (high - low)
        is_gone = is_event & (month_of_exit == month)
        gone = np.bincount(cell, is_gone, minlength=len(combinations))
        stayed = np.bincount(cell, np.where(is_gone, 0, seen), minlength=len(combinations))
        counts = combinations.assign(tenure_month=month, n_events=gone, n_stayed=stayed)
        blocks.append(counts[gone + stayed > 0])
    if not blocks:
        return combinations.iloc[:0].assign(tenure_month=0, n_events=0.0, n_stayed=0.0)
    return pd.concat(blocks, ignore_index=True)


def _baseline(cells: pd.DataFrame) -> np.ndarray:
    """One 0/1 column per tenure band, bands merged until each holds enough events."""
    band = np.searchsorted(BASELINE_LIMITS, cells["tenure_month"].to_numpy(), side="left")
    counts = np.bincount(band, cells["n_events"], minlength=len(BASELINE_LIMITS) + 1)
    merged = baseline.merge_thin(counts, BASELINE_EVENTS)[band]
    return np.equal.outer(merged, np.unique(merged)).astype(float)
