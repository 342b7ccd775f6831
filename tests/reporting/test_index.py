"""The index: every month, newest first, and in words what the newest run did not finish."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pipeline.data.schema.published import HEADLINES
from pipeline.reporting.pages import index
from pipeline.reporting.pages.index import Attempts
from pipeline.settings import Paths

HOSTILE = "<script>alert(1)</script>"
FIRST, SECOND, THIRD = (
    "20261101T060001Z-aaaaaa", "20261106T060001Z-bbbbbb", "20261107T060001Z-cccccc"
)  # fmt: skip


def report(period: str, status: str, value: float | None, **more: object) -> dict[str, object]:
    return {
        "period": period, "status": status, "revision": 1, "as_of": f"{period}-28",
        "analysis_cut_off": f"{period}-01", "company": "sample", "company_name": HOSTILE,
        "currency": "USD",
        "headline": [
            {"name": name, "estimate": value, "ci_low": None, "ci_high": None, "n": 10,
             "state": "ok" if value else "not_available", "note": HOSTILE, "previous": None,
             "year_ago": None}
            for name in HEADLINES
        ],
    } | more  # fmt: skip


class Rows(HTMLParser):
    """The ids of table rows, and every tag there is."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if tag == "tr" and name == "id" and value]


def run_of(root: Path, run_id: str, state: str, periods: dict[str, str], **more: object) -> None:
    """The manifest of one run, as the runner leaves it."""
    entries = [{"period": name, "state": how} for name, how in periods.items()]
    content = {"company": "sample", "state": state, "periods": entries, "error": None} | more
    path = root / "build" / "runs" / run_id / "run.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def attempts(root: Path) -> Attempts:
    return index.attempts(Paths(root, "sample"))


# The page.


def test_the_index_shows_every_month_newest_first_with_an_anchor() -> None:
    months = ["2026-07", "2026-09", "2026-08", "2026-10"]
    text = index.render([report(month, "final", 0.5) for month in months])
    assert Rows(text).ids == sorted(months, reverse=True)
    assert HOSTILE not in text
    assert "script" not in Rows(text).tags
    assert text.count("<polyline") == len(index.INDEX_COLUMNS)


def test_the_index_says_which_month_was_built_by_older_code() -> None:
    old = report("2026-08", "final", 0.5, is_older_code=True)
    new = report("2026-09", "final", 0.5, is_older_code=False)
    rows = index.render([old, new]).split("<tr id=")
    assert ["built by older code" in row for row in rows[1:]] == [False, True]


def test_the_index_shows_the_latest_settled_month_beside_the_first_look() -> None:
    text = index.render(
        [report("2026-08", "final", 0.5), report("2026-09", "provisional", 0.5),
         report("2026-10", "provisional", None)]
    )  # fmt: skip
    settled, look = text.index("Latest settled: "), text.index("First look: ")
    assert "2026-08/index.html" in text[settled:look]
    assert "2026-10/index.html" in text[look : look + 80]


def test_a_course_breaks_where_a_month_has_no_report_and_keeps_to_the_calendar() -> None:
    months = ["2026-03", "2026-04", "2026-07", "2026-08"]
    text = index.render([report(month, "final", 0.5) for month in months])
    course = text[text.index("<svg") : text.index("</svg>")]
    lines = re.findall(r'points="([^"]*)"', course)
    assert [[float(point.split(",")[0]) for point in line.split()] for line in lines] == [
        [4.0, 34.4], [125.6, 156.0]
    ]  # fmt: skip


@pytest.mark.parametrize(("state", "hollow"), [("provisional", 1), ("ok", 0)])
def test_the_newest_point_of_a_course_is_hollow_while_it_is_not_settled(
    state: str, hollow: int
) -> None:
    reports = [report(f"2026-0{month}", "final", 0.5) for month in (6, 7, 8)]
    lines = reports[-1]["headline"]
    assert isinstance(lines, list)
    lines[:] = [line | {"state": state} for line in lines]
    text = index.render(reports)
    assert text.count('class="hollow"') == hollow * len(index.INDEX_COLUMNS)


def test_every_point_of_a_course_that_is_not_settled_is_hollow() -> None:
    reports = [report(f"2026-0{month}", "final", 0.5) for month in (6, 7, 8)]
    for each in reports[1:]:
        each["headline"] = [line | {"state": "provisional"} for line in each["headline"]]
    course = index.render(reports).partition("<svg")[2].partition("</svg>")[0]
    marks = re.findall(r'<circle( class="hollow")? cx="([0-9.]+)"', course)
    assert [(bool(hollow), float(x)) for hollow, x in marks] == [(True, 80.0), (True, 156.0)]


