# SPDX-License-Identifier: Apache-2.0
"""A container's own HEALTHCHECK is a probe; an exec that only resembles it is not."""

from __future__ import annotations

import subprocess

import pytest

from tests.runtimes.conftest import IMAGE
from tests.runtimes.watching import Watching
from vagrant.local.dockerd import Dockerd

pytestmark = pytest.mark.runtimes

CHECK = "wget -q -O /dev/null http://127.0.0.1:1/ || true"
EVERY_SECOND = ("--health-interval=1s", "--health-timeout=20s")


def means(watching: Watching, container: str) -> list[str]:
    """The means of each entry, as it is once all updates are in."""
    learned = {
        event["target"]: event["set"]["means"]
        for event in watching.events
        if event["kind"] == "update" and "means" in event["set"]
    }
    return [learned.get(entry["id"], entry["means"]) for entry in watching.of("entry", container)]


def test_a_check_by_a_shell_is_a_probe(watching: Watching, dockerd: Dockerd) -> None:
    container = dockerd.run(
        IMAGE, "sleep", "600", options=["-u", "app", "-w", "/etc", f"--health-cmd={CHECK}", *EVERY_SECOND]
    )
    try:
        watching.until(lambda: len(means(watching, container)) >= 2)
        assert set(means(watching, container)) == {"probe"}
        watching.events.clear()
        for options in ([], ["-u", "0"], ["-w", "/"]):
            dockerd.exec(container, "/bin/sh", "-c", CHECK + ("" if options else "; true"), options=options)
        watching.until(lambda: means(watching, container).count("docker-exec") == 3)
    finally:
        dockerd.docker("rm", "-f", container)


def test_a_check_by_a_script_is_a_probe(watching: Watching, dockerd: Dockerd) -> None:
    """The kernel shows a script as its interpreter; the image declares this one, not the command line."""
    image = dockerd.build("check:test", f"FROM {IMAGE}\n"
        "RUN printf '#!/bin/sh -e\\nid\\n' > /check && chmod +x /check\n"
        'HEALTHCHECK --interval=1s CMD ["/check", "one"]\n')  # fmt: skip
    container = dockerd.run(image, "sleep", "600")
    try:
        watching.until(lambda: bool(means(watching, container)))
        assert set(means(watching, container)) == {"probe"}
    finally:
        dockerd.docker("rm", "-f", container)


def test_another_containers_check_is_none_here(watching: Watching, dockerd: Dockerd) -> None:
    checked = dockerd.run(IMAGE, "sleep", "600", options=["--health-cmd=id -u", *EVERY_SECOND])
    other = dockerd.run(IMAGE, "sleep", "600")
    try:
        watching.until(lambda: bool(means(watching, checked)))
        dockerd.exec(other, "/bin/sh", "-c", "id -u")
        watching.until(lambda: "docker-exec" in means(watching, other))
        assert set(means(watching, checked)) == {"probe"}
    finally:
        dockerd.docker("rm", "-f", checked, other)


def test_nsenter_with_the_declared_command_is_a_join(watching: Watching, dockerd: Dockerd) -> None:
    container = dockerd.run(IMAGE, "sleep", "600", options=["--health-cmd=id", "--health-interval=1h"])
    try:
        watching.until(lambda: bool(watching.of("start", container)))
        target = str(dockerd.init_pid(container))
        subprocess.run(["nsenter", "-t", target, "-a", "/bin/sh", "-c", "id"], check=True)
        watching.until(lambda: means(watching, container) == ["ns-join"])
    finally:
        dockerd.docker("rm", "-f", container)
