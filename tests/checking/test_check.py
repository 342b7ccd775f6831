"""`lodestar check`: all that stands in the way, at once, with the money it touches."""

import io
import json
import sqlite3
from pathlib import Path

import pytest
from rich.console import Console

from pipeline import checking, cli
from pipeline.checking import saying
from pipeline.data.schema.findings import CHECK, PARTS
from tests.stages.company import Company, accounts_of, write_company

SUBSCRIPTIONS = """\
subscription_id,account_id,start_date,end_date,mrr
s1,a,2024-01-01,,100.00
s2,b,2024-01-01,2024-06-01,50.00
s3,c,2024-01-01,,300.00
"""
LIMITS = {"max_share_of_rows": 0.5, "max_share_of_mrr": 0.5}


def company(root: Path, files: dict[str, str] | None = None, **params: object) -> Company:
    given = {"accounts.csv": accounts_of("a", "b", "c"), "subscriptions.csv": SUBSCRIPTIONS}
    return write_company(root, given | (files or {}), **params)


def answered(own: Company) -> dict:
    return checking.check(own.settings, own.paths)


def rule(answer: dict, name: str) -> dict:
    (found,) = [row for row in answer["rules"] if row["rule"] == name]
    return found


def said(answer: dict) -> str:
    return "\n".join([*saying.lines(answer, "Acme", "USD"), *saying.stops(answer)])


def lodestar(root: Path, *words: str) -> int:
    with pytest.raises(SystemExit) as end:
        cli.main(["--root", str(root), *words])
    return end.value.code


def test_sound_data_are_counted_and_nothing_stops(tmp_path: Path) -> None:
    answer = answered(company(tmp_path))
    assert answer["exit_code"] == 0
    assert answer["extract_date"] == "2024-01-01"
    assert answer["mrr"] == 450.0
    assert answer["tables"][1] == {
        "table": "subscriptions", "rows": 3, "used": 3, "quarantined": 0, "merged": 0,
        "excluded": 0,
    }  # fmt: skip
    assert "A run can use these data." in said(answer)


def test_a_rule_says_where_how_many_whose_money_and_what_to_do(tmp_path: Path) -> None:
    tickets = "ticket_id,account_id,opened_at\nt1,a,2023-05-05\nt2,c,2024-02-02\n"
    answer = answered(company(tmp_path, {"tickets.csv": tickets}, quarantine=LIMITS))
    found = rule(answer, "before_sign_up")
    assert (found["table"], found["kind"], found["n"], found["n_of"]) == (
        "tickets", "quarantined", 1, 2,
    )  # fmt: skip
    assert (found["n_accounts"], found["mrr"], found["mrr_share"]) == (
        1,
        100.0,
        pytest.approx(100 / 450),
    )
    assert found["examples"] == [
        {"file": "tickets.csv", "line": 2, "column": "opened_at", "value": "2023-05-05"}
    ]
    assert found["what_to_do"].startswith("The event lies before its account's sign-up")
    assert "tickets.csv line 2, opened_at: 2023-05-05" in said(answer)


def test_unreadable_revenue_counts_in_the_share(tmp_path: Path) -> None:
    rows = SUBSCRIPTIONS + "s4,a,2024-02-30,,100.00\n"
    answer = answered(company(tmp_path, {"subscriptions.csv": rows}, quarantine=LIMITS))
    found = rule(answer, "day_unreadable")
    assert found["mrr"] == 200.0  # the account's 100 that can be read, and the row's own
    assert found["mrr_share"] == pytest.approx(200 / 550)


def test_all_missing_files_and_all_missing_columns_are_said_at_once(tmp_path: Path) -> None:
    files = {
        "people.csv": "who\nx\n",
        "accounts.csv": "account\na\n",
        "tickets.csv": "ticket_id,when\n1,2024-01-01\n",
    }
    own = write_company(
        tmp_path, files, source={"tables": {"subscriptions": {"file": "contracts.csv"}}}
    )
    answer = answered(own)
    words = said(answer)
    assert answer["exit_code"] == 66
    assert "contracts.csv" in words
    assert "accounts.csv: missing columns: account_id" in words
    assert "tickets.csv: missing columns: account_id" in words


def test_a_choice_that_nobody_knows_is_said_beside_a_missing_file(tmp_path: Path) -> None:
    own = write_company(tmp_path, {}, survival={"strata": ["segmnt"]})
    answer = answered(own)
    assert answer["exit_code"] == 78
    assert sorted(stop["code"] for stop in answer["stops"]) == [66, 78]


def test_above_a_limit_the_code_is_that_of_a_run_and_every_rule_is_seen(tmp_path: Path) -> None:
    rows = SUBSCRIPTIONS.replace("s2,b,2024-01-01", "s2,b,2024-13-01")
    tickets = "ticket_id,account_id,opened_at\nt1,zz,2024-05-05\n"
    own = company(tmp_path, {"subscriptions.csv": rows, "tickets.csv": tickets})
    answer = answered(own)
    assert answer["exit_code"] == 65
    assert {row["rule"] for row in answer["rules"]} == {"day_unreadable", "unknown_account"}
    assert answer["extract_date"] is not None
    assert "above the limit in quarantine" in said(answer)


def test_a_sensitive_value_is_masked(tmp_path: Path) -> None:
    usage = "account_id,occurred_at,feature,user_id\na,2024-02-30,x,ada@example.com\n"
    answer = answered(company(tmp_path, {"usage.csv": usage}, quarantine=LIMITS))
    assert "ada@example.com" not in json.dumps(answer)


