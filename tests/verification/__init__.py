"""The simulation study: are the estimators right where the truth is known?

Worlds are drawn from the simulator's own process, seen as a company sees them, and handed to the
functions that the chapters call. `python -m tests.verification` runs it all and writes
docs/verification.md; `test_small_study.py` runs a few replications with bounds as wide as their
Monte Carlo error asks for.
"""
