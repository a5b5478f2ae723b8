# SPDX-License-Identifier: Apache-2.0
"""What has to hold on the host before programs can be loaded. `doctor` shows it; `run` requires it.

Only looks: nothing is loaded, mounted or changed, and neither bcc nor LLVM is imported.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sensor.config import Loader
from sensor.doctor.check import Check
from sensor.doctor.packages import install_command
from sensor.enrich import procfs
from sensor.fault import ExitCode, Fault
from sensor.probe.core import object_path

_CAPABILITIES: Final = {"SYS_PTRACE": 19, "SYS_ADMIN": 21, "PERFMON": 38, "BPF": 39}
"""Bits of capability.h."""
_ALL_IDS: Final = 4294967295
"""Length of the identity map of the first user namespace (user_namespaces(7))."""
_FIRST_PID_NAMESPACE: Final = "pid:[4026531836]"
"""PROC_PID_INIT_INO of proc_ns.h."""
_OLDEST: Final = (5, 8)
"""The first kernel with a ring buffer for BPF, and with CAP_BPF."""
_AS_ROOT: Final = "run it as root: sudo nsentry-sensor ..."


def _real_object() -> Path:
    return object_path()


def _bcc_folders() -> list[str]:
    spec = importlib.util.find_spec("bcc")
    return list(spec.submodule_search_locations or ()) if spec else []


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where to look. Tests give others: the root folder of a broken host, a library that is not there."""

    root: Path = Path("/")
    libbpf: str = "libbpf.so.1"
    bpf_object: Callable[[], Path] = _real_object
    bcc_folders: Callable[[], list[str]] = _bcc_folders
    release: str = field(default_factory=lambda: os.uname().release)

    @property
    def proc(self) -> Path:
        """Its /proc."""
        return self.root / "proc"


def require(loader: Loader, around: Surroundings | None = None) -> None:
    """Raise the first thing that keeps the programs from loading, as a Fault. Warnings do not."""
    for check in preconditions(loader, around):
        if check.state == "fail":
            raise Fault(check.said, exit_code=check.exit_code, fix=check.fix)


def preconditions(loader: Loader, around: Surroundings | None = None) -> Iterator[Check]:
    """All of them, those first whose lack hides others."""
    around = around or Surroundings()
    yield _privilege(around)
    yield _user_namespace(around)
    yield _pid_namespace(around)
    yield _kernel(around)
    yield _btf(around)
    yield _tracefs(around)
    yield _lockdown(around)
    yield from _loaders(loader, around)


def _privilege(around: Surroundings) -> Check:
    status = procfs.status(os.getpid(), around.proc)
    if status is None:
        return Check.fail("privilege", f"{around.proc} is not mounted", "mount -t proc proc /proc")
    held = {name for name, bit in _CAPABILITIES.items() if int(status.caps, 16) >> bit & 1}
    missing = set() if "SYS_ADMIN" in held else {"BPF", "PERFMON"} - held
    missing |= {"SYS_PTRACE"} - held
    if not missing:
        return Check.ok("privilege", "may load programs and look into other processes")
    names = " and ".join(f"CAP_{name}" for name in sorted(missing))
    return Check.fail("privilege", f"missing privilege: {names}", _AS_ROOT, ExitCode.PRIVILEGE)


def _user_namespace(around: Surroundings) -> Check:
    """Capabilities of another user namespace than the first count for nothing with bpf(2)."""
    try:
        lengths = [int(line.split()[2]) for line in (around.proc / "self/uid_map").read_text().splitlines()]
    except (OSError, ValueError, IndexError):
        lengths = []
    if lengths == [_ALL_IDS]:
        return Check.ok("user namespace", "the host's own")
    return Check.fail(
        "user namespace",
        "this runs in a user namespace of its own, where root has no power over the kernel",
        "run it on the host itself, not in a rootless container",
        ExitCode.PRIVILEGE,
    )


