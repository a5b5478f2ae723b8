# SPDX-License-Identifier: Apache-2.0
"""`python -m tests.bench.feed SOCKET CONTAINER PID EVENTS`: one real visit, again and again under other names.

Prints resident MiB and events per second as it goes. What the kernel told of one visit is given to the sensor's
own pipeline, up to the spool, each time as another crossing.
"""

from __future__ import annotations

import itertools
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sensor.agent import Agent
from sensor.config import Config
from sensor.health import Health, resident_bytes
from sensor.identity import describe_host
from sensor.probe import open_probe, receiver
from sensor.probe.layout import HEAD

STEPS = 8
WORD = b"the-visit-of-the-bench"
SETTLE_S = 3.0
_COOKIE = struct.Struct("=Q")
_COOKIE_AT = 16
"""In an event's head."""


def main(socket: str, pid: str, events: int) -> None:
    """One visit to the container whose first process is `pid`, then `events` of it."""
    with tempfile.TemporaryDirectory() as folder:
        flags = {"state_dir": folder, "docker.sockets": [socket], "pins": "off"}
        numbers = itertools.count(1)
        agent = Agent(
            Config.load(flags, None, {}, Path(folder)),
            Health(describe_host("host", "boot")),
            lambda: f"host/boot/{next(numbers)}",
            lambda _event: None,
        )
        seen: list[bytes] = []
        probe = open_probe("core", receiver(agent.watch.feed, sys.exit, seen.append))
        agent.watch.probe = probe
        agent.watch.sweep(probe)
        agent.metadata.start()
        settled = time.monotonic() + SETTLE_S
        while time.monotonic() < settled:
            agent.turn(probe)
        receive = receiver(agent.watch.feed, sys.exit)
        command = [
            "nsenter",
            "-t",
            pid,
            "-m",
            "-p",
            "/bin/busybox",
            "sh",
            "-c",
            f": {WORD.decode()}; busybox true; busybox id; :",
        ]
        subprocess.run(command, check=True, capture_output=True)
        settled = time.monotonic() + SETTLE_S
        while time.monotonic() < settled:
            agent.turn(probe)
        (first,) = {HEAD.unpack_from(raw)[3] for raw in seen if WORD in raw and HEAD.unpack_from(raw)[3]}
        ours = [bytearray(raw) for raw in seen if HEAD.unpack_from(raw)[3] == first]
        print(f"begin {_resident():.1f} MiB, {len(ours)} events a visit", flush=True)
        fed = 0
        for step in range(1, STEPS + 1):
            begin, before = time.process_time(), fed
            while fed < events * step // STEPS:
                for raw in ours:
                    (cookie,) = _COOKIE.unpack_from(raw, _COOKIE_AT)
                    _COOKIE.pack_into(raw, _COOKIE_AT, cookie + 1)
                    receive(bytes(raw))
                fed += len(ours)
                if fed % (100 * len(ours)) == 0:  # as when events go to the disk
                    agent.changes(events=True, everything=False)
            rate = (fed - before) / (time.process_time() - begin)
            print(f"{fed:>9,} events {_resident():.1f} MiB, {rate:,.0f} events per second of CPU", flush=True)
        agent.metadata.close()
        probe.close()


def _resident() -> float:
    return (resident_bytes() or 0) / 2**20


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
