# SPDX-License-Identifier: Apache-2.0
"""One container that the sensor knows: its init, its namespaces, and what has been learned about it."""

from __future__ import annotations

from dataclasses import InitVar, dataclass, field
from typing import NamedTuple

from sensor.enrich import inside
from sensor.enrich.facts import Facts
from sensor.enrich.inside import Own
from sensor.enrich.supervisor import Supervisor
from sensor.wire import Container, Missing, Pod, Runtime, Settings

_FROM_SOURCES = ("name", "image", "labels", "user", "privileged")
"""What no namespace or cgroup tells: a daemon or a bundle has to."""


class Description(NamedTuple):
    """The container as an event carries it, and what it lacks by dotted path. Do not change either."""

    container: Container
    missing: dict[str, Missing]


@dataclass(eq=False, slots=True, weakref_slot=True)
class Known:
    """A container by its init. Its identity never changes; its description is replaced as a whole."""

    id: str
    """The id that the runtime gave it: 64 hex digits, or any text for `ctr` and LXC."""
    init_pid: int
    init_start: int
    """Nanoseconds since boot; compare with `procfs.same_start`."""
    namespaces: dict[str, int]
    runtime_hint: InitVar[Runtime]
    caps: InitVar[str | None]
    pod_uid: InitVar[str | None] = None
    cgroup: str | None = None
    """The container's own cgroup path, where it is known whole."""
    nested: bool = False
    """It runs inside another container: its id is that container's word, not the host's."""
    supervisor: Supervisor | None = None
    lent: frozenset[str] = frozenset()
    """Kinds of namespaces that are its supervisor's, and not its own."""
    checks: tuple[Own, ...] | None = field(init=False, default=None)
    """The health checks that it declares; None until that is learned."""
    settings: Settings | None = field(init=False, default=None)
    """How it is configured, as far as its sources say; None until that is learned."""
    changed: bool = field(init=False, default=False)
    """The container that was here before it under the same name declared others."""
    _description: Description = field(init=False, repr=False)

    def __post_init__(self, runtime_hint: Runtime, caps: str | None, pod_uid: str | None) -> None:
        missing: dict[str, Missing] = {f"container.{name}": "pending" for name in _FROM_SOURCES}
        if runtime_hint in {"cri", "cri-o"} or pod_uid is not None:
            missing["container.pod"] = "pending"
        if caps is None:
            missing["container.caps"] = "unknown"
        self._description = Description(
            Container(
                id=self.id,
                name=None,
                image=None,
                runtime=runtime_hint,
                labels={},
                pod=None,
                init_pid=self.init_pid,
                user=None,
                caps=caps,
                privileged=None,
            ),
            missing,
        )

    @property
    def description(self) -> Description:
        """Container and `missing` of one moment; taken one after the other they could be of two."""
        return self._description

    @property
    def container(self) -> Container:
        """The container as an event carries it. Do not change it."""
        return self._description.container

    @property
    def missing(self) -> dict[str, Missing]:
        """What `container` lacks, by dotted path: {"container.name": "pending"}. Do not change it."""
        return self._description.missing

    @property
    def runtime(self) -> Runtime:
        """The runtime as far as is known now."""
        return self.container["runtime"]

    @property
    def mnt(self) -> int | None:
        """Inode number of its mount namespace, the only one that is always its own."""
        return self.namespaces.get("mnt")

    @property
    def pending(self) -> bool:
        """Whether an answer may still come."""
        return "pending" in self.missing.values()

    def learn(self, facts: Facts) -> None:
        """Take over what a source says. Only one thread may call this and `settle` for one container."""
        # Before the description: whoever finds nothing pending there finds the checks here.
        self._learn_own(facts)
        container, missing = Container(**self.container), dict(self.missing)
        if facts.name is not None:
            container["name"] = facts.name
        if facts.image is not None:
            container["image"] = facts.image
        if facts.labels is not None:
            container["labels"] = facts.labels
        if facts.user is not None:
            container["user"] = facts.user
        if facts.privileged is not None:
            container["privileged"] = facts.privileged
        if facts.runtime is not None:
            container["runtime"] = facts.runtime
        pod: Pod | None = facts.pod
        if pod is not None:
            container["pod"] = pod
        for name in (*_FROM_SOURCES, "pod"):
            if getattr(facts, name) is not None:
                missing.pop(f"container.{name}", None)
        self._description = Description(container, missing)

    def _learn_own(self, facts: Facts) -> None:
        """What stands in no description."""
        if facts.settings is not None:
            self.settings = facts.settings
        if facts.checks is not None:
            self.checks = tuple(inside.own(check, self.init_pid) for check in facts.checks)

    def remember(self, container: Container, missing: dict[str, Missing] | None = None) -> None:
        """Take over a whole description from before; without `missing`, what it lacks will not be learned."""
        unknown: dict[str, Missing] = {
            f"container.{name}": "unknown" for name, value in container.items() if value is None
        }
        self._description = Description(container, unknown if missing is None else missing)

    def reached_at(self, addresses: list[str]) -> None:
        """Its addresses, as they are now. As `learn`."""
        if self.container.get("addresses") != addresses:
            container = Container(**{**self.container, "addresses": addresses})
            self._description = Description(container, self.missing)

    def settle(self) -> None:
        """Nothing more will be learned: what is pending becomes unknown."""
        settled: dict[str, Missing] = dict.fromkeys(self.missing, "unknown")
        self._description = Description(self.container, settled)
