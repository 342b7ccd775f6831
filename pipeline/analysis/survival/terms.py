"""Which levels can carry a ratio, and what is written for those that cannot?

Rows of accounts to terms, one per covariate and level, and coefficients back to ratios with their
limits. The subtle point: a level of which nobody left, or with fewer than ten accounts, has no
ratio. Its accounts stay out of the fit and its row stays in the table, with its counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from pipeline.analysis.reliability import EVENTS_PER_PARAMETER, SMALLEST_N
from pipeline.statistics import multiplicity

LARGEST_COEFFICIENT = 10.0
"""Beyond it a coefficient is separation, not an effect; Heinze and Schemper (2002)."""
RATIO_COLUMNS = [
    "model", "term", "level", "reference", "hazard_ratio", "ci_low", "ci_high", "p_value",
    "q_value", "n", "n_events", "is_primary", "note",
]  # fmt: skip
TERM_COLUMNS = ["term", "level", "reference", "n", "n_events", "is_reference"]


@dataclass(frozen=True)
class Design:
    """The rows that can be modelled, their terms, and what could not carry a ratio.

    `terms` has one row per covariate and level: term, level, reference, n, n_events, is_reference.
    `left_out` the same with `note`; `separated` and `dependent` name levels, `notes` says all.
    """

    rows: pd.DataFrame
    terms: pd.DataFrame
    left_out: pd.DataFrame
    separated: tuple[str, ...]
    dependent: tuple[str, ...]
    notes: str

    @property
    def n_events(self) -> int:
        """Events among the modelled rows."""
        return int(self.rows["is_event"].sum())

    def reason(self) -> str:
        """Why no model is fitted; blank when one is."""
        if self.terms.empty:
            return "no covariate with two levels to compare"
        n_terms = len(fitted(self.terms))
        if self.n_events < EVENTS_PER_PARAMETER * n_terms:
            return (
                f"too few for a model: {self.n_events} events for {n_terms} terms, "
                f"{EVENTS_PER_PARAMETER:g} for each are needed"
            )
        return ""


def design_of(at_risk: pd.DataFrame, covariates: list[str]) -> Design:
    """Rows that can be modelled, one term per level, and what was left out.

    Args:
        at_risk: from `spells_at_risk`, with the covariates as text levels.
        covariates: names of the covariates.
    """
    rows, thin, separated = at_risk, [], []
    for name in covariates:
        counts = rows.groupby(name)["is_event"].agg(["size", "sum"])
        few = counts[(counts["size"] < SMALLEST_N) | (counts["sum"] == 0)]
        separated += [f"{name} {level}" for level in few.index[few["sum"] == 0]]
        thin += [_left_out(name, level, row) for level, row in few.iterrows()]
        rows = rows[~rows[name].isin(few.index)]
    rows = rows.reset_index(drop=True)
    terms, alone = _terms(rows, covariates)
    terms, dependent = _independent(rows, terms)
    notes = [f"{row['term']} {row['level']}: {row['note']}" for row in thin]
    notes += [f"{name}: one level, nothing to compare" for name in alone]
    notes += [f"{name}: follows from the other terms, left out" for name in dependent]
    table = pd.DataFrame(thin, columns=[*TERM_COLUMNS, "note"])
    return Design(rows, terms, table, tuple(separated), tuple(dependent), "; ".join(notes))


def fitted(terms: pd.DataFrame) -> pd.DataFrame:
    """The terms that have a coefficient.

    Returns:
        The same rows without those of reference levels: one row per coefficient.
    """
    return terms[~terms["is_reference"]].reset_index(drop=True)


def columns_of(rows: pd.DataFrame, terms: pd.DataFrame) -> pd.DataFrame:
    """One 0/1 column per fitted term, named by position: data never name a column.

    Returns:
        One row per row of `rows`, with its index.
    """
    codes = {name: pd.factorize(rows[name]) for name in dict.fromkeys(fitted(terms)["term"])}
    columns = {}
    for position, term in enumerate(fitted(terms).itertuples()):
        code, levels = codes[term.term]
        is_level = np.append(levels == term.level, False)  # a blank, code -1, is no level
        columns[f"x{position}"] = is_level.astype(float)[code]
    return pd.DataFrame(columns, index=rows.index)


def ratios_of(
    model: str, design: Design, coefficients: np.ndarray, errors: np.ndarray, confidence: float
) -> pd.DataFrame:
    """Hazard ratios with Wald limits, reference rows and left-out levels in their place.

    Returns:
        One row per term and level of the design, in its order.
    """
    terms = design.terms
    is_separated = np.abs(coefficients) > LARGEST_COEFFICIENT
    b = np.where(is_separated, np.nan, coefficients)
    reach = stats.norm.ppf(0.5 + confidence / 2) * errors
    p_values = np.where(is_separated, np.nan, 2 * stats.norm.sf(np.abs(coefficients / errors)))
    estimated = fitted(terms).assign(
        hazard_ratio=np.exp(b),
        ci_low=np.exp(b - reach),
        ci_high=np.exp(b + reach),
        p_value=p_values,
        q_value=multiplicity.benjamini_hochberg(p_values),
        note=np.where(is_separated, "separated: no ratio can be given", ""),
    )
    references = terms[terms["is_reference"]].assign(hazard_ratio=1.0, note="reference")
    blocks = [block for block in (references, estimated, design.left_out) if len(block)]
    ratios = pd.concat(blocks, ignore_index=True)
    order = {name: position for position, name in enumerate(dict.fromkeys(terms["term"]))}
    place = ratios["term"].map(order).fillna(len(order))
    ratios = ratios.assign(model=model, place=place, is_thin=ratios["n_events"].eq(0))
    ratios = ratios.sort_values(
        ["place", "is_reference", "is_thin", "level"], ascending=[True, False, True, True]
    )
    known = dict(zip(terms["term"], terms["reference"], strict=True))
    ratios = ratios.assign(reference=ratios["term"].map(known).fillna(""))
    columns = [name for name in RATIO_COLUMNS if name != "is_primary"]
    return ratios.reset_index(drop=True)[columns]


def _left_out(name: str, level: str, counts: pd.Series) -> dict[str, object]:
    n_events, n = int(counts["sum"]), int(counts["size"])
    note = f"{n_events} events among {n}, left out"
    return {"term": name, "level": level, "reference": "", "n": n, "n_events": n_events,
            "is_reference": False, "note": note}  # fmt: skip


def _terms(rows: pd.DataFrame, covariates: list[str]) -> tuple[pd.DataFrame, list[str]]:
    """One row per covariate and level, the largest level the reference; covariates of one level."""
    terms, alone = [], []
    for name in covariates:
        counts = rows.groupby(name)["is_event"].agg(["size", "sum"]).sort_index()
        if len(counts) < 2:
            alone.append(name)
            continue
        reference = counts["size"].idxmax()
        terms += [
            {"term": name, "level": level, "reference": reference, "n": int(row["size"]),
             "n_events": int(row["sum"]), "is_reference": level == reference}
            for level, row in counts.iterrows()
        ]  # fmt: skip
    return pd.DataFrame(terms, columns=TERM_COLUMNS).astype({"is_reference": bool}), alone


def _independent(rows: pd.DataFrame, terms: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The terms less those whose column follows from the columns before it, and their names."""
    alike = rows[list(dict.fromkeys(terms["term"]))].drop_duplicates()
    columns = columns_of(alike, terms).drop_duplicates().to_numpy(float)
    kept, dependent = np.ones((len(columns), 1)), []
    for position, term in enumerate(fitted(terms).itertuples()):
        wider = np.column_stack([kept, columns[:, position]])
        if np.linalg.matrix_rank(wider) > kept.shape[1]:
            kept = wider
        else:
            dependent.append((term.term, term.level))
    pairs = pd.Series(list(zip(terms["term"], terms["level"], strict=True)), dtype=object)
    stays = terms[~pairs.isin(dependent).to_numpy(bool)]
    sizes = stays["term"].map(stays["term"].value_counts())
    names = [f"{name} {level}" for name, level in dependent]
    return stays[(sizes > 1).to_numpy(bool)].reset_index(drop=True), names
