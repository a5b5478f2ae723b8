# SPDX-License-Identifier: Apache-2.0
"""What each runtime tells of what is done to a container: one line for each action, done for real.

A new action is a new line in ACTIONS. `run` is for a shell: {client} is the runtime's, {id} a container of the line's
own that runs, {image} its image, {network} a network beside its own, {made} a name that nothing else has, {tmp} a
folder, {socket} the daemon's; of CRI it is the name of a call. `says` are the actions that the record source must tell
of the container, in this order. Where it is empty the runtime tells nothing: that is why docs/cannot-see.md
has the line, and what must leave it on the day that a runtime tells.
"""

from __future__ import annotations

import itertools
import os
import shlex
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.runtimes.containerd import IMAGE as CTR_IMAGE
from tests.runtimes.containerd import Containerd
from tests.runtimes.day.podman import IMAGE as PODMAN_IMAGE
from tests.runtimes.day.podman import Podman
from tests.runtimes.day.work import Work
from tests.runtimes.hearing import Heard, hearing
from tests.runtimes.ways.hybrid import no_controller_in_v2
from vagrant.local.dockerd import Dockerd

pytestmark = pytest.mark.timeout(300)

DOCKER_IMAGE = "busybox:test"
ATTACH = "timeout -s KILL 3 {client} attach --no-stdin --sig-proxy=false {id} || true"


@dataclass(frozen=True)
class Action:
    """One line. `on`: docker, podman-runc, podman-crun, cri or ctr; of each word of `on` it is one test."""

    on: str
    name: str
    run: str
    says: str
    net: str = "none"
    """The container's network."""
    also: str = ""
    """What may be told besides, and when: a runtime's own steps, which differ by its version and the moment."""


PODMANS = "podman-runc podman-crun"
ACTIONS = [
    Action("docker", "exec", "{client} exec {id} id", "exec_create exec_start exec_die"),
    Action("docker", "exec -d", "{client} exec -d {id} id", "exec_create exec_start exec_die"),
    Action(
        "docker",
        "exec of nothing",
        "{client} exec {id} /nosuch || true",
        "exec_create exec_start",
        also="exec_die",
    ),
    Action("docker", "create", "{client} create --cidfile {tmp}/id {image} true", "create"),
    Action(
        "docker",
        "stop and start",
        "{client} stop -t 0 {id}; {client} start {id}",
        "die stop start",
        also="kill network_connect network_disconnect",
    ),
    Action(
        "docker",
        "restart",
        "{client} restart -t 0 {id}",
        "die start restart",
        also="kill stop network_connect network_disconnect",
    ),
    Action("docker", "kill", "{client} kill {id}", "kill die", also="network_disconnect"),
    Action("docker", "pause", "{client} pause {id}; {client} unpause {id}", "pause unpause"),
    Action("docker", "update", "{client} update --restart no {id}", "update"),
    Action("docker", "rename", "{client} rename {id} {made}", "rename"),
    Action("docker", "commit", "{client} commit {id} {made}:1", "commit", also="pause unpause"),
    Action("docker", "cp in", "{client} cp /etc/hostname {id}:/tmp/in", "copy_in", also="copy_out"),
    Action("docker", "cp out", "{client} cp {id}:/etc/passwd {tmp}/out", "copy_out"),
    Action("docker", "export", "{client} export -o {tmp}/all {id}", "export"),
    Action("docker", "attach", ATTACH, "attach", also="detach"),
    Action(
        "docker",
        "network connect",
        "{client} network connect {network} {id}",
        "network_connect",
        net="{first}",
    ),
    Action(
        "docker",
        "network disconnect",
        "{client} network disconnect {first} {id}",
        "network_disconnect",
        net="{first}",
    ),
    Action("docker", "remove", "{client} rm -f {id}", "kill die destroy", also="network_disconnect"),
    Action(PODMANS, "exec", "{client} exec {id} id", "exec_start exec_die"),
    Action(PODMANS, "exec -d", "{client} exec -d {id} true", "exec_start exec_die"),
    Action(
        PODMANS, "exec by its API", "/usr/bin/docker -H unix://{socket} exec {id} id", "exec_start exec_die"
    ),
    Action(PODMANS, "create", "{client} create --net=none --cidfile {tmp}/id {image} true", "create"),
    Action(
        PODMANS,
        "stop and start",
        "{client} stop -t 0 {id}; {client} start {id}",
        "die start",
        also="stop kill",
    ),
    Action(PODMANS, "restart", "{client} restart -t 0 {id}", "restart die start", also="stop kill"),
    Action(PODMANS, "kill", "{client} kill {id}", "kill die"),
    Action(PODMANS, "pause", "{client} pause {id}; {client} unpause {id}", "pause unpause"),
    Action(PODMANS, "rename", "{client} rename {id} {made}", "rename"),
    Action(PODMANS, "commit", "{client} commit {id} localhost/{made}:1", "commit", also="pause unpause"),
    Action(PODMANS, "attach", ATTACH, "attach"),
    Action(PODMANS, "remove", "{client} rm -f -t 0 {id}", "die destroy", also="stop kill"),
    Action(PODMANS, "update", "{client} update --cpu-shares 512 {id}", ""),
    Action(PODMANS, "cp in", "{client} cp /etc/hostname {id}:/tmp/in", ""),
    Action(PODMANS, "cp out", "{client} cp {id}:/etc/passwd {tmp}/out", ""),
    Action(
        PODMANS, "cp in by its API", "/usr/bin/docker -H unix://{socket} cp /etc/hostname {id}:/tmp/in", ""
    ),
    Action(
        PODMANS, "cp out by its API", "/usr/bin/docker -H unix://{socket} cp {id}:/etc/passwd {tmp}/out", ""
    ),
    Action(PODMANS, "network connect", "{client} network connect {network} {id}", "", net="{first}"),
    Action("cri", "ExecSync", "exec_sync", "exec_create exec_start exec_die"),
    Action("cri", "Exec by its stream", "exec", "exec_create exec_start exec_die"),
    Action("cri", "a container made and started", "start", "create start"),
    Action(
        "ctr", "task exec", "{client} task exec --exec-id {made} {id} id", "exec_create exec_start exec_die"
    ),
    Action("ctr", "task pause", "{client} task pause {id}; {client} task resume {id}", "pause unpause"),
    Action("ctr", "task kill", "{client} task kill -s KILL {id}", "die"),
]


