"""Faults 93 to 108: text and security, from hostile exports to what a reader opens.

One small company, every name of which is an attack, is built once through every stage; each row
then looks in all that was made from it. The others hurt one door each: words of the command line,
params.yaml, notebooks and their kernel.
"""

import ast
import csv
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import numpy as np
import pandas as pd
import pytest
from matplotlib import font_manager
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output, new_raw_cell

from pipeline import cli, redaction
from pipeline import settings as configuration
from pipeline.analysis.drivers import design
from pipeline.data import store
from pipeline.reporting import chapter, escaping, figures
from pipeline.reporting.execution import execute, gate, parameters, prelude
from pipeline.reporting.execution.gate import ChapterFailedError
from pipeline.reporting.figures import drawing
from pipeline.reporting.pages import html
from pipeline.reporting.pages.page import Page as Surroundings
from pipeline.settings import ConfigurationError, ParameterError, Paths, Period
from tests.faults import hostile
from tests.faults.hostile import JAPANESE, MARK, PROJECT
from tests.reporting.summary_run import CLOSE, OCTOBER, PARAMETERS, notebook_of, root_at
from tests.stages.company import Company, write_company

VOID = ("meta", "img", "br", "hr", "input", "col", "link", "polyline", "circle")
SVG = "{http://www.w3.org/2000/svg}"
BUILD_SECONDS = 900
ORDER_MARKS = re.compile("[\u202a-\u202e\u2066-\u2069]")
PLAIN_NUMBER = re.compile(r"-?[0-9.]+(e[+-]?[0-9]+)?")


class Page(HTMLParser):
    """A page as a browser takes it apart: text, attributes, and whether every element is closed."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    @property
    def text(self) -> str:
        return "".join(text for _, text in self.texts)

    def named(self, attribute: str) -> list[str]:
        return [attributes[attribute] for _, attributes in self.elements if attribute in attributes]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Company:
    """The hostile company with its report; nothing in it may be changed."""
    return hostile.built(tmp_path_factory.mktemp("hostile") / "company")


@pytest.fixture(scope="module")
def pages(built: Company) -> dict[str, Page]:
    """The report's pages by file name; those over all months by `all` and theirs."""
    reports = built.paths.reports
    own = sorted((reports / str(hostile.PERIOD)).glob("*.html"))
    over_all = sorted(reports.glob("*.html"))
    assert {f"{name}.html" for name in hostile.CHAPTERS} - {path.name for path in own} == {
        "summary.html"
    }
    named = {path.name: path for path in own}
    named |= {"all" if path.name == "index.html" else path.name: path for path in over_all}
    return {name: Page(path.read_text("utf-8")) for name, path in named.items()}


def pictures(built: Company) -> Iterator[tuple[str, ElementTree.Element]]:
    for path in sorted(built.paths.reports.rglob("*.svg")):
        yield path.name, ElementTree.fromstring(path.read_text("utf-8"))


def cells_of(built: Company) -> Iterator[tuple[str, str]]:
    """Every cell of every CSV file that was made."""
    folders = (built.paths.reports, built.paths.processed, built.paths.quarantine)
    for path in sorted(path for folder in folders for path in folder.rglob("*.csv")):
        with path.open(encoding="utf-8", newline="") as lines:
            yield from ((path.name, cell) for row in csv.reader(lines) for cell in row)


# Names in pages, pictures and files.


@pytest.mark.timeout(BUILD_SECONDS)
def test_f093_markup_in_names_is_text_in_every_page_and_nothing_is_live(pages) -> None:
    assert f"<script>{MARK}(1)</script>" in pages["index.html"].text
    assert f'<img src=x onerror="{MARK}(1)">' in pages["revenue.html"].text
    for name, page in pages.items():
        tags = {tag for tag, _ in page.elements}
        assert not tags & {"script", "iframe", "object", "embed", "form", "base", "link"}, name
        handlers = {key for _, found in page.elements for key in found if key.startswith("on")}
        assert not handlers, name
        assert [value for value in page.named("src") if not value.startswith("data:image/")] == []
        policy = next(found["content"] for _, found in page.elements if "http-equiv" in found)
        assert "default-src 'none'" in policy


