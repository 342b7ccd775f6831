"""Is our Cox fit R's and lifelines' at their limit, and does it say when there is none?"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter

from pipeline.statistics import cox, risk_sets
from pipeline.statistics.recurrent import mean_count
from tests.statistics.oracle import cases, needs_reference
from tests.statistics.test_cox_reference import CASES, ROUNDED, people_of

TO_THE_LIMIT = {"precision": 1e-22, "r_precision": 0.0}
N = 400


def lives(seed: int, n: int = N) -> pd.DataFrame:
    """Tied whole days, late entries, two covariates and three strata; one row per life."""
    draw = np.random.default_rng(seed)
    entry = np.where(draw.random(n) < 0.4, draw.integers(1, 20, n), 0)
    frame = pd.DataFrame(
        {"entry": entry, "a": draw.normal(size=n), "b": draw.integers(0, 2, n) * 1.0}
    )
    days = np.ceil(draw.exponential(30 * np.exp(-0.5 * frame["a"] + 0.4 * frame["b"])))
    events = draw.random(n) < 0.8
    return frame.assign(
        days=entry + np.minimum(days, 60), event=events, layer=draw.integers(0, 3, n)
    )


def ours(frame: pd.DataFrame, strata: str | None = None) -> cox.CoxFit:
    return cox.fit(
        frame["days"], frame["event"], frame[["a", "b"]].to_numpy(), frame["entry"],
        frame[strata] if strata else None,
    )  # fmt: skip


@needs_reference
@pytest.mark.parametrize("case_id", list(CASES))
def test_coefficients_errors_and_likelihood_of_the_fit_are_those_of_r(case_id):
    case, expected = CASES[case_id], cases("cox_coef", case_id)
    terms, rtol = list(expected["term"]), ROUNDED.get(case_id, 1e-6)
    people = people_of(case.data).dropna(subset=terms)
    people = people[people[case.time] > (people[case.entry] if case.entry else -1)]
    found = cox.fit(
        people[case.time], people[case.event], people[terms].to_numpy(float),
        people[case.entry] if case.entry else None,
        people[case.stratum] if case.stratum else None,
    )  # fmt: skip
    likelihood = cases("cox_fit", case_id).iloc[0]
    assert found.converged
    np.testing.assert_allclose(found.coefficients, expected["coef"], rtol=rtol, atol=1e-9)
    np.testing.assert_allclose(np.sqrt(np.diag(found.cov)), expected["se"], rtol=rtol)
    assert found.log_likelihood == pytest.approx(likelihood["loglik"], rel=rtol)
    ratio = 2 * (found.log_likelihood - found.log_likelihood_null)
    assert ratio == pytest.approx(likelihood["lr"], rel=max(rtol, 1e-6))


@pytest.mark.parametrize("strata", [None, "layer"])
def test_the_fit_is_that_of_lifelines_when_lifelines_goes_on_to_its_limit(strata):
    frame = lives(3)
    columns = ["days", "event", "entry", "a", "b", *([strata] if strata else [])]
    theirs = CoxPHFitter().fit(
        frame[columns], "days", "event", entry_col="entry", strata=strata,
        fit_options=TO_THE_LIMIT,
    )  # fmt: skip
    found = ours(frame, strata)
    np.testing.assert_allclose(found.coefficients, theirs.params_, rtol=1e-10)
    np.testing.assert_allclose(found.cov, theirs.variance_matrix_, rtol=1e-9)
    assert found.log_likelihood == pytest.approx(theirs.log_likelihood_, rel=1e-12)


def test_a_fit_whose_likelihood_rises_for_ever_does_not_converge():
    frame = lives(4)
    frame = frame.assign(event=frame["event"] & (frame["b"] == 0))
    found = ours(frame)
    assert not found.converged
    assert found.coefficients[1] < -10


def test_a_column_that_follows_from_another_gives_no_coefficients():
    frame = lives(5)
    found = ours(frame.assign(b=2 * frame["a"]))
    assert not found.converged
    assert np.isnan(found.coefficients).all()


def test_a_missing_covariate_is_refused_and_counted():
    frame = lives(6)
    frame.loc[[2, 7], "a"] = np.nan
    with pytest.raises(ValueError, match="2 rows have a missing or infinite covariate"):
        ours(frame)


def test_information_in_pieces_is_that_of_all_rows_at_once(monkeypatch):
    frame = lives(7)
    whole = ours(frame)
    monkeypatch.setattr(risk_sets, "ROWS_AT_ONCE", 37)
    np.testing.assert_allclose(ours(frame).cov, whole.cov, rtol=1e-10)


def test_the_variance_of_a_mean_count_is_the_sum_over_subjects_written_out():
    draw = np.random.default_rng(8)
    until = draw.integers(5, 60, 80)
    subjects = np.repeat(np.arange(60), draw.integers(0, 4, 60))
    moments = np.array([draw.integers(1, until[subject] + 1) for subject in subjects])
    found = mean_count(until, subjects, moments)
    at_risk = {time: (until >= time).sum() for time in found["time"]}
    for row in found.itertuples():
        squares = 0.0
        for subject, end in enumerate(until):
            own = moments[(subjects == subject) & (moments <= row.time)]
            seen = moments[moments <= min(row.time, end)]
            spent = sum(1 / at_risk[time] ** 2 for time in seen)
            squares += (sum(1 / at_risk[time] for time in own) - spent) ** 2
        assert row.std_err == pytest.approx(np.sqrt(squares), rel=1e-10)
