"""How frames, objects and errors look to a person at the keyboard."""

import datetime as dt
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from IPython.core.formatters import DisplayFormatter

from pipeline.data import slice as slices
from pipeline.data import store
from pipeline.data.store import MissingDataError
from pipeline.reporting import words
from pipeline.reporting.chapter import Chapter, open_chapter, pseudonym
from pipeline.reporting.figures import Figure
from pipeline.reporting.interactive import errors, frames, hints, objects, session
from pipeline.reporting.interactive.displays import Displays
from pipeline.reporting.interactive.lines import WIDEST
from pipeline.settings import ParameterError, Paths, Period

PARAMS = Path(__file__).parents[2] / "params.yaml"
HOSTILE = "<script>alert(1)</script>"
CURVES = pd.DataFrame(
    {
        "stratum": "segment",
        "level": "mid_market",
        "time_days": np.arange(30.0),
        "estimate": 0.123456,
        "ci_low": 0.012345,
        "ci_high": 0.98765,
        "n_at_risk": 1234,
        "n_events": 1,
        "n_censored": 0,
    }
)


@pytest.fixture
def chapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Chapter:
    return chapter_at(tmp_path, monkeypatch)


def chapter_at(folder: Path, monkeypatch: pytest.MonkeyPatch, **company: Any) -> Chapter:
    """The survival chapter of a root with three accounts."""
    shutil.copy(PARAMS, folder / "params.yaml")
    place = Paths(folder, "sample").snapshot(Period("2026-10"))
    slices.write(slices.Slice(Period("2026-10"), dt.date(2026, 10, 31), None, 30, 3), place)
    store.write_parquet(ACCOUNTS, place / "accounts.parquet")
    monkeypatch.setenv("LODESTAR_ROOT", str(folder))
    monkeypatch.delenv("LODESTAR_PSEUDONYM_KEY", raising=False)
    opened = open_chapter("survival", strata=["segment"])
    opened.company = opened.company.model_copy(update=company)
    return opened


ACCOUNTS = pd.DataFrame(
    {
        "account_id": ["a-1", "a-2", "a-3"],
        "signed_up_date": pd.to_datetime(["2026-01-02", "2026-02-03", None]),
        "segment": ["smb", HOSTILE, "mid_market"],
        "mrr": [10.0, 2500.0, None],
    }
)


# Frames.


def test_a_frame_shows_its_first_rows_its_size_and_what_one_row_is(chapter: Chapter):
    markup = frames.markup(CURVES, chapter)
    said = "30 rows × 9 columns, one row per stratum, level and event or censoring time"
    assert said in markup
    assert "The first 10 rows." in markup
    assert markup.count('<th scope="row"') == frames.MOST_ROWS
    assert 'class="gt_table' in markup


def test_a_head_has_the_name_that_one_types_where_the_words_do_not_say_it(chapter: Chapter):
    markup = frames.markup(CURVES, chapter)
    assert 'Interval<br><code class="column">ci_low, ci_high</code>' in markup
    assert "Level</th>" in markup


def test_text_stands_as_in_the_frame_and_is_never_markup(chapter: Chapter):
    markup = frames.markup(chapter.read("accounts"), chapter)
    assert "mid_market" in markup
    assert HOSTILE not in markup
    assert "&lt;script&gt;" in markup
    assert "2 January 2026".replace(" ", "\u00a0") in markup


def test_a_number_without_a_unit_keeps_four_figures(chapter: Chapter):
    markup = frames.markup(CURVES, chapter)
    assert ">0.1235<" in markup
    assert ">0.01235 to 0.9877<" in markup
    cases = {0.0: "0", 23456.7: "23,457", -0.5: "−0.5000", 3.0: "3", 1e-9: "1.000e-09"}
    assert {number: words.precise(number) for number in cases} == cases


def test_accounts_are_shown_by_pseudonym_also_in_plain_text(chapter: Chapter):
    name = pseudonym("a-1", "sample")
    for frame in (chapter.read("accounts"), chapter.read("accounts").set_index("account_id")):
        markup, text = frames.markup(frame, chapter), frames.plain(frame, chapter)
        assert name in markup
        assert name in text
        assert "a-1" not in markup + text
        assert "the frame holds the ids" in markup


