"""Clone, censor, weight: worlds whose 12-month survival under each arm is known."""

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad

from pipeline.analysis.time_to_value import (
    clone_censor,
    clone_censor_weight,
    landmark_model,
    time_varying_model,
)
from tests.analysis.starters import world_of

SEED = 20261123
RATES = {"keen": (0.03, 0.0008), "cool": (0.01, 0.003)}
"""Rate a day of value and of leaving: the keen get there sooner, and stay anyway."""


def confounded(n: int, ratio: float, seed: int = SEED) -> pd.DataFrame:
    draws = np.random.default_rng(seed)
    mood = draws.choice(list(RATES), n)
    value, leaving = np.array([RATES[each] for each in mood]).T
    return world_of(value, leaving, ratio, draws).assign(mood=mood)


def staying(value: float, leaving: float, ratio: float, days: int) -> float:
    """Share still there after some days, value at its own rate, hazard times ratio from then on."""
    no_value = np.exp(-(value + leaving) * days)

    def came(day: float) -> float:
        return value * np.exp(-(value + leaving) * day - leaving * ratio * (days - day))

    return no_value + quad(came, 0, days)[0]


def truth(ratio: float) -> float:
    """Everybody has value after day 30 less nobody before it, averaged over the moods."""
    gains = [
        staying(value, leaving, ratio, 30) * np.exp(-leaving * ratio * 336)
        - np.exp(-leaving * 30) * staying(value, leaving, ratio, 336)
        for value, leaving in RATES.values()
    ]
    return float(np.mean(gains))


def test_where_value_changes_nothing_the_trial_says_so_and_the_unadjusted_landmark_does_not():
    rows = confounded(3_000, 1.0)
    found = clone_censor_weight(rows, ["mood"], 0.95, SEED)
    assert truth(1.0) == pytest.approx(0.0, abs=1e-12)
    assert found["ci_low"] < 0 < found["ci_high"]
    assert landmark_model(rows, 30, [], 0.95).ci_high < 1
    assert clone_censor_weight(rows, [], 0.95, SEED)["ci_low"] > 0


def test_a_true_effect_is_found():
    found = clone_censor_weight(confounded(6_000, 0.5), ["mood"], 0.95, SEED)
    assert found["estimate"] == pytest.approx(truth(0.5), abs=0.025)
    assert found["ci_low"] < truth(0.5) < found["ci_high"]
    assert found["ci_low"] > 0
    assert found["is_valid"]


def test_over_many_worlds_it_is_unbiased():
    estimates = [
        clone_censor_weight(confounded(1_000, 0.5, SEED + world), ["mood"], 0.95, 1)["estimate"]
        for world in range(8)
    ]
    error = np.std(estimates, ddof=1) / np.sqrt(len(estimates))
    assert abs(np.mean(estimates) - truth(0.5)) < 3 * error


def test_the_same_seed_gives_the_same_interval_and_order_does_not_matter_to_the_estimate():
    rows = confounded(800, 1.0)
    first, again = (clone_censor_weight(rows, ["mood"], 0.95, SEED) for _ in range(2))
    assert first == again
    turned = clone_censor_weight(rows[::-1], ["mood"], 0.95, SEED)
    assert turned["estimate"] == pytest.approx(first["estimate"], abs=1e-12)


def test_who_left_early_without_value_counts_in_both_arms():
    """60 leave on day 20 without value, 60 have value on day 10, 60 never: all else is even."""
    rows = pd.DataFrame(
        {
            "account_id": [str(place) for place in range(180)],
            "end_day": [20] * 60 + [400] * 120,
            "value_day": [np.nan] * 60 + [10.0] * 60 + [np.nan] * 60,
            "is_lost": [True] * 60 + [False] * 120,
        }
    )
    found = clone_censor_weight(rows, [], 0.95, SEED)
    # All 180 are at risk on day 20 of the first arm; of the second, those with value are censored.
    assert found["estimate"] == pytest.approx((1 - 60 / 180) - (1 - 60 / 120))


def test_fewer_than_ten_followed_in_an_arm_give_no_number():
    rows = confounded(60, 1.0).assign(value_day=np.nan)
    found = clone_censor_weight(rows, ["mood"], 0.95, SEED)
    assert np.isnan(found["estimate"])
    assert found["note"].startswith("followed 12 months: 0 with value")


def test_counted_by_kind_the_trial_gives_the_same_estimate_and_as_wide_an_interval(monkeypatch):
    rows = confounded(6_000, 0.5)
    one_by_one = clone_censor_weight(rows, ["mood"], 0.95, SEED)
    monkeypatch.setattr(clone_censor, "MANY", 1_000)
    counted = clone_censor_weight(rows, ["mood"], 0.95, SEED)
    assert counted["estimate"] == pytest.approx(one_by_one["estimate"], rel=1e-10)
    assert (counted["n"], counted["n_events"]) == (one_by_one["n"], one_by_one["n_events"])
    widths = [found["ci_high"] - found["ci_low"] for found in (counted, one_by_one)]
    assert widths[0] == pytest.approx(widths[1], rel=0.2)  # 200 draws each


def test_the_model_of_leaving_equals_that_of_lifelines():
    found = time_varying_model(confounded(6_000, 0.5), ["mood"], 0.95)
    theirs = found.fitted.summary.loc["has_value"]
    numbers = ["exp(coef)", "exp(coef) lower 95%", "exp(coef) upper 95%", "p"]
    ours = [found.hazard_ratio, found.ci_low, found.ci_high, found.p_value]
    assert ours == pytest.approx(theirs[numbers].tolist(), rel=1e-8)
