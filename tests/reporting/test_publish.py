"""Publishing: a month appears whole or not at all, and what was said before is kept."""

import datetime as dt
import errno
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import ibis
import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from pipeline import settings as configuration
from pipeline.cli import exit_code_of
from pipeline.data import disk, store
from pipeline.data import slice as slices
from pipeline.data.schema import SNAPSHOT
from pipeline.data.schema.published import HEADLINES, TABLES
from pipeline.reporting import publish
from pipeline.reporting.pages import html
from pipeline.reporting.records import record
from pipeline.reporting.records.page_check import UnsoundReportError
from pipeline.settings import Paths, Period, Settings

AUGUST, SEPTEMBER, OCTOBER = Period("2026-08"), Period("2026-09"), Period("2026-10")
EXTRACT = dt.date(2026, 10, 31)
NOW = dt.datetime(2026, 11, 1, 6, 0, tzinfo=dt.UTC)
TOOK = re.compile(rb'"(seconds|seal)": [^,\n]*')
"""What a build took, and the seal over a record that says so."""


def settings_of(company: str = "acme", **changes: object) -> Settings:
    content = {
        "company": company,
        "company_name": "Acme & <Söhne>",
        "periods": ["2026-08", "2026-09", "2026-10"],
        "chapters": ["summary", "revenue"],
        "annex": "never",
        "summary": {"targets": {"mrr_end": {"target": 1000.0, "owner": "Revenue"}}},
    }
    return configuration.parse(content | changes)


class Month:
    """One period's inputs to publishing, written as the stages and chapters would."""

    def __init__(
        self,
        root: Path,
        period: Period,
        settings: Settings | None = None,
        claims: Sequence[dict] = (),
    ) -> None:
        self.claims = list(claims)
        self.settings = settings or settings_of()
        self.paths = Paths(root, self.settings.company)
        self.period = period
        store.write_text("pandas==2.3.3\n", root / "requirements.lock")
        cut = slices.slice_of(period, EXTRACT, self.settings)
        slices.write(cut, self.paths.snapshot(period))
        for name, table in SNAPSHOT.items():
            schema = ibis.schema({each: table.dtype(each) for each in table.columns})
            path = self.paths.snapshot(period) / f"{name}.parquet"
            store.write_parquet(schema.to_pyarrow().empty_table(), path)
        self.chapter("revenue", {"2026-08": 900.0, "2026-09": 950.0, str(period): 1000.5})
        self.chapter("summary", {})
        if self.settings.has_annex(period):
            self.chapter("annex", {})

    def chapter(self, name: str, mrr_end: dict[str, float]) -> None:
        """An executed notebook with its tables and headline."""
        folder = self.paths.chapter(name, self.period)
        tables = [table for table in TABLES if table.startswith(f"{name}.")]
        for table in tables:
            rows = pd.DataFrame(columns=list(TABLES[table][1]))
            if table.endswith("_bridge"):
                kept = {each: value for each, value in mrr_end.items() if each <= str(self.period)}
                rows = rows.assign(period=list(kept))
                figure = "mrr_end" if "mrr_end" in rows else "customers_end"
                rows[figure] = list(kept.values())
            store.write_published_csv(rows, folder / "tables" / f"{table}.csv")
        about = {"chapter": name, "period": str(self.period)}
        headline = [
            {"name": each, "chapter": name, "label": line.label, "unit": line.unit, "note": "",
             "estimate": mrr_end.get(str(self.period)), "ci_low": None, "ci_high": None, "n": 7,
             "state": "exact", "previous": None, "year_ago": None, "change": None}
            for each, line in HEADLINES.items() if line.chapter == name
        ]  # fmt: skip
        content = about | {
            "headline": headline,
            "claims": self.claims,
            "models": [],
            "page_one": {},
        }
        store.write_json(content, folder / "headline.json")
        store.write_json(about | {"tables": tables, "figures": []}, folder / "complete.json")
        if name not in ("summary", "annex"):
            store.write_json(content, self.paths.headline(name, self.period))
        cell = new_code_cell(
            "1", execution_count=1, metadata={"papermill": {"status": "completed"}}
        )
        notebook = new_notebook(cells=[new_markdown_cell("# How many?"), cell])
        nbformat.write(notebook, folder / "notebook.ipynb")

    def late_row(self) -> None:
        """The slice changes: one more account was known by its close."""
        path = self.paths.snapshot(self.period) / "returns.parquet"
        store.write_parquet(pd.DataFrame({"account_id": ["a-1"]}), path)

    def publish(self, **more: object) -> publish.Publication:
        return publish.publish(self.period, self.settings, self.paths, now=NOW, **more)

    @property
    def place(self) -> Path:
        return self.paths.report(self.period)

    @property
    def report(self) -> dict:
        return json.loads((self.place / "report.json").read_text(encoding="utf-8"))

    def bytes(self) -> dict[str, bytes]:
        """Every file of the report, without the seconds that its build took."""
        found = [path for path in self.place.rglob("*") if path.is_file()]
        return {
            path.relative_to(self.place).as_posix(): TOOK.sub(b"", path.read_bytes())
            for path in found
        }


