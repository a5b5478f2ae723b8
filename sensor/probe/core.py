# SPDX-License-Identifier: Apache-2.0
"""Loads the prebuilt CO-RE object with the system's libbpf.so.1, by ctypes: no compiler, no headers."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from pathlib import Path
from typing import Any, Final

from sensor.probe import BUILD, POLL_EVENTS, ProbeError, Receive
from sensor.probe.layout import COUNTERS

_P: Final = ctypes.c_void_p
_SAMPLE: Final = ctypes.CFUNCTYPE(ctypes.c_int, _P, _P, ctypes.c_size_t)
_PRINT: Final = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_char_p, _P)
_SIGNATURES: Final[dict[str, tuple[Any, list[Any]]]] = {
    "bpf_object__open_file": (_P, [ctypes.c_char_p, _P]),
    "bpf_object__load": (ctypes.c_int, [_P]),
    "bpf_object__close": (None, [_P]),
    "bpf_object__next_program": (_P, [_P, _P]),
    "bpf_object__find_map_fd_by_name": (ctypes.c_int, [_P, ctypes.c_char_p]),
    "bpf_program__attach": (_P, [_P]),
    "bpf_program__section_name": (ctypes.c_char_p, [_P]),
    "bpf_link__destroy": (ctypes.c_int, [_P]),
    "bpf_map_lookup_elem": (ctypes.c_int, [ctypes.c_int, _P, _P]),
    "bpf_map_update_elem": (ctypes.c_int, [ctypes.c_int, _P, _P, ctypes.c_uint64]),
    "ring_buffer__new": (_P, [ctypes.c_int, _SAMPLE, _P, _P]),
    "ring_buffer__poll": (ctypes.c_int, [_P, ctypes.c_int]),
    "ring_buffer__free": (None, [_P]),
    "libbpf_num_possible_cpus": (ctypes.c_int, []),
    "libbpf_set_print": (_P, [_PRINT]),
}


def object_path() -> Path:
    """Where the object lies: NSENTRY_BPF_OBJECT, else where bpf/Makefile builds it."""
    return Path(os.environ.get("NSENTRY_BPF_OBJECT", BUILD / "sensor.bpf.o"))


def load_library(name: str = "libbpf.so.1") -> ctypes.CDLL:
    """The library with the signatures that are used here. Raises ProbeError."""
    try:
        library = ctypes.CDLL(name, use_errno=True)
    except OSError as error:
        raise ProbeError(f"{name} cannot be loaded ({error}); install it: apt-get install libbpf1") from error
    for function, (result, arguments) in _SIGNATURES.items():
        getattr(library, function).restype = result
        getattr(library, function).argtypes = arguments
    return library


_PURPOSES: Final = {
    "sys_enter_setns": "setns_before",
    "sys_exit_setns": "setns",
    "sched_process_fork": "fork",
    "sched_process_exec": "exec",
    "sched_process_exit": "exit",
}


def hook_of(section: str) -> tuple[str, str]:
    """Purpose and kernel hook of a program, from its section's name."""
    kind, _, name = section.partition("/")
    if kind == "tp":
        return _PURPOSES[name.rsplit("/", 1)[-1]], f"tracepoint {name.replace('/', ':')}"
    return _PURPOSES[name], f"raw_tracepoint {name}"


