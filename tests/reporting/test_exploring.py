"""What may be tried out in a chapter, and that nothing tried out reaches a run's folder."""

import datetime as dt
import shutil
from pathlib import Path

import pandas as pd
import pytest

from pipeline.data import slice as slices
from pipeline.data import store
from pipeline.reporting import chapter as chapters
from pipeline.reporting.chapter import open_chapter
from pipeline.reporting.execution import gate
from pipeline.reporting.execution.gate import ChapterFailedError
from pipeline.settings import OUTPUT_VARIABLE, ParameterError, Paths, Period

PARAMS = Path(__file__).parents[2] / "params.yaml"
OCTOBER = Period("2026-10")
ACCOUNTS = pd.DataFrame(
    [
        ("a-1", "Acme", "smb", True, 10.0),
        ("a-2", "Beta", "smb", False, 0.0),
        ("a-3", "Gama", "mid", True, 30.0),
        ("a-4", None, None, True, 40.0),
    ],
    columns=["account_id", "name", "segment", "is_customer", "mrr"],
)


@pytest.fixture
def paths(tmp_path, monkeypatch) -> Paths:
    shutil.copy(PARAMS, tmp_path / "params.yaml")
    paths = Paths(tmp_path, "sample")
    place = paths.snapshot(OCTOBER)
    slices.write(slices.Slice(OCTOBER, dt.date(2026, 10, 31), dt.date(2023, 11, 1), 30, 3), place)
    store.write_parquet(ACCOUNTS, place / "accounts.parquet")
    store.write_parquet(ACCOUNTS[["account_id", "mrr"]], place / "spells.parquet")
    store.write_parquet(pd.DataFrame({"step": ["trial"], "n": [4]}), place / "exclusions.parquet")
    monkeypatch.setenv("LODESTAR_ROOT", str(tmp_path))
    monkeypatch.setattr(chapters, "display", lambda output: None)
    return paths


@pytest.mark.parametrize(
    ("only", "left"),
    [
        (None, ["a-1", "a-2", "a-3", "a-4"]),
        ({"segment": "smb"}, ["a-1", "a-2"]),
        ({"segment": ["smb", "mid"]}, ["a-1", "a-2", "a-3"]),
        ({"segment": ["smb", "mid"], "is_customer": [True]}, ["a-1", "a-3"]),
    ],
)
def test_a_chapter_of_chosen_accounts_reads_their_rows_and_no_others(paths, only, left) -> None:
    opened = open_chapter("survival", only=only)
    assert opened.read("accounts")["account_id"].tolist() == left
    assert opened.read("spells")["account_id"].tolist() == left
    assert opened.read("exclusions")["n"].tolist() == [4]


def test_chosen_accounts_are_counted_in_words(paths) -> None:
    opened = open_chapter("survival", only={"segment": ["smb", "mid"]})
    assert str(opened.subset) == "3 of 4 accounts, where segment is smb or mid"


@pytest.mark.parametrize(
    ("name", "only", "message"),
    [
        ("survival", {"karma": ["x"]}, "chosen by 'karma'; there are segment and is_customer"),
        ("survival", {"name": ["Acme"]}, "chosen by 'name'"),
        ("survival", {"segment": ["huge"]}, "segment 'huge'; there are mid and smb"),
        ("survival", {"segment": "mid", "is_customer": False}, "No account is left"),
        ("summary", {"segment": ["smb"]}, "summary takes no `only`"),
    ],
)
def test_a_choice_that_cannot_be_made_says_what_there_is(paths, name, only, message) -> None:
    with pytest.raises(ParameterError, match=message):
        open_chapter(name, only=only)


def test_a_setting_given_by_hand_is_told_from_one_of_params_yaml(paths) -> None:
    given = open_chapter("survival", strata=["touch_model"], horizons_months=[12, 24])
    assert given.explored == {"strata": ["touch_model"]}
    assert open_chapter("survival").explored == {}


def test_an_empty_word_says_none_where_params_yaml_names_something(paths) -> None:
    text = paths.params.read_text(encoding="utf-8")
    paths.params.write_text(text.replace("stratify_by: null", "stratify_by: segment"), "utf-8")
    assert open_chapter("survival").settings.stratify_by == "segment"
    assert open_chapter("survival", stratify_by="").settings.stratify_by is None


def test_a_column_that_nobody_knows_is_refused_before_anything_is_computed(paths) -> None:
    with pytest.raises(ParameterError, match=r"survival\.strata: no column 'karma'"):
        open_chapter("survival", strata=["karma"])


