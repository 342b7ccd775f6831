"""What is fitted on kinds of account-months is what is fitted on the account-months."""

import sys

import numpy as np
import pandas as pd
import pytest

from pipeline.analysis import drivers
from pipeline.analysis.drivers import kinds as counting
from pipeline.analysis.drivers.kinds import counted
from pipeline.analysis.drivers.months import Months

origins_code, forecast_code, validation_code = (
    sys.modules[f"pipeline.analysis.drivers.{name}"]
    for name in ("origins", "forecast", "validation")
)
NAMES = ["usage", "is_flag", "band", "mrr"]
N_ACCOUNTS, N_MONTHS = 1_500, 12


def company(seed: int = 20261122) -> pd.DataFrame:
    """Account-months with few kinds, from drivers that go with leaving; some managers unknown."""
    draws = np.random.default_rng(seed)
    kind = np.arange(N_ACCOUNTS) % 6
    steady = {
        "band": np.array(["a", "b", "c", None], dtype=object)[draws.integers(0, 4, N_ACCOUNTS)],
        "mrr": np.array([50.0, 100.0, 400.0])[kind % 3],
        "csm_id": np.array([*(f"m{place}" for place in range(5)), None], dtype=object)[kind],
    }
    account, month = (
        np.repeat(np.arange(N_ACCOUNTS), N_MONTHS),
        np.tile(np.arange(N_MONTHS), N_ACCOUNTS),
    )
    usage, flag = draws.integers(0, 5, len(account)), draws.random(len(account)) < 0.4
    risk = 0.05 * np.exp(-0.3 * usage + 0.7 * flag)
    rows = pd.DataFrame({
        "period": [f"2025-{place + 1:02d}" for place in month],
        "account_id": [f"A{place}" for place in account], "tenure_months": month,
        "usage": usage, "is_flag": flag, **{name: own[account] for name, own in steady.items()},
        "is_churn": draws.random(len(account)) < risk,
    })  # fmt: skip
    return rows.sort_values(["period", "account_id"], ignore_index=True)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return company()


