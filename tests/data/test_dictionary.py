"""docs/data.md: every declared column is described, and the page is what the schema says."""

from pathlib import Path

import pytest

from pipeline.data.dictionary import PAGE, dictionary
from pipeline.data.schema import RAW, SNAPSHOT, USAGE_MONTHS, Table
from pipeline.data.schema.published import HEADLINES, TABLES

ROOT = Path(__file__).parents[2]
DECLARED = [
    *((table.name, table) for table in (*RAW.values(), USAGE_MONTHS)),
    *((f"snapshot/{table.name}", table) for table in SNAPSHOT.values()),
]


def section(title: str) -> str:
    _, _, rest = dictionary().partition(f"### {title}\n")
    return rest.partition("\n## ")[0].partition("\n### ")[0]


def test_the_page_of_data_is_what_the_schema_says() -> None:
    written = (ROOT / PAGE).read_text(encoding="utf-8")
    assert written == dictionary(), "run: .venv/bin/python -m pipeline.data.dictionary"


@pytest.mark.parametrize(("title", "table"), DECLARED, ids=[title for title, _ in DECLARED])
def test_a_table_is_described_with_its_grain_its_key_and_every_column(
    title: str, table: Table
) -> None:
    words = section(title)
    rows = [line.split(" | ")[0] for line in words.splitlines() if line.startswith("| `")]
    assert rows == [f"| `{name}`" for name in table.columns]
    assert table.grain[1:] in words
    assert all(f"`{name}`" in words for name in table.key)


def test_a_column_says_its_kind_its_unit_whether_it_is_required_and_what_it_allows() -> None:
    assert (
        "| `mrr` | money | currency per month | yes |  | 0 or more | Monthly recurring revenue. |"
    ) in section("subscriptions")
    assert (
        "| `touch_model` | code |  |  |  | `high`, `low`, `tech` | Touch model at signing. |"
    ) in section("accounts")
    assert "| `name` | text |  |  | personal |  | Company or person. |" in section("accounts")


def test_every_headline_and_published_column_stands_in_the_page() -> None:
    page = dictionary()
    absent = [name for name in HEADLINES if f"| `{name}` |" not in page]
    for name, (grain, columns) in TABLES.items():
        listed = ", ".join(f"`{column}`" for column in columns)
        absent += [name] if f"| `{name}` | {grain} | {listed} |" not in page else []
    assert not absent