@pytest.mark.timeout(BUILD_SECONDS)
def test_f093_no_page_and_no_picture_asks_for_anything_elsewhere(built, pages) -> None:
    for page in pages.values():
        links = [*page.named("href"), *page.named("src")]
        assert [link for link in links if re.match(r"(?!data:)[a-z]+:|//", link)] == []
    for name, picture in pictures(built):
        inside = {element.tag.removeprefix(SVG) for element in picture.iter()}
        assert not inside & {"script", "foreignObject", "a", "iframe"}, name
        keys = {key for element in picture.iter() for key in element.attrib}
        assert not {key for key in keys if key.startswith("on")}, name


@pytest.mark.timeout(BUILD_SECONDS)
def test_f093_the_executed_notebooks_hold_names_as_text_too(built) -> None:
    for name in hostile.CHAPTERS:
        path = built.paths.chapter(name, hostile.PERIOD) / gate.NOTEBOOK
        outputs = [o for c in nbformat.read(path, 4).cells for o in c.get("outputs", [])]
        markup = "".join(o.data.get("text/html", "") for o in outputs if "data" in o)
        assert markup, name
        assert {tag for tag, _ in Page(markup).elements}.isdisjoint({"script", "iframe"})
        assert not {o for o in outputs for kind in o.get("data", {}) if "javascript" in kind}


@pytest.mark.timeout(BUILD_SECONDS)
def test_f094_an_element_that_a_name_opens_or_closes_leaves_the_page_whole(pages) -> None:
    assert f"<div>{MARK}<b></table></main>" in pages["survival.html"].text
    for name, page in pages.items():
        assert (page.wrong, page.open) == ([], []), name
        assert [tag for tag, _ in page.elements].count("main") == 1, name


@pytest.mark.timeout(BUILD_SECONDS)
def test_f095_mathematics_and_markdown_in_names_are_plain_text(built, pages) -> None:
    for said in hostile.MATHS:
        assert said in pages["revenue.html"].text
    for page in pages.values():
        inside = [text for tag, text in page.texts if tag in ("em", "code", "b", "a")]
        assert not [text for text in inside if text in ("b", "c", "x")]
        assert "mathjax" not in page.text.lower()
    drawn = [t for _, p in pictures(built) for e in p.iter(f"{SVG}text") for t in e.itertext()]
    assert any(MARK in text for text in drawn)


def test_f095_dollars_in_a_label_are_drawn_as_dollars() -> None:
    rows = pd.DataFrame({"what": [hostile.MATHS[0]], "share": [0.5]})
    words = dict.fromkeys(("title", "subtitle", "alt"), "x") | {"name": "maths"}
    picture = figures.bars(rows, label="what", value="share", percent=True, **words).picture
    drawn = ["".join(e.itertext()) for e in ElementTree.fromstring(picture).iter(f"{SVG}text")]
    assert any("$x^2$" in text for text in drawn)


@pytest.mark.timeout(BUILD_SECONDS)
def test_f096_no_name_turns_the_reading_order_of_what_stands_beside_it(pages) -> None:
    for name, page in pages.items():
        said = page.text + "".join(value for _, found in page.elements for value in found.values())
        assert not ORDER_MARKS.search(said), name
    arabic = "لندن"
    isolated = [text for tag, text in pages["revenue.html"].texts if tag in ("bdi", "td", "th")]
    assert any(arabic in text for text in isolated)
    assert escaping.text(f"Of {arabic} stay 5") == f"Of <bdi>{arabic}</bdi> stay 5"


@pytest.mark.timeout(BUILD_SECONDS)
def test_f096_a_name_of_5000_letters_is_cut_and_its_whole_is_its_title(built, pages) -> None:
    for name in ("revenue.html", "survival.html"):
        page = pages[name]
        assert max(len(t) for tag, t in page.texts if tag in ("td", "th", "span")) < 1000, name
        assert not [t for tag, t in page.texts if tag not in ("pre", "style") and "L" * 101 in t]
        assert any("L" * 5000 in title for title in page.named("title")), name
        assert not [alt for alt in page.named("alt") if "L" * 101 in alt]
    assert any("L" * 5000 in cell for _, cell in cells_of(built))
    for _, picture in pictures(built):
        assert not [e for e in picture.iter(f"{SVG}text") if "L" * 60 in "".join(e.itertext())]