class Docker:
    """What the lines of docker are done with."""

    def __init__(self, undo: ExitStack) -> None:
        daemon = self._daemon = undo.enter_context(Dockerd())
        daemon.image(DOCKER_IMAGE)
        for name in ("first", "beside"):
            daemon.docker("network", "create", name)
        self.place = daemon.socket
        client = shlex.join(daemon.command())
        self.words = {"client": client, "image": DOCKER_IMAGE, "first": "first", "network": "beside"}

    def begin(self, network: str) -> str:
        """A container that runs."""
        return self._daemon.run(DOCKER_IMAGE, "sleep", "600", options=["--network", network])

    def mark(self) -> str:
        """What is told after all that was told before: that this container was made."""
        return self._daemon.docker("create", DOCKER_IMAGE, "true")

    def do(self, line: str, words: dict[str, str]) -> None:
        """One action."""
        shell(line, words)


class Engine:
    """What the lines of podman are done with. `runtime`: runc or crun."""

    def __init__(self, undo: ExitStack, runtime: str) -> None:
        if runtime == "crun":
            undo.enter_context(no_controller_in_v2())
        podman = self._podman = Podman(Work(), undo, runtime)
        podman.stay()
        self.place = podman.socket
        names = [f"n{number}{podman.socket.parent.name[4:]}" for number in (1, 2)]
        for name in names:
            podman._do("network", "create", name)
            undo.callback(podman._do, "network", "rm", "-f", name)
        client = shlex.join(podman._command)
        self.words = {"client": client, "image": PODMAN_IMAGE, "first": names[0], "network": names[1]}

    def begin(self, network: str) -> str:
        """As of Docker."""
        return self._podman.container("--network", network)

    def mark(self) -> str:
        """As of Docker."""
        return self._podman._do("create", "--network=none", PODMAN_IMAGE, "true")

    def do(self, line: str, words: dict[str, str]) -> None:
        """As of Docker."""
        shell(line, words)


