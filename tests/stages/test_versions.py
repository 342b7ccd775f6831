"""Versions of many events: comparing only what stands twice is as exact as comparing all."""

import datetime as dt
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pipeline.data import engine, store
from pipeline.data.schema import RAW
from pipeline.stages import known, twice
from tests.stages.company import Company, write_company

DAY = dt.date(2026, 1, 1)
KEY = ["usage_id"]


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
        found_twice = twice.hashes_twice(events, KEY)
        alike = twice.among(events, KEY, found_twice)
        keys = backend.create_table("keys", twice.keys_twice(alike, KEY).to_pyarrow())
        hashes = twice.hashes_of(keys)
        by_all = known.versions_known(events, RAW["usage"], before)
        by_some = known.versions_known(events, RAW["usage"], before, hashes)
        found, wanted = (
            each.order_by("recorded_at").to_pyarrow().to_pydict() for each in (by_some, by_all)
        )

    assert found == wanted
    assert sorted(hashes[twice.HASH].to_pylist()) == sorted(found_twice[twice.HASH].to_pylist())
    assert 0 < hashes.num_rows < len(wanted["usage_id"]) < 300


EVENTS = """
    usage_id,account_id,occurred_at,feature,recorded_at
    e1,A,2024-06-10 10:00,search,2024-06-10 12:00
    e1,A,2024-06-10 11:00,search,2024-07-10 12:00
    e2,A,2024-06-11 10:00,search,2024-06-11 12:00
    e3,A,2024-06-12 10:00,search,2024-06-12 12:00
    e3,A,2024-06-12 10:00,search,2024-06-12 12:00
    e4,A,2024-06-13 10:00,search,2024-06-13 12:00
    e4,A,soon,search,2024-06-14 12:00
    """
SIGNED = "account_id,signed_up_date\nA,2024-01-01\n"
PAID = "subscription_id,account_id,start_date,mrr\ns1,A,2024-01-05,10\n"


def company_with(root: Path, events: str) -> Company:
    """One account, and these events of it."""
    files = {"accounts.csv": SIGNED, "subscriptions.csv": PAID, "usage.csv": events}
    loose = {"max_share_of_rows": 0.9, "max_share_of_mrr": 0.9}
    return write_company(
        root, files, periods=["2024-09"], extract_date="2024-09-30", quarantine=loose
    )


def test_an_event_with_versions_is_named_and_one_with_copies_or_a_bad_row_is_not(tmp_path):
    company = company_with(tmp_path, EVENTS).run()
    named = store.read_parquet(company.paths.ingest / twice.USAGE_TWICE)
    assert named.to_pydict() == {"usage_id": ["e1"]}
    quality = company.table("2024-09", "quality")
    used = quality[(quality["table"] == "usage") & (quality["rule"] == "used")]
    assert list(used["n"]) == [4]  # e1 in its later version, e2, e3 once, e4


def test_events_without_versions_name_nobody_and_those_without_ids_leave_no_file(tmp_path):
    header, first, _, second, *_ = textwrap.dedent(EVENTS).strip().splitlines()
    alone = company_with(tmp_path / "alone", "\n".join([header, first, second])).run()
    assert len(store.read_parquet(alone.paths.ingest / twice.USAGE_TWICE)) == 0
    bare = [line.split(",", 1)[1] for line in (header, first, second)]
    without = company_with(tmp_path / "without", "\n".join(bare)).run()
    assert not (without.paths.ingest / twice.USAGE_TWICE).exists()
    tables = [each.table("2024-09", "account_months") for each in (alone, without)]
    pd.testing.assert_frame_equal(*tables)


def test_an_ingest_that_was_stopped_leaves_no_keys_of_other_events(tmp_path, monkeypatch):
    company = company_with(tmp_path, EVENTS).ingest()
    place = company.paths.ingest / twice.USAGE_TWICE
    assert place.exists()

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.stages.ingest.output._write_months", stop)
    with pytest.raises(KeyboardInterrupt):
        company.ingest()
    assert not place.exists()
