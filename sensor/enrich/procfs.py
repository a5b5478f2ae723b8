# SPDX-License-Identifier: Apache-2.0
"""Readers of /proc/PID, each of one file. None means that the process is gone, or may not be looked at.

Every reader takes the folder to read from, so that tests can show it another. All formats are from proc(5);
what a process can choose itself (names, arguments, paths) comes back bounded and encodable.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sensor.enrich.text import clean
from sensor.wire import MAX_ARGS, MAX_TEXT, NAMESPACES, Login

PROC: Final = Path("/proc")

NS_FILES: Final = (*NAMESPACES, "pid_for_children", "time_for_children")
"""The files of /proc/PID/ns. setns(2) to a pid or time namespace changes only the one for children."""

TICK_NS: Final = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
"""Resolution of a start in /proc/PID/stat: 10 ms on every common kernel."""

MAX_ARGV_BYTES: Final = 32 * 1024
"""What is read of one command line. The kernel allows 6 MB, more than a batch may hold."""

_MAX_FILE: Final = 64 * 1024
_UNSET: Final = 0xFFFFFFFF
"""(uid_t)-1 in loginuid and sessionid: the process descends from no login."""


@dataclass(frozen=True, slots=True)
class Stat:
    """The part of /proc/PID/stat that names a process and its place."""

    comm: str
    ppid: int
    session: int
    tty: str | None
    start: int
    """Nanoseconds since boot, cut to `TICK_NS`."""
    zombie: bool = False
    """Ended, and not waited for by its parent yet."""


@dataclass(frozen=True, slots=True)
class Status:
    """The part of /proc/PID/status that says who a process is and what it may do."""

    ppid: int
    uid: int
    """Effective user, as are `gid` and `caps`."""
    gid: int
    caps: str
    caps_bounding: str
    nspid: tuple[int, ...]
    """Its pid in each pid namespace, from the one that /proc was mounted in to its own."""


def pids(proc: Path = PROC) -> Iterator[int]:
    """Every process (not thread) that is there now, in no order that matters."""
    with os.scandir(proc) as entries:
        for entry in entries:
            if entry.name.isdecimal() and entry.name.isascii():
                yield int(entry.name)


def namespaces(pid: int, tid: int | None = None, proc: Path = PROC) -> dict[str, int] | None:
    """Inode numbers by the names in `NS_FILES`, of one thread where `tid` is given.

    Kinds that the kernel does not have are left out. None also for a process with more rights than this one:
    reading needs PTRACE_MODE_READ, which even root lacks for pid 1 in some sandboxes.
    """
    folder = proc / str(pid) / ("ns" if tid is None else f"task/{tid}/ns")
    found: dict[str, int] = {}
    for kind in NS_FILES:
        inode = _inode(folder / kind)
        if inode is not None:
            found[kind] = inode
    return found or None


def namespace(pid: int, kind: str, proc: Path = PROC) -> int | None:
    """Inode number of one namespace: a tenth of the cost of `namespaces`."""
    return _inode(proc / str(pid) / "ns" / kind)


def stat(pid: int, proc: Path = PROC) -> Stat | None:
    """Name, parent, session, terminal and start. The name may hold brackets: it ends at the last one."""
    data = _read(proc / str(pid) / "stat")
    opened, closed = data.find(b"("), data.rfind(b")")
    fields = data[closed + 1 :].split()
    if opened < 0 or len(fields) < 20:
        return None
    return Stat(
        comm=clean(data[opened + 1 : closed]),
        ppid=int(fields[1]),
        session=int(fields[3]),
        tty=terminal(int(fields[4])),
        start=int(fields[19]) * TICK_NS,
        zombie=fields[0] == b"Z",
    )


def stat_start(pid: int, proc: Path = PROC) -> int | None:
    """Start of the process, nanoseconds since boot. Compare with `same_start`."""
    known = stat(pid, proc)
    return None if known is None else known.start


def same_start(one: int, other: int) -> bool:
    """Whether two starts can be of one process: the kernel's has nanoseconds, /proc only ticks, cut off."""
    return one // TICK_NS == other // TICK_NS


def terminal(device: int) -> str | None:
    """Name of a controlling terminal by its number in stat: "pts/0", "tty1", "ttyS0"; None without one."""
    return terminal_of(device >> 8 & 0xFFF, device & 0xFF | device >> 12 & 0xFFF00)


def terminal_of(major: int, minor: int) -> str | None:
    """As `terminal`, by the two parts of the number; a pair that no terminal can have is told as it is.

    Numbers are from the kernel's Documentation/admin-guide/devices.txt. Device 136:0 is pts/0: the number of
    a terminal says that there is one only by its major part.
    """
    if 136 <= major <= 143:
        return f"pts/{(major - 136) * 256 + minor}"
    if major == 4:
        return f"tty{minor}" if minor < 64 else f"ttyS{minor - 64}"
    return None if major == 0 else f"{major}:{minor}"


