"""Both engines give the same: cells as they are read, and the tables of two companies to the byte.

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
from ruamel.yaml import YAML

from pipeline.data import engine, store
from pipeline.settings import ConfigurationError
from pipeline.stages import cells, twice
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
PARAMS = Path(__file__).parents[2] / "params.yaml"
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
    """The sample company as it is shipped, at its newest period."""
    shipped = YAML().load(PARAMS.read_text(encoding="utf-8"))
    newest = {"engine": name, "periods": shipped["periods"][-1:]}
    company = write_company(root, {}, **(shipped | newest))
    simulate(company.settings.simulate, company.paths.raw, company.settings.currency)
    return company


def test_the_sample_company_has_the_same_tables_on_both_engines(tmp_path: Path) -> None:
    on = {name: sample_company(tmp_path / name, name).run() for name in ENGINES}
    assert len(files_of(on["duckdb"])) > 100
    assert len(on["duckdb"].quarantine("usage")) > 0
    assert other_on(on["duckdb"], on["pyspark"]) == []


FILES = {
    "accounts.csv": """
        account_id,signed_up_date,segment
        A,2024-01-01,small
        B,2024-02-30,small
        B,2024-02-03,large
         C ,2024-03-05,
        D,2024-03-05,large
        """,
    "subscriptions.csv": """
        subscription_id;account_id;start_date;end_date;mrr;currency;is_trial;notice_date;recorded_at
        s1;A;05.01.2024;01.06.2024;1.010,50;EUR;false;;2024-01-05 10:00
        s2;A;20.06.2024;;99,99;EUR;False;;2024-06-20T08:30:00Z
        s3;B;03.02.2024;01.12.2024;33,335;;;15.10.2024;2024-02-03 00:00
        s4;B;15.12.2024;;70;JPY;no;;2024-12-15 00:00
        s5;C;05.03.2024;10.10.2024;1234,5678;USD;;;2024-03-05 00:00
        s5;C;05.03.2024;10.11.2024;1234,5678;USD;;;2024-11-20 00:00
        s6;D;05.03.2024;05.03.2024;10;EUR;;;2024-03-05 00:00
        s7;D;06.03.2024;;12,34,56;EUR;;;2024-03-05 00:00
        s8;D;06.03.2024;;7,123456;EUR;vf;;2024-03-05 00:00
        s9;D;06.03.2024;;7,123456;EUR;;;2024-03-05 00:00
        """,
    "usage.csv": """
        usage_id,account_id,occurred_at,feature,user_id,recorded_at
        e1,A,2024-03-31 02:30,export,u1,2024-03-31 12:00
        e1,A,2024-03-31T02:30:00,export,u1,2024-03-31 12:00
        e2,A,2024-10-27 02:30,export,u2,2024-10-27 12:00
        e2,A,2024-10-27T00:30:00Z,export,u2,2024-12-27 12:00
        e3,A,2024-06-10 10:00,search,u2,2024-06-10 12:00
        e4,A,2024-06-11 10:00,search,u2,2024-06-11 12:00
        e4,A,2024-06-12 10:00,search,u2,2024-06-13 12:00
        e5,B,2024-12-05 23:59:59.999999,search,,2024-12-06 12:00
        e6,B,2024-12-05T23:59:59.1234567+02:30,search,,2024-12-06 12:00
        e7,C,2023-12-05 10:00,search,,2024-12-06 12:00
        e8,Z,2024-12-05 10:00,search,,2024-12-06 12:00
        e9,D,soon,search,,2024-12-06 12:00
        ,B,2024-06-14 10:00,search,u3,2024-06-14 12:00
        ,B,2024-06-15 10:00,search,u3,2024-06-15 12:00
        """,
    "surveys.csv": """
        response_id,account_id,kind,sent_at,responded_at,score
        r1,A,nps,2024-09-01,2024-09-02,10
        r2,A,nps,2024-11-01,2024-11-02,3
        r3,B,nps,2024-11-01,,
        r4,B,nps,2024-11-01,2024-11-05,11
        """,
    "milestones.csv": """
        account_id,milestone,reached_at
        A,first_value,2024-02-01
        B,first_value,2024-05-31
        """,
}
LAYOUT = {
    "subscriptions": {
        "separator": ";",
        "decimal": ",",
        "thousands": ".",
        "date_format": {name: "%d.%m.%Y" for name in ("start_date", "end_date", "notice_date")},
        "timezone": "Europe/Berlin",
    },
    "usage": {"timezone": "Europe/Berlin"},
}


def foreign_company(root: Path, name: str) -> Company:
    """Written by hand: clocks set back, three currencies, versions, cells of every kind of bad."""
    return write_company(
        root,
        FILES,
        engine=name,
        periods=["2024-11"],
        timezone="America/New_York",
        currency="EUR",
        fx={
            code: {f"202{year}-{month:02d}": rate for year in (3, 4, 5) for month in range(1, 13)}
            for code, rate in {"USD": 0.92315, "JPY": 0.0061}.items()
        },
        source={"tables": LAYOUT, "daylight_saving": {"gap": "quarantine", "overlap": "earlier"}},
        quarantine=ROWS,
    )


def test_clocks_currencies_and_bad_cells_are_judged_alike_on_both_engines(tmp_path: Path) -> None:
    on = {name: foreign_company(tmp_path / name, name).run() for name in ENGINES}
    assert len(on["duckdb"].quarantine("usage")) > 2
    named = store.read_parquet(on["pyspark"].paths.ingest / twice.USAGE_TWICE)
    assert "e4" in named["usage_id"].to_pylist()
    assert other_on(on["duckdb"], on["pyspark"]) == []


WRITTEN = [
    "", " x ", "\tFalse\n", "vf", "T", "0", "1.0", "1.50", "-3", "+3", "1e3", "12,5", "1.234,56",
    "1\u00a0234", "0.00005", "-1.00005", "99999999999999.99995", "9223372036854775808", "1\n2",
    "2026-02-30", "2026-2-3", "9999-12-31", "2024-02-29", "2026-01", "31-12-2026", "31-02-2026",
    "2026-01-31T10:00", "2026-01-31T10:00:00.123456789", "2026-01-31 25:00",
    "2026-01-31T24:00:00", "2026-01-31 24:00", "2026-01-31T24:00Z", "2026-01-31T24:00+02:00",
    "2026-02-30 24:00", "2026-10-24 24:00", "2026-10-24T24:00Z", "2026-10-25 24:00:00",
    "2026-10-25T24:00Z", "2026-01-31T24:00:00.5", "2026-01-31T24:01",
    "2026-01-31T10:00Z", "2026-01-31T10:00+19:00",
    "2026-01-31T10:00:00+0230", "2026-01-31T10:00:00-02:30", "2026-03-29 02:30",
    "2026-03-29T01:30Z", "2026-10-25 02:30:00.5", "2026-10-25 01:59:59", "2026-10-25T00:30:00Z",
    "2026-04-05 01:45", "2026-01-31T10:00:59", "2026-02-30 10:00:00", "2026-03-29 02:30:00",
]  # fmt: skip


def read_on(name: str) -> pa.Table:
    """Every cell by every kind, as one engine reads it in Berlin."""
    with engine.connect("Europe/Berlin", name) as backend:
        places = list(range(len(WRITTEN)))
        rows = backend.create_table("cells", pa.table({"place": places, "text": WRITTEN}))
        text = rows.text
        values = {kind: cells.typed(text, kind) for kind in ("text", *cells.KIND_WORDS)}
        values["comma"] = cells.typed(text, "money", decimal=",", thousands=".")
        values["steady"] = cells.typed(text, "instant", is_steady=True)
        values["declared"] = cells.typed(text, "day", "%d-%m-%Y")
        for zone in ("Europe/Berlin", "Australia/Lord_Howe", "UTC"):
            values[f"in {zone}"] = cells.typed(text, "instant", zone=zone)
            values[f"earlier {zone}"] = cells.earlier(text, None, zone)
            marks = cells.clock_marks(text, None, zone)
            values |= {f"skipped {zone}": marks[0], f"twice {zone}": marks[1]}
        return rows.select("place", **values).order_by("place").to_pyarrow()


def test_every_cell_is_read_alike_on_both_engines() -> None:
    on = {name: read_on(name) for name in ENGINES}
    assert on["pyspark"].schema == on["duckdb"].schema
    differing = [
        (column, WRITTEN[place], left, right)
        for column in on["duckdb"].column_names
        for place, (left, right) in enumerate(
            zip(on["duckdb"][column], on["pyspark"][column], strict=True)
        )
        if left != right
    ]
    assert differing == []


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
