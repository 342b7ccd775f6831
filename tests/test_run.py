"""Unattended runs: what is due is built once, a failure costs its own period only."""

import contextlib
import datetime as dt
import io
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pipeline import flow as flows
from pipeline import root as roots
from pipeline import run as runner
from pipeline import settings as configuration
from pipeline.data import disk, store
from pipeline.data.slice import NotDueError
from pipeline.flow import Ended, Flow, RunTimeoutError, StageFailedError, Task
from pipeline.reporting import publish
from pipeline.run import FailedPeriodsError, Progress, Run, manifest
from pipeline.run.build import Wanted
from pipeline.settings import SUMMARY, ConfigurationError, Paths, Period

ROOT = Path(__file__).parents[1]
SHIPPED = (ROOT / "params.yaml").read_text(encoding="utf-8")
OCTOBER_END = dt.date(2026, 10, 31)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with the shipped params and flow, and data that end with October 2026."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    extract = {"extract_date": OCTOBER_END.isoformat()}
    store.write_json(extract, tmp_path / "data" / "processed" / "ingest" / "extract.json")
    return tmp_path


# Which periods.


@pytest.mark.parametrize(
    ("periods", "extract", "expected"),
    [
        (["2026-09"], "2026-10-31", ["2026-10"]),
        (["2026-09"], "2026-10-30", []),
        (["2026-07", "2026-08"], "2026-11-15", ["2026-09", "2026-10"]),
        (["2026-12"], "2026-10-31", []),
        (["2025-11"], "2026-01-31", ["2025-12", "2026-01"]),
        ([], "2026-10-31", ["2026-10"]),
        ([], "2026-10-30", ["2026-09"]),
    ],
)
def test_months_after_the_newest_listed_one_are_due_when_the_data_reach_their_end(
    periods: list[str], extract: str, expected: list[str]
) -> None:
    assert runner.newly_due(periods, dt.date.fromisoformat(extract)) == expected


def test_a_new_period_enters_params_in_order_and_every_other_letter_stays(root: Path) -> None:
    runner.add_periods(root, ["2026-06"])
    after = (root / "params.yaml").read_text(encoding="utf-8")
    assert after == SHIPPED.replace('periods: ["2026-07"', 'periods: ["2026-06", "2026-07"')


BLOCK = """company: acme
company_name: Acme
periods:   # the months
  - "2026-07"  # the first
  - '2026-09'
# what follows
currency: EUR
"""


@pytest.mark.parametrize(
    ("new", "line", "before"),
    [("2026-08", 4, "'2026-09'"), ("2026-06", 3, '"2026-07"'), ("2026-10", 5, "# what follows")],
)
def test_a_list_written_over_several_lines_keeps_its_shape_and_comments(
    tmp_path: Path, new: str, line: int, before: str
) -> None:
    (tmp_path / "params.yaml").write_text(BLOCK)
    settings = runner.add_periods(tmp_path, [new])
    lines = (tmp_path / "params.yaml").read_text().splitlines()
    assert lines[line] == f'  - "{new}"'
    assert before in lines[line + 1]
    assert [each for each in lines if each != f'  - "{new}"'] == BLOCK.splitlines()
    assert settings.periods == sorted(["2026-07", "2026-09", new])


def test_blocks_that_params_leave_out_are_written_out_because_the_flow_names_them(
    root: Path,
) -> None:
    text = 'company: acme  # ours\ncompany_name: Acme\nperiods: ["2026-10"]\ngrace_days: 14\n'
    (root / "params.yaml").write_text(text)
    before = configuration.load(root)
    after = runner.complete_params(root, before)
    written = (root / "params.yaml").read_text()
    assert written.startswith(text)
    assert after == before
    assert "time_to_value:" in written
    assert runner.complete_params(root, after) is after


def test_shipped_params_need_no_completion(root: Path) -> None:
    runner.complete_params(root, configuration.load(root))
    assert (root / "params.yaml").read_text(encoding="utf-8") == SHIPPED


# The order of a run, with DVC and the kernels played by a stand-in.


