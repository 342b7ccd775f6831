"""What is told: failure, recovery, late data, warnings; names and states, never a value."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.data import store
from pipeline.run import journal, notify
from pipeline.run.journal import Journal
from pipeline.settings import Paths, Settings, parse

RUN_ID, EARLIER = "20261106T060001Z-3fa9c1", "20261101T060001Z-000000"
VALUE = "987654321"
ACME = {"company": "acme", "company_name": "Acme", "periods": ["2026-10"], "chapters": ["summary"]}


def run_of(state: str, periods: dict[str, str], **more: object) -> dict[str, Any]:
    rows = [
        {"period": name, "state": how, "status": "final" if how == "published" else None,
         "revision": 2 if how == "published" else None,
         "error": {"class": "kernel_died", "message": VALUE} if how == "failed" else None}
        for name, how in periods.items()
    ]  # fmt: skip
    return {
        "run_id": RUN_ID, "state": state, "started_at": "2026-11-06T06:00:01+00:00",
        "extract_date": "2026-10-31", "company": "acme", "periods": rows, "tasks": [],
        "error": None,
    } | more  # fmt: skip


def told(run: dict, code: int = 0, *earlier: dict, notes: tuple[str, ...] = ()) -> dict[str, str]:
    return {each.kind: each.body for each in notify.messages(run, code, earlier, notes)}


@pytest.fixture
def settings() -> Settings:
    return parse(ACME)


# What is told.


def test_a_good_run_and_a_run_with_nothing_to_do_tell_nothing() -> None:
    assert told(run_of("done", {"2026-10": "published"})) == {}
    assert told(run_of("nothing_to_do", {"2026-10": "in_force"})) == {}
    assert told(run_of("cancelled", {}), 130) == {}


def test_a_failure_names_class_code_periods_and_run_and_what_was_published() -> None:
    error = {"class": "kernel_died", "code": 70, "message": VALUE}
    run = run_of("failed", {"2026-09": "published", "2026-10": "failed"}, error=error)
    assert told(run, 70)["failed"].splitlines() == [
        "The run failed: kernel_died, exit code 70.",
        "2026-10: not published (kernel_died).",
        "2026-09: published, final, revision 2.",
        f"Run {RUN_ID}: see build/runs/{RUN_ID}.",
    ]


def test_f145_a_message_holds_no_value_and_none_of_an_errors_own_words() -> None:
    error = {"class": "cell_error", "code": 70, "message": VALUE, "cell": VALUE}
    run = run_of("failed", {"2026-10": "failed"}, error=error, tasks=[])
    before = run_of("failed", {"2026-09": "failed"}, run_id=EARLIER)
    after = run_of("done", {"2026-09": "published"}, extract_date="2026-10-30")
    bodies = [*told(run, 70).values(), *told(after, 0, before).values()]
    assert len(bodies) == 3
    assert VALUE not in "".join(bodies)


def test_the_first_success_after_a_failure_of_a_period_is_a_recovery() -> None:
    before = run_of("failed", {"2026-09": "failed", "2026-10": "failed"}, run_id=EARLIER)
    run = run_of("failed", {"2026-09": "published", "2026-10": "failed"}, error={"class": "x"})
    found = told(run, 70, before)
    assert set(found) == {"failed", "recovered"}
    assert found["recovered"].startswith("2026-09: recovered, its last run had failed.")
    again = run_of("done", {"2026-09": "in_force"})
    assert told(again, 0, before, run | {"run_id": EARLIER}) == {}


@pytest.mark.parametrize("state", ["failed", "interrupted"])
def test_the_first_success_after_a_run_that_failed_as_a_whole_is_a_recovery(state: str) -> None:
    before = run_of(state, {}, run_id=EARLIER, error={"class": "DataError", "code": 65})
    found = told(run_of("nothing_to_do", {"2026-10": "in_force"}), 0, before)
    assert f"The run succeeded; the one before ended as {state}." in found["recovered"]
    cancelled = run_of("cancelled", {}, run_id=EARLIER)
    assert "recovered" in told(run_of("done", {}), 0, before, cancelled)


def test_a_run_after_late_data_is_no_recovery() -> None:
    late = run_of("failed", {}, error={"class": "NotDueError", "code": 75})
    assert told(run_of("done", {}), 0, late) == {}


@pytest.mark.parametrize(
    ("started", "extract", "is_late"),
    [
        ("2026-11-06", "2026-10-31", False),
        ("2026-11-01", "2026-10-30", True),
        ("2026-11-30", "2026-10-31", False),
        ("2027-01-01", "2026-12-30", True),
        ("2026-11-06", None, False),
    ],
)
def test_a_month_due_by_the_calendar_that_the_data_do_not_reach_is_late(
    started: str, extract: str | None, is_late: bool
) -> None:
    run = run_of("done", {}, started_at=f"{started}T06:00:01+00:00", extract_date=extract)
    assert ("late" in told(run)) is is_late


def test_too_early_a_run_is_late_data_and_no_failure() -> None:
    error = {"class": "NotDueError", "code": 75}
    run = run_of("failed", {}, error=error, extract_date="2026-10-30")
    assert set(told(run, 75)) == {"late"}
    assert told(run, 75)["late"].startswith("2026-10: due by the calendar")


# Warnings on what was published.


def report_of(**changes: object) -> dict[str, Any]:
    row = {"table": "accounts", "kind": "quarantined", "n": 3, "n_of": 100}
    return {
        "period": "2026-10",
        "headline": [{"name": "mrr_end", "state": "fragile", "estimate": VALUE},
                     {"name": "customers_end", "state": "ok", "estimate": VALUE}],
        "quality": {"rules": [row, row, row | {"table": "usage"}, row | {"kind": "rows"}]},
        "models": [
            {"chapter": "survival", "name": "cox", "checks": [
                {"name": "convergence", "is_hard": True, "passed": False},
                {"name": "rank", "is_hard": False, "passed": False}]},
            {"chapter": "survival", "name": "other", "checks": [
                {"name": "rank", "is_hard": False, "passed": False}]},
        ],
    } | changes  # fmt: skip


def test_notes_name_fragile_headlines_nearly_full_quarantines_and_models_that_fail(
    settings: Settings,
) -> None:
    assert notify.notes_on(report_of(), settings) == [
        "2026-10: fragile headline mrr_end",
        "2026-10: quarantine near its limit for accounts",
        "2026-10: model survival.cox does not hold",
    ]


def test_a_sound_report_has_no_notes(settings: Settings) -> None:
    sound = report_of(headline=[], quality={}, models=[])
    assert notify.notes_on(sound, settings) == []


def test_notes_are_told_once_for_what_was_published() -> None:
    run = run_of("done", {"2026-10": "published"})
    body = told(run, 0, notes=("b", "a"))["warnings"]
    assert body.splitlines()[:2] == ["a; b.", "2026-10: published, final, revision 2."]


# The whole way, with nobody listening.


@pytest.fixture
def log(tmp_path: Path) -> Journal:
    return journal.of_run(RUN_ID, Paths(tmp_path, "acme"))


def test_without_addresses_nothing_is_loaded_or_logged(tmp_path: Path, log: Journal) -> None:
    run = run_of("failed", {"2026-10": "failed"})
    notify.began(log, {})
    notify.ended(run, 70, Paths(tmp_path, "acme"), log, environment={})
    assert not log.path.exists()


def test_the_messages_of_a_run_come_from_its_manifest_and_the_earlier_ones(
    tmp_path: Path, log: Journal, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths, sent = Paths(tmp_path, "acme"), []
    monkeypatch.setattr(notify.Post, "send", lambda _, message, __: sent.append(message))
    before = run_of("failed", {"2026-10": "failed"}, run_id=EARLIER, log="log.jsonl")
    store.write_json(before, tmp_path / "build" / "runs" / EARLIER / "run.json")
    warned = [
        {"category": "ConvergenceWarning", "count": 2, "is_allowed": False},
        {"category": "FutureWarning", "count": 1, "is_allowed": True},
    ]
    tasks = [{"stage": "survival@2026-10", "warnings": warned}]
    run = run_of("done", {"2026-10": "published"}, tasks=tasks)
    notify.ended(run, 0, paths, log, settings, {"LODESTAR_NOTIFY_URLS": "json://localhost"})
    assert [message.kind for message in sent] == ["recovered", "warnings"]
    assert sent[1].body.splitlines()[0] == "survival@2026-10: ConvergenceWarning."


def test_f144_whatever_goes_wrong_while_telling_is_logged_and_raised_nowhere(
    tmp_path: Path, log: Journal
) -> None:
    broken = {"run_id": RUN_ID, "state": "failed"}  # a manifest without periods
    environment = {"LODESTAR_NOTIFY_URLS": "json://localhost:1"}
    notify.ended(broken, 70, Paths(tmp_path, "acme"), log, environment=environment)
    lines = [json.loads(line) for line in log.path.read_text().splitlines()]
    assert [line["event"] for line in lines] == ["notify_failed"]
