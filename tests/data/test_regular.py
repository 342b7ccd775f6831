"""What is read all at once says what the same bytes say record by record, or is not read so.

Every short text of the signs that matter is tried; longer ones are drawn, in parts of a few bytes,
and held against the same file read record by record, with its lines and its errors.
"""

import csv
import io
import itertools
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.data import reading
from pipeline.data.reading import DataError, RawFile, delimited, regular
from pipeline.data.schema.table import column, table
from pipeline.settings import SourceTable

NAMES = ("id", "name", "day")
NOTES = table(
    "notes", "one row per note", ("id",), {name: column("text", "", must=name == "id")
    for name in NAMES},
)  # fmt: skip
ALL_BYTES = 10**9
SIGNS = st.sampled_from('""""",,,\n\n\r;\tab é株\ufeff\0\u2028')
CELLS = st.sampled_from(
    ["a", "", '""', '"a"', '"a,b"', '"say ""so"""', '""""', "b c", "株", '"é"', " ", "\ufeff"]
)
ODD_CELLS = st.sampled_from(
    ['a"b', '"a"b', '"a\nb"', '"a\r\nb"', "\0", '"', '"a" ', ' "a"', "a\rb", "a,b", '"x\ny,z,"']
)
ALWAYS_ANEW = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow)


def records_of(text: str, separator: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))


def read_at_once(text: str, separator: str = ",") -> list[list[str]] | None:
    """The records of a regular text by Arrow; None where it is irregular."""
    part = text.encode()
    if not part or not regular.is_regular(part, separator):
        return None
    width = len(records_of(text, separator)[0])
    try:
        columns = regular.cells(part, separator, width, range(width))
    except regular.IrregularError:
        return None
    return [list(record) for record in zip(*(each.to_pylist() for each in columns), strict=True)]


def test_every_short_text_is_read_at_once_as_record_by_record_or_not_at_all():
    n_read = 0
    for size in range(1, 7):
        for signs in itertools.product('a,"\n\r', repeat=size):
            text = "".join(signs)
            found = read_at_once(text)
            if found is not None:
                assert found == records_of(text), text
                assert len(found) == text.count("\n") + (not text.endswith("\n")), text
                n_read += 1
    assert n_read > 500


@pytest.mark.parametrize(
    "text",
    [
        'a"b,c\n', '"a"b,c\n', '"a" ,b\n', ' "a",b\n', '"a\nb",c\n', '"a,b\n', "a\n\nb\n", "\na\n",
        "a\rb\n", "a,\0\n", '"a""b,c\n', "\ufeffa,b\n", '"a"\n"b\n"\n', "a\r", '""a\n',
    ],
)  # fmt: skip
def test_a_text_with_anything_odd_is_irregular(text):
    assert not regular.is_regular(text.encode(), ",")


def test_bytes_that_are_no_text_are_irregular():
    assert not regular.is_regular(b"a,\xff\n", ",")
    assert regular.is_regular("a,株\n".encode(), ",")


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", " "])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_quoted_and_unquoted_cells_are_regular_by_any_separator(separator, newline):
    text = newline.join(separator.join(row) for row in (['"a"', "b"], ['"x""y"', '""'], ["", "z"]))
    assert read_at_once(text, separator) == [["a", "b"], ['x"y', ""], ["", "z"]]


# Whole files.


def said(path: Path, source: SourceTable) -> object:
    """All that the reader says of a file, or why it refuses it."""
    file = RawFile(path, path.name)
    try:
        read = reading.read(NOTES, source, [file])
    except DataError as error:
        return str(error)
    return read.text.to_pylist(), read.facts


def both_ways(
    content: bytes, path: Path, source: SourceTable, sizes: tuple[int, int]
) -> tuple[object, object]:
    """What is said of a file read record by record and of the same file read by small parts."""
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited, "BLOCK_BYTES", sizes[0])
        patch.setattr(delimited, "BLOCK_ROWS", sizes[1])
        patch.setattr(delimited, "WHOLE_BYTES", ALL_BYTES)
        whole = said(path, source)
        patch.setattr(delimited, "WHOLE_BYTES", 0)
        return whole, said(path, source)


