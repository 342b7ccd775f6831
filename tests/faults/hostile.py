"""A small company whose every name is an attack on whoever reads its report, built whole.

Its accounts, segments, channels, attributes, reasons, plans and its own name hold markup,
mathematics, Markdown, formulas, directions, unseen characters, Japanese and 5,000 letters, and
`reports.show_names` lets them onto the pages.
"""

from __future__ import annotations

import csv
import datetime as dt
import shutil
from pathlib import Path

from pipeline.reporting import publish
from pipeline.reporting.execution import execute
from pipeline.settings import Period
from tests.stages.company import Company, write_company

PROJECT = Path(__file__).parents[2]
PERIOD = Period("2025-06")
CHAPTERS = ("revenue", "survival", "summary")
MARK = "zqx"
"""Stands in every hostile name, so that a test can find them all in an artefact."""
JAPANESE = "株式会社日本"
LONG = f"{MARK} long " + "L" * 5000
MARKUP = (
    f"<script>{MARK}(1)</script>",
    f'<img src=x onerror="{MARK}(1)">',
    f"<div>{MARK}<b></table></main>",
    f"\" onmouseover='{MARK}' x=\"",
)
MATHS = (
    f"{MARK} $x^2$ $$\\frac{{1}}{{0}}$$ \\(y\\)",
    f"{MARK} | a | **b** `c` [x](javascript:alert)",
)
SCRIPTS = (f"\u202e{MARK}\u2067 لندن", f"{MARK} {JAPANESE} \U0001f642", LONG)
FORMULAS = (
    f'=HYPERLINK("https://{MARK}.example";"x")',
    f"+1+{MARK}",
    f"-1+{MARK}",
    f"@{MARK}",
)
CODE = f"__import__('os').system('touch {MARK}-pwned')"
PATHS = f"../../{MARK}-evil; touch {MARK}-pwned"
NAMES = (*MARKUP, *MATHS, *SCRIPTS, *FORMULAS, CODE, PATHS, f"C({MARK})")
ACCOUNTS_OF_A_LEVEL = 24


def name_of(number: int) -> str:
    """The hostile names in turn."""
    return NAMES[number % len(NAMES)]


def written(root: Path) -> Company:
    """The company's exports and params.yaml, nothing built."""
    company = write_company(
        root, {}, **PARAMS | {"source": {"tables": {"accounts": {"attributes": ATTRIBUTES}}}}
    )
    _write(company.paths.raw / "accounts.csv", _accounts())
    _write(company.paths.raw / "subscriptions.csv", _subscriptions())
    shutil.copytree(PROJECT / "notebooks", root / "notebooks")
    shutil.copy(PROJECT / "requirements.lock", root)
    return company


def built(root: Path) -> Company:
    """The company with its report, through every stage, chapter and page."""
    company = written(root).run()
    for name in CHAPTERS:
        execute.run_chapter(name, PERIOD, company.settings, company.paths)
    publish.publish(PERIOD, company.settings, company.paths)
    publish.write_index(company.paths)
    return company


ATTRIBUTES = {"colour": {"column": "=cmd|'/c zqx'!A1 <b>", "known": "at_signup"}}
PARAMS = {
    "company_name": f"{MARKUP[0]} {MARKUP[2]} {MATHS[0]} {JAPANESE}",
    "periods": [str(PERIOD)],
    "chapters": list(CHAPTERS),
    "annex": "never",
    "extract_date": "2025-08-20",
    "reports": {"show_names": True},
    "quarantine": {"max_share_of_rows": 0.5, "max_share_of_mrr": 0.5},
    "survival": {"strata": ["segment", "colour"], "covariates": ["colour"]},
    "summary": {
        "targets": {"mrr_end": {"target": 1.0, "owner": MARKUP[1]}},
        "verdict_owners": {"revenue": MARKUP[0]},
    },
}
SEGMENTS = (MARKUP[0] + MARKUP[2], FORMULAS[0], SCRIPTS[0] + SCRIPTS[1] + MATHS[1], LONG)
COLOURS = (CODE, PATHS, SCRIPTS[0])
N_ACCOUNTS = ACCOUNTS_OF_A_LEVEL * len(SEGMENTS)


def _accounts() -> list[dict[str, object]]:
    return [
        {
            "account_id": _account(number),
            "name": name_of(number),
            "signed_up_date": _start(number),
            "segment": SEGMENTS[number % len(SEGMENTS)],
            "acquisition_channel": name_of(number),
            "industry": name_of(number + 1),
            ATTRIBUTES["colour"]["column"]: COLOURS[(number // 7) % len(COLOURS)],
        }
        for number in range(N_ACCOUNTS)
    ]


def _subscriptions() -> list[dict[str, object]]:
    return [
        {
            "subscription_id": f"{name_of(number)}{number}",
            "account_id": _account(number),
            "start_date": _start(number),
            "end_date": dt.date(2025, 1 + number % 5, 3 + number % 20) if _ends(number) else "",
            "mrr": 1000 - number if number < len(NAMES) else 100,
            "plan": name_of(number),
            "product": name_of(number + 2),
            "term_ends_on": dt.date(2025, 7, 2 + number % 20) if not _ends(number) else "",
            "end_type": "voluntary" if _ends(number) else "",
            "end_reason": name_of(number // 3) if _ends(number) else "",
        }
        for number in range(N_ACCOUNTS)
    ]


def _account(number: int) -> str:
    return f"{name_of(number)}{number}"


def _ends(number: int) -> bool:
    return number % 5 in (0, 2, 4)


def _start(number: int) -> dt.date:
    return dt.date(2023, 6, 1) + dt.timedelta(days=5 * number)


def _write(path: Path, rows: list[dict[str, object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as text:
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
