"""Every chapter in a real JupyterLab: opened, restarted and run whole, as a data scientist does it.

One server and one window serve all tests. The folder is a copy: what is run, saved and edited here
is not this checkout's.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest

pytestmark = pytest.mark.timeout(1200)

PROJECT = Path(__file__).parents[2]
NOTEBOOKS = sorted(path.name for path in (PROJECT / "notebooks").glob("*.ipynb"))
COPIED = ("notebooks", "pipeline")
WITHOUT = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
LAST_WORD = "Run by hand: nothing was published."
WINDOW = {"width": 1400, "height": 900}
START_SECONDS, RUN_SECONDS, STOP_SECONDS = 120, 300, 10
PATIENCE_MS, BEGIN_MS = 60_000, 60_000
IS_RUNNING = "() => [...document.querySelectorAll('.jp-NotebookPanel:not(.lm-mod-hidden) {}')]{}"
PROMPTS = ".jp-CodeCell .jp-InputPrompt"
SOME_WAIT = IS_RUNNING.format(PROMPTS, ".some(one => one.textContent.includes('*'))")
TRIES = 4
SHORT_LOOKS, LONG_LOOKS = 10, 150
"""Five to a second: a kernel that does nothing for so many rests."""


@dataclass
class Lab:
    """A JupyterLab of a folder, and a window on it."""

    root: Path
    address: str
    token: str
    page: Any = None
    asked: list[str] = field(default_factory=list)

    def api(self, path: str) -> Any:
        """What the server answers a program."""
        headers = {"Authorization": f"token {self.token}"}
        asked = urllib.request.Request(f"{self.address}api/{path}", headers=headers)
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return json.load(answer)

    def menu(self, name: str, entry: str) -> None:
        """Choose an entry of a menu by the words that stand there.

        A menu that is opened while JupyterLab still loads may close again: then once more.
        """
        label = self.page.locator(".lm-MenuBar-itemLabel", has_text=re.compile(f"^{name}$"))
        found = self.page.locator(".lm-Menu-itemLabel", has_text=entry).first

        def is_open() -> bool:
            self.page.keyboard.press("Escape")
            label.click()
            with contextlib.suppress(Exception):
                found.wait_for(timeout=3000)
            return found.is_visible()

        waits_for(is_open)
        found.click()

    def open(self, path: str) -> None:
        """Open a notebook of the project alone in the window; back when its kernel waits."""
        self.page.goto(f"{self.address}lab/tree/{path}?reset")
        self.page.wait_for_url(lambda address: "reset" not in address)
        self.page.wait_for_selector(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell")
        self.page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]")

    def run_all(self, path: str) -> None:
        """Restart the kernel, run every cell and save.

        On a busy machine JupyterLab may lose what it sent to a kernel that was still starting; then
        its cells wait for ever, and a person chooses the same again.
        """
        for _ in range(TRIES):
            self.run_once()
            content = self.api(f"contents/{path}")["content"]
            cells = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
            if all(cell["execution_count"] for cell in cells):
                return

    def run_once(self) -> None:
        """Restart, run and save; back when nothing waits any more, or for too long."""

        def has_begun() -> bool:
            self.menu("Kernel", "Restart Kernel and Run All Cells")
            self.page.locator(".jp-Dialog .jp-mod-accept").click()
            with contextlib.suppress(Exception):
                self.page.wait_for_function(SOME_WAIT, timeout=BEGIN_MS)
            return bool(self.page.evaluate(SOME_WAIT))

        waits_for(has_begun)
        waits_for(self.is_done, RUN_SECONDS)
        self.save()

    def is_done(self) -> bool:
        """No cell waits and no kernel does anything; or none does for long, whatever a star says.

        A kernel rests while it restarts, and a star may stay on a cell that was run.
        """
        is_waiting = bool(self.page.evaluate(SOME_WAIT))
        return self.rests(LONG_LOOKS if is_waiting else SHORT_LOOKS)

    def rests(self, looks: int) -> bool:
        for _ in range(looks):
            if any(kernel["execution_state"] != "idle" for kernel in self.api("kernels")):
                return False
            time.sleep(0.2)
        return True

    def save(self) -> None:
        self.menu("File", "Save Notebook")
        waits_for(lambda: not self.page.locator("#jp-main-dock-panel .jp-mod-dirty").count())

    def close(self) -> None:
        """Close the notebook and end its kernel."""
        self.menu("File", "Close and Shut Down Notebook")
        if (dialog := self.page.locator(".jp-Dialog .jp-mod-accept")).count():
            dialog.click()
        waits_for(lambda: self.api("kernels") == [])

    def in_the_way(self) -> list[str]:
        """Dialogs and notes of errors that stand before the reader now."""
        return self.page.locator(".jp-Dialog, .Toastify__toast").all_inner_texts()


def waits_for(is_so: Callable[[], bool], seconds: float = 180) -> None:
    """Wait until something is so; it must become so."""
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def root(test_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of its own: the small company's tables, our notebooks and our code."""
    place = tmp_path_factory.mktemp("lab")
    for name in COPIED:
        shutil.copytree(PROJECT / name, place / name, ignore=WITHOUT)
    for name in ("data", "reports"):
        shutil.copytree(test_root / name, place / name)
    shutil.copy(test_root / "params.yaml", place)
    return place