def test_f096_emoji_and_unseen_characters_are_kept_as_they_are() -> None:
    family = "\U0001f469\u200d\U0001f469\u200d\U0001f467 a\u200bb"
    assert escaping.text(family) == escaping.attribute(family) == family


def test_f096_a_cut_never_parts_an_escaped_character() -> None:
    page = Page(escaping.cells(f"<tr><td>{'&lt; ' * 150}</td><td>&amp;</td></tr>"))
    assert page.named("title") == ["< " * 150]
    assert page.text == ("< " * 100)[:199] + "…&"
    word = Page(escaping.text(f"{'<' * 300} of it"))
    assert (word.named("title"), word.text) == (["<" * 300], "<" * 99 + "… of it")


def test_f097_every_character_of_a_japanese_label_has_a_glyph() -> None:
    fonts = [font for font in drawing._fonts() if font != drawing.BASE_FONT]
    if not fonts:
        pytest.skip("no font with Japanese letters (Debian: fonts-noto-cjk)")
    kanji = font_manager.get_font(font_manager.findfont(fonts[0], fallback_to_default=False))
    assert [letter for letter in JAPANESE if not kanji.get_char_index(ord(letter))] == []


def test_f097_a_japanese_label_is_drawn_as_text_and_names_a_font_of_the_reader() -> None:
    rows = pd.DataFrame({"what": [JAPANESE], "share": [0.5]})
    words = dict.fromkeys(("title", "subtitle", "alt"), "x") | {"name": "japanese"}
    picture = figures.bars(rows, label="what", value="share", percent=True, **words).picture
    label = next(
        e for e in ElementTree.fromstring(picture).iter(f"{SVG}text") if e.text == JAPANESE
    )
    assert "Noto Sans CJK JP" in label.attrib["style"]


@pytest.mark.timeout(BUILD_SECONDS)
def test_f098_no_cell_of_any_file_is_a_formula_and_numbers_are_untouched(built) -> None:
    found = list(cells_of(built))
    live = [(name, cell) for name, cell in found if cell[:1] in ("=", "+", "-", "@", "\t", "\r")]
    assert [cell for cell in live if not PLAIN_NUMBER.fullmatch(cell[1])] == []
    for formula in hostile.FORMULAS:
        assert any(cell.startswith(f"'{formula}") for _, cell in found), formula
    assert any(cell[:1] == "-" for _, cell in live), "a negative number keeps its sign"


def test_f098_categories_and_heads_of_columns_are_defused_as_well() -> None:
    frame = pd.DataFrame(
        {"=1+1": pd.Categorical(["=2", "@x"]), "n": [-1.5, 2], "t": ["\t=1", "-3"]}
    )
    assert store.published_csv(frame) == "'=1+1,n,t\n'=2,-1.5,'\t=1\n'@x,2,-3\n"


# Names that become paths, commands and code.

EVIL = (
    "../../evil",
    "2025-06/../../evil",
    "/etc",
    "2025-06; touch evil",
    "$(touch evil)",
    "２０２５-06",
)


@pytest.mark.parametrize("period", EVIL)
@pytest.mark.parametrize(
    "words",
    [["run", "--period"], ["backfill", "2025-06"], ["chapter", "revenue"], ["report"], ["explain"]],
    ids=lambda words: words[0],
)
def test_f099_f100_a_period_that_is_none_is_refused_before_anything_is_touched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], period: str
) -> None:
    root = write_company(tmp_path / "root", {}).root
    before = sorted(tmp_path.rglob("*"))
    more = ["mrr_end"] if words == ["explain"] else []
    with pytest.raises(SystemExit) as end:
        cli.main(["--root", str(root), *words, period, *more])
    assert end.value.code == 64
    assert "is not a period" in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "params",
    [
        {"company": "../../evil"},
        {"company": "a; touch evil"},
        {"company": "$(touch evil)"},
        {"periods": ["../../evil"]},
        {"periods": ["2025-01; touch evil"]},
        {"chapters": ["../../evil"]},
        {"source": {"tables": {"accounts": {"attributes": {"../evil": {"known": "at_signup"}}}}}},
        {"source": {"database": {"backend": "postgres", "url": "$(touch evil)"}}},
    ],
    ids=str,
)
def test_f099_f100_a_setting_that_would_be_a_path_or_command_is_refused(params: dict) -> None:
    content = {"company": "acme", "company_name": "Acme", "periods": []} | params
    with pytest.raises(ConfigurationError, match=re.escape(next(iter(params)))):
        configuration.parse(content)


