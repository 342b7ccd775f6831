"""Which months come with an annex, and where its notebook is."""

from pathlib import Path

import pytest

from pipeline import settings as configuration
from pipeline.settings import ANNEX, CHAPTERS, Paths, Period, Settings


def settings_of(annex: str) -> Settings:
    return configuration.parse(
        {"company": "acme", "company_name": "Acme", "periods": [], "annex": annex}
    )


@pytest.mark.parametrize(
    ("annex", "month", "newest"),
    [
        ("quarterly", "2026-10", "2026-09"),
        ("quarterly", "2026-12", "2026-12"),
        ("quarterly", "2027-02", "2026-12"),
        ("monthly", "2026-10", "2026-10"),
        ("never", "2026-12", None),
    ],
)
def test_the_newest_annex_is_that_of_the_month_or_of_the_quarter_before(annex, month, newest):
    found = settings_of(annex).newest_annex(Period(month))
    assert found == (Period(newest) if newest else None)
    assert settings_of(annex).has_annex(Period(month)) == (newest == month)


def test_the_annex_is_no_chapter_that_can_be_listed():
    assert ANNEX not in CHAPTERS
    with pytest.raises(configuration.ConfigurationError, match="no chapter annex"):
        configuration.parse(
            {"company": "acme", "company_name": "Acme", "periods": [], "chapters": ["annex"]}
        )


def test_the_notebook_of_the_annex_comes_last():
    root = Path(__file__).parents[1]
    notebook = Paths(root, "acme").notebook(ANNEX)
    assert notebook.is_file()
    assert sorted(notebook.parent.glob("*.ipynb"))[-1] == notebook
