"""How does a chapter fare with a million accounts? A company of any size, made from a small one.

Reads the snapshot folder of one period; makes another with each account in as many copies as are
asked for, under new ids, its spells, months and returns with it. DuckDB reads, copies and sorts on
disk and the store seals, so that a million accounts need neither the simulation nor much memory.
The subtle point: copies are ties. They say what a size costs; intervals on them are too narrow.
"""

from __future__ import annotations

import math
import shutil
import tempfile
from pathlib import Path

import pyarrow as pa
from ibis.backends.duckdb import Backend
from ruamel.yaml import YAML

from pipeline.data import engine, store
from pipeline.data import slice as slices
from pipeline.data.schema import SNAPSHOT
from pipeline.settings import Paths, Period

ACCOUNT = "account_id"
COUNTED = {
    "exclusions": ("n_before", "n_after", "mrr_affected"),
    "quality": ("n", "n_of", "n_accounts", "mrr_affected"),
}
"""Tables about rows: what they count grows with the company."""
MEMORY = "800MB"
BATCH_ROWS = 122_880
LAID_OUT = ("params.yaml", "notebooks")


def scaled(snapshot: Path, copies: int, place: Path) -> None:
    """Write a snapshot in which each account of another stands `copies` times."""
    accounts, _ = store.parquet_size(snapshot / "accounts.parquet")
    sized(snapshot, accounts * copies, place)


def sized(snapshot: Path, accounts: int, place: Path) -> None:
    """Write a snapshot of exactly so many accounts: whole copies, then a part of the accounts.

    Which accounts the part holds depends on their ids alone, so a larger company contains a
    smaller one.
    """
    have, _ = store.parquet_size(snapshot / "accounts.parquet")
    copies = math.ceil(accounts / have)
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as spill, engine.connect() as backend:
        backend.con.execute(f"SET memory_limit = '{MEMORY}'")
        backend.con.execute("SET temp_directory = ?", [spill])
        _number(backend, snapshot)
        for path in sorted(snapshot.glob("*.parquet")):
            rows = backend.read_parquet(path, table_name=path.stem)
            if ACCOUNT in rows.columns:
                query = _copied(path.stem, have, copies, accounts)
            else:
                query = _counted(path.stem, accounts / have)
            _write(backend, query, place / path.name)
    store.write_bytes((snapshot / slices.FILE_NAME).read_bytes(), place / slices.FILE_NAME)


def _number(backend: Backend, snapshot: Path) -> None:
    """A place for each account in an order that has nothing to do with its life."""
    backend.read_parquet(snapshot / "accounts.parquet", table_name="source")
    backend.con.execute(
        f"CREATE TEMP TABLE places AS SELECT {ACCOUNT}, "
        f"row_number() OVER (ORDER BY md5({ACCOUNT}), {ACCOUNT}) - 1 AS place FROM source"
    )


def _copied(name: str, have: int, copies: int, accounts: int) -> str:
    digits = len(str(copies - 1))
    new_id = f"{ACCOUNT} || '-' || lpad(CAST(copy AS VARCHAR), {digits}, '0') AS {ACCOUNT}"
    return (
        f"SELECT rows.* EXCLUDE (copy, place) REPLACE ({new_id}) FROM (SELECT * FROM {name} "
        f"JOIN places USING ({ACCOUNT}) CROSS JOIN range({copies}) AS copies(copy)) AS rows "
        f"WHERE place + copy * {have} < {accounts} ORDER BY {_key(name)}"
    )


def _counted(name: str, times: float) -> str:
    """The same rows; what they count, times so many."""
    grown = ", ".join(
        f"CAST(round(CAST({column} AS DOUBLE) * {times!r}) AS {kind}) AS {column}"
        for column in COUNTED.get(name, ())
        for kind in ["DECIMAL(18, 4)" if column == "mrr_affected" else "BIGINT"]
    )
    replaced = f"REPLACE ({grown})" if grown else ""
    return f"SELECT * {replaced} FROM {name} ORDER BY {_key(name)}"


def _key(name: str) -> str:
    return ", ".join(f'"{column}"' for column in SNAPSHOT[name].key)


def _write(backend: Backend, query: str, path: Path) -> None:
    batches = backend.con.execute(query).to_arrow_reader(BATCH_ROWS)
    with store.appending(path) as append:
        append(batches.schema.empty_table())
        for batch in batches:
            append(pa.Table.from_batches([batch]))


def root_of(snapshot: Path, accounts: int, place: Path, project: Path) -> Path:
    """A root whose one period has so many accounts, with the notebooks of a project.

    Args:
        snapshot: folder of one period, named for it.
        accounts: how many.
        place: the root.
        project: where params.yaml and the notebooks come from.

    Returns:
        The root.
    """
    lay_out(place, project, snapshot.name)
    sized(snapshot, accounts, Paths(place, "").snapshot(Period(snapshot.name)))
    return place


def lay_out(place: Path, project: Path, period: str) -> None:
    """Give a root the notebooks and choices of a project as they are now, for one period."""
    for name in LAID_OUT:
        if (project / name).is_dir():
            left_out = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
            shutil.rmtree(place / name, ignore_errors=True)
            shutil.copytree(project / name, place / name, ignore=left_out)
        else:
            store.write_bytes((project / name).read_bytes(), place / name)
    _keep_period(place / "params.yaml", period)


def _keep_period(params: Path, period: str) -> None:
    yaml = YAML()
    choices = yaml.load(params.read_text(encoding="utf-8"))
    choices["periods"] = [period]
    with params.open("w", encoding="utf-8") as text:
        yaml.dump(choices, text)
