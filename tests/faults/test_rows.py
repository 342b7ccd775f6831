"""Faults 27 to 44: rows, identity, relations, injected through exports as companies write them.

Each test is named after its fault and asks for the right behaviour: the row counted under a named
rule with its line and its original text, or an error that names the lines; never a silent change.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.analysis import revenue
from pipeline.analysis.levels import NOT_MEASURED
from pipeline.analysis.revenue.contrast import level_by_account
from pipeline.data.reading import DataError
from pipeline.data.store import MissingDataError
from pipeline.settings import ConfigurationError
from pipeline.stages.rules import RULES
from tests.stages.company import Company, accounts_of, write_company

HEADER = "subscription_id,account_id,start_date,end_date,mrr\n"
LENIENT = {"quarantine": {"max_share_of_rows": 1.0, "max_share_of_mrr": 1.0}}


def company_of(root: Path, rows: list[str], accounts: str = "", **more: object) -> Company:
    """A company with these subscription rows (line 2 is the first) and accounts A and B."""
    files = dict(more.pop("files", {}))
    files["subscriptions.csv"] = HEADER + "".join(f"{row}\n" for row in rows)
    files["accounts.csv"] = accounts or accounts_of("A", "B")
    return write_company(root, files, **(LENIENT | more))


def test_f027_a_row_that_stands_twice_counts_once_and_is_counted_as_merged(tmp_path):
    company = company_of(tmp_path, ["S1,A,2025-01-05,,100", "S1,A,2025-01-05,,100"]).ingest()
    assert company.used("subscriptions")["subscription_id"].tolist() == ["S1"]
    assert company.aside("subscriptions") == {("merged", "same_row_again"): 1}


def test_f028_rows_of_one_key_that_differ_are_both_set_aside_by_line(tmp_path):
    rows = ["S1,A,2025-01-05,,100", "S2,B,2025-01-05,,70", "S1,A,2025-01-05,,200"]
    company = company_of(tmp_path, rows).ingest()
    assert company.quarantine("subscriptions") == [
        ("2", "subscription_id", "conflicting_key", "S1"),
        ("4", "subscription_id", "conflicting_key", "S1"),
    ]
    assert company.used("subscriptions")["subscription_id"].tolist() == ["S2"]


def test_f028_of_rows_recorded_at_different_times_the_latest_known_holds(tmp_path):
    header = HEADER.strip() + ",recorded_at\n"
    rows = "S1,A,2025-01-05,,100,2025-01-05T08:00:00\nS1,A,2025-01-05,,200,2025-01-20T08:00:00\n"
    files = {"accounts.csv": accounts_of("A"), "subscriptions.csv": header + rows}
    company = write_company(tmp_path, files, extract_date="2025-03-31").run()
    assert company.aside("subscriptions") == {}
    assert company.table("2025-01", "mrr_ledger")["mrr_end"].tolist() == [200]


ODD_IDS = ["001", "9007199254740993", "1e5", "0x1F", "-7", "1.0", "TRUE"]


def test_f029_f030_ids_stay_as_they_are_written(tmp_path):
    rows = [f"S{place},{name},2025-01-05,,10" for place, name in enumerate(ODD_IDS)]
    company = company_of(tmp_path, rows, accounts_of(*ODD_IDS)).ingest()
    assert company.used("accounts")["account_id"].tolist() == ODD_IDS
    assert company.used("subscriptions")["account_id"].tolist() == ODD_IDS
    assert company.aside("subscriptions") == {}


VARIANTS = [" café ", "caf\u200bé", "ｃａｆé", "cafe\u0301", "\ufeffcafé\u00a0"]


def variants(root: Path, **more: object) -> Company:
    rows = [f"S{place},{name},2025-01-05,,10" for place, name in enumerate(["café", *VARIANTS])]
    return company_of(root, rows, accounts_of("café"), **more).ingest()


def test_f031_spellings_of_one_id_meet_under_the_declared_policy_and_are_counted(tmp_path):
    company = variants(tmp_path)
    assert set(company.used("subscriptions")["account_id"]) == {"café"}
    assert company.aside("subscriptions") == {("warning", "id_respelled"): len(VARIANTS)}


def test_f031_without_the_policy_each_spelling_is_an_account_that_nobody_knows(tmp_path):
    policy = {"ids": {"normalise": "none", "trim": False}}
    company = variants(tmp_path, source=policy)
    assert company.used("subscriptions")["subscription_id"].tolist() == ["S0"]
    found = company.quarantine("subscriptions")
    assert [row[2] for row in found] == ["unknown_account"] * len(VARIANTS)
    assert [row[3] for row in found] == VARIANTS


def test_f032_words_that_look_like_nothing_are_names_unless_they_are_declared(tmp_path):
    words = ["NA", "None", "null", "nan", "N/A"]
    text = "account_id,signed_up_date,name\n"
    text += "".join(f"{word},2025-01-01,{word}\n" for word in words)
    rows = ["S1,NA,2025-01-05,,10", "S2,nan,2025-01-05,,10"]
    company = company_of(tmp_path / "text", rows, text).ingest()
    assert company.used("accounts")["name"].tolist() == words
    assert company.used("subscriptions")["account_id"].tolist() == ["NA", "nan"]
    text = text.replace("nan,2025-01-01,nan", "x,2025-01-01,N/A")
    source = {"tables": {"accounts": {"null_values": ["N/A"]}}}
    company = company_of(tmp_path / "declared", rows[:1], text, source=source).ingest()
    assert company.used("accounts")["name"].isna().tolist() == [False, False, False, True]


def test_f033_a_row_of_an_unknown_account_is_set_aside_by_name(tmp_path):
    company = company_of(tmp_path, ["S1,A,2025-01-05,,100", "S2,Z,2025-01-05,,100"]).ingest()
    assert company.quarantine("subscriptions") == [("3", "account_id", "unknown_account", "Z")]


def test_f033_too_many_of_them_stop_the_run_and_the_list_is_written_all_the_same(tmp_path):
    rows = [f"S{place},Z,2025-01-05,,100" for place in range(10)]
    company = company_of(tmp_path, [*rows, "S99,A,2025-01-05,,100"], quarantine={})
    with pytest.raises(DataError, match=r"10 rows cannot be used, 90\.9% of its rows") as stopped:
        company.ingest()
    assert "subscriptions.csv line 2, account_id: unknown_account" in str(stopped.value)
    assert RULES["unknown_account"] in str(stopped.value)
    assert len(company.quarantine("subscriptions")) == 10
    assert not (company.paths.ingest / "subscriptions.parquet").exists()


def test_f033_few_rows_with_much_revenue_stop_the_run_too(tmp_path):
    rows = [f"S{place},A,2025-01-05,,10" for place in range(99)]
    company = company_of(tmp_path, [*rows, "S99,Z,2025-01-05,,5000"], quarantine={})
    with pytest.raises(DataError, match=r"1 rows cannot be used, 83\.5% of its MRR"):
        company.ingest()


def test_f033_an_amount_that_cannot_be_read_weighs_as_much_as_the_others(tmp_path):
    rows = [f"S{place},A,2025-01-05,,10" for place in range(96)]
    rows += [f"T{place},A,2025-01-05,,a lot" for place in range(4)]
    limits = {"max_share_of_rows": 1.0, "max_share_of_mrr": 0.039}
    with pytest.raises(DataError, match=r"4 rows cannot be used, 4\.0% of its MRR"):
        company_of(tmp_path, rows, quarantine=limits).ingest()


def test_f033_rows_of_an_account_in_quarantine_are_no_rows_of_an_unknown_one(tmp_path):
    accounts = "account_id,signed_up_date\nA,2024-01-01\nB,2024-13-01\n"
    rows = ["S1,A,2025-01-05,,100", "S2,B,2025-01-05,,100"]
    company = company_of(tmp_path, rows, accounts).ingest()
    assert company.quarantine("accounts") == [
        ("3", "signed_up_date", "day_unreadable", "2024-13-01")
    ]
    assert company.quarantine("subscriptions") == [("3", "account_id", "account_set_aside", "B")]


def test_f033_rows_of_an_account_left_out_by_declaration_are_left_out_with_it(tmp_path):
    accounts = "account_id,signed_up_date,segment\nA,2024-01-01,smb\nB,2024-01-01,internal\n"
    rows = ["S1,A,2025-01-05,,100", "S2,B,2025-01-05,,100"]
    source = {"tables": {"accounts": {"exclude": {"segment": ["internal"]}}}}
    company = company_of(tmp_path, rows, accounts, source=source, quarantine={}).ingest()
    assert company.aside("accounts") == {("excluded", "excluded_segment"): 1}
    assert company.aside("subscriptions") == {("excluded", "account_excluded"): 1}


CRM = {"accounts": {"lookup": {"segment": {"file": "crm.csv", "by": "account_id", "key": "client",
                                           "column": "size"}}}}  # fmt: skip


def looked_up(root: Path, crm: str) -> Company:
    rows = ["S1,A,2025-01-05,,100", "S2,B,2025-01-05,,100"]
    return company_of(root, rows, files={"crm.csv": crm}, source={"tables": CRM})


def test_f034_several_exports_feed_one_table_and_no_row_is_added_or_lost(tmp_path):
    company = looked_up(tmp_path, "client,size\n A ,large\nA,large\nZ,small\n").ingest()
    accounts = company.used("accounts")
    assert accounts["account_id"].tolist() == ["A", "B"]
    assert accounts["segment"].fillna("").tolist() == ["large", ""]
    assert company.aside("accounts") == {("warning", "not_found_segment"): 1}


def test_f034_a_key_that_stands_for_two_values_stops_the_run_at_its_lines(tmp_path):
    company = looked_up(tmp_path, "client,size\nA,large\nB,small\nA,small\n")
    with pytest.raises(DataError, match=r"A: crm\.csv line 2 and crm\.csv line 4 differ in size"):
        company.ingest()


def test_f034_a_subscription_that_stands_for_two_accounts_finds_none(tmp_path):
    rows = ["S1,A,2025-01-05,,100", "S1,B,2025-01-05,,100", "S2,B,2025-01-05,,100"]
    usage = "subscription_id,occurred_at,feature\nS1,2025-01-09,x\nS2,2025-01-09,x\n"
    lookup = {"account_id": {"table": "subscriptions", "by": "subscription_id"}}
    company = company_of(
        tmp_path, rows, files={"usage.csv": usage}, source={"tables": {"usage": {"lookup": lookup}}}
    ).ingest()
    assert company.quarantine("usage") == [("2", "account_id", "required", "")]


def test_f034_a_lookup_that_leads_nowhere_is_named(tmp_path):
    with pytest.raises(MissingDataError, match=r"lookup\.segment: crm\.csv"):
        company_of(tmp_path, ["S1,A,2025-01-05,,1"], source={"tables": CRM}).ingest()
    late = {"accounts": {"lookup": {"segment": {"table": "usage", "by": "account_id"}}}}
    with pytest.raises(ConfigurationError, match="no table usage is read before it"):
        company_of(tmp_path, ["S1,A,2025-01-05,,1"], source={"tables": late}).ingest()


def test_f034_a_lookup_reads_no_shifted_line_and_says_where_its_columns_are_mapped(tmp_path):
    with pytest.raises(DataError, match=r"crm\.csv: 1 lines have more or fewer fields .*: 3\."):
        looked_up(tmp_path / "shifted", "client,size\nA,large\nB,x,small\n").ingest()
    with pytest.raises(DataError, match=r"missing columns: segment .* the lookup's key and column"):
        looked_up(tmp_path / "unmapped", "client,big\nA,large\n").ingest()


def test_f034_a_lookup_of_a_column_that_the_export_has_itself_is_refused(tmp_path):
    accounts = "account_id,signed_up_date,segment\nA,2024-01-01,small\n"
    crm = {"crm.csv": "client,size\nA,large\n"}
    rows = ["S1,A,2025-01-05,,100"]
    with pytest.raises(ConfigurationError, match=r"lookup\.segment: the export has that column"):
        company_of(tmp_path, rows, accounts, files=crm, source={"tables": CRM}).ingest()


def test_f035_an_empty_key_matches_nothing(tmp_path):
    accounts = "account_id,signed_up_date,csm_id\nA,2024-01-01,\nB,2024-01-01,C1\n"
    lookup = {"industry": {"file": "teams.csv", "by": "csm_id", "key": "csm", "column": "field"}}
    company = company_of(
        tmp_path,
        ["S1,A,2025-01-05,,100"],
        accounts,
        files={"teams.csv": "csm,field\n,ghosts\nC1,retail\n,others\n"},
        source={"tables": {"accounts": {"lookup": lookup}}},
    ).ingest()
    assert company.used("accounts")["industry"].fillna("").tolist() == ["", "retail"]


def test_f036_accounts_without_a_segment_are_a_level_of_their_own_and_totals_reconcile():
    book = pd.DataFrame(
        {
            "period": "2025-01",
            "account_id": ["a", "b", "c", "d"],
            "mrr_start": [100.0, 50.0, 30.0, 20.0],
            "mrr_end": [100.0, 0.0, 30.0, 0.0],
        }
    )
    accounts = pd.DataFrame({"account_id": list("abcd"), "segment": ["smb", "smb", None, np.nan]})
    levels = level_by_account(accounts, "segment")
    assert levels.reindex(["c", "d"]).tolist() == [NOT_MEASURED, NOT_MEASURED]
    by_level = book.groupby(book["account_id"].map(levels))["mrr_start"].sum()
    assert by_level.to_dict() == {NOT_MEASURED: 50.0, "smb": 150.0}
    assert by_level.sum() == book["mrr_start"].sum()


def test_f039_an_end_before_the_start_is_set_aside_with_its_line(tmp_path):
    rows = ["S1,A,2025-01-05,,100", "S2,B,2025-01-05,2024-12-31,100"]
    company = company_of(tmp_path, rows).ingest()
    assert company.quarantine("subscriptions") == [
        ("3", "end_date", "end_before_start", "2024-12-31")
    ]


def test_f040_a_row_of_no_length_is_left_out_by_name(tmp_path):
    rows = ["S1,A,2025-01-05,,100", "S2,B,2025-01-05,2025-01-05,100"]
    company = company_of(tmp_path, rows).ingest()
    assert company.aside("subscriptions") == {("excluded", "zero_length"): 1}
    assert company.used("subscriptions")["subscription_id"].tolist() == ["S1"]


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Company:
    """Nested, overlapping, bridged and reactivated customers, one with use after the end."""
    rows = [
        "S1,A,2025-01-10,2025-04-10,100",  # overlapped by S2: both are paid, MRR adds up
        "S2,A,2025-02-10,2025-03-10,40",
        "S3,B,2025-01-10,2025-02-10,70",  # back after 13 days: a bridge
        "S4,B,2025-02-23,2025-04-20,70",
        "S5,C,2025-01-10,2025-02-10,90",  # back after 59 days: churn, then reactivation
        "S6,C,2025-04-10,,90",
    ]
    usage = "account_id,occurred_at,feature\nC,2025-02-05,x\nC,2025-03-05,x\nC,2025-03-06,x\n"
    root = tmp_path_factory.mktemp("life")
    company = company_of(
        root,
        rows,
        accounts_of("A", "B", "C"),
        files={"usage.csv": usage},
        periods=["2025-04"],
        extract_date="2025-12-31",
    )
    return company.run()


def movements(company: Company, account: str) -> list[tuple[object, ...]]:
    book = company.table("2025-04", "mrr_ledger")
    own = book[book["account_id"] == account].sort_values("period")
    return list(own[["period", "mrr_start", "mrr_end", "movement"]].itertuples(index=False))


def test_f037_overlapping_subscriptions_add_their_mrr_and_are_one_customer(life):
    assert movements(life, "A") == [
        ("2025-01", 0, 100, "new"),
        ("2025-02", 100, 140, "expansion"),
        ("2025-03", 140, 100, "contraction"),
        ("2025-04", 100, 0, "churn"),
    ]
    spells = life.table("2025-04", "spells")
    own = spells[spells["account_id"] == "A"]
    assert own[["spell", "duration_days"]].to_numpy().tolist() == [[1, 90]]


def test_f038_a_return_within_the_grace_is_a_bridge_and_a_later_one_a_reactivation(life):
    assert [row[3] for row in movements(life, "B")] == ["new", "retained", "retained", "churn"]
    assert [row[3] for row in movements(life, "C")] == ["new", "churn", "reactivation"]
    spells = life.table("2025-04", "spells").groupby("account_id")["spell"].max()
    assert spells.to_dict() == {"A": 1, "B": 1, "C": 2}


def test_f041_an_account_in_two_segments_is_set_aside_and_has_one_row_a_month(tmp_path, life):
    accounts = "account_id,signed_up_date,segment\nA,2024-01-01,smb\nA,2024-01-01,large\n"
    company = company_of(tmp_path, ["S1,B,2025-01-05,,1"], accounts + "B,2024-01-01,smb\n").ingest()
    assert [row[2] for row in company.quarantine("accounts")] == ["conflicting_key"] * 2
    for name in ("mrr_ledger", "account_months"):
        assert not life.table("2025-04", name).duplicated(["period", "account_id"]).any()


def test_f042_use_after_the_end_enters_no_feature_and_is_counted(life):
    months = life.table("2025-04", "account_months")
    own = months[months["account_id"] == "C"].set_index("period")["usage_events"]
    assert own.fillna(0).to_dict() == {"2025-02": 0, "2025-05": 0}
    assert life.aside("usage") == {("warning", "after_last_paid_day"): 2}


def test_f044_a_single_account_gives_counts_and_no_rate(tmp_path):
    rows = ["S1,A,2025-01-10,,100"]
    company = company_of(
        tmp_path,
        rows,
        accounts_of("A", signed="2025-01-10"),
        periods=["2025-03"],
        extract_date="2025-12-31",
    ).run()
    book = company.table("2025-03", "mrr_ledger")
    assert len(book) == 3
    accounts = company.table("2025-03", "accounts")
    cohorts = revenue.cohorts(book, accounts, None, 0.95)
    assert cohorts["n"].tolist() == [1, 1, 1]
    assert cohorts[["retained_share", "ci_low", "ci_high"]].isna().all(axis=None)
