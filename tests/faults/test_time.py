"""Faults 45 to 57: dates, zones, clocks and months, injected through exports and settings.

Each test is named after its fault. A date is read as declared or not at all; a month begins at
midnight of the business time zone; the clock of the machine decides nothing.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from pipeline.analysis import revenue
from pipeline.data import slice as slices
from pipeline.data import store
from pipeline.data.reading import DataError
from pipeline.settings import ConfigurationError, ParameterError, Period, parse
from tests.stages.company import Company, accounts_of, write_company

HEADER = "subscription_id,account_id,start_date,end_date,mrr\n"
ONE = "S1,A,2025-01-05,,100\n"
LENIENT = {"quarantine": {"max_share_of_rows": 1.0, "max_share_of_mrr": 1.0}}


def company_of(root: Path, rows: str = ONE, **more: object) -> Company:
    files = {"accounts.csv": accounts_of("A", "B"), "subscriptions.csv": HEADER + rows}
    files |= dict(more.pop("files", {}))
    return write_company(root, files, **(LENIENT | more))


def with_usage(root: Path, moments: list[str], **more: object) -> Company:
    usage = "account_id,occurred_at,feature\n" + "".join(f"A,{moment},x\n" for moment in moments)
    return company_of(root, files={"usage.csv": usage}, **more)


def occurred(company: Company) -> list[str]:
    """Local times of the usage that was used, oldest first."""
    months = sorted((company.paths.ingest / "usage").glob("*.parquet"))
    moments = [moment for path in months for moment in store.read_frame(path)["occurred_at"]]
    return [moment.strftime("%Y-%m-%dT%H:%M") for moment in sorted(moments)]


IMPOSSIBLE = ["2026-02-30", "2025-02-29", "2025-04-31", "2025-00-10", "2025-13-01"]


def test_f045_an_impossible_day_is_set_aside_as_it_was_written(tmp_path):
    rows = "".join(f"S{place},A,{day},,1\n" for place, day in enumerate(IMPOSSIBLE, 2))
    company = company_of(tmp_path, ONE + rows).ingest()
    assert company.quarantine("subscriptions") == [
        (str(line), "start_date", "day_unreadable", day) for line, day in enumerate(IMPOSSIBLE, 3)
    ]


def test_f045_a_day_that_no_calendar_of_a_company_has_is_set_aside(tmp_path):
    rows = ONE + "S2,A,0000-01-01,,1\nS3,A,0025-01-05,,1\nS4,A,2025-01-05,3025-01-05,1\n"
    company = company_of(tmp_path, rows).ingest()
    assert company.quarantine("subscriptions") == [
        ("3", "start_date", "date_out_of_range", "0000-01-01"),
        ("4", "start_date", "date_out_of_range", "0025-01-05"),
        ("5", "end_date", "date_out_of_range", "3025-01-05"),
    ]


def test_f046_the_order_of_day_and_month_is_declared_and_never_guessed(tmp_path):
    rows = "S1,A,01/02/2025,,100\nS2,A,2025-02-01,,100\n"
    company = company_of(tmp_path / "iso", rows).ingest()
    assert company.quarantine("subscriptions") == [
        ("2", "start_date", "day_unreadable", "01/02/2025")
    ]
    for layout, month in (("%d/%m/%Y", 2), ("%m/%d/%Y", 1)):
        source = {"tables": {"subscriptions": {"date_format": {"start_date": layout}}}}
        company = company_of(tmp_path / str(month), rows, source=source).ingest()
        assert company.used("subscriptions")["start_date"].dt.month.tolist() == [month]
        assert [row[3] for row in company.quarantine("subscriptions")] == ["2025-02-01"]


def test_f047_a_declared_word_for_an_open_end_is_an_open_end(tmp_path):
    rows = "S1,A,2025-01-05,9999-12-31,100\nS2,A,2025-01-05,2025-02-01,100\n"
    source = {"tables": {"subscriptions": {"open_ended": ["9999-12-31"]}}}
    company = company_of(tmp_path, rows, source=source).ingest()
    assert company.used("subscriptions")["end_date"].isna().tolist() == [True, False]
    assert company.aside("subscriptions") == {}


def test_f047_the_same_day_without_declaration_is_set_aside_and_says_what_to_declare(tmp_path):
    rows = "S1,A,2025-01-05,9999-12-31,100\nS2,A,2025-01-05,2025-02-01,100\n"
    company = company_of(tmp_path / "set aside", rows).ingest()
    assert company.quarantine("subscriptions") == [
        ("2", "end_date", "date_out_of_range", "9999-12-31")
    ]
    with pytest.raises(DataError, match="declare it in open_ended"):
        company_of(tmp_path / "stopped", rows, quarantine={}).ingest()


def test_f048_a_start_still_to_come_is_scheduled_and_outside_the_period(tmp_path):
    rows = ONE + "S2,B,2025-04-01,,50\n"
    company = company_of(tmp_path, rows, extract_date="2025-03-05").run()
    assert company.table("2025-01", "mrr_ledger")["mrr_end"].tolist() == [100]
    assert company.aside("subscriptions") == {("warning", "scheduled"): 1}
    quality = company.table("2025-01", "quality")
    told = quality[quality["rule"] == "scheduled"]
    assert told[["kind", "n", "n_of"]].to_numpy().tolist() == [["warning", 1, 1]]


def test_f048_a_slip_of_the_pen_does_not_carry_the_extract_date_years_ahead(tmp_path):
    rows = "".join(f"S{place},A,2025-01-{place % 28 + 1:02d},,1\n" for place in range(200))
    company = company_of(tmp_path, rows + "S999,A,2052-01-05,,1\n").ingest()
    assert company.quarantine("subscriptions") == [("202", "start_date", "far_ahead", "2052-01-05")]
    facts = store.read_json(company.paths.ingest / "extract.json")
    assert facts["extract_date"] == "2025-01-28"


MIXED = ["2025-06-01T10:00:00Z", "2025-06-01T10:00:00", "2025-06-02"]


def test_f049_times_with_and_without_a_zone_in_one_column_stop_the_run_at_their_lines(tmp_path):
    with pytest.raises(DataError, match=r"1 times in occurred_at have no time zone") as stopped:
        with_usage(tmp_path, MIXED).ingest()
    assert "usage.csv line 3, occurred_at: 2025-06-01T10:00:00" in str(stopped.value)
    assert "source.tables.usage.timezone" in str(stopped.value)


def test_f049_with_the_zone_declared_both_move_to_the_business_time_zone(tmp_path):
    source = {"tables": {"usage": {"timezone": "America/New_York"}}}
    company = with_usage(tmp_path, MIXED, timezone="Europe/Berlin", source=source).ingest()
    assert occurred(company) == ["2025-06-01T12:00", "2025-06-01T16:00", "2025-06-02T00:00"]


def test_f049_times_that_are_all_without_a_zone_are_business_time(tmp_path):
    company = with_usage(tmp_path, ["2025-06-01T10:00:00"], timezone="Asia/Tokyo").ingest()
    assert occurred(company) == ["2025-06-01T10:00"]


@pytest.mark.parametrize(
    "moment",
    ["2025-06-01T10:00Z", "2025-06-01 10:00:00Z", "2025-06-01T10:00:00.000Z", "2025-06-01T12:00+02",
     "2025-06-01T12:00+02:00", "2025-06-01T12:00:00+0200", "2025-06-01T05:30:00-04:30"],
)  # fmt: skip
def test_f049_a_zone_may_be_written_in_every_way_of_iso_8601(tmp_path, moment):
    company = with_usage(tmp_path, [moment], timezone="UTC").ingest()
    assert occurred(company) == ["2025-06-01T10:00"]


def test_f049_a_day_with_a_zone_is_the_day_in_the_business_time_zone(tmp_path):
    rows = "S1,A,2025-01-31T20:00:00Z,2025-03-31T15:30:00Z,100\n"
    company = company_of(tmp_path, rows, timezone="Asia/Tokyo").ingest()
    dates = company.used("subscriptions")[["start_date", "end_date"]].iloc[0]
    assert [day.strftime("%Y-%m-%d") for day in dates] == ["2025-02-01", "2025-04-01"]


def test_f050_a_month_begins_at_midnight_of_the_business_time_zone(tmp_path):
    moments = ["2026-10-31T14:59:59Z", "2026-10-31T15:00:00Z", "2026-10-31T20:00:00+00:00"]
    found = {}
    for zone in ("Asia/Tokyo", "UTC", "America/Los_Angeles"):
        company = with_usage(tmp_path / zone, moments, timezone=zone).ingest()
        months = (company.paths.ingest / "usage").glob("*.parquet")
        found[zone] = {path.stem: len(store.read_frame(path)) for path in months}
    assert found == {
        "Asia/Tokyo": {"2026-10": 1, "2026-11": 2},
        "UTC": {"2026-10": 3},
        "America/Los_Angeles": {"2026-10": 3},
    }


SKIPPED, TWICE = "2025-03-30T02:30:00", "2025-10-26T02:30:00"  # Berlin


def berlin(root: Path, **policy: str) -> Company:
    source: dict[str, object] = {"tables": {"usage": {"timezone": "Europe/Berlin"}}}
    if policy:
        source["daylight_saving"] = policy
    moments = [SKIPPED, TWICE, "2025-10-26T03:30:00"]
    return with_usage(root, moments, timezone="UTC", source=source).ingest()


def test_f051_a_time_that_the_clock_skipped_is_set_aside_and_one_shown_twice_is_the_earlier(
    tmp_path,
):
    company = berlin(tmp_path)
    assert company.quarantine("usage") == [("2", "occurred_at", "no_such_local_time", SKIPPED)]
    assert occurred(company) == ["2025-10-26T00:30", "2025-10-26T02:30"]
    assert company.aside("usage") == {
        ("quarantined", "no_such_local_time"): 1,
        ("warning", "local_time_twice"): 1,
    }


def test_f051_another_policy_is_declared_and_counted_too(tmp_path):
    company = berlin(tmp_path / "later", gap="forward", overlap="later")
    assert occurred(company) == ["2025-03-30T01:30", "2025-10-26T01:30", "2025-10-26T02:30"]
    assert company.aside("usage") == {
        ("warning", "no_such_local_time"): 1,
        ("warning", "local_time_twice"): 1,
    }
    company = berlin(tmp_path / "refused", overlap="quarantine")
    assert [row[2] for row in company.quarantine("usage")] == [
        "no_such_local_time",
        "local_time_twice",
    ]


@pytest.mark.parametrize(
    ("period", "months", "expected"),
    [
        ("2025-01", 1, "2025-02-28"),
        ("2024-01", 1, "2024-02-29"),
        ("2024-12", 1, "2025-01-31"),
        ("2025-03", -1, "2025-02-28"),
        ("2024-02", 12, "2025-02-28"),
        ("2024-02", -12, "2023-02-28"),
    ],
)
def test_f052_a_period_ends_on_the_last_day_of_its_month(period, months, expected):
    assert Period(period).shift(months).as_of.isoformat() == expected


def test_f052_leap_days_and_ends_of_months_are_days_like_others(tmp_path):
    rows = "S1,A,2024-02-29,2025-02-28,10\nS2,A,2024-01-31,2024-02-29,10\nS3,B,2023-02-29,,10\n"
    company = company_of(tmp_path, rows).ingest()
    used = company.used("subscriptions")
    assert (used["end_date"] - used["start_date"]).dt.days.tolist() == [365, 29]
    assert [row[3] for row in company.quarantine("subscriptions")] == ["2023-02-29"]


def test_f053_f054_what_is_due_follows_from_the_extract_and_never_from_the_clock(tmp_path):
    company = company_of(tmp_path, "S1,A,2024-01-05,,100\nS2,B,2025-02-14,,100\n").ingest()
    facts = store.read_json(company.paths.ingest / "extract.json")
    extract = dt.date.fromisoformat(facts["extract_date"])
    assert extract == dt.date(2025, 2, 14)
    assert slices.slice_of(Period("2025-01"), extract, company.settings).status == "provisional"
    with pytest.raises(slices.NotDueError, match="no report of an unfinished month"):
        slices.slice_of(Period("2025-02"), extract, company.settings)


def test_f056_months_in_which_nothing_was_paid_stand_in_the_ledger_as_nothing(tmp_path):
    rows = "S1,A,2025-01-05,2025-02-20,100\nS2,B,2025-05-06,,50\n"
    company = company_of(tmp_path, rows, periods=["2025-06"], extract_date="2025-12-31").run()
    months = revenue.months(company.table("2025-06", "mrr_ledger"))
    assert months["mrr_end"].to_dict() == {
        "2025-01": 100, "2025-02": 0, "2025-03": 0, "2025-04": 0, "2025-05": 50, "2025-06": 50,
    }  # fmt: skip


NO_PERIODS = [
    "2026-1", "26-10", "202610", "Oct 2026", "２０２６-１０", "2026-10-01", "2026/10", "2026-W40",
    "2026-13", "2026-00", "2026", "2026-10 ", " 2026-10", "2026-10\n", "2026Q4", "10-2026", "",
    "02026-10", "-2026-10", "2026–10", "٢٠٢٦-١٠",
]  # fmt: skip


@pytest.mark.parametrize("name", NO_PERIODS)
def test_f057_only_a_month_written_yyyy_mm_is_a_period(name):
    with pytest.raises(ParameterError, match="write a calendar month as YYYY-MM"):
        Period(name)
    base = {"company": "acme", "company_name": "Acme"}
    with pytest.raises(ConfigurationError, match="periods"):
        parse(base | {"periods": [name]})
    with pytest.raises(ConfigurationError, match="fx"):
        parse(base | {"periods": ["2025-01"], "fx": {"EUR": {name: 1.0}}})


def test_f057_a_target_for_no_month_is_set_aside(tmp_path):
    wrong = [name for name in NO_PERIODS if name.strip() == name and name and name[0] != "-"]
    text = "period,metric,target\n2025-01,mrr_end,5\n"
    text += "".join(f"{name},mrr_end,5\n" for name in wrong)
    company = company_of(tmp_path, files={"targets.csv": text}).ingest()
    assert [row[2:] for row in company.quarantine("targets")] == [
        ("period_unreadable", name) for name in wrong
    ]
    assert company.used("targets")["period"].tolist() == ["2025-01"]
