import numpy as np
import pytest
from lifelines.statistics import multivariate_logrank_test
from statsmodels.duration.survfunc import survdiff

from pipeline.statistics.log_rank import log_rank
from tests.statistics.oracle import cases, late_answers, late_subjects, needs_reference, subjects


def test_two_groups_of_two_give_the_statistic_done_by_hand():
    # At 1: a leaves, 2 of 4 at risk are a: O−E = 1/2, V = 1/4. At 2: b leaves, 1 of 3 is a: −1/3,
    # V = 2/9. At 3: a leaves, 1 of 2: +1/2, V = 1/4. Together (2/3)² / (13/18).
    found = log_rank([1, 3, 2, 4], [1, 1, 1, 0], ["a", "a", "b", "b"])
    np.testing.assert_allclose(found.statistic, (2 / 3) ** 2 / (13 / 18))
    assert found.df == 1


@needs_reference
@pytest.mark.parametrize(
    ("case_id", "data", "time", "event", "group", "stratum"),
    [
        ("lr_lung_sex", "lung", "time", "dead", "sex", None),
        ("lr_vet_cell", "veteran", "time", "status", "celltype", None),
        ("lr_vet_trt_strat_cell", "veteran", "time", "status", "trt", "celltype"),
        ("lr_lung_sex_strat_ecog", "lung_complete_case", "time", "dead", "sex", "ph.ecog"),
        ("lr_rossi_fin", "rossi", "week", "arrest", "fin", None),
        ("lr_larynx_stage", "larynx", "time", "delta", "stage", None),
    ],
)
def test_plain_and_stratified_tests_equal_r(case_id, data, time, event, group, stratum):
    people, expected = subjects(data), cases("logrank", case_id).iloc[0]
    strata = None if stratum is None else people[stratum]
    found = log_rank(people[time], people[event], people[group], strata=strata)
    np.testing.assert_allclose(found.statistic, expected["chisq"], rtol=1e-8)
    np.testing.assert_allclose(found.p_value, expected["p"], rtol=1e-8)
    assert found.df == expected["df"]


WEIGHTED = {
    "lr_lung_sex_rho1": (None, {"weightings": "fleming-harrington", "p": 1, "q": 0}),
    "lr_lung_sex_gehan": ("gb", {"weightings": "wilcoxon"}),
    "lr_lung_sex_tarone": ("tw", {"weightings": "tarone-ware"}),
    "lr_lung_sex_peto": (None, {"weightings": "peto"}),
    "lr_lung_sex_fh01": (None, {"weightings": "fleming-harrington", "p": 0, "q": 1}),
    "lr_lung_sex_fh11": (None, {"weightings": "fleming-harrington", "p": 1, "q": 1}),
    "lr_vet_cell_gehan": ("gb", {"weightings": "wilcoxon"}),
    "lr_vet_cell_tarone": ("tw", {"weightings": "tarone-ware"}),
    "lr_vet_cell_peto": (None, {"weightings": "peto"}),
    "lr_rossi_fin_gehan": ("gb", {"weightings": "wilcoxon"}),
}
"""No chapter weights its tests; who wants a weight finds it in these libraries, as R has it."""


@needs_reference
@pytest.mark.parametrize("case_id", list(WEIGHTED))
def test_weighted_tests_of_the_libraries_equal_r(case_id):
    data, time, event, group = {
        "lung": ("lung", "time", "dead", "sex"),
        "vet": ("veteran", "time", "status", "celltype"),
        "rossi": ("rossi", "week", "arrest", "fin"),
    }[case_id.split("_")[1]]
    people, expected = subjects(data), cases("logrank", case_id).iloc[0]
    letters, options = WEIGHTED[case_id]
    found = multivariate_logrank_test(people[time], people[group], people[event], **options)
    assert found.test_statistic == pytest.approx(expected["chisq"], rel=1e-8)
    if letters:
        statistic, _ = survdiff(people[time], people[event], people[group], weight_type=letters)
        assert statistic == pytest.approx(expected["chisq"], rel=1e-8)


@needs_reference
def test_the_test_with_delayed_entry_equals_r():
    people = subjects("mgus2")
    people = people[people["age_out"] > people["age_in"]]
    expected = cases("logrank", "lr_mgus2_lefttrunc").iloc[0]
    found = log_rank(people["age_out"], people["death"], people["sex"], people["age_in"])
    np.testing.assert_allclose(found.statistic, expected["chisq"], rtol=1e-8)


@pytest.mark.parametrize("term", ["plain", "strata"])
def test_delayed_entry_with_and_without_strata_equals_r(term):
    late = late_subjects()
    expected = late_answers("log_rank").set_index("term").loc[term, "value"]
    found = log_rank(
        late["exit_untied"],
        late["cause"] > 0,
        late["group"],
        late["entry_untied"],
        late["stratum"] if term == "strata" else None,
    )
    np.testing.assert_allclose(found.statistic, expected, rtol=1e-8)


def test_under_ties_statsmodels_agrees_where_it_answers():
    late = late_subjects()
    event, strata = (late["cause"] > 0).astype(int), late["stratum"]
    plain, _ = survdiff(late["exit"], event, late["group"])
    layered, _ = survdiff(late["exit"], event, late["group"], strata=strata)
    ours = log_rank(late["exit"], event, late["group"])
    np.testing.assert_allclose(ours.statistic, plain, rtol=1e-10)
    ours = log_rank(late["exit"], event, late["group"], strata=strata)
    np.testing.assert_allclose(ours.statistic, layered, rtol=1e-10)


@pytest.mark.parametrize(
    ("events", "groups", "entry", "reason"),
    [
        ([1, 1, 1], ["a", "a", "a"], None, "1 group: a comparison needs two"),
        ([0, 0, 0], ["a", "b", "b"], None, "no events"),
        (
            [1, 0, 1],
            ["a", "b", "a"],
            [0, 1.5, 0],
            "only one group was at risk when events happened",
        ),
    ],
)
def test_a_test_that_cannot_be_made_says_why(events, groups, entry, reason):
    found = log_rank([1, 2, 1.2], events, groups, entry)
    assert np.isnan(found.p_value)
    assert found.reason == reason


def test_without_a_difference_one_test_in_twenty_finds_one():
    random = np.random.default_rng(17)
    found = [
        log_rank(
            random.integers(1, 30, 150), random.integers(0, 2, 150), random.integers(0, 3, 150)
        )
        for _ in range(400)
    ]
    assert 0.03 <= np.mean([test.p_value < 0.05 for test in found]) <= 0.08
