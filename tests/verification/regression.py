"""Does the regression find the true hazard ratios, and are its errors honest? (A1-A5)

The grouped-time hazard is fitted as the drivers' chapter does it: started by `cloglog.scoring`,
errors clustered by account. The subtle point: each account is followed from its first paid day to
the extract (22 cycles on average), so that every band of the baseline is seen.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from lifelines import CoxPHFitter
from scipy import stats

from pipeline.stages.simulate.scenario import BASELINE_BANDS, CORE
from pipeline.statistics import cloglog, grouped_hazard
from tests.verification.results import (
    CONFIDENCE,
    LEVEL,
    Check,
    biases,
    coverages,
    of_rows,
    share_error,
    widened,
    within,
)

ACCOUNTS = 2_000
Z = float(stats.norm.ppf(0.5 + CONFIDENCE / 2))
EFFECTS = ("value", "usage", "ticket", "play", "mid", "enterprise", "low", "high")
NULLS = ("null_number", "null_flag", "region_east", "region_south", "region_west")
BANDS = tuple(f"baseline_{number}" for number in range(1, 1 + len(BASELINE_BANDS)))
TRUTHS = pd.Series(
    {band: float(np.log(rate)) for band, (_, rate) in zip(BANDS, BASELINE_BANDS, strict=True)}
    | {name: getattr(CORE.effects, name) for name in EFFECTS}
    | dict.fromkeys(NULLS, 0.0)
)
INDEPENDENT_POWER = {"value": 1.0, "usage": 1.0, "play": 0.83, "ticket": 0.77, "high": 0.46,
                   "low": 0.27}  # fmt: skip
AGREEMENT = 1e-8


def design_of(cycles: pd.DataFrame, columns: tuple[str, ...] = EFFECTS + NULLS) -> pd.DataFrame:
    """Baseline by age, then the columns that are asked for."""
    band = np.searchsorted([last for last, _ in BASELINE_BANDS], cycles["completed"])
    made = {name: (band == position).astype(float) for position, name in enumerate(BANDS)}
    own = {
        "mid": cycles["segment"] == 1, "enterprise": cycles["segment"] == 2,
        "low": cycles["touch"] == 1, "high": cycles["touch"] == 2,
        "region_east": cycles["region"] == 1, "region_south": cycles["region"] == 2,
        "region_west": cycles["region"] == 3,
    }  # fmt: skip
    made |= {name: np.asarray(own.get(name, cycles.get(name)), float) for name in columns}
    return pd.DataFrame(made, index=cycles.index)


def fitted(cycles: pd.DataFrame, design: pd.DataFrame, groups: str | None = "account"):
    """The chapter's fit; errors clustered by the column `groups`, or from the model."""
    start = cloglog.scoring(cycles["churned"], design.to_numpy()).params
    clusters = None if groups is None else cycles[groups].to_numpy()
    return grouped_hazard.fit(cycles["churned"], design, clusters, start=start)


def found_in_core(cycles: pd.DataFrame) -> dict[str, float]:
    """Coefficients and errors of one core world, by the chapter's fit and by Cox."""
    design = design_of(cycles)
    model = fitted(cycles, design)
    plain = cloglog.scoring(cycles["churned"], design.to_numpy()).params
    errors = np.sqrt(np.diag(model.cov))
    found = {f"b:{name}": value for name, value in model.params.items()}
    found |= {f"se:{name}": error for name, error in zip(design.columns, errors, strict=True)}
    found |= {f"cox:{name}": value for name, value in _cox(cycles, design).items()}
    return found | {
        "months": len(cycles),
        "events": cycles["churned"].sum(),
        "agreement": float(np.abs(plain - model.params.to_numpy()).max()),
    }


def checks_of_core(replicates: pd.DataFrame) -> list[Check]:
    """A1 to A5 from the replications of the core world."""
    count = len(replicates)
    found, errors = part(replicates, "b:"), part(replicates, "se:")
    low, high = found - Z * errors, found + Z * errors
    recovery = biases(found, TRUTHS, 0.02, "coefficient")
    size = replicates[["months", "events"]].mean()
    accounts = (
        f"{ACCOUNTS:,} accounts, {size['months'] / ACCOUNTS:.0f} cycles each and "
        f"{size['events']:.0f} churns"
    )
    agreement = replicates["agreement"].max()
    return [
        of_rows("A1", "The regression finds the true log hazard ratios",
                "the mean estimate lies within 0.02 of the truth, or within three Monte Carlo "
                "errors if these are more", recovery, count,
                f"{accounts} on average. Largest difference between `cloglog.scoring` and "
                f"`grouped_hazard.fit` in any run: {agreement:.0e}."),
        _coverage_check(low, high, count),
        _null_check(found, errors, count),
        _power_check(found, errors, count),
        _cox_check(found, part(replicates, "cox:"), count),
        Check("A5b", "The fast fit and the chapter's fit are one",
              f"their coefficients differ by less than {AGREEMENT:.0e} in every run",
              pd.DataFrame({"quantity": ["largest difference"], "value": [agreement],
                            "held": [agreement < AGREEMENT]}),
              bool(agreement < AGREEMENT), count),
    ]  # fmt: skip


