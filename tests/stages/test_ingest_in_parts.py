"""Ingest reads some rows at a time: the size of a part changes nothing, and memory stays small."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from pipeline.data import reading, store
from pipeline.data.reading import LINE, columnar, delimited
from pipeline.stages import scratch
from pipeline.stages.ingest import output
from tests.stages.company import Company, accounts_of, write_company

SEED = 20261122
ACCOUNTS = [f"A{number:03d}" for number in range(40)]
EVENTS, PART = 120, 7
LENIENT = {"quarantine": {"max_share_of_rows": 1.0, "max_share_of_mrr": 1.0}}
SUBSCRIPTIONS = "subscription_id,account_id,start_date,end_date,mrr\n" + "".join(
    f"S{name},{name},2024-01-01,,100\n" for name in ACCOUNTS
)
BAD = {"account_id": "nobody", "occurred_at": "2025-02-30T10:00:00", "quantity": "many"}
"""A cell per column that no rule lets through."""
HOUSE = Path(__file__).parents[2]
EVENTS_OF_MEMORY, ROOM_MB = 1_000_000, 1900
"""One table of so many events took more than the room when ingest held tables: it stopped there."""
CHILD = """
import resource, sys
from pathlib import Path
from pipeline import settings
from pipeline.stages import ingest
root = Path(sys.argv[1])
read = settings.load(root)
pages = int(Path("/proc/self/statm").read_text().split()[0])
most = pages * resource.getpagesize() + int(sys.argv[2]) * 2**20
resource.setrlimit(resource.RLIMIT_AS, (most, most))
ingest.run(read, settings.Paths(root, read.company))
"""


def events(number: int, accounts: list[str]) -> pa.Table:
    """Events with ids, in no order of time; every cell is text."""
    draw = np.random.default_rng(SEED)
    seconds = draw.integers(0, 360 * 86_400, number).astype("timedelta64[s]")
    moments = np.datetime64("2024-01-02T00:00:00") + seconds
    return pa.table(
        {
            "usage_id": [f"E{place}" for place in range(number)],
            "account_id": pa.array(accounts).take(draw.integers(0, len(accounts), number)),
            "occurred_at": pa.array(moments).cast(pa.string()),
            "feature": pa.array(["report", "export"]).take(draw.integers(0, 2, number)),
            "quantity": pa.array(draw.integers(1, 9, number)).cast(pa.string()),
        }
    )


def blemished() -> pa.Table:
    """Rows that no part holds alone: copies, one id with two contents, and bad cells, far apart."""
    rows = events(EVENTS, ACCOUNTS).to_pylist()
    for place, (column, cell) in zip((3, 50, 110), BAD.items(), strict=True):
        rows[place][column] = cell
    again = [rows[1], rows[60], rows[1], rows[3], rows[90] | {"feature": "other"}]
    return pa.Table.from_pylist(rows + again)


def ingested(folder: Path, form: str, rows: pa.Table) -> dict[str, bytes]:
    """Every file that ingest leaves, by its name."""
    files = {"accounts.csv": accounts_of(*ACCOUNTS), "subscriptions.csv": SUBSCRIPTIONS}
    company = write_company(folder, files, **LENIENT)
    if form == "parquet":
        store.write_parquet(rows, company.paths.raw / "usage.parquet")
    else:
        written_csv(rows, company.paths.raw / "usage.csv", form)
    company.ingest()
    return {
        path.relative_to(place).as_posix(): path.read_bytes()
        for place in (company.paths.ingest, company.paths.quarantine)
        for path in place.rglob("*.*")
    }


def written_csv(rows: pa.Table, path: Path, form: str) -> None:
    style = "none" if form == "csv" else "needed"
    options = pyarrow.csv.WriteOptions(quoting_style=style, quoting_header=style)
    pyarrow.csv.write_csv(rows, path, options)


def lines_of(company: Company) -> list[int]:
    """The line of every event to use."""
    months = sorted((company.paths.ingest / "usage").glob("*.parquet"))
    return [line for month in months for line in store.read_parquet(month)[LINE].to_pylist()]


def read_in_small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "BLOCK_ROWS", PART)
    monkeypatch.setattr(columnar, "BLOCK_ROWS", PART)
    monkeypatch.setattr(delimited, "WHOLE_BYTES", 0)
    monkeypatch.setattr(delimited, "BLOCK_BYTES", 400)
    monkeypatch.setattr(output, "BATCH_ROWS", PART)


@pytest.mark.parametrize("form", ["csv", "csv with quotes", "parquet"])
def test_the_size_of_a_part_changes_no_byte_of_what_is_made(tmp_path, monkeypatch, form):
    whole = ingested(tmp_path / "root", form, blemished())
    read_in_small_parts(monkeypatch)
    assert ingested(tmp_path / "root", form, blemished()) == whole


def test_copies_conflicts_and_bad_rows_are_found_however_far_apart_they_stand(
    tmp_path, monkeypatch
):
    read_in_small_parts(monkeypatch)
    files = {"accounts.csv": accounts_of(*ACCOUNTS), "subscriptions.csv": SUBSCRIPTIONS}
    company = write_company(tmp_path, files, **LENIENT)
    store.write_parquet(blemished(), company.paths.raw / "usage.parquet")
    company.ingest()
    assert company.aside("usage") == {
        ("merged", "same_row_again"): 4,
        ("quarantined", "conflicting_key"): 2,
        ("quarantined", "instant_unreadable"): 1,
        ("quarantined", "number_unreadable"): 1,
        ("quarantined", "unknown_account"): 1,
    }


def test_a_line_with_too_many_cells_after_the_first_part_is_found_by_its_line(
    tmp_path, monkeypatch
):
    read_in_small_parts(monkeypatch)
    files = {"accounts.csv": accounts_of(*ACCOUNTS), "subscriptions.csv": SUBSCRIPTIONS}
    company = write_company(tmp_path, files, **LENIENT)
    path = company.paths.raw / "usage.csv"
    written_csv(events(EVENTS, ACCOUNTS), path, "csv")
    path.write_text(path.read_text() + "E999,A001,2024-05-01T10:00:00,report,1,more\n")
    company.ingest()
    assert company.quarantine("usage") == [(str(EVENTS + 2), "", "field_count", "1")]
    assert sorted(lines_of(company)) == list(range(2, EVENTS + 2))


def test_rows_of_a_file_that_changed_while_it_was_read_count_once(tmp_path, monkeypatch):
    read_in_small_parts(monkeypatch)
    files = {"accounts.csv": accounts_of(*ACCOUNTS), "subscriptions.csv": SUBSCRIPTIONS}
    company = write_company(tmp_path, files)
    path = company.paths.raw / "usage.parquet"
    store.write_parquet(events(EVENTS, ACCOUNTS), path)
    parts_of, changes = reading._file_parts, []

    def changed_meanwhile(file, *rest):
        for number, part in enumerate(parts_of(file, *rest)):
            yield part
            if file.path == path and number == 3 and not changes:
                changes.append(path)
        if changes == [file.path]:
            changes.append("written")
            store.write_parquet(events(EVENTS + 1, ACCOUNTS), path)

    monkeypatch.setattr(reading, "_file_parts", changed_meanwhile)
    company.ingest()
    assert changes == [path, "written"]
    assert sorted(lines_of(company)) == list(range(1, EVENTS + 2))


def test_months_of_more_rows_than_a_part_are_written_in_their_order(tmp_path, monkeypatch):
    whole = ingested(tmp_path / "root", "parquet", events(EVENTS, ACCOUNTS))
    monkeypatch.setattr(output, "PART_ROWS", 4)
    ingested(tmp_path / "root", "parquet", events(EVENTS, ACCOUNTS))
    folder = tmp_path / "root" / "data" / "processed" / "ingest" / "usage"
    (tmp_path / "january.parquet").write_bytes(whole["usage/2024-01.parquet"])
    written = store.read_parquet(folder / "2024-01.parquet")
    assert written.num_rows > output.PART_ROWS
    assert written.equals(store.read_parquet(tmp_path / "january.parquet"))


def test_a_run_leaves_no_rows_behind_and_takes_away_what_a_killed_one_left(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait(timeout=60)
    files = {"accounts.csv": accounts_of(*ACCOUNTS), "subscriptions.csv": SUBSCRIPTIONS}
    company = write_company(tmp_path, files)
    left = company.paths.build / f"{scratch.PREFIX}{gone.pid}"
    of_a_run = company.paths.build / f"{scratch.PREFIX}{os.getppid()}"
    for folder in (left, of_a_run):
        folder.mkdir(parents=True)
        (folder / "usage_text_1.parquet").write_bytes(b"rows")
    company.ingest()
    assert [path.name for path in company.paths.build.glob("ingest-*")] == [of_a_run.name]


def test_events_that_would_not_fit_into_memory_are_ingested(tmp_path):
    files = {"accounts.csv": accounts_of(*ACCOUNTS), "subscriptions.csv": SUBSCRIPTIONS}
    company = write_company(tmp_path, files)
    store.write_parquet(events(EVENTS_OF_MEMORY, ACCOUNTS), company.paths.raw / "usage.parquet")
    ended = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path), str(ROOM_MB)],
        capture_output=True, check=False, text=True, timeout=600,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HOUSE)},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert len(lines_of(company)) == EVENTS_OF_MEMORY
