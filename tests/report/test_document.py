"""A page is whole, harmless, the same each time, and says its numbers."""

import io
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from bipstudy.report import Answer, Document, figures, style, tables

ROWS = pd.DataFrame(
    {
        "label": ["Första", "Andra"],
        "estimate": [1.5, 0.8],
        "conf_low": [1.1, 0.6],
        "conf_high": [2.0, 1.05],
        "benchmark": [1.33, np.nan],
    }
)


class Checker(HTMLParser):
    """Collects ids, links and whatever is opened and not closed."""

    VOID = frozenset({"meta", "br", "img", "link", "input", "hr", "path", "use"})

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.anchors, self.outside = [], [], [], []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in ("href", "xlink:href", "src"):
                (self.anchors if value.startswith("#") else self.outside).append(value)

    def handle_startendtag(self, tag, attrs):
        depth = len(self.open)
        self.handle_starttag(tag, attrs)
        del self.open[depth:]

    def handle_endtag(self, tag):
        if tag in self.VOID:
            return
        assert self.open.pop() == tag


def whole_page():
    page = Document("Rubrik <b>", "sv", subtitle="Under & över", stamp="Internt")
    page.fact("Utgåva", "3")
    page.lead("Inledning")
    page.section("Samma namn")
    page.paragraph("<script>alert(1)</script>")
    page.answers([Answer("Fråga?", "Svar.", "1,2", "1,3", "Samma riktning", "agrees")])
    page.figure(figures.forest(ROWS, language="sv", benchmark_label="Danskt"), "Skog", description="Två rader")
    page.section("Samma namn")
    page.figure(figures.shares(ROWS.assign(n=[10, 20]), language="sv", axis_label="Andel"), "Andelar")
    page.table(ROWS, "Tal", decimals=1, note="<i>Not</i>")
    page.details("Mer", ROWS)
    return page.to_html()


def test_a_page_is_well_formed_and_its_links_lead_somewhere():
    checker = Checker()
    checker.feed(whole_page())
    assert checker.open == []
    assert len(checker.ids) == len(set(checker.ids))
    assert {anchor[1:] for anchor in checker.anchors} <= set(checker.ids)


def test_a_page_names_nothing_outside_itself():
    page = whole_page()
    checker = Checker()
    checker.feed(page)
    assert checker.outside == []
    assert not re.search(r"url\((?!#)", page)
    assert "@import" not in page
    assert "default-src 'none'" in page


def test_what_is_given_is_text_and_not_markup():
    page = whole_page()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "Rubrik &lt;b&gt;" in page


def test_the_same_page_is_the_same_bytes():
    assert whole_page() == whole_page()


def test_figures_follow_the_colours_of_the_page_and_can_be_read_aloud():
    svg = figures.to_svg(figures.forest(ROWS, language="en"), title="Forest", description='A "quoted" word')
    assert style.PRIMARY not in svg.lower()
    assert "var(--primary)" in svg
    root = ET.fromstring(svg)
    assert root.get("role") == "img"
    assert root.get("aria-label") == 'Forest A "quoted" word'


def test_a_forest_plot_puts_each_estimate_at_its_value():
    figure = figures.forest(ROWS, language="sv", benchmark_label="Danskt värde")
    (axes,) = figure.axes
    points = {line.get_marker(): line.get_xdata() for line in axes.lines}
    np.testing.assert_array_equal(points["o"], ROWS["estimate"])
    np.testing.assert_array_equal(points["D"], ROWS["benchmark"])
    (segments,) = (collection.get_segments() for collection in axes.collections)
    np.testing.assert_array_equal([segment[:, 0] for segment in segments], ROWS[["conf_low", "conf_high"]])
    assert "1,50  (1,10 till 2,00)" in {words.get_text() for words in axes.texts}


def test_incidence_draws_every_curve_in_months():
    curves = pd.DataFrame({"label": ["a", "a", "b", "b"], "time": [0, 365.25, 0, 365.25], "estimate": [0, 0.1, 0, 0.2]})
    curves = curves.assign(conf_low=curves["estimate"], conf_high=curves["estimate"])
    at_risk = pd.DataFrame({"time": [0, 365.25], "at_risk": [1200, 900]})
    (axes,) = figures.incidence(curves, language="en", axis_label="Share", at_risk=at_risk).axes
    np.testing.assert_allclose([line.get_xdata()[-1] for line in axes.lines], 12)
    assert {"1\u202f200", "900", "a", "b"} <= {words.get_text() for words in axes.texts}