def test_names_are_shown_where_the_company_wants_it(tmp_path: Path, monkeypatch):
    plain = SimpleNamespace(show_names=True)
    chapter = chapter_at(tmp_path, monkeypatch, reports=plain)
    assert ">a-1<" in frames.markup(ACCOUNTS, chapter)


def test_small_cells_are_hidden_and_lists_of_accounts_not_shown(tmp_path: Path, monkeypatch):
    chapter = chapter_at(tmp_path, monkeypatch, min_cell=10)
    levels = pd.DataFrame({"stratum": "s", "level": list("abc"), "n": [7, 500, 800]})
    markup = frames.markup(levels, chapter)
    assert ">800<" in markup
    assert ">7<" not in markup
    assert "Hidden" in markup
    for shown in (frames.markup(ACCOUNTS, chapter), frames.plain(ACCOUNTS, chapter)):
        assert "Not shown" in shown
        assert "acct-" not in shown


def test_columns_that_are_not_shown_are_named(chapter: Chapter):
    wide = CURVES.assign(**{f"more_{place}": place for place in range(9)}, empty=None)
    markup = frames.markup(wide, chapter)
    assert "… and 5 more columns" in markup
    assert "more_4, more_5, more_6, more_7, more_8" in markup
    assert "Without a value here: empty." in markup


def test_rows_that_were_chosen_keep_their_numbers(chapter: Chapter):
    markup = frames.markup(CURVES[CURVES["time_days"] > 20], chapter)
    assert ">21</th>" in markup


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"x": [1], "y": [2]}),
        CURVES.describe(),
        CURVES.set_index(["stratum", "level"]),
        pd.concat([CURVES, CURVES], axis=1),
        CURVES.rename(columns={"level": 3}),
        CURVES.set_index(pd.date_range("2026-01-01", periods=30)),
    ],
)
def test_what_we_cannot_say_better_is_left_to_pandas(frame: pd.DataFrame):
    assert not frames.is_ours(frame)


def test_headlines_are_shown_in_their_units_with_their_intervals(chapter: Chapter):
    rows = pd.DataFrame(
        {
            "name": ["retention_12_months", "median_lifetime_months"],
            "estimate": [0.81, 23.4],
            "ci_low": [0.79, 20.0],
            "ci_high": [0.83, None],
            "n": [100, 100],
            "state": "ok",
            "note": "",
        }
    )
    markup = frames.markup(rows, chapter)
    for said in ("81.0 %", "79.0 % to 83.0 %", "23.4 months", "20.0 months or more"):
        assert said in markup.replace("\u00a0", " ")


# What is shown in a notebook, whoever draws it.


@pytest.fixture
def bundle(chapter: Chapter) -> Iterator[Callable[[Any], dict[str, str]]]:
    """What a notebook gets of an object as the last line of a cell: form → text."""
    shell = SimpleNamespace(display_formatter=DisplayFormatter())
    displays = Displays(shell)
    displays.speak_of(chapter)
    yield lambda shown: shell.display_formatter.format(shown)[0]
    displays.use("pandas")


WITH_IDS = {
    "series": lambda rows: rows["account_id"],
    "level of a series": lambda rows: rows.set_index(["segment", "account_id"])["mrr"],
    "row": lambda rows: rows.iloc[0],
    "counts": lambda rows: rows["account_id"].value_counts(),
    "turned": lambda rows: rows.set_index("account_id").T,
    "rows turned": lambda rows: rows.T,
    "level": lambda rows: rows.set_index(["segment", "account_id"]),
    "two levels of columns": lambda rows: rows.groupby("segment").agg({"account_id": ["first"]}),
    "levels turned": lambda rows: rows.set_index(["segment", "account_id"]).T,
    "dates": lambda rows: rows.set_index("signed_up_date"),
    "twice": lambda rows: pd.concat([rows, rows], axis=1),
    "categories": lambda rows: rows.astype({"account_id": "category"}).set_index(
        ["mrr", "segment"]
    ),
}


@pytest.mark.parametrize("made", WITH_IDS.values(), ids=WITH_IDS.keys())
def test_no_frame_and_no_series_shows_an_id(chapter: Chapter, bundle: Any, made: Any):
    shown = made(ACCOUNTS)
    before = shown.copy()
    said = bundle(shown)
    assert pseudonym("a-1", "sample") in said["text/html"]
    assert pseudonym("a-1", "sample") in said["text/plain"]
    assert "a-1" not in said["text/html"] + said["text/plain"]
    assert shown.equals(before)


