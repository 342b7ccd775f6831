"""How does a month get built with nobody watching? The unattended runner.

`runner` is a run from first look to last word and `build` its middle; `manifest` is what a run
leaves in build/runs/; `periods` says which months, `doctor` whether a run can go well, `recovery`
what a killed one left, `backfill` builds many months, `status` says what the files say.
"""

from pipeline.run.build import FailedPeriodsError, Run, Wanted, headline_sentence
from pipeline.run.periods import add_periods, complete_params, extract_date, newly_due
from pipeline.run.progress import Progress
from pipeline.run.runner import PreflightError, run
from pipeline.run.status import status_lines

__all__ = [
    "FailedPeriodsError",
    "PreflightError",
    "Progress",
    "Run",
    "Wanted",
    "add_periods",
    "complete_params",
    "extract_date",
    "headline_sentence",
    "newly_due",
    "run",
    "status_lines",
]
