# SPDX-License-Identifier: Apache-2.0
"""Compiles the programs at start with the distribution's bcc, from BTF and stub headers.

bcc's prelude includes six kernel headers. A folder of stubs stands in for them: its uapi/linux/bpf.h is what
kernel_types.py writes of the kernel's BTF; two guard macros keep out bcc's own copy of bpf.h.
This is the one module that imports bcc.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
import re
import tempfile
from pathlib import Path
from typing import Any, Final

from sensor.probe import BPF_SOURCES, POLL_EVENTS, ProbeError, Receive, kernel_types
from sensor.probe.budget import Budgets
from sensor.probe.contacts import Listeners
from sensor.probe.counters import COUNTERS
from sensor.probe.hooks import Best, Choice, Program, Way
from sensor.probe.libbpf import fentry_refused, load_library
from sensor.probe.ordinary import OrdinaryLane
from sensor.probe.requests import Requests

_INCLUDE: Final = re.compile(r'^#include "([^"]+)"$', re.MULTILINE)


_FENTRY_SEEN: Final = (5, 11)
"""On Debian 11's 5.10 the programs that bcc attaches there ran, and no event came (make test-vm)."""


def _release() -> tuple[int, int]:
    major, minor = re.findall(r"\d+", os.uname().release)[:2]
    return int(major), int(minor)


def source() -> str:
    """The programs as one text: bcc rewrites only what it is handed, so includes are pasted in, once each."""
    seen: set[str] = set()

    def paste(match: re.Match[str]) -> str:
        name = match.group(1)
        if name in seen or name in {"loader_core.h", "vmlinux.h"}:
            return ""
        seen.add(name)
        return _INCLUDE.sub(paste, (BPF_SOURCES / name).read_text())

    return _INCLUDE.sub(paste, (BPF_SOURCES / "sensor.bpf.c").read_text())


