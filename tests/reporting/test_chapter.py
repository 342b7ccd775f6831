"""What a notebook can show and keep, and what the runner finds afterwards."""

import datetime as dt
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from pipeline.data import slice as slices
from pipeline.data import store
from pipeline.data.schema.published import HEADLINES, TABLES
from pipeline.reporting import chapter as chapters
from pipeline.reporting.chapter import UnfinishedChapterError, open_chapter, pseudonym
from pipeline.reporting.figures import Figure
from pipeline.settings import ParameterError, Paths, Period

PARAMS = Path(__file__).parents[2] / "params.yaml"
OUT = "build/scratch/out"
PICTURE = Figure(
    "by-segment", "Title <b>", "Share, percent", 'Alt "text" <b>', "Source",
    "<svg></svg>", pd.DataFrame({"level": ["=1+1"], "share": [0.123456789012345678]}),
)  # fmt: skip

GIVEN = pd.DataFrame(
    [("subscriptions", "end_type", "coverage", 9)], columns=["table", "rule", "kind", "n"]
)


def cut_of(period: str) -> slices.Slice:
    return slices.Slice(Period(period), dt.date(2026, 10, 31), dt.date(2023, 11, 1), 30, 3)


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    shutil.copy(PARAMS, tmp_path / "params.yaml")
    paths = Paths(tmp_path, "sample")
    for period in ("2026-09", "2026-10"):
        slices.write(cut_of(period), paths.snapshot(Period(period)))
        store.write_parquet(
            pd.DataFrame({"account_id": ["a-1"], "mrr": [10.0]}),
            paths.snapshot(Period(period)) / "accounts.parquet",
        )
        aims = pd.DataFrame([("quick_ratio", "Sales", 4.0)], columns=["metric", "owner", "target"])
        store.write_parquet(aims, paths.snapshot(Period(period)) / "targets.parquet")
        store.write_parquet(GIVEN, paths.snapshot(Period(period)) / "quality.parquet")
    monkeypatch.setenv("LODESTAR_ROOT", str(tmp_path))
    monkeypatch.delenv("LODESTAR_PSEUDONYM_KEY", raising=False)
    return tmp_path


@pytest.fixture
def shown(monkeypatch) -> list[str]:
    markup: list[str] = []
    monkeypatch.setattr(chapters, "display", lambda output: markup.append(output.data))
    return markup


CONTRAST = {
    "name": "segment", "statement": "SMB against enterprise", "estimand": "A ratio.",
    "population": "All.", "estimate": 1.4, "ci_low": 1.1, "ci_high": 1.8, "unit": "ratio",
    "p_value": 0.01, "n": 500, "n_events": 60, "checks": [],
}  # fmt: skip


def headline_rows(chapter: str, **changes: object) -> pd.DataFrame:
    row = {
        "estimate": 0.5, "ci_low": 0.4, "ci_high": float("nan"), "n": 100, "state": "ok",
        "note": "", "previous": 0.48, "year_ago": None,
    } | changes  # fmt: skip
    names = [name for name, line in HEADLINES.items() if line.chapter == chapter]
    return pd.DataFrame([{"name": name} | row for name in names])


def publish_all(chapter: chapters.Chapter) -> None:
    publish_all_but_headline(chapter)
    if hasattr(chapter.settings, "primary_contrast"):
        chapter.contrast(**CONTRAST)
    rows = headline_rows(chapter.name)
    if len(rows):
        chapter.headline(rows)


def publish_all_but_headline(chapter: chapters.Chapter) -> None:
    for name, (_, columns) in TABLES.items():
        if name.startswith(f"{chapter.name}."):
            chapter.publish(name.split(".")[1], pd.DataFrame(columns=list(columns)))


def test_without_a_period_the_newest_snapshot_is_opened(root, shown):
    assert str(open_chapter("survival").period) == "2026-10"
    assert str(open_chapter("survival", "2026-09").period) == "2026-09"


def test_a_snapshot_table_is_read_for_the_period(root, shown):
    assert open_chapter("survival").read("accounts")["mrr"].tolist() == [10.0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": "weather"}, "no chapter"),
        ({"name": "survival", "period": "2026-13"}, "calendar month"),
        ({"name": "survival", "colour": "red"}, "no setting colour"),
        ({"name": "survival", "strata": "segment"}, "strata"),
    ],
)
def test_what_cannot_be_opened_is_refused_by_name(root, shown, arguments, words):
    with pytest.raises(ParameterError, match=words):
        open_chapter(**arguments)


