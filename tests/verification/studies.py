"""Which studies are there, and how are their replications drawn?

Each replication has a seed of its own, made from the study's number and its own; the results are
the same whatever the number of processes. The subtle point: a study that several checks read (the
core world) is drawn once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
import pandas as pd

from pipeline.stages.simulate.scenario import CORE
from tests.verification import (
    curves,
    forecasts,
    known,
    labels,
    managers,
    plays,
    regression,
    value,
)
from tests.verification.results import REPLICATIONS, Check
from tests.verification.worlds import GRID, account_cycles, drawn, lives, starters

SEED = 20261121
CHUNK = 4
CANARIES = 600
"""Replications of the worlds in which one effect is nothing."""
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Study:
    """One kind of world, drawn again and again, and the checks that read it."""

    name: str
    number: int  # part of the seed's meaning: it never changes
    replications: int
    replicate: Callable[[np.random.Generator], dict[str, float]]
    checks: Callable[[pd.DataFrame], list[Check]]


def core(generator: np.random.Generator) -> dict[str, float]:
    """Regression and curves of one core world."""
    world = drawn(CORE, regression.ACCOUNTS, generator)
    found = regression.found_in_core(account_cycles(world, generator))
    return found | curves.found(lives(world), starters(world, 10_000, GRID.observation_day))


def checks_of_core(replicates: pd.DataFrame) -> list[Check]:
    """A1 to A8; a small study needs no more paths for the truth than it has replications."""
    truth = known.truth(min(known.BLOCKS, len(replicates)))
    return [*regression.checks_of_core(replicates), *curves.checks(replicates, truth)]


STUDIES = (
    Study("core", 1, REPLICATIONS, core, checks_of_core),
    Study("csm_effect", 2, managers.REPLICATIONS, managers.replicate, managers.checks),
    Study("null_play", 3, CANARIES, plays.replicate, plays.checks),
    Study("null_value", 4, CANARIES, value.replicate, value.checks),
    Study("no_lapse", 5, 40, labels.replicate_no_lapse, labels.checks_of_no_lapse),
    Study(
        "permuted",
        6,
        labels.PERMUTED_REPLICATIONS,
        labels.replicate_permuted,
        labels.checks_of_permuted,
    ),
    Study("forecast", 7, forecasts.HISTORIES, forecasts.replicate, forecasts.checks),
)


def replicates(study: Study, count: int, workers: int = 1) -> pd.DataFrame:
    """One row per replication of a study."""
    jobs = [(study, number) for number in range(count)]
    if workers == 1:
        return pd.DataFrame(map(_one, jobs))
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return pd.DataFrame(pool.map(_one, jobs, chunksize=CHUNK))


def named(names: Iterable[str]) -> list[Study]:
    """The studies of these names, in order; all without names."""
    chosen = set(names)
    unknown = chosen - {study.name for study in STUDIES}
    if unknown:
        raise ValueError(f"no study is called {', '.join(sorted(unknown))}")
    return [study for study in STUDIES if not chosen or study.name in chosen]


def _one(job: tuple[Study, int]) -> dict[str, float]:
    study, number = job
    seed = np.random.SeedSequence(SEED, spawn_key=(study.number, number))
    return study.replicate(np.random.default_rng(seed))
