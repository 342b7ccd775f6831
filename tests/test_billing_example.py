"""The example of a billing database: read from a real server, it gives what its README says.

The rows are made here. Expected values are worked out by hand beside them.
"""

import re
import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from pipeline import settings
from pipeline.data import store
from pipeline.settings import Paths
from pipeline.stages import extract, ingest, snapshot, usage
from tests.postgres import Server
from tests.stages.company import Company

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "billing_postgres"
VARIABLE = "BILLING_DATABASE_URL"
PERIOD = "2025-03"
CANARY_MAIL = "canary@example.org"

PRICES = """
  ('basic', 'desk', 'Basic', 'usd', 4900, 'month', 1),
  ('basic_year', 'desk', 'Basic', 'usd', 47900, 'year', 1),
  ('quarterly', 'desk', 'Basic', 'usd', 14000, 'month', 3),
  ('weekly', 'desk', 'Basic', 'usd', 1000, 'week', 1),
  ('pro', 'desk', 'Pro', 'usd', 9900, 'month', 1), ('yen', 'desk', 'Basic', 'jpy', 4900, 'month', 1)
"""
CUSTOMERS = """
  ('c_year', 1735689600, true), ('c_seats', 1735689600, true), ('c_trial', 1735689600, true),
  ('c_left', 1735689600, true), ('c_failed', 1735689600, true), ('c_yen', 1735689600, true),
  ('c_quarter', 1735689600, true), ('c_week', 1735689600, true), ('c_test', 1735689600, false),
  ('c_never', 1735689600, true), ('c_night', 1735772400, true), ('c_trying', 1735689600, true)
"""
SUBSCRIPTIONS = """
  ('s_year', 'c_year', 'active', NULL, NULL, NULL, NULL),
  ('s_seats', 'c_seats', 'active', NULL, NULL, NULL, NULL),
  ('s_trial', 'c_trial', 'active', '2025-01-29 23:00+00', NULL, NULL, NULL),
  ('s_left', 'c_left', 'canceled', NULL, '2025-02-20 12:00+00', '2025-03-14 23:00+00',
   'cancellation_requested'),
  ('s_failed', 'c_failed', 'canceled', NULL, '2025-03-09 23:00+00', '2025-03-09 23:00+00',
   'payment_failed'),
  ('s_yen', 'c_yen', 'past_due', NULL, NULL, NULL, NULL),
  ('s_quarter', 'c_quarter', 'active', NULL, NULL, NULL, NULL),
  ('s_week', 'c_week', 'active', NULL, NULL, NULL, NULL),
  ('s_test', 'c_test', 'active', NULL, NULL, NULL, NULL),
  ('s_never', 'c_never', 'incomplete_expired', NULL, NULL, NULL, NULL),
  ('s_night', 'c_night', 'active', NULL, NULL, NULL, NULL),
  ('s_trying', 'c_trying', 'trialing', '2025-05-20 00:00+00', NULL, NULL, NULL)
"""
ITEMS = """
  ('i1', 's_year', 'basic_year', 2, '2025-01-01 10:00+00', NULL),
  ('i2', 's_seats', 'basic', 3, '2025-01-01 10:00+00', '2025-03-01 09:00+00'),
  ('i3', 's_seats', 'pro', 4, '2025-03-01 09:00+00', NULL),
  ('i4', 's_trial', 'basic', 1, '2025-01-15 10:00+00', NULL),
  ('i5', 's_left', 'pro', 1, '2025-01-01 10:00+00', '2025-03-14 23:00+00'),
  ('i6', 's_failed', 'basic', 1, '2025-01-01 10:00+00', '2025-03-09 23:00+00'),
  ('i7', 's_yen', 'yen', 1, '2025-01-01 10:00+00', NULL),
  ('i8', 's_quarter', 'quarterly', 1, '2025-01-01 10:00+00', NULL),
  ('i9', 's_week', 'weekly', 1, '2025-01-01 10:00+00', NULL),
  ('i10', 's_test', 'pro', 100, '2025-01-01 10:00+00', NULL),
  ('i11', 's_never', 'pro', 100, '2025-01-01 10:00+00', NULL),
  ('i12', 's_night', 'basic', 1, '2025-02-28 23:30+00', NULL),
  ('i13', 's_trying', 'basic', 1, '2025-04-20 10:00+00', NULL)
"""
MRR_AT_THE_END = {
    "c_year": "79.8333",     # 2 seats × 47,900 cents / 12 = 7,983.33 cents
    "c_seats": "396.0000",   # 4 × 99 after 3 × 49
    "c_trial": "49.0000",    # paid from Berlin's 30 January on
    "c_yen": "32.3400",      # 4,900 yen × 0.0066
    "c_quarter": "46.6667",  # 14,000 cents / 3 = 4,666.67
    "c_week": "43.3333",     # 1,000 cents × 52 / 12 = 4,333.33
    "c_night": "49.0000",    # 23:30 in UTC is the first of March in Berlin
}  # fmt: skip


