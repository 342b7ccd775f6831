"""Pages as a browser and a screen reader get them."""

import hashlib
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise

import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from pipeline.reporting.figures import Figure
from pipeline.reporting.pages import html, parts
from pipeline.reporting.pages.page import Page

HOSTILE = "<script>alert(1)</script>"
FIGURE = Figure(
    "by-segment", "Title & <b>", "Share, percent", 'Alt "text" <b>', "Source: spells",
    "<svg></svg>", pd.DataFrame({"level": [HOSTILE] * 40}),
)  # fmt: skip


def shown(markup: str) -> nbformat.NotebookNode:
    return new_output("display_data", {"text/html": markup, "text/plain": "<HTML object>"})


def page(**changes: object) -> Page:
    facts = {
        "company_name": f"Company {HOSTILE}", "period": "2026-10", "chapter": "survival",
        "title": "Survival", "status": "provisional", "revision": 2, "as_of": "2026-10-31",
        "cut_off": "2026-09-28", "previous_href": "../2026-09/index.html",
        "next_href": "../index.html#2026-10",
        "chapters": [
            ("summary", "Summary", "index.html"), ("survival", "Survival", "survival.html")
        ],
        "downloads": [
            "report.json", "tables/revenue.mrr_bridge.csv", "tables/survival.curves.csv",
            "figures/survival.by-segment.svg",
        ],
        "provenance": [("Commit", HOSTILE)],
    }  # fmt: skip
    return Page(**(facts | changes))


def notebook() -> nbformat.NotebookNode:
    foreign = {"text/html": f"<style>*{{}}</style>{HOSTILE}", "text/plain": "foreign <frame>"}
    return new_notebook(
        cells=[
            new_markdown_cell("# How long do customers stay?\n\nWhy *anyone* asks."),
            new_code_cell("period = None"),
            new_markdown_cell("## Answer"),
            new_code_cell(
                "chapter.say(x < 1)", outputs=[shown(parts.fragment(parts.paragraph("Said.")))]
            ),
            new_code_cell(
                "chapter.show(figure)",
                outputs=[shown(parts.fragment(parts.figure(FIGURE, FIGURE.rows, [], "survival")))],
            ),
            new_code_cell(
                "frame",
                outputs=[
                    new_output("execute_result", foreign, execution_count=1),
                    new_output("stream", name="stdout", text="printed <b>"),
                ],
            ),
            new_markdown_cell(f"Prose with {HOSTILE} in it."),
            new_markdown_cell("TO WHOEVER RUNS IT", metadata={"tags": ["not-on-page"]}),
            new_code_cell("quiet = 1", metadata={"tags": ["not-on-page"]}),
            new_markdown_cell("WHAT IS PUBLISHED"),
            new_code_cell("chapter.publish(x)", metadata={"tags": ["publish"]}),
            new_markdown_cell("WHAT IS CHECKED"),
            new_code_cell(
                "print(x)",
                metadata={"tags": ["checked", "keep_output"]},
                outputs=[new_output("stream", name="stdout", text="CHECKED")],
            ),
        ]
    )


class Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def elements(text: str) -> Elements:
    parser = Elements()
    parser.feed(text)
    return parser


@pytest.fixture(scope="module")
def text() -> str:
    return html.render_chapter(notebook(), page())


def test_a_page_holds_no_script_no_handler_and_no_address_of_elsewhere(text):
    found = elements(text)
    assert not found.all("script")
    assert not [name for _, attributes in found.found for name in attributes if name[:2] == "on"]
    addresses = [attributes.get("href") or attributes.get("src") for _, attributes in found.found]
    assert not [address for address in addresses if address and re.match(r"(https?:)?//", address)]


def test_a_page_forbids_everything_but_its_own_style_and_pictures(text):
    policies = [
        meta["content"] for meta in elements(text).all("meta")
        if meta.get("http-equiv") == "Content-Security-Policy"
    ]  # fmt: skip
    assert policies == [html.POLICY]
    assert "script" not in html.POLICY


def test_a_page_has_one_h1_landmarks_a_language_and_a_skip_link(text):
    found = elements(text)
    assert [len(found.all(tag)) for tag in ("h1", "main", "header", "footer")] == [1, 1, 1, 1]
    assert found.all("html")[0]["lang"] == "en"
    assert found.all("a")[0]["href"] == "#content"
    assert found.all("main")[0]["id"] == "content"
    assert all(nav.get("aria-label") for nav in found.all("nav"))


def test_a_page_says_who_when_and_how_settled(text):
    for said in ("October 2026", "31 October 2026", "28 September 2026", "provisional"):
        assert said in text
    assert "<dt>Revision</dt><dd>2</dd>" in text


