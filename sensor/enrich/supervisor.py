# SPDX-License-Identifier: Apache-2.0
"""The process that a runtime leaves beside a container: containerd's shim, or conmon.

It is the parent of the container's init and of every exec of its API, and its own arguments name the
container and the runtime: the only name there is for `ctr` and for podman without cgroups.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sensor.enrich import procfs
from sensor.wire import Runtime

ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
"""What may be a container's id in a path or an address: containerd's own rule, with a bound. No slash."""

_NAMESPACES: Final[dict[str, Runtime]] = {"moby": "docker", "k8s.io": "cri"}


@dataclass(frozen=True, slots=True)
class Supervisor:
    """One shim or conmon, as its arguments describe it."""

    runtime: Runtime
    container: str | None
    """The container that it was started for. A shim of a pod serves further ones: see `serves_pod`."""
    name: str | None = None
    exec_id: str | None = None
    """conmon is started once for each `podman exec`, and carries its id."""
    bundle: str | None = None
    namespace: str | None = None
    """containerd's namespace."""
    pid: int = 0
    uid: int = 0
    address: str | None = None
    """The socket of the containerd that started it."""

    @property
    def serves_pod(self) -> bool:
        """Whether `container` is only the pod's sandbox, and says nothing about other children."""
        return self.namespace == "k8s.io"


def of_argv(argv: list[str]) -> Supervisor | None:
    """The supervisor that these arguments make, None for any other program."""
    program = argv[0].rsplit("/", 1)[-1] if argv else ""
    if program.startswith("containerd-shim"):
        return _shim(argv)
    if program == "conmon":
        return _conmon(argv)
    return None


def of_process(pid: int, proc: Path = procfs.PROC) -> Supervisor | None:
    """The supervisor that `pid` is, None when it is another process or gone.

    Anyone can start a program by these names. A shim counts only when root runs it outside of any pid
    namespace of a container; a user's own conmon counts, with that user's uid in the answer.
    """
    named = procfs.comm(pid, proc)
    # Names are cut to 15 bytes: "containerd-shim-runc-v2" is "containerd-shim".
    if named not in {"containerd-shim", "conmon"}:
        return None
    found = procfs.cmdline(pid, proc)
    status = procfs.status(pid, proc)
    supervisor = of_argv(found[0]) if found else None
    if supervisor is None or status is None or len(status.nspid) > 1:
        return None
    if status.uid != 0 and named != "conmon":
        return None
    return Supervisor(
        supervisor.runtime,
        supervisor.container,
        supervisor.name,
        supervisor.exec_id,
        supervisor.bundle,
        supervisor.namespace,
        pid,
        status.uid,
        supervisor.address,
    )


def _shim(argv: list[str]) -> Supervisor | None:
    options = _options(argv)
    namespace = options.get("namespace")
    if namespace is None:
        return None
    # The first generation of shims had a working directory with the id at its end, in place of -id.
    container = options.get("id") or options.get("workdir", "").rstrip("/").rsplit("/", 1)[-1]
    runtime = _NAMESPACES.get(namespace, "containerd")
    return Supervisor(runtime, _id(container), namespace=namespace, address=options.get("address"))


def _conmon(argv: list[str]) -> Supervisor | None:
    options = _options(argv)
    container = _id(options.get("c") or options.get("cid") or "")
    if container is None:
        return None  # `conmon --version`, which podman runs all the time
    name = options.get("n") or options.get("name")
    exec_id = options.get("u") or options.get("cuuid")
    return Supervisor(
        # CRI-O names its containers k8s_<container>_<pod>_<namespace>_<uid>_<attempt>.
        "cri-o" if (name or "").startswith("k8s_") else "podman",
        container,
        name=name,
        exec_id=exec_id if exec_id != container else None,
        bundle=options.get("b") or options.get("bundle"),
    )


def _options(argv: list[str]) -> dict[str, str]:
    """Options with their values, of "-x v", "--x v" and "--x=v" alike; the first of each name counts.

    conmon hands a whole podman command line on in its own later arguments.
    """
    options: dict[str, str] = {}
    for index, argument in enumerate(argv[1:], start=1):
        if not argument.startswith("-"):
            continue
        name, equals, value = argument.lstrip("-").partition("=")
        if not equals:
            value = argv[index + 1] if index + 1 < len(argv) else ""
        options.setdefault(name, value)
    return options


def _id(text: str) -> str | None:
    return text if ID.fullmatch(text) else None
