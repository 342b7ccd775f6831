"""The simulation study with few replications: the same worlds, bounds as wide as their error asks.

`make verify` runs it in full and writes docs/verification.md. The rules themselves are held here on
numbers that a reader can check.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.verification import __main__ as command
from tests.verification import forecasts, page, results
from tests.verification.results import Check
from tests.verification.studies import SEED, STUDIES, named, replicates

ROOT = Path(__file__).parents[2]
FEW = {"core": 16, "csm_effect": 3, "null_play": 6, "null_value": 4, "no_lapse": 1, "permuted": 3}
CHECKS_ASKED_FOR = {f"A{number}" for number in (*range(1, 9), 11, 14, 15, 16)} | {"C2", "C3", "C5"}


def words(check: Check) -> str:
    return f"{check.name} {check.title}: {check.rule}\n{check.rows.to_string()}"


@pytest.mark.parametrize("name", FEW)
def test_a_few_replications_agree_with_the_truth(name: str) -> None:
    study = named([name])[0]
    failed = [words(c) for c in study.checks(replicates(study, FEW[name])) if not c.held]
    assert not failed, "\n\n".join(failed)


def test_a_short_history_is_forecast_within_its_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, few in (("ACCOUNTS", 700), ("ORIGINS", 6), ("FORERUNNERS", 6)):
        monkeypatch.setattr(forecasts, name, few)
    found = forecasts.replicate(np.random.default_rng(SEED))
    for world in forecasts.SCENARIO_NAMES:
        assert found[f"{world}:months"] == 6
        layers = [found[f"{world}:{layer}"] for layer in forecasts.LAYERS]
        assert all(0.5 <= share <= 1 for share in layers)


def test_a_coverage_outside_its_band_fails_and_the_band_widens_with_the_error() -> None:
    shares = pd.Series([0.93, 0.929, 0.97, 0.975])
    assert list(results.within(shares, 0.95, 0.02, 1_000)) == [True, False, True, False]
    assert list(results.within(shares - 0.03, 0.95, 0.02, 100)) == [True, True, True, True]
    assert list(results.within(shares, 0.95, 0.02, 100_000)) == [True, False, True, False]


def test_an_estimator_that_is_off_fails_the_check_of_bias() -> None:
    estimates = pd.DataFrame({"good": [0.99, 1.0, 1.01], "off": [1.09, 1.10, 1.11]})
    rows = results.biases(estimates, pd.Series({"good": 1.0, "off": 1.0}), 0.02)
    assert list(rows["held"]) == [True, False]
    assert rows["bias"].round(12).tolist() == [0.0, 0.1]


def test_an_open_limit_covers_and_a_closed_one_may_not() -> None:
    low, high = (pd.DataFrame({"a": [0.1, 0.6, 0.1]}), pd.DataFrame({"a": [np.nan, 0.9, 0.4]}))
    rows = results.coverages(low, high, pd.Series({"a": 0.5}))
    assert rows["coverage"].tolist() == [pytest.approx(1 / 3)]


def test_replications_are_the_same_in_one_process_and_in_two() -> None:
    study = named(["null_play"])[0]
    pd.testing.assert_frame_equal(replicates(study, 2), replicates(study, 2, workers=2))


def test_a_failed_check_is_told_on_the_page_and_by_the_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = pd.DataFrame({"quantity": ["a"], "value": [0.123456], "held": [False]})
    bad = results.of_rows("Z1", "Never right", "it holds", rows, 7)
    study = type(STUDIES[0])("z", 99, 2, lambda draw: {"x": 1.0}, lambda found: [bad])
    monkeypatch.setattr(command, "STUDIES", (study,))
    monkeypatch.setattr(command, "KEPT", tmp_path)
    target = tmp_path / "page.md"
    code = command.main(["--workers", "1", "--date", "2026-11-21", "--page", str(target)])
    text = target.read_text(encoding="utf-8")
    assert code == 1
    assert "| Z1 | Never right | 7 | **no** |" in text
    assert "0.1235" in text
    assert "2026-11-21" in text


def test_the_page_in_docs_holds_every_check_and_each_of_them_held() -> None:
    text = (ROOT / "docs" / "verification.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| ([AC]\d+b?) \| .+ \| [\d,]+ \| (.+) \|$", text, re.MULTILINE))
    assert set(told) >= CHECKS_ASKED_FOR
    assert set(told.values()) == {"yes"}
    assert f"| seed | {SEED} |" in text


def test_a_number_on_the_page_is_rounded_and_never_in_the_wrong_place() -> None:
    rows = pd.DataFrame({"x": [2_000.0, 0.00001, 0.5, np.nan, 522.54], "held": [True] * 5})
    told = [line.split(" | ")[0] for line in page.table(rows).splitlines()[2:]]
    assert told == ["| 2,000", "| 1e-05", "| 0.5000", "| –", "| 522.5"]
