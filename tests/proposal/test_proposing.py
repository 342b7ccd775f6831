"""`lodestar init`: what is proposed can be read, is checked by a person, and overwrites nothing."""

import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from pipeline import checking
from pipeline import settings as configuration
from pipeline.data import store
from pipeline.data.store import MissingDataError
from pipeline.proposal import proposing, writing
from pipeline.settings import ParameterError, Paths, Settings, Simulate
from pipeline.stages import ingest
from pipeline.stages.simulate import simulate

ROOT = Path(__file__).parents[2]
DATASETS = ROOT / ".." / "shared" / "datasets"
SEED = 20261122

needs_datasets = pytest.mark.skipif(
    not DATASETS.is_dir(), reason="the shared data sets (../shared/datasets) are not here"
)

CUSTOMERS = """\
CustomerNo;Company Name;Customer Since;Sector
00017;Ödland GmbH;31.01.2024;Retail
00018;Bäckerei Süß;15.02.2024;Retail
00019;Müller AG;01.03.2024;Health
"""
CONTRACTS = """\
contract_no;CustomerNo;contract_start;cancelled_at;monthly_fee;billing_cycle;status_code
1;00017;31.01.2024;;1.250,50;monthly;A
2;00018;15.02.2024;31.12.9999;99,00;annual;A
3;00019;01.03.2024;30.06.2024;N/A;quarterly;C
"""


def exports(root: Path, files: dict[str, str], company: str = "acme") -> Path:
    folder = root / "data" / "raw" / company
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def placed(root: Path, **changed: object) -> tuple[Settings, Paths]:
    """The proposal in the place of params.yaml, with what a person changes by hand."""
    content = YAML().load((root / writing.FILE_NAME).read_text(encoding="utf-8"))
    content.update(changed)
    with (root / "params.yaml").open("w", encoding="utf-8") as file:
        YAML().dump(content, file)
    settings = configuration.load(root)
    return settings, Paths(root, settings.company)


def proposed(root: Path) -> dict:
    text = (root / writing.FILE_NAME).read_text(encoding="utf-8")
    return YAML(typ="safe", pure=True).load(text)


def test_a_foreign_export_is_mapped_by_names_and_by_what_its_cells_look_like(
    tmp_path: Path,
) -> None:
    exports(tmp_path, {"Kundenliste.csv": CUSTOMERS, "contracts_2024.csv": CONTRACTS})
    proposing.propose(tmp_path, None)
    tables = proposed(tmp_path)["source"]["tables"]
    assert tables["accounts"] == {
        "file": "Kundenliste.csv",
        "separator": ";",
        "date_format": "DD.MM.YYYY",
        "columns": {
            "account_id": "CustomerNo", "signed_up_date": "Customer Since",
            "name": "Company Name", "industry": "Sector",
        },
    }  # fmt: skip
    assert tables["subscriptions"] == {
        "file": "contracts_2024.csv",
        "separator": ";",
        "date_format": "DD.MM.YYYY",
        "decimal": ",",
        "thousands": ".",
        "null_values": ["N/A"],
        "open_ended": ["31.12.9999"],
        "columns": {
            "subscription_id": "contract_no", "account_id": "CustomerNo",
            "start_date": "contract_start", "mrr": "monthly_fee", "end_date": "cancelled_at",
            "billing_interval": "billing_cycle",
        },
        "values": {
            "billing_interval": {"monthly": "month", "annual": "year", "quarterly": "quarter"}
        },
    }  # fmt: skip


def test_a_proposal_once_placed_is_read_and_ids_keep_their_zeros(tmp_path: Path) -> None:
    contracts = CONTRACTS.replace("N/A", "10,00")
    exports(tmp_path, {"customers.csv": CUSTOMERS, "contracts.csv": contracts})
    proposing.propose(tmp_path, None)
    settings, paths = placed(tmp_path)
    ingest.run(settings, paths)
    rows = store.read_parquet(paths.ingest / "subscriptions.parquet").to_pandas()
    assert rows["account_id"].tolist() == ["00017", "00018", "00019"]
    assert [str(amount) for amount in rows["mrr"]] == ["1250.5000", "99.0000", "10.0000"]
    assert rows["end_date"].isna().tolist() == [True, True, False]


def test_an_order_of_day_and_month_that_cannot_be_told_is_a_doubt(tmp_path: Path) -> None:
    files = {
        "customers.csv": "customer_id,signup_date\na,01/02/2024\nb,03/04/2024\n",
        "subscriptions.csv": "subscription_id,customer_id,start_date,mrr\n1,a,01/02/2024,10\n",
    }
    exports(tmp_path, files)
    lines = proposing.propose(tmp_path, None)
    assert any("also fits MM/DD/YYYY" in line for line in lines)


