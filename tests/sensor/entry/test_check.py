# SPDX-License-Identifier: Apache-2.0
"""A declared health check is a probe; what only resembles it is an exec like any other."""

from __future__ import annotations

import dataclasses

import pytest

from sensor.enrich.inside import Own
from sensor.enrich.known import Known
from sensor.enrich.supervisor import Supervisor
from sensor.entry.check import Candidate, executes
from sensor.probe.layout import Exec, Kind, Step
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
IT = Candidate("both", (RUNC, SHIM), EVENT, nested=False)


def known(*checks: Own) -> Known:
    made = Known(WEB, 900, 1, {}, "docker", f"{0b1110:016x}", supervisor=Supervisor("docker", WEB, pid=900))
    made.checks = checks
    return made


def event(**changed: object) -> Candidate:
    return dataclasses.replace(IT, event=dataclasses.replace(EVENT, **changed))


def task(**changed: object) -> Candidate:
    return event(task=dataclasses.replace(TASK, **changed))


DECLARED = known(Own(ARGV, 1000, "/srv"))


def test_the_declared_command_is_a_probe() -> None:
    assert IT.means(DECLARED) == "probe"


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
    assert other.means(DECLARED) == "docker-exec"
    assert IT.means(known()) == "docker-exec"


def test_without_its_own_supervisor_or_cgroup_it_is_none() -> None:
    assert dataclasses.replace(IT, chain=(RUNC,)).means(DECLARED) == "runc-exec"
    assert dataclasses.replace(IT, keys="ns-only").means(DECLARED) == "ns-join"


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
