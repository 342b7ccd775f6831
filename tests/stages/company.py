"""A company written out by hand: raw files and params in, stages run, tables out."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from ruamel.yaml import YAML

from pipeline import settings
from pipeline.data import store
from pipeline.settings import Paths, Settings
from pipeline.stages import ingest, snapshot, usage


@dataclass(frozen=True)
class Company:
    """A root folder with params.yaml and raw files."""

    root: Path
    settings: Settings
    paths: Paths

    def run(self) -> Company:
        """Ingest, usage and snapshot."""
        ingest.run(self.settings, self.paths)
        usage.run(self.settings, self.paths)
        snapshot.run(self.settings, self.paths)
        return self

    def ingest(self) -> Company:
        """Ingest alone."""
        ingest.run(self.settings, self.paths)
        return self

    def used(self, table: str) -> pd.DataFrame:
        """The typed rows of a raw table that nothing set aside, in the order of their lines."""
        rows = store.read_frame(self.paths.ingest / f"{table}.parquet")
        return rows.sort_values(["source_file", "source_line"], ignore_index=True)

    def aside(self, table: str) -> dict[tuple[str, str], int]:
        """How many rows of a raw table each rule touched, by kind and rule."""
        touched = store.read_frame(self.paths.ingest / "touched.parquet")
        own = touched[touched["table"] == table]
        return own.groupby(["kind", "rule"]).size().to_dict()

    def table(self, period: str, name: str) -> pd.DataFrame:
        """A snapshot table for analysis."""
        return store.read_frame(self.paths.snapshot(settings.Period(period)) / f"{name}.parquet")

    def quarantine(self, table: str) -> list[tuple[str, ...]]:
        """Quarantined rows as (line, column, rule, value)."""
        listed = pd.read_csv(
            self.paths.quarantine / f"{table}.csv", dtype=str, keep_default_na=False
        )
        return [tuple(row) for row in listed[["line", "column", "rule", "value"]].to_numpy()]


def write_company(root: Path, files: dict[str, str], **params: object) -> Company:
    """Write raw files (dedented text by file name) and params.yaml below `root`."""
    content = {"company": "acme", "company_name": "Acme", "periods": ["2025-01"]} | params
    root.mkdir(parents=True, exist_ok=True)
    with (root / "params.yaml").open("w", encoding="utf-8") as file:
        YAML().dump(content, file)
    read = settings.load(root)
    paths = Paths(root, read.company)
    paths.raw.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (paths.raw / name).write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
    return Company(root, read, paths)


def accounts_of(*names: str, signed: str = "2024-01-01") -> str:
    """accounts.csv with the two required columns."""
    return "account_id,signed_up_date\n" + "".join(f"{name},{signed}\n" for name in names)
