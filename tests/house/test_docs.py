# SPDX-License-Identifier: Apache-2.0
"""What the documents say is so, and what there is stands in the documents."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from tests.house.reference import REFERENCES, commands

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("vagrant/*.md")])
COMMANDS = {context.command_path: command for command, context in commands()}
SINGLE = {path: command for path, command in COMMANDS.items() if not isinstance(command, click.Group)}


@pytest.mark.parametrize("page", REFERENCES, ids=lambda page: page.name)
def test_a_reference_is_what_the_programs_say_themselves(page):
    assert page.read_text() == REFERENCES[page](), "run `make docs`"


@pytest.mark.parametrize("path", SINGLE)
def test_every_command_has_help_with_an_example(path):
    help_ = (SINGLE[path].help or "") + "\n" + (SINGLE[path].epilog or "")
    assert help_.strip()
    if SINGLE[path].name != "version":
        assert re.search(r"Examples?:", help_)
        assert path in help_


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_a_page_shows_exists(page):
    shown = re.findall(r"(nsentry-(?:sensor|controller))((?: [a-z-]+)*)", page.read_text())
    for program, words in shown:
        path = program
        for word in words.split():
            if not isinstance(COMMANDS[path], click.Group):
                break
            path = f"{path} {word}"
            assert path in COMMANDS, f"{page.name} shows {path!r}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_somewhere(page):
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
    local = [target for target in targets if "://" not in target]
    assert not [target for target in local if not (page.parent / target).exists()]


def test_every_target_of_make_that_help_lists_stands_in_a_document():
    targets = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    text = "".join(page.read_text() for page in PAGES)
    assert targets
    assert not [target for target in targets if f"make {target}" not in text and target != "help"]