def _pid_namespace(around: Surroundings) -> Check:
    try:
        found = str((around.proc / "self/ns/pid").readlink())
    except OSError:
        found = ""
    if found == _FIRST_PID_NAMESPACE:
        return Check.ok("pid namespace", "the host's own")
    return Check.warn(
        "pid namespace",
        "this runs in a pid namespace of its own: processes outside it cannot be described",
        "run it in the host's (docker run --pid=host, hostPID: true)",
    )


def _kernel(around: Surroundings) -> Check:
    match = re.match(r"(\d+)\.(\d+)", around.release)
    if match and (int(match[1]), int(match[2])) < _OLDEST:
        needed = ".".join(map(str, _OLDEST))
        return Check.fail("kernel", f"kernel {around.release} is too old", f"boot kernel {needed} or later")
    return Check.ok("kernel", around.release)


def _btf(around: Surroundings) -> Check:
    path = around.root / "sys/kernel/btf/vmlinux"
    if path.exists():
        return Check.ok("btf", f"types of the kernel: {path}")
    return Check.fail(
        "btf",
        f"the kernel does not tell its types: there is no {path}",
        "boot a kernel with CONFIG_DEBUG_INFO_BTF=y, as all large distributions build theirs",
    )


def _tracefs(around: Surroundings) -> Check:
    """Both places that libbpf and bcc look at."""
    for place in ("sys/kernel/tracing", "sys/kernel/debug/tracing"):
        try:
            if (around.root / place / "events").exists():
                return Check.ok("tracefs", f"mounted: {around.root / place}")
        except PermissionError:
            return Check.warn("tracefs", f"{around.root / place} cannot be seen by this user", _AS_ROOT)
    return Check.fail("tracefs", "tracefs is not mounted", "mount -t tracefs tracefs /sys/kernel/tracing")


def _lockdown(around: Surroundings) -> Check:
    """Confidentiality forbids BPF to read kernel memory; integrity only some hooks (kernel_lockdown(7))."""
    try:
        text = (around.root / "sys/kernel/security/lockdown").read_text()
    except OSError:
        return Check.ok("lockdown", "not known: securityfs is not mounted")
    match = re.search(r"\[(\w+)\]", text)
    mode = match[1] if match else "not known"
    if mode == "confidentiality":
        return Check.fail(
            "lockdown",
            "the kernel is locked down (confidentiality): programs may not read its memory",
            "boot with lockdown=integrity, or without",
        )
    return Check.ok("lockdown", mode)


def _loaders(loader: Loader, around: Surroundings) -> Iterator[Check]:
    """Of `auto` one loader is enough: then what the other lacks is a warning."""
    core = [_libbpf(around), _object(around)]
    bcc = [_bcc(around)]
    if loader == "core":
        yield from core
    elif loader == "bcc":
        yield from bcc
    else:
        one_works = any(all(check.state == "ok" for check in checks) for checks in (core, bcc))
        yield from (check.as_warning() if one_works else check for check in (*core, *bcc))


def _libbpf(around: Surroundings) -> Check:
    try:
        ctypes.CDLL(around.libbpf)
    except OSError:
        install = install_command("libbpf", root=around.root)
        return Check.fail(
            "libbpf", f"the library {around.libbpf} is missing, which loader core needs", install
        )
    return Check.ok("libbpf", around.libbpf)


def _object(around: Surroundings) -> Check:
    path = around.bpf_object()
    if path.is_file():
        return Check.ok("object", str(path))
    said = f"the programs are not built: there is no {path}, which loader core needs"
    return Check.fail("object", said, "make -C bpf")


def _bcc(around: Surroundings) -> Check:
    """PyPI's package of this name is another thing: a library for lattices, without libbcc.py."""
    folders = around.bcc_folders()
    install = install_command("bcc", root=around.root)
    if not folders:
        said = "the Python module bcc is missing, which loader bcc needs"
        return Check.fail("bcc", said, f"{install}; a virtual environment needs --system-site-packages")
    if not any((Path(folder) / "libbcc.py").is_file() for folder in folders):
        said = f"the Python module bcc in {folders[0]} is not the BPF Compiler Collection"
        return Check.fail("bcc", said, f"pip uninstall bcc && {install}")
    return Check.ok("bcc", folders[0])
