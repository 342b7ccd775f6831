"""What of a report can be looked for: what its pages show, and nothing that nobody can go to."""

import pandas as pd

from pipeline.reporting import tables
from pipeline.reporting.pages import parts
from pipeline.reporting.records import contents
from pipeline.reporting.records.contents import entries

ROWS = pd.DataFrame({"level": ["<b>"], "n": [3]})
TABLE = tables.table(ROWS, name="revenue-who-left", caption="Who left & why")
PAGE = (
    "<header><dl class='facts'><dt>Status</dt><dd>final</dd></dl></header>"
    "<h1>How many &amp; how much?</h1>"
    f"{parts.definitions({'Lost': 'no <MRR> at the end', 'As of': '31 August 2026'})}"
    '<figure id="revenue-bridge"><figcaption><span class="title">MRR up</span> '
    '<span class="subtitle">MRR by movement</span></figcaption>'
    f'<details class="figure-data">{TABLE.replace("who-left", "bridge-rows")}</details></figure>'
    f"{parts.table_box(TABLE, 'Who left', '', ())}"
    "<p>A line<br>and <img src='data:,' alt=''> more</p>"
)


def found(kind: str) -> list[tuple[str, str, str]]:
    made = entries({"revenue.html": ("Revenue", PAGE)})
    return [(one["title"], one["said"], one["href"]) for one in made if one["kind"] == kind]


def test_a_chapter_is_found_by_its_question() -> None:
    assert found("chapter") == [("How many & how much?", "", "revenue.html")]


def test_a_figure_is_found_by_what_it_measures_and_tells_its_finding() -> None:
    assert found("figure") == [("MRR by movement", "MRR up", "revenue.html#revenue-bridge")]


def test_a_table_is_found_by_its_caption_and_the_data_of_a_figure_is_no_table() -> None:
    assert found("table") == [("Who left & why", "", "revenue.html#revenue-who-left")]


def test_a_definition_is_found_by_its_word_and_a_date_is_no_definition() -> None:
    assert found("definition") == [("Lost", "no <MRR> at the end", "revenue.html")]


def test_a_headline_leads_to_its_chapter_or_to_page_one_and_an_unknown_one_nowhere() -> None:
    report = {
        "headline": [
            {"name": "mrr_end", "chapter": "revenue"},
            {"name": "retention_12_months", "chapter": "survival"},
            {"name": "of_an_older_code", "chapter": "revenue"},
        ],
        "provenance": {"files": {"revenue.html": ""}},
    }
    assert [(one["title"], one["href"]) for one in contents.headlines(report)] == [
        ("MRR", "revenue.html"),
        ("12-month retention, all time", "index.html"),
    ]


def test_a_published_table_is_found_by_its_name() -> None:
    report = {"provenance": {"files": {"tables/revenue.mrr_bridge.csv": "", "index.html": ""}}}
    assert [(one["title"], one["chapter"], one["href"]) for one in contents.files(report)] == [
        ("MRR bridge", "Revenue", "tables/revenue.mrr_bridge.csv")
    ]
