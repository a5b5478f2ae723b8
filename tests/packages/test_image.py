# SPDX-License-Identifier: Apache-2.0
"""The controller's container image, built from its package, serves."""

from __future__ import annotations

import os
import subprocess
import time

import pytest

from tests.packages import roots
from vagrant.local import host
from vagrant.local.dockerd import Dockerd, unavailable
from vagrant.packages.trees import FILES

pytestmark = [pytest.mark.packages, pytest.mark.runtimes, pytest.mark.timeout(300)]
TAG = "nsentry-controller:test"


@pytest.fixture(scope="module")
def serving(clean, packages):
    """A daemon of its own with a container of the image; its id."""
    if reason := unavailable():
        pytest.skip(reason)
    with host.docker_cgroups(), Dockerd() as docker:
        # The base that the script itself would make, made already for the other tests.
        with roots.BASE.open("rb") as base:
            imported = [*docker.command("import", "-", "base:test")]
            subprocess.run(imported, stdin=base, check=True, capture_output=True)
        environment = {
            **os.environ,
            "DOCKER_HOST": f"unix://{docker.socket}",
            "PATH": f"/usr/bin:{os.environ['PATH']}",
        }
        build = [FILES.parent / "image", packages["controller.deb"], TAG, "base:test"]
        done = subprocess.run(build, env=environment, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        url = "NSENTRY_CONTROLLER_URL=https://localhost:8443"
        hardened = ("--cap-drop=ALL", "--security-opt=no-new-privileges", "-e", url)
        container = docker.docker("run", "-d", *hardened, TAG)
        deadline = time.monotonic() + 60
        while "ready" not in _ask(docker, container) and time.monotonic() < deadline:
            time.sleep(0.5)
        yield docker, container


def _ask(docker: Dockerd, container: str) -> str:
    command = docker.command("exec", container, "nsentry-controller", "doctor")
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return "ready" if done.returncode == 0 else done.stdout + done.stderr


def test_the_controller_in_a_container_is_well_and_has_no_privilege(serving):
    docker, container = serving
    assert _ask(docker, container) == "ready"
    assert docker.exec(container, "id", "-un") == "nsentry"
    assert docker.exec(container, "grep", "CapEff", "/proc/self/status").split()[1] == "0" * 16


def test_a_token_and_a_link_to_log_in_come_out_of_it(serving):
    docker, container = serving
    assert docker.exec(container, "nsentry-controller", "token", "create")
    assert "https://localhost:8443/" in docker.exec(container, "nsentry-controller", "login-link")


def test_its_state_outlives_the_container(serving):
    docker, container = serving
    (volume,) = docker.docker(
        "inspect", "--format", "{{range .Mounts}}{{.Destination}}{{end}}", container
    ).split()
    assert volume == "/var/lib/nsentry/controller"
