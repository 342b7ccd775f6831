"""What may the analyst choose? params.yaml as typed settings, the period, paths below one root.

The file is YAML 1.2 and read with ruamel.yaml, as DVC reads it. An unknown name, a wrong type or a
malformed period is an error here, before anything runs. Dates computed from a period's name are
never typed and never read from the clock.
"""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import re
import zoneinfo
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.tokens import AliasToken

SMALLEST_RATE, LARGEST_RATE = 1e-12, 1e7
PERIOD_FORMAT = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])", re.ASCII)
SLUG_FORMAT = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}", re.ASCII)
NAME_FORMAT = re.compile(r"[a-z][a-z0-9_]{0,62}", re.ASCII)
VARIABLE_FORMAT = re.compile(r"[A-Z][A-Z0-9_]*_URL", re.ASCII)
"""An environment variable that is known to hold a secret by its name."""
CURRENCY_FORMAT = re.compile(r"[A-Z]{3}", re.ASCII)
LARGEST_PARAMS_BYTES = 1_000_000
MOST_ALIASES = 20
"""A merge of merges doubles a mapping with each alias: more of them fill any memory."""
ROOT_VARIABLE = "LODESTAR_ROOT"
"""Environment variable that names the project's folder to a notebook."""
OUTPUT_VARIABLE = "LODESTAR_OUTPUT"
"""Environment variable in which a run names the folder that its notebook may write into."""
KEY_VARIABLE = "LODESTAR_PSEUDONYM_KEY"
"""Environment variable that holds the secret behind pseudonyms."""
SAMPLE = "sample"
"""The made-up company, whose exports are the output of a stage."""
SUMMARY = "summary"
CHAPTERS = (SUMMARY, "population", "revenue", "survival", "drivers", "time_to_value")
ANNEX = "annex"
"""A page beside the chapters: nobody lists it, it follows from `annex:` and the month."""
ANNEX_NUMBER = 99
QUARTER_ENDS = ("03", "06", "09", "12")
RENAMED = {
    "grace": "grace_days",
    "months": "periods",
    "currency_rates": "fx",
    "time_zone": "timezone",
    "min_cell_size": "min_cell",
}
DAYS_PER_MONTH = 30.4375


class ConfigurationError(Exception):
    """params.yaml cannot be used as it stands (exit code 78)."""


class ParameterError(Exception):
    """A value given on the command line or to a notebook is not legal (exit code 64)."""


@dataclass(frozen=True, order=True)
class Period:
    """One calendar month, written YYYY-MM with ASCII digits."""

    name: str

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not PERIOD_FORMAT.fullmatch(self.name):
            raise ParameterError(
                f"{self.name!r} is not a period: write a calendar month as YYYY-MM, like 2026-10."
            )

    def __str__(self) -> str:
        return self.name

    @property
    def start(self) -> dt.date:
        """P0: the first day of the month; the base as it stood at the end of the day before."""
        return dt.date(int(self.name[:4]), int(self.name[5:]), 1)

    @property
    def end(self) -> dt.date:
        """P1: the first day of the next month."""
        return self.shift(1).start

    @property
    def as_of(self) -> dt.date:
        """Last day of the month."""
        return self.end - dt.timedelta(days=1)

    def shift(self, months: int) -> Period:
        """The period `months` later (earlier when negative)."""
        count = int(self.name[:4]) * 12 + int(self.name[5:]) - 1 + months
        return Period(f"{count // 12:04d}-{count % 12 + 1:02d}")

    @classmethod
    def of(cls, day: dt.date) -> Period:
        """The period that holds a day."""
        return cls(f"{day.year:04d}-{day.month:02d}")


def _as_date(value: Any) -> Any:
    """Accept a date written in quotes; DVC refuses an unquoted one."""
    if isinstance(value, str):
        return dt.date.fromisoformat(value)
    return value


def _no_twins(marks: list[Any]) -> list[Any]:
    twice = sorted({mark for mark in marks if marks.count(mark) > 1})
    if twice:
        raise ValueError(f"{', '.join(map(str, twice))} stands there more than once")
    return marks


