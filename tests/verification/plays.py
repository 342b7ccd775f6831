"""Plays that do nothing, begun where the risk is high: what does the regression say? (C3)

The subtle point: usage and tickets triggered the play, so leaving them out makes it look harmful.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline.stages.simulate.scenario import SCENARIOS
from tests.verification.regression import ACCOUNTS, EFFECTS, Z, design_of, fitted, part
from tests.verification.results import Check, of_rows, share_error, widened
from tests.verification.worlds import account_cycles, drawn


def replicate(generator: np.random.Generator) -> dict[str, float]:
    """Effect of plays where they do nothing, with and without what triggered them."""
    cycles = account_cycles(drawn(SCENARIOS["null_play"], ACCOUNTS, generator), generator)
    found = {}
    for name, columns in (("adjusted", EFFECTS), ("unadjusted", ("play",))):
        model = fitted(cycles, design_of(cycles, columns))
        found[f"b:{name}"] = model.params["play"]
        found[f"se:{name}"] = np.sqrt(model.cov.loc["play", "play"])
    return found


def checks(replicates: pd.DataFrame) -> list[Check]:
    """C3: adjusted for their triggers, plays that do nothing show nothing."""
    count = len(replicates)
    found, errors = part(replicates, "b:"), part(replicates, "se:")
    inside = (found.abs() <= Z * errors).mean()
    mean = found.mean()
    rows = pd.DataFrame(
        {
            "estimate": ["adjusted for usage and tickets", "not adjusted (labelled as such)"],
            "mean_hazard_ratio": np.exp(mean.to_numpy()),
            "covers_1": inside.to_numpy(),
            "monte_carlo_error": share_error(inside, count),
        }
    )
    low = 0.95 - widened(0.02, count)
    rows["held"] = [inside["adjusted"] >= low - 1e-9, np.exp(mean["unadjusted"]) > 1.15]
    rule = "the adjusted interval covers 1 in at least 93 %; the ratio not adjusted exceeds 1.15"
    note = "Truth: 1. The independent study found 1.33 without adjustment."
    return [of_rows("C3", "Plays that do nothing", rule, rows, count, note)]
