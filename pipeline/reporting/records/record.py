"""What does a report say about itself? The content of report.json, and what was published before.

Reads headline files, snapshot tables and earlier report.json files of the same company; makes the
record of one period. The subtle point: `BUILD_FIELDS` may differ between two builds of the same
inputs, nothing else may; a seal over the record tells a record that somebody altered.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import importlib.metadata
import math
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.data import slice as slices
from pipeline.data import store, targets
from pipeline.data.schema import SNAPSHOT
from pipeline.data.schema.published import SCHEMA_VERSION
from pipeline.reporting import words
from pipeline.reporting.privacy import small_numbers
from pipeline.reporting.records import plan
from pipeline.settings import PERIOD_FORMAT, SAMPLE, Paths, Period, Settings

FILE_NAME = "report.json"
HEADLINE_FILE = "headline.json"
"""What a chapter keeps for the report and the summary."""
END_MARKER = "complete.json"
"""The last file that a chapter writes; it names all others."""
SCENARIO = "scenario"
"""In an end marker: what was not as params.yaml says; such a chapter is never published."""
KEPT_NAME = re.compile(r"[a-z][a-z0-9_]*\.[a-z0-9][a-z0-9_-]{0,80}", re.ASCII)
"""`<chapter>.<name>`, as a table or figure is kept."""
HISTORY = "history"
PROVISIONAL, FINAL, REVISED = "provisional", "final", "revised"
BUILD_FIELDS = (
    "status",
    "revision",
    "restatements",
    "definition_changes",
    "data_changes",
    "compared_with",
    "provenance.built_at",
    "provenance.files",
    "provenance.git_commit",
    "provenance.is_dirty",
    "provenance.seal",
    "provenance.seconds",
    "provenance.versions",
    "tables/revenue.mrr_bridge.csv:mrr_end_first_published",
)
NOT_SAID = ("code_sha256", "lock_sha256", "raw")
"""What says nothing about the month: a later export, too, may bring the same facts."""
VERSIONS = (
    "lodestar", "duckdb", "ibis-framework", "lifelines", "numpy", "pandas", "pyarrow", "scipy",
    "statsmodels",
)  # fmt: skip
CODE = ("pipeline/**/*.py", "pipeline/reporting/pages/templates/**/*", "notebooks/*.ipynb")
QUALITY = "quality.parquet"

Report = dict[str, Any]


def is_kept_name(name: Any) -> bool:
    """True for the name of a table or figure that names a file of its chapter's folder."""
    return isinstance(name, str) and KEPT_NAME.fullmatch(name) is not None


def compose(
    period: Period, settings: Settings, paths: Paths, kept: Sequence[Report], now: dt.datetime
) -> Report:
    """The record of a period, without status, revision, restatements and files.

    `kept` are the headline files of the listed chapters, `now` is the time of the build.
    """
    cut = slices.read(paths.snapshot(period))
    aims = targets.of_period(settings, paths.snapshot(period))
    return {
        "schema_version": SCHEMA_VERSION,
        "period": str(period),
        "as_of": cut.as_of.isoformat(),
        "analysis_cut_off": cut.cut_off.isoformat(),
        "company": settings.company,
        "company_name": settings.company_name,
        "currency": settings.currency,
        "confidence": settings.confidence,
        "chapters": list(settings.chapters),
        "headline": [
            row | targets.named(row["name"], aims)
            for chapter in kept
            for row in chapter["headline"]
        ],
        "claims": [card for chapter in kept for card in chapter["claims"]],
        "models": [model for chapter in kept for model in chapter["models"]],
        "plan": plan.plan_of(settings),
        "quality": _quality(period, settings, paths),
        "provenance": _provenance(period, settings, paths, now),
    }


def _quality(period: Period, settings: Settings, paths: Paths) -> Report:
    rows = store.read_frame(paths.snapshot(period) / QUALITY)
    shown = small_numbers.hidden(rows, settings.min_cell)
    content = [
        {str(key): plain(value) for key, value in row.items()} for row in shown.to_dict("records")
    ]
    set_aside = rows[rows["kind"] == "quarantined"]
    return {
        "n_quarantined": int(set_aside["n"].sum()),
        "mrr_quarantined": plain(float(set_aside["mrr_affected"].sum())),
        "rules": content,
    }


def plain(value: Any) -> Any:
    """A value as JSON knows it: missing and infinite are None, a day is ISO text, else text."""
    if words.is_missing(value):
        return None
    if hasattr(value, "item") and not isinstance(value, (str, bytes)):
        value = value.item()
    if isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return store.published_number(value) if math.isfinite(value) else None
    if isinstance(value, dt.date):
        return value.isoformat()[:10]
    return str(value)


# Where the numbers come from.


def _provenance(period: Period, settings: Settings, paths: Paths, now: dt.datetime) -> Report:
    commit, is_dirty = _commit(paths.root)
    inputs = inputs_of(period, paths)
    return {
        "raw": raw_files(paths),
        "inputs": inputs,
        "slice_sha256": slice_hash(inputs),
        "plan_sha256": plan.hash_of(plan.plan_of(settings)),
        "params_sha256": params_hash(settings),
        "lock_sha256": store.sha256(paths.root / "requirements.lock"),
        "code_sha256": code_hash(paths.root),
        "seed": settings.simulate.seed if settings.company == SAMPLE else None,
        "command": f"make report PERIOD={period}",
        "git_commit": commit,
        "is_dirty": is_dirty,
        "versions": versions(),
        "built_at": now.replace(microsecond=0).isoformat(),
        "build_fields": list(BUILD_FIELDS),
    }


