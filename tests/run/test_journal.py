"""The log of a run: one JSON object a line, and no secret in it."""

import datetime as dt
import json
from pathlib import Path

import pytest

from pipeline.run import journal
from pipeline.run.journal import Journal
from pipeline.settings import Paths

RUN_ID = "20261101T060001Z-3fa9c1"
CANARY = "canary-7f3e9b"
NOW = dt.datetime(2026, 11, 1, 6, 0, 1, 250_000, tzinfo=dt.UTC)


@pytest.fixture
def log(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "runs" / "log.jsonl", RUN_ID, lambda: NOW)


def lines(log: Journal) -> list[dict]:
    return [json.loads(line) for line in log.path.read_text(encoding="utf-8").splitlines()]


def test_each_line_is_one_object_with_run_id_time_level_and_event(log: Journal) -> None:
    log.info("chapter_ended", chapter="revenue", seconds=3.2)
    log.warning("late_data", period="2026-10")
    log.error("failed", message="first\nsecond", path=Path("build"))
    first, second, third = lines(log)
    assert first == {
        "run_id": RUN_ID, "time": "2026-11-01T06:00:01.250+00:00", "level": "info",
        "event": "chapter_ended", "chapter": "revenue", "seconds": 3.2,
    }  # fmt: skip
    assert (second["level"], third["level"]) == ("warning", "error")
    assert (third["message"], third["path"]) == ("first\nsecond", "build")


def test_a_field_cannot_stand_in_for_the_run_id_or_level(log: Journal) -> None:
    log.info("x", run_id="another", level="error")
    assert (lines(log)[0]["run_id"], lines(log)[0]["level"]) == (RUN_ID, "info")


def test_f129_a_log_that_cannot_be_written_costs_no_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    log = Journal(tmp_path / "file" / "log.jsonl", RUN_ID)
    log.error("disk full")
    assert not log.path.exists()


def test_the_log_of_a_run_stands_beside_its_manifest(tmp_path: Path) -> None:
    found = journal.of_run(RUN_ID, Paths(tmp_path, "acme"))
    assert found.path == tmp_path / "build" / "runs" / RUN_ID / "log.jsonl"


def test_a_log_line_knows_the_secrets_of_its_own_process(
    log: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LODESTAR_PSEUDONYM_KEY", CANARY)
    log.error("failed", message=f"bad key {CANARY}")
    assert CANARY not in log.path.read_text(encoding="utf-8")
