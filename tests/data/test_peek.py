"""A first look at exports of which nothing is declared: what is a table, and how is it written."""

import gzip
import sqlite3
import zipfile
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.data import database, peek
from pipeline.settings import Database

ROWS = "id,name,mrr\n1,Ada,10\n2,Bo,20\n"


def only(path: Path) -> peek.Glimpse:
    (glimpse,) = peek.look(path, path.name)
    return glimpse


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_the_one_that_cuts_every_line_alike(
    tmp_path: Path, separator: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(ROWS.replace(",", separator), encoding="utf-8")
    glimpse = only(path)
    assert glimpse.separator == separator
    assert glimpse.columns == {"id": ["1", "2"], "name": ["Ada", "Bo"], "mrr": ["10", "20"]}


@pytest.mark.parametrize(
    ("encoding", "word"), [("utf-8", "Ōsaka"), ("utf-8-sig", "Ōsaka"), ("cp932", "大阪支店")]
)
def test_an_encoding_that_fits_is_found_and_all_but_utf_8_are_doubted(
    tmp_path: Path, encoding: str, word: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(ROWS.replace("Ada", word).encode(encoding))
    glimpse = only(path)
    assert glimpse.columns["name"][0] == word
    assert next(iter(glimpse.columns)) == "id"
    assert bool(glimpse.doubts) == (encoding == "cp932")


def test_packed_files_are_looked_into(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.csv.gz", "wb") as packed:
        packed.write(ROWS.encode())
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("inside.csv", ROWS)
    glimpses, refused = peek.glimpses(tmp_path)
    assert [(g.file, g.n_rows) for g in glimpses] == [("a.csv.gz", 2), ("b.zip", 2)]
    assert refused == []


def test_typed_files_come_as_text_and_need_no_format(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [1, 2], "ok": [True, None]}), tmp_path / "a.parquet")
    book = openpyxl.Workbook()
    book.active.append(["id", "mrr"])
    book.active.append(["x", 12.5])
    book.save(tmp_path / "b.xlsx")
    table, sheet = peek.glimpses(tmp_path)[0]
    assert table.columns == {"id": ["1", "2"], "ok": ["true", ""]}
    assert sheet.columns == {"id": ["x"], "mrr": ["12.5"]}
    assert table.is_typed
    assert sheet.is_typed


def test_what_is_no_table_is_named_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_bytes(b"")
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)) * 10)
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(ROWS.encode() * 100)[:-20])
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 and no more")
    (tmp_path / "notes.docx").write_bytes(b"PK")
    (tmp_path / "twice.csv").write_text("a,b,a\n1,2,3\n", encoding="utf-8")
    glimpses, refused = peek.glimpses(tmp_path)
    assert glimpses == []
    assert [sentence.partition(":")[0] for sentence in refused] == [
        "binary.csv", "cut.csv.gz", "cut.parquet", "empty.csv", "notes.docx", "twice.csv",
    ]  # fmt: skip


def test_only_the_first_rows_of_a_long_file_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peek, "ROWS", 3)
    path = tmp_path / "a.csv"
    path.write_text("id\n" + "".join(f"{n},\n" for n in range(10)), encoding="utf-8")
    glimpse = only(path)
    assert glimpse.n_rows == 3
    assert not glimpse.is_whole


def test_the_tables_of_a_database_are_looked_at_as_files_are(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "crm.sqlite") as crm:
        crm.execute("CREATE TABLE customers (id TEXT, created TEXT)")
        crm.execute("INSERT INTO customers VALUES ('c1', '2024-01-31')")
    crm.close()
    declared = Database(backend="sqlite", file="crm.sqlite")
    with database.connect(declared, tmp_path) as connection:
        glimpses, refused = peek.tables(connection)
    assert refused == []
    assert [(g.file, g.columns, g.is_of_database) for g in glimpses] == [
        ("customers", {"id": ["c1"], "created": ["2024-01-31"]}, True)
    ]


def test_of_a_wide_file_fewer_rows_are_looked_at() -> None:
    assert peek.rows_of(5) == peek.ROWS
    assert peek.rows_of(1_000) == peek.CELLS // 1_000
    assert peek.rows_of(10**6) == peek.FEWEST_ROWS


def test_a_database_file_among_the_exports_is_named_with_the_way_to_look_into_it(tmp_path):
    (tmp_path / "books.sqlite").write_bytes(b"SQLite format 3\x00")
    found, refused = peek.glimpses(tmp_path)
    assert not found
    assert "lodestar init --database" in refused[0]