def test_a_month_without_a_snapshot_is_missing_input(root, shown):
    with pytest.raises(store.MissingDataError, match="no snapshot of 2020-01"):
        open_chapter("survival", "2020-01")


def test_a_setting_can_be_overridden_and_none_keeps_the_one_of_params(root, shown):
    opened = open_chapter("survival", strata=["touch_model"], covariates=None)
    assert opened.settings.strata == ["touch_model"]
    assert opened.settings.covariates == ["segment", "touch_model"]


def test_by_hand_everything_is_shown_and_nothing_is_written(root, shown):
    before = sorted(root.rglob("*"))
    opened = open_chapter("survival")
    opened.show(PICTURE)
    opened.table(PICTURE.rows, caption="Shares", published="curves")
    publish_all(opened)
    opened.close()
    assert sorted(root.rglob("*")) == before
    assert "nothing was published" in shown[-1]
    assert "download" not in "".join(shown)


def test_who_answers_for_a_sentence_stands_before_it_in_bold(root, shown):
    open_chapter("survival").say("12 left.", lead="Revenue <b>")
    assert "<strong>Revenue &lt;b&gt;:</strong> 12 left." in shown[-1]


def test_a_sentence_is_text_and_never_markup(root, shown):
    open_chapter("survival").say("<script>alert(1)</script> 12.3 % & more")
    assert "&lt;script&gt;" in shown[-1]
    assert "12.3\u00a0% &amp; more" in shown[-1]


def test_two_tables_of_one_caption_have_two_ids(root, shown):
    opened = open_chapter("survival")
    for _ in range(2):
        opened.table(PICTURE.rows, caption="Shares")
    assert 'id="survival-shares"' in shown[-2]
    assert 'id="survival-shares-2"' in shown[-1]


def test_the_definition_box_adds_the_dates(root, shown):
    open_chapter("survival", "2026-10").definition({"Time zero": "first paid day"})
    for said in ("Time zero", "31 October 2026", "28 September 2026", "30\u00a0days"):
        assert said in shown[-1]


def test_what_is_not_given_is_said_after_the_definitions_where_it_would_add_something(root, shown):
    absent = GIVEN.assign(n=0)
    place = Paths(root, "sample").snapshot(Period("2026-10")) / "quality.parquet"
    store.write_parquet(absent, place)
    open_chapter("survival", "2026-10").definition({"Time zero": "first paid day"})
    assert "Data that are not given would add: how customers leave" in shown[-1]
    open_chapter("time_to_value", "2026-10").definition({"Time zero": "first paid day"})
    assert "not given" not in shown[-1]


def test_the_runner_finds_tables_figures_headline_and_the_end_marker(root, shown, tmp_path):
    output = tmp_path / OUT
    opened = open_chapter("survival", "2026-10", str(output))
    opened.show(PICTURE)
    publish_all(opened)
    opened.model("cox", 100, 20, True, [{"name": "proportional hazards", "passed": False}])
    opened.page_one("top", pd.DataFrame({"day": pd.to_datetime(["2026-10-01", None])}))
    assert not (output / "complete.json").exists()
    opened.close()
    marker = json.loads((output / "complete.json").read_text())
    content = json.loads((output / "headline.json").read_text())
    assert marker["figures"] == ["survival.by-segment"]
    assert (output / "tables" / "survival.curves.csv").read_text().startswith("stratum,level")
    assert (output / "figures" / "survival.by-segment.svg").read_text() == "<svg></svg>"
    assert (output / "figures" / "survival.by-segment.csv").read_text() == (
        "level,share\n'=1+1,0.1234567890123\n"
    )
    assert content["models"][0]["checks"] == [
        {"name": "proportional hazards", "passed": False, "is_hard": False, "note": ""}
    ]
    assert content["page_one"] == {"top": [{"day": "2026-10-01"}, {"day": None}]}
    assert 'href="figures/survival.by-segment.svg"' in "".join(shown)


