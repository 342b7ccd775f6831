"""Is DVC the same when a run uses it? It records the same lock, in one pass, and reads what is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.bound_dvc import reading_once, request

PROJECT = Path(__file__).parents[1]
END = "the end of an answer:"
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


def dvc(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """DVC's own command."""
    return started(root, "dvc", *words)


def kept_dvc(root: Path, *commands: list[str]) -> tuple[list[int], str]:
    """One DVC that is asked for these commands; their exit codes, and what was said between."""
    asked = "".join(request(words, os.environ, END) for words in commands)
    ended = started(root, "pipeline.bound_dvc", given=asked)
    assert ended.returncode == 0
    said = ended.stdout.splitlines()
    codes = [int(line.removeprefix(END)) for line in said if line.startswith(END)]
    return codes, "\n".join(line for line in said if not line.startswith(END))


def started(root: Path, module: str, *words: str, given: str = "") -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", module, *words], cwd=root, text=True, input=given,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=os.environ | {"PYTHONPATH": str(PROJECT)}, check=False,
    )  # fmt: skip


STATUS = ["status", "--json"]


def commit(*stages: str) -> list[str]:
    return ["commit", "--force", *stages]


def test_a_run_records_the_same_lock_as_the_command_of_dvc(tmp_path: Path) -> None:
    ours, theirs = laid_out(tmp_path / "ours"), laid_out(tmp_path / "theirs")
    codes, said = kept_dvc(ours, commit("first", "second"))
    plain = dvc(theirs, *commit("first", "second"))
    assert (codes, plain.returncode) == ([0], 0), said + plain.stdout
    assert (ours / "dvc.lock").read_bytes() == (theirs / "dvc.lock").read_bytes()
    assert dvc(ours, *STATUS).stdout.strip() == "{}"
    (ours / "params.yaml").write_text(PARAMS.replace("2026-10", "2026-11"))
    assert "second" in kept_dvc(ours, STATUS)[1]


def test_a_lock_that_stands_there_is_added_to_as_dvc_does_it(tmp_path: Path) -> None:
    ours, theirs = laid_out(tmp_path / "ours"), laid_out(tmp_path / "theirs")
    for root in (ours, theirs):
        (root / "params.yaml").write_text(PARAMS + MORE_PARAMS)
        (root / "dvc.yaml").write_text(FLOW.replace("[since]", "[since, odd]"))
    for words in (("first",), ("second",), ("first", "second")):
        kept_dvc(ours, commit(*words))
        dvc(theirs, *commit(*words))
        assert (ours / "dvc.lock").read_bytes() == (theirs / "dvc.lock").read_bytes()
    assert "日本" in (ours / "dvc.lock").read_text(encoding="utf-8")


def test_one_dvc_answers_one_command_after_another_and_goes_on_after_a_failure(
    tmp_path: Path,
) -> None:
    root = laid_out(tmp_path)
    codes, said = kept_dvc(
        root, commit("first"), STATUS, commit("none"), commit("second"), commit("none"), STATUS
    )
    assert codes == [0, 0, 1, 0, 1, 0]
    answers = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert [set(each) for each in answers] == [{"second"}, set()]
    assert said.count("ERROR") == 2, "what is said is said once, however many commands came before"


def test_a_stage_sees_the_environment_of_its_command_alone(tmp_path: Path) -> None:
    root = laid_out(tmp_path)
    (root / "dvc.yaml").write_text('stages:\n  say:\n    cmd: echo "<$WORD>"\n')
    words = ["repro", "--force", "say"]
    asked = request(words, os.environ | {"WORD": "a word"}, END) + request(words, os.environ, END)
    said = started(root, "pipeline.bound_dvc", given=asked).stdout.splitlines()
    assert [line for line in said if line.startswith("<")] == ["<a word>", "<>"]


def test_a_stage_that_reads_finds_nothing_and_takes_no_command_away(tmp_path: Path) -> None:
    root = laid_out(tmp_path)
    (root / "dvc.yaml").write_text("stages:\n  read:\n    cmd: timeout 5 cat || echo hung\n")
    words = [sys.executable, "-m", "pipeline.bound_dvc"]
    variables = os.environ | {"PYTHONPATH": str(PROJECT)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(words, cwd=root, env=variables, **pipes) as kept:
        kept.stdin.write(request(["repro", "read"], os.environ, END))
        kept.stdin.flush()
        answer = [kept.stdout.readline()]
        while answer[-1] and not answer[-1].startswith(END):
            answer.append(kept.stdout.readline())
        assert answer[-1] == f"{END} 0\n"
        assert "hung\n" not in answer
        said, _ = kept.communicate(request(STATUS, os.environ, END))
    assert said.endswith(f"{END} 0\n")


def test_stages_before_one_that_fails_stay_recorded_and_the_command_fails(tmp_path: Path) -> None:
    root = laid_out(tmp_path)
    (root / "second.csv").unlink()
    codes, said = kept_dvc(root, commit("first", "second"))
    assert codes == [1]
    assert "second.csv" in said
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
