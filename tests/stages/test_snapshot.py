"""The snapshot holds few account-months at a time: they outgrow memory before anything else."""

import os
import subprocess
import sys
from pathlib import Path

from pipeline.data import store
from pipeline.settings import Period
from tests.stages.company import accounts_of, write_company

HOUSE = Path(__file__).parents[2]
ACCOUNTS, MONTHS, ROOM_MB = 20_000, 48, 1400
"""Account-months of so many took more than the room when a snapshot held them whole."""
OF_ARROW = {"ARROW_DEFAULT_MEMORY_POOL": "system"}
"""Its own pool takes room in the address space that it does not fill."""
CHILD = """
import os, resource, sys
from pathlib import Path
from pipeline import settings
from pipeline.stages import snapshot
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
root = Path(sys.argv[1])
read = settings.load(root)
pages = int(Path("/proc/self/statm").read_text().split()[0])
most = pages * resource.getpagesize() + int(sys.argv[2]) * 2**20
resource.setrlimit(resource.RLIMIT_AS, (most, most))
snapshot.MEGABYTES_OF_A_THREAD = 250
snapshot.run(read, settings.Paths(root, read.company))
"""


def test_account_months_that_memory_does_not_hold_become_a_snapshot(tmp_path):
    names = [f"A{number:05d}" for number in range(ACCOUNTS)]
    lines = "".join(f"S{name},{name},2021-01-01,,100\n" for name in names)
    files = {
        "accounts.csv": accounts_of(*names, signed="2021-01-01"),
        "subscriptions.csv": f"subscription_id,account_id,start_date,end_date,mrr\n{lines}",
    }
    company = write_company(tmp_path, files, extract_date="2025-02-05")
    company.ingest()

    found = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path), str(ROOM_MB)],
        env=os.environ | {"PYTHONPATH": str(HOUSE)} | OF_ARROW,
        capture_output=True,
        text=True,
        check=False,
    )

    assert found.returncode == 0, found.stderr[-2000:]
    written = company.paths.snapshot(Period("2025-01")) / "account_months.parquet"
    assert store.parquet_size(written)[0] == ACCOUNTS * (MONTHS + 1)
