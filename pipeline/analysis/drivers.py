"""What goes with staying?

Tables read: account_months, with attributes at signing from accounts. Tables made:
drivers.effects, drivers.vif, drivers.left_out; `drivers_forecast` makes the hold-out and the
forecast. One row of the model is one account in one settled calendar month; the event is churn in
it (completed and administrative exits are no event); features were known before the month began.

The subtle point: effects are associations, adjusted for each other. A driver that works through
another one (touches through usage) shows only what is left of it. Words are "goes with", never
"causes".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from pipeline.analysis.drivers_design import Feature, Recipe, encode, learn, without
from pipeline.analysis.levels import text_levels
from pipeline.statistics import cloglog, grouped_hazard, multiplicity
from pipeline.statistics.grouped_hazard import GroupedHazardFit

LARGEST_COEFFICIENT = 10.0
"""Beyond it a coefficient is separation, not an effect; Heinze and Schemper (2002)."""
STEADY_SHARE = 0.8
"""A sign that held in fewer of the earlier fits is not called steady."""
LEAVING, STAYING = "goes with leaving", "goes with staying"
UNSTEADY, UNCLEAR, REFERENCE = "sign not steady", "no clear sign", "reference"
EFFECT_COLUMNS = [
    "driver", "level", "unit", "reference", "hazard_ratio", "ci_low", "ci_high", "ame",
    "ame_ci_low", "ame_ci_high", "p_value", "q_value", "n", "n_events", "prevalence",
    "sign_record", "n_months", "verdict",
]  # fmt: skip
PAGE_ONE_COLUMNS = [
    "verdict", "driver", "level", "reference", "unit", "hazard_ratio", "ame", "ame_ci_low",
    "ame_ci_high", "prevalence", "n",
]  # fmt: skip
VIF_COLUMNS = ["driver", "df", "gvif", "scaled", "limit", "is_high"]


@dataclass(frozen=True)
class DriverModel:
    """A fitted model with its recipe, or the reason why there is none."""

    rows: pd.DataFrame
    recipe: Recipe
    fitted: GroupedHazardFit | None = None
    design: pd.DataFrame = field(default_factory=pd.DataFrame)
    reason: str = ""

    @property
    def n_accounts(self) -> int:
        """Accounts behind the rows."""
        return int(self.rows["account_id"].nunique())

    @property
    def n_events(self) -> int:
        """Churns among the rows."""
        return int(self.rows["is_churn"].sum())


def driver_rows(
    account_months: pd.DataFrame,
    accounts: pd.DataFrame,
    candidates: list[str],
    refused: set[str],
) -> pd.DataFrame:
    """Account-months with the candidates that stand in `accounts` joined on.

    Args:
        account_months: one row per account and month.
        accounts: one row per account, attributes as they were at signing.
        candidates: names of drivers.
        refused: names of attributes that hold today's value.

    Returns:
        One row per account and month.

    Raises:
        ValueError: a candidate is refused: today's value may hold the future of a past month.
    """
    leaks = [name for name in candidates if name in refused]
    if leaks:
        raise ValueError(
            f"{', '.join(leaks)} hold today's value (known: at_extract) and may know what a past "
            "month could not. Take them out of drivers.candidates, or declare known: at_signup if "
            "they never change."
        )
    joined = [name for name in candidates if name in accounts and name not in account_months]
    return account_months.merge(
        accounts[["account_id", *joined]], on="account_id", how="left", validate="many_to_one"
    )


def settled(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows the model may learn from: outcome settled, age known."""
    kept = rows[rows["is_settled"] & rows["is_age_known"] & rows["is_churn"].notna()]
    return kept.assign(is_churn=kept["is_churn"].astype(bool)).reset_index(drop=True)


def not_used(rows: pd.DataFrame) -> pd.DataFrame:
    """Count the account-months that the model does not learn from.

    Args:
        rows: from `driver_rows`.

    Returns:
        One row per reason: reason, n (account-months).
    """
    is_next = rows["is_churn"].isna()
    open_still = ~is_next & ~rows["is_settled"]
    unknown = ~is_next & rows["is_settled"] & ~rows["is_age_known"]
    reasons = {
        "the month to come, which is forecast": is_next,
        "outcome not settled by the analysis cut-off": open_still,
        "first paid day unknown, so the tenure is unknown": unknown,
    }
    return pd.DataFrame(
        {"reason": list(reasons), "n": [int(mask.sum()) for mask in reasons.values()]}
    )


