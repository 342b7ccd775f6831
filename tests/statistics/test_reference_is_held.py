"""Is any number of the reference forgotten? Every case is held by a named test, or says why not."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from tests.statistics.oracle import SHARED, needs_reference

TESTS = Path(__file__).parents[1]
ROOMS = {"statistics", "analysis", "stages"}

COX = "statistics/test_cox_reference.py"
REGRESSION = "statistics/test_regression_reference.py"
LIFE = "statistics/test_life_table.py"
PREDICTION = "statistics/test_censored_prediction.py"
RANK = "statistics/test_log_rank.py"
HAZARD = "statistics/test_grouped_hazard.py"
PH = "statistics/test_proportional_hazards.py"

HELD = {
    # table: {pattern of the case: file::test}
    "aft": {
        "aft_(lung_weibull|lung_lognormal|rossi_weibull)": f"{REGRESSION}::"
        "test_accelerated_lives_equal_r",
        "aft_lung_exponential": f"{REGRESSION}::"
        "test_constant_hazards_as_an_accelerated_life_equal_r",
        "aft_lung_loglogistic": f"{REGRESSION}::"
        "test_log_logistic_lives_of_lifelines_may_stop_early",
    },
    "ame": {".*": f"{HAZARD}::test_average_marginal_effects_equal_r"},
    "binary_validation": {".*": "analysis/test_drivers.py::test_validation_agrees_with_r"},
    "brief_formula": {
        ".*": "analysis/test_reference_books.py::"
        "test_the_two_worked_examples_of_the_formula_come_out_as_in_r"
    },
    "calibration_slope": {
        ".*": f"{COX}::test_the_slope_of_the_linear_predictor_on_held_out_subjects_equals_r"
    },
    "cif": {
        ".*": "statistics/test_competing_risks.py::test_incidence_error_and_limits_equal_r"
    },
    "cif_left_truncated": {
        ".*": "statistics/test_competing_risks.py::"
        "test_incidence_and_error_with_delayed_entry_equal_r"
    },
    "cohort": {
        ".*": "analysis/test_reference_books.py::"
        "test_every_cohort_and_age_has_the_accounts_and_the_money_of_r"
    },
    "concordance": {".*": f"{PREDICTION}::test_apparent_concordance_equals_r_and_lifelines"},
    "cox_coef": {
        ".*_breslow": f"{COX}::test_with_breslow_ties_statsmodels_equals_r",
        "(?!.*(exact|breslow)).*": f"{COX}::"
        "test_coefficients_errors_likelihoods_and_concordance_equal_r",
    },
    "cox_fit": {
        ".*_breslow": f"{COX}::test_with_breslow_ties_statsmodels_equals_r",
        "(?!.*(exact|breslow)).*": f"{COX}::"
        "test_coefficients_errors_likelihoods_and_concordance_equal_r",
    },
    "cox_predict": {
        "pred_rossi_efron": f"{COX}::"
        "test_the_efron_baseline_of_r_lies_between_the_breslow_baseline_and_3_percent",
        "pred_rossi_breslow": f"{PH}::test_baseline_and_lookup_equal_r",
        "pred_mgus2_lefttrunc": f"{PH}::"
        "test_a_baseline_with_delayed_entry_equals_r_and_without_it_does_not",
    },
    "cox_residuals": {
        ".*": f"{COX}::test_linear_predictor_and_influence_equal_r_under_heavy_ties"
    },
    "cox_schoenfeld": {".*": f"{COX}::test_schoenfeld_residuals_equal_r"},
    "cox_zph": {
        "zph_[a-z0-9]+_(km|rank|identity|log)": f"{PH}::"
        "test_the_score_test_equals_r_under_heavy_ties",
        ".*_classic_(identity|log)": f"{COX}::"
        "test_lifelines_makes_the_old_test_of_proportional_hazards_and_not_the_score_test",
        ".*_classic_(km|rank)": f"{COX}::"
        "test_the_old_test_and_the_score_test_of_r_differ_enough_to_matter",
    },
    "evalue": {".*": "statistics/test_e_value.py::test_ratios_and_limits_agree_with_r"},
    "firth": {
        ".*": "statistics/test_firth.py::"
        "test_coefficients_and_profile_limits_equal_r_although_the_groups_are_separated"
    },
    "gee": {".*": f"{REGRESSION}::test_estimating_equations_equal_r"},
    "glm_coef": {
        "(cloglog|logit)_vet": f"{REGRESSION}::"
        "test_grouped_time_regressions_with_both_links_equal_r",
        "logit_bact_(model|HC0|CR0|CR1)": f"{REGRESSION}::"
        "test_each_kind_of_error_of_a_logistic_model_equals_r",
        "logit_bact_CR0_G": f"{REGRESSION}::"
        "test_our_factor_for_few_clusters_is_the_named_one_and_not_the_smaller",
        "logit_pima": f"{REGRESSION}::test_a_logistic_model_and_its_inflation_factors_equal_r",
        "(pois|qpois|nb)_quine": f"{REGRESSION}::"
        "test_counts_equal_r_with_and_without_overdispersion",
        "sim_cloglog": f"{HAZARD}::test_the_cloglog_fit_equals_r_on_simulated_account_cycles",
    },
    "glm_fit": {
        "cloglog_vet": f"{REGRESSION}::test_grouped_time_regressions_with_both_links_equal_r",
        "logit_pima": f"{REGRESSION}::test_a_logistic_model_and_its_inflation_factors_equal_r",
        "pois_quine": f"{REGRESSION}::test_counts_equal_r_with_and_without_overdispersion",
        "sim_cloglog": f"{REGRESSION}::"
        "test_the_fast_fit_and_the_slow_one_have_the_likelihood_of_r_on_many_rows",
    },
    "gray_test": {".*": "statistics/test_gray.py::test_the_statistic_of_each_cause_agrees_with_r"},
    "hosmer_lemeshow": {
        ".*": f"{REGRESSION}::test_the_bands_of_a_calibration_hold_the_counts_of_r"
    },
    "immortal_time": {
        "immortal_naive": f"{COX}::"
        "test_ever_transplanted_as_if_known_at_the_start_is_as_wrong_as_in_r",
        "immortal_tv": "analysis/test_time_to_value.py::"
        "test_the_time_varying_hazard_ratio_agrees_with_r",
        "immortal_landmark(30|60)": "analysis/test_time_to_value.py::"
        "test_the_landmark_hazard_ratio_agrees_with_r",
    },
    "km": {
        "km_(lung_all|lung_sex|veteran_cell|rossi_fin|larynx_stage)": f"{LIFE}::"
        "test_curves_limits_and_risk_sets_equal_r",
        "km_lung_sex_(log|plain)": f"{LIFE}::"
        "test_the_standard_error_behind_the_limits_gives_rs_other_limits_too",
        "km_mgus2_lefttrunc_age": f"{LIFE}::test_left_truncation_on_the_age_scale_equals_r",
        "sim_km(_wrong)?": f"{LIFE}::"
        "test_ignoring_delayed_entry_gives_another_and_too_rosy_curve",
    },
    "km_quantiles": {
        ".*": f"{LIFE}::test_quantiles_and_their_limits_equal_r_and_open_ones_stay_open"
    },
    "ledger": {
        ".*": "stages/test_ledger.py::"
        "test_three_months_of_movements_equal_the_ledger_computed_in_r"
    },
    "ledger_ratio_se": {
        ".*": "statistics/test_ratios.py::test_ratio_and_error_equal_r_on_the_reference_ledger"
    },
    "logrank": {
        "lr_(lung_sex|vet_cell|vet_trt_strat_cell|lung_sex_strat_ecog|rossi_fin|larynx_stage)": (
            f"{RANK}::test_plain_and_stratified_tests_equal_r"
        ),
        "lr_mgus2_lefttrunc": f"{RANK}::test_the_test_with_delayed_entry_equals_r",
        ".*_(rho1|gehan|tarone|peto|fh01|fh11)": f"{RANK}::"
        "test_weighted_tests_of_the_libraries_equal_r",
    },
    "multiplicity": {".*": "statistics/test_multiplicity.py::test_q_values_equal_r"},
    "nb_theta": {".*": f"{REGRESSION}::test_counts_equal_r_with_and_without_overdispersion"},
    "nelson_aalen": {
        ".*": f"{LIFE}::test_counts_at_risk_give_rs_cumulative_hazard_and_error"
    },
    "payback": {".*": "statistics/test_lifetime_value.py::test_the_day_a_cost_is_repaid_equals_r"},
    "poisson_binomial": {
        ".*": "statistics/test_poisson_binomial.py::"
        "test_the_distribution_of_sixty_unequal_chances_equals_r"
    },
    "proportions": {".*": "statistics/test_proportions.py::test_wilson_limits_equal_r"},
    "rmst_diff": {
        ".*": "statistics/test_restricted_mean.py::test_the_difference_of_two_groups_equals_r"
    },
    "rmst_ltv": {".*": "statistics/test_restricted_mean.py::test_value_error_and_limits_equal_r"},
    "survival_calibration": {
        ".*": f"{PREDICTION}::test_predicted_and_observed_risk_by_fifth_of_the_prediction_equal_r"
    },
    "survival_validation": {
        ".*": f"{PREDICTION}::"
        "test_brier_scores_areas_and_concordance_at_four_horizons_equal_r"
    },
    "two_proportions": {".*": "statistics/test_proportions.py::test_newcombe_limits_equal_r"},
    "vif": {".*": f"{REGRESSION}::test_a_logistic_model_and_its_inflation_factors_equal_r"},
}  # fmt: skip
INTERVENTIONS = "weights and propensities belong to what our actions changed, not built yet"
HEALTH = "a score's use belongs to who is next, not built yet"
NOT_THESE_CHAPTERS = {
    ("aipw", ".*"): INTERVENTIONS,
    ("balance", ".*"): INTERVENTIONS,
    ("did", ".*"): INTERVENTIONS,
    ("ess", ".*"): INTERVENTIONS,
    ("glm_coef", "ps_lalonde"): INTERVENTIONS,
    ("weighted_cox", ".*"): INTERVENTIONS,
    ("weighted_km", ".*"): INTERVENTIONS,
    ("decision_curve", ".*"): HEALTH,
    ("lift", ".*"): HEALTH,
    ("psi", ".*"): HEALTH,
    ("multistate", ".*"): "states belong to the journey, not built yet",
    ("multistate_sojourn", ".*"): "states belong to the journey, not built yet",
    ("fine_gray", ".*"): "no chapter models subdistribution hazards: cause-specific ones instead",
    ("cox_(coef|fit)", "cox_rossi_exact"): "exact ties: the grouped-time model takes their place",
    ("logrank", ".*_modpeto"): "no chapter and no library weights a test so",
}
NOT_DATA = {"expressions", "python_agreement"}


def all_cases() -> set[tuple[str, str]]:
    found = set()
    for path in SHARED.glob("*.csv"):
        if path.stem not in NOT_DATA:
            found |= {(path.stem, case) for case in pd.read_csv(path)["case_id"].unique()}
    return found


def holder(table: str, case: str) -> str | None:
    held = HELD.get(table, {})
    return next((test for pattern, test in held.items() if re.fullmatch(pattern, case)), None)


def reason(table: str, case: str) -> str | None:
    for (tables, pattern), why in NOT_THESE_CHAPTERS.items():
        if re.fullmatch(tables, table) and re.fullmatch(pattern, case):
            return why
    return None


@needs_reference
def test_every_case_of_the_reference_is_held_by_a_test_or_says_why_not():
    homeless = [
        (table, case)
        for table, case in sorted(all_cases())
        if not holder(table, case) and not reason(table, case)
    ]
    assert homeless == []


@needs_reference
def test_as_many_cases_are_held_as_were_counted():
    cases = all_cases()
    held = {pair for pair in cases if holder(*pair)}
    left_out = {pair for pair in cases if reason(*pair)}
    assert not held & left_out
    assert (len(cases), len(held), len(left_out)) == (170, 151, 19)


HOLDERS = sorted({test for tests in HELD.values() for test in tests.values()})


@pytest.mark.parametrize("place", HOLDERS)
def test_the_test_that_holds_a_case_is_there(place):
    file, _, name = place.partition("::")
    assert file.split("/")[0] in ROOMS
    assert f"def {name}(" in (TESTS / file).read_text(encoding="utf-8")
