"""Ingest: raw files in; used, merged, excluded and quarantined rows out, and nothing lost."""

import re
from pathlib import Path

import pandas as pd
import pytest

from pipeline.data import store
from pipeline.data.reading import DataError
from pipeline.data.store import MissingDataError
from pipeline.settings import ConfigurationError
from pipeline.stages import ingest
from pipeline.stages.cells import KIND_WORDS
from pipeline.stages.ingest.aside import UnbalancedError
from pipeline.stages.rules import RULES, what_to_do
from tests.stages.company import accounts_of, write_company

SUBSCRIPTIONS = """
    subscription_id,account_id,start_date,end_date,mrr
    S1,A,2025-01-05,,100
    S2,B,2025-01-06,,100
"""
LENIENT = {"quarantine": {"max_share_of_rows": 1.0, "max_share_of_mrr": 1.0}}


def ingested(tmp_path, files, **params):
    company = write_company(tmp_path, files, **params)
    ingest.run(company.settings, company.paths)
    return company


def counts(company, table):
    touched = store.read_frame(company.paths.ingest / "touched.parquet")
    own = touched[touched["table"] == table]
    return own.groupby(["kind", "rule"]).size().to_dict()


BAD_ROWS = {
    "an impossible date": ("S3,A,2026-02-30,,10", ("start_date", "day_unreadable", "2026-02-30")),
    "a date in another order": (
        "S3,A,05/01/2025,,10",
        ("start_date", "day_unreadable", "05/01/2025"),
    ),
    "a negative amount": ("S3,A,2025-01-05,,-10", ("mrr", "below_minimum", "-10")),
    "an amount with a thousands mark": (
        "S3,A,2025-01-05,,10 000",
        ("mrr", "money_unreadable", "10 000"),
    ),
    "a missing start": ("S3,A,,,10", ("start_date", "required", "")),
    "an end before the start": (
        "S3,A,2025-01-05,2025-01-01,10",
        ("end_date", "end_before_start", "2025-01-01"),
    ),
    "an unknown account": ("S3,Z,2025-01-05,,10", ("account_id", "unknown_account", "Z")),
    "too few fields": ("S3,A,2025-01-05", ("", "field_count", "-2")),
    "too many fields": ("S3,A,2025-01-05,,10,extra", ("", "field_count", "1")),
}


@pytest.mark.parametrize(("row", "found"), BAD_ROWS.values(), ids=BAD_ROWS.keys())
def test_a_bad_row_goes_to_quarantine_with_line_column_rule_and_value(tmp_path, row, found):
    files = {
        "accounts.csv": accounts_of("A", "B"),
        "subscriptions.csv": SUBSCRIPTIONS.rstrip() + f"\n    {row}\n",
    }
    company = ingested(tmp_path, files, **LENIENT)
    assert company.quarantine("subscriptions") == [("4", *found)]
    used = store.read_frame(company.paths.ingest / "subscriptions.parquet")
    assert used["subscription_id"].tolist() == ["S1", "S2"]


def test_rows_in_are_rows_used_merged_excluded_and_quarantined(tmp_path):
    rows = [
        "S1,A,2025-01-05,,100",
        "S1,A,2025-01-05,,100",
        "S2,B,2025-01-06,2025-01-06,100",
        "S3,B,2025-01-06,,bad",
        "S4,B,2025-01-06,,100",
        "S4,B,2025-01-06,,200",
    ]
    text = "subscription_id,account_id,start_date,end_date,mrr\n" + "\n".join(rows)
    files = {"accounts.csv": accounts_of("A", "B"), "subscriptions.csv": text}
    company = ingested(tmp_path, files, **LENIENT)
    assert counts(company, "subscriptions") == {
        ("merged", "same_row_again"): 1,
        ("excluded", "zero_length"): 1,
        ("quarantined", "money_unreadable"): 1,
        ("quarantined", "conflicting_key"): 2,
    }
    assert len(store.read_frame(company.paths.ingest / "subscriptions.parquet")) == 1


def test_names_that_look_missing_and_ids_that_look_like_numbers_stay_text(tmp_path):
    accounts = "account_id,signed_up_date,name\n001,2025-01-01,NA\n1e5,2025-01-01,null\n"
    text = SUBSCRIPTIONS.replace(",A,", ",001,").replace(",B,", ",1e5,")
    company = ingested(tmp_path, {"accounts.csv": accounts, "subscriptions.csv": text})
    used = store.read_frame(company.paths.ingest / "accounts.parquet")
    assert used[["account_id", "name"]].to_numpy().tolist() == [["001", "NA"], ["1e5", "null"]]


