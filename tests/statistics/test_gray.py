"""Gray's test against R's cmprsk, and where there is nothing to compare."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.statistics.gray import gray_test
from pipeline.statistics.log_rank import log_rank
from tests.statistics.oracle import cases, needs_reference, subjects

SEED = 20261125
ASK_R = """
library(cmprsk)
seen <- read.csv(commandArgs(TRUE)[1])
write.csv(cuminc(seen$time, seen$cause, seen$group)$Tests, commandArgs(TRUE)[2])
"""


def tied(n: int = 400) -> pd.DataFrame:
    """Four groups of different sizes on few days, so that nearly all times are tied."""
    draws = np.random.default_rng(SEED)
    return pd.DataFrame(
        {
            "time": draws.integers(1, 25, n),
            "cause": draws.choice([0, 1, 2], n, p=[0.3, 0.4, 0.3]),
            "group": draws.choice(list("abcd"), n, p=[0.4, 0.3, 0.2, 0.1]),
        }
    )


@needs_reference
@pytest.mark.parametrize("cause", [1, 2])
def test_the_statistic_of_each_cause_agrees_with_r(cause: int):
    people = subjects("mgus2")
    expected = cases("gray_test", "gray_mgus2_sex").set_index("cause").loc[cause]
    found = gray_test(people["etime"], people["event"], people["male"], cause)
    assert found.statistic == pytest.approx(expected["chisq"], rel=1e-8)
    assert found.df == expected["df"]
    assert found.p_value == pytest.approx(expected["p"], rel=1e-8)


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="Rscript is not installed")
def test_four_groups_and_many_ties_agree_with_r(tmp_path: Path):
    seen, answers = tmp_path / "seen.csv", tmp_path / "answers.csv"
    tied().to_csv(seen, index=False)
    command = ["Rscript", "-e", ASK_R, str(seen), str(answers)]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    if "there is no package called" in asked.stderr:
        pytest.skip("Rscript has no package cmprsk")
    assert asked.returncode == 0, asked.stderr
    expected = pd.read_csv(answers, index_col=0)
    for cause in (1, 2):
        found = gray_test(tied()["time"], tied()["cause"], tied()["group"], cause)
        assert found.statistic == pytest.approx(expected.loc[cause, "stat"], rel=1e-8)
        assert found.p_value == pytest.approx(expected.loc[cause, "pv"], rel=1e-8)


def test_with_one_cause_it_is_close_to_the_log_rank_test():
    rows = tied(2_000).assign(cause=lambda table: (table["cause"] > 0).astype(int))
    found = gray_test(rows["time"], rows["cause"], rows["group"], 1)
    plain = log_rank(rows["time"], rows["cause"], rows["group"])
    assert found.df == plain.df == 3
    assert found.statistic == pytest.approx(plain.statistic, rel=0.02)


def test_the_names_of_groups_do_not_matter():
    rows = tied()
    found = gray_test(rows["time"], rows["cause"], rows["group"], 1)
    renamed = rows["group"].map({"a": "z", "b": "a", "c": "y", "d": "b"})
    again = gray_test(rows["time"], rows["cause"], renamed, 1)
    assert again.statistic == pytest.approx(found.statistic, rel=1e-10)


@pytest.mark.parametrize(
    ("groups", "causes", "reason"),
    [
        (["a", "a", "a"], [1, 1, 0], "1 group: a comparison needs two"),
        (["a", "b", "b"], [2, 2, 0], "no events"),
    ],
)
def test_nothing_to_compare_says_why(groups: list[str], causes: list[int], reason: str):
    found = gray_test([1, 2, 3], causes, groups, 1)
    assert np.isnan(found.p_value)
    assert found.reason == reason
