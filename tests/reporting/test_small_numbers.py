"""Small numbers: the rule on tables to check by hand, then every artefact of a whole report."""

import html
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.reporting import chapter, figures
from pipeline.reporting.chapter import pseudonym
from pipeline.reporting.privacy import small_numbers, telling
from pipeline.reporting.privacy.small_numbers import WITHHELD
from pipeline.settings import ROOT_VARIABLE
from tests.reporting import outside
from tests.reporting.outside import MIN_CELL, PERIOD

OUT = "build/scratch/out"
REASONS = pd.DataFrame(
    {
        "reason": ["price", "low_use", "support", "unknown"],
        "n": [40, 12, 4, 30],
        "share": [40 / 86, 12 / 86, 4 / 86, 30 / 86],
        "mrr_lost": [900.0, 310.0, 77.0, 500.0],
    }
)
LEVELS = pd.DataFrame(
    {
        "stratum": ["all", "segment", "segment", "segment"],
        "level": ["all", "SMB", "MM", "ENT"],
        "months": [12] * 4,
        "n": [200, 150, 44, 6],
        "n_events": [40, 30, 10, 0],
        "estimate": [0.8, 0.75, 0.9, 1.0],
        "ci_low": [0.7, 0.7, 0.8, np.nan],
        "note": [""] * 4,
    }
)
CURVE = pd.DataFrame(
    {
        "stratum": ["all"] * 4,
        "level": ["all"] * 4,
        "time_days": [30, 60, 90, 120],
        "estimate": [0.99, 0.95, 0.9, 0.5],
        "ci_low": [0.95, 0.9, 0.8, 0.2],
        "ci_high": [1.0, 0.98, 0.95, 0.8],
        "n_at_risk": [100, 90, 40, 4],
        "n_events": [1, 12, 0, 2],
        "n_censored": [0, 15, 0, 0],
    }
)


# The rule.


def test_inside_the_company_nothing_is_hidden() -> None:
    assert small_numbers.hidden(REASONS, 0) is REASONS
    assert telling.without_small("3 customers left.", 0) == "3 customers left."


def test_a_small_cell_loses_count_money_and_the_share_that_would_give_it_back() -> None:
    hidden = small_numbers.hidden(REASONS, 10).set_index("reason")
    assert hidden.loc["support", ["n", "share", "mrr_lost"]].isna().all()
    assert REASONS["n"].tolist() == [40, 12, 4, 30]


def test_the_next_smallest_cell_goes_with_it_and_the_others_stay() -> None:
    hidden = small_numbers.hidden(REASONS, 10).set_index("reason")
    assert hidden.loc["low_use", ["n", "share", "mrr_lost"]].isna().all()
    assert hidden.loc[["price", "unknown"], ["n", "share", "mrr_lost"]].notna().all(axis=None)


def test_the_total_beside_the_levels_is_not_hidden_with_a_small_one() -> None:
    hidden = small_numbers.hidden(LEVELS, 10).set_index("level")
    assert hidden.loc["all", ["n", "n_events", "estimate"]].tolist() == [200, 40, 0.8]
    assert hidden["n"].isna().tolist() == [False, False, True, True]


def test_a_rate_of_few_accounts_goes_and_the_rate_of_its_neighbour_stays() -> None:
    hidden = small_numbers.hidden(LEVELS, 10).set_index("level")
    assert np.isnan(hidden.loc["ENT", "estimate"])
    assert hidden.loc["MM", "estimate"] == 0.9
    assert hidden.loc[["MM", "ENT"], "note"].tolist() == ["counts hidden", "too few to show"]
    assert hidden.loc["SMB", "note"] == ""


def test_a_curve_keeps_its_steps_where_enough_are_at_risk_and_loses_its_small_counts() -> None:
    hidden = small_numbers.hidden(CURVE, 10)
    assert hidden["n_events"].isna().tolist() == [True, False, False, True]
    assert hidden["estimate"].isna().tolist() == [False, False, False, True]
    assert hidden["time_days"].tolist() == [30, 60, 90, 120]


