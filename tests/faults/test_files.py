"""Faults 1 to 26: files and encodings, each through the real reader and `ingest`.

Where the fault is a file that cannot be used, the command line is asked too: its exit code, one
message, no traceback, and nothing written.
"""

import contextlib
import gzip
import os
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import cli, exits
from pipeline.data import engine, reading, store
from pipeline.data.reading import ChangingFileError, DataError, RawFile, files
from pipeline.data.schema import RAW
from pipeline.data.store import CorruptDataError, MissingDataError
from pipeline.settings import Period
from pipeline.stages import ingest, snapshot
from tests.stages.company import Company, accounts_of, write_company

ACCOUNTS = accounts_of("A", "B")
SUBSCRIPTIONS = (
    "subscription_id,account_id,start_date,end_date,mrr\n"
    "S1,A,2025-01-05,,100\n"
    "S2,B,2025-01-06,,100\n"
)
FILES = {"accounts.csv": ACCOUNTS, "subscriptions.csv": SUBSCRIPTIONS}
LENIENT = {"quarantine": {"max_share_of_rows": 1.0, "max_share_of_mrr": 1.0}}
PERIOD = Period("2025-01")


def company_of(folder: Path, **params: object) -> Company:
    return write_company(folder, FILES, **params)


def raw(company: Company, name: str, content: bytes | str) -> Path:
    path = company.paths.raw / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def ingested(company: Company) -> dict:
    ingest.run(company.settings, company.paths)
    return store.read_json(company.paths.ingest / "extract.json")


def table(company: Company, name: str = "accounts") -> pd.DataFrame:
    return store.read_frame(company.paths.ingest / f"{name}.parquet")


def facts_of(company: Company, name: str) -> dict:
    return next(each for each in ingested(company)["files"] if each["file"] == name)


@contextlib.contextmanager
def _same_signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def refused(company: Company, capsys: pytest.CaptureFixture[str], verb: str = "check") -> tuple:
    """A command's exit code and message; nothing is written below data/processed."""
    with _same_signals(), pytest.raises(SystemExit) as end:
        cli.main(["--root", str(company.root), verb])
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    assert not company.paths.ingest.exists()
    return end.value.code, said.err + said.out


def source_of(**own: object) -> dict:
    return {"source": {"tables": {"accounts": own}}}


def test_f001_every_missing_file_is_named_before_anything_runs(tmp_path, capsys):
    company = write_company(tmp_path, {"Account.csv": ACCOUNTS})
    code, said = refused(company, capsys)
    assert code == 66
    assert "accounts.csv (is it 'Account.csv'? Name it as source.tables.accounts.file)" in said
    assert "subscriptions.csv" in said


def test_f001_a_file_that_is_declared_and_missing_is_named_for_an_optional_table_too(tmp_path):
    company = company_of(tmp_path, source={"tables": {"usage": {"file": "events/*.csv"}}})
    with pytest.raises(MissingDataError, match=r"(?s)1 exports .*events/\*\.csv"):
        ingest.run(company.settings, company.paths)


def test_f002_an_empty_file_stops_the_run_and_is_noted_for_an_optional_table(tmp_path, capsys):
    company = company_of(tmp_path)
    raw(company, "usage.csv", b"")
    facts = facts_of(company, "usage.csv")
    assert (facts["table"], facts["bytes"]) == ("usage", 0)
    assert "counts as not given" in facts["note"]
    shutil.rmtree(company.paths.processed)
    raw(company, "accounts.csv", b"")
    code, said = refused(company, capsys)
    assert (code, "accounts.csv is empty (0 bytes)" in said) == (65, True)


@pytest.mark.parametrize("name", ["accounts", "subscriptions", "usage"])
def test_f003_a_header_without_rows_stops_the_run_unless_that_is_declared(tmp_path, capsys, name):
    header = {"usage": "account_id,occurred_at,feature\n"}
    header |= {each: text.partition("\n")[0] + "\n" for each, text in
               (("accounts", ACCOUNTS), ("subscriptions", SUBSCRIPTIONS))}  # fmt: skip
    company = company_of(tmp_path)
    raw(company, f"{name}.csv", header[name])
    code, said = refused(company, capsys)
    assert (code, f"{name}.csv: 0 rows" in said) == (65, True)
    company = company_of(tmp_path, source={"tables": {name: {"allow_empty": True}}})
    raw(company, f"{name}.csv", header[name])
    if name == "usage":
        assert ingested(company)["rows"]["usage"] == 0
    else:
        assert "has no report" in refused(company, capsys)[1]


