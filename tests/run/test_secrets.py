"""A canary in every secret variable: after a run that tries to tell it, no file holds it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.running import PROJECT, Company, copied

KEY, TOKEN, PASSWORD = "canary-7f3e9b-key", "canary-7f3e9b-token", "canary-7f3e9b-password"
SECRETS = {
    "LODESTAR_PSEUDONYM_KEY": KEY,
    "LODESTAR_NOTIFY_URLS": f"json://reader:{PASSWORD}@127.0.0.1:9/{TOKEN}",
    "LODESTAR_PING_URL": f"http://127.0.0.1:9/{TOKEN}",
    "SALES_PASSWORD": PASSWORD,
}
TELLING = "import os; print(dict(os.environ)); raise ValueError(str(dict(os.environ)))"


def holding_a_canary(root: Path) -> list[str]:
    """Files below a root that hold a secret."""
    files = [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
    return [
        str(path.relative_to(root)) for path in sorted(files) if b"canary-7f" in path.read_bytes()
    ]


def test_a_run_that_fails_with_a_secret_in_its_message_writes_it_nowhere(tmp_path: Path) -> None:
    params = (
        "company: acme\ncompany_name: Acme\nperiods: ['2026-10']\nchapters: [summary]\n"
        "source: {tables: {accounts: {file: missing-${KEY}.csv}}}\n"
    )
    text = params.replace("${KEY}", KEY)
    (tmp_path / "params.yaml").write_text(text)
    (tmp_path / "requirements.lock").write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "--root", str(tmp_path), "run"],
        cwd=PROJECT, env=os.environ | SECRETS, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 66, done.stderr
    assert "missing-[redacted].csv" in done.stderr
    assert "canary" not in done.stdout + done.stderr
    assert holding_a_canary(tmp_path) == ["params.yaml"]
    logs = [path.read_text() for path in tmp_path.glob("build/runs/*/log.jsonl")]
    assert ["not_sent" in log for log in logs] == [True]


@pytest.fixture
def company(test_root: Path, tmp_path: Path) -> Iterator[Company]:
    with copied(test_root, tmp_path / "company") as made:
        yield made


@pytest.mark.timeout(900)
def test_a_notebook_that_tells_its_environment_leaves_no_secret_in_any_file(
    company: Company,
) -> None:
    company.poison("04_drivers.ipynb", TELLING)
    done = company.lodestar("run", **SECRETS)
    assert done.returncode == 70, done.stderr
    assert "[redacted]" in (company.root / "build" / "log" / "drivers-2026-10.ipynb").read_text()
    assert "canary" not in done.stdout + done.stderr
    assert holding_a_canary(company.root) == []