class CoreProbe:
    """The programs of the prebuilt object, loaded and attached."""

    loader = "core"

    def __init__(self, reason: str, receive: Receive) -> None:
        self.reason = reason
        self.hooks: dict[str, str] = {}
        self._links: list[int] = []
        self._object = 0
        self._ring = 0
        self._raised: BaseException | None = None
        self._taken = 0
        self._lib = load_library()
        # libbpf's own log blames RLIMIT_MEMLOCK for whatever is refused; our message says what was.
        self._silence = _PRINT(lambda _level, _format, _args: 0)
        self._lib.libbpf_set_print(self._silence)
        self._callback = _SAMPLE(self._sample(receive))
        try:
            self._load()
        except ProbeError:
            self.close()
            raise

    def _sample(self, receive: Receive) -> Any:  # noqa: ANN401 - ctypes wants a callable
        def sample(_context: int | None, data: int, size: int) -> int:
            # ctypes would print what is raised here and go on: it is kept, and raised by poll.
            try:
                receive(ctypes.string_at(data, size))
            except BaseException as error:  # noqa: BLE001 - re-raised
                self._raised = error
                return -errno.ECANCELED
            self._taken += 1
            return -errno.EAGAIN if self._taken >= POLL_EVENTS else 0

        return sample

    def _load(self) -> None:
        path = object_path()
        if not path.exists():
            raise ProbeError(f"{path} is not built; run: make -C bpf")
        self._object = self._lib.bpf_object__open_file(str(path).encode(), None) or 0
        if not self._object:
            raise ProbeError(f"{path} is no BPF object; build it again: make -C bpf clean all")
        result = self._lib.bpf_object__load(self._object)
        if result:
            raise ProbeError(f"the kernel refused the programs: {_why(-result)}")
        self._attach()
        entries = self._map("entries")
        self._ring = self._lib.ring_buffer__new(entries, self._callback, None, None) or 0
        if not self._ring:
            raise ProbeError(f"the ring cannot be read: {_why(ctypes.get_errno())}")
        self._counters = self._map("counters")
        self._released = self._map("released")
        self._mounts = self._map("mounts")
        self._inits = self._map("inits")
        self._cpus = self._lib.libbpf_num_possible_cpus()

    def _attach(self) -> None:
        program = self._lib.bpf_object__next_program(self._object, None)
        while program:
            purpose, hook = hook_of(self._lib.bpf_program__section_name(program).decode())
            link = self._lib.bpf_program__attach(program)
            if not link:
                raise ProbeError(f"{hook} cannot be attached: {_why(ctypes.get_errno())}")
            self._links.append(link)
            self.hooks[purpose] = hook
            program = self._lib.bpf_object__next_program(self._object, program)

    def _map(self, name: str) -> int:
        return int(self._lib.bpf_object__find_map_fd_by_name(self._object, name.encode()))

    def poll(self, timeout_ms: int) -> int:
        """See Probe."""
        self._taken = 0
        result = int(self._lib.ring_buffer__poll(self._ring, timeout_ms))
        if self._raised is not None:
            raise self._raised
        if result < 0 and -result not in {errno.EINTR, errno.EAGAIN}:
            raise ProbeError(f"the ring cannot be read any more: {_why(-result)}")
        return self._taken

    def counters(self) -> dict[str, int]:
        """See Probe."""
        totals = {}
        values = (ctypes.c_uint64 * self._cpus)()
        for index, name in enumerate(COUNTERS):
            key = ctypes.c_uint32(index)
            if self._lib.bpf_map_lookup_elem(self._counters, ctypes.byref(key), ctypes.byref(values)) == 0:
                totals[name] = sum(values)
        return totals

    def release(self, cookie: int) -> None:
        """See Probe."""
        self._update(self._released, struct.pack("=Q", cookie), struct.pack("=I", 1))

    def know_init(self, mnt: int, init_pid: int) -> None:
        """See Probe."""
        self._update(self._mounts, struct.pack("=I", mnt), struct.pack("=I", init_pid))
        self._update(self._inits, struct.pack("=I", init_pid), struct.pack("=I", mnt))

    def _update(self, fd: int, key: bytes, value: bytes) -> None:
        if self._lib.bpf_map_update_elem(fd, key, value, 0):
            raise ProbeError(f"a map cannot be written: {_why(ctypes.get_errno())}")

    def close(self) -> None:
        """See Probe."""
        if self._ring:
            self._lib.ring_buffer__free(self._ring)
        for link in self._links:
            self._lib.bpf_link__destroy(link)
        if self._object:
            self._lib.bpf_object__close(self._object)
        self._ring = self._object = 0
        self._links = []


def _why(code: int) -> str:
    name = errno.errorcode.get(code, str(code))
    hints = {
        errno.EPERM: "run as root, or give CAP_BPF, CAP_PERFMON and CAP_SYS_ADMIN",
        errno.EACCES: "run as root; the verifier or tracefs refused",
        errno.ENOENT: "mount tracefs: mount -t tracefs nodev /sys/kernel/tracing",
    }
    return f"{name} ({os.strerror(code)}); {hints.get(code, 'see nsentry-sensor doctor')}"