def fit(rows: pd.DataFrame, candidates: list[str], events_per_parameter: float) -> DriverModel:
    """Fit the grouped-time hazard model, clustered by account; or say why it cannot be fitted.

    Args:
        rows: from `settled`.
        candidates: names of drivers.
        events_per_parameter: fewest events per driver term; the baseline is merged until each of
            its bands holds fifteen, and does not count.

    Returns:
        The model. Columns that carry no information, or run away, are left out and named in
        `recipe.left_out`.
    """
    recipe = learn(rows, candidates)
    n_events, n_terms = int(rows["is_churn"].sum()), len(recipe.terms)
    if n_terms == 0:
        return DriverModel(rows, recipe, reason="no driver with two values to compare")
    if n_events < events_per_parameter * n_terms:
        reason = (
            f"too few for a model: {n_events} churns for {n_terms} terms, "
            f"{events_per_parameter:g} for each are needed"
        )
        return DriverModel(rows, recipe, reason=reason)
    while True:
        design = encode(rows, recipe)
        churned = rows["is_churn"].to_numpy(float)
        start = cloglog.scoring(churned, design.to_numpy()).params
        fitted = grouped_hazard.fit(churned, design, rows["account_id"].to_numpy(), start=start)
        worst = fitted.params[recipe.columns].abs().idxmax()
        if abs(fitted.params[worst]) <= LARGEST_COEFFICIENT:
            return DriverModel(rows, recipe, fitted, design)
        recipe = without(recipe, worst, "separated: the effect runs away")
        if recipe.terms.empty:
            return DriverModel(rows, recipe, reason="every driver is separated")


def effects(
    model: DriverModel, sign_records: pd.Series, confidence: float, false_discovery_rate: float
) -> pd.DataFrame:
    """Hazard ratio and next-month difference that go with each driver, adjusted for the others.

    Args:
        model: from `fit`.
        sign_records: share of earlier fits with today's sign, by column of the design.
        confidence: of the intervals.
        false_discovery_rate: largest q value (Benjamini–Hochberg) that is called a finding.

    Returns:
        One row per driver and level, reference levels of categories included: the columns of
        drivers.effects, n_months (rows) and verdict. `ame` is a difference of shares. Empty when
        there is no model.
    """
    if model.fitted is None:
        return pd.DataFrame(columns=EFFECT_COLUMNS)
    terms = model.recipe.terms
    params = model.fitted.params[terms["column"]].to_numpy()
    errors = np.sqrt(np.diag(model.fitted.cov.loc[terms["column"], terms["column"]]))
    reach = stats.norm.ppf(0.5 + confidence / 2) * errors
    p_values = 2 * stats.norm.sf(np.abs(params / errors))
    rows = terms.assign(
        hazard_ratio=np.exp(params),
        ci_low=np.exp(params - reach),
        ci_high=np.exp(params + reach),
        p_value=p_values,
        q_value=multiplicity.benjamini_hochberg(p_values),
        sign_record=sign_records.reindex(terms["column"]).to_numpy(float),
    ).merge(_marginal_effects(model, confidence), on="column")
    rows = rows.assign(
        verdict=[_verdict(row, false_discovery_rate) for row in rows.to_dict("records")]
    )
    features = {feature.driver: feature for feature in model.recipe.features}
    whole = pd.concat([_references(model), rows], ignore_index=True)
    counts = pd.DataFrame(
        [_counts(model.rows, features[row["driver"]], row["level"])
         for row in whole.to_dict("records")]
    )  # fmt: skip
    order = {feature.driver: position for position, feature in enumerate(model.recipe.features)}
    whole = whole.join(counts).assign(position=whole["driver"].map(order))
    whole = whole.assign(is_reference=whole["verdict"].eq(REFERENCE))
    whole = whole.sort_values(["position", "is_reference", "level"], ascending=[True, False, True])
    return whole.reset_index(drop=True)[EFFECT_COLUMNS]


