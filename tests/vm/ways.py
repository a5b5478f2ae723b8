# SPDX-License-Identifier: Apache-2.0
"""The ways into a container that fit an emulated computer. A newcomer adds a line to WAYS."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from tests.vm.container import Container
from tests.vm.kernels import PROGRAMS


@dataclass(frozen=True)
class Way:
    """What is done, and what the entry must say."""

    act: Callable[[Container], object]
    namespaces: tuple[str, ...] | None
    """None for all that are the container's own."""
    means: str = "ns-join"
    verdict: str = "ns-only"


def _nsenter(*options: str) -> Callable[[Container], object]:
    return lambda container: subprocess.run(
        ["nsenter", "-t", str(container.pid), *options, "/bin/true"], check=True
    )


def _setns(how: str) -> Callable[[Container], object]:
    return lambda container: subprocess.run(
        [PROGRAMS / "join", how, str(container.pid), "/bin/true"], check=True
    )


WAYS: Final = {
    "nsenter -a": Way(_nsenter("-a"), None),
    "nsenter -m": Way(_nsenter("-m"), ("mnt",)),
    "nsenter -m -p": Way(_nsenter("-m", "-p"), ("mnt", "pid")),
    "nsenter -m -p -F": Way(_nsenter("-m", "-p", "-F"), ("mnt", "pid")),
    "nsenter -n": Way(_nsenter("-n"), ("net",)),
    "setns, no type": Way(_setns("file"), ("mnt",)),
    "setns, pidfd": Way(_setns("pidfd"), ("ipc", "mnt", "net", "uts")),
    "setns in a thread": Way(_setns("thread"), ("mnt",)),
    "setns, 32-bit": Way(_setns("32-bit"), ("mnt",)),
    "chroot through /proc": Way(
        lambda container: subprocess.run(["chroot", f"/proc/{container.pid}/root", "/bin/true"], check=True),
        (),
        "proc-root",
    ),
    "runc exec": Way(lambda container: container.exec("true"), None, "runc-exec", "both"),
}


def entry_problem(entry: dict[str, Any], way: Way, container: Container) -> str | None:
    """What an entry does not say as it must."""
    namespaces = container.own_namespaces() if way.namespaces is None else list(way.namespaces)
    wanted = {"means": way.means, "verdict": way.verdict, "namespaces": namespaces}
    wrong = {name: entry[name] for name, value in wanted.items() if entry[name] != value}
    return f"{wrong} and not {wanted}" if wrong else None
