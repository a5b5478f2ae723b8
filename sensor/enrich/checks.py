# SPDX-License-Identifier: Apache-2.0
"""The checks that containers declare, as far as no daemon says them, and whether they are others than before.

A container's checks are fixed when it is made. So a manifest that says others of one that runs is not believed,
and a container that declares others than the one before it under its name has them told once: their first run
is a visit like any other.
"""

from __future__ import annotations

import re
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

from sensor.enrich.facts import Check, Facts
from sensor.enrich.known import Known
from sensor.enrich.manifests import Manifests

MAX_NAMES: Final = 8192
"""Names whose last checks are remembered."""
_GIVEN: Final = re.compile(r"(-[bcdf-hj-np-tv-xz2456789]{6,10})?-[bcdf-hj-np-tv-xz2456789]{5}$")
"""What Kubernetes makes up behind a workload's name: no vowels, none of 0, 1 and 3 (apimachinery's rand)."""


class Checks:
    """For the metadata worker's thread."""

    def __init__(self, folders: Iterable[Path], count: Callable[[str], None]) -> None:
        self._manifests = Manifests(folders, count)
        self._count = count
        self._pods: weakref.WeakKeyDictionary[Known, Facts] = weakref.WeakKeyDictionary()
        self._compared: weakref.WeakSet[Known] = weakref.WeakSet()
        self._last: OrderedDict[tuple[str, ...], frozenset[tuple[str, ...]]] = OrderedDict()

    @property
    def failing(self) -> dict[str, str]:
        """What is wrong with manifests, by file."""
        return self._manifests.failing

    def refresh(self) -> None:
        """Look at the manifests again; pods that run may be in them only now."""
        if not self._manifests.refresh():
            return
        for known, bundle in list(self._pods.items()):
            facts = Facts(checks=self._declared(bundle))
            if facts.checks and not known.checks:
                known.learn(facts)
            elif facts.checks and _argvs(facts.checks) != self._last.get(_name(known, bundle)):
                self._count("probes.manifest_disagrees")

    def of_pod(self, known: Known, bundle: Facts) -> Facts:
        """`bundle` with the checks of a pod's container, which run as its first process was to."""
        self._pods[known] = bundle
        self.refresh()  # a manifest is written when its pod is made, and not long before its first probe
        # Asked once more, of one that runs: what it declared stands.
        return replace(bundle, checks=None if known.checks else self._declared(bundle))

    def compare(self, known: Known, facts: Facts) -> None:
        """Before a container learns what it declares: mark it where the one before it declared others."""
        name = _name(known, facts)
        if facts.checks is None:
            return
        now, before = _argvs(facts.checks), self._last.get(name)
        if known in self._compared:
            before = frozenset(check.argv for check in known.checks or ())  # podman can change one that runs
        self._compared.add(known)
        if before is not None and before != now and now:
            known.changed = True
            self._count("probes.changed")
        self._last[name] = now
        self._last.move_to_end(name)
        if len(self._last) > MAX_NAMES:
            self._last.popitem(last=False)

    def _declared(self, bundle: Facts) -> tuple[Check, ...]:
        found = self._manifests.checks(bundle.pod, bundle.name)
        return tuple(replace(check, user=bundle.user or "", folder=bundle.folder or "/") for check in found)


def _argvs(checks: tuple[Check, ...]) -> frozenset[tuple[str, ...]]:
    return frozenset(check.argv for check in checks)


def _name(known: Known, facts: Facts) -> tuple[str, ...]:
    """What stays the same from a container to the one that takes its place."""
    pod, name = facts.pod, facts.name or known.id
    if pod is None:
        return (known.runtime, name)
    return (known.runtime, pod["namespace"], _GIVEN.sub("", pod["name"]), name)
