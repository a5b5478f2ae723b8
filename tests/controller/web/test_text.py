# SPDX-License-Identifier: Apache-2.0
"""What hostile text looks like in a page."""

from __future__ import annotations

import html
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.web import render, text

ANY = st.text(st.characters(), max_size=200)
TAGS = re.compile(r'<span class="esc">|</span>')


@given(ANY)
def test_no_text_makes_markup_or_hides(value):
    """X5: of any text only our own spans are markup, and every character of what is shown prints."""
    shown = str(text.show(value))
    bare = TAGS.sub("", shown)
    assert "<" not in bare
    assert ">" not in bare
    assert html.unescape(bare).isprintable()


def test_control_characters_stand_as_marked_escapes():
    """An escape sequence is visible as such, and can be told from the same letters typed."""
    assert text.show("a\x1b[2J") == 'a<span class="esc">\\x1b</span>[2J'
    assert text.show("a\\x1b") == "a\\x1b"


def test_lines_stay_lines_only_where_a_person_wrote_them():
    """A newline in an argument is an escape, in a comment it is a line."""
    assert "\n" not in text.show("a\nb")
    assert text.show_lines("a\r\nb") == "a\nb"


@given(st.dictionaries(ANY, st.one_of(ANY, st.integers(), st.none(), st.lists(ANY, max_size=4)), max_size=5))
def test_shown_json_is_the_value_and_prints(value):
    """A6: what is copied from the raw view is JSON of exactly the event, without a character that steers."""
    shown = html.unescape(str(text.show_json(value)))
    assert json.loads(shown) == value
    assert all(each == "\n" or each.isprintable() for each in shown)


def test_arguments_keep_their_borders():
    """Where an argument begins and ends can be seen."""
    assert text.command_line(["sh", "-c", "a  b", ""]) == "sh -c 'a  b' ''"


@pytest.mark.parametrize("template", ["{{ value }}", '<a title="{{ value }}">', "{{ value ~ '' }}"])
def test_no_template_can_forget_to_escape(template):
    """Every expression of a template is escaped and made printable, whether it asks for it or not."""
    made = render._environment.from_string(template).render(value="\"'><script>\x1b\u202e")
    assert "<script>" not in made
    assert "\x1b" not in made
    assert "\u202e" not in made
    assert '">' not in made.replace('"esc">', "").removesuffix('">')
