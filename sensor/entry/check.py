# SPDX-License-Identifier: Apache-2.0
"""Whether an entry is a health check that its container declares. Pure.

In the kernel a HEALTHCHECK and a person's `docker exec` are the same. It is a check when everything that is
seen of it is what the configuration says: the command, the user, the folder, no terminal, no right that the
container lacks, and the container's own supervisor above it. A person who executes exactly the declared
command in exactly this manner cannot be told from it; nor does he do anything else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sensor.enrich.inside import Own
from sensor.enrich.known import Known
from sensor.entry.crossing import Crossing
from sensor.entry.means import means
from sensor.probe.layout import Exec, Step
from sensor.wire import Means, Verdict

_CAN_BE: Final = frozenset({"docker-exec", "podman-exec", "unknown"})
"""The means that a check of a runtime that knows checks looks like; without a name the runtime is not known."""
_NEAR: Final = 4
"""Steps above the caller of setns at which the supervisor stands at the latest: init, runc and the shim."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An entry that may be a check: what of it counts. It holds the command line unredacted."""

    keys: Verdict
    chain: tuple[Step, ...]
    event: Exec
    nested: bool
    """It came out of a session, not from the host."""

    @classmethod
    def of(cls, keys: Verdict, crossing: Crossing, event: Exec) -> Candidate:
        """The entry that `crossing` is decided to be with `event`."""
        chain = crossing.setns.ancestry if crossing.setns else event.ancestry
        return cls(keys, chain, event, crossing.within is not None)

    def means(self, known: Known) -> Means:
        """The way in, by all that is known of the container now."""
        way = means(self.keys, known.runtime, self.chain)
        if way == "runc-exec" and self._exceeds(known):
            return "ns-join"  # into the cgroup first, then into the namespaces: a runtime takes powers away
        if not self._possible(known, way):
            return way
        return "probe" if any(map(self._is, known.checks or ())) else way

    def open(self, known: Known) -> bool:
        """Whether it is a check is not decided until the container's checks are known."""
        return known.checks is None and self._possible(known, means(self.keys, known.runtime, self.chain))

    def _possible(self, known: Known, way: Means) -> bool:
        task = self.event.task
        return (
            self.keys == "both"
            and way in _CAN_BE
            and not self.nested
            and not task.tty_major
            and self.event.argv is not None
            and not self.event.argv_cut
            and not self._exceeds(known)
            and self._supervised(known)
        )

    def _exceeds(self, known: Known) -> bool:
        """Whether it has a capability that nothing inside can have."""
        caps = known.container["caps"]
        return caps is not None and bool(self.event.task.caps & ~int(caps, 16))

    def _supervised(self, known: Known) -> bool:
        """A shim serves its container until the end; podman starts one conmon more for each exec."""
        above = known.supervisor
        if above is None:
            return False
        near = self.chain[:_NEAR]
        if any(step.pid == above.pid for step in near):
            return True
        return known.runtime == "podman" and any(
            step.comm == "conmon" and step.uid == above.uid for step in near
        )

    def _is(self, check: Own) -> bool:
        event = self.event
        return (
            check.uid == event.task.uid
            and check.folder == event.cwd
            and event.argv is not None
            and executes(check.argv, event.filename, tuple(event.argv))
        )


def executes(declared: tuple[str, ...], filename: str | None, argv: tuple[str, ...]) -> bool:
    """Whether `argv` is what the kernel makes of a declared command.

    Of a script it makes [interpreter, perhaps one argument, path of the script, the rest]; `filename` is the
    path that was given to execve, which nobody can make up in an argv.
    """
    head, *rest = declared
    if filename is None or (filename != head if "/" in head else filename.rsplit("/", 1)[-1] != head):
        return False
    script = len(argv) - len(declared)
    return argv == declared or (script in {1, 2} and argv[script:] == (filename, *rest))
