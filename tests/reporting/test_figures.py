"""Pictures: same bytes, sound XML, hostile names, colours that everybody can tell apart."""

import io
import re
import subprocess
import sys
from itertools import combinations
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure as Canvas

from pipeline.reporting import figures
from pipeline.reporting.figures import drawing
from pipeline.reporting.pages import parts

WORDS = {
    "name": "picture",
    "title": "A computed sentence",
    "subtitle": "Share, percent, October 2026",
    "alt": "What the picture shows",
    "source": "Source: spells; n = 60",
}
HOSTILE = '<script>alert(1)</script> $x^2$ \x07 日本語 \u202eabc & "q" \ud800'
CURVES = pd.DataFrame(
    {
        "stratum": "segment",
        "level": ["smb"] * 4 + ["enterprise"] * 3,
        "time_days": [30.0, 200.0, 400.0, 800.0, 100.0, 300.0, 700.0],
        "estimate": [0.95, 0.8, 0.6, 0.2, 0.97, 0.9, 0.7],
        "ci_low": [0.9, 0.7, 0.5, 0.1, 0.9, 0.8, 0.5],
        "ci_high": [0.99, 0.9, 0.7, 0.4, 1.0, 0.97, 0.85],
        "n_at_risk": [40, 33, 21, 4, 20, 17, 12],
        "n_events": [2, 5, 5, 2, 1, 1, 2],
        "n_censored": [5, 7, 12, 2, 2, 4, 10],
    }
)
MONTHS = pd.DataFrame(
    {
        "period": [f"2026-{month:02d}" for month in range(1, 11)],
        "value": [0.02, 0.03, 0.02, 0.025, 0.03, 0.02, 0.05, 0.02, np.nan, 0.01],
        "low": 0.01,
        "high": 0.04,
        "centre": 0.025,
        "is_signal": [False] * 6 + [True] + [False] * 3,
        "is_provisional": [False] * 8 + [True] * 2,
        "level": ["smb", HOSTILE] * 5,
    }
)
REASONS = pd.DataFrame(
    {"reason": ["price", HOSTILE], "share": [0.3, 0.2], "low": [0.2, 0.1], "high": [0.4, np.nan]}
)
STEPS = pd.DataFrame(
    {"what": ["MRR at start", HOSTILE, "Churn", "MRR at end"], "mrr": [100.0, 30.0, 20.0, 110.0],
     "kind": ["total", "up", "down", "total"]}
)  # fmt: skip
COHORTS = pd.DataFrame(
    {"cohort": ["a", "a", HOSTILE], "age_months": [0, 1, 0], "share": [1.0, 0.9, np.nan]}
)
RATIOS = pd.DataFrame(
    {"term": ["reference", HOSTILE, "lost"], "ratio": [1.0, 0.5, np.nan],
     "low": [np.nan, 0.3, np.nan], "high": [np.nan, 0.8, np.nan]}
)  # fmt: skip


def every_kind() -> dict[str, figures.Figure]:
    band = {"low": "low", "high": "high"}
    return {
        "survival_curves": figures.survival_curves(CURVES, **WORDS),
        "step_lines": figures.step_lines(
            CURVES, x="time_days", y="estimate", by="level", low="ci_low", high="ci_high", **WORDS
        ),
        "lines": figures.lines(
            MONTHS, x="period", y="value", by="level", hollow="is_provisional", reference=0.02,
            percent=True, **band, **WORDS,
        ),
        "control_chart": figures.control_chart(
            MONTHS, x="period", value="value", centre="centre", lower="low", upper="high",
            signal="is_signal", hollow="is_provisional", **WORDS,
        ),
        "bars": figures.bars(REASONS, label="reason", value="share", percent=True, **band, **WORDS),
        "bridge": figures.bridge(STEPS, label="what", value="mrr", kind="kind", **WORDS),
        "heatmap": figures.heatmap(
            COHORTS, row="cohort", column="age_months", value="share", **WORDS
        ),
        "forest": figures.forest(RATIOS, label="term", estimate="ratio", **band, **WORDS),
    }  # fmt: skip


@pytest.fixture(scope="module")
def pictures() -> dict[str, figures.Figure]:
    return every_kind()


def drawn_text(figure: figures.Figure) -> list[str]:
    root = ElementTree.fromstring(figure.picture)
    return ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]


