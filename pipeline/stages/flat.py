"""What can a snapshot of a flat file say? Its tables without what only a calendar would know.

Reads the tables of a snapshot whose subscriptions came as tenures; makes the same tables: books,
account-months and returns are empty, and money is blank where the file has none. The subtle point:
an account was placed so that its tenure ends on the cut-off, so every date in it but that one is
made up, and a table that counts by date would count inventions.
"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir
import pandas as pd

from pipeline.data import engine
from pipeline.data.schema import SNAPSHOT
from pipeline.data.slice import Slice

BY_DATE = ("mrr_ledger", "account_months", "returns")
MONEY_COLUMNS = ("mrr", "mrr_lost", "mrr_affected")
NO_TENURE = "The tenure is 0 and the account is still there: nothing was seen of its stay."

Tables = dict[str, ir.Table | pd.DataFrame]


def without_calendar(tables: Tables, cut: Slice) -> Tables:
    """The tables of a snapshot with nothing in them that the flat file does not know."""
    kept = {
        name: ibis.memtable(engine.empty(SNAPSHOT[name])) if name in BY_DATE else rows
        for name, rows in tables.items()
    }
    kept["quality"] = _without_dates(kept["quality"])
    kept["exclusions"] = _in_own_words(kept["exclusions"])
    if cut.is_money_known:
        return kept
    return {name: _without_money(rows) for name, rows in kept.items()}


def _without_dates(quality: pd.DataFrame) -> pd.DataFrame:
    """How fresh the tables are is read off dates that were made up here."""
    return quality[quality["kind"] != "freshness"].reset_index(drop=True)


def _in_own_words(exclusions: pd.DataFrame) -> pd.DataFrame:
    is_new = exclusions["step"] == "started_after_cut_off"
    return exclusions.assign(reason=exclusions["reason"].mask(is_new, NO_TENURE))


def _without_money(rows: ir.Table | pd.DataFrame) -> ir.Table | pd.DataFrame:
    blank = [name for name in MONEY_COLUMNS if name in rows.columns]
    if isinstance(rows, pd.DataFrame):
        return rows.assign(**dict.fromkeys(blank))
    return rows.mutate(**{name: ibis.null(rows[name].type()) for name in blank})