@pytest.fixture(scope="module")
def lab(root: Path, browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """`lodestar lab` on that folder, in the home of somebody who has never used JupyterLab."""
    home = tmp_path_factory.mktemp("home")
    own = {"HOME": str(home), "JUPYTER_RUNTIME_DIR": str(home / "runtime")}
    kept = {name: text for name, text in os.environ.items() if not name.startswith("JUPYTER")}
    words = ["--root", str(root), "lab", "--no-build", "--no-browser", "--port", str(free_port())]
    with (home / "log").open("w") as log:
        server = psutil.Popen(
            [sys.executable, "-m", "pipeline.cli", *words],
            cwd=PROJECT, env=kept | own, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        said = home / "runtime" / f"jpserver-{server.pid}.json"
        waits_for(lambda: is_whole(said) or server.poll() is not None, START_SECONDS)
        assert server.poll() is None, (home / "log").read_text()
        facts = json.loads(said.read_text())
        opened = Lab(root, facts["url"], facts["token"])
        opened.page = window_on(opened, browser)
        yield opened
        opened.page.context.close()
    finally:
        end(server)


def is_whole(said: Path) -> bool:
    """Whether the server has written all it says of itself; the file is there before its text."""
    return said.is_file() and said.read_text().rstrip().endswith("}")


def end(server: psutil.Popen) -> None:
    """End the server and its kernels, in words first."""
    started = server.children(recursive=True) if server.is_running() else []
    server.terminate()
    psutil.wait_procs([server, *started], STOP_SECONDS)
    for process in [server, *started]:
        with contextlib.suppress(psutil.Error):
            process.kill()
    server.wait()


def window_on(lab: Lab, browser: Any) -> Any:
    """A window that notes whom it asks, on the page that JupyterLab opens with."""
    page = browser.new_context(viewport=WINDOW).new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.on("request", lambda asked: lab.asked.append(asked.url))
    page.goto(f"{lab.address}?token={lab.token}")
    page.wait_for_selector(".jp-MarkdownViewer h1")
    return page


def free_port() -> int:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return place.getsockname()[1]


def kept(root: Path) -> dict[str, str]:
    """The hash of every file that readers open or that a run has made."""
    files = [path for name in ("data", "reports") for path in (root / name).rglob("*")]
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.is_file()
    }


# The page that it opens with.


def test_jupyterlab_opens_on_a_page_that_says_where_to_start(lab):
    shown = lab.page.locator(".jp-MarkdownViewer")
    assert shown.locator("h1").inner_text() == "Start here"
    addresses = [link.get_attribute("href") for link in shown.locator("a[href]").all()]
    assert {f"{lab.address}files/notebooks/{name}" for name in NOTEBOOKS} <= {
        address.partition("?")[0] for address in addresses
    }
    assert lab.in_the_way() == []


def test_every_file_that_the_start_page_names_is_there():
    text = (PROJECT / "notebooks" / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#]+)\)", text)
    assert len(links) > len(NOTEBOOKS)
    assert [link for link in links if not (PROJECT / "notebooks" / link).is_file()] == []


def test_a_link_of_the_start_page_opens_its_notebook_with_our_kernel_and_its_headings(lab):
    notebook = nbformat.read(PROJECT / "notebooks" / NOTEBOOKS[0], as_version=4)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    lab.page.locator(".jp-MarkdownViewer td a").first.click()
    lab.page.wait_for_selector(".jp-NotebookPanel .jp-Cell")
    lab.page.locator(".jp-KernelName", has_text="Lodestar").wait_for()
    contents = lab.page.locator(".jp-TableOfContents-content:visible")
    contents.locator("text=Limits").wait_for()
    assert set(re.findall(r"^#+ (.+)$", text, re.MULTILINE)) <= set(
        contents.inner_text().split("\n")
    )
    lab.close()


def test_the_launcher_offers_no_kernel_but_ours(lab):
    lab.menu("File", "New Launcher")
    cards = lab.page.locator(".jp-LauncherCard[data-category=Notebook]")
    cards.first.wait_for()
    assert cards.all_inner_texts() == ["Lodestar"]
    assert list(lab.api("kernelspecs")["kernelspecs"]) == ["lodestar"]
    assert lab.in_the_way() == []


def test_nobody_without_the_token_gets_in(lab):
    assert len(lab.token) >= 40
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(f"{lab.address}api/contents", timeout=30)


# The chapters.


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_chapter_runs_whole_in_jupyterlab_and_changes_nothing_but_its_outputs(lab, name):
    before = kept(lab.root)
    lab.open(f"notebooks/{name}")
    lab.run_all(f"notebooks/{name}")
    saved = nbformat.from_dict(lab.api(f"contents/notebooks/{name}")["content"])
    cells = [cell for cell in saved.cells if cell.cell_type == "code"]
    outputs = [output for cell in cells for output in cell.outputs]
    errors = [output["evalue"] for output in outputs if output.output_type == "error"]
    assert errors == []
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert LAST_WORD in json.dumps([output.get("data") for output in outputs])
    ours = nbformat.read(PROJECT / "notebooks" / name, as_version=4)
    assert [cell.source for cell in saved.cells] == [cell.source for cell in ours.cells]
    assert kept(lab.root) == before
    assert lab.in_the_way() == []
    lab.close()


def test_code_that_is_edited_is_seen_by_the_next_cell_without_a_restart(lab):
    module = lab.root / "pipeline" / "analysis" / "tried.py"
    module.write_text('def said():\n    return "as it was"\n')
    cells = [
        'from pipeline.reporting.chapter import open_chapter\nchapter = open_chapter("population")',
        "from pipeline.analysis import tried",
        "print(tried.said())",
    ]
    ours = nbformat.read(lab.root / "notebooks" / NOTEBOOKS[0], as_version=4)
    made = nbformat.v4.new_notebook(
        metadata={"kernelspec": ours.metadata["kernelspec"]},
        cells=[nbformat.v4.new_code_cell(text) for text in cells],
    )
    nbformat.write(made, lab.root / "notebooks" / "tried.ipynb")
    lab.open("notebooks/tried.ipynb")
    lab.run_all("notebooks/tried.ipynb")
    shown = lab.page.locator(".jp-OutputArea-output")
    assert shown.last.inner_text().strip() == "as it was"
    time.sleep(1.1)  # a file's time counts seconds somewhere
    module.write_text('def said():\n    return "as it is"\n')
    lab.page.locator(".jp-CodeCell").nth(2).click()
    lab.page.keyboard.press("Control+Enter")
    waits_for(lambda: lab.rests(SHORT_LOOKS))
    lab.save()
    saved = lab.api("contents/notebooks/tried.ipynb")["content"]["cells"]
    assert saved[2]["outputs"][0]["text"].strip() == "as it is"
    assert [cell["execution_count"] for cell in saved] == [1, 2, 4]
    lab.close()


def test_nothing_is_asked_of_any_other_machine(lab):
    asked_before = len(lab.asked)
    lab.open(f"notebooks/{NOTEBOOKS[0]}")
    assert [url for url in lab.asked[asked_before:] if url.startswith(lab.address)] != []
    outside = [url for url in lab.asked if not url.startswith((lab.address, "data:", "blob:"))]
    assert outside == []
    lab.close()