def test_columns_mapped_to_nothing_few_rows_and_absent_tables_are_warnings(
    tmp_path: Path,
) -> None:
    accounts = (
        "account_id,signed_up_date,shoe_size\na,2024-01-01,9\nb,2024-01-01,8\nc,2024-01-01,\n"
    )
    answer = answered(company(tmp_path, {"accounts.csv": accounts}))
    messages = {row["subject"]: row["message"] for row in answer["warnings"]}
    assert messages["extra_columns"] == (
        "accounts.csv: columns that are mapped to nothing: shoe_size."
    )
    assert messages["few_rows"].startswith("3 accounts")
    absent = {row["subject"]: row["adds"] for row in answer["not_given"]}
    assert "drivers" in absent["usage"]
    assert "survival" in absent["accounts.segment"]
    assert "subscriptions.end_date" not in absent
    assert "goals" not in absent  # no chapter would use it yet


def test_an_export_with_far_fewer_rows_than_the_last_build_is_a_warning(tmp_path: Path) -> None:
    own = company(tmp_path).ingest()
    one = "\n".join(SUBSCRIPTIONS.splitlines()[:2]) + "\n"
    (own.paths.raw / "subscriptions.csv").write_text(one, encoding="utf-8")
    subjects = {row["subject"] for row in answered(own)["warnings"]}
    assert "fewer_rows" in subjects


def test_nothing_on_disk_is_changed(tmp_path: Path) -> None:
    own = company(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    answered(own)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_json_has_the_declared_fields_and_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tickets = "ticket_id,account_id,opened_at\nt1,a,2023-05-05\n"
    company(tmp_path, {"tickets.csv": tickets}, quarantine=LIMITS)
    assert lodestar(tmp_path, "check", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer.keys() == CHECK.keys()
    for part, fields in PARTS.items():
        rows = [answer] if not part else answer[part]
        assert all(row.keys() == fields.keys() for row in rows), part


def test_in_a_pipe_stops_go_to_stderr_with_the_exit_code_of_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = SUBSCRIPTIONS.replace("300.00", "three hundred")
    company(tmp_path, {"subscriptions.csv": rows})
    assert lodestar(tmp_path, "check") == 65
    told = capsys.readouterr()
    assert "subscriptions.csv line 4, mrr: three hundred" in told.out
    assert "lodestar: a run would stop with exit code 65" in told.err
    assert "Traceback" not in told.err


def test_other_shapes_are_checked_by_their_own_columns(tmp_path: Path) -> None:
    files = {"subscriptions.csv": "account_id,period\na,2024-01\n"}
    source = {"tables": {"subscriptions": {"file": "subscriptions.csv", "shape": "monthly"}}}
    answer = answered(write_company(tmp_path, files, source=source))
    assert answer["exit_code"] == 65
    assert "missing columns: mrr" in said(answer)


def test_a_database_is_looked_at_aside(tmp_path: Path) -> None:
    source = {"database": {"backend": "sqlite", "file": "crm.sqlite"}}
    own = write_company(tmp_path, {}, source=source)
    with sqlite3.connect(own.paths.raw / "crm.sqlite") as crm:
        crm.execute("CREATE TABLE accounts (account_id TEXT, signed_up_date TEXT)")
        crm.execute("INSERT INTO accounts VALUES ('a', '2024-01-01')")
        crm.execute(
            "CREATE TABLE subscriptions (subscription_id TEXT, account_id TEXT, start_date TEXT,"
            " mrr TEXT)"
        )
        crm.execute("INSERT INTO subscriptions VALUES ('s1', 'a', '2024-01-01', '10.00')")
    crm.close()
    answer = answered(own)
    assert answer["exit_code"] == 0, answer["stops"]
    assert answer["mrr"] == 10.0
    assert [path.name for path in own.paths.raw.iterdir()] == ["crm.sqlite"]


def test_a_database_that_is_not_there_is_named_where_a_person_would_put_it(tmp_path: Path) -> None:
    source = {"database": {"backend": "sqlite", "file": "crm.sqlite"}}
    own = write_company(tmp_path, {}, source=source)
    answer = answered(own)
    assert answer["exit_code"] == 66
    assert str(own.paths.raw) in said(answer)
    assert "check-" not in said(answer)


def test_on_a_terminal_the_rules_stand_in_a_table_and_data_are_no_markup(tmp_path: Path) -> None:
    rows = SUBSCRIPTIONS + "s4,a,[red]2024-02-30[/red],,100.00\n"
    answer = answered(company(tmp_path, {"subscriptions.csv": rows}, quarantine=LIMITS))
    told = list(saying.lines(answer, "Acme", "USD", has_table=True))
    assert told.count(saying.RULES) == 1
    assert not any("day_unreadable" in line for line in told)
    paper = io.StringIO()
    Console(file=paper, width=200).print(saying.drawn(answer, "USD"))
    assert "[red]2024-02-30[/red]" in paper.getvalue()
    assert "day_unreadable (set aside)" in paper.getvalue()


def test_what_a_shape_has_no_place_for_is_not_asked_for(tmp_path: Path) -> None:
    files = {"s.csv": "account_id,tenure,churned\n" + "".join(f"a{n},5,false\n" for n in range(9))}
    table = {"file": "s.csv", "shape": "tenure", "tenure_unit": "months"}
    source = {"tables": {"subscriptions": table}}
    own = write_company(tmp_path, files, source=source, extract_date="2025-01-31")
    answer = answered(own)
    assert answer["exit_code"] == 0, answer["stops"]
    assert answer["mrr"] is None
    said = "\n".join(saying.lines(answer, "Flat", "USD"))
    assert "MRR on that day" not in said
    subjects = {row["subject"] for row in answer["not_given"]}
    assert "accounts.segment" in subjects
    assert not subjects & {"usage", "subscriptions.notice_date", "subscriptions.term_ends_on"}
