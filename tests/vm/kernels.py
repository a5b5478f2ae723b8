# SPDX-License-Identifier: Apache-2.0
"""Debian's kernels, from the mirror that this machine's apt uses, kept below build/vm."""

from __future__ import annotations

import lzma
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

CACHE: Final = Path(__file__).resolve().parent.parent.parent / "build" / "vm"
PROGRAMS: Final = CACHE / "programs"
"""Those of tests/vm/programs, built."""
SUITES: Final = {"bullseye": "5.10", "bookworm": "6.1", "trixie": "6.12"}
"""Debian's releases 11 to 13, and the kernel that each came with."""
_KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
MODULES: Final = (
    "virtio",
    "virtio_ring",
    "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev",
    "virtio_pci",
    "fscache",
    "netfs",
    "9pnet",
    "9pnet_virtio",
    "9p",
)
"""What a guest needs to see this machine's files; a kernel has those that it does not lack as modules."""


@dataclass(frozen=True)
class Kernel:
    """A kernel and its modules, unpacked."""

    suite: str
    image: Path
    modules: tuple[Path, ...]


def fetch(suite: str) -> Kernel:
    """The newest kernel of a Debian suite. Needs apt and its mirror where build/vm does not hold it."""
    home = CACHE / suite
    if not (home / "complete").exists():
        (home / "modules").mkdir(parents=True, exist_ok=True)
        _unpack(_download(suite, home), home)
        (home / "complete").touch()
    modules = (home / "modules" / f"{name}.ko" for name in MODULES)
    return Kernel(suite, home / "vmlinuz", tuple(path for path in modules if path.exists()))


def mirror() -> str:
    """Where this machine gets Debian from."""
    ask = ["apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages"]
    for _ in range(2):
        listed = subprocess.run(ask, check=True, capture_output=True, text=True).stdout
        for line in listed.splitlines():
            label, _, address = line.partition(" ")
            if label == "Debian":
                return address
        subprocess.run(["apt-get", "-qq", "update"], check=True)
    raise LookupError("apt on this machine knows no Debian mirror")


def _download(suite: str, home: Path) -> Path:
    """The package that linux-image-amd64 stands for, by an apt whose state is all below `home`."""
    for folder in ("lists/partial", "cache/archives/partial"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    signed = f" signed-by={_KEYRING}" if _KEYRING.exists() else ""
    (home / "sources.list").write_text(f"deb [arch=amd64{signed}] {mirror()} {suite} main\n")
    settings = {
        "Dir::Etc::sourcelist": home / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": home / "lists",
        "Dir::State::status": "/dev/null",
        "Dir::Cache": home / "cache",
        "Acquire::Languages": "none",
        "APT::Architecture": "amd64",
        "APT::Sandbox::User": "root",
    }
    options = [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]

    def apt(tool: str, *arguments: str) -> str:
        command = [tool, "-q", *options, *arguments]
        done = subprocess.run(command, cwd=home, check=False, capture_output=True, text=True)
        if done.returncode:
            raise LookupError(
                f"the kernel of Debian's {suite} could not be had: {tool} {arguments[0]} failed; this needs the "
                f"mirror that this machine's apt uses\n{done.stderr[-2000:]}"
            )
        return done.stdout

    apt("apt-get", "update")
    needs = apt("apt-cache", "depends", "linux-image-amd64").splitlines()
    packages = [line.split()[-1] for line in needs if "Depends: linux-image-" in line]
    if len(packages) != 1:
        raise LookupError(
            f"Debian's {suite} has no linux-image-amd64, or more than one kernel for it: {packages}"
        )
    apt("apt-get", "download", packages[0])
    (found,) = home.glob(f"{packages[0].replace('+', '?')}_*.deb")
    return found


def _unpack(package: Path, home: Path) -> None:
    wanted = {f"{name}.ko" for name in MODULES}
    with (
        subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as tar,
        tarfile.open(fileobj=tar.stdout, mode="r|") as files,
    ):
        for member in files:
            name = PurePosixPath(member.name).name
            content = files.extractfile(member) if member.isfile() else None
            if content is None:
                continue
            if name.startswith("vmlinuz-"):
                (home / "vmlinuz").write_bytes(content.read())
            elif name in wanted:
                (home / "modules" / name).write_bytes(content.read())
            elif name.removesuffix(".xz") in wanted:
                (home / "modules" / name.removesuffix(".xz")).write_bytes(lzma.decompress(content.read()))
    if tar.returncode or not (home / "vmlinuz").exists():
        raise LookupError(f"{package} holds no kernel")
    package.unlink()