def test_every_picture_is_sound_xml_without_script_or_date(pictures):
    for figure in pictures.values():
        root = ElementTree.fromstring(figure.picture)
        assert not list(root.iter("{http://www.w3.org/2000/svg}script"))
        assert not re.search(r"20\d\d-\d\d-\d\dT", figure.picture)
        assert figure.picture.encode("utf-8")


def test_hostile_names_are_drawn_as_text(pictures):
    for name in ("bars", "bridge", "forest", "heatmap"):
        assert any("<script>" in text for text in drawn_text(pictures[name])), name


def test_a_heatmap_names_every_row_and_of_many_columns_some():
    ages = pd.DataFrame({"cohort": "a", "age_months": range(40), "share": 0.5})
    rows = pd.concat([ages, ages.assign(cohort="b")])
    drawn = figures.heatmap(rows, row="cohort", column="age_months", value="share", **WORDS)
    named = drawn_text(drawn)
    assert [text for text in named if text.isdigit()] == [str(age) for age in range(0, 40, 4)]
    assert {"A", "B"} <= set(named)


def test_the_same_rows_make_the_same_bytes_in_another_process(pictures):
    code = (
        "import hashlib, importlib.util, sys;"
        f"spec = importlib.util.spec_from_file_location('t', {__file__!r});"
        "module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module);"
        "print([hashlib.sha256(f.picture.encode()).hexdigest()"
        " for f in module.every_kind().values()])"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "LC_ALL": "C.UTF-8", "TZ": zone, "PATH": "/usr/bin"},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed, zone in (("1", "UTC"), ("2", "Asia/Tokyo"))
    ]  # fmt: skip
    assert runs[0] == runs[1]
    assert len(pictures) == 8


def test_the_rows_behind_a_figure_are_all_there(pictures):
    assert len(pictures["survival_curves"].rows) == len(CURVES)


def test_the_risk_table_counts_at_risk_censored_and_events_up_to_the_tick():
    one = figures.survival_curves(CURVES[CURVES["level"] == "smb"], **WORDS)
    texts = drawn_text(one)
    start = texts.index("At risk")
    labels = [text for text in texts[start:] if text in ("At risk", "Censored", "Events")]
    assert labels == ["At risk", "Censored", "Events"]
    at_risk = texts[texts.index("At risk") + 1 : texts.index("Censored")]
    censored = texts[texts.index("Censored") + 1 : texts.index("Events")]
    events = texts[texts.index("Events") + 1 :]
    # Ticks at 0, 2, 4 … 12 months: days 0, 61, 122, 183, 244, 304, 365.
    assert at_risk == ["40", "33", "33", "33", "21", "21", "21"]
    assert censored == ["0", "5", "5", "5", "12", "12", "12"]
    assert events == ["0", "2", "2", "2", "7", "7", "7"]


def test_who_leaves_on_the_day_of_a_tick_is_at_risk_there_and_counted_as_an_event():
    # 48 months are 1,461 days to the day.
    late = CURVES.head(2).assign(time_days=[30.0, 1461.0], n_at_risk=[40, 33])
    texts = drawn_text(figures.survival_curves(late, **WORDS))
    assert texts[texts.index("Censored") - 1] == "33"
    assert texts[-1] == "7"


def test_a_curve_ends_where_few_are_at_risk():
    whole = figures.survival_curves(CURVES[CURVES["level"] == "smb"], few=1, **WORDS)
    cut = figures.survival_curves(CURVES[CURVES["level"] == "smb"], few=10, **WORDS)
    assert "24" in drawn_text(whole)
    assert "24" not in drawn_text(cut)


@pytest.mark.parametrize("rows", [CURVES.head(0), CURVES.assign(n_at_risk=3), CURVES.head(1)])
def test_curves_of_few_or_no_accounts_are_drawn_without_failing(rows):
    assert figures.survival_curves(rows, **WORDS).picture.startswith("<svg")


@pytest.mark.parametrize("percent", [True, False])
def test_charts_without_rows_are_drawn_without_failing(percent):
    kinds = [
        figures.bars(REASONS.head(0), label="reason", value="share", percent=percent, **WORDS),
        figures.lines(MONTHS.head(0), x="period", y="value", percent=percent, **WORDS),
        figures.step_lines(CURVES.head(0), x="time_days", y="estimate", percent=percent, **WORDS),
        figures.bridge(STEPS.head(0), label="what", value="mrr", kind="kind", **WORDS),
        figures.forest(RATIOS.head(0), label="term", estimate="ratio", low="low", high="high",
                       **WORDS),
        figures.heatmap(COHORTS.head(0), row="cohort", column="age_months", value="share",
                        percent=percent, **WORDS),
        figures.control_chart(MONTHS.head(0), x="period", value="value", centre="centre",
                              lower="low", upper="high", percent=percent, **WORDS),
    ]  # fmt: skip
    assert all(figure.picture.startswith("<svg") for figure in kinds)