def part(replicates: pd.DataFrame, prefix: str) -> pd.DataFrame:
    """The columns of one kind, named without it."""
    own = [name for name in replicates.columns if name.startswith(prefix)]
    return replicates[own].rename(columns=lambda name: name.removeprefix(prefix))


def _cox(cycles: pd.DataFrame, design: pd.DataFrame) -> pd.Series:
    rows = design.drop(columns=list(BANDS)).assign(
        start=cycles["completed"], stop=cycles["completed"] + 1, churned=cycles["churned"]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitter = CoxPHFitter().fit(rows, "stop", "churned", entry_col="start")
    return fitter.params_


def _coverage_check(low: pd.DataFrame, high: pd.DataFrame, count: int) -> Check:
    rows = coverages(low, high, TRUTHS, "coefficient")
    rows["held"] = within(rows["coverage"], CONFIDENCE, 0.02, count)
    is_far = ~within(rows["coverage"], CONFIDENCE, 0.025, count)
    held = bool((~rows["held"]).sum() <= 1 and not is_far.any())
    rule = "93 to 97 %; of the 18 at most one outside, and none outside 92.5 to 97.5 %"
    return Check("A2", "The 95 % interval covers the truth", rule, rows, held, count)


def _null_check(found: pd.DataFrame, errors: pd.DataFrame, count: int) -> Check:
    share = pd.Series({name: (found[name].abs() > Z * errors[name]).mean() for name in NULLS})
    rows = pd.DataFrame(
        {
            "driver": share.index,
            "type_1_error": share.to_numpy(),
            "monte_carlo_error": share_error(share, count),
            "held": within(share, LEVEL, 0.02, count).to_numpy(),
        }
    )
    return of_rows("A3", "Drivers that do nothing", "each is found in 3 to 7 % of runs", rows,
                   count)  # fmt: skip


def _power_check(found: pd.DataFrame, errors: pd.DataFrame, count: int) -> Check:
    """Power against what the estimated errors imply: an error too small would promise more."""
    names = list(INDEPENDENT_POWER)
    power = (found[names].abs() > Z * errors[names]).mean().to_numpy()
    elsewhere = np.array(list(INDEPENDENT_POWER.values()))
    size = (TRUTHS[names].abs() / errors[names].mean()).to_numpy()
    implied = stats.norm.sf(Z - size) + stats.norm.sf(Z + size)
    reach = widened(0.05, count)
    rows = pd.DataFrame(
        {
            "driver": names,
            "hazard_ratio": np.exp(TRUTHS[names]).to_numpy(),
            "power": power,
            "monte_carlo_error": share_error(power, count),
            "implied_by_errors": implied,
            "independent_study": elsewhere,
            "held": np.maximum(abs(power - implied), abs(power - elsewhere)) <= reach,
        }
    )
    rule = (
        "within 5 points of the power that the mean estimated error implies, and of that which an "
        "independent study found"
    )
    note = "The independent study had 2,000 accounts over 24 cycles, others than these."
    return of_rows("A4", "Power at the two-sided 5 % level", rule, rows, count, note)


def _cox_check(found: pd.DataFrame, cox: pd.DataFrame, count: int) -> Check:
    names = list(EFFECTS + NULLS)
    difference = cox[names] - found[names]
    mean = difference.mean()
    rows = pd.DataFrame(
        {
            "coefficient": names,
            "mean_grouped": found[names].mean().to_numpy(),
            "mean_cox": cox[names].mean().to_numpy(),
            "mean_difference": mean.to_numpy(),
            "monte_carlo_error": (difference.std(ddof=1) / np.sqrt(count)).to_numpy(),
            "held": (mean.abs() < 0.02).to_numpy(),
        }
    )
    rule = "the mean difference of the log hazard ratios is less than 0.02"
    return of_rows("A5", "Cox with Efron's ties against the grouped-time hazard", rule, rows, count)