@pytest.fixture
def august(tmp_path: Path) -> Month:
    """A month that is settled by the extract date."""
    return Month(tmp_path, AUGUST)


@pytest.fixture
def october(tmp_path: Path) -> Month:
    """A month whose close lies after the extract date."""
    return Month(tmp_path, OCTOBER)


# What stands in a report.


def test_a_report_holds_pages_tables_and_a_record_of_the_promised_fields(october: Month) -> None:
    assert october.publish() == publish.Publication(OCTOBER, "provisional", 1, True)
    names = set(october.bytes())
    assert {"index.html", "revenue.html", "report.json", "tables/revenue.cohorts.csv"} <= names
    assert {
        "schema_version", "period", "as_of", "status", "revision", "company", "analysis_cut_off",
        "headline", "quality", "restatements", "models", "provenance",
    } <= set(october.report)  # fmt: skip
    assert (october.report["as_of"], october.report["analysis_cut_off"]) == (
        "2026-10-31",
        "2026-09-28",
    )


def test_a_headline_carries_its_target_and_owner(october: Month) -> None:
    october.publish()
    rows = {row["name"]: row for row in october.report["headline"]}
    assert (rows["mrr_end"]["target"], rows["mrr_end"]["target_owner"]) == (1000.0, "Revenue")
    assert (rows["quick_ratio"]["target"], rows["quick_ratio"]["target_owner"]) == (None, None)


def test_the_record_names_inputs_versions_and_the_command_that_rebuilds_it(october: Month) -> None:
    october.publish()
    facts = october.report["provenance"]
    assert facts["inputs"]["accounts.parquet"]["n_rows"] == 0
    assert len(facts["inputs"]["accounts.parquet"]["sha256"]) == 64
    assert facts["command"] == "make report PERIOD=2026-10"
    assert {"python", "pandas", "lifelines"} <= set(facts["versions"])
    assert facts["built_at"] == "2026-11-01T06:00:00+00:00"
    assert "provenance.built_at" in facts["build_fields"]
    assert facts["seed"] is None


def test_a_company_name_cannot_bring_markup_into_a_page(october: Month) -> None:
    october.publish()
    page = (october.place / "index.html").read_text(encoding="utf-8")
    assert "<Söhne>" not in page
    assert "&lt;Söhne&gt;" in page


def test_next_leads_to_the_index_and_previous_to_the_report_before(
    august: Month, tmp_path: Path
) -> None:
    august.publish()
    later = Month(tmp_path, SEPTEMBER)
    later.publish()
    page = (later.place / "revenue.html").read_text(encoding="utf-8")
    assert 'href="../2026-08/index.html"' in page
    assert 'href="../index.html#2026-09"' in page


# When a report is published again.


