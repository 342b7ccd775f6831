"""What `make bench` measures and keeps: sides in turn, medians, and nothing lost on the way."""

import ast
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from pipeline.data import store
from tests.bench import __main__ as bench
from tests.bench import company, event_months, growth, measure, opening, page
from tests.bench import run as month
from tests.bench.measure import Taken
from tests.bench.row import Command, Row, Seconds, Sides

HELD_MB = 300
MACHINE = {"processor": "P", "cores": 2, "memory_gb": 24, "system": "S", "python": "3.12",
           "r": "", "libraries": {"numpy": "2.4"}}  # fmt: skip


def python(code: str) -> Command:
    return Command([sys.executable, "-S", "-c", code])


def quick_side(seconds: float = 0.01) -> Callable[[], object]:
    return lambda: Seconds(seconds)


def row(name: str, sides: Sides, target: float | None = None, **more: Any) -> Row:
    return Row(name, target, lambda is_quick: sides, **more)


@pytest.fixture(autouse=True)
def no_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before each call the bench sweeps its memory; that of a whole test run takes seconds."""
    monkeypatch.setattr(measure, "gc", SimpleNamespace(collect=lambda: 0))


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run the bench in an empty folder with these rows."""
    monkeypatch.setattr(bench.machine, "described", lambda: {"cores": 2, "libraries": {}})
    monkeypatch.setattr(bench.Bench, "publish", lambda self, rows: None)

    def ran(rows: list[Row], *words: str) -> int:
        monkeypatch.setattr(bench, "modules", lambda: [SimpleNamespace(ROWS=rows)])
        return bench.main(list(words), tmp_path)

    return ran


def kept(place: Path, name: str = "bench.json") -> dict[str, Any]:
    return json.loads((place / "build" / name).read_text(encoding="utf-8"))["rows"]


# How one row is measured.


def test_the_sides_run_in_turn_after_one_round_that_does_not_count(tmp_path: Path) -> None:
    calls: list[str] = []

    def side(name: str) -> Callable[[], object]:
        return lambda: calls.append(name) or Seconds(len(calls))

    sides = Sides(side("a"), side("b"), side("limit"))
    found = measure.measured(sides, tmp_path / "log", is_quick=False)
    assert calls == ["a", "b", "limit"] * 6
    assert found["rounds"] == 5
    assert found["subject"]["seconds"] == 10  # median of 4, 7, 10, 13, 16: 1 did not count


def test_memory_is_swept_before_each_side_and_not_on_its_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(measure, "gc", SimpleNamespace(collect=lambda: calls.append("swept")))
    measure.once(lambda: calls.append("called"), tmp_path / "log")
    assert calls == ["swept", "called"]


def test_a_ratio_is_the_median_of_the_ratios_of_its_rounds() -> None:
    times = [(1.0, 2.0), (9.0, 3.0), (4.0, 4.0)]
    rounds = [{"subject": Taken(a, a, 10 * a), "peer": Taken(b, b)} for a, b in times]
    found = measure.summary(rounds)
    assert (found["ratio"], found["ratio_low"], found["ratio_high"]) == (1.0, 0.5, 3.0)
    assert found["subject"] == {"seconds": 4.0, "cpu_seconds": 4.0, "peak_mb": 40.0}
    assert found["peer"] == {"seconds": 3.0, "cpu_seconds": 3.0}


@pytest.mark.parametrize(("seconds", "rounds", "calls"), [(20, 5, 6), (40, 3, 4), (100, 1, 1)])
def test_a_long_row_has_fewer_rounds_and_says_so(
    seconds: float, rounds: int, calls: int, tmp_path: Path
) -> None:
    count = []
    sides = Sides(lambda: count.append(1) or Seconds(seconds), quick_side(seconds))
    found = measure.measured(sides, tmp_path / "log", is_quick=False)
    assert (found["rounds"], len(count)) == (rounds, calls)


def test_the_memory_of_a_program_is_its_own_and_not_that_of_the_bench(tmp_path: Path) -> None:
    held = np.ones(HELD_MB * 2**17)
    small = measure.once(python("pass"), tmp_path / "log")
    large = measure.once(python(f"bytearray({HELD_MB} << 20)"), tmp_path / "log")
    assert small.peak_mb is not None
    assert small.peak_mb < held.nbytes / 2**20 / 2
    assert large.peak_mb is not None
    assert large.peak_mb > HELD_MB


def test_the_memory_of_what_a_program_starts_counts(tmp_path: Path) -> None:
    inner = f"bytearray({HELD_MB} << 20)"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', {inner!r}])"
    taken = measure.once(python(outer), tmp_path / "log")
    assert taken.peak_mb is not None
    assert taken.peak_mb > HELD_MB