def test_lines_are_counted_through_newlines_inside_quotes(tmp_path):
    accounts = (
        'account_id,signed_up_date,name\nA,2025-01-01,"two\nlines"\nB,2025-01-01,b\nC,bad,c\n'
    )
    company = ingested(
        tmp_path, {"accounts.csv": accounts, "subscriptions.csv": SUBSCRIPTIONS}, **LENIENT
    )
    assert company.quarantine("accounts") == [("5", "signed_up_date", "day_unreadable", "bad")]


def test_an_export_maps_by_names_formats_values_and_lookup(tmp_path):
    files = {
        "kunden.csv": "\ufeffnr;seit;art\nA;05.01.2025;gross\nB;06.01.2025;klein\n",
        "vertraege.csv": "id;nr;von;bis;betrag;probe\nS1;A;05.01.2025;;1234,50;nein\n",
        "nutzung.csv": "vertrag;tag;was\nS1;07.01.2025 13:30;bericht\n",
    }
    tables = {
        "accounts": {
            "file": "kunden.csv",
            "separator": ";",
            "date_format": "DD.MM.YYYY",
            "columns": {"account_id": "nr", "signed_up_date": "seit", "segment": "art"},
            "values": {"segment": {"gross": "large", "klein": "small"}},
        },
        "subscriptions": {
            "file": "vertraege.csv",
            "separator": ";",
            "decimal": ",",
            "date_format": "%d.%m.%Y",
            "columns": {
                "subscription_id": "id",
                "account_id": "nr",
                "start_date": "von",
                "end_date": "bis",
                "mrr": "betrag",
                "is_trial": "probe",
            },
            "values": {"is_trial": {"nein": "false", "ja": "true"}},
        },
        "usage": {
            "file": "nutzung.csv",
            "separator": ";",
            "date_format": {"occurred_at": "DD.MM.YYYY HH:mm"},
            "columns": {"occurred_at": "tag", "feature": "was", "subscription_id": "vertrag"},
            "lookup": {"account_id": {"table": "subscriptions", "by": "subscription_id"}},
        },
    }
    company = ingested(tmp_path, files, source={"tables": tables})
    accounts = store.read_frame(company.paths.ingest / "accounts.parquet")
    assert accounts["segment"].tolist() == ["large", "small"]
    row = store.read_frame(company.paths.ingest / "subscriptions.parquet").iloc[0]
    assert (row["mrr"], row["start_date"], row["is_trial"]) == (
        1234.5,
        pd.Timestamp("2025-01-05"),
        False,
    )
    event = store.read_frame(company.paths.ingest / "usage" / "2025-01.parquet").iloc[0]
    assert (event["account_id"], event["occurred_at"]) == ("A", pd.Timestamp("2025-01-07 13:30"))


def test_a_time_with_a_zone_moves_to_the_business_time_zone(tmp_path):
    usage = "account_id,occurred_at,feature\nA,2026-10-31T20:00:00Z,x\nA,2026-10-31T23:00+09:00,x\n"
    files = {
        "accounts.csv": accounts_of("A", "B"),
        "subscriptions.csv": SUBSCRIPTIONS,
        "usage.csv": usage,
    }
    company = ingested(tmp_path, files, timezone="Asia/Tokyo")
    months = sorted(path.stem for path in (company.paths.ingest / "usage").glob("*.parquet"))
    assert months == ["2026-10", "2026-11"]


def test_attributes_of_the_company_come_along_and_marks_come_from_another_export(tmp_path):
    files = {
        "accounts.csv": (
            "account_id,signed_up_date,plan,left\nA,2025-01-01,pro,TRUE\nB,2025-01-01,,FALSE\n"
        ),
        "subscriptions.csv": SUBSCRIPTIONS,
        "cancelled.csv": "customer\nB\nB\n",
    }
    attributes = {
        "first_plan": {"column": "plan", "known": "at_signup"},
        "left": {"type": "flag", "known": "at_extract"},
        "cancelled": {
            "file": "cancelled.csv",
            "by": "customer",
            "type": "flag",
            "known": "at_extract",
        },
    }
    company = write_company(
        tmp_path,
        files,
        source={"tables": {"accounts": {"attributes": attributes}}},
        extract_date="2025-03-31",
    ).run()
    accounts = company.table("2025-01", "accounts")
    assert accounts[list(attributes)].to_numpy().tolist() == [
        ["pro", True, False],
        [None, False, True],
    ]


