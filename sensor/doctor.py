# SPDX-License-Identifier: Apache-2.0
"""What the sensor needs of its host: named checks, each with the command that mends it. `run` asks too."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from sensor import wire
from sensor.config import Config
from sensor.enrich import procfs
from sensor.enrich.sockets import discover
from sensor.fault import ExitCode, Fault
from sensor.identity import Identity
from sensor.probe.core import object_path

_BIT: Final = {"CAP_SYS_PTRACE": 19, "CAP_SYS_ADMIN": 21, "CAP_PERFMON": 38, "CAP_BPF": 39}
_WORST: Final = (ExitCode.PRIVILEGE, ExitCode.CONFIG, ExitCode.UNREACHABLE, ExitCode.FAILURE)


@dataclass(frozen=True, slots=True)
class Check:
    """The outcome of one check."""

    name: str
    state: Literal["ok", "warn", "fail"]
    said: str
    fix: str = ""
    exit_code: ExitCode = ExitCode.FAILURE


@dataclass(frozen=True, slots=True)
class Place:
    """Where to look: another root and library for tests."""

    root: Path = field(default=Path("/"))
    library: str = "libbpf.so.1"


def kernel(loader: str, place: Place | None = None) -> Iterator[Check]:
    """What loading and attaching need."""
    place = place or Place()
    yield _privilege(place)
    btf = place.root / "sys/kernel/btf/vmlinux"
    yield _file(
        "btf", btf, "types of the kernel", "boot a kernel with CONFIG_DEBUG_INFO_BTF=y (Debian's have it)"
    )
    events = place.root / "sys/kernel/tracing/events"
    yield _file("tracefs", events, "tracefs", "mount -t tracefs nodev /sys/kernel/tracing")
    core, bcc = _core(place), _bcc()
    needed = {"core": [core], "bcc": [bcc]}.get(loader)
    if needed is None:  # auto: one of the two is enough
        works = [check for check in (core, bcc) if check.state == "ok"]
        needed = [core, bcc] if not works else [*works, *(_warned(c) for c in (core, bcc) if c not in works)]
    yield from needed


def _warned(check: Check) -> Check:
    return Check(check.name, "warn", check.said, check.fix)


def _privilege(place: Place) -> Check:
    status = procfs.status(os.getpid(), place.root / "proc")
    have = int(status.caps, 16) if status else 0
    lacking = [name for name, bit in _BIT.items() if not have >> bit & 1]
    if not lacking:
        return Check("privilege", "ok", "root's capabilities for BPF and /proc")
    return Check(
        "privilege",
        "fail",
        f"this process lacks {', '.join(lacking)}",
        "run as root: sudo nsentry-sensor run",
        ExitCode.PRIVILEGE,
    )


def _file(name: str, path: Path, what: str, fix: str) -> Check:
    try:
        there = path.exists()
    except PermissionError:
        return Check(name, "fail", f"{path} may not be read", "run as root", ExitCode.PRIVILEGE)
    if there:
        return Check(name, "ok", f"{what}: {path}")
    return Check(name, "fail", f"no {what} at {path}", fix, ExitCode.CONFIG)


def _core(place: Place) -> Check:
    try:
        ctypes.CDLL(place.library)
    except OSError:
        return Check(
            "libbpf", "fail", f"{place.library} is missing", "apt-get install libbpf1", ExitCode.CONFIG
        )
    if not object_path().exists():
        return Check("libbpf", "fail", f"{object_path()} is not built", "make -C bpf", ExitCode.CONFIG)
    return Check("libbpf", "ok", f"{place.library} and the prebuilt object")


def _bcc() -> Check:
    if importlib.util.find_spec("bcc") is None:
        return Check(
            "bcc",
            "fail",
            "the module bcc is missing",
            "apt-get install python3-bpfcc bpftool",
            ExitCode.CONFIG,
        )
    return Check("bcc", "ok", "the distribution's bcc")


def runtimes(config: Config) -> Check:
    """Whether a daemon can describe containers; without one, names and images are missing."""
    sockets = discover([str(path) for path in config.docker.sockets])
    if sockets:
        return Check("runtimes", "ok", ", ".join(wire.printable(path) for path in sockets))
    return Check(
        "runtimes", "warn", "no socket of docker or podman is there now", "set docker.sockets in sensor.toml"
    )


def enrolment(config: Config) -> Iterator[Check]:
    """Whether the sensor is enrolled, and reaches its controller by the pinned CA."""
    try:
        identity = Identity.load(config.state_dir)
    except Fault as fault:
        yield Check("enrolment", "fail", fault.sentence, fault.fix, fault.exit_code)
        return
    yield Check("enrolment", "ok", f"host {identity.host}")
    yield _reach(config.controller.url or identity.url, config.controller.ca or identity.ca)


def _reach(url: str, ca: Path) -> Check:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 443
    try:
        context = ssl.create_default_context(cafile=str(ca))
        with (
            socket.create_connection((host, port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname=host),
        ):
            return Check("controller", "ok", f"{url} answers with a certificate of the pinned CA")
    except ssl.SSLCertVerificationError as error:
        return Check(
            "controller",
            "fail",
            f"the certificate of {url} is not good: {error.verify_message}",
            "nsentry-sensor enroll --url URL --token-file FILE",
            ExitCode.UNREACHABLE,
        )
    except OSError as error:
        return Check(
            "controller",
            "fail",
            f"{url} cannot be reached: {error}",
            "check the address, and that nsentry-controller serve runs",
            ExitCode.UNREACHABLE,
        )


def everything(config: Config) -> list[Check]:
    """All checks."""
    return [*kernel(config.loader), runtimes(config), *enrolment(config)]


def require(config: Config) -> None:
    """Raise the first thing that keeps the programs from loading, as a Fault."""
    for check in kernel(config.loader):
        if check.state == "fail":
            raise Fault(check.said, exit_code=check.exit_code, fix=check.fix)


def exit_code(checks: list[Check]) -> ExitCode:
    """The code of the worst that failed."""
    failed = {check.exit_code for check in checks if check.state == "fail"}
    found: Callable[[ExitCode], bool] = failed.__contains__
    return next(filter(found, _WORST), ExitCode.OK)
