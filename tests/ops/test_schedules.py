"""The schedules in ops/: one command on the same days, as their own tools read them.

Airflow is not in the environment (its dependencies and ours do not go together), so the DAG is
loaded with stand-ins for the two names it imports.
"""

import datetime as dt
import re
import runpy
import shutil
import subprocess
import sys
import types
from pathlib import Path
from typing import Any, Self

import pytest
from ruamel.yaml import YAML

from pipeline import cli, exits, settings
from tests.ops import checkout

ROOT = Path(__file__).parents[2]
OPS = ROOT / "ops"
SERVICE = OPS / "systemd" / "lodestar@.service"
TIMER = OPS / "systemd" / "lodestar@.timer"
CRONTAB = OPS / "cron" / "lodestar.crontab"
WORKFLOW = YAML(typ="safe", pure=True).load((OPS / "github" / "reports.yml").read_text("utf-8"))
DAG_FILE = OPS / "airflow" / "lodestar_reports.py"

FOLDER = "/srv/reports of 日本"
SCHEDULE = "0 6 1,6 * *"
LARGEST_EXPOSURE = "25"
"""In tenths, as `systemd-analyze security` counts: 100 is a service that may do everything."""

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *words], capture_output=True, text=True, timeout=60, check=False
    )


def unit_values(unit: Path, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", unit.read_text(encoding="utf-8"), re.MULTILINE)


def verbs_of_the_makefile() -> set[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z][a-z-]*):.*## ", makefile, re.MULTILINE))


def assert_known(command: str) -> None:
    """A command of ours that exists: a verb of make, a command of lodestar, a script of ops."""
    program, *words = command.split()
    if program == "make":
        assert words[0] in verbs_of_the_makefile() | {".venv/.ready"}
    elif program == ".venv/bin/lodestar":
        assert words[0] in {each.callback.__name__ for each in cli.app.registered_commands}
    else:
        assert program == "sh", command
        assert (ROOT / words[0]).is_file()


def hours_of_a_run() -> float:
    return float(settings.load(ROOT).run.run_timeout_hours)


# systemd.


@pytest.fixture
def units(tmp_path: Path) -> list[str]:
    """Both units for a project in a folder with a space and Japanese characters."""
    escaped = subprocess.run(
        ["systemd-escape", "--path", FOLDER], capture_output=True, text=True, check=True
    ).stdout.strip()
    copies = [tmp_path / unit.name.replace("@", f"@{escaped}") for unit in (SERVICE, TIMER)]
    for unit, copy in zip((SERVICE, TIMER), copies, strict=True):
        shutil.copy(unit, copy)
    return [str(copy) for copy in copies]


@needs_systemd
def test_systemd_accepts_the_service_and_the_timer(units: list[str]) -> None:
    done = analyze("verify", "--recursive-errors=no", *units)
    assert done.returncode == 0
    assert done.stdout + done.stderr == ""


@needs_systemd
def test_the_service_may_do_little_more_than_write_in_its_folder(units: list[str]) -> None:
    words = ("security", "--offline=yes", "--no-pager", f"--threshold={LARGEST_EXPOSURE}")
    done = analyze(*words, units[0])
    assert done.returncode == 0, done.stdout
    assert unit_values(SERVICE, "ReadWritePaths") == ["%f"]


@needs_systemd
def test_the_timer_fires_on_the_first_and_the_sixth_at_six() -> None:
    days = unit_values(TIMER, "OnCalendar")
    assert len(days) == 1
    words = ("calendar", "--iterations=3", "--base-time=2026-10-31 12:00:00", days[0])
    fires = re.findall(
        r"(?:Next elapse|Iter(?:ation|\.) #\d): \w+ (\S+ \S+)", analyze(*words).stdout
    )
    assert fires == ["2026-11-01 06:00:00", "2026-11-06 06:00:00", "2026-12-01 06:00:00"]


def test_a_start_that_was_missed_is_made_up_for() -> None:
    assert unit_values(TIMER, "Persistent") == ["true"]


def test_the_service_calls_the_verb_that_people_use_and_then_keeps() -> None:
    commands = unit_values(SERVICE, "ExecStart") + unit_values(SERVICE, "ExecStartPost")
    assert commands == ["make report", "sh ops/keep"]
    for command in commands:
        assert_known(command)


def test_systemd_waits_longer_than_the_runner() -> None:
    hours = re.fullmatch(r"(\d+)h", unit_values(SERVICE, "TimeoutStartSec")[0])
    assert hours
    assert int(hours[1]) > hours_of_a_run()


# cron.


def cron_line() -> tuple[str, str]:
    """The schedule and the command of the one line that is neither comment nor variable."""
    text = CRONTAB.read_text(encoding="utf-8").splitlines()
    lines = [line for line in text if line and not re.match(r"#|\w+=", line)]
    assert len(lines) == 1
    *fields, command = lines[0].split(maxsplit=5)
    return " ".join(fields), command


def test_the_cron_line_fires_on_the_same_days() -> None:
    schedule, command = cron_line()
    assert schedule == SCHEDULE
    assert "%" not in command, "cron ends a command at a percent sign"


