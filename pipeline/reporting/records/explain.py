"""Where does a number come from? One published headline, with its formula, steps and rows.

Reads a report in place: report.json and its published tables. Nothing is computed again, so that
what is explained is what was published.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipeline.data import store
from pipeline.data.schema.published import HEADLINES, Headline
from pipeline.reporting import words
from pipeline.reporting.records import claims, record
from pipeline.settings import ParameterError, Paths, Period

ROWS_SHOWN = 12
BEHIND: dict[str, tuple[str, dict[str, str]]] = {
    **dict.fromkeys(
        ("mrr_start", "mrr_end", "revenue_churn_rate", "gross_mrr_churn_rate", "quick_ratio",
         "gross_revenue_retention", "net_revenue_retention"),
        ("revenue.mrr_bridge", {"period": "{period}"}),
    ),
    **dict.fromkeys(
        ("customers_start", "customers_end", "account_churn_rate", "gross_account_churn_rate"),
        ("revenue.account_bridge", {"period": "{period}"}),
    ),
    **dict.fromkeys(
        ("gross_revenue_retention_12_months", "net_revenue_retention_12_months"),
        ("revenue.mrr_bridge", {}),
    ),
    **dict.fromkeys(
        ("ltv_36_months", "ltv_to_cac", "cac_payback_months"), ("revenue.lifetime_value", {}),
    ),
    **dict.fromkeys(
        ("retention_12_months", "retention_12_months_recent", "median_lifetime_months"),
        ("survival.curves", {"stratum": "all"}),
    ),
    **dict.fromkeys(
        [name for name, line in HEADLINES.items() if line.chapter == "time_to_value"],
        ("time_to_value.incidence", {"group": "all"}),
    ),
}  # fmt: skip
"""Headline → the published table whose rows it rests on, and which rows."""


def explain(period: Period, headline: str, paths: Paths) -> Iterator[str]:
    """Lines that say how a published headline came about.

    Raises:
        ParameterError: no such headline.
        MissingDataError: no report of the period, or its chapter was not listed.
    """
    if headline not in HEADLINES:
        raise ParameterError(
            f"{headline!r} is no headline. There are:\n  " + "\n  ".join(sorted(HEADLINES))
        )
    promise = HEADLINES[headline]
    report = record.read(paths.report(period) / record.FILE_NAME)
    if report is None:
        raise store.MissingDataError(
            f"There is no sound report of {period}. Build it: make report PERIOD={period}"
        )
    row = next((each for each in report["headline"] if each["name"] == headline), None)
    if row is None:
        raise store.MissingDataError(
            f"The report of {period} has no chapter {promise.chapter}: list it under `chapters`."
        )
    yield from _figure(promise, row, report)
    yield from _rows(headline, period, paths)
    yield from _steps(promise.chapter, report, paths, period)


def _figure(promise: Headline, row: dict[str, Any], report: dict[str, Any]) -> Iterator[str]:
    currency, unit = report["currency"], promise.unit
    yield f"{promise.label}, {words.month(report['period'])} ({report['status']})"
    yield f"  value     {words.say(row['estimate'], unit, currency)}  [{row['estimate']}]"
    exact = "exact: a fact of the month's own books"
    has_range = row["ci_low"] is not None or row["ci_high"] is not None
    said = words.interval(row["ci_low"], row["ci_high"], unit, currency) if has_range else exact
    yield f"  interval  {said if has_range or row['state'] == 'exact' else words.NOT_AVAILABLE}"
    yield f"  n         {words.count(row['n'])}"
    yield f"  formula   {promise.formula}"
    yield f"  estimand  {promise.estimand}"
    yield f"  in whom   {promise.population}"
    yield f"  state     {row['state']}{': ' + row['note'] if row['note'] else ''}"
    yield from _verdict(promise, report)
    cut_off = words.day(report["analysis_cut_off"])
    yield f"  as of     {words.day(report['as_of'])}, analysis cut-off {cut_off}"


def _verdict(promise: Headline, report: dict[str, Any]) -> Iterator[str]:
    """The verdict of its claim card and what was checked; a report of an older schema has none."""
    for card in report.get("claims", []):
        if (card["kind"], card["name"]) == (claims.HEADLINE, promise.name):
            why = f": {'; '.join(card['reasons'])}" if card["reasons"] else ""
            yield f"  verdict   {card['verdict']}{why}"
            for check in card["checks"]:
                yield f"  check     {check['name']}: {'held' if check['passed'] else 'failed'}"


def _rows(headline: str, period: Period, paths: Paths) -> Iterator[str]:
    table, wanted = BEHIND[headline]
    rows = store.read_published_rows(paths.report(period) / "tables" / f"{table}.csv")
    chosen = [
        row
        for row in rows
        if all(row[key] == value.format(period=period) for key, value in wanted.items())
    ]
    yield f"Rows behind it: tables/{table}.csv, {len(chosen)} of {len(rows)}"
    for row in chosen[-ROWS_SHOWN:]:
        yield "  " + "  ".join(f"{key}={value or '–'}" for key, value in row.items())


def _steps(chapter: str, report: dict[str, Any], paths: Paths, period: Period) -> Iterator[str]:
    path = paths.report(period) / "tables" / "population.exclusions.csv"
    if path.is_file():
        yield "Steps that left rows out before: tables/population.exclusions.csv"
        for row in store.read_published_rows(path):
            yield f"  {row['table']}: {row['step']}: {row['n_before']} → {row['n_after']}"
    slice_hash = report["provenance"]["slice_sha256"][:12]
    yield f"Notebook: notebooks/*_{chapter}.ipynb; functions: pipeline/analysis/{chapter}"
    yield f"Facts known: slice {slice_hash}; rebuild: {report['provenance']['command']}"
