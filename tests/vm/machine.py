# SPDX-License-Identifier: Apache-2.0
"""Boots a kernel over this machine's own files, read-only, in an emulated computer: no KVM, no disk image.

The guest runs a command in this work tree as its first process's only child, and may write to one folder.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Final

from tests.vm.kernels import Kernel

ROOT: Final = Path(__file__).resolve().parent.parent.parent
PACKAGES: Final = "qemu-system-x86 busybox-static"

_INIT: Final = """#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t devtmpfs dev /dev
# Twice and more: one needs the other, in an order that differs between kernels.
for pass in 1 2 3; do for module in /modules/*; do $b insmod $module 2>/dev/null; done; done
options=trans=virtio,version=9p2000.L,msize=512000
$b mount -t 9p -o $options,cache=loose,ro host /root || $b poweroff -f
for folder in /tmp /run /var/tmp /mnt; do $b mount -t tmpfs tmpfs /root$folder; done
# The project may lie in one of these: it comes by a way of its own.
root=$($b cat /place)
$b mkdir -p "/root$root"
$b mount -t 9p -o $options,cache=loose,ro repository "/root$root" || $b poweroff -f
$b mkdir /root/mnt/out
$b mount -t 9p -o $options out /root/mnt/out || $b poweroff -f
$b mount -t proc proc /root/proc
$b mount -t sysfs sys /root/sys
$b mount -t devtmpfs dev /root/dev
$b mkdir -p /root/dev/pts /root/dev/shm
$b mount -t devpts devpts /root/dev/pts
$b mount -t tmpfs tmpfs /root/dev/shm
$b mount -t cgroup2 cgroup2 /root/sys/fs/cgroup
$b mount -t bpf bpf /root/sys/fs/bpf
$b mount -t securityfs securityfs /root/sys/kernel/security
$b mount -t tracefs tracefs /root/sys/kernel/tracing
$b ip link set lo up
exec $b switch_root /root /bin/busybox sh /mnt/out/start
"""
_START: Final = """cd {root}
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp TMPDIR=/tmp
export PYTHONDONTWRITEBYTECODE=1
{command} </dev/null >/mnt/out/output 2>&1
echo $? >/mnt/out/status
/bin/busybox poweroff -f
"""


class DiedError(RuntimeError):
    """The guest did not get to the end of its command; the message is the end of its console."""


def run(kernel: Kernel, command: list[str], out: Path, seconds: int) -> str:
    """Output of `command` in a guest; what it writes to /mnt/out is in `out`. Raises DiedError."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "status").unlink(missing_ok=True)
    (out / "start").write_text(_START.format(root=shlex.quote(str(ROOT)), command=shlex.join(command)))
    initramfs = out / "initramfs"
    initramfs.write_bytes(_initramfs(kernel))
    console = out / "console"
    try:
        with console.open("wb") as log:
            subprocess.run(
                _qemu(kernel, initramfs, out),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                timeout=seconds,
                check=False,
            )
    except subprocess.TimeoutExpired:
        pass
    finally:
        initramfs.unlink()
    output = out / "output"
    said = output.read_text(errors="replace") if output.exists() else ""
    if not (out / "status").exists() or (out / "status").read_text().strip() != "0":
        end = console.read_text(errors="replace")[-3000:]
        raise DiedError(
            f"{kernel.suite}: {shlex.join(command)} failed\n{said[-6000:]}\n--- console ---\n{end}"
        )
    return said


def _qemu(kernel: Kernel, initramfs: Path, out: Path) -> list[str]:
    share = "local,security_model=none,multidevs=remap"
    return [
        *("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "Nehalem", "-smp", "2", "-m", "2048"),
        *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio"),
        *("-kernel", str(kernel.image), "-initrd", str(initramfs)),
        *("-virtfs", f"{share},path=/,mount_tag=host,readonly=on"),
        *("-virtfs", f"{share},path={_escaped(ROOT)},mount_tag=repository,readonly=on"),
        *("-virtfs", f"{share},path={_escaped(out)},mount_tag=out"),
        *("-append", "console=ttyS0 quiet panic=-1 mitigations=off lsm=lockdown,yama,bpf cgroup_no_v1=all"),
    ]


def _escaped(path: Path) -> str:
    """A path as qemu's options take it: a comma would end it."""
    return str(path).replace(",", ",,")


def _initramfs(kernel: Kernel) -> bytes:
    busybox = shutil.which("busybox")
    if busybox is None:
        raise FileNotFoundError(f"no busybox here; install {PACKAGES}")
    parts = [_entry(folder, 0o040755, b"") for folder in ("bin", "dev", "modules", "proc", "root")]
    parts.append(_entry("bin/busybox", 0o100755, Path(busybox).read_bytes()))
    parts.append(_entry("init", 0o100755, _INIT.encode()))
    parts.append(_entry("place", 0o100644, str(ROOT).encode()))
    # Numbered, so that the shell's * gives them in their order.
    for number, module in enumerate(kernel.modules):
        parts.append(_entry(f"modules/{number:02}-{module.name}", 0o100644, module.read_bytes()))
    return b"".join([*parts, _entry("TRAILER!!!", 0, b"")])


def _entry(name: str, mode: int, content: bytes) -> bytes:
    """One file of a cpio archive of the form "newc" (kernel, driver-api/early-userspace/buffer-format)."""
    path = name.encode() + b"\0"
    fields = (0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path), 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields)
    return _padded(head + path) + _padded(content)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def lacking() -> str | None:
    """Why no guest can be booted here."""
    if os.uname().machine != "x86_64":
        return "the guests are of x86_64"
    missing = [tool for tool in ("qemu-system-x86_64", "busybox", "runc") if shutil.which(tool) is None]
    return f"{', '.join(missing)} missing; make test-vm installs them" if missing else None
