"""What `make bench` measures: the opening of each chapter is its own, and every row is kept."""

import ast
import json
from pathlib import Path

import pytest

from tests.bench import __main__ as bench
from tests.bench import opening


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


def test_every_row_is_printed_and_kept_and_a_missed_target_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = opening.Script("03_survival", "pass")
    monkeypatch.setattr(bench, "BENCHES", {"sum": lambda: (lambda: sum(range(9)), lambda: 1)})
    monkeypatch.setattr(bench, "RESULTS", tmp_path / "bench.json")
    monkeypatch.setattr(bench, "ROUNDS", 1)
    monkeypatch.setattr(opening, "scripts", lambda: [quick])
    monkeypatch.setattr(opening, "LIBRARIES", "pass")
    monkeypatch.setattr(opening, "TARGET_SECONDS", 0.0)
    monkeypatch.setattr(opening.checked_cells, "ROOT", tmp_path)
    bench.main()
    kept = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))
    assert list(kept) == ["open 03_survival / its libraries", "sum"]
    assert kept["open 03_survival / its libraries"]["target_seconds"] == 0
    assert set(kept["sum"]) == {"seconds", "peer_seconds", "ratio"}
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("sum")
    assert printed[1].endswith("over the target of 0 s")
