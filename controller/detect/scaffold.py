# SPDX-License-Identifier: Apache-2.0
"""The folder of a new detection, as far as it can be written before anybody has thought.

What a person has to say is marked with "TODO", which `detections test` refuses by file and line: the list of what is
left. The rule names one program, so that its first test is green as soon as the program is right.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from controller.detect import recorded
from controller.errors import OperationError
from sensor.wire import printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from controller.detect.rule import Event

NAME: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
PROGRAM: Final = re.compile(r"[A-Za-z0-9][\w.+-]{0,62}", re.ASCII)


class ScaffoldError(OperationError):
    """The folder cannot be made; the message says why."""


def write(root: Path, name: str, technique: str, program: str, visit: Sequence[Event] = ()) -> Path:
    """Makes the folder below `root`; `visit` becomes the first test. ScaffoldError: there already, or a bad name."""
    if not NAME.fullmatch(name):
        raise ScaffoldError(f"{name!r} is no name of a detection: write it like ns_join")
    if not PROGRAM.fullmatch(program):
        raise ScaffoldError(f"{printable(program)[:80]!r} is no name of a program: write it like curl")
    folder = root / name
    if folder.exists():
        raise ScaffoldError(f"{folder} is there already: choose another name, or go on there")
    folder.mkdir(parents=True)
    words = {"@NAME@": name, "@TITLE@": name.replace("_", " ").capitalize(), "@TECHNIQUE@": technique}
    words["@PROGRAM@"] = program
    first = recorded.example(f"a visit that ran {program}", "medium", visit) if visit else _PLAIN
    words["@VISIT@"] = first.replace("@PROGRAM@", program)
    for file, text in _FILES.items():
        for mark, value in words.items():
            text = text.replace(mark, value)  # noqa: PLW2901 - word by word
        (folder / file).write_text(text, encoding="utf-8")
    (folder / "emulate.sh").chmod(0o755)
    return folder


_PLAIN: Final = """- name: a visit that ran @PROGRAM@
  fires: medium
  visit:
    - docker-exec: {process.filename: /usr/bin/@PROGRAM@, process.exe: /usr/bin/@PROGRAM@, process.argv: ["@PROGRAM@"]}
"""

_RULE: Final = '''# SPDX-License-Identifier: Apache-2.0
"""TODO: what somebody does, in a sentence or two, as the analyst reads it."""

from __future__ import annotations

from controller.detect.commands import invocations
from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "@TITLE@"
SEVERITY = Severity.MEDIUM
TECHNIQUES = ("@TECHNIQUE@",)

PROGRAMS = frozenset({"@PROGRAM@"})


def rule(visit: Visit, event: Event) -> Finding | None:  # noqa: ARG001 - every rule has this signature
    """Fires on a program of PROGRAMS, however it is started: by a shell's string, by busybox, under a path."""
    ran = next((each for each in invocations(event) if each.program in PROGRAMS), None)
    if ran is None:
        return None
    return Finding(Severity.MEDIUM, f"{ran.program} was run", ("process.exe", "process.filename", "process.argv"))
'''

_TESTS: Final = """# The paths of these events are explained in controller/detect/base.yaml.
@VISIT@- name: another program
  fires: no
  visit:
    - docker-exec: {}
- name: the program's name as an argument of another
  fires: no
  visit:
    - docker-exec: {process.filename: /usr/bin/which, process.exe: /usr/bin/which, process.argv: [which, "@PROGRAM@"]}
"""

_EMULATE: Final = """#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# TODO: what this does, in one line.
# Given: CONTAINER, INIT_PID and ENTER, as controller/emulation/script.py says.
set -eu
: "${CONTAINER:?the container to enter}"
: "${ENTER:=docker exec}"

# A copy of busybox under the program's name stands for it where the image has none.
$ENTER "$CONTAINER" sh -c 'cp /bin/busybox /tmp/@PROGRAM@ && /tmp/@PROGRAM@; rm -f /tmp/@PROGRAM@' || true
"""

_ADS: Final = """# @TITLE@

## Goal

TODO: the behaviour, in one sentence.

## Categorization

| | |
| --- | --- |
| Technique | @TECHNIQUE@ |
| Tactics | TODO |

## Strategy Abstract

- TODO: which events, which fields, what makes it fire.

## Technical Context

TODO: what a responder has to know to judge the alert without looking elsewhere.

## Blind Spots and Assumptions

- TODO: how somebody does this without being seen by it.

## False Positives

- TODO: who does this rightly, and by which field that is known.

## Validation

`emulate.sh` runs @PROGRAM@ in a container:

    nsentry-controller emulate run @NAME@

Expected: TODO.

## Priority

TODO: why medium, and what makes it graver.

## Response

1. **Investigate.** `nsentry-controller alerts show ALERT`: TODO, which fields, which time before and after.
2. **Contain.** `docker pause CONTAINER`: TODO.
3. **Remediate.** `docker diff CONTAINER`: TODO.
4. **Report.** `nsentry-controller alerts close ALERT --as true_positive --reason "..."`.

## Additional Resources

- TODO
"""

_FILES: Final = {"rule.py": _RULE, "tests.yaml": _TESTS, "emulate.sh": _EMULATE, "ADS.md": _ADS}
