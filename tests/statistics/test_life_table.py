import numpy as np
import pandas as pd
import pytest
from lifelines import KaplanMeierFitter
from scipy import stats

from pipeline.statistics.life_table import hazard_by_band, kaplan_meier, quantile, risk_table
from pipeline.statistics.proportional_hazards import breslow_baseline
from tests.statistics.oracle import (
    at_times,
    cases,
    late_answers,
    late_subjects,
    needs_reference,
    subjects,
)


def test_three_of_four_known_subjects_give_the_curve_done_by_hand():
    curve = kaplan_meier([1, 2, 2, 3], [1, 1, 0, 0])
    assert curve["time"].tolist() == [1, 2, 3]
    assert curve["at_risk"].tolist() == [4, 3, 1]
    assert curve["events"].tolist() == [1, 1, 0]
    assert curve["censored"].tolist() == [0, 1, 1]
    np.testing.assert_allclose(curve["estimate"], [3 / 4, 1 / 2, 1 / 2])


def test_a_subject_that_enters_late_does_not_count_before():
    table = risk_table([2, 5, 6], [1, 1, 0], [0, 2, 1])
    assert table.at_risk.tolist() == [2, 2, 1]


@needs_reference
@pytest.mark.parametrize(
    ("case_id", "data", "time", "event", "stratum"),
    [
        ("km_lung_all", "lung", "time", "dead", None),
        ("km_lung_sex", "lung", "time", "dead", "sex"),
        ("km_veteran_cell", "veteran", "time", "status", "celltype"),
        ("km_rossi_fin", "rossi", "week", "arrest", "fin"),
        ("km_larynx_stage", "larynx", "time", "delta", "stage"),
    ],
)
def test_curves_limits_and_risk_sets_equal_r(case_id, data, time, event, stratum):
    people = subjects(data)
    for label, expected in cases("km", case_id).groupby("stratum"):
        level = label.partition("=")[2]
        mine = people if stratum is None else people[people[stratum].astype(str) == level]
        curve = kaplan_meier(mine[time], mine[event])
        expected = expected[expected["time"] >= curve["time"].min()]
        found = at_times(curve, expected["time"])
        np.testing.assert_allclose(found["estimate"], expected["surv"], rtol=1e-8)
        inside = expected["surv"].between(0, 1, inclusive="neither").to_numpy()
        for ours, theirs in (("ci_low", "lower"), ("ci_high", "upper")):
            np.testing.assert_allclose(
                found[ours][inside], expected[theirs][inside], rtol=1e-8, err_msg=label
            )
            assert found[ours][~inside].isna().all()


@needs_reference
@pytest.mark.parametrize("case_id", ["km_lung_sex_log", "km_lung_sex_plain"])
def test_the_standard_error_behind_the_limits_gives_rs_other_limits_too(case_id):
    people, z = subjects("lung"), stats.norm.ppf(0.975)
    for label, expected in cases("km", case_id).groupby("stratum"):
        mine = people[people["sex"].astype(str) == label.partition("=")[2]]
        found = at_times(kaplan_meier(mine["time"], mine["dead"]), expected["time"])
        share = found["estimate"].to_numpy()
        # The log-log limits are share ** exp(±z · se / (share · log share)).
        width = np.log(np.log(found["ci_low"]) / np.log(share)).to_numpy()
        error = -width / z * share * np.log(share)
        np.testing.assert_allclose(error, expected["std_err"], rtol=1e-8)
        plain = share - z * error, share + z * error
        on_logs = share * np.exp(-z * error / share), share * np.exp(z * error / share)
        low, high = plain if case_id.endswith("plain") else on_logs
        np.testing.assert_allclose(np.maximum(low, 0), expected["lower"], rtol=1e-8, atol=1e-12)
        np.testing.assert_allclose(np.minimum(high, 1), expected["upper"], rtol=1e-8)


