"""A chapter whose table is not given says so in one sentence and passes the gate."""

from pathlib import Path

import nbformat
import pandas as pd

from pipeline.data.schema.published import HEADLINES, TABLES
from pipeline.reporting.execution import silent

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def quality(*rows: tuple[str, str, int]) -> pd.DataFrame:
    found = pd.DataFrame(list(rows), columns=["table", "rule", "n"])
    return found.assign(kind="coverage")


def test_a_chapter_is_silent_when_its_table_is_absent_or_has_no_value_in_any_row():
    assert silent.is_silent("time_to_value", quality(("milestones", "table", 0)))
    empty = quality(("milestones", "reached_at", 0), ("milestones", "target_date", 0))
    assert silent.is_silent("time_to_value", empty)


def test_a_chapter_speaks_when_its_table_has_a_row_or_it_lives_on_no_table():
    given = quality(("milestones", "reached_at", 7), ("milestones", "target_date", 0))
    assert not silent.is_silent("time_to_value", given)
    assert not silent.is_silent("survival", quality(("milestones", "table", 0)))


def test_the_short_notebook_keeps_question_and_parameters_and_asks_for_one_answer(tmp_path):
    whole = NOTEBOOKS / "05_time_to_value.ipynb"
    short = nbformat.read(
        silent.write_notebook(whole, "time_to_value", tmp_path / "short.ipynb"), as_version=4
    )
    first = nbformat.read(whole, as_version=4).cells
    assert [cell.source for cell in short.cells[:2]] == [cell.source for cell in first[:2]]
    assert short.cells[-1].source.endswith("silent.answer(chapter)")
    assert len(short.cells) == 4


class Listener:
    """A chapter that remembers what it was told."""

    name = "time_to_value"
    settings = type("Block", (), {"model_fields": {"primary_contrast": None}})()

    def __init__(self) -> None:
        self.settings.primary_contrast = "value"
        self.said: list[str] = []
        self.tables: list[str] = []
        self.headlines = pd.DataFrame()
        self.contrasts: list[dict] = []
        self.is_closed = False

    def read(self, table: str) -> pd.DataFrame:
        return pd.DataFrame({"account_id": ["a", "b"]})

    def say(self, sentence: str) -> None:
        self.said.append(sentence)

    def definition(self, terms: dict) -> None:
        self.said += [f"{term}: {what}" for term, what in terms.items()]

    def publish(self, table: str, frame: pd.DataFrame) -> None:
        assert frame.empty
        self.tables.append(table)

    def headline(self, rows: pd.DataFrame) -> None:
        self.headlines = rows

    def contrast(self, **card: object) -> None:
        self.contrasts.append(card)

    def close(self) -> None:
        self.is_closed = True


def test_the_answer_is_one_sentence_and_publishes_what_the_chapter_promises_without_numbers():
    chapter = Listener()
    silent.answer(chapter)
    assert chapter.said[0].startswith("Not available: the company records no milestones")
    assert chapter.said[1:] == ["n: 2 accounts on file, milestones of none of them"]
    promised = [name.split(".")[1] for name in TABLES if name.startswith("time_to_value.")]
    assert chapter.tables == promised
    due = [name for name, line in HEADLINES.items() if line.chapter == "time_to_value"]
    assert list(chapter.headlines["name"]) == due
    assert set(chapter.headlines["state"]) == {"not_available"}
    assert chapter.headlines["estimate"].isna().all()
    assert chapter.contrasts[0]["checks"][0]["note"] == "the company records no milestones"
    assert chapter.is_closed