def test_a_yearly_amount_and_a_day_of_change_are_never_taken_for_ours(tmp_path: Path) -> None:
    files = {
        "customers.csv": "customer_id,signup_date,updated_at\na,2024-01-01,2025-01-01\n",
        "subs.csv": "subscription_id,customer_id,start_date,arr,mrr_usd\n1,a,2024-01-01,120,10\n",
    }
    exports(tmp_path, files)
    proposing.propose(tmp_path, None)
    content = proposed(tmp_path)
    assert content["source"]["tables"]["subscriptions"]["columns"]["mrr"] == "mrr_usd"
    assert "recorded_at" not in content["source"]["tables"]["accounts"]["columns"]
    assert content["currency"] == "USD"


def test_files_of_one_table_that_differ_in_their_month_are_one_pattern(tmp_path: Path) -> None:
    files = {"customers.csv": CUSTOMERS, "contracts.csv": CONTRACTS}
    for month in ("2024-01", "2024-02"):
        files[f"usage_{month}.csv"] = f"event_id,CustomerNo,event_time,event\n1,a,{month}-03,x\n"
    exports(tmp_path, files)
    proposing.propose(tmp_path, None)
    assert proposed(tmp_path)["source"]["tables"]["usage"]["file"] == "usage_*.csv"


def test_a_ledger_alone_is_mapped_as_the_shape_it_has(tmp_path: Path) -> None:
    rows = "".join(f"a{n},2024-{month:02d},{n * 10}.50\n" for n in (1, 2) for month in (1, 2, 3))
    exports(tmp_path, {"mrr.csv": f"customer_id,month,monthly_revenue\n{rows}"})
    proposing.propose(tmp_path, None)
    tables = proposed(tmp_path)["source"]["tables"]
    assert tables["subscriptions"]["shape"] == "monthly"
    assert tables["subscriptions"]["columns"] == {
        "account_id": "customer_id", "period": "month", "mrr": "monthly_revenue",
    }  # fmt: skip
    settings, paths = placed(tmp_path)
    ingest.run(settings, paths)
    assert (paths.ingest / "subscriptions.parquet").is_file()


def test_a_list_of_changes_and_a_ledger_of_first_days_are_told_by_their_columns(
    tmp_path: Path,
) -> None:
    rows = "".join(f"a{n},2024-0{month}-01,{n}\n" for n in (1, 2, 3) for month in (1, 2, 3))
    for company, header, shape in (
        ("ledger", "CustomerId,Month,MRR", "monthly"),
        ("moves", "account_id,change_date,new_mrr", "changes"),
    ):
        root = tmp_path / company
        exports(root, {"export.csv": f"{header}\n{rows}"})
        proposing.propose(root, None)
        assert proposed(root)["source"]["tables"]["subscriptions"]["shape"] == shape


def telecom(n: int = 200) -> str:
    """A flat file as telecom companies pass on: tenure in months, a flag of churn, no date."""
    draw = np.random.default_rng(SEED)
    rows = pd.DataFrame(
        {
            "customerID": [f"{number:04d}-ABCD" for number in range(n)],
            "gender": draw.choice(["Female", "Male"], n),
            "tenure": draw.integers(0, 73, n),
            "Contract": draw.choice(["Month-to-month", "One year", "Two year"], n),
            "MonthlyCharges": draw.uniform(18, 119, n).round(2),
            "TotalCharges": draw.uniform(18, 8000, n).round(2),
            "Churn": draw.choice(["Yes", "No"], n),
        }
    )
    return rows.to_csv(index=False)


def test_a_flat_telecom_file_is_mapped_as_tenures_with_its_groups_offered(tmp_path: Path) -> None:
    exports(tmp_path, {"Telco-Customer-Churn.csv": telecom()})
    proposing.propose(tmp_path, None)
    told = proposed(tmp_path)["source"]["tables"]["subscriptions"]
    assert told["shape"] == "tenure"
    assert told["tenure_unit"] == "months"
    assert told["columns"] == {
        "account_id": "customerID", "churned": "Churn", "mrr": "MonthlyCharges",
    }  # fmt: skip
    text = (tmp_path / writing.FILE_NAME).read_text(encoding="utf-8")
    assert "#   contract: {column: Contract, type: category, known: at_extract}" in text
    settings, paths = placed(tmp_path, extract_date="2026-10-31")
    ingest.run(settings, paths)
    assert len(store.read_parquet(paths.ingest / "subscriptions.parquet")) > 0


