"""How is a run hurt from outside? A copy of the small company, and the eyes that watch it.

A `Company` is one root that a test may break. Commands are the real ones, in processes of their
own; what a test sees afterwards is what stands on the disk and which processes are left.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import nbformat
import pytest

from pipeline.data import store

PROJECT = Path(__file__).parents[2]
LODESTAR = (sys.executable, "-m", "pipeline.cli")
SECONDS = 800
CALM_SECONDS = 20
"""A killed run's children end within so long, or they are orphans."""
QUIET_SECONDS = 2.0
DIFFERS_BY_BUILD = ("built_at", "git_commit", "is_dirty", "seal", "seconds")
"""Build fields of two builds of the same inputs by the same code: times, checkout, seal."""
NOT_COPIED = ("tmp", "runs", "__pycache__")
MOUNTS = os.geteuid() == 0 and shutil.which("mount") is not None


@dataclass(frozen=True)
class Company:
    """One root that may be broken."""

    root: Path

    # What is done to it.

    def lodestar(
        self,
        *words: str,
        seconds: float = SECONDS,
        before: Sequence[str] = (),
        **variables: str,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; `before` stands in front of it, variables are added."""
        return subprocess.run(
            self.command(words, before),
            cwd=PROJECT,
            env=self.environment(variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def start(
        self, *words: str, before: Sequence[str] = (), **variables: str
    ) -> subprocess.Popen[str]:
        """Start a command in a session of its own, as a scheduler does."""
        said = (self.root / "said.txt").open("w", encoding="utf-8")
        with said:
            return subprocess.Popen(
                self.command(words, before),
                cwd=PROJECT,
                env=self.environment(variables),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )

    def command(self, words: Sequence[str], before: Sequence[str] = ()) -> list[str]:
        return [*before, *LODESTAR, "--root", str(self.root), *words]

    def environment(self, variables: dict[str, str]) -> dict[str, str]:
        """This machine's variables without Lodestar's own; DVC's notes stay in the root."""
        clean = {name: text for name, text in os.environ.items() if "LODESTAR" not in name}
        steady = {
            "DVC_SITE_CACHE_DIR": str(self.root / ".dvc" / "tmp" / "site"),
            "OMP_NUM_THREADS": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return clean | steady | variables

    def poison(self, notebook: str, source: str, after: str = "parameters") -> None:
        """Put a code cell into a notebook, after the cell with this id or tag."""
        path = self.root / "notebooks" / notebook
        content = nbformat.read(path, as_version=4)
        places = [
            number
            for number, cell in enumerate(content.cells)
            if after in (cell.id, *cell.metadata.get("tags", []))
        ]
        content.cells.insert(places[0] + 1, nbformat.v4.new_code_cell(source, id="poison"))
        store.write_text(nbformat.writes(content) + "\n", path)

    def append(self, name: str, text: str) -> None:
        """Write a line at the end of a file of the root."""
        path = self.root / name
        store.write_text(path.read_text(encoding="utf-8") + text, path)

    def replace(self, name: str, old: str, new: str) -> None:
        """Change a word of a file of the root."""
        path = self.root / name
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{name} does not hold {old!r}"
        store.write_text(text.replace(old, new), path)

    # What is seen afterwards.

    @property
    def manifests(self) -> list[dict[str, Any]]:
        """The manifests of all runs, oldest first."""
        found = sorted((self.root / "build" / "runs").glob("*/run.json"))
        return [json.loads(path.read_text(encoding="utf-8")) for path in found]

    @property
    def manifest(self) -> dict[str, Any]:
        """The newest run's."""
        return self.manifests[-1]

    def bytes_of(self, *folders: str) -> dict[str, str]:
        """Hash of every file below these folders of the root."""
        files = [path for name in folders for path in sorted((self.root / name).rglob("*"))]
        return {
            str(path.relative_to(self.root)): store.sha256(path)
            for path in files
            if path.is_file() and not path.is_symlink()
        }

    @property
    def reports(self) -> dict[str, str]:
        """Hash of every file of every month's report; the index is not one of them."""
        kept = self.bytes_of("reports")
        return {name: text for name, text in kept.items() if name.count("/") > 1}

    @property
    def contents(self) -> dict[str, Any]:
        """All that was published and made, without the build fields."""
        found: dict[str, Any] = dict(self.bytes_of("reports", "data"))
        for name in found:
            path = Path(name)
            if path.name == "report.json" or path.parent.name == "history":
                found[name] = without_build_fields(store.read_json(self.root / path))
        return found

    @property
    def leftovers(self) -> list[str]:
        """Half-made files and folders below reports/ and data/."""
        marks = (".building", ".part", ".old")
        below = [path for name in ("reports", "data") for path in (self.root / name).rglob("*")]
        return sorted(str(p.relative_to(self.root)) for p in below if p.name.endswith(marks))

    def processes(self) -> dict[int, str]:
        """Command lines of the living processes that belong to this root, by their number."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                place = str(folder.joinpath("cwd").readlink())
                is_ours = str(self.root) in words or place.startswith(str(self.root))
                if is_ours and words and int(folder.name) != os.getpid():
                    found[int(folder.name)] = words.strip()
        return found

    def stamps(self) -> dict[str, tuple[int, int]]:
        """Time of change and size of every file of the root."""
        found = {}
        for path in self.root.rglob("*"):
            with contextlib.suppress(OSError):
                facts = path.lstat()
                found[str(path.relative_to(self.root))] = (facts.st_mtime_ns, facts.st_size)
        return found

    def wait_until_calm(self) -> None:
        """Fail unless every process of this root ends soon and nothing is written after it."""
        ended = time.monotonic() + CALM_SECONDS
        while (left := self.processes()) and time.monotonic() < ended:
            time.sleep(0.1)
        assert not left, f"orphans {CALM_SECONDS} s after the kill: {left}"
        before = self.stamps()
        time.sleep(QUIET_SECONDS)
        assert self.stamps() == before, "somebody still writes"

    def said(self) -> str:
        """What a started command said so far."""
        return (self.root / "said.txt").read_text(encoding="utf-8")


@contextlib.contextmanager
def copied(original: Path, place: Path) -> Iterator[Company]:
    """A copy of a root, removed at the end with every process that still belongs to it."""
    shutil.copytree(original, place, symlinks=True, ignore=shutil.ignore_patterns(*NOT_COPIED))
    company = Company(place)
    try:
        yield company
    finally:
        for number in company.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        shutil.rmtree(place, ignore_errors=True)


@contextlib.contextmanager
def mounted(place: Path, *words: str) -> Iterator[Path]:
    """A file system of its own at a folder: `mount` with these words."""
    if not MOUNTS:
        pytest.skip("only root may mount a file system")
    place.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", *words, str(place)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


class _Listener(BaseHTTPRequestHandler):
    """Keeps what it is told, and answers as its server was asked to."""

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.server.heard.append(f"{self.path} {self.rfile.read(length).decode()}")
        self.server.is_closing.wait(self.server.delay)
        with contextlib.suppress(OSError):  # whoever asked may have stopped waiting
            self.send_response(self.server.answer)
            self.end_headers()

    do_GET = do_HEAD = do_POST  # noqa: N815

    def log_message(self, *_: Any) -> None:
        """Say nothing on the terminal."""


class Endpoint(ThreadingHTTPServer):
    """A place on this machine that notifications are sent to."""

    daemon_threads = True

    def __init__(self, answer: int, delay: float) -> None:
        super().__init__(("127.0.0.1", 0), _Listener)
        self.answer, self.delay = answer, delay
        self.heard: list[str] = []
        self.is_closing = threading.Event()

    @property
    def variables(self) -> dict[str, str]:
        """What a run must be told to notify this place."""
        place = f"127.0.0.1:{self.server_port}"
        return {
            "LODESTAR_NOTIFY_URLS": f"json://{place}/told",
            "LODESTAR_PING_URL": f"http://{place}/ping",
        }


@contextlib.contextmanager
def listening(answer: int = 200, delay: float = 0) -> Iterator[Endpoint]:
    """An endpoint that answers after so many seconds."""
    with Endpoint(answer, delay) as endpoint:
        thread = threading.Thread(target=endpoint.serve_forever, daemon=True)
        thread.start()
        try:
            yield endpoint
        finally:
            endpoint.is_closing.set()
            endpoint.shutdown()
            thread.join()


def wait_for(condition: Any, seconds: float, what: str) -> Any:
    """Ask again and again until the answer is true."""
    ended = time.monotonic() + seconds
    while time.monotonic() < ended:
        if answer := condition():
            return answer
        time.sleep(0.05)
    pytest.fail(f"{what} did not happen within {seconds} s")


def without_build_fields(report: dict[str, Any]) -> dict[str, Any]:
    """A record of a report as two builds of the same inputs must have it."""
    kept = copy.deepcopy(report)
    for name in DIFFERS_BY_BUILD:
        kept["provenance"].pop(name, None)
    return kept