@pytest.mark.parametrize(("code", "is_kept"), [(0, True), (70, False)])
def test_the_cron_line_runs_in_a_bare_environment_and_keeps_after_success_only(
    tmp_path: Path, code: int, is_kept: bool
) -> None:
    place = tmp_path / "a folder 日本"
    checkout.lay_out(place)
    checkout.make_ready(place)
    said = 'echo "$# $*"; echo trouble >&2; '
    checkout.write_program(place / ".venv" / "bin" / "lodestar", f"{said}exit {code}\n")
    checkout.write_program(place / "ops" / "keep", "echo kept\n")
    done = checkout.call(cron_line()[1], tmp_path, LODESTAR_FOLDER=str(place))
    log = (place / "build" / "cron.log").read_text(encoding="utf-8")
    assert done.stdout + done.stderr == "", "cron would send a mail"
    assert (done.returncode == 0) is is_kept
    assert log.startswith("1 run\ntrouble\n")
    assert ("kept" in log) is is_kept
    assert (f"exit code {code}" in log) is not is_kept


# GitHub Actions.


def steps() -> list[dict[str, Any]]:
    return list(WORKFLOW["jobs"]["report"]["steps"])


def test_the_workflow_fires_on_the_same_days() -> None:
    assert WORKFLOW["on"]["schedule"] == [{"cron": SCHEDULE}]


def test_every_command_of_the_workflow_exists() -> None:
    lines = [line for step in steps() for line in step.get("run", "").splitlines()]
    own = [line for line in lines if not line.startswith("git ")]
    assert own == ["make report", "sh ops/keep"]
    for line in own:
        assert_known(line)


def test_no_text_of_an_outsider_stands_in_a_shell_line_of_the_workflow() -> None:
    assert [step for step in steps() if "${{" in step.get("run", "")] == []
    assert WORKFLOW["jobs"]["report"]["env"]["PERIOD"] == "${{ inputs.period }}"


def test_one_workflow_runs_at_a_time_on_a_disk_that_stays() -> None:
    assert WORKFLOW["concurrency"] == {"group": "lodestar-reports", "cancel-in-progress": False}
    job = WORKFLOW["jobs"]["report"]
    assert "self-hosted" in job["runs-on"]
    assert job["timeout-minutes"] > hours_of_a_run() * 60
    fetched = next(step for step in steps() if step.get("uses", "").startswith("actions/checkout@"))
    assert fetched["with"]["clean"] is False


def test_every_secret_comes_from_the_secrets_of_the_repository() -> None:
    variables = WORKFLOW["jobs"]["report"]["env"]
    secret = {name: value for name, value in variables.items() if name != "PERIOD"}
    assert secret == {name: f"${{{{ secrets.{name} }}}}" for name in secret}


# Airflow.


class StandInDag:
    """Remembers how it was made."""

    def __init__(self, **arguments: Any) -> None:
        self.arguments = arguments

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        return None


class StandInOperator:
    """Remembers how it was made and what comes after it."""

    def __init__(self, **arguments: Any) -> None:
        self.arguments = arguments
        self.then: StandInOperator | None = None

    def __rshift__(self, other: "StandInOperator") -> "StandInOperator":
        self.then = other
        return other


@pytest.fixture
def dag_module(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the DAG file defines."""
    stand_ins = {
        "airflow.providers.standard.operators.bash": {"BashOperator": StandInOperator},
        "airflow.sdk": {"DAG": StandInDag},
    }
    for dotted, names in stand_ins.items():
        parts = dotted.split(".")
        for depth in range(1, len(parts) + 1):
            name = ".".join(parts[:depth])
            monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
        vars(sys.modules[dotted]).update(names)
    monkeypatch.setenv("LODESTAR_FOLDER", FOLDER)
    return runpy.run_path(str(DAG_FILE))


def test_the_dag_fires_on_the_same_days_one_run_at_a_time(dag_module: dict[str, Any]) -> None:
    arguments = dag_module["dag"].arguments
    assert arguments["schedule"] == SCHEDULE
    assert arguments["catchup"] is False
    assert arguments["max_active_runs"] == 1
    assert arguments["default_args"] == {"retries": 0}


def test_the_dag_sets_up_then_reports_then_keeps(dag_module: dict[str, Any]) -> None:
    task, commands = dag_module["set_up"], []
    while task is not None:
        commands.append(task.arguments["bash_command"])
        assert task.arguments["cwd"] == FOLDER
        task = task.then
    assert commands == ["make .venv/.ready", ".venv/bin/lodestar run", "sh ops/keep"]
    for command in commands:
        assert_known(command)


def test_not_now_is_no_failure_for_airflow(dag_module: dict[str, Any]) -> None:
    arguments = dag_module["report"].arguments
    assert arguments["skip_on_exit_code"] == exits.NOT_NOW
    assert arguments["execution_timeout"] > dt.timedelta(hours=hours_of_a_run())


# All of them.


@pytest.mark.parametrize(
    "path",
    sorted(path for path in OPS.rglob("*") if path.is_file()),
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_a_schedule_names_no_path_of_one_machine_and_no_secret(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"(?<![\w.{}<>/])/(?:home|root|tmp|opt|work|Users)/\S*", text) == []
    assert re.findall(r"\b\w+://\S*@", text) == []
