"""What does a notebook talk to? One chapter of one period: its tables in, its findings out.

Reads the period's snapshot tables and, for the summary, what the other chapters published. Makes
the chapter's tables, figures, headline and, last of all, the end marker that the gate asks for.
Run by hand there is no output folder: the chapter shows everything and publishes nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from IPython.display import HTML, display

from pipeline import settings as configuration
from pipeline.data import choices, readable, store, targets
from pipeline.data import slice as slices
from pipeline.data.schema import SNAPSHOT
from pipeline.data.schema.headlines import AS_OF, CUT_OFF
from pipeline.data.schema.published import HEADLINES, STATES, TABLES
from pipeline.reporting import figures, tables, words
from pipeline.reporting.chapter import absent, exploring
from pipeline.reporting.figures import Figure
from pipeline.reporting.interactive import session
from pipeline.reporting.pages import parts
from pipeline.reporting.privacy import small_numbers, telling
from pipeline.reporting.privacy.small_numbers import ACCOUNT_ID
from pipeline.reporting.records import claims
from pipeline.reporting.records.record import (
    END_MARKER,
    HEADLINE_FILE,
    SCENARIO,
    is_kept_name,
    plain,
)
from pipeline.settings import (
    ANNEX,
    CHAPTERS,
    KEY_VARIABLE,
    ROOT_VARIABLE,
    SUMMARY,
    ParameterError,
    Paths,
    Period,
    Settings,
)

HEADLINE_COLUMNS = (
    "name", "estimate", "ci_low", "ci_high", "n", "state", "note", "previous", "year_ago",
)  # fmt: skip
PSEUDONYM_LENGTH = 10
HIDDEN = "(hidden)"


class UnfinishedChapterError(Exception):
    """The chapter did not publish what it declares (exit code 70)."""


@session.interactive
def open_chapter(
    name: str,
    period: str | None = None,
    output: str | None = None,
    only: Mapping[str, Any] | None = None,
    **overrides: Any,
) -> Chapter:
    """Open a chapter of the newest period with a snapshot, or of the period given.

    Args:
        name: one of settings.CHAPTERS, or the annex.
        period: YYYY-MM; None: the newest period that has a snapshot.
        output: folder the runner passes, or one below build/scratch; None: show only.
        only: column of the snapshot's accounts → the values to keep; None: all accounts.
        overrides: settings of the chapter's own block; None keeps the value of params.yaml.

    Raises:
        ParameterError: no such chapter, setting, account or period, or an output folder that is
            not this chapter's to write.
        MissingDataError: no snapshot of the period.
    """
    if name not in (*CHAPTERS, ANNEX):
        known = words.listing((*CHAPTERS, ANNEX))
        raise ParameterError(f"{name!r} is no chapter; there are {known}.")
    given = os.environ.get(ROOT_VARIABLE)
    root = Path(given).resolve() if given else configuration.find_root()
    company = configuration.load(root)
    choices.check(company)
    paths = Paths(root, company.company)
    cut = slices.read(paths.snapshot(exploring.chosen_period(period, paths)))
    own = exploring.own_settings(name, company, overrides)
    subset = exploring.subset(name, only, paths.snapshot(cut.period))
    explored = exploring.tried(name, company, own) | ({"only": subset.only} if subset else {})
    folder = exploring.output_folder(name, output, paths, explored)
    chapter = Chapter(name, cut, own, company, paths, folder, subset, explored)
    if folder is None:
        chapter.display(f"<style>{parts.style()}</style>")
    chapter.say_explored()
    return chapter


class Chapter:
    """One question about one period; see `open_chapter`."""

    def __init__(
        self,
        name: str,
        cut: slices.Slice,
        own: configuration.Block,
        company: Settings,
        paths: Paths,
        output: Path | None = None,
        subset: exploring.Subset | None = None,
        explored: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.slice = cut
        self.settings: Any = own
        self.company = company
        self.paths = paths
        self.output = output
        self.subset = subset
        self.explored = dict(explored or {})
        self._opened_with = exploring.values(company, own)
        self._headline: list[dict[str, Any]] = []
        self._claims: list[claims.Claim] = []
        self._models: list[dict[str, Any]] = []
        self._page_one: dict[str, list[dict[str, Any]]] = {}
        self._came_hidden: list[set[str]] = []
        self._tables: list[str] = []
        self._figures: list[str] = []
        self._table_ids: list[str] = []

    def __repr__(self) -> str:
        return f"Chapter({self.name!r}, {str(self.period)!r}, {self.slice.status})"

    @property
    def period(self) -> Period:
        """The month that the chapter speaks of."""
        return self.slice.period

    @property
    def observed(self) -> str:
        """The time that anything followed to the cut-off is seen in, for a subtitle."""
        start = self.slice.observation_start
        since = f"{words.day(start)} " if start else ""
        return f"{since}to {words.day(self.slice.cut_off)}"

    def read(
        self, table: str, columns: Sequence[str] | None = None, is_compact: bool = False
    ) -> pd.DataFrame:
        """A snapshot table of the period, typed for analysis; of chosen accounts, theirs alone.

        One row per key of the table, as pipeline.data.schema declares it; `columns`: these only,
        which is what a table of millions of rows needs. None: all. `is_compact`: texts as
        categories and small numbers, for the same reason.
        Columns that may name a person are masked unless `reports.show_names` is set.

        Raises:
            ParameterError: no table has this name; `chapter` alone on a line shows all there are.
        """
        folder = self.paths.snapshot(self.period)
        readable.check_name(table, folder)
        asked = [*columns, ACCOUNT_ID] if columns is not None and self.subset else columns
        own = asked and list(dict.fromkeys(asked))
        rows = store.read_frame(folder / f"{table}.parquet", own, is_compact)
        rows = self.subset.of(rows) if self.subset else rows
        if self.company.reports.show_names or table not in SNAPSHOT:
            return rows
        hidden = [name for name in SNAPSHOT[table].personal_columns if name in rows.columns]
        masked = {
            name: rows[name].astype(object).mask(rows[name].notna(), HIDDEN) for name in hidden
        }
        return rows.assign(**masked) if masked else rows  # assigning nothing would copy it all

    def columns(self, table: str) -> pd.DataFrame:
        """What each column of a snapshot table holds.

        Returns:
            One row per column: name, unit, description; words are blank where nobody declared any.

        Raises:
            ParameterError: no table has this name; the message has the nearest one.
        """
        return readable.columns(table, self.paths.snapshot(self.period))

    def pseudonyms(self, account_ids: pd.Series) -> pd.Series:
        """The names under which accounts appear; their own ids when `reports.show_names` is set."""
        if self.company.reports.show_names:
            return account_ids.copy()
        key = os.environ.get(KEY_VARIABLE) or self.company.company
        return account_ids.map(lambda account: pseudonym(account, key))

    # What the reader sees.

    def displays(self, kind: str) -> None:
        """Show frames in a notebook in our words (`lodestar`), or as pandas does (`pandas`).

        In our words a frame or Series keeps the rules of a page: pseudonyms, no cell below
        `min_cell`. In pandas' it shows all that it holds; so does `print`, always.
        """
        session.show_frames(kind)

    def display(self, markup: str) -> None:
        """Show markup that is already escaped."""
        display(HTML(markup))

    def say(self, sentence: str, lead: str = "") -> None:
        """Show a sentence; `lead`, who answers for it, stands before it in bold. Both are text."""
        said, led = (
            telling.without_small(each, self.company.min_cell) for each in (sentence, lead)
        )
        self.display(parts.fragment(parts.paragraph(said, led)))

    def say_explored(self) -> None:
        """Show what is not as params.yaml says, if anything; nothing of it is published."""
        if not self.explored:
            return
        told = [str(self.subset)] if self.subset else []
        given = {key: value for key, value in self.explored.items() if key != "only"}
        told += [exploring.said(given)] if given else []
        self.say(f"{'; '.join(told)}. Nothing of this is published.", "Scenario")

    def definition(self, terms: Mapping[str, str]) -> None:
        """Show what is counted, with as-of date, cut-off and grace; then what more would add."""
        cut, months = self.slice, self.company.grace_months
        gap = f"a return within {words.days(cut.grace_days)} is no churn"
        if self.company.source.shape == "monthly":
            gap = f"a gap of up to {words.counted(months, 'month')} is no churn"
        dates = {
            "As of": words.day(cut.as_of),
            "Analysis cut-off": words.day(cut.cut_off),
            "Grace": gap if cut.grace_days else "none: every gap is churn",
        }
        if cut.is_flat:
            del dates["Grace"]
            terms = {**terms, "Customer": words.FLAT_CUSTOMER} if "Customer" in terms else terms
            dates["Flat file"] = (
                "one row per account, with tenure and status and no date; each account is placed "
                "so that its tenure ends on the cut-off"
            )
        if self.subset:
            terms = {**terms, "Only": str(self.subset)}
        least = self.company.min_cell
        said = {term: telling.without_small(what, least) for term, what in terms.items()}
        self.display(parts.fragment(parts.definitions({**said, **dates})))
        self.say_not_given()

    def is_given(self, subject: str) -> bool:
        """False for a table.column without a value in any row: whatever counts it says nothing."""
        quality = self.read("quality")
        table, column = subject.split(".")
        own = quality[(quality["table"] == table) & (quality["rule"] == column)]
        return bool((own.loc[own["kind"] == "coverage", "n"] > 0).any())

    def say_not_given(self) -> None:
        """Show in one sentence what tables and columns that are not given would add here.

        Of a flat file the chapter says what no further table could tell.
        """
        if self.slice.is_flat:
            return
        shape = self.company.source.shape
        if told := absent.sentence(self.name, self.read("quality"), shape):
            self.say(told)

    def show(self, figure: Figure) -> None:
        """Show a figure with its data table; keep picture and rows as files.

        Raises:
            UnfinishedChapterError: the figure lacks words that a reader needs.
        """
        lacking = [part for part in figures.SAID if not getattr(figure, part).strip()]
        if lacking:
            raise UnfinishedChapterError(
                f"Figure {figure.name} has no {words.listing(lacking)}. A reader needs the "
                "finding, what is measured in which unit and time, and on how many it rests."
            )
        if ACCOUNT_ID in figure.rows and not self.company.reports.show_names:
            raise UnfinishedChapterError(
                f"Figure {figure.name} draws ids of accounts. Give it chapter.pseudonyms(…)."
            )
        figure = small_numbers.picture(figure, self.company.min_cell)
        links: list[tuple[str, str]] = []
        if self.output:
            stem = f"{self.name}.{figure.name}"
            self._keep(self._figures, stem)
            place = exploring.inside(self.output, "figures", stem)
            store.write_text(figure.picture, place.with_name(f"{stem}.svg"))
            store.write_published_csv(figure.rows, place.with_name(f"{stem}.csv"))
            links = [(kind, f"figures/{stem}.{kind.lower()}") for kind in ("CSV", "SVG")]
        self.display(
            parts.fragment(
                parts.figure(figure, figure.rows, links, self.name, self.company.currency)
            )
        )

    def table(
        self,
        frame: pd.DataFrame,
        caption: str,
        note: str = "",
        formats: Mapping[str, str] | None = None,
        published: str = "",
        by: Sequence[str] = (),
        spans: tables.Spans | None = None,
        is_folded: bool = False,
    ) -> None:
        """Show a table; a long one shows its first rows and folds the others.

        Args:
            frame: any tidy rows.
            caption: what the table shows.
            note: a sentence below it.
            formats: column → one of columns.FORMATS, where its name does not say what it holds.
            published: the published table that holds its numbers. Another chapter's is named with
                it, like `revenue.mix_rate`; nothing is shown while that chapter is not listed.
                Without one the rows shown are kept as a file.
            by: columns whose values stand as a head over the rows that share them.
            spans: heads over columns that belong together.
            is_folded: the whole table stands behind a disclosure that says its caption.
        """
        least = self.company.min_cell
        shown = self._for_readers(frame)
        if small_numbers.has_blanks(shown) and any(set(shown) <= own for own in self._came_hidden):
            shown = small_numbers.flagged(shown)  # rows summed anew lose their flag
        remark = small_numbers.remark(frame, shown, least)
        caption = telling.without_small(caption, least)
        if remark and small_numbers.is_list_of_accounts(frame):
            self.say(remark, caption)
            return
        note = " ".join(each for each in (telling.without_small(note, least), remark) if each)
        owner, is_foreign, _ = published.rpartition(".")
        if is_foreign and owner not in self.company.question_chapters:
            return  # its chapter is not listed: there are no rows and no file
        holder = published if is_foreign else f"{self.name}.{published}"
        links = (
            [("CSV", f"tables/{holder}.csv")]
            if published and (len(frame) or not is_foreign)
            else []
        )
        name = self._table_id(caption)
        if not published and len(frame):
            links = [("CSV", self._keep_shown(name, shown))]
        table, rest, n_folded = tables.folded(
            shown,
            name=name,
            caption=caption,
            formats=formats or {},
            currency=self.company.currency,
            by=by,
            spans=spans,
        )
        files = links if self.output else []
        box = parts.table_box(table, caption, note, files, len(frame), (rest, n_folded))
        self.display(
            parts.fragment(parts.folded(caption, box) if is_folded and len(frame) else box)
        )

    def _keep_shown(self, name: str, rows: pd.DataFrame) -> str:
        """Keep the rows of a table that no published table holds; the place of the file."""
        stem = f"{self.name}.{name.removeprefix(f'{self.name}-')}"
        self._keep(self._tables, stem)
        if self.output:
            path = exploring.inside(self.output, "tables", f"{stem}.csv")
            store.write_published_csv(rows, path)
        return f"tables/{stem}.csv"

    def tiles(self, headlines: pd.DataFrame, names: Sequence[str | tuple[str, ...]]) -> None:
        """Show headlines as tiles; a tuple of names is one tile that shows them side by side."""
        shown = small_numbers.headlines(headlines, self.company.min_cell)
        self.display(
            parts.fragment(parts.tiles(shown, names, self.company.currency, self.slice.is_final))
        )

    # What the chapter keeps.

    def publish(self, table: str, frame: pd.DataFrame) -> None:
        """Keep a table for readers and machines; its promised columns must be there."""
        name = f"{self.name}.{table}"
        if name in TABLES:
            missing = [column for column in TABLES[name][1] if column not in frame.columns]
            if missing:
                raise UnfinishedChapterError(
                    f"{name} lacks {words.listing(missing)}. Its readers rely on these columns; "
                    "see published.TABLES."
                )
        self._keep(self._tables, name)
        if self.output:
            path = exploring.inside(self.output, "tables", f"{name}.csv")
            store.write_published_csv(self._for_readers(frame), path)

    def headline(
        self, rows: pd.DataFrame, checks: Mapping[str, Sequence[Any]] | None = None
    ) -> None:
        """Keep the chapter's headlines with their claim cards; label, unit and change are added.

        Args:
            rows: one row per headline (HEADLINE_COLUMNS; `n_events` where there are any).
            checks: by headline, what was looked at. Where a hard check failed, the reason stands
                in place of the number.
        """
        missing = [column for column in HEADLINE_COLUMNS if column not in rows.columns]
        if missing:
            raise UnfinishedChapterError(
                f"The headline lacks the columns {words.listing(missing)}."
            )
        then = small_numbers.sizes_then(rows)
        for row in rows.to_dict("records"):
            self._check_headline(row)
            looked_at = claims.checks_of((checks or {}).get(row["name"], ()))
            known = _without_number(row, claims.stopped_by(looked_at))
            known = small_numbers.headline(known, self.company.min_cell, then)
            self._headline.append(_kept_headline(known))
            card = claims.headline(_kept_headline(known, "n_events"), self._dates, looked_at)
            self._claims.append(small_numbers.card(card, self.company.min_cell))

    def contrast(
        self,
        name: str,
        statement: str,
        estimand: str,
        population: str,
        estimate: float | None,
        ci_low: float | None,
        ci_high: float | None,
        unit: str,
        p_value: float | None,
        n: int,
        n_events: int | None,
        checks: Sequence[Any],
        null: float = 1.0,
    ) -> None:
        """Keep the chapter's one primary contrast as a claim card.

        Args:
            name: the contrast in words that hold still, like `segment`.
            statement: what is compared with what, part of a sentence.
            estimand: what would be known with all data, one sentence.
            population: in whom, one sentence.
            estimate: None, with its limits and p value, where there is no number.
            ci_low: lower limit.
            ci_high: upper limit.
            unit: a headline's unit: share, ratio, days, months …
            p_value: of no difference, not adjusted.
            n: accounts.
            n_events: events behind it; None where none are counted.
            checks: what was looked at before it was believed.
            null: the value that says "no difference".
        """
        if any(claim["kind"] == claims.CONTRAST for claim in self._claims):
            raise UnfinishedChapterError(f"{self.name} keeps a second contrast; one is primary.")
        given = {
            "name": name, "statement": statement, "estimand": estimand, "population": population,
            "estimate": estimate, "ci_low": ci_low, "ci_high": ci_high, "unit": unit,
            "p_value": p_value, "n": n, "n_events": n_events, "checks": checks,
        }  # fmt: skip
        card = claims.contrast(self.name, self._dates[CUT_OFF], null, **given)
        self._claims.append(small_numbers.card(card, self.company.min_cell))

    def model(
        self, name: str, n: int, n_events: int, converged: bool, checks: Sequence[Any] = ()
    ) -> None:
        """Keep what a model was fitted on and which checks it passed.

        `checks` are dataclasses or mappings with `name`, `passed`, `note` and `is_hard`.
        """
        fitted = {
            "chapter": self.name,
            "name": name,
            "n": plain(n),
            "n_events": plain(n_events),
            "converged": bool(converged),
            "checks": claims.checks_of(checks),
        }
        self._models.append(small_numbers.card(fitted, self.company.min_cell))

    def page_one(self, name: str, rows: pd.DataFrame) -> None:
        """Keep rows that the summary may show; each says when something was hidden of them."""
        shown = self._for_readers(rows)
        flag = {small_numbers.CAME_HIDDEN: True} if small_numbers.came_hidden(shown) else {}
        self._page_one[name] = [
            {str(key): plain(value) for key, value in row.items()} | flag
            for row in shown.to_dict("records")
        ]

    def close(self) -> None:
        """Check that all that was promised is there, write the headline and the end marker.

        Raises:
            UnfinishedChapterError: something promised is not there.
            ParameterError: a cell changed the settings that the chapter was opened with.
        """
        if self.output is None:
            self.say("Run by hand: nothing was published.")
            return
        exploring.check_unchanged(self.name, self._opened_with, self.company, self.settings)
        self._check_complete()
        order = list(HEADLINES)
        content = {
            "chapter": self.name,
            "period": str(self.period),
            "headline": sorted(self._headline, key=lambda row: order.index(row["name"])),
            "claims": self._claims,
            "models": self._models,
            "page_one": self._page_one,
        }
        marker = {
            "chapter": self.name,
            "period": str(self.period),
            "tables": self._tables,
            "figures": self._figures,
            **({SCENARIO: self.explored} if self.explored else {}),
        }
        store.write_json(content, self.output / HEADLINE_FILE)
        store.write_json(marker, self.output / END_MARKER)

    # What the other chapters kept; the summary reads it.

    def headlines(self) -> pd.DataFrame:
        """One row per headline of the listed chapters, with target and owner."""
        aims = targets.of_period(self.company, self.paths.snapshot(self.period))
        rows = [
            row for name in self.company.question_chapters for row in self._kept(name, "headline")
        ]
        columns = [
            *HEADLINE_COLUMNS,
            "chapter",
            "label",
            "unit",
            "change",
            "target",
            "target_owner",
            "verdict",
            "reasons",
        ]
        cards = [
            card for name in self.company.question_chapters for card in self._kept(name, "claims")
        ]
        rows = claims.with_verdicts(rows, cards)
        for row in rows:
            row |= targets.named(row["name"], aims)
        numbers = ["estimate", "ci_low", "ci_high", "n", "previous", "year_ago", "change", "target"]
        return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(numbers, "float64"))

    def page_one_of(self, chapter: str, name: str) -> pd.DataFrame:
        """The same rows that another chapter kept for page one; empty when there are none."""
        if chapter not in self.company.question_chapters:
            return pd.DataFrame()
        rows = pd.DataFrame(self._kept(chapter, "page_one").get(name, []))
        if small_numbers.CAME_HIDDEN not in rows.columns:
            return rows
        rows = rows.drop(columns=small_numbers.CAME_HIDDEN)
        self._came_hidden.append(set(rows.columns))
        return small_numbers.flagged(rows)

    def claims(self) -> pd.DataFrame:
        """One row per claim card of the listed chapters; `reasons` and `checks` hold lists."""
        rows = [
            card for name in self.company.question_chapters for card in self._kept(name, "claims")
        ]
        columns = [*claims.TEXTS, *claims.NUMBERS, "null", "checks", "verdict", "reasons"]
        numbers = [*claims.NUMBERS, "null"]
        return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(numbers, "float64"))

    def models(self) -> pd.DataFrame:
        """One row per model and check of the listed chapters."""
        rows = []
        for chapter in self.company.question_chapters:
            for model in self._kept(chapter, "models"):
                facts = {key: value for key, value in model.items() if key != "checks"}
                checks = model["checks"] or [{"name": "", "passed": True, "note": ""}]
                rows += [
                    facts
                    | {"check": check["name"], "passed": check["passed"], "note": check["note"]}
                    for check in checks
                ]
        columns = ["chapter", "name", "n", "n_events", "converged", "check", "passed", "note"]
        return pd.DataFrame(rows, columns=columns)

    def _kept(self, chapter: str, part: str) -> Any:
        path = self.paths.headline(chapter, self.period)
        if not path.is_file():
            if self.output:
                raise store.MissingDataError(
                    f"{path.name} of {self.period} is missing: the summary comes after them."
                )
            return {} if part == "page_one" else []
        return store.read_json(path)[part]

    def _check_headline(self, row: Mapping[str, Any]) -> None:
        name, state = row["name"], row["state"]
        if name not in HEADLINES or HEADLINES[name].chapter != self.name:
            raise UnfinishedChapterError(f"{name!r} is no headline of chapter {self.name}.")
        if state not in STATES:
            raise UnfinishedChapterError(f"{name}: {state!r} is no state; {words.listing(STATES)}.")

    def _check_complete(self) -> None:
        tables_due = [name for name in TABLES if name.split(".")[0] == self.name]
        lines_due = [name for name, line in HEADLINES.items() if line.chapter == self.name]
        kept = {row["name"] for row in self._headline}
        missing = [name for name in tables_due if name not in self._tables]
        missing += [f"headline {name}" for name in lines_due if name not in kept]
        is_due = "primary_contrast" in type(self.settings).model_fields
        if is_due and not any(card["kind"] == claims.CONTRAST for card in self._claims):
            missing.append("its primary contrast")
        if missing:
            raise UnfinishedChapterError(
                f"Chapter {self.name} did not publish {words.listing(missing)}. "
                "published.py promises them; publish them, empty if there is nothing to say."
            )

    @property
    def _dates(self) -> dict[str, str]:
        cut = self.slice
        return {AS_OF: cut.as_of.isoformat(), CUT_OFF: cut.cut_off.isoformat()}

    def _for_readers(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The rows as they may leave the chapter: accounts under pseudonyms, no small cell."""
        if ACCOUNT_ID in rows.columns:
            rows = rows.assign(**{ACCOUNT_ID: self.pseudonyms(rows[ACCOUNT_ID])})
        return small_numbers.hidden(rows, self.company.min_cell)

    def _table_id(self, caption: str) -> str:
        """An id made of the caption; the second table of that caption ends in 2."""
        name = f"{self.name}-{tables.slug(caption)}"
        self._table_ids.append(name)
        uses = self._table_ids.count(name)
        return name if uses == 1 else f"{name}-{uses}"

    def _keep(self, names: list[str], name: str) -> None:
        if not is_kept_name(name):
            raise UnfinishedChapterError(f"{name!r} is no file's name: use letters, digits, _ -.")
        if name in names:
            raise UnfinishedChapterError(f"{name} was already kept: a name is used once a chapter.")
        names.append(name)


