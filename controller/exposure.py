# SPDX-License-Identifier: Apache-2.0
"""Which settings of a container give whoever is inside a way to the host (T1611). Pure.

The capabilities are those by which a process with nothing else left the container in published work; see
capabilities(7). A setting that is not known exposes nothing: `missing` says that it is not known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sensor import wire

ESCAPING: Final = frozenset(
    {
        "CAP_BPF",
        "CAP_DAC_READ_SEARCH",
        "CAP_SYS_ADMIN",
        "CAP_SYS_BOOT",
        "CAP_SYS_MODULE",
        "CAP_SYS_PTRACE",
        "CAP_SYS_RAWIO",
    }
)
SOCKETS: Final = ("docker.sock", "podman.sock", "containerd.sock", "crio.sock", "cri-dockerd.sock")
"""Whoever writes to one of these starts containers of his own making."""
LEADING: Final = ("ipc", "mnt", "net", "pid")
"""Namespaces of the host through which its processes, sockets or files are reached."""
SENSITIVE: Final = (
    "/",
    "/boot",
    "/dev",
    "/etc",
    "/home",
    "/proc",
    "/root",
    "/run",
    "/sys",
    "/usr",
    "/var",
    "/var/run",
)
"""Mounted whole, these are the host's own."""
RUNTIMES_OWN: Final = ("/var/lib/docker", "/var/lib/containerd", "/var/lib/kubelet", "/var/lib/containers")


def exposures(settings: wire.Settings) -> list[str]:
    """One phrase each, the gravest first."""
    found = ["privileged"] if settings["privileged"] else []
    found += [
        f"shares the host's {kind} namespace" for kind in settings["host_namespaces"] or () if kind in LEADING
    ]
    found += [phrase for mount in settings["mounts"] or () if (phrase := _mounted(mount))]
    if settings["devices"] == ["all"] and not settings["privileged"]:
        found.append("may use every device")
    found += [f"has {name}" for name in sorted(ESCAPING & set(settings["capabilities"] or ()))]
    # A privileged container is unconfined by what that means.
    if not settings["privileged"]:
        found += [
            f"{name} is unconfined" for name in ("seccomp", "apparmor") if settings[name] == "unconfined"
        ]
    return found


def _mounted(mount: wire.Mount) -> str | None:
    source = mount["source"].rstrip("/") or "/"
    how = "may write" if mount["writable"] else "reads"
    if source.rpartition("/")[2] in SOCKETS:
        return f"reaches the runtime by {source}"
    if source in SENSITIVE or source in RUNTIMES_OWN:
        return f"{how} the host's {source}"
    return None