def test_f003_headers_without_rows_are_all_named_before_any_row_is_read(tmp_path, monkeypatch):
    company = company_of(tmp_path)
    raw(company, "usage.csv", "account_id,occurred_at,feature\n")
    raw(company, "tickets.csv.gz", gzip.compress(b"ticket_id,account_id,opened_at\n"))
    monkeypatch.setattr(ingest.Ingest, "read", None)
    with pytest.raises(DataError, match=r"(?s)usage\.csv: 0 rows.*tickets\.csv\.gz: 0 rows"):
        ingest.run(company.settings, company.paths)


def test_f004_a_byte_order_mark_is_no_part_of_the_first_column_and_is_recorded(tmp_path):
    company = company_of(tmp_path)
    raw(company, "accounts.csv", b"\xef\xbb\xbf" + ACCOUNTS.encode())
    facts = facts_of(company, "accounts.csv")
    assert (facts["encoding"], facts["has_byte_order_mark"]) == ("utf-8", True)
    assert facts_of(company, "subscriptions.csv")["has_byte_order_mark"] is False


def test_f005_utf_16_is_read_by_its_mark_and_without_one_must_be_declared(tmp_path):
    company = company_of(tmp_path)
    raw(company, "accounts.csv", ACCOUNTS.encode("utf-16"))
    assert facts_of(company, "accounts.csv")["encoding"] == "utf-16"
    assert table(company)["account_id"].tolist() == ["A", "B"]
    raw(company, "accounts.csv", ACCOUNTS.encode("utf-16-le"))
    with pytest.raises(DataError, match=r"accounts\.csv.*(NUL bytes|missing columns)"):
        ingest.run(company.settings, company.paths)
    declared = company_of(tmp_path, **source_of(encoding="utf-16-le"))
    raw(declared, "accounts.csv", ACCOUNTS.encode("utf-16-le"))
    ingest.run(declared.settings, declared.paths)
    assert table(declared)["account_id"].tolist() == ["A", "B"]


def test_f006_shift_jis_is_named_with_its_line_and_read_where_it_is_declared(tmp_path, capsys):
    text = "account_id,signed_up_date,name\nA,2024-01-01,株式会社\nB,2024-01-01,\n".encode("cp932")
    company = company_of(tmp_path)
    raw(company, "accounts.csv", text)
    code, said = refused(company, capsys)
    assert (code, "line 2 is not utf-8; it looks like cp932" in said) == (65, True)
    declared = company_of(tmp_path, **source_of(encoding="cp932"))
    raw(declared, "accounts.csv", text)
    ingest.run(declared.settings, declared.paths)
    assert table(declared)["name"].tolist() == ["株式会社", None]


@pytest.mark.parametrize("rows_before", [1, 30_000], ids=["near", "behind many blocks"])
def test_f007_one_line_in_another_encoding_stops_the_run_at_that_line(tmp_path, rows_before):
    rows = "".join(f"A{n},2024-01-01\n" for n in range(rows_before)).encode()
    content = b"account_id,signed_up_date\n" + rows + "Müller,2024-01-01\n".encode("cp1252") + rows
    company = company_of(tmp_path)
    raw(company, "accounts.csv", content)
    with pytest.raises(
        DataError, match=rf"line {rows_before + 2} is not utf-8; it looks like cp125"
    ):
        ingest.run(company.settings, company.paths)


def test_f008_all_newlines_count_as_one_and_the_hash_is_of_the_raw_bytes(tmp_path):
    company = company_of(tmp_path, **LENIENT)
    content = (
        b'account_id,signed_up_date,name\r\nA,2024-01-01,"a\r\nb\n"\rB,2024-01-01,b\nC,bad,\r\n'
    )
    path = raw(company, "accounts.csv", content)
    assert facts_of(company, "accounts.csv")["sha256"] == store.sha256(path)
    assert company.quarantine("accounts") == [("6", "signed_up_date", "day_unreadable", "bad")]
    assert table(company)["name"].tolist() == ["a\r\nb", "b"]


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_f009_another_separator_is_suggested_and_never_guessed(tmp_path, capsys, separator):
    company = company_of(tmp_path)
    raw(company, "accounts.csv", ACCOUNTS.replace(",", separator))
    code, said = refused(company, capsys)
    assert (code, f"the separator looks like {separator!r}" in said) == (65, True)
    declared = company_of(tmp_path, **source_of(separator=separator))
    raw(declared, "accounts.csv", ACCOUNTS.replace(",", separator))
    assert ingested(declared)["rows"]["accounts"] == 2


