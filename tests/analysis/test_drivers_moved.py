"""Has a driver's effect moved? A world that stands still, one that turned, and no model at all."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pytest

from pipeline.analysis import drivers, summary
from pipeline.analysis.drivers.moved import MOVED_COLUMNS
from pipeline.reporting import words
from pipeline.statistics import cloglog
from tests.analysis.driver_world import CANDIDATES, world

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return drivers.settled(world(1200, 18, 20261122))


def moved_of(rows: pd.DataFrame) -> pd.DataFrame:
    return drivers.moved(drivers.fit(rows, CANDIDATES, 10), 0.95, 0.10)


def test_in_a_world_that_stands_still_no_effect_moves_and_the_sentence_says_so(rows):
    table = moved_of(rows)
    assert list(table.columns) == MOVED_COLUMNS
    assert not table["is_moved"].any()
    assert (table["ci_low"] < table["times"]).all()
    assert (table["times"] < table["ci_high"]).all()
    assert table["times"].to_numpy() == pytest.approx(
        (table["hazard_ratio"] / table["hazard_ratio_before"]).to_numpy()
    )
    said = drivers.say_moved(table, words, words.label)
    assert said.startswith("With June 2025, no driver's effect moved by more than chance explains")
    assert f"({len(table)} effects looked at)" in said


def test_the_earlier_ratios_are_those_of_the_months_before(rows):
    model = drivers.fit(rows, CANDIDATES, 10)
    earlier = rows[rows["period"] < rows["period"].max()]
    design = drivers.encode(earlier, model.recipe)
    alone = cloglog.scoring(earlier["is_churn"], design.to_numpy())
    terms = model.recipe.terms.assign(
        ratio=np.exp(alone.params[design.columns.get_indexer(model.recipe.terms["column"])])
    )
    table = moved_of(rows).set_index(["driver", "level"])
    expected = terms.set_index(["driver", "level"])["ratio"].reindex(table.index)
    assert table["hazard_ratio_before"].to_numpy() == pytest.approx(expected.to_numpy(), rel=1e-6)
    newest = rows[rows["period"] == rows["period"].max()]
    assert (table["n"] == newest["account_id"].nunique()).all()
    assert (table["n_events"] == newest["is_churn"].sum()).all()


def test_an_effect_that_turned_round_in_the_newest_month_is_named_with_its_interval(rows):
    newest = rows["period"].eq(rows["period"].max())
    turned = rows.copy()
    turned.loc[newest, "is_churn"] = rows.loc[newest, "segment"].eq("ENT")
    table = moved_of(turned)
    assert (table.at[0, "driver"], table.at[0, "level"]) == ("segment", "ENT")
    assert bool(table.at[0, "is_moved"])
    assert table.at[0, "ci_low"] > 1
    said = drivers.say_moved(table, words, words.label)
    assert "Segment ENT, hazard ratio" in said
    assert said.startswith("With June 2025, ")
    assert "no driver's effect" not in said


def test_without_a_model_or_a_second_month_nothing_is_compared(rows):
    few = rows.assign(is_churn=False)
    assert moved_of(few).empty
    assert moved_of(rows[rows["period"] == rows["period"].min()]).empty
    assert drivers.say_moved(moved_of(few), words, words.label).startswith(
        "Whether a driver's effect moved"
    )


def test_a_level_that_only_the_newest_month_has_is_no_row_and_counts_in_no_q_value(rows):
    newest = rows["period"].eq(rows["period"].max())
    opened = rows.assign(segment=rows["segment"].mask(newest & rows["segment"].eq("ENT"), "NEW"))
    model = drivers.fit(opened, CANDIDATES, 10)
    assert "NEW" in set(model.recipe.terms["level"])
    table = drivers.moved(model, 0.95, 0.10)
    assert "NEW" not in set(table["level"])
    assert {"ENT", "yes"} <= set(table["level"])
    assert table.notna().all(axis=None)
    largest = table.at[len(table) - 1, "p_value"]
    assert table["q_value"].max() == pytest.approx(largest)
    said = drivers.say_moved(table, words, words.label)
    assert "NEW" not in said


# On page one.


class Pages:
    """Two chapters in one: it keeps rows for page one, gives them back, and notes what is said."""

    def __init__(self) -> None:
        self.kept: dict[str, list[dict]] = {}
        self.said: list[str] = []
        self.shown: list[pd.DataFrame] = []

    def page_one(self, name: str, frame: pd.DataFrame) -> None:
        self.kept[name] = frame.to_dict("records")

    def page_one_of(self, chapter: str, name: str) -> pd.DataFrame:
        assert chapter == "drivers"
        return pd.DataFrame(self.kept.get(name, []))

    def say(self, sentence: str) -> None:
        self.said.append(sentence)

    def table(self, frame: pd.DataFrame, caption: str, **more: object) -> None:
        self.shown.append(frame)

    def close(self) -> None:
        """Nothing is published here."""


def run_cell(notebook: str, name: str, known: dict[str, Any]) -> None:
    cells = nbformat.read(NOTEBOOKS / notebook, as_version=4).cells
    source = next(cell.source for cell in cells if cell.id == name)
    exec(compile(source, f"{notebook}:{name}", "exec"), known)


def shown_on_page_one(table: pd.DataFrame) -> Pages:
    """What page one shows of a table of `moved`, by the notebooks' own cells."""
    pages = Pages()
    model = SimpleNamespace(reason="", n_events=0, n_accounts=0)
    said = drivers.say_moved(table, words, words.label)
    none = pd.DataFrame(columns=["driver", "level", "ame", "q_value", "finding"])
    stand_in = SimpleNamespace(page_one=lambda effects: effects, no_model=drivers.no_model)
    known = {"chapter": pages, "drivers": stand_in, "effects": none, "model": model, "newest": none}
    run_cell("04_drivers.ipynb", "page-one", known | {"moved": table, "moved_said": said})
    run_cell(
        "00_summary.ipynb", "moved-table", {"chapter": pages, "summary": summary, "words": words}
    )
    return pages


def test_page_one_says_why_nothing_is_compared_where_the_table_is_empty(rows):
    pages = shown_on_page_one(moved_of(rows.assign(is_churn=False)))
    assert pages.said == [
        "Whether a driver's effect moved cannot be said: there are not two fits to compare."
    ]
    assert pages.shown[0].empty


def test_page_one_says_the_sentence_once_beside_the_three_clearest_moves(rows):
    table = moved_of(rows)
    pages = shown_on_page_one(table)
    assert pages.said == [drivers.say_moved(table, words, words.label)]
    assert pages.shown[0]["level"].tolist() == table["level"].head(3).tolist()
    assert "sentence" not in pages.shown[0]