def test_publishing_twice_changes_no_byte(october: Month) -> None:
    october.publish()
    before = october.bytes()
    result = publish.publish(OCTOBER, october.settings, october.paths)
    assert not result.is_new
    assert october.bytes() == before


def test_two_builds_of_the_same_inputs_differ_in_declared_build_fields_only(
    tmp_path: Path,
) -> None:
    one, other = Month(tmp_path / "one", OCTOBER), Month(tmp_path / "other", OCTOBER)
    one.publish()
    publish.publish(OCTOBER, other.settings, other.paths, now=NOW + dt.timedelta(days=1))
    assert {k: v for k, v in one.bytes().items() if k != "report.json"} == {
        k: v for k, v in other.bytes().items() if k != "report.json"
    }
    differing = {
        key
        for key in one.report["provenance"]
        if one.report["provenance"][key] != other.report["provenance"][key]
    }
    assert {f"provenance.{key}" for key in differing} <= set(record.BUILD_FIELDS)
    assert differing - {"seconds"} == {"built_at", "seal"}


def test_a_provisional_report_with_new_figures_becomes_revision_two_and_keeps_the_first(
    october: Month,
) -> None:
    october.publish()
    first = october.report
    october.chapter("revenue", {"2026-10": 1234.0})
    assert october.publish() == publish.Publication(OCTOBER, "provisional", 2, True)
    kept = json.loads((october.place / "history" / "1.json").read_text(encoding="utf-8"))
    assert kept == first
    october.chapter("revenue", {"2026-10": 1235.0})
    october.publish()
    history = sorted(path.name for path in (october.place / "history").iterdir())
    assert (october.report["revision"], history) == (3, ["1.json", "2.json"])


def test_a_final_report_is_left_alone_while_its_slice_is_unchanged(august: Month) -> None:
    assert august.publish().status == "final"
    before = august.bytes()
    august.chapter("revenue", {"2026-08": 1.0})
    assert august.publish() == publish.Publication(AUGUST, "final", 1, False)
    assert august.bytes() == before


def test_a_forced_final_report_is_published_again_and_stays_final(august: Month) -> None:
    august.publish()
    august.chapter("revenue", {"2026-08": 1.0})
    assert august.publish(force=True) == publish.Publication(AUGUST, "final", 2, True)


def test_f055_a_final_report_whose_slice_changed_is_revised(august: Month) -> None:
    august.publish()
    august.late_row()
    assert august.publish() == publish.Publication(AUGUST, "revised", 2, True)
    assert august.publish() == publish.Publication(AUGUST, "revised", 2, False)


@pytest.mark.parametrize("name", ["revenue.html", "tables/revenue.cohorts.csv", "report.json"])
def test_an_altered_report_is_noticed_and_built_again_as_it_was(august: Month, name: str) -> None:
    august.publish()
    before = august.bytes()
    path = august.place / name
    path.write_text(path.read_text(encoding="utf-8").replace("0", "1"), encoding="utf-8")
    if path.read_bytes() == before[name]:
        path.write_text("altered", encoding="utf-8")
    assert not publish.is_intact(AUGUST, august.paths)
    august.publish()
    assert august.bytes() == before


def test_a_deleted_page_is_noticed(august: Month) -> None:
    august.publish()
    (august.place / "revenue.html").unlink()
    assert not publish.is_intact(AUGUST, august.paths)
    august.publish()
    assert publish.is_intact(AUGUST, august.paths)


# When publishing fails.


def test_a_chapter_without_end_marker_publishes_nothing_and_the_last_report_stays(
    october: Month,
) -> None:
    october.publish()
    before = october.bytes()
    october.chapter("revenue", {"2026-10": 5.0})
    (october.paths.chapter("revenue", OCTOBER) / "complete.json").unlink()
    with pytest.raises(publish.gate.ChapterFailedError, match="end marker"):
        october.publish()
    assert october.bytes() == before