def vif(model: DriverModel, limit: float) -> pd.DataFrame:
    """How much of a driver the others already say: generalised variance inflation.

    Args:
        model: from `fit`.
        limit: of an ordinary variance inflation factor.

    Returns:
        One row per driver: driver, df (columns), gvif, scaled (gvif^(1/df), comparable with the
        limit), limit, is_high.

    Source: Fox and Monette (1992), JASA 87: 178.
    """
    terms = model.recipe.terms
    if model.fitted is None or terms["driver"].nunique() < 2:
        return pd.DataFrame(columns=VIF_COLUMNS)
    correlation = np.corrcoef(model.design[terms["column"]].to_numpy(), rowvar=False)
    whole = np.linalg.slogdet(correlation)[1]
    rows = []
    for driver in terms["driver"].unique():
        own = (terms["driver"] == driver).to_numpy()
        parts = [np.linalg.slogdet(correlation[np.ix_(mask, mask)])[1] for mask in (own, ~own)]
        gvif, df = float(np.exp(sum(parts) - whole)), int(own.sum())
        scaled = gvif ** (1 / df)
        rows.append((driver, df, gvif, scaled, limit, scaled > limit))
    return pd.DataFrame(rows, columns=VIF_COLUMNS)


def page_one(effects: pd.DataFrame, most: int = 3) -> pd.DataFrame:
    """The clearest drivers of leaving and of staying, for page one.

    Args:
        effects: from `effects`.
        most: rows of each.

    Returns:
        One row per finding, largest next-month difference first: verdict, driver, level,
        reference, unit, hazard_ratio, ame, ame_ci_low, ame_ci_high, prevalence, n.
    """
    found = effects[effects["verdict"].isin([LEAVING, STAYING])]
    ranked = found.assign(size=found["ame"].astype(float).abs()).sort_values(
        ["verdict", "size", "driver", "level"], ascending=[True, False, True, True]
    )
    return ranked.groupby("verdict").head(most).reset_index(drop=True)[PAGE_ONE_COLUMNS]


def answer(model: DriverModel, effects: pd.DataFrame) -> dict[str, Any]:
    """The facts of the chapter's one sentence.

    Args:
        model: from `fit`.
        effects: from `effects`.

    Returns:
        n_accounts, n_months, n_events, n_looked_at (rows that could have been found: references
        are not), n_findings, staying and leaving (names of the findings,
        largest first) and reason (blank when there is a model).
    """
    found = page_one(effects, most=len(effects) or 1)
    names = found["driver"].where(found["level"].isin(["", "yes"]), found["driver"] + " " +
                                  found["level"])  # fmt: skip
    return {
        "n_accounts": model.n_accounts,
        "n_months": len(model.rows),
        "n_events": model.n_events,
        "n_looked_at": int((effects["verdict"] != REFERENCE).sum()),
        "n_findings": len(found),
        "staying": list(names[found["verdict"] == STAYING]),
        "leaving": list(names[found["verdict"] == LEAVING]),
        "reason": model.reason,
    }


def no_model(model: DriverModel) -> pd.DataFrame:
    """Why nothing is claimed: one row (reason, n_events, n_accounts), none with a model."""
    row = {"reason": model.reason, "n_events": model.n_events, "n_accounts": model.n_accounts}
    return pd.DataFrame([row] if model.reason else [], columns=list(row))


def labelled(effects: pd.DataFrame) -> pd.DataFrame:
    """The effects with one label each, for a forest: driver, level and unit.

    Args:
        effects: from `effects`.

    Returns:
        The same rows with `label`.
    """
    what = effects["driver"] + effects["level"].radd(" ").where(effects["level"] != "", "")
    number = effects["level"] == ""
    text = what.where(~number, what + ", " + effects["unit"].str.replace(r" \(.*", "", regex=True))
    return effects.assign(label=text.str.replace("_", " "))


