# SPDX-License-Identifier: Apache-2.0
"""Whether an entry is a health check that its container declares. Pure.

In the kernel a HEALTHCHECK, a pod's exec probe and a person's `docker exec` are the same. It is a check when
everything that is seen of it is what the configuration says: the command, the user, the folder, no terminal, no
right that the container lacks, the container's own supervisor above it, and that it is due. A person who executes
exactly the declared command in exactly this manner at this moment cannot be told from it; nor does he do anything
else, and the check that comes at its own time is told in his place.
"""

from __future__ import annotations

from dataclasses import dataclass
from signal import SIGKILL
from typing import Final

from sensor.enrich.inside import Own
from sensor.enrich.known import Known
from sensor.entry.crossing import Crossing
from sensor.entry.means import means
from sensor.entry.rhythm import Rhythm
from sensor.probe.layout import Exec, Exit, Setns, Step
from sensor.wire import Means, Verdict

_CAN_BE: Final = frozenset({"docker-exec", "podman-exec", "cri-exec", "unknown"})
"""The means that a check of a runtime that knows checks looks like; without a name the runtime is not known."""
_NEAR: Final = 4
"""Steps above the caller of setns at which the supervisor stands at the latest: init, runc and the shim."""
_SIGNAL: Final = 0x7F
"""Of an exit status, as wait(2) has it: the signal that ended the process."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An entry that may be a check, or a join without a command: what of it counts.

    It holds the command line unredacted.
    """

    keys: Verdict
    chain: tuple[Step, ...]
    time: int
    """Of the exec, or of the exit without one. Nanoseconds since boot."""
    event: Exec | None
    """None of an attempt: a check whose program is not in the container, or that ended with its container."""
    nested: bool
    """It came out of a session, not from the host."""
    killed: bool = False
    """The join was killed before it executed anything, as the end of a container does with all that is in it."""

    @classmethod
    def of(cls, keys: Verdict, crossing: Crossing, event: Exec) -> Candidate:
        """The entry that `crossing` is decided to be with `event`."""
        chain = crossing.setns.ancestry if crossing.setns else event.ancestry
        return cls(keys, chain, event.head.time, event, crossing.within is not None)

    @classmethod
    def attempt(cls, keys: Verdict, crossing: Crossing, event: Exit | Setns) -> Candidate:
        """The join of `crossing`, which ended with `event` and without a command."""
        chain = crossing.setns.ancestry if crossing.setns else ()
        killed = isinstance(event, Exit) and event.status & _SIGNAL == SIGKILL
        return cls(keys, chain, event.head.time, None, crossing.within is not None, killed)

    def way(self, known: Known) -> Means:
        """The way in, leaving open whether it is a check."""
        way = means(self.keys, known.runtime, self.chain)
        if way == "runc-exec" and self._exceeds(known):
            return "ns-join"  # into the cgroup first, then into the namespaces: a runtime takes powers away
        return way

    def means(self, known: Known, rhythm: Rhythm) -> Means:
        """The way in, by all that is known of the container now. Asked once: a check that is due has run then."""
        way = self.way(known)
        if not self._possible(known, way):
            return way
        due = (
            self._is(check) and rhythm.admits(known, number, check, self.time)
            for number, check in enumerate(known.checks or ())
        )
        return "probe" if any(due) else way

    def open(self, known: Known) -> bool:
        """Whether it is a check is not decided until the container's checks are known."""
        return known.checks is None and self._possible(known, means(self.keys, known.runtime, self.chain))

    def _possible(self, known: Known, way: Means) -> bool:
        event = self.event
        plain = event is None or (not event.task.tty_major and event.argv is not None and not event.argv_cut)
        return (
            self.keys == "both"
            and way in _CAN_BE
            and not self.nested
            and plain
            and not self._exceeds(known)
            and self._supervised(known)
        )

    def _exceeds(self, known: Known) -> bool:
        """Whether it has a capability that nothing inside can have."""
        caps = known.container["caps"]
        return caps is not None and self.event is not None and bool(self.event.task.caps & ~int(caps, 16))

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
        if event is None:
            return check.absent or self.killed
        if check.uid != event.task.uid or check.folder != event.cwd or event.argv is None:
            return False
        argv = tuple(event.argv)
        return any(executes(each, event.filename, argv) for each in (check.argv, check.also) if each)


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