FOREIGN = {
    "accounts": (
        "kunden.csv",
        {"account_id": "client_id", "signed_up_date": "customer_since", "name": "client_name",
         "acquisition_channel": "lead_source", "touch_model": "service_model",
         "acquisition_cost": "cac", "csm_id": "account_manager"},
    ),
    "subscriptions": (
        "contracts.csv",
        {"subscription_id": "contract_id", "account_id": "client_id", "start_date": "starts_on",
         "end_date": "ended_on", "mrr": "monthly_amount", "term_ends_on": "renewal_date",
         "billing_interval": "billing_frequency", "end_reason": "cancellation_reason"},
    ),
    "tickets": (
        "support_cases.csv",
        {"ticket_id": "case_id", "account_id": "client_id", "opened_at": "submitted_at",
         "resolved_at": "closed_at", "severity": "priority"},
    ),
    "milestones": (
        "onboarding.csv",
        {"account_id": "client_id", "milestone": "milestone_name", "reached_at": "completed_at"},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The raw tables of a small sample company."""
    folder = tmp_path_factory.mktemp("sample")
    simulate(Simulate(seed=SEED, accounts=80, months=18), folder)
    return folder


def test_the_sample_company_under_foreign_names_is_mapped_back_to_ours(
    tmp_path: Path, sample: Path
) -> None:
    folder = exports(tmp_path, {})
    for table, (name, renamed) in FOREIGN.items():
        rows = pd.read_csv(sample / f"{table}.csv", dtype=str, keep_default_na=False)
        rows.rename(columns=renamed).to_csv(folder / name, index=False)
    proposing.propose(tmp_path, None)
    tables = proposed(tmp_path)["source"]["tables"]
    assert sorted(tables) == sorted(FOREIGN)
    for table, (name, renamed) in FOREIGN.items():
        assert tables[table]["file"] == name
        assert tables[table]["columns"] == renamed
    planted = {"max_share_of_rows": 0.5, "max_share_of_mrr": 0.5, "level_shift_stops_above": None}
    settings, paths = placed(tmp_path, quarantine=planted)
    answer = checking.check(settings, paths)
    assert answer["exit_code"] == 0
    assert sorted(row["table"] for row in answer["tables"]) == sorted(FOREIGN)


@needs_datasets
def test_ravenstack_passes_the_check_as_it_is_proposed_without_an_edit(tmp_path: Path) -> None:
    folder = exports(tmp_path, {}, "ravenstack")
    for path in (DATASETS / "ravenstack").glob("*.csv"):
        shutil.copy(path, folder)
    proposing.propose(tmp_path, None)
    settings, paths = placed(tmp_path)
    ours = configuration.load(ROOT / "examples" / "ravenstack").source.tables
    for name, table in settings.source.tables.items():
        by_hand = {key: theirs for key, theirs in ours[name].columns.items()}
        assert {key: table.columns.get(key) for key in by_hand} == by_hand
        assert table.lookup == ours[name].lookup
    answer = checking.check(settings, paths)
    assert (answer["exit_code"], answer["mrr"]) == (0, 10_159_608.0)
    rows = {row["table"]: row["rows"] for row in answer["tables"]}
    assert rows == {"accounts": 500, "subscriptions": 5000, "usage": 25000, "tickets": 2000}


@needs_datasets
def test_a_flat_file_without_ids_is_proposed_with_the_row_as_its_account(tmp_path: Path) -> None:
    folder = exports(tmp_path, {}, "saas")
    shutil.copy(DATASETS / "pysurvival_saas" / "churn.csv", folder)
    proposing.propose(tmp_path, None)
    told = proposed(tmp_path)["source"]["tables"]["subscriptions"]
    assert told["columns"] == {"account_id": "row", "tenure": "months_active"}
    assert (told["shape"], told["tenure_unit"]) == ("tenure", "months")
    settings, paths = placed(tmp_path, extract_date="2026-10-31")
    ingest.run(settings, paths)
    assert len(store.read_parquet(paths.ingest / "accounts.parquet")) == 2000


def test_a_database_is_proposed_from_its_tables_and_its_address_stays_where_it_is(
    tmp_path: Path,
) -> None:
    folder = exports(tmp_path, {})
    with sqlite3.connect(folder / "crm.sqlite") as crm:
        crm.execute("CREATE TABLE customers (customer_id TEXT, created_at TEXT, sector TEXT)")
        crm.execute("INSERT INTO customers VALUES ('a', '2024-01-31', 'retail')")
        crm.execute(
            "CREATE TABLE contracts (contract_id TEXT, customer_id TEXT, starts_on TEXT,"
            " ended_on TEXT, monthly_fee TEXT)"
        )
        crm.execute("INSERT INTO contracts VALUES ('1', 'a', '2024-02-01', NULL, '10.50')")
    crm.close()
    declared = {"database": {"backend": "sqlite", "file": "crm.sqlite"}}
    content = {"company": "acme", "company_name": "Acme", "periods": [], "source": declared}
    with (tmp_path / "params.yaml").open("w", encoding="utf-8") as file:
        YAML().dump(content, file)
    proposing.propose(tmp_path, None, of_database=True)
    source = proposed(tmp_path)["source"]
    assert source["database"] == declared["database"]
    assert source["tables"]["accounts"]["table"] == "customers"
    settings, paths = placed(tmp_path)
    answer = checking.check(settings, paths)
    assert (answer["exit_code"], answer["mrr"]) == (0, 10.5)


# Nonsense, and what is not done.


def test_however_broken_an_export_is_the_rest_is_proposed_and_loads(tmp_path: Path) -> None:
    draw = np.random.default_rng(SEED)
    for number in range(60):
        bad = bytearray((CUSTOMERS + CONTRACTS).encode())
        for place in draw.integers(0, len(bad), 12):
            bad[place] = draw.integers(0, 256)
        root = tmp_path / str(number)
        folder = exports(root, {"contracts.csv": CONTRACTS})
        (folder / "customers.csv").write_bytes(bytes(bad))
        proposing.propose(root, None)
        settings = configuration.parse(proposed(root))
        assert settings.source.tables["subscriptions"].file == "contracts.csv"


def test_an_empty_folder_and_one_of_nonsense_say_what_is_needed_and_write_nothing(
    tmp_path: Path,
) -> None:
    with pytest.raises(MissingDataError, match="There are no exports"):
        proposing.propose(tmp_path, None)
    folder = exports(tmp_path, {"wide.csv": ",".join(f"f{n}" for n in range(500)) + "\n"})
    (folder / "noise.csv").write_bytes(np.random.default_rng(SEED).bytes(5000))
    with pytest.raises(MissingDataError, match=r"wide\.csv: none of our tables"):
        proposing.propose(tmp_path, None)
    assert not (tmp_path / writing.FILE_NAME).exists()


def test_required_columns_that_nothing_looks_like_are_named(tmp_path: Path) -> None:
    files = {"customers.csv": CUSTOMERS, "contracts.csv": "contract_no,CustomerNo,start,fee\n"}
    exports(tmp_path, files)
    lines = "\n".join(proposing.propose(tmp_path, None))
    assert "nothing looks like mrr" in lines
    assert "A required table is not found or not whole" in lines


def test_a_proposal_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    exports(tmp_path, {"customers.csv": CUSTOMERS, "contracts.csv": CONTRACTS})
    (tmp_path / writing.FILE_NAME).write_text("mine\n", encoding="utf-8")
    with pytest.raises(ParameterError, match="is there already"):
        proposing.propose(tmp_path, None)
    assert (tmp_path / writing.FILE_NAME).read_text(encoding="utf-8") == "mine\n"


def test_nothing_but_the_proposal_is_written_and_no_export_is_copied(tmp_path: Path) -> None:
    elsewhere = tmp_path / "Down loads"
    elsewhere.mkdir()
    (elsewhere / "customers.csv").write_text(CUSTOMERS, encoding="utf-8")
    (elsewhere / "contracts.csv").write_text(CONTRACTS, encoding="utf-8")
    root = tmp_path / "root"
    root.mkdir()
    lines = "\n".join(proposing.propose(root, elsewhere))
    assert [path.name for path in root.rglob("*")] == [writing.FILE_NAME]
    assert proposed(root)["company"] == "down-loads"
    assert "nothing was copied" in lines


def test_of_two_companies_one_must_be_named_here_or_in_params(tmp_path: Path) -> None:
    exports(tmp_path, {"customers.csv": CUSTOMERS}, "acme")
    exports(tmp_path, {"customers.csv": CUSTOMERS}, "zeta")
    with pytest.raises(ParameterError, match="acme, zeta"):
        proposing.propose(tmp_path, None)
    named = "company: zeta\ncompany_name: Zeta\nperiods: []\n"
    (tmp_path / "params.yaml").write_text(named, encoding="utf-8")
    proposing.propose(tmp_path, None)
    assert proposed(tmp_path)["company"] == "zeta"


def test_words_of_an_export_cannot_write_a_setting(tmp_path: Path) -> None:
    """Names of files and columns are hostile text: they stay inside quotes and comments."""
    evil = "x'\": [1] # {y}\u2028engine: spark"
    header = f'"customer_id","signup_date","{evil.replace(chr(34), chr(34) * 2)}"'
    customers = header + "\na,2024-01-01,p\nb,2024-01-02,q\n"
    contracts = CONTRACTS.replace("status_code", "a\tb: c")
    exports(tmp_path, {"custo: mers #1.csv": customers, "contracts.csv": contracts})
    proposing.propose(tmp_path, None)
    settings, _ = placed(tmp_path)
    assert settings.engine == "duckdb"
    assert settings.source.tables["accounts"].file == "custo: mers #1.csv"