def test_f010_an_open_quote_that_a_later_one_closes_is_found_by_the_lines_it_swallows(
    tmp_path, capsys
):
    company = company_of(tmp_path)
    rows = 'A,2024-01-01,a\nB,2024-01-01,"b\nC,2024-01-01,c\nD,2024-01-01,d"\nE,2024-01-01,e\n'
    raw(company, "accounts.csv", "account_id,signed_up_date,name\n" + rows)
    code, said = refused(company, capsys)
    assert (code, "line 3: the record that begins here runs to line 5" in said) == (65, True)
    raw(company, "accounts.csv", "account_id,signed_up_date,name\n" + rows.replace('d"', "d"))
    code, said = refused(company, capsys)
    assert (code, "line 3: a quote opens here and is not closed" in said) == (65, True)


def test_f011_an_extra_field_in_the_first_row_shifts_nothing_and_names_the_line(tmp_path, capsys):
    company = company_of(tmp_path, **LENIENT)
    raw(company, "accounts.csv", "account_id,signed_up_date\n1,A,2024-01-01\n2,B,2024-01-01\n")
    code, said = refused(company, capsys)
    assert (code, "line 2: the first record has 3 cells and the header 2" in said) == (65, True)


def test_f012_an_extra_field_further_down_puts_that_line_into_quarantine(tmp_path):
    company = company_of(tmp_path, **LENIENT)
    raw(company, "accounts.csv", ACCOUNTS + "C,2024-01-01,x,y\n")
    ingest.run(company.settings, company.paths)
    assert company.quarantine("accounts") == [("4", "", "field_count", "2")]


def test_f013_a_short_row_goes_to_quarantine_with_its_line_and_is_not_filled_up(tmp_path):
    company = company_of(tmp_path, **LENIENT)
    raw(company, "accounts.csv", "account_id,signed_up_date,name\nA,2024-01-01,a\nB,2024-01-01\n")
    raw(company, "subscriptions.csv", SUBSCRIPTIONS.replace(",B,", ",A,"))
    ingest.run(company.settings, company.paths)
    assert company.quarantine("accounts") == [("3", "", "field_count", "-1")]
    assert table(company)["account_id"].tolist() == ["A"]


def test_f014_a_nul_byte_puts_the_line_into_quarantine_and_names_the_column(tmp_path):
    company = company_of(tmp_path, **LENIENT)
    rows = "A,2024-01-01,a\nB,2024-01-01,b\nC,2024-01-01,cut\0off\n"
    raw(company, "accounts.csv", "account_id,signed_up_date,name\n" + rows)
    ingest.run(company.settings, company.paths)
    assert company.quarantine("accounts") == [("4", "name", "nul_character", "(hidden)")]


def test_f015_a_column_that_stands_twice_is_named_with_both_places(tmp_path, capsys):
    company = company_of(tmp_path)
    header = "subscription_id,account_id,mrr,start_date,mrr,end_date,start_date"
    raw(company, "subscriptions.csv", header + "\nS1,A,1,2025-01-01,2,,\n")
    code, said = refused(company, capsys)
    assert code == 65
    assert "line 1: column 'mrr' stands at 3 and 5; column 'start_date' stands at 4 and 7" in said


@pytest.mark.parametrize(
    "written", ["Account_ID", "ＡＣＣＯＵＮＴ_ＩＤ", "ACCOUNT ID", "acount_id"]
)
def test_f016_a_column_written_in_another_way_is_suggested_and_not_taken(tmp_path, written):
    company = company_of(tmp_path)
    raw(company, "accounts.csv", ACCOUNTS.replace("account_id", written))
    with pytest.raises(
        DataError, match=rf"account_id \(as 'account_id'; did you mean '{written}'\?"
    ):
        ingest.run(company.settings, company.paths)
    mapped = company_of(tmp_path, **source_of(columns={"account_id": written}))
    raw(mapped, "accounts.csv", ACCOUNTS.replace("account_id", written))
    assert ingested(mapped)["rows"]["accounts"] == 2


def test_f017_every_missing_column_of_every_file_is_named_at_once(tmp_path, capsys):
    company = company_of(tmp_path)
    raw(company, "accounts.csv", "id,since\nA,2024-01-01\n")
    raw(company, "subscriptions.csv", "subscription_id,account_id\nS1,A\n")
    code, said = refused(company, capsys)
    assert code == 65
    for name in ("accounts.csv: missing columns: account_id", "signed_up_date",
                 "subscriptions.csv: missing columns: start_date", "mrr"):  # fmt: skip
        assert name in said


