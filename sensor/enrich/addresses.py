# SPDX-License-Identifier: Apache-2.0
"""Which addresses are a container's own: the kernel's word on its network namespace, whatever runtime made it.

/proc/PID/net/fib_trie (proc_net.5 does not tell of it; net/ipv4/fib_trie.c writes it) has a line "|-- ADDRESS" above
each "/32 host LOCAL"; /proc/PID/net/if_inet6 has one line for each address.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Final

from sensor.enrich import procfs
from sensor.wire import MAX_ADDRESSES

MAX_READ: Final = 256 * 1024
"""Bytes of each file that are looked at: whoever is root in a container gives it as many addresses as he likes."""
_LOCAL: Final = re.compile(rb"\|-- ([0-9.]{7,15})\n(?:\s+/\d+ (?!host LOCAL)[^\n]*\n)*\s+/32 host LOCAL")
_GLOBAL_SCOPE: Final = b"00"


def of_process(pid: int, proc: Path = procfs.PROC) -> list[str] | None:
    """Addresses that others reach it by, in order and at most MAX_ADDRESSES; None where that cannot be read."""
    four, six = _read(proc / str(pid) / "net/fib_trie"), _read(proc / str(pid) / "net/if_inet6")
    if four is None:
        return None
    found = {*parsed_four(four), *parsed_six(six or b"")}
    return [str(each) for each in sorted(found, key=lambda one: (one.version, int(one)))][:MAX_ADDRESSES]


def parsed_four(text: bytes) -> set[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """Of a fib_trie, those that are the namespace's own, without the loopback's."""
    found = set()
    for match in _LOCAL.finditer(text):
        try:
            address = ipaddress.IPv4Address(match[1].decode("ascii"))
        except ValueError:
            continue
        if not address.is_loopback:
            found.add(address)
    return {*found}


def parsed_six(text: bytes) -> set[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """Of an if_inet6, those of global scope."""
    found = set()
    for line in text.splitlines():
        words = line.split()
        if len(words) == 6 and words[3] == _GLOBAL_SCOPE and re.fullmatch(rb"[0-9a-f]{32}", words[0]):
            found.add(ipaddress.IPv6Address(int(words[0], 16)))
    return {*found}


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(MAX_READ)
    except OSError:
        return None
