# SPDX-License-Identifier: Apache-2.0
"""Strategy documents as HTML that a strict page may hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.detect import catalogue
from controller.web import markdown


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "[a](javascript:alert(1))",
        "[a](data:text/html,x)",
        "![a](https://elsewhere.example/x.png)",
        '<p style="x" onclick="y">',
        "[a]: javascript:alert(1)\n\n[a]",
    ],
)
def test_nothing_of_a_document_runs_or_loads(text):
    """Raw HTML is text, addresses that run something are not links, images are not loaded."""
    made = str(markdown.render(text))
    assert not [bad for bad in ("<script", "<img", "<p ", 'href="javascript', 'href="data') if bad in made]


def test_tables_have_no_inline_style():
    """An aligned table says nothing that the content security policy would report."""
    made = str(markdown.render("|a|b|\n|:-:|--:|\n|1|2|\n"))
    assert "<td>1</td>" in made
    assert "style" not in made


def test_headings_stand_below_those_of_the_page():
    """The page has h1 and h2; a document begins at h3."""
    assert "<h3>A</h3>\n<h4>B</h4>" in str(markdown.render("# A\n\n## B\n"))


@given(st.text(max_size=300))
def test_any_text_can_be_rendered(text):
    """No document stops a page from being made, nor gets a tag of its own choice into it."""
    assert "<script" not in str(markdown.render(text)).lower()


@pytest.mark.parametrize("folder", catalogue.folders(), ids=lambda path: path.name)
def test_documents_of_the_detections_render(folder):
    """Each detection's own document comes out with its sections as headings."""
    made = str(markdown.render((folder / catalogue.ADS).read_text()))
    assert ">Blind Spots and Assumptions</h" in made
