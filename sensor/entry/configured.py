# SPDX-License-Identifier: Apache-2.0
"""Tells how each container is configured: when it starts or is found, and again when that has changed."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Set
from typing import Final, Literal

from sensor.enrich.configuration import NOTHING
from sensor.enrich.known import Known
from sensor.entry.lineage import Redact
from sensor.wire import Configuration, Event, Missing, Settings

SHARED_MATTERS: Final = ("cgroup", "ipc", "mnt", "net", "pid", "uts")
"""Kinds that a container usually has of its own. Most share the user namespace, and all the time namespace."""

MAX_STARTED: Final = 16384
"""Containers whose start is remembered; they need not run any more."""
CHANGING: Final = frozenset({"network_connect", "network_disconnect", "rename", "restart", "update"})
"""Actions of runtimes' records after which a container may be configured otherwise than before."""


class Configured:
    """What was told of each container that runs, so that the same is not told twice."""

    def __init__(
        self,
        next_id: Callable[[], str],
        emit: Callable[[Event], None],
        redact: Redact,
        host: Mapping[str, int],
    ) -> None:
        """`host` holds the inode numbers of the host's own namespaces, by kind."""
        self._next_id = next_id
        self._emit = emit
        self._redact = redact
        self._host = host
        self._told: dict[str, tuple[str | None, Settings]] = {}
        self._started: OrderedDict[str, None] = OrderedDict()

    def started(self, container: str) -> None:
        """Its start was seen: what is told next of it holds from its beginning."""
        self._told.pop(container, None)
        self._started[container] = None
        if len(self._started) > MAX_STARTED:
            self._started.popitem(last=False)

    def stopped(self, container: str) -> None:
        """It will not change any more. What its sources know may still come, and then holds from its start."""
        self._told.pop(container, None)

    def keep(self, running: Set[str]) -> None:
        """Forget those that are not among these: their stop was not seen."""
        for gone in self._told.keys() - running:
            del self._told[gone]

    def tell(self, known: Known, *, runs: bool = True) -> None:
        """All that its sources know has been learned, for the first time or anew. `runs`: it has not stopped."""
        settings, missing = self._settings(known)
        before, now = self._told.get(known.id), (known.container["name"], settings)
        if before == now:
            return
        if runs:
            self._told[known.id] = now
        self._emit(
            Configuration(
                id=self._next_id(),
                time=time.time_ns(),
                mono=time.clock_gettime_ns(time.CLOCK_BOOTTIME),
                kind="configuration",
                container=known.container,
                settings=settings,
                because=self._because(known.id, told=before is not None),
                missing=missing,
            )
        )

    def _because(self, container: str, *, told: bool) -> Literal["start", "found", "changed"]:
        if told:
            return "changed"
        return "start" if container in self._started else "found"

    def _settings(self, known: Known) -> tuple[Settings, dict[str, Missing]]:
        """What the sources said, with the kernel's word on namespaces, and without secrets."""
        settings = Settings(**(known.settings or NOTHING))
        if settings["entrypoint"] is not None:
            settings["entrypoint"] = self._redact(settings["entrypoint"])[0]
        if settings["privileged"] is None:
            settings["privileged"] = known.container["privileged"]
        if settings["user"] is None:
            settings["user"] = known.container["user"]
        if known.namespaces:
            settings["host_namespaces"] = [
                kind
                for kind in SHARED_MATTERS
                if kind in known.namespaces and known.namespaces[kind] == self._host.get(kind)
            ]
        missing: dict[str, Missing] = {
            f"settings.{name}": "unknown" for name, value in settings.items() if value is None
        }
        return settings, {**missing, **known.missing}