def test_a_count_of_ids_is_no_id(bundle: Any):
    counted = ACCOUNTS.groupby("mrr").agg({"account_id": ["nunique"]})
    assert bundle(counted)["text/html"].count("<td>1</td>") == 2
    assert "acct-" not in "".join(bundle(ACCOUNTS.count()).values())


def test_names_are_shown_of_any_shape_where_the_company_wants_it(chapter: Chapter, bundle: Any):
    chapter.company = chapter.company.model_copy(
        update={"reports": SimpleNamespace(show_names=True)}
    )
    said = bundle(ACCOUNTS.set_index(["segment", "account_id"]))
    assert "<th>a-1</th>" in said["text/html"]
    assert "pseudonyms" not in said["text/html"]


def test_small_cells_are_hidden_whoever_draws_the_frame(chapter: Chapter, bundle: Any):
    chapter.company = chapter.company.model_copy(update={"min_cell": 10})
    levels = pd.DataFrame({"stratum": "s", "level": list("abc"), "n": [7, 500, 800]})
    for frame in (levels.set_index(["stratum", "level"]), levels.set_index("level")["n"]):
        said = bundle(frame)
        assert "800" in said["text/html"]
        assert ">7<" not in said["text/html"].replace("7.0", "7")
        assert "Hidden" in said["text/html"]
        assert " 7" not in said["text/plain"]
    for frame in (ACCOUNTS.set_index(["segment", "account_id"]), ACCOUNTS.iloc[0]):
        said = bundle(frame)
        assert "Not shown" in said["text/html"]
        assert "Not shown" in said["text/plain"]
        assert "2500" not in said["text/html"] + said["text/plain"]


def test_pandas_own_display_of_a_series_is_as_ever(chapter: Chapter, bundle: Any):
    assert "text/html" in bundle(ACCOUNTS["mrr"])
    shell = SimpleNamespace(display_formatter=DisplayFormatter())
    plain = Displays(shell)
    plain.chapter = chapter
    plain.register()
    said = shell.display_formatter.format(ACCOUNTS["mrr"])[0]
    assert said == {"text/plain": repr(ACCOUNTS["mrr"])}


# Objects.


def test_a_chapter_says_its_month_its_tables_and_its_settings(chapter: Chapter):
    text, markup = objects.chapter_text(chapter), objects.chapter_markup(chapter)
    for said in ("October 2026", "2026-09-28", "one row per account"):
        assert said in text
        assert said in markup
    assert "3 rows × 4 columns" in text
    assert "strata = ['segment']  (params.yaml: ['segment', 'touch_model'])" in text
    assert max(map(len, text.splitlines())) <= WIDEST
    assert repr(chapter) == "Chapter('survival', '2026-10', provisional)"


def test_objects_are_short_in_plain_text(chapter: Chapter):
    picture = Figure("curves", "Smb leaves first", "", "", "", "<svg/>", CURVES)
    assert repr(picture) == "Figure('curves': Smb leaves first; 30 rows)"
    assert repr(chapter.slice).startswith("Slice('2026-10', provisional, as of 2026-10-31")
    assert "  horizons_months = [12, 24]" in objects.settings_text(chapter.settings)


def test_a_misspelt_table_is_named_with_its_neighbour_and_all_there_are(chapter: Chapter):
    with pytest.raises(ParameterError, match=r"'acounts' .* Did you mean 'accounts'\? There are"):
        chapter.read("acounts")
    with pytest.raises(MissingDataError):
        chapter.read("spells")


def test_a_chapter_says_what_the_columns_of_a_table_hold(chapter: Chapter):
    rows = chapter.columns("accounts").set_index("name")
    assert list(rows.index) == list(ACCOUNTS.columns)
    assert rows.loc["signed_up_date", "description"] != ""
    with pytest.raises(ParameterError, match=r"Did you mean 'accounts'\?"):
        chapter.columns("acounts")


def test_displays_belong_to_notebooks_run_by_hand(chapter: Chapter):
    with pytest.raises(ParameterError, match="run by hand"):
        chapter.displays("pandas")