class Kubelet:
    """What the lines of CRI are done with."""

    def __init__(self, undo: ExitStack) -> None:
        self._daemon = undo.enter_context(Containerd())
        self._pods = self._daemon.pods
        self._pod = self._pods.run(app="actions")
        self.place = self._daemon.socket
        self.words: dict[str, str] = {}

    def begin(self, _network: str) -> str:
        """As of Docker."""
        return self._pods.start(self._pod, f"web{next(_numbers)}")

    def mark(self) -> str:
        """As of Docker."""
        return self.begin("")

    def do(self, line: str, words: dict[str, str]) -> None:
        """A call by its name."""
        if line == "start":
            Path(words["tmp"], "id").write_text(self.begin(""), encoding="ascii")
        else:
            getattr(self._pods, line)(words["id"], "id")


class Task:
    """What the lines of ctr are done with: containerd without a pod."""

    def __init__(self, undo: ExitStack) -> None:
        self._daemon = undo.enter_context(Containerd())
        self._undo = undo
        self.place = self._daemon.socket
        self.words = {"client": shlex.join(self._daemon.client())}

    def begin(self, _network: str) -> str:
        """As of Docker. runc keeps its state in one folder for all daemons of containerd."""
        name = f"actions{os.getpid()}n{next(_numbers)}"
        self._daemon.ctr("run", "-d", CTR_IMAGE, name, "sleep", "600")
        self._undo.callback(
            subprocess.run, self._daemon.client("task", "rm", "-f", name), capture_output=True
        )
        return name

    def mark(self) -> str:
        """As of Docker."""
        return self.begin("")

    def do(self, line: str, words: dict[str, str]) -> None:
        """As of Docker."""
        shell(line, words)


Place = Docker | Engine | Kubelet | Task
PLACES: dict[str, Callable[[ExitStack], Place]] = {
    "docker": Docker,
    "podman-runc": lambda undo: Engine(undo, "runc"),
    "podman-crun": lambda undo: Engine(undo, "crun"),
    "cri": Kubelet,
    "ctr": Task,
}
_numbers = itertools.count(1)


def shell(line: str, words: dict[str, str]) -> None:
    """Runs a line; it must end well."""
    done = subprocess.run(
        ["/bin/sh", "-ec", line.format(**words)], capture_output=True, check=False, timeout=120
    )
    assert done.returncode == 0, (line, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def place(request: pytest.FixtureRequest) -> Iterator[tuple[Place, Heard]]:
    with ExitStack() as undo:
        made = PLACES[request.param](undo)
        heard = undo.enter_context(hearing(made.place))
        heard.until(action="source_up")
        yield made, heard


PAIRS = [(name, action) for name in PLACES for action in ACTIONS if name in action.on.split()]


@pytest.mark.parametrize(
    ("place", "action"),
    PAIRS,
    ids=[f"{name} {action.name}" for name, action in PAIRS],
    indirect=["place"],
    scope="module",
)
def test_each_action_is_told_as_its_line_says(
    action: Action, place: tuple[Place, Heard], tmp_path: Path
) -> None:
    at, heard = place
    container = at.begin(action.net.format(**at.words))
    heard.until(action="start", container=container)
    before = len(heard.of(container=container))
    made = f"made{os.getpid()}n{next(_numbers)}"
    words = {**at.words, "id": container, "made": made, "tmp": str(tmp_path), "socket": str(at.place)}
    at.do(action.run, words)
    if (tmp_path / "id").exists():
        container, before = (tmp_path / "id").read_text(encoding="ascii").strip(), 0
    heard.until(action="create", container=at.mark())
    for wanted in set(action.says.split()):
        heard.until(action=wanted, container=container)
    # Each once: podman's client and its cleaner may both tell of an end, docker tells twice of what left a network.
    said = list(dict.fromkeys(each.action for each in heard.of(container=container)[before:]))
    assert [each for each in said if each not in action.also.split()] == action.says.split()
    assert set(said) <= {*action.says.split(), *action.also.split()}