@pytest.fixture
def counts_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are counted by kind however few they are."""
    monkeypatch.setattr(counting, "BLOCK", 0)


def test_kinds_keep_every_month_churn_and_account(rows, counts_all):
    found = counted(rows, NAMES)
    assert found.n is not None
    assert len(found.rows) * 2 < len(rows)
    assert (found.n_months, found.n_events) == (len(rows), int(rows["is_churn"].sum()))
    mask = found.rows["band"].eq("b").to_numpy()
    assert found.n_accounts(mask) == rows.loc[rows["band"] == "b", "account_id"].nunique()


@pytest.mark.parametrize("most_pairs", [counting.MOST_PAIRS, 0])
def test_a_model_on_kinds_is_the_model_on_account_months(rows, monkeypatch, most_pairs):
    plain = drivers.fit(rows, NAMES, 5.0)
    monkeypatch.setattr(counting, "BLOCK", 0)
    monkeypatch.setattr(counting, "MOST_PAIRS", most_pairs)
    model = drivers.fit(rows, NAMES, 5.0)
    assert model.months.n is not None
    assert (model.months.pairs is None) == (most_pairs == 0)
    assert model.recipe.features == plain.recipe.features
    assert model.fitted.params.to_numpy() == pytest.approx(plain.fitted.params.to_numpy(), rel=1e-9)
    assert model.fitted.cov.to_numpy() == pytest.approx(
        plain.fitted.cov.to_numpy(), rel=1e-8, abs=1e-14
    )
    assert (model.fitted.n, model.fitted.n_groups) == (plain.fitted.n, plain.fitted.n_groups)
    assert model.fitted.log_likelihood == pytest.approx(plain.fitted.log_likelihood, rel=1e-12)


def test_all_tables_of_the_model_follow_from_kinds(rows, monkeypatch):
    tables = []
    for block in (counting.BLOCK, 0):
        monkeypatch.setattr(counting, "BLOCK", block)
        model = drivers.fit(rows, NAMES, 5.0)
        effects = drivers.effects(model, pd.Series(dtype=float), 0.95, 0.1)
        tables.append([effects, drivers.functional_form(model), drivers.vif(model, 5.0),
                       drivers.moved(model, 0.95, 0.1)])  # fmt: skip
    for plain, found in zip(*tables, strict=True):
        pd.testing.assert_frame_equal(found, plain, rtol=1e-6, atol=1e-10)
    assert len(tables[0][0]) > 5


def test_errors_by_manager_follow_from_kinds_with_and_without_a_manager(rows, monkeypatch):
    plain = drivers.fit(rows, NAMES, 5.0)
    monkeypatch.setattr(counting, "BLOCK", 0)
    model = drivers.fit(rows, NAMES, 5.0)
    covs = []
    for own in (plain, model):
        kept = own.months.scored(own.design)
        covs.append(own.months.clustered_by(own.design, kept, "csm_id").cov)
    assert model.months.n is not None
    assert covs[1] == pytest.approx(covs[0], rel=1e-6, abs=1e-12)


def test_origins_on_kinds_forecast_the_same_months_alike(rows, monkeypatch):
    plain = drivers.rolling_origins(rows, NAMES, 2.0, 4)
    monkeypatch.setattr(counting, "BLOCK", 0)
    found = drivers.rolling_origins(rows, NAMES, 2.0, 4)
    assert [one.period for one in found] == [one.period for one in plain]
    for one, other in zip(found, plain, strict=True):
        assert one.probability == pytest.approx(other.probability, rel=1e-8)
        assert one.coefficients.cov == pytest.approx(other.coefficients.cov, rel=1e-6, abs=1e-12)
        assert one.null_rate == other.null_rate


def test_rows_of_almost_as_many_kinds_stay_rows(rows, counts_all):
    alone = rows.assign(mrr=np.arange(len(rows)) + 1.0)
    assert counted(alone, NAMES).n is None


def test_an_account_with_two_movements_in_a_month_is_refused(rows):
    ledger = rows[["period", "account_id"]].assign(movement="retained")
    twice = pd.concat([ledger, ledger.head(1)], ignore_index=True)
    with pytest.raises(ValueError, match="two movements in one month"):
        drivers.movements(rows, twice, NAMES, 5.0, 0.95)


def test_texts_by_number_lag_as_texts_do(rows):
    as_levels = rows.astype({"account_id": "category", "band": "category"})
    plain, found = (drivers.lagged(own, ["usage", "is_flag"], 2) for own in (rows, as_levels))
    assert (found["usage"].dropna().to_numpy() == plain["usage"].dropna().to_numpy()).all()
    shifted = rows.groupby("account_id")["usage"].shift(2)
    pd.testing.assert_series_equal(plain["usage"], shifted, check_dtype=False)
    assert (found["is_lag_known"] == plain["is_lag_known"]).all()
    assert isinstance(Months(rows).churned, np.ndarray)


@pytest.mark.parametrize("names", [NAMES, ["usage", "is_flag"]])
def test_older_features_by_kind_are_those_of_the_rows_read_earlier(rows, names):
    recorded = rows.assign(is_settled=rows["period"] < "2025-12", is_age_known=True)
    lagged = drivers.settled(drivers.lagged(recorded, names, 2))
    known = lagged[lagged["is_lag_known"].to_numpy(bool)]
    found = counting.counted_earlier(recorded, names, 2)
    keys = ["period", "tenure_months", "is_churn", *names]
    expected = known.groupby(keys, dropna=False).size()
    kinds = found.rows.assign(n=found.n).set_index(keys)["n"]
    assert len(expected) > 100
    assert kinds.sum() == len(known)
    pd.testing.assert_series_equal(
        kinds.sort_index(), expected.sort_index(), check_dtype=False, check_names=False,
        check_index_type=False,
    )  # fmt: skip


def test_many_accounts_forecast_by_kind_are_those_forecast_one_by_one(rows, monkeypatch):
    tables, sources = [], (origins_code, forecast_code)
    for source in sources:
        monkeypatch.setattr(source, "MANY", 1_000)
    for block in (counting.BLOCK, 0):
        monkeypatch.setattr(counting, "BLOCK", block)
        origins = drivers.rolling_origins(rows, NAMES, 2.0, 4)
        tables.append(drivers.back_test(origins, rows, 5, 4))
        assert (origins[-1].months.n is None) == (block > 0)
    told = ["period", "measure", "n", "expected", "observed", "shift", "mean_of_3_months"]
    pd.testing.assert_frame_equal(*(table[told] for table in tables), rtol=1e-8)
    drawn = ["chance_95_low", "ci_low", "ci_high", "shared_shock_80_low", "coefficients_95_high"]
    pd.testing.assert_frame_equal(*(table[drawn] for table in tables), rtol=0.05)


def test_months_kept_out_by_kind_are_held_against_as_rows_are(rows, monkeypatch):
    tables = []
    for block in (counting.BLOCK, 0):
        monkeypatch.setattr(counting, "BLOCK", block)
        for source in (origins_code, validation_code):
            monkeypatch.setattr(source, "MANY", 1_000)
        held = drivers.hold_out(rows, NAMES, 3, 2.0)
        signs = drivers.held_out_signs(drivers.fit(rows, NAMES, 5.0), held)
        calibration, validation = drivers.held_against(held, 0.95)
        worth = drivers.importance(held, 0.95)
        tables.append([calibration[["n", "predicted"]], validation, signs.to_frame(), worth])
        assert (held.months.n is None) == (block > 0)
    for plain, found in zip(*tables, strict=True):
        pd.testing.assert_frame_equal(found, plain, rtol=1e-8)


def test_the_mean_over_all_exchanges_is_where_drawn_ones_tend_to(rows, monkeypatch):
    held = drivers.hold_out(rows, NAMES, 3, 2.0)
    monkeypatch.setattr(validation_code, "EXCHANGES", 400)
    drawn = drivers.importance(held, 0.95, 3).set_index("driver")
    monkeypatch.setattr(validation_code, "MANY", 1_000)
    found = drivers.importance(held, 0.95).set_index("driver").loc[drawn.index]
    assert found["n_exchanges"].isna().all()
    assert found["loss"].to_numpy() == pytest.approx(drawn["loss"].to_numpy(), rel=0.05, abs=2e-5)
    width = drawn["ci_high"] - drawn["ci_low"]
    assert (found["ci_high"] - found["ci_low"]).to_numpy() == pytest.approx(width, rel=0.1)
    monkeypatch.setattr(validation_code, "MOST_VALUES", 2)  # usage has five
    few = drivers.importance(held, 0.95).set_index("driver")["loss"]
    assert few["usage"] == pytest.approx(found.loc["usage", "loss"], rel=0.3)


def test_an_exchange_falls_to_each_account_of_a_cell_alike():
    part, n = np.array([2.0, 1.0, 2.0, 5.0]), np.array([1.0, 3.0, 1.0, 5.0])
    values, shares = validation_code._values(part, n)
    assert (values.tolist(), shares.tolist()) == ([1.0, 2.0, 5.0], [0.3, 0.2, 0.5])