def tick_values(figure: figures.Figure) -> list[float]:
    return [float(text[:-2].replace("−", "-")) for text in drawn_text(figure) if text[-2:] == " %"]


def test_axes_without_a_point_are_not_shown_and_words_stand_there():
    marks = pd.DataFrame({"day": [7, 14], "share": [np.nan, np.nan]})
    empty = figures.lines(marks, x="day", y="share", **WORDS)
    shown = parts.figure(empty, empty.rows, [], "population")
    assert "<img" not in shown
    assert "There is nothing to draw." in shown
    one = figures.lines(marks.fillna({"share": 0.0}), x="day", y="share", **WORDS)
    assert "<img" in parts.figure(one, one.rows, [], "population")


@pytest.mark.parametrize("ends", [(0.955, 1.02), (0.2, 0.9), (0.001, 0.002), (0.0, 0.0)])
def test_the_labels_of_a_percent_axis_are_evenly_spaced_because_none_is_rounded(ends):
    rows = pd.DataFrame({"x": [1.0, 2.0], "y": ends})
    ticks = tick_values(figures.lines(rows, x="x", y="y", percent=True, **WORDS))
    steps = np.diff(ticks)
    assert len(ticks) > 2
    assert steps == pytest.approx(steps[0])


def test_a_figure_says_what_its_estimate_and_limits_hold(pictures):
    assert set(pictures["forest"].formats.items()) == {
        ("ratio", "number"), ("low", "number"), ("high", "number")
    }  # fmt: skip
    assert pictures["survival_curves"].formats["ci_low"] == "share"
    assert pictures["lines"].formats == {"value": "share", "low": "share", "high": "share"}


def test_the_data_table_of_ratios_has_ratios_as_limits():
    ratios = pd.DataFrame(
        {"term": ["a"], "hazard_ratio": [0.79], "ci_low": [0.73], "ci_high": [0.87]}
    )
    drawn = figures.forest(ratios, label="term", estimate="hazard_ratio", low="ci_low",
                           high="ci_high", **WORDS)  # fmt: skip
    markup = parts.figure(drawn, drawn.rows, [], "drivers")
    assert re.findall(r"<td[^>]*>([^<]*)</td>", markup) == ["0.79", "0.73 to 0.87"]


def test_a_ratio_that_is_not_valid_is_only_outlined():
    ratios = pd.DataFrame(
        {
            "term": ["a", "b"],
            "ratio": [0.8, 0.5],
            "low": 0.3,
            "high": 0.9,
            "is_valid": [True, False],
        }
    )
    columns = dict(label="term", estimate="ratio", low="low", high="high")
    filled = figures.forest(ratios, **columns, **WORDS).picture
    outlined = figures.forest(ratios, **columns, valid="is_valid", **WORDS).picture
    hollow = re.compile(rf"fill: {drawing.CARD}; stroke: {drawing.colour_of('total')}")
    assert not hollow.search(filled)
    assert hollow.search(outlined)


def test_a_calibration_has_its_diagonal_and_both_axes_in_percent():
    tenths = pd.DataFrame({"predicted": [0.01, 0.03, 0.06], "observed": [0.02, 0.03, 0.05]})
    drawn = figures.lines(tenths, x="predicted", y="observed", percent=True, diagonal=True, **WORDS)
    plain = figures.lines(tenths, x="predicted", y="observed", percent=True, **WORDS)
    assert drawn.formats == {"predicted": "share", "observed": "share"}
    assert drawn.picture.count("stroke-dasharray") > plain.picture.count("stroke-dasharray")
    assert sum(text.endswith("%") for text in drawn_text(drawn)) > sum(
        text.endswith("%") for text in drawn_text(plain)
    )


def test_a_bridge_of_small_movements_says_that_its_axis_does_not_start_at_zero():
    small = figures.bridge(STEPS.assign(mrr=[10000.0, 30.0, 20.0, 10010.0]), label="what",
                           value="mrr", kind="kind", **WORDS)  # fmt: skip
    large = figures.bridge(STEPS, label="what", value="mrr", kind="kind", **WORDS)
    assert "The axis starts at 9,980, not at 0" in drawn_text(small)
    assert not [text for text in drawn_text(large) if "axis starts" in text]


