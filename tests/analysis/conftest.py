"""Companies that several tests of this room look at, made once."""

import pytest

from tests.analysis.gapped import company_with


@pytest.fixture(scope="session")
def gapped(tmp_path_factory):
    """The company with gaps, by grace in days."""
    made = {}

    def company(grace_days):
        if grace_days not in made:
            made[grace_days] = company_with(tmp_path_factory.mktemp("gapped"), grace_days)
        return made[grace_days]

    return company
