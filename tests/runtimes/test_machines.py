# SPDX-License-Identifier: Apache-2.0
"""Containers of LXC and systemd-nspawn, which no OCI runtime makes: named as what they are, and who enters is told."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import pytest

from sensor.probe import BPF_SOURCES
from tests.runtimes.watching import Watching
from vagrant.local.dockerd import root_file_system

pytestmark = pytest.mark.runtimes

TRUE = ["/bin/busybox", "true"]
NSPAWN_NAME, LXC_NAME = f"nsn{os.getpid()}", f"nsl{os.getpid()}"
_CONFIG = """
lxc.rootfs.path = dir:{folder}/root
lxc.rootfs.mount = {folder}/mnt
lxc.uts.name = box
lxc.net.0.type = empty
lxc.mount.auto = proc:mixed
lxc.apparmor.profile = unconfined
lxc.init.cmd = /bin/sleep 3600
lxc.tty.max = 0
"""


@dataclass(frozen=True, slots=True)
class Machine:
    """One that runs, and how its own tool enters it, where that needs nothing inside."""

    id: str
    runtime: str
    pid: int
    attach: Callable[[], object] | None = None


@pytest.fixture(scope="module", params=["core", "bcc"])
def watching(request: pytest.FixtureRequest) -> Iterator[Watching]:
    subprocess.run(["make", "-C", str(BPF_SOURCES)], check=True, capture_output=True)
    watching = Watching(request.param, [])
    yield watching
    watching.close()


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    made = Path(mkdtemp(prefix="nsm-"))
    (made / "root").mkdir()
    subprocess.run(["tar", "-x", "-C", made / "root"], input=root_file_system(), check=True)
    for name in ("root/usr", "root/etc", "root/proc", "root/sys", "root/dev", "mnt", "lxc"):
        (made / name).mkdir(parents=True, exist_ok=True)
    (made / "root/etc/os-release").touch()
    yield made
    shutil.rmtree(made)


def nspawn(folder: Path, undo: ExitStack) -> Machine:
    """In the cgroup that systemd-machined would have made for it, on every hierarchy that it would be in."""
    groups = [Path("/sys/fs/cgroup", each) for each in ("unified", "pids", "systemd")]
    roots = [each for each in groups if each.is_dir()] or [Path("/sys/fs/cgroup")]
    scopes = [root / "machine.slice" / f"machine-{NSPAWN_NAME}.scope" for root in roots]
    for scope in scopes:
        (scope / "payload").mkdir(parents=True)
        undo.callback(_remove, scope)
    moves = "; ".join(f"echo $$ >{scope}/payload/cgroup.procs" for scope in scopes)
    run = (
        f"exec systemd-nspawn --register=no --keep-unit -q -D {folder}/root -M {NSPAWN_NAME} /bin/sleep 3600"
    )
    made = subprocess.Popen(["sh", "-c", f"{moves}; {run}"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    undo.callback(made.communicate)
    undo.callback(lambda: [os.kill(pid, signal.SIGKILL) for pid in _children(made.pid)])
    end = time.monotonic() + 30
    while not any(Path(f"/proc/{pid}/comm").read_text() == "sleep\n" for pid in _children(made.pid)):
        assert made.poll() is None, made.communicate()
        assert time.monotonic() < end
        time.sleep(0.05)
    return Machine(NSPAWN_NAME, "nspawn", _children(made.pid)[0])


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _remove(scope: Path) -> None:
    """The innermost first; its slice stays where others use it."""
    for group in sorted(scope.rglob("*/"), reverse=True):
        with suppress(OSError):
            group.rmdir()
    for group in (scope, scope.parent):
        with suppress(OSError):
            group.rmdir()


def lxc(folder: Path, undo: ExitStack) -> Machine:
    """By Debian's own packages, unpacked where they disturb nobody."""
    tools = _lxc_tools(folder)
    library = folder / "lxc-packages/usr/lib" / f"{os.uname().machine}-linux-gnu"
    environment = {**os.environ, "LD_LIBRARY_PATH": str(library)}

    def call(tool: str, *arguments: str) -> str:
        line = [f"{tools}/lxc-{tool}", "-P", f"{folder}/lxc", "-n", LXC_NAME, *arguments]
        done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    (folder / "lxc.conf").write_text(_CONFIG.format(folder=folder), encoding="ascii")
    call("start", "-f", f"{folder}/lxc.conf", "-d")
    undo.callback(call, "stop", "-k")
    return Machine(LXC_NAME, "lxc", int(call("info", "-pH")), lambda: call("attach", "--", *TRUE))


def _lxc_tools(folder: Path) -> Path:
    if installed := shutil.which("lxc-start"):
        return Path(installed).parent
    into = folder / "lxc-packages"
    if into.exists():
        return into / "usr" / "bin"
    into.mkdir()
    got = subprocess.run(
        ["apt-get", "download", "lxc", "liblxc1", "liblxc-common"],
        cwd=into,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    if got.returncode:
        pytest.skip(f"LXC is neither installed nor to be had: {got.stderr[-200:]}")
    for package in into.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", package, into], check=True)
    return into / "usr" / "bin"


@pytest.fixture(scope="module", params=[nspawn, lxc], ids=["nspawn", "lxc"])
def machine(request: pytest.FixtureRequest, folder: Path, watching: Watching) -> Iterator[Machine]:
    with ExitStack() as undo:
        made: list[Machine] = []
        watching.during(lambda: made.append(request.param(folder, undo)), lambda: bool(_started(watching)))
        assert _started(watching) == [made[0].id]
        assert not watching.of("entry", made[0].id) + watching.of("attempt", made[0].id)
        yield made[0]


def _started(watching: Watching) -> list[str]:
    ids = {NSPAWN_NAME, LXC_NAME}
    started = (event["container"]["id"] for event in watching.events if event["kind"] == "start")
    return [each for each in started if each in ids]


@pytest.mark.parametrize("kinds", [["-a"], ["-m"], ["-n"], ["-m", "-p", "-u"]], ids="".join)
def test_who_joins_a_machine_has_entered_it_by_its_name(
    kinds: list[str], machine: Machine, watching: Watching
) -> None:
    if kinds == ["-n"] and machine.runtime == "nspawn":
        kinds = ["-i"]  # it is in the host's network
    line = ["nsenter", "-t", str(machine.pid), *kinds, *TRUE]
    entry = watching.visit(lambda: subprocess.run(line, check=True), machine.id)[0]
    assert (entry["means"], entry["verdict"]) == ("ns-join", "ns-only")
    assert (entry["container"]["id"], entry["container"]["runtime"]) == (machine.id, machine.runtime)
    assert entry["entered_by"]["comm"] == "nsenter"


def test_its_own_tool_enters_by_joining_and_is_no_runtime(machine: Machine, watching: Watching) -> None:
    if machine.attach is None:
        return  # machinectl asks the systemd inside, which nobody enters for it
    entry = watching.visit(machine.attach, machine.id)[0]
    assert (entry["means"], entry["verdict"]) == ("ns-join", "both")
    assert (entry["container"]["runtime"], entry["process"]["argv"]) == (machine.runtime, TRUE)
