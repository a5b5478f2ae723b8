# SPDX-License-Identifier: Apache-2.0
"""What one source says about a container. Each source fills what it knows; None is "does not say"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sensor.enrich.text import clean
from sensor.wire import Pod, Runtime, Settings

MAX_LABELS: Final = 64
MAX_LABEL: Final = 256
"""Longest name and longest value of a label, in characters."""
MAX_NAME: Final = 512
"""Longest name of a container, an image, a user or a pod: registries and Kubernetes allow less."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a declared check is run, as far as it is declared. Nanoseconds."""

    period: int = 0
    """Time from one run to the next; 0 where it is not declared."""
    ticks: bool = False
    """Runs are begun by a clock that goes on meanwhile (Kubernetes), else a period after the last one's end."""
    first_period: int = 0
    """The period at the beginning, where it is another one."""
    first_for: int = 0
    """How long that beginning lasts, from the container's start."""
    once: bool = False
    """A hook: run once in the container's life."""


ANY_TIME: Final = Pace()


@dataclass(frozen=True, slots=True)
class Check:
    """A health check as the container's configuration declares it. Stays on the host: it may hold secrets."""

    argv: tuple[str, ...]
    """What the runtime executes for it, exactly."""
    user: str = ""
    """Whom it runs as, as configured: "", "app", "1000:1000"."""
    folder: str = "/"
    """Where it runs, as configured."""
    pace: Pace = ANY_TIME
    also: tuple[str, ...] = ()
    """What another version of the runtime executes for it."""


@dataclass(frozen=True, slots=True)
class Facts:
    """One source's answer about one container."""

    name: str | None = None
    image: str | None = None
    runtime: Runtime | None = None
    labels: dict[str, str] | None = None
    pod: Pod | None = None
    user: str | None = None
    privileged: bool | None = None
    checks: tuple[Check, ...] | None = None
    """The declared health checks; empty where there is none."""
    settings: Settings | None = None
    folder: str | None = None
    """Where its processes begin, as configured."""

    def over(self, other: Facts) -> Facts:
        """These facts, with what they do not say taken from `other`."""
        return Facts(
            self.name if self.name is not None else other.name,
            self.image if self.image is not None else other.image,
            self.runtime if self.runtime is not None else other.runtime,
            self.labels if self.labels is not None else other.labels,
            self.pod if self.pod is not None else other.pod,
            self.user if self.user is not None else other.user,
            self.privileged if self.privileged is not None else other.privileged,
            self.checks if self.checks is not None else other.checks,
            self.settings if self.settings is not None else other.settings,
            self.folder if self.folder is not None else other.folder,
        )


def text(value: object) -> str | None:
    """A bounded name out of a document that others wrote, None when it is no text."""
    return clean(value, MAX_NAME) if isinstance(value, str) else None


def labels(value: object) -> dict[str, str]:
    """Bounded labels out of a document that others wrote: the first `MAX_LABELS` by name, always the same."""
    if not isinstance(value, dict):
        return {}
    pairs = [(key, item) for key, item in value.items() if isinstance(key, str) and isinstance(item, str)]
    return {clean(key, MAX_LABEL): clean(item, MAX_LABEL) for key, item in sorted(pairs)[:MAX_LABELS]}


def pod(name: object, namespace: object, uid: object) -> Pod | None:
    """A pod when it has both its names."""
    known_name, known_namespace = text(name), text(namespace)
    if not known_name or not known_namespace:
        return None
    return Pod(name=known_name, namespace=known_namespace, uid=text(uid))


def section(document: dict[str, Any], key: str) -> dict[str, Any]:
    """A part of a document that others wrote: empty where it is no part, or not there."""
    value = document.get(key)
    return value if isinstance(value, dict) else {}
