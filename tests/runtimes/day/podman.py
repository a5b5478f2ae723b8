# SPDX-License-Identifier: Apache-2.0
"""A day of podman's operations, as root. Its API is served too: there it says which checks it declares."""

from __future__ import annotations

import shutil
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

from tests.runtimes.day.work import Work
from vagrant.local.dockerd import root_file_system

IMAGE = "localhost/busybox:quiet"
CHECK = "id -u"
# Without systemd nobody makes the timer of a check; the day does what the timer does.
NO_TIMER = {"DISABLE_HC_SYSTEMD": "true"}


def gone(folder: Path) -> None:
    """Remove what podman kept. conmon has it clean up after a container in its own time, and that writes there."""
    for _ in range(40):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.25)
    shutil.rmtree(folder)


class Podman:
    """One store of containers. `runtime` is runc or crun."""

    def __init__(self, work: Work, undo: ExitStack, runtime: str = "runc") -> None:
        self._work = work
        folder = Path(mkdtemp(prefix="nsq-"))
        undo.callback(gone, folder)
        limits = '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]\n'
        (folder / "containers.conf").write_text(limits, encoding="ascii")
        places = [f"--{name}={folder / name}" for name in ("root", "runroot", "tmpdir")]
        self._command = ["env", f"CONTAINERS_CONF={folder / 'containers.conf'}", "podman", *places]
        self._command += ["--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--events-backend=file"]
        self._command += [f"--runtime={runtime}"]
        self.socket = folder / "podman.sock"
        undo.callback(self.end)
        served = subprocess.Popen(
            [*self._on_death(), "system", "service", "--time=0", f"unix://{self.socket}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        undo.callback(served.wait)
        undo.callback(served.terminate)
        self.checked = ""
        self.parts = (self.life, self.pod, self.build)

    @property
    def command(self) -> list[str]:
        """The client's command line."""
        return list(self._command)

    def check(self) -> None:
        """What the timer of a health check does."""
        self._do("healthcheck", "run", self.checked)

    def exec(self, container: str, *command: str) -> None:
        """A visit, which no day has."""
        self._do("exec", container, *command)

    def copy(self, container: str) -> None:
        """A file in, and out again."""
        with TemporaryDirectory() as folder:
            file = Path(folder, "file")
            file.write_text("text", encoding="ascii")
            self._do("cp", str(file), f"{container}:/file")
            self._do("cp", f"{container}:/file", str(file))

    def _on_death(self) -> list[str]:
        return ["setpriv", "--pdeathsig", "TERM", *self._command]

    def stay(self) -> None:
        """A container with a health check, all day."""
        self._work.do([*self._command, "import", "-", IMAGE], stdin=root_file_system())
        # Of interval 0 podman makes no timer.
        self.checked = self.container("--health-cmd", CHECK, "--health-interval", "0")

    def end(self) -> None:
        """Everything goes."""
        self._do("pod", "rm", "-f", "-t", "0", "-a")
        self._do("rm", "-f", "-t", "0", "-a")

    def _do(self, *arguments: str, fails: bool = False) -> str:
        return self._work.do([*self._command, *arguments], fails=fails, more=NO_TIMER)

    def container(self, *options: str, command: tuple[str, ...] = ("sleep", "36000")) -> str:
        """One more."""
        network = () if "--pod" in options or "--network" in options else ("--network=none",)
        return self._work.made_one(self._do("run", "-d", *network, *options, IMAGE, *command))

    def life(self) -> None:
        """One container through all that is done to it from outside; two checks of the other."""
        self.check()
        web = self.container()
        for verb, *options in (
            ("pause",),
            ("unpause",),
            ("restart", "-t", "0"),
            ("top",),
            ("stats", "--no-stream"),
            ("logs",),
            ("inspect",),
            ("diff",),
        ):
            self._do(verb, *options, web)
        self.copy(web)
        with TemporaryDirectory() as folder:
            self._do("export", "-o", f"{folder}/root.tar", web)
        self._do("rename", web, self._work.name("r"))
        self._do("stop", "-t", "0", web)
        self._do("start", web)
        self._do("kill", web)
        self._do("rm", web)
        self._do("run", "--rm", "--network=none", IMAGE, "true")
        self._do("run", "--rm", "--network=none", IMAGE, "/bin/nosuch", fails=True)
        self.check()

    def pod(self) -> None:
        """A pod of two, stopped, started and gone; and one that shares what another has."""
        name = self._work.name("p")
        infra = ("--infra-image", IMAGE, "--infra-command", "sleep 600")
        self._do("pod", "create", "--name", name, "--network=none", *infra)
        for _ in range(2):
            self.container("--pod", name)
        self._do("pod", "stop", "-t", "0", name)
        self._do("pod", "start", name)
        self._do("pod", "rm", "-f", "-t", "0", name)
        first = self.container()
        beside = self.container("--pid", f"container:{first}", "--network", f"container:{first}")
        for each in (beside, first):
            self._do("rm", "-f", "-t", "0", each)

    def build(self) -> None:
        """An image of two steps."""
        text = f"FROM {IMAGE}\nRUN echo {self._work.name('b')} > /made\nRUN cat /made\n"
        with TemporaryDirectory() as folder:
            Path(folder, "Containerfile").write_text(text, encoding="ascii")
            made = self._do("build", "--network=none", "-q", folder)
        self._work.count(2)
        self._do("rmi", "-f", made)
