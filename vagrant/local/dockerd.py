# SPDX-License-Identifier: Apache-2.0
"""A Docker daemon of one's own: its socket, data, containerd and network apart from any other on the machine.

`make demo` and the tests of real containers run it:

    with Dockerd() as docker:
        docker.image("busybox:demo")
        web = docker.run("busybox:demo", "sleep", "3600", name="web")
        docker.exec(web, "id")

What is special here
    network   A second dockerd with `--bridge=none` deletes docker0 under the first one, and two with a bridge
              share its name: so it gets a network namespace of its own.
    folder    containerd's sockets lie in it, and a unix socket's path has at most 107 bytes: keep it short.
    end       Shims and containers outlive dockerd, and mounts outlive both: `stop` removes containers first,
              then ends by pid what still names the folder in its arguments, then unmounts what lies there.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

DOCKERD = "/usr/sbin/dockerd"
CLIENT = "/usr/bin/docker"
"""Debian's, of the docker.io package: other clients may come earlier in PATH and speak a newer API only."""
BUSYBOX = Path("/bin/busybox")
START_S = 60.0
STOP_S = 20.0


class DockerFailedError(RuntimeError):
    """The daemon did not start, or a command of the client failed. The message holds what it said."""


def unavailable() -> str | None:
    """Why no daemon can be started here, None when one can."""
    if os.geteuid() != 0:
        return "not root"
    for path, package in ((DOCKERD, "docker.io"), (CLIENT, "docker.io"), (str(BUSYBOX), "busybox-static")):
        if not Path(path).exists():
            return f"no {path}: apt-get install {package}"
    return None


