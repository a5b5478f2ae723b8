# SPDX-License-Identifier: Apache-2.0
"""Who it was, by each way that leads from a person, a job or a service to a container: a table of real ones."""

from __future__ import annotations

import json
import pwd
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.runtimes.containerd import Containerd
from tests.runtimes.lab import BOB, JANE, Lab
from tests.runtimes.people import console, cron, rootless, sudoers
from tests.runtimes.ways.targets import PODMAN_IMAGE, Ground, engine

HERE = Path(__file__).parent.parent.parent
PYTHON = shlex.quote(sys.executable)


class Places(Lab):
    """The lab, with what the other runtimes need, each begun when a row asks for it."""

    def __init__(self, folder: Path, undo: ExitStack) -> None:
        super().__init__(folder, undo)
        self._made: dict[str, Any] = {}

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """What a row needs, made once."""
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]

    @property
    def containerd(self) -> Containerd:
        """A containerd with CRI."""
        found: Containerd = self.once("containerd", lambda: self.undo.enter_context(Containerd()))
        return found


@dataclass(frozen=True, slots=True)
class Row:
    """`act` goes in, and says where; all that follows is what must be told of who it was."""

    name: str
    act: Callable[[Places], str]
    kind: str
    who: str | None
    source: str | None = "ssh"
    via: tuple[str, ...] = ()
    confidence: tuple[str, ...] = ("exact",)
    among: bool = False
    """Another may have asked as well, for all that can be known: then nobody is named, and he is among those told."""
    says: str = ""
    """Stands in the reason, or in the evidence."""


def docker(account: str, *words: str, command: str = "{docker}") -> Callable[[Places], str]:
    """Somebody over ssh asks docker, in a line around that."""

    def act(lab: Places) -> str:
        web, name = lab.web()
        asked = lab.docker("exec", *words, name, "id")
        line = command.format(docker=asked, quoted=shlex.quote(asked), pid=lab.dockerd.init_pid(web))
        lab.sshd.run(account, line)
        return web

    return act


_ASK = """
import http.client, json, socket, sys
class Docker(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sys.argv[1])
def ask(path, body):
    docker = Docker("docker")
    docker.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    return docker.getresponse().read()
made = json.loads(ask(f"/containers/{sys.argv[2]}/exec", {"Cmd": ["id"], "AttachStdout": True}))
ask(f"/exec/{made['Id']}/start", {"Detach": False})
"""


def by_python(lab: Places) -> str:
    web, _ = lab.web()
    lab.sshd.run(JANE, shlex.join(["python3", "-c", _ASK, str(lab.dockerd.socket), web]))
    return web


def by_curl(lab: Places) -> str:
    web, _ = lab.web()
    curl = f"curl -s --unix-socket {lab.dockerd.socket} -H 'Content-Type: application/json' http://d"
    body = shlex.quote(json.dumps({"Cmd": ["id"], "AttachStdout": True}))
    made = f"made=$({curl}/containers/{web}/exec -d {body} | cut -d'\"' -f4)"
    lab.sshd.run(BOB, f"{made}; {curl}/exec/$made/start -d '{{}}' -o /dev/null")
    return web


def by_su(lab: Places) -> str:
    return docker("root", command=f"su {JANE} -c {{quoted}}")(lab)


def by_sudo(line: str) -> Callable[[Places], str]:
    def act(lab: Places) -> str:
        lab.once("sudoers", lambda: lab.undo.enter_context(sudoers(JANE)))
        return docker(JANE, command=line)(lab)

    return act


def by_nohup(lab: Places) -> str:
    web, name = lab.web()
    later = f"sleep 3; {lab.docker('exec', name, 'id')}"
    lab.sshd.run(JANE, f"nohup setsid sh -c {shlex.quote(later)} >/dev/null 2>&1 &")
    return web


def by_cron(lab: Places) -> str:
    web, name = lab.web()
    with cron(JANE, lab.docker("exec", name, "id")):
        lab.entries(web)
    return web


def by_console(lab: Places) -> str:
    web, name = lab.web()
    console(BOB, lab.docker("exec", name, "id"))
    return web


