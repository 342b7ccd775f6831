"""A company in a database, run as each month: what is built, when nothing is, and what is told."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipeline import settings
from pipeline.data import store
from pipeline.flow import Flow, Task
from pipeline.stages import extract
from tests.postgres import Server
from tests.test_billing_example import EXAMPLE, ROOT, VARIABLE, filled

ROLE, PASSWORD = "reader_of_billing", "canary-5e1f-password"
CHAPTERS = ["summary", "population"]


@pytest.fixture(scope="module")
def billing(
    postgres: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, Server, str]]:
    """A root with the example's params, and its database behind a password."""
    root = tmp_path_factory.mktemp("run")
    shutil.copy(EXAMPLE / "params.yaml", root)
    yaml = YAML()
    params = yaml.load((root / "params.yaml").read_text(encoding="utf-8"))
    params |= {"periods": ["2025-03"], "chapters": CHAPTERS, "annex": "never"}
    with (root / "params.yaml").open("w", encoding="utf-8") as text:
        yaml.dump(params, text)
    with postgres.database() as name:
        postgres.execute(
            name,
            *filled(),
            f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'",
            f"GRANT USAGE ON SCHEMA billing, crm TO {ROLE}",
            f"GRANT SELECT ON ALL TABLES IN SCHEMA billing, crm TO {ROLE}",
        )
        yield root, postgres, postgres.with_password(name, ROLE, PASSWORD)
        postgres.execute(name, f"DROP OWNED BY {ROLE}", f"DROP ROLE {ROLE}")


def lodestar(root: Path, url: str | None, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {name: text for name, text in os.environ.items() if name != VARIABLE}
    return subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "--root", str(root), *words],
        cwd=ROOT, env=environment | ({VARIABLE: url} if url else {}), capture_output=True,
        text=True, check=False,
    )  # fmt: skip


def test_a_run_takes_its_extract_before_it_looks_for_exports_and_tells_no_address(
    billing: tuple[Path, Server, str], tmp_path: Path
) -> None:
    root, server, url = billing
    shutil.copytree(root, tmp_path / "company")
    root = tmp_path / "company"
    params = (root / "params.yaml").read_text(encoding="utf-8")
    with_file = params.replace(
        "    adjustments:\n", "    tickets: {file: none.csv}\n    adjustments:\n"
    )
    (root / "params.yaml").write_text(with_file, encoding="utf-8")
    raw = root / "data" / "raw" / "billing_postgres"

    down = lodestar(root, url.replace(f":{server.port}/", ":1/"), "run")
    assert (down.returncode, "cannot be reached" in down.stderr) == (75, True), down.stderr
    assert not raw.exists()
    done = lodestar(root, url, "run")
    assert (done.returncode, "none.csv" in done.stderr) == (66, True), done.stderr
    assert "Took an extract of the database" in done.stdout
    assert store.read_json(raw / extract.RECORD)["tables"]["accounts"]["rows"] == 12
    assert told(root, down, done) == []


def told(root: Path, *runs: subprocess.CompletedProcess[str]) -> list[str]:
    """Files and outputs in which a secret or the server's place stands."""
    said = [
        stream
        for run in runs
        for stream in (run.stdout, run.stderr)
        if "canary" in stream or "127.0.0.1" in stream
    ]
    held = [
        str(path.relative_to(root))
        for path in root.rglob("*")
        if path.is_file() and b"canary-5e1f" in path.read_bytes()
    ]
    return said + held


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_run_reports_from_a_database_and_the_next_has_nothing_to_do(
    billing: tuple[Path, Server, str],
) -> None:
    root, server, url = billing
    done = lodestar(root, url, "run", "--period", "2025-03")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Took an extract of the database" in done.stdout
    report = store.read_json(root / "reports" / "2025-03" / "report.json")
    assert (report["company"], report["period"]) == ("billing_postgres", "2025-03")
    record = store.read_json(root / "data" / "raw" / "billing_postgres" / extract.RECORD)
    assert record["tables"]["accounts"]["rows"] == 12

    again = lodestar(root, url, "run", "--period", "2025-03")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "The database holds what it held" in again.stdout
    assert "Nothing to do" in again.stdout

    down = lodestar(root, url.replace(f":{server.port}/", ":1/"), "run")
    assert down.returncode == 75
    assert "cannot be reached" in down.stderr
    assert store.read_json(root / "reports" / "2025-03" / "report.json") == report

    offline = lodestar(root, None, "run", "--offline", "--period", "2025-03")
    assert offline.returncode == 0, offline.stdout + offline.stderr
    assert "the database was not asked" in offline.stdout

    wrong = lodestar(root, url.replace(PASSWORD, f"{PASSWORD}-wrong"), "run")
    assert wrong.returncode == 78
    assert told(root, done, again, down, offline, wrong) == []


def test_no_stage_and_no_notebook_is_told_where_the_database_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(EXAMPLE / "params.yaml", tmp_path)
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "__init__.py").write_text("")
    (tmp_path / "pipeline" / "cli.py").write_text("import os; print(sorted(os.environ))\n")
    monkeypatch.setenv(VARIABLE, f"postgresql://{ROLE}:{PASSWORD}@localhost/billing")
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    flow = Flow(tmp_path, hidden=extract.secrets(settings.load(tmp_path)))
    list(flow.run_side_by_side([Task("revenue", "2025-03")], 1))
    flow.close()
    flow.close()
    seen = (flow.log / "revenue-2025-03.log").read_text(encoding="utf-8")
    assert "'PATH'" in seen
    assert VARIABLE not in seen
    assert "PGPASSWORD" not in seen