class Dockerd:
    """One daemon, from `start` to `stop`. Use it as a context manager.

    The daemon ends with the thread that started it, should that one be killed. `storage_driver` None lets
    dockerd choose; `socket` may lie anywhere. `runtimes` are OCI runtimes besides runc: their programs by name.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        socket: Path | None = None,
        storage_driver: str | None = None,
        runtimes: Mapping[str, str] | None = None,
    ) -> None:
        self._own_folder = folder is None
        self.folder = Path(tempfile.mkdtemp(prefix="nsd-")) if folder is None else folder
        self.socket = socket or self.folder / "docker.sock"
        self.log = self.folder / "dockerd.log"
        self._storage_driver = storage_driver
        self._runtimes = {name: {"path": path} for name, path in (runtimes or {}).items()}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The daemon's pid."""
        if self._process is None:
            raise DockerFailedError("the daemon was not started")
        return self._process.pid

    def start(self) -> None:
        """Start the daemon and wait until it answers. Raises DockerFailedError with the end of its log."""
        missing = unavailable()
        if missing:
            raise DockerFailedError(f"dockerd cannot run here: {missing}")
        self.folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        (self.folder / "daemon.json").write_text(json.dumps({"runtimes": self._runtimes}), encoding="ascii")
        # lo must be up: dockerd's resolver and the port proxy bind to it.
        script = 'ip link set lo up; exec "$@"'
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    "setpriv",
                    "--pdeathsig",
                    "TERM",
                    "unshare",
                    "--net",
                    "sh",
                    "-c",
                    script,
                    "sh",
                    *self._command(),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.folder), "LANG": "C.UTF-8"},
            )
        deadline = time.monotonic() + START_S
        while self._client("version", timeout=10).returncode != 0:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise DockerFailedError(f"dockerd did not start; its log ends with:\n{self._log_end()}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Remove the containers, stop the daemon, leave no process and no mount behind. Safe to repeat."""
        if self._process is not None and self._process.poll() is None:
            ids = self._client("ps", "-aq", timeout=10).stdout.split()
            if ids:
                self._client("rm", "-f", "-v", *ids, timeout=STOP_S)
            self._process.terminate()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._end_leftovers()
        for mount in self._mounts():
            subprocess.run(["umount", "-l", mount], check=False, capture_output=True)
        self.socket.unlink(missing_ok=True)
        if self._own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def docker(self, *arguments: str, stdin: bytes | None = None, timeout: float = 60) -> str:
        """Run the client; its output without the last newline. Raises DockerFailedError."""
        done = self._client(*arguments, stdin=stdin, timeout=timeout)
        if done.returncode != 0:
            raise DockerFailedError(
                f"docker {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}"
            )
        return done.stdout.removesuffix("\n")

    def command(self, *arguments: str) -> list[str]:
        """The client's command line, for a caller that wants a terminal or the background."""
        return [CLIENT, "-H", f"unix://{self.socket}", *arguments]

    def image(self, tag: str, changes: Sequence[str] = ()) -> str:
        """Make an image out of the machine's own static busybox, without a registry; its id."""
        options = [option for change in changes for option in ("--change", change)]
        return self.docker("import", *options, "-", tag, stdin=root_file_system())

    def build(self, tag: str, dockerfile: str) -> str:
        """Build an image by Docker's own builder; its tag."""
        self.docker("build", "-q", "-t", tag, "-", stdin=dockerfile.encode())
        return tag

    def run(self, image: str, *command: str, name: str | None = None, options: Sequence[str] = ()) -> str:
        """Start a container in the background; its id."""
        named = ["--name", name] if name else []
        return self.docker("run", "-d", *named, *options, image, *command)

    def exec(self, container: str, *command: str, options: Sequence[str] = ()) -> str:
        """Run a command in a container; what it printed. Raises DockerFailedError when it fails."""
        return self.docker("exec", *options, container, *command)

    def init_pid(self, container: str) -> int:
        """The host's pid of a container's first process."""
        return int(self.docker("inspect", "--format", "{{.State.Pid}}", container))

    def _command(self) -> list[str]:
        driver = ["--storage-driver", self._storage_driver] if self._storage_driver else []
        return [
            DOCKERD,
            f"--data-root={self.folder / 'data'}",
            f"--exec-root={self.folder / 'exec'}",
            f"--pidfile={self.folder / 'dockerd.pid'}",
            f"--host=unix://{self.socket}",
            # Not the machine's /etc/docker/daemon.json.
            f"--config-file={self.folder / 'daemon.json'}",
            *driver,
        ]

    def _client(
        self, *arguments: str, stdin: bytes | None = None, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.command(*arguments),
            input=stdin or b"",
            capture_output=True,
            timeout=timeout,
            check=False,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.folder), "LANG": "C.UTF-8"},
        )
        text = (done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))
        return subprocess.CompletedProcess(done.args, done.returncode, *text)

    def _end_leftovers(self) -> None:
        """End what a killed daemon leaves: containerd, shims that name this folder, their children."""
        deadline = time.monotonic() + STOP_S
        ended: set[int] = set()
        # What was killed must be gone before its mounts can go; by then it is nobody's child that is known.
        while (left := {*self._leftovers(), *filter(_runs, ended)}) and time.monotonic() < deadline:
            for pid in left - ended:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            ended |= left
            time.sleep(0.05)

    def _leftovers(self) -> Iterator[int]:
        mark = os.fsencode(self.folder) + b"/"
        parents: dict[int, int] = {}
        marked: set[int] = set()
        for entry in Path("/proc").iterdir():
            if not entry.name.isdecimal() or int(entry.name) == os.getpid():
                continue
            try:
                argv, stat = (entry / "cmdline").read_bytes(), (entry / "stat").read_bytes()
            except OSError:
                continue
            fields = stat[stat.rindex(b")") + 2 :].split()
            if fields[0] != b"Z":
                parents[int(entry.name)] = int(fields[1])
                program = argv.split(b"\0", 1)[0].rsplit(b"/", 1)[-1]
                if mark in argv and program in {
                    b"dockerd",
                    b"containerd",
                    b"containerd-shim-runc-v2",
                    b"docker-proxy",
                }:
                    marked.add(int(entry.name))
        yield from marked
        yield from (pid for pid, parent in parents.items() if parent in marked)

    def _mounts(self) -> list[str]:
        """Mount points below the folder, deepest first."""
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
        points = [line.split()[4] for line in lines]
        return sorted(
            (point for point in points if point.startswith(f"{self.folder}/")), key=len, reverse=True
        )

    def _log_end(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")[-2000:]


def _runs(pid: int) -> bool:
    """Whether a process is there and no zombie, which waits only for its parent."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return stat[stat.rindex(b")") + 2 :].split()[0] != b"Z"


def root_file_system() -> bytes:
    """A tar of a root file system: busybox with a link for each of its tools, and two users."""
    tools = subprocess.run([BUSYBOX, "--list"], check=True, capture_output=True, text=True).stdout.split()
    files = {
        "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/tmp:/bin/sh\n",
        "etc/group": b"root:x:0:\napp:x:1000:\n",
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for folder, mode in (("bin", 0o755), ("etc", 0o755), ("root", 0o700), ("tmp", 0o1777)):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            tar.addfile(entry)
        tar.add(BUSYBOX, "bin/busybox")
        for tool in tools:
            if tool != "busybox":
                link = tarfile.TarInfo(f"bin/{tool}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(link)
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
