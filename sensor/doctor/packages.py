# SPDX-License-Identifier: Apache-2.0
"""The command that installs what is missing, in the words of the host's own distribution."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Final

_INSTALL: Final = {
    "debian": "apt-get install -y",
    "fedora": "dnf install -y",
    "arch": "pacman -S",
    "suse": "zypper install",
}
_NAMES: Final[dict[str, dict[str, str]]] = {
    "libbpf": {"debian": "libbpf1", "fedora": "libbpf", "arch": "libbpf", "suse": "libbpf1"},
    "bcc": {"debian": "python3-bpfcc", "fedora": "python3-bcc", "arch": "python-bcc", "suse": "python3-bcc"},
}
_FAMILY: Final = {
    "ubuntu": "debian",
    "rhel": "fedora",
    "centos": "fedora",
    "opensuse": "suse",
    "sles": "suse",
}


def install_command(*things: str, root: Path = Path("/")) -> str:
    """How to install libbpf or bcc here; in Debian's words on a distribution that is not known."""
    family = _family(root)
    return f"{_INSTALL[family]} {' '.join(_NAMES[thing][family] for thing in things)}"


def _family(root: Path) -> str:
    """From ID and ID_LIKE of os-release(5)."""
    try:
        lines = (root / "etc/os-release").read_text(errors="replace").splitlines()
    except OSError:
        return "debian"
    named = dict(line.partition("=")[::2] for line in lines if "=" in line)
    try:
        ids = [word for key in ("ID", "ID_LIKE") for word in shlex.split(named.get(key, ""))]
    except ValueError:
        return "debian"
    for word in " ".join(ids).split():
        family = _FAMILY.get(word.partition("-")[0], word)
        if family in _INSTALL:
            return family
    return "debian"