def by_podman(lab: Places) -> str:
    podman = lab.once("podman", lambda: engine(Ground(lab.dockerd, lab.undo)))
    line = [*podman, "--runtime", "runc", "run", "-d", "--net=none", PODMAN_IMAGE, "sleep", "600"]
    made = subprocess.run(line, check=True, capture_output=True, text=True).stdout.strip()
    lab.sshd.run("root", shlex.join([*podman, "exec", made, "sleep", "0.5"]))
    return made


def by_rootless(lab: Places) -> str:
    podman = lab.once("rootless", lambda: rootless(lab.sshd, JANE, lab.undo))
    made = lab.sshd.run(JANE, f"{podman} run -d --net=none {PODMAN_IMAGE} sleep 600").split()[-1]
    lab.sshd.run(JANE, f"{podman} exec {made} sleep 0.5")
    return made


def by_ctr(lab: Places) -> str:
    name = f"t{lab.containerd.pid}"
    lab.containerd.ctr("run", "-d", "localhost/busybox:test", name, "sleep", "600")
    lab.undo.callback(lab.containerd.ctr, "task", "rm", "-f", name)
    lab.sshd.run("root", shlex.join(lab.containerd.client("task", "exec", "--exec-id", "x1", name, "id")))
    return name


def by_cri(lab: Places) -> str:
    """As crictl does: a process of a person's that speaks the CRI."""
    pod = lab.containerd.pods.run(app="cart")
    made = lab.containerd.pods.start(pod, "web")
    ask = f"from tests.runtimes.cri import Pods; Pods('{lab.containerd.socket}').exec_sync('{made}', 'id')"
    lab.sshd.run("root", f"cd {HERE} && {PYTHON} -c {shlex.quote(ask)}")
    return made


_AMONG_OTHERS = ("exact", "strong", "weak")
"""Other sensors of this machine may be connected to our containerd too, and do not say what for."""

TABLE = (
    Row("docker's group", docker(JANE), "person", JANE),
    Row("docker exec -d", docker(BOB, "-d"), "person", BOB),
    Row("the socket by python", by_python, "person", JANE),
    Row("the socket by curl", by_curl, "person", BOB),
    Row("sudo docker", by_sudo("sudo -n {docker}"), "person", JANE, via=("sudo",), says="it ran as root"),
    Row(
        "sudo as somebody else",
        by_sudo(f"sudo -n -u {BOB} {{docker}}"),
        "person",
        JANE,
        via=("sudo",),
        says=f"it ran as {BOB}",
    ),
    Row("sudo su", by_sudo(f"sudo -n su {BOB} -c {{quoted}}"), "person", JANE, via=("su", "sudo")),
    Row("su", by_su, "person", "root", via=("su",), says=f"it ran as {JANE}"),
    Row("sudo nsenter", by_sudo("sudo -n nsenter -t {pid} -a sleep 0.5"), "person", JANE, via=("sudo",)),
    Row(
        "what outlives its login",
        by_nohup,
        "person",
        JANE,
        source=None,
        confidence=("strong",),
        says="that login has ended",
    ),
    Row("cron", by_cron, "cron", JANE, source=None),
    Row("a console", by_console, "person", BOB, source=None),
    Row("podman of root", by_podman, "person", "root"),
    Row("podman of a user", by_rootless, "person", JANE),
    Row("ctr task exec", by_ctr, "person", "root", confidence=_AMONG_OTHERS),
    Row("a client of the CRI", by_cri, "person", "root", confidence=_AMONG_OTHERS, among=True),
)


@pytest.fixture(scope="module")
def lab(tracefs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    with ExitStack() as undo:
        yield Places(tmp_path_factory.mktemp("principals"), undo)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_who_it_was_is_told_rightly_and_as_surely_as_it_is(row: Row, lab: Places) -> None:
    (entry,) = lab.entries(row.act(lab))
    who = entry["principal"]
    source = who["source"] and ("ssh" if who["source"].startswith("127.0.0.1:") else who["source"])
    if row.among and who["kind"] == "unknown":
        assert any(each.startswith(f"{row.who} (127.0.0.1:") for each in who["candidates"]), json.dumps(who)
        return
    told = (who["kind"], who["name"], source, tuple(who["via"]), who["confidence"])
    assert told in {(row.kind, row.who, row.source, row.via, each) for each in row.confidence}, json.dumps(
        who
    )
    account = None if row.who is None else pwd.getpwnam(row.who).pw_uid
    assert who["uid"] == account
    assert row.says in "; ".join([who["reason"], *who["evidence"]])
