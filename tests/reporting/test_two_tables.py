"""A company that brings accounts and subscriptions alone gets a report that says what it lacks."""

import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipeline.data.schema import RAW, adds
from pipeline.settings import CHAPTERS, SUMMARY, Paths, Simulate
from pipeline.stages.simulate import simulate

ROOT = Path(__file__).parents[2]
SEED = 20261122
PERIOD = "2025-06"
BUILD_SECONDS = 1500


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the report of one month, built through the whole machine."""
    root = tmp_path_factory.mktemp("two-tables")
    paths = Paths(root, "acme")
    simulate(Simulate(seed=SEED, accounts=300, months=24), paths.raw)
    for path in paths.raw.iterdir():
        if path.name.split(".")[0] not in ("accounts", "subscriptions"):
            path.unlink()
    params = YAML().load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    lifted = {"max_share_of_rows": 0.5, "max_share_of_mrr": 0.5}
    params.update({"company": "acme", "company_name": "Acme", "periods": [PERIOD]})
    params["quarantine"].update(lifted)
    with (root / "params.yaml").open("w", encoding="utf-8") as file:
        YAML().dump(params, file)
    command = [sys.executable, "-m", "pipeline.cli", "--root", str(root), "run"]
    command += ["--period", PERIOD]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return root / "reports" / PERIOD


@pytest.mark.slow
@pytest.mark.timeout(BUILD_SECONDS)
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_each_chapter_says_in_one_sentence_what_absent_tables_would_add(
    reports: Path, chapter: str
) -> None:
    name = "index" if chapter == SUMMARY else chapter
    page = unescape((reports / f"{name}.html").read_text(encoding="utf-8"))
    absent = [table for table in RAW if chapter in adds.of_table(table)]
    assert ("Data that are not given would add:" in page) == bool(absent)
    for table in absent:
        assert f"{adds.of_table(table)[chapter]} ({table})" in page
