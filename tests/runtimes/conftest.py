# SPDX-License-Identifier: Apache-2.0
"""One Docker daemon for all tests of this folder. A test that breaks its daemon starts one of its own."""

from __future__ import annotations

import itertools
import subprocess

import pytest

from sensor.probe import BPF_SOURCES
from tests.runtimes.watching import Watching
from vagrant.local.dockerd import Dockerd, unavailable

IMAGE = "busybox:test"

_names = itertools.count(1)


def pytest_collection_modifyitems(items):
    reason = unavailable()
    for item in items:
        if item.path.is_relative_to(__file__.rsplit("/", 1)[0]):
            item.add_marker("runtimes")
            if reason:
                item.add_marker(pytest.mark.skip(reason=f"no container runtime: {reason}"))


@pytest.fixture(scope="session")
def dockerd():
    with Dockerd(runtimes={"crun": "/usr/bin/crun"}) as daemon:
        daemon.image(IMAGE, changes=["LABEL from=import"])
        yield daemon


@pytest.fixture(scope="module", params=["core", "bcc"])
def watching(request, dockerd, tracefs):
    """A watch of the tests' daemon by each loader. A module that needs another one has its own."""
    subprocess.run(["make", "-C", str(BPF_SOURCES)], check=True, capture_output=True)
    watching = Watching(request.param, [str(dockerd.socket)])
    yield watching
    watching.close()


@pytest.fixture
def container(dockerd):
    """A function that starts a container which is removed at the end of the test."""
    made: list[str] = []

    def start(*command: str, options=()) -> str:
        name = f"t{next(_names)}"
        made.append(dockerd.run(IMAGE, *(command or ("sleep", "600")), name=name, options=options))
        return made[-1]

    yield start
    if made:
        dockerd.docker("rm", "-f", "-v", *made)
