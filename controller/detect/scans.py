# SPDX-License-Identifier: Apache-2.0
"""How a scan of hosts or ports looks on a command line, whatever the scanner is called."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from controller.detect.commands import invocations
from controller.detect.once import once
from controller.detect.programs import NETCATS

if TYPE_CHECKING:
    from controller.detect.rule import Event

RANGE: Final = re.compile(r"/(?:[89]|[12]\d|3[01])$|\.\d+-\d+$|\.\*|^\d+-\d+$|^-$|^-p-$")
LOOP: Final = re.compile(
    r"\b(?:for|while(?!\s+!)|seq|xargs)\b.*(?:/dev/(?:tcp|udp)/|\bn(?:c|cat|etcat)\b[^;|]*\s-\w*z)", re.DOTALL
)
"""A shell's, over ports or addresses."""
TRIES: Final = re.compile(
    r"\b(?:for|while|each|range|map|times)\b.*\bconnect(?:_ex)?\b|\bconnect_ex\b", re.DOTALL
)
"""An interpreter's."""
_OPTION: Final = re.compile(r"^-(?:s[STUAVFXNMWO]|Pn|p-|p?\d+-\d+|T[0-5])$")
_WHERE: Final = re.compile(r"^(?:\d{1,3}\.){3}[\d*-]+(?:/\d+)?$|^[\w.:-]+/(?:[89]|[12]\d|3[01])$")
_PINGS: Final = frozenset({"ping", "ping6", "arping"})


def has_options(arguments: tuple[str, ...]) -> bool:
    """Two options of nmap, and where to: `-sS -p- 10.0.0.0/24`."""
    return sum(map(bool, map(_OPTION.search, arguments))) > 1 and any(map(_WHERE.search, arguments))


@once
def probed(event: Event) -> set[tuple[str, ...]]:
    """What netcats only looked at, `-z`: the operands of each; and whom a ping was sent to."""
    run = invocations(event)
    scans = [each for each in run if each.program in NETCATS and _only_looks(each.arguments)]
    pinged = {("ping", each.arguments[-1]) for each in run if each.program in _PINGS and each.arguments}
    return pinged | {tuple(word for word in each.arguments if not word.startswith("-")) for each in scans}


def _only_looks(arguments: tuple[str, ...]) -> bool:
    return any(re.fullmatch(r"-[a-zA-Z]*z[a-zA-Z0-9]*", word) for word in arguments)
