"""As-of features equal a loop over every account-month and every event of its account."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pipeline.data import engine
from pipeline.settings import Period
from pipeline.stages import features

SEED = 20261122
MARKS = [Period("2024-11").shift(n).start for n in range(16)]
ACCOUNTS = [f"A{n:02d}" for n in range(30)]
FIRST = dt.date(2024, 10, 1)


def days(draw: np.random.Generator, n_rows: int, length: int, n_empty: int) -> list[dt.date | None]:
    """So many days from FIRST on, the last ones empty; every sixth is the first of a month."""
    found = [FIRST + dt.timedelta(days=int(n)) for n in draw.integers(0, length, n_rows)]
    found = [day.replace(day=1) if n % 6 == 0 else day for n, day in enumerate(found)]
    return [*found[: n_rows - n_empty], *[None] * n_empty]


def later(day: dt.date | None, by: int) -> dt.date | None:
    return day and day + dt.timedelta(days=by)


@pytest.fixture(scope="module")
def events() -> pd.DataFrame:
    """One row per event: when it happened, was known and was over, and a score."""
    draw = np.random.default_rng(SEED)
    n_rows = 900
    happened = days(draw, n_rows, 500, 0)
    return pd.DataFrame(
        {
            "account_id": draw.choice(ACCOUNTS[:-3], n_rows),
            "response_id": [f"R{n:04d}" for n in draw.permutation(n_rows)],
            "kind": draw.choice(["nps", "csat"], n_rows, p=[0.8, 0.2]),
            "score": draw.integers(0, 11, n_rows).astype(float),
            "happened": happened,
            "known_on": [
                later(day, int(by)) for day, by in zip(
                    happened, draw.integers(0, 25, n_rows) * draw.integers(0, 2, n_rows),
                    strict=True,
                )
            ],
            "over": [
                None if by > 120 else later(day, int(by))
                for day, by in zip(happened, draw.integers(-3, 180, n_rows), strict=True)
            ],
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def grid() -> pd.DataFrame:
    """One row per account and period; some as-of days stand still, as after a notice."""
    rows = pd.MultiIndex.from_product([ACCOUNTS, MARKS], names=["account_id", "p0"]).to_frame(
        index=False
    )
    is_still = rows["account_id"].isin(ACCOUNTS[:5]) & (rows["p0"] > MARKS[8])
    return rows.assign(
        period=[f"{day:%Y-%m}" for day in rows["p0"]],
        asof=rows["p0"].where(~is_still, MARKS[8]),
    )


def computed(feature: str, grid: pd.DataFrame, events: pd.DataFrame) -> dict[tuple, dict]:
    """The columns of a feature by account and period, in the engine."""
    with engine.connect() as backend:
        rows = backend.create_table("grid", pa.Table.from_pandas(grid, preserve_index=False))
        rows = rows.mutate(month_before=rows.p0.strftime("%Y-%m"))
        given = backend.create_table("events", pa.Table.from_pandas(events, preserve_index=False))
        _, make = features.FEATURES[feature]
        found = make(rows, rows, given, lambda kept, name: kept).to_pandas()
    return found.set_index(["account_id", "period"]).to_dict("index")


def expected(grid: pd.DataFrame, events: pd.DataFrame, rule) -> dict[tuple, object]:
    """A rule of the events of an account and an as-of day, asked one account-month at a time."""
    own = {account: list(rows.itertuples()) for account, rows in events.groupby("account_id")}
    return {
        (row.account_id, row.period): rule(own.get(row.account_id, []), row.asof)
        for row in grid.itertuples()
    }


def test_tickets_are_open_from_the_day_after_they_are_known_to_the_day_they_are_resolved(
    grid, events
):
    tickets = events.assign(resolved_at=pd.to_datetime(events["over"]))

    found = computed("tickets", grid, tickets)

    wanted = expected(
        grid, events,
        lambda own, asof: sum(
            e.known_on < asof and (e.over is None or e.over >= asof) for e in own
        ),
    )  # fmt: skip
    assert {key: row["open_tickets"] for key, row in found.items()} == wanted
    assert max(wanted.values()) > 5


@pytest.mark.parametrize(("table", "moment", "name"), [
    ("plays", "started_at", "is_play_active"), ("contacts", "active_to", "is_champion_lost"),
])  # fmt: skip
def test_what_happened_counts_for_ninety_days_from_when_it_is_known(
    grid, events, table, moment, name
):
    happened = events.iloc[::6].assign(role="champion")
    given = pd.to_datetime(happened["happened"]) if table == "plays" else happened["happened"]

    found = computed(table, grid, happened.assign(**{moment: given}))

    wanted = expected(
        grid, happened,
        lambda own, asof: any(
            e.known_on < asof and 0 < (asof - e.happened).days <= 90 for e in own
        ),
    )  # fmt: skip
    assert {key: row[name] for key, row in found.items()} == wanted
    assert set(wanted.values()) == {True, False}


def band(own: list, asof: dt.date) -> str:
    """The band of the latest answer, asked plainly."""
    recent = [
        e for e in own
        if e.kind == "nps" and e.known_on < asof and 0 < (asof - e.happened).days <= 180
    ]  # fmt: skip
    if not recent:
        return "no_answer"
    score = max(recent, key=lambda e: (e.happened, e.response_id)).score
    return "promoter" if score >= 9 else "passive" if score >= 7 else "detractor"


def test_the_latest_answer_of_half_a_year_decides_the_band(grid, events):
    answers = events.iloc[::9].assign(responded_at=pd.to_datetime(events["happened"]))

    found = computed("surveys", grid, answers)

    wanted = expected(grid, answers, band)
    assert {key: row["nps_band"] for key, row in found.items()} == wanted
    assert set(wanted.values()) == {"promoter", "passive", "detractor", "no_answer"}
