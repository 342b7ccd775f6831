"""Account mergers: literal tables in, one account out, and every row accounted for."""

import pytest

from pipeline.data.reading import DataError
from pipeline.data.store import MissingDataError
from tests.stages.company import accounts_of, write_company

HEADER = "subscription_id,account_id,start_date,end_date,mrr,end_type\n"
DECLARED = {"source": {"merged_accounts": {"file": "mergers.csv", "from": "old", "into": "new"}}}


def company_of(root, mergers, rows, accounts="", **params):
    files = {
        "accounts.csv": accounts or accounts_of("A", "B", "C", "D"),
        "subscriptions.csv": HEADER + "\n".join(rows) + "\n",
        "mergers.csv": "old,new\n" + "\n".join(mergers) + "\n",
    }
    return write_company(root, files, **(DECLARED | {"extract_date": "2025-12-31"} | params))


def test_a_chain_of_mergers_ends_in_one_account_and_every_table_goes_with_it(tmp_path):
    rows = ["S1,A,2025-01-05,,100,", "S2,B,2025-01-05,,10,", "S3,C,2025-01-05,,1,"]
    company = company_of(tmp_path, ["A,B", "B,C"], rows).ingest()
    assert company.used("accounts")["account_id"].tolist() == ["C", "D"]
    assert company.used("subscriptions")["account_id"].tolist() == ["C", "C", "C"]
    assert company.aside("accounts") == {("merged", "merged_account"): 2}
    assert company.aside("subscriptions") == {("warning", "merged_account"): 2}


def test_a_customer_who_goes_on_under_another_account_is_no_loss_and_no_win(tmp_path):
    rows = ["S1,A,2025-01-05,2025-02-10,100,administrative", "S2,B,2025-02-10,,100,"]
    company = company_of(tmp_path, ["A,B"], rows, periods=["2025-02"]).run()
    book = company.table("2025-02", "mrr_ledger")
    assert book[["period", "account_id", "mrr_end", "movement"]].to_numpy().tolist() == [
        ["2025-01", "B", 100, "new"],
        ["2025-02", "B", 100, "retained"],
    ]
    spells = company.table("2025-02", "spells")
    assert spells["start_date"].dt.strftime("%Y-%m-%d").tolist() == ["2025-01-05"]


def test_the_account_signed_up_when_the_first_of_the_merged_ones_did(tmp_path):
    accounts = "account_id,signed_up_date\nA,2024-01-01\nB,2024-12-01\nC,2024-06-01\n"
    company = company_of(tmp_path, ["A,B"], ["S1,A,2024-02-01,,100,"], accounts).ingest()
    signed = company.used("accounts").set_index("account_id")["signed_up_date"]
    assert signed.dt.strftime("%Y-%m-%d").to_dict() == {"B": "2024-01-01", "C": "2024-06-01"}


@pytest.mark.parametrize(
    ("mergers", "message"),
    [
        (["A,B", "B,C", "C,A"], r"A into B into C into A \(mergers\.csv line 2\)"),
        (["A,A"], r"A into A \(mergers\.csv line 2\)"),
        (["A,B", "A,C"], r"mergers\.csv line 3: A is merged into C, but mergers\.csv line 2"),
        (["A,"], r"mergers\.csv line 2: a merger needs both accounts"),
        (["A,Z"], r"1 accounts go on as one that accounts does not have: A into Z"),
    ],
    ids=["a circle", "into itself", "two ways", "half a merger", "into nobody"],
)
def test_a_merger_that_leads_nowhere_stops_the_run_and_is_named(tmp_path, mergers, message):
    with pytest.raises(DataError, match=message):
        company_of(tmp_path, mergers, ["S1,A,2025-01-05,,100,"]).ingest()


def test_the_same_merger_twice_is_one_and_ids_are_spelled_by_the_policy(tmp_path):
    rows = ["S1,A,2025-01-05,,100,"]
    company = company_of(tmp_path, ["A,B", " A ,Ｂ"], rows).ingest()
    assert company.used("subscriptions")["account_id"].tolist() == ["B"]


def test_a_table_of_mergers_that_is_not_there_is_missing_data(tmp_path):
    files = {"accounts.csv": accounts_of("A"), "subscriptions.csv": HEADER}
    with pytest.raises(MissingDataError, match=r"mergers\.csv is not there"):
        write_company(tmp_path, files, **DECLARED).ingest()
