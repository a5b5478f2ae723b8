# SPDX-License-Identifier: Apache-2.0
"""A tunnel, relay or proxy was set up in a visit, by a tool made for it, by ssh forwarding or by socat.

The container becomes a way into the network that it stands in, for somebody outside who need not enter again.
"""

from __future__ import annotations

import re

from controller.detect.commands import invocations
from controller.detect.programs import words
from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Tunnel or proxy set up inside a container"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1572", "T1090")

MATCHED = ("process.exe", "process.argv", "process.user")
TOOLS = words(
    "chisel ngrok frpc frps cloudflared gost ligolo ligolo-ng rathole bore iodine dnscat dnscat2 ptunnel revsocks "
    "stunnel stunnel4 3proxy tailscaled tailscale zerotier-one localtunnel wstunnel redsocks sshuttle autossh"
)
FORWARD = re.compile(r"^-[46AaCfGgKkMNnqsTtVvXxYy]*[RDLw]")
"""After ssh's flags without a value: what follows another option is its value (`-oUserKnownHostsFile=...`)."""
LISTEN = re.compile(r"^(?:TCP[46]?|UDP[46]?|OPENSSL|UNIX)-LISTEN:", re.IGNORECASE)
CONNECT = re.compile(
    r"^(?:TCP[46]?|UDP[46]?|OPENSSL|SOCKS4A?|PROXY|UNIX-CONNECT)(?:-CONNECT)?:", re.IGNORECASE
)
ASKS = words("--version -V version --help -h help -v")
PROGRAMS = TOOLS | {"ssh", "dbclient", "plink", "socat"}


def rule(visit: Visit, event: Event) -> Finding | None:  # noqa: ARG001 - every rule has this signature
    """Fires on each; high for reverse and dynamic forwarding and the tools, medium for a local forward."""
    for run in invocations(event):
        given = run.arguments
        if run.program in TOOLS and not (set(given) <= ASKS and given):
            return Finding(Severity.HIGH, f"a tunnel was set up: {run}", MATCHED)
        if run.program in {"ssh", "dbclient", "plink"} and (
            flag := next(filter(FORWARD.search, given), None)
        ):
            grave = bool({"R", "D", "w"} & {*flag})
            return Finding(
                Severity.HIGH if grave else Severity.MEDIUM, f"ssh was told to forward: {run}", MATCHED
            )
        if run.program == "socat" and any(map(LISTEN.search, given)) and any(map(CONNECT.search, given)):
            return Finding(Severity.HIGH, f"socat was made a relay: {run}", MATCHED)
    return None