def _library() -> bytes:
    """Bcc's library itself, as it is loaded: the C that it compiles before ours stands in it."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        path = line.split(maxsplit=5)[-1]
        if "/libbcc.so" in path:
            return Path(path).read_bytes()
    return b""


def _quiet(bpf: Any) -> Any:  # noqa: ANN401 - bcc has no types
    """The class of bcc without its habit to attach what has a telling name at once: the table of hooks decides."""

    class Compiled(bpf):  # type: ignore[misc]
        def _trace_autoload(self) -> None:
            pass

    return Compiled


class BccProbe:
    """The programs as bcc compiled them, attached."""

    loader = "bcc"
    kept_ring = None
    left_behind = 0

    def __init__(self, reason: str, receive: Receive, best_hook: Best = "auto") -> None:
        try:
            import bcc  # noqa: PLC0415 - LLVM comes with it
        except ImportError as error:
            raise ProbeError(
                f"bcc cannot be imported ({error}); install it: apt-get install python3-bpfcc"
            ) from error
        self.reason = reason
        self.hooks: dict[str, str] = {}
        self._raised: BaseException | None = None
        self._taken = 0
        with tempfile.TemporaryDirectory(prefix="nsentry-bcc-") as folder:
            self._bpf = self._compile(bcc, Path(folder))
        self._attach(Choice(best_hook))
        self._open_ring(receive)

    @staticmethod
    def _compile(bcc: Any, folder: Path) -> Any:  # noqa: ANN401 - bcc has no types
        text = source()
        flags = [
            "-DLOADER_BCC",
            "-D_UAPI__LINUX_BPF_H__",
            "-D__LINUX_BPF_H__",
            f"-D__TARGET_ARCH_{'arm64' if platform.machine() == 'aarch64' else 'x86'}",
            "-DCONFIG_BPF_SYSCALL=1",
            f"-I{folder}/include",
            "-Wno-everything",
            *kernel_types.headers(folder, text, _library()),
        ]
        os.environ["BCC_KERNEL_SOURCE"] = str(folder)
        try:
            return _quiet(bcc.BPF)(text=text.encode(), cflags=flags)
        except Exception as error:  # bcc raises the bare class
            raise ProbeError(
                f"bcc could not compile the programs: {error}; run as root, see its output above"
            ) from error
        finally:
            del os.environ["BCC_KERNEL_SOURCE"]

    def _attach(self, choice: Choice) -> None:
        try:
            self._refuse_untried(choice)
            for purpose, _ in list(choice.taken()):
                self._attach_best(choice, purpose)
        except ProbeError:
            self._bpf.cleanup()
            raise
        self.hooks = choice.names()
        self._bpf.free_bcc_memory()

    @staticmethod
    def _refuse_untried(choice: Choice) -> None:
        """What would be refused anyway: bcc would write the kernel's answer to stderr."""
        choice.refuse_what_this_kernel_lacks()
        if _release() < _FENTRY_SEEN:
            choice.refuse_kind("fentry", "bcc sees nothing by it before 5.11")
        for purpose, way in list(choice.taken()):
            reason = fentry_refused(load_library(), way.programs[0].target) if way.kind == "fentry" else None
            if reason:
                choice.refuse(purpose, reason)

    def _attach_best(self, choice: Choice, purpose: str) -> None:
        while way := dict(choice.taken()).get(purpose):
            try:
                self._attach_way(choice, purpose, way)
            except Exception as error:  # bcc raises the bare class
                self._detach(way)
                if not choice.refuse(purpose, str(error)):
                    raise ProbeError(
                        f"a program could not be attached: {error}; "
                        "is tracefs mounted? mount -t tracefs nodev /sys/kernel/tracing"
                    ) from error
            else:
                return

    def _attach_way(self, choice: Choice, purpose: str, way: Way) -> None:
        for program in way.programs:
            # A tracepoint is known by the function that calls its programs.
            symbol = f"__traceiter_{program.target}" if program.kind == "raw_tracepoint" else program.target
            if not (program.optional and self._bpf.ksymname(symbol.encode()) == -1):
                self._attach_program(program)
                choice.attached(purpose, program)

    def _attach_program(self, program: Program) -> None:
        target, function = program.target.encode(), program.bcc_function.encode()
        match program.kind:
            case "fentry":
                self._bpf.attach_kfunc(fn_name=function)
            case "fexit":
                self._bpf.attach_kretfunc(fn_name=function)
            case "kprobe":
                self._bpf.attach_kprobe(event=target, fn_name=function)
            case "kretprobe":
                self._bpf.attach_kretprobe(event=target, fn_name=function)
            case "tracepoint":
                self._bpf.attach_tracepoint(tp=target, fn_name=function)
            case "raw_tracepoint":
                self._attach_raw(target, function)

    def _attach_raw(self, target: bytes, function: bytes) -> None:
        attached = self._bpf.raw_tracepoint_fds
        if target not in attached:
            self._bpf.attach_raw_tracepoint(tp=target, fn_name=function)
            return
        # bcc keeps one program a place, by its name; another one stands beside it under a name of its own,
        # which its cleanup closes with the others.
        import bcc  # noqa: PLC0415 - LLVM comes with it

        program = self._bpf.load_func(function, bcc.BPF.RAW_TRACEPOINT)
        descriptor = bcc.lib.bpf_attach_raw_tracepoint(program.fd, target)
        if descriptor < 0:
            raise ProbeError(f"{function.decode()} cannot be attached to {target.decode()}")
        attached[target + b" " + function] = descriptor

    def _detach(self, way: Way) -> None:
        """What of a way was attached before the rest of it was refused."""
        for program in way.programs:
            # bcc raises the bare class for what was never attached
            with contextlib.suppress(Exception):
                self._detach_program(program)

    def _detach_program(self, program: Program) -> None:
        target, function = program.target.encode(), program.bcc_function.encode()
        match program.kind:
            case "fentry":
                self._bpf.detach_kfunc(fn_name=function)
            case "fexit":
                self._bpf.detach_kretfunc(fn_name=function)
            case "kprobe":
                self._bpf.detach_kprobe(event=target)
            case "kretprobe":
                self._bpf.detach_kretprobe(event=target)
            case "tracepoint":
                self._bpf.detach_tracepoint(tp=target)
            case "raw_tracepoint":
                self._bpf.detach_raw_tracepoint(tp=target)

    def _open_ring(self, receive: Receive) -> None:
        def sample(_context: int, data: int, size: int) -> int:
            # ctypes would print what is raised here and go on: it is kept, and raised by poll.
            try:
                receive(ctypes.string_at(data, size))
            except BaseException as error:  # noqa: BLE001 - re-raised
                self._raised = error
                return -errno.ECANCELED
            self._taken += 1
            return -errno.EAGAIN if self._taken >= POLL_EVENTS else 0

        self._bpf[b"entries"].open_ring_buffer(sample)

        def descriptor(name: str) -> int:
            return int(self._bpf[name.encode()].map_fd)

        self.ordinary = OrdinaryLane(load_library(), descriptor)
        self.budget = Budgets(load_library(), descriptor)
        self.listeners = Listeners(load_library(), descriptor)
        self.requests = Requests(load_library(), descriptor, self.listeners)

    def poll(self, timeout_ms: int) -> int:
        """See Probe."""
        self._taken = 0
        self._bpf.ring_buffer_poll(timeout_ms)
        if self._raised is not None:
            raise self._raised
        return self._taken

    def counters(self) -> dict[str, int]:
        """See Probe."""
        table = self._bpf[b"counters"]
        return {name: sum(table[ctypes.c_int(index)]) for index, name in enumerate(COUNTERS)}

    def release(self, cookie: int) -> None:
        """See Probe."""
        self._bpf[b"released"][ctypes.c_ulonglong(cookie)] = ctypes.c_uint(1)

    def know_init(self, mnt: int, init_pid: int) -> None:
        """See Probe."""
        self._bpf[b"mounts"][ctypes.c_uint(mnt)] = ctypes.c_uint(init_pid)
        self._bpf[b"inits"][ctypes.c_uint(init_pid)] = ctypes.c_uint(mnt)

    def forget_mount(self, mnt: int) -> None:
        """See Probe."""
        with contextlib.suppress(KeyError):
            del self._bpf[b"mounts"][ctypes.c_uint(mnt)]

    def know_cgroup(self, cgroup: int, mnt: int) -> None:
        """See Probe."""
        self._bpf[b"cgroups"][ctypes.c_ulonglong(cgroup)] = ctypes.c_uint(mnt)

    def forget_cgroup(self, cgroup: int) -> None:
        """See Probe."""
        with contextlib.suppress(KeyError):
            del self._bpf[b"cgroups"][ctypes.c_ulonglong(cgroup)]

    def know_root(self, device: int, mnt: int) -> None:
        """See Probe."""
        self._bpf[b"roots"][ctypes.c_uint(device)] = ctypes.c_uint(mnt)

    def forget_root(self, device: int) -> None:
        """See Probe."""
        with contextlib.suppress(KeyError):
            del self._bpf[b"roots"][ctypes.c_uint(device)]

    def know_sensor(self, pid: int) -> None:
        """See Probe."""
        self._bpf[b"sensor"][ctypes.c_int(0)] = ctypes.c_uint(pid)

    def mark(self, tid: int, mark: bytes) -> None:
        """See Probe."""
        table = self._bpf[b"marks"]
        table[ctypes.c_uint(tid)] = table.Leaf.from_buffer_copy(mark)

    def unmark(self, tid: int) -> None:
        """See Probe."""
        with contextlib.suppress(KeyError):
            del self._bpf[b"marks"][ctypes.c_uint(tid)]

    def damage(self) -> list[str]:
        """See Probe."""
        return []

    def mend(self) -> None:
        """See Probe."""

    def is_marked(self, tid: int) -> bool:
        """See Probe."""
        mark = self._bpf[b"marks"].get(ctypes.c_uint(tid))
        return mark is not None and ctypes.c_ulonglong(mark.cookie) not in self._bpf[b"released"]

    def close(self) -> None:
        """See Probe."""
        self.ordinary.close()
        self._bpf.cleanup()