def status(pid: int, proc: Path = PROC) -> Status | None:
    """User, group, capabilities, and the pid in each pid namespace."""
    fields = dict(
        line.split(b":", 1) for line in _read(proc / str(pid) / "status").splitlines() if b":" in line
    )
    try:
        return Status(
            ppid=int(fields[b"PPid"]),
            uid=int(fields[b"Uid"].split()[1]),
            gid=int(fields[b"Gid"].split()[1]),
            caps=fields[b"CapEff"].strip().decode("ascii"),
            caps_bounding=fields[b"CapBnd"].strip().decode("ascii"),
            nspid=tuple(int(part) for part in fields.get(b"NSpid", b"").split()),
        )
    except KeyError:
        return None


def parent(pid: int, proc: Path = PROC) -> int | None:
    """The parent's pid. 0: there is none that can be seen from here."""
    known = stat(pid, proc)
    return None if known is None else known.ppid


def comm(pid: int, proc: Path = PROC) -> str | None:
    """The name of the main thread: 15 bytes that the process can set at will."""
    data = _read(proc / str(pid) / "comm")
    return clean(data.removesuffix(b"\n")) if data else None


def cmdline(pid: int, proc: Path = PROC) -> tuple[list[str], bool] | None:
    """Arguments, and whether there were more than are kept. Empty for a kernel thread and for a zombie.

    Not redacted. A process can overwrite its own: what it was started with comes from the kernel's event.
    """
    try:
        with (proc / str(pid) / "cmdline").open("rb", buffering=0) as file:
            return split_argv(file.read(MAX_ARGV_BYTES + 1) or b"")
    except OSError:
        return None


def split_argv(data: bytes) -> tuple[list[str], bool]:
    """Arguments out of the NUL-ended strings that the kernel keeps, and whether there were more.

    An empty argument is one; the NUL at the end is not the start of another.
    """
    cut = len(data) > MAX_ARGV_BYTES
    parts = data[:MAX_ARGV_BYTES].split(b"\0")
    if not parts[-1]:
        parts.pop()
    # One character more than may be kept tells whether there were more.
    read = [clean(part, MAX_TEXT + 1) for part in parts[:MAX_ARGS]]
    cut = cut or len(parts) > MAX_ARGS or any(len(text) > MAX_TEXT for text in read)
    return [text[:MAX_TEXT] for text in read], cut


def exe(pid: int, proc: Path = PROC) -> str | None:
    """The file that runs, as seen from its own root. None also for a kernel thread."""
    return _link(proc / str(pid) / "exe")


def exe_and_inode(pid: int, proc: Path = PROC) -> tuple[str, int] | tuple[None, None]:
    """The file that runs, and its inode; neither where one of them cannot be read."""
    program, inode = exe(pid, proc), _inode(proc / str(pid) / "exe")
    return (None, None) if program is None or inode is None else (program, inode)


def cwd(pid: int, proc: Path = PROC) -> str | None:
    """The working directory, as seen from its own root."""
    return _link(proc / str(pid) / "cwd")


def cgroups(pid: int, proc: Path = PROC) -> list[str]:
    """The lines of /proc/PID/cgroup, relative to the *reader's* cgroup namespace; none when it is gone.

    `sensor.enrich.cgroup.owner_of` reads them.
    """
    return [clean(line) for line in _read(proc / str(pid) / "cgroup").splitlines()[:64]]


def login(pid: int, proc: Path = PROC) -> Login | None:
    """The login that the process descends from; its user's name is left to `accounts`.

    None where there is none (all that a daemon such as dockerd started) and where the kernel has no audit.
    """
    uid = _number(proc / str(pid) / "loginuid")
    if uid is None:
        return None
    return Login(uid=uid, user=None, session=_number(proc / str(pid) / "sessionid"))


def _number(path: Path) -> int | None:
    text = _read(path).strip()
    value = int(text) if text.isdigit() else _UNSET
    return None if value == _UNSET else value


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None


def _link(path: Path) -> str | None:
    try:
        # As bytes: a name that is no UTF-8 must come out like every other such text.
        return clean(os.readlink(os.fsencode(path)))  # noqa: PTH115
    except OSError:
        return None


def _read(path: Path) -> bytes:
    """The file's content, empty when it cannot be read: a process that ends after open gives ESRCH."""
    try:
        with path.open("rb", buffering=0) as file:
            return file.read(_MAX_FILE) or b""
    except OSError:
        return b""