def test_a_headline_gets_its_label_unit_and_change_and_missing_is_null(root, shown, tmp_path):
    opened = open_chapter("survival", "2026-10", str(tmp_path / OUT))
    publish_all(opened)
    opened.close()
    content = json.loads((tmp_path / OUT / "headline.json").read_text())
    first = content["headline"][0]
    assert first["name"] == "retention_12_months"
    assert first["unit"] == "share"
    assert first["change"] == 0.02
    assert first["ci_high"] is None
    assert first["year_ago"] is None


def test_each_headline_and_the_contrast_leave_a_claim_card(root, shown, tmp_path):
    opened = open_chapter("survival", "2026-10", str(tmp_path / OUT))
    publish_all(opened)
    opened.close()
    cards = json.loads((tmp_path / OUT / "headline.json").read_text())["claims"]
    assert [card["kind"] for card in cards] == ["contrast"] + ["headline"] * 3
    assert cards[0]["statement"] == "SMB against enterprise"
    assert cards[0]["cut_off"] == "2026-09-28"


def test_a_chapter_has_one_primary_contrast(root, shown):
    opened = open_chapter("survival")
    opened.contrast(**CONTRAST)
    with pytest.raises(UnfinishedChapterError, match="one is primary"):
        opened.contrast(**CONTRAST)


def test_a_hard_failure_prints_its_reason_in_place_of_the_headline(root, shown, tmp_path):
    opened = open_chapter("survival", "2026-10", str(tmp_path / OUT))
    publish_all_but_headline(opened)
    failed = {"name": "rank", "passed": False, "is_hard": True, "note": "nobody is left"}
    opened.contrast(**CONTRAST)
    opened.headline(headline_rows("survival"), checks={"retention_12_months": [failed]})
    opened.close()
    first, second, _ = json.loads((tmp_path / OUT / "headline.json").read_text())["headline"]
    assert (first["estimate"], first["ci_low"], first["change"]) == (None, None, None)
    assert (first["state"], first["note"]) == ("not_available", "nobody is left")
    assert second["estimate"] == 0.5


def test_a_picture_of_cells_that_privacy_hides_is_not_drawn(root, shown, tmp_path):
    params = (root / "params.yaml").read_text().replace("min_cell: 0", "min_cell: 10")
    (root / "params.yaml").write_text(params)
    opened = open_chapter("survival", "2026-10", str(tmp_path / OUT))
    small = pd.DataFrame({"level": ["smb", "mid"], "n": [3, 40], "share": [0.1, 0.2]})
    told = replace(PICTURE, rows=small, title="3 left", alt="3 of smb left")
    opened.show(told)
    opened.show(replace(told, name="large", rows=small.assign(n=[30, 40])))
    assert "3 left" not in shown[-2]
    assert "3 of smb" not in shown[-2]
    assert "smaller than min_cell" in shown[-2]
    assert "<svg></svg>" not in (tmp_path / OUT / "figures" / "survival.by-segment.svg").read_text()
    assert "3 of smb left" in shown[-1]


def test_a_table_without_its_promised_columns_is_refused(root, shown):
    with pytest.raises(UnfinishedChapterError, match="n_at_risk"):
        open_chapter("survival").publish("curves", pd.DataFrame({"stratum": []}))


@pytest.mark.parametrize(
    ("change", "words"),
    [({"state": "splendid"}, "no state"), ({"name": "nps"}, "no headline")],
)
def test_a_headline_that_nobody_promised_is_refused(root, shown, change, words):
    rows = headline_rows("survival").assign(**change)
    with pytest.raises(UnfinishedChapterError, match=words):
        open_chapter("survival").headline(rows)


def test_a_chapter_that_forgot_a_table_or_headline_leaves_no_end_marker(root, shown, tmp_path):
    opened = open_chapter("survival", "2026-10", str(tmp_path / OUT))
    with pytest.raises(UnfinishedChapterError, match=r"survival\.curves.*12_months.*contrast"):
        opened.close()
    assert not (tmp_path / OUT / "complete.json").exists()


def test_a_name_is_used_once(root, shown):
    opened = open_chapter("survival")
    opened.publish("extra", PICTURE.rows)
    with pytest.raises(UnfinishedChapterError, match="already kept"):
        opened.publish("extra", PICTURE.rows)