# Errors.


def shown(made: Any) -> list[str]:
    try:
        made()
    except Exception as error:
        return errors.in_short(error, error.__traceback__)
    raise AssertionError("nothing was raised")


def test_a_foreseen_error_is_its_message_alone(chapter: Chapter):
    lines = shown(lambda: chapter.read("acounts"))
    assert "Did you mean 'accounts'?" in " ".join(lines)
    assert "ParameterError" not in "".join(lines)
    assert errors.WHOLE not in lines


def test_any_other_error_names_places_the_error_and_the_way_to_the_rest(chapter: Chapter):
    lines = shown(lambda: frames.markup(CURVES.assign(level=[object()] * 30), None))
    assert any(line.startswith("pipeline/reporting/interactive/") for line in lines)
    assert any("AttributeError: 'NoneType' object has no attribute" in line for line in lines)
    assert lines[-1] == errors.WHOLE


@pytest.mark.parametrize("text", ["long " * 900, "\n".join("abcdefgh" * 9), "x" * 5000])
def test_an_error_is_one_screen_long(text: str):
    def fails() -> None:
        raise ValueError(text)

    lines = shown(fails)
    assert len(lines) <= errors.MOST_LINES
    assert "…" in lines
    assert max(map(len, lines)) <= WIDEST + 9  # a line may bear a colour
    assert lines[-1] == errors.WHOLE


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: ACCOUNTS["segmnt"], "Did you mean 'segment'? The frame has: account_id"),
        (lambda: ACCOUNTS[["mrr", "segmnt"]], "Did you mean 'segment'?"),
        (lambda: ACCOUNTS.segmnt, "Did you mean 'segment'?"),
        (lambda: ACCOUNTS.groupby("segmnt").size(), "Did you mean 'segment'?"),
        (lambda: ACCOUNTS.merge(ACCOUNTS, on="acount_id"), "Did you mean 'account_id'?"),
        (lambda: ACCOUNTS["other"], "The frame has: account_id"),
        (lambda: pd.DataFrame()["other"], "The frame has no columns."),
        (lambda: __import__("not_there"), "not_there is not in this environment"),
        (lambda: __import__("pipeline.not_there"), "No such module of ours"),
        (lambda: frmaes, "Did you mean 'frames'?"),  # noqa: F821
        (lambda: (lambda farme: fareme)(1), "Did you mean 'farme'?"),  # noqa: F821
        (lambda: missing_name, "No cell has made 'missing_name' yet"),  # noqa: F821
    ],
)
def test_a_common_slip_gets_a_hint(made: Any, said: str):
    assert said in " ".join(shown(made))


def test_an_error_names_what_led_to_it():
    def chained() -> None:
        try:
            int("abc")
        except ValueError as first:
            raise RuntimeError("outer") from first

    assert any(line.startswith("because ValueError: invalid literal") for line in shown(chained))


def test_the_insides_of_ipython_are_no_place_of_an_error():
    frame = compile("open('nowhere')", "x/IPython/core/interactiveshell.py", "exec")
    assert not [
        line for line in shown(lambda: exec(frame)) if line.startswith("interactiveshell.py")
    ]


def test_a_frame_that_no_format_knows_is_still_shown(bundle: Any):
    assert "1" in bundle(pd.DataFrame({"n": [1j, 2]}))["text/html"]


def test_a_hint_that_fails_hides_no_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hints, "hints", lambda _: 1 / 0)
    assert "KeyError: 'segmnt'" in " ".join(shown(lambda: ACCOUNTS["segmnt"]))


def test_an_error_of_another_mapping_gets_no_hint_about_frames():
    lines = shown(lambda: {"a": 1}["b"])
    assert not [line for line in lines if line.startswith("The frame has")]


# Who is at the keyboard.


def test_a_run_switches_nothing_on(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(session, "get_ipython", lambda: pytest.fail("asked for a shell"))
    opened = session.interactive(lambda name, period=None, output=None: (name, output))
    assert opened("survival", "2026-10", "folder") == ("survival", "folder")
    assert opened("survival", output="folder") == ("survival", "folder")


def test_what_is_interactive_is_not_loaded_before_it_is_needed():
    assert "IPython.extensions.autoreload" not in sys.modules
