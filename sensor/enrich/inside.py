# SPDX-License-Identifier: Apache-2.0
"""Names of a container as its own files resolve them: its users, and where its paths lead.

The container may write these files, and make them links, pipes, or endless: each look is bounded, waits for
nothing, and leaves the container's root by no link. What is not found is None.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sensor.enrich import procfs
from sensor.enrich.facts import ANY_TIME, Check, Pace

MAX_PASSWD: Final = 256 * 1024
_PATH: Final = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
MAX_LINKS: Final = 40
"""The kernel's own bound (path_resolution(7))."""


@dataclass(frozen=True, slots=True)
class Own:
    """A declared check as its processes look in the kernel."""

    argv: tuple[str, ...]
    uid: int | None
    """The host's uid that it runs as; None where the container's files do not tell."""
    folder: str
    """Its working directory without links."""
    pace: Pace = ANY_TIME
    also: tuple[str, ...] = ()
    absent: bool = False
    """Its program is not in the container: all that is seen of it is a join."""


def own(check: Check, init_pid: int, proc: Path = procfs.PROC) -> Own:
    """What `check` means in the container whose first process is `init_pid`."""
    return Own(
        check.argv,
        uid(check.user, init_pid, proc),
        folder(check.folder, init_pid, proc),
        check.pace,
        check.also,
        absent(check.argv[0], init_pid, proc),
    )


def absent(program: str, init_pid: int, proc: Path = procfs.PROC) -> bool:
    """Whether a program, by its path or by its name on the usual PATH, is not in the container."""
    root = proc / str(init_pid) / "root"
    if not root.exists():
        return False  # nothing can be said of one that is gone
    places = [program] if "/" in program else [f"{each}/{program}" for each in _PATH]
    return not any(os.path.lexists(f"{root}{folder(each, init_pid, proc)}") for each in places)


def uid(user: str, init_pid: int, proc: Path = procfs.PROC) -> int | None:
    """The host's uid of a configured user ("", "app", "1000:1000") of the container."""
    name = user.partition(":")[0]
    inner = int(name) if name.isdecimal() and name.isascii() else 0 if name in {"", "root"} else None
    if inner is None:
        inner = _named(name, proc / str(init_pid) / "root")
    return None if inner is None else _outside(inner, proc / str(init_pid) / "uid_map")


def folder(path: str, init_pid: int, proc: Path = procfs.PROC) -> str:
    """`path` of the container with every link on it followed, inside its root; as it is where that fails."""
    root = str(proc / str(init_pid) / "root")
    found: list[str] = []
    todo = path.split("/")[::-1]
    links = 0
    while todo:
        part = todo.pop()
        if part in {"", "."}:
            continue
        if part == "..":
            found = found[:-1]
            continue
        try:
            target = os.readlink("/".join((root, *found, part)))  # noqa: PTH115 - Path would take ".." away
        except OSError:
            found.append(part)
            continue
        links += 1
        if links > MAX_LINKS:
            return path
        found = [] if target.startswith("/") else found
        todo += target.split("/")[::-1]
    return "/" + "/".join(found)


def _named(name: str, root: Path) -> int | None:
    for line in _read(f"{root}{folder('/etc/passwd', int(root.parent.name), root.parent.parent)}"):
        fields = line.split(":")
        if fields[0] == name and len(fields) > 2 and fields[2].isdecimal() and fields[2].isascii():
            return int(fields[2])
    return None


def _outside(inner: int, uid_map: Path) -> int | None:
    """The host's uid of one of a user namespace: lines of "inside outside count" (user_namespaces(7))."""
    for line in _read(str(uid_map)):
        first, outside, count = map(int, line.split())
        if first <= inner < first + count:
            return outside + inner - first
    return None


def _read(path: str) -> list[str]:
    """The lines of a regular file. Never waits: a pipe opened so is told by its kind."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC)
    except (OSError, ValueError):
        return []
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return []
        return os.read(handle, MAX_PASSWD).decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    finally:
        os.close(handle)
