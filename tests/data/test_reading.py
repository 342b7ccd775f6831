"""Reading: what an export says comes out cell by cell, with the line it stands on."""

import bz2
import contextlib
import csv
import datetime as dt
import gzip
import io
import zipfile
from decimal import Decimal
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from pipeline import settings
from pipeline.data import reading, store
from pipeline.data.reading import FIELDS, LINE, DataError, RawFile, delimited
from pipeline.data.schema.table import column, table
from pipeline.settings import ConfigurationError, SourceTable

NOTES = table(
    "notes", "one row per note", ("id",), {"id": column("id", "", must=True),
    "name": column("text", ""), "day": column("day", "")},
)  # fmt: skip
TEXT = "id,name,day\n001,Acme,2025-01-05\n002,株式会社,2025-01-06\n"
CELLS = [("001", "Acme", "2025-01-05"), ("002", "株式会社", "2025-01-06")]


def read(path: Path, content: bytes | None = None, **source) -> list[tuple]:
    """The rows of one file as (line, surplus, cells…)."""
    if content is not None:
        path.write_bytes(content)
    text = reading.read_text(NOTES, SourceTable(**source), [RawFile(path, path.name)])
    names = [name for name in text.column_names if name in NOTES.columns]
    return [(row[LINE], row[FIELDS], *(row[name] for name in names)) for row in text.to_pylist()]


def plain(path: Path, content: bytes | None = None, **source) -> list[tuple]:
    return [row[2:] for row in read(path, content, **source)]


def zipped(**members: str) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name.replace("_csv", ".csv"), text)
    return held.getvalue()


# CSV.


@pytest.mark.parametrize(
    ("content", "source"),
    [
        (TEXT.encode(), {}),
        (b"\xef\xbb\xbf" + TEXT.encode(), {}),
        (TEXT.encode("utf-16"), {}),
        (b"\xfe\xff" + TEXT.encode("utf-16-be"), {}),
        (TEXT.encode("utf-16-le"), {"encoding": "utf-16-le"}),
        (TEXT.encode("cp932"), {"encoding": "cp932"}),
        (TEXT.encode("euc_jp"), {"encoding": "EUC-JP"}),
        (TEXT.replace("\n", "\r\n").encode(), {}),
        (TEXT.replace("\n", "\r").encode(), {}),
        (TEXT.rstrip().encode(), {}),
        (TEXT.replace(",", ";").encode(), {"separator": ";"}),
        (TEXT.replace(",", "\t").encode(), {"separator": "\t"}),
        (TEXT.replace(",", "|").encode(), {"separator": "|"}),
        (TEXT.replace("Acme", '"Acme"').encode(), {}),
        (b"\n" + TEXT.encode() + b"\n\n", {}),
    ],
    ids=[
        "utf-8", "utf-8 with mark", "utf-16 with mark", "utf-16 big endian", "utf-16-le declared",
        "cp932", "euc-jp", "crlf", "cr", "no last newline", "semicolon", "tab", "bar", "quoted",
        "blank lines",
    ],
)  # fmt: skip
def test_a_csv_file_reads_alike_however_it_is_written(tmp_path, content, source):
    assert plain(tmp_path / "notes.csv", content, **source) == CELLS


@pytest.mark.parametrize("name", ["notes.csv.gz", "notes.csv.zip", "notes.zip", "notes.parquet"])
def test_a_packed_file_or_parquet_reads_like_the_plain_one(tmp_path, name):
    content = gzip.compress(TEXT.encode()) if name.endswith("gz") else zipped(notes_csv=TEXT)
    if name.endswith(".parquet"):
        rows = list(csv.reader(io.StringIO(TEXT)))
        cells = dict(zip(rows[0], zip(*rows[1:], strict=True), strict=True))
        pq.write_table(pa.table({name: list(cells[name]) for name in cells}), tmp_path / name)
        content = None
    assert plain(tmp_path / name, content) == CELLS


def test_lines_count_the_header_and_every_newline_inside_quotes(tmp_path):
    content = b'id,name,day\nA,"two\r\nlines",\n\nB,b,\r\nC,"x\ry\nz",\nD,d,\n'
    assert [(row[0], row[2]) for row in read(tmp_path / "notes.csv", content)] == [
        (2, "A"), (5, "B"), (6, "C"), (9, "D"),
    ]  # fmt: skip


