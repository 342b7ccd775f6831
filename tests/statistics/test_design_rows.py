import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from statsmodels.genmod.families import Binomial

from pipeline.statistics import cloglog, design_rows, grouped_hazard

N_ACCOUNTS, N_MONTHS = 12_000, 8  # more rows than one block
LINKS = ["cloglog", "logit"]


@pytest.fixture(scope="module")
def months() -> tuple[np.ndarray, pd.DataFrame, pd.Series]:
    """Events, a design of flags and numbers, and the account: rows in the order of months."""
    draws = np.random.default_rng(20261123)
    accounts = pd.Series(np.tile(np.arange(N_ACCOUNTS), N_MONTHS).astype(str))
    band = np.repeat(np.arange(N_MONTHS), N_ACCOUNTS)
    columns: dict[str, np.ndarray] = {
        f"band{at}": (band == at).astype(np.int8) for at in range(N_MONTHS)
    }
    columns["flag"] = draws.random(len(band)) < 0.3
    columns["days"] = draws.poisson(6, len(band)) / 4.0
    columns["money"] = draws.normal(size=len(band))
    eta = -3 + 0.4 * columns["flag"] - 0.3 * columns["days"] + 0.2 * columns["money"]
    events = (draws.random(len(band)) < -np.expm1(-np.exp(eta))).astype(float)
    return events, pd.DataFrame(columns), accounts


@pytest.fixture(scope="module", params=["crossed", "blocks"])
def both_forms(request, months) -> tuple[design_rows.DesignRows, np.ndarray]:
    """The rows in one of the two forms, and the dense design that they stand for."""
    design = months[1]
    given = design if request.param == "crossed" else design.astype(float)
    return design_rows.rows_of(given), design.to_numpy(dtype=float)


def test_rows_of_either_form_give_the_plain_products(both_forms):
    rows, dense = both_forms
    draws = np.random.default_rng(5)
    values, params = draws.normal(size=len(dense)), draws.normal(size=dense.shape[1])
    np.testing.assert_allclose(rows.linear(params), dense @ params, atol=1e-12)
    np.testing.assert_allclose(rows.pull(values), dense.T @ values, rtol=1e-9, atol=1e-9)
    weighted = dense.T @ (dense * values[:, None])
    np.testing.assert_allclose(rows.information(values), weighted, rtol=1e-9, atol=1e-9)


def test_sums_by_group_span_blocks_and_keep_groups_without_rows_at_0(both_forms):
    rows, dense = both_forms
    draws = np.random.default_rng(6)
    values, codes = draws.normal(size=len(dense)), draws.integers(0, 70_000, len(dense))
    expected = np.zeros((70_001, dense.shape[1]))
    np.add.at(expected, codes, dense * values[:, None])
    np.testing.assert_allclose(rows.group_sums(values, codes, 70_001), expected, atol=1e-11)


def test_whole_numbers_that_are_no_flags_are_not_taken_for_flags(months):
    design = months[1].assign(flag=np.int8(3))
    rows, dense = design_rows.rows_of(design), design.to_numpy(dtype=float)
    ones = np.ones(len(dense))
    np.testing.assert_allclose(rows.pull(ones), dense.sum(axis=0), rtol=1e-12)


def test_flags_that_are_rarely_1_together_are_not_taken_for_levels_of_one_factor():
    flags = np.zeros((10_000, 2), dtype=np.int8)
    flags[:4_001, 0], flags[4_000:, 1] = 1, 1  # once together, in a row that a glance leaves out
    rows = design_rows.rows_of(pd.DataFrame(flags, columns=["one", "other"]))
    expected = flags.T.astype(float) @ flags
    np.testing.assert_array_equal(rows.information(np.ones(10_000)), expected)


def test_more_cells_than_a_crossing_holds_are_several_crossings(monkeypatch, months):
    monkeypatch.setattr(design_rows.flags, "MOST_CELLS", 4)
    design = months[1].head(5_000).drop(columns=["days", "money"])
    rows, dense = design_rows.rows_of(design), design.to_numpy(dtype=float)
    weights = np.random.default_rng(7).normal(size=len(dense))
    weighted = dense.T @ (dense * weights[:, None])
    np.testing.assert_allclose(rows.information(weights), weighted, atol=1e-9)
    np.testing.assert_allclose(rows.pull(weights), dense.T @ weights, atol=1e-9)


@pytest.mark.parametrize("link", LINKS)
def test_crossed_fits_equal_statsmodels_in_coefficients_and_both_covariances(months, link):
    events, design, accounts = months
    slow = sm.GLM(events, design.astype(float), Binomial(grouped_hazard.LINKS[link]()))
    plain = slow.fit(tol=1e-12, tol_criterion="params")
    robust = slow.fit(
        plain.params, tol=1e-12, tol_criterion="params", cov_type="cluster",
        cov_kwds={"groups": pd.factorize(accounts)[0]},
    )  # fmt: skip
    for ours, theirs in (
        (grouped_hazard.fit(events, design, None, link=link), plain),
        (grouped_hazard.fit(events, design, accounts, link=link), robust),
    ):
        np.testing.assert_allclose(ours.params, theirs.params, rtol=1e-8)
        np.testing.assert_allclose(ours.cov, theirs.cov_params(), rtol=1e-7, atol=1e-11)
        assert ours.log_likelihood == pytest.approx(plain.llf, rel=1e-10)
        assert ours.converged


def test_a_fit_that_begins_from_every_so_many_th_row_ends_where_the_others_do(months, monkeypatch):
    events, design, _ = months
    whole = grouped_hazard.fit(events, design, None)
    monkeypatch.setattr(cloglog, "PILOT_ROWS", 20_000)
    begun = grouped_hazard.fit(events, design, None)
    np.testing.assert_allclose(begun.params, whole.params, rtol=1e-9)


def test_quick_scoring_and_parts_of_groups_are_the_same_on_crossed_rows(months):
    events, design, accounts = months
    codes = pd.factorize(accounts)[0]
    found = [cloglog.scoring(events, given) for given in (design, design.to_numpy(dtype=float))]
    np.testing.assert_allclose(found[0].params, found[1].params, rtol=1e-8)
    parts = np.concatenate(list(cloglog.parts(events, design, found[0], codes, N_ACCOUNTS)))
    assert np.abs(parts.sum(axis=0)).max() < 1e-9
    quick = cloglog.clustered(events, design, found[0], accounts).cov
    slow = grouped_hazard.fit(events, design, accounts).cov
    np.testing.assert_allclose(quick, slow, rtol=1e-7, atol=1e-11)


def test_a_quadratic_form_is_that_of_each_row(both_forms):
    rows, dense = both_forms
    root = np.random.default_rng(8).normal(size=(dense.shape[1], dense.shape[1]))
    matrix = root @ root.T
    expected = ((dense @ matrix) * dense).sum(axis=1)
    np.testing.assert_allclose(rows.quadratic(matrix), expected, rtol=1e-9, atol=1e-9)
