# SPDX-License-Identifier: Apache-2.0
"""A container that was made by hand is known by what its runtime wrote of it, and by nothing else."""

from __future__ import annotations

import json

import pytest

from sensor.enrich import byhand
from sensor.enrich.byhand import _number


@pytest.fixture
def state(tmp_path):
    def write(content):
        (tmp_path / "state.json").write_text(content)
        return tmp_path / "state.json"

    return write


def test_the_pid_is_read_from_what_the_runtime_wrote(state):
    assert _number(state(json.dumps({"init_process_pid": 70})), "init_process_pid") == 70


@pytest.mark.parametrize("content", ["", "[]", "{", "[" * 100_000, '{"init_process_pid": "70"}', "{}"])
def test_what_is_no_state_has_no_pid(content, state):
    assert _number(state(content), "init_process_pid") is None


def test_a_state_that_is_a_link_or_longer_than_the_bound_is_not_read(state, tmp_path, monkeypatch):
    file = state(json.dumps({"init_process_pid": 70}))
    (tmp_path / "link").symlink_to(file)
    assert _number(tmp_path / "link", "init_process_pid") is None
    monkeypatch.setattr(byhand, "MAX_BYTES", 5)
    assert _number(file, "init_process_pid") is None
