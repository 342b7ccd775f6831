"""Whatever a CSV file holds: it is read as it stands, or refused; never changed and never a crash.

The fuzz hurts good files at random and compares with another reader (`oracle_csv`), cell by cell
and line by line, once record by record and once in blocks. `make verify` hurts 10,000 files.
"""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipeline.data import reading, store
from pipeline.data.reading import FIELDS, LINE, NUL_SHOWN, DataError, RawFile, delimited
from pipeline.data.schema.table import column, table
from pipeline.settings import SourceTable
from pipeline.stages import ingest
from tests.data.oracle_csv import Record, RefusedError, records_of, text_of
from tests.stages.company import Company, write_company

SEED = 20261122
NAMES = ("id", "name", "day")
NOTES = table(
    "notes", "one row per note", ("id",), {name: column("text", "", must=name == "id")
    for name in NAMES},
)  # fmt: skip
SEPARATORS = ",;\t|"
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp932", "euc_jp")
LETTERS = st.sampled_from(" ab0Z.,;\t|\"\n\r'-=é株ア()") | st.characters(
    codec="utf-8", exclude_characters="\0\ufeff"
)
PLAIN_CELLS = st.text("ab1 .-é株", max_size=6)
JAPANESE_LETTERS = st.sampled_from(" ab0Z.,;\t|\"\n\r'-株ア会社")
NEVER_SHRINKS_FILES = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow)


def written(rows: list[list[str]], separator: str, newline: str, quotes_all: bool) -> str:
    """Rows as CSV; a cell is quoted where it must be, or always."""

    def cell(text: str) -> str:
        must = quotes_all or text == "" or any(mark in text for mark in (separator, *'"\r\n'))
        return '"' + text.replace('"', '""') + '"' if must else text

    return "".join(separator.join(cell(text) for text in row) + newline for row in rows)


def rows_of(path: Path, source: SourceTable) -> list[tuple]:
    """What the reader says: line, surplus, cells."""
    text = reading.read_text(NOTES, source, [RawFile(path, path.name)])
    names = [name for name in NAMES if name in text.column_names]
    return [(row[LINE], row[FIELDS], *(row[name] for name in names)) for row in text.to_pylist()]


