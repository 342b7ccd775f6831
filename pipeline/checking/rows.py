"""What would a run set aside, and what money does it touch? The raw data read as a run reads them.

Runs `ingest` into a folder of its own and reads what it left there. The subtle point: a run stops
at the first limit that is passed; here the limits are then lifted and everything is read once more,
so that the rules behind the limit are seen too. The exit code is that of the first reading.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.checking import files, warn
from pipeline.checking.files import Stop
from pipeline.data import choices, store
from pipeline.data.schema.findings import SCHEMA_VERSION
from pipeline.exits import DONE, exit_code_of, is_foreseen
from pipeline.settings import ConfigurationError, Paths, Quarantine, Settings
from pipeline.stages import extract, ingest, rules

EXAMPLES = 5
LIFTED = Quarantine(
    max_share_of_rows=1.0,
    max_share_of_mrr=1.0,
    level_shift_warns_above=Quarantine().level_shift_warns_above,
    level_shift_stops_above=None,
)
NOTHING = Decimal(0)


@dataclasses.dataclass(frozen=True)
class ElsewherePaths(Paths):
    """Raw data where they are, or an extract; whatever is made goes to another folder."""

    elsewhere: Path
    has_extract: bool = False

    @property
    def raw(self) -> Path:
        return self.elsewhere / "raw" if self.has_extract else super().raw

    @property
    def processed(self) -> Path:
        return self.elsewhere / "processed"

    @property
    def quarantine(self) -> Path:
        return self.elsewhere / "quarantine"

    @property
    def exports_seen(self) -> Path:
        return self.elsewhere / "exports-seen.json"


def check(settings: Settings, paths: Paths) -> dict[str, Any]:
    """What stands in the way of a run, and what it would set aside: schema.findings.CHECK.

    Nothing of the project is changed; an extract of a database is taken aside and removed.
    """
    is_new = not paths.build.exists()
    aside = paths.build / f"check-{os.getpid()}"
    elsewhere = ElsewherePaths(paths.root, paths.company, aside, bool(settings.source.database))
    try:
        stops = _in_place(_stops(settings, paths, elsewhere), paths, elsewhere)
        return _answer(settings, paths, elsewhere, stops)
    finally:
        shutil.rmtree(paths.build if is_new else aside, ignore_errors=True)


def _in_place(stops: list[Stop], paths: Paths, elsewhere: ElsewherePaths) -> list[Stop]:
    """The stops as a run would say them: the folder that was taken aside is gone afterwards."""
    own, aside = str(paths.raw), str(elsewhere.raw)
    return [dataclasses.replace(stop, message=stop.message.replace(aside, own)) for stop in stops]


def _stops(settings: Settings, paths: Paths, elsewhere: ElsewherePaths) -> list[Stop]:
    """Choices and files together; rows only when all files can be read."""
    found = _extracted(settings, paths, elsewhere) or files.stops(settings, elsewhere)
    try:
        choices.check(settings)
    except ConfigurationError as error:
        found.append(Stop(exit_code_of(error), str(error)))
    return found or _ingested(settings, elsewhere)


def _extracted(settings: Settings, paths: Paths, elsewhere: ElsewherePaths) -> list[Stop]:
    """Take the database's extract aside, beside links to the exports that lie there."""
    if not elsewhere.has_extract:
        return []
    elsewhere.raw.mkdir(parents=True, exist_ok=True)
    if paths.raw.is_dir():
        shutil.copytree(paths.raw, elsewhere.raw, copy_function=_linked, dirs_exist_ok=True)
    try:
        extract.take(settings, elsewhere)
    except Exception as error:
        if not is_foreseen(error):
            raise
        return [Stop(exit_code_of(error), str(error))]
    return []


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk
        shutil.copy2(source, target)


def _ingested(settings: Settings, elsewhere: ElsewherePaths) -> list[Stop]:
    """Read all rows as a run does; what it stops for."""
    try:
        ingest.run(settings, elsewhere)
    except Exception as error:
        if not is_foreseen(error):
            raise
        code = exit_code_of(error)
        stops = [Stop(code, part) for part in str(error).split("\n\n")]
        _ingest_without_limits(settings, elsewhere)
        return stops
    return []


def _ingest_without_limits(settings: Settings, elsewhere: ElsewherePaths) -> None:
    """Read once more with the limits lifted; what stops it all the same was already said."""
    try:
        ingest.run(settings.model_copy(update={"quarantine": LIFTED}), elsewhere)
    except Exception as error:
        if not is_foreseen(error):
            raise


# The answer.


