"""The checked cells of the notebooks: the company they speak of, and their stored words.

`python -m tests.checked_cells prepare` builds the newest snapshot of the shipped sample company in
build/sample-root, where `make test` runs every notebook; `fill` stores what the checked cells say
there, after a number has moved on purpose (`fill 03_survival`: of one notebook).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

import nbformat
from ruamel.yaml import YAML

from pipeline import settings as configuration
from pipeline.settings import ROOT_VARIABLE, Paths, Settings
from pipeline.stages import ingest, snapshot, usage
from pipeline.stages.simulate import simulate
from tests import notebook_gate

PROJECT = Path(__file__).parents[1]
ROOT = PROJECT / "build" / "sample-root"
STAMP = ROOT / "build" / "made-from"
MADE_FROM = ("pipeline/stages", "pipeline/data", "pipeline/settings.py", "params.yaml")
CHECKED = "checked"


def prepare() -> None:
    """Build the snapshot that the checked cells speak of, unless it stands already."""
    current = _hash_of_inputs()
    if STAMP.is_file() and STAMP.read_text() == current:
        return
    shutil.rmtree(ROOT, ignore_errors=True)
    settings = _write_params()
    paths = Paths(ROOT, settings.company)
    simulate(settings.simulate, paths.raw, settings.currency)
    for stage in (ingest, usage, snapshot):
        stage.run(settings, paths)
    STAMP.parent.mkdir(parents=True, exist_ok=True)
    STAMP.write_text(current)


def _write_params() -> Settings:
    """The shipped choices for the newest month of the sample company alone."""
    yaml = YAML()
    params = yaml.load((PROJECT / "params.yaml").read_text(encoding="utf-8"))
    newest = max(params["periods"])
    params.update({"company": "sample", "source": {}, "periods": [newest]})
    ROOT.mkdir(parents=True)
    with (ROOT / "params.yaml").open("w", encoding="utf-8") as text:
        yaml.dump(params, text)
    return configuration.load(ROOT)


def _hash_of_inputs() -> str:
    digest = hashlib.sha256()
    for name in MADE_FROM:
        place = PROJECT / name
        for path in [place] if place.is_file() else sorted(place.rglob("*.py")):
            digest.update(str(path.relative_to(PROJECT)).encode() + path.read_bytes())
    return digest.hexdigest()


def fill(names: list[str]) -> None:
    """Run these notebooks there, or all, and store what their checked cells say."""
    os.environ[ROOT_VARIABLE] = str(ROOT)
    for path in sorted((PROJECT / "notebooks").glob("*.ipynb")):
        if names and path.stem not in names:
            continue
        notebook = nbformat.read(path, as_version=4)
        with tempfile.TemporaryDirectory() as folder:
            ran = notebook_gate.run(path, Path(folder))
        for kept, fresh in zip(notebook.cells, ran.cells, strict=True):
            if CHECKED in kept.metadata.get("tags", []):
                kept.outputs = [o for o in fresh.outputs if o.get("name") == "stdout"]
                kept.execution_count = 1  # nbval compares only what says that it was run
                sys.stdout.write(f"{path.name}: {kept.outputs[0]['text']}")
        nbformat.write(notebook, path)


if __name__ == "__main__":
    prepare()
    if sys.argv[1:2] == ["fill"]:
        fill(sys.argv[2:])
