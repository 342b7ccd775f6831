"""What does the drivers' chapter say when nobody of a segment leaves, or when nothing matters?

(A15, A16.) The chapter's own functions on account-months. The subtle point: under labels that were
shuffled within each month, nothing is true, so one run in ten has a q-value below 0.1 by design of
the false discovery rate; a *finding* also needs a steady sign.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from pipeline.analysis.drivers.effects import LEAVING, STAYING, effects
from pipeline.analysis.drivers.model import LARGEST_COEFFICIENT, PENALISED, DriverModel, fit
from pipeline.analysis.drivers.origins import (
    Origin,
    held_out_signs,
    hold_out,
    rolling_origins,
    sign_records,
)
from pipeline.analysis.drivers.validation import held_against
from pipeline.analysis.reliability import EVENTS_PER_PARAMETER
from pipeline.stages.simulate.scenario import CORE, SCENARIOS
from pipeline.statistics.multiplicity import benjamini_hochberg
from tests.verification.results import CONFIDENCE, Check, of_rows, share_error, widened
from tests.verification.worlds import (
    CANDIDATES,
    EFFECT_CANDIDATES,
    GRID,
    account_cycles,
    drawn,
    driver_rows,
)

ACCOUNTS = 2_000
SMALL = 600
PERMUTED_REPLICATIONS = 300
HELD_OUT_MONTHS = 6
FALSE_DISCOVERY = 0.10


def replicate_no_lapse(generator: np.random.Generator) -> dict[str, float]:
    """The chapter's model where no enterprise account ever leaves."""
    world = drawn(SCENARIOS["no_lapse"], SMALL, generator)
    rows = driver_rows(account_cycles(world, generator, GRID.observation))
    model = fit(rows, EFFECT_CANDIDATES, EVENTS_PER_PARAMETER)
    has_model = model.fitted is not None
    terms = model.recipe.terms
    own = terms[(terms["driver"] == "segment") & (terms["level"] == "enterprise")]["column"]
    return {
        "enterprise_events": rows.loc[rows["segment"] == "enterprise", "is_churn"].sum(),
        "has_model": float(has_model),
        "is_penalised": float(model.method == PENALISED),
        "largest": model.fitted.params[model.recipe.columns].abs().max() if has_model else np.nan,
        "enterprise": model.fitted.params[own].iloc[0] if has_model and len(own) else np.nan,
        "events": rows["is_churn"].sum(),
    }


def checks_of_no_lapse(replicates: pd.DataFrame) -> list[Check]:
    """A15: no crash, nothing runs away, and the penalty is named."""
    count = len(replicates)
    largest = replicates["largest"].max()
    shares = {
        "churns among enterprise accounts": (replicates["enterprise_events"].max(), 0.0),
        "runs with a model": (replicates["has_model"].mean(), 1.0),
        "runs that name Firth's penalty": (replicates["is_penalised"].mean(), 1.0),
    }
    rows = pd.DataFrame(
        [{"quantity": name, "value": value, "held": value == wanted}
         for name, (value, wanted) in shares.items()]
        + [{"quantity": "largest coefficient in size", "value": largest,
            "held": bool(largest <= LARGEST_COEFFICIENT)},
           {"quantity": "mean log odds ratio of enterprise",
            "value": replicates["enterprise"].mean(),
            "held": bool(replicates["enterprise"].max() < 0)}]
    )  # fmt: skip
    note = f"{SMALL} accounts, {replicates['events'].mean():.0f} churns on average."
    rule = "no run fails, no coefficient above 10 is shown, and the penalised fit is named"
    return [of_rows("A15", "A segment that nobody leaves", rule, rows, count, note)]


def replicate_permuted(generator: np.random.Generator) -> dict[str, float]:
    """The chapter's model and hold-out on churn that is shuffled within each month."""
    rows = driver_rows(account_cycles(drawn(CORE, ACCOUNTS, generator), generator,
                                      GRID.observation))  # fmt: skip
    shuffled = rows.groupby("period")["is_churn"].transform(
        lambda labels: generator.permutation(labels.to_numpy())
    )
    rows = rows.assign(is_churn=shuffled.astype(bool))
    model = fit(rows, CANDIDATES, EVENTS_PER_PARAMETER)
    columns = model.recipe.columns
    errors = np.sqrt(np.diag(model.fitted.cov.loc[columns, columns]))
    p_values = 2 * stats.norm.sf(np.abs(model.fitted.params[columns]) / errors)
    held = hold_out(rows, CANDIDATES, HELD_OUT_MONTHS, EVENTS_PER_PARAMETER)
    _, validation = held_against(held, CONFIDENCE)
    lowest = benjamini_hochberg(p_values).min()
    auc = validation.set_index("measure").loc["auc"]
    return {
        "auc": auc["estimate"],
        "auc_covers": float(auc["ci_low"] <= 0.5 <= auc["ci_high"]),
        "lowest_q": lowest,
        "findings": _findings(model, held) if lowest < FALSE_DISCOVERY else 0.0,
        "share_below_level": float((p_values < 1 - CONFIDENCE).mean()),
        "events": rows["is_churn"].sum(),
    }


def _findings(model: DriverModel, held: Origin | None) -> float:
    """How many rows the chapter calls a finding."""
    origins = rolling_origins(model.rows, CANDIDATES, EVENTS_PER_PARAMETER)
    signs = sign_records(model, origins)
    table = effects(model, signs, CONFIDENCE, FALSE_DISCOVERY, held_out_signs(model, held))
    return float(table["finding"].isin([LEAVING, STAYING]).sum())


def checks_of_permuted(replicates: pd.DataFrame) -> list[Check]:
    """A16: nothing is found where there is nothing."""
    count = len(replicates)
    mean, false = replicates["auc"].mean(), (replicates["lowest_q"] < FALSE_DISCOVERY).mean()
    claimed = (replicates["findings"] > 0).mean()
    covers, level = replicates["auc_covers"].mean(), replicates["share_below_level"].mean()
    reach = widened(0.02, count, PERMUTED_REPLICATIONS)
    off = widened(0.03, count, PERMUTED_REPLICATIONS)
    allowed = FALSE_DISCOVERY + 3 * float(share_error(FALSE_DISCOVERY, count))
    rows = pd.DataFrame(
        [
            ("mean AUC on months kept out", mean, replicates["auc"].std() / np.sqrt(count),
             abs(mean - 0.5) <= off),
            ("AUC interval covers 0.5", covers, share_error(covers, count),
             covers >= 0.95 - reach),
            ("p-values below 0.05", level, share_error(level, count), abs(level - 0.05) <= reach),
            ("runs with any q below 0.1", false, share_error(false, count), false <= allowed),
            ("runs with a finding", claimed, share_error(claimed, count), claimed <= allowed),
        ],
        columns=["quantity", "value", "monte_carlo_error", "held"],
    )  # fmt: skip
    note = (
        "Where nothing is true the false discovery rate is the chance of any finding, so one run "
        "in ten may have one; a rule of 5 % would ask for more than the method promises. "
        f"{replicates['events'].mean():.0f} churns on average."
    )
    rule = (
        "mean AUC 0.47 to 0.53, its interval covers 0.5 in 93 % or more, p-values keep their "
        "level, and no more than 10 % of runs (and three Monte Carlo errors) have a q below 0.1"
    )
    return [of_rows("A16", "Churn shuffled within each month", rule, rows, count, note)]
