"""How does a simulated column look in an export?

Tables read: none. Tables made: none. Every raw column is text, a missing value is empty: what a
billing or support system hands over. The subtle point: text is the only form in which a wrong
value can be planted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

DAY_SECONDS = 86_400


def dates(days: np.ndarray, known: np.ndarray | None = None) -> pa.Array:
    """Return ISO dates; empty where not ``known``."""
    whole = np.asarray(days).astype(np.int64)
    hidden = None if known is None else ~known
    safe = whole if known is None else np.where(known, whole, 0)
    return pa.array(safe.astype(np.int32), mask=hidden).cast(pa.date32()).cast(pa.string())


def instants(seconds: np.ndarray, known: np.ndarray | None = None) -> pa.Array:
    """Return ISO date-times without zone (business time); empty where not ``known``."""
    whole = np.asarray(seconds).astype(np.int64)
    hidden = None if known is None else ~known
    safe = whole if known is None else np.where(known, whole, 0)
    stamps = pa.array(safe, mask=hidden).cast(pa.timestamp("s")).cast(pa.string())
    return pc.replace_substring(stamps, " ", "T")


def numbers(values: np.ndarray, known: np.ndarray | None = None) -> pa.Array:
    """Return whole numbers as text; empty where not ``known``."""
    hidden = None if known is None else ~known
    return pa.array(np.asarray(values).astype(np.int64), mask=hidden).cast(pa.string())


def money(cents: np.ndarray, known: np.ndarray | None = None) -> pa.Array:
    """Return amounts with two decimals from whole cents; empty where not ``known``."""
    whole = np.asarray(cents).astype(np.int64)
    hidden = None if known is None else ~known
    units = pa.array(whole // 100, mask=hidden).cast(pa.string())
    hundredths = pa.array(np.char.zfill(np.arange(100).astype(str), 2))
    return pc.binary_join_element_wise(units, hundredths.take(pa.array(whole % 100)), ".")


def codes(positions: np.ndarray, names: Sequence[str], known: np.ndarray | None = None) -> pa.Array:
    """Return names by position; empty where not ``known``."""
    hidden = None if known is None else ~known
    return pa.array(list(names), type=pa.string()).take(
        pa.array(np.asarray(positions).astype(np.int64), mask=hidden)
    )


def flags(values: np.ndarray) -> pa.Array:
    """Return ``true`` or ``false``."""
    return codes(np.asarray(values).astype(np.int64), ("false", "true"))


def keys(prefix: str, numbers_: np.ndarray, width: int) -> pa.Array:
    """Return identifiers: a prefix and a zero-padded number."""
    digits = pc.utf8_lpad(numbers(numbers_), width, "0")
    return pc.binary_join_element_wise(pa.scalar(prefix), digits, "")


def blank(count: int) -> pa.Array:
    """Return a column without a single value."""
    return pa.nulls(count, pa.string())
