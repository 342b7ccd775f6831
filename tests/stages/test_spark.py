"""Both engines give the same tables of a small sample company, to the byte.

One Spark serves the whole module. The subtle point: bytes are compared, so that a type, an order
or a rounding which only one engine has is found too.
"""

from __future__ import annotations

import filecmp
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.data import engine
from pipeline.settings import ConfigurationError
from pipeline.stages.simulate import simulate
from tests.stages.company import Company, write_company

pytest.importorskip("pyspark", reason="pyspark is not installed; `make spark` installs it")
if shutil.which("java") is None:
    pytest.skip("java is not installed", allow_module_level=True)

from pipeline.data import spark

pytestmark = [
    pytest.mark.timeout(1200),
    # py4j leaves its sockets to the collector
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
ENGINES = ("duckdb", "pyspark")
ROWS = {"max_share_of_rows": 0.9, "max_share_of_mrr": 0.9, "level_shift_stops_above": None}


@pytest.fixture(scope="module", autouse=True)
def two_cores() -> Iterator[None]:
    """Spark on two cores of this machine, ended with the module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(spark.ON_THIS_MACHINE, "spark.master", "local[2]")
        yield
        spark.stop()


def files_of(company: Company) -> dict[str, Path]:
    """What the stages wrote, by its path below the root."""
    root = company.root
    places = (company.paths.processed, company.paths.quarantine)
    found = [path for place in places for path in place.rglob("*") if path.is_file()]
    return {path.relative_to(root).as_posix(): path for path in found}


def other_on(left: Company, right: Company) -> list[str]:
    """Files that only one company has, or whose bytes differ."""
    ours, theirs = files_of(left), files_of(right)
    both = ours.keys() & theirs.keys()
    differing = [name for name in both if not filecmp.cmp(ours[name], theirs[name], shallow=False)]
    return sorted([*(ours.keys() ^ theirs.keys()), *differing])


def sample_company(root: Path, name: str) -> Company:
    """A few of the sample's accounts, with its planted bad rows, late events and outage."""
    drawn = {"accounts": 60, "start": "2025-05-01", "months": 18, "seed": 5}
    company = write_company(
        root,
        {},
        engine=name,
        company="sample",
        periods=["2026-10"],
        observation_start="2025-05-01",
        simulate=drawn,
        quarantine=ROWS,
    )
    simulate(company.settings.simulate, company.paths.raw, company.settings.currency)
    return company


def test_the_sample_company_has_the_same_tables_on_both_engines(tmp_path: Path) -> None:
    on = {name: sample_company(tmp_path / name, name).run() for name in ENGINES}
    assert len(files_of(on["duckdb"])) > 40
    assert len(on["duckdb"].quarantine("usage")) > 0
    assert other_on(on["duckdb"], on["pyspark"]) == []


def test_a_table_that_is_kept_is_computed_once(tmp_path: Path) -> None:
    with engine.connect("UTC", "pyspark") as backend:
        rows = backend.create_table("rows", pa.table({"n": [1, 2]}))
        kept = engine.keep(backend, rows.mutate(n=rows.n + 1), "rows")
        again = engine.keep(backend, kept.mutate(n=kept.n + 1), "rows")
        assert again.order_by("n").to_pyarrow()["n"].to_pylist() == [3, 4]


def test_an_engine_without_java_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "")
    spark.stop()
    with (
        pytest.raises(ConfigurationError, match="openjdk-17-jre-headless"),
        engine.connect("UTC", "pyspark"),
    ):
        pass