def test_short_and_long_rows_keep_their_line_and_say_how_many_fields_they_miss(tmp_path):
    content = b"id,name,day\nA,a,\nB,b\nC,c,,x,y\n"
    assert [row[:2] for row in read(tmp_path / "notes.csv", content)] == [(2, 0), (3, -1), (4, 2)]


def test_no_word_means_nothing_unless_it_is_declared(tmp_path):
    rows = "".join(f"{word},{word},\n" for word in ("NA", "None", "null", "nan", "-"))
    content = ("id,name,day\n" + rows).encode()
    assert [row[1] for row in plain(tmp_path / "notes.csv", content)] == [
        "NA", "None", "null", "nan", "-",
    ]  # fmt: skip
    declared = plain(tmp_path / "notes.csv", content, null_values=["-", "null"])
    assert [row[1] for row in declared] == ["NA", "None", "", "nan", ""]


def test_a_nul_byte_becomes_visible_and_cuts_nothing_off(tmp_path):
    content = b"id,name,day\nA,a\x00b,\n"
    assert plain(tmp_path / "notes.csv", content) == [("A", "a\u2400b", "")]


def test_a_file_without_rows_has_its_columns(tmp_path):
    text = reading.read_text(NOTES, None, [RawFile(_written(tmp_path, "id,day\n"), "notes.csv")])
    assert (text.num_rows, text.column_names[:2]) == (0, ["id", "day"])


def _written(folder: Path, text: str, name: str = "notes.csv") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_the_facts_of_a_file_are_its_hash_its_encoding_and_what_nobody_asked_for(tmp_path):
    path = tmp_path / "notes.csv"
    path.write_bytes(b"\xef\xbb\xbfid,name,colour,\nA,a,red,\n")
    facts = reading.read(NOTES, None, [RawFile(path, path.name)]).facts
    assert facts == [
        {
            "file": "notes.csv", "sha256": store.sha256(path), "bytes": 28, "rows": 1,
            "extra_columns": ["colour", "(column 4)"],
            "encoding": "utf-8", "has_byte_order_mark": True,
        }
    ]  # fmt: skip


def test_several_files_of_a_table_may_have_different_columns(tmp_path):
    first = RawFile(_written(tmp_path, "id,name\nA,a\n", "1.csv"), "1.csv")
    second = RawFile(_written(tmp_path, "day,id\n2025-01-01,B\n", "2.csv"), "2.csv")
    text = reading.read_text(NOTES, None, [first, second])
    assert text.select(["id", "name", "day"]).to_pylist() == [
        {"id": "A", "name": "a", "day": None}, {"id": "B", "name": None, "day": "2025-01-01"},
    ]  # fmt: skip


BROKEN_CSV = {
    "not closed": ('id,name,day\nA,"a,\nB,b,\nC,c,\n', r"line 2: a quote opens here and is not cl"),
    "closed later": (
        'id,name,day\nA,a,\nB,"b,\nC,c,\nD,d",\n',
        r"line 3: the record that begins here runs to line 5, and 3 of its 3 lines look like",
    ),
    "closed in a cell": (
        'id,name,day\nA,"a,\nB,b,\nC,"c",\n', r"line 2: a quote opens here and is closed on line 4",
    ),
    "text after a quote": ('id,name,day\nA,"a"b,\n', r"line 2: text follows a closing quote"),
    "late in a long record": (
        'id,name,day\nA,"x\ny","z\nB,b,\n', r"line 3: a quote opens here and is not closed",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "message"), BROKEN_CSV.values(), ids=BROKEN_CSV.keys())
def test_a_quote_that_swallows_rows_is_named_by_the_line_on_which_it_opens(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path / "notes.csv", text.encode())


def test_cells_with_lines_that_look_like_records_are_read_where_that_is_declared(tmp_path):
    text = 'id,name,day\nA,"a, b\nc, d",\n'
    with pytest.raises(DataError, match=r"set source\.tables\.<table>\.line_breaks: true"):
        read(tmp_path / "notes.csv", text.encode())
    assert plain(tmp_path / "notes.csv", text.encode(), line_breaks=True) == [
        ("A", "a, b\nc, d", "")
    ]


