"""A company with gaps of every length, through the real stages under any grace."""

from tests.stages.company import Company, accounts_of, write_company

HEADER = "subscription_id,account_id,start_date,end_date,mrr,end_type\n"
ROWS = [
    "S1,bridged,2024-01-10,2024-06-01,100,voluntary",
    "S2,bridged,2024-06-21,,100,",
    "S3,twice,2023-05-01,2024-02-01,50,involuntary",
    "S4,twice,2024-02-11,2024-04-01,60,",
    "S5,twice,2024-05-20,2024-08-01,60,completed",
    "S6,stays,2023-11-15,,80,",
    "S7,late,2024-03-01,2024-12-20,90,voluntary",
    "S8,late,2025-01-10,,90,",
    "S9,early,2023-02-01,2023-06-01,10,",
    "S10,early,2023-06-11,2024-09-01,10,voluntary",
    "S11,sixty,2024-01-01,2024-05-01,70,voluntary",
    "S12,sixty,2024-06-30,2024-11-15,70,voluntary",
    "S13,sixty-one,2024-01-01,2024-05-01,70,voluntary",
    "S14,sixty-one,2024-07-01,,70,",
]


def company_with(tmp_path, grace_days, period="2024-12", rows=ROWS) -> Company:
    names = sorted({row.split(",")[1] for row in rows})
    files = {
        "accounts.csv": accounts_of(*names, signed="2023-01-01"),
        "subscriptions.csv": HEADER + "\n".join(rows),
    }
    return write_company(
        tmp_path / str(grace_days), files, periods=[period], grace_days=grace_days,
        extract_date="2025-06-30", observation_start="2023-03-01",
    ).run()  # fmt: skip
