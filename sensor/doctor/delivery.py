# SPDX-License-Identifier: Apache-2.0
"""Checks of what lies behind the programs: the state folder, the enrolment, the way to the controller."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final

from sensor import __version__, status, wire
from sensor.config import Config
from sensor.doctor.check import Check
from sensor.fault import ExitCode, Fault
from sensor.identity import Identity, describe_host
from sensor.wire import printable

SPOOL_NAME: Final = "spool.db"
_MAX_SKEW_S: Final = 5.0
"""HTTP tells the time in whole seconds, and the answer takes its own."""


def running(config: Config) -> Iterator[Check]:
    """What the running sensor itself says is wrong; that none runs is no fault."""
    try:
        beat = next(status.ask(config.state_dir, "status"), {})
    except Fault as fault:
        yield Check.ok("sensor", fault.sentence)
        return
    yield Check.ok("sensor", f"runs, with loader {printable(str(beat.get('loader')))}")
    if "setns" in beat.get("hooks", {}):
        yield _hook(printable(str(beat["hooks"]["setns"])))
    for sentence in beat.get("degraded", ()):
        yield Check.warn("sensor", printable(str(sentence)), "nsentry-sensor status")


def _hook(served: str) -> Check:
    """What sees setns; the tracepoint is a warning, for it costs every system call something."""
    if not served.startswith("tracepoint"):
        return Check.ok("hook", f"setns is seen by {served}")
    said = f"setns is seen by {served}; it slows every system call, and 32-bit callers do not pass there"
    return Check.warn("hook", said, "boot a kernel with fentry or kprobes, where 'hook' is auto")


def state_dir(config: Config) -> Check:
    """Whether the state folder can be used, and by nobody else."""
    folder = config.state_dir
    try:
        mode = folder.stat().st_mode
    except FileNotFoundError:
        return Check.warn("state", f"there is no {folder} yet", "nsentry-sensor enroll makes it")
    except PermissionError:
        return Check.fail(
            "state", f"{folder} cannot be seen by this user", "run it as root", ExitCode.PRIVILEGE
        )
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return Check.fail(
            "state", f"{folder} cannot be written by this user", "run it as root", ExitCode.PRIVILEGE
        )
    if mode & 0o077:
        return Check.warn(
            "state", f"{folder} is open to others (mode {mode & 0o777:04o})", f"chmod 700 {folder}"
        )
    return Check.ok("state", str(folder))


def spool(config: Config) -> Check:
    """Whether the spool is sound and its disk has room for all that it may hold."""
    path = config.state_dir / SPOOL_NAME
    try:
        free = os.statvfs(config.state_dir)
        waiting, size = _waiting(path) if path.exists() else (0, 0)
    except FileNotFoundError:
        return Check.ok("spool", "made by the first run")
    except PermissionError:
        return Check.fail(
            "spool", f"{path} cannot be read by this user", "run it as root", ExitCode.PRIVILEGE
        )
    except sqlite3.Error as error:
        return Check.fail(
            "spool",
            f"{path} is damaged ({error})",
            "nsentry-sensor run moves it aside and says what was lost",
            ExitCode.FAILURE,
        )
    available = free.f_bavail * free.f_frsize
    wanted = config.spool.max_bytes - size
    if available < wanted:
        return Check.warn(
            "spool",
            f"the disk has {available >> 20} MiB, the spool may want {wanted >> 20} MiB more",
            f"make room: df -h {config.state_dir}; or lower spool.max_bytes",
        )
    return Check.ok("spool", f"{waiting} events wait")


def controller(config: Config) -> Iterator[Check]:
    """Enrolment, and with its credential one empty batch: address, certificate, credential and clock."""
    try:
        identity = Identity.load(config.state_dir)
    except Fault as fault:
        yield Check.of_fault("enrolment", fault)
        return
    url = config.controller.url or identity.url
    yield Check.ok("enrolment", f"host {printable(identity.host)} of {url}")
    # urllib3 comes with it: not needed before there is somebody to talk to.
    from sensor.ship import BATCHES, advise  # noqa: PLC0415
    from sensor.uplink import Uplink  # noqa: PLC0415

    host = describe_host(identity.host, identity.boot)
    uplink = Uplink(
        url,
        config.controller.ca or identity.ca,
        identity.credential,
        timeout_s=config.controller.timeout_s,
        proxy=config.controller.proxy,
    )
    try:
        answer = uplink.post(BATCHES, wire.pack_batch(host, __version__, time.time_ns(), []))
    except Fault as fault:
        yield Check.of_fault("controller", fault)
        return
    finally:
        uplink.close()
    cause, advice = advise(answer)
    if answer.status == 200:
        yield Check.ok("controller", f"{url} answers, with a certificate of the pinned CA")
        yield Check.ok("credential", "accepted")
    elif cause == "credential":
        yield Check.ok("controller", f"{url} answers, with a certificate of the pinned CA")
        yield Check.fail("credential", advice, f"nsentry-sensor enroll --url {url} --token-file FILE")
    elif cause == "version":
        yield Check.fail(
            "controller", advice, "install versions of sensor and controller that belong together"
        )
    else:
        yield Check.fail(
            "controller", advice, "look at the controller: nsentry-controller doctor", ExitCode.UNREACHABLE
        )
    yield clock(answer.date, time.time())


def clock(date: str | None, now: float) -> Check:
    """The host's clock against the controller's, as an HTTP Date tells it."""
    try:
        skew = now - parsedate_to_datetime(date or "").timestamp()
    except ValueError:
        return Check.ok("clock", "not known: the controller did not tell its own")
    if abs(skew) <= _MAX_SKEW_S:
        return Check.ok("clock", "agrees with the controller's")
    way = "ahead of" if skew > 0 else "behind"
    return Check.warn("clock", f"{abs(skew):.0f} s {way} the controller's", "timedatectl set-ntp true")


def _waiting(path: Path) -> tuple[int, int]:
    """Events and bytes of a spool that a sensor may be writing."""
    path.open("rb").close()
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=2.0)
    try:
        row = connection.execute("SELECT count(*), coalesce(sum(size), 0) FROM events").fetchone()
    finally:
        connection.close()
    return int(row[0]), int(row[1])