def test_the_chapter_that_is_open_is_marked(text):
    here = [link["href"] for link in elements(text).all("a") if "aria-current" in link]
    assert here == ["survival.html"]


def test_every_picture_has_its_alt_text_and_a_data_table(text):
    pictures = elements(text).all("img")
    assert [picture["alt"] for picture in pictures] == ['Alt "text" <b>']
    assert all(picture["src"].startswith("data:image/svg+xml;base64,") for picture in pictures)
    assert "Data: Title &amp; &lt;b&gt;" in text
    assert "The first 30 of 40 rows." in text


def test_markup_of_others_and_printed_text_are_shown_as_text(text):
    assert "foreign &lt;frame&gt;" in text
    assert "printed &lt;b&gt;" in text
    assert HOSTILE not in text


def code_of(text: str) -> str:
    """A page without the marks that colour its code."""
    return re.sub(r"</?span[^>]*>", "", text)


def test_code_stands_behind_a_closed_disclosure(text):
    assert "chapter.say(x &lt; 1)" in code_of(text)
    assert all("open" not in details for details in elements(text).all("details"))


def test_code_is_coloured_by_marks_and_a_style_sheet_alone(text):
    assert '<span class="kc">None</span>' in text
    assert ".highlight :is(.k, .kn, .kc, .ow)" in text
    assert "<script" not in text


def test_the_code_of_a_cell_that_shows_nothing_is_folded_inside_that_of_the_cell_it_led_to(text):
    before, cell = code_of(text).split("period = None")
    inside = before[before.rindex("<summary>Code</summary>") :]
    assert "chapter.say(x &lt; 1)" in inside
    assert "Cell 1 of 1 that led to it" in inside
    assert cell.index("</details>") < cell.index("chapter.show(figure)")


def test_the_code_of_cells_that_led_to_nothing_is_gathered_at_the_end(text):
    end = code_of(text).split('<details class="code set-up">')[1]
    assert "chapter.publish(x)" in end
    assert "period = None" not in end


def test_the_output_of_the_checked_cell_is_not_in_the_report(text):
    assert "CHECKED" not in text
    assert "print(x)" in code_of(text)


def test_prose_that_leads_to_nothing_on_the_page_is_not_on_it(text):
    for prose in ("WHAT IS CHECKED", "WHAT IS PUBLISHED", "TO WHOEVER RUNS IT", "quiet = 1"):
        assert prose not in code_of(text)
    assert "Prose with" in text
    assert "chapter.publish(x)" in code_of(text)


def test_downloads_stand_on_one_line_per_chapter_and_kind_with_readable_names(text):
    plain = re.sub(r"<[^>]+>", "|", text[text.index('id="downloads"') :])
    found = [word for word in plain.split("|") if word.strip()][1:10]
    assert found == [
        "4 files", "Whole report", "report.json", "Revenue, tables", "MRR bridge (CSV)",
        "Tables", "Curves (CSV)", "Figures", "By segment (SVG)",
    ]  # fmt: skip


def test_ids_are_used_once(text):
    ids = [attributes["id"] for _, attributes in elements(text).found if attributes.get("id")]
    assert len(ids) == len(set(ids))