@pytest.fixture(params=[False, True], ids=["record by record", "in blocks"])
def in_blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Both ways of reading; files are far below the size from which blocks are used."""
    if request.param:
        monkeypatch.setattr(delimited, "WHOLE_BYTES", 0)
    return request.param


@given(data=st.data())
@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=NEVER_SHRINKS_FILES
)
def test_any_table_of_text_is_read_back_cell_by_cell_with_its_lines(tmp_path, in_blocks, data):
    encoding = data.draw(st.sampled_from(ENCODINGS))
    separator = data.draw(st.sampled_from(SEPARATORS))
    newline = data.draw(st.sampled_from(["\n", "\r\n", "\r"]))
    letters = LETTERS if encoding.startswith("utf") else JAPANESE_LETTERS
    cell = st.text(letters, max_size=12)
    rows = data.draw(st.lists(st.tuples(cell, cell, cell).map(list), max_size=8))
    content = written([list(NAMES), *rows], separator, newline, data.draw(st.booleans()))
    path = tmp_path / "notes.csv"
    path.write_bytes(content.encode(encoding))
    source = SourceTable(
        encoding=encoding.removesuffix("-sig"), separator=separator, line_breaks=True
    )
    lines = [record.first_line for record in records_of(content, separator)][1:]
    assert rows_of(path, source) == [(line, 0, *row) for line, row in zip(lines, rows, strict=True)]


@given(
    rows=st.lists(st.lists(PLAIN_CELLS, min_size=1, max_size=4), max_size=9),
    newline=st.sampled_from(["\n", "\r\n"]),
    ends=st.booleans(),
)
@example(rows=[[""], ["a", "b", "c"]], newline="\n", ends=True)
@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=NEVER_SHRINKS_FILES
)
def test_blocks_and_records_are_read_alike(tmp_path, monkeypatch, rows, newline, ends):
    lines = [",".join(NAMES), *(",".join(row) for row in rows)]
    content = newline.join(lines) + (newline if ends else "")
    path = tmp_path / "notes.csv"
    path.write_bytes(content.encode())
    said = []
    for size in (0, 10**9):
        monkeypatch.setattr(delimited, "WHOLE_BYTES", size)
        said.append(read_or_refused(path, SourceTable()))
    assert said[0] == said[1]


# The fuzz.

GOOD = [
    ["A1", "Acme", "2025-01-05"], ["002", 'say "so"', "2025-01-06"],
    ["C", "株式会社 テスト", ""], ["1e5", "a, b; c", "2025-02-28"],
    ["E", "two\nlines", "2025-03-01"], ["F", "", "2025-03-02"], ["G", "NA", "2025-03-03"],
]  # fmt: skip
PLAIN = [
    [cell.replace('"', "").replace(",", "").replace("\n", " ") for cell in row] for row in GOOD
]
PIECES = (
    b'"', b'""', b",", b";", b"\t", b"\n", b"\r", b"\r\n", b"\n\n", b"\x00", b"\xff", b"\xfe\xff",
    b"\xef\xbb\xbf", b"\xe6\xa0", b"\x81", b" ", b'","', b'"\n"', b"id", b"0", b"\xe2\x80\xa8",
    b"\x0b", b"\x1a", b"\\",
)  # fmt: skip


def hurt(content: bytes, draw: np.random.Generator) -> bytes:
    """A file after one to four accidents."""
    hurt_so_far = bytearray(content)
    for _ in range(draw.integers(1, 5)):
        place = int(draw.integers(0, len(hurt_so_far) + 1))
        other = int(draw.integers(0, len(hurt_so_far) + 1))
        piece = PIECES[draw.integers(len(PIECES))]
        match draw.integers(7):
            case 0 if place < len(hurt_so_far):
                hurt_so_far[place] ^= 1 << int(draw.integers(8))
            case 1:
                hurt_so_far[place:place] = piece
            case 2:
                del hurt_so_far[place : place + int(draw.integers(1, 12))]
            case 3:
                hurt_so_far[place:place] = hurt_so_far[min(place, other) : max(place, other)][:60]
            case 4:
                hurt_so_far[place : place + len(piece)] = piece
            case 5 if draw.integers(4) == 0:
                del hurt_so_far[place:]
            case _:
                hurt_so_far[place:place] = bytes([int(draw.integers(256))])
    return bytes(hurt_so_far)


def hurt_files(count: int, seed: int) -> Iterator[tuple[bytes, str, str]]:
    """So many hurt files with the encoding and separator that are declared for them."""
    draw = np.random.default_rng(seed)
    for _ in range(count):
        encoding = str(draw.choice(ENCODINGS, p=[0.5, 0.1, 0.1, 0.1, 0.1, 0.1]))
        separator = str(draw.choice(list(SEPARATORS)))
        newline = str(draw.choice(["\n", "\r\n", "\r"], p=[0.5, 0.3, 0.2]))
        rows = GOOD if draw.integers(2) else PLAIN
        text = written([list(NAMES), *rows], separator, newline, False)
        if rows is PLAIN:
            text = text.replace('"', "")
        yield hurt(text.encode(encoding), draw), encoding.removesuffix("-sig"), separator


def expected(content: bytes, encoding: str, separator: str) -> list[tuple] | None:
    """What the file says by the letter; None where it must be refused."""
    try:
        header, *records = records_of(text_of(content, encoding), separator) or [Record(1, 1, [])]
    except RefusedError:
        return None
    names = [cell.strip() for cell in header.cells]
    named = [name for name in names if name]
    if "id" not in names or len(set(named)) < len(named):
        return None
    if records and len(records[0].cells) > len(names):
        return None
    places = [names.index(name) for name in NAMES if name in names]
    said = []
    for record in records:
        cells = [*record.cells, *[""] * len(names)]
        shown = (cells[place].replace("\0", NUL_SHOWN) for place in places)
        said.append((record.first_line, len(record.cells) - len(names), *shown))
    return said


def has_long_records(content: bytes, encoding: str, separator: str) -> bool:
    """True when a record spans lines: the reader may then suspect a quote that swallows rows."""
    records = records_of(text_of(content, encoding), separator)
    return any(record.last_line > record.first_line for record in records)


def read_or_refused(path: Path, source: SourceTable) -> tuple[list[tuple] | None, str]:
    """The rows, or why there are none."""
    try:
        return rows_of(path, source), ""
    except DataError as error:
        return None, str(error)


def fuzz(folder: Path, count: int, seed: int) -> dict[str, int]:
    """Read hurt files and compare; how often each thing happened."""
    path = folder / "notes.csv"
    happened = {"read": 0, "with bad rows": 0, "refused": 0, "suspected": 0}
    for number, (content, encoding, separator) in enumerate(hurt_files(count, seed)):
        path.write_bytes(content)
        wanted = expected(content, encoding, separator)
        where = f"file {number} of seed {seed}: {content!r} as {encoding} by {separator!r}"
        found, message = read_or_refused(path, SourceTable(encoding=encoding, separator=separator))
        is_suspect = "swallows rows" in message and wanted is not None
        if found is not None:
            assert found == wanted, where
            happened["with bad rows" if any(row[1] for row in found) else "read"] += 1
        elif is_suspect:
            assert has_long_records(content, encoding, separator), f"{where}: {message}"
            happened["suspected"] += 1
        else:
            assert wanted is None, f"{where}: refused: {message}"
            assert path.name in message, where
            happened["refused"] += 1
    return happened


def test_500_hurt_files_are_read_right_or_refused(tmp_path, in_blocks):
    happened = fuzz(tmp_path, 500, SEED)
    assert sum(happened.values()) == 500
    assert min(happened["read"], happened["with bad rows"], happened["refused"]) >= 50


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_10000_hurt_files_are_read_right_or_refused(tmp_path, in_blocks):
    happened = fuzz(tmp_path, 10_000, SEED + 1)
    assert sum(happened.values()) == 10_000
    assert happened.pop("suspected") > 0
    assert all(count >= 100 for count in happened.values())


SUBSCRIPTIONS = "subscription_id,account_id,start_date,mrr\nS1,Z,2025-01-05,100\n"
LENIENT = {"quarantine": {"max_share_of_rows": 1.0, "max_share_of_mrr": 1.0}}
ACCOUNT_NAMES = ["account_id", "name", "signed_up_date"]


def hurt_company(folder: Path, content: bytes, encoding: str, separator: str) -> Company:
    own = {"encoding": encoding, "separator": separator}
    company = write_company(
        folder,
        {"subscriptions.csv": SUBSCRIPTIONS},
        source={"tables": {"accounts": own}},
        **LENIENT,
    )
    (company.paths.raw / "accounts.csv").write_bytes(content)
    return company


def sort_out(folder: Path, count: int, seed: int) -> dict[str, int]:
    """Take hurt accounts through `ingest`; each line is used as it stands, listed, or a copy."""
    happened = {"refused": 0, "used": 0, "quarantined": 0}
    draw = np.random.default_rng(seed)
    for number in range(count):
        rows = [ACCOUNT_NAMES, *GOOD, ["Z", "z", "2025-01-01"]]
        content = hurt(written(rows, ",", "\n", False).encode(), draw)
        company = hurt_company(folder / str(number), content, "utf-8", ",")
        try:
            ingest.run(company.settings, company.paths)
        except (DataError, store.CorruptDataError):
            happened["refused"] += 1
            continue
        _, *records = records_of(text_of(content, "utf-8"), ",")
        used = store.read_parquet(company.paths.ingest / "accounts.parquet").to_pylist()
        listing = company.paths.quarantine / "accounts.csv"
        listed = store.read_published_rows(listing) if listing.is_file() else []
        lines = {record.first_line: record.cells for record in records}
        assert {int(row["line"]) for row in listed} <= set(lines), content
        for row in used:
            day = row["signed_up_date"].isoformat()
            said = [cell.strip() for cell in lines[row[LINE]]]
            assert row["account_id"] in said, content
            assert day in said, content
        kept = {row[LINE] for row in used} | {int(row["line"]) for row in listed}
        copies = [lines[line] for line in set(lines) - kept]
        assert all(list(lines.values()).count(cells) > 1 for cells in copies), content
        happened["used"] += len(used)
        happened["quarantined"] += len(listed)
    return happened


def test_hurt_accounts_are_used_as_they_stand_or_listed_with_their_line(tmp_path):
    happened = sort_out(tmp_path, 8, SEED + 2)
    assert min(happened.values()) > 0


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_300_exports_of_hurt_accounts_are_used_as_they_stand_or_listed(tmp_path):
    happened = sort_out(tmp_path, 300, SEED + 3)
    assert min(happened.values()) >= 50


def test_the_oracle_agrees_with_a_table_done_by_hand():
    text = 'id,name\r\nA,"x\r\ny"\n\nB,"say ""so""",z\rC,a"b'
    assert records_of(text, ",") == [
        Record(1, 1, ["id", "name"]), Record(2, 3, ["A", "x\r\ny"]),
        Record(5, 5, ["B", 'say "so"', "z"]), Record(6, 6, ["C", 'a"b']),
    ]  # fmt: skip
    for bad in ('A,"x', 'A,"x"y', '"'):
        with pytest.raises(RefusedError):
            records_of(bad, ",")
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert [row for row in rows if row] == [record.cells for record in records_of(text, ",")]
