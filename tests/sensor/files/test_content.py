# SPDX-License-Identifier: Apache-2.0
"""What is told of a file: what differs, bounded and printable, and never a secret."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor.files.content import MAX_LINE, difference, read, shown
from sensor.wire import MAX_DIFFERENCE
from sensor.wire.redact import Redactor

REDACT = Redactor().text
LINES = st.lists(st.text(max_size=12), max_size=30)


def applied(before, lines):
    """What a unified difference makes of the lines before, by its numbers: what patch(1) does."""
    made, at = [], 0
    for line in lines:
        if line.startswith("@@"):
            begin, _, count = line.split()[1][1:].partition(",")
            start = int(begin) - (count != "0")
            made += before[at:start]
            at = start
        elif line.startswith("+"):
            made.append(line[1:])
        else:
            assert before[at] == line[1:]
            made += [line[1:]] if line.startswith(" ") else []
            at += 1
    return made + before[at:]


@given(LINES, LINES)
def test_a_difference_makes_of_what_was_before_what_is_after(before, after):
    lines, cut = difference(before, after)
    assert not cut
    assert applied(before, lines) == after
    assert bool(lines) == (before != after)


@given(st.lists(st.text(), max_size=20))
def test_what_is_shown_is_printable_bounded_and_a_line_for_each(lines):
    made = shown(lines, REDACT)
    assert len(made) == len(lines)
    assert all(line.isprintable() and len(line) <= MAX_LINE for line in made)


def test_a_difference_without_end_is_cut_and_says_so():
    lines, cut = difference([], [str(number) for number in range(1000)])
    assert (len(lines), cut) == (MAX_DIFFERENCE, True)


@pytest.mark.parametrize(
    "line",
    [
        '  "auth": "hunter2secret"',
        "token: hunter2secret",
        'password = "hunter2secret"',
        "    value: hunter2secret",
        '  - {name: A, "value": "hunter2secret"}',
        '{"env":[{"name":"A","value":"x\\"hunter2secret"},{"name":"B","value":"hunter2"}]}',
        "client-key-data: hunter2secret",
        "Environment=HTTP_PROXY=http://me:hunter2secret@proxy:3128",
    ],
)
def test_a_secret_does_not_leave_the_host(line):
    (made,) = shown([line], REDACT)
    assert "hunter2" not in made


def test_a_value_of_several_lines_does_not_either():
    lines = ["- name: A", "  value: |", "    hunter2", "", "    hunter2", "- name: B"]
    made = shown(lines, REDACT)
    assert "hunter2" not in "".join(made)
    assert (made[0], made[1], made[-1]) == ("- name: A", "  value: ***", "- name: B")


def test_a_private_key_does_not_leave_the_host():
    key = ["a: |", "-----BEGIN RSA PRIVATE KEY-----", "MIIhunter2", "-----END RSA PRIVATE KEY-----", "b: 1"]
    made = shown(key, REDACT)
    assert (made[0], made[-1]) == ("a: |", "b: 1")
    assert "hunter2" not in "".join(made)


def test_what_is_no_regular_file_is_none_and_never_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert read(str(tmp_path / "pipe"), REDACT) is None
    assert read(str(tmp_path), REDACT) is None
    assert read(str(tmp_path / "none"), REDACT) is None


def test_all_of_a_long_file_counts_for_its_digest(tmp_path):
    file = tmp_path / "long"
    file.write_bytes(b"a" * (3 << 20))
    before = read(str(file), REDACT).state["digest"]
    file.write_bytes(b"a" * ((3 << 20) - 1) + b"b")
    assert read(str(file), REDACT).state["digest"] != before
