# SPDX-License-Identifier: Apache-2.0
"""What the processes above one say of it: what opened its session, and through what it came. Pure.

Names can be forged by whoever may name a process. What counts for more than a word in `via` must be root's: the
sshd, the cron or the login above must run as root, which a user without root cannot have above himself by choice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sensor.who import ssh
from sensor.wire import Opener

SWITCHES: Final = frozenset({"sudo", "su", "doas", "pkexec", "runuser", "machinectl", "run0"})
"""They change the user, and run as root for it."""
_KEEPERS: Final = ("tmux: server", "tmux", "screen", "SCREEN", "zellij", "abduco", "dtach")
"""They go on without the login that began them. tmux calls its server so."""
_CRON: Final = frozenset({"cron", "crond", "atd", "anacron", "fcron", "systemd-cron"})
_CONSOLE: Final = frozenset({"login", "gdm-session-wor", "lightdm", "sddm-helper", "xdm"})
_UNIT: Final = re.compile(r"/([^/]+\.service)(?=/|$)")
_USERS: Final = re.compile(r"/user@\d+\.service(?=/|$)")


@dataclass(frozen=True, slots=True)
class Link:
    """One process of a chain."""

    pid: int
    start: int
    uid: int
    comm: str


@dataclass(frozen=True, slots=True)
class Session:
    """What opened the session that a process runs in."""

    opener: Opener
    by: Link | None = None
    """The sshd, cron or login."""
    uid: int | None = None
    """Whom the opener opened it for, where the process below it tells."""
    via: tuple[str, ...] = ()


def session_of(chain: Sequence[Link]) -> Session:
    """What a chain tells, the process itself first."""
    via: list[str] = []
    for index, link in enumerate(chain):
        opener = _opener(link)
        if opener is not None:
            below = next((each.uid for each in reversed(chain[:index]) if each.uid), None)
            if below is None and index:
                below = chain[index - 1].uid
            return Session(opener, link, below, tuple(via))
        name = _through(link)
        if name is not None and index and (not via or via[-1] != name):
            via.append(name)
    return Session("unknown", via=tuple(via))


def _opener(link: Link) -> Opener | None:
    if link.uid != 0:
        return "user-manager" if link.comm == "systemd" and link.pid != 1 else None
    if link.comm in ssh.NAMES:
        return "ssh"
    if link.comm in _CRON:
        return "cron"
    return "console" if link.comm in _CONSOLE else None


def _through(link: Link) -> str | None:
    if link.comm in SWITCHES and link.uid == 0:
        return link.comm
    if link.comm in _KEEPERS:
        return link.comm.partition(":")[0].lower()
    return None


def unit_of(cgroups: Iterable[str]) -> str | None:
    """The systemd service that lines of /proc/PID/cgroup name; a user's manager is none of its own."""
    for line in cgroups:
        path = _USERS.sub("", line.split(":", 2)[-1])
        found = _UNIT.findall(path)
        if found:
            return str(found[-1])[:128]
    return None


def keeps(via: Iterable[str]) -> bool:
    """Whether something that outlives a login stands between."""
    return any(name in {"tmux", "screen", "zellij", "abduco", "dtach"} for name in via)
