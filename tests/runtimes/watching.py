# SPDX-License-Identifier: Apache-2.0
"""A real watch on this host, without the way to the controller: its events come to a list."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sensor.clock import wall_clock
from sensor.enrich import procfs
from sensor.enrich.accounts import Accounts
from sensor.enrich.containers import Containers
from sensor.enrich.metadata import Metadata
from sensor.enrich.processes import Snapshot
from sensor.entry.configured import Configured
from sensor.entry.contacts import Contacts
from sensor.entry.doors import Doors
from sensor.entry.lineage import Lineage
from sensor.entry.network import Network
from sensor.entry.report import Reporter
from sensor.entry.served import Daemons
from sensor.entry.users import Users
from sensor.files.memory import MemoryWrites
from sensor.health import Counters
from sensor.probe import open_probe, receiver
from sensor.probe.hooks import Best
from sensor.probe.recording import Recorder
from sensor.talk import Talk
from sensor.watch import Watch
from sensor.who.asking import Asking
from sensor.wire.redact import Redactor


class Watching:
    """Start it, do something to a container, and `until` what was expected has been seen."""

    def __init__(
        self,
        loader: str,
        sockets: list[str],
        recorder: Recorder | None = None,
        best_hook: Best = "auto",
        manifests: Iterable[Path] = (),
    ) -> None:
        self.events: list[Any] = []
        self.counters = Counters()
        redactor = Redactor()
        self.containers = containers = Containers(count=self.counters.add)
        self.metadata = Metadata(sockets, count=self.counters.add, manifests=manifests)
        doors = Doors(containers, procfs.namespaces(os.getpid()) or {})
        lineage = Lineage(redactor.argv, doors.side, Snapshot.take(redactor.argv))
        numbers = itertools.count(1)
        asking = Asking.on_this_host(lineage, doors, Accounts().name, wall_clock)
        reporter = Reporter(
            lambda: f"host/boot/{next(numbers)}",
            containers.by_id,
            lineage,
            redactor.argv,
            Users(Accounts().name, doors.side),
            wall_clock,
            asking,
        )
        self.watch = Watch(
            containers,
            self.metadata,
            reporter,
            doors,
            self.events.append,
            self.counters.add,
            recorder.container if recorder else None,
        )
        host = procfs.namespaces(os.getpid()) or {}
        self.watch.descriptions.configured = Configured(
            lambda: f"host/boot/{next(numbers)}", self.events.append, redactor.argv, host, asking
        )
        network = Network(containers.at_mount, lineage, lambda: f"host/boot/{next(numbers)}", wall_clock)
        talk = Talk(
            self.watch, Contacts(Daemons(), self.counters.add, asking.contacted), network, reporter, doors
        )
        raw = recorder.event if recorder else None
        receive = receiver(self.watch.feed, self._fail, raw, on_contact=talk.contacted, on_flow=talk.flowed)
        self.probe = open_probe(loader, receive, best_hook)
        asking.requests = self.probe.requests
        self.memory = MemoryWrites(self.counters.add)
        self.memory.serve(self.probe.hooks)
        self.watch.sweep(self.probe)
        self.metadata.start()

    @staticmethod
    def _fail(why: str) -> None:
        raise AssertionError(why)

    def close(self) -> None:
        """Detach and stop."""
        self.probe.close()
        self.memory.close()
        self.metadata.close()

    def pump(self, seconds: float) -> None:
        """Go on for some time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.probe.poll(20)
            for reached in self.memory.take():
                self.watch.feed(reached)
            self.watch.settle()

    def until(self, seen: Callable[[], bool], seconds: float = 60) -> None:
        """Go on until `seen`, or fail."""
        end = time.monotonic() + seconds
        while not seen():
            assert time.monotonic() < end, f"not seen; the last events: {self.events[-20:]}"
            self.pump(0.05)

    def of(self, kind: str, container: str) -> list[Any]:
        """Events of a kind that belong to a container."""
        return [
            event
            for event in self.events
            if event["kind"] == kind and (event.get("container") or {}).get("id") == container
        ]

    def _ended(self, container: str) -> set[str]:
        """Sessions in a container that have ended."""
        ended = {event["session"] for event in self.events if event["kind"] == "session_end"}
        return ended & {entry["session"] for entry in self.of("entry", container)}

    def visit(self, act: Callable[[], object], container: str) -> list[Any]:
        """All events of the one session that `act` makes in `container`, once it has ended."""
        self.during(act, lambda: bool(self._ended(container)))
        (entry,) = self.of("entry", container)
        return [event for event in self.events if event.get("session") == entry["session"]]

    def during(self, act: Callable[[], object], seen: Callable[[], bool]) -> None:
        """Watch while `act` does something, until it is done and `seen`. Only what is told meanwhile stays."""
        self.events.clear()
        # Beside the watch, as in life: a runtime that is gone before its event is read cannot be looked at.
        with ThreadPoolExecutor(1) as beside:
            acting = beside.submit(act)
            self.until(lambda: acting.done() and (acting.exception() is not None or seen()))
            acting.result()
        self.pump(0.1)

    def known(self, container: str) -> None:
        """Watch until a container is known, and by its name."""

        def described() -> bool:
            known = self.containers.by_id(container)
            return known is not None and known.container["name"] is not None

        self.until(described)