MOST_MONTHS, MOST_DAYS = 600, 36_500
"""Longer than any company's history; beyond a hundred years a date has no place in a column."""
Months = Annotated[int, Field(ge=1, le=MOST_MONTHS)]
Days = Annotated[int, Field(ge=0, le=MOST_DAYS)]
Marks = Annotated[
    list[Annotated[Days, Field(ge=1)]], Field(min_length=1), AfterValidator(_no_twins)
]
"""Days at which something is counted: one or more, each once."""
Horizons = Annotated[list[Months], Field(min_length=1), AfterValidator(_no_twins)]
Charts = Annotated[
    list[Literal["gross_account_churn_rate", "gross_mrr_churn_rate", "customers_new"]],
    AfterValidator(_no_twins),
]
Day = Annotated[dt.date, Field(strict=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Mark = Annotated[str, Field(pattern=r"^[^0-9A-Za-z+()-]$")]
"""One character inside a number."""
Separator = Annotated[str, Field(pattern=r'^[^"\r\n\x00\ufeff]$')]
"""One character between two cells."""


def _known_zone(name: str) -> str:
    if name not in zoneinfo.available_timezones():
        raise ValueError(f"{name!r} is no time zone: write one like Europe/Berlin or UTC")
    return name


class Block(BaseModel):
    """A part of params.yaml: unknown names are refused and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Attribute(Block):
    """A column of the company's own that accounts carry along.

    `file` and `by` make a mark out of another export: true for an account that has a row there.
    """

    column: str = ""
    type: Literal["category", "flag", "number", "share", "date"] = "category"
    known: Literal["at_signup", "at_extract"]
    file: str | None = None
    by: str | None = None


class Lookup(Block):
    """Where a column that the export lacks is found: in one of our tables, or in another export.

    `table` is a raw table read before this one, or a table of the source; `file` is an export below
    the raw folder. `by` is our column; `key` and `column` are the names there, ours when not given.
    """

    table: str | None = None
    file: str | None = None
    by: str
    key: str | None = None
    column: str | None = None

    @model_validator(mode="after")
    def _has_one_place(self) -> Lookup:
        if (self.table is None) == (self.file is None):
            raise ValueError("give `table` or `file`, one of them")
        return self


class Database(Block):
    """A database that holds the company's tables.

    `url` is the name of the environment variable with the address, never the address itself.
    `file` of DuckDB and SQLite is a path, from the company's folder in data/raw or absolute.
    """

    backend: Literal["postgres", "duckdb", "sqlite"]
    url: str | None = None
    file: str | None = None
    schema_name: str | None = Field(None, alias="schema")
    timeout_minutes: Annotated[float, Field(gt=0)] = 30.0

    @field_validator("url")
    @classmethod
    def _url_is_the_name_of_a_variable(cls, url: str | None) -> str | None:
        if url is not None and not VARIABLE_FORMAT.fullmatch(url):
            raise ValueError(
                "write the name of the environment variable that holds the address, in capital "
                "letters and ending in _URL, like BILLING_DATABASE_URL; the address itself never "
                "stands in params.yaml"
            )
        return url

    @model_validator(mode="after")
    def _says_where_it_is(self) -> Database:
        asked = "url" if self.backend == "postgres" else "file"
        given = [key for key in ("url", "file") if getattr(self, key)]
        if given != [asked]:
            raise ValueError(f"{self.backend} is found by `{asked}`, and by that alone")
        return self


class SourceTable(Block):
    """How one of the company's exports maps to one of our raw tables."""

    file: str | None = None
    sheet: str | None = None
    table: str | None = None
    query: str | None = None
    columns: dict[str, str] = {}
    date_format: str | dict[str, str] | None = None
    encoding: str = "utf-8"
    separator: Separator = ","
    line_breaks: bool = False
    null_values: list[str] = []
    allow_empty: bool = False
    decimal: Mark = "."
    thousands: Mark | None = None
    units: dict[str, Literal["cents", "percent"]] = {}
    timezone: str | None = None
    open_ended: list[str] = []
    values: dict[str, dict[str, str]] = {}
    lookup: dict[str, Lookup] = {}
    exclude: dict[str, list[str]] = {}
    attributes: dict[str, Attribute] = {}
    shape: Literal["intervals", "monthly", "changes", "tenure"] = "intervals"
    tenure_unit: Literal["days", "months"] | None = None

    @field_validator("encoding")
    @classmethod
    def _encoding_exists(cls, encoding: str) -> str:
        try:
            "".encode(encoding)
        except (LookupError, ValueError):
            raise ValueError(
                f"{encoding!r} is no encoding of text: write one like utf-8, cp932 or cp1252"
            ) from None
        return encoding

    @model_validator(mode="after")
    def _marks_differ(self) -> SourceTable:
        if self.thousands == self.decimal:
            raise ValueError(f"thousands and decimal are both {self.decimal!r}")
        return self

    @field_validator("timezone")
    @classmethod
    def _zone_exists(cls, zone: str | None) -> str | None:
        return zone if zone is None else _known_zone(zone)

    @field_validator("attributes")
    @classmethod
    def _names_are_plain(cls, attributes: dict[str, Attribute]) -> dict[str, Attribute]:
        for name in attributes:
            if not NAME_FORMAT.fullmatch(name):
                raise ValueError(f"attribute {name!r}: use small letters, digits and _")
        return attributes


class Ids(Block):
    """When are two spellings one id? Under this policy; every cell that it changes is counted.

    `trim` takes away spaces at the ends and characters that nobody sees, wherever they stand.
    """

    normalise: Literal["NFKC", "none"] = "NFKC"
    trim: bool = True


class MergedAccounts(Block):
    """A table of account mergers: the account `from_column` (key `from`) goes on as `into`."""

    file: str
    from_column: str = Field("from", alias="from")
    into: str = "into"


class DaylightSaving(Block):
    """What a local time means that the clock skipped (`gap`) or showed twice (`overlap`)."""

    gap: Literal["quarantine", "forward"] = "quarantine"
    overlap: Literal["earlier", "later", "quarantine"] = "earlier"


class Source(Block):
    """Where the raw tables are and how they map to ours; empty: our own names in data/raw."""

    tables: dict[str, SourceTable] = {}
    database: Database | None = None
    ids: Ids = Ids()
    merged_accounts: MergedAccounts | None = None
    daylight_saving: DaylightSaving = DaylightSaving()
    strict: bool = False
    largest_file_mb: Annotated[int, Field(ge=1)] = 2000

    @model_validator(mode="after")
    def _each_table_has_one_place(self) -> Source:
        for name, table in self.tables.items():
            places = [key for key in ("file", "table", "query") if getattr(table, key)]
            if len(places) > 1:
                raise ValueError(f"tables.{name}: give one of {' and '.join(places)}, not both")
            if places and places != ["file"] and not self.database:
                raise ValueError(f"tables.{name}.{places[0]}: no `database` is declared")
        return self

    @model_validator(mode="after")
    def _shapes_are_of_subscriptions(self) -> Source:
        for name, table in self.tables.items():
            if table.shape != "intervals" and name != "subscriptions":
                raise ValueError(f"tables.{name}.shape: only subscriptions come in shapes")
            if (table.shape == "tenure") != (table.tenure_unit is not None):
                raise ValueError(f"tables.{name}: tenure_unit belongs to shape: tenure, and to it")
        return self

    @property
    def shape(self) -> str:
        """The shape in which subscriptions come: intervals, monthly, changes or tenure."""
        own = self.tables.get("subscriptions")
        return own.shape if own else "intervals"

    @property
    def tenure_unit(self) -> str | None:
        """The unit of a flat file's tenures; None: subscriptions come in another shape."""
        own = self.tables.get("subscriptions")
        return own.tenure_unit if own else None

    @property
    def of_database(self) -> dict[str, SourceTable] | None:
        """Our tables that the database holds: those declared without a file.

        None: no table is declared, so all that the database has under our own names.
        """
        if not self.database:
            return {}
        return {name: table for name, table in self.tables.items() if not table.file} or None


class Quarantine(Block):
    """Above these shares of a table's rows or of its revenue the run stops.

    A level shift is the factor between the usual price of a month's new rows and that of the 12
    months before: above the first it is a warning, above the second the run stops (null: never).
    """

    max_share_of_rows: Share = 0.05
    max_share_of_mrr: Share = 0.05
    level_shift_warns_above: Annotated[float, Field(gt=1)] = 5.0
    level_shift_stops_above: Annotated[float, Field(gt=1)] | None = 50.0


class Reports(Block):
    """What a reader of the reports may see."""

    show_names: bool = False


class Target(Block):
    """A target for a headline and who owns it."""

    target: float | None = None
    owner: str | None = None


class Run(Block):
    """When an unattended run gives up, tries again and tidies up; no number depends on it."""

    cell_timeout_minutes: Annotated[float, Field(gt=0)] = 30.0
    notebook_timeout_minutes: Annotated[float, Field(gt=0)] = 60.0
    run_timeout_hours: Annotated[float, Field(gt=0)] = 12.0
    retries: Annotated[int, Field(ge=0, le=10)] = 2
    keep_runs: Annotated[int, Field(ge=1)] = 24
    free_disk_mb: Annotated[int, Field(ge=0)] = 500


class Simulate(Block):
    """The sample company."""

    seed: int = 20260115
    scenario: str = "sample"
    accounts: Annotated[int, Field(ge=10)] = 3000
    start: Day = dt.date(2023, 11, 1)
    months: Months = 36

    _date = field_validator("start", mode="before")(_as_date)


class Usage(Block):
    """Usage month by month."""

    late_after_days: Days = 31


class Population(Block):
    """Who is counted."""

    return_days: Marks = [7, 14, 30, 60]
    churn_marks: list[str] = []


class Revenue(Block):
    """How many customers and how much revenue were kept."""

    usual_range_months: Annotated[Months, Field(ge=3)] = 12
    charts: Charts = ["gross_account_churn_rate", "gross_mrr_churn_rate", "customers_new"]
    mix_by: str = "segment"
    cohort_months: Months = 36
    primary_contrast: Literal["gross_account_churn_rate", "gross_mrr_churn_rate"] = (
        "gross_account_churn_rate"
    )


class Survival(Block):
    """How long customers stay."""

    strata: list[str] = ["segment", "touch_model"]
    covariates: list[str] = ["segment", "touch_model"]
    stratify_by: str | None = None
    horizons_months: Horizons = [12, 24]
    primary_contrast: str = "segment"


class Drivers(Block):
    """What goes with staying."""

    candidates: list[str] = []
    hold_out_months: Months = 3
    events_per_parameter: Annotated[float, Field(gt=0)] = 10.0
    false_discovery_rate: Share = 0.10
    vif_limit: Annotated[float, Field(gt=1)] = 5.0
    back_test_months: Months = 18
    primary_contrast: str = "has_value"


class TimeToValue(Block):
    """How soon customers get value."""

    first_value: list[str] = ["first_value"]
    groups: list[str] = ["segment", "touch_model"]
    landmark_days: Marks = [30, 60, 90]
    overdue_after_days: Annotated[Days, Field(ge=1)] = 60
    adjust_for: list[str] = ["segment", "touch_model"]
    primary_contrast: Literal["time_varying", "landmark"] = "time_varying"


class Fit(Block):
    """What a customer is worth; without a margin the lifetime value is one of revenue."""

    gross_margin_share: Annotated[float, Field(gt=0, le=1)] | None = None
    discount_rate_per_year: Annotated[float, Field(ge=0)] = 0.0


class Families(Block):
    """Tests that share one error rate, named before the data are read.

    `primary`: chapters whose primary contrasts are adjusted together (Holm). `screens`: published
    tables within each of which q values are computed (Benjamini–Hochberg).
    """

    primary: list[str] = ["revenue", "survival", "drivers", "time_to_value"]
    screens: list[str] = [
        "survival.tests", "survival.hazard_ratios", "drivers.effects",
        "time_to_value.determinants",
    ]  # fmt: skip


class Summary(Block):
    """Page one."""

    renewal_horizon_days: Annotated[Days, Field(ge=1)] = 90
    targets: dict[str, Target] = {}
    verdict_owners: dict[str, str] = {}


class Settings(Block):
    """params.yaml, read and checked."""

    company: str
    company_name: str
    periods: list[str]
    chapters: list[str] = list(CHAPTERS)
    timezone: str = "UTC"
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "USD"
    fx: dict[str, dict[str, Annotated[float, Field(allow_inf_nan=True)]]] = {}
    extract_date: Day | None = None
    observation_start: Day | None = None
    grace_days: Days = 30
    grace_months: Annotated[int, Field(ge=0, le=MOST_MONTHS)] = 0
    close_lag_days: Days = 3
    min_cell: Annotated[int, Field(ge=0)] = 0
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    seed: Annotated[int, Field(ge=0)] = 20260115
    annex: Literal["quarterly", "monthly", "never"] = "quarterly"
    controls: dict[str, str] = {}
    engine: Literal["duckdb", "pyspark"] = "duckdb"
    source: Source = Source()
    quarantine: Quarantine = Quarantine()
    reports: Reports = Reports()
    run: Run = Run()
    simulate: Simulate = Simulate()
    usage: Usage = Usage()
    population: Population = Population()
    revenue: Revenue = Revenue()
    survival: Survival = Survival()
    drivers: Drivers = Drivers()
    time_to_value: TimeToValue = TimeToValue()
    fit: Fit = Fit()
    families: Families = Families()
    summary: Summary = Summary()

    _dates = field_validator("extract_date", "observation_start", mode="before")(_as_date)

    @field_validator("company")
    @classmethod
    def _company_is_a_slug(cls, company: str) -> str:
        if not SLUG_FORMAT.fullmatch(company):
            raise ValueError(f"{company!r} names a folder: use small letters, digits, - and _")
        return company

    @field_validator("periods")
    @classmethod
    def _periods_are_months(cls, periods: list[str]) -> list[str]:
        for name in periods:
            try:
                Period(name)
            except ParameterError as error:
                raise ValueError(str(error)) from None
        return sorted(set(periods))

    @field_validator("timezone")
    @classmethod
    def _timezone_exists(cls, timezone: str) -> str:
        return _known_zone(timezone)

    @field_validator("fx")
    @classmethod
    def _rates_are_monthly(cls, fx: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
        for currency, rates in fx.items():
            if not CURRENCY_FORMAT.fullmatch(currency):
                raise ValueError(f"{currency!r} is no currency: write its ISO 4217 code, like EUR")
            for month, rate in rates.items():
                if not PERIOD_FORMAT.fullmatch(month):
                    raise ValueError(f"{currency}: {month!r} is no month: write YYYY-MM")
                if not SMALLEST_RATE <= rate < LARGEST_RATE:
                    raise ValueError(
                        f"{currency} in {month}: a rate is above 0 and below ten million, with at "
                        f"most twelve decimals, not {rate}"
                    )
        return fx

    @field_validator("chapters")
    @classmethod
    def _chapters_exist(cls, chapters: list[str]) -> list[str]:
        unknown = [name for name in chapters if name not in CHAPTERS]
        if unknown:
            raise ValueError(f"no chapter {', '.join(unknown)}; there are {', '.join(CHAPTERS)}")
        return [name for name in CHAPTERS if name in chapters or name == SUMMARY]

    @property
    def question_chapters(self) -> list[str]:
        """The listed chapters without the summary, in the order of the report."""
        return [name for name in self.chapters if name != SUMMARY]

    def has_annex(self, period: Period) -> bool:
        """True when the report of a month comes with an annex."""
        if self.source.shape == "tenure":  # its choices are all about the calendar
            return False
        is_quarter = self.annex == "quarterly" and str(period)[-2:] in QUARTER_ENDS
        return self.annex == "monthly" or is_quarter

    def newest_annex(self, period: Period) -> Period | None:
        """The last month up to this one that comes with an annex."""
        months = (period.shift(-back) for back in range(len(QUARTER_ENDS)))
        return next((month for month in months if self.has_annex(month)), None)

    @property
    def attributes(self) -> dict[str, Attribute]:
        """The company's own account columns by name."""
        accounts = self.source.tables.get("accounts")
        return accounts.attributes if accounts else {}

    @property
    def attributes_of_today(self) -> set[str]:
        """Attributes that hold today's value: they may draw a curve, never explain a past month."""
        return {name for name, own in self.attributes.items() if own.known == "at_extract"}

    def period(self, name: str) -> Period:
        """A period of this company; its name is checked."""
        return Period(name)


@dataclass(frozen=True)
class Paths:
    """Every folder and file, below one root."""

    root: Path
    company: str

    @property
    def params(self) -> Path:
        return self.root / "params.yaml"

    @property
    def raw(self) -> Path:
        return self.root / "data" / "raw" / self.company

    @property
    def quarantine(self) -> Path:
        return self.root / "data" / "quarantine" / self.company

    @property
    def processed(self) -> Path:
        return self.root / "data" / "processed"

    @property
    def exports_seen(self) -> Path:
        """Size, time and hash of the exports as `ingest` read them last."""
        return self.build / "exports-seen" / f"{self.company}.json"

    @property
    def ingest(self) -> Path:
        return self.processed / "ingest"

    @property
    def usage(self) -> Path:
        return self.processed / "usage"

    def snapshot(self, period: Period) -> Path:
        return self.processed / "snapshot" / str(period)

    def chapter(self, name: str, period: Period) -> Path:
        return self.processed / name / str(period)

    def headline(self, name: str, period: Period) -> Path:
        return self.processed / "headline" / str(period) / f"{name}.json"

    @property
    def notebooks(self) -> Path:
        return self.root / "notebooks"

    def notebook(self, name: str) -> Path:
        number = ANNEX_NUMBER if name == ANNEX else CHAPTERS.index(name)
        return self.notebooks / f"{number:02d}_{name}.ipynb"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    def report(self, period: Period) -> Path:
        return self.reports / str(period)

    @property
    def build(self) -> Path:
        return self.root / "build"

    @property
    def scratch(self) -> Path:
        """Where what was tried out is kept; nothing here is ever published."""
        return self.build / "scratch"


def find_root(start: Path | None = None) -> Path:
    """The nearest folder upwards that holds params.yaml; ConfigurationError when none does."""
    folder = (start or Path.cwd()).resolve()
    for candidate in (folder, *folder.parents):
        if (candidate / "params.yaml").is_file():
            return candidate
    raise ConfigurationError(
        f"No params.yaml in {folder} or above it. Go to the project's folder or give --root."
    )


def load(root: Path) -> Settings:
    """Read and check `root`/params.yaml; ConfigurationError names each key that is wrong."""
    path = root / "params.yaml"
    if not path.is_file():
        raise ConfigurationError(f"{path.name} is missing in {root}.")
    if path.stat().st_size > LARGEST_PARAMS_BYTES:
        raise ConfigurationError(f"{path.name} is larger than {LARGEST_PARAMS_BYTES:,} bytes.")
    try:
        content = _read_yaml(path.read_text(encoding="utf-8"))
    except (YAMLError, ValueError) as error:
        raise ConfigurationError(f"{path.name} is not YAML: {error}") from None
    except RecursionError:
        raise ConfigurationError(f"{path.name} is not YAML that is used here: its lists or "
                                 "mappings lie too deep in each other.") from None  # fmt: skip
    return parse(content)


def _read_yaml(text: str) -> Any:
    yaml = YAML(typ="safe", pure=True)
    aliases = (token for token in yaml.scan(text) if isinstance(token, AliasToken))
    if "*" in text and sum(1 for _ in itertools.islice(aliases, MOST_ALIASES + 1)) > MOST_ALIASES:
        raise ValueError(f"it has more than {MOST_ALIASES} aliases (*name). Write the values out.")
    return YAML(typ="safe", pure=True).load(text)


def parse(content: Any) -> Settings:
    """Settings from the content of params.yaml."""
    if not isinstance(content, dict):
        raise ConfigurationError("params.yaml must hold a mapping of names to values.")
    try:
        return _by_shape(Settings.model_validate(content))
    except ValidationError as error:
        raise ConfigurationError(_explain(error)) from None


@functools.cache
def longest_days(months: int) -> int:
    """Days of so many calendar months in a row, where they are longest: 31 for 1, 366 for 12."""
    starts = (Period("1999-01").shift(step) for step in range(4 * 12))
    return max((start.shift(months).start - start.start).days for start in starts)


def _by_shape(settings: Settings) -> Settings:
    """Settings with the grace of the declared shape.

    A ledger of months has a gap of whole months, so `grace_months` in days at their longest finds
    the same gaps; a flat file knows no gap and no late fact.
    """
    if settings.source.shape == "monthly":
        return settings.model_copy(update={"grace_days": longest_days(settings.grace_months)})
    if settings.source.shape == "tenure":
        nothing = {"grace_days": 0, "close_lag_days": 0, "observation_start": None}
        return settings.model_copy(update=nothing)
    return settings


def _explain(error: ValidationError) -> str:
    lines = ["params.yaml cannot be used:"]
    for problem in error.errors(include_url=False):
        key = ".".join(str(part) for part in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            message = "no such setting"
            successor = RENAMED.get(str(problem["loc"][-1]))
            message += f"; it is now called {successor}" if successor else ""
        lines.append(f"  {key}: {message}")
    return "\n".join(lines)
