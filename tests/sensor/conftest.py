# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the delivery tests: a CA, and collectors that are killed at the end."""

from __future__ import annotations

import logging

import pytest

from tests.sensor.collector import Authority, Collector


@pytest.fixture(scope="session")
def authority():
    return Authority()


@pytest.fixture
def ca(authority, tmp_path):
    """The file of the pinned CA."""
    path = tmp_path / "ca.pem"
    path.write_text(authority.pem)
    return path


@pytest.fixture
def make_collector(authority, tmp_path):
    """Makes collectors, with the arguments of Authority.server_context."""
    made = []

    def make(authority=authority, **certificate) -> Collector:
        collector = Collector(authority.server_context(tmp_path, **certificate)).start()
        made.append(collector)
        return collector

    yield make
    for collector in made:
        collector.kill()


@pytest.fixture
def collector(make_collector):
    return make_collector()


@pytest.fixture(autouse=True)
def _logging_as_before():
    """Commands set up the log of the whole process."""
    root = logging.getLogger()
    before = root.level, list(root.handlers), logging.raiseExceptions
    yield
    root.setLevel(before[0])
    root.handlers[:], logging.raiseExceptions = before[1:]