def test_a_course_tells_its_newest_lowest_and_highest_value() -> None:
    values = {"2026-06": 0.4, "2026-07": 0.2, "2026-08": 0.3}
    text = index.render([report(month, "final", value) for month, value in values.items()])
    row = text[text.index("Gross account churn</th><td><svg") :]
    plain = re.sub("<[^>]*>", " ", row[: row.index("</tr>")]).replace("\u00a0", " ").split()
    assert " ".join(plain[3:]) == "30.0 % 20.0 % 40.0 %"


def test_an_index_of_no_reports_says_how_to_build_one() -> None:
    assert "make report" in index.render([])


def test_f140_of_two_records_of_a_month_the_higher_revision_counts_in_any_order() -> None:
    one, other = report("2026-08", "final", 0.5), report("2026-08", "revised", 0.5, revision=2)
    assert index.render([one, other]) == index.render([other, one]) == index.render([other])


def test_f143_ten_years_fit_in_200_kb_and_are_grouped_by_year() -> None:
    months = [f"{year}-{month:02d}" for year in range(2017, 2027) for month in range(1, 13)]
    older = {name: "20261101T060001Z-aaaaaa" for name in months}
    text = index.render(
        [report(name, "final", 123456.789, is_older_code=True) for name in months], Attempts(older)
    )
    assert len(text.encode()) < 200_000
    assert re.findall(r'<h3 id="year-(\d+)"', text) == [str(year) for year in range(2026, 2016, -1)]
    assert Rows(text).ids == sorted(months, reverse=True)


# What runs did not finish.


def test_a_month_whose_newest_run_failed_says_so_and_where_to_look(tmp_path: Path) -> None:
    run_of(tmp_path, FIRST, "done", {"2026-08": "published", "2026-09": "published"})
    run_of(tmp_path, SECOND, "failed", {"2026-08": "in_force", "2026-09": "failed"})
    reports = [report("2026-08", "final", 0.5), report("2026-09", "final", 0.5)]
    rows = index.render(reports, attempts(tmp_path)).split("<tr id=")
    words = f"not updated, see build/runs/{SECOND}"
    assert [words in row for row in rows[1:]] == [True, False]
    assert str(tmp_path) not in "".join(rows)


def test_a_month_that_succeeded_later_is_no_longer_marked(tmp_path: Path) -> None:
    run_of(tmp_path, FIRST, "failed", {"2026-09": "failed"})
    run_of(tmp_path, SECOND, "failed", {"2026-09": "published", "2026-10": "failed"})
    run_of(tmp_path, THIRD, "failed", {"2026-10": "skipped"})
    assert attempts(tmp_path).not_updated == {"2026-10": SECOND}


def test_a_month_that_never_had_a_report_is_named_above_the_table(tmp_path: Path) -> None:
    run_of(tmp_path, FIRST, "failed", {"2026-10": "failed"})
    text = index.render([report("2026-09", "final", 0.5)], attempts(tmp_path))
    assert f"October 2026 is not published: see build/runs/{FIRST}." in text


@pytest.mark.parametrize(
    ("state", "words"),
    [("failed", "failed"), ("interrupted", "was interrupted"), ("cancelled", "was cancelled")],
)
def test_a_run_that_ended_before_any_month_is_said_at_the_top(
    tmp_path: Path, state: str, words: str
) -> None:
    run_of(tmp_path, FIRST, state, {})
    text = index.render([report("2026-09", "final", 0.5)], attempts(tmp_path))
    assert f"The newest run {words} before its end: see build/runs/{FIRST}." in text
    run_of(tmp_path, SECOND, "nothing_to_do", {})
    assert attempts(tmp_path).last is None


def test_late_data_a_run_under_way_and_another_company_are_no_failure(tmp_path: Path) -> None:
    run_of(tmp_path, FIRST, "failed", {}, error={"code": 75, "class": "NotDueError"})
    run_of(tmp_path, SECOND, "running", {"2026-08": "published"})
    run_of(tmp_path, THIRD, "failed", {"2026-09": "failed"}, company="zenith")
    assert attempts(tmp_path) == Attempts()


def test_a_month_that_failed_is_marked_while_its_run_is_under_way(tmp_path: Path) -> None:
    run_of(tmp_path, FIRST, "running", {"2026-09": "failed"})
    assert attempts(tmp_path) == Attempts({"2026-09": FIRST})


def test_a_manifest_that_cannot_be_read_or_names_no_month_costs_no_index(tmp_path: Path) -> None:
    run_of(tmp_path, FIRST, "failed", {"<b>": "failed", "2026-09": "failed"})
    broken = tmp_path / "build" / "runs" / SECOND / "run.json"
    broken.parent.mkdir()
    broken.write_text('{"state": "fai')
    assert attempts(tmp_path).not_updated == {"2026-09": FIRST}