def test_a_cell_without_end_is_an_error_and_fills_no_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(delimited, "LARGEST_CELL", 1000)
    text = 'id,name,day\nA,"a,\n' + "B,b,2025-01-01 and more\n" * 100
    with pytest.raises(DataError, match=r"line 2: a cell has more than 1,000 characters"):
        read(tmp_path / "notes.csv", text.encode())


@pytest.mark.parametrize(
    ("content", "source", "message"),
    [
        (TEXT.encode("cp932"), {}, r"line 3 is not utf-8; it looks like cp932"),
        (
            "id,name,day\nA,Müller,\n".encode("cp1252"),
            {},
            r"line 2 is not utf-8; it looks like cp12",
        ),
        (TEXT.encode("utf-16-le"), {}, r"missing columns: id"),
        (b"\xff\xfeid,name,d", {}, r"is not utf-16"),
        (TEXT.encode("utf-32"), {}, r"begins with the byte-order mark of utf-32"),
        (b"\xef\xbb\xbf" + TEXT.encode(), {"encoding": "cp932"}, r"byte-order mark of utf-8"),
        (TEXT.encode(), {"encoding": "ascii"}, r"line 3 is not ascii"),
        (b"id,name,day\nA,\xe3\x81", {}, r"line 2 is not utf-8"),
    ],
)
def test_text_in_another_encoding_is_named_by_line_and_never_read_as_something_else(
    tmp_path, content, source, message
):
    with pytest.raises(DataError, match=message):
        read(tmp_path / "notes.csv", content, **source)


def test_an_encoding_or_separator_that_does_not_exist_is_refused_in_the_settings():
    for wrong in ({"encoding": "utf-9"}, {"encoding": "base64"}, {"separator": "::"}):
        content = {"company": "acme", "company_name": "A", "periods": []}
        content["source"] = {"tables": {"accounts": wrong}}
        with pytest.raises(ConfigurationError, match=r"source\.tables\.accounts\.(enc|sep)"):
            settings.parse(content)


# Archives.


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("n.csv.zip", zipped(a_csv=TEXT, b_csv=TEXT), r"holds 2 files: 'a\.csv', 'b\.csv'"),
        ("n.csv.zip", zipped(), r"holds 0 files"),
        ("n.csv.zip", zipped(**{"a.xlsx": "x"}), r"Only a CSV file may be packed"),
        ("n.csv.zip", zipped(a_csv=TEXT)[:-30], r"damaged or cut off"),
        ("n.csv.zip", TEXT.encode(), r"damaged or cut off"),
        ("n.csv.gz", gzip.compress(TEXT.encode(), mtime=0)[:-12], r"damaged or cut off"),
        ("n.csv.gz", TEXT.encode(), r"damaged or cut off"),
        ("n.csv.gz", bz2.compress(TEXT.encode()), r"damaged or cut off"),
    ],
)
def test_an_archive_that_cannot_be_unpacked_is_named(tmp_path, name, content, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path / name, content)


@pytest.mark.parametrize(
    "packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_whatever_byte_of_an_archive_is_damaged_it_reads_the_same_or_is_named(tmp_path, packing):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", packing) as archive:
        archive.writestr("notes.csv", TEXT)
    for place in range(len(held.getvalue())):
        damaged = bytearray(held.getvalue())
        damaged[place] ^= 1 << (place % 8)
        with contextlib.suppress(DataError):
            assert plain(tmp_path / "notes.csv.zip", bytes(damaged)) == CELLS


def test_what_macos_adds_to_an_archive_is_no_second_file(tmp_path):
    content = zipped(**{"notes_csv": TEXT, "__MACOSX/._notes_csv": "x"})
    assert plain(tmp_path / "notes.zip", content) == CELLS


@pytest.mark.parametrize("name", ["notes.csv.gz", "notes.csv.zip"])
def test_an_archive_that_unpacks_to_more_than_the_limit_is_left(tmp_path, name):
    rows = "id,name,day\n" + "A,a,2025-01-01\n" * 200_000
    content = gzip.compress(rows.encode()) if name.endswith("gz") else zipped(notes_csv=rows)
    path = tmp_path / name
    path.write_bytes(content)
    assert len(content) < 20_000
    with pytest.raises(DataError, match=r"unpacked more than 1 MB .* source\.largest_file_mb"):
        reading.read(NOTES, None, [RawFile(path, path.name)], largest_mb=1)


