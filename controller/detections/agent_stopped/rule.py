# SPDX-License-Identifier: Apache-2.0
"""A security or logging agent, or a firewall, was stopped, killed, removed or switched off from inside a visit.

In a container that sees the host's processes, or that is the agent's own, this blinds whoever watches. By the agents'
names, where a command that ends things is given one.
"""

from __future__ import annotations

from controller.detect.commands import Invocation, invocations
from controller.detect.files import targets
from controller.detect.programs import words
from controller.detect.rule import Event, Finding, Severity, Visit
from controller.detect.watchers import AGENT, FIREWALLS, INSTALLED, SETTINGS, switched_off

TITLE = "Security agent stopped"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1562.001", "T1562.004", "T1489")

MATCHED = ("process.exe", "process.argv", "process.user")
ENDS = words(
    "systemctl service rc-service sv initctl supervisorctl s6-svc update-rc.d apt apt-get dpkg yum dnf rpm apk"
)
KILLS = words("kill pkill killall killall5")
REMOVES = words("rm unlink shred mv")
VERBS = words("stop disable mask kill down off remove del -d -dx purge erase -e -r -P")


def rule(visit: Visit, event: Event) -> Finding | None:  # noqa: ARG001 - every rule has this signature
    """Fires on each such command; asking for an agent's state is silent."""
    run = invocations(event)
    # kill $(pidof falco)
    sought = tuple(word for each in run if each.program in {"pidof", "pgrep"} for word in each.arguments)
    for each in run:
        if said := _ended(each, sought) or switched_off(each):
            return Finding(Severity.HIGH, f"{said}: {each}", MATCHED)
        if each.program in FIREWALLS and {"-D", "--delete"} & {*each.arguments}:
            return Finding(Severity.MEDIUM, f"a firewall's rule was taken away: {each}", MATCHED)
    edited = (word for each in run if each.program == "sed" for word in each.arguments)
    file = next(filter(SETTINGS.search, (*sorted(targets(event)), *edited)), None)
    return Finding(Severity.HIGH, f"settings of what watches were written: {file}", MATCHED) if file else None


def _ended(run: Invocation, sought: tuple[str, ...]) -> str | None:
    given = {*run.arguments}
    named = [word for word in run.arguments if AGENT.search(word)]
    if run.program in KILLS and not {"-0", "-l"} & given:
        named += filter(AGENT.search, sought if run.program == "kill" else ())
        return f"{named[0]} was told to end" if named else None
    if run.program in REMOVES:
        return "what belongs to an agent was removed" if any(map(INSTALLED.search, named)) else None
    return f"{named[0]} was told to end" if named and run.program in ENDS and VERBS & given else None
