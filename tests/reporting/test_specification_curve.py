"""The picture of a contrast under other choices."""

import numpy as np
import pandas as pd

from pipeline.analysis import annex
from pipeline.reporting.figures.specification_curve import specification_figures
from tests.analysis.test_annex import TRIED, specification

HOSTILE = "<script>$x$</script>"


def test_each_contrast_has_a_figure_whose_title_counts_who_agrees() -> None:
    figures = specification_figures(TRIED, annex.curves(TRIED))
    assert [figure.title for figure in figures] == [
        "Survival: 1 of 2 other ways lie on the same side of no difference",
        "Drivers: 1 of 1 other way lie on the same side of no difference",
    ]
    assert [figure.name for figure in figures] == [
        "specifications-survival-segment", "specifications-drivers-segment",
    ]  # fmt: skip
    assert "not estimated" in figures[0].picture
    assert len(figures[0].rows) == 4


def test_the_same_rows_give_the_same_bytes_and_a_hostile_name_is_text() -> None:
    rows = pd.concat([TRIED, pd.DataFrame([specification(1.0, specification=HOSTILE)])])
    one, other = (specification_figures(rows, annex.curves(rows))[0].picture for _ in range(2))
    assert one == other
    assert "<script>" not in one


def test_a_contrast_without_any_number_is_still_drawn() -> None:
    rows = TRIED.assign(estimate=np.nan, ci_low=np.nan, ci_high=np.nan)
    figures = specification_figures(rows, annex.curves(rows))
    assert "no other way to compute" in figures[0].alt