# Parquet.


def test_typed_cells_of_parquet_become_the_text_of_a_csv_export(tmp_path):
    moment = pa.array([dt.datetime(2025, 1, 5, 4, 30)], pa.timestamp("us", "UTC"))
    cells = {
        "decimal": pa.array([Decimal("1234567890.1230")]),
        "tiny": pa.array([Decimal("0.00000012")]),
        "double": pa.array([1e22]),
        "small": pa.array([0.1], pa.float32()),
        "whole": pa.array([2**63 - 1]),
        "day": pa.array([dt.date(2025, 1, 5)]),
        "local": pa.array([dt.datetime(2025, 1, 5, 13, 30)], pa.timestamp("ms")),
        "zoned": moment.cast(pa.timestamp("us", "Asia/Tokyo")),
        "flag": pa.array([True]),
        "code": pa.array(["x"]).dictionary_encode(),
        "list": pa.array([[1, 2]]),
        "struct": pa.array([{"名": "a"}]),
        "nothing": pa.nulls(1),
        "missing": pa.array([None], pa.int64()),
        "not_a_number": pa.array([float("nan")]),
    }
    pq.write_table(pa.table(cells), tmp_path / "all.parquet")
    all_of_it = table("all", "", (), {name: column("text", "") for name in cells})
    file = RawFile(tmp_path / "all.parquet", "all.parquet")
    row = reading.read_text(all_of_it, None, [file]).to_pylist()[0]
    assert {name: row[name] for name in cells} == {
        "decimal": "1234567890.1230", "tiny": "0.00000012", "double": "10000000000000000000000",
        "small": "0.1", "whole": "9223372036854775807", "day": "2025-01-05",
        "local": "2025-01-05 13:30:00.000", "zoned": "2025-01-05 04:30:00.000000Z",
        "flag": "true", "code": "x", "list": "[1, 2]", "struct": '{"名": "a"}', "nothing": None,
        "missing": None, "not_a_number": "nan",
    }  # fmt: skip
    written = reading.read_text(all_of_it, SourceTable(decimal=","), [file]).to_pylist()[0]
    assert (written["decimal"], written["day"]) == ("1234567890,1230", "2025-01-05")


def test_a_parquet_column_of_bytes_is_refused_only_where_it_is_asked_for(tmp_path):
    path = tmp_path / "notes.parquet"
    pq.write_table(pa.table({"id": [b"A"], "other": [b"x"]}), path)
    with pytest.raises(DataError, match=r"column 'id' holds bytes"):
        read(path)
    pq.write_table(pa.table({"id": ["A"], "other": [b"x"]}), path)
    assert plain(path) == [("A",)]


# Excel.


def workbook_of(rows: list[list], path: Path, *, epoch=None, **sheets: list[list]) -> Path:
    book = openpyxl.Workbook()
    if epoch:
        book.epoch = epoch
    for row in rows:
        book.active.append(row)
    for title, content in sheets.items():
        sheet = book.create_sheet(title)
        for row in content:
            sheet.append(row)
    book.save(path)
    return path


@pytest.mark.parametrize("epoch", [None, CALENDAR_MAC_1904], ids=["1900", "1904"])
def test_typed_cells_of_a_sheet_become_the_text_of_a_csv_export(tmp_path, epoch):
    day = dt.datetime(2025, 1, 5)
    moment = dt.datetime(2025, 1, 5, 13, 30, 15)
    rows = [["id", "name", "day"], [1, 0.1, day], [12345678901234, True, moment], ["007", 1e16, ""]]
    path = workbook_of(rows, tmp_path / "notes.xlsx", epoch=epoch)
    assert read(path) == [
        (2, 0, "1", "0.1", "2025-01-05"),
        (3, 0, "12345678901234", "true", "2025-01-05T13:30:15"),
        (4, 0, "007", "10000000000000000", ""),
    ]