@needs_reference
@pytest.mark.parametrize(
    ("case_id", "data", "time", "event", "stratum"),
    [
        ("na_veteran", "veteran", "time", "status", "trt"),
        ("na_rossi", "rossi", "week", "arrest", None),
    ],
)
def test_counts_at_risk_give_rs_cumulative_hazard_and_error(case_id, data, time, event, stratum):
    people = subjects(data)
    for label, expected in cases("nelson_aalen", case_id).groupby("stratum"):
        level = label.partition("=")[2]
        mine = people if stratum is None else people[people[stratum].astype(str) == level]
        table = risk_table(mine[time], mine[event])
        hazard = np.cumsum(table.events / table.at_risk)
        error = np.sqrt(np.cumsum(table.events / table.at_risk**2))
        held = np.searchsorted(table.time, expected["time"], side="right") - 1
        np.testing.assert_allclose(hazard[held], expected["cumhaz"], rtol=1e-8)
        np.testing.assert_allclose(error[held], expected["std_err"], rtol=1e-8)
        times, baseline = breslow_baseline(mine[time], mine[event], None, np.zeros(len(mine)))
        held = np.searchsorted(times, expected["time"], side="right") - 1
        np.testing.assert_allclose(baseline[held], expected["cumhaz"], rtol=1e-8)


def test_curve_and_limits_with_delayed_entry_and_ties_equal_r():
    late = late_subjects()
    curve = kaplan_meier(late["exit"], late["cause"] > 0, late["entry"])
    for column, expected in late_answers("km").groupby("term"):
        found = at_times(curve, expected["time"])[column]
        np.testing.assert_allclose(found, expected["value"], rtol=1e-8, err_msg=column)


@needs_reference
def test_left_truncation_on_the_age_scale_equals_r():
    people = subjects("mgus2")
    people = people[(people["age_out"] > people["age_in"]) & (people["age_in"] >= 50)]
    for label, expected in cases("km", "km_mgus2_lefttrunc_age").groupby("stratum"):
        mine = people[people["sex"] == label.partition("=")[2]]
        curve = kaplan_meier(mine["age_out"], mine["death"], mine["age_in"])
        found = at_times(curve, expected["time"])
        np.testing.assert_allclose(found["estimate"], expected["surv"], rtol=1e-8)
        np.testing.assert_allclose(found["ci_low"], expected["lower"], rtol=1e-8)


@needs_reference
def test_ignoring_delayed_entry_gives_another_and_too_rosy_curve():
    accounts = subjects("sim_accounts")
    right, wrong = cases("km", "sim_km"), cases("km", "sim_km_wrong")
    for (label, expected), (_, rosy) in zip(
        right.groupby("stratum"), wrong.groupby("stratum"), strict=True
    ):
        mine = accounts[accounts["segment"] == label.partition("=")[2]]
        entered = kaplan_meier(mine["last_cycle"], mine["churned"], mine["entry_cycle"])
        naive = kaplan_meier(mine["last_cycle"], mine["churned"])
        ours = at_times(entered, expected["time"])["estimate"].to_numpy()
        theirs = at_times(naive, rosy["time"])["estimate"].to_numpy()
        np.testing.assert_allclose(ours, expected["surv"], rtol=1e-8)
        np.testing.assert_allclose(theirs, rosy["surv"], rtol=1e-8)
        assert (theirs > ours + 0.01).all()


def test_the_curve_equals_that_of_lifelines_where_lifelines_has_one():
    late = late_subjects()
    event = (late["cause"] > 0).astype(int)
    curve = kaplan_meier(late["exit"], event, late["entry"], confidence=0.9)
    fitted = KaplanMeierFitter(alpha=0.1).fit(late["exit"], event, entry=late["entry"])
    theirs = fitted.survival_function_.iloc[:, 0].reindex(curve["time"]).to_numpy()
    limits = fitted.confidence_interval_.reindex(curve["time"]).to_numpy()
    np.testing.assert_allclose(curve["estimate"], theirs, rtol=1e-8, atol=1e-12)
    inside = (curve["estimate"] > 1e-9).to_numpy()
    np.testing.assert_allclose(curve[["ci_low", "ci_high"]][inside], limits[inside], rtol=1e-8)


def test_a_curve_on_which_everybody_is_censored_has_no_interval():
    curve = kaplan_meier([3, 4, 5], [0, 0, 0])
    assert curve["estimate"].tolist() == [1, 1, 1]
    assert curve[["ci_low", "ci_high"]].isna().all(axis=None)


def test_a_curve_that_ends_at_0_has_no_interval_there():
    last = kaplan_meier([1, 2, 3], [1, 0, 1]).iloc[-1]
    assert last["estimate"] == 0
    assert np.isnan(last["ci_low"])
    assert np.isnan(last["ci_high"])


