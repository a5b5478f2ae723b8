# SPDX-License-Identifier: Apache-2.0
"""A detection's emulate.sh: what it says of itself, and how it is run against one container.

It is given CONTAINER (the id), NAME, ENTER (the command that enters it, to be followed by options, the id and what to
run) and INIT_PID (the container's first process, as a pid of the host). Its first comment says what it does, and a line
"# Runtimes: docker podman" which runtimes it is for, where that is not all. One that uses neither ENTER nor
INIT_PID nor NAME is for docker. A line "# Knob NAME: VALUE" sets a knob for visits to the run's containers alone.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from controller.emulation.place import EmulationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controller.emulation.disposable import Made
    from controller.emulation.place import Place

SCRIPT_S: Final = 60.0
RUNTIMES: Final = ("docker", "podman", "cri")
_MARK: Final = "# Runtimes: "


def does(script: Path) -> str:
    """What it does: its first comment that is not its licence."""
    return next((each for each in comments(script) if not each.startswith("SPDX")), "")


def runtimes(script: Path) -> tuple[str, ...]:
    """The runtimes that it can be run on."""
    text = script.read_text(encoding="utf-8")
    said = next((line.removeprefix(_MARK) for line in text.splitlines() if line.startswith(_MARK)), None)
    if said is None:
        return RUNTIMES if any(name in text for name in ("${ENTER", "${INIT_PID", "${NAME")) else RUNTIMES[:1]
    return tuple(each for each in RUNTIMES if each in said.split())


def knobs(script: Path) -> dict[str, list[str]]:
    """The knobs that its lines "# Knob NAME: VALUE..." set, for the containers of its run alone."""
    said = [
        line.removeprefix("Knob ").split(": ", 1) for line in comments(script) if line.startswith("Knob ")
    ]
    return {name: value.split() for name, value in said}


def run(
    script: Path,
    made: Made,
    place: Place,
    state: Path,
    more: Mapping[str, str] = MappingProxyType({}),
    *,
    patience: float = SCRIPT_S,
) -> None:
    """Does to the container what the detection must see. `state`: the folder of the controller that must see it.

    `more` is given to it besides. EmulationError, with the script's output, if it fails or takes more than `patience`
    seconds.
    """
    given = {"CONTAINER": made.id, "ENTER": " ".join(made.enter), "INIT_PID": str(made.init_pid)}
    given |= {"NAME": made.name, **more}
    if not place.via:
        # What only an API server's audit can show is replayed by the very program that runs this.
        given["NSENTRY_CONTROLLER_STATE"] = str(state)
        given["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    words = [f"{name}={value}" for name, value in given.items()]
    text = script.read_text(encoding="utf-8")
    try:
        place.run(["env", *words, "sh", "-c", text], timeout=patience)
    except EmulationError as error:
        raise EmulationError(f"{script.parent.name}/{script.name}: {error}") from error


def comments(script: Path) -> list[str]:
    """Its comments without their mark, in order."""
    lines = script.read_text(encoding="utf-8").splitlines()
    return [line.removeprefix("# ") for line in lines[1:] if line.startswith("# ")]