@pytest.mark.timeout(BUILD_SECONDS)
def test_f099_a_segment_that_is_a_path_names_no_file(built) -> None:
    made = [path.relative_to(built.root).as_posix() for path in built.root.rglob("*")]
    assert [name for name in made if MARK in name] == []
    assert not list(built.root.parent.glob("*evil*"))


@pytest.mark.parametrize("name", ["../../evil", "a/b", "..", "A", "a b", "x" * 100])
def test_f099_f108_a_table_or_figure_with_the_name_of_a_path_is_not_kept(
    tmp_path: Path, name: str
) -> None:
    made = chapter.Chapter.__new__(chapter.Chapter)
    made.name, made.output, made._tables = "revenue", tmp_path / "out", []
    with pytest.raises(chapter.UnfinishedChapterError, match="is no file's name"):
        made.publish(name, pd.DataFrame({"n": [1]}))
    assert list(tmp_path.iterdir()) == []
    for kind in ("tables", "figures"):
        marker = {"tables": [], "figures": []} | {kind: [f"revenue.{name}"]}
        with pytest.raises(ChapterFailedError, match="names no table or figure"):
            gate.declared_files(marker)


def calls(path: Path) -> Iterator[tuple[str, ast.Call | ast.alias]]:
    """Names that a module, or the code of a notebook, calls and imports."""
    text = path.read_text("utf-8")
    if path.suffix == ".ipynb":
        cells = nbformat.reads(text, 4).cells
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((f"{getattr(node, 'module', '')}.{n.name}", n) for n in node.names)


SOURCES = [*sorted((PROJECT / "pipeline").rglob("*.py")), *(PROJECT / "notebooks").glob("*.ipynb")]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_f100_f102_f103_no_shell_no_formula_no_code_from_data_and_no_pickle(path: Path) -> None:
    forbidden = re.compile(
        r"\b(pickle|joblib|dill|cloudpickle|shelve|marshal|patsy|formulaic|smf|from_formula"
        r"|read_pickle|to_pickle|eval|exec|popen)\b|os\.system|formula\.api|yaml\.unsafe_load"
    )
    found = [name for name, _ in calls(path) if forbidden.search(name)]
    given = [ast.unparse(key) for _, call in calls(path) if isinstance(call, ast.Call)
             for key in call.keywords]  # fmt: skip
    found += [key for key in given if key in ("shell=True", "allow_pickle=True")]
    assert found == []


@pytest.mark.parametrize(
    "name", ["period\nimport os", "period=1;import os", "__builtins__", "os", "период", ""]
)
def test_f101_a_parameter_that_no_notebook_declares_is_refused_by_name(name: str) -> None:
    for path in sorted((PROJECT / "notebooks").glob("*.ipynb")):
        with pytest.raises(ParameterError, match="takes no parameter"):
            parameters.validate_parameters(path.name, nbformat.read(path, 4), {name: "x"})


def test_f101_a_setting_with_a_hostile_name_is_no_setting() -> None:
    content = {"company": "acme", "company_name": "Acme", "periods": []}
    with pytest.raises(ConfigurationError, match="no such setting"):
        configuration.parse(content | {"grace_days\nimport os": 1})


@pytest.mark.timeout(BUILD_SECONDS)
def test_f102_levels_that_are_code_enter_a_model_as_levels(built) -> None:
    path = built.paths.report(hostile.PERIOD) / "tables" / "survival.hazard_ratios.csv"
    rows = path.read_text("utf-8")
    for level in (hostile.CODE, hostile.PATHS):
        assert level in rows
    places = (built.root, built.root.parent, PROJECT, Path.cwd())
    assert [found for place in places for found in place.glob(f"*{MARK}-pwned*")] == []


def test_f102_columns_of_the_drivers_are_numbered_and_never_named_after_data() -> None:
    draw = np.random.default_rng(20261122)
    levels = [hostile.CODE, f"C({MARK})", "a + b ~ c"]
    rows = pd.DataFrame(
        {
            "account_id": [f"a{n}" for n in range(600)],
            "period": "2025-01",
            "tenure_months": draw.integers(0, 30, 600),
            "is_churn": draw.random(600) < 0.3,
            hostile.PATHS: draw.choice(levels, 600),
        }
    )
    recipe = design.learn(rows, [hostile.PATHS])
    assert set(recipe.terms["level"]) < set(levels)
    assert all(name.isidentifier() for name in design.encode(rows, recipe).columns)