def test_a_figure_leaves_the_session_style_alone():
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    figures.to_png(figures.forest(ROWS, language="sv"))
    assert dict(mpl.rcParams) == before


def test_the_order_in_which_a_figure_is_saved_and_the_session_style_change_no_byte():
    import matplotlib as mpl

    from bipstudy.report.pictures import picture, to_png, to_svg

    figure = figures.forest(ROWS, language="sv", benchmark_label="Danskt")
    first = to_png(figure)
    assert picture(figure) == picture(figures.forest(ROWS, language="sv", benchmark_label="Danskt"))
    with mpl.rc_context({"font.size": 20, "savefig.dpi": 30, "figure.dpi": 50}):
        assert to_png(figure) == first
        again = figures.forest(ROWS, language="sv", benchmark_label="Danskt")
        assert to_svg(picture(again), title="a") == to_svg(figure, title="a")


def test_a_png_holds_everything_that_is_drawn():
    from PIL import Image

    from bipstudy.report.pictures import to_png

    pixels = np.asarray(Image.open(io.BytesIO(to_png(figures.forest(ROWS, language="sv")))).convert("L"))
    ink = pixels < 250
    edges = (ink[0], ink[-1], ink[:, 0], ink[:, -1])
    assert not any(edge.any() for edge in edges)
    # The margin is that of the box around what is drawn, at 150 dots an inch.
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    margins = (rows[0], pixels.shape[0] - 1 - rows[-1], columns[0], pixels.shape[1] - 1 - columns[-1])
    assert max(margins) < 30


def cells(html):
    body = html[html.index("<tbody>") :]
    return re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", body)


@pytest.mark.parametrize(("language", "written", "yes"), [("sv", "0,5", "Ja"), ("en", "0.5", "Yes")])
def test_a_table_writes_numbers_in_the_language_and_whole_numbers_whole(language, written, yes):
    frame = pd.DataFrame({"who": ["alla"], "n": [1200], "share": [0.5], "gone": [np.nan], "flag": [True]})
    html = tables.to_html(frame, language=language, decimals=1)
    assert cells(html) == ["alla", "1\u202f200", written, "–", yes]


def test_a_table_groups_its_rows_and_escapes_them():
    frame = pd.DataFrame({"g": ["x<", "x<", "y"], "who": ["a", "b", "c"], "n": [1, 2, 3]})
    html = tables.to_html(frame, language="en", group="g", labels={"n": "Number & more"})
    assert html.count('class="group"') == 2
    assert "x&lt;" in html
    assert "Number &amp; more" in html


def test_no_word_of_a_figure_is_cut_off() -> None:
    """As wide as text is in an SVG, everything drawn lies inside the figure that it was laid out in."""
    import io

    from matplotlib.backends.backend_svg import RendererSVG

    from bipstudy.report import figures, style

    frame = pd.DataFrame(
        {
            "label": ["Över mot under medianen, alla andra deltagare", "Efter ett första byte, väntetid 60 dagar"],
            "group": ["Justerad för bakgrund, tid och nivån på svaren"] * 2,
            "estimate": [1.0, 2.0],
            "conf_low": [0.5, 1.0],
            "conf_high": [2.0, 3.0],
        }
    )
    drawn = [
        figures.forest(frame, language="sv", axis_label="Riskkvot (1 = inget samband)"),
        figures.shares(frame.assign(estimate=0.1, conf_low=0.05, conf_high=0.12), language="sv", axis_label="Andel"),
    ]
    for figure in drawn:
        width, height = figure.get_size_inches()
        with style.own():
            figure.dpi = 72
            box = figure.get_tightbbox(RendererSVG(72 * width, 72 * height, io.StringIO()))
        assert box.x0 >= 0
        assert box.x1 <= width


def test_the_ticks_of_shares_do_not_run_together() -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from bipstudy.report import figures

    label = ["Organisationernas medelvärde (slumpeffekter)"]
    for high in (0.125, 0.137, 0.3, 0.95):
        ends = {"estimate": [high - 0.04], "conf_low": [high - 0.06], "conf_high": [high], "n": [1284]}
        figure = figures.shares(pd.DataFrame({"label": label, **ends}), language="sv", axis_label="Andel")
        renderer = FigureCanvasAgg(figure).get_renderer()
        boxes = [tick.get_window_extent(renderer) for tick in figure.axes[0].get_xticklabels() if tick.get_text()]
        inside = [box for box in boxes if figure.axes[0].get_window_extent(renderer).overlaps(box.expanded(1, 3))]
        gaps = [after.x0 - before.x1 for before, after in pairwise(inside)]
        assert min(gaps) > 4
