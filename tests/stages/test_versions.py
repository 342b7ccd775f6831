"""Versions of many events: comparing only what stands twice is as exact as comparing all."""

import datetime as dt

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pipeline.data import engine
from pipeline.data.schema import RAW
from pipeline.stages import known, twice

DAY = dt.date(2026, 1, 1)


@pytest.mark.parametrize("at_once", [1 << 23, 30])
def test_rows_whose_id_stands_once_need_no_comparing(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(twice, "HASHES_AT_ONCE", at_once)
    draw = np.random.default_rng(20261122)
    n = 400
    ids = [None if number == 7 else f"E{number}" for number in draw.integers(0, 250, n)]
    days = [DAY + dt.timedelta(days=int(later)) for later in range(n)]
    rows = pa.table(
        {
            "usage_id": pa.array(ids, pa.string()),
            "recorded_at": pa.array(pd.to_datetime(days)).cast(pa.timestamp("us")),
            "known_on": pa.array(days, pa.date32()),
        }
    )
    before = DAY + dt.timedelta(days=300)
    with engine.connect() as backend:
        events = backend.create_table("events", rows)
        hashes = known.versioned_twice(events, RAW["usage"])
        by_all = known.versions_known(events, RAW["usage"], before)
        by_some = known.versions_known(events, RAW["usage"], before, hashes)
        found, wanted = (
            each.order_by("recorded_at").to_pyarrow().to_pydict() for each in (by_some, by_all)
        )

    assert found == wanted
    assert hashes is not None
    assert 0 < hashes.num_rows < len(wanted["usage_id"]) < 300