# params.yaml.


def params(root: Path, more: str) -> Path:
    root.mkdir(exist_ok=True)
    head = "company: acme\ncompany_name: Acme\nperiods: ['2025-01']\n"
    (root / "params.yaml").write_text(head + more, encoding="utf-8")
    return root


def merged(depth: int) -> str:
    """Ten merges of the mapping before, again and again."""
    rows = (f"m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 10)}]}}" for n in range(1, depth))
    return "\n".join(["m0: &m0 {a: 1}", *rows]) + "\n"


def listed(depth: int) -> str:
    rows = (f"m{n}: &m{n} [{', '.join([f'*m{n - 1}'] * 10)}]" for n in range(1, depth))
    return "\n".join(["m0: &m0 [lol]", *rows]) + "\n"


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("seed: !!python/object/apply:os.system ['touch evil']\n", "is not YAML"),
        ("seed: !evil 3\n", "is not YAML"),
        (merged(9), "more than 20 aliases"),
        (listed(9), "more than 20 aliases"),
        ("seed: " + "[" * 2000 + "]" * 2000 + "\n", "too deep"),
        ("seed: " + "9" * 5000 + "\n", "is not YAML"),
        ("# " + "x" * configuration.LARGEST_PARAMS_BYTES + "\n", "is larger than"),
        ("fx: &x {EUR: *x}\n", "fx.EUR"),
    ],
    ids=["tag", "own tag", "merges", "laughs", "deep", "number", "size", "itself"],
)
def test_f104_hostile_yaml_is_a_configuration_error_within_seconds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: str, message: str
) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["--root", str(params(tmp_path / "root", more)), "check"])
    said = capsys.readouterr().err
    assert (end.value.code, message in said, "Traceback" in said) == (78, True, False), said
    assert [path.name for path in tmp_path.rglob("*")] == ["root", "params.yaml"]


def test_f104_a_few_aliases_are_read(tmp_path: Path) -> None:
    more = "quarantine: {max_share_of_rows: &s 0.5, max_share_of_mrr: *s}\n"
    assert configuration.load(params(tmp_path, more)).quarantine.max_share_of_mrr == 0.5


# Notebooks and their kernel.

SETTINGS = configuration.parse({"company": "acme", "company_name": "Acme", "periods": ["2026-10"]})


@pytest.fixture
def root(tmp_path: Path) -> Paths:
    return root_at(tmp_path / "root")


def ran(paths: Paths, notebook: nbformat.NotebookNode) -> str:
    """The text of the executed notebook."""
    nbformat.write(notebook, paths.notebook("summary"))
    execute.run_chapter("summary", OCTOBER, SETTINGS, paths)
    return (paths.chapter("summary", OCTOBER) / gate.NOTEBOOK).read_text("utf-8")


PARTS = {"amazon": ("AKIA", "ABCDEFGHIJKLMNOP"), "hub": ("ghp_", "a1B2" * 9),
         "web": ("eyJhbGciOiJI.", "eyJzdWIiOiIx.abc")}  # fmt: skip


