# SPDX-License-Identifier: Apache-2.0
"""All checks, in the order in which a person mends them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Final

from sensor.config import Config
from sensor.doctor import delivery
from sensor.doctor.check import Check
from sensor.doctor.packages import install_command
from sensor.doctor.preconditions import Surroundings, preconditions
from sensor.enrich.sockets import discover
from sensor.probe import pins
from sensor.wire import printable

_IMPORT_TIMEOUT_S: Final = 30.0


def everything(config: Config, around: Surroundings | None = None) -> Iterator[Check]:
    """Each check as it is done; those of the controller take as long as it takes to answer."""
    around = around or Surroundings()
    for check in preconditions(config.loader, around):
        yield _imported(check, around) if check.name == "bcc" and check.state == "ok" else check
    yield pinning(config)
    yield runtimes(config)
    yield delivery.state_dir(config)
    yield delivery.spool(config)
    yield from delivery.controller(config)
    yield from delivery.running(config)


def runtimes(config: Config) -> Check:
    """Whether a daemon can describe containers; without one, names and images are missing from entries."""
    sockets = discover([str(path) for path in config.docker.sockets])
    if sockets:
        return Check.ok("runtimes", ", ".join(map(printable, sockets)))
    return Check.warn(
        "runtimes",
        "no socket of docker or podman: names, images and labels come from bundles alone",
        "start the daemon, or name its socket: docker.sockets in sensor.toml",
    )


def pinning(config: Config) -> Check:
    """Whether programs and ring would outlive the sensor."""
    if config.pins is None:
        return Check.warn(
            "pins", "off: what happens while no sensor runs is missed", 'pins = "auto" in sensor.toml'
        )
    if config.loader == "bcc":
        return Check.warn("pins", "loader bcc cannot pin: what happens while no sensor runs is missed", "")
    reason = pins.why_not(config.pins)
    if reason is None:
        return Check.ok("pins", str(config.pins))
    mend = "mount -t bpf bpf /sys/fs/bpf"
    if config.pins_asked:
        return Check.fail("pins", f"nothing can be pinned in {config.pins}: {reason}", mend)
    return Check.warn("pins", f"what happens while no sensor runs is missed: {reason}", mend)


def _imported(check: Check, around: Surroundings) -> Check:
    """Import bcc, in another process: it brings LLVM with it, and may end in a missing symbol (bcc#4583)."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", "import bcc"],
            capture_output=True,
            text=True,
            timeout=_IMPORT_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Check.warn("bcc", f"whether bcc works is not known: {error}", "")
    if done.returncode == 0:
        return check
    last = printable((done.stderr.strip().splitlines() or ["no message"])[-1][:300])
    install = install_command("bcc", root=around.root).replace("install", "install --reinstall", 1)
    return Check.warn("bcc", f"the Python module bcc cannot be imported: {last}", install)
