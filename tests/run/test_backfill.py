"""Many months at one go: which are chosen, what is skipped, and how it ends."""

import datetime as dt
import shutil
from pathlib import Path

import pytest

from pipeline import settings as configuration
from pipeline import states
from pipeline.data import store
from pipeline.reporting import publish
from pipeline.run import backfill, manifest, periods, status
from pipeline.run.build import Wanted
from pipeline.settings import ParameterError, Paths, Period

ROOT = Path(__file__).parents[2]
MONTHS = ["2026-07", "2026-08", "2026-09", "2026-10", "2026-11"]
BUILT_AT = "2026-11-06T06:10:00+00:00"


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """2026-07 is sound, 2026-08 altered, 2026-09 failed last time; data to the end of October."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    place = Paths(tmp_path, "sample")
    store.write_json({"extract_date": "2026-10-31"}, place.ingest / "extract.json")
    facts = {"status": "final", "revision": 1, "provenance": {"built_at": BUILT_AT}}
    standing = [facts | {"period": name} for name in MONTHS[:3]]
    monkeypatch.setattr(publish, "all_reports", lambda _: standing)
    monkeypatch.setattr(publish, "is_intact", lambda period, _: str(period) in MONTHS[0:3:2])
    run = manifest.begin(place, ["lodestar", "run"], dt.datetime(2026, 11, 1, 6, tzinfo=dt.UTC))
    error = run.failure("cell_error", 70, "KeyError", notebook="03_survival.ipynb", cell="answer")
    run.period("2026-09", states.FAILED, error=error)
    run.end(states.FAILED, error)
    return place


def chosen(mode: str, paths: Paths) -> list[str]:
    return [name for name, _, is_chosen in backfill.rows(MONTHS, mode, paths) if is_chosen]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("missing", ["2026-08", "2026-10", "2026-11"]),
        ("failed", ["2026-08", "2026-09", "2026-10", "2026-11"]),
        ("all", MONTHS),
    ],
)
def test_a_mode_chooses_months(mode: str, expected: list[str], paths: Paths) -> None:
    assert chosen(mode, paths) == expected


def test_a_month_that_succeeded_since_has_not_failed(paths: Paths) -> None:
    later = manifest.begin(paths, ["lodestar"], dt.datetime(2026, 11, 2, 6, tzinfo=dt.UTC))
    later.period("2026-09", states.PUBLISHED, status="final", revision=2)
    later.end(states.DONE)
    assert backfill.last_failures(paths) == {}
    assert chosen("failed", paths) == ["2026-08", "2026-10", "2026-11"]


def test_a_dry_run_says_month_by_month_what_stands_and_what_would_be_done(paths: Paths) -> None:
    before = sorted(paths.root.rglob("*"))
    lines = list(backfill.preview(paths.root, "2026-07", "2026-11", mode="failed"))
    assert [(line[:7], line.split("  ")[-1].strip()) for line in lines[1:]] == [
        ("2026-07", "leave"), ("2026-08", "build"), ("2026-09", "build"),
        ("2026-10", "build"), ("2026-11", "skip: not due"),
    ]  # fmt: skip
    assert "final, revision 1, altered or incomplete" in lines[2]
    assert "last run failed (cell_error)" in lines[3]
    assert sorted(paths.root.rglob("*")) == before


def test_a_backfill_asks_the_runner_for_its_months(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def play(root: Path, choose, **_: object) -> Path:
        asked.append(choose(configuration.load(root), paths))
        return root

    monkeypatch.setattr(backfill, "carry_out", play)
    backfill.backfill(paths.root, "2026-08", "2026-10")
    backfill.backfill(paths.root, "2026-08", "2026-08", mode="all")
    assert asked == [
        Wanted(("2026-08", "2026-10"), skips_not_due=True),
        Wanted(("2026-08",), force=True, skips_not_due=True),
    ]


@pytest.mark.parametrize(
    ("first", "last", "mode", "message"),
    [
        ("2026-10", "2026-09", "all", "2026-10 comes after 2026-09"),
        ("2026-1", "2026-09", "all", "is not a period"),
        ("2026-01", "2026-09", "most", "'most' is no mode"),
        ("1900-01", "2026-09", "all", "more than 600 months"),
    ],
)
def test_a_span_that_cannot_be_meant_is_refused(
    first: str, last: str, mode: str, message: str, paths: Paths
) -> None:
    with pytest.raises(ParameterError, match=message):
        backfill.backfill(paths.root, first, last, mode=mode)


def test_a_span_holds_both_its_ends() -> None:
    assert periods.span(Period("2025-11"), Period("2026-02")) == [
        "2025-11", "2025-12", "2026-01", "2026-02",
    ]  # fmt: skip
    assert periods.span(Period("2026-02"), Period("2026-02")) == ["2026-02"]


# What the files say.


def test_status_says_the_last_run_and_what_was_not_updated_and_where_to_look(paths: Paths) -> None:
    settings = configuration.load(paths.root)
    lines = list(status.status_lines(settings, paths))
    run_id = manifest.read_all(paths)[-1]["run_id"]
    assert lines[:3] == [
        "Sample Company: the data end on 2026-10-31.",
        f"Last run {run_id} FAILED.",
        "  cell_error in notebook 03_survival.ipynb, cell answer: KeyError",
    ]
    assert f"2026-07  final, revision 1, built {BUILT_AT}" in lines
    assert "2026-10  not published" in lines
    failed = lines.index(f"2026-09  final, revision 1, built {BUILT_AT}")
    assert lines[failed + 1].strip().startswith("not updated: cell_error in notebook 03_survival")
    assert lines[failed + 2].strip() == f"log: build/runs/{run_id}"
    (altered,) = [line for line in lines if line.startswith("2026-08")]
    assert altered.endswith("the next run builds it anew")


def test_status_needs_nothing_but_files(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subprocess.Popen", None)
    run = manifest.begin(paths, ["lodestar"])
    lines = list(status.status_lines(configuration.load(paths.root), paths))
    assert f"Last run {run.run_id} is under way." in lines
    run.note(process_start=1)
    lines = list(status.status_lines(configuration.load(paths.root), paths))
    assert any(line.startswith(f"Last run {run.run_id} was interrupted") for line in lines)


def test_a_dry_run_says_what_would_be_built_and_changes_nothing(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = {"ingest", "survival@2026-10", "summary@2026-10", "revenue@2026-07"}
    monkeypatch.setattr("pipeline.flow.Flow.stale", lambda _: stale)
    monkeypatch.setattr(publish, "is_settled", lambda period, _: str(period) == "2026-07")
    (paths.root / "dvc.yaml").touch()
    settings, before = configuration.load(paths.root), sorted(paths.root.rglob("*"))
    lines = list(status.preview_lines(settings, paths, Wanted()))
    assert lines == [
        "Stages out of date: ingest. More may follow from what they find.",
        "2026-07  leave: final, and its facts did not change",
        "2026-08  build report",
        "2026-09  nothing to do",
        "2026-10  build survival, summary, report",
    ]
    forced = list(status.preview_lines(settings, paths, Wanted(("2026-07",), force=True)))
    assert forced[-1] == "2026-07  build revenue, report"
    only = list(status.preview_lines(settings, paths, Wanted(("2026-10",), chapters=("summary",))))
    assert only[-1] == "2026-10  run summary"
    assert sorted(paths.root.rglob("*")) == before
