"""In which words does a manifest say how a run, and each of its periods, came out?

Stands below `run`, which writes manifests, and `reporting`, whose index reads them.
"""

RUNS = "runs"
"""Folder below build/ with one folder for each run."""
MANIFEST = "run.json"
RUNNING, DONE, NOTHING_TO_DO = "running", "done", "nothing_to_do"
FAILED, CANCELLED, INTERRUPTED = "failed", "cancelled", "interrupted"
"""States of a run; a period may have failed, too."""
GOOD = (DONE, NOTHING_TO_DO)
STATES_OF_RUNS = (RUNNING, *GOOD, FAILED, CANCELLED, INTERRUPTED)
PUBLISHED, IN_FORCE, SKIPPED = "published", "in_force", "skipped"
"""Further states of a period."""