def test_f105_a_chapter_that_prints_its_secrets_and_ends_well_keeps_none_of_them(
    root: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BILLING_API_TOKEN", "canary-0d1c7a")
    monkeypatch.setenv("SOMEONES_PASSWORD", "canary-5b2e9f")
    telling = (
        "import os, sys, warnings\n"
        "print({k: v for k, v in os.environ.items() if k.endswith(('_TOKEN', '_PASSWORD'))})\n"
        "print(os.environ['SOMEONES_PASSWORD'], file=sys.stderr)\n"
        "display({'text/plain': os.environ['BILLING_API_TOKEN'], 'text/html': '<b>' + "
        "os.environ['BILLING_API_TOKEN']}, raw=True)\n"
        + "\n".join(f"print({begin!r} + {end!r})" for begin, end in PARTS.values())
    )
    text = ran(root, notebook_of(telling, CLOSE))
    assert text.count("[redacted]") >= 4 + len(PARTS)
    assert "canary" not in text
    for begin, end in PARTS.values():
        assert begin + end not in text
    files = [path for path in root.root.rglob("*") if path.is_file()]
    assert [path for path in files if b"canary" in path.read_bytes()] == []


def test_f105_a_traceback_that_names_a_secret_is_kept_and_said_without_it(
    root: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BILLING_API_TOKEN", "canary-0d1c7a")
    failing = "import os; raise ValueError('cannot log in with ' + os.environ['BILLING_API_TOKEN'])"
    with pytest.raises(ChapterFailedError, match=r"cannot log in with \[redacted\]"):
        ran(root, notebook_of(failing))
    kept = (root.build / "log" / f"summary-{OCTOBER}.ipynb").read_text("utf-8")
    assert "cannot log in with [redacted]" in kept
    assert "canary" not in kept


@pytest.mark.parametrize("name", ["api_key", "token", "db_password", "secret", "notify_url"])
def test_f105_a_parameter_that_sounds_like_a_secret_is_refused(name: str) -> None:
    declared = notebook_of(parameters=f"{PARAMETERS}\n{name}: str = None")
    with pytest.raises(ParameterError, match=f"{name} sounds like a secret"):
        parameters.declared_parameters("x.ipynb", declared)


def test_f105_a_report_has_no_secret_of_this_machine_and_words_are_no_secrets() -> None:
    for plain in ("keyboard", "monkeys", "days", "secretariat", "strata", "tokens_used_up"):
        assert not redaction.is_secret_name(plain), plain
    for plain in (
        "sk-learn",
        "AKIA",
        "eyJ",
        "task-force-of-the-whole-company",
        "sha256 " + "a1" * 32,
    ):
        assert redaction.redacted(plain, {}) == plain


MAILS = "jane.doe+x@example.co.uk", "株@例え.example", "a@b.example"


def test_f106_an_address_in_an_output_is_masked(root: Paths) -> None:
    head = (
        f"import pandas; people = pandas.DataFrame({{'mail': {list(MAILS)!r}}})\n"
        "display(people.head()); print(people.to_string()); people"
    )
    executed = nbformat.reads(ran(root, notebook_of(head, CLOSE)), 4)
    outputs = json.dumps([cell.get("outputs") for cell in executed.cells], ensure_ascii=False)
    assert [mail for mail in MAILS if mail in outputs] == []
    assert outputs.count(redaction.HIDDEN_MAIL) >= 9
    said = new_notebook(cells=[new_code_cell(outputs=[new_output("stream", text=MAILS[0])])])
    assert MAILS[0] in nbformat.writes(execute.scrubbed(said, shows_names=True))


def test_f106_what_is_no_address_stays() -> None:
    for plain in ("@media (x)", "a @ b", "n@", "@decorator.of", "1@2", "x" * 5000 + "@"):
        assert redaction.without_mail(plain) == plain


def test_f106_a_chapter_gets_names_of_persons_masked_unless_names_are_shown(tmp_path: Path) -> None:
    accounts = "account_id,signed_up_date,name\nA,2024-01-01,Jane Doe canary@example.org\n"
    files = {
        "accounts.csv": accounts,
        "subscriptions.csv": (
            "subscription_id,account_id,start_date,end_date,mrr\nS,A,2024-01-01,,100\n"
        ),
    }
    dated = {"extract_date": "2025-03-01"}
    for show_names, name in ((False, "(hidden)"), (True, "Jane Doe canary@example.org")):
        root = tmp_path / str(show_names)
        shown = {"reports": {"show_names": show_names}}
        company = write_company(root, files, **dated, **shown).run()
        monthly = chapter.Chapter.__new__(chapter.Chapter)
        monthly.company, monthly.paths = company.settings, company.paths
        monthly.subset = None
        monthly.slice = chapter.slices.read(company.paths.snapshot(Period("2025-01")))
        assert list(monthly.read("accounts")["name"]) == [name]


ASKING = {
    "connect": "import socket; socket.create_connection(('127.0.0.1', 9), 1)",
    "name": "import socket; socket.getaddrinfo('example.org', 80)",
    "datagram": "import socket; s = socket.socket(type=socket.SOCK_DGRAM)\n"
    "s.sendto(b'x', ('127.0.0.1', 9))",
    "request": "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9')",
    "listen": "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0))",
    "table": "import pandas; pandas.read_csv('http://127.0.0.1:9/x.csv')",
}


@pytest.mark.parametrize("way", ["connect", "table"])
def test_f107_a_chapter_that_calls_the_network_fails_and_nothing_is_asked(
    root: Paths, way: str
) -> None:
    with pytest.raises(ChapterFailedError, match=re.escape(prelude.NO_NETWORK)):
        ran(root, notebook_of(ASKING[way], CLOSE))
    assert not root.chapter("summary", OCTOBER).exists()


def test_f107_no_way_out_is_open_and_what_stays_on_the_machine_is(root: Paths) -> None:
    tries = [f"try:\n    {way.replace(chr(10), '; ')}\n    print('went out')\n"
             f"except Exception as error:\n    print(type(error).__name__)"
             for way in ASKING.values()]  # fmt: skip
    inside = "import socket; a, b = socket.socketpair(); a.send(b'in'); print(b.recv(2))"
    text = ran(root, notebook_of(*tries, inside, CLOSE))
    assert text.count("NetworkRefusedError") == len(ASKING)
    assert "\"b'in'\\n\"" in text
    outputs = [o for c in nbformat.reads(text, 4).cells for o in c.get("outputs", [])]
    assert not [o for o in outputs if "went out" in o.get("text", "")]


def test_f108_hostile_metadata_of_a_notebook_are_gone_before_and_after_it_runs(
    root: Paths,
) -> None:
    notebook = notebook_of("print('mine')", CLOSE)
    evil = "../../../evil"
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"name": evil, "display_name": "<script>", "language": "R"},
            "language_info": {"name": "bash", "file_extension": evil},
            "papermill": {"output_path": evil, "input_path": evil, "parameters": {"x": evil}},
            "title": "<script>alert(1)</script>", "celltoolbar": evil, "name": evil,
        }
    )  # fmt: skip
    cell = notebook.cells[2]
    cell.metadata = nbformat.from_dict({"name": evil, "filename": evil, "papermill": {"x": evil}})
    cell.outputs = [new_output("display_data", {"text/html": "<script>old()</script>"})]
    cell.execution_count = 77
    text = ran(root, notebook)
    for word in ("evil", "script", "old()", "77"):
        assert word not in text, word
    assert "mine" in text
    assert sorted(path.name for path in root.root.parent.iterdir()) == ["root"]


