"""How do millions of account-months become few kinds of them, with nothing lost?

Works on rows of `rows`. Most drivers are flags, levels and small counts, so many accounts look
alike in a month: same month, tenure, outcome and drivers. Such rows are one kind with a count. The
subtle point: where kinds are nearly as many as rows, as with prices of their own, counting would
cost more than it saves, and each row stays.

Cost: one pass per column and one look-up of the keys.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from pipeline.analysis.drivers.months import Months, owners_of
from pipeline.analysis.drivers.rows import earlier_place, is_usable, numbered
from pipeline.statistics.design_rows import BLOCK

ROWS_PER_KIND = 4
"""Fewest rows per kind for which counting pays."""
MOST_PAIRS = 20_000_000
"""Pairs of kinds held in memory; of more, scores are added up account by account."""
LOOK_AT = 1_000
"""Kinds from which the number of pairs is estimated."""
MOST_KEYS = 2**62
OF_A_MONTH = ("period", "tenure_months", "is_churn")
"""Columns of a kind beside its candidates."""


def counted(rows: pd.DataFrame | Months, names: list[str], with_pairs: bool = True) -> Months:
    """The account-months, counted by kind where they are many and kinds are few.

    Args:
        rows: from `settled`: period, account_id, tenure_months, is_churn and the candidates.
        names: of the candidates; what else the rows hold is left aside when they are counted.
        with_pairs: whether fits will be clustered many times; a single one needs no pairs.

    Returns:
        The same account-months; up to one block of rows each keeps a row of its own.
    """
    if isinstance(rows, Months):
        return rows
    if len(rows) <= BLOCK:
        return Months(rows)
    kept = [name for name in dict.fromkeys([*OF_A_MONTH, *names]) if name in rows]
    kind, first = _kinds(numbered(rows[name]) for name in kept)
    if len(first) * ROWS_PER_KIND > len(rows):
        return Months(rows)
    owners = owners_of(kind, rows["account_id"], len(first))
    n = np.bincount(kind, minlength=len(first)).astype(np.float64)
    kinds = rows[kept].iloc[first].reset_index(drop=True)
    pairs = _pairs(owners) if with_pairs else None
    return Months(kinds, n, owners, pairs, _money(rows, kind, len(first)), kind)


def _money(rows: pd.DataFrame, kind: NDArray[np.int32], n_kinds: int) -> NDArray[np.float64] | None:
    """Sums of MRR and of its square by kind; none where MRR is not known."""
    if "mrr" not in rows:
        return None
    mrr = rows["mrr"].to_numpy(dtype=float)
    sums = [np.bincount(kind, part, n_kinds) for part in (mrr, mrr**2)]
    return np.column_stack(sums)


def counted_earlier(rows: pd.DataFrame, names: list[str], months: int) -> Months:
    """Settled account-months by kind, the candidates as they stood some months earlier.

    Args:
        rows: from `driver_rows`.
        names: of the candidates.
        months: how many calendar months earlier.

    Returns:
        The months of those who were customers then, always counted; whose they are is not kept.
    """
    at = earlier_place(rows, months)
    own = np.flatnonzero((at >= 0) & is_usable(rows)).astype(np.int32)
    places = {name: at[own] if name in names else own
              for name in dict.fromkeys([*OF_A_MONTH, *names]) if name in rows}  # fmt: skip
    kind, first = _kinds(_taken(rows[name], place) for name, place in places.items())
    kinds = {name: rows[name].take(place[first]).array for name, place in places.items()}
    n = np.bincount(kind, minlength=len(first)).astype(np.float64)
    return Months(pd.DataFrame(kinds), n)


def _taken(values: pd.Series, place: NDArray[np.int32]) -> tuple[NDArray[np.integer], pd.Index]:
    codes, levels = numbered(values)
    return codes[place], levels


def _kinds(
    columns: Iterable[tuple[NDArray[np.integer], pd.Index]],
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The number of each row's kind, and the first row of each kind, from columns by number."""
    key, size = np.zeros(1, dtype=np.int64), 1
    for codes, found in columns:
        key = key if len(key) == len(codes) else np.zeros(len(codes), dtype=np.int64)
        levels = len(found) + 1  # a blank is a level
        if size * levels > MOST_KEYS:
            key, distinct = pd.factorize(key)
            size = len(distinct)
        key *= levels
        key += codes
        key += 1
        size *= levels
    kind = pd.factorize(key)[0].astype(np.int32)
    first = np.full(int(kind.max(initial=-1)) + 1, -1, dtype=np.int64)
    first[kind[::-1]] = np.arange(len(kind))[::-1]
    return kind, first


def _pairs(owners: sparse.csr_array) -> sparse.csr_array | None:
    """Accounts in both of two kinds; none where there would be too many pairs."""
    looked = np.linspace(0, owners.shape[0] - 1, min(LOOK_AT, owners.shape[0])).astype(int)
    by_account = owners.T.tocsr()
    share = owners.shape[0] / len(looked)
    if (owners[looked] @ by_account).nnz * share > MOST_PAIRS:
        return None
    return (owners @ by_account).astype(np.float64)
