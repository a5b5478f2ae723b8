# SPDX-License-Identifier: Apache-2.0
"""The entry matrix, gone for real: each way in is one entry that says what its line says."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.runtimes.watching import Watching
from tests.runtimes.ways import cgroups, docker, files, joins, podman
from tests.runtimes.ways.targets import Ground
from tests.runtimes.ways.way import Quiet, Way, amiss, run
from vagrant.local.dockerd import Dockerd

pytestmark = pytest.mark.runtimes

WAYS: list[Way] = [*docker.WAYS, *joins.WAYS, *cgroups.WAYS, *files.WAYS, *podman.WAYS]
QUIET: list[Quiet] = [*docker.QUIET, *podman.QUIET]

ONE_COMMAND = ("entry", "exit", "session_end")
MARKER = "true"


@pytest.fixture(scope="module")
def ground(dockerd: Dockerd) -> Iterator[Ground]:
    with ExitStack() as undo:
        yield Ground(dockerd, undo)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_each_way_in_is_one_entry_and_says_so(
    way: Way, ground: Ground, watching: Watching, tmp_path: Path
) -> None:
    target = ground[way.into]
    watching.known(target.id)

    def act() -> None:
        way.act(target, scratch=str(tmp_path))

    if way.kind == "attempt":
        watching.during(act, lambda: bool(watching.of("attempt", target.id)))
        assert not watching.of("entry", target.id)
        (attempt,) = watching.of("attempt", target.id)
        assert not amiss(way, target, attempt, scratch=str(tmp_path))
        return
    events = watching.visit(act, target.id)
    assert not amiss(way, target, events[0], scratch=str(tmp_path))
    known = events[0]["container"]
    assert (known["name"], known["image"]) == (target.name, target.image)
    assert set((target.mine or {}).items()) <= set(known["labels"].items())
    assert not watching.of("attempt", target.id)
    assert tuple(event["kind"] for event in events) == (way.session or ONE_COMMAND)


@pytest.mark.parametrize("quiet", QUIET, ids=lambda quiet: quiet.name)
def test_what_is_no_way_in_is_no_entry(
    quiet: Quiet, ground: Ground, watching: Watching, tmp_path: Path
) -> None:
    target = ground[quiet.into]
    watching.known(target.id)
    made = tmp_path / "container"

    def act() -> None:
        run(quiet.run, target, terminal=quiet.terminal, made=str(made))
        # What comes after it in the kernel's ring shows that nothing came before.
        subprocess.run(["nsenter", "-t", str(target.pid), "-m", MARKER], check=True)

    watching.during(act, lambda: bool(watching.of("entry", target.id)))
    # Other daemons of this machine may be visited too: only ours are looked at.
    ours = {target.id, made.read_text(encoding="ascii") if made.exists() else target.id}
    told = [
        (event["kind"], event["means"], event["container"]["id"])
        for event in watching.events
        if event["kind"] in {"entry", "attempt"}
    ]
    assert [one for one in told if one[2] in ours] == [("entry", "ns-join", target.id)]
