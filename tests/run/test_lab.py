"""`lodestar lab`: what it builds, whom it tells, and the JupyterLab that it starts."""

import hashlib
import io
import json
import shutil
import sys
from contextlib import closing
from pathlib import Path

import nbformat
import pytest
from rich.console import Console

from pipeline import cli
from pipeline.data import store
from pipeline.flow import Flow
from pipeline.lock import locked
from pipeline.run import Progress, lab
from pipeline.settings import ConfigurationError

pytestmark = pytest.mark.timeout(900)

PROJECT = Path(__file__).parents[2]
SETTINGS = PROJECT / ".jupyter"
SCHEMAS = Path(sys.prefix) / "share" / "jupyter" / "lab" / "schemas"


def heard() -> Progress:
    return Progress(Console(file=io.StringIO(), soft_wrap=True))


def said(progress: Progress) -> str:
    return progress.console.file.getvalue()


class UpToDate(Flow):
    """In its folder nothing is out of date."""

    def stale(self) -> set[str]:
        return set()


def files_of_readers(root: Path) -> dict[str, str]:
    places = [*(root / "reports").rglob("*"), *(root / "build" / "runs").rglob("*")]
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in places
        if path.is_file()
    }


@pytest.fixture(scope="module")
def company(test_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small company, to break and build."""
    root = tmp_path_factory.mktemp("company") / "root"
    return Path(shutil.copytree(test_root, root, symlinks=True))


# What is built.


def test_tables_that_are_up_to_date_are_left_alone(test_root):
    progress = heard()
    lab.bring_up_to_date(test_root, None, UpToDate(test_root), progress)
    assert said(progress) == "The tables of October 2026 are up to date.\n"


def test_a_chapter_that_is_missing_is_run_and_no_reader_sees_it(company):
    before, progress = files_of_readers(company), heard()
    kept = company / "data" / "processed" / "headline" / "2026-10" / "population.json"
    first = kept.read_bytes()
    kept.unlink()
    with closing(Flow(company)) as flow:
        lab.bring_up_to_date(company, None, flow, progress)
    assert "population 2026-10" in said(progress)
    assert "survival" not in said(progress).partition("Only")[0]
    assert kept.read_bytes() == first
    assert files_of_readers(company) == before


def test_a_chapter_that_fails_is_said_and_jupyterlab_may_open(company):
    before, progress = files_of_readers(company), heard()
    notebook = company / "notebooks" / "01_population.ipynb"
    kept = notebook.read_bytes()
    broken = nbformat.read(notebook, as_version=4)
    broken.cells[3].source = "raise ValueError('nobody counted')"
    nbformat.write(broken, notebook)
    with closing(Flow(company)) as flow:
        lab.bring_up_to_date(company, None, flow, progress)
    notebook.write_bytes(kept)
    assert "NOT UP TO DATE: 01_population.ipynb" in said(progress)
    assert "ValueError: nobody counted" in said(progress)
    assert said(progress).endswith("JupyterLab opens all the same, on the tables that stand.\n")
    assert files_of_readers(company) == before


def test_without_a_snapshot_a_failure_stops_it(tmp_path):
    shutil.copy(PROJECT / "params.yaml", tmp_path)
    (tmp_path / "params.yaml").write_text("company: [none]\n")
    with pytest.raises(ConfigurationError):
        lab.bring_up_to_date(tmp_path, None, UpToDate(tmp_path), heard())
    with pytest.raises(store.MissingDataError, match="holds no snapshot"):
        lab.open_lab(tmp_path)


def test_beside_a_run_nothing_is_looked_at_and_jupyterlab_may_open(test_root, tmp_path, capsys):
    copy = Path(shutil.copytree(test_root, tmp_path / "root", symlinks=True))
    log = copy / "build" / "log" / "dvc.log"
    log.unlink(missing_ok=True)
    with locked(copy):
        cli._bring_up_to_date(copy, None)
    assert "NOT UP TO DATE: Another run is under way here" in capsys.readouterr().out
    assert not log.exists()


# The JupyterLab that starts.


def test_its_folder_is_the_project_and_its_windows_are_its_own(tmp_path):
    words = lab.command(tmp_path)
    assert f"--ServerApp.root_dir={tmp_path}" in words
    assert f"--LabApp.workspaces_dir={tmp_path}/build/lab/workspaces" in words
    assert not any("token" in word or "password" in word for word in words)
    with_port = set(lab.command(tmp_path, 8901))
    assert {"--ServerApp.port=8901", "--ServerApp.port_retries=0"} <= with_port


def test_a_kernel_counts_as_in_a_run_and_pictures_are_the_notebooks_own(tmp_path, monkeypatch):
    monkeypatch.setenv("LODESTAR_ROOT", "/somewhere/else")
    monkeypatch.delenv("MPLBACKEND", raising=False)
    found = lab.environment(tmp_path)
    assert found["LODESTAR_ROOT"] == str(tmp_path)
    assert (found["PYTHONHASHSEED"], found["TZ"], found["OMP_NUM_THREADS"]) == ("0", "UTC", "1")
    assert "MPLBACKEND" not in found
    assert found["JUPYTER_CONFIG_PATH"].startswith(str(SETTINGS))


def test_every_setting_is_one_that_jupyterlab_knows():
    path = SETTINGS / "labconfig" / "default_setting_overrides.json"
    unknown = []
    for plugin, chosen in json.loads(path.read_text(encoding="utf-8")).items():
        package, _, name = plugin.partition(":")
        schema = json.loads((SCHEMAS / package / f"{name}.json").read_text(encoding="utf-8"))
        unknown += [f"{plugin} {key}" for key in chosen if key not in schema["properties"]]
    assert unknown == []


def test_jupyterlab_asks_nobody_for_news_or_versions_and_offers_one_kernel():
    chosen = json.loads((SETTINGS / "jupyter_lab_config.json").read_text(encoding="utf-8"))
    assert chosen["LabApp"]["news_url"] is None
    assert chosen["LabApp"]["check_for_updates_class"] == "jupyterlab.NeverCheckForUpdate"
    assert chosen["LabApp"]["extension_manager"] == "readonly"
    assert chosen["KernelSpecManager"]["allowed_kernelspecs"] == ["lodestar"]


@pytest.mark.parametrize("is_writable", [True, False])
def test_jupyter_writes_below_the_project_only_where_the_home_has_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_writable: bool
) -> None:
    home, variables = tmp_path / "home", ("CONFIG", "DATA", "RUNTIME")
    home.mkdir() if is_writable else home.touch()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    for each in variables:
        monkeypatch.delenv(f"JUPYTER_{each}_DIR", raising=False)
    given = lab.environment(tmp_path)
    found = [given.get(f"JUPYTER_{each}_DIR") for each in variables]
    below = tmp_path / "build" / "lab" / "jupyter"
    wanted = [None if is_writable else str(below / each.lower()) for each in variables]
    assert found == wanted
