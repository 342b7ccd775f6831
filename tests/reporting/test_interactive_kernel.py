"""A real kernel: what a run leaves off, what a person at the keyboard gets, how edits are seen.

One kernel for all, on a copy of the package, because a kernel with our libraries takes seconds.
"""

import datetime as dt
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_notebook

import pipeline
from pipeline.data import slice as slices
from pipeline.data import store
from pipeline.reporting.interactive import errors, session
from pipeline.settings import Paths, Period

PARAMS = Path(__file__).parents[2] / "params.yaml"
IS_ON = f"""
shell = get_ipython()
is_reloading = "{session.RELOADER}" in shell.magics_manager.registry
print(bool(shell.custom_exceptions), is_reloading, pandas.get_option("display.max_rows"))
"""
AT_RISK = """
levels = ["smb", "mid"] * 300
rows = pandas.DataFrame({"account_id": range(600), "entry_days": 0, "segment": levels,
                         "cause": "voluntary"})
at_risk = rows.assign(duration_days=rows.index % 97 + 1.0, is_event=rows.index % 3 == 0)
"""
SOURCES = {
    "imports": "import pandas\nimport pipeline\nfrom pipeline.analysis import survival\n"
    "from pipeline.reporting import figures\nfrom pipeline.reporting.chapter import open_chapter",
    "run": "open_chapter('survival', '2026-10', output)\n" + IS_ON,
    "failed opening": "open_chapter('survival', horizon=3)",
    "opened": "chapter = open_chapter('survival')\n" + IS_ON,
    "chapter": "chapter",
    "frame": "accounts = chapter.read('accounts')\naccounts",
    "printed": "print(pandas.DataFrame({'n': range(500)}))",
    "foreign": "pandas.DataFrame({'x': range(30)})",
    "figure": "figures.bars(pandas.DataFrame({'level': ['a'], 'n': [1]}), label='level', value='n',"
    " name='bars', title='One bar', subtitle='s', alt='a', source='one account')",
    "fit": AT_RISK + "fit = survival.cox(at_risk, ['segment'])\nfit",
    "summary": "fit.fitted.print_summary()",
    "foreseen": "chapter.read('acounts')",
    "slip": "accounts['segmnt']",
    "whole": "%tb",
    "where": "import sys\nprint(sys.last_value.args, sys.last_traceback is not None)",
    "syntax": "for i in range(3) print(i)",
    "magic": "%not_a_magic",
    "pandas": "chapter.displays('pandas')\naccounts",
    "before": "from dataclasses import replace\nprint(survival.is_time_grouped(at_risk), fit)",
    "edit": """
place = pipeline.__path__[0] + "/analysis/survival/models.py"
text = open(place).read()
new = "def is_time_grouped(_):\\n    return 'new'\\n\\n\\ndef was_it("
text = text.replace("def is_time_grouped(", new)
text = text.replace('COX: "Cox"', 'COX: "Proportional"')
_ = open(place, "w").write(text)""",
    "after": "print(survival.is_time_grouped(at_risk), replace(fit, note='a'))\n"
    "again = survival.cox(at_risk, ['segment'])\nprint(again, type(again) is type(fit))",
    "fit anew": "again",
}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """The outputs of each cell of SOURCES, run in one kernel."""
    root = tmp_path_factory.mktemp("root")
    lay_out(root)
    shutil.copytree(Path(pipeline.__file__).parent, root / "pipeline")
    folder = root / "build" / "scratch" / "a-run" / "survival"
    sources = {"output": f"output = {str(folder)!r}", **SOURCES}
    place = root / "day.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(each) for each in sources.values()]), place)
    given = {"LODESTAR_ROOT": str(root), "PYTHONPATH": str(root), session.FRESH_VARIABLE: ""}
    execute = ["-m", "jupyter", "execute", "--inplace", "--allow-errors", "--kernel_name=python3"]
    done = subprocess.run(
        [sys.executable, *execute, "--AsyncKernelManager.transport=ipc", str(place)],
        env=os.environ | given | {session.SERVER_VARIABLE: "day.ipynb"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    outputs = [cell.outputs for cell in nbformat.read(place, as_version=4).cells]
    return dict(zip(sources, outputs, strict=True))


def lay_out(root: Path) -> None:
    shutil.copy(PARAMS, root / "params.yaml")
    place = Paths(root, "sample").snapshot(Period("2026-10"))
    slices.write(slices.Slice(Period("2026-10"), dt.date(2026, 10, 31), None, 30, 3), place)
    accounts = pd.DataFrame({"account_id": ["a-1"], "segment": ["<b>smb</b>"], "mrr": [10.0]})
    store.write_parquet(accounts, place / "accounts.parquet")


def text_of(outputs: list[Any]) -> str:
    return "".join(output.get("text", "") for output in outputs)


def error_of(outputs: list[Any]) -> list[str]:
    return next(output["traceback"] for output in outputs if output.output_type == "error")


def bundle_of(outputs: list[Any]) -> dict[str, str]:
    return next(output["data"] for output in outputs if output.output_type == "execute_result")


def test_a_run_has_no_short_errors_no_autoreload_and_pandas_own_options(said):
    assert text_of(said["run"]).splitlines()[-1] == "False False 60"


def test_a_chapter_opened_by_hand_switches_all_on(said):
    assert text_of(said["opened"]).strip() == "True True 10"


def test_an_error_of_the_opening_itself_is_short_too(said):
    lines = error_of(said["failed opening"])
    assert lines[0].startswith("survival has no setting horizon; it has strata")
    assert len(lines) <= 3


def test_a_frame_is_a_table_and_short_text_without_ids(said):
    bundle = bundle_of(said["frame"])
    assert "1 row × 3 columns, one row per account" in bundle["text/html"]
    assert "&lt;b&gt;smb&lt;/b&gt;" in bundle["text/html"]
    assert "a-1" not in bundle["text/html"] + bundle["text/plain"]
    assert "acct-" in bundle["text/plain"]


def test_what_is_printed_is_short_and_what_is_not_ours_is_pandas_whole_table(said):
    assert len(text_of(said["printed"]).splitlines()) <= 12
    assert bundle_of(said["foreign"])["text/html"].count("<tr") == 31
    assert 'class="dataframe"' in bundle_of(said["foreign"])["text/html"]


def test_chapter_figure_and_fit_show_themselves(said):
    assert "What chapter.read(…) finds" in bundle_of(said["chapter"])["text/html"]
    assert "data:image/svg+xml" in bundle_of(said["figure"])["text/html"]
    assert "one account" in bundle_of(said["figure"])["text/html"]
    fit = bundle_of(said["fit"])
    assert fit["text/plain"] == "Cox model: 600 accounts, 200 churns, 1 term, converged"
    assert "Hazard ratio" in fit["text/html"]


def test_a_summary_of_lifelines_is_its_own(said):
    shown = said["summary"][0]["data"]
    assert "exp(coef) lower 95%" in shown["text/html"]
    assert "lodestar" not in shown["text/html"]


def test_errors_are_one_screen_and_the_whole_traceback_is_kept(said):
    assert "Did you mean 'accounts'?" in " ".join(error_of(said["foreseen"]))
    slip = error_of(said["slip"])
    assert re.match(r"Cell In\[\d+\], line 1:", slip[0])
    assert slip[1].strip() == "accounts['segmnt']"
    assert "Did you mean 'segment'?" in " ".join(slip)
    assert slip[-1] == errors.WHOLE
    assert len(slip) <= errors.MOST_LINES
    whole = "\n".join(error_of(said["whole"]))
    assert "get_loc" in whole
    assert "KeyError" in whole
    assert text_of(said["where"]).strip() == "('segmnt',) True"


def test_a_slip_of_syntax_is_shown_as_ever(said):
    assert "SyntaxError" in "".join(error_of(said["syntax"]))
    assert errors.WHOLE not in "".join(error_of(said["syntax"]))
    assert "not_a_magic" in text_of(said["magic"]) + "".join(map(str, said["magic"]))


def test_pandas_display_comes_back(said):
    assert 'class="dataframe"' in bundle_of(said["pandas"])["text/html"]


def test_an_edited_module_is_seen_by_the_next_cell(said):
    line = "Cox model: 600 accounts, 200 churns, 1 term, converged"
    new = line.replace("Cox", "Proportional")
    assert text_of(said["before"]).strip() == f"False {line}"
    assert text_of(said["after"]).splitlines() == [f"new {new}", f"{new} True"]
    assert "Hazard ratio" in bundle_of(said["fit anew"])["text/html"]