@pytest.mark.parametrize("link", ["gone.html", "https://example.org/x.css", "#nowhere"])
def test_a_link_that_leads_nowhere_publishes_nothing(
    october: Month, monkeypatch: pytest.MonkeyPatch, link: str
) -> None:
    october.publish()
    before = october.bytes()
    october.chapter("revenue", {"2026-10": 5.0})
    page = f'<html><body><a href="{link}">x</a></body></html>'
    monkeypatch.setattr(html, "render_chapter", lambda *_: page)
    with pytest.raises(UnsoundReportError, match=r"2 links lead nowhere"):
        october.publish()
    assert october.bytes() == before
    assert sorted(path.name for path in october.paths.reports.iterdir()) == ["2026-10"]


def test_a_crash_while_building_leaves_the_last_report(
    october: Month, monkeypatch: pytest.MonkeyPatch
) -> None:
    october.publish()
    before = october.bytes()
    october.chapter("revenue", {"2026-10": 5.0})

    def crash(*_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(html, "render_chapter", crash)
    with pytest.raises(OSError, match="No space left"):
        october.publish()
    assert october.bytes() == before


def test_a_crash_between_the_two_renames_is_mended_by_the_next_run(august: Month) -> None:
    august.publish()
    before = august.bytes()
    august.place.rename(store.set_aside(august.place))
    assert not august.publish().is_new
    assert august.bytes() == before


def full_after(count: int) -> Callable[[bytes, Path], None]:
    """`store.write_bytes` on a disk that is full after this many files."""
    write, written = store.write_bytes, []

    def write_bytes(content: bytes, path: Path) -> None:
        written.append(path)
        if len(written) > count:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write(content, path)

    return write_bytes


@pytest.mark.parametrize("count", [0, 1, 5, 9])
def test_f129_a_disk_that_fills_up_while_a_report_is_built_loses_nothing(
    october: Month, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    october.publish()
    publish.write_index(october.paths)
    before = october.bytes()
    october.chapter("revenue", {"2026-10": 5.0})
    full = full_after(count)
    for module in (store, disk):  # one function, by its two names
        monkeypatch.setattr(module, "write_bytes", full)
    with pytest.raises(OSError, match="No space left") as raised:
        october.publish()
    assert exit_code_of(raised.value) == 74
    assert october.bytes() == before
    names = sorted(path.name for path in october.paths.reports.iterdir())
    assert names == ["2026-10", "find.html", "index.html"]


def test_f130_a_folder_that_cannot_be_written_loses_nothing(
    october: Month, monkeypatch: pytest.MonkeyPatch
) -> None:
    october.publish()
    before = october.bytes()
    october.chapter("revenue", {"2026-10": 5.0})
    rename = Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if self.name.endswith(store.BUILDING):
            raise OSError(errno.EROFS, "Read-only file system", str(self))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OSError, match="Read-only") as raised:
        october.publish()
    assert exit_code_of(raised.value) == 73
    assert october.bytes() == before


def test_f129_a_small_full_file_system_loses_nothing(small_disk: Path) -> None:
    month = Month(small_disk, OCTOBER)
    month.publish()
    before = month.bytes()
    month.chapter("revenue", {"2026-10": 5.0})
    free = os.statvfs(small_disk)
    (small_disk / "filler").write_bytes(bytes((free.f_bavail - 4) * free.f_frsize))
    with pytest.raises(OSError, match="No space left") as raised:
        month.publish()
    assert exit_code_of(raised.value) == 74
    assert month.bytes() == before
    (small_disk / "filler").unlink()
    assert month.publish().revision == 2


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own of 2 MB."""
    words = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(tmp_path)]
    if os.geteuid() != 0 or subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("a small file system needs root and mount here")
    try:
        yield tmp_path
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_f141_a_report_deleted_by_hand_leaves_the_index_and_is_built_again(august: Month) -> None:
    august.publish()
    publish.write_index(august.paths)
    before = august.bytes()
    shutil.rmtree(august.place)
    assert not publish.is_intact(AUGUST, august.paths)
    assert publish.write_index(august.paths)
    assert "2026-08/" not in (august.paths.reports / "index.html").read_text(encoding="utf-8")
    assert august.publish() == publish.Publication(AUGUST, "final", 1, True)
    assert august.bytes() == before


def test_f139_a_crash_between_report_and_index_is_put_right_from_the_records(
    august: Month, tmp_path: Path
) -> None:
    august.publish()
    publish.write_index(august.paths)
    Month(tmp_path, OCTOBER).publish()
    assert publish.write_index(august.paths)
    page = (august.paths.reports / "index.html").read_text(encoding="utf-8")
    assert 'href="2026-10/index.html"' in page
    assert not publish.write_index(august.paths)


def test_a_report_half_built_or_set_aside_is_no_report(august: Month) -> None:
    august.publish()
    for name in ("2026-08.building", ".2026-08.old", ".2026-07.old"):
        shutil.copytree(august.place, august.paths.reports / name)
    assert [one["period"] for one in publish.all_reports(august.paths)] == ["2026-08"]


def test_f140_the_index_does_not_depend_on_the_times_of_files(
    august: Month, tmp_path: Path
) -> None:
    august.publish()
    Month(tmp_path, OCTOBER).publish()
    publish.write_index(august.paths)
    for path in [august.place, *august.place.rglob("*")]:
        os.utime(path, (4e9, 4e9))
    assert not publish.write_index(august.paths)


def test_a_report_that_holds_a_secret_of_ours_is_not_published(
    october: Month, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LODESTAR_PSEUDONYM_KEY", "canary-7f3e9b")
    october.publish()
    before = october.bytes()
    october.chapter("revenue", {"2026-10": 5.0})
    monkeypatch.setattr(html, "render_chapter", lambda *_: "<p>canary-7f3e9b</p>")
    with pytest.raises(UnsoundReportError, match="holds what LODESTAR_PSEUDONYM_KEY holds") as said:
        october.publish()
    assert "canary" not in str(said.value)
    assert october.bytes() == before


# What was first published.


def test_the_bridge_holds_what_was_first_published_and_the_record_lists_what_moved(
    august: Month, tmp_path: Path
) -> None:
    august.publish()
    later = Month(tmp_path, OCTOBER)
    later.chapter("revenue", {"2026-08": 910.25, "2026-09": 950.0, "2026-10": 1000.5})
    later.publish()
    rows = store.read_published_rows(later.place / "tables" / "revenue.mrr_bridge.csv")
    assert [(row["period"], row["mrr_end_first_published"]) for row in rows] == [
        ("2026-08", "1000.5"),
        ("2026-09", ""),
        ("2026-10", "1000.5"),
    ]
    pages = {name: (later.place / name).read_text() for name in ("index.html", "revenue.html")}
    assert ['id="restatements"' in text for text in pages.values()] == [True, False]
    moved = {row["metric"]: row for row in later.report["restatements"]}
    assert moved["mrr_end"] == {
        "period": "2026-08", "metric": "mrr_end", "first_published": 1000.5,
        "first_status": "final", "now": 910.25, "difference": -90.25, "reason": "late rows",
        "of_which": {"late rows": -90.25}, "since": {"period": "2026-10", "revision": 1},
    }  # fmt: skip


# The plan, and the annex.


def test_a_changed_definition_is_said_on_page_one_in_the_index_and_beside_what_it_moved(
    august: Month, tmp_path: Path
) -> None:
    august.publish()
    later = Month(tmp_path, SEPTEMBER, settings_of(survival={"covariates": ["segment"]}))
    later.chapter("revenue", {"2026-08": 910.25, "2026-09": 1000.5})
    later.publish()
    assert later.report["definition_changes"] == [
        {"setting": "survival.covariates", "before": ["segment", "touch_model"],
         "now": ["segment"], "since": "2026-08"},
    ]  # fmt: skip
    assert {row["reason"] for row in later.report["restatements"]} == {"new definition"}
    page = (later.place / "index.html").read_text(encoding="utf-8")
    assert "Definitions changed since the report of August 2026" in page
    publish.write_index(later.paths)
    index = (later.paths.reports / "index.html").read_text(encoding="utf-8")
    assert index.count("definitions changed</span>") == 1


def test_the_same_plan_is_no_change(august: Month, tmp_path: Path) -> None:
    august.publish()
    later = Month(tmp_path, SEPTEMBER)
    later.publish()
    assert later.report["definition_changes"] == []
    assert later.report["provenance"]["plan_sha256"] == august.report["provenance"]["plan_sha256"]
    assert later.report["plan"]["grace_days"] == 30


def test_a_quarter_ends_with_an_annex_and_later_months_lead_to_it(tmp_path: Path) -> None:
    quarterly = settings_of(annex="quarterly")
    months = [Month(tmp_path, period, quarterly) for period in (AUGUST, SEPTEMBER, OCTOBER)]
    for month in months:
        month.publish()
    august, september, october = months
    assert [(month.place / "annex.html").is_file() for month in months] == [False, True, False]
    assert "annex" not in september.report["chapters"]
    assert "annex" not in (august.place / "index.html").read_text(encoding="utf-8")
    assert 'href="annex.html"' in (september.place / "revenue.html").read_text(encoding="utf-8")
    assert 'href="../2026-09/annex.html"' in (october.place / "index.html").read_text("utf-8")
    publish.write_index(october.paths)
    index = (october.paths.reports / "index.html").read_text(encoding="utf-8")
    assert index.count('href="2026-09/annex.html"') == index.count("annex.html") == 1


def test_a_quarter_without_its_annex_is_not_published(tmp_path: Path) -> None:
    month = Month(tmp_path, SEPTEMBER, settings_of(annex="quarterly"))
    (month.paths.chapter("annex", SEPTEMBER) / "complete.json").unlink()
    with pytest.raises(publish.gate.ChapterFailedError, match="annex"):
        month.publish()
    assert not month.place.exists()


# Companies and the index.


def test_another_company_moves_the_reports_aside_and_brings_its_own_back(
    august: Month, tmp_path: Path
) -> None:
    august.publish()
    before = august.bytes()
    other = Month(tmp_path, AUGUST, settings_of("zenith"))
    assert other.publish() == publish.Publication(AUGUST, "final", 1, True)
    aside = august.paths.reports / ".other" / "acme" / "2026-08"
    assert TOOK.sub(b"", (aside / "report.json").read_bytes()) == before["report.json"]
    assert [report["company"] for report in publish.all_reports(other.paths)] == ["zenith"]
    again = Month(tmp_path, AUGUST)
    again.publish()
    assert again.bytes() == before
    assert (august.paths.reports / ".other" / "zenith" / "2026-08" / "report.json").is_file()


def test_the_index_lists_every_period_newest_first_and_is_written_only_when_it_changes(
    august: Month, tmp_path: Path
) -> None:
    august.publish()
    Month(tmp_path, OCTOBER).publish()
    assert publish.write_index(august.paths)
    assert not publish.write_index(august.paths)
    page = (august.paths.reports / "index.html").read_text(encoding="utf-8")
    assert page.index('id="2026-10"') < page.index('id="2026-08"')
    assert 'href="2026-10/index.html"' in page


@pytest.mark.parametrize(
    ("is_final", "fingerprint", "earlier", "expected"),
    [
        (False, "a", [], "provisional"),
        (True, "a", [], "final"),
        (True, "b", [("provisional", "a")], "final"),
        (True, "a", [("provisional", "x"), ("final", "a")], "final"),
        (True, "b", [("final", "a")], "revised"),
        (True, "b", [("final", "a"), ("revised", "b")], "revised"),
    ],
)
def test_the_status_of_a_report_follows_from_its_close_and_its_slice(
    is_final: bool, fingerprint: str, earlier: list[tuple[str, str]], expected: str
) -> None:
    kept = [{"status": s, "provenance": {"slice_sha256": h}} for s, h in earlier]
    assert record.status_of(is_final, fingerprint, kept) == expected