def test_a_long_curve_is_thinned_in_the_picture_and_never_in_its_rows():
    n = 5000
    long = pd.DataFrame(
        {
            "stratum": "all", "level": "all", "time_days": np.arange(1.0, n + 1),
            "estimate": np.linspace(1, 0.3, n), "ci_low": np.linspace(1, 0.2, n),
            "ci_high": np.linspace(1, 0.4, n), "n_at_risk": 100, "n_events": 1, "n_censored": 0,
        }
    )  # fmt: skip
    figure = figures.survival_curves(long, **WORDS)
    assert len(figure.picture) < 150_000
    assert len(figure.rows) == n


def test_a_level_has_the_same_colour_whoever_stands_beside_it():
    assert drawing.colours_of(["smb", "mid"])["mid"] == drawing.colours_of(["mid", "x", "y"])["mid"]
    # Taken from a hash that no process salts: the same on every machine.
    assert figures.colour_of("Acme") == "#5b4fa2"


def test_eight_levels_have_eight_colours():
    levels = [f"level {number}" for number in range(8)]
    assert len(set(drawing.colours_of(levels).values())) == 8


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colour", [*drawing.PALETTE, drawing.INK, drawing.MUTED])
def test_every_colour_can_be_read_on_the_card(colour):
    # WCAG 2.2, success criterion 1.4.3: 4.5:1 for text.
    assert (luminance(drawing.CARD) + 0.05) / (luminance(colour) + 0.05) >= 4.5


def test_no_two_lines_of_one_chart_look_alike_in_grey():
    styles = [drawing.dash_of(place) for place in range(4)]
    assert all(first != second for first, second in combinations(styles, 2))


@pytest.mark.parametrize("colour", [*drawing.PALETTE, drawing.INK, drawing.MUTED])
def test_every_colour_can_be_read_on_the_card_of_a_dark_page(colour):
    card = drawing.IN_THE_DARK[drawing.CARD]
    assert (luminance(drawing.IN_THE_DARK[colour]) + 0.05) / (luminance(card) + 0.05) >= 4.5


def test_every_colour_of_a_picture_is_exchanged_on_a_dark_page_but_that_of_written_cells():
    svg = figures.survival_curves(CURVES, **WORDS).picture
    style = svg[svg.index("<style") : svg.index("</style>")]
    drawn = set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", svg.replace(style, "")))
    assert drawn - set(drawing.IN_THE_DARK) == set()
    assert "@media screen and (prefers-color-scheme: dark)" in style
    assert f':not(text)[style*="fill: {drawing.CARD}"]' in style


def test_the_dark_palette_has_no_colour_twice():
    assert len(set(drawing.IN_THE_DARK.values())) == len(drawing.IN_THE_DARK)


def test_coordinates_are_rounded_and_text_from_data_is_not():
    rows = REASONS.assign(reason=["d=1.23456 price", "x"])
    svg = figures.bars(rows, label="reason", value="share", **WORDS).picture
    assert "=1.23456 price" in svg
    assert re.findall(r' (?:d|x|y|transform)="[^"]*\d\.\d{3}', svg) == []


def test_days_are_drawn_in_months_and_kept_in_days():
    rows = pd.DataFrame({"time_days": [0.0, 366.0, 731.0], "share": [0.0, 0.2, 0.3]})
    drawn = figures.step_lines(rows, x="time_days", y="share", in_months=True, **WORDS)
    assert re.findall(r">(\d+)</text>", drawn.picture)[:3] == ["0", "3", "6"]
    assert drawn.rows["time_days"].tolist() == [0.0, 366.0, 731.0]


def test_a_picture_is_drawn_once_and_laid_out_as_matplotlib_would_do_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    n_drawn, draw = 0, Canvas.draw

    def counted(picture: Canvas, renderer: object) -> None:
        nonlocal n_drawn
        n_drawn += 1
        draw(picture, renderer)

    def place_of_axes(is_ours: bool) -> tuple[float, ...]:
        with drawing.canvas(2.0) as (picture, axes):
            axes.set(ylabel="Customers", xlabel="Months since first paid day", title="A")
            drawing.svg(picture) if is_ours else picture.savefig(io.StringIO(), format="svg")
            return tuple(axes.get_position().bounds)

    theirs = place_of_axes(is_ours=False)
    monkeypatch.setattr(Canvas, "draw", counted)
    assert place_of_axes(is_ours=True) == theirs
    assert n_drawn == 1
