# SPDX-License-Identifier: Apache-2.0
"""A cryptocurrency miner was started in a visit: by its name, or by what only miners are told, a pool or algorithm."""

from __future__ import annotations

import re

from controller.detect.commands import invocations
from controller.detect.programs import words
from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Cryptocurrency miner"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1496",)

MATCHED = ("process.exe", "process.filename", "process.argv", "process.user")
MINERS = words(
    "xmrig xmrigDaemon xmr-stak xmr-stak-cpu minerd cpuminer cpuminer-multi cgminer bfgminer ethminer t-rex nbminer "
    "lolMiner srbminer phoenixminer gminer ccminer kdevtmpfsi kinsing nanominer teamredminer verusminer"
)
POOL = re.compile(
    r"stratum\d?\+(?:tcp|udp|ssl|tls|http)s?://|\b(?:minexmr|supportxmr|nanopool|moneroocean|hashvault|2miners|"
    r"nicehash|unmineable|c3pool|herominers)\.(?:com|org|pro|stream)\b"
)
OPTION = re.compile(
    r"^--(?:donate-level|randomx-\w+|coin|rig-id|nicehash|cpu-max-threads-hint)(?:=|$)|^(?:randomx|rx/0|kawpow|ethash)$"
)
READERS = words("echo cat grep ls rm find ps pgrep pkill kill printf which")
PROGRAMS = MINERS
TEXT = (POOL, OPTION)


def rule(visit: Visit, event: Event) -> Finding | None:  # noqa: ARG001 - every rule has this signature
    """Fires on a name or a pool, and on two of the options that miners have. Looking for one is silent."""
    for run in invocations(event):
        if run.program in READERS:
            continue
        if run.program in MINERS:
            return Finding(Severity.HIGH, f"a miner was started: {run}", MATCHED)
        if pool := next((found[0] for word in run.arguments if (found := POOL.search(word))), None):
            return Finding(Severity.HIGH, f"{run.program} was given a mining pool: {pool}", MATCHED)
        if len([word for word in run.arguments if OPTION.search(word)]) > 1:
            return Finding(Severity.HIGH, f"{run.program} was given options of a miner: {run}", MATCHED)
    return None
