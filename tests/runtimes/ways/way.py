# SPDX-License-Identifier: Apache-2.0
"""One line of the entry matrix: how somebody comes in, and what the one entry must say."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

PROGRAMS = Path(__file__).parent / "programs"
CAP_LAST_CAP = Path("/proc/sys/kernel/cap_last_cap")

OWN = "own"
"""Every kind of namespace that the container does not share with the host."""


def has_every_capability() -> bool:
    """Whether a process here can be given all capabilities, as `--privileged` asks for."""
    line = next(
        line
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        if "CapBnd" in line
    )
    return int(line.split()[1], 16) == (1 << (int(CAP_LAST_CAP.read_text(encoding="ascii")) + 1)) - 1


@dataclass(frozen=True, slots=True)
class Target:
    """A container that runs, and the words that a line may name it by."""

    id: str
    name: str
    pid: int
    """Of its first process, on the host."""
    runtime: str
    own: frozenset[str]
    """The kinds of its namespaces that are not the host's."""
    words: Mapping[str, str]
    """What stands for {docker}, {id}, {pid}, ... in a line."""
    image: str | None = None
    uid: int = 0
    """Whom its first process runs as, as the host sees it."""
    user: str | None = "root"
    """What that one is called inside; only root has a name there."""
    mine: Mapping[str, str] | None = None
    """Labels that it must be known by, where its runtime tells them."""


@dataclass(frozen=True, slots=True)
class Way:
    """A way in. `run` is a shell's line with {words}; all that follows is what the entry must say."""

    name: str
    into: str
    """Name of the target: see `targets`."""
    run: str
    means: str
    runs: str = "id"
    """What is executed inside."""
    namespaces: str = OWN
    verdict: str = "both"
    by: str = ""
    """Name of the process outside that crossed."""
    above: tuple[str, ...] = ()
    """Names that stand in the ancestry, the nearest first; others may stand between them."""
    uid: int | None = None
    """None: whom the container itself runs as, whatever the host calls it."""
    cwd: str = "/"
    tty: Literal["pts"] | None = None
    """Kind of its terminal: the number depends on who else has just had one."""
    terminal: bool = False
    """It is typed at a terminal."""
    exec_id: bool = False
    """The runtime's own id of it is known."""
    gone: bool = False
    """Who crossed may be gone before /proc is read, where his arguments stand."""
    kind: Literal["entry", "attempt"] = "entry"
    session: tuple[str, ...] | None = None
    """Kinds of the events of the whole session, where they are not just those of one command."""

    def act(self, target: Target, **more: str) -> None:
        """Go in, and wait until it is over."""
        run(self.run, target, terminal=self.terminal, check=self.kind == "entry", **more)


@dataclass(frozen=True, slots=True)
class Quiet:
    """What looks like a way in and is none: neither an entry nor an attempt."""

    name: str
    into: str
    run: str
    terminal: bool = False


def run(line: str, target: Target, *, terminal: bool = False, check: bool = True, **more: str) -> None:
    """Run a line as a person's shell would, at a terminal or with none. `more` are further {words}."""
    words = {**target.words, "id": target.id, "name": target.name, "pid": str(target.pid), **more}
    words |= {"python": "/usr/bin/python3", "programs": shlex.quote(str(PROGRAMS))}
    # What follows keeps the shell from becoming the program: it stays the one who called for it.
    command = ["sh", "-c", f"{line.format(**words)}; exit $?"]
    if terminal:
        command = ["script", "-qec", shlex.join(command), "/dev/null"]
    done = subprocess.run(
        command, check=False, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, cwd="/"
    )
    assert not check or done.returncode == 0, done.stdout.decode() + done.stderr.decode()


def amiss(way: Way, target: Target, entry: Mapping[str, Any], **more: str) -> dict[str, tuple[Any, Any]]:
    """Where the entry, or the attempt, does not say what the line says: (told, expected) by what it is about."""
    wanted = target.own if way.namespaces == OWN else set(way.namespaces.split())
    chain = [step["comm"] for step in entry["ancestry"]]
    told = {
        "means": entry["means"],
        "namespaces": set(entry["namespaces"]),
        "container": (
            entry["container"]["id"],
            entry["container"]["runtime"],
            entry["container"]["init_pid"],
        ),
        "by": entry["entered_by"]["comm"],
        "its arguments": way.gone or entry["entered_by"]["argv"] is not None,
        "exec id": entry["exec_id"] is not None,
        "above": [name for name in chain if name in way.above],
        "root": chain[-1:] != [] and entry["ancestry"][-1]["pid"],
    }
    expected = {
        "means": way.means,
        "namespaces": wanted,
        "container": (target.id, target.runtime, target.pid),
        "by": way.by,
        "its arguments": True,
        "exec id": way.exec_id,
        "above": list(way.above),
        "root": 1,
    }
    if way.kind == "entry":
        process = entry["process"]
        told |= {name: process[name] for name in ("argv", "uid", "user", "cwd")} | {
            "verdict": entry["verdict"],
            "tty": process["tty"] and process["tty"].partition("/")[0],
        }
        expected |= {
            "argv": shlex.split(way.runs.format(pid=target.pid, **more)),
            "uid": target.uid if way.uid is None else way.uid,
            "user": target.user if way.uid is None else "root" if way.uid == 0 else None,
            "cwd": way.cwd,
            "tty": way.tty,
            "verdict": way.verdict,
        }
    return {key: (told[key], expected[key]) for key in told if told[key] != expected[key]}
