import numpy as np
import pytest
from lifelines.utils import concordance_index

from pipeline.statistics.censored_prediction import auc_at, brier_score, concordance, uno_c
from pipeline.statistics.life_table import kaplan_meier
from tests.statistics.oracle import at_times, cases, needs_reference, subjects


def held_out():
    return subjects("lung_split_test"), subjects("lung_split_test_predictions")


def test_without_censoring_the_scores_are_those_done_by_hand():
    # Events at 1 and 3, nobody censored; by 2: one case with risk 0.8, controls with 0.4 and 0.9.
    durations, events, risk = [1, 3, 4], [1, 1, 1], [0.8, 0.4, 0.9]
    found = brier_score(durations, events, risk, 2)
    assert found.score == pytest.approx((0.2**2 + 0.4**2 + 0.9**2) / 3)
    assert found.null == pytest.approx(2 / 9)  # risk 1/3 for all
    assert found.scaled == pytest.approx(1 - found.score / found.null)
    assert auc_at(durations, events, risk, 2) == pytest.approx(1 / 2)
    assert uno_c(durations, events, risk, 9) == pytest.approx(1 / 3)
    assert concordance(durations, events, risk) == pytest.approx(1 / 3)


def test_a_censored_subject_passes_its_weight_on_to_those_still_seen():
    # Censored at 1 of four: the three others weigh 4/3 after it.
    found = brier_score([1, 2, 5, 5], [0, 1, 0, 0], [0.0, 0.5, 0.2, 0.1], 4)
    assert found.score == pytest.approx((4 / 3) * (0.5**2 + 0.2**2 + 0.1**2) / 4)


@needs_reference
def test_brier_scores_areas_and_concordance_at_four_horizons_equal_r():
    people, predictions = held_out()
    arguments = people["time"], people["dead"]
    for row in cases("survival_validation", "survval_lung").itertuples():
        risk = predictions[f"risk_{row.time}"]
        found = brier_score(*arguments, risk, row.time)
        ours = [
            found.score, found.null, found.scaled, auc_at(*arguments, risk, row.time),
            uno_c(*arguments, predictions["lp"], row.time),
            concordance(*arguments, predictions["lp"]), risk.mean(),
            1 - at_times(kaplan_meier(*arguments), np.array([row.time]))["estimate"].iloc[0],
        ]  # fmt: skip
        theirs = [
            row.brier_model, row.brier_null_km, row.ipa, row.auc_cumdyn, row.uno_c_at_tau,
            row.harrell_c, row.mean_pred_risk, row.km_risk,
        ]  # fmt: skip
        np.testing.assert_allclose(ours, theirs, rtol=1e-10)


@needs_reference
def test_predicted_and_observed_risk_by_fifth_of_the_prediction_equal_r():
    people, predictions = held_out()
    rank = predictions["risk_365"].rank(method="first")
    fifth = np.ceil((rank - 1) / (len(rank) - 1) * 5).clip(lower=1).astype(int)
    for row in cases("survival_calibration", "survcal_lung").itertuples():
        mine = people[fifth == row.group]
        risk = predictions.loc[fifth == row.group, "risk_365"].mean()
        at = at_times(kaplan_meier(mine["time"], mine["dead"]), np.array([365])).iloc[0]
        assert len(mine) == row.n
        np.testing.assert_allclose(
            [risk, 1 - at["estimate"], 1 - at["ci_high"], 1 - at["ci_low"]],
            [row.mean_pred_risk, row.km_risk, row.km_risk_lower, row.km_risk_upper],
            rtol=1e-8,
        )


@needs_reference
def test_apparent_concordance_equals_r_and_lifelines():
    people = subjects("lung_complete_case")
    fit = cases("cox_coef", "cox_lung_efron").set_index("term")["coef"]
    score = people[list(fit.index)] @ fit
    expected = cases("concordance", "conc_lung").set_index("measure")["c"]
    found = concordance(people["time"], people["dead"], score)
    assert found == pytest.approx(expected["harrell"], rel=1e-8)
    assert uno_c(people["time"], people["dead"], score, 500) == pytest.approx(
        expected["uno_tau500"], rel=1e-8
    )
    theirs = concordance_index(people["time"], -score, people["dead"])
    assert found == pytest.approx(theirs, rel=1e-12)


@needs_reference
@pytest.mark.parametrize(
    ("case_id", "data", "entry", "time", "event", "stratum"),
    [
        ("cox_mgus2_lefttrunc", "mgus2", "age_in", "age_out", "death", None),
        ("cox_heart_tv", "heart", "start", "stop", "event", None),
        ("cox_bladder_pwp", "bladder2", "start", "stop", "event", "enum"),
        ("cox_veteran_strat", "veteran", None, "time", "status", "celltype"),
    ],
)
def test_concordance_counts_only_pairs_at_risk_together_as_r_does(
    case_id, data, entry, time, event, stratum
):
    fit = cases("cox_coef", case_id).set_index("term")["coef"]
    people = subjects(data).dropna(subset=list(fit.index))
    people = people if entry is None else people[people[time] > people[entry]]
    found = concordance(
        people[time],
        people[event],
        people[list(fit.index)] @ fit,
        None if entry is None else people[entry],
        None if stratum is None else people[stratum],
    )
    expected = cases("cox_fit", case_id)["concordance"].iloc[0]
    # R joins ages that differ by rounding only, which moves a handful of pairs.
    assert found == pytest.approx(expected, rel=1e-4 if case_id == "cox_mgus2_lefttrunc" else 1e-8)


def test_a_horizon_that_nobody_reached_has_no_score():
    found = brier_score([1, 2, 2], [1, 0, 0], [0.5, 0.1, 0.1], 5)
    assert np.isnan([found.score, found.null, found.scaled]).all()
    assert np.isnan(auc_at([1, 2, 2], [1, 0, 0], [0.5, 0.1, 0.1], 5))


def test_without_an_event_there_is_no_pair():
    assert np.isnan(uno_c([1, 2], [0, 0], [0.1, 0.2], 5))
    assert np.isnan(concordance([1, 2], [0, 0], [0.1, 0.2]))


def test_more_censoring_leaves_unos_measure_where_it_was_and_moves_harrells():
    random = np.random.default_rng(41)
    lp = random.normal(size=6000)
    life = random.exponential(np.exp(-lp))
    found = {}
    for name, censored in (("early", random.exponential(0.7, 6000)), ("late", np.full(6000, 50.0))):
        rows = np.minimum(life, censored), life <= censored, lp
        found[name] = uno_c(*rows, 1.0), concordance(*rows)
    assert abs(found["early"][0] - found["late"][0]) < 0.015
    assert abs(found["early"][1] - found["late"][1]) > 0.012


def test_when_everybody_had_the_event_the_score_stands():
    assert brier_score([1, 2], [1, 1], [0.9, 0.8], 5).score == pytest.approx(0.025)