def params_hash(settings: Settings) -> str:
    """One hash over every setting but the list of periods and how a run is run."""
    choices = settings.model_dump_json(exclude={"periods", "run"})
    return hashlib.sha256(choices.encode("utf-8")).hexdigest()


def raw_files(paths: Paths) -> Report:
    """Table, hash and number of rows of each raw file that was read last; none when none was."""
    place = paths.ingest / "extract.json"
    files = store.read_json(place).get("files", []) if place.is_file() else []
    return {
        str(facts["file"]): {
            "table": facts["table"], "sha256": facts["sha256"], "n_rows": facts.get("rows"),
        }
        for facts in files
        if "sha256" in facts
    }  # fmt: skip


def inputs_of(period: Period, paths: Paths) -> Report:
    """Hash and number of rows of each snapshot table of a period."""
    folder = paths.snapshot(period)
    found: Report = {slices.FILE_NAME: {"sha256": store.sha256(folder / slices.FILE_NAME)}}
    for name in SNAPSHOT:
        path = folder / f"{name}.parquet"
        rows = store.read_parquet(path).num_rows
        found[path.name] = {"sha256": store.sha256(path), "n_rows": rows}
    return found


def slice_hash(inputs: Mapping[str, Any]) -> str:
    """One hash over all facts: two reports with the same one know the same.

    What was set aside is no fact: a bad row without a readable day must not re-issue a report.
    """
    kept = {name: facts["sha256"] for name, facts in inputs.items() if name != QUALITY}
    return _digest(kept)


def code_hash(root: Path) -> str:
    """One hash over the package and the notebooks."""
    files = sorted({path for pattern in CODE for path in root.glob(pattern) if path.is_file()})
    names = {path.relative_to(root).as_posix(): path for path in files}
    kept = {name: path for name, path in names.items() if "__pycache__" not in name}
    return _digest({name: store.sha256(path) for name, path in kept.items()})


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that compute."""
    found = {"python": platform.python_version()}
    for name in VERSIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _commit(root: Path) -> tuple[str | None, bool | None]:
    head, changes = _git(root, "rev-parse", "HEAD"), _git(root, "status", "--porcelain")
    return head or None, None if changes is None else bool(changes)


def _git(root: Path, *words_: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *words_], capture_output=True, text=True, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


# The seal.


def sealed(report: Report) -> Report:
    """The record with the hash of its own content."""
    provenance = {**report["provenance"], "seal": _seal(report)}
    return {**report, "provenance": provenance}


def is_sealed(report: Any) -> bool:
    """True when nobody altered the record since it was written."""
    try:
        return bool(report["provenance"]["seal"] == _seal(report))
    except (KeyError, TypeError):
        return False


def _seal(report: Report) -> str:
    provenance = {key: value for key, value in report["provenance"].items() if key != "seal"}
    return _digest({**report, "provenance": provenance})


def _digest(content: Any) -> str:
    return hashlib.sha256(store.dump_json(content).encode("utf-8")).hexdigest()


def is_same(one: Report, other: Report) -> bool:
    """True when two records say the same about the month: all but the build fields."""
    return _said(one) == _said(other)


def _said(report: Report) -> Report:
    said = {key: value for key, value in report.items() if key not in BUILD_FIELDS}
    provenance = {
        key: value
        for key, value in report["provenance"].items()
        if f"provenance.{key}" not in BUILD_FIELDS and key not in NOT_SAID
    }
    files = report["provenance"].get("files", {})
    kept = {name: value for name, value in files.items() if name.startswith("tables/")}
    return {**said, "provenance": {**provenance, "tables": kept}}


# What was published before.


def publications(folder: Path, company: str) -> list[Report]:
    """Every publication of one period by this company, first to last; altered ones are left out."""
    found = {}
    for path in [*(folder / HISTORY).glob("*.json"), folder / FILE_NAME]:
        report = read(path)
        if report and report["company"] == company:
            found[report["revision"]] = report
    return [found[revision] for revision in sorted(found)]


def places(paths: Paths) -> list[Path]:
    """Where the records in force are, by period; folders built or set aside are none of them."""
    return sorted(
        path
        for path in paths.reports.glob(f"*/{FILE_NAME}")
        if PERIOD_FORMAT.fullmatch(path.parent.name)
    )


def read(path: Path) -> Report | None:
    """A record that is there, can be read and was not altered; else None."""
    try:
        report = store.read_json(path)
    except (store.MissingDataError, store.CorruptDataError):
        return None
    return report if is_sealed(report) else None


def status_of(is_final: bool, fingerprint: str, earlier: Sequence[Report]) -> str:
    """Provisional before the close; final; revised when the slice of a final report changed."""
    if not is_final:
        return PROVISIONAL
    settled = [each for each in earlier if each["status"] in (FINAL, REVISED)]
    if not settled:
        return FINAL
    last = settled[-1]
    return last["status"] if last["provenance"]["slice_sha256"] == fingerprint else REVISED


def revision_of(report: Report, earlier: Sequence[Report]) -> int:
    """1 for the first publication, the last one's number when nothing moved, else one more."""
    if not earlier:
        return 1
    last = earlier[-1]
    is_repeat = is_same(report, last) and report["status"] == last["status"]
    return last["revision"] if is_repeat else last["revision"] + 1


def definition_changes(report: Report, paths: Paths) -> list[Report]:
    """What was decided otherwise in the report before: setting, before, now, since (its period).

    A report that kept no plan says nothing.
    """
    earlier = [read(path) for path in places(paths)]
    before = [
        one
        for one in earlier
        if one and one["company"] == paths.company and one["period"] < report["period"]
    ]
    last = max(before, key=lambda one: one["period"], default=None)
    if last is None or "plan" not in last:
        return []
    return [row | {"since": last["period"]} for row in plan.changes(last["plan"], report["plan"])]
