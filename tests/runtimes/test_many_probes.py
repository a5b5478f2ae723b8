# SPDX-License-Identifier: Apache-2.0
"""Health checks by the hundred through a real dockerd, sensor and controller: counted, joined, and nobody is told.

NSENTRY_PROBES=10000 for the long run; CI takes a few.
"""

from __future__ import annotations

import os
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from vagrant.local.dockerd import Dockerd
from vagrant.local.stack import Stack

PROBES = int(os.environ.get("NSENTRY_PROBES", "60"))
CONTAINERS = 12
GROWTH = 96 * 1024 * 1024
"""By how much either part may grow: caches fill, and the database's pages."""
WAIT_S = 120 + PROBES

pytestmark = pytest.mark.timeout(2 * WAIT_S + 120)


class Lab:
    def __init__(self, folder: Path, undo: ExitStack) -> None:
        self.dockerd = undo.enter_context(Dockerd())
        self.dockerd.image("busybox:test")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.stack = Stack(folder, port, (Path(self.dockerd.socket),))
        self.parts = self.stack.start(undo)
        self.until(lambda: self.stack.read("records", "list", "--action", "source_up"), "docker is not heard")
        check = ["--health-cmd", "true", "--health-interval", "1s", "--health-timeout", "30s"]
        run = self.dockerd.run
        self.checked = [run("busybox:test", "sleep", "36000", options=check) for _ in range(CONTAINERS)]

    def until(self, seen: Any, why: str, seconds: float = 60) -> Any:
        end = time.monotonic() + seconds
        while not (found := seen()):
            assert time.monotonic() < end, why
            time.sleep(0.5)
        return found

    def count(self, what: str) -> int:
        """Of the checked containers, by SQL: rows of a table."""
        marks = ", ".join("?" * len(self.checked))
        path = self.stack.root / "controller" / "nsentry.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60)) as database:
            asked = f"SELECT count(*) FROM {what.format(f'container IN ({marks})')}"  # noqa: S608 - own words
            return int(database.execute(asked, self.checked).fetchone()[0])

    def alerts(self) -> list[tuple[str, ...]]:
        """Of the checked containers, what they say: the lab is gone when somebody reads why the test failed."""
        marks = ", ".join("?" * len(self.checked))
        path = self.stack.root / "controller" / "nsentry.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60)) as database:
            asked = f"SELECT title, sentence FROM alerts WHERE container IN ({marks}) LIMIT 20"  # noqa: S608 - own words
            return list(database.execute(asked, self.checked))

    def resident(self) -> list[int]:
        return [_resident(part.pid) for part in self.parts]


def _resident(pid: int) -> int:
    pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(scope="module")
def lab(tracefs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with ExitStack() as undo:
        yield Lab(tmp_path_factory.mktemp("probes"), undo)


def test_health_checks_are_no_visits_however_many(lab: Lab, record_property: Any) -> None:
    probes = "sessions WHERE means = 'probe' AND {}"
    first = min(60, PROBES // 2)
    lab.until(lambda: lab.count(probes) >= first, "no health checks are told", WAIT_S)
    before, begun = lab.resident(), time.monotonic()
    lab.until(lambda: lab.count(probes) >= PROBES, f"only {lab.count(probes)} are told", WAIT_S)
    took = time.monotonic() - begun
    grown = [now - then for now, then in zip(lab.resident(), before, strict=True)]
    for container in lab.checked:
        lab.dockerd.docker("rm", "-f", container)
    # What is awaited is decided by then: nothing stays open.
    waits = "unseen WHERE status = 'awaited' AND {}"
    lab.until(lambda: lab.count(waits) == 0, "records are awaited for ever", 180)
    assert lab.alerts() == []
    assert lab.count("attributions WHERE {}") == 0
    # What the end of its container cut off failed, and is no blind spot.
    assert lab.count("unseen WHERE status <> 'failed' AND {}") == 0
    assert lab.count("sessions WHERE means <> 'probe' AND {}") == 0
    assert max(grown) < GROWTH, f"{PROBES} probes in {took:.0f} s: grown by {grown}"
    told = lab.count(probes)
    record_property("figures", f"{told} probes, {took:.0f} s, grown by controller and sensor {grown}")
    print(
        f"{told} probes; the last {PROBES - first} in {took:.0f} s; controller, sensor grew by {grown} bytes"
    )
