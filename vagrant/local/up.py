# SPDX-License-Identifier: Apache-2.0
"""`make up`: both parts on this host until Ctrl-C."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from vagrant.local import host
from vagrant.local.stack import Stack

if TYPE_CHECKING:
    import subprocess
    from typing import Any


def up() -> int:
    """Run until SIGINT or SIGTERM; 0 then. LabError when a part ends by itself."""
    stack = Stack(host.folder(), host.port("NSENTRY_PORT", 8443))
    with ExitStack() as undo:
        undo.enter_context(host.only_one(stack.root / "up.lock", "make up"))
        undo.enter_context(host.tracefs())
        services = stack.start(undo)
        print_status(stack.sensor_status() or {})
        print(f"dashboard  {stack.controller('login-link').strip()}")
        print("           (opens once, within 10 minutes; another: .venv/bin/nsentry-controller login-link)")
        print("Each alert follows as a line. Ctrl-C stops both.", flush=True)
        follower = stack.follow_alerts()
        undo.callback(_end, follower)
        while follower.poll() is None:
            for service in services:
                service.check()
            time.sleep(0.5)
    return 1


def print_status(status: dict[str, Any]) -> None:
    """How the sensor watches: its loader and why that one, each hook, and what does not work as it should."""
    reason = f" ({status['loader_reason']})" if status.get("loader_reason") else ""
    print(f"loader     {status.get('loader', 'unknown')}{reason}")
    for purpose, hook in sorted(status.get("hooks", {}).items()):
        print(f"hook       {purpose}: {hook}")
    for sentence in status.get("degraded", []):
        print(f"degraded   {sentence}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait()