def test_a_program_that_fails_is_told_by_its_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "log"
    failing = python("print('all that came before', flush=True); raise SystemExit('no such table')")
    measure.once(python("print('of the call before')"), log)
    with pytest.raises(measure.SideFailedError, match="all that came before\nno such table") as why:
        measure.once(failing, log)
    assert "of the call before" not in str(why.value)


# What the bench keeps and says.


def test_a_failing_row_is_named_the_others_run_and_the_end_is_not_zero(
    run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sides = Sides(quick_side(), quick_side())
    rows = [row("first", Sides(python("raise SystemExit('no')"), None)), row("second", sides)]
    assert run(rows) == 1
    assert kept(tmp_path)["first"]["verdict"] == "failed"
    assert kept(tmp_path)["first"]["why"] == "no"
    assert kept(tmp_path)["second"]["ratio"] == 1
    assert capsys.readouterr().out.endswith("1 failed: first\n")


def test_a_row_whose_needs_are_missing_is_skipped_counted_and_named(
    run: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setitem(measure.NEEDS, "Rscript", lambda: False)
    wanting = Row("beside R", None, lambda is_quick: pytest.fail("was prepared"), needs="Rscript")
    assert run([wanting]) == 0
    assert kept(tmp_path)["beside R"]["why"] == "needs Rscript"
    assert capsys.readouterr().out.endswith("1 skipped: beside R\n")


def test_a_missed_target_is_named_and_fails_nothing(
    run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sides = Sides(quick_side(3.0), quick_side(2.0))
    rows = [row("slow", sides, 1.0), row("good", sides, 2.0), row("late", sides, most_seconds=1.0)]
    assert run(rows) == 0
    verdicts = {name: found["verdict"] for name, found in kept(tmp_path).items()}
    assert verdicts == {"slow": "missed", "good": "met", "late": "missed"}
    assert capsys.readouterr().out.endswith("2 missed: slow; late\n")


@pytest.mark.parametrize(("peak_mb", "verdict"), [(29.0, "met"), (31.0, "missed")])
def test_a_row_of_memory_holds_the_ratio_of_both_peaks_to_its_target(
    peak_mb: float, verdict: str
) -> None:
    sides = {"subject": {"seconds": 1.0, "peak_mb": peak_mb}, "peer": {"seconds": 9.0}}
    sides["peer"]["peak_mb"] = 100.0
    of_memory = row("fit", Sides(quick_side(), None), 0.3, is_of_memory=True)
    assert measure.verdict(of_memory, sides | {"ratio": 0.1}) == verdict
    assert measure.verdict(of_memory, sides | {"ratio": 0.4}) == "missed"
    assert "| ≤ 0.3, memory too |" in page.page(
        {"rows": {}, "growth": {}, "machine": MACHINE}, [of_memory]
    )


def test_a_quick_bench_runs_each_row_once_judges_none_and_keeps_apart(
    run: Callable[..., int], tmp_path: Path
) -> None:
    calls: list[bool] = []
    sides = Sides(quick_side(3.0), quick_side(2.0))
    rows = [Row("slow", 1.0, lambda is_quick: calls.append(is_quick) or sides)]
    assert run(rows, "--quick") == 0
    assert calls == [True]
    assert kept(tmp_path, "bench-quick.json")["slow"]["verdict"] == "shown"
    assert kept(tmp_path, "bench-quick.json")["slow"]["rounds"] == 1
    assert not (tmp_path / "build" / "bench.json").exists()


def test_of_rows_that_the_same_code_makes_a_quick_bench_runs_one_and_names_the_others(
    run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sides = Sides(quick_side(), None)
    kinds = {"open a": "open", "cox": "", "open b": "open", "open c": "open", "scan": ""}
    rows = [Row(name, None, lambda _: sides, kind=kind) for name, kind in kinds.items()]
    run(rows, "--quick")
    assert set(kept(tmp_path, "bench-quick.json")) == {"open a", "cox", "scan"}
    assert "2 left out, of a kind that ran: open b; open c\n" in capsys.readouterr().out
    run(rows, "--quick", "open", "b")
    assert set(kept(tmp_path, "bench-quick.json")) == {"open b"}
    run(rows)
    assert set(kept(tmp_path)) == set(kinds)


def test_words_choose_rows_and_the_others_keep_what_this_machine_measured(
    run: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [row("cox with R", Sides(quick_side(2.0), None)), row("cox", Sides(quick_side(), None))]
    run(rows)
    assert run(rows, "R Cox") == 0
    assert set(kept(tmp_path)) == {"cox with R", "cox"}
    monkeypatch.setattr(bench.machine, "described", lambda: {"cores": 8, "libraries": {}})
    run(rows, "R", "cox")
    assert set(kept(tmp_path)) == {"cox with R"}


# The rows and the page.


def test_every_module_of_rows_is_in_the_bench() -> None:
    paths = (Path(bench.__file__).parent).glob("*.py")
    holding = {path.stem for path in paths if re.search(r"^ROWS\b", path.read_text("utf-8"), re.M)}
    assert holding <= set(bench.MODULES)


def test_no_two_rows_share_a_name_or_a_log() -> None:
    rows = bench.all_rows()
    logs = {bench.slug(each.name) for each in rows}
    assert len(logs) == len(rows)


def test_the_page_has_a_line_for_every_row() -> None:
    text = (measure.PROJECT / "docs" / "performance.md").read_text(encoding="utf-8")
    absent = [each.name for each in bench.all_rows() if f"\n| {each.name} | " not in text]
    assert absent == []


def test_the_page_tells_of_missed_and_failed_rows_and_repeats_no_output() -> None:
    sides = {"subject": {"seconds": 2.0, "peak_mb": 1234.5}, "peer": {"seconds": 1.0}}
    found = {"rounds": 3, "ratio": 2.0, "ratio_low": 1.5, "ratio_high": 2.5, "verdict": "missed"}
    failed = {"verdict": "failed", "why": "File 'x' | line 3", "date": "2026-11-22"}
    rows = [Row(name, 1.5, lambda is_quick: pytest.fail("measured")) for name in ("a", "b", "c")]
    results = {"rows": {"a": sides | found | {"date": "2026-11-21"}, "b": failed},
               "growth": {}, "machine": MACHINE}  # fmt: skip
    text = page.page(results, rows)
    assert "| a | 2 s | 1 s | 2 (1.5–2.5) | ≤ 1.5 |  | 1,234 | 3 | missed |" in text
    assert "| b | | | | ≤ 1.5 | | | | failed |" in text
    assert "| c | | | | ≤ 1.5 | | | | not measured yet |" in text
    assert "line 3" not in text
    assert "Of 3 rows: 1 missed (a), 1 failed (b)." in text
    assert "Measured: 2026-11-21 to 2026-11-22." in text


@pytest.mark.parametrize("path", opening.NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_measured_is_how_the_notebook_opens(path: Path) -> None:
    code = opening.opening(path)
    names = [node.func.id for node in ast.walk(ast.parse(code))
             if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]  # fmt: skip
    assert names.count("open_chapter") == 1
    assert f"pipeline.analysis import {path.stem.partition('_')[2]}" in code
    assert "chapter.close" not in code


def test_a_table_that_is_read_later_is_read_once_and_counts(tmp_path: Path) -> None:
    cells = [("open", "chapter = open_chapter('x')"), ("later", 'chapter.read("a")'),
             ("again", 'chapter.read("a")\nchapter.read("b")')]  # fmt: skip
    content = {
        "cells": [{"cell_type": "code", "id": name, "source": source, "metadata": {},
                   "outputs": [], "execution_count": None} for name, source in cells],
        "metadata": {}, "nbformat": 4, "nbformat_minor": 5,
    }  # fmt: skip
    path = tmp_path / "notebook.ipynb"
    path.write_text(json.dumps(content), encoding="utf-8")
    expected = ["chapter = open_chapter('x')", 'chapter.read("a")', 'chapter.read("b")']
    assert opening.opening(path).splitlines() == expected


# Growth, and the company it is measured on.


def test_the_exponent_is_the_slope_of_the_largest_sizes() -> None:
    sizes = [10**3, 10**4, 10**5, 10**6]
    values = [50.0, *(size**1.5 for size in sizes[1:])]
    assert growth.exponent(sizes, values) == pytest.approx(1.5)
    assert growth.exponent(sizes[:1], values[:1]) is None


def test_a_picture_is_drawn_of_time_and_memory_by_events_and_accounts(tmp_path: Path) -> None:
    points = [{"size": size, "seconds": size / 10, "peak_mb": 9.0} for size in (10, 100)]
    slopes = {"seconds_exponent": 1.0, "peak_mb_exponent": 0.0}
    found = [{"name": "x", "of": of, "points": points} | slopes for of in ("events", "accounts")]
    growth.drawn(found, tmp_path / "images" / "growth.png")
    assert (tmp_path / "images" / "growth.png").read_bytes().startswith(b"\x89PNG")


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    """Three accounts, two months, one exclusion."""
    place = tmp_path / "2026-10"
    ids = ["A1", "A2", "A3"]
    mrr = [10.0, 20.0, 30.0]
    store.write_parquet(pd.DataFrame({"account_id": ids, "mrr": mrr}), place / "accounts.parquet")
    months = pd.DataFrame({"period": ["2026-09"] * 3 + ["2026-10"] * 3, "account_id": ids * 2})
    store.write_parquet(months, place / "account_months.parquet")
    steps = {"table": ["accounts"], "step": ["x"], "reason": ["y"], "n_before": [4],
             "n_after": [3], "mrr_affected": [1.5]}  # fmt: skip
    store.write_parquet(pd.DataFrame(steps), place / "exclusions.parquet")
    store.write_json({"period": "2026-10"}, place / "slice.json")
    return place


def test_a_scaled_company_has_each_account_with_its_months_in_copies_under_new_ids(
    snapshot: Path, tmp_path: Path
) -> None:
    company.scaled(snapshot, 12, tmp_path / "large")
    accounts = store.read_frame(tmp_path / "large" / "accounts.parquet")
    assert accounts["account_id"].is_unique
    assert accounts["mrr"].value_counts().to_dict() == {10.0: 12, 20.0: 12, 30.0: 12}
    months = store.read_frame(tmp_path / "large" / "account_months.parquet")
    assert months.equals(months.sort_values(["period", "account_id"], ignore_index=True))
    assert list(months.columns) == ["period", "account_id"]
    assert months.groupby("account_id")["period"].agg(list).map(tuple).unique().tolist() == [
        ("2026-09", "2026-10")
    ]
    assert set(months["account_id"]) == set(accounts["account_id"])
    steps = store.read_frame(tmp_path / "large" / "exclusions.parquet")
    assert steps[["n_before", "n_after"]].to_numpy().tolist() == [[48, 36]]
    assert (tmp_path / "large" / "slice.json").is_file()


@pytest.mark.parametrize("accounts", [1, 2, 3, 7])
def test_a_company_has_exactly_the_accounts_asked_for(
    accounts: int, snapshot: Path, tmp_path: Path
) -> None:
    company.sized(snapshot, accounts, tmp_path / "some")
    found = store.read_frame(tmp_path / "some" / "accounts.parquet")
    months = store.read_frame(tmp_path / "some" / "account_months.parquet")
    assert (found["account_id"].nunique(), len(months)) == (accounts, 2 * accounts)


def test_the_growth_plot_has_every_line_and_a_quick_one_a_line_of_each_kind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    by_accounts = [growth.Series(name, "accounts", (1,), (1,), python) for name in ("x", "y")]
    parts = [SimpleNamespace(ROWS=[], events_command=lambda n_events: python("pass")),
             SimpleNamespace(ROWS=[], SERIES=by_accounts)]  # fmt: skip
    monkeypatch.setattr(bench, "modules", lambda: parts)
    found = bench.all_series()
    assert [each.of for each in found] == ["events", "accounts", "accounts"]
    assert found[0].sizes == (10**5, 10**6, 10**7, 10**8)
    quick = bench.one_of_each_kind(found, lambda each: each.of)
    assert [each.name for each in quick] == [bench.USAGE, "x"]


def test_events_are_kept_as_ingest_keeps_them_without_names_that_none_of_them_has(
    tmp_path: Path,
) -> None:
    rows = event_months._month(event_months.LAST_MONTH, 1_000, 20_000, seed=1)
    store.write_parquet(rows, tmp_path / "month.parquet")
    part = pq.read_metadata(tmp_path / "month.parquet").row_group(0)
    assert part.total_byte_size < 100_000


def test_what_is_flat_is_drawn_and_said_as_flat() -> None:
    assert growth.decades([9.446, 9.461]) == (1.0, 10.0)
    assert growth.decades([100.0, 100.0]) == (100.0, 1000.0)
    assert growth.decades([0.2, 30.0]) == (0.1, 100.0)
    assert growth.said(-0.001) == "exponent 0.00"


def test_a_folder_of_a_month_stays_until_the_code_that_built_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[str] = []

    def simulated(_: object, raw: Path) -> None:
        raw.mkdir(parents=True)
        (raw / "usage.csv").write_text('"a","day"\n"1","2026-09-30"\n"1","2026-10-01"\n')

    monkeypatch.setattr(month, "HOME", tmp_path)
    monkeypatch.setattr(month, "simulate", simulated)
    monkeypatch.setattr(month, "lodestar", lambda root, *_: built.append(month.built_with()))
    for code in ("one", "one", "two"):
        monkeypatch.setattr(month, "built_with", lambda code=code: code)
        root = month.folder(is_quick=True)
        month.let_october_come(month.copy_of(root, "copy"))
    assert built == ["one", "two"]
