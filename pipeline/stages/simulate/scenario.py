"""Which world is the sample company drawn from?

Tables read: none. Tables made: none. A scenario is one frozen block of parameters; the named ones
stand in ``SCENARIOS``. The subtle point: every effect is a log hazard ratio on the complementary
log-log scale per calendar month, so a grouped-hazard regression of the simulated months finds
these very numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

SEGMENTS = ("smb", "mid", "enterprise")
TOUCH_MODELS = ("tech", "low", "high")
CAUSES = ("voluntary", "involuntary", "completed", "administrative")

# Monthly baseline hazard: the last completed month since the first paid day of each band, rate.
BASELINE_BANDS = ((2, 0.060), (5, 0.048), (11, 0.038), (23, 0.030), (10_000, 0.024))


@dataclass(frozen=True)
class Effects:
    """True log hazard ratios of the monthly lapse hazard."""

    value: float = -0.693
    usage: float = -0.35
    ticket: float = 0.12
    play: float = -0.288
    mid: float = -0.55
    enterprise: float = -1.10
    low: float = -0.15
    high: float = -0.35
    champion_left: float = 0.0
    critical_ticket: float = 0.0
    price_rise: float = 0.0
    season: float = 0.0
    satisfaction: float = 0.0


NO_EFFECTS = Effects(*([0.0] * 13))
NO_HAZARD = -30.0
"""A log hazard ratio with which nobody ever leaves."""


@dataclass(frozen=True)
class Scenario:
    """One set of parameters; the defaults are the core world, without extension or nuisance."""

    name: str
    effects: Effects = field(default_factory=Effects)
    baseline_bands: tuple[tuple[int, float], ...] = BASELINE_BANDS
    frailty_variance: float = 0.0
    csm_effect_sd: float = 0.0
    n_csms: int = 24
    month_shock_sd: float = 0.0  # of the log hazard that all accounts share in a month
    involuntary_hazard: float = 0.0
    administrative_hazard: float = 0.0
    # contracts
    annual_share: tuple[float, float, float] = (0.0, 0.0, 0.0)
    quarter_share: float = 0.0
    renewal_hazard: float = 0.22
    within_term_factor: float = 0.15
    programme_share: float = 0.0
    trial_share: float = 0.0
    never_paid_share: float = 0.0
    # money
    mrr_median: tuple[float, float, float] = (250.0, 1_800.0, 9_000.0)
    mrr_sigma: tuple[float, float, float] = (0.7, 0.6, 0.7)
    expansion_rate: float = 0.0
    contraction_rate: float = 0.0
    renewal_uplift: float = 0.0
    price_rise: float = 0.0
    addon_share: float = 0.0
    # time to value
    never_value_share: tuple[float, float, float] = (0.25, 0.15, 0.10)
    value_rate_per_day: float = 0.022
    value_log_rates: tuple[float, float, float, float, float] = (-0.25, -0.70, 0.20, 0.45, 0.40)
    value_trend_per_quarter: float = 0.0
    # movements of people
    champion_leaves: float = 0.0
    touch_change_share: float = 0.0
    csm_change_share: float = 0.0
    # nuisances
    reactivation_share: float = 0.0
    notice_share: float = 0.0
    unknown_end_share: float = 0.0
    missing_reason_share: float = 0.0
    late_share: float = 0.0
    very_late_share: float = 0.0
    duplicate_share: float = 0.0
    has_outage: bool = False
    has_bad_rows: bool = False


CORE = Scenario("core")

SAMPLE = Scenario(
    "sample",
    effects=Effects(
        champion_left=0.60,
        critical_ticket=0.40,
        price_rise=0.30,
        season=0.15,
        satisfaction=-0.20,
    ),
    csm_effect_sd=0.35,
    involuntary_hazard=0.003,
    administrative_hazard=0.0004,
    annual_share=(0.12, 0.35, 0.60),
    quarter_share=0.08,
    programme_share=0.03,
    trial_share=0.30,
    never_paid_share=0.03,
    expansion_rate=0.040,
    contraction_rate=0.010,
    renewal_uplift=0.03,
    price_rise=0.06,
    addon_share=0.10,
    value_rate_per_day=0.016,
    value_trend_per_quarter=0.04,
    champion_leaves=0.015,
    touch_change_share=0.08,
    csm_change_share=0.25,
    reactivation_share=0.12,
    notice_share=0.85,
    unknown_end_share=0.10,
    missing_reason_share=0.20,
    late_share=0.05,
    very_late_share=0.005,
    duplicate_share=0.002,
    has_outage=True,
    has_bad_rows=True,
)

CLOSED_FORM = Scenario(
    "closed_form",
    effects=NO_EFFECTS,
    baseline_bands=((10_000, 0.03),),
    mrr_median=(1_000.0, 1_000.0, 1_000.0),
    mrr_sigma=(0.5, 0.5, 0.5),
    never_value_share=(0.0, 0.0, 0.0),
    value_log_rates=(0.0, 0.0, 0.0, 0.0, 0.0),
)

SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        SAMPLE,
        CORE,
        CLOSED_FORM,
        replace(CORE, name="null_all", effects=NO_EFFECTS),
        replace(CORE, name="null_value", effects=replace(CORE.effects, value=0.0)),
        replace(CORE, name="null_play", effects=replace(CORE.effects, play=0.0)),
        replace(CORE, name="frailty_half", frailty_variance=0.5),
        replace(CORE, name="csm_effect", csm_effect_sd=0.35, n_csms=40),
        replace(CORE, name="shock", month_shock_sd=0.2),
        replace(CORE, name="no_lapse", effects=replace(CORE.effects, enterprise=NO_HAZARD)),
    )
}


def scenario_named(name: str) -> Scenario:
    """Return the scenario of this name; an unknown one is an error that lists what exists."""
    if name not in SCENARIOS:
        raise ValueError(
            f"simulate.scenario is {name!r}, which is none of {', '.join(sorted(SCENARIOS))}. "
            "Choose one of these in params.yaml."
        )
    return SCENARIOS[name]
