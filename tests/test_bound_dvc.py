"""Is DVC the same when a run uses it? It records the same lock, in one pass, and reads what is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.bound_dvc import AND, reading_once

PROJECT = Path(__file__).parents[1]
FLOW = """stages:
  first:
    cmd: echo never
    deps: [raw.csv]
    params: [share, name]
    outs: [first.csv]
  second:
    cmd: echo never
    deps: [first.csv]
    params: [since]
    outs: [second.csv]
"""
PARAMS = 'share: 0.00001\nname: "no"\nsince: "2026-10"\n'
MORE_PARAMS = """odd:
  day: "2026-10-31"
  texts: ["yes", "1e3", "0x1", "~", "a: b", "naïve # 日本", "two\\nlines", " blank "]
  numbers: [1e-9, 1.50, 007, 1_000, -0.0, .inf]
  nothing: null
  long: "%s"
""" % ("a word " * 30)


def laid_out(root: Path) -> Path:
    """A flow of two stages whose results stand there, and which DVC has not taken down."""
    (root / ".dvc").mkdir(parents=True)
    (root / ".dvc" / "config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
    (root / "dvc.yaml").write_text(FLOW)
    (root / "params.yaml").write_text(PARAMS)
    for name in ("raw", "first", "second"):
        (root / f"{name}.csv").write_text(f"{name}\n1\n")
    return root


def dvc(root: Path, module: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *words], cwd=root, text=True, capture_output=True,
        env=os.environ | {"PYTHONPATH": str(PROJECT)}, check=False,
    )  # fmt: skip


def test_a_run_records_the_same_lock_as_the_command_of_dvc(tmp_path: Path) -> None:
    ours, theirs = laid_out(tmp_path / "ours"), laid_out(tmp_path / "theirs")
    own = dvc(ours, "pipeline.bound_dvc", "commit", "--force", "first", "second")
    plain = dvc(theirs, "dvc", "commit", "--force", "first", "second")
    assert (own.returncode, plain.returncode) == (0, 0), own.stderr + plain.stderr
    assert (ours / "dvc.lock").read_bytes() == (theirs / "dvc.lock").read_bytes()
    assert dvc(ours, "dvc", "status", "--json").stdout.strip() == "{}"
    (ours / "params.yaml").write_text(PARAMS.replace("2026-10", "2026-11"))
    assert "second" in dvc(ours, "pipeline.bound_dvc", "status", "--json").stdout


def test_a_lock_that_stands_there_is_added_to_as_dvc_does_it(tmp_path: Path) -> None:
    ours, theirs = laid_out(tmp_path / "ours"), laid_out(tmp_path / "theirs")
    for root in (ours, theirs):
        (root / "params.yaml").write_text(PARAMS + MORE_PARAMS)
        (root / "dvc.yaml").write_text(FLOW.replace("[since]", "[since, odd]"))
    for words in (("first",), ("second",), ("first", "second")):
        dvc(ours, "pipeline.bound_dvc", "commit", "--force", *words)
        dvc(theirs, "dvc", "commit", "--force", *words)
        assert (ours / "dvc.lock").read_bytes() == (theirs / "dvc.lock").read_bytes()
    assert "日本" in (ours / "dvc.lock").read_text(encoding="utf-8")


def test_commands_follow_each_other_in_one_process_until_one_fails(tmp_path: Path) -> None:
    root = laid_out(tmp_path)
    ended = dvc(root, "pipeline.bound_dvc", "commit", "--force", "first", AND, "status", "--json")
    assert ended.returncode == 0, ended.stderr
    assert set(json.loads(ended.stdout.splitlines()[-1])) == {"second"}
    (root / "second.csv").unlink()
    ended = dvc(root, "pipeline.bound_dvc", "commit", "--force", "second", AND, "status", "--json")
    assert ended.returncode == 1
    assert "{" not in ended.stdout


def test_stages_before_one_that_fails_stay_recorded_and_the_command_fails(tmp_path: Path) -> None:
    root = laid_out(tmp_path)
    (root / "second.csv").unlink()
    ended = dvc(root, "pipeline.bound_dvc", "commit", "--force", "first", "second")
    assert ended.returncode == 1
    assert "second.csv" in ended.stderr
    lock = (root / "dvc.lock").read_text()
    assert "first:" in lock
    assert "second:" not in lock


def test_a_text_is_read_once_and_every_answer_is_a_copy_of_its_own() -> None:
    seen: list[str] = []

    def parse(text: str, path: str, typ: str = "safe") -> dict[str, list[str]]:
        seen.append(typ)
        return {"lines": text.split()}

    read = reading_once(parse)
    first = read("a b", "params.yaml")
    first["lines"].append("changed")
    assert read("a b", "params.yaml") == {"lines": ["a", "b"]}
    assert seen == ["safe"]
    assert read("a c", "params.yaml") == {"lines": ["a", "c"]}
    assert read("a b", "dvc.yaml", typ="rt") == {"lines": ["a", "b"]}
    assert seen == ["safe", "safe", "rt"]


def test_a_lock_is_read_for_its_content_alone_also_before_it_is_written() -> None:
    seen: list[str] = []

    def parse(text: str, path: str, typ: str = "safe") -> dict[str, str]:
        seen.append(typ)
        return {"text": text}

    read = reading_once(parse)
    assert read("a", "/here/dvc.lock") == read("a", "/here/dvc.lock", typ="rt") == {"text": "a"}
    assert seen == ["safe"]


def test_what_cannot_be_read_is_no_answer_and_is_asked_again() -> None:
    read = reading_once(lambda text, _path: {}[text])
    with pytest.raises(KeyError):
        read("a: [", "params.yaml")
    with pytest.raises(KeyError):
        read("a: [", "params.yaml")