def test_headings_leave_out_no_level(text):
    levels = [int(tag[1]) for tag, _ in elements(text).found if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_the_notebook_is_not_changed():
    given = notebook()
    before = nbformat.writes(given)
    html.render_chapter(given, page())
    assert nbformat.writes(given) == before


def test_the_same_notebook_makes_the_same_page_in_another_process(text):
    code = (
        "import hashlib, importlib.util;"
        f"spec = importlib.util.spec_from_file_location('t', {__file__!r});"
        "module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module);"
        "made = module.html.render_chapter(module.notebook(), module.page());"
        "print(hashlib.sha256(made.encode()).hexdigest())"
    )
    environment = os.environ | {"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == hashlib.sha256(text.encode()).hexdigest()


def colours(part: str) -> dict[str, str]:
    return dict(re.findall(r"--(\w+): (#\w{6})", part))


def luminance(colour: str) -> float:
    shares = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [x / 12.92 if x <= 0.03928 else ((x + 0.055) / 1.055) ** 2.4 for x in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("ink", ["ink", "muted", "link", "warn", "word", "value", "name"])
@pytest.mark.parametrize("ground", ["paper", "card", "code"])
def test_text_can_be_read_on_every_ground_in_light_and_dark(scheme, ink, ground):
    light, dark = parts.style().split("@media (prefers-color-scheme: dark)")[:2]
    found = colours(light if scheme == "light" else dark)
    first, second = sorted(luminance(found[name]) for name in (ink, ground))
    # WCAG 2.2, success criterion 1.4.3: 4.5:1 for text.
    assert (second + 0.05) / (first + 0.05) >= 4.5


# Tiles.


def headlines(**changes: object) -> pd.DataFrame:
    row = {
        "name": "net_revenue_retention", "estimate": 0.983, "ci_low": 0.97, "ci_high": 0.99,
        "n": 1400, "state": "ok", "note": "", "previous": 0.987, "year_ago": None,
    }  # fmt: skip
    return pd.DataFrame({name: value if isinstance(value, list) else [value]
                         for name, value in (row | changes).items()})  # fmt: skip


def tile(is_final: bool = True, **changes: object) -> str:
    rows = headlines(**changes)
    markup = parts.tiles(rows, list(rows["name"]), "USD", is_final)
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", markup))
    return words.replace("\u00a0", " ").strip()


def test_a_tile_says_value_change_interval_and_n():
    assert tile() == (
        "Net revenue retention, this month 98.3 % ▼ down 0.4 points in a month "
        "no figure of a year ago 97.0 % to 99.0 % · n 1,400"
    )


def test_a_tile_of_a_provisional_month_says_not_comparable_yet_once_and_not_that_it_is_one():
    said = tile(is_final=False, previous=None, state="provisional")
    assert said.count("not comparable yet") == 1
    assert "provisional" not in said


def test_a_provisional_number_in_a_settled_month_says_so():
    assert "provisional" in tile(state="provisional")


def test_a_tile_without_a_number_says_why():
    said = tile(
        name="quick_ratio", estimate=None, ci_low=None, ci_high=None, previous=None,
        state="not_available", note="no losses",
    )  # fmt: skip
    assert said == "Quick ratio not available n 1,400 no losses"


def test_a_fragile_number_and_a_target_are_said():
    said = tile(state="fragile", note="leans on 5 accounts", target=1.0, target_owner="Revenue")
    assert "fragile: leans on 5 accounts" in said
    assert "target 100.0 % missed · Revenue" in said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"target": 0.98}, "target 98.0 % met"),
        ({"target": 0.983, "target_owner": None}, "target 98.3 % met"),
        ({"target": 0.99, "state": "provisional"}, "target 99.0 % missed so far"),
        ({"name": "gross_account_churn_rate", "estimate": 0.03, "target": 0.02}, "2.0 % missed"),
        ({"name": "gross_account_churn_rate", "estimate": 0.01, "target": 0.02}, "2.0 % met"),
        ({"estimate": None, "state": "suppressed", "target": 0.02}, "target 2.0 %"),
    ],
)
def test_a_target_is_met_or_missed_in_words_and_of_churn_less_is_better(changes, said):
    text = tile(**changes)
    assert said in text
    assert ("met" in text) == ("met" in said)
    assert ("missed" in text) == ("missed" in said)


def test_no_target_is_said_only_beside_a_tile_that_has_one():
    names = ["net_revenue_retention", "mrr_end"]
    rows = pd.DataFrame([headlines(name=name).iloc[0] for name in names]).assign(target=[1.0, None])
    assert parts.tiles(rows, names, "USD").count("no target") == 1
    assert "no target" not in parts.tiles(rows.assign(target=None), names, "USD")
    assert "no target" not in parts.tiles(rows, [tuple(names)], "USD")


def test_what_is_too_small_to_show_is_said_to_be_suppressed():
    nothing = {"estimate": None, "ci_low": None, "ci_high": None, "previous": None}
    assert tile(**nothing, state="suppressed", n=None) == (
        "Net revenue retention, this month suppressed"
    )


def test_a_tile_says_its_verdict_and_why_when_it_is_not_supported():
    doubt = {"verdict": "fragile", "reasons": ["rank: one column left out"]}
    assert tile(**{key: [value] for key, value in doubt.items()}).endswith("fragile")
    known = {"verdict": ["fragile"], "reasons": [["the month is not settled"]]}
    assert "fragile" not in tile(is_final=False, state="provisional", **known)


def test_the_all_time_retention_carries_no_arrow():
    assert "a month" not in tile(name="retention_12_months")


def test_source_formulas_stand_beside_their_counterpart_and_absent_ones_leave_no_gap():
    rows = pd.concat([headlines(name="account_churn_rate"), headlines(name="mrr_end")])
    markup = parts.tiles(
        rows, [("account_churn_rate", "mrr_end"), ("mrr_start", "mrr_end"), "customers_end"]
    )
    assert markup.count('<li class="pair">') == 1
    assert markup.count("<li>") == 1
