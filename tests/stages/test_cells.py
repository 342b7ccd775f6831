"""A plain cell is read in one way alone, and that way gives what all the others give."""

from __future__ import annotations

import pyarrow as pa
import pytest

from pipeline.data import engine
from pipeline.stages import cells

WRITTEN = [
    "2026-01-31", "1899-12-31", "1900-02-29", "2000-02-29", "2026-02-30", "2100-13-01",
    "2026-01-31T00:00:00", "2026-01-31 23:59:59", "2026-02-30T10:00:00", "1900-01-01T00:00:01",
    "2026-01-31T24:00:00", "2026-01-31T23:59:60", "2026-01-31T10:00:00\n", " 2026-01-31",
    "2026-01-31T10:00:00Z", "2026-01-31T10:00", "0001-01-01T00:00:00", "9999-12-31", "", None,
]  # fmt: skip


@pytest.mark.parametrize(("kind", "never"), [("day", "PLAIN_DAY"), ("instant", "PLAIN_TIME")])
def test_a_plain_day_or_time_is_read_as_every_form_of_it_would_be(kind, never, monkeypatch):
    read = []
    for pattern in (getattr(cells, never), "^never$"):
        monkeypatch.setattr(cells, never, pattern)
        with engine.connect("UTC") as backend:
            rows = backend.create_table("cells", pa.table({"text": WRITTEN}))
            value = cells.typed(rows.text, kind, is_steady=True)
            read.append(rows.select("text", value=value).order_by("text").to_pyarrow().to_pylist())
    assert read[0] == read[1]
    assert sum(row["value"] is not None for row in read[0]) >= 10


def test_a_column_with_plain_and_zoned_times_has_both():
    with engine.connect("UTC") as backend:
        texts = ["2026-01-31T10:00:00", "2026-01-31T10:00:00Z", "2026-01-31", None]
        rows = backend.create_table("cells", pa.table({"text": texts}))
        found = rows.select("text", word=cells.zone_words(rows.text)).to_pyarrow().to_pylist()
    words = [cells.BARE, cells.ZONED, 0, 0]
    assert {row["text"]: row["word"] for row in found} == dict(zip(texts, words, strict=True))