def test_a_number_that_shows_leading_zeros_keeps_them(tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["id", "name"])
    book.active.append([123, "a"])
    book.active["A2"].number_format = "00000"
    book.save(tmp_path / "notes.xlsx")
    assert plain(tmp_path / "notes.xlsx") == [("00123", "a")]


def test_lines_of_a_sheet_are_its_rows_and_blank_rows_are_no_records(tmp_path):
    rows = [[], ["id", "name"], [], ["A", "a"], [None, None], ["B"], ["C", "c", "too much"]]
    path = workbook_of(rows, tmp_path / "notes.xlsx")
    assert read(path) == [(4, 0, "A", "a"), (6, 0, "B", ""), (7, 1, "C", "c")]


def test_a_sheet_is_declared_or_the_only_one(tmp_path):
    path = workbook_of([["x"]], tmp_path / "notes.xlsx", 顧客=[["id", "name"], ["A", "a"]])
    assert plain(path, sheet="顧客") == [("A", "a")]
    with pytest.raises(DataError, match=r"has 2 sheets: 'Sheet', '顧客'\. Declare one"):
        read(path)
    with pytest.raises(DataError, match=r"no sheet 'Kunden'; it has 'Sheet', '顧客'"):
        read(path, sheet="Kunden")


def test_a_formula_without_a_stored_value_stops_the_reading_by_cell(tmp_path):
    path = workbook_of([["id", "name"], ["A", "a"], ["B", "=1+1"]], tmp_path / "notes.xlsx")
    with pytest.raises(DataError, match=r"without a stored value: B3 \(=1\+1\)"):
        read(path)


def test_a_formula_with_a_stored_value_gives_that_value_be_it_empty(tmp_path):
    path = workbook_of([["id", "name"], ["A", "=1+1"], ["B", "=1+2"]], tmp_path / "notes.xlsx")
    _edit_sheet(path, "<f>1+1</f><v></v>", "<f>1+1</f><v>2</v>")
    _edit_sheet(path, '"B3"><f>1+2</f><v></v>', '"B3" t="str"><f>1+2</f><v></v>')
    assert plain(path) == [("A", "2"), ("B", "")]


def _edit_sheet(path: Path, old: str, new: str) -> None:
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    sheet = parts["xl/worksheets/sheet1.xml"].decode().replace("<v />", "<v></v>")
    assert old in sheet
    parts["xl/worksheets/sheet1.xml"] = sheet.replace(old, new).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def test_merged_cells_in_the_table_stop_the_reading_and_above_it_do_not(tmp_path):
    rows = [["id", "name"], ["A", "a"], [None, "b"]]
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.active.merge_cells("A2:A3")
    book.save(tmp_path / "notes.xlsx")
    with pytest.raises(DataError, match=r"1 merged areas in the table: A2:A3"):
        read(tmp_path / "notes.xlsx")


def test_what_a_failed_formula_shows_comes_as_it_stands(tmp_path):
    path = workbook_of([["id", "name"], ["A", "#REF!"]], tmp_path / "notes.xlsx")
    assert plain(path) == [("A", "#REF!")]


@pytest.mark.parametrize("content", [b"PK\x03\x04 no", b"\xd0\xcf\x11\xe0 old", TEXT.encode()])
def test_a_file_that_is_no_workbook_is_named(tmp_path, content):
    with pytest.raises(DataError, match=r"notes\.xlsx is no Excel workbook"):
        read(tmp_path / "notes.xlsx", content)


def test_a_workbook_with_a_damaged_part_is_named(tmp_path):
    path = workbook_of([["id"], ["A"]], tmp_path / "notes.xlsx")
    _edit_sheet(path, "</sheetData>", "</sheetDa")
    with pytest.raises(DataError, match=r"cannot be read as an Excel workbook"):
        read(path)


def test_a_workbook_damaged_within_a_part_reads_the_same_or_is_named(tmp_path):
    path = workbook_of([["id", "name"], *([f"A{n}", "x"] for n in range(99))], tmp_path / "n.xlsx")
    whole, cells = path.read_bytes(), plain(path)
    with zipfile.ZipFile(path) as archive:
        begin = archive.getinfo("xl/worksheets/sheet1.xml").header_offset
    for place in range(begin, begin + 300, 3):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << (place % 8)
        with contextlib.suppress(DataError):
            assert plain(path, bytes(damaged)) == cells
