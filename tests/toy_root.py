"""A root whose stages and chapters only tick: what a runner does to processes, in seconds."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
LEFT_OUT = shutil.ignore_patterns("__pycache__")
FLOW = """stages:
  tick:
    cmd: python -m pipeline.cli stage tick
    always_changed: true
  behind_a_shell:
    cmd: echo begins; python -m pipeline.cli stage tick; echo ends
    always_changed: true
  bad:
    cmd: python -m pipeline.cli stage bad
    always_changed: true
  quick:
    cmd: python -m pipeline.cli stage quick
    deps: [params.yaml]
    outs: [tries-quick]
"""
CLI = '''"""Plays the command line: ticks for a minute, or fails as it is told."""

import json, os, signal, sys, time
from pathlib import Path
from pipeline import children, lock

if __name__ != "__main__":
    raise ImportError("the preload need not load it")
children.bind()
verb, name = sys.argv[1], sys.argv[2]
root, failure = Path.cwd(), Path(os.environ["LODESTAR_FAILURE"])
tries = root / f"tries-{name}"
tries.write_text(tries.read_text() + "." if tries.is_file() else ".")
if name == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
with lock.writing(root):
    if name in ("tick", "stubborn"):
        for count in range(1200):
            (root / "ticks").write_text(str(count))
            time.sleep(0.05)
    elif name == "bad" or (name == "flaky" and len(tries.read_text()) < 3):
        left = {"code": 65, "message": "2 rows cannot be used", "error_class": sys.argv[3]
                if verb == "chapter" else "data", "notebook": "03.ipynb", "cell": "answer"}
        failure.write_text(json.dumps(left))
        facts = failure.with_name(failure.name.replace(".failure.", ".facts."))
        facts.write_text('{"peak_memory_mb": 12.5, "warnings": []}')
        sys.exit(65)
'''
RUNNER = """
import sys
from pathlib import Path
from pipeline.flow import Flow, Task
from pipeline.lock import locked
root, way, name = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
with locked(root) as held:
    flow = Flow(root, (held,))
    if way == "chapter":
        list(flow.run_side_by_side([Task(name, "2026-10")], 1))
    else:
        flow.reproduce([name], print)
"""


def make(root: Path) -> Path:
    """Lay the toy root out; its path."""
    package = root / "pipeline"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "cli.py").write_text(CLI)
    for name in ("lock.py", "children.py"):
        shutil.copy(ROOT / "pipeline" / name, package)
    _lay_out_preload(package)
    (root / "dvc.yaml").write_text(FLOW)
    words = [sys.executable, "-m", "dvc", "init", "--no-scm", "--quiet"]
    subprocess.run(words, cwd=root, check=True, capture_output=True)
    return root


def _lay_out_preload(package: Path) -> None:
    """The real preload, which here has nothing to load and forks no kernel."""
    shutil.copytree(ROOT / "pipeline" / "preload", package / "preload", ignore=LEFT_OUT)
    process = package / "preload" / "process.py"
    text = process.read_text(encoding="utf-8")
    process.write_text(text.replace("    load()\n", "", 1), encoding="utf-8")
    kernel = package / "reporting" / "execution" / "forked.py"
    kernel.parent.mkdir(parents=True)
    kernel.write_text("def hold(): pass\n")


def start_runner(root: Path, way: str, name: str) -> subprocess.Popen[bytes]:
    """A run in a process of its own, once its child ticks."""
    words = [sys.executable, "-c", RUNNER, str(root), way, name]
    child = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL)
    wait_for(lambda: (root / "ticks").is_file())
    return child


def wait_for(is_so, seconds: float = 60) -> None:
    """Wait until something is so; it must become so."""
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.05)


def is_ticking(root: Path) -> bool:
    """True when somebody still writes in this root."""
    before = (root / "ticks").stat().st_mtime_ns
    time.sleep(0.6)
    return (root / "ticks").stat().st_mtime_ns != before