@pytest.fixture(scope="module")
def example(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    root = tmp_path_factory.mktemp("billing")
    shutil.copy(EXAMPLE / "params.yaml", root)
    chosen = settings.load(root).model_copy(update={"periods": [PERIOD]})
    company = Company(root, chosen, Paths(root, chosen.company))
    with postgres.database() as name, pytest.MonkeyPatch.context() as patch:
        postgres.execute(name, *filled())
        patch.setenv(VARIABLE, postgres.address(name))
        extract.take(company.settings, company.paths)
        for stage in (ingest, usage, snapshot):
            stage.run(company.settings, company.paths)
        yield company


def filled() -> list[str]:
    """The statements that make the database and its rows."""
    return [
        (EXAMPLE / "schema.sql").read_text(encoding="utf-8"),
        "INSERT INTO billing.prices (id, product, nickname, currency, unit_amount, "
        f"recurring_interval, interval_count) VALUES {PRICES}",
        f"INSERT INTO billing.customers (id, created, livemode) VALUES {CUSTOMERS}",
        f"UPDATE billing.customers SET name = 'Firm ' || id, email = '{CANARY_MAIL}'",
        "INSERT INTO billing.subscriptions (id, customer, status, trial_end, canceled_at, "
        f"ended_at, cancellation_reason) VALUES {SUBSCRIPTIONS}",
        "INSERT INTO billing.subscription_items (id, subscription, price, quantity, started_at, "
        f"ended_at) VALUES {ITEMS}",
        "INSERT INTO billing.invoices VALUES "
        "('in1', 'c_seats', '2025-03-02', 'paid', 39600, 'usd'), "
        "('in2', 'c_yen', '2025-03-02', 'open', 4900, 'jpy')",
        "INSERT INTO billing.credit_notes VALUES "
        "('cn1', 'in1', 'c_seats', '2025-03-05', 1050, 'usd', 'duplicate'), "
        "('cn2', 'in2', 'c_yen', '2025-03-06', 490, 'jpy', 'order_change')",
        "INSERT INTO crm.companies VALUES ('c_year', 'large', 'bank', 'fair', NULL), "
        "('c_seats', 'small', 'shop', 'web', NULL)",
    ]


def test_every_price_becomes_its_monthly_amount_to_the_hundredth_of_a_cent(
    example: Company,
) -> None:
    ledger = store.read_parquet(
        example.paths.snapshot(settings.Period(PERIOD)) / "mrr_ledger.parquet"
    ).to_pylist()
    found = {
        row["account_id"]: row["mrr_end"]
        for row in ledger
        if row["period"] == PERIOD and row["mrr_end"]
    }
    assert found == {name: Decimal(amount) for name, amount in MRR_AT_THE_END.items()}


def test_leavers_leave_on_berlins_day_and_for_the_systems_reason(example: Company) -> None:
    spells = example.table(PERIOD, "spells").set_index("account_id")
    left = spells[spells["lapse_date"].notna()]
    facts = {
        name: (f"{row['lapse_date']:%Y-%m-%d}", row["end_type"]) for name, row in left.iterrows()
    }
    assert facts == {
        "c_left": ("2025-03-15", "voluntary"), "c_failed": ("2025-03-10", "involuntary"),
    }  # fmt: skip


def test_trials_test_customers_and_those_who_never_paid_are_no_customers_and_are_counted(
    example: Company,
) -> None:
    rows = example.table(PERIOD, "quality").set_index(["table", "rule", "kind"])["n"]
    assert rows[("accounts", "excluded_livemode", "excluded")] == 1
    assert rows[("subscriptions", "account_excluded", "excluded")] == 1
    assert rows[("subscriptions", "excluded_status", "excluded")] == 1
    typed = store.read_parquet(example.paths.ingest / "subscriptions.parquet").to_pylist()
    trials = {row["subscription_id"]: str(row["mrr"]) for row in typed if row["is_trial"]}
    assert trials == {"i4:trial": "0.0000", "i13:trial": "0.0000"}
    assert "i13:paid" not in {row["subscription_id"] for row in typed}


def test_billing_and_crm_feed_one_table_of_accounts(example: Company) -> None:
    typed = store.read_parquet(example.paths.ingest / "accounts.parquet").to_pylist()
    rows = {row["account_id"]: row for row in typed}
    facts = ("segment", "industry", "acquisition_channel", "name")
    assert [rows["c_year"][name] for name in facts] == ["large", "bank", "fair", "Firm c_year"]
    assert [rows["c_left"][name] for name in facts] == [None, None, None, "Firm c_left"]
    assert str(rows["c_night"]["signed_up_date"])[:10] == "2025-01-02"  # 23:00 in UTC


def test_credit_notes_are_adjustments_in_units_of_their_currency(example: Company) -> None:
    typed = store.read_parquet(example.paths.ingest / "adjustments.parquet").to_pylist()
    found = {
        row["adjustment_id"]: (row["kind"], str(row["amount"]), row["currency"]) for row in typed
    }
    assert found == {
        "cn1": ("refund", "10.5000", "USD"), "cn2": ("concession", "490.0000", "JPY"),
    }  # fmt: skip


def test_no_row_is_set_aside_and_no_address_leaves_the_database(example: Company) -> None:
    assert not list(example.paths.quarantine.glob("*.csv"))
    for path in example.root.rglob("*"):
        if path.is_file() and path.name != "params.yaml":
            assert CANARY_MAIL.encode() not in path.read_bytes(), path


def test_the_page_of_the_example_names_what_its_params_name() -> None:
    page = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    for word in (VARIABLE, "schema.sql", "livemode", "trial", "cents", "52 / 12", "lookup"):
        assert word in page, word
    assert not re.search(r"postgres(ql)?://\w+:\w{8,}@", page)