class PlayedFlow(Flow):
    """Says what it is told to say, and remembers what it was asked."""

    def __init__(self, root: Path, stale: Sequence[str], failing: Sequence[str] = ()) -> None:
        super().__init__(root)
        self.now_stale = set(stale)
        self.failing = set(failing)
        self.asked: list[str] = []
        self.n_asked = 0

    def stale(self) -> set[str]:
        self.n_asked += 1
        return set(self.now_stale)

    def warm_up(self) -> None:
        """Nothing is run here, so nothing need be loaded."""

    def reproduce(self, stages: Sequence[str], on_stage: object) -> None:
        self.asked.append(f"repro {' '.join(stages)}")
        self.now_stale -= set(stages)

    def record(self, stages: object) -> None:
        names = sorted(stages)
        self.asked += [f"commit {' '.join(names)}"] if names else []
        self.now_stale -= set(names)

    def run_side_by_side(self, tasks: Sequence[Task], jobs: int) -> Iterator[Ended]:
        failed = set()
        for task in tasks:
            is_bad = task.stage in self.failing
            if task.chapter == SUMMARY and task.period in failed:
                continue
            failed |= {task.period} if is_bad else set()
            self.asked.append(task.stage)
            if not is_bad:
                yield Ended(task, 0, "", 1.0)
                continue
            said = "cell 'answer' failed: KeyError\nand a second line"
            log = self.log / f"{task.chapter}-{task.period}.log"
            where = {"notebook": f"03_{task.chapter}.ipynb", "cell": "answer", "log": log}
            yield Ended(task, 70, said, 1.0, error_class="cell_error", **where)


@pytest.fixture
def settled() -> set[str]:
    """Periods with a final report whose slice still holds."""
    return set()


REPORT = {"status": "final", "revision": 1, "currency": "USD", "headline": []}


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch, settled: set[str]) -> list[str]:
    """Periods that a run published; nothing is built."""
    found: list[str] = []

    def note(period: Period, *_: object, **__: object) -> publish.Publication:
        found.append(str(period))
        return publish.Publication(period, "provisional", 1, True)

    monkeypatch.setattr(publish, "publish", note)
    monkeypatch.setattr(publish, "is_intact", lambda *_: True)
    monkeypatch.setattr(publish, "is_settled", lambda period, _: str(period) in settled)
    standing = [REPORT | {"period": name} for name in settled]
    monkeypatch.setattr(publish, "all_reports", lambda _: standing)
    monkeypatch.setattr(publish, "write_index", lambda *_: False)
    return found


def build(flow: PlayedFlow, *periods: str, **choices: Any) -> str:
    said = io.StringIO()
    progress = Progress(Console(file=said, width=200, soft_wrap=True, highlight=False))
    settings = configuration.load(flow.root)
    flow.record_of_run = manifest.begin(Paths(flow.root, settings.company), ["lodestar"])
    this = Run(flow, settings, progress, 2, flow.record_of_run)
    try:
        this.build(Wanted(periods or None, **choices))
    finally:
        flow.said = said.getvalue()
    return flow.said


def test_nothing_out_of_date_means_nothing_is_run(root: Path, published: list[str]) -> None:
    flow = PlayedFlow(root, [])
    said = build(flow)
    assert (flow.asked, published) == ([], [])
    assert "Nothing to do" in said
    assert said.splitlines()[-1].startswith(f"{root}/reports/index.html: ")
    assert (root / "params.yaml").read_text(encoding="utf-8") == SHIPPED


