# SPDX-License-Identifier: Apache-2.0
"""What was taken from others is what its list says, and nothing in a page is inline."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from controller.web import static

LISTS = [static.FOLDER / "vendor" / "VENDORED.md", Path("tests/browser/vendor/VENDORED.md")]
TEMPLATES = sorted((static.FOLDER.parent / "templates").glob("*.html"))


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.parent.parent.name)
def test_vendored_files_are_those_of_the_list(path):
    """Each file has the digest that its list says, a licence beside it, and none is there that is not listed."""
    rows = [
        line.split("|") for line in path.read_text().splitlines() if re.search(r"\| [0-9a-f]{64} \|$", line)
    ]
    listed = {row[1].strip(): row[6].strip() for row in rows}
    kept = {
        each.name for each in path.parent.iterdir() if "LICENSE" not in each.name and each.suffix != ".md"
    }
    assert set(listed) == kept
    for name, digest in listed.items():
        assert hashlib.sha256((path.parent / name).read_bytes()).hexdigest() == digest
    assert [each for each in path.parent.iterdir() if "LICENSE" in each.name]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_template_has_inline_script_or_style(path):
    """X5: no <style>, no style attribute, no handler, no script but by its address, no `|safe`."""
    text = path.read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?! (defer )?src=)|javascript:|\|\s*safe", text)