def test_f018_an_extra_column_is_recorded_and_left_out_and_refused_when_strict(tmp_path, capsys):
    company = company_of(tmp_path)
    raw(
        company,
        "accounts.csv",
        "account_id,colour,signed_up_date\nA,red,2024-01-01\nB,,2024-01-01\n",
    )
    assert facts_of(company, "accounts.csv")["extra_columns"] == ["colour"]
    assert "colour" not in table(company)
    shutil.rmtree(company.paths.processed)
    strict = company_of(tmp_path, source={"strict": True})
    raw(strict, "accounts.csv", "account_id,colour,signed_up_date\nA,red,2024-01-01\n")
    code, said = refused(strict, capsys)
    assert (code, "1 columns that nobody declared: colour" in said) == (65, True)


def test_f019_the_order_of_the_columns_changes_nothing(tmp_path):
    company = company_of(tmp_path)
    ingest.run(company.settings, company.paths)
    before = table(company, "subscriptions")
    rows = [line.split(",") for line in SUBSCRIPTIONS.splitlines()]
    raw(company, "subscriptions.csv", "".join(",".join(row[::-1]) + "\n" for row in rows))
    ingest.run(company.settings, company.paths)
    pd.testing.assert_frame_equal(table(company, "subscriptions"), before)


@pytest.mark.parametrize(
    "content", [b"", b"PAR1", b"not parquet at all", None], ids=["empty", "magic", "text", "cut"]
)
def test_f020_a_parquet_file_that_is_none_is_named_with_what_to_do(tmp_path, capsys, content):
    company = company_of(tmp_path)
    (company.paths.raw / "accounts.csv").unlink()
    path = company.paths.raw / "accounts.parquet"
    store.write_parquet(pa.table({"account_id": ["A"], "signed_up_date": ["2024-01-01"]}), path)
    path.write_bytes(path.read_bytes()[:-40] if content is None else content)
    code, said = refused(company, capsys)
    assert (code, "accounts.parquet" in said) == (65, True)
    assert "Export it again" in said


def test_f021_no_flipped_bit_of_a_table_of_ours_reads_as_another_number(tmp_path):
    path = tmp_path / "money.parquet"
    store.write_parquet(pa.table({"mrr": pa.array(range(1000, 1040)), "name": ["a"] * 40}), path)
    whole = path.read_bytes()
    assert store.read_parquet(path)["mrr"].to_pylist() == list(range(1000, 1040))
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << (place % 8)
        path.write_bytes(damaged)
        with pytest.raises(CorruptDataError, match=r"money\.parquet is not what was written"):
            store.check_seal(path)
    for readers in (store.read_parquet, store.read_frame):
        with pytest.raises(CorruptDataError, match="run again"):
            readers(path)
    with engine.connect() as backend, pytest.raises(CorruptDataError):
        engine.read(backend, path, "money")
    with engine.connect() as backend, pytest.raises(CorruptDataError):
        engine.read_all(backend, [path], "money")


def test_f021_a_damaged_table_between_two_stages_stops_the_second(tmp_path):
    company = company_of(tmp_path, extract_date="2025-03-31").run()
    path = company.paths.ingest / "subscriptions.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 4
    path.write_bytes(content)
    with pytest.raises(CorruptDataError, match=r"subscriptions\.parquet is not what was written"):
        snapshot.run(company.settings, company.paths)


def test_f021_an_export_is_compared_with_the_hash_that_came_with_it(tmp_path, capsys):
    company = company_of(tmp_path)
    (company.paths.raw / "accounts.csv").unlink()
    path = company.paths.raw / "accounts.parquet"
    store.write_parquet(pa.table({"account_id": ["A", "B"], "signed_up_date": ["2024-01-01"] * 2}),
                        path)  # fmt: skip
    raw(company, "accounts.parquet.sha256", f"{store.sha256(path)}  accounts.parquet\n")
    assert ingested(company)["rows"]["accounts"] == 2
    shutil.rmtree(company.paths.processed)
    raw(company, "accounts.parquet.sha256", f"{'0' * 64}  accounts.parquet\n")
    code, said = refused(company, capsys)
    assert (code, "accounts.parquet: its content is not what accounts.parquet.sha256" in said) == (
        65, True,
    )  # fmt: skip


