"""Blocks as Markdown and as one HTML file."""

from html.parser import HTMLParser

import pytest

from ultrasound_jax.analysis.document import (
    Heading,
    Listing,
    Picture,
    Table,
    Text,
    value_text,
)
from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.report.html import to_html
from ultrasound_jax.analysis.report.markdown import (
    to_markdown,
    write_markdown,
)

NASTY = '<script>alert("a & b")</script> | c'
BLOCKS = [
    Heading(NASTY, 1),
    Text(NASTY),
    Heading("First"),
    Table(
        ["", NASTY], [[NASTY, "1"], ["b", "2"]], caption=NASTY, strong=frozenset([1])
    ),
    Heading("Below", 3),
    Listing([NASTY]),
    Heading("Second"),
    Picture("roc", b"\x89PNG", alt=NASTY, caption=NASTY),
]
LINK = "[x](javascript:alert(1)) ![i](http://example.org/a.png) [0.1, 0.2]"
VOID = {"meta", "img", "wbr"}


class Checker(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.seen, self.attributes = [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page():
    checker = Checker()
    checker.feed(to_html(BLOCKS))
    return checker


def test_every_element_is_closed_and_what_is_said_is_escaped(page):
    assert page.open == []
    assert "script" not in page.seen
    assert "<script>" not in to_html(BLOCKS)


def test_nothing_is_fetched_from_anywhere(page):
    sources = [value for name, value in page.attributes if name in ("src", "href")]
    assert len(sources) == 3
    for source in sources:
        assert source.startswith(("data:image/png;base64,", "#"))
    assert "url(" not in to_html(BLOCKS) and "@import" not in to_html(BLOCKS)


def test_the_contents_link_to_the_headings_of_the_second_level(page):
    links = [v[1:] for name, v in page.attributes if name == "href"]
    ids = [v for name, v in page.attributes if name == "id"]
    assert set(links) <= set(ids) and len(set(ids)) == len(ids)
    text = to_html(BLOCKS)
    assert text.index("<nav") < text.index(">First</h2>")
    assert "Below</a>" not in text


def test_a_table_too_wide_for_a_page_has_its_intervals_below_the_values():
    def page(columns):
        row = ["a_long_name", *["0.500 [0.400, 0.625] (3 of 4)"] * columns]
        return to_html([Table([""] * len(row), [row])])

    assert '<div class="table wide">' in page(9)
    assert '<div class="table">' in page(3)
    assert "<td>0.500 <span>[0.400, 0.625]</span> (3 of 4)</td>" in page(3)
    assert "a_<wbr>long_<wbr>name" in page(3)


def test_markdown_has_tables_whose_cells_cannot_break_out():
    text = to_markdown(BLOCKS)
    assert "<script>" not in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert {line.replace("\\|", "").count("|") for line in rows} == {3}
    assert "| **b** | **2** |" in text
    assert "](figures/roc.png)" in text


def test_pictures_lie_beside_the_markdown(tmp_path):
    write_markdown(tmp_path / "a.md", BLOCKS)
    assert (tmp_path / "figures/roc.png").read_bytes() == b"\x89PNG"
    with pytest.raises(AnalysisError, match="two pictures are called 'roc'"):
        write_markdown(tmp_path / "a.md", [*BLOCKS, BLOCKS[-1]])


def test_values_are_written_with_their_interval_or_why_not():
    assert value_text({"x": 0.5, "x_ci": [0.4, 0.625]}, "x") == "0.500 [0.400, 0.625]"
    assert value_text({"x": 0.5, "x_ci": None}, "x", 1) == "0.5 [not defined]"
    assert value_text({"x": None, "x_ci": None}, "x") == "not defined"


def test_a_name_does_not_become_a_link_or_a_picture():
    text = to_markdown([Table(["a"], [[LINK]])])
    assert "](" not in text and "[0.1, 0.2]" in text