def _answer(
    settings: Settings, paths: Paths, elsewhere: ElsewherePaths, stops: list[Stop]
) -> dict[str, Any]:
    place = elsewhere.ingest / "extract.json"
    facts = store.read_json(place) if place.is_file() else {}
    counts = facts.get("counts", {})
    mrr = _mrr_by_account(elsewhere, facts, settings) if facts else None
    return {
        "schema_version": SCHEMA_VERSION,
        "company": settings.company,
        "exit_code": max((stop.code for stop in stops), default=DONE),
        "extract_date": facts.get("extract_date"),
        "mrr": None if mrr is None else float(sum(mrr, NOTHING)),
        "stops": [dataclasses.asdict(stop) for stop in stops],
        "tables": [
            {"table": name, **{key: count.get(key, 0) for key in COUNTED}}
            for name, count in counts.items()
        ],
        "rules": _rules(elsewhere, counts, mrr),
        "warnings": warn.warnings(facts, counts, paths),
        "not_given": warn.not_given(elsewhere, counts, settings.source.shape),
    }


COUNTED = ("rows", "used", "quarantined", "merged", "excluded")


def _mrr_by_account(
    elsewhere: ElsewherePaths, facts: dict[str, Any], settings: Settings
) -> pd.Series | None:
    """MRR of each customer on the last day of the data, at the newest rates; None: no money."""
    if not facts.get("is_money_known", True):
        return None
    rows = store.read_parquet(elsewhere.ingest / "subscriptions.parquet").to_pandas()
    day = pd.Timestamp(facts["extract_date"]).date()
    is_paid = rows["start_date"] <= day
    if "end_date" in rows:
        is_paid &= rows["end_date"].isna() | (rows["end_date"] > day)
    if "is_trial" in rows:
        is_paid &= ~rows["is_trial"].eq(True)
    paid = rows[is_paid]
    amount = paid["mrr"]
    if "currency" in paid:
        rates = paid["currency"].map(lambda code: _rate(code, settings))
        amount = amount * rates
    return amount.groupby(paid["account_id"]).agg(lambda each: sum(each, NOTHING))


def _rate(code: object, settings: Settings) -> Decimal:
    rates = settings.fx.get(str(code), {})
    return Decimal(str(rates[max(rates)])) if rates else Decimal(1)


def _rules(
    elsewhere: ElsewherePaths, counts: dict[str, dict[str, int]], mrr: pd.Series | None
) -> list[dict[str, Any]]:
    """One row per table and rule, those that touch most first."""
    place = elsewhere.ingest / "touched.parquet"
    if not place.is_file():
        return []
    touched = store.read_parquet(place).to_pandas()
    found = [
        _rule(str(table), str(rule), str(kind), own, elsewhere, counts, mrr)
        for (table, rule, kind), own in touched.groupby(["table", "rule", "kind"], sort=True)
    ]
    order = ("quarantined", "warning", "excluded", "merged")
    return sorted(found, key=lambda row: (order.index(row["kind"]), -(row["mrr"] or 0), -row["n"]))


def _rule(
    table: str,
    rule: str,
    kind: str,
    own: pd.DataFrame,
    elsewhere: ElsewherePaths,
    counts: dict[str, dict[str, int]],
    mrr: pd.Series | None,
) -> dict[str, Any]:
    accounts = own["account_id"].dropna().unique()
    money, share = _touched(table, kind, own, mrr)
    return {
        "table": table,
        "rule": rule,
        "kind": kind,
        "n": len(own),
        "n_of": counts.get(table, {}).get("rows", len(own)),
        "n_accounts": len(accounts),
        "mrr": money,
        "mrr_share": share,
        "what_to_do": rules.what_to_do(rule),
        "examples": _examples(elsewhere, table, rule) if kind == "quarantined" else [],
    }


def _touched(
    table: str, kind: str, own: pd.DataFrame, mrr: pd.Series | None
) -> tuple[float | None, float | None]:
    """MRR that rows touch, and its share in that of all; None where the source has no money."""
    if mrr is None:
        return None, None
    money, lost = sum(mrr.reindex(own["account_id"].dropna().unique()).dropna(), NOTHING), NOTHING
    if table == "subscriptions" and kind == "quarantined":
        lost = sum((abs(amount) for amount in own["mrr"].dropna()), NOTHING)
    whole = sum(mrr, NOTHING) + lost
    return float(money + lost), float((money + lost) / whole) if whole else None


def _examples(elsewhere: ElsewherePaths, table: str, rule: str) -> list[dict[str, Any]]:
    place = elsewhere.quarantine / f"{table}.csv"
    listed = store.read_published_rows(place) if place.is_file() else []
    own = [row for row in listed if row["rule"] == rule][:EXAMPLES]
    return [
        {"file": row["file"], "line": int(row["line"]), "column": row["column"],
         "value": row["value"]}
        for row in own
    ]  # fmt: skip