SIZES = st.tuples(st.sampled_from([3, 8, 20, 60, 1000]), st.sampled_from([1, 2, 100]))
MARKS = st.sampled_from([b"", b"", b"\xef\xbb\xbf"])


@given(text=st.text(SIGNS, max_size=60), mark=MARKS, sizes=SIZES, line_breaks=st.booleans())
@settings(max_examples=600, deadline=None, derandomize=True, suppress_health_check=ALWAYS_ANEW)
def test_any_signs_are_read_by_parts_as_record_by_record(tmp_path, text, mark, sizes, line_breaks):
    content = mark + ",".join(NAMES).encode() + b"\n" + text.encode()
    source = SourceTable(line_breaks=line_breaks)
    whole, by_parts = both_ways(content, tmp_path / "notes.csv", source, sizes)
    assert by_parts == whole


@given(data=st.data(), mark=MARKS, sizes=SIZES, line_breaks=st.booleans(), ends=st.booleans())
@settings(max_examples=600, deadline=None, derandomize=True, suppress_health_check=ALWAYS_ANEW)
def test_rows_with_few_odd_cells_are_read_by_parts_as_record_by_record(
    tmp_path, data, mark, sizes, line_breaks, ends
):
    separator = data.draw(st.sampled_from(",;\t|"))
    newline = data.draw(st.sampled_from(["\n", "\n", "\r\n"]))
    header = data.draw(st.sampled_from(["id,name,day", '"id","name","day"', 'id,"x""y",name']))
    rows = data.draw(st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=12))
    for _ in range(data.draw(st.integers(0, 2)) if rows else 0):
        row = data.draw(st.sampled_from(rows))
        odd = data.draw(ODD_CELLS | st.lists(CELLS, min_size=2, max_size=2).map(",".join))
        row[data.draw(st.integers(0, 2))] = odd
    lines = [header, *(",".join(row) for row in rows)]
    text = newline.join(lines).replace(",", separator) + (newline if ends else "")
    content = mark + text.encode()
    if data.draw(st.integers(0, 9)) == 0:
        content += data.draw(st.sampled_from([b"\xff\n", b"\n\n", b"\r", b'"']))
    source = SourceTable(separator=separator, line_breaks=line_breaks)
    whole, by_parts = both_ways(content, tmp_path / "notes.csv", source, sizes)
    assert by_parts == whole


def test_a_regular_file_with_quotes_is_never_read_record_by_record(tmp_path, monkeypatch):
    path = tmp_path / "notes.csv"
    path.write_text('"id","name","day"\n' + '"A","say ""so""",\n' * 100, encoding="utf-8")
    monkeypatch.setattr(delimited, "WHOLE_BYTES", 0)
    monkeypatch.setattr(delimited, "BLOCK_BYTES", 100)
    monkeypatch.setattr(delimited, "_Records", None)
    text = reading.read_text(NOTES, SourceTable(), [RawFile(path, path.name)])
    assert text["name"].to_pylist() == ['say "so"'] * 100
    assert text["source_line"].to_pylist() == list(range(2, 102))


def test_an_odd_line_makes_only_its_own_part_slow(tmp_path, monkeypatch):
    lines = ['"id","name","day"', *['"A","b",'] * 100, '"B",say "so",', *['"C","d",'] * 100]
    path = tmp_path / "notes.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    slow: list[int] = []
    one_by_one = delimited._Records._records

    def counted(self):
        for record in one_by_one(self):
            slow.append(self.first_line)
            yield record

    monkeypatch.setattr(delimited, "WHOLE_BYTES", 0)
    monkeypatch.setattr(delimited, "BLOCK_BYTES", 100)
    monkeypatch.setattr(delimited._Records, "_records", counted)
    text = reading.read_text(NOTES, SourceTable(), [RawFile(path, path.name)])
    assert text["name"].to_pylist() == ["b"] * 100 + ['say "so"'] + ["d"] * 100
    assert text["source_line"].to_pylist() == list(range(2, 203))
    assert 0 < len(slow) < 30
