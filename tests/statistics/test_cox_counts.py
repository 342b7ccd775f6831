import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter

from pipeline.statistics import cox_counts
from pipeline.statistics.proportional_hazards import proportional_hazards_test


@pytest.fixture(scope="module")
def spans() -> pd.DataFrame:
    """Spans with late entry, many ties a day, and a ratio that drifts with time."""
    draws = np.random.default_rng(20261124)
    n = 3000
    rows = pd.DataFrame({"value": draws.random(n) < 0.4, "large": draws.random(n) < 0.3})
    rate = 0.02 * np.exp(-0.7 * rows["value"] + 0.4 * rows["large"])
    life = np.ceil(draws.exponential(1 / rate) ** np.where(rows["large"], 1.1, 1.0))
    rows["start"] = draws.integers(0, 30, n).astype(float)
    rows["stop"] = np.minimum(life, 90.0)
    rows["event"] = life <= 90
    return rows[rows["stop"] > rows["start"]].astype({"value": float, "large": float})


COLUMNS = ["value", "large"]


def counted(rows: pd.DataFrame) -> cox_counts.CoxCounts:
    found = cox_counts.countable(rows["stop"], rows["event"], rows[COLUMNS], rows["start"])
    assert found is not None
    return found


def test_the_fit_on_counts_equals_lifelines_with_ties_and_late_entry(spans):
    found = cox_counts.fit(counted(spans))
    how = {"precision": 1e-10, "r_precision": 1e-13}
    slow = CoxPHFitter().fit(
        spans, duration_col="stop", event_col="event", entry_col="start", fit_options=how
    )
    assert found.converged
    np.testing.assert_allclose(found.params, slow.params_[COLUMNS], rtol=1e-8)
    np.testing.assert_allclose(found.cov, slow.variance_matrix_, rtol=1e-7)


@pytest.mark.parametrize("tested", [[0], [1], [0, 1]])
def test_the_drift_test_on_counts_equals_that_on_subjects(spans, tested):
    counts = counted(spans)
    params = cox_counts.fit(counts).params
    slow = proportional_hazards_test(
        spans["stop"], spans["event"], spans[COLUMNS].to_numpy(), params, spans["start"],
        terms=[0 if place in tested else 1 + place for place in range(2)],
    )  # fmt: skip
    expected = slow.loc[slow["term"] == 0, "p_value"].iloc[0]
    found = cox_counts.proportional_hazards(counts, params, tested)
    assert found == pytest.approx(expected, rel=1e-8)
    assert expected < 0.9


def test_too_many_patterns_to_count_are_left_to_the_library(spans, monkeypatch):
    monkeypatch.setattr(cox_counts, "MOST_CELLS", 300)
    given = spans["stop"], spans["event"], spans[COLUMNS], spans["start"]
    assert cox_counts.countable(*given) is None


def test_a_ratio_that_runs_away_is_huge_or_does_not_settle(spans):
    rows = spans.assign(large=spans["event"].astype(float))
    found = cox_counts.fit(counted(rows))
    assert not found.converged or np.abs(found.params).max() > 10