def test_f021_an_export_whose_content_changes_while_nobody_writes_it_is_refused(tmp_path):
    company = company_of(tmp_path)
    path = company.paths.raw / "subscriptions.csv"
    ingest.run(company.settings, company.paths)
    stamp = path.stat().st_mtime_ns
    raw(company, "subscriptions.csv", SUBSCRIPTIONS.replace("100", "900", 1))
    os.utime(path, ns=(stamp, stamp))
    with pytest.raises(DataError, match=r"changed although nobody wrote them: subscriptions\.csv"):
        ingest.run(company.settings, company.paths)
    path.touch()
    ingest.run(company.settings, company.paths)
    assert table(company, "subscriptions")["mrr"].tolist() == [900, 100]


def test_f021_a_parquet_export_without_a_hash_is_read_or_refused_and_never_a_crash(tmp_path):
    path = tmp_path / "accounts.parquet"
    days = ["2024-01-01"] * 10
    pq.write_table(pa.table({"account_id": list("ABCDEFGHIJ"), "signed_up_date": days}), path)
    whole, happened = path.read_bytes(), {"read": 0, "refused": 0}
    for place in range(0, len(whole), 3):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << (place % 8)
        path.write_bytes(damaged)
        try:
            reading.read_text(RAW["accounts"], None, [RawFile(path, path.name)])
            happened["read"] += 1
        except (DataError, CorruptDataError):
            happened["refused"] += 1
    assert happened["refused"] > happened["read"]


def test_f022_a_gzip_file_that_was_cut_off_is_named(tmp_path, capsys):
    company = company_of(tmp_path)
    (company.paths.raw / "accounts.csv").unlink()
    raw(company, "accounts.csv.gz", gzip.compress(ACCOUNTS.encode())[:-9])
    code, said = refused(company, capsys)
    assert (code, "accounts.csv.gz: the archive is damaged or cut off" in said) == (65, True)


def test_f023_a_file_that_changes_while_it_is_read_is_read_again_once(tmp_path, monkeypatch):
    company = company_of(tmp_path)
    changes = _grow_while_read(monkeypatch, company.paths.raw / "accounts.csv", times=1)
    ingest.run(company.settings, company.paths)
    assert changes == [1]
    assert table(company)["account_id"].tolist() == ["A", "B", "N1"]


def test_f023_a_file_that_goes_on_changing_is_tried_again_later(tmp_path, monkeypatch):
    company = company_of(tmp_path)
    _grow_while_read(monkeypatch, company.paths.raw / "accounts.csv", times=9)
    with pytest.raises(ChangingFileError, match=r"accounts\.csv changes while it is read") as stop:
        ingest.run(company.settings, company.paths)
    assert exits.exit_code_of(stop.value) == 75
    assert exits.error_class_of(stop.value) == "busy"


def _grow_while_read(monkeypatch: pytest.MonkeyPatch, path: Path, times: int) -> list[int]:
    """Let a writer add a row between the two looks at the file's content."""
    changes: list[int] = []
    read = reading._file_parts

    def read_while_written(file, *rest):
        yield from read(file, *rest)
        if file.path == path and len(changes) < times:
            changes.append(len(changes) + 1)
            with path.open("a", encoding="utf-8") as content:
                content.write(f"N{len(changes)},2024-01-01\n")

    monkeypatch.setattr(reading, "_file_parts", read_while_written)
    return changes


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "kind", ["fifo", "folder", "link outside", "broken link", "link to itself", "socket"]
)
def test_f024_what_is_no_file_inside_the_folder_is_refused_and_never_waited_for(
    tmp_path, capsys, kind, monkeypatch
):
    company = company_of(tmp_path / "root")
    path = company.paths.raw / "accounts.csv"
    path.unlink()
    outside = tmp_path / "elsewhere.csv"
    outside.write_text(ACCOUNTS, encoding="utf-8")
    monkeypatch.chdir(company.paths.raw)
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as listening:
        match kind:
            case "fifo":
                os.mkfifo(path)
            case "folder":
                path.mkdir()
            case "link outside":
                path.symlink_to(outside)
            case "broken link":
                path.symlink_to(company.paths.raw / "nothing.csv")
            case "link to itself":
                path.symlink_to(path)
            case "socket":
                listening.bind(path.name)
        code, said = refused(company, capsys)
    assert code == 65
    words = {"fifo": "is a named pipe", "folder": "is a folder", "socket": "is a socket"}
    words |= {"link outside": "lies outside", "broken link": "is a link to nothing"}
    words["link to itself"] = words["broken link"]
    assert words[kind] in said


