# SPDX-License-Identifier: Apache-2.0
"""Which settings of a container give whoever is inside a way to the host (T1611). Pure.

The capabilities are those by which a process with nothing else left the container in published work; see
capabilities(7). A setting that is not known exposes nothing: `missing` says that it is not known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from sensor import wire

Nearness = Literal["host", "part", "weak"]
"""How far it leads: to the host by itself, a part of the way, or hardly without more."""

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
LEADING: Final[dict[str, Nearness]] = {"mnt": "host", "pid": "part", "ipc": "weak", "net": "weak"}
"""Namespaces of the host through which its files, processes, memory or sockets are reached."""
SENSITIVE: Final = frozenset(
    {
        *(
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
        ),
        *("/var/lib/containerd", "/var/lib/containers", "/var/lib/docker", "/var/lib/kubelet"),
    }
)
"""Mounted whole, these are the host's own, or a runtime's."""


class Exposure(NamedTuple):
    """One setting that leads towards the host, as a phrase, and how far."""

    phrase: str
    nearness: Nearness


def exposures(settings: wire.Settings) -> list[Exposure]:
    """All of them, in the order in which a person would name them."""
    privileged = bool(settings["privileged"])
    found = [Exposure("is privileged", "host")] if privileged else []
    found += [
        Exposure(f"shares the host's {kind} namespace", LEADING[kind])
        for kind in settings["host_namespaces"] or ()
        if kind in LEADING
    ]
    found += [one for mount in settings["mounts"] or () if (one := _mounted(mount))]
    # The rest is what a privileged container is by definition.
    if not privileged:
        if settings["devices"] == ["all"]:
            found.append(Exposure("may use every device", "host"))
        capabilities = sorted(ESCAPING & set(settings["capabilities"] or ()))
        found += [Exposure(f"has {name}", "part") for name in capabilities]
        profiles = {"seccomp": settings["seccomp"], "apparmor": settings["apparmor"]}
        found += [
            Exposure(f"has no {name}", "weak") for name, said in profiles.items() if said == "unconfined"
        ]
    return found


def _mounted(mount: wire.Mount) -> Exposure | None:
    source = mount["source"].rstrip("/") or "/"
    if source.rpartition("/")[2] in SOCKETS:
        return Exposure(f"reaches the runtime by {source}", "host")
    if source not in SENSITIVE:
        return None
    if mount["writable"]:
        return Exposure(f"may write the host's {source}", "host")
    return Exposure(f"reads the host's {source}", "part")