def test_of_rows_that_are_single_accounts_none_is_left_and_the_reason_is_said() -> None:
    listed = pd.DataFrame({"account": ["acct-1", "acct-2"], "mrr": [10.0, 20.0]})
    assert small_numbers.hidden(listed, 10).empty
    assert list(small_numbers.hidden(listed, 10)) == ["account", "mrr"]
    assert "single accounts" in small_numbers.remark(listed, listed.iloc[:0], 10)
    assert small_numbers.remark(listed, listed, 0) == ""


def test_rows_that_another_chapter_hid_are_told_as_hidden() -> None:
    hidden = small_numbers.hidden(REASONS, 10)
    assert small_numbers.hidden(hidden, 10).equals(hidden)
    assert "fewer than 10" in small_numbers.remark(hidden, hidden, 10)
    assert small_numbers.remark(REASONS.head(1), REASONS.head(1), 10) == ""


def test_a_count_that_is_blank_for_another_reason_is_not_told_as_hidden() -> None:
    unknown = REASONS.assign(n=[40.0, 12.0, np.nan, 30.0])
    assert small_numbers.remark(unknown, small_numbers.hidden(unknown, 10), 10) == ""
    assert small_numbers.remark(unknown, small_numbers.hidden(unknown, 20), 20) != ""


def test_rows_for_page_one_say_there_when_something_was_hidden_and_only_then(
    tmp_path, monkeypatch
) -> None:
    company = outside.built(tmp_path)
    monkeypatch.setenv(ROOT_VARIABLE, str(company.root))
    shown: list[str] = []
    monkeypatch.setattr(chapter, "display", lambda output: shown.append(output.data))
    opened = chapter.open_chapter("revenue", str(PERIOD), str(tmp_path / OUT))
    unknown = REASONS.assign(n=[40.0, 12.0, np.nan, 30.0])
    opened.page_one("unknown", unknown)
    opened.page_one("reasons", REASONS)
    content = json.loads(json.dumps({"page_one": opened._page_one}))
    monkeypatch.setattr(chapter.Chapter, "_kept", lambda *asked: content[asked[-1]])
    for name, is_told in (("unknown", False), ("reasons", True)):
        rows = opened.page_one_of("revenue", name)
        summed = pd.concat([rows.head(3), pd.DataFrame(rows.tail(1).to_dict("records"))])
        assert list(rows) == list(REASONS)
        for table in (rows, summed.reset_index(drop=True)):
            opened.table(table, "Reasons")
            assert ("Hidden: counts" in shown[-1]) is is_told


def test_a_caption_and_a_lead_tell_no_small_count(tmp_path, monkeypatch) -> None:
    company = outside.built(tmp_path)
    monkeypatch.setenv(ROOT_VARIABLE, str(company.root))
    shown: list[str] = []
    monkeypatch.setattr(chapter, "display", lambda output: shown.append(output.data))
    opened = chapter.open_chapter("revenue", str(PERIOD), str(tmp_path / OUT))
    opened.say("They left.", "3 customers")
    opened.table(pd.DataFrame({"account": ["acct-1"]}), "The 3 accounts lost")
    assert "They left." in shown[-2]
    assert "single accounts" in shown[-1]
    assert [text for text in shown if "3 customers" in text or "3 accounts" in text] == []


def test_a_count_of_another_time_is_hidden_alone() -> None:
    rows = REASONS.assign(n=[40, 12, 14, 30], n_this_month=[3, 0, 0, 11])
    hidden = small_numbers.hidden(rows, 10)
    assert hidden["n"].tolist() == [40, 12, 14, 30]
    assert hidden["n_this_month"].isna().tolist() == [True, False, False, True]


def test_parts_of_a_bridge_go_and_its_movements_stay() -> None:
    bridge = pd.DataFrame(
        {
            "period": ["2025-06"],
            "mrr_start": [100.0],
            "churn": [7.0],
            "mrr_end": [93.0],
            "bridged": [0.0],
            "of_which_completed": [5.0],
        }
    )
    hidden = small_numbers.hidden(bridge, 10).iloc[0]
    assert (hidden["churn"], hidden["bridged"]) == (7.0, 0.0)
    assert np.isnan(hidden["of_which_completed"])


def test_what_a_step_left_out_is_not_found_between_its_two_counts() -> None:
    steps = pd.DataFrame(
        {
            "step": ["a", "b"],
            "n_before": [382, 380],
            "n_after": [380, 202],
            "mrr_affected": [55.0, 9000.0],
        }
    )
    hidden = small_numbers.hidden(steps, 10)
    assert hidden["n_before"].isna().tolist() == [True, False]
    assert hidden["n_after"].isna().tolist() == [True, False]


