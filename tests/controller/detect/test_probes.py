# SPDX-License-Identifier: Apache-2.0
"""What a container declares as its health check is no news; what else happens there may be."""

from controller.detect.engine import Engine
from controller.detect.rule import Severity, Visit
from tests.controller.detect.building import always, command, detection, event

ENGINE = Engine([detection(always(Severity.HIGH))])
SHELL = {"process__argv": ["/bin/sh", "-c", 'curl -f "$URL" || exit 1'], "process__exe": "/bin/sh",
         "process__filename": "/bin/sh"}  # fmt: skip
PROBE = event("docker-exec", 1, means="probe", **SHELL)
PID = PROBE["process"]["pid"]


def judged(entry, each):
    return ENGINE.evaluate(Visit("s", entry, (entry, each)), each)


def test_the_declared_command_and_what_it_names_are_not_judged():
    assert not judged(PROBE, PROBE)
    assert not judged(PROBE, command(2, "curl", "-f", "http://else", parent=PID))


def test_what_it_does_not_name_or_what_comes_later_is():
    assert judged(PROBE, command(2, "nc", "-e", "sh", parent=PID))
    assert judged(PROBE, command(2, "curl", "-f", parent=PID + 1, process__pid=PID + 2))


def test_the_same_by_a_person_is():
    assert judged(event("docker-exec", 1, **SHELL), command(2, "curl", parent=PID))


def test_a_check_whose_program_is_absent_is_not_judged():
    absent = {**PROBE, "kind": "attempt", "process": None}
    assert not ENGINE.evaluate(Visit("s", absent, ()), absent)
    assert ENGINE.evaluate(
        Visit("s", {**absent, "means": "docker-exec"}, ()), {**absent, "means": "docker-exec"}
    )
