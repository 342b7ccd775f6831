"""`lodestar verify-report`: whatever was altered since the publication is found and named."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import cli
from pipeline.data import store
from pipeline.reporting.records import record, verify_report
from pipeline.settings import Paths
from tests.reporting.test_publish import AUGUST, Month

PARAMS = """company: acme
company_name: "Acme & <Söhne>"
periods: ["2026-08", "2026-09", "2026-10"]
chapters: [summary, revenue]
annex: never
summary: {targets: {mrr_end: {target: 1000.0, owner: Revenue}}}
"""
PAGE, TABLE, OUTSIDE = "revenue.html", "tables/revenue.cohorts.csv", "accounts.csv"


@pytest.fixture
def august(tmp_path: Path) -> Month:
    """A settled month with its raw file, published."""
    month = Month(tmp_path, AUGUST)
    (tmp_path / "params.yaml").write_text(PARAMS, encoding="utf-8")
    export(month.paths, "account_id\na-1\n")
    month.publish()
    return month


def export(paths: Paths, text: str) -> None:
    """A raw file that `ingest` has read."""
    path = paths.raw / OUTSIDE
    store.write_text(text, path)
    facts = {"file": OUTSIDE, "table": "accounts", "sha256": store.sha256(path), "rows": 1}
    store.write_json({"files": [facts]}, paths.ingest / "extract.json")


def look(month: Month) -> tuple[verify_report.Answer, dict[str, str]]:
    """The answer, and every finding that is not `agrees` by name."""
    answer = verify_report.examine(AUGUST, month.settings, month.paths)
    lines = answer.lines
    return answer, {
        line.name: line.finding for line in lines if line.finding != verify_report.AGREES
    }


def verify(month: Month, *words: str) -> int:
    """The exit code of the command."""
    with pytest.raises(SystemExit) as end:
        cli.main(["--root", str(month.paths.root), "verify-report", "2026-08", *words])
    return int(str(end.value.code))


def change_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_an_untouched_report_agrees_in_every_line(
    august: Month, capsys: pytest.CaptureFixture[str]
) -> None:
    answer, found = look(august)
    assert (answer.is_good, found) == (True, {})
    groups = {line.group for line in answer.lines}
    assert groups == {
        verify_report.RECORD,
        verify_report.PAGES,
        verify_report.SLICE,
        verify_report.RAW,
        verify_report.CHOICES,
    }
    assert verify(august) == 0
    assert "The report is what was published." in capsys.readouterr().out


@pytest.mark.parametrize("name", [PAGE, TABLE, "index.html"])
def test_one_altered_byte_of_a_page_or_table_is_found(
    august: Month, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    change_a_byte(august.place / name)
    answer, found = look(august)
    assert found == {name: verify_report.ALTERED}
    assert not answer.is_as_published
    assert verify(august) == 65
    said = capsys.readouterr().out
    assert f"altered: {name}" in said
    assert "lodestar run --period 2026-08" in said


def test_a_number_edited_in_the_record_is_found(august: Month) -> None:
    path = august.place / "report.json"
    path.write_text(path.read_text(encoding="utf-8").replace("1000.5", "1001.5"), encoding="utf-8")
    assert look(august)[1] == {"report.json": verify_report.ALTERED}
    assert verify(august) == 65


def test_a_hash_edited_in_the_record_to_fit_an_altered_page_is_found(august: Month) -> None:
    before = store.sha256(august.place / PAGE)
    change_a_byte(august.place / PAGE)
    path = august.place / "report.json"
    fitted = path.read_text(encoding="utf-8").replace(before, store.sha256(august.place / PAGE))
    path.write_text(fitted, encoding="utf-8")
    assert look(august)[1] == {"report.json": verify_report.ALTERED}


def test_the_record_of_another_month_is_no_record_of_this_one(august: Month) -> None:
    report = august.report | {"period": "2026-07"}
    store.write_json(record.sealed(report), august.place / "report.json")
    assert look(august)[1]["report.json"] == verify_report.ALTERED


def test_a_missing_file_and_a_file_too_many_are_found(august: Month) -> None:
    (august.place / TABLE).unlink()
    (august.place / "note.html").write_text("<p>mine</p>", encoding="utf-8")
    answer, found = look(august)
    assert found == {TABLE: verify_report.MISSING, "note.html": verify_report.EXTRA}
    assert not answer.is_as_published
    assert verify(august) == 65


def test_an_altered_raw_file_is_found_though_the_report_is_as_published(
    august: Month, capsys: pytest.CaptureFixture[str]
) -> None:
    change_a_byte(august.paths.raw / OUTSIDE)
    answer, found = look(august)
    assert found == {OUTSIDE: verify_report.ALTERED}
    assert (answer.is_as_published, answer.is_good) == (True, False)
    assert verify(august) == 65
    assert "but 1 input of it was altered since" in capsys.readouterr().out


def test_a_later_export_that_was_read_and_left_the_slice_alone_alters_nothing(
    august: Month,
) -> None:
    export(august.paths, "account_id\na-1\na-2\n")
    answer, found = look(august)
    assert (answer.is_good, found) == (True, {OUTSIDE: verify_report.CHANGED})
    assert verify(august) == 0


def test_a_slice_that_is_not_the_same_any_more_is_found(august: Month) -> None:
    august.late_row()
    answer, found = look(august)
    assert found == {"returns.parquet": verify_report.ALTERED}
    assert (answer.is_as_published, answer.is_good) == (True, False)


def test_inputs_that_are_not_here_are_said_and_are_no_fault_of_the_report(august: Month) -> None:
    (august.paths.raw / OUTSIDE).unlink()
    (august.paths.snapshot(AUGUST) / "spells.parquet").unlink()
    (august.paths.root / "requirements.lock").unlink()
    answer, found = look(august)
    assert found == dict.fromkeys(
        (OUTSIDE, "spells.parquet", "requirements.lock"), verify_report.MISSING
    )
    assert answer.is_good


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("params.yaml", lambda month: month.settings.model_copy(update={"grace_days": 60})),
        ("requirements.lock", None),
        ("code and notebooks", None),
    ],
)
def test_other_settings_libraries_and_code_are_said_and_alter_no_report(
    august: Month, name: str, change: Callable[[Month], object] | None
) -> None:
    if change:
        object.__setattr__(august, "settings", change(august))
    elif name == "requirements.lock":
        store.write_text("pandas==9\n", august.paths.root / name)
    else:
        store.write_text("x = 1\n", august.paths.root / "pipeline" / "x.py")
    answer, found = look(august)
    assert (answer.is_good, found) == (True, {name: verify_report.CHANGED})


def test_an_earlier_publication_that_was_lost_or_altered_is_found(august: Month) -> None:
    august.chapter("revenue", {"2026-08": 1.0})
    august.publish(force=True)
    august.chapter("revenue", {"2026-08": 2.0})
    august.publish(force=True)
    assert look(august)[0].is_good
    change_a_byte(august.place / "history" / "1.json")
    (august.place / "history" / "2.json").unlink()
    found = look(august)[1]
    assert found == {
        "history/1.json": verify_report.ALTERED,
        "history/2.json": verify_report.MISSING,
    }


def test_machines_get_every_line_with_its_finding(
    august: Month, capsys: pytest.CaptureFixture[str]
) -> None:
    change_a_byte(august.place / PAGE)
    assert verify(august, "--json") == 65
    answer = json.loads(capsys.readouterr().out)
    assert (answer["is_as_published"], answer["is_good"]) == (False, False)
    assert [line["name"] for line in answer["lines"] if line["is_bad"]] == [PAGE]
    assert {"group", "name", "finding", "note", "is_bad"} == set(answer["lines"][0])


def test_a_record_that_is_no_record_is_bad_data(
    august: Month, capsys: pytest.CaptureFixture[str]
) -> None:
    store.write_json({"provenance": []}, august.place / "report.json")
    assert verify(august) == 65
    assert "holds no record" in capsys.readouterr().err
