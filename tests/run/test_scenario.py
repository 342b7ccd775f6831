"""A chapter tried out with other settings: beside what was published, and never in its place."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from pipeline import settings as configuration
from pipeline.data import store
from pipeline.reporting.execution.gate import ChapterFailedError
from pipeline.reporting.records import scenario as comparing
from pipeline.run import scenario
from pipeline.settings import ParameterError, Paths, Period

AUGUST = Period("2026-08")
SET, ONLY = ("return_days=[10, 20]",), ("segment=smb,mid",)


@pytest.fixture(scope="module")
def root(test_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the small company in which a scenario may be tried."""
    place = tmp_path_factory.mktemp("company")
    left = shutil.ignore_patterns("raw", "cache", "usage", "log", "runs", "__pycache__")
    shutil.copytree(test_root, place, ignore=left, dirs_exist_ok=True)
    return place


def bytes_of(*folders: Path) -> dict[str, str]:
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_scenario_stands_beside_what_was_published_and_touches_none_of_it(root: Path) -> None:
    before = bytes_of(root / "reports", root / "data")
    place, told = scenario.run(root, "population", sets=SET, onlys=ONLY, period=str(AUGUST))
    assert bytes_of(root / "reports", root / "data") == before
    assert place.name == "population-2026-08-return_days-10-20-only-segment-smb-mid"
    assert "accounts, where segment is smb or mid" in told["accounts"]
    assert told["compared_with"].startswith("reports/2026-08/report.json (final")
    returns = next(row for row in told["tables"] if row["table"] == "population.returns")
    assert (returns["n_rows_published"], returns["n_rows"]) == (4, 2)
    quality = next(row for row in told["tables"] if row["table"] == "population.quality")
    assert (quality["n_rows_gone"], quality["n_rows_new"], quality["n_cells"]) == (0, 0, 0)
    page = (place / "index.html").read_text(encoding="utf-8")
    assert "<strong>SCENARIO:</strong> return_days = 10 and 20" in page
    assert "Content-Security-Policy" in page
    assert "../../../reports/2026-08/population.html" in page
    assert "<script" not in page
    assert any("population.returns" in line for line in scenario.said(place, told))
    first = bytes_of(place)
    scenario.run(root, "population", sets=SET, onlys=ONLY, period=str(AUGUST))
    assert bytes_of(place) == first


def test_a_scenario_that_fails_leaves_reports_data_and_the_last_scenario(root: Path) -> None:
    notebook = root / "notebooks" / "01_population.ipynb"
    whole = notebook.read_text(encoding="utf-8")
    last = root / "build" / "scratch" / "mine" / "scenario.json"
    store.write_json({"as": "it was"}, last)
    before = bytes_of(root / "reports", root / "data")
    notebook.write_text(whole.replace("chapter.close()", "chapter.clothe()"), encoding="utf-8")
    try:
        with pytest.raises(ChapterFailedError, match="clothe"):
            scenario.run(root, "population", sets=SET, period=str(AUGUST), name="mine")
    finally:
        notebook.write_text(whole, encoding="utf-8")
    assert bytes_of(root / "reports", root / "data") == before
    assert json.loads(last.read_text()) == {"as": "it was"}
    assert [path.name for path in last.parents[1].glob(".*")] == []


@pytest.mark.parametrize(
    ("chapter", "sets", "onlys", "message"),
    [
        ("survival", (), (), r"Nothing to try.*horizons_months=\[12, 24\]"),
        ("survival", ("hozons_months=6",), (), "Did you mean horizons_months"),
        ("survival", ("grace_days=10",), (), "grace_days changes the snapshot"),
        ("survival", ("confidence=0.9",), (), "confidence holds for every chapter"),
        ("survival", ("vif_limit",), (), "write key=value"),
        ("survival", ("horizons_months=[6",), (), "is not YAML"),
        ("survival", ("strata=null",), (), "strata cannot be null"),
        ("survival", ("strata=karma",), (), "no column 'karma'"),
        ("drivers", ("vif_limit=much",), (), "vif_limit: .*'much'"),
        ("time_to_value", ("first_value=x",), (), "decides in the snapshot"),
        ("survival", (), ("segment",), "write column=value"),
        ("survival", (), ("segment=huge",), "there are"),
        ("annex", ("a=1",), (), "The annex has no settings"),
        ("karma", ("a=1",), (), "'karma' is no chapter"),
    ],
)
def test_what_cannot_be_tried_says_why_and_what_there_is(
    root: Path, chapter: str, sets: tuple[str, ...], onlys: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        scenario.run(root, chapter, sets=sets, onlys=onlys)


@pytest.mark.parametrize("name", ["..", "a/b", "Mine", ".mine", ""])
def test_the_name_of_a_scenario_leads_out_of_no_folder(root: Path, name: str) -> None:
    with pytest.raises(ParameterError, match="names a folder below build/scratch"):
        scenario.run(root, "survival", sets=("strata=segment",), name=name)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("strata=segment", ["segment"]),
        ("survival.horizons_months=[6, 12]", [6, 12]),
        ("stratify_by=null", None),
        ("primary_contrast=touch_model", "touch_model"),
    ],
)
def test_a_value_is_read_as_in_params_yaml(root: Path, text: str, value: object) -> None:
    settings = configuration.load(root)
    paths = Paths(root, settings.company)
    asked = scenario.asked_for("survival", [text], [], None, None, settings, paths)
    assert [*asked.given.values()] == [value]
    assert asked.period == Period("2026-10")


def test_a_long_name_is_cut_and_still_differs_from_its_like() -> None:
    names = {
        scenario.default_name("drivers", AUGUST, {"candidates": ["mrr"] * 20 + [last]}, {})
        for last in ("segment", "tickets")
    }
    assert len(names) == 2
    assert max(map(len, names)) <= 80


def test_numbers_are_compared_by_name_and_one_that_is_missing_has_no_change() -> None:
    def row(name: str, estimate: float | None) -> dict[str, object]:
        return {"name": name, "label": name, "unit": "share", "estimate": estimate}

    before = comparing.Standing("r", [row("kept", 0.5), row("gone", 0.1)], [], Path("nowhere"))
    found = comparing.numbers(before, [row("kept", 0.75), row("new", None)], [])
    assert [(each["name"], each["change"]) for each in found] == [
        ("kept", 0.25), ("gone", None), ("new", None),
    ]  # fmt: skip
    assert found[1]["scenario"] is None


def test_tables_are_compared_by_rows_and_cells(tmp_path: Path) -> None:
    for folder, text in (("old", "a,b\n1,2\n3,4\n"), ("new", "a,b\n1,2\n3,5\n")):
        store.write_text(text, tmp_path / folder / "tables" / "survival.x.csv")
    before = comparing.Standing("r", [], [], tmp_path / "old" / "tables")
    assert comparing.tables("survival", before, tmp_path / "new") == [
        {"table": "survival.x", "n_rows_published": 2, "n_rows": 2, "n_rows_gone": 1,
         "n_rows_new": 1, "n_cells": 1},
    ]  # fmt: skip