def _without_number(row: Mapping[str, Any], reason: str) -> dict[str, Any]:
    """A headline as its chapter gives it, or with the reason in place of the number."""
    if not reason:
        return dict(row)
    nothing = dict.fromkeys(("estimate", "ci_low", "ci_high"))
    return {**row, **nothing, "state": "not_available", "note": reason}


def _kept_headline(row: Mapping[str, Any], *further: str) -> dict[str, Any]:
    """A headline as report.json has it; `further` columns may be absent."""
    promise = HEADLINES[row["name"]]
    estimate, previous = plain(row["estimate"]), plain(row["previous"])
    is_known = estimate is not None and previous is not None
    return {
        **{key: plain(row.get(key)) for key in (*HEADLINE_COLUMNS, *further)},
        "note": "" if words.is_missing(row["note"]) else str(row["note"]),
        "chapter": promise.chapter,
        "label": promise.label,
        "unit": promise.unit,
        "change": plain(estimate - previous) if is_known else None,
    }


def pseudonym(account_id: Any, key: str) -> str:
    """A name that is stable for one key and does not show the id: `acct-` and ten hex digits."""
    digest = hmac.new(key.encode("utf-8"), str(account_id).encode("utf-8"), hashlib.sha256)
    return f"acct-{digest.hexdigest()[:PSEUDONYM_LENGTH]}"


__all__ = ["SUMMARY", "Chapter", "UnfinishedChapterError", "open_chapter", "pseudonym"]