@pytest.mark.parametrize(
    "place", ["reports/2026-10", "data/processed/survival/2026-10", "build/scratch", "mine"]
)
def test_a_hand_writes_into_no_folder_but_one_of_scratch(paths, place) -> None:
    before = sorted(path for path in paths.root.rglob("*"))
    with pytest.raises(ParameterError, match="not a folder that a run gave") as error:
        open_chapter("survival", output=str(paths.root / place))
    assert "build/scratch/mine" in str(error.value)
    assert sorted(path for path in paths.root.rglob("*")) == before
    inside = paths.scratch / "mine"
    assert open_chapter("survival", output=str(inside), strata=["segment"]).output == inside


def test_a_link_below_scratch_leads_to_no_other_folder(paths) -> None:
    paths.scratch.mkdir(parents=True)
    (paths.scratch / "way").symlink_to(paths.root / "data")
    with pytest.raises(ParameterError, match="not a folder that a run gave"):
        open_chapter("survival", output=str(paths.scratch / "way" / "processed"))


@pytest.mark.parametrize("place", [1, "x\0"])
def test_an_output_that_names_no_folder_is_refused(paths, place) -> None:
    with pytest.raises(ParameterError, match="names no folder"):
        open_chapter("survival", output=place)


def test_a_folder_of_the_output_that_is_a_link_is_never_written_through(paths) -> None:
    mine = paths.scratch / "mine"
    mine.mkdir(parents=True)
    paths.reports.mkdir()
    (mine / "tables").symlink_to(paths.reports)
    opened = open_chapter("survival", output=str(mine))
    with pytest.raises(ParameterError, match="is a link to"):
        opened.table(pd.DataFrame({"n": [1]}), caption="Counts")
    (mine / "tables").unlink()
    mine.rename(mine.with_name("away"))
    mine.symlink_to(paths.reports)
    with pytest.raises(ParameterError, match="is a link to"):
        opened.table(pd.DataFrame({"n": [1]}), caption="Others")
    assert list(paths.reports.iterdir()) == []


def test_the_output_stays_where_it_was_when_the_kernel_goes_elsewhere(paths, monkeypatch) -> None:
    monkeypatch.chdir(paths.root)
    opened = open_chapter("survival", output="build/scratch/mine")
    paths.reports.mkdir()
    monkeypatch.chdir(paths.reports)
    opened.table(pd.DataFrame({"n": [1]}), caption="Counts")
    assert [path.name for path in (paths.scratch / "mine" / "tables").iterdir()] == [
        "survival.counts.csv"
    ]
    assert list(paths.reports.iterdir()) == []


@pytest.mark.parametrize("where", ["settings", "company"])
def test_a_setting_that_a_cell_changed_in_place_is_never_published(
    paths, monkeypatch, where
) -> None:
    place = paths.chapter("survival", OCTOBER)
    monkeypatch.setenv(OUTPUT_VARIABLE, str(place))
    opened = open_chapter("survival", output=str(place))
    changed = opened.settings.horizons_months if where == "settings" else opened.company.chapters
    changed[:] = changed[:1]
    with pytest.raises(ParameterError, match=rf"changed chapter\.{where}\.\w+ after the chapter"):
        opened.close()
    assert not (place / gate.END_MARKER).exists()


def test_a_run_writes_into_its_own_folder_and_takes_params_yaml_alone(paths, monkeypatch) -> None:
    place = paths.chapter("survival", OCTOBER)
    monkeypatch.setenv(OUTPUT_VARIABLE, str(place))
    assert open_chapter("survival", output=str(place)).output == place
    with pytest.raises(ParameterError, match=r"published with strata = \['segment'\]"):
        open_chapter("survival", output=str(place), strata=["segment"])
    with pytest.raises(ParameterError, match="published with only"):
        open_chapter("survival", output=str(place), only={"segment": "smb"})
    with pytest.raises(ParameterError, match="not a folder that a run gave"):
        open_chapter("survival", output=str(paths.report(OCTOBER)))


def test_a_chapter_made_with_settings_of_its_own_is_never_published(tmp_path, monkeypatch) -> None:
    marker = {"chapter": "survival", "period": "2026-10", "tables": [], "figures": [],
              "scenario": {"strata": ["segment"]}}  # fmt: skip
    monkeypatch.setattr(gate, "examine", lambda *_: None)
    monkeypatch.setattr(gate, "TABLES", {})
    notebook = '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'
    store.write_text(notebook, tmp_path / gate.NOTEBOOK)
    store.write_json(marker, tmp_path / gate.END_MARKER)
    store.write_json({}, tmp_path / gate.HEADLINE_FILE)
    with pytest.raises(ChapterFailedError, match=r"settings of its own \(strata\)"):
        gate.check("survival", OCTOBER, tmp_path)
    gate.check("survival", OCTOBER, tmp_path, may_be_scenario=True)
