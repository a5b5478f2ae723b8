# SPDX-License-Identifier: Apache-2.0
"""Tells how each container is configured: when it starts or is found, and again when that has changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final, Literal

from sensor.enrich.configuration import NOTHING
from sensor.enrich.known import Known
from sensor.entry.lineage import Redact
from sensor.wire import Configuration, Event, Missing, Settings

SHARED_MATTERS: Final = ("cgroup", "ipc", "mnt", "net", "pid", "uts")
"""Kinds that a container usually has of its own. Most share the user namespace, and all the time namespace."""

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
        self._started: set[str] = set()

    def started(self, container: str) -> None:
        """Its start was seen: what is told next of it holds from its beginning."""
        self._told.pop(container, None)
        self._started.add(container)

    def stopped(self, container: str) -> None:
        """Nothing more will be told of it."""
        self._told.pop(container, None)
        self._started.discard(container)

    def tell(self, known: Known) -> None:
        """All that its sources know has been learned, for the first time or anew."""
        settings, missing = self._settings(known)
        before, now = self._told.get(known.id), (known.container["name"], settings)
        if before == now:
            return
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
