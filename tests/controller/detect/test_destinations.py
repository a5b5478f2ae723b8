# SPDX-License-Identifier: Apache-2.0
"""What lowers a severity must be hard to fake."""

from __future__ import annotations

import pytest

from controller.detect.destinations import only_loopback


@pytest.mark.parametrize(
    "arguments",
    [
        ["-fsS", "http://localhost:8080/healthz"],
        ["127.0.0.1", "8080"],
        ["-o", "/dev/null", "https://127.1.2.3/"],
        ["TCP:localhost:80"],
        ["http://[::1]:9/x"],
        ["app@localhost"],
    ],
)
def test_the_container_itself(arguments):
    assert only_loopback(arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["-v"],
        ["8080"],
        ["http://localhost.example.org/"],
        ["http://127.0.0.1.example.org/"],
        ["http://localhost@example.org/"],
        ["http://localhost:80@example.org/"],
        ["http://example.org/localhost"],
        ["http://example.org/@localhost"],
        ["example.org:localhost"],
        ["localhost", "example.org"],
    ],
)
def test_anything_else(arguments):
    assert not only_loopback(arguments)
