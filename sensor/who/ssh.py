# SPDX-License-Identifier: Apache-2.0
"""Where an ssh session comes from: the peer of the socket that its sshd holds.

Not SSH_CLIENT and kin: these stand in the environment, which whoever is logged in may write as he likes.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sensor.enrich import procfs

NAMES: Final = frozenset({"sshd", "sshd-session", "sshd-auth", "dropbear"})
"""OpenSSH up to 9.7, from 9.8 on, and the small one."""
MAX_ROWS: Final = 65536
_ESTABLISHED: Final = "01"
_MAX_FDS: Final = 256


def peer(pid: int, proc: Path = procfs.PROC) -> str | None:
    """Address and port of the far end of the connection that the sshd `pid` was started for.

    Of several connections it is that with the lowest descriptor: the others are ports that it forwards.
    """
    held = _sockets(pid, proc)
    if not held:
        return None
    remote = {inode: text for inode, text in _connections(pid, proc) if inode in held}
    return next((remote[inode] for inode in held if inode in remote), None)


def _sockets(pid: int, proc: Path) -> list[str]:
    """Inodes of the sockets of a process, by descriptor."""
    folder = proc / str(pid) / "fd"
    try:
        numbers = sorted(int(name) for name in os.listdir(folder))[:_MAX_FDS]  # noqa: PTH208 - names alone
        links = [os.readlink(folder / str(number)) for number in numbers]  # noqa: PTH115 - no path
    except (OSError, ValueError):
        return []
    return [link[8:-1] for link in links if link.startswith("socket:[")]


def _connections(pid: int, proc: Path) -> Iterator[tuple[str, str]]:
    """Inode and far end of each TCP connection in the network namespace of a process."""
    for name in ("tcp", "tcp6"):
        try:
            with (proc / str(pid) / "net" / name).open(encoding="ascii", errors="replace") as table:
                next(table, None)
                for _, row in zip(range(MAX_ROWS), table, strict=False):
                    fields = row.split()
                    if len(fields) > 9 and fields[3] == _ESTABLISHED:
                        yield fields[9], end_of(fields[2])
        except (OSError, ValueError):
            continue


def end_of(field: str) -> str:
    """An end as /proc/net/tcp has it, for people: words of the address in host order, port in hex.

    Raises ValueError.
    """
    address, _, port = field.partition(":")
    raw = bytes.fromhex(address)
    words = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
    found = ipaddress.ip_address(words)
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    if mapped is not None or found.version == 4:
        return f"{mapped or found}:{int(port, 16)}"
    return f"[{found}]:{int(port, 16)}"
