"""Are only true drivers claimed in a company whose truth is written down?

The simulator's core world, drawn, read and cut like any company's data. Leaving depends there on
value, usage, tickets, plays, the segment and the touch model, and on nothing else. `make verify`
runs it.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from ruamel.yaml import YAML

from pipeline import settings as configuration
from pipeline.analysis import drivers
from pipeline.data import store
from pipeline.settings import Paths
from pipeline.stages import ingest, snapshot, usage
from pipeline.stages.simulate import simulate

pytestmark = pytest.mark.slow
PROJECT = Path(__file__).parents[2]
PERIOD = "2025-04"
WORLD = {"seed": 20261116, "scenario": "core", "accounts": 1500, "months": 18}
NULL = {"mrr", "nps_band", "acquisition_channel"}
"""Candidates that the core world's hazard does not hold, directly or through another."""
RAISES = {"tickets", "open_tickets"}


@pytest.fixture(scope="module")
def effects(tmp_path_factory) -> pd.DataFrame:
    root = tmp_path_factory.mktemp("core")
    yaml = YAML()
    params = yaml.load((PROJECT / "params.yaml").read_text(encoding="utf-8"))
    params.update({"company": "sample", "source": {}, "periods": [PERIOD]})
    params["simulate"].update(WORLD)
    with (root / "params.yaml").open("w", encoding="utf-8") as text:
        yaml.dump(params, text)
    settings = configuration.load(root)
    paths = Paths(root, settings.company)
    simulate(settings.simulate, paths.raw, settings.currency)
    for stage in (ingest, usage, snapshot):
        stage.run(settings, paths)
    account_months, accounts = (
        store.read_frame(paths.snapshot(PERIOD) / f"{table}.parquet")
        for table in ("account_months", "accounts")
    )
    own = settings.drivers
    settled = drivers.settled(drivers.driver_rows(account_months, accounts, own.candidates, set()))
    model = drivers.fit(settled, own.candidates, own.events_per_parameter)
    origins = drivers.rolling_origins(settled, own.candidates, own.events_per_parameter)
    signs = drivers.sign_records(model, origins)
    return drivers.effects(model, signs, settings.confidence, own.false_discovery_rate)


def claimed(effects: pd.DataFrame) -> pd.DataFrame:
    """The rows called a finding."""
    return effects[effects["finding"].isin([drivers.LEAVING, drivers.STAYING])]


def test_at_most_one_driver_that_does_nothing_is_claimed(effects):
    assert set(effects["driver"]) >= NULL
    assert claimed(effects)["driver"].isin(NULL).sum() <= 1


def test_money_is_not_claimed_where_leaving_does_not_depend_on_it(effects):
    assert "mrr" not in set(claimed(effects)["driver"])


def test_what_is_claimed_has_the_sign_of_the_truth(effects):
    found = claimed(effects)
    true = found[~found["driver"].isin(NULL)]
    assert set(true["driver"]) >= {"has_value", "usage_days"}  # the others are weaker
    raises = true["driver"].isin(RAISES)
    assert (true["hazard_ratio"] > 1).eq(raises).all()