def test_f108_raw_cells_attachments_and_foreign_markup_bring_nothing_live_into_a_page() -> None:
    live = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    prose = new_markdown_cell(
        f"# Who?\n\n{live} [x](javascript:alert(1)) ![y](https://evil.example/y.png) "
        "![z](attachment:../../evil.png)",
        attachments={"../../evil.png": {"image/png": "aGk="}},
    )
    raw = new_raw_cell(live, metadata={"raw_mimetype": "text/html", "format": "text/html"})
    kinds = ("text/html", "image/svg+xml", "application/javascript", "text/markdown", "text/latex")
    code = new_code_cell(
        "x",
        outputs=[new_output("display_data", {kind: live, "text/plain": "x"}) for kind in kinds],
    )
    around = Surroundings(
        company_name="Acme", period="2026-10", chapter="summary", title="Summary", status="final",
        revision=1, as_of="2026-10-31", cut_off="2026-10-31",
    )  # fmt: skip
    page = Page(html.render_chapter(new_notebook(cells=[prose, raw, code]), around))
    assert {tag for tag, _ in page.elements}.isdisjoint({"script", "iframe", "object"})
    assert not {key for _, found in page.elements for key in found if key.startswith("on")}
    assert not [link for link in page.named("href") if "javascript:" in link]
    assert "img-src data:" in page.named("content")[0]


@pytest.mark.parametrize(
    "path", sorted((PROJECT / "notebooks").glob("*.ipynb")), ids=lambda p: p.name
)
def test_f108_a_shipped_notebook_has_no_metadata_but_ours_and_no_attachment(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    assert set(notebook.metadata) <= {"kernelspec", "language_info"}
    for cell in notebook.cells:
        assert cell.cell_type in ("markdown", "code")
        assert set(cell.metadata) <= {"tags"}, cell.id
        assert not cell.get("attachments")
