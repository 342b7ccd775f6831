"""A company whose report readers outside may see: small segments, reasons and cohorts, told apart.

No two accounts pay the same, so a sum of money names the accounts behind it. The chapters run in
this process, cell by cell as their notebooks have them; what they show and keep is gathered.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import random
from pathlib import Path
from typing import Any

import nbformat
import pytest

from pipeline.data import slice as slices
from pipeline.reporting import chapter
from pipeline.reporting.execution import flat
from pipeline.settings import OUTPUT_VARIABLE, ROOT_VARIABLE, Period
from tests.stages.company import Company, write_company

PROJECT = Path(__file__).parents[2]
PERIOD = Period("2025-06")
MIN_CELL = 10
CHAPTERS = ("population", "revenue", "survival", "drivers", "time_to_value", "summary")
SEGMENTS = ("alpha",) * 70 + ("beta",) * 20 + ("gamma",) * 6
REASONS = ("price",) * 7 + ("low_use",) * 2 + ("support",)
PARAMS = {
    "periods": [str(PERIOD)],
    "chapters": list(CHAPTERS),
    "annex": "never",
    "extract_date": "2025-08-20",
    "min_cell": MIN_CELL,
    "survival": {"strata": ["segment"], "covariates": ["segment"]},
    "summary": {"targets": {}},
}
SEED = 20250630


def accounts() -> list[dict[str, Any]]:
    """One row per account: account_id, segment, start_date, end_date, mrr, end_reason, end_type."""
    draw = random.Random(SEED)
    amounts = draw.sample(range(10_007, 99_989), len(SEGMENTS))
    rows = []
    for number, (segment, mrr) in enumerate(zip(SEGMENTS, amounts, strict=True)):
        start = dt.date(2023, 6, 1) + dt.timedelta(days=6 * (number * 37 % 96))
        has_left = number % 3 == 0
        end = max(start + dt.timedelta(40), dt.date(2024, 8, 4)) + dt.timedelta(number * 3)
        is_lost = has_left and end < dt.date(2025, 6, 28)
        rows.append(
            {
                "account_id": f"client-{number:03d}",
                "segment": segment,
                "start_date": start,
                "end_date": end if is_lost else None,
                "notice_date": dt.date(2025, 6, 12) if number in (1, 2, 4) else None,
                "term_ends_on": dt.date(2025, 7, 20) if number in (5, 7, 8, 10) else None,
                "mrr": mrr,
                "end_reason": REASONS[number // 3 % len(REASONS)] if is_lost else "",
                "end_type": ("involuntary" if number % 18 == 0 else "voluntary") if is_lost else "",
            }
        )
    return rows


def built(root: Path, **params: Any) -> Company:
    """The company through ingest and snapshot; `params` beside or in place of PARAMS."""
    company = write_company(root, {}, **PARAMS | params)
    rows = accounts()
    _write(
        company.paths.raw / "accounts.csv",
        [
            {
                "account_id": row["account_id"],
                "name": f"Firm {row['account_id']}",
                "signed_up_date": row["start_date"],
                "segment": row["segment"],
            }
            for row in rows
        ],
    )
    kept = (
        "account_id",
        "start_date",
        "end_date",
        "mrr",
        "notice_date",
        "term_ends_on",
        "end_type",
        "end_reason",
    )
    _write(
        company.paths.raw / "subscriptions.csv",
        [
            {"subscription_id": f"s-{row['account_id']}"} | {name: row[name] or "" for name in kept}
            for row in rows
        ],
    )
    return company.run()


def built_flat(root: Path) -> Company:
    """The same accounts as one flat file: tenure in months, status, MRR, and the segment."""
    of_accounts = {"file": "file.csv", "columns": {"account_id": "id", "segment": "kind"}}
    of_tenure = {
        "file": "file.csv",
        "shape": "tenure",
        "tenure_unit": "months",
        "columns": {"account_id": "id", "tenure": "months", "churned": "left", "mrr": "fee"},
    }
    params = PARAMS | {
        "extract_date": PERIOD.end.isoformat(),
        "source": {"tables": {"accounts": of_accounts, "subscriptions": of_tenure}},
    }
    company = write_company(root, {}, **params)
    rows = [
        {
            "id": row["account_id"],
            "kind": row["segment"],
            "months": 1 + number % 23,
            "left": "yes" if row["end_date"] else "no",
            "fee": row["mrr"],
        }
        for number, row in enumerate(accounts())
    ]
    _write(company.paths.raw / "file.csv", rows)
    return company.run()


def artefacts(company: Company, names: tuple[str, ...] = CHAPTERS) -> dict[str, str]:
    """What the chapters show and keep: page, headline file, tables and figures by name."""
    found: dict[str, str] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ROOT_VARIABLE, str(company.root))
        for name in names:
            shown: list[str] = []
            patch.setattr(chapter, "display", lambda output, page=shown: page.append(output.data))
            folder = company.paths.chapter(name, PERIOD)
            patch.setenv(OUTPUT_VARIABLE, str(folder))
            _run(name, company)
            found[f"{name}.html"] = "\n".join(shown)
            for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                found[f"{name}/{path.relative_to(folder).as_posix()}"] = path.read_text("utf-8")
            headline = company.paths.headline(name, PERIOD)
            if not headline.is_file():
                headline.parent.mkdir(parents=True, exist_ok=True)
                headline.write_bytes((folder / "headline.json").read_bytes())
    return found


def rows_of(text: str) -> list[dict[str, str]]:
    """The rows of a CSV text."""
    return list(csv.DictReader(io.StringIO(text)))


def _run(name: str, company: Company) -> None:
    (place,) = (PROJECT / "notebooks").glob(f"*_{name}.ipynb")
    folder = company.paths.chapter(name, PERIOD)
    if slices.read(company.paths.snapshot(PERIOD)).is_flat:
        place = flat.write_notebook(place, name, company.root / "notebooks" / place.name)
    known: dict[str, Any] = {}
    for cell in nbformat.read(place, as_version=4).cells:
        if cell.cell_type == "code":
            exec(compile(cell.source, f"{name}:{cell.id}", "exec"), known)
        if "parameters" in cell.metadata.get("tags", []):
            known |= {"period": str(PERIOD), "output": str(folder)}


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as text:
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