@pytest.mark.parametrize("name", ["../elsewhere.csv", "/etc/hosts"])
def test_f024_a_declared_path_that_leaves_the_folder_is_refused(tmp_path, capsys, name):
    company = company_of(tmp_path, **source_of(file=name))
    (company.paths.raw.parent / "elsewhere.csv").write_text(ACCOUNTS, encoding="utf-8")
    code, said = refused(company, capsys)
    assert (code, "lies outside" in said) == (65, True)


MARKED = {"type": "flag", "known": "at_extract", "file": "more.csv", "by": "client"}
NAMED_BESIDE = {
    "lookup": {"tables": {"accounts": {"lookup": {"segment": {"file": "more.csv", "by": "name"}}}}},
    "mark": {"tables": {"accounts": {"attributes": {"is_marked": MARKED}}}},
    "merged": {"merged_accounts": {"file": "more.csv"}},
}


@pytest.mark.parametrize("source", NAMED_BESIDE.values(), ids=NAMED_BESIDE)
def test_f024_an_export_that_feeds_no_table_of_its_own_lies_in_the_folder_too(
    tmp_path, capsys, source
):
    company = company_of(tmp_path / "root", source=source)
    outside = tmp_path / "elsewhere.csv"
    outside.write_text(ACCOUNTS, encoding="utf-8")
    (company.paths.raw / "more.csv").symlink_to(outside)
    code, said = refused(company, capsys)
    assert (code, "more.csv lies outside" in said) == (65, True)


def test_f025_a_file_far_larger_than_usual_is_refused_with_the_limit(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(files, "MEGABYTE", 10)
    company = company_of(tmp_path, source={"largest_file_mb": 3})
    code, said = refused(company, capsys)
    assert code == 65
    assert "accounts.csv" in said
    assert "more than source.largest_file_mb allows (3 MB)" in said


AWKWARD = [
    "monthly export v2.csv", "顧客一覧 10月.csv", "a;rm -rf $HOME;.csv", "two\nlines.csv",
    "`touch evil`.csv", "-rf.csv", "100%.csv", "export [2026-10].csv", "it's \"quoted\".csv",
]  # fmt: skip


@pytest.mark.parametrize("name", AWKWARD)
def test_f026_any_name_of_a_file_is_read_and_shown_as_it_is(tmp_path, name):
    company = company_of(tmp_path, **source_of(file=name), **LENIENT)
    raw(company, name, ACCOUNTS + "C,bad\n")
    assert facts_of(company, name)["rows"] == 3
    listed = store.read_published_rows(company.paths.quarantine / "accounts.csv")
    shown = f"'{name}" if name.startswith("-") else name
    assert [(row["file"], row["line"]) for row in listed] == [(shown, "4")]
    assert not list(tmp_path.rglob("evil"))


def test_two_forms_of_one_table_are_an_error_that_asks_which_to_keep(tmp_path, capsys):
    company = company_of(tmp_path)
    raw(company, "accounts.csv.gz", gzip.compress(ACCOUNTS.encode()))
    code, said = refused(company, capsys)
    assert code == 65
    assert "accounts comes in 2 forms: accounts.csv, accounts.csv.gz" in said
    declared = company_of(tmp_path, **source_of(file="accounts.csv.gz"))
    assert facts_of(declared, "accounts.csv.gz")["rows"] == 2


def test_a_cell_in_which_a_formula_failed_goes_to_quarantine(tmp_path):
    company = company_of(tmp_path, **LENIENT)
    rows = "A,2024-01-01,#N/A\nB,2024-01-01,ok\n#REF!,2024-01-01,ok\n"
    raw(company, "accounts.csv", "account_id,signed_up_date,segment\n" + rows)
    raw(company, "subscriptions.csv", SUBSCRIPTIONS.replace(",A,", ",B,"))
    ingest.run(company.settings, company.paths)
    assert company.quarantine("accounts") == [
        ("2", "segment", "error_cell", "#N/A"), ("4", "account_id", "error_cell", "#REF!"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("verb", "content", "code"),
    [("run", None, 66), ("stage ingest", None, 66), ("stage ingest", b"", 65)],
)
def test_a_missing_file_ends_run_and_stage_with_66_and_a_bad_one_with_65(
    tmp_path, verb, content, code
):
    company = company_of(tmp_path)
    path = company.paths.raw / "accounts.csv"
    path.unlink() if content is None else path.write_bytes(content)
    with _same_signals(), pytest.raises(SystemExit) as end:
        cli.main(["--root", str(company.root), *verb.split()])
    assert end.value.code == code
