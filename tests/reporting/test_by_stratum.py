"""How the curves of the declared strata look."""

from __future__ import annotations

import pandas as pd

from pipeline.reporting.figures.by_stratum import survival_figures


def curves_of(stratum: str, levels: list[str]) -> pd.DataFrame:
    return pd.concat(
        [
            pd.DataFrame(
                {"stratum": stratum, "level": level, "time_days": [30, 400], "estimate": [0.9, 0.6],
                 "ci_low": [0.8, 0.5], "ci_high": [0.95, 0.7], "n_at_risk": [40, 20],
                 "n_events": [4, 6], "n_censored": [0, 14]}
            )
            for level in levels
        ]
    )  # fmt: skip


def levels_of(stratum: str, shares: dict[str, float | None]) -> pd.DataFrame:
    return pd.DataFrame(
        {"stratum": stratum, "level": list(shares), "months": 12,
         "estimate": pd.Series(list(shares.values()), dtype=float)}
    )  # fmt: skip


def test_each_stratum_but_everybody_has_a_figure_whose_title_ranks_its_levels():
    curves = pd.concat([curves_of("all", ["all"]), curves_of("touch_model", ["high", "tech"])])
    drawn = survival_figures(curves, levels_of("touch_model", {"high": 0.8, "tech": 0.651}))
    assert [figure.name for figure in drawn] == ["curves-touch-model"]
    assert drawn[0].title == "Touch model: 80.0 % of high and 65.1 % of tech stay 12 months"
    assert set(drawn[0].rows["level"]) == {"high", "tech"}


def test_levels_that_cannot_be_read_are_not_ranked():
    drawn = survival_figures(
        curves_of("segment", ["a", "b"]), levels_of("segment", {"a": 0.8, "b": None})
    )
    assert drawn[0].title == "Segment: too few followed to compare"


def test_a_stratum_of_todays_values_says_so():
    curves, levels = curves_of("tier", ["a", "b"]), levels_of("tier", {"a": 0.8, "b": 0.7})
    assert "today's value" in survival_figures(curves, levels, {"tier"})[0].subtitle
    assert "today's value" not in survival_figures(curves, levels)[0].subtitle