def test_too_many_bad_rows_stop_the_run_and_say_where(tmp_path):
    text = SUBSCRIPTIONS.rstrip() + "\n    S3,A,soon,,10\n"
    files = {"accounts.csv": accounts_of("A", "B"), "subscriptions.csv": text}
    with pytest.raises(DataError) as stopped:
        ingested(tmp_path, files)
    assert "1 rows cannot be used, 33.3% of its rows" in str(stopped.value)
    assert "subscriptions.csv line 4, start_date: day_unreadable" in str(stopped.value)


def test_every_missing_required_export_is_named_at_once(tmp_path):
    with pytest.raises(MissingDataError, match=r"(?s)accounts\.csv.*subscriptions\.csv"):
        ingested(tmp_path, {})


def test_every_missing_column_is_named_at_once_with_the_nearest_name(tmp_path):
    text = "subscription_id,account,start_date,amount\nS1,A,2025-01-01,5\n"
    files = {"accounts.csv": accounts_of("A"), "subscriptions.csv": text}
    with pytest.raises(DataError, match=r"account_id .*did you mean 'account'.*mrr"):
        ingested(tmp_path, files)


@pytest.mark.parametrize(
    ("accounts", "message"),
    [
        ("", "accounts.csv is empty"),
        ("account_id,signed_up_date\n", "0 rows"),
        ("account_id;signed_up_date\nA;2025-01-01\n", "the separator looks like ';'"),
        ("account_id,signed_up_date,signed_up_date\nA,2025-01-01,\n", "stands at 2 and 3"),
        ('account_id,signed_up_date\nA,"2025-01-01\n', "line 2"),
    ],
    ids=["empty", "header only", "separator", "header twice", "open quote"],
)
def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path, accounts, message):
    with pytest.raises(DataError, match=message):
        ingested(tmp_path, {"accounts.csv": accounts, "subscriptions.csv": SUBSCRIPTIONS})


def test_a_file_in_another_encoding_stops_the_run_at_its_line(tmp_path):
    company = write_company(
        tmp_path, {"accounts.csv": accounts_of("A", "B"), "subscriptions.csv": SUBSCRIPTIONS}
    )
    path = company.paths.raw / "accounts.csv"
    path.write_bytes(path.read_bytes() + "C,2025-01-01\n株,2025-01-01\n".encode("cp932"))
    with pytest.raises(DataError, match=r"line 5 is not utf-8; it looks like cp932"):
        ingest.run(company.settings, company.paths)


def test_a_date_format_without_a_year_is_refused(tmp_path):
    files = {"accounts.csv": accounts_of("A", "B"), "subscriptions.csv": SUBSCRIPTIONS}
    with pytest.raises(ConfigurationError, match="day, month and year once each"):
        ingested(tmp_path, files, source={"tables": {"accounts": {"date_format": "DD-MM"}}})


def test_the_extract_date_is_the_newest_recorded_day_and_never_an_end(tmp_path):
    files = {
        "accounts.csv": accounts_of("A", "B"),
        "subscriptions.csv": SUBSCRIPTIONS.replace("2025-01-06,,", "2025-02-06,2027-01-01,"),
    }
    company = ingested(tmp_path / "events", files)
    facts = store.read_json(company.paths.ingest / "extract.json")
    assert facts["extract_date"] == "2025-02-06"
    usage = "account_id,occurred_at,feature,recorded_at\nA,2025-01-09,x,2025-01-10T23:00:00\n"
    company = ingested(tmp_path / "recorded", files | {"usage.csv": usage})
    facts = store.read_json(company.paths.ingest / "extract.json")
    assert facts["extract_date"] == "2025-01-10"


def test_a_large_plain_file_and_the_same_rows_one_by_one_read_alike(tmp_path, monkeypatch):
    rows = "".join(f"A{n},2025-01-{n % 28 + 1:02d}\n" for n in range(500))
    company = write_company(
        tmp_path,
        {
            "accounts.csv": "account_id,signed_up_date\n" + rows,
            "subscriptions.csv": SUBSCRIPTIONS.replace(",A,", ",A1,").replace(",B,", ",A2,"),
        },
    )
    ingest.run(company.settings, company.paths)
    slow = store.read_frame(company.paths.ingest / "accounts.parquet")
    monkeypatch.setattr("pipeline.data.reading.delimited.WHOLE_BYTES", 0)
    ingest.run(company.settings, company.paths)
    pd.testing.assert_frame_equal(store.read_frame(company.paths.ingest / "accounts.parquet"), slow)


