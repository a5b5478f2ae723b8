# SPDX-License-Identifier: Apache-2.0
"""What the lines of the matrix enter: each container is started when the first line asks for it.

A newcomer adds one by a function below `@target("name")`.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from tests.runtimes.ways.hybrid import no_controller_in_v2
from tests.runtimes.ways.way import Target
from vagrant.local.dockerd import Dockerd, root_file_system

IMAGE = "busybox:test"
PODMAN_IMAGE = "localhost/busybox:test"
SLEEP = ("sleep", "3600")
LABEL = {"team": "shop"}
POWERS = ("--cap-add=SYS_ADMIN", "--cap-add=SYS_PTRACE")

Start = Callable[["Ground"], Target]
_STARTS: dict[str, Start] = {}


def target(name: str) -> Callable[[Start], Start]:
    """Give a target the name that lines know it by."""

    def register(start: Start) -> Start:
        _STARTS[name] = start
        return start

    return register


class Ground:
    """Targets by name, all stopped at the end."""

    def __init__(self, dockerd: Dockerd, undo: ExitStack) -> None:
        self.dockerd = dockerd
        self.undo = undo
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Target:
        return self.once(name, _STARTS[name])

    def once(self, name: str, make: Callable[[Ground], Any]) -> Any:
        """What `make` made at the first call."""
        if name not in self._made:
            self._made[name] = make(self)
        return self._made[name]

    def crun(self) -> None:
        """Make crun work on this machine, until the end."""
        self.once("crun", lambda self: self.undo.enter_context(no_controller_in_v2()))


def own(pid: int, home: int | None = None) -> frozenset[str]:
    """Kinds of namespaces that `pid` does not share with `home`, with us where it is None."""
    there = Path(f"/proc/{home or 'self'}/ns")
    kinds = os.listdir("/proc/self/ns")  # noqa: PTH208 - names are all that is needed
    return frozenset(
        kind
        for kind in kinds
        if not kind.endswith("_for_children")
        and (there / kind).readlink() != Path(f"/proc/{pid}/ns/{kind}").readlink()
    )


def _docker(*options: str, command: tuple[str, ...] = SLEEP) -> Start:
    def start(ground: Ground) -> Target:
        if "crun" in options:
            ground.crun()
        dockerd = ground.dockerd
        labels = [f"--label={key}={value}" for key, value in LABEL.items()]
        made = dockerd.run(IMAGE, *command, options=[*labels, *options])
        pid = dockerd.init_pid(made)
        return Target(
            made,
            dockerd.docker("inspect", "-f", "{{.Name}}", made).strip("/"),
            pid,
            "docker",
            # The daemon stands in a network namespace of its own, and its runtime with it.
            own(pid, dockerd.pid),
            {
                "docker": shlex.join(dockerd.command()),
                "socket": str(dockerd.socket),
                "image": IMAGE,
                "daemon": str(dockerd.pid),
            },
            image=IMAGE,
            mine=LABEL,
        )

    return start


def _folder(ground: Ground, prefix: str) -> Path:
    """A folder of podman's, gone at the end: what conmon started to clean up may be writing there still."""
    folder = Path(mkdtemp(prefix=prefix))

    def clear() -> None:
        for _ in range(20):
            shutil.rmtree(folder, ignore_errors=True)
            if not folder.exists():
                return
            time.sleep(0.5)
        raise AssertionError(f"{folder} cannot be removed")

    ground.undo.callback(clear)
    return folder


def engine(ground: Ground) -> list[str]:
    """Podman's command line, with all that it keeps in a folder of its own, and our image in it."""
    ground.crun()
    folder = _folder(ground, "nsp-")
    limits = '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]\n'
    (folder / "containers.conf").write_text(limits, encoding="ascii")
    places = [f"--{name}={folder / name}" for name in ("root", "runroot", "tmpdir")]
    # It can neither lift limits nor use a controller that crun does not find; it needs no network.
    command = ["env", f"CONTAINERS_CONF={folder / 'containers.conf'}", "podman", *places]
    command += ["--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--events-backend=file"]
    subprocess.run(
        [*command, "import", "-", PODMAN_IMAGE], input=root_file_system(), check=True, capture_output=True
    )
    ground.undo.callback(_remove_all, command)
    return command


def _remove_all(podman: list[str]) -> None:
    """Podman may find a container in the midst of its end, and refuse: it is asked again, a few times."""
    for _ in range(5):
        done = subprocess.run(
            [*podman, "rm", "-f", "-t", "0", "-a"], check=False, capture_output=True, text=True
        )
        if done.returncode == 0:
            return
        time.sleep(0.5)
    raise AssertionError(f"podman left containers behind: {done.stderr[-500:]}")


