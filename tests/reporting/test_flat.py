"""A flat file has no dates: chapters that live on them say so, and show no number."""

import nbformat
import pandas as pd
import pytest

from pipeline.analysis import population, summary
from pipeline.data import slice as slices
from pipeline.data import store
from pipeline.data.schema.published import HEADLINES, TABLES
from pipeline.reporting import words
from pipeline.reporting.chapter import Chapter
from pipeline.reporting.execution import flat
from pipeline.reporting.execution.parameters import declared_parameters
from pipeline.reporting.pages.html import NOT_ON_PAGE
from pipeline.settings import PERIOD_FORMAT, Paths, Period
from tests.conftest import PROJECT
from tests.stages.company import Company, write_company

PERIOD = Period("2026-09")
ROWS = "id,months,left,fee\n" + "".join(
    f"{n},{n % 9 + 1},{'yes' if n % 3 else 'no'},{n}.5\n" for n in range(1, 41)
)
SILENT = sorted(flat.WHY)


def company_of(root, money: bool) -> Company:
    columns = {"account_id": "id", "tenure": "months", "churned": "left"}
    columns |= {"mrr": "fee"} if money else {}
    shape = {"shape": "tenure", "tenure_unit": "months", "columns": columns}
    return write_company(
        root, {"subscriptions.csv": ROWS}, source={"tables": {"subscriptions": shape}},
        periods=[str(PERIOD)], extract_date="2026-09-30",
    ).run()  # fmt: skip


@pytest.fixture(scope="module")
def companies(tmp_path_factory) -> dict[bool, Company]:
    return {money: company_of(tmp_path_factory.mktemp("flat"), money) for money in (True, False)}


def answered(company: Company, name: str, folder) -> dict:
    """What a silent chapter keeps."""
    cut = slices.read(company.paths.snapshot(PERIOD))
    own = getattr(company.settings, name)
    paths = Paths(company.root, company.settings.company)
    flat.answer(Chapter(name, cut, own, company.settings, paths, folder))
    return store.read_json(folder / "headline.json")


@pytest.mark.parametrize("name", SILENT)
def test_a_silent_chapter_publishes_its_tables_without_rows_and_no_number(
    companies, name, tmp_path
):
    kept = answered(companies[False], name, tmp_path)
    promised = [table for table in TABLES if table.split(".")[0] == name]
    shown = {"revenue.what-the-file-does-tell"} if name == "revenue" else set()
    assert {path.stem for path in (tmp_path / "tables").iterdir()} == {*promised, *shown}
    for table in promised:
        rows = pd.read_csv(tmp_path / "tables" / f"{table}.csv")
        assert rows.empty
        assert list(rows.columns) == list(TABLES[table][1])
    said = {row["name"]: row for row in kept["headline"]}
    assert set(said) == {line for line, about in HEADLINES.items() if about.chapter == name}
    told = {line for line, row in said.items() if row["estimate"] is not None}
    assert told == ({"customers_end"} if name == "revenue" else set())
    notes = {row["note"] for line, row in said.items() if line not in told}
    assert notes <= {"a flat file has no dates", "the file has no MRR"}
    contrast = [card for card in kept["claims"] if card["kind"] == "contrast"]
    assert [card["verdict"] for card in contrast] == ["not identified"]


def test_what_stands_on_the_day_of_the_file_is_a_fact(companies, tmp_path):
    kept = answered(companies[True], "revenue", tmp_path)
    said = {row["name"]: (row["estimate"], row["state"]) for row in kept["headline"]}
    stayed = [n for n in range(1, 41) if not n % 3]
    assert said["customers_end"] == (len(stayed), "exact")
    assert said["mrr_end"] == (sum(n + 0.5 for n in stayed), "exact")
    assert said["mrr_start"] == (None, "not_available")


def test_the_short_notebook_asks_the_chapters_question_and_takes_its_parameters(tmp_path):
    source = PROJECT / "notebooks" / "02_revenue.ipynb"
    short = nbformat.read(flat.write_notebook(source, "revenue", tmp_path / "short.ipynb"), 4)
    whole = nbformat.read(source, 4)
    assert short.cells[0].source == whole.cells[0].source
    assert declared_parameters("short", short) == declared_parameters("whole", whole)
    assert PERIOD_FORMAT.fullmatch(str(PERIOD))
    assert "open_chapter('revenue', period, output)" in short.cells[-1].source


def test_page_one_of_a_flat_file_runs_all_cells_and_shows_none_that_needs_a_calendar(tmp_path):
    source = PROJECT / "notebooks" / "00_summary.ipynb"
    short = nbformat.read(flat.write_notebook(source, "summary", tmp_path / "short.ipynb"), 4)
    assert [cell.source for cell in short.cells] == [
        cell.source for cell in nbformat.read(source, 4).cells
    ]
    shown = [cell.id for cell in short.cells if NOT_ON_PAGE not in cell.metadata.get("tags", [])]
    assert {"verdict-sentences", "tiles-shown", "trust-sentence", "contrasts-table"} <= set(shown)
    assert not {"bridge-table", "coming-table", "forecast-table", "at-risk-table"} & set(shown)


def test_population_says_no_money_where_there_is_none(companies):
    company = companies[False]
    accounts, quality = company.table("2026-09", "accounts"), company.table("2026-09", "quality")
    groups = population.counted(accounts, knows_notice=False)
    assert groups["mrr"].isna().all()
    assert "customers in notice" not in set(groups["group"])
    trust = population.trust(quality, accounts)
    assert trust[["mrr_affected", "mrr_share"]].isna().all(axis=None)
    said = population.say_counted(groups, trust, PERIOD.as_of, "USD", words)
    assert said == (
        "13 customers are counted on 30 September 2026. "
        "The quarantine holds 0.000 % of the rows received."
    )
    kept = summary.trusted(trust[trust["table"] == "all"], words, "USD").tolist()
    assert kept == [
        "The quarantine holds 0.000 % of the rows received; "
        "the source has no money to weigh them with."
    ]


def test_page_one_of_a_flat_file_shows_what_is_known_and_says_the_rest_once():
    headlines = pd.DataFrame(
        [
            ("customers_end", "revenue", 13.0, None, None, 13, "exact", ""),
            ("mrr_end", "revenue", None, None, None, None, "not_available", "no MRR"),
            ("median_lifetime_months", "survival", 6.0, 5.0, 7.0, 40, "ok", ""),
        ],
        columns=["name", "chapter", "estimate", "ci_low", "ci_high", "n", "state", "note"],
    )
    assert summary.tiles(headlines, True) == ("customers_end", "median_lifetime_months")
    assert summary.tiles(headlines, False) == summary.TILES
    assert summary.pairs(True) == ()
    usual = pd.DataFrame([("Revenue", "as ever")], columns=["owner", "sentence"])
    owners = {"survival": "Customer success"}
    assert summary.of_flat_file(usual, headlines, owners, words, False) is usual
    found = summary.of_flat_file(usual, headlines, owners, words, True)
    assert found["owner"].tolist() == ["Customer success", ""]
    assert found["sentence"][0] == (
        "Half of 40 accounts leave within 6.0 months (5.0 to 7.0 months)."
    )
    assert found["sentence"][1].startswith("Not available, because a flat file has no dates: ")
