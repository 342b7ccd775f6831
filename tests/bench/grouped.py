"""Rows of the bench: the grouped-time regression on account-months, beside statsmodels.

Each side is a fresh process, so that its peak memory is its own. The data are drawn once, written
to a file, and read by all. The subtle point: most of a small fit's memory is the libraries'; the
ratio of memory is taken at two million rows.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from tests.bench.row import Command, Row, Sides

PROJECT = Path(__file__).parents[2]
SEED = 20261122
ROWS_OF_DATA, QUICK_ROWS = 2_000_000, 20_000
N_COVARIATES = 12
N_MONTHS = 20
SUBJECT, PEER = "ours", "statsmodels"


def regression(is_quick: bool) -> Sides:
    """Twelve covariates, of which four are numbers; errors clustered by account."""
    return _sides(_written(is_quick, n_numbers=4))


def flags_alone(is_quick: bool) -> Sides:
    """Twelve covariates, all of them 0 or 1."""
    return _sides(_written(is_quick, n_numbers=0))


def account_months(n_rows: int, n_numbers: int) -> pd.DataFrame:
    """Events, account and covariates x0, x1, …: numbers first, then flags; `one` is the level."""
    draws = np.random.default_rng(SEED)
    columns: dict[str, np.ndarray] = {"one": np.ones(n_rows, dtype=np.int8)}
    eta = np.full(n_rows, -4.0)
    for place in range(N_COVARIATES):
        is_number = place < n_numbers
        own = draws.normal(size=n_rows) if is_number else draws.random(n_rows) < 0.3
        columns[f"x{place}"] = own if is_number else own.astype(np.int8)
        eta += (0.1 + 0.02 * place) * own
    columns["account"] = np.arange(n_rows) // N_MONTHS
    columns["event"] = (draws.random(n_rows) < -np.expm1(-np.exp(eta))).astype(np.int8)
    return pd.DataFrame(columns)


def run(side: str, path: Path) -> None:
    """Fit one side and print its first coefficient and error, so that both can be compared."""
    rows = pd.read_parquet(path)
    design = rows.drop(columns=["account", "event"])
    events, accounts = rows["event"].to_numpy(float), rows["account"]
    del rows
    if side == SUBJECT:
        from pipeline.statistics import grouped_hazard

        found = grouped_hazard.fit(events, design, accounts)
        params, cov = found.params.to_numpy(), found.cov.to_numpy()
    else:
        import statsmodels.api as sm

        family = sm.families.Binomial(sm.families.links.CLogLog())
        clustered = {"cov_type": "cluster", "cov_kwds": {"groups": accounts.to_numpy()}}
        slow = sm.GLM(events, design.astype(float), family).fit(**clustered)
        params, cov = slow.params.to_numpy(), slow.cov_params().to_numpy()
    print(*(f"{value:.9f}" for value in (params[1], np.sqrt(cov[1, 1]))))


def _written(is_quick: bool, n_numbers: int) -> Path:
    n_rows = QUICK_ROWS if is_quick else ROWS_OF_DATA
    path = PROJECT / "build" / "bench" / f"account-months-{n_rows}-{n_numbers}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    account_months(n_rows, n_numbers).to_parquet(path)
    return path


def _sides(path: Path) -> Sides:
    ours, theirs = (
        Command([sys.executable, "-m", "tests.bench.grouped", side, str(path)], PROJECT)
        for side in (SUBJECT, PEER)
    )
    return Sides(ours, theirs, note="whole processes: start, load and fit")


ROWS = [
    Row("grouped-time regression, 2·10⁶ account-months × 12", 0.3, regression,
        "time and peak memory at most 0.3 of sm.GLM", is_of_memory=True),
    Row("the same with flags alone", 0.3, flags_alone,
        "time and peak memory at most 0.3 of sm.GLM", is_of_memory=True),
]  # fmt: skip

if __name__ == "__main__":
    run(sys.argv[1], Path(sys.argv[2]))
