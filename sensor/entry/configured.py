# SPDX-License-Identifier: Apache-2.0
"""Tells how each container is configured: when it starts or is found, and again when that has changed."""

from __future__ import annotations

import re
import shlex
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from typing import Final, Literal

from sensor.enrich.configuration import NOTHING
from sensor.enrich.known import Known
from sensor.entry.lineage import Redact
from sensor.probe.layout import Exec
from sensor.who.asking import Asked, Asking
from sensor.wire import MAX_SETTINGS, MAX_TEXT, Caller, Client, Configuration, Event, Missing, Settings

SHARED_MATTERS: Final = ("cgroup", "ipc", "mnt", "net", "pid", "uts")
"""Kinds that a container usually has of its own. Most share the user namespace, and all the time namespace."""

MAX_STARTED: Final = 16384
"""Containers whose start is remembered; they need not run any more."""
CHANGING: Final = frozenset({"network_connect", "network_disconnect", "rename", "restart", "update"})
"""Actions of runtimes' records after which a container may be configured otherwise than before."""
MAKING: Final = frozenset({"create", "start"})
"""Actions by which one comes to be configured as it is."""
_ENVIRONMENT: Final = re.compile(r"--env=|-[dit]*e=?(?=[A-Za-z_])")
"""The option that sets a variable in one word with it: --env=KEY=value, -eKEY=value."""
MAX_TOLD: Final = 16
"""What was done to one container is remembered up to so many actions; the latest."""


@dataclass(slots=True)
class _Done:
    """What was done to a container since it was told of last, and by whom that may have been."""

    actions: list[str] = field(default_factory=list)
    asked: Asked = field(default_factory=Asked)


class Configured:
    """What was told of each container that runs, so that the same is not told twice."""

    def __init__(
        self,
        next_id: Callable[[], str],
        emit: Callable[[Event], None],
        redact: Redact,
        host: Mapping[str, int],
        asking: Asking | None = None,
    ) -> None:
        """`host` holds the inode numbers of the host's own namespaces, by kind.

        Without `asking` it is not told who configured it so.
        """
        self._next_id = next_id
        self._emit = emit
        self._redact = redact
        self._host = host
        self._told: dict[str, tuple[str | None, Settings]] = {}
        self._started: OrderedDict[str, None] = OrderedDict()
        self._asking = asking
        self._done: OrderedDict[str, _Done] = OrderedDict()

    def started(self, container: str, event: Exec | None = None) -> None:
        """Its start was seen, with its first program: what is told next of it holds from its beginning."""
        if self._asking and event is not None:
            asked = self._asking.of_exec(event)
            done = self._of(container)
            if asked.caller is not None or not done.asked.clients:
                done.asked = asked
        self._told.pop(container, None)
        self._started[container] = None
        if len(self._started) > MAX_STARTED:
            self._started.popitem(last=False)

    def said(self, container: str, action: str, place: str, at: int) -> None:
        """The daemon at `place` told of an action: who was connected to it, is seen now. `at`: by its clock, ns."""
        making = action in MAKING
        if self._asking is None or not (making or action in CHANGING) or (making and container in self._told):
            return
        done = self._of(container)
        done.actions = [*done.actions, action][-MAX_TOLD:]
        # Who made it was connected to the daemon that told of it first: below dockerd, containerd tells of it too.
        if not (making and (done.asked.caller or done.asked.clients)):
            done.asked = self._asking.of_daemon_at(place, at)

    def _of(self, container: str) -> _Done:
        done = self._done.setdefault(container, _Done())
        self._done.move_to_end(container)
        if len(self._done) > MAX_STARTED:
            self._done.popitem(last=False)
        return done

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
        done = self._done.pop(known.id, _Done())
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
                told=done.actions,
                caller=done.asked.caller and _nameless(done.asked.caller),
                clients=[
                    Client(**{**each, "caller": _nameless(each["caller"])}) for each in done.asked.clients
                ],
                clients_unseen=done.asked.unseen,
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
        settings["checks"] = self._checks(known)
        missing: dict[str, Missing] = {
            f"settings.{name}": "unknown" for name, value in settings.items() if value is None
        }
        return settings, {**missing, **known.missing}

    def _checks(self, known: Known) -> list[str] | None:
        """What it declares as its checks; of a pod only what a manifest says, where there is one."""
        if known.checks is None or (not known.checks and known.container["pod"] is not None):
            return None
        shown = [shlex.join(self._redact(list(check.argv))[0])[:MAX_TEXT] for check in known.checks]
        return sorted(shown)[:MAX_SETTINGS]


def _nameless(caller: Caller) -> Caller:
    """The same without the values of the environment in its command line: `docker run -e KEY=value`."""
    return Caller(**{**caller, "argv": None if caller["argv"] is None else _without_values(caller["argv"])})


def _without_values(argv: list[str]) -> list[str]:
    shown, before = [], ""
    for word in argv:
        option, value = _ENVIRONMENT.match(word), before in {"-e", "--env"}
        name, equals, _ = (word[option.end() :] if option else word).partition("=")
        start = word[: option.end()] if option else ""
        shown.append(f"{start}{name}=***" if equals and (value or option) else word)
        before = word
    return shown
