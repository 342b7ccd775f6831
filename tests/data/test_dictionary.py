"""docs/data.md: every declared column is described, and the page is what the schema says."""

import ast
from pathlib import Path

import pytest

from pipeline.data import store
from pipeline.data.dictionary import PAGE, dictionary
from pipeline.data.schema import RAW, SHAPES, SNAPSHOT, USAGE_MONTHS, Table, adds
from pipeline.data.schema.examples import EXAMPLES, SHAPE_EXAMPLES
from pipeline.data.schema.published import HEADLINES, TABLES
from pipeline.data.schema.rules import RULES
from tests.stages.company import write_company

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


@pytest.mark.parametrize("name", RAW)
def test_a_raw_table_shows_an_example_of_every_column_and_who_uses_it(name: str) -> None:
    words = section(name)
    lines = [line for line in words.splitlines() if line.startswith("| `")]
    assert list(EXAMPLES[name]) == list(RAW[name].columns)
    for line, (column, cell) in zip(lines, EXAMPLES[name].items(), strict=True):
        shown = f"`{cell}`" if cell else ""
        users = adds.users(name, column, RAW[name].columns[column].is_required)
        assert line.endswith(f"| {shown} | {users} |")
    assert adds.of_table(name) or RAW[name].is_required or "used by no chapter yet" in words


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_subscriptions_is_described_with_an_example(shape: str) -> None:
    words = section(f"subscriptions, shape {shape}")
    assert set(SHAPE_EXAMPLES[shape]) == set(SHAPES[shape].columns)
    assert all(f"| `{column}` |" in words for column in SHAPES[shape].columns)


def test_the_example_rows_are_one_company_that_ingest_reads_without_a_remark(
    tmp_path: Path,
) -> None:
    files = {f"{name}.csv": csv_of(row) for name, row in EXAMPLES.items()}
    second = {**EXAMPLES["accounts"], "account_id": EXAMPLES["referrals"]["referred_account_id"]}
    files["accounts.csv"] = csv_of(EXAMPLES["accounts"], second)
    own = write_company(tmp_path, files, extract_date="2026-10-31").ingest()
    counts = store.read_json(own.paths.ingest / "extract.json")["counts"]
    assert set(counts) == set(RAW)
    assert all(count["used"] == count["rows"] for count in counts.values())
    touched = store.read_parquet(own.paths.ingest / "touched.parquet")
    assert touched.num_rows == 0, touched.to_pylist()


@pytest.mark.parametrize("shape", SHAPES)
def test_the_example_of_a_shape_is_read_without_a_remark(shape: str, tmp_path: Path) -> None:
    unit = {"tenure_unit": "months"} if shape == "tenure" else {}
    source = {"tables": {"subscriptions": {"file": "s.csv", "shape": shape, **unit}}}
    files = {"s.csv": csv_of(SHAPE_EXAMPLES[shape]), "accounts.csv": csv_of(EXAMPLES["accounts"])}
    own = write_company(tmp_path, files, source=source, extract_date="2026-10-31").ingest()
    assert own.aside("subscriptions") == {}


def csv_of(*rows: dict[str, str]) -> str:
    lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    return (
        "\n".join(line.replace("Works, but slow.", '"Works, but slow."') for line in lines) + "\n"
    )


def test_every_rule_that_a_row_can_break_is_described_with_what_to_do() -> None:
    page = dictionary()
    named = [
        node.value
        for path in (ROOT / "pipeline" / "stages").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "Rule"
        for node in node.args[:1]
        if isinstance(node, ast.Constant)
    ]
    assert named
    assert set(named) <= set(RULES)
    assert all(f"| `{rule}` | {words} |" in page for rule, words in RULES.items())
