"""A chapter tried out with other settings: beside what was published, and never in its place."""

import hashlib
import itertools
import json
import shlex
import shutil
from pathlib import Path

import pytest

from pipeline import settings as configuration
from pipeline.data import store
from pipeline.lock import BusyError, held_alone
from pipeline.reporting.execution.gate import ChapterFailedError
from pipeline.reporting.pages import scenario as page_of
from pipeline.reporting.records import scenario as comparing
from pipeline.run import scenario
from pipeline.run import trial as trials
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
    evidence = root / "build" / "log" / f"population-{AUGUST}.ipynb"
    store.write_text("of a run", evidence)
    before = bytes_of(root / "reports", root / "data")
    notebook.write_text(whole.replace("chapter.close()", "chapter.clothe()"), encoding="utf-8")
    try:
        with pytest.raises(ChapterFailedError, match=r"clothe.* of build/log/scenario-mine\.ipynb"):
            scenario.run(root, "population", sets=SET, period=str(AUGUST), name="mine")
    finally:
        notebook.write_text(whole, encoding="utf-8")
    assert bytes_of(root / "reports", root / "data") == before
    assert json.loads(last.read_text()) == {"as": "it was"}
    assert [path.name for path in last.parents[1].glob(".*")] == []
    assert evidence.read_text(encoding="utf-8") == "of a run"


def test_a_scenario_of_a_name_is_made_by_one_process_at_a_time(root: Path) -> None:
    half = root / "build" / "scratch" / ".twin.building" / "half.txt"
    store.write_text("of the other process", half)
    place = root / "build" / "locks" / "scenario-twin"
    with held_alone(place, "it"), pytest.raises(BusyError, match="scenario twin is being made"):
        scenario.run(root, "population", sets=SET, period=str(AUGUST), name="twin")
    assert half.read_text(encoding="utf-8") == "of the other process"
    shutil.rmtree(half.parent)


def test_a_scenario_takes_the_place_of_no_file_that_a_person_keeps(root: Path) -> None:
    own = root / "build" / "scratch" / "own" / "notes.txt"
    store.write_text("dear diary", own)
    with pytest.raises(ParameterError, match=r"holds no scenario\.json.*another --name"):
        scenario.run(root, "population", sets=SET, period=str(AUGUST), name="own")
    assert own.read_text(encoding="utf-8") == "dear diary"


def test_a_scenario_says_before_any_kernel_starts_what_is_missing(root: Path) -> None:
    notebook, head = root / "notebooks" / "03_survival.ipynb", "headline/2026-08/revenue.json"
    kept = root / "data" / "processed" / head
    for place, chapter, setting, said in (
        (notebook, "survival", "strata=segment", "the root must hold the project's notebooks"),
        (kept, "summary", "renewal_horizon_days=60", r"revenue\.json of 2026-08 .* is missing"),
    ):
        away = place.rename(place.with_suffix(".away"))
        try:
            with pytest.raises(store.MissingDataError, match=said):
                scenario.run(root, chapter, sets=[setting], period=str(AUGUST))
        finally:
            away.rename(place)
    with pytest.raises(store.MissingDataError, match="no snapshot of 2019-01"):
        scenario.run(root, "population", sets=SET, period="2019-01")
    with pytest.raises(ParameterError, match="is not a period"):
        scenario.run(root, "population", sets=SET, period="August")


@pytest.mark.parametrize(
    ("chapter", "sets", "onlys", "message"),
    [
        ("survival", (), (), r"Nothing to try.*horizons_months=\[12, 24\]"),
        ("survival", ("hozons_months=6",), (), "Did you mean horizons_months"),
        ("survival", ("grace_days=10",), (), "grace_days changes the snapshot"),
        ("survival", ("confidence=0.9",), (), "every chapter, not for survival alone"),
        ("survival", ("vif_limit=6",), (), "vif_limit"),
        (
            "survival",
            ("covariates=[a]", "survival.covariates=[b]"),
            (),
            "covariates was given twice",
        ),
        ("survival", (), ("segment=smb", "segment=mid"), "twice; write --only segment=smb,mid"),
        ("survival", (), ("segment=[smb, [mid]]",), "is no YAML list of values"),
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
    asked = trials.asked_for("survival", [text], [], None, None, settings, paths)
    assert [*asked.given.values()] == [value]
    assert asked.period == Period("2026-10")


@pytest.mark.parametrize(
    ("given", "only", "name"),
    [
        ({"strata": ["segment"]}, {}, None),
        ({"primary_contrast": "null"}, {"segment": ["a, b", "[c]", "d"]}, "mine"),
        ({"stratify_by": None, "horizons_months": [6, -6]}, {"segment": ["大 x", "true"]}, None),
        ({"strata": ["a: b", "#c", "'", '"', "1"]}, {"plan": ["new\nline"]}, None),
    ],
)
def test_the_command_that_a_scenario_shows_asks_for_the_same_again(
    given: dict[str, object], only: dict[str, list[str]], name: str | None
) -> None:
    own = name or trials.default_name("survival", AUGUST, given, only)
    typed = shlex.split(trials.Trial("survival", AUGUST, given, only, own).command)
    block = configuration.Survival()
    pairs = list(itertools.pairwise(typed))
    sets = [trials._setting("survival", text, block) for key, text in pairs if key == "--set"]
    assert dict(sets) == given
    assert dict(trials._chosen(text) for key, text in pairs if key == "--only") == only
    assert [text for key, text in pairs if key == "--name"] == ([name] if name else [])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (({"horizons_months": [6]}, {}), ({"horizons_months": [-6]}, {})),
        (({}, {"industry": ["大"]}), ({}, {"industry": ["小"]})),
        (({}, {"segment": ["a-b"]}), ({}, {"segment": ["a", "b"]})),
        (({}, {"country": ["SE"]}), ({}, {"country": ["se"]})),
        (({"strata": []}, {}), ({"strata": [""]}, {})),
        (
            ({"strata": ["a", "covariates", "b"]}, {}),
            ({"strata": ["a"], "covariates": ["b"]}, {}),
        ),
    ],
)
def test_different_scenarios_have_different_names(one: tuple, other: tuple) -> None:
    names = [trials.default_name("survival", AUGUST, *asked) for asked in (one, other)]
    assert names[0] != names[1]
    assert all(trials.NAME_FORMAT.fullmatch(name) for name in names)


def test_a_long_name_is_cut_and_still_differs_from_its_like() -> None:
    names = {
        trials.default_name("drivers", AUGUST, {"candidates": ["mrr"] * 20 + [last]}, {})
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


def test_money_is_said_in_the_currency_with_its_interval() -> None:
    number = {"estimate": 1200.0, "ci_low": 1000.0, "ci_high": 1400.0, "n": 9, "note": ""}
    row = {"label": "MRR", "unit": "currency per month", "published": number, "scenario": None}
    (said,) = page_of.number_rows([row | {"change": None}], "EUR")
    assert said["Published"] == "EUR 1,200 (EUR 1,000 to 1,400)"
    assert said["Scenario"] == "–"
