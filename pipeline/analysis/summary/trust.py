"""Why do customers leave and stay, and can what is said of it be trusted?

Works on rows that the chapters kept for page one, the snapshot's quality and the models. The subtle
point: a chapter may be absent, and then its rows are absent too; nothing here fills a gap.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from pipeline.analysis.wording import Words

UNKNOWN = "unknown"
PROBLEMS = ("quarantined", "excluded", "warning", "late", "merged")
"""What quality may have found, the gravest first."""


def top_reasons(reasons: pd.DataFrame, n_shown: int = 3) -> pd.DataFrame:
    """The most frequent reasons for leaving; the rest in one row, the unknown in plain sight.

    Takes revenue's reasons (reason, n, share, mrr_lost, mrr_share). Gives one row per reason with
    the same columns, shares of all losses, "unknown" included.
    """
    columns = ["reason", "n", "share", "mrr_lost", "mrr_share"]
    if reasons.empty:
        return pd.DataFrame(columns=columns)
    is_unknown = reasons["reason"] == UNKNOWN
    known = reasons[~is_unknown].sort_values(["n", "reason"], ascending=[False, True])
    others = known.iloc[n_shown:]
    summed = pd.DataFrame([{"reason": "other reasons", **others[columns[1:]].sum(skipna=False)}])
    parts = [known.head(n_shown), summed if len(others) else known.head(0), reasons[is_unknown]]
    return pd.concat([part[columns] for part in parts if len(part)], ignore_index=True)


def findings(drivers: pd.DataFrame) -> pd.DataFrame:
    """What goes with leaving and with staying, each against what.

    Takes the rows that drivers keeps for page one. Gives the same rows: driver, level, against (the
    reference level, or how far apart two numbers are), hazard_ratio, ame, ame_ci_low, ame_ci_high,
    prevalence, n, finding.
    """
    columns = ["driver", "level", "against", "hazard_ratio", "ame", "ame_ci_low", "ame_ci_high",
               "prevalence", "n", "finding"]  # fmt: skip
    if drivers.empty:
        return pd.DataFrame(columns=columns)
    is_number = drivers["level"].eq("")
    return drivers.assign(against=drivers["unit"].where(is_number, drivers["reference"]))[columns]


def shown(rows: pd.DataFrame, columns: list[str], n_shown: int | None = None) -> pd.DataFrame:
    """The first rows that another chapter kept, with just these columns; they may be none.

    Returns:
        The same rows, at most `n_shown` of them; a column that is not there is blank.
    """
    if rows.empty:
        return pd.DataFrame(columns=columns)
    return rows.reindex(columns=columns).head(n_shown or len(rows)).reset_index(drop=True)


def trusted(trust: pd.DataFrame, words: Words, currency: str) -> pd.Series:
    """How much of the data was set aside, and its money: one sentence, none without population.

    Takes population's trust of all tables (rows_share, mrr_affected, mrr_share).
    """
    return pd.Series(
        [_say_trusted(row, words, currency) for row in trust.to_dict("records")], dtype=object
    )


def _say_trusted(row: Mapping[str, Any], words: Words, currency: str) -> str:
    held = f"The quarantine holds {words.share(row['rows_share'], 3)} of the rows received"
    if pd.isna(row["mrr_affected"]):
        return f"{held}; the source has no money to weigh them with."
    touched = (
        f"{words.money(row['mrr_affected'], currency)} of MRR ({words.share(row['mrr_share'])})"
    )
    return f"{held} and touches at most {touched}."


def unclaimed(no_model: pd.DataFrame) -> pd.Series:
    """Why no driver is claimed: one sentence, none where there is a model.

    Takes drivers' no_model (reason).
    """
    rows = no_model.to_dict("records")
    return pd.Series([f"No driver is claimed: {row['reason']}." for row in rows], dtype=object)


def data_quality(quality: pd.DataFrame, n_shown: int = 8) -> pd.DataFrame:
    """What was wrong with the data and the revenue it touches, the gravest and largest first.

    Takes the snapshot's quality. Gives one row per table and rule that found something: table,
    rule, kind, n, n_of, mrr_affected.
    """
    found = quality[quality["kind"].isin(PROBLEMS) & (quality["n"] > 0)]
    ranked = found.assign(
        rank=found["kind"].map(PROBLEMS.index), mrr_affected=found["mrr_affected"].fillna(0.0)
    )
    ordered = ranked.sort_values(
        ["rank", "mrr_affected", "n", "table", "rule"], ascending=[True, False, False, True, True]
    )
    columns = ["table", "rule", "kind", "n", "n_of", "mrr_affected"]
    return ordered[columns].head(n_shown).reset_index(drop=True)


def badges(models: pd.DataFrame) -> pd.DataFrame:
    """Each model with what it was fitted on and whether its checks held.

    Takes one row per model and check (chapter, name, n, n_events, converged, check, passed, note).
    Gives one row per model: chapter, model, n, n_events, badge.
    """
    columns = ["chapter", "model", "n", "n_events", "badge"]
    rows = []
    for (chapter, name), checks in models.groupby(["chapter", "name"], sort=False):
        first = checks.iloc[0]
        is_failed = ~checks["passed"].astype(bool)
        failed = checks.loc[is_failed, "check"].tolist()
        if not first["converged"]:
            reasons = [note for note in checks.loc[is_failed, "note"] if note]
            badge = f"no model: {reasons[0] if reasons else 'too little to fit'}"
        elif failed:
            badge = f"read with care: {', '.join(failed)}"
        else:
            badge = "checks held"
        rows.append((chapter, name, first["n"], first["n_events"], badge))
    return pd.DataFrame(rows, columns=columns)
