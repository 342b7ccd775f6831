"""Which keys stand in more than one row, of rows too many to sort or to count at once?

Counts hashes of keys, a part of all hashes at a time, so that memory does not grow with the rows.
The subtle point: keys that share a hash by chance pass too. Whoever asks compares what is left,
which is little, by the keys themselves.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
import pyarrow as pa

HASH = "key__hash"
USAGE_TWICE = "usage_twice.parquet"
"""Keys of events that stood in several rows when copies had been merged, so that nobody need look
again; some of these rows may have been set aside since."""
HASHES_AT_ONCE = 1 << 23


def hashes_twice(rows: ir.Table, key: Sequence[str]) -> pa.Table:
    """One row per hash of a key that stands in more than one row.

    Cost: a pass over the columns of the key for each HASHES_AT_ONCE rows, and one to count them.
    """
    n_rows = rows.count().execute()
    n_parts = 1 << max(0, math.ceil(math.log2(max(n_rows, 1) / HASHES_AT_ONCE)))
    hashes = rows.select(**{HASH: _hash(rows, key)})
    return pa.concat_tables(
        _counted_twice(hashes.filter((hashes[HASH] & (n_parts - 1)) == part)).to_pyarrow()
        for part in range(n_parts)
    )


def keys_twice(rows: ir.Table, key: Sequence[str]) -> ir.Table:
    """One row per key that stands in more than one row, sorted; of few rows."""
    counted = rows.group_by(list(key)).agg(n=rows.count())
    return counted.filter(counted.n > 1).select(*key).order_by(list(key))


def hashes_of(keys: ir.Table) -> pa.Table:
    """One row per hash of one of these keys, as this engine hashes them."""
    return keys.select(**{HASH: _hash(keys, keys.columns)}).distinct().to_pyarrow()


def among(rows: ir.Table, key: Sequence[str], hashes: pa.Table) -> ir.Table:
    """The rows whose key has one of the hashes."""
    marked = rows.mutate(**{HASH: _hash(rows, key)})
    return marked.semi_join(ibis.memtable(hashes), HASH).drop(HASH)


def not_among(rows: ir.Table, key: Sequence[str], hashes: pa.Table) -> ir.Table:
    """The rows whose key has none of the hashes."""
    marked = rows.mutate(**{HASH: _hash(rows, key)})
    return marked.anti_join(ibis.memtable(hashes), HASH).drop(HASH)


def _counted_twice(hashes: ir.Table) -> ir.Table:
    counted = hashes.group_by(HASH).agg(n=hashes.count())
    return counted.filter(counted.n > 1).select(HASH)


def _hash(rows: ir.Table, key: Sequence[str]) -> ir.IntegerValue:
    return functools.reduce(operator.xor, [rows[name].hash() for name in key])
