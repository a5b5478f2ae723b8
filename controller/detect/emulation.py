# SPDX-License-Identifier: Apache-2.0
"""Runs the emulation of a detection against a container made for it, and undoes all of it.

The container has a name, a label and an image of its own, no network, and a process that ends by itself, so
that it goes even when nobody is left to remove it. Nothing is removed or entered that does not carry the
label of this run. The image is made out of this machine's static busybox: no registry is asked.
"""

from __future__ import annotations

import io
import os
import secrets
import shutil
import subprocess
import sys
import tarfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from controller.errors import OperationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from controller.detect.catalogue import Detection

LABEL: Final = "nsentry.emulation"
USER: Final = "65534:65534"
"""Whom the container runs as: not root, so that an entry as root is one to be seen."""
LIFE_S: Final = 900
SCRIPT_S: Final = 60.0
DOCKER_S: Final = 60.0


class EmulationError(OperationError):
    """The emulation could not be carried out; the message says what to do."""


class DockerUnreachableError(EmulationError):
    """No Docker daemon answers at the address."""


@dataclass(frozen=True, slots=True)
class Docker:
    """The Docker daemon at `host` ("unix:///run/docker.sock"), by its client; None: the client's default."""

    host: str | None = None

    def environment(self) -> dict[str, str]:
        """The environment for a process that talks to this daemon."""
        environment = {name: value for name, value in os.environ.items() if name != "DOCKER_CONTEXT"}
        return environment if self.host is None else {**environment, "DOCKER_HOST": self.host}

    def __call__(self, *arguments: str, stdin: bytes = b"") -> str:
        """What the client printed. EmulationError with what it said when it failed."""
        try:
            done = subprocess.run(
                ["docker", *arguments],
                input=stdin,
                capture_output=True,
                timeout=DOCKER_S,
                check=False,
                env=self.environment(),
            )
        except FileNotFoundError as error:
            raise EmulationError("there is no docker client here: apt install docker.io") from error
        except subprocess.TimeoutExpired as error:
            raise EmulationError(f"docker {arguments[0]} took longer than {DOCKER_S:.0f} s") from error
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip()
            raise EmulationError(f"docker {arguments[0]}: {said}")
        return done.stdout.decode(errors="replace").strip()

    def check(self) -> None:
        """DockerUnreachableError unless the daemon answers."""
        try:
            self("version", "--format", "{{.Server.Version}}")
        except EmulationError as error:
            where = self.host or os.environ.get("DOCKER_HOST") or "the default address"
            raise DockerUnreachableError(
                f"no Docker daemon answers at {where}: {error}; start one, or name another by --docker-host"
            ) from error


@contextmanager
def image(docker: Docker, name: str | None) -> Iterator[str]:
    """The image `name`, or one made for this run and removed after it."""
    if name is not None:
        yield name
        return
    made = f"nsentry-emulation:{secrets.token_hex(6)}"
    docker("import", "-", made, stdin=_root_file_system())
    try:
        yield made
    finally:
        docker("image", "rm", "-f", made)


@contextmanager
def container(docker: Docker, image_name: str) -> Iterator[tuple[str, str]]:
    """Id and name of a container that exists until this context is left, as do those of the same label."""
    run = secrets.token_hex(6)
    name = f"nsentry-emulation-{run}"
    made = docker(
        "run",
        "--detach",
        "--rm",
        f"--name={name}",
        f"--label={LABEL}={run}",
        "--network=none",
        f"--user={USER}",
        "--entrypoint=sleep",
        image_name,
        str(LIFE_S),
    )
    try:
        yield made, name
    finally:
        _remove(docker, run)


def emulate(detection: Detection, docker: Docker, container_id: str, state: Path) -> None:
    """Does to the container what the detection must see. `state`: the folder of the controller that must see it.

    EmulationError, with the script's output, if it fails.
    """
    environment = {**docker.environment(), "CONTAINER": container_id, "NSENTRY_CONTROLLER_STATE": str(state)}
    # What only an API server's audit can show is replayed by the very program that runs this.
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', '')}"
    try:
        done = subprocess.run(
            [str(detection.emulation)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=SCRIPT_S,
            check=False,
            cwd="/",
            env=environment,
        )
    except subprocess.TimeoutExpired as error:
        raise EmulationError(f"{detection.emulation} took longer than {SCRIPT_S:.0f} s") from error
    if done.returncode != 0:
        said = done.stdout.decode(errors="replace").strip()[-500:]
        raise EmulationError(
            f"{detection.emulation.name} of {detection.id} failed ({done.returncode}): {said}"
        )


def _remove(docker: Docker, run: str) -> None:
    """Removes the containers of this run: those that do not carry its label are somebody else's."""
    mine = docker("ps", "-aq", "--no-trunc", f"--filter=label={LABEL}={run}").split()
    if mine:
        docker("rm", "--force", "--volumes", *mine)


def _root_file_system() -> bytes:
    """A tar of what a container needs: busybox under all its names, accounts, a folder to write in."""
    busybox = shutil.which("busybox")
    if busybox is None:
        raise EmulationError(
            "there is no busybox to make an image of: apt install busybox-static, or --image"
        )
    listed = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True, timeout=10)
    files: Mapping[str, tuple[bytes, int]] = {
        "bin/busybox": (Path(busybox).read_bytes(), 0o755),
        "etc/passwd": (b"root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n", 0o644),
        "etc/shadow": (b"root:*:20000:0:99999:7:::\n", 0o640),
    }
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name in ("bin", "etc", "proc", "sys", "dev", "root", "tmp"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            tar.addfile(folder)
        for name, (content, mode) in files.items():
            file = tarfile.TarInfo(name)
            file.size, file.mode = len(content), mode
            tar.addfile(file, io.BytesIO(content))
        for applet in set(listed.stdout.split()) - {"busybox"}:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    return packed.getvalue()
