"""What does another export say about a row? Columns looked up, and marks of the company's own.

Several source tables may feed one of ours. A lookup never adds or loses a row: a key stands once
there, or with one value; an empty key finds nothing. The subtle point: in one of our own tables a
key that stands for two values is in quarantine already, so it finds nothing either.
"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from pipeline.data import reading, store
from pipeline.data.reading import EXAMPLES, FILE, LINE, DataError, RawFile
from pipeline.data.schema import RAW, Table
from pipeline.data.schema.table import column, table
from pipeline.settings import Attribute, ConfigurationError, Ids, Lookup, Paths, SourceTable
from pipeline.stages.ingest.identity import spelled

FORMS = (".csv", ".csv.gz", ".csv.zip", ".parquet", ".xlsx")
MARK = table(
    "mark",
    "one row per account with the mark",
    (),
    {"account_id": column("id", "The account.", must=True)},
)


def place_of(name: str, lookup: Lookup, paths: Paths) -> RawFile:
    """The export in which a column is looked up; MissingDataError names what is not there."""
    names = [lookup.file] if lookup.file else [f"{lookup.table}{form}" for form in FORMS]
    place = f"lookup.{name}.file"
    each_found = (reading.find_named(place, str(each), paths.raw) for each in names)
    found = next((file for file in each_found if file), None)
    if not found:
        raise store.MissingDataError(
            f"lookup.{name}: {' or '.join(str(each) for each in names[:2])} is not in {paths.raw}."
        )
    return found


def in_export(
    name: str, lookup: Lookup, of: Table, source: SourceTable, paths: Paths, ids: Ids
) -> pa.Table:
    """One row per key of another export: `key` and the value under our column's name.

    The export is written as the table's own is: the same encoding, separator and empty words.
    DataError names the lines of a key that stands for two values.
    """
    file = place_of(name, lookup, paths)
    kinds = {each: of.kind(each) if each in of.columns else "text" for each in (name, lookup.by)}
    there = table(
        "lookup",
        "one row per key",
        (),
        {
            "lookup_key": column(kinds[lookup.by], "What is looked up by.", must=True),
            name: column(kinds[name], "What is found.", must=True),
        },
    )
    names = {"lookup_key": lookup.key or lookup.by, name: lookup.column or name}
    written = source.model_copy(
        update={
            "file": file.name, "columns": names, "lookup": {}, "attributes": {}, "exclude": {},
            "sheet": None, "table": None, "query": None,
        }
    )  # fmt: skip
    text = reading.read_whole(there, written, file)
    trimmed = ids if kinds[lookup.by] == "id" else Ids(normalise="none")
    keys = spelled(text["lookup_key"], trimmed).to_pylist()
    if name in of.columns and kinds[name] == "id":
        text = text.set_column(text.column_names.index(name), name, spelled(text[name], ids))
    return _one_value_each(name, names, keys, text)


def _one_value_each(name: str, names: dict[str, str], keys: list, text: pa.Table) -> pa.Table:
    found: dict[str, str] = {}
    places: dict[str, str] = {}
    wrong = []
    rows = zip(
        keys, text[name].to_pylist(), text[FILE].to_pylist(), text[LINE].to_pylist(), strict=True
    )
    for key, value, file, line in rows:
        if not key:
            continue
        place = f"{file} line {line}"
        if found.setdefault(key, value) != value:
            wrong.append(f"{key}: {places[key]} and {place} differ in {names[name]}")
        places.setdefault(key, place)
    if wrong:
        examples = "\n  ".join(wrong[:EXAMPLES])
        raise DataError(
            f"lookup.{name}: {len(wrong)} rows of the export give a key of "
            f"{names['lookup_key']} a second value:\n  {examples}\nA lookup may not guess; "
            "leave one row per key there."
        )
    return pa.table(
        {
            "lookup_key": pa.array(list(found), pa.string()),
            name: pa.array(list(found.values()), pa.string()),
        }
    )


def in_table(name: str, lookup: Lookup, typed: ir.Table) -> ir.Table:
    """One row per key of one of our tables, where the key stands for one value."""
    key, value = lookup.key or lookup.by, lookup.column or name
    missing = [each for each in (key, value) if each not in typed.columns]
    if missing:
        raise ConfigurationError(
            f"lookup.{name}: {lookup.table} has no {' and no '.join(missing)}."
        )
    sums = typed.group_by(lookup_key=typed[key]).agg(
        **{name: typed[value].cast(str).min()}, n_values=typed[value].nunique()
    )
    once = sums.filter(sums.lookup_key.notnull() & (sums.n_values == 1))
    return once.select("lookup_key", name)


def beside(rows: ir.Table, found: ir.Table, by: str) -> ir.Table:
    """Each row with what was looked up for it; empty where the key is empty or not there."""
    key = rows[by].strip().nullif("")
    joined = rows.mutate(looked_up_by=key).left_join(found, [("looked_up_by", "lookup_key")])
    return joined.drop("looked_up_by", "lookup_key")


def check_order(name: str, lookup: Lookup, of: Table, read: set[str]) -> None:
    """ConfigurationError when one of our tables is looked up before it is read."""
    if lookup.table in RAW and lookup.table not in read:
        raise ConfigurationError(
            f"source.tables.{of.name}.lookup.{name}: no table {lookup.table} is read before it."
        )


def marked_accounts(name: str, kept: Attribute, paths: Paths, ids: Ids) -> list[str]:
    """Accounts that have a row in another export, once each."""
    setting = f"source.tables.accounts.attributes.{name}"
    file = reading.find_named(f"{setting}.file", str(kept.file), paths.raw)
    if not kept.by or not file:
        lacks = f"no export {kept.file} below data/raw" if kept.by else "no `by`"
        raise store.MissingDataError(
            f"{setting}: there is {lacks}. A mark needs a file of "
            "its own and, as `by`, the column there that names the account."
        )
    source = SourceTable(file=kept.file, columns={"account_id": kept.by})
    text = reading.read_whole(MARK, source, file)
    cells = spelled(text["account_id"], ids).to_pylist()
    return sorted({cell.strip() for cell in cells if cell and cell.strip()})


def marks(typed: ir.Table, source: SourceTable, paths: Paths, ids: Ids) -> ir.Table:
    """Attributes made out of another export: true for an account that has a row there."""
    for name, kept in source.attributes.items():
        if kept.file:
            found = marked_accounts(name, kept, paths, ids)
            is_marked = typed.account_id.isin(found) if found else ibis.literal(False)
            typed = typed.mutate(**{name: is_marked})
    return typed