def test_months_rows_and_draws_are_no_accounts() -> None:
    rows = pd.DataFrame({"chart": ["churn"], "value": [0.1], "n_settled": [8]})
    months = pd.DataFrame({"grade": ["mae"], "estimate": [1.5], "n": [2]})
    assert small_numbers.hidden(rows, 10)["n_settled"].tolist() == [8]
    assert small_numbers.hidden(months, 10)["estimate"].tolist() == [1.5]


def test_a_state_beside_a_hidden_number_says_suppressed() -> None:
    rows = LEVELS.assign(state="ok")
    hidden = small_numbers.hidden(rows, 10).set_index("level")
    assert hidden.loc["ENT", "state"] == "suppressed"
    assert hidden.loc["SMB", "state"] == "ok"


# Words.


@pytest.mark.parametrize(
    "told",
    [
        "2 customers lost in the month, with MRR of USD 2,262",
        "121 came in and 3 went out in October",
        "1 of 3 had not left",
        "five largest accounts hold 23.5 % of MRR",
        "without any one account 99.6 % to 99.9 %",
        "Value on or before the first paid day: 4 starters",
    ],
)
def test_a_clause_that_tells_a_small_count_is_not_said(told: str) -> None:
    assert telling.without_small(f"Of 200 accounts all were seen; {told}", 10) == (
        "Of 200 accounts all were seen"
    )
    assert telling.without_small(told, 10) == telling.TOO_FEW


@pytest.mark.parametrize(
    "said",
    [
        "At last year's rates 69.5 % stay 12 months (58.3 % to 78.2 %); n 294.",
        "Of 29 claims on these pages 15 are supported, 14 fragile, 7 of these only for a month",
        "it rests on fewer than 5 events",
        "half by day 8; 112 losses, 349 accounts; 1,204 customers",
        "At one mix of customers, 2.1 % were lost in the newest settled month",
        "0 events among 22",
    ],
)
def test_what_tells_no_small_count_is_said_as_it_is(said: str) -> None:
    assert telling.without_small(said, 10) == said


def test_a_reason_keeps_the_name_of_its_check() -> None:
    assert telling.reason("enough events: 2 events; 5 are asked for", 10) == (
        "enough events: too few to show"
    )


# Headlines and cards.


def row(**given: Any) -> dict[str, Any]:
    facts = {
        "name": "value_by_day_30_share",
        "estimate": 0.5,
        "ci_low": 0.2,
        "ci_high": 0.8,
        "n": 8,
        "state": "ok",
        "note": "4 of 8",
        "previous": 0.4,
        "year_ago": None,
    }
    return facts | given


def test_a_headline_of_few_accounts_is_suppressed_and_says_why() -> None:
    kept = small_numbers.headline(row(), 10)
    assert [kept[name] for name in ("estimate", "ci_low", "ci_high", "n", "previous")] == [None] * 5
    assert (kept["state"], kept["note"]) == ("suppressed", "fewer than 10 accounts")


def test_a_headline_of_enough_accounts_and_a_total_of_the_company_stay() -> None:
    kept = small_numbers.headline(row(n=80, note=""), 10)
    assert kept == row(n=80, note="", previous=None)
    total = small_numbers.headline(row(name="mrr_end", estimate=12.0, note=""), 10)
    assert (total["estimate"], total["n"]) == (12.0, 8)


