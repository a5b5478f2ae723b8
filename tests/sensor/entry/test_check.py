# SPDX-License-Identifier: Apache-2.0
"""A declared health check is a probe; what only resembles it is an exec like any other."""

from __future__ import annotations

import dataclasses

import pytest

from sensor.enrich.facts import Pace
from sensor.enrich.inside import Own
from sensor.enrich.known import Known
from sensor.enrich.supervisor import Supervisor
from sensor.entry.check import Candidate, executes
from sensor.entry.rhythm import Rhythm
from sensor.probe.layout import Exec, Kind, Step
from sensor.wire import Runtime
from tests.sensor.entry.test_track import HOST, INSIDE, NONE, WEB, facts, head

ARGV = ("/bin/sh", "-c", "curl localhost")
SHIM = Step(1, 900, 0, HOST.mnt, 0, "containerd-shim")
RUNC = Step(1, 901, 0, HOST.mnt, 0, "runc")
TASK = dataclasses.replace(facts(INSIDE, "sh", WEB), uid=1000, caps=0b0110)
EVENT = Exec(
    head(Kind.EXEC, 910, NONE),
    HOST,
    INSIDE,
    HOST,
    TASK,
    (),
    "/bin/busybox",
    "/srv",
    "/bin/sh",
    list(ARGV),
    False,
)
IT = Candidate("both", (RUNC, SHIM), 0, EVENT, nested=False)
JOIN = Candidate("both", (RUNC, SHIM), 0, None, nested=False)


def known(*checks: Own, runtime: Runtime = "docker") -> Known:
    made = Known(WEB, 900, 1, {}, runtime, f"{0b1110:016x}", supervisor=Supervisor("docker", WEB, pid=900))
    made.checks = checks
    return made


def event(**changed: object) -> Candidate:
    return dataclasses.replace(IT, event=dataclasses.replace(EVENT, **changed))


def task(**changed: object) -> Candidate:
    return event(task=dataclasses.replace(TASK, **changed))


DECLARED = known(Own(ARGV, 1000, "/srv"))


def test_the_declared_command_is_a_probe() -> None:
    assert IT.means(DECLARED, Rhythm()) == "probe"


def test_a_pods_declared_command_is_a_probe() -> None:
    assert IT.means(known(Own(ARGV, 1000, "/srv"), runtime="cri"), Rhythm()) == "probe"
    assert IT.means(known(runtime="cri"), Rhythm()) == "cri-exec"


def test_a_join_is_a_probe_only_where_the_declared_program_is_absent() -> None:
    assert JOIN.means(known(Own(ARGV, 1000, "/srv", absent=True)), Rhythm()) == "probe"
    assert JOIN.means(DECLARED, Rhythm()) == "docker-exec"
    assert IT.means(known(Own(("/bin/other",), 1000, "/srv", absent=True)), Rhythm()) == "docker-exec"


def test_a_join_that_was_killed_is_the_check_that_was_due() -> None:
    """As a container ends, whatever was on its way into it ends too: one that has a check does so with it."""
    killed = dataclasses.replace(JOIN, killed=True)
    every, rhythm = known(Own(ARGV, 1000, "/srv", Pace(10))), Rhythm()
    assert [dataclasses.replace(killed, time=at).means(every, rhythm) for at in (0, 4, 10)] == [
        "probe",
        "docker-exec",
        "probe",
    ]
    assert killed.means(known(), Rhythm()) == "docker-exec"


def test_the_declared_command_at_another_time_is_none() -> None:
    rhythm, every = Rhythm(), known(Own(ARGV, 1000, "/srv", Pace(10)))
    assert [dataclasses.replace(IT, time=at).means(every, rhythm) for at in (0, 4, 10)] == [
        "probe",
        "docker-exec",
        "probe",
    ]


def test_what_only_resembles_it_does_not_take_the_checks_turn() -> None:
    rhythm, every = Rhythm(), known(Own(ARGV, 1000, "/srv", Pace(10)))
    assert event(cwd="/home").means(every, rhythm) == "docker-exec"
    assert IT.means(every, rhythm) == "probe"


@pytest.mark.parametrize(
    "other",
    [
        event(argv=[*ARGV[:2], "curl localhost; id"]),
        event(argv=None),
        event(argv_cut=True),
        event(filename="/srv/bin/sh"),
        event(cwd="/home"),
        event(cwd=None),
        task(uid=0),
        task(tty_major=136),
        task(caps=0b10110),
        dataclasses.replace(IT, nested=True),
        dataclasses.replace(IT, chain=(RUNC, dataclasses.replace(SHIM, pid=77))),
    ],
)
def test_what_resembles_it_is_none(other: Candidate) -> None:
    assert other.means(DECLARED, Rhythm()) == "docker-exec"
    assert IT.means(known(), Rhythm()) == "docker-exec"


def test_without_its_own_supervisor_or_cgroup_it_is_none() -> None:
    assert dataclasses.replace(IT, chain=(RUNC,)).means(DECLARED, Rhythm()) == "runc-exec"
    assert dataclasses.replace(IT, keys="ns-only").means(DECLARED, Rhythm()) == "ns-join"


def test_it_is_open_only_while_the_checks_are_not_known_and_it_can_be_one() -> None:
    new = known()
    new.checks = None
    assert IT.open(new)
    assert not IT.open(known())
    assert not task(tty_major=136).open(new)


@pytest.mark.parametrize(
    ("declared", "filename", "argv", "expected"),
    [
        (("/c.sh", "x"), "/c.sh", ("/bin/sh", "/c.sh", "x"), True),
        (("/c.sh", "x"), "/c.sh", ("/bin/sh", "-e", "/c.sh", "x"), True),
        (("c.sh",), "/usr/bin/c.sh", ("/bin/sh", "/usr/bin/c.sh"), True),
        (("c.sh",), "/usr/bin/c.sh", ("c.sh",), True),
        (("/c.sh", "x"), "/bin/evil", ("/bin/evil", "/c.sh", "x"), False),
        (("/c.sh", "x"), "/c.sh", ("/bin/sh", "/c.sh", "y"), False),
        (("/c.sh", "x"), "/c.sh", ("/bin/sh", "-e", "a", "/c.sh", "x"), False),
        (("c.sh",), None, ("c.sh",), False),
    ],
)
def test_a_script_is_executed_by_its_interpreter(
    declared: tuple[str, ...], filename: str | None, argv: tuple[str, ...], expected: bool
) -> None:
    assert executes(declared, filename, argv) is expected
