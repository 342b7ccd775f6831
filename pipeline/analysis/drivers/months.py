"""What is asked of account-months, be each a row of its own or many of them one kind?

Works on settled rows, or on kinds from `kinds`. Fits, counts of accounts and sums of scores follow
exactly from the counts. The subtle point: errors clustered by account need to know whose rows they
are; the sum over accounts of the product of their scores is one over pairs of kinds, weighted by
how many accounts were in both.

Cost of a fit: by kinds, not by rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from pipeline.analysis.drivers.rows import month_number, numbered
from pipeline.analysis.reliability import SMALLEST_N
from pipeline.statistics import added_rows, cloglog, grouped_hazard
from pipeline.statistics.added_rows import Move
from pipeline.statistics.cloglog import Coefficients
from pipeline.statistics.design_rows import DesignOrRows, rows_of
from pipeline.statistics.grouped_hazard import GroupedHazardFit

LOOK_AT = 1_000
"""Rows in which enough accounts are looked for first."""


@dataclass(frozen=True)
class Coded:
    """A column by number: the level of each row, -1 where it is blank, and what the levels are."""

    codes: NDArray[np.integer]
    levels: pd.Series

    @property
    def filled(self) -> NDArray[np.int64]:
        """The codes with blanks as one level more, the last."""
        codes = self.codes.astype(np.int64)
        return np.where(codes < 0, len(self.levels), codes)


@dataclass(frozen=True)
class Months:
    """Account-months, each a row of its own or counted by kind.

    `rows`: one row per account-month, or per kind. Counted: `n` months of each kind, `owners` the
    months by kind and account, `pairs` the sum over accounts of the products of those, `money` the
    sums of MRR and of its square by kind, `kind` the kind of each account-month counted.
    """

    rows: pd.DataFrame
    n: NDArray[np.float64] | None = None
    owners: sparse.csr_array | None = None
    pairs: sparse.csr_array | None = None
    money: NDArray[np.float64] | None = None
    kind: NDArray[np.int32] | None = None
    coded: dict[str, Coded] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """Account-months behind each row."""
        return np.ones(len(self.rows)) if self.n is None else self.n

    @cached_property
    def churned(self) -> NDArray[np.float64]:
        """0 or 1 per row; of months to come, 0."""
        return (self.rows["is_churn"] == True).to_numpy(float)  # noqa: E712 - blank: to come

    @cached_property
    def is_churned(self) -> NDArray[np.bool_]:
        """The rows with an outcome of 1."""
        return self.churned == 1

    @cached_property
    def months(self) -> NDArray[np.int32]:
        """Calendar month per row, counted from year 0."""
        period = self.column("period")
        return month_number(period.levels)[period.codes]

    @cached_property
    def sums(self) -> NDArray[np.float64]:
        """Account-months, MRR and MRR squared behind each row, a column each."""
        if self.money is not None:
            return np.column_stack([self.weights, self.money])
        mrr = self.rows["mrr"].to_numpy(float)
        return np.column_stack([self.weights, mrr, mrr**2])

    @cached_property
    def listed(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Every account-month: the row that stands for it, and its account by number."""
        if self.owners is None:
            return np.arange(len(self.rows)), self.column("account_id").codes.astype(np.int64)
        own = self.owners.tocoo()  # an account has one row in a month, so that each is 1
        return own.row.astype(np.int64), own.col.astype(np.int64)

    @property
    def n_events(self) -> int:
        """Churns among the account-months."""
        return int(self.churned @ self.weights)

    @property
    def n_months(self) -> int:
        """Account-months."""
        return int(self.weights.sum())

    def column(self, name: str) -> Coded:
        """A column by number; made once, also for the parts of these months."""
        if name not in self.coded:
            codes, levels = numbered(self.rows[name])
            self.coded[name] = Coded(codes, levels.to_series(index=range(len(levels))))
        return self.coded[name]

    def count(self, mask: NDArray[np.bool_]) -> int:
        """Account-months in the rows of a mask."""
        return int(mask.sum() if self.n is None else self.n[mask].sum())

    def events(self, mask: NDArray[np.bool_]) -> int:
        """Churns in the rows of a mask."""
        return self.count(mask & self.is_churned)

    def n_accounts(self, mask: NDArray[np.bool_]) -> int:
        """Accounts in the rows of a mask."""
        return self._n_owners(np.flatnonzero(mask))

    def _n_owners(self, there: NDArray[np.int64]) -> int:
        if self.owners is None:
            return len(pd.unique(self.column("account_id").codes[there]))
        return int(np.count_nonzero(np.bincount(self.owners[there].indices)))

    def is_seen(self, mask: NDArray[np.bool_]) -> bool:
        """Enough accounts to speak of the rows of a mask; the first rows nearly always tell."""
        there = np.flatnonzero(mask)
        return any(self._n_owners(part) >= SMALLEST_N for part in (there[:LOOK_AT], there))

    def carries(self, mask: NDArray[np.bool_]) -> bool:
        """Enough accounts, and both outcomes, to say something about the rows of a mask."""
        n_churned = np.count_nonzero(mask & self.is_churned)
        return bool(self.is_seen(mask) and 0 < n_churned < np.count_nonzero(mask))

    def part(self, mask: NDArray[np.bool_]) -> Months:
        """The rows of a mask; a view where they stand together, as months hold many accounts."""
        there = np.flatnonzero(mask)
        is_run = len(there) > 0 and there[-1] - there[0] + 1 == len(there)
        at = slice(there[0], there[-1] + 1) if is_run else there
        rows = self.rows.iloc[at].copy(deep=False)
        rows.index = pd.RangeIndex(len(rows))
        coded = {name: Coded(own.codes[at], own.levels) for name, own in self.coded.items()}
        if self.n is None or self.owners is None:
            return Months(rows, coded=coded)
        pairs = None if self.pairs is None else self.pairs[at][:, at]
        money = None if self.money is None else self.money[at]
        return Months(rows, self.n[at], self.owners[at], pairs, money, coded=coded)

    def split(self, name: str, values: pd.Series, accounts: pd.Series) -> Months:
        """The same months told apart by one more column, of which a fit or two are made.

        Args:
            name: of the column.
            values: a category per account-month counted.
            accounts: whose it is.
        """
        if self.kind is None:
            rows = self.rows.copy(deep=False)
            rows[name] = values.array
            return Months(rows, coded=self.coded)
        codes, n_levels = values.cat.codes.to_numpy(), len(values.cat.categories) + 1
        key = self.kind.astype(np.int64) * n_levels
        key += codes
        key += 1
        n = np.bincount(key, minlength=len(self.rows) * n_levels)
        there = np.flatnonzero(n)
        place = np.zeros(len(n), dtype=np.int32)
        place[there] = np.arange(len(there))
        rows = self.rows.iloc[there // n_levels].reset_index(drop=True)
        rows[name] = pd.Categorical.from_codes(there % n_levels - 1, dtype=values.dtype)
        owners = owners_of(place[key], accounts, len(there))
        return Months(rows, n[there].astype(np.float64), owners)

    def fitted(
        self, design: DesignOrRows, start: NDArray[np.float64] | None = None, link: str = "cloglog"
    ) -> GroupedHazardFit:
        """The fit with its record, errors clustered by account."""
        if self.n is None or self.owners is None:
            groups = self.column("account_id").codes
            return grouped_hazard.fit(self.churned, design, groups, None, link, start)
        by_kind = self.n, self.owners, self.pairs
        return grouped_hazard.fit(self.churned, design, None, None, link, start, by_kind)

    def clustered_by(
        self, design: DesignOrRows, coefficients: Coefficients, name: str
    ) -> Coefficients:
        """The coefficients with errors clustered by a column; by account where it is blank."""
        groups = self.rows[name]
        if self.n is None or self.owners is None:
            own = groups.astype(object).where(groups.notna(), self.rows["account_id"]).astype(str)
            return cloglog.clustered(self.churned, design, coefficients, own)
        codes, found = pd.factorize(groups)
        at, is_known = np.arange(len(codes)), codes >= 0
        whole = (self.n[is_known], (at[is_known], codes[is_known]))
        by_group = sparse.coo_array(whole, (len(codes), len(found))).tocsr()
        alone = sparse.diags_array((~is_known).astype(np.float64)) @ self.owners
        alone.eliminate_zeros()
        owners = sparse.hstack([by_group, alone]).tocsr()
        return cloglog.clustered_by_kind(self.churned, design, coefficients, self.n, owners)

    def scored(
        self, design: DesignOrRows, start: NDArray[np.float64] | None = None
    ) -> Coefficients:
        """The fit, errors clustered by account."""
        rows = rows_of(design)
        found = cloglog.scoring(self.churned, rows, start, self.n, with_cov=False)
        if self.n is None or self.owners is None:
            accounts = self.column("account_id").codes
            return cloglog.clustered(self.churned, rows, found, accounts)
        return cloglog.clustered_by_kind(self.churned, rows, found, self.n, self.owners, self.pairs)

    def moved(
        self, design: DesignOrRows, is_new: NDArray[np.bool_], start: NDArray[np.float64]
    ) -> Move:
        """The fits with and without the rows of a mask, and the error of what lies between."""
        if self.n is None or self.owners is None:
            accounts = self.column("account_id").codes
            return added_rows.move(self.churned, design, accounts, is_new, start)
        by_kind = self.n, self.owners, self.pairs
        return added_rows.move(self.churned, design, None, is_new, start, by_kind)


def owners_of(kind: NDArray[np.int32], accounts: pd.Series, n_kinds: int) -> sparse.csr_array:
    """How many months each account has of each kind."""
    account, levels = numbered(accounts)
    once = np.ones(len(kind), dtype=np.float32)
    place = kind, account.astype(np.int32, copy=False)
    return sparse.coo_array((once, place), (n_kinds, len(levels))).tocsr()