def test_a_figure_of_an_earlier_time_stays_only_where_enough_are_known_to_carry_it() -> None:
    earlier = {"n": 80, "note": "", "previous": 0.4, "year_ago": 0.3, "change": 0.1}
    rows = pd.DataFrame(
        [
            row(name="customers_start") | earlier | {"previous": 79.0, "year_ago": 9.0},
            row(name="gross_account_churn_rate") | earlier,
            row(name="retention_12_months") | earlier,
            row(name="median_lifetime_months") | earlier | {"n": 100},
        ]
    )
    kept = small_numbers.headlines(rows, 10).set_index("name")[["previous", "year_ago", "change"]]
    assert kept.loc["customers_start"].tolist() == [79.0, 9.0, 0.1]
    assert kept.loc["gross_account_churn_rate"].notna().tolist() == [True, False, True]
    assert kept.loc["retention_12_months"].isna().all()
    assert kept.loc["median_lifetime_months"].tolist() == [0.4, 0.3, 0.1]
    again = small_numbers.headlines(small_numbers.headlines(rows, 10), 10).set_index("name")
    assert again[list(kept)].equals(kept)
    few_before = rows.assign(previous=rows["previous"].replace(79.0, 9.0))
    churn = small_numbers.headlines(few_before, 10).set_index("name").iloc[1]
    assert churn[["previous", "change"]].isna().all()
    assert small_numbers.headlines(rows, 0) is rows


def test_a_claim_card_keeps_its_verdict_and_loses_small_counts_and_the_words_for_them() -> None:
    card = {
        "name": "gross_account_churn_rate",
        "estimate": 0.01,
        "n": 244,
        "n_events": 2,
        "checks": [{"name": "enough events", "note": "2 events; 5 are asked for"}],
        "verdict": "fragile",
        "reasons": ["enough events: 2 events; 5 are asked for"],
    }
    kept = small_numbers.card(card, 10)
    assert (kept["n"], kept["n_events"], kept["verdict"]) == (244, None, "fragile")
    assert "2 events" not in json.dumps(kept)
    assert small_numbers.card(card, 0) == card


# Pictures.


def drawn(rows: pd.DataFrame, title: str) -> figures.Figure:
    return figures.bars(
        rows,
        label="reason",
        value="n",
        name="reasons",
        title=title,
        subtitle="Customers lost by reason",
        alt=title,
        source="86 losses",
    )


def test_a_picture_is_drawn_anew_without_its_small_bars_and_their_words() -> None:
    made = drawn(REASONS, "4 losses for want of support")
    shown = small_numbers.picture(made, 10, WITHHELD)
    texts = ["".join(each.itertext()) for each in ElementTree.fromstring(shown.picture).iter()]
    assert "40" in texts
    assert not {"4", "12"} & set(texts)
    assert "4 losses" not in shown.title + shown.alt
    assert "Hidden" in shown.source


def test_a_title_that_tells_nothing_hidden_is_kept() -> None:
    made = drawn(REASONS, "Price leads with 40 losses")
    assert small_numbers.picture(made, 10, WITHHELD).title == "Price leads with 40 losses"


def test_a_title_that_says_a_hidden_share_or_sum_is_not_kept() -> None:
    for title in ("Support took 4.7 % of the lost", "Support cost USD 1,377 a month"):
        rows = REASONS.assign(mrr_lost=[9000.0, 3100.0, 1377.0, 5000.0])
        shown = small_numbers.picture(drawn(rows, title), 10, WITHHELD)
        assert shown.title == "Reasons; small cells are hidden"


def test_a_picture_of_which_nothing_is_left_says_so() -> None:
    shown = small_numbers.picture(drawn(REASONS, "Reasons"), 1000, WITHHELD)
    assert (shown.title, shown.picture) == (WITHHELD["title"], WITHHELD["picture"])


def test_a_survival_picture_without_counts_keeps_its_curve() -> None:
    words = dict(name="curves", title="Half stay", subtitle="Share", alt="Half stay", source="n")
    made = figures.survival_curves(CURVE.iloc[[0, 0, 2]].assign(time_days=[30, 60, 90]), **words)
    shown = small_numbers.picture(made, 10, WITHHELD)
    assert "At risk" in made.picture
    assert "path" in shown.picture
    assert shown.title == "Half stay"


# Every artefact of a whole report.

NAME_OF_A_ROW = "5 accounts"
"""The largest five; their number tells nothing."""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """What the chapters of one company show and keep, and the account-level data behind it."""
    company = outside.built(tmp_path_factory.mktemp("outside") / "company")
    accounts = pd.DataFrame(outside.accounts())
    for column in ("start_date", "end_date", "notice_date", "term_ends_on"):
        accounts[column] = pd.to_datetime(accounts[column])
    return SimpleNamespace(files=outside.artefacts(company), accounts=accounts)