def _podman(runtime: str, *options: str) -> Start:
    def start(ground: Ground) -> Target:
        command: list[str] = ground.once("engine", engine)

        def podman(*arguments: str) -> str:
            done = subprocess.run([*command, *arguments], check=True, capture_output=True, text=True)
            return done.stdout.strip()

        made = podman("--runtime", runtime, "run", "-d", "--net=none", *options, PODMAN_IMAGE, *SLEEP)
        pid = int(podman("inspect", "-f", "{{.State.Pid}}", made))
        words = {"podman": shlex.join(command), "image": PODMAN_IMAGE}
        uid = Path(f"/proc/{pid}").stat().st_uid
        name = podman("inspect", "-f", "{{.Name}}", made)
        return Target(made, name, pid, "podman", own(pid), words, image=PODMAN_IMAGE, uid=uid)

    return start


_USER = 60_123
"""Of somebody who exists only in a mount namespace of these tests."""
_ACCOUNTS = {
    "passwd": f"rootless:x:{_USER}:{_USER}::%s:/bin/sh\n",
    "group": f"rootless:x:{_USER}:\n",
    "subuid": "rootless:200000:65536\n",
    "subgid": "rootless:200000:65536\n",
}


def rootless_engine(ground: Ground) -> list[str]:
    """Podman's command line for a user who is not root, with our image in his own store."""
    folder = _folder(ground, "nsr-")
    folder.chmod(0o755)
    for name, line in _ACCOUNTS.items():
        now = Path("/etc", name).read_text(encoding="utf-8") if Path("/etc", name).exists() else ""
        (folder / name).write_text(now + (line % folder if "%" in line else line), encoding="utf-8")
    limits = '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]\n'
    (folder / "containers.conf").write_text(limits, encoding="ascii")
    for name in ("home", "run"):
        (folder / name).mkdir(mode=0o700)
        os.chown(folder / name, _USER, _USER)
    mounts = " && ".join(f"mount --bind {folder / name} /etc/{name}" for name in _ACCOUNTS)
    (folder / "as-user").write_text(
        f"#!/bin/sh\n{mounts} && exec setpriv --reuid={_USER} --regid={_USER} --clear-groups env -i "
        f'"PATH=$PATH" HOME={folder / "home"} XDG_RUNTIME_DIR={folder / "run"} '
        f'CONTAINERS_CONF={folder / "containers.conf"} "$@"\n',
        encoding="ascii",
    )
    (folder / "as-user").chmod(0o755)
    command = ["unshare", "--mount", "--propagation", "private", str(folder / "as-user"), "podman"]
    command += ["--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--events-backend=file"]
    subprocess.run(
        [*command, "import", "-", PODMAN_IMAGE], input=root_file_system(), check=True, capture_output=True
    )
    # Ends the process that keeps the user's namespaces.
    ground.undo.callback(subprocess.run, [*command, "system", "migrate"], check=True, capture_output=True)
    ground.undo.callback(_remove_all, command)
    return command


def _rootless(*options: str) -> Start:
    def start(ground: Ground) -> Target:
        command: list[str] = ground.once("rootless-engine", rootless_engine)

        def podman(*arguments: str) -> str:
            done = subprocess.run([*command, *arguments], check=True, capture_output=True, text=True)
            return done.stdout.strip().splitlines()[-1]

        made = podman("--runtime", "runc", "run", "-d", "--net=none", *options, PODMAN_IMAGE, *SLEEP)
        pid = int(podman("inspect", "-f", "{{.State.Pid}}", made))
        uid = Path(f"/proc/{pid}").stat().st_uid
        user = None if "--userns=keep-id" in options else "root"
        name = podman("inspect", "-f", "{{.Name}}", made)
        words = {"podman": shlex.join(command), "image": PODMAN_IMAGE}
        return Target(made, name, pid, "podman", own(pid), words, image=PODMAN_IMAGE, uid=uid, user=user)

    return start


target("docker")(_docker())
target("docker-crun")(_docker("--runtime", "crun"))
target("docker-powers")(_docker(*POWERS))
target("docker-cgroupns")(_docker("--cgroupns=private"))
target("docker-hostpid")(_docker("--pid=host"))
target("docker-samenet")(_docker("--network=host"))
target("docker-moved")(
    _docker(
        "--cap-add=SYS_ADMIN", "--security-opt=seccomp=unconfined", command=("unshare", "-m", "sleep", "3600")
    )
)
target("docker-cat")(_docker("-i", command=("cat",)))
target("podman-crun")(_podman("crun"))
target("podman-runc")(_podman("runc"))
target("podman-userns")(_podman("crun", "--uidmap=0:100000:65536"))
target("podman-userns-auto")(
    _podman("crun", "--userns=auto:uidmapping=0:300000:65536,gidmapping=0:300000:65536")
)
target("podman-rootless")(_rootless())
target("podman-rootless-keep-id")(_rootless("--userns=keep-id"))