def test_the_summary_reads_what_the_chapters_kept(root, shown, tmp_path):
    paths = Paths(root, "sample")
    for name in ("population", "revenue", "survival", "drivers", "time_to_value"):
        opened = open_chapter(name, "2026-10", str(tmp_path / OUT / name))
        publish_all(opened)
        opened.model("cox", 100, 20, True)
        opened.page_one("top", pd.DataFrame({"driver": ["usage"]}))
        opened.close()
        target = paths.headline(name, Period("2026-10"))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tmp_path / OUT / name / "headline.json", target)
    summary = open_chapter("summary", "2026-10", str(tmp_path / OUT / "summary"))
    assert summary.headlines()["name"].tolist() == list(HEADLINES)
    assert summary.headlines()["estimate"].tolist() == [0.5] * len(HEADLINES)
    aimed = summary.headlines().set_index("name")
    assert aimed.loc["quick_ratio", ["target", "target_owner"]].tolist() == [4.0, "Sales"]
    assert aimed["target"].count() == 1
    assert summary.page_one_of("drivers", "top")["driver"].tolist() == ["usage"]
    assert summary.page_one_of("drivers", "nothing").empty
    assert summary.page_one_of("health", "top").empty
    assert summary.models()["chapter"].nunique() == 5
    summary.tiles(summary.headlines(), ["mrr_end", ("account_churn_rate", "quick_ratio"), "nps"])
    assert shown[-1].count('class="tile-value"') == 3


def test_the_summary_of_a_run_needs_its_chapters_and_by_hand_it_opens_without(root, shown):
    assert open_chapter("summary").headlines().empty
    with pytest.raises(store.MissingDataError, match="comes after"):
        open_chapter("summary", "2026-10", str(root / OUT)).headlines()


def test_pseudonyms_hide_the_id_hold_still_and_follow_the_key(root, shown, monkeypatch):
    opened = open_chapter("revenue")
    names = opened.pseudonyms(pd.Series(["a-1", "a-2", "a-1"]))
    assert names[0] == names[2] != names[1]
    assert names[0] == pseudonym("a-1", "sample")
    monkeypatch.setenv("LODESTAR_PSEUDONYM_KEY", "secret")
    assert opened.pseudonyms(pd.Series(["a-1"]))[0] == pseudonym("a-1", "secret") != names[0]


def test_a_pseudonym_agrees_with_openssl():
    # printf a-1 | openssl dgst -sha256 -hmac sample
    assert pseudonym("a-1", "sample") == "acct-745b1c7441"


@pytest.mark.parametrize("part", ["title", "subtitle", "alt", "source"])
def test_a_figure_without_its_words_is_refused_by_name(root, shown, part):
    opened = open_chapter("survival")
    with pytest.raises(UnfinishedChapterError, match=f"{PICTURE.name} has no {part}"):
        opened.show(replace(PICTURE, **{part: " "}))


def test_a_long_table_is_folded_and_says_how_many_rows_more_there_are(root, shown):
    rows = pd.DataFrame({"level": [f"l{at}" for at in range(24)], "n": range(24)})
    open_chapter("survival").table(rows, caption="Levels")
    assert "<summary>9 more rows<" in shown[-1]
    assert shown[-1].count('scope="row"') == 24


def test_the_observed_time_ends_at_the_cut_off(root, shown):
    assert open_chapter("survival", "2026-10").observed.endswith("to 28 September 2026")


def test_a_table_of_another_chapter_names_its_file_and_is_absent_while_that_one_is_not_listed(
    root, shown, tmp_path
):
    rows = pd.DataFrame({"driver": ["segment"], "n": [20]})
    page_one = open_chapter("summary", output=str(tmp_path / OUT))
    page_one.table(rows, "Effects", published="drivers.effects", is_folded=True)
    assert 'href="tables/drivers.effects.csv"' in shown[-1]
    assert "<details><summary>Effects</summary>" in shown[-1]
    page_one.table(rows.head(0), "Effects", published="drivers.effects", is_folded=True)
    assert "There is nothing to show" in shown[-1]
    assert "<summary>Effects</summary>" not in shown[-1]
    before = len(shown)
    page_one.company = page_one.company.model_copy(update={"chapters": ["summary", "revenue"]})
    page_one.table(rows.head(0), "Effects", published="drivers.effects")
    assert len(shown) == before
