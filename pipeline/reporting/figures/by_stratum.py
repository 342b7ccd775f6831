"""How do the curves of the declared strata look? One survival figure per stratum.

A company declares as many strata as it likes; a notebook shows them all in one line. The title is
computed: the best and the worst level at the month mark, where they can be told.
"""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

from pipeline.reporting import figures, words
from pipeline.reporting.figures import Figure

EVERYBODY = "all"


def survival_figures(
    curves: pd.DataFrame,
    levels: pd.DataFrame,
    of_today: Collection[str] = (),
    source: str = "",
    observed: str = "",
) -> list[Figure]:
    """Survival curves with interval and risk table, one figure per stratum.

    Args:
        curves: rows of survival.curves.
        levels: one row per stratum and level with its share still customer at a month mark.
        of_today: strata that hold today's value; their figure says so.
        source: line below each figure.
        observed: the time that the curves are seen in.

    Returns:
        The figures in the order of the strata; "all" is left out.
    """
    names = [name for name in curves["stratum"].unique() if name != EVERYBODY]
    return [
        figures.survival_curves(
            curves[curves["stratum"] == name],
            name=f"curves-{name}".replace("_", "-"),
            title=_title(name, levels[levels["stratum"] == name]),
            subtitle=_subtitle(observed, name in of_today),
            alt=f"Share still customer. {_title(name, levels[levels['stratum'] == name])}.",
            source=source,
        )
        for name in names
    ]


def _title(stratum: str, levels: pd.DataFrame) -> str:
    known = levels.dropna(subset=["estimate"]).sort_values("estimate")
    if len(known) < 2:
        return f"{words.label(stratum)}: too few followed to compare"
    worst, best = known.iloc[0], known.iloc[-1]
    return (
        f"{words.label(stratum)}: {words.share(best['estimate'])} of {best['level']} and "
        f"{words.share(worst['estimate'])} of {worst['level']} stay {int(best['months'])} months"
    )


def _subtitle(observed: str, is_of_today: bool) -> str:
    text = "Share still customer by months since the first paid day, with interval"
    today = "grouped by today's value, which may follow from staying" if is_of_today else ""
    return "; ".join(part for part in (text, today, observed) if part)