def checks(
    model: DriverModel, inflation: pd.DataFrame, validation: pd.DataFrame
) -> list[dict[str, Any]]:
    """What was looked at before the effects are believed.

    Args:
        model: from `fit`.
        inflation: from `vif`.
        validation: from `drivers_forecast.hold_out`.

    Returns:
        One entry per check: name, passed, note.
    """
    if model.fitted is None:
        return [{"name": "enough churn for a model", "passed": False, "note": model.reason}]
    high = list(inflation.loc[inflation["is_high"].astype(bool), "driver"])
    limits = validation.set_index("measure")[["ci_low", "ci_high"]].reindex(
        ["observed_over_expected", "calibration_slope", "gain_over_one_rate"]
    )
    ratio, slope, gain = limits.to_dict("records")
    told = "{}, on months kept out" if len(validation) else "no hold-out"
    return [
        {"name": "the fit settled", "passed": model.fitted.converged,
         "note": "" if model.fitted.converged else "coefficients did not settle"},
        {"name": "drivers say different things", "passed": not high,
         "note": f"cannot be told apart: {', '.join(high)}" if high else ""},
        {"name": "spread of risk held on months kept out",
         "passed": bool(slope["ci_low"] <= 1 <= slope["ci_high"]),
         "note": told.format("calibration slope: 1 inside its interval")},
        {"name": "as many left as expected",
         "passed": bool(ratio["ci_low"] <= 1 <= ratio["ci_high"]),
         "note": told.format("observed over expected: 1 inside its interval")},
        {"name": "better than one rate for everybody", "passed": bool(gain["ci_low"] > 0),
         "note": told.format("gain in the scaled Brier score: interval above 0")},
    ]  # fmt: skip


def _marginal_effects(model: DriverModel, confidence: float) -> pd.DataFrame:
    """Average difference in next-month churn per column: slope of numbers, step of the others."""
    terms = model.recipe.terms
    siblings = {
        row.column: [
            other
            for other in terms.loc[terms["driver"] == row.driver, "column"]
            if other != row.column and row.kind != "number"
        ]
        for row in terms.itertuples()
    }
    is_slope = (terms["kind"] == "number") & (terms["level"] == "")
    blocks = [
        grouped_hazard.average_marginal_effects(
            model.fitted, model.design, list(terms.loc[mask, "column"]), kind, siblings,
            confidence=confidence,
        )
        for kind, mask in (("dydx", is_slope), ("discrete", ~is_slope))
        if mask.any()
    ]  # fmt: skip
    return pd.concat(blocks, ignore_index=True).rename(
        columns={"term": "column", "ci_low": "ame_ci_low", "ci_high": "ame_ci_high"}
    )[["column", "ame", "ame_ci_low", "ame_ci_high"]]


def _references(model: DriverModel) -> pd.DataFrame:
    used = set(model.recipe.terms["driver"])
    rows = [
        {"driver": feature.driver, "level": feature.reference, "unit": REFERENCE,
         "reference": feature.reference, "hazard_ratio": 1.0, "verdict": REFERENCE}
        for feature in model.recipe.features
        if feature.kind == "category" and feature.driver in used
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["driver", "level", "unit", "reference", "hazard_ratio",
                                       "verdict"])  # fmt: skip


def _counts(rows: pd.DataFrame, feature: Feature, level: str) -> dict[str, Any]:
    """Accounts, months and events behind a row, and how common the driver is."""
    values = rows[feature.driver]
    known = values.notna()
    if feature.kind == "category":
        present = (text_levels(values).map(feature.levels, na_action="ignore") == level).to_numpy()
    elif feature.kind == "flag":
        present = (values == True).to_numpy(bool)  # noqa: E712 - blanks are neither
    else:
        present = (feature.measured(values) > feature.centre).to_numpy(bool)
    if level not in feature.levels.values() and level not in ("", "yes"):
        present, known = values.isna().to_numpy(), pd.Series(True, index=values.index)
    behind = present if feature.kind == "category" else known.to_numpy(bool)
    return {
        "n": int(rows.loc[behind, "account_id"].nunique()),
        "n_events": int(rows.loc[behind, "is_churn"].sum()),
        "n_months": int(behind.sum()),
        "prevalence": float(present[known.to_numpy(bool)].mean()) if known.any() else np.nan,
    }


def _verdict(row: Mapping[str, Any], false_discovery_rate: float) -> str:
    if not row["q_value"] < false_discovery_rate:
        return UNCLEAR
    if row["sign_record"] < STEADY_SHARE:
        return UNSTEADY
    return LEAVING if row["hazard_ratio"] > 1 else STAYING