def small_sums(accounts: pd.DataFrame) -> set[int]:
    """MRR of every small cell, and of every single account, that is no total of the company."""
    end = PERIOD.end.isoformat()
    months = {name: accounts[name].dt.strftime("%Y-%m") for name in ("start_date", "end_date")}
    totals = {
        int(total) for month in months.values() for total in accounts.groupby(month)["mrr"].sum()
    }
    lost = accounts[accounts["end_date"].notna()]
    staying = accounts[accounts["end_date"].isna()]
    cells = [accounts.groupby("account_id"), lost.groupby("end_reason"), lost.groupby("end_type")]
    cells += [
        group.groupby(accounts["start_date"].dt.strftime(form))
        for group in (staying, accounts)
        for form in ("%Y", "%Y-%m")
    ]
    cells += [group.groupby("segment") for group in (lost, staying)]
    cells += [
        staying[staying[name].notna()].groupby(lambda _: end)
        for name in ("notice_date", "term_ends_on")
    ]
    found = {
        int(cell["mrr"].sum())
        for grouped in cells
        for _, cell in grouped
        if 0 < len(cell) < MIN_CELL
    }
    return found - totals


def plain(files: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Each artefact as text, pictures of a page left to their own files."""
    for name, text in files.items():
        yield name, html.unescape(re.sub(r"base64,[A-Za-z0-9+/=]+", "", text))


def whole_numbers(text: str) -> set[int]:
    found = re.findall(r"(?<![\w.])\d[\d,]*(?:\.0+)?(?![\w.]*\d)", text)
    return {int(each.split(".")[0].replace(",", "")) for each in found}


def counts_in(content: Any) -> Iterator[tuple[str, float]]:
    """Every n and n_… of a JSON value."""
    if isinstance(content, dict):
        for key, value in content.items():
            if re.fullmatch(r"n|n_[a-z_]+", key) and isinstance(value, int | float):
                yield key, value
            yield from counts_in(value)
    elif isinstance(content, list):
        for value in content:
            yield from counts_in(value)


def small(counts: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    months = ("n_settled", "n_months", "n_made", "n_forerunners", "n_exchanges")
    return [(key, n) for key, n in counts if 0 < n < MIN_CELL and key not in months]


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the chapters show and keep of the same accounts in one file without dates."""
    company = outside.built_flat(tmp_path_factory.mktemp("flat") / "company")
    return outside.artefacts(company)


def test_no_artefact_holds_the_money_of_a_small_cell(report: SimpleNamespace) -> None:
    forbidden = small_sums(report.accounts)
    assert len(forbidden) > 100
    told = {name: whole_numbers(text) & forbidden for name, text in plain(report.files)}
    assert {name: sums for name, sums in told.items() if sums} == {}


def test_no_table_and_no_record_counts_a_small_cell(report: SimpleNamespace) -> None:
    told = {}
    for name, text in report.files.items():
        if name.endswith(".csv") and "back_test" not in name and "shipped" not in name:
            rows = outside.rows_of(text)
            told[name] = small(
                (key, float(value))
                for row in rows
                for key, value in row.items()
                if re.fullmatch(r"n|n_.*", key) and value
            )
        elif name.endswith("headline.json"):
            told[name] = small(counts_in(json.loads(text)))
    assert len(told) > 60
    assert {name: found for name, found in told.items() if found} == {}


def test_no_page_no_picture_and_no_note_tells_a_small_count_in_words(
    report: SimpleNamespace,
) -> None:
    who = r"(?:customers?|accounts?|churns?|loss|losses|lapses?|events?|starters?)"
    words = re.compile(rf"(?<![\d.,])(?<!than )\b[1-9] (?:[a-z]+ )?{who}\b|\b[1-9] of \d")
    told = {}
    for name, text in plain(report.files):
        alts = " | ".join(re.findall(r'(?:alt|title|aria-label)="([^"]*)"', text))
        seen = f"{re.sub(r'<[^>]*>', ' | ', text)} | {alts}"
        told[name] = [each[0] for each in words.finditer(seen) if each[0] != NAME_OF_A_ROW]
    assert {name: found for name, found in told.items() if found} == {}


def test_a_flat_file_tells_no_small_cell_either(report: SimpleNamespace, flat: dict) -> None:
    """A file without dates has no movements, so no sum of few accounts is a total."""
    staying = report.accounts[report.accounts["end_date"].isna()]
    gamma = int(staying.loc[staying["segment"] == "gamma", "mrr"].sum())
    forbidden = {gamma, *report.accounts["mrr"].astype(int)}
    told = {name: whole_numbers(text) & forbidden for name, text in plain(flat)}
    assert {name: sums for name, sums in told.items() if sums} == {}
    rows = [
        row for name, text in flat.items() if name.endswith(".csv") for row in outside.rows_of(text)
    ]
    counts = [
        (key, float(value))
        for row in rows
        for key, value in row.items()
        if re.fullmatch(r"n|n_.*", key) and value
    ]
    assert len(counts) > 100
    assert small(counts) == []


def test_no_account_stands_anywhere_under_any_name(report: SimpleNamespace) -> None:
    for name, text in report.files.items():
        assert "acct-" not in text, name
        assert "client-0" not in text, name
        assert "Firm" not in text, name


def test_inside_the_company_accounts_stand_under_pseudonyms_that_who_resolves(
    tmp_path, monkeypatch
) -> None:
    company = outside.built(tmp_path, min_cell=0, chapters=["revenue", "summary"])
    files = outside.artefacts(company, ("revenue", "summary"))
    assert not [name for name, text in files.items() if "client-0" in text or "Firm" in text]
    named = set(re.findall(r"acct-[0-9a-f]{10}", " ".join(files.values())))
    assert len(named) >= 5
    ids = {pseudonym(row["account_id"], "acme") for row in outside.accounts()}
    assert named <= ids
    told = CliRunner().invoke(app, ["--root", str(tmp_path), "who", min(named)])
    assert told.exit_code == 0
    assert pseudonym(told.output.strip(), "acme") == min(named)


def test_an_id_of_an_account_leaves_a_chapter_under_a_pseudonym(tmp_path, monkeypatch) -> None:
    company = outside.built(tmp_path, min_cell=0)
    monkeypatch.setenv(ROOT_VARIABLE, str(company.root))
    shown: list[str] = []
    monkeypatch.setattr(chapter, "display", lambda output: shown.append(output.data))
    opened = chapter.open_chapter("revenue", str(PERIOD), str(tmp_path / OUT))
    listed = pd.DataFrame({"account_id": ["client-001"], "mrr": [5.0]})
    opened.table(listed, "Named by mistake")
    opened.publish("by_mistake", listed)
    kept = (tmp_path / OUT / "tables" / "revenue.by_mistake.csv").read_text("utf-8")
    for text in (shown[-1], kept):
        assert "client-001" not in text
        assert pseudonym("client-001", "acme") in text
    drawn_ = replace(drawn(REASONS, "Reasons"), rows=listed)
    with pytest.raises(chapter.UnfinishedChapterError, match="ids of accounts"):
        opened.show(drawn_)


def test_a_small_segment_cannot_be_found_by_subtraction(report: SimpleNamespace) -> None:
    levels = pd.DataFrame(outside.rows_of(report.files["survival/tables/survival.levels.csv"]))
    own = levels[levels["stratum"] == "segment"].set_index("level")
    assert report.accounts["segment"].value_counts()["gamma"] == 6
    assert own.loc[["beta", "gamma"], "n"].eq("").all()
    assert own.loc["alpha", "n"] != ""


def test_totals_of_the_company_are_shown(report: SimpleNamespace) -> None:
    staying = report.accounts[report.accounts["end_date"].isna()]
    headline = json.loads(report.files["revenue/headline.json"])["headline"]
    known = {row["name"]: row["estimate"] for row in headline}
    assert known["customers_end"] == len(staying)
    assert known["mrr_end"] == staying["mrr"].sum()
    bridge = outside.rows_of(report.files["revenue/tables/revenue.mrr_bridge.csv"])
    assert all(row["churn"] and row["new"] for row in bridge)


def test_pictures_are_drawn_of_what_may_be_shown(report: SimpleNamespace) -> None:
    pictures = {name: text for name, text in report.files.items() if name.endswith(".svg")}
    drawn = [name for name, text in pictures.items() if text != WITHHELD["picture"]]
    assert "survival/figures/survival.curves.svg" in drawn
    assert "revenue/figures/revenue.layers.svg" in drawn
    assert len(drawn) > len(pictures) / 2