def test_a_risk_set_that_is_empty_for_a_while_leaves_the_curve_where_it_was():
    curve = kaplan_meier([2, 5, 6], [0, 1, 0], [0, 3, 3])
    np.testing.assert_allclose(curve["estimate"], [1, 0.5, 0.5])


def test_nobody_gives_a_curve_without_rows():
    assert kaplan_meier([], []).empty


def test_an_event_that_is_neither_0_nor_1_is_refused():
    with pytest.raises(ValueError, match="1 events are neither 0 nor 1"):
        kaplan_meier([1, 2], [0, 2])


@needs_reference
@pytest.mark.parametrize(
    ("case_id", "data", "time", "event", "stratum"),
    [
        ("quant_lung_all", "lung", "time", "dead", None),
        ("quant_lung_sex", "lung", "time", "dead", "sex"),
        ("quant_larynx_stage", "larynx", "time", "delta", "stage"),
        ("quant_veteran_cell", "veteran", "time", "status", "celltype"),
        ("quant_rossi", "rossi", "week", "arrest", "fin"),
    ],
)
def test_quantiles_and_their_limits_equal_r_and_open_ones_stay_open(
    case_id, data, time, event, stratum
):
    people = subjects(data)
    for row in cases("km_quantiles", case_id).itertuples():
        level = row.stratum.partition("=")[2]
        mine = people if stratum is None else people[people[stratum].astype(str) == level]
        assert (len(mine), mine[event].sum()) == (row.n, row.events)
        curve = kaplan_meier(mine[time], mine[event])
        # On a piece that is flat at the quantile R answers its middle; we, its start.
        is_flat = np.isclose(curve["estimate"], 1 - row.p_event, atol=1e-12).any()
        found = quantile(curve, 1 - row.p_event)
        expected = (row.quantile, row.lower, row.upper)
        first = 1 if is_flat else 0
        np.testing.assert_allclose(found[first:], expected[first:], rtol=1e-8)


def test_a_median_that_is_not_reached_is_missing():
    assert np.isnan(quantile(kaplan_meier([1, 2, 3, 4], [1, 0, 0, 0]), 0.5)[0])


def test_a_median_is_the_first_time_at_which_half_are_gone():
    assert quantile(kaplan_meier([10, 20, 30, 40], [1, 1, 1, 1]), 0.5)[0] == 20


def test_the_hazard_of_a_band_is_its_events_over_its_exposure():
    # Exposure in (0, 10]: 4 + 10 + 10 + (10 - 6) = 28; in (10, 20]: 0 + 0 + 8 + 10 = 18.
    bands = hazard_by_band([4, 10, 18, 30], [1, 1, 0, 1], [0, 0, 0, 6], [0, 10, 20, 25, 60])
    assert bands["exposure"].tolist() == [28, 18, 5, 5]
    assert bands["events"].tolist() == [2, 0, 0, 1]
    np.testing.assert_allclose(bands["hazard"], [2 / 28, 0, 0, 1 / 5])


def test_band_limits_are_the_exact_poisson_ones():
    # Garwood's 95 % limits of 5 and of 0 events: 1.623, 11.668 and 0, 3.689.
    bands = hazard_by_band([1.0] * 5 + [2.0], [1] * 5 + [0], None, [0, 1, 2])
    np.testing.assert_allclose(bands["ci_low"] * bands["exposure"], [1.62349, 0], atol=1e-5)
    np.testing.assert_allclose(bands["ci_high"] * bands["exposure"], [11.66833, 3.68888], atol=1e-5)


def test_a_band_that_nobody_lived_through_has_no_hazard():
    bands = hazard_by_band([1, 2], [1, 0], None, [0, 2, 4])
    assert bands.loc[1, "exposure"] == 0
    assert bands.loc[1, ["hazard", "ci_low", "ci_high"]].isna().all()


def test_the_true_curve_is_found_behind_delayed_entry():
    # Exponential lives of rate 0.1, seen only if they outlast a uniform entry age.
    random = np.random.default_rng(20261031)
    life, start = (
        random.exponential(10, 40_000),
        random.uniform(0, 15, 40_000) * (random.random(40_000) < 0.6),
    )
    seen = life > start
    end = np.minimum(life, 30)
    curve = kaplan_meier(end[seen], (life <= 30)[seen], start[seen])
    times = pd.Series([5.0, 10.0, 20.0])
    np.testing.assert_allclose(at_times(curve, times)["estimate"], np.exp(-0.1 * times), atol=0.012)