def test_a_run_for_no_month_says_the_headline_of_the_newest(
    root: Path, published: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    standing = [REPORT | {"period": "2026-08"}]
    monkeypatch.setattr(publish, "all_reports", lambda _: standing)
    said: list[str] = []
    progress = Progress()
    progress.say = said.append
    settings = configuration.load(root)
    record = manifest.begin(Paths(root, settings.company), ["lodestar", "backfill"])
    Run(PlayedFlow(root, []), settings, progress, 1, record).build(Wanted(()))
    assert "August 2026 (final)" in said[-1]


def test_nobody_who_reads_what_a_run_says_costs_no_run() -> None:
    for error in (BrokenPipeError(), OSError(28, "No space left on device")):

        class Gone(io.StringIO):
            def write(self, _: str, why: OSError = error) -> int:
                raise why

        progress = Progress(Console(file=Gone()))
        progress.say("one")
        progress.done("two")
        assert progress.console.quiet


WHOLE = ["survival@2026-10", "summary@2026-10", "report@2026-10"]


def test_chapters_come_before_their_summary_and_reports_last(
    root: Path, published: list[str]
) -> None:
    flow = PlayedFlow(root, WHOLE)
    build(flow)
    recorded = "commit report@2026-10 summary@2026-10 survival@2026-10"
    assert flow.asked == ["survival@2026-10", "summary@2026-10", recorded]
    assert published == ["2026-10"]
    assert flow.n_asked == 1  # all that follows was out of date beforehand


@pytest.mark.parametrize("fresh", ["summary@2026-10", "report@2026-10"])
def test_dvc_is_asked_again_where_a_summary_or_report_may_still_hold(
    root: Path, published: list[str], fresh: str
) -> None:
    flow = PlayedFlow(root, [stage for stage in WHOLE if stage != fresh])
    build(flow)
    assert flow.asked[:2] == ["survival@2026-10", "commit survival@2026-10"]
    assert fresh not in flow.asked
    assert flow.n_asked > 1


def test_a_run_whose_time_is_over_publishes_no_further_month(
    root: Path, published: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = PlayedFlow(root, ["report@2026-08", "report@2026-09", "report@2026-10"])

    def over_after_one() -> None:
        if published:
            raise RunTimeoutError("over")

    monkeypatch.setattr(flow, "check_time", over_after_one)
    with pytest.raises(RunTimeoutError):
        build(flow)
    assert len(published) == 1


def test_a_failed_chapter_costs_its_own_period_only(root: Path, published: list[str]) -> None:
    stale = [
        f"{name}@{p}" for name in ("survival", "summary", "report") for p in ("2026-09", "2026-10")
    ]
    flow = PlayedFlow(root, stale, failing=["survival@2026-09"])
    with pytest.raises(
        FailedPeriodsError, match=r"1 of 4 months not published: 2026-09.*cell 'answer'"
    ) as caught:
        build(flow)
    assert caught.value.code == 70
    assert published == ["2026-10"]
    assert "summary@2026-09" not in flow.asked
    assert flow.asked[-1] == "commit report@2026-10 summary@2026-10 survival@2026-10"


def test_a_period_that_is_not_due_is_named_and_skipped(root: Path, published: list[str]) -> None:
    runner.add_periods(root, ["2026-11"])
    flow = PlayedFlow(root, ["report@2026-10", "report@2026-11", "survival@2026-11"])
    said = build(flow)
    assert "Skipped: 2026-11 is not due" in said
    assert published == ["2026-10"]
    assert "survival@2026-11" not in flow.asked


def test_a_month_that_became_due_is_added_and_its_snapshot_made(
    root: Path, published: list[str]
) -> None:
    extract = {"extract_date": "2026-11-30"}
    store.write_json(extract, root / "data" / "processed" / "ingest" / "extract.json")
    flow = PlayedFlow(root, [])
    said = build(flow)
    assert "added 2026-11 to periods" in said
    assert flow.asked == ["repro snapshot"]
    assert configuration.load(root).periods[-1] == "2026-11"


def test_a_period_asked_for_that_is_not_due_is_refused_and_not_added(root: Path) -> None:
    with pytest.raises(NotDueError, match="2026-11 is not due"):
        build(PlayedFlow(root, []), "2026-11")
    assert (root / "params.yaml").read_text(encoding="utf-8") == SHIPPED


def test_one_period_asked_for_is_the_only_one_built(root: Path, published: list[str]) -> None:
    flow = PlayedFlow(root, ["survival@2026-09", "report@2026-09", "report@2026-10"])
    build(flow, "2026-09")
    assert published == ["2026-09"]


@pytest.mark.parametrize("settled", [{"2026-08", "2026-09"}])
def test_a_final_report_is_left_alone_whatever_happened_to_the_code(
    root: Path, published: list[str]
) -> None:
    flow = PlayedFlow(root, [f"{name}@2026-09" for name in ("survival", "summary", "report")])
    build(flow)
    assert (flow.asked, published) == ([], [])
    states = {row["period"]: row["state"] for row in flow.record_of_run.content["periods"]}
    assert states == {"2026-08": "in_force", "2026-09": "in_force"}


@pytest.mark.parametrize("settled", [{"2026-08", "2026-09"}])
def test_force_builds_a_final_report_again(root: Path, published: list[str]) -> None:
    flow = PlayedFlow(root, ["survival@2026-09"])
    build(flow, "2026-09", force=True)
    assert flow.asked == ["survival@2026-09", "commit survival@2026-09", "commit report@2026-09"]
    assert published == ["2026-09"]


def test_chosen_chapters_run_alone_and_publish_nothing(root: Path, published: list[str]) -> None:
    stale = [f"{name}@2026-10" for name in ("survival", "revenue", "summary", "report")]
    flow = PlayedFlow(root, stale)
    said = build(flow, chapters=("survival",))
    assert (flow.asked, published) == (["survival@2026-10", "commit survival@2026-10"], [])
    assert "nothing is published" in said


def test_the_manifest_names_the_failed_cell_of_a_period_and_the_published_ones(
    root: Path, published: list[str]
) -> None:
    stale = ["survival@2026-09", "report@2026-09", "report@2026-10"]
    flow = PlayedFlow(root, stale, failing=["survival@2026-09"])
    with pytest.raises(FailedPeriodsError):
        build(flow)
    run = store.read_json(flow.record_of_run.folder / "run.json")
    rows = {row["period"]: row for row in run["periods"]}
    assert rows["2026-10"]["state"] == "published"
    assert rows["2026-09"]["state"] == "failed"
    assert rows["2026-09"]["error"] == {
        "class": "cell_error", "code": 70, "notebook": "03_survival.ipynb", "cell": "answer",
        "message": "cell 'answer' failed: KeyError", "log": "build/log/survival-2026-09.log",
    }  # fmt: skip
    assert [task["stage"] for task in run["tasks"]] == ["survival@2026-09"]


def test_a_span_skips_the_months_that_the_data_do_not_reach(
    root: Path, published: list[str]
) -> None:
    flow = PlayedFlow(root, ["report@2026-10"])
    said = build(flow, "2026-10", "2026-11", skips_not_due=True)
    assert published == ["2026-10"]
    assert "Skipped: 2026-11 is not due" in said
    with pytest.raises(NotDueError):
        build(PlayedFlow(root, []), "2026-11", skips_not_due=True)


def test_force_publishes_what_is_up_to_date(root: Path, published: list[str]) -> None:
    build(PlayedFlow(root, []), "2026-08", force=True)
    assert published == ["2026-08"]


def test_another_company_does_not_need_the_sample(root: Path, published: list[str]) -> None:
    path = root / "params.yaml"
    path.write_text(SHIPPED.replace("company: sample ", "company: acme "), encoding="utf-8")
    flow = PlayedFlow(root, ["simulate", "ingest"])
    build(flow)
    assert flow.asked == ["repro ingest usage", "repro snapshot"]


# Children.


def test_a_chapter_in_a_process_of_its_own_says_why_it_failed(root: Path) -> None:
    with contextlib.closing(Flow(root)) as flow:
        ended = list(flow.run_side_by_side([Task("survival", "2026-10")], 2))
    assert [(each.task.stage, each.code) for each in ended] == [("survival@2026-10", 66)]
    assert "03_survival.ipynb is missing" in ended[0].message


def test_a_failed_stage_keeps_its_own_exit_code_behind_dvc(tmp_path: Path) -> None:
    failure = tmp_path / "failure.json"
    store.write_json({"code": 65, "message": "2 rows cannot be used"}, failure)
    error = flows._stage_failure("repro", failure, ["ERROR: failed to reproduce 'ingest'"])
    assert (error.code, str(error)) == (65, "2 rows cannot be used")
    unknown = flows._stage_failure("repro", tmp_path / "none", ["x\n", "ERROR: no such stage\n"])
    assert (unknown.code, str(unknown)) == (70, "dvc repro failed: ERROR: no such stage")


def test_a_lock_that_a_killed_dvc_left_cut_off_comes_back_from_its_copy(
    root: Path, published: list[str]
) -> None:
    class Cut(PlayedFlow):
        def stale(self) -> set[str]:
            if (root / "dvc.lock").read_text() != "whole":
                raise StageFailedError("dvc.lock is cut off", 78, flows.BAD_LOCK)
            return super().stale()

    flow = Cut(root, [])
    (root / "dvc.lock").write_text("")
    with pytest.raises(StageFailedError, match="cut off"):
        build(flow)
    assert (root / "dvc.lock").read_text() == ""
    store.write_text("cut as well", root / "build" / flows.KEPT_LOCK)
    with pytest.raises(StageFailedError, match="cut off"):
        build(flow)
    assert (root / "dvc.lock").read_text() == ""
    store.write_text("whole", root / "build" / flows.KEPT_LOCK)
    assert "dvc.lock was cut off" in build(flow)
    assert (root / "dvc.lock").read_text() == "whole"


def test_a_stage_that_all_months_share_and_that_failed_marks_those_not_settled(
    root: Path, published: list[str], settled: set[str]
) -> None:
    class Bad(PlayedFlow):
        def reproduce(self, stages: Sequence[str], on_stage: object) -> None:
            raise StageFailedError("accounts.csv line 3", 65, "data")

    settled |= {name for name in configuration.load(root).periods if name < "2026-10"}
    flow = Bad(root, ["ingest"])
    with pytest.raises(StageFailedError):
        build(flow)
    (row,) = flow.record_of_run.content["periods"]
    assert (row["period"], row["state"], row["error"]["class"]) == ("2026-10", "failed", "data")


def test_a_flow_without_stages_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    with pytest.raises(ConfigurationError, match="names no stage"):
        flows.named_parameters(tmp_path)


def test_a_root_with_a_flow_of_its_own_is_left_as_it_is(root: Path) -> None:
    roots.lay_out(root, ROOT)
    assert not (root / "pipeline").exists()


@pytest.mark.parametrize("words", ["", "[]", '{"files": 1}'], ids=["empty", "list", "number"])
def test_a_root_that_forgot_what_was_laid_out_is_told_how_to_mend_it(
    tmp_path: Path, words: str
) -> None:
    store.write_text("stages: {}\n", tmp_path / "dvc.yaml")
    store.write_text(words, tmp_path / "build" / "laid-out.json")
    with pytest.raises(store.CorruptDataError, match=r"laid-out.json is damaged.*lays them out"):
        roots.lay_out(tmp_path, ROOT)


def test_a_root_that_was_laid_out_follows_the_project(tmp_path: Path) -> None:
    project, root = tmp_path / "project", tmp_path / "root"
    for name in ("dvc.yaml", ".dvcignore", ".dvc/config", "requirements.lock"):
        store.write_text(name, project / name)
    store.write_text("1", project / "pipeline" / "run.py")
    store.write_text("1", project / "notebooks" / "03_survival.ipynb")
    (root / ".dvc").mkdir(parents=True)
    roots.lay_out(root, project)
    store.write_text("2", project / "pipeline" / "run.py")
    (project / "notebooks" / "03_survival.ipynb").unlink()
    roots.lay_out(root, project)
    assert (root / "pipeline" / "run.py").read_text() == "2"
    assert list((root / "notebooks").iterdir()) == []


def test_what_is_laid_out_as_the_project_has_it_is_not_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, root = tmp_path / "project", tmp_path / "root"
    for name in ("dvc.yaml", ".dvcignore", ".dvc/config", "requirements.lock", "pipeline/run.py"):
        store.write_text(name, project / name)
    roots.lay_out(root, project)
    written: list[Path] = []
    monkeypatch.setattr(disk, "write_bytes", lambda _, path: written.append(path))
    roots.lay_out(root, project)
    assert written == []


def test_a_lay_out_that_was_killed_half_way_begins_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, root = tmp_path / "project", tmp_path / "root"
    for name in ("dvc.yaml", ".dvcignore", ".dvc/config", "requirements.lock", "pipeline/run.py"):
        store.write_text(name, project / name)
    with monkeypatch.context() as patch:
        left, write = iter(range(4)), disk.write_bytes

        def killed(content: bytes, path: Path) -> None:
            if next(left, None) is None:
                raise KeyboardInterrupt
            write(content, path)

        patch.setattr(disk, "write_bytes", killed)
        with pytest.raises(KeyboardInterrupt):
            roots.lay_out(root, project)
    roots.lay_out(root, project)
    assert (root / "requirements.lock").is_file()
    assert (root / "pipeline" / "run.py").is_file()


def test_what_a_person_wrote_in_a_laid_out_root_stays(tmp_path: Path) -> None:
    project, root = tmp_path / "project", tmp_path / "root"
    for name in ("dvc.yaml", ".dvcignore", ".dvc/config", "requirements.lock"):
        store.write_text(name, project / name)
    store.write_text("1", project / "pipeline" / "run.py")
    store.write_text("1", project / "notebooks" / "03_survival.ipynb")
    store.write_text("mine", root / "notebooks" / "mine.ipynb")
    (root / ".dvc").mkdir(parents=True)
    roots.lay_out(root, project)
    store.write_text("edited", root / "notebooks" / "03_survival.ipynb")
    store.write_text("2", project / "notebooks" / "03_survival.ipynb")
    roots.lay_out(root, project)
    roots.lay_out(root, project)
    assert (root / "notebooks" / "mine.ipynb").read_text() == "mine"
    assert (root / "notebooks" / "03_survival.ipynb").read_text() == "edited"
    assert (root / "pipeline" / "run.py").read_text() == "1"


# The whole machine, on the small company.


def digest(root: Path) -> dict[str, str]:
    files = [path for name in ("reports", "data") for path in (root / name).rglob("*")]
    files += [root / "dvc.lock", root / "params.yaml"]
    return {str(path): store.sha256(path) for path in files if path.is_file()}


def test_a_second_run_changes_no_byte_and_leaves_nothing_out_of_date(test_root: Path) -> None:
    before = digest(test_root)
    command = [sys.executable, "-m", "pipeline.cli", "--root", str(test_root), "run"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert digest(test_root) == before
    with contextlib.closing(Flow(test_root)) as flow:
        assert flow.stale() == set()
    assert "reports/index.html: October 2026 (provisional): " in done.stdout.splitlines()[-1]


def test_the_small_company_has_a_final_and_a_provisional_report(test_root: Path) -> None:
    paths = Paths(test_root, "sample")
    found = {report["period"]: report["status"] for report in publish.all_reports(paths)}
    assert found == {"2026-08": "final", "2026-10": "provisional"}


def test_reports_hold_no_nan_and_no_path_of_this_machine(test_root: Path) -> None:
    for path in sorted((test_root / "reports").rglob("*.*")):
        text = path.read_text(encoding="utf-8")
        assert str(ROOT) not in text, path
        if path.suffix == ".json":
            json.loads(text, parse_constant=pytest.fail)


def test_the_annex_runs_beside_the_chapters_and_the_slow_ones_start_first() -> None:
    names = ("annex", "population", "survival", "summary", "drivers", "revenue")
    stale = {*(f"{name}@2026-09" for name in names), "drivers@2026-10"}
    found = [task.stage for task in flows.chapter_tasks(stale, ["2026-09"])]
    slow = ["drivers@2026-09", "revenue@2026-09", "survival@2026-09"]
    assert found == ["annex@2026-09", *slow, "population@2026-09"]