def test_what_was_set_aside_is_written_in_one_order_whatever_the_order_of_the_rows(tmp_path):
    rows = ["S1,A,2025-01-05,,100", "S1,A,2025-01-05,,200", "S1,A,2025-01-05,,300"]
    written = []
    for name, order in (("forward", rows), ("backward", rows[::-1])):
        text = SUBSCRIPTIONS.rstrip().replace("    S1,A,2025-01-05,,100\n", "") + "\n"
        text += "".join(f"    {row}\n" for row in order)
        files = {"accounts.csv": accounts_of("A", "B"), "subscriptions.csv": text}
        company = ingested(tmp_path / name, files, **LENIENT)
        written.append((company.paths.ingest / "touched.parquet").read_bytes())
    assert written[0] == written[1]


def test_the_counts_of_every_table_add_up_and_stand_in_the_extract(tmp_path):
    text = SUBSCRIPTIONS.rstrip() + "\n    S2,B,2025-01-06,,100\n    S3,B,soon,,100\n"
    files = {"accounts.csv": accounts_of("A", "B"), "subscriptions.csv": text}
    company = ingested(tmp_path, files, **LENIENT)
    counts = store.read_json(company.paths.ingest / "extract.json")["counts"]
    assert counts["subscriptions"] == {
        "rows": 4, "used": 2, "quarantined": 1, "merged": 1, "excluded": 0,
    }  # fmt: skip


def test_a_step_that_loses_a_row_is_found_before_anything_is_written(tmp_path, monkeypatch):
    files = {"accounts.csv": accounts_of("A", "B"), "subscriptions.csv": SUBSCRIPTIONS}
    merged = ingest.Ingest._merge_copies
    monkeypatch.setattr(
        ingest.Ingest, "_merge_copies", lambda own, *rows: merged(own, *rows).limit(1)
    )
    with pytest.raises(UnbalancedError, match="accounts: 2 rows in, but 1 used"):
        ingested(tmp_path, files)


def test_every_rule_says_what_to_do(tmp_path):
    text = SUBSCRIPTIONS.rstrip() + "\n    S3,A,2025-01-05,,10,extra\n"
    files = {"accounts.csv": accounts_of("A", "B"), "subscriptions.csv": text}
    company = ingested(tmp_path, files, **LENIENT)
    (row,) = company.quarantine("subscriptions")
    assert what_to_do(row[2]) == RULES["field_count"]
    assert what_to_do("excluded_plan")
    assert what_to_do("not_found_segment") == RULES["not_found"]
    assert all(sentence.endswith(".") for sentence in RULES.values())
    stages = Path(ingest.__file__).parents[1]
    code = "".join(path.read_text(encoding="utf-8") for path in stages.rglob("*.py"))
    named = re.findall(r'Rule\(\s*"([a-z_]+)"', code)
    noted = set(re.findall(r'aside\.note\([^"]*"([a-z_]+)"', code)) - {"warning", "quarantined"}
    assert {"required", "unknown_account", "zero_length"} <= {*named, *noted} <= set(RULES)
    assert {f"{kind}_unreadable" for kind in KIND_WORDS} <= set(RULES)


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"units": {"mrrr": "cents"}}, r"units: no column 'mrrr'; did you mean 'mrr'"),
        ({"columns": {"acount_id": "x"}}, r"columns: no column 'acount_id'"),
        ({"values": {"karma": {"a": "b"}}}, r"values: no column 'karma'"),
        ({"exclude": {"karma": ["a"]}}, r"exclude: no column 'karma'"),
        ({"exclude": {"plan": ["a"]}}, r"exclude: the export has no column 'plan'"),
        ({"date_format": {"start": "%Y"}}, r"date_format: no column 'start'"),
        ({"lookup": {"karma": {"file": "x.csv", "by": "plan"}}}, r"lookup: no column 'karma'"),
    ],
)
def test_a_source_that_speaks_of_an_unknown_column_is_refused_by_name(tmp_path, block, message):
    files = {"accounts.csv": accounts_of("A", "B"), "subscriptions.csv": SUBSCRIPTIONS}
    with pytest.raises(ConfigurationError, match=message):
        ingested(tmp_path, files, source={"tables": {"subscriptions": block}})


def test_a_source_for_a_table_that_nobody_knows_is_refused_by_name(tmp_path):
    files = {"accounts.csv": accounts_of("A", "B"), "subscriptions.csv": SUBSCRIPTIONS}
    with pytest.raises(ConfigurationError, match="no table 'acounts'; did you mean 'accounts'"):
        ingested(tmp_path, files, source={"tables": {"acounts": {"file": "x.csv"}}})
